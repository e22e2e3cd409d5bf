//! A package that cannot be had fails before any task, by name, in Nix's own words.

use std::fs;
use std::io::Read as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::world::{World, world, write_flake};

const PACKAGES: &str = r#"
  good = tool "good" "good";
  broken = make "broken" { cmd = "echo first; echo the reason >&2; exit 3"; };
  needs = make "needs" { cmd = "echo ${broken}; mkdir $out"; };
  unfree = throw "Package ‘x’ has an unfree license (‘unfree’), refusing to evaluate.";
  wrong = make "wrong" { cmd = "echo x > $out"; outputHashMode = "flat"; outputHashAlgo = "sha256";
    outputHash = "0000000000000000000000000000000000000000000000000000000000000000"; };
"#;

fn with_flake() -> Option<(World, String)> {
    let world = world()?;
    let flake = world.at("flake");
    write_flake(&flake, PACKAGES);
    Some((world, format!("path:{}", flake.display())))
}

#[test]
fn every_bad_package_is_named_with_its_steps() {
    let Some((world, flake)) = with_flake() else {
        return;
    };
    let ran = world.at("ran");
    let script = format!("echo > {}", ran.display());
    let package = |name: &str| format!("{flake}#{name}");
    let (good, typo, broken, needs, unfree) = (
        package("good"),
        package("goood"),
        package("broken"),
        package("needs"),
        package("unfree"),
    );
    let steps: [(&str, &[&str], &str); 3] = [
        ("first", &[&good, &typo], &script),
        ("second", &[&unfree, &needs], &script),
        ("third", &[&typo, &broken], &script),
    ];
    world.manifest("path:/nowhere", &steps);
    let ended = world.run("-run").failed(
        3,
        &[
            &format!("`{typo}` of steps `first`, `third`"),
            "does not provide attribute",
            "Did you mean good?",
            &format!("`{unfree}` of step `second`"),
            "refusing to evaluate",
            "hint",
        ],
    );
    for internal in ["--show-trace", "flake:task-pipeline"] {
        assert!(!ended.stderr.contains(internal), "{}", ended.stderr);
    }
    assert!(
        !ended.stderr.contains(&format!("`{good}`")),
        "{}",
        ended.stderr
    );
    assert!(!ran.exists(), "no task ran");
    // Without those that do not evaluate, the build that fails is known.
    let steps: [(&str, &[&str], &str); 3] = [
        ("first", &[&good], &script),
        ("second", &[&needs], &script),
        ("third", &[&broken], &script),
    ];
    world.manifest("path:/nowhere", &steps);
    let ended = world.run("-run").failed(
        3,
        &[
            &format!("`{needs}` of step `second`: the build of broken failed"),
            &format!("`{broken}` of step `third`: the build of broken failed"),
            "> the reason",
            "nix log /",
        ],
    );
    assert!(
        !ended.stderr.contains(&format!("`{good}`")),
        "{}",
        ended.stderr
    );
}

#[test]
fn one_bad_package() {
    let Some((world, flake)) = with_flake() else {
        return;
    };
    let nowhere = world.at("nowhere").display().to_string();
    let missing = world
        .at("store")
        .join("0c0n1xjwdkkzg5y0b9hmkvlkdbzjbfgw-missing");
    for (package, texts) in [
        (format!("{flake}#wrong"), &["hash mismatch"][..]),
        (
            format!("{flake}#broken"),
            &["broken", "> the reason", "nix log"],
        ),
        ("nosuch#x".to_owned(), &["cannot find flake", "hint"]),
        (format!("path:{nowhere}#x"), &["No such file or directory"]),
        (format!("{nowhere}#x"), &["nowhere"]),
        (
            "http://127.0.0.1:9/x.tar.gz#x".to_owned(),
            &["unable to download", "network"],
        ),
        (missing.display().to_string(), &["-missing", "hint"]),
    ] {
        world.one_step(&[&package], "true");
        let named = format!("`{package}`");
        let texts = [texts, &[named.as_str(), "step `one`"]].concat();
        world.run("-run").failed(3, &texts);
    }
}

#[test]
fn no_nix() {
    let Some((world, flake)) = with_flake() else {
        return;
    };
    world.one_step(&[&format!("{flake}#good")], "good");
    let empty = world.at("empty");
    fs::create_dir(&empty).unwrap();
    // What the program itself needs of the host's PATH, but no Nix.
    let path = empty.to_str().unwrap();
    world.run_with("-run", &[("PATH", path)]).failed(
        3,
        &[
            "no `nix` on PATH",
            "step `one`",
            "nixos.org/download",
            "-host-env",
        ],
    );
}

#[test]
fn an_interrupt_ends_the_build() {
    let Some(world) = world() else { return };
    let flake = world.at("flake");
    let pid = world.at("pid");
    write_flake(
        &flake,
        &format!(
            "slow = make \"slow\" {{ cmd = \"echo $$ > {}; sleep 300\"; }};",
            pid.display()
        ),
    );
    world.one_step(&[&format!("path:{}#slow", flake.display())], "true");
    let mut child = world
        .pipeline()
        .arg("-run")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while !fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n')) {
        assert!(
            start.elapsed() < Duration::from_mins(1),
            "the build did not start"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    let builder = fs::read_to_string(&pid).unwrap().trim().to_owned();
    world.tool("kill", &["-INT", &child.id().to_string()]);
    let start = Instant::now();
    let status = child.wait().unwrap();
    assert!(start.elapsed() < Duration::from_secs(15));
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(status.code(), Some(130), "{said}");
    let alive = || {
        world
            .command("kill")
            .args(["-0", &builder])
            .output()
            .unwrap()
            .status
            .success()
    };
    while alive() {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "the builder runs on"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn words_of_programs_below_nix() {
    let Some(world) = world() else { return };
    let folder = world.at("repository");
    write_flake(&folder, "x = tool \"x\" \"x\";");
    world.commit(&folder);
    let reference = format!("git+file://{}", folder.display());
    let nowhere = format!("git+file://{}", world.at("nowhere").display());
    for (package, texts) in [
        (
            format!("{nowhere}#x"),
            &["does not appear to be a git repository", "git ls-remote"][..],
        ),
        (
            format!("{reference}?ref=nobranch#x"),
            &["nobranch", "branch", "git ls-remote"],
        ),
        (
            "git+ssh://git@127.0.0.1:9/x#x".to_owned(),
            &["Connection refused", "network"],
        ),
    ] {
        world.one_step(&[&package], "true");
        let named = format!("`{package}`");
        let texts = [texts, &[named.as_str(), "step `one`", "hint"]].concat();
        world.run("-run").failed(3, &texts);
    }
    // Another user's: only root can make one.
    let folder = folder.to_str().unwrap().to_owned();
    let given = world
        .command("chown")
        .args(["-R", "12345", &folder])
        .output();
    if given.unwrap().status.success() {
        for package in [
            format!("{reference}?ref=main#x"),
            format!("{reference}#x"),
            format!("{folder}#x"),
        ] {
            world.one_step(&[&package], "true");
            world
                .run("-run")
                .failed(3, &["safe.directory", &package, "step `one`"]);
        }
    } else {
        eprintln!("not tested: a repository of another user (only root can make one)");
    }
}

#[test]
fn a_home_that_cannot_be_used() {
    let Some((world, flake)) = with_flake() else {
        return;
    };
    world.one_step(&[&format!("{flake}#good")], "good");
    for home in ["/proc/1/none", "/dev/null"] {
        world
            .run_with("-run", &[("HOME", home)])
            .failed(3, &[home, "step `one`", "set HOME, or XDG_CACHE_HOME"]);
    }
    world.run("-run").ok();
    assert_eq!(world.said(), "good");
}
