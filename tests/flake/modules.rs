//! The NixOS and the home-manager module: the units they make, and what they refuse.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{World, contains, succeeded, text, world};

/// A pipeline that is in order.
pub const GOOD: &str = r#"settings.step = [ { name = "only"; start = true; packages = [ pkgs.jq ]; script = ":"; } ];"#;

/// A machine's toplevel with this pipeline (and more configuration) in it.
pub fn machine(name: &str, pipeline: &str, more: &str) -> String {
    format!(
        r"(nixpkgs.lib.nixosSystem {{
          inherit system;
          modules = [
            flake.nixosModules.default
            {{ services.task-pipeline = {{ enable = true; pipelines.{name} = {{ {pipeline} }}; }}; }}
            {{ {more} }}
          ];
        }}).config.system.build.toplevel"
    )
}

pub fn refused(world: &World, name: &str, expression: &str, says: &[&str]) {
    match world.build_expression(name, expression) {
        Ok(path) => panic!("{name}: built {}", path.display()),
        Err(said) => contains(&said, says),
    }
}

#[test]
fn a_pipeline_becomes_a_hardened_service_and_a_timer() {
    let Some(world) = world() else { return };
    let pipeline = format!(
        r#"{GOOD}
          schedule = "daily";
          timerConfig.RandomizedDelaySec = "5m";
          environmentFile = "/run/secrets/env";
          credentials.token = "/run/secrets/token";
          extraArgs = [ "-verbose" "-runset" "it's" ];
          serviceConfig = {{ MemoryMax = "1G"; PrivateTmp = false; }};"#
    );
    let units = world
        .build_expression("units", &machine("p", &pipeline, ""))
        .unwrap();
    let service = fs::read_to_string(units.join("task-pipeline-p.service")).unwrap();
    contains(
        &service,
        &[
            "Type=oneshot\n",
            "User=task-pipeline-p\n",
            "StateDirectory=task-pipeline/p\n",
            "\"NIX_REMOTE=daemon\"",
            "\"HOME=/var/lib/task-pipeline/p\"",
            "ProtectSystem=strict\n",
            "NoNewPrivileges=true\n",
            "RestrictNamespaces=true\n",
            "CapabilityBoundingSet=\n",
            "UMask=0077\n",
            "SuccessExitStatus=143\n",
            "OOMPolicy=continue\n",
            "EnvironmentFile=/run/secrets/env\n",
            "LoadCredential=token:/run/secrets/token\n",
            "MemoryMax=1G\n",
            "PrivateTmp=false\n",
        ],
    );
    let timer = fs::read_to_string(units.join("task-pipeline-p.timer")).unwrap();
    contains(
        &timer,
        &[
            "OnCalendar=daily\n",
            "Persistent=true\n",
            "RandomizedDelaySec=5m\n",
        ],
    );
    let script = service
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="))
        .unwrap();
    contains(
        &fs::read_to_string(script).unwrap(),
        &["-fresh", "-verbose", "it'\\''s"],
    );

    assert!(
        exposure(&units.join("task-pipeline-p.service")) > 1.3,
        "PrivateTmp = false counts"
    );

    // systemd has the last word on units.
    let verified = Command::new("systemd-analyze")
        .arg("verify")
        .arg("--man=no")
        .arg(units.join("task-pipeline-p.service"))
        .arg(units.join("task-pipeline-p.timer"))
        .output();
    if let Ok(verified) = verified {
        let said = text(&verified.stderr);
        let ours: Vec<&str> = said
            .lines()
            .filter(|line| line.contains("task-pipeline-p"))
            .collect();
        assert!(ours.is_empty(), "{said}");
    }
}

/// How much of the machine a unit is exposed to, by systemd's own score from 0 to 10.
fn exposure(unit: &Path) -> f64 {
    let scored = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager"])
        .arg(unit)
        .env("SYSTEMD_COLORS", "0")
        .output()
        .expect("systemd-analyze is there (Debian: apt-get install systemd)");
    let said = text(&scored.stdout);
    said.lines()
        .find_map(|line| line.split_once("exposure level for "))
        .and_then(|(_, rest)| rest.split_once(": ")?.1.split(' ').next()?.parse().ok())
        .unwrap_or_else(|| panic!("no score in:\n{said}\n{}", text(&scored.stderr)))
}

#[test]
fn a_service_is_exposed_to_next_to_nothing() {
    let Some(world) = world() else { return };
    let units = world
        .build_expression("exposure", &machine("p", GOOD, ""))
        .unwrap();
    let exposure = exposure(&units.join("task-pipeline-p.service"));
    assert!(exposure <= 1.3, "{exposure}");
}

/// Users of a system have names of at most 31 characters.
#[test]
fn each_pipeline_has_a_user_of_its_own() {
    let Some(world) = world() else { return };
    for (name, pipeline, user) in [
        ("p", String::new(), "task-pipeline-p"),
        (
            "exactly-seventeen",
            String::new(),
            "task-pipeline-exactly-seventeen",
        ),
        (
            "one-more-than-that",
            String::new(),
            "task-pipeline-one-more",
        ),
        (
            "p",
            "user = \"alice\"; group = \"users\";".to_owned(),
            "alice",
        ),
    ] {
        let system = machine(name, &format!("{GOOD} {pipeline}"), "");
        let config = system.replace(".system.build.toplevel", "");
        let output = world.evaluate(&format!(
            "let c = {config}; s = c.systemd.services.task-pipeline-{name}.serviceConfig;
             in [ s.User s.Group (builtins.attrNames c.users.users) (builtins.attrNames c.users.groups) ]"
        ));
        let found: (String, String, Vec<String>, Vec<String>) =
            serde_json::from_str(&succeeded(&output)).unwrap();
        assert!(
            found.0.starts_with(user) && found.0.len() <= 31,
            "{found:?}"
        );
        if user == "alice" {
            assert_eq!(
                (found.1.as_str(), found.2, found.3),
                ("users", vec![], vec![])
            );
        } else {
            assert_eq!((vec![found.0], vec![found.1]), (found.2, found.3));
        }
    }
}

#[test]
fn a_db_elsewhere_is_waited_for_and_one_out_of_sight_refused() {
    let Some(world) = world() else { return };
    let service = |name: &str, pipeline: &str| {
        let units = world
            .build_expression(name, &machine("p", &format!("{GOOD} {pipeline}"), ""))
            .unwrap();
        fs::read_to_string(units.join("task-pipeline-p.service")).unwrap()
    };
    contains(
        &service("elsewhere", "db = \"/srv/p/db\";"),
        &[
            "RequiresMountsFor=/srv/p/db\n",
            "ReadWritePaths=/srv/p/db\n",
        ],
    );
    contains(
        &service("spaces", "db = \"/srv/a b/100%\";"),
        &[
            "RequiresMountsFor=\"/srv/a b/100%%\"\n",
            "ReadWritePaths=\"/srv/a b/100%%\"\n",
        ],
    );
    assert!(!service("own", "").contains("RequiresMountsFor"));
    for (name, db) in [
        ("tmp", "/tmp/p"),
        ("home", "/home/alice/db"),
        ("root", "/root"),
    ] {
        refused(
            world,
            &format!("hidden-{name}"),
            &machine("p", &format!("{GOOD} db = \"{db}\";"), ""),
            &["\"p\": `db` is", db, "cannot see", "serviceConfig."],
        );
    }
    refused(
        world,
        "hidden-manifest",
        &machine("p", "manifest = \"/home/alice/workflow.toml\";", ""),
        &["`manifest` is /home/alice/workflow.toml", "ProtectHome"],
    );
    // What the words say helps.
    service(
        "seen-home",
        "db = \"/home/alice/db\"; serviceConfig.ProtectHome = \"read-only\";",
    );
    service(
        "seen-tmp",
        "db = \"/tmp/p\"; serviceConfig.PrivateTmp = false;",
    );
}

#[test]
fn a_service_that_is_stopped_has_longer_than_its_scripts() {
    let Some(world) = world() else { return };
    for (name, pipeline, grace, stop) in [
        ("grace-usual", "", "-grace 5s", "TimeoutStopSec=60s\n"),
        (
            "grace-long",
            "grace = 600;",
            "-grace 600s",
            "TimeoutStopSec=655s\n",
        ),
    ] {
        let units = world
            .build_expression(name, &machine("p", &format!("{GOOD} {pipeline}"), ""))
            .unwrap();
        let service = fs::read_to_string(units.join("task-pipeline-p.service")).unwrap();
        contains(&service, &[stop]);
        let script = service
            .lines()
            .find_map(|line| line.strip_prefix("ExecStart="))
            .unwrap();
        // Quotes or none, as the library has it.
        let script = fs::read_to_string(script).unwrap().replace('\'', "");
        contains(&script, &[grace]);
    }
}

#[test]
fn a_service_has_what_there_is_for_its_tasks_and_a_group_to_divide() {
    let Some(world) = world() else { return };
    let there = "cpus = 4; memory = \"8G\"; gpus = \"0,2\"; limits = { database = 3; }; settings.limits.database = 2; enforceMemory = true;";
    let units = world
        .build_expression("resources", &machine("p", &format!("{GOOD} {there}"), ""))
        .unwrap();
    let service = fs::read_to_string(units.join("task-pipeline-p.service")).unwrap();
    contains(
        &service,
        &["Delegate=memory\n", "ProtectControlGroups=false\n"],
    );
    let script = service
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="))
        .unwrap();
    let script = fs::read_to_string(script).unwrap().replace('\'', "");
    contains(&script, &["-cpus 4 -memory 8G -gpus 0,2 -limit database=3"]);
}

#[test]
fn without_a_schedule_there_is_no_timer_and_no_new_runset() {
    let Some(world) = world() else { return };
    let units = world
        .build_expression("no-timer", &machine("p", GOOD, ""))
        .unwrap();
    assert!(!units.join("task-pipeline-p.timer").exists());
    let service = fs::read_to_string(units.join("task-pipeline-p.service")).unwrap();
    let script = service
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="))
        .unwrap();
    assert!(!fs::read_to_string(script).unwrap().contains("-fresh"));
}

#[test]
fn tasks_of_a_service_go_where_its_executor_is() {
    let Some(world) = world() else { return };
    let unit = |name: &str, pipeline: &str| {
        let machine = machine("p", pipeline, "");
        let units = world.build_expression(name, &machine).unwrap();
        fs::read_to_string(units.join("task-pipeline-p.service")).unwrap()
    };
    let run = |unit: &str| {
        let mut lines = unit.lines();
        let script = lines.find_map(|line| line.strip_prefix("ExecStart="));
        fs::read_to_string(script.unwrap())
            .unwrap()
            .replace('\'', "")
    };
    let system = "/run/current-system/sw/bin";
    let here = unit("executor-none", GOOD);
    assert!(!run(&here).contains("-executor") && !here.contains(system));
    let there = unit("executor-slurm", &format!("{GOOD} executor = \"slurm\";"));
    contains(&run(&there), &[" -executor slurm"]);
    contains(&there, &[system]);
    // Those that steps name need the same programs.
    let steps = "settings = { executors.lab.ssh = [ \"lab\" ]; \
        step = [ { name = \"a\"; start = true; executor = \"lab\"; script = \":\"; } ]; };";
    let named = unit("executor-of-a-step", steps);
    contains(&named, &[system]);
    assert!(!run(&named).contains("-executor"));
}

#[test]
fn room_is_made_after_a_run_or_at_its_own_time() {
    let Some(world) = world() else { return };
    let units = |name: &str, gc: &str| {
        let pipeline = format!("{GOOD} {gc}");
        let machine = machine("p", &pipeline, "");
        world.build_expression(name, &machine).unwrap()
    };
    let script = |unit: &std::path::Path, key: &str| {
        let unit = fs::read_to_string(unit).unwrap();
        let line = unit.lines().find_map(|line| line.strip_prefix(key));
        // Words may be quoted.
        line.map(|script| fs::read_to_string(script).unwrap().replace('\'', ""))
    };
    let plain = units("gc-none", "");
    let run = plain.join("task-pipeline-p.service");
    assert_eq!(script(&run, "ExecStartPost=-"), None);
    assert!(!plain.join("task-pipeline-p-gc.service").exists());

    let after = units(
        "gc-after",
        "gc = { keepRunsets = 30; olderThan = \"30d\"; };",
    );
    let said = script(&after.join("task-pipeline-p.service"), "ExecStartPost=-").unwrap();
    contains(
        &said,
        &["-db /var/lib/task-pipeline/p/db gc -keep-runsets 30 -older-than 30d\n"],
    );
    assert!(!after.join("task-pipeline-p-gc.timer").exists());

    let alone = units(
        "gc-alone",
        "gc = { maxSize = \"50G\"; schedule = \"weekly\"; };",
    );
    let unit = alone.join("task-pipeline-p-gc.service");
    contains(
        &script(&unit, "ExecStart=").unwrap(),
        &["gc -max-size 50G\n"],
    );
    let service = fs::read_to_string(&unit).unwrap();
    contains(
        &service,
        &["User=task-pipeline-p\n", "ProtectSystem=strict\n"],
    );
    let timer = fs::read_to_string(alone.join("task-pipeline-p-gc.timer")).unwrap();
    contains(&timer, &["OnCalendar=weekly\n"]);
    let run = alone.join("task-pipeline-p.service");
    assert_eq!(script(&run, "ExecStartPost=-"), None);

    let evicts = units("gc-evict", "evict.maxSize = \"20G\";");
    let said = script(&evicts.join("task-pipeline-p.service"), "ExecStartPost=-").unwrap();
    let evict = "-manifest /var/lib/task-pipeline/p/work/workflow.toml -db /var/lib/task-pipeline/p/db evict -max-size 20G\n";
    contains(&said, &[evict]);
    assert!(!said.contains(" gc"), "{said}");

    let both = units(
        "gc-and-evict",
        "gc.schedule = \"weekly\"; evict.maxSize = \"20G\"; environmentFile = \"/run/env\";",
    );
    let unit = both.join("task-pipeline-p-gc.service");
    let said = script(&unit, "ExecStart=").unwrap();
    let (gc, evict) = (said.find("p/db gc\n").unwrap(), said.find(evict).unwrap());
    assert!(gc < evict, "{said}");
    let service = fs::read_to_string(&unit).unwrap();
    contains(&service, &["EnvironmentFile=/run/env\n"]);
    let run = both.join("task-pipeline-p.service");
    assert_eq!(script(&run, "ExecStartPost=-"), None);
}

#[test]
fn a_lock_file_beside_the_manifest_is_taken_along() {
    let Some(world) = world() else { return };
    let folder = world.folder("module-lock");
    let manifest = "[[step]]\nname = \"a\"\nstart = true\nscript = \":\"\n";
    fs::write(folder.join("my.toml"), manifest).unwrap();
    fs::write(folder.join("my.lock"), "version = 1\n").unwrap();
    for (name, path) in [
        ("lock-path", format!("{}/my.toml", folder.display())),
        (
            "lock-store",
            format!("\"${{{}}}/my.toml\"", folder.display()),
        ),
    ] {
        let units = world
            .build_expression(name, &machine("p", &format!("manifest = {path};"), ""))
            .unwrap();
        let service = fs::read_to_string(units.join("task-pipeline-p.service")).unwrap();
        let script = service
            .lines()
            .find_map(|line| line.strip_prefix("ExecStart="))
            .unwrap();
        let script = fs::read_to_string(script).unwrap();
        let manifests = script
            .lines()
            .find_map(|l| l.strip_prefix("for file in "))
            .unwrap();
        let manifests = manifests.trim_end_matches("/workflow.*; do");
        assert_eq!(
            fs::read_to_string(format!("{manifests}/workflow.toml")).unwrap(),
            manifest
        );
        assert_eq!(
            fs::read_to_string(format!("{manifests}/workflow.lock")).unwrap(),
            "version = 1\n"
        );
    }
}

#[test]
fn files_of_a_pipeline_are_those_of_its_source() {
    let Some(world) = world() else { return };
    let folder = world.folder("module-src");
    fs::create_dir(folder.join("src")).unwrap();
    fs::write(folder.join("src/data"), "of the source\n").unwrap();
    let pipeline = |files: &str| {
        format!(
            "src = {}/src; settings.step = [ {{ name = \"read\"; start = true; files = [ \"{files}\" ];
               script = \"cat data > $OUTPUT_DIR/data.txt\"; }} ];",
            folder.display()
        )
    };
    refused(
        world,
        "src-nothing",
        &machine("p", &pipeline("nothing"), ""),
        &["`nothing` matches no file"],
    );
    let units = world.build_expression("src-units", &machine("p", &pipeline("data"), ""));
    let units = units.unwrap_or_else(|said| panic!("{said}"));
    let service = fs::read_to_string(units.join("task-pipeline-p.service")).unwrap();
    let mut lines = service.lines();
    let script = lines.find_map(|line| line.strip_prefix("ExecStart="));
    let script = fs::read_to_string(script.unwrap()).unwrap();
    let state = folder.join("state");
    let script = script.replace("/var/lib/task-pipeline", state.to_str().unwrap());
    fs::write(folder.join("unit.sh"), script).unwrap();
    let mut run = Command::new("bash");
    run.arg(folder.join("unit.sh")).current_dir(&folder);
    succeeded(&run.output().unwrap());
    let mut export = Command::new(crate::support::PROGRAM);
    export.current_dir(&folder);
    export.args(["export", "-db", "state/p/db", "-to", "out"]);
    succeeded(&export.output().unwrap());
    let data = fs::read_to_string(folder.join("out/data.txt")).unwrap();
    assert_eq!(data, "of the source\n");
}

#[test]
fn bad_settings_are_refused_in_words_that_name_the_pipeline() {
    let Some(world) = world() else { return };
    let step = |fields: &str| {
        format!(
            "settings.step = [ {{ name = \"fetch\"; start = true; script = \":\"; {fields} }} ];"
        )
    };
    let at = "services.task-pipeline.pipelines.p";
    for (name, pipeline, says) in [
        (
            "unknown",
            format!("{GOOD} shedule = \"daily\";"),
            &[".shedule", "does not exist"][..],
        ),
        (
            "type",
            format!("{GOOD} parallel = \"two\";"),
            &[".parallel", "is not of type"],
        ),
        ("neither", String::new(), &["\"p\"", "neither is set"]),
        (
            "both",
            format!("{GOOD} manifest = /x;"),
            &["\"p\"", "both `manifest` and `settings`"],
        ),
        (
            "secret",
            format!("{GOOD} environmentFile = \"${{pkgs.jq}}\";"),
            &[".environmentFile", "is not of type"],
        ),
        ("key", step("scirpt = \":\";"), &[at, "scirpt", "script"]),
        (
            "package",
            step("packages = [ \"no-such-thing\" ];"),
            &[at, "step 'fetch'", "no-such-thing"],
        ),
        ("function", step("env = x: x;"), &["is not of type"]),
        (
            "start",
            "settings.step = [ { name = \"a\"; script = \":\"; } ];".into(),
            &[at, "start"],
        ),
        (
            "attribute",
            step("packages = [ pkgs.no-such-thing ];"),
            &["no-such-thing"],
        ),
    ] {
        refused(
            world,
            &format!("bad-{name}"),
            &machine("p", &pipeline, ""),
            says,
        );
    }
    refused(
        world,
        "bad-name",
        &machine("\"a b\"", GOOD, ""),
        &["\"a b\"", "part of a unit's name"],
    );
    refused(
        world,
        "bad-slash",
        &machine("\"a/b\"", GOOD, ""),
        &["\"a/b\"", "part of a unit's name"],
    );

    let folder = world.folder("bad-manifest");
    fs::write(
        folder.join("workflow.toml"),
        "[[step]]\nname = \"a\"\nstart = true\nscirpt = \":\"\n",
    )
    .unwrap();
    let manifest = format!("manifest = {}/workflow.toml;", folder.display());
    refused(
        world,
        "bad-file",
        &machine("p", &manifest, ""),
        &[at, "scirpt"],
    );
}

#[test]
fn the_home_module_refuses_the_same() {
    let Some(world) = world() else { return };
    let home = |pipeline: &str| {
        format!(
            r#"let home = lib.evalModules {{
                 specialArgs = {{ inherit pkgs; }};
                 modules = [
                   {HOME_OPTIONS}
                   flake.homeModules.default
                   {{ services.task-pipeline = {{ enable = true; pipelines.p = {{ {pipeline} }}; }}; }}
                 ];
               }};
               failed = lib.filter (a: !a.assertion) home.config.assertions;
               in if failed != [ ] then throw (lib.concatMapStrings (a: a.message) failed) else
               pkgs.writeText "unit" (builtins.toJSON home.config.systemd.user.services)"#,
        )
    };
    let unit = world.build_expression("home", &home(GOOD)).unwrap();
    contains(
        &fs::read_to_string(unit).unwrap(),
        &["task-pipeline-p", "\"oneshot\""],
    );
    refused(world, "home-neither", &home(""), &["neither is set"]);
    refused(
        world,
        "home-both",
        &home(&format!("{GOOD} manifest = /x;")),
        &["both `manifest`"],
    );
    refused(
        world,
        "home-user",
        &home(&format!("{GOOD} user = \"x\";")),
        &[".user", "does not exist"],
    );
}

/// What home-manager offers of itself.
pub const HOME_OPTIONS: &str = r#"{ options = {
  assertions = lib.mkOption { type = lib.types.listOf lib.types.raw; };
  home.packages = lib.mkOption { type = lib.types.listOf lib.types.package; };
  home.profileDirectory = lib.mkOption { type = lib.types.str; default = "/home/user/.nix-profile"; };
  home.homeDirectory = lib.mkOption { type = lib.types.str; default = "/home/user"; };
  launchd.agents = lib.mkOption { type = lib.types.attrsOf lib.types.anything; default = { }; };
  xdg.stateHome = lib.mkOption { type = lib.types.str; default = "/home/user/.local/state"; };
  systemd.user.services = lib.mkOption { type = lib.types.attrsOf lib.types.anything; };
  systemd.user.timers = lib.mkOption { type = lib.types.attrsOf lib.types.anything; };
}; }"#;

#[test]
fn parameters_are_given_by_the_unit_and_checked_by_the_build() {
    let Some(world) = world() else { return };
    let pipeline = |value: &str| {
        format!(
            r#"settings = {{
              params.threshold = {{ type = "float"; default = 0.5; max = 1; }};
              step = [ {{ name = "a"; start = true; script = "echo $PARAM_threshold"; }} ];
            }};
            params = {{ threshold = {value}; none = null; }};"#
        )
    };
    let units = world
        .build_expression("params", &machine("p", &pipeline("0.7"), ""))
        .unwrap();
    let service = fs::read_to_string(units.join("task-pipeline-p.service")).unwrap();
    let script = service
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="))
        .unwrap();
    let script = fs::read_to_string(script).unwrap();
    let mut words = script
        .split_whitespace()
        .map(|word| word.trim_matches('\''));
    words.find(|word| *word == "-params");
    let given = fs::read_to_string(words.next().unwrap()).unwrap();
    assert_eq!(given, r#"{"threshold":0.7}"#);
    for (value, says) in [
        ("2", "is more than 1.0"),
        ("\"a\"", "must be a decimal number, not a string"),
    ] {
        let expression = machine("p", &pipeline(value), "");
        refused(world, "wrong-params", &expression, &[says]);
    }
}

#[test]
fn parts_of_a_manifest_go_with_it() {
    let Some(world) = world() else { return };
    let folder = world.folder("module-parts");
    fs::create_dir(folder.join("steps")).unwrap();
    fs::write(folder.join("main.toml"), "include = ['steps/*.toml']\n").unwrap();
    let part = "[[step]]\nname = 'a'\nstart = true\nscript = ':'\n";
    fs::write(folder.join("steps/a.toml"), part).unwrap();
    let pipeline = format!("manifest = {}/main.toml;", folder.display());
    let units = world
        .build_expression("parts", &machine("p", &pipeline, ""))
        .unwrap();
    let service = fs::read_to_string(units.join("task-pipeline-p.service")).unwrap();
    let script = service
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="))
        .unwrap();
    let script = fs::read_to_string(script).unwrap();
    let script = script.replace(
        "/var/lib/task-pipeline/p",
        &folder.join("state").display().to_string(),
    );
    // What is there of an earlier configuration goes.
    let work = folder.join("state/work");
    fs::create_dir_all(work.join("steps")).unwrap();
    fs::write(work.join(".task-pipeline-parts"), "./steps/old.toml\n").unwrap();
    fs::write(work.join("steps/old.toml"), part).unwrap();
    let mut command = Command::new("/bin/sh");
    world.environment(&mut command);
    succeeded(&command.args(["-c", &script]).output().unwrap());
    assert!(work.join("steps/a.toml").exists() && !work.join("steps/old.toml").exists());
}
