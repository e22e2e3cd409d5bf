//! No Nix that can be asked: what is in the store is used, with a warning; all else is an error that
//! says which it is.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use super::world::{Ended, World, world, write_flake};

const AT: &str = "error: cannot connect to socket at '/nix/var/nix/daemon-socket/socket'";
const REMOTE: &str = "error: cannot open connection to remote store 'daemon'";

/// A world with a store path that says `stored`, and the installable that another one is.
fn with_path() -> Option<(World, String, String)> {
    let world = world()?;
    let flake = world.at("flake");
    write_flake(
        &flake,
        "tool_ = tool \"tool\" \"stored\"; other = tool \"other\" \"other\";",
    );
    let flake = format!("path:{}", flake.display());
    let path = world.build(&format!("{flake}#tool_"));
    Some((world, path, format!("{flake}#other")))
}

/// Both programs of Nix say this and fail.
fn silence(world: &World, words: &str) {
    for tool in ["nix", "nix-store"] {
        let script = format!(
            "if [ \"$1\" = --version ]; then echo 'nix (Nix) 2.26.3'; exit; fi\necho \"{words}\" >&2; exit 1"
        );
        world.program(tool, &script);
    }
}

#[track_caller]
fn warned(world: &World, ended: Ended, words: &[&str]) {
    let said = ended.ok().stderr;
    assert_eq!(world.said(), "stored");
    fs::remove_file(world.at("said")).unwrap();
    for part in words
        .iter()
        .chain(&["warning: ", "garbage collection", "step `one`"])
    {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
}

#[test]
fn what_is_in_the_store_runs_without_a_daemon() {
    for (words, hint) in [
        (format!("{AT}: Connection refused"), "start Nix's daemon"),
        (format!("{AT}: Permission denied"), "nix-users"),
        (
            format!("{REMOTE}: error: reading from file: Connection reset by peer"),
            "allowed-users",
        ),
    ] {
        let Some((world, path, other)) = with_path() else {
            return;
        };
        world.one_step(&[&path], "tool");
        silence(&world, &words);
        let short = words.rsplit(": ").next().unwrap();
        warned(&world, world.run("-run"), &[short, hint]);
        // Again, now that it is known.
        warned(&world, world.run("-run -fresh"), &[short, hint]);
        // What is not there needs Nix.
        world.one_step(&[&path, &other], "tool");
        world
            .run("-run -fresh")
            .failed(3, &[short, hint, "step `one`"]);
        assert!(!world.at("said").exists());
    }
}

#[test]
fn what_is_in_the_store_runs_without_any_nix() {
    let Some((world, path, other)) = with_path() else {
        return;
    };
    let empty = world.at("empty");
    fs::create_dir(&empty).unwrap();
    std::os::unix::fs::symlink("/bin/sh", empty.join("sh")).unwrap();
    let without = [("PATH", empty.to_str().unwrap())];
    world.one_step(&[&path], "tool");
    let ended = world.run_with("-run", &without);
    warned(&world, ended, &["no `nix` on PATH"]);
    world.one_step(&[&other], "tool");
    world
        .run_with("-run -fresh", &without)
        .failed(3, &["no `nix` on PATH", "step `one`"]);
    // With one it is held from then on.
    world.one_step(&[&path], "tool");
    world.run("-run -fresh").ok();
    world.collect_garbage();
    assert!(Path::new(&path).exists());
}

#[test]
fn a_store_path_that_is_missing_needs_a_daemon() {
    let Some((world, path, _)) = with_path() else {
        return;
    };
    let missing = path.replace("-tool", "-gone");
    world.one_step(&[&missing], "true");
    silence(&world, &format!("{AT}: Connection refused"));
    world
        .run("-run")
        .failed(3, &[&missing, "Connection refused", "start Nix's daemon"]);
}

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A real daemon that serves other users only.
#[test]
fn a_daemon_that_refuses() {
    let Some((world, path, other)) = with_path() else {
        return;
    };
    let Ok(program) = which::which("nix-daemon") else {
        eprintln!("not tested: a real daemon that refuses (there is no nix-daemon)");
        return;
    };
    let folder = world.at("socket");
    fs::create_dir(&folder).unwrap();
    let socket = folder.join("s").display().to_string();
    let settings = "sandbox = false\nsubstituters =\nbuild-users-group =\nallowed-users = nobody-else\ntrusted-users =";
    let child = world
        .command(program)
        .env("NIX_CONFIG", settings)
        .env("NIX_DAEMON_SOCKET_PATH", &socket)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut daemon = Daemon(child);
    let start = Instant::now();
    while !Path::new(&socket).exists() {
        assert!(start.elapsed() < Duration::from_secs(20), "no daemon");
        thread::sleep(Duration::from_millis(20));
    }
    let remote = [
        ("NIX_REMOTE", "daemon"),
        ("NIX_DAEMON_SOCKET_PATH", &socket),
    ];
    world.one_step(&[&path], "tool");
    let ended = world.run_with("-run", &remote);
    warned(&world, ended, &["cannot open connection", "allowed-users"]);
    world.one_step(&[&other], "other");
    world
        .run_with("-run -fresh", &remote)
        .failed(3, &["allowed-users", "step `one`"]);
    let _ = daemon.0.kill();
    let _ = daemon.0.wait();
    world.one_step(&[&path], "tool");
    let ended = world.run_with("-run -fresh", &remote);
    warned(&world, ended, &["cannot connect", "start Nix's daemon"]);
}

#[test]
fn what_is_in_the_store_is_known_to_who_only_looks() {
    let Some((world, path, other)) = with_path() else {
        return;
    };
    world.one_step(&[&path], "tool");
    world.calls();
    let said = world.run("").ok().stdout;
    assert!(!said.contains("not resolved"), "{said}");
    world.run("-run").ok();
    let said = world.run("why one").ok().stdout;
    assert!(said.contains(" v1") && !said.contains(" v2"), "{said}");
    world.calls();
    world.one_step(&[&path, &other], "tool");
    let said = world.run("").ok().stdout;
    assert!(said.contains("not resolved"), "{said}");
    assert_eq!(world.calls(), [""; 0]);
}
