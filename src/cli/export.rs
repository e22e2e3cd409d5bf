//! `export`: outputs as files, or as one tar.

use crate::text::amount;
use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::error::Failure;
use super::options::{Output, Places};
use super::select::{self, InRunset};
use super::{caveats, covered, output, own, signals};
use crate::engine::key_of;
use crate::export::{self, Error, Exported, Wanted};
use crate::model::name::StepName;
use crate::model::route::Router;
use crate::out::{self, Stream};
use crate::prepare::Source;
use crate::state::{Left, Reader, Selection};
use crate::text::suggest;
use crate::text::typed::value_for_shell;
use crate::text::{Shown as _, visible};

/// Options of `export`.
#[derive(Debug, Args)]
#[command(
    after_help = "Files have the names under which the tasks left them. If outputs with the same name differ,\n\
    the key of the task is added before the extension: result-sample1.txt; if that does not tell\n\
    them apart, the start of the hash. Outputs that are equal in name and bytes become one file."
)]
pub(crate) struct Options {
    /// Only final outputs with these names; or steps, for everything that their tasks left
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// The folder; without it, or with `-`, a tar goes to standard output
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    to: Option<PathBuf>,
    /// Replace files and folders that have the same names, folders with everything in them
    #[arg(long, requires = "to")]
    force: bool,
    #[command(flatten)]
    runset: InRunset,
}

/// Writes them; with a folder, says how many.
pub(crate) fn main(
    places: &Places,
    options: &Options,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let own = own::own(places);
    if let Some(to) = options
        .to
        .as_deref()
        .filter(|to| !own::is_standard_output(to))
    {
        own::check_folder(&own, to, "-to DIR")?;
    }
    let state = Reader::open(&places.db)?;
    let selection = selection(&state, options)?;
    if let Some(runset) = &selection.runset {
        for line in caveats::of(places, &state, runset)? {
            out::tell(&format!("warning: {line}\n"));
        }
    }
    let store = select::store(&state)?;
    let outputs = state.outputs(&selection)?;
    let results = outputs.len();
    let outputs = named(places, &state, &outputs)?;
    if let Some(to) = options
        .to
        .as_deref()
        .filter(|to| !own::is_standard_output(to))
    {
        covered::check(places, &store, &outputs, to)?;
    }
    let to = options
        .to
        .as_deref()
        .filter(|to| !own::is_standard_output(to));
    let Some(to) = to else {
        if Stream::Out.is_terminal() {
            return Err(Failure::usage("a tar is not for a terminal").hint(
                "name a folder with -to, or pass the tar on: export | tar -xC DIR, export >FILE.tar",
            ));
        }
        let mut out = BufWriter::new(out::Data::raw());
        export::archive(&store, &outputs, &mut out)?;
        out.flush().map_err(|error| Failure::output(&error))?;
        return Ok(ExitCode::SUCCESS);
    };
    let inbox = signals::end_at_once()?;
    let exported = export::export(&store, &outputs, to, options.force, &own)
        .map_err(|error| Failure::from(error).or_signal(inbox.signal()))?;
    let Exported {
        count,
        folders,
        gone,
        others,
    } = exported;
    if let Some(first) = gone.first() {
        out::tell(&format!(
            "warning: {} went with the folders that were replaced, as the new ones do not have {}: {}{}\n",
            amount::count(gone.len(), "file"),
            if gone.len() == 1 { "it" } else { "them" },
            visible(first),
            if gone.len() == 1 { "" } else { ", …" },
        ));
    }
    if let (true, Some(first)) = (options.names.is_empty(), others.first()) {
        out::tell(&format!(
            "warning: {} has {} that {} none of these: {}{}\n",
            to.shown(),
            amount::count(others.len(), "other file"),
            if others.len() == 1 { "is" } else { "are" },
            visible(first),
            if others.len() == 1 { "" } else { ", …" },
        ));
    }
    if !output.quiet {
        let words = match (count, folders) {
            (_, 0) => amount::count(count, "file"),
            (0, _) => amount::count(folders, "folder"),
            _ => format!(
                "{}, {}",
                amount::count(count, "file"),
                amount::count(folders, "folder")
            ),
        };
        // Those of other runsets are often the same.
        let equal = results - outputs.len();
        let equal = match &selection.runset {
            Some(_) if equal > 0 => {
                format!(", of {results} results: what is equal in name and bytes is one")
            }
            _ => String::new(),
        };
        output::print(&format!("{}: {words}{equal}\n", to.shown()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What each output is to be called; by the steps that there were if the manifest is not right.
fn named(
    places: &Places,
    state: &Reader,
    outputs: &[Left],
) -> Result<BTreeMap<String, Wanted>, Failure> {
    let source = places.manifest().ok();
    let router = match source.and_then(|path| Source::load(&path).ok()) {
        Some(source) => source.router,
        None => Router::new(state.step_names()?),
    };
    let key = |output: &Left| match &output.maker {
        Some((task, ..)) => Ok(key_of(state, &router, *task)?),
        None => Ok(String::new()),
    };
    Ok(export::named(outputs, key)?)
}

/// Each name is that of a final output or else of a step.
fn selection(state: &Reader, options: &Options) -> Result<Selection, Failure> {
    let mut selection = Selection {
        runset: options.runset.find(state)?,
        ..Selection::default()
    };
    let steps = state.step_names()?;
    for name in &options.names {
        let finals = state.finals_called(name, selection.runset.as_ref())?;
        if !finals.is_empty() {
            selection.names.push(name.clone());
        } else if steps.iter().any(|step| **step == *name) {
            selection.steps.push(name.clone());
        } else {
            return Err(unknown(state, &selection, &steps, name)?);
        }
    }
    Ok(selection)
}

fn unknown(
    state: &Reader,
    selection: &Selection,
    steps: &[StepName],
    name: &str,
) -> Result<Failure, Failure> {
    let mut known: Vec<String> = steps.iter().map(ToString::to_string).collect();
    known.extend(state.final_names(selection.runset.as_ref())?);
    let place = match &selection.runset {
        Some(runset) => format!("of runset {}", visible(&runset.name)),
        None => "of any runset".to_owned(),
    };
    let failure = Failure::usage(format!(
        "`{}` is neither a final output {place} nor a step",
        visible(name)
    ));
    Ok(
        match suggest::closest(name, known.iter().map(String::as_str)) {
            Some(near) => failure.hint(format!("did you mean `{}`?", visible(near))),
            None => failure.hint(format!(
                "`export -to{}` writes all final outputs into that folder",
                value_for_shell(if name.is_empty() { "DIR" } else { name }, "DIR")
            )),
        },
    )
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::State(error) => error.into(),
            Error::Store(error) => error.into(),
            Error::Archive(error) => Self::output(&error),
            Error::NotAFolder(_) => Self::usage(&error).hint("name a folder with -to"),
            Error::Taken(_) => Self::usage(&error)
                .hint("nothing was written; name another folder, or overwrite with -force"),
            Error::Own { .. } => Self::usage(&error).hint("nothing was written; name another folder"),
            Error::Twice(_) => Self::usage(&error)
                .hint("nothing was written; name the outputs that are wanted, some at a time"),
            Error::Folder(_) => {
                Self::usage(&error).hint("nothing was written; name another folder")
            }
            Error::Io { ref source, .. } if source.kind() == io::ErrorKind::InvalidFilename => {
                Self::usage(&error).hint(
                    "nothing was written; no file can have that name here: `cat` writes what is in it to \
                     standard output",
                )
            }
            Error::Io { ref source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Self::usage(&error).hint("name a folder with -to that you can write to")
            }
            Error::Io { ref source, .. } => Self::usage(&error).hint_at(source),
        }
    }
}
