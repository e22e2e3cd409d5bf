//! File systems that lack something: calls fail as they do there.

use crate::harness::{Ran, Running, Test};
use crate::injection::{is_possible, rows};
use crate::privileges::with_mounts;

/// Tasks of each kind, folders, links to what is gathered.
const MANIFEST: &str = r#"
[[step]]
name = "begin"
start = true
script = 'for i in 1 2 3; do echo "v$i" > "$OUTPUT_DIR/a${i}_mid"; done'
[[step]]
name = "mid"
script = 'cat "$INPUT_FILE" > "$OUTPUT_DIR/${TASK_PIPELINE_KEY}_merge"; echo said'
[[step]]
name = "merge"
gather = true
folders = true
script = 'mkdir "$OUTPUT_DIR/all"; cp "$INPUT_DIR"/* "$OUTPUT_DIR/all"'
"#;

fn without(call: &str, error: &str) -> (Test, Ran) {
    let test = Test::in_memory();
    test.manifest(MANIFEST);
    let options =
        format!("-f -b execve -o /dev/null -e trace={call} -e inject={call}:error={error}");
    let script = format!("exec strace {options} $PROGRAM -run -sync end");
    let ran = Running::start(test.shell(&script)).end();
    (test, ran)
}

#[test]
fn a_file_system_without_locks_is_refused() {
    if !is_possible() {
        return;
    }
    for error in ["EBADF", "ENOLCK", "EOPNOTSUPP"] {
        let (test, ran) = without("flock", error);
        ran.exits(2)
            .says("error: cannot lock ./db")
            .says("hint: that file system knows no locks: name a folder on another one with -db");
        assert!(!test.path("db/objects").exists());
    }
}

#[test]
fn a_network_file_system_with_locks_is_told() {
    let test = Test::with(MANIFEST);
    let script = "sed 's/ - [^ ]* / - nfs4 /' /proc/self/mountinfo > mounts || exit 99
        mount --bind mounts /proc/$$/mountinfo || exit 99; exec $PROGRAM -run";
    let Some(ran) = with_mounts(&test, script) else {
        return;
    };
    ran.exits(0)
        .says("warning: ./db is on a network file system (nfs4)");
    test.runs().never_says("network");
}

#[test]
fn a_file_system_without_modes_is_refused_before_a_task_runs() {
    if !is_possible() {
        return;
    }
    let (test, ran) = without("fchmod", "EPERM");
    ran.exits(2).says("error: cannot change the mode of ");
    assert_eq!(
        test.rows("SELECT count(*) FROM task WHERE error IS NOT NULL"),
        ["0"]
    );
}

#[test]
fn nothing_else_is_asked_of_a_file_system() {
    if !is_possible() {
        return;
    }
    let (calm, ran) = without("flock", "EINTR:when=1000");
    ran.exits(0);
    for (call, error) in [
        ("renameat2", "EINVAL"),
        ("renameat2", "ENOSYS"),
        ("link,linkat", "EPERM"),
        ("fchown,fchownat", "EPERM"),
        ("utimensat", "EPERM"),
        ("fallocate", "EOPNOTSUPP"),
        ("copy_file_range", "EOPNOTSUPP"),
        ("setxattr,fsetxattr", "EOPNOTSUPP"),
        ("statx", "ENOSYS"),
    ] {
        let (test, ran) = without(call, error);
        assert_eq!(ran.status, 0, "{call}: {ran}");
        assert_eq!(rows(&test), rows(&calm), "{call}");
        test.objects_are_whole();
        test.nothing_temporary_is_left();
    }
}
