//! The README holds: its commands run, its manifests are right, its tables name what there is.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_macros
)]

use std::path::Path;
use std::process::{Command, Output};

const README: &str = include_str!("../../README.md");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The code blocks of a language.
fn blocks(language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<(bool, String)> = None;
    for line in README.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(info), None) => open = Some((info == language, String::new())),
            (Some(_), Some(_)) => {
                if let Some((true, text)) = open.take() {
                    blocks.push(text);
                }
            }
            (None, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

fn program(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_task-pipeline"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

#[test]
fn commands_run_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(
        Path::new(ROOT).join("templates"),
        folder.path().join("templates"),
    )
    .unwrap();
    let mut run = 0;
    for line in blocks("bash").iter().flat_map(|block| block.lines()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["cargo", "run", "--release", "--", arguments @ ..] => {
                let output = program(folder.path(), arguments);
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(output.status.success(), "{line}\n{said}");
                run += 1;
            }
            // The tests of the flake run the first (with a stand-in for nixpkgs), and all tests
            // are what the second runs.
            // A benchmark is no test.
            ["nix", "run", ".#task-pipeline", ..]
            | ["tests/run"]
            | ["cargo", "run", "--release", "-p", "bench", ..] => {}
            other => panic!("no test runs this command of the README: {other:?}"),
        }
    }
    assert!(run >= 2);
    let tables = std::fs::read_dir(folder.path().join("tables")).unwrap();
    assert!(tables.count() > 10, "the export has the tables");
    let database = rusqlite::Connection::open(folder.path().join("db/db")).unwrap();
    let queries = blocks("sql").concat();
    for query in queries
        .split_inclusive(';')
        .filter(|query| query.contains(';'))
    {
        let mut statement = database.prepare(query).unwrap();
        let rows = statement.query([]).unwrap().mapped(|_| Ok(())).count();
        assert_eq!(rows == 0, query.contains("FROM failure"), "{query}");
    }
}

#[test]
fn manifests_are_right() {
    let mut checked = 0;
    for text in blocks("toml") {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("workflow.toml"), &text).unwrap();
        let output = program(folder.path(), &["check"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{text}\n{said}");
        checked += 1;
    }
    assert!(checked >= 2);
}

/// Folders have spaces in their names on some machines.
#[test]
fn the_first_manifest_runs_wherever_the_db_is() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = blocks("toml").remove(0);
    std::fs::write(folder.path().join("workflow.toml"), manifest).unwrap();
    let output = program(
        folder.path(),
        &["-db", "two words * /db", "-run", "-host-env"],
    );
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("3 run"), "{said}");
}

#[test]
fn every_option_and_subcommand_is_there() {
    let help = program(Path::new(ROOT), &["--help"]);
    let help = String::from_utf8(help.stdout).unwrap();
    for line in help.lines().map(str::trim_start) {
        let word = line.split([' ', '<']).next().unwrap_or_default();
        if let Some(option) = line.find("--").map(|at| &line[at + 2..]) {
            let option = option.split([' ', '<', '=']).next().unwrap_or_default();
            let known = ["help", "version", ""].contains(&option);
            if line.starts_with('-') && !known {
                assert!(README.contains(&format!("-{option}")), "--{option}");
            }
        }
        let is_command = help
            .split("Options:")
            .next()
            .is_some_and(|commands| commands.contains(&format!("\n  {word} ")));
        if is_command && !word.is_empty() && word != "help" {
            assert!(README.contains(&format!("`{word}")), "{word}");
        }
    }
}
