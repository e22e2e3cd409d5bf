//! `[executors.NAME]`: who carries out the tasks of steps that name it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use toml::de::{DeTable, DeValue};

use super::Placed;
use super::amounts::NAME;
use super::read::Fields;
use super::srun;
use super::value::{Item, Reader, list};
use crate::manifest::diagnostic::Diagnostic;
use crate::model::executor::{Host, LOCAL, MOST, Named};
use crate::text::{quoted, suggest};

/// How workers elsewhere are started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Executor {
    /// By what.
    pub way: Way,
    /// How many there are at most.
    pub workers: Option<u32>,
    /// How much room each has for tasks.
    pub slots: Option<u32>,
    /// Where the program is on their machines.
    pub program: Option<String>,
    /// The URL of a cache of Nix that their machines reach: packages come from there.
    pub nix_cache: Option<String>,
}

/// By what workers are started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    /// A command that ends with another one, and carries its standard input and output.
    Start(Vec<String>),
    /// `ssh`, on each of these.
    Ssh(Vec<Host>),
    /// `srun`, with these options besides.
    Slurm(Vec<String>),
}

/// The keys of one.
const KEYS: [&str; 7] = [
    "start",
    "ssh",
    "slurm",
    "workers",
    "slots",
    "program",
    "nix_cache",
];

/// What one looks like.
const EXAMPLE: &str = "for instance [executors.lab] with ssh = [\"one\", \"two*8\"]";

/// Reads the table of all.
pub(super) fn read(reader: &mut Reader<'_>, item: &Item<'_>) -> BTreeMap<String, Executor> {
    let mut all = BTreeMap::new();
    let DeValue::Table(table) = item.get_ref() else {
        reader.wrong_type(
            "`executors`",
            "a table of tables",
            item,
            Some(EXAMPLE.to_owned()),
        );
        return all;
    };
    for (key, item) in table {
        let name = key.get_ref().as_ref();
        let what = format!("executor {}", quoted(name));
        let DeValue::Table(table) = item.get_ref() else {
            reader.wrong_type(&what, "a table", item, Some(EXAMPLE.to_owned()));
            continue;
        };
        if Named::parse(name) != Ok(Named::Other(name.to_owned())) {
            let message = format!("{what} cannot be called that");
            let hint = "an executor of that name always exists: choose another name";
            reader.error(Diagnostic::at(key.span(), message).hint(hint));
            continue;
        }
        // Of steps that name one with errors there is nothing to say besides.
        let executor = one(reader, &what, table, item).unwrap_or(Executor {
            way: Way::Slurm(Vec::new()),
            workers: None,
            slots: None,
            program: None,
            nix_cache: None,
        });
        all.insert(name.to_owned(), executor);
    }
    all
}

fn one(
    reader: &mut Reader<'_>,
    what: &str,
    table: &DeTable<'_>,
    whole: &Item<'_>,
) -> Option<Executor> {
    let mut ways = Vec::new();
    let (mut workers, mut slots, mut program, mut nix_cache) = (None, None, None, None);
    let (mut wrong, mut named) = (false, None);
    for (key, item) in table {
        let name = key.get_ref().as_ref();
        let quoted = format!("`{name}`");
        let before = reader.count_errors();
        match name {
            "start" => {
                let words = words(reader, &quoted, item);
                let program = words
                    .as_ref()
                    .map(|words| words.first().map_or("", |word| word.trim()));
                if program == Some("") {
                    let error = Diagnostic::at(item.span(), "`start` names no program to start");
                    let hint = "for instance [\"kubectl\", \"exec\", \"-i\", \"worker-0\", \"--\"]";
                    reader.error(error.hint(hint));
                }
                ways.extend(words.map(Way::Start));
            }
            "slurm" => {
                let words = words(reader, &quoted, item);
                if let Some(words) = &words {
                    check_srun(reader, words, item);
                }
                ways.extend(words.map(Way::Slurm));
            }
            "ssh" => ways.extend(hosts(reader, &quoted, item).map(Way::Ssh)),
            "workers" => workers = some(reader, &quoted, item),
            "slots" => slots = some(reader, &quoted, item),
            "program" => {
                program = reader.string(&quoted, item);
                named = program.clone().map(|path| (path, item.span()));
                if program.as_ref().is_some_and(|path| path.trim().is_empty()) {
                    let error = Diagnostic::at(item.span(), "`program` is empty");
                    let hint = "it is the path of task-pipeline on these machines; without it, the path that it has \
                    here is tried there, and then PATH";
                    reader.error(error.hint(hint));
                }
            }
            "nix_cache" => {
                nix_cache = reader.string(&quoted, item);
                if nix_cache.as_ref().is_some_and(|url| !is_url(url)) {
                    let error = Diagnostic::at(item.span(), "`nix_cache` is not a URL");
                    let hint =
                        "for instance \"https://cache.example.org\" or \"file:///shared/cache\"";
                    reader.error(error.hint(hint));
                }
            }
            other => {
                let message = format!("{what} has no key `{other}`");
                let hint = match suggest::closest(other, KEYS) {
                    Some(close) => format!("did you mean `{close}`?"),
                    None => format!("it can have {}", KEYS.join(", ")),
                };
                reader.error(Diagnostic::at(key.span(), message).hint(hint));
            }
        }
        wrong |= reader.count_errors() > before;
    }
    if wrong {
        return None;
    }
    let [way] = <[Way; 1]>::try_from(ways)
        .map_err(|ways| {
            let message = match ways.len() {
                0 => format!("{what} does not say how to start workers"),
                _ => format!("{what} says twice how to start workers"),
            };
            let hint = "use one of `ssh`, `slurm` and `start`";
            reader.error(Diagnostic::at(whole.span(), message).hint(hint));
        })
        .ok()?;
    // From where it would be looked for is known to nobody: in a container, it is that one's folder.
    let is_start = matches!(way, Way::Start(_));
    if let Some((path, at)) = &named
        && (path.starts_with('~') || is_start && path.contains('/') && !path.starts_with('/'))
    {
        let message = format!("`program` of {what} is not an absolute path");
        let hint = "begin it with `/`, because workers start in a folder of their own; a name without `/` is looked \
        up in PATH there";
        reader.error(Diagnostic::at(at.clone(), message).hint(hint));
        return None;
    }
    Some(Executor {
        way,
        workers,
        slots,
        program,
        nix_cache,
    })
}

/// How many there are of something.
fn some(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Option<u32> {
    let number = reader.count(what, 1, item)?;
    if number > MOST {
        let message = format!("{what} must be at most {MOST}");
        reader.error(Diagnostic::at(item.span(), message));
    }
    Some(number)
}

/// Whether Nix takes it for the place of a store, and a shell or a program for nothing else.
fn is_url(text: &str) -> bool {
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(is_of_scheme)
        && !rest.is_empty()
        && !rest.contains(|c: char| c.is_whitespace() || c.is_control())
}

fn words(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Option<Vec<String>> {
    list(reader, what, item, |reader, what, item| {
        reader.string(what, item)
    })
}

/// Complains of an option under which no worker would be heard of. `item`: where they stand.
fn check_srun(reader: &mut Reader<'_>, options: &[String], item: &Item<'_>) {
    let Some(bad) = srun::look(options) else {
        return;
    };
    let items = item.get_ref().as_array();
    let one = items.and_then(|items| items.get(bad.at));
    let at = one.map(|one| reader.inside(one));
    let message = format!("in `slurm`, {} {}", quoted(&options[bad.at]), bad.why);
    reader.error(Diagnostic::at(at.unwrap_or_else(|| item.span()), message).hint(bad.instead));
}

fn hosts(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Option<Vec<Host>> {
    let hosts = list(reader, what, item, |reader, what, item| {
        let text = reader.string(what, item)?;
        match Named::parse(&format!("ssh:{text}")) {
            Ok(Named::Ssh(hosts)) if !text.contains(',') => hosts.into_iter().next(),
            _ => {
                let error = Diagnostic::at(
                    reader.inside(item),
                    format!("{} is not a host", quoted(&text)),
                );
                reader.error(
                    error.hint("for instance \"node1\", or \"me@node1*8\" for eight tasks at once"),
                );
                None
            }
        }
    })?;
    if hosts.is_empty() {
        let error = Diagnostic::at(item.span(), "`ssh` names no host");
        reader.error(error.hint("for instance [\"node1\", \"node2*8\"]"));
        return None;
    }
    Some(hosts)
}

/// Complains of a step whose executor there is none.
pub(super) fn check(
    reader: &mut Reader<'_>,
    fields: &Fields,
    executors: &BTreeMap<String, Executor>,
) {
    let Some(Placed { value: name, at }) = &fields.executor else {
        return;
    };
    if name == LOCAL || executors.contains_key(name) {
        return;
    }
    let message = format!("there is no executor {}", quoted(name));
    let known = executors.keys().map(String::as_str).chain([LOCAL]);
    let close = suggest::closest(name, known);
    let hint = match (Named::parse(name), close) {
        (Ok(Named::Slurm), _) => "a step names one of [executors]: for instance `slurm = []` in [executors.cluster], and \"cluster\" here; \
                                  `-executor slurm` sends all steps to Slurm"
            .to_owned(),
        (Ok(Named::Ssh(_)), _) => "a step names one of [executors]: for instance `ssh = [\"HOST\"]` in [executors.lab], and \"lab\" here; \
                                   `-executor ssh:HOST` sends all steps there"
            .to_owned(),
        (Ok(Named::Child { .. }), _) => "a step names one of [executors]; `-executor child:N` is for all steps".to_owned(),
        (_, Some(close)) => format!("did you mean `{close}`?"),
        (Ok(Named::Local | Named::Other(_)) | Err(_), None) => {
            format!("add [executors.{name}], or say \"local\" for this machine")
        }
    };
    reader.error(Diagnostic::at(at.clone(), message).hint(hint));
}

/// The schema of the table of all.
pub(super) fn schema() -> Value {
    let words = |description: &str, least: u32| {
        json!({
            "description": description,
            "type": "array",
            "items": { "type": "string" },
            "minItems": least,
        })
    };
    let count = |description: &str| json!({ "description": description, "type": "integer", "minimum": 1, "maximum": MOST });
    let way = |key: &str| json!({ "required": [key] });
    json!({
        "description": "Where tasks of steps run on other machines, by name.",
        "type": "object",
        "propertyNames": { "pattern": NAME, "not": { "enum": ["local", "slurm", "child", "ssh"] } },
        "additionalProperties": {
            "type": "object",
            "properties": {
                "start": words("A command that starts another one, which is added at its end, and carries its standard input and output.", 1),
                "ssh": {
                    "description": "Machines to reach by ssh, each with *N for N tasks at once.",
                    "type": "array",
                    "items": { "type": "string", "pattern": r"^[^-\s,*][^\s,*]*(\*[0-9]+)?$" },
                    "minItems": 1,
                },
                "slurm": words("More options for srun, which finds the machines.", 0),
                "workers": count("The most workers at once."),
                "slots": count("How many tasks, or CPUs of tasks, each worker runs at once."),
                "program": { "description": "Where task-pipeline is on these machines.", "type": "string", "minLength": 1 },
                "nix_cache": { "description": "The URL of a Nix cache from which these machines copy packages that they lack.", "type": "string", "pattern": r"^[A-Za-z][A-Za-z0-9+.-]*://\S+$" },
            },
            "oneOf": [way("start"), way("ssh"), way("slurm")],
            "additionalProperties": false,
        },
    })
}
