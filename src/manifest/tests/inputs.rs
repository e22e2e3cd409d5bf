//! `[[input]]` tables, right and wrong.

use insta::assert_snapshot;

use super::errors::{errors, messages};
use super::manifest;
use crate::manifest::{Input, InputKind};
use crate::model::name::StepName;

#[test]
fn the_three_kinds() {
    let manifest = manifest(
        r#"
        [[input]]
        files = "data/**/*.csv"
        [[input]]
        files = ["a", "b/*"]
        step = "a"
        empty = true
        [[input]]
        rows = "samples.tsv"
        name = "{x}_{y}"
        [[input]]
        lines = "ls"
        [[step]]
        name = "a"
        script = ":"
        "#,
    );
    assert_eq!(manifest.start(), None);
    let kinds: Vec<_> = manifest.inputs.iter().map(Input::kind).collect();
    let [
        Some(InputKind::Files(one)),
        Some(InputKind::Files(two)),
        Some(InputKind::Rows(sheet)),
        Some(InputKind::Lines(command)),
    ] = kinds[..]
    else {
        panic!("{kinds:?}");
    };
    assert_eq!((one.len(), two.len()), (1, 2));
    assert_eq!((&*sheet.value, &*command.value), ("samples.tsv", "ls"));
    let [one, two, sheet, _] = &manifest.inputs[..] else {
        panic!();
    };
    assert!(one.steps.is_empty() && !one.empty && two.empty);
    assert_eq!(two.steps, [StepName::new("a").unwrap()]);
    let name = sheet.name.as_ref().unwrap();
    assert_eq!(name.columns().collect::<Vec<_>>(), ["x", "y"]);
    let words: Vec<_> = manifest.inputs.iter().map(Input::in_words).collect();
    assert_eq!(
        words,
        [
            "data/**/*.csv",
            "a, b/*",
            "rows of samples.tsv",
            "lines of ls"
        ]
    );
}

#[test]
fn one_start_step_at_most_beside_them() {
    let input = "[[input]]\nlines = 'ls'\n";
    let step = |name: &str| format!("[[step]]\nname = '{name}'\nscript = ':'\nstart = true\n");
    assert!(manifest(&format!("{input}{}", step("a"))).start().is_some());
    let two = errors(&format!("{input}{}{}", step("a"), step("b")));
    assert!(two.contains("step `b` is a second start step"), "{two}");
}

#[test]
fn what_is_wrong_with_one() {
    assert_snapshot!(messages(r#"
        [[input]]
        step = "a"
        [[input]]
        files = "x"
        rows = "x.csv"
        lines = "ls"
        [[input]]
        lines = " "
        name = "{x}"
        [[input]]
        files = ["/etc/*", "a/../b", "", 1, "a\tb"]
        [[input]]
        files = []
        [[input]]
        files = 1
        [[input]]
        rows = "x.txt"
        [[input]]
        rows = "/x.csv"
        [[input]]
        lines = "ls"
        step = "b"
        script = "x"
        fils = "x"
        paths = ["x"]
        follow = false
        [[input]]
        lines = "ls"
        copy = false
        [[input]]
        files = "x"
        packages = ["jq"]
    "#), @r#"
    an input does not say what comes in | [[input]] | add files = "data/*.csv", rows = "samples.csv" or lines = "a command"
    an input has `files` and `rows` | "x.csv" | give each an [[input]] of its own
    an input has `files` and `lines` | "ls" | give each an [[input]] of its own
    `lines` is empty |   | name a command that writes a line for each input
    `name` is for `rows`; `lines` have names of their own | "{x}" | leave it out
    `/etc/*` does not begin in the manifest's folder | /etc/* | name files below the manifest's folder; for a file elsewhere, put a link to it there
    `a/../b` leads out of the manifest's folder: it contains `..` | a/../b | name files below the manifest's folder; for a file elsewhere, put a link to it there
    an empty pattern names no file | "" | `*` stands for all files of the folder, for instance ["lib/*.sh", "template.html"]
    an entry of `files` must be a string, not a whole number | 1 | in quotes it is a string: "1"
    `files` is empty | [] | name files: ["data/*.csv"]
    `files` must be a string or an array of strings, not a whole number | 1 | for instance "data/**/*.csv"
    `x.txt` is not a .csv, .tsv or .jsonl file | x.txt | only these have rows; `files` takes a file as a whole
    `/x.csv` does not begin in the manifest's folder | /x.csv | name it relative to that folder, or put a link to it there
    an input has `files` and `lines` | "ls" | give each an [[input]] of its own
    there is no step `b` | b | name a step of this manifest
    unknown key `script` in an input | script | `script` belongs in [[step]]
    unknown key `fils` in an input | fils | did you mean `files`?
    `paths` names columns of a sheet, and this input has none | ["x"] | it goes with `rows`; for files by pattern, use `files`
    unknown key `follow` in an input | follow | [[input]] can have: name, packages, files, rows, paths, lines, step, copy, empty
    `copy` is for files that come in, and `lines` brings in none | false | leave it out; it goes with `files`, and with `rows` that have `paths`
    `packages` are only for `lines`: no other kind of input runs a program | ["jq"] | leave it out
    "#);
    assert_snapshot!(messages(r#"
        [[input]]
        rows = "x.csv"
        name = "x"
        [[input]]
        rows = "x.csv"
        name = "{x"
        [[input]]
        rows = "x.csv"
        name = "{}"
        step = "c"
        empty = 1
    "#), @r#"
    `name`: it names no column, so all rows would have the same name | x | write columns in braces: "{sample}", "{plate}_{well}.txt"
    `name`: a brace has no counterpart | {x | write columns in braces: "{sample}", "{plate}_{well}.txt"
    `name`: there is no column between the braces | {} | write columns in braces: "{sample}", "{plate}_{well}.txt"
    there is no step `c` | c | name a step of this manifest
    `empty` must be true or false, not a whole number | 1 | -
    "#);
    assert_snapshot!(messages("[input]\nfiles = 'x'"), @"`input` must be a list of tables, not one table | input | an input's table is written [[input]], with two pairs of brackets");
    assert_snapshot!(messages("[[inputs]]\nfiles = 'x'"), @"unknown table `inputs` | inputs | an input's table is written [[input]]");
}

#[test]
fn several_steps_take_one() {
    let steps = "\n[[step]]\nname = 'a'\nscript = ':'\n[[step]]\nname = 'b'\nscript = ':'\n";
    let taken = manifest(&format!("[[input]]\nfiles = 'x'\nstep = ['b', 'a']{steps}"));
    let names: Vec<&str> = taken.inputs[0].steps.iter().map(StepName::as_str).collect();
    assert_eq!(names, ["b", "a"]);
    assert_snapshot!(messages(r#"
        [[input]]
        files = "x"
        step = []
        [[input]]
        files = "x"
        step = ["a", "bb", 1, "a", "b/c"]
        [[input]]
        files = "x"
        step = 1
        [[step]]
        name = "b"
        script = ":"
    "#), @r#"
    `step` is empty | [] | name a step, or leave the key out: then names lead to steps
    there is no step `bb` | bb | did you mean `b`?
    an entry of `step` must be a string, not a whole number | 1 | in quotes it is a string: "1"
    `step` names `a` twice | a | leave one of them out
    bad step name: '/' cannot be part of a file name | b/c | a step's name becomes part of its inputs' file names
    `step` must be a string or an array of strings, not a whole number | 1 | for instance "fetch"
    "#);
}
