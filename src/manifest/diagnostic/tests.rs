use insta::assert_snapshot;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use unicode_width::UnicodeWidthStr as _;

use super::{Diagnostic, line_of, render};

/// The diagnostic for the first `word` in `text`, as it is shown.
fn shown(text: &str, word: &str) -> String {
    let at = text.find(word).unwrap();
    render("f.toml", text, &[Diagnostic::at(at..at + word.len(), "no")])
}

#[test]
fn several_with_hints() {
    let text = "one\r\ntwo\r\nthree";
    let diagnostics = [
        Diagnostic::at(5..8, "bad").hint("good"),
        Diagnostic::whole("worse"),
        Diagnostic::at(15..15, "worst"),
    ];
    assert_snapshot!(render("a b/f.toml", text, &diagnostics), @"
    error: bad
     --> a b/f.toml:2:1
      |
    2 | two
      | ^^^
    hint: good

    error: worse
     --> a b/f.toml

    error: worst
     --> a b/f.toml:3:6
      |
    3 | three
      |      ^
    ");
    assert_eq!(render("f.toml", text, &[]), "");
}

#[test]
fn the_caret_stands_under_the_place() {
    assert_snapshot!(shown("a\tb\tword\tc", "word"), @"
    error: no
     --> f.toml:1:5
      |
    1 | a    b    word    c
      |           ^^^^
    ");
    assert_snapshot!(shown("日本語 = 'größe' # word", "größe"), @"
    error: no
     --> f.toml:1:8
      |
    1 | 日本語 = 'größe' # word
      |           ^^^^^
    ");
    assert_snapshot!(shown("x = '日本' # word", "日本"), @"
    error: no
     --> f.toml:1:6
      |
    1 | x = '日本' # word
      |      ^^^^
    ");
    assert_snapshot!(shown("q\u{301}tude word", "word"), @"
    error: no
     --> f.toml:1:8
      |
    1 | q́tude word
      |       ^^^^
    ");
    assert_snapshot!(shown("\u{1b}[31m word \u{202e}", "word"), @r"
    error: no
     --> f.toml:1:7
      |
    1 | \u{1b}[31m word \u{202e}
      |            ^^^^
    ");
    assert_snapshot!(shown("\u{feff}word", "word"), @"
    error: no
     --> f.toml:1:1
      |
    1 | word
      | ^^^^
    ");
}

#[test]
fn more_than_one_line_and_none() {
    assert_snapshot!(shown("a = '''\nb'''", "'''\nb'''"), @"
    error: no
     --> f.toml:1:5
      |
    1 | a = '''
      |     ^^^
    ");
    assert_snapshot!(render("f.toml", "", &[Diagnostic::at(0..0, "no")]), @"
    error: no
     --> f.toml:1:1
      |
    1 |
      | ^
    ");
    assert_snapshot!(render("f.toml", "a\n", &[Diagnostic::at(2..2, "no")]), @"
    error: no
     --> f.toml:2:1
      |
    2 |
      | ^
    ");
    assert_snapshot!(render("f.toml", "ab", &[Diagnostic::at(100..200, "no")]), @"
    error: no
     --> f.toml:1:3
      |
    1 | ab
      |   ^
    ");
}

#[test]
fn long_lines_are_cut_around_the_place() {
    let long = "x".repeat(200);
    assert_snapshot!(shown(&format!("{long} word {long}"), "word"), @"
    error: no
     --> f.toml:1:202
      |
    1 | ...xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx word xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...
      |                                                 ^^^^
    ");
    assert_snapshot!(shown(&format!("word {long}"), "word"), @"
    error: no
     --> f.toml:1:1
      |
    1 | word xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...
      | ^^^^
    ");
    assert_snapshot!(shown(&format!("{long} word"), "word"), @"
    error: no
     --> f.toml:1:202
      |
    1 | ...xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx word
      |                                                 ^^^^
    ");
    assert_snapshot!(shown(&format!("{long} y{long} z"), &format!("y{long}")), @"
    error: no
     --> f.toml:1:202
      |
    1 | ...xxxxxxxxxxxxxxxx yxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...
      |                     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    ");
}

#[test]
fn line_numbers() {
    let lines = |text: &str| {
        (0..=text.len())
            .map(|at| line_of(text, at))
            .collect::<Vec<_>>()
    };
    assert_eq!(lines("a\n\nb"), [1, 1, 2, 3, 3]);
    assert_eq!(lines("ä"), [1, 1, 1]);
    assert_eq!(line_of("a\n", 100), 2);
}

proptest! {
    // Whatever the text, nothing panics, nothing acts, and no line is wider than it may be.
    #[test]
    fn any_place_can_be_shown(text in any::<String>(), from in 0..100_usize, length in 0..50_usize) {
        let shown = render("f", &text, &[Diagnostic::at(from..from + length, "no")]);
        let lines: Vec<_> = shown.lines().collect();
        prop_assert_eq!(lines.len(), 5, "{}", shown);
        prop_assert_eq!(crate::text::lines(&shown), &*shown);
        prop_assert!(lines[4].ends_with('^'));
        prop_assert!(lines.iter().all(|line| line.width() <= 110), "{}", shown);
    }
}

/// Messages quote what anybody wrote.
#[test]
fn what_acts_is_written_out() {
    let wrong = [Diagnostic::whole("no `\u{1b}[2J`").hint("write\n\u{7f}")];
    assert_snapshot!(render("f.toml", "", &wrong), @r"
    error: no `\u{1b}[2J`
     --> f.toml
    hint: write\n\u{7f}
    ");
}
