//! What is wrong with a manifest that is no TOML, as it is shown.

use insta::assert_snapshot;

use super::errors::errors;

#[test]
fn errors_beside_those_of_syntax() {
    assert_snapshot!(errors(r#"[[step]]
name = "a"
name = "b"
start = ture
script =
timeout = 10m
scirpt = "\d"
packages = ["a" "b"]
"#), @r#"
    error: `name` is defined twice
     --> workflow.toml:3:1
      |
    3 | name = "b"
      | ^^^^

    error: invalid boolean, expected `true`
     --> workflow.toml:4:9
      |
    4 | start = ture
      |         ^^^^

    error: a value is missing after `=`
     --> workflow.toml:5:9
      |
    5 | script =
      |         ^

    error: string values must be quoted
     --> workflow.toml:6:11
      |
    6 | timeout = 10m
      |           ^^^
    hint: write "10m"

    error: unknown escape in a string
     --> workflow.toml:7:12
      |
    7 | scirpt = "\d"
      |            ^
    hint: between ''' and ''' a backslash stands for itself

    error: missing comma between array elements, expected `,`
     --> workflow.toml:8:17
      |
    8 | packages = ["a" "b"]
      |                 ^
    "#);
}

#[test]
fn what_is_not_closed() {
    let rest = "\n[[step]]\nname = 'b'\nscrip = ':'\n";
    assert_snapshot!(errors(&format!("[[step]]\nname = 'a{rest}")), @"
    error: a string is not closed on its line
     --> workflow.toml:2:10
      |
    2 | name = 'a
      |          ^
    hint: write a string of several lines between ''' and '''

    error: unknown key `scrip` in step `b`
     --> workflow.toml:5:1
      |
    5 | scrip = ':'
      | ^^^^^
    hint: did you mean `script`?
    ");
    assert_snapshot!(errors(&format!("[[step]]\nname = 'a'\nscript = '''\necho{rest}")), @"
    error: a string is not closed
     --> workflow.toml:3:10
      |
    3 | script = '''
      |          ^^^
    hint: it ends with '''
    ");
    assert_snapshot!(errors(&format!("[[step]]\nname = 'a'\npackages = [\n  'x'{rest}")), @"
    error: missing comma between array elements, expected `,`
     --> workflow.toml:5:1
      |
    5 | [[step]]
      | ^
    hint: or is the closing bracket before this missing?
    ");
    assert_snapshot!(errors(&format!("[[step\nname = 'a'{rest}")), @"
    error: unclosed array table, expected `]]`
     --> workflow.toml:1:7
      |
    1 | [[step
      |       ^

    error: unknown key `scrip` in step `b`
     --> workflow.toml:5:1
      |
    5 | scrip = ':'
      | ^^^^^
    hint: did you mean `script`?
    ");
}

#[test]
fn habits_from_yaml() {
    assert_snapshot!(errors("[[step]]\nname: a\nscript = |\n  echo\n"), @"
    error: `:` cannot be part of a key
     --> workflow.toml:2:5
      |
    2 | name: a
      |     ^
    hint: write = between a key and its value

    error: key with no value, expected `=`
     --> workflow.toml:4:7
      |
    4 |   echo
      |       ^
    ");
}

#[test]
fn not_toml_at_all() {
    assert_snapshot!(errors("#!/bin/sh\nfor x in 1 2; do\n  echo\ndone\n"), @"
    error: key with no value, expected `=`
     --> workflow.toml:2:5
      |
    2 | for x in 1 2; do
      |     ^
    hint: a manifest is a TOML file: [[step]] tables with name, start and script
    ");
    assert_snapshot!(errors("{ \"step\": [\n  { \"name\": \"a\" }\n] }\n"), @r#"
    error: invalid key-value pair, expected key
     --> workflow.toml:1:1
      |
    1 | { "step": [
      | ^
    hint: a manifest is a TOML file: [[step]] tables with name, start and script
    "#);
    assert_snapshot!(errors("\u{7f}ELF\u{2}\u{1}"), @r"
    error: invalid unquoted key, expected letters, numbers, `-`, `_`
     --> workflow.toml:1:1
      |
    1 | \u{7f}ELF\u{2}\u{1}
      | ^^^^^^
    hint: a manifest is a TOML file: [[step]] tables with name, start and script
    ");
    assert_snapshot!(errors("[\0[\0s\0t\0e\0p\0"), @r"
    error: a NUL byte: this is not a text file
     --> workflow.toml:1:2
      |
    1 | [\u{0}[\u{0}s\u{0}t\u{0}e\u{0}p\u{0}
      |  ^^^^^
    hint: a manifest is TOML in UTF-8; if this file was saved as UTF-16, save it again as UTF-8
    ");
}
