use clap::{Arg, CommandFactory as _};

use super::*;
use crate::cli::arguments::Arguments;
use crate::manifest::Manifest;
use crate::model::digest::Digest;
use crate::model::list::Form;
use crate::state::{NewTask, State, StepId};

const MANIFEST: &str = "
[limits]
licences = 2
[cache]
urls = ['https://cache.example.org/p']
[executors.lab]
ssh = ['one']
[params]
mode = { type = 'string', default = 'fast', values = ['fast', 'slow'] }
loud = { type = 'bool', default = false }
[[input]]
lines = 'ls'
step = 'begin'
[[step]]
name = 'begin'
packages = ['hello']
script = ': $PARAM_mode $PARAM_loud'
[[step]]
name = 'process'
secrets = ['token']
script = ': $SECRET_token'
";

fn root() -> Command {
    let mut root = Arguments::command();
    root.build();
    root
}

/// What the program answers to a line up to the cursor; `known` makes manifest and db.
fn told(line: &str, known: Known) -> Vec<(String, String)> {
    let words = line.split(' ').map(str::to_owned).collect();
    let bash = false;
    let text = answer(&root(), known, &Options { bash, words });
    let lines = text
        .lines()
        .map(|line| line.split_once('\t').unwrap_or((line, "")));
    lines
        .map(|(word, help)| (word.to_owned(), help.to_owned()))
        .collect()
}

fn words_with(line: &str, known: Known) -> Vec<String> {
    told(line, known)
        .into_iter()
        .map(|(word, _)| word)
        .collect()
}

/// The same where there is neither manifest nor db.
fn words(line: &str) -> Vec<String> {
    words_with(line, Known::with(None, None))
}

fn manifest() -> Known {
    Known::with(Some(Manifest::parse(MANIFEST).unwrap()), None)
}

/// Two runsets; in the second one a task of `begin` that left two files, of which `process` failed on one and has
/// the other to do; `gone` is a step that the manifest does not have.
fn state() -> State {
    let mut state = State::in_memory();
    state.alter(
        "INSERT INTO step (id, name, script, current) VALUES (1, 'begin', ':', 1), (2, 'process', ':', 1),
            (3, 'gone', ':', 1), (4, 'never', ':', 1)",
    );
    let old = state.create_runset("night-1", 0).unwrap();
    let new = state.create_runset("night-2", 0).unwrap();
    let task = |step: Option<i64>, name: &'static str, parent| NewTask {
        form: Form::File,
        object: Digest::of(name.as_bytes()),
        step: step.map(StepId),
        parent,
        name: Some(name),
        forced: false,
    };
    state
        .insert_task(&old, &task(Some(3), "old", None))
        .unwrap();
    let first = state
        .insert_task(&new, &task(Some(1), "in-x", None))
        .unwrap();
    for name in ["a b", "a:c"] {
        state
            .insert_task(&new, &task(Some(2), name, Some(first)))
            .unwrap();
    }
    for name in ["table.csv", "plot\u{1b}.svg", "plot.svg"] {
        state
            .insert_task(&new, &task(None, name, Some(first)))
            .unwrap();
    }
    state.alter("UPDATE task SET error = 'exit status 1' WHERE name = 'a b'");
    state.alter("UPDATE tally SET pending = 1, failed = 1 WHERE step_id = 2");
    state.alter(
        "INSERT INTO entry (runset_id, identity, task_id) VALUES (2, 'line\t0\tin-x', 2), (2, 'line\t0\tother', 3),
            (2, 'file\tin/a.txt', 2), (2, 'file\tin/a.txt', 3), (1, 'line\t0\tin-old', 1)",
    );
    state
}

fn all() -> Known {
    let manifest = Manifest::parse(MANIFEST).unwrap();
    Known::with(Some(manifest), Some(Box::new(state())))
}

#[test]
fn every_option_of_every_subcommand_is_offered() {
    let root = root();
    for command in root
        .get_subcommands()
        .filter(|one| one.get_name() != "help")
    {
        let name = command.get_name();
        for option in command.get_opts().filter_map(Arg::get_long) {
            for dashes in ["-", "--"] {
                let whole = format!("{dashes}{option}");
                // Also where other options and their values stand before.
                for line in ["", "-db check ", "-db=check ", "-f check -q "] {
                    let line = format!("{line}{name} {}", &whole[..whole.len() - 1]);
                    let again = line.starts_with(&format!("-{option}"))
                        || line.starts_with("-f")
                            && matches!(option, "manifest" | "quiet" | "verbose");
                    assert_eq!(
                        words(&line).contains(&whole),
                        !again,
                        "{line}: {:?}",
                        words(&line)
                    );
                }
            }
        }
        assert!(words(&name[..2]).contains(&name.to_owned()) || command.is_hide_set());
    }
    assert!(!words("check -").contains(&"-run".to_owned()));
    assert!(!words("").contains(&"complete".to_owned()));
}

/// Each place in which a word can stand has something to offer, but for those in which only the user knows.
#[test]
fn every_place_is_filled() {
    const OWN: [&str; 15] = [
        "N",
        "K/N",
        "DURATION",
        "SIZE",
        "TIME",
        "NUMBER",
        "NAME=N",
        "WORD",
        "GROUP",
        "KEY",
        "FILE",
        "DIR",
        "COMMAND",
        "CMD",
        "NAME=FILE",
    ];
    let root = root();
    for command in root.get_subcommands().chain([&root]) {
        if command.is_hide_set() || command.get_name() == "help" {
            continue;
        }
        let name = if command.get_name() == root.get_name() {
            ""
        } else {
            command.get_name()
        };
        for option in command
            .get_arguments()
            .filter(|one| one.get_action().takes_values())
        {
            let kind = option.get_value_names().unwrap_or_default().join(" ");
            let line = if let Some(long) = option.get_long() {
                format!("{name} -{long} ")
            } else {
                // The task of which something is wanted; else any word.
                let before = if name == "cat" { "2 " } else { "x " };
                let before = before.repeat(option.get_index().unwrap_or(1) - 1);
                let dashes = if option.is_last_set() { "-- " } else { "" };
                format!("{name} {dashes}{before}")
            };
            let found = words_with(line.trim_start(), all());
            let own =
                OWN.contains(&kind.as_str()) || command.get_name() == "cache-key" || kind == "TASK";
            assert!(own || !found.is_empty(), "{line}: {kind}");
        }
    }
}

#[test]
fn values_are_offered_behind_their_option() {
    for line in ["-log-format ", "-log-format=", "status -log-format "] {
        assert_eq!(words(line), ["text", "json"], "{line}");
    }
    for (line, offers) in [
        ("-log-format=t", &["text"][..]),
        ("graph -format s", &["svg"]),
        ("graph d", &["dot"]),
        ("completions f", &["fish"]),
        ("help st", &["status"]),
        ("init sa", &["samples"]),
        ("init samples ", &[":folders"]),
        ("report -o ", &[":files"]),
        ("report ", &[":files"]),
        ("-manifest ", &[":files"]),
        ("-f ", &[":files"]),
        ("status -db ", &[":folders"]),
        ("export -to=", &[":folders"]),
        ("-runset ", &["all"]),
        ("-run -parallel ", &[]),
        ("-run -j 2 -on-finish ", &[":commands"]),
        ("shell process -- ", &[":commands"]),
        ("shell process 3 -- ", &[":commands"]),
        ("shell process -- ls ", &[":files"]),
        ("-- -", &[]),
        ("check x", &[]),
        ("-run -inp", &["-input"]),
        ("-run -input ", &[":files"]),
        ("cache-key n ", &[":files"]),
        ("-cache s", &["s3://"]),
    ] {
        assert_eq!(words(line), offers, "{line}");
    }
    assert!(words("init sa")[0].len() > 2);
    assert_eq!(words("lock -update -q"), ["-quiet"]);
}

#[test]
fn what_goes_with_what_is_given() {
    let has = |line: &str, word: &str| words(line).contains(&word.to_owned());
    assert_eq!(words("")[0], "run");
    assert_eq!(words("ru"), ["run"]);
    assert_eq!(words("run "), [""; 0], "no subcommand");
    assert_eq!(words("run ru"), [""; 0]);
    assert!(has("run -", "-fresh") && !has("run -", "-run"));
    assert!(has("-fresh -", "-run") && has("-fresh ", "run"));
    assert!(!has("-run ", "run") && !has("-run ", "status"));
    assert!(has("-runset r ", "status") && !has("-runset r ", "check"));
    assert!(has("-db d -q ", "check"));
    // Once, but for those that can stand there several times.
    assert!(!has("run -fresh -f", "-fresh") && has("run -param a=1 -p", "-param"));
    assert!(has("run -only a b -o", "-only"));
    assert!(!has("run -keep-going -f", "-fail-fast") && !has("run -fail-fast -k", "-keep-going"));
    assert!(!has("run -only a -u", "-until"));
}

#[test]
fn names_of_the_manifest() {
    for (line, offers) in [
        ("run -start ", &["begin", "process"][..]),
        ("run -only begin pro", &["process"]),
        ("log pro", &["process"]),
        (
            "run -executor ",
            &["lab", "local", "child:", "ssh:", "slurm"],
        ),
        ("check -executor=la", &["lab"]),
        ("run -param ", &["loud=", "mode="]),
        ("run -param mode=f", &["mode=fast"]),
        ("run -param=loud=t", &["loud=true"]),
        ("run -param x=", &[]),
        ("run -secret to", &["token="]),
        ("run -secret token=", &[":files="]),
        ("run -limit ", &["licences="]),
        ("run -cache h", &["https://cache.example.org/p", "https://"]),
        ("lock -update ", &["nixpkgs", "hello"]),
        ("lock -update nixpkgs h", &["hello"]),
    ] {
        assert_eq!(words_with(line, manifest()), offers, "{line}");
    }
    let help = told("run -param mo", manifest());
    assert!(help[0].1.contains("fast"), "{help:?}");
}

#[test]
fn names_of_the_db() {
    let object = Digest::of(b"plot.svg").to_string();
    let begun = format!("trace {}", &object[..5]);
    for (line, offers) in [
        ("-runset ", &["night-2", "night-1", "all"][..]),
        ("status -runset night-1", &["night-1"]),
        ("log ", &["3", "4", "2", "begin", "process"]),
        ("log 3 ", &["3", "4", "2", "begin", "process"]),
        (
            "log -runset all ",
            &["3", "4", "2", "1", "begin", "process", "gone", "never"],
        ),
        ("log -runset night-1 ", &["1", "begin", "process", "gone"]),
        ("shell process ", &["3", "4"]),
        ("trace-files begin ", &["2"]),
        ("log x", &[]),
        ("trace p", &["plot.svg"]),
        (&begun, &[&object]),
        ("export ", &["plot.svg", "table.csv", "begin", "process"]),
        ("export plot.svg t", &["table.csv"]),
        ("cat p", &["plot.svg"]),
        ("cat t", &["table.csv"]),
        ("cat 2 ", &["a b", "a:c", "table.csv", "plot.svg"]),
        ("cat x ", &[]),
        ("run -input ", &["in/a.txt", "in-x", "other"]),
        ("run -input in-", &["in-x"]),
        ("run -input in-x o", &["other"]),
        ("evict begin p", &["process"]),
    ] {
        assert_eq!(words_with(line, all()), offers, "{line}");
    }
    let help = |line: &str| told(line, all()).swap_remove(0).1;
    assert_eq!(help("log 3"), "process on a b: failed");
    assert_eq!(help("log pro"), "step: 1 failed, 1 pending");
    assert_eq!(help("status -runset n"), "runset: 1 failed, 2 pending");
    // Without a manifest too.
    let db = Known::with(None, Some(Box::new(state())));
    assert_eq!(words_with("why -q g", db), [""; 0]);
    let db = Known::with(None, Some(Box::new(state())));
    assert_eq!(words_with("tasks -step b", db), ["begin"]);
}

#[test]
fn bash_gets_what_it_puts_in() {
    let inserted = |replaced: &str, line: &[&str]| {
        let words = [&[replaced], line].concat();
        let words = words.into_iter().map(str::to_owned).collect();
        let text = answer(&root(), all(), &Options { bash: true, words });
        let words = text.lines().filter_map(|line| line.split('\t').next());
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(inserted("-migr", &["-migr"]), ["-migrate-tainted"]);
    assert_eq!(inserted("js", &["-log-format=js"]), ["json"]);
    assert_eq!(inserted("", &["-log-format="]), ["text", "json"]);
    assert_eq!(inserted("f", &["run", "-param=mode=f"]), ["fast"]);
    assert_eq!(inserted("mo", &["run", "-param=mo"]), ["mode="]);
    assert_eq!(inserted("a", &["cat", "2", "a"]), [r"a\ b", "a:c"]);
    assert_eq!(inserted("a ", &["cat", "2", "'a "]), ["a b"]);
    assert_eq!(inserted(r"a\ ", &["cat", "2", r"a\ "]), [r"a\ b"]);
    assert_eq!(inserted("c", &["cat", "2", "a:c"]), ["c"]);
    assert_eq!(inserted("", &["cat", "2", "a:"]), ["c"]);
}
