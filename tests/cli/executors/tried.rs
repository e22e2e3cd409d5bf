//! `check -executor NAME`: what holds of an executor is told, and what does not.

use rustix::process::{Pid, Signal, test_kill_process};

use crate::harness::{Running, Test, wait_for};

const MANIFEST: &str = "[[step]]\nname = 'a'\nstart = true\nscript = 'echo > $OUTPUT_DIR/x'\n";

fn started_by(start: &str) -> Test {
    let test = Test::new();
    test.manifest(&format!(
        "{MANIFEST}[executors.far]\nworkers = 1\nslots = 3\nstart = {start}\n"
    ));
    test
}

#[test]
fn all_that_holds_of_it_is_told_in_words() {
    let test = started_by("['env']");
    let told = test.text(&["check", "-executor", "far"]);
    for words in [
        "executor far\n  command   env /",
        " answers after ",
        "  version   0.1.0, as here\n",
        "  slots     3 tasks at once\n",
        "  packages  there is ",
        "  disk      it sees this machine's: ",
        "  task      a script of a few words ended as it should, in ",
        "  bytes     4.0 MiB went there and came back as they were, in ",
        "executor far: everything works\n",
    ] {
        assert!(told.contains(words), "{words:?} in\n{told}");
    }
    assert!(!test.path("db").exists());
}

#[test]
fn the_first_that_does_not_work_is_told_with_the_last_words_of_the_command() {
    for (start, words) in [
        (
            "['sh', '-c', 'echo Welcome; echo no such account >&2; exit 3']",
            &[
                "no worker answered, but: Welcome",
                "exit status 3",
                "no such account",
            ][..],
        ),
        ("['no-such-program']", &["cannot start", "no-such-program"]),
        ("['true']", &["it said nothing"]),
        (
            "['env', 'PATH=/nowhere']",
            &["a task does not work there: ", "sh"],
        ),
    ] {
        let test = started_by(start);
        let mut ran = test.run(["check", "-executor", "far"]).exits(2);
        for words in words.iter().chain(&["executor far: ", "hint: "]) {
            ran = ran.says(words);
        }
    }
    let test = started_by("['env']");
    test.run(["check", "-executor", "local"])
        .exits(2)
        .says("local is this machine");
    test.run(["check", "-executor", "fra"])
        .exits(2)
        .says("did you mean `far`?");
}

#[test]
fn each_machine_is_tried() {
    let test = Test::with(&format!(
        "{MANIFEST}[executors.far]\nssh = ['one', 'two*2', 'three']\n"
    ));
    // Where one is, as a shell there would say it, and who cannot be reached.
    test.write(
        "bin/ssh",
        "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\n\
         [ \"$2\" = two ] && { echo no route to host >&2; exit 255; }\nexec sh -c \"$3\"\n",
    );
    let made = test.shell("chmod +x bin/ssh").status().unwrap();
    assert!(made.success());
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = test.command(&["check", "-executor", "far"]);
    command.env("PATH", format!("{}:{path}", test.path("bin").display()));
    let ran = Running::start(command).end().exits(2);
    for words in [
        "  machine   one\n",
        "  machine   two\n",
        "  fails     it said nothing; its command ended with exit status 255: no route to host\n",
        "  machine   three\n",
    ] {
        assert!(ran.stdout.contains(words), "{words:?} in\n{ran}");
    }
    assert_eq!(
        ran.stdout.matches(" came back as they were").count(),
        2,
        "{ran}"
    );
    ran.says("of 3 machines, two does not work");
}

#[test]
fn a_check_that_is_interrupted_leaves_nothing_behind() {
    let test = started_by("['sh', '-c', 'echo $$ > pid.new; mv pid.new pid; exec sleep 1003']");
    let check = test.start(["check", "-executor", "far"]);
    wait_for("its command runs", || test.path("pid").exists());
    let pid = Pid::from_raw(test.read("pid").trim().parse().unwrap()).unwrap();
    check.signal(Signal::TERM);
    check.end().exits(143);
    assert!(test_kill_process(pid).is_err());
}
