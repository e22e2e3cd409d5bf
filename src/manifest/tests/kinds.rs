//! Every key with a value of every wrong kind, and the numbers, texts and lists that are out of range.

use super::super::field::{Field, Place};
use super::super::{Manifest, Texts};

/// A table, a key of it, what it must be, and values of that kind that are wrong, with what is said of them.
type Key = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

const BOOL: &str = "true or false";
const TEXT: &str = "a string";
const TEXTS: &str = "an array of strings";
const NUMBER: &str = "a whole number";
const LENGTH: &str = "a length of time in quotes";
const LESS_THAN_ONE: &[(&str, &str)] = &[("0", "at least 1"), ("-1", "at least 1"), ("4294967296", "at most 4294967295"), ("99999999999999999999", "at most 4294967295")];
const LESS_THAN_NONE: &[(&str, &str)] = &[("-1", "at least 0"), ("4294967296", "at most 4294967295")];
const NO_LENGTH: &[(&str, &str)] = &[("''", "is not a length of time"), ("'x'", "is not a length of time"), ("'90'", "has no unit"), ("'1s1h'", "is not a length of time"), ("'-1s'", "is not a length of time"), ("'999999999999999999999d'", "")];
const NO_NAME: &[(&str, &str)] = &[("['']", ""), ("['a-b']", "a-b"), ("['1a']", "1a"), ("[1]", "an entry of")];
const NO_PATTERN: &[(&str, &str)] = &[("['']", "an empty pattern"), ("['/etc/x']", "does not begin in the manifest's folder"), ("['../x']", "leads out of the manifest's folder"), ("['x[']", "is not a valid pattern"), ("[1]", "an entry of")];

const KEYS: &[Key] = &[
    ("", "nix", "one table", &[("{ a = 1 }", "unknown key `a` in [nix]")]),
    ("", "store", "one table", &[("{ a = 1 }", "unknown key `a` in [store]")]),
    ("", "cache", "one table", &[("{ a = 1 }", "unknown key `a` in [cache]")]),
    ("", "publish", "one table", &[("{ a = 1 }", "unknown key `a` in [publish]")]),
    ("", "limits", "one table", &[("{ 'a b' = 1 }", "a b"), ("{ a = 0 }", "at least 1"), ("{ a = 'x' }", "`a` must be a whole number")]),
    ("", "defaults", "one table", &[("{ a = 1 }", "unknown key `a` in [defaults]"), ("{ name = 'x' }", "`name`")]),
    ("", "params", "one table", &[("{ a = 1 }", "parameter `a` must be a table"), ("{ a = {} }", "`a`")]),
    ("", "step", "a list of tables", &[("{}", "`step` must be a list of tables"), ("[1]", "an entry of `step` must be a table")]),
    ("", "input", "a list of tables", &[("{}", "`input` must be a list of tables"), ("[1]", "an entry of `input` must be a table")]),
    ("", "include", TEXTS, NO_PATTERN),
    ("[nix]", "nixpkgs", TEXT, &[("''", "bad flake reference"), ("'a b'", "bad flake reference")]),
    ("[nix]", "pure", BOOL, &[]),
    ("[nix]", "keep", TEXTS, NO_NAME),
    ("[store]", "keep_runsets", NUMBER, LESS_THAN_ONE),
    ("[store]", "keep", TEXT, &[("''", "neither \"all\" nor \"finals\""), ("'x'", "neither \"all\" nor \"finals\"")]),
    ("[cache]", "urls", TEXTS, &[("['']", "it has no scheme"), ("['/srv/x']", "it has no scheme"), ("['ftp://x/y']", "its scheme is unknown"), ("['https://a@b/c']", "it has a user in it"), ("['s3://']", "no bucket can have that name"), ("[1]", "an entry of")]),
    ("[publish]", "dir", TEXT, &[("''", "`dir` names no folder"), ("'~'", "`~` is no folder here"), ("'~/x'", "`~` is no folder here")]),
    ("[[step]]", "name", TEXT, &[("''", "a step's name cannot be empty"), ("'..'", "is a folder, not a name"), ("'a/b'", "cannot be part of a file name"), ("' a'", "white space"), ("\"a\\u001b\"", "cannot be part of a file name")]),
    ("[[step]]", "start", BOOL, &[("true", "is a second start step")]),
    ("[[step]]", "script", TEXT, &[("''", "`script` is empty"), ("\" \\n\"", "`script` is empty")]),
    ("[[step]]", "packages", TEXTS, &[("['']", "bad package"), ("['a b']", "bad package"), ("['-x']", "bad package"), ("['guthub:o/r']", "unknown kind of flake reference"), ("[1]", "an entry of")]),
    ("[[step]]", "files", TEXTS, NO_PATTERN),
    ("[[step]]", "env", "a table of strings", &[("{ a = 1 }", "variable `a` must be a string"), ("{ 'a-b' = 'x' }", "a-b"), ("{ PATH = 'x' }", "`PATH` cannot be set"), ("{ a = \"\\u0000\" }", "a")]),
    ("[[step]]", "shell", TEXTS, &[("[]", "`shell` is empty"), ("['']", "shell"), ("[1]", "an entry of")]),
    ("[[step]]", "pure", BOOL, &[]),
    ("[[step]]", "keep", TEXTS, NO_NAME),
    ("[[step]]", "params", TEXTS, &[("['a']", "a"), ("[1]", "an entry of")]),
    ("[[step]]", "secrets", TEXTS, &[("['a-b']", "cannot be a secret's name"), ("['a', 'a']", "is listed twice"), ("[1]", "an entry of")]),
    ("[[step]]", "outputs", TEXTS, &[("['']", "an empty pattern matches no name"), ("['a/b']", "contains a `/`"), ("['[x]']", "contains `[`"), ("['a', 'a']", "matches the same names"), ("[1]", "an entry of")]),
    ("[[step]]", "folders", BOOL, &[]),
    ("[[step]]", "parallel", NUMBER, LESS_THAN_ONE),
    ("[[step]]", "cpus", NUMBER, LESS_THAN_ONE),
    ("[[step]]", "memory", "an amount in quotes", &[("''", "is no size"), ("'x'", "is no size"), ("'-1G'", "is no size"), ("'2G..1G'", "memory"), ("'0G'", "memory")]),
    ("[[step]]", "gpus", NUMBER, LESS_THAN_NONE),
    ("[[step]]", "uses", "a table of whole numbers", &[("{ a = 1 }", "uses `a`, which has no limit"), ("{ a = 0 }", "at least 1")]),
    ("[[step]]", "timeout", LENGTH, NO_LENGTH),
    ("[[step]]", "retries", "a whole number or a table", &[("-1", "must be at least 0"), ("{}", "does not say how many"), ("{ count = -1 }", "`count` of `retries` must be at least 0"), ("{ count = 1, backoff = 0.5 }", "from 1 to 1000"), ("{ count = 1, jitter = 2 }", "from 0 to 1"), ("{ count = 1, jitter = 'x' }", "must be a number"), ("{ count = 1, delay = '5' }", "has no unit"), ("{ count = 1, dleay = '5s' }", "has no key `dleay`"), ("{ count = 1, delay = '5s', max = '1s' }", "is longer than `max`"), ("{ count = 1, delay = '5s' }\nretry_delay = '1s'", "says twice")]),
    ("[[step]]", "retry_delay", LENGTH, NO_LENGTH),
    ("[[step]]", "rounds", NUMBER, LESS_THAN_ONE),
    ("[[step]]", "cache", "true, false, \"runset\" or a length of time in quotes", &[("''", "is neither \"runset\" nor a length of time"), ("'x'", "is neither")]),
    ("[[step]]", "checkpoint", "true, false or a length of time in quotes", &[("''", "is not a length of time"), ("'x'", "is not a length of time"), ("'0s'", "is no time at all"), ("'5'", "has no unit")]),
    ("[[step]]", "executor_secrets", BOOL, &[]),
    ("[[step]]", "share", BOOL, &[]),
    ("[[step]]", "publish", "true, false or a path in quotes", &[("''", "names no file"), ("'/x'", "does not begin in the folder"), ("'../{name}'", "contains `.` or `..`"), ("'{nme}'", "is not one of"), ("'{name'", "has a brace")]),
    ("[[step]]", "warm", BOOL, &[]),
    ("[[step]]", "executor", TEXT, &[("'x'", "there is no executor")]),
    ("[[step]]", "sandbox", BOOL, &[("true\npure = false", "has a sandbox"), ("true\nwarm = true", "has a sandbox")]),
    ("[[step]]", "network", BOOL, &[("true", "is for steps in a sandbox")]),
    ("[[step]]", "gather", "true, false, \"name\" or a step's name", &[("''", "is neither \"name\" nor a step"), ("'x'", "is neither \"name\" nor a step"), ("'b'", "gathers what comes of its own tasks")]),
    ("[[step]]", "from", TEXTS, &[("['x']", "there is no step `x`"), ("['b']", "goes in a circle"), ("['']", "there is no step"), ("[1]", "an entry of")]),
    ("[[step]]", "with", TEXTS, &[("['x']", "there is no step `x`"), ("['a', 'a']", "twice"), ("['b']", "circle"), ("[1]", "an entry of")]),
    ("[[step]]", "each", BOOL, &[("true", "`each` needs exactly one step in `with`")]),
    ("[[step]]", "partial", BOOL, &[("true", "`partial` is for steps that gather")]),
    ("[[step]]", "empty", BOOL, &[("true", "`empty` is for steps that gather"), ("true\ngather = 'name'", "empty")]),
    ("[[input]]", "name", TEXT, &[("'x'", "names no column"), ("'{'", "a brace has no counterpart"), ("'{}'", "no column between the braces")]),
    ("[[input]]", "packages", TEXTS, &[("['a b']", "bad package"), ("[1]", "an entry of")]),
    ("[[input]]", "files", "a string or an array of strings", &[("''", "an empty pattern"), ("[]", "`files` is empty"), ("[1]", "an entry of")]),
    ("[[input]]", "rows", TEXT, &[("''", "is not a .csv, .tsv or .jsonl file"), ("'x'", "is not a .csv, .tsv or .jsonl file")]),
    ("[[input]]", "paths", TEXTS, &[("[]", "`paths` is empty"), ("['x', 'x']", "`paths` has `x` twice"), ("['']", "be named after this column"), ("[1]", "an entry of")]),
    ("[[input]]", "lines", TEXT, &[("''", "`lines` is empty"), ("' '", "`lines` is empty")]),
    ("[[input]]", "step", "a string or an array of strings", &[("''", "a step's name cannot be empty"), ("'x'", "there is no step `x`"), ("['a', 'a']", "names `a` twice"), ("[]", "`step` is empty"), ("[1]", "an entry of")]),
    ("[[input]]", "copy", BOOL, &[]),
    ("[[input]]", "empty", BOOL, &[]),
    ("[params.x]", "type", TEXT, &[("''", "there is no type"), ("'x'", "there is no type `x`")]),
    ("[params.x]", "default", NUMBER, &[]),
    ("[params.x]", "values", "an array", &[("[]", "`values` is empty"), ("['a']", "an entry of `values` must be a whole number")]),
    ("[params.x]", "min", NUMBER, &[("3\nmax = 2", "")]),
    ("[params.x]", "max", NUMBER, &[]),
    ("[params.x]", "help", TEXT, &[]),
    ("[params.x]", "volatile", BOOL, &[]),
];

/// A value of each kind, and what that is called.
const KINDS: &[(&str, &str)] = &[
    ("'x'", "a string"),
    ("1", "a whole number"),
    ("-1", "a whole number"),
    ("1.5", "a decimal number"),
    ("inf", "a decimal number"),
    ("true", "true or false"),
    ("[]", "an array"),
    ("[1, 'x']", "an array"),
    ("{}", "a table"),
    ("{ a = { b = 1 } }", "a table"),
    ("1979-05-27", "a date or time"),
    ("07:32:00", "a date or time"),
];

/// The kinds of which what must be so can be.
fn kinds(wanted: &str) -> &'static [&'static str] {
    match wanted {
        BOOL => &["true or false"],
        NUMBER => &["a whole number"],
        TEXT | LENGTH | "an amount in quotes" => &["a string"],
        TEXTS | "an array" => &["an array"],
        "a list of tables" => &["an array", "a table"],
        "a whole number or a table" => &["a whole number", "a table"],
        "one table" | "a table of strings" | "a table of whole numbers" => &["a table"],
        "a string or an array of strings" => &["a string", "an array"],
        _ => &["true or false", "a string"],
    }
}

/// The manifest with the key, and where in it the value is.
fn with(table: &str, key: &str, value: &str) -> (String, usize) {
    let step = |name: &str, more: &str| format!("[[step]]\nname = '{name}'\nscript = ':'\n{more}");
    let a = step("a", "start = true\n");
    let before = match table {
        "" => String::new(),
        "[nix]" | "[store]" | "[cache]" | "[publish]" => format!("{table}\n"),
        "[[step]]" if key == "name" => format!("{a}[[step]]\nscript = ':'\n"),
        "[[step]]" if key == "script" => format!("{a}[[step]]\nname = 'b'\n"),
        "[[step]]" => a.clone() + &step("b", ""),
        "[[input]]" => {
            let kind = match key {
                "files" | "rows" | "lines" => "",
                "name" | "paths" => "rows = 'x.csv'\n",
                "packages" => "lines = 'x'\n",
                _ => "files = 'x'\n",
            };
            let to = if key == "step" { "" } else { "step = 'a'\n" };
            format!("{a}[[input]]\n{kind}{to}")
        }
        _ if key == "type" => "[params.x]\n".to_owned(),
        _ => "[params.x]\ntype = 'int'\n".to_owned(),
    };
    let after = match table {
        "[[step]]" | "[[input]]" => "",
        "" if key == "step" => "",
        _ => &a,
    };
    let at = before.len() + key.len() + " = ".len();
    (format!("{before}{key} = {value}\n{after}"), at)
}

/// What is said of it: messages with places.
fn said(text: &str) -> Vec<(String, usize)> {
    let texts = Texts::new(std::path::Path::new("workflow.toml"), text);
    let wrong = Manifest::read(&texts).err().unwrap_or_default();
    let place = |span: Option<std::ops::Range<usize>>| span.map_or(0, |span| span.start);
    wrong.into_iter().map(|one| (one.message, place(one.span))).collect()
}

#[test]
fn of_the_wrong_kind() {
    let mut others = Vec::new();
    for (table, key, wanted, _) in KEYS {
        for (value, kind) in KINDS.iter().filter(|(_, kind)| !kinds(wanted).contains(kind)) {
            let (text, at) = with(table, key, value);
            let told = said(&text);
            let message = format!("`{key}` must be {wanted}, not {kind}");
            let line = |at: usize| text[..at].matches('\n').count();
            let is_there = |(one, place): &(String, usize)| *one == message && line(*place) == line(at);
            if !told.iter().any(is_there) {
                others.push(format!("{table} {key} = {value}: {told:?}"));
            }
        }
    }
    assert_eq!(others, [""; 0]);
}

#[test]
fn out_of_range() {
    let mut others = Vec::new();
    for (table, key, _, values) in KEYS {
        for (value, message) in *values {
            let (text, at) = with(table, key, value);
            let told = said(&text);
            let line = |at: usize| text[..at].matches('\n').count();
            let is_there = |(one, place): &(String, usize)| one.contains(message) && line(*place).abs_diff(line(at)) <= 1;
            if !told.iter().any(is_there) {
                others.push(format!("{table} {key} = {value} ({message}): {told:?}"));
            }
        }
    }
    assert_eq!(others, [""; 0]);
}

/// The table has every key of every table.
#[test]
fn of_every_key() {
    for place in [Place::Nix, Place::Store, Place::Cache, Place::Publish, Place::Step, Place::Input] {
        for field in Field::of(place) {
            let has = |(table, key, ..): &Key| *table == place.header() && *key == field.key();
            assert!(KEYS.iter().any(has), "{} {}", place.header(), field.key());
        }
    }
    for field in Field::of(Place::Defaults) {
        assert!(field.places().contains(&Place::Step), "{}", field.key());
    }
}

#[test]
fn what_is_quoted_of_a_string_that_is_not_closed_ends_with_a_character() {
    let text = "include = [\"parts[[se]= \"github:\u{feff}[[se]";
    let texts = Texts::new(std::path::Path::new("workflow.toml"), text);
    let found = super::super::includes(&texts, 0);
    assert!(!found.is_empty());
    for glob in found {
        assert!(text.get(glob.at.clone()).is_some(), "{:?}", glob.at);
    }
}
