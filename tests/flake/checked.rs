//! What the modules check when a configuration is built, in words of their own, and what units have
//! besides: folders, credentials, units that are told of a failure.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::modules::{GOOD, HOME_OPTIONS, machine, refused};
use crate::support::{World, contains, copy, repository, succeeded, text, world};

fn unit(world: &World, name: &str, pipeline: &str) -> String {
    let units = world
        .build_expression(name, &machine("p", pipeline, ""))
        .unwrap_or_else(|said| panic!("{said}"));
    fs::read_to_string(units.join("task-pipeline-p.service")).unwrap()
}

/// The script that a unit runs, with its state in another folder.
fn script(unit: &str, state: &Path) -> String {
    let mut lines = unit.lines();
    let script = lines.find_map(|line| line.strip_prefix("ExecStart="));
    let script = fs::read_to_string(script.unwrap()).unwrap();
    script.replace("/var/lib/task-pipeline", &state.display().to_string())
}

#[test]
fn a_step_without_a_script_is_told_by_the_program() {
    let Some(world) = world() else { return };
    let at = "services.task-pipeline.pipelines.p: the manifest has the errors above";
    let step = r#"{ name = "a"; start = true; scirpt = ":"; }"#;
    let machine = machine("p", &format!("settings.step = [ {step} ];"), "");
    let says = ["unknown key `scirpt`", "did you mean `script`?", at];
    refused(world, "misspelt", &machine, &says);
}

#[test]
fn a_schedule_is_one_or_several_and_checked() {
    let Some(world) = world() else { return };
    let pipeline = format!(
        r#"{GOOD} schedule = [ "03:00" "*-*-01 12:00 Europe/Berlin" ]; gc.schedule = "weekly";"#
    );
    let units = world
        .build_expression("schedules", &machine("p", &pipeline, ""))
        .unwrap_or_else(|said| panic!("{said}"));
    let timer = fs::read_to_string(units.join("task-pipeline-p.timer")).unwrap();
    contains(
        &timer,
        &[
            "OnCalendar=03:00\n",
            "OnCalendar=*-*-01 12:00 Europe/Berlin\n",
        ],
    );
    for (name, schedule, option) in [
        (
            "schedule-word",
            r#"schedule = [ "daily" "nigthly" ];"#,
            "`schedule`",
        ),
        (
            "schedule-gc",
            r#"gc.schedule = "sometimes";"#,
            "`gc.schedule`",
        ),
    ] {
        let machine = machine("p", &format!("{GOOD} {schedule}"), "");
        let says = [
            "services.task-pipeline.pipelines.p",
            option,
            "is no calendar expression of systemd",
        ];
        refused(world, name, &machine, &says);
    }
}

#[test]
fn arguments_are_checked() {
    let Some(world) = world() else { return };
    for (name, arguments, says) in [
        ("unknown", r#""-fial-fast""#, "-fail-fast"),
        ("both", r#""-keep-going" "-fail-fast""#, "does not go with"),
        ("command", r#""-v" "status""#, "does not go with"),
    ] {
        let pipeline = format!("{GOOD} extraArgs = [ {arguments} ];");
        let says = [
            "services.task-pipeline.pipelines.p",
            "task-pipeline refuses its arguments; those of `extraArgs` are: -",
            says,
        ];
        refused(
            world,
            &format!("arguments-{name}"),
            &machine("p", &pipeline, ""),
            &says,
        );
    }
}

/// By the manifest that is built, whichever way it is given; what only the machine of the run has is no matter.
#[test]
fn arguments_fit_the_manifest() {
    let Some(world) = world() else { return };
    let folder = world.folder("fit-manifest");
    let text = "[limits]\ndb = 1\n[[step]]\nname = \"only\"\nstart = true\ngpus = 3\nuses = { db = 1 }\nscript = \":\"\n";
    fs::write(folder.join("workflow.toml"), text).unwrap();
    let manifest = format!("manifest = {}/workflow.toml;", folder.display());
    for (name, manifest, wrong, says) in [
        ("limit", GOOD, "limits.db = 2;", "there is no limit `db`"),
        (
            "limit-file",
            &manifest,
            "limits.dc = 2;",
            "did you mean `db`?",
        ),
        (
            "executor",
            GOOD,
            r#"executor = "nowhere";"#,
            "there is no such executor",
        ),
        (
            "start",
            GOOD,
            r#"extraArgs = [ "-start" "nosuch" ];"#,
            "there is no step `nosuch`",
        ),
        (
            "only",
            &manifest,
            r#"extraArgs = [ "-only" "nosuch" ];"#,
            "there is no step `nosuch`",
        ),
        (
            "param",
            GOOD,
            r#"extraArgs = [ "-param" "nosuch=3" ];"#,
            "there is no parameter `nosuch`",
        ),
    ] {
        let at = "services.task-pipeline.pipelines.p: task-pipeline refuses its arguments";
        refused(
            world,
            &format!("fit-{name}"),
            &machine("p", &format!("{manifest} {wrong}"), ""),
            &[at, says],
        );
    }
    let right = r#"limits.db = 2; locked = true; extraArgs = [ "-only" "only" ];"#;
    unit(world, "fit", &format!("{manifest} {right}"));
}

/// Each night it would be refused, and the disk fills: the run's unit takes no notice of that, and a unit of its
/// own would be started again for ever.
#[test]
fn what_is_to_be_kept_is_checked() {
    let Some(world) = world() else { return };
    for (name, wrong, what, says) in [
        (
            "size",
            r#"gc.maxSize = "lots";"#,
            "`gc`",
            "`lots` is no size",
        ),
        (
            "age",
            r#"gc = { olderThan = "ages"; schedule = "weekly"; };"#,
            "`gc`",
            "is not a length of time",
        ),
        (
            "evict",
            r#"evict.maxSize = "lots";"#,
            "`evict`",
            "`lots` is no size",
        ),
    ] {
        let at =
            format!("services.task-pipeline.pipelines.p: task-pipeline refuses what {what} says");
        refused(
            world,
            &format!("kept-{name}"),
            &machine("p", &format!("{GOOD} {wrong}"), ""),
            &[&at, says],
        );
    }
}

#[test]
fn credentials_can_be_encrypted_and_failures_told() {
    let Some(world) = world() else { return };
    let unit = unit(
        world,
        "encrypted",
        &format!(
            r#"{GOOD} encryptedCredentials.token = "/etc/credstore.encrypted/token";
               onFailure = [ "tell@%n.service" "other.service" ];"#
        ),
    );
    contains(
        &unit,
        &[
            "LoadCredentialEncrypted=token:/etc/credstore.encrypted/token\n",
            "OnFailure=tell@%n.service other.service\n",
        ],
    );
    let both =
        format!(r#"{GOOD} credentials.token = "/run/a"; encryptedCredentials.token = "/run/b";"#);
    refused(
        world,
        "encrypted-both",
        &machine("p", &both, ""),
        &[
            "\"p\"",
            "`token`",
            "in `credentials` and in `encryptedCredentials`",
        ],
    );
}

/// As they are, from `src` alone: manifest, inputs and files go along.
#[test]
fn templates_run_as_services() {
    let Some(world) = world() else { return };
    let results = [
        ("data", "inner.json"),
        ("samples", "summary.md"),
        ("site", "index.html"),
    ];
    let folder = world.folder("services");
    copy(&repository().join("templates"), &folder.join("templates"));
    let of = |(template, _): &(&str, &str)| {
        let source = folder.join("templates").join(template);
        let source = source.display();
        format!(r#"pipelines.{template} = {{ src = {source}; extraArgs = [ "-host-env" ]; }}; "#)
    };
    let pipelines: String = results.iter().map(of).collect();
    let machine = machine(
        "p",
        GOOD,
        &format!("services.task-pipeline = {{ {pipelines} }};"),
    );
    let units = world.build_expression("services-units", &machine);
    let units = units.unwrap_or_else(|said| panic!("{said}"));
    for (template, result) in results {
        let unit = units.join(format!("task-pipeline-{template}.service"));
        let run = script(&fs::read_to_string(unit).unwrap(), &folder.join("state"));
        let mut command = Command::new("/bin/sh");
        world.environment(&mut command);
        command.args(["-c", &run]).current_dir("/");
        succeeded(&command.output().unwrap());
        let mut export = Command::new(crate::support::PROGRAM);
        export.current_dir(&folder).args(["export", "-db"]);
        export.arg(format!("state/{template}/db"));
        export.arg("-to").arg(format!("out/{template}"));
        succeeded(&export.output().unwrap());
        assert!(folder.join("out").join(template).join(result).exists());
    }
}

/// What home-manager would give to launchd; nothing is built for that system here.
#[test]
fn on_macos_pipelines_are_agents() {
    let Some(world) = world() else { return };
    let agents = |pipeline: &str| {
        world.evaluate(&format!(
            r"let home = lib.evalModules {{
                 specialArgs.pkgs = nixpkgs.legacyPackages.aarch64-darwin;
                 modules = [
                   {HOME_OPTIONS}
                   flake.homeModules.default
                   {{ services.task-pipeline = {{ enable = true; pipelines.p = {{ {pipeline} }}; }}; }}
                 ];
               }};
               failed = lib.filter (a: !a.assertion) home.config.assertions;
               in if failed != [ ] then throw (lib.concatMapStrings (a: a.message) failed) else
               [ home.config.systemd.user.services home.config.launchd.agents.task-pipeline-p.config ]"
        ))
    };
    let output = agents(&format!(
        r#"{GOOD} schedule = [ "03:00" "Mon *-*-* 06:30" "monthly" ]; gc.keepRunsets = 3;"#
    ));
    let found: serde_json::Value = serde_json::from_str(&succeeded(&output)).unwrap();
    assert_eq!(found[0], serde_json::json!({}));
    assert_eq!(
        found[1]["StartCalendarInterval"],
        serde_json::json!([
            { "Hour": 3, "Minute": 0 },
            { "Hour": 6, "Minute": 30, "Weekday": 1 },
            { "Hour": 0, "Minute": 0, "Day": 1 },
        ])
    );
    assert_eq!(
        found[1]["StandardErrorPath"],
        "/home/user/Library/Logs/task-pipeline-p.log"
    );
    let refused = agents(&format!(
        r#"{GOOD} schedule = [ "daily" "24:00" ]; credentials.a = "/run/a";"#
    ));
    assert!(!refused.status.success());
    let says = [
        "\"p\"",
        "launchd knows",
        "`credentials` is a matter of systemd",
    ];
    contains(&text(&refused.stderr), &says);
}
