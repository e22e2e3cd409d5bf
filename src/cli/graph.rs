//! `graph`: the steps and what goes from one to the other.

use std::fmt::Write as _;
use std::process::ExitCode;

use super::arguments::{Graph, GraphFormat, Places};
use super::chosen::unknown_runset;
use super::error::Failure;
use super::run;
use crate::core::graph::MOST;
use crate::core::manifest::Manifest;
use crate::core::text::Shown as _;
use crate::out;
use crate::overview;
use crate::page;
use crate::pipeline::Source;
use crate::state::{self, Runset, State};

/// Prints the graph in the form asked for.
pub fn main(places: &Places, arguments: &Graph) -> Result<ExitCode, Failure> {
    let manifest = manifest(places)?;
    let state = match State::open_for_reading(&places.db) {
        Ok(state) => Some(state),
        // What the manifest says can be shown before anything ran.
        Err(state::Error::Absent(_)) if manifest.is_some() => None,
        Err(error) => return Err(error.into()),
    };
    let runset = match &state {
        Some(state) => chosen(state, arguments.runset.as_deref())?,
        None => match arguments.runset.as_deref() {
            None | Some(run::ALL) => Chosen::All,
            Some(_) => return Err(state::Error::Absent(places.db.clone()).into()),
        },
    };
    let mut graph = overview::graph(state.as_ref(), runset.one(), manifest.as_ref())?;
    let mut title = match (&runset, &state) {
        (Chosen::One(runset), _) => format!("runset {}", runset.name),
        (Chosen::All, Some(_)) => "all runsets".to_owned(),
        _ => "nothing ran yet".to_owned(),
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
    match arguments.format {
        GraphFormat::Text => run::print(&page::text(&graph, &title)),
        GraphFormat::Dot => run::print_as_it_is(&page::dot(&graph, &title)),
        GraphFormat::Mermaid => run::print_as_it_is(&page::mermaid(&graph, &title)),
        GraphFormat::Svg => run::print_as_it_is(&page::standalone(&graph, &title)),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// The runsets that are meant.
#[derive(Debug)]
pub enum Chosen {
    /// Every one.
    All,
    /// This one.
    One(Runset),
    /// The newest, but there is none.
    None,
}

impl Chosen {
    /// The one to keep to, if it is one.
    pub fn one(&self) -> Option<&Runset> {
        match self {
            Self::One(runset) => Some(runset),
            Self::All | Self::None => None,
        }
    }
}

/// The runset called `name`, `all` for every one, or the newest.
pub fn chosen(state: &State, name: Option<&str>) -> Result<Chosen, Failure> {
    let name = match name {
        Some(run::ALL) => return Ok(Chosen::All),
        Some(name) => name,
        None => return Ok(state.newest_runset()?.map_or(Chosen::None, Chosen::One)),
    };
    if let Some(found) = state.runset(name)? {
        return Ok(Chosen::One(found));
    }
    Err(unknown_runset(state, name)?)
}

/// The manifest if one was named, or if `./workflow.toml` is there and right.
pub fn manifest(places: &Places) -> Result<Option<Manifest>, Failure> {
    Ok(source(places)?.map(|source| source.manifest))
}

/// The same, with where it is.
pub fn source(places: &Places) -> Result<Option<Source>, Failure> {
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
