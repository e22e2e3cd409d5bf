//! Questions by those who may only read.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rusqlite::Connection;

use super::world::PROGRAM;
use crate::harness::Test;

const PIPELINE: &str = r#"
[[step]]
name = "first"
start = true
script = 'echo hello; echo hello > "$OUTPUT_DIR/x_wait.txt"; echo done > "$OUTPUT_DIR/done.txt"'

[[step]]
name = "wait"
script = 'touch started; while [ -e hold ]; do sleep 0.05; done'
"#;

/// Every way to ask, with a word of the answer.
const QUESTIONS: &[(&[&str], &str)] = &[
    (&["status"], "runset"),
    (&["tasks"], "wait"),
    (&["why", "wait"], "wait"),
    (&["why", "1"], "#1 first"),
    (&["trace", "done.txt"], "final output"),
    (&["log", "1"], "hello"),
    (&["cat", "1", "x_wait.txt"], "hello"),
    (&["cat", "5891b5b5"], "hello"),
    (&["export"], "done.txt"),
    (&["verify"], "nothing is wrong: "),
    (&["graph"], "first"),
    (&["report", "-o", "-"], "<html"),
    (&["check"], "2 steps"),
    (&["-run", "-dry-run"], "dry run"),
    (&[], "runset"),
];

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A pipeline that ran, in a folder that everyone may look into.
fn world() -> Test {
    let world = Test::with(PIPELINE);
    fs::set_permissions(world.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    world.text(&["-run", "-quiet"]);
    world
}

/// Somebody who may read what `folder` holds, and write to nothing in it.
struct Stranger {
    program: PathBuf,
    temporary: tempfile::TempDir,
}

impl Stranger {
    fn to(folder: &Path) -> Self {
        if !is_root() {
            // Nobody else can be asked: the own rights are given up.
            for name in ["db", "db-wal", "db-shm", "lock"] {
                let path = folder.join(name);
                if path.exists() {
                    fs::set_permissions(path, fs::Permissions::from_mode(0o444)).unwrap();
                }
            }
            fs::set_permissions(folder, fs::Permissions::from_mode(0o555)).unwrap();
        }
        // Where everyone may start it.
        let temporary = tempfile::tempdir().unwrap();
        fs::set_permissions(temporary.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let program = temporary.path().join("task-pipeline");
        if fs::hard_link(PROGRAM, &program).is_err() {
            fs::copy(PROGRAM, &program).unwrap();
        }
        Self { program, temporary }
    }

    fn call(&self, world: &Test, arguments: &[&str]) -> Output {
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
                .arg(&self.program);
            command
        } else {
            Command::new(&self.program)
        };
        command
            .args(arguments)
            .current_dir(world.path(""))
            .env_remove("GITHUB_ACTIONS")
            .env("TMPDIR", self.temporary.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn asks_everything(&self, world: &Test) {
        for (question, word) in QUESTIONS {
            let output = self.call(world, question);
            assert!(output.status.success(), "{question:?}: {output:?}");
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(text.contains(word), "{question:?}: {output:?}");
        }
        let left: Vec<_> = fs::read_dir(self.temporary.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "nothing is left behind: {left:?}");
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        // Else the folder could not be removed by whom it belongs to.
        let _ = fs::remove_file(&self.program);
    }
}

/// Gives the folder its bits back when a test is over.
struct Restored(PathBuf);

impl Drop for Restored {
    fn drop(&mut self) {
        let _ = fs::set_permissions(&self.0, fs::Permissions::from_mode(0o755));
    }
}

#[test]
fn whoever_may_not_write_can_ask_everything_after_a_run() {
    let world = world();
    let _restored = Restored(world.path("db"));
    let stranger = Stranger::to(&world.path("db"));
    stranger.asks_everything(&world);
    let text = String::from_utf8(stranger.call(&world, &[]).stdout).unwrap();
    assert!(text.contains("may not be written to"), "{text}");
    // Whoever wants to run it is told.
    let refused = stranger.call(&world, &["-run"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(
        words.contains("db/lock") && words.contains("hint: "),
        "{words}"
    );
}

#[test]
fn without_the_files_beside_the_database_a_copy_is_read() {
    let world = world();
    for name in ["db-wal", "db-shm"] {
        fs::remove_file(world.path("db").join(name)).unwrap();
    }
    let _restored = Restored(world.path("db"));
    Stranger::to(&world.path("db")).asks_everything(&world);
    assert!(!world.path("db/db-shm").exists());
}

#[test]
fn what_only_the_log_has_is_read_too() {
    let world = world();
    let db = world.path("db");
    let connection = Connection::open(db.join("db")).unwrap();
    connection
        .execute_batch("UPDATE task SET name = 'seen.txt' WHERE name = 'done.txt'")
        .unwrap();
    let aside = |name| world.path(&format!("aside-{name}"));
    for name in ["db", "db-wal"] {
        fs::copy(db.join(name), aside(name)).unwrap();
    }
    // Brings it to the database, and removes the log.
    drop(connection);
    for name in ["db", "db-wal"] {
        fs::rename(aside(name), db.join(name)).unwrap();
    }
    fs::remove_file(db.join("db-shm")).ok();
    let _restored = Restored(db.clone());
    let stranger = Stranger::to(&db);
    let traced = stranger.call(&world, &["trace", "seen.txt"]);
    assert!(traced.status.success(), "{traced:?}");
    if let Some(traced) = mounted(&world, IMAGE, &["trace", "seen.txt"]) {
        assert!(traced.status.success(), "{traced:?}");
    }
}

#[test]
fn an_older_format_is_read_by_whoever_may_not_write() {
    let world = world();
    let db = world.path("db");
    Connection::open(db.join("db"))
        .unwrap()
        .execute_batch(
            "DROP VIEW failure; DROP VIEW live_task; DROP VIEW acceptance; DROP VIEW step_history;
             DROP VIEW lineage; DROP VIEW elsewhere; DROP TABLE attempt; DROP TABLE worker;
             DROP INDEX idx_task_gathering; DROP TABLE gathering;
             DROP TABLE checkpoint; DROP TABLE shared; DROP TABLE flaky; DROP TABLE unsteady; DROP TABLE evicted;
             ALTER TABLE task DROP COLUMN peak_memory; ALTER TABLE task DROP COLUMN cpu_time;
             ALTER TABLE task DROP COLUMN context; ALTER TABLE task DROP COLUMN output;
             ALTER TABLE task DROP COLUMN key; ALTER TABLE task DROP COLUMN gathering;
             ALTER TABLE task DROP COLUMN role; ALTER TABLE task DROP COLUMN kind;
             DROP TABLE sample; DROP TABLE accepted; DROP TABLE param; DROP TABLE entry;
             DROP TABLE file; DROP TABLE lent;
             ALTER TABLE step DROP COLUMN current; ALTER TABLE runset DROP COLUMN ran; ALTER TABLE task DROP COLUMN executed;
             DROP INDEX idx_task_final; DROP INDEX idx_task_digits;
             ALTER TABLE task DROP COLUMN room; PRAGMA user_version = 2;",
        )
        .unwrap();
    let _restored = Restored(db.clone());
    Stranger::to(&db).asks_everything(&world);
}

#[test]
fn whoever_may_not_write_can_ask_everything_beside_a_run() {
    let world = world();
    fs::write(world.path("hold"), "").unwrap();
    fs::remove_file(world.path("started")).unwrap();
    let mut run = world
        .command(&["-run", "-start", "wait", "-quiet"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let begin = std::time::Instant::now();
    while !world.path("started").exists() {
        assert!(begin.elapsed() < std::time::Duration::from_mins(1));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    // Who has no rights but the own ones would take them from the run.
    if is_root() {
        let stranger = Stranger::to(&world.path("db"));
        stranger.asks_everything(&world);
        let status = stranger.call(&world, &["status", "-json"]);
        let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
        assert_eq!(status["running"], run.id());
    }
    fs::remove_file(world.path("hold")).unwrap();
    assert!(run.wait().unwrap().success());
}

/// Where others may still write.
const VIEW: &str = "mount --bind db db; mount -o remount,bind,ro db";

/// Where nobody can.
const IMAGE: &str = "mkdir -p image; mount -t tmpfs none image; cp -a db/. image; \
    mount -o remount,ro image; mount --bind image db";

/// In a name space of its own, where `mounting` came before; none where that is not allowed.
fn mounted(world: &Test, mounting: &str, arguments: &[&str]) -> Option<Output> {
    let unshare = |script: &str, arguments: &[&str]| {
        let kind: &[&str] = if is_root() { &["-m"] } else { &["-r", "-m"] };
        Command::new("unshare")
            .args(kind)
            .args(["sh", "-e", "-c", script, "sh"])
            .args(arguments)
            .current_dir(world.path(""))
            .env_remove("GITHUB_ACTIONS")
            .stdin(Stdio::null())
            .output()
            .ok()
    };
    if !unshare(mounting, &[])?.status.success() {
        return None;
    }
    let script = format!("{mounting}\nexec {PROGRAM} \"$@\"");
    unshare(&script, arguments)
}

fn are_answered(world: &Test, mounting: &str) {
    for (question, word) in QUESTIONS {
        let Some(output) = mounted(world, mounting, question) else {
            eprintln!("nothing may be mounted here");
            return;
        };
        assert!(
            output.status.success(),
            "{mounting} {question:?}: {output:?}"
        );
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(word), "{mounting} {question:?}: {output:?}");
    }
}

#[test]
fn read_only_mounts_are_read() {
    let world = world();
    are_answered(&world, VIEW);
    are_answered(&world, IMAGE);
    for name in ["db-wal", "db-shm"] {
        fs::remove_file(world.path("db").join(name)).unwrap();
    }
    are_answered(&world, VIEW);
    // Here no copy is needed, nor a place for one.
    are_answered(&world, &format!("{IMAGE}; export TMPDIR=/nowhere"));
    if let Some(refused) = mounted(
        &world,
        &format!("{VIEW}; export TMPDIR=/nowhere"),
        &["status"],
    ) {
        assert_eq!(refused.status.code(), Some(2));
        let words = String::from_utf8(refused.stderr).unwrap();
        assert!(words.contains("cannot copy ./db/db to /nowhere"), "{words}");
        assert!(words.contains("TMPDIR"), "{words}");
    }
}
