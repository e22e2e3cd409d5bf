//! `graph`: the steps and what goes from one to the other.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::error::Failure;
use super::options::Places;
use super::select::unknown_runset;
use super::{output, select};
use crate::manifest::Manifest;
use crate::out;
use crate::overview;
use crate::prepare::Source;
use crate::state::{self, Reader, Runset};
use crate::text::Shown as _;
use crate::text::amount::count;
use crate::view::graph::{MOST, is_too_large};

use crate::view::page;

/// Options of `graph`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The format: lines of text, a picture, or a language that pictures are made from
    #[arg(long, value_enum, value_name = "FORMAT", conflicts_with = "form")]
    pub format: Option<Format>,
    /// The same as -format
    #[arg(value_enum, value_name = "FORMAT")]
    pub form: Option<Format>,
    /// Show each step by itself, even if there are so many that they would be shown in groups
    #[arg(long)]
    pub whole: bool,
    /// The runset whose tasks are counted, or `all` of them; default: the newest
    #[arg(long, value_name = "NAME")]
    pub runset: Option<String>,
}

/// The form of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Lines for a terminal.
    Text,
    /// For Graphviz.
    Dot,
    /// For Markdown on GitHub and GitLab.
    Mermaid,
    /// A picture.
    Svg,
}

/// Prints the graph in the form asked for.
pub(super) fn main(places: &Places, arguments: &Options) -> Result<ExitCode, Failure> {
    let manifest = manifest(places)?;
    let state = match Reader::open(&places.db) {
        Ok(state) => Some(state),
        // What the manifest says can be shown before anything ran.
        Err(state::Error::Absent(_)) if manifest.is_some() => None,
        Err(error) => return Err(error.into()),
    };
    let runset = match &state {
        Some(state) => selected(state, arguments.runset.as_deref())?,
        None => match arguments.runset.as_deref() {
            None | Some(select::ALL) => Selection::All,
            Some(_) => return Err(state::Error::Absent(places.db.clone()).into()),
        },
    };
    let mut graph = overview::graph(state.as_ref(), runset.one(), manifest.as_ref())?;
    let mut title = match (&runset, &state) {
        (Selection::One(runset), _) => format!("runset {}", runset.name),
        (Selection::All, Some(_)) => "all runsets".to_owned(),
        _ => "nothing has run yet".to_owned(),
    };
    if !arguments.whole
        && let Some(grouped) = graph.grouped(MOST)
    {
        let _ = write!(
            title,
            "; {} (-whole: each)",
            page::in_groups(graph.steps(), &grouped.graph)
        );
        graph = grouped.graph;
    }
    let format = arguments.format.or(arguments.form).unwrap_or(Format::Text);
    if format == Format::Svg && is_too_large(&graph) {
        let words = format!(
            "{} are too many, and go too far, for one picture",
            count(graph.steps(), "step")
        );
        return Err(Failure::usage(words)
            .hint("leave out -whole to have them in groups, or draw `-format dot` with Graphviz"));
    }
    match format {
        Format::Text => output::print(&page::text(&graph, &title)),
        Format::Dot => output::print_as_it_is(&page::dot(&graph, &title)),
        Format::Mermaid => output::print_as_it_is(&page::mermaid(&graph, &title)),
        Format::Svg => output::print_as_it_is(&page::standalone(&graph, &title)),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// The runsets that are meant.
#[derive(Debug)]
pub(super) enum Selection {
    /// Every one.
    All,
    /// This one.
    One(Runset),
    /// The newest, but there is none.
    None,
}

impl Selection {
    /// The one to keep to, if it is one.
    pub(super) fn one(&self) -> Option<&Runset> {
        match self {
            Self::One(runset) => Some(runset),
            Self::All | Self::None => None,
        }
    }
}

/// The runset called `name`, `all` for every one, or the newest.
pub(super) fn selected(state: &Reader, name: Option<&str>) -> Result<Selection, Failure> {
    let name = match name {
        Some(select::ALL) => return Ok(Selection::All),
        Some(name) => name,
        None => {
            return Ok(state
                .newest_runset()?
                .map_or(Selection::None, Selection::One));
        }
    };
    if let Some(found) = state.runset(name)? {
        return Ok(Selection::One(found));
    }
    Err(unknown_runset(state, name)?)
}

/// The manifest if one was named, or if `./workflow.toml` is there and right.
pub(super) fn manifest(places: &Places) -> Result<Option<Manifest>, Failure> {
    Ok(source(places)?.map(|source| source.manifest))
}

/// The same, with where it is.
pub(super) fn source(places: &Places) -> Result<Option<Source>, Failure> {
    let Ok(path) = places.manifest() else {
        return Ok(None);
    };
    match Source::load(&path) {
        Ok(source) => Ok(Some(source)),
        Err(error) if places.manifest.is_some() => Err(error.into()),
        Err(_) => {
            let words = format!(
                "warning: {} has errors, so that only what is recorded is shown\n\
                 hint: task-pipeline check\n",
                path.shown()
            );
            out::tell(&words);
            Ok(None)
        }
    }
}
