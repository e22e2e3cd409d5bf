//! Words of ours have colours where these are wanted, and nowhere else.

use super::hostile::on_terminal;
use super::{FAN_OUT, text};
use crate::harness::Test;

const ERROR: &str = "\u{1b}[31m\u{1b}[1merror:\u{1b}[0m";
const FAILED: &str = "\u{1b}[31mfailed\u{1b}[0m";

#[test]
fn where_they_are_wanted() {
    let test = Test::with(FAN_OUT);
    let told = test.call(["-run", "-color", "always"]);
    let told = text(&told.stderr);
    for part in [
        &format!("work #4: {FAILED} after "),
        "0 reused, \u{1b}[31m1 failed\u{1b}[0m, 0 pending",
        "\u{1b}[31m\u{1b}[1mfailed:\u{1b}[0m work #4 on 3_work",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let on_terminal = |arguments: &[&str], variable: Option<&str>, kind: &str| {
        let mut command = test.command(arguments);
        command.env("TERM", kind);
        command.envs(variable.map(|variable| (variable, "1")));
        on_terminal(command)
    };
    // Of clap, of ours, of tables.
    for arguments in [&["tasks", "-limit"][..], &["-rnu"]] {
        let told = on_terminal(arguments, None, "xterm");
        assert!(
            told.contains("\u{1b}[") && told.contains("error:"),
            "{told}"
        );
        for (variable, kind) in [(Some("NO_COLOR"), "xterm"), (None, "dumb")] {
            let told = on_terminal(arguments, variable, kind);
            assert!(!told.contains('\u{1b}'), "{told}");
        }
        let option: Vec<&str> = [&["-color", "always"], arguments].concat();
        let forced = test.call(&option);
        assert!(text(&forced.stderr).contains("\u{1b}["), "{forced:?}");
        let forced = on_terminal(arguments, Some("CLICOLOR_FORCE"), "dumb");
        assert!(forced.contains("\u{1b}["), "{forced}");
    }
    assert!(on_terminal(&["-rnu"], None, "xterm").contains(ERROR));
    assert!(on_terminal(&["tasks"], None, "xterm").contains(FAILED));
    assert!(!on_terminal(&["tasks", "-color=never"], None, "xterm").contains('\u{1b}'));
}

#[test]
fn and_nowhere_else() {
    let test = Test::with(FAN_OUT);
    for arguments in [
        &["-run"][..],
        &["-rnu"],
        &["status"],
        &["tasks"],
        &["-color", "always", "-log-format", "json", "-run", "-fresh"],
        &["-color", "always", "status", "-json"],
        &["-color", "always", "tasks", "-json"],
        &["-color", "always", "-log-format", "json", "-rnu"],
    ] {
        let told = test.call(arguments);
        for told in [&told.stdout, &told.stderr].map(|told| text(told)) {
            let marks = |c: char| c == '\u{1b}' || ('\u{fdd0}'..='\u{fdef}').contains(&c);
            assert!(!told.contains(marks), "{arguments:?}: {told}");
        }
    }
}
