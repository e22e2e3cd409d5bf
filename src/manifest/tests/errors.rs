//! What is wrong with a manifest that is TOML, as it is shown.

use insta::assert_snapshot;

use super::super::Manifest;
use crate::manifest::diagnostic::render;

pub(super) fn errors(text: &str) -> String {
    match Manifest::parse(text) {
        Ok(manifest) => panic!("no error in {manifest:?}"),
        Err(errors) => render("workflow.toml", text, &errors),
    }
}

/// Only the messages, a line each, of a manifest with a right step and then `text`.
pub(super) fn messages(text: &str) -> String {
    let text = format!("[[step]]\nname = 'a'\nstart = true\nscript = ':'\n{text}");
    let errors = Manifest::parse(&text).unwrap_err();
    let lines: Vec<_> = errors
        .iter()
        .map(|error| {
            let span = error.span.clone().map(|span| &text[span]);
            let hint = error.hint.as_deref().unwrap_or("-");
            format!("{} | {} | {hint}", error.message, span.unwrap_or("-"))
        })
        .collect();
    lines.join("\n")
}

#[test]
fn all_at_once_each_with_its_place() {
    assert_snapshot!(errors(r#"
[default]
retries = 1

[[step]]
name = "fetch"
strat = true
packages = ["jq", "rip grep", "guthub:o/r"]
timeout = 90
env = { PATH = "/bin" }

[[step]]
name = "a/b"
script = " "
"#), @r#"
    error: unknown table `default`
     --> workflow.toml:2:2
      |
    2 | [default]
      |  ^^^^^^^
    hint: did you mean [defaults]?

    error: step `fetch` has no script
     --> workflow.toml:6:8
      |
    6 | name = "fetch"
      |        ^^^^^^^
    hint: add script = '''…'''

    error: unknown key `strat` in step `fetch`
     --> workflow.toml:7:1
      |
    7 | strat = true
      | ^^^^^
    hint: did you mean `start`?

    error: bad package `rip grep`: ' ' cannot be part of a package's name
     --> workflow.toml:8:23
      |
    8 | packages = ["jq", "rip grep", "guthub:o/r"]
      |                       ^
    hint: for instance "jq", "nixpkgs#jq", ".#my-tool", "github:o/r#name"

    error: bad package `guthub:o/r`: unknown kind of flake reference `guthub:`
     --> workflow.toml:8:32
      |
    8 | packages = ["jq", "rip grep", "guthub:o/r"]
      |                                ^
    hint: did you mean "github:o/r"?

    error: `timeout` must be a length of time in quotes, not a whole number
     --> workflow.toml:9:11
      |
    9 | timeout = 90
      |           ^^
    hint: for seconds: "90s"

    error: `PATH` cannot be set: a step's packages decide what its script finds
      --> workflow.toml:10:9
       |
    10 | env = { PATH = "/bin" }
       |         ^^^^
    hint: name the programs' packages in `packages`

    error: bad step name: '/' cannot be part of a file name
      --> workflow.toml:13:9
       |
    13 | name = "a/b"
       |         ^^^
    hint: a step's name becomes part of its inputs' file names

    error: `script` is empty
      --> workflow.toml:14:10
       |
    14 | script = " "
       |          ^^^
    hint: for a step that is meant to do nothing, use the script ":"
    "#);
}

#[test]
fn what_does_not_go_with_a_sandbox() {
    assert_snapshot!(messages("
        network = true
    "), @"`network` is for steps in a sandbox, and step `a` has none | true | add sandbox = true, or leave it out: without a sandbox, scripts have the network");
    assert_snapshot!(messages("
        sandbox = true
        warm = true
        pure = false
    "), @r"
    step `a` has a sandbox, and a warm shell would run many tasks in it | true | leave `warm` out: each task has a sandbox of its own
    step `a` has a sandbox, where host variables cannot be seen | false | leave `pure` out, and name what the script reads in `keep`
    ");
    assert_snapshot!(messages("
        sandbox = 1
        network = true
    "), @"`sandbox` must be true or false, not a whole number | 1 | -");
}

#[test]
fn keys() {
    assert_snapshot!(messages("
        scirpt = 1
        command = 'x'
        nixpkgs = 'x'
        colour = 'x'
        [nix]
        retries = 1
        nixpkg = 'x'
        [defaults]
        name = 'x'
        [nixx]
        [other]
    "), @r#"
    unknown key `scirpt` in step `a` | scirpt | did you mean `script`?
    unknown key `command` in step `a` | command | did you mean `script`?
    unknown key `nixpkgs` in step `a` | nixpkgs | `nixpkgs` belongs in [nix]
    unknown key `colour` in step `a` | colour | [[step]] can have: name, start, script, packages, files, env, shell, pure, keep, params, secrets, outputs, folders, parallel, cpus, memory, gpus, uses, timeout, retries, retry_delay, rounds, cache, checkpoint, executor_secrets, share, publish, warm, executor, sandbox, network, gather, from, with, each, partial, empty
    unknown key `retries` in [nix] | retries | `retries` belongs in [defaults] or [[step]]
    unknown key `nixpkg` in [nix] | nixpkg | did you mean `nixpkgs`?
    unknown key `name` in [defaults] | name | `name` belongs in [[step]] or [[input]]
    unknown table `nixx` | nixx | did you mean [nix]?
    unknown table `other` | other | a manifest can have include, [nix], [store], [cache], [publish], [limits], [executors], [defaults], [params], [[input]] and [[step]]
    "#);
}

#[test]
fn types() {
    assert_snapshot!(messages("
        packages = 'jq'
        env = ['A']
        shell = 'bash'
        pure = 'true'
        keep = [1, true]
        parallel = '4'
        timeout = 10
        retries = 1.5
        cache = 1979-05-27
    "), @r#"
    `packages` must be an array of strings, not a string | 'jq' | in brackets it is an array: ['jq']
    `env` must be a table of strings, not an array | ['A'] | for instance { LANG = "C.UTF-8" }
    `shell` must be an array of strings, not a string | 'bash' | the program and its arguments before the script: ["bash", "-euo", "pipefail", "-c"]
    `pure` must be true or false, not a string | 'true' | without quotes: true
    an entry of `keep` must be a string, not a whole number | 1 | in quotes it is a string: "1"
    an entry of `keep` must be a string, not true or false | true | in quotes it is a string: "true"
    `parallel` must be a whole number, not a string | '4' | without quotes: 4
    `timeout` must be a length of time in quotes, not a whole number | 10 | for seconds: "10s"
    `retries` must be a whole number or a table, not a decimal number | 1.5 | for instance 3, or { count = 3, delay = "10s" }
    `cache` must be true, false, "runset" or a length of time in quotes, not a date or time | 1979-05-27 | to reuse only results of the last twelve hours: `cache` = "12h"
    "#);
    assert_snapshot!(errors("step = 'x'\nnix = []\n[[defaults]]\n"), @"
    error: `step` must be a list of tables, not a string
     --> workflow.toml:1:8
      |
    1 | step = 'x'
      |        ^^^
    hint: a step's table is written [[step]], with two pairs of brackets

    error: `nix` must be one table, not an array
     --> workflow.toml:2:7
      |
    2 | nix = []
      |       ^^
    hint: its table is written [nix], with one pair of brackets

    error: `defaults` must be one table, not an array
     --> workflow.toml:3:1
      |
    3 | [[defaults]]
      | ^^^^^^^^^^^^
    hint: its table is written [defaults], with one pair of brackets
    ");
    assert_snapshot!(errors("step = [1]"), @"
    error: an entry of `step` must be a table, not a whole number
     --> workflow.toml:1:9
      |
    1 | step = [1]
      |         ^
    ");
}

#[test]
fn numbers_and_lengths_of_time() {
    assert_snapshot!(messages("parallel = 0\nrounds = 0\nretries = -1\ntimeout = '10'"), @r#"
    `parallel` must be at least 1 | 0 | -
    `rounds` must be at least 1 | 0 | -
    `retries` must be at least 0 | -1 | -
    `timeout`: `10` has no unit | 10 | for seconds: "10s"
    "#);
    assert_snapshot!(messages("parallel = 0x1_0000_0000\nretries = 99999999999999999999999999999999999999999\ntimeout = '0s'\nretry_delay = '0s'"), @r#"
    `parallel` must be at most 4294967295 | 0x1_0000_0000 | -
    `retries` must be at most 4294967295 | 99999999999999999999999999999999999999999 | -
    `timeout`: `0s` is no time at all | 0s | for no limit, leave the key out
    `retry_delay`: `0s` is no time at all | 0s | for the shortest: "1ms"
    "#);
    assert_snapshot!(messages("retries = -99999999999999999999999999999999999999999\ntimeout = '1h 5m'"), @r#"
    `retries` must be at least 0 | -99999999999999999999999999999999999999999 | -
    `timeout`: `1h 5m` is not a length of time | 1h 5m | whole numbers with d, h, m, s or ms, the longest unit first: "1h30m"
    "#);
}

#[test]
fn variables() {
    assert_snapshot!(messages(r#"
        keep = ["A B", "1A", "A=B", ""]
        [step.env]
        INPUT_FILE = "x"
        OUTPUT_DIR = "x"
        TMPDIR = "x"
        TASK_PIPELINE_TASK = "x"
        PATH = "x"
        "A=B" = "x"
        "" = "x"
        GOOD = "a\u0000"
        NUMBER = 1
    "#), @r#"
    `A B` cannot be a variable's name | A B | use letters, digits and underscores, but no digit first
    `1A` cannot be a variable's name | 1A | use letters, digits and underscores, but no digit first
    `A=B` cannot be a variable's name | A=B | use letters, digits and underscores, but no digit first
    "" cannot be a variable's name | "" | use letters, digits and underscores, but no digit first
    `INPUT_FILE` cannot be set: each task is given its own | INPUT_FILE | choose another name
    `OUTPUT_DIR` cannot be set: each task is given its own | OUTPUT_DIR | choose another name
    `TMPDIR` cannot be set: each task is given its own | TMPDIR | choose another name
    `TASK_PIPELINE_TASK` cannot be set: each task is given its own | TASK_PIPELINE_TASK | choose another name
    `PATH` cannot be set: a step's packages decide what its script finds | PATH | name the programs' packages in `packages`
    `A=B` cannot be a variable's name | "A=B" | use letters, digits and underscores, but no digit first
    "" cannot be a variable's name | "" | use letters, digits and underscores, but no digit first
    variable `GOOD` contains a NUL character | \u0000 | no script, variable or argument can contain one
    variable `NUMBER` must be a string, not a whole number | 1 | in quotes it is a string: "1"
    "#);
}

#[test]
fn shells() {
    assert_snapshot!(messages("shell = []"), @r#"`shell` is empty | [] | the program and its arguments before the script: ["bash", "-euo", "pipefail", "-c"]"#);
    assert_snapshot!(messages("shell = ['', '-c']"), @r#"`shell` names no program | '' | the program and its arguments before the script: ["bash", "-euo", "pipefail", "-c"]"#);
    assert_snapshot!(messages(r#"shell = ["sh", "\u0000"]"#), @r"an entry of `shell` contains a NUL character | \u0000 | no script, variable or argument can contain one");
}

#[test]
fn packages() {
    assert_snapshot!(messages(r#"packages = ["", "größe x", "a\tb", '''github:o''', 1]"#), @r#"
    bad package "": a package's name cannot be empty | "" | for instance "jq", "nixpkgs#jq", ".#my-tool", "github:o/r#name"
    bad package `größe x`: ' ' cannot be part of a package's name |   | for instance "jq", "nixpkgs#jq", ".#my-tool", "github:o/r#name"
    bad package `a\tb`: '\t' cannot be part of a package's name | a\tb | for instance "jq", "nixpkgs#jq", ".#my-tool", "github:o/r#name"
    bad package `github:o`: `github:` needs an owner and a repository: `github:OWNER/REPO` |  | for instance "jq", "nixpkgs#jq", ".#my-tool", "github:o/r#name"
    an entry of `packages` must be a string, not a whole number | 1 | in quotes it is a string: "1"
    "#);
    assert_snapshot!(messages("[nix]\nnixpkgs = 'nixpkgs#x'"), @r#"`nixpkgs`: bad flake reference `nixpkgs#x`: '#' cannot be part of a package's name | # | did you mean "nixpkgs"?"#);
    assert_snapshot!(messages("[nix]\nnixpkgs = ''"), @r#"`nixpkgs`: bad flake reference "": a package's name cannot be empty | '' | for instance "github:NixOS/nixpkgs/nixos-unstable""#);
}

#[test]
fn names() {
    assert_snapshot!(messages("
        [[step]]
        script = ':'
        name = ''
        [[step]]
        script = ':'
        name = '..'
        [[step]]
        script = ':'
        name = 1
        [[step]]
        script = ':'
        [[step]]
        script = ':'
        name = 'a'
        [[step]]
        script = ':'
        name = 'A'
    "), @r#"
    bad step name: a step's name cannot be empty | '' | a step's name becomes part of its inputs' file names
    bad step name: `..` is a folder, not a name | .. | a step's name becomes part of its inputs' file names
    `name` must be a string, not a whole number | 1 | in quotes it is a string: "1"
    a step has no name | [[step]] | add name = "…"
    step `a` is already defined on line 2 | 'a' | each step needs a name of its own
    "#);
}

#[test]
fn scripts() {
    assert_snapshot!(messages(r#"
        [[step]]
        name = "b"
        [[step]]
        name = "c"
        script = ""
        [[step]]
        name = "d"
        script = '''
        	
        '''
        [[step]]
        name = "e"
        script = "echo \u0000"
        [[step]]
        name = "f"
        script = ["x"]
    "#), @r#"
    step `b` has no script | "b" | add script = '''…'''
    `script` is empty | "" | for a step that is meant to do nothing, use the script ":"
    `script` is empty | '''
            	
            ''' | for a step that is meant to do nothing, use the script ":"
    `script` contains a NUL character | \u0000 | no script, variable or argument can contain one
    `script` must be a string, not an array | ["x"] | -
    "#);
}

#[test]
fn start_steps() {
    let two = "[[step]]\nname = 'b'\nscript = ':'\n";
    assert_snapshot!(messages(&format!("{two}start = true")), @"step `b` is a second start step; step `a` is one already, on line 3 | true | exactly one step has start = true");
    // The one that could not be read may be the start step: no more is said.
    let none = "[[step]]\nname = 'b'\nscript = 'touch $OUTPUT_DIR/x_c.txt'\n\
                [[step]]\nname = 'c'\nscript = 'touch $OUTPUT_DIR/b'\n\
                [[step]]\nname = 'first'\nscript = 'touch $OUTPUT_DIR/b $OUTPUT_DIR/c'\n";
    assert_snapshot!(errors(&format!("{none}start = 1")), @"
    error: `start` must be true or false, not a whole number
      --> workflow.toml:10:9
       |
    10 | start = 1
       |         ^
    ");
    assert_snapshot!(errors(none), @"
    error: no step is the start step
     --> workflow.toml:8:8
      |
    8 | name = 'first'
      |        ^^^^^^^
    hint: exactly one step has start = true, perhaps `first`; if files, rows or lines come in from outside, use an [[input]] instead
    ");
    assert_snapshot!(errors(&none.replace("'b'", "'start'")), @"
    error: no step is the start step
     --> workflow.toml:2:8
      |
    2 | name = 'start'
      |        ^^^^^^^
    hint: exactly one step has start = true, perhaps `start`; if files, rows or lines come in from outside, use an [[input]] instead
    ");
    assert_snapshot!(errors("[[step]]\nname = 'a'\nscript = 'touch $OUTPUT_DIR/a'\nstart = false"), @"
    error: no step is the start step
     --> workflow.toml:2:8
      |
    2 | name = 'a'
      |        ^^^
    hint: exactly one step has start = true, perhaps `a`; if files, rows or lines come in from outside, use an [[input]] instead
    ");
}

#[test]
fn no_steps() {
    assert_snapshot!(errors(""), @r#"
    error: the manifest has no steps
     --> workflow.toml
    hint: it needs at least one [[step]] with name = "…", start = true and script = '''…'''
    "#);
    assert_snapshot!(errors("step = []"), @r#"
    error: the manifest has no steps
     --> workflow.toml
    hint: it needs at least one [[step]] with name = "…", start = true and script = '''…'''
    "#);
    assert_snapshot!(errors("name = 'a'\nscript = ':'"), @r#"
    error: the manifest has no steps
     --> workflow.toml
    hint: it needs at least one [[step]] with name = "…", start = true and script = '''…'''

    error: unknown key `name`
     --> workflow.toml:1:1
      |
    1 | name = 'a'
      | ^^^^
    hint: `name` belongs in [[step]] or [[input]]

    error: unknown key `script`
     --> workflow.toml:2:1
      |
    2 | script = ':'
      | ^^^^^^
    hint: `script` belongs in [[step]]
    "#);
}

/// Several tables have a key of that name, and not the same one.
#[test]
fn the_form_of_a_value_says_where_it_belongs() {
    let lists = "`keep` belongs in [nix] or [defaults] or [[step]]";
    for (text, hint) in [
        ("keep = 'finals'", "`keep` belongs in [store]".to_owned()),
        ("keep = ['A']", lists.to_owned()),
        ("keep = 3", format!("{lists} or [store]")),
        ("cache = '12h'", "`cache` belongs in [defaults] or [[step]]; the table of that name is written [cache], with one pair of brackets".to_owned()),
    ] {
        let text = format!("{text}\n[[step]]\nname = 'a'\nstart = true\nscript = ':'");
        let errors = Manifest::parse(&text).unwrap_err();
        assert_eq!(errors[0].hint, Some(hint), "{text}");
    }
    assert_snapshot!(messages("
        keep = 'finals'
        [cache]
        keep = 'finals'
        [store]
        keep = ['A']
    "), @r"
    `keep` must be an array of strings, not a string | 'finals' | as it is, `keep` belongs in [store]; here it lists variables of the environment
    unknown key `keep` in [cache] | keep | `keep` belongs in [store]
    `keep` must be a string, not an array | ['A'] | with names of variables `keep` belongs in [nix] or [defaults] or [[step]]
    ");
}

#[test]
fn steps_by_another_header() {
    assert_snapshot!(errors("[[steps]]\nname = 'a'\nstart = true\nscript = ':'\nretry = 1"), @"
    error: unknown table `steps`
     --> workflow.toml:1:3
      |
    1 | [[steps]]
      |   ^^^^^
    hint: a step's table is written [[step]]

    error: unknown key `retry` in step `a`
     --> workflow.toml:5:1
      |
    5 | retry = 1
      | ^^^^^
    hint: did you mean `retries`?
    ");
    assert_snapshot!(errors("[step]\nname = 'a'\nstart = true\nscript = ':'"), @"
    error: `step` must be a list of tables, not one table
     --> workflow.toml:1:2
      |
    1 | [step]
      |  ^^^^
    hint: a step's table is written [[step]], with two pairs of brackets
    ");
    assert_snapshot!(errors("[step]\nname = 'a'\nscript = ':'\n\n[step]\nname = 'b'\nscript = ':'"), @"
    error: `step` is defined twice
     --> workflow.toml:5:2
      |
    5 | [step]
      |  ^^^^
    hint: each step's table is written [[step]], with two pairs of brackets
    ");
    assert_snapshot!(errors("[step.fetch]\nscript = ':'"), @r#"
    error: `step` must be a list of tables, not one table
     --> workflow.toml:1:2
      |
    1 | [step.fetch]
      |  ^^^^
    hint: write [[step]], and in it name = "fetch"
    "#);
}

#[test]
fn outputs_that_are_no_patterns() {
    let text = "[[step]]\nname='a'\nscript=':'\nstart=true\n\
                outputs=[\"\", \"a/b\", \"[x]\", \"*.log\", \"*.log?\", 1]";
    let errors = super::Manifest::parse(text).unwrap_err();
    let shown = crate::manifest::diagnostic::render("workflow.toml", text, &errors);
    for error in [
        "an empty pattern matches no name",
        "`a/b` contains a `/`",
        "`[x]` contains `[`",
        "`*.log?` matches the same names as `*.log`",
        "an entry of `outputs` must be a string",
        "workflow.toml:5:",
    ] {
        assert!(shown.contains(error), "{error}\n{shown}");
    }
}

#[test]
fn files() {
    assert_snapshot!(messages("
        files = ['ok/*.sh', '', '/etc/passwd', '../x', 'a{b,c}', 'a/**b', 'x[', 3, '~/x']
        [defaults]
        files = 'lib/*'
    "), @r#"
    an empty pattern names no file | '' | `*` stands for all files of the folder, for instance ["lib/*.sh", "template.html"]
    `/etc/passwd` does not begin in the manifest's folder | /etc/passwd | name files below the manifest's folder; for a file elsewhere, put a link to it there
    `../x` leads out of the manifest's folder: it contains `..` | ../x | name files below the manifest's folder; for a file elsewhere, put a link to it there
    `a{b,c}` contains braces, which these patterns do not support | a{b,c} | write two patterns; `\{` stands for the character itself
    `a/**b` has `**` next to other characters | a/**b | `**` must be on its own between slashes, and stands for folders: `lib/**/*.sh`
    `x[` is not a valid pattern: unclosed character class; missing ']' | x[ | `[abc]` stands for one of the characters; `\[` for the character itself
    an entry of `files` must be a string, not a whole number | 3 | in quotes it is a string: "3"
    `~/x` does not begin in the manifest's folder | ~/x | name files below the manifest's folder; for a file elsewhere, put a link to it there
    `files` must be an array of strings, not a string | 'lib/*' | in brackets it is an array: ['lib/*']
    "#);
}
