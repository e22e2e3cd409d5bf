use proptest::prelude::*;

use super::*;

fn value(name: &str) -> Option<&'static str> {
    match name {
        "INPUT_FILE" => Some("/w/in"),
        "OUTPUT_DIR" => Some("/w/out"),
        "TMPDIR" => Some("/w/t m p"),
        "TASK_PIPELINE_TASK" => Some("7"),
        "TASK_PIPELINE_INPUT_NAME" => Some(""),
        _ => None,
    }
}

/// Of the only command: words, then redirections, as they would be for a task.
fn plain(script: &str) -> Option<(Vec<String>, Vec<String>)> {
    match parse(script)?.as_slice() {
        [plain] => expanded(plain),
        _ => None,
    }
}

fn expanded(plain: &SimpleCommand) -> Option<(Vec<String>, Vec<String>)> {
    let words = plain.words.iter().map(|word| word.expand(value));
    let redirections = plain.redirections.iter().map(|redirection| {
        let to = match &redirection.to {
            Target::Read(word) => format!("<{}", word.expand(value)?),
            Target::Write(word) => format!(">{}", word.expand(value)?),
            Target::Append(word) => format!(">>{}", word.expand(value)?),
            Target::Same(other) => format!(">&{other}"),
        };
        Some(format!("{}{to}", redirection.descriptor))
    });
    Some((
        words.collect::<Option<_>>()?,
        redirections.collect::<Option<_>>()?,
    ))
}

#[test]
fn plain_commands() {
    for (script, words, redirections) in [
        (
            "tr a-z A-Z < $INPUT_FILE > $OUTPUT_DIR/x",
            "tr a-z A-Z",
            "0</w/in 1>/w/out/x",
        ),
        (
            "\n  tr a b <\"$INPUT_FILE\" >\"$OUTPUT_DIR\"/x.txt\n\n",
            "tr a b",
            "0</w/in 1>/w/out/x.txt",
        ),
        (
            "jq '.a | .b' \"$INPUT_FILE\" >> \"${OUTPUT_DIR}/a b\"",
            "jq .a | .b /w/in",
            "1>>/w/out/a b",
        ),
        (
            "a 2>&1 > $OUTPUT_DIR/x 2>/dev/null",
            "a",
            "2>&1 1>/w/out/x 2>/dev/null",
        ),
        (
            "<$INPUT_FILE a2>$OUTPUT_DIR/x 2 >&2",
            "a2 2",
            "0</w/in 1>/w/out/x 1>&2",
        ),
        (":", "", ""),
        (": > $OUTPUT_DIR/done", "", "1>/w/out/done"),
        ("true x y", "", ""),
        (
            "/bin/a 'b'\"c\"d-$TASK_PIPELINE_TASK ''",
            "/bin/a bcd-7 ",
            "",
        ),
        ("a x=y \"it's\" '\"'", "a x=y it's \"", ""),
    ] {
        let (found, to) = plain(script).unwrap_or_else(|| panic!("{script}"));
        assert_eq!(found.join(" "), words, "{script}");
        assert_eq!(to.join(" "), redirections, "{script}");
    }
}

#[test]
fn pipelines() {
    for (script, expected) in [
        (
            "cat $INPUT_FILE | tr a b > $OUTPUT_DIR/x",
            &["cat /w/in", "tr a b 1>/w/out/x"][..],
        ),
        (
            "a<$INPUT_FILE|b 2>&1 |c\t'|' \"|\"|\n d >> \"$OUTPUT_DIR/$TASK_PIPELINE_TASK.x\"",
            &["a 0</w/in", "b 2>&1", "c | |", "d 1>>/w/out/7.x"],
        ),
        ("a 2>/dev/null | b", &["a 2>/dev/null", "b"]),
    ] {
        let commands = parse(script).unwrap_or_else(|| panic!("{script}"));
        let found: Vec<String> = commands
            .iter()
            .map(|plain| {
                let (mut words, to) = expanded(plain).unwrap();
                words.extend(to);
                words.join(" ")
            })
            .collect();
        assert_eq!(found, expected, "{script}");
    }
}

#[test]
fn other_pipelines_are_left_to_the_shell() {
    let long = ["a"; LONGEST + 1].join(" | ");
    for script in [
        "a || b",
        "a |& b",
        "| b",
        "a |",
        "a | | b",
        "a\n| b",
        "a | b; c",
        "a | b &",
        "a | while",
        "echo a | b",
        ": | b",
        "a | true",
        "a | ! b",
        "a | b > $OUTPUT_DIR/c/d",
        "a < $INPUT_FILE/b | c",
        "a | b > x",
        &long,
    ] {
        assert_eq!(parse(script), None, "{script}");
    }
}

#[test]
fn all_else_is_left_to_the_shell() {
    for script in [
        "",
        "  \n",
        "a; b",
        "a && b",
        "a &",
        "(a)",
        "{ a; }",
        "a\nb",
        "! a",
        "a # b",
        "a b\\ c",
        "a `b`",
        "a $(b)",
        "a \"$(b)\"",
        "a $X",
        "a $1",
        "a $$",
        "a ${TMPDIR:-x}",
        "a $",
        "a ~",
        "a *",
        "a b?",
        "a [b]",
        "a {b,c}",
        "A=b a",
        "echo a",
        "printf a",
        "if",
        "exit",
        "exec a",
        "cd x",
        ". x",
        "'echo' a",
        "[ a ]",
        "'[' a = a ']'",
        "a > $OUTPUT_DIR/../x",
        "a > x",
        "a < x",
        "a > $INPUT_FILE",
        "a < $OUTPUT_DIR",
        "a <<x",
        "a <<<x",
        "a <>x",
        "a >|x",
        "a 3>/dev/null",
        "a >&3",
        "a >&1x",
        "a >",
        "a 'b",
        "a \"b",
        "$INPUT_FILE",
        "a\rb",
        "a é",
        "''",
        "> $OUTPUT_DIR/x",
    ] {
        assert_eq!(parse(script), None, "{script}");
    }
}

#[test]
fn values_that_a_shell_would_work_on_are_left_to_it() {
    assert_eq!(plain("a $TMPDIR"), None);
    assert_eq!(plain("a $TASK_PIPELINE_INPUT_NAME"), None);
    let (words, _) = plain("a \"$TMPDIR\" \"$TASK_PIPELINE_INPUT_NAME\"").unwrap();
    assert_eq!(words, ["a", "/w/t m p", ""]);
}

#[test]
fn shells_with_options_that_a_plain_command_cannot_notice() {
    use Shell::{Bash, Dash};
    for (name, arguments, expected) in [
        ("dash", "-e -c", Some((Dash, false))),
        ("dash", "-c", Some((Dash, false))),
        ("bash", "-ec", Some((Bash, false))),
        ("bash", "-euo pipefail -c", Some((Bash, true))),
        ("bash", "-e -o pipefail -uc", Some((Bash, true))),
        ("dash", "-euo pipefail -c", None),
        ("bash", "-o noglob -c", None),
        ("bash", "-ex -c", None),
        ("bash", "--posix -c", None),
        ("bash", "-e", None),
        ("bash", "-c x", None),
        ("bash", "- -c", None),
        ("zsh", "-c", None),
        ("busybox", "-c", None),
    ] {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        assert_eq!(shell(name, &arguments), expected, "{name} {arguments:?}");
    }
}

proptest! {
    /// Whatever the text is, parsing neither fails nor takes it for something with more words.
    #[test]
    fn any_text(script in "[ a-c$<>&12'\"{}\\\\;|#=~*\n]{0,24}") {
        if let Some(commands) = parse(&script) {
            let words: usize = commands.iter().map(|plain| plain.words.len()).sum();
            prop_assert!(words <= script.split([' ', '\n', '|']).count());
        }
    }

    /// A quoted text is one word, as it stands.
    #[test]
    fn single_quotes(text in "[^']{0,20}") {
        let commands = parse(&format!("a '{text}'")).unwrap();
        prop_assert_eq!(commands[0].words[1].text(), Some(text.as_str()));
    }
}
