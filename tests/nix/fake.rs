//! A small script in place of `nix`, for what the Nix at hand will not do on demand.

use super::world::{World, world, write_flake};

/// A world whose `nix` answers `--version` with `version` and everything else by `rest`.
fn with_fake(version: &str, rest: &str) -> Option<World> {
    let world = world()?;
    let calls = world.at("calls");
    world.program(
        "nix",
        &format!(
            "echo nix \"$@\" >> {}\nif [ \"$1\" = --version ]; then echo '{version}'; exit; fi\n{rest}",
            calls.display()
        ),
    );
    // Followed, not pinned: the first call is the build.
    write_flake(
        &world.project.join("tools"),
        "x = tool \"x\" \"x\"; a = tool \"a\" \"a\";",
    );
    world.one_step(&["./tools#x"], "true");
    Some(world)
}

#[test]
fn too_old() {
    let Some(world) = with_fake("nix (Nix) 2.3.16", "exit 1") else {
        return;
    };
    world.run("-run").failed(
        3,
        &["Nix 2.3.16 is too old", "2.8", "step `one`", "-host-env"],
    );
}

#[test]
fn not_nix_at_all() {
    let Some(world) = with_fake("hello", "exit 1") else {
        return;
    };
    world
        .run("-run")
        .failed(3, &["cannot be understood", "hello", "nix --version"]);
}

#[test]
fn garbage_for_an_answer() {
    for answer in [
        "not json",
        "{}",
        "[]",
        "[{}]",
        r#"[{"outputs":{"out":"/tmp/x"}}]"#,
    ] {
        let rest = format!("echo '{answer}'");
        let Some(world) = with_fake("nix (Nix) 2.34.8", &rest) else {
            return;
        };
        world.run("-run").failed(3, &["cannot be understood"]);
    }
}

#[test]
fn daemon_down() {
    let rest = "echo \"error: cannot connect to socket at '/nix/var/nix/daemon-socket/socket': Connection refused\" >&2; exit 1";
    let Some(world) = with_fake("nix (Nix) 2.26.3", rest) else {
        return;
    };
    world
        .run("-run")
        .failed(3, &["cannot connect to socket", "daemon", "step `one`"]);
}

#[test]
fn killed_without_a_word() {
    let Some(world) = with_fake("nix (Nix) 2.26.3", "kill -9 $$") else {
        return;
    };
    world.run("-run").failed(3, &["signal", "step `one`"]);
}

#[test]
fn a_newer_failed_build() {
    let rest = r#"cat >&2 <<'END'
@nix {"action":"msg","level":0,"msg":"\u001b[31;1merror:\u001b[0m Cannot build '/nix/store/0c0n1xjwdkkzg5y0b9hmkvlkdbzjbfgw-jq-1.7.drv'.\n       Reason: \u001b[31;1mbuilder failed with exit code 3\u001b[0m."}
END
exit 1"#;
    let Some(world) = with_fake("nix (Nix) 2.34.8", rest) else {
        return;
    };
    world.run("-run").failed(
        3,
        &[
            "builder failed with exit code 3",
            "nix log /nix/store/",
            "jq-1.7.drv",
        ],
    );
}

#[test]
fn newer_answers_and_the_order_of_the_command_line() {
    let Some(world) = with_fake("nix (Nix) 2.34.8", "exit 1") else {
        return;
    };
    let tools = world.project.join("tools");
    let built = |name: &str| world.build(&format!("path:{}#{name}", tools.display()));
    let mut paths = [built("x"), built("a")];
    // On the command line in the order that sorting would not give, for the old order neither.
    paths.sort();
    let [low, high] = &paths;
    for order in [[low, high], [high, low]] {
        let names = order.map(|path| &path[path.len() - 1..]);
        let element = |path: &str| {
            format!(
                r#"{{"drvPath":"{path}.drv","outputs":{{"out":"{path}"}},"startTime":1,"stopTime":2}}"#
            )
        };
        let calls = world.at("calls");
        world.program(
            "nix",
            &format!(
                "echo nix \"$@\" >> {}\ncase \"$*\" in\n--version) echo 'nix (Nix) 2.34.8';;\n\
                 *--out-link*) echo '[{},{}]';;\n*tools#x) echo '[{}]';;\n*tools#a) echo '[{}]';;\nesac",
                calls.display(),
                element(low),
                element(high),
                element(if low.ends_with('x') { low } else { high }),
                element(if low.ends_with('a') { low } else { high }),
            ),
        );
        let packages = names.map(|name| format!("./tools#{name}"));
        world.one_step(&[&packages[0], &packages[1]], "true");
        world.run("-run -fresh").ok();
        let path = world.path();
        let expected = format!("{}/bin:{}/bin:", order[0], order[1]);
        assert!(path.starts_with(&expected), "{path}\n{expected}");
    }
}
