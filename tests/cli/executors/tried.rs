//! `check -executor NAME`: what holds of an executor is told, and what does not.

use crate::harness::Test;

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
        "executor far: all of it works\n",
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
