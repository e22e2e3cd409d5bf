//! Programs with other rights than those of the test: another user, mounts of their own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::harness::{Ran, Running, Test};

/// Whether a tool works. Where it does not, the test fails unless it is left out by name.
fn has(tool: &str, arguments: &[&str]) -> bool {
    const OPT_OUT: &str = "TASK_PIPELINE_TESTS_WITHOUT_PRIVILEGES";
    let works = Command::new(tool).args(arguments).output();
    if works.is_ok_and(|output| output.status.success()) {
        return true;
    }
    assert!(
        std::env::var_os(OPT_OUT).is_some_and(|value| value == "1"),
        "{tool} {arguments:?} does not work here: leave this test out with {OPT_OUT}=1"
    );
    eprintln!("left out ({OPT_OUT}=1, {tool} does not work here)");
    false
}

/// Runs a shell script in the test's folder as a user who is not root: another one if this is. The
/// program is `$PROGRAM`.
pub fn as_a_user(test: &Test, script: &str) -> Option<Ran> {
    static USERS: AtomicU32 = AtomicU32::new(0);
    if !rustix::process::geteuid().is_root() {
        return Some(Running::start(test.shell(script)).end());
    }
    // Nobody else's, as some limits count what all processes of a user have.
    let count = USERS.fetch_add(1, Ordering::Relaxed);
    let user = 10_000 + (std::process::id() * 16 + count % 16) % 50_000;
    let (user, group) = (format!("--reuid={user}"), format!("--regid={user}"));
    let options = [&*user, &*group, "--clear-groups", "--inh-caps=-all"];
    fs::set_permissions(test.path(""), fs::Permissions::from_mode(0o777)).unwrap();
    // The folders above may be nobody else's to enter.
    let folder = test.path("");
    let enter = ["test", "-w", folder.to_str().unwrap()];
    if !has("setpriv", &[&options[..], &enter].concat()) {
        return None;
    }
    // Where it was built may be nobody else's to enter.
    let program = test.path("program");
    if !program.exists() {
        let built = env!("CARGO_BIN_EXE_task-pipeline");
        // A link, where there can be one: a file that some process still has open for writing cannot be executed, and
        // a copy is open in each process that another test starts meanwhile.
        fs::hard_link(built, &program)
            .or_else(|_| fs::copy(built, &program).map(drop))
            .unwrap();
    }
    Some(within(test, "setpriv", &options, script, &program))
}

/// Runs a shell script in the test's folder as one who may mount, where no one else sees it.
pub fn with_mounts(test: &Test, script: &str) -> Option<Ran> {
    let options = ["--map-root-user", "--mount", "--propagation=private"];
    if !has("unshare", &[&options[..], &["true"]].concat()) {
        return None;
    }
    let program = env!("CARGO_BIN_EXE_task-pipeline");
    Some(within(test, "unshare", &options, script, program.as_ref()))
}

fn within(
    test: &Test,
    tool: &str,
    options: &[&str],
    script: &str,
    program: &std::path::Path,
) -> Ran {
    let own = test.shell("");
    let mut command = Command::new(tool);
    command.args(options).args(["/bin/sh", "-c", script]);
    command.current_dir(test.path("")).env_clear();
    for (name, value) in own.get_envs() {
        command.env(name, value.unwrap());
    }
    command.env("PROGRAM", program);
    Running::start(command).end()
}
