//! What is promised is tried: each bold sentence of that page is the name of a test.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::pages::{ROOT, page};

/// The names of all tests in the files below a folder.
fn tests_below(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let behind = text.split("#[test]\n").skip(1);
            found.extend(behind.filter_map(|rest| {
                let (_, named) = rest.split_once("fn ")?;
                Some(named.split_once('(')?.0.to_owned())
            }));
        }
    }
}

/// As the name of a test.
fn named(sentence: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || " -".contains(*c);
    let words: String = sentence.chars().filter(kept).collect();
    words.to_lowercase().replace([' ', '-'], "_")
}

#[test]
fn each_promise_is_the_name_of_a_test() {
    let mut tests = BTreeSet::new();
    tests_below(&Path::new(ROOT).join("tests"), &mut tests);
    let page = page("docs/promise.md");
    let promises = page.bold();
    assert!(promises.len() > 20, "{promises:?}");
    let untried: Vec<_> = promises
        .iter()
        .filter(|promise| !tests.contains(&named(promise)))
        .collect();
    assert!(untried.is_empty(), "no test is called so: {untried:#?}");
}
