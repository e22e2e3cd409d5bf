//! `cat`: the bytes of an object. A terminal gets them as text: who made them is not who reads them.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use clap::Args;

use super::error::Failure;
use super::evicted;
use super::options::Places;
use super::reference::{BadReference, Reference};
use super::select::{self, Named};
use crate::exec::local::Given;
use crate::model::digest::Digest;
use crate::model::list::Form;
use crate::model::tree::{Entry, Kind};
use crate::out;
use crate::state::{Reader, TaskRow};
use crate::store;
use crate::text::suggest;
use crate::text::{Shown as _, quoted, visible};

/// Options of `cat`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// An object by the start of its hash (four or more digits); what a task left, by the number of the task; or a
    /// final output of the newest runset by its name
    #[arg(value_name = "OUTPUT|HASH|TASK")]
    what: String,
    /// If a task left several files, or its input consists of several, the name of one; in a folder, its path
    name: Option<String>,
    /// The input of the task, instead of what it left
    #[arg(long)]
    input: bool,
}

/// Writes them to standard output.
pub(super) fn main(places: &Places, options: &Options) -> Result<ExitCode, Failure> {
    let state = Reader::open(&places.db)?;
    let store = select::store(&state)?;
    let name = options.name.as_deref();
    let named = named(&state, &options.what)?;
    // Of what is in a folder no row says who left it.
    let left_by = match &named {
        Named::Object(_) => None,
        Named::Task(row) if options.input || row.step.is_none() => row.parent,
        Named::Task(row) => Some(row.id),
    };
    let object = match named {
        Named::Object(object) => object,
        Named::Task(row) if options.input => given(&store, &row, name)?,
        Named::Task(row) if row.step.is_none() => match name {
            Some(path) if row.form == Form::Folder => inside(&store, &row.object, path)?,
            Some(_) | None => row.object,
        },
        Named::Task(row) => left(&state, &store, &row, name)?,
    };
    let mut out = out::Data::begin();
    write(&store, &object, &mut out)
        .map_err(|failure| evicted::told(&places.db, failure, left_by))?;
    out.end().map_err(|error| Failure::output(&error))?;
    Ok(ExitCode::SUCCESS)
}

/// What the word names: also a final output, where it can be neither of the others.
fn named(state: &Reader, word: &str) -> Result<Named, Failure> {
    let reference = Reference::parse(word);
    if reference.is_ok() {
        return select::named(state, word);
    }
    let newest = state.newest_runset()?;
    let finals = state.finals_called(word, newest.as_ref())?;
    match finals.as_slice() {
        [] if matches!(reference, Err(BadReference::Short(_))) => select::named(state, word),
        [] => {
            let names = state.final_names(newest.as_ref())?;
            let failure = Failure::usage(format!(
                "{} is no number of a task, no start of a hash and no final output",
                quoted(word)
            ));
            let names = names.iter().map(String::as_str);
            Err(match suggest::closest(word, names) {
                Some(near) => failure.hint(format!("did you mean `{}`?", visible(near))),
                None => failure.hint("`tasks` lists the tasks; `cat TASK` shows what one left"),
            })
        }
        [first, others @ ..] if others.iter().all(|one| one.object == first.object) => {
            Ok(Named::Task(Box::new(first.clone())))
        }
        [first, others @ ..] => Err(Failure::usage(format!(
            "{} final outputs are called {}, and they differ",
            others.len() + 1,
            quoted(word)
        ))
        .hint(format!(
            "name one by its number: the newest is `cat {}`",
            first.id
        ))),
    }
}

/// The object that a task works on, or one of its files.
fn given(store: &store::Reader, row: &TaskRow, name: Option<&str>) -> Result<Digest, Failure> {
    let given = Given::of(store, &row.object, row.form)?;
    let Some(wanted) = name else {
        return Ok(given.main);
    };
    if given.folder {
        return inside(store, &given.main, wanted);
    }
    if let Some((folder, path)) = wanted.split_once('/')
        && let Some(folder) = given.files.iter().find(|file| is_folder(file, folder))
    {
        return inside(store, &folder.digest, path);
    }
    if let Some(file) = given.files.iter().find(|file| &*file.name == wanted) {
        return Ok(file.digest);
    }
    let failure = Failure::usage(format!(
        "the input of task #{} has no file called `{}`",
        row.id,
        visible(wanted)
    ));
    let names = given.files.iter().map(|file| &*file.name);
    Err(match suggest::closest(wanted, names) {
        Some(near) => failure.hint(format!("did you mean `{}`?", visible(near))),
        None => failure.hint("`cat -input` without a name shows the input"),
    })
}

fn is_folder(entry: &Entry, name: &str) -> bool {
    entry.kind == Kind::Folder && &*entry.name == name
}

/// The object of that path in a folder.
fn inside(store: &store::Reader, folder: &Digest, path: &str) -> Result<Digest, Failure> {
    let wanted = path.trim_end_matches('/');
    let mut names = Vec::new();
    for entry in store.tree(folder)? {
        let entry = entry?;
        if &*entry.name == wanted && entry.kind != Kind::Folder {
            return Ok(entry.digest);
        }
        if names.len() < NEAR {
            names.push(entry.name);
        }
    }
    let failure = Failure::usage(format!("the folder has no file `{}`", visible(wanted)));
    let names = names.iter().map(|name| &**name);
    Err(match suggest::closest(wanted, names) {
        Some(near) => failure.hint(format!("did you mean `{}`?", visible(near))),
        None => failure.hint("without a path, `cat` shows the list of what is in it"),
    })
}

/// Paths in a folder that are compared with one that is not there.
const NEAR: usize = 10_000;

/// The object that a task left.
fn left(
    state: &Reader,
    store: &store::Reader,
    row: &TaskRow,
    name: Option<&str>,
) -> Result<Digest, Failure> {
    /// Of many outputs, how many are named.
    const SHOWN: usize = 8;
    let mut outputs = Vec::new();
    state.each_output(row.id, |name, object, form| {
        let name = name.map_or_else(String::new, |name| name.to_string());
        outputs.push((name, object, form));
    })?;
    if let Some(wanted) = name {
        let called = |wanted: &str| outputs.iter().find(|(name, ..)| name == wanted);
        if let Some((_, object, _)) = called(wanted) {
            return Ok(*object);
        }
        if let Some((folder, path)) = wanted.split_once('/')
            && let Some((_, folder, Form::Folder)) = called(folder)
        {
            return inside(store, folder, path);
        }
        if let [(_, folder, Form::Folder)] = outputs.as_slice() {
            return inside(store, folder, wanted);
        }
        let failure = Failure::usage(format!(
            "task #{} left no output called `{}`",
            row.id,
            visible(wanted)
        ));
        let names = outputs.iter().map(|(name, ..)| name.as_str());
        return Err(match suggest::closest(wanted, names) {
            Some(near) => failure.hint(format!("did you mean `{}`?", visible(near))),
            None => failure.hint(format!("`trace {}` shows what it left", row.id)),
        });
    }
    match outputs.as_slice() {
        [(_, object, _)] => Ok(*object),
        [] => Err(Failure::usage(format!("task #{} left no output", row.id))
            .hint("`log` shows what it wrote to its standard output, `cat -input` its input")),
        several => {
            let mut names: Vec<String> = several
                .iter()
                .take(SHOWN)
                .map(|(name, ..)| visible(name))
                .collect();
            if several.len() > SHOWN {
                names.push("…".to_owned());
            }
            Err(Failure::usage(format!(
                "task #{} left {} outputs: {}",
                row.id,
                several.len(),
                names.join(", ")
            ))
            .hint(format!("name one: cat {} NAME", row.id)))
        }
    }
}

/// Copies an object, checked against its hash first, to `out`.
pub(super) fn write(
    store: &store::Reader,
    object: &Digest,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if *object == Digest::EMPTY && !store.contains(object) {
        // The input of start tasks, which nobody stored.
        return Ok(());
    }
    let mut file = store.open_verified(object)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return out.flush().map_err(|error| Failure::output(&error)),
            Ok(length) => out
                .write_all(&buffer[..length])
                .map_err(|error| Failure::output(&error))?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(Failure::usage(format!(
                    "cannot read {}: {error}",
                    store.path(object).shown()
                )));
            }
        }
    }
}
