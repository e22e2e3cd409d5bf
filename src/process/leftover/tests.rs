use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};

use super::super::{Groups, Invocation, Limits, Pipes, describe, spawn};
use super::*;

/// Of one run: a folder, and pipes.
struct Run {
    parent: tempfile::TempDir,
    pipes: Pipes,
}

impl Run {
    fn new() -> Self {
        let parent = tempfile::tempdir().unwrap();
        fs::create_dir(parent.path().join("run-x")).unwrap();
        let pipes = Pipes::new().unwrap();
        Self { parent, pipes }
    }

    fn folder(&self) -> PathBuf {
        self.parent.path().join("run-x")
    }

    /// Starts a script, and waits until it says that it is ready: with `: > $1`.
    fn start(&self, variable: Option<&Path>, pipes: &Pipes, script: &str) -> Groups {
        let ready = self.parent.path().join("ready");
        let words = ["sh", "-c", script, "sh", ready.to_str().unwrap()];
        let words = words.map(|word| CString::new(word).unwrap());
        let variables = [
            Some(("PATH".into(), "/usr/bin:/bin".into())),
            variable.map(|path| ("PLACE".into(), path.join("w0/out").into())),
        ];
        let variables = variables.into_iter().flatten().collect();
        let invocation = Invocation {
            program: "/bin/sh".into(),
            words: words.into(),
            variables,
            folder: std::env::current_dir().unwrap(),
            openings: Vec::new(),
            limits: Limits::default(),
        };
        let groups = spawn::spawn(&[invocation.prepare(pipes).unwrap()]).unwrap();
        while !ready.exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
        fs::remove_file(&ready).unwrap();
        groups
    }

    fn end(&self) -> Ended {
        let marks = Marks {
            variables: &["OTHER", "PLACE"],
            folders: vec![self.folder()],
            pipes: self.pipes.inodes().unwrap().into(),
        };
        end_marked(&marks, Duration::from_millis(200))
    }
}

/// How the script ended; nothing else of its session is alive.
fn fate(groups: &Groups) -> String {
    let leader = groups.leaders().next().unwrap();
    let fate = describe(crate::sys::wait(leader).unwrap().0);
    let session = leader.as_raw_nonzero().to_string();
    for entry in fs::read_dir("/proc").unwrap() {
        let stat = entry.unwrap().path().join("stat");
        let stat = fs::read_to_string(stat).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split(' ').collect();
        // Zombies wait for a parent that may not come.
        let alive = fields.get(4) == Some(&session.as_str()) && fields[1] != "Z";
        assert!(!alive, "{stat}");
    }
    fate
}

fn ended(ended: usize) -> Ended {
    Ended {
        ended,
        alive: Vec::new(),
    }
}

const SLEEPS: &str = ": > $1; exec sleep 60";

#[test]
fn who_has_a_variable_of_the_run_is_ended() {
    let (run, other) = (Run::new(), Pipes::new().unwrap());
    let groups = run.start(Some(&run.folder()), &other, SLEEPS);
    assert_eq!(run.end(), ended(1));
    assert_eq!(fate(&groups), "killed by SIGTERM");
    assert_eq!(run.end(), ended(0));
}

#[test]
fn who_has_a_pipe_of_the_run_is_ended() {
    let run = Run::new();
    let groups = run.start(None, &run.pipes, SLEEPS);
    assert_eq!(run.end(), ended(1));
    assert_eq!(fate(&groups), "killed by SIGTERM");
}

#[test]
fn who_has_cast_off_both_is_ended_with_its_session() {
    let (run, other) = (Run::new(), Pipes::new().unwrap());
    let deaf = "trap '' TERM; while :; do sleep 0.01; done";
    let script = format!("env -i sh -c \"{deaf}\" > /dev/null 2>&1 & : > $1; wait");
    let groups = run.start(Some(&run.folder()), &other, &script);
    assert!(run.end().ended >= 2);
    assert_eq!(fate(&groups), "killed by SIGTERM");
}

#[test]
fn one_that_left_its_session_is_ended_and_one_that_does_not_listen_is_killed() {
    let run = Run::new();
    let forever = "while :; do sleep 0.01; done";
    let script = format!("trap '' TERM; setsid sh -c ': > $0; {forever}' $1 & {forever}");
    let groups = run.start(Some(&run.folder()), &run.pipes, &script);
    let done = run.end();
    assert!(done.ended >= 2 && done.alive.is_empty(), "{done:?}");
    assert_eq!(fate(&groups), "killed by SIGKILL");
}

#[test]
fn one_that_is_stopped_is_ended() {
    let run = Run::new();
    let groups = run.start(None, &run.pipes, ": > $1; kill -STOP $$; sleep 60");
    assert!(run.end().ended >= 1);
    assert_eq!(fate(&groups), "killed by SIGTERM");
}

#[test]
fn who_works_in_a_copy_of_the_folder_is_left_alone() {
    let (run, copy, other) = (Run::new(), Run::new(), Pipes::new().unwrap());
    let groups = run.start(Some(&copy.folder()), &other, SLEEPS);
    assert_eq!(run.end(), ended(0));
    assert_eq!(copy.end(), ended(1));
    assert_eq!(fate(&groups), "killed by SIGTERM");
}
