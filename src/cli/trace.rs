//! `trace`: where something comes from, and what came of it.

mod given;
mod show;
mod tree;

use std::collections::HashSet;
use std::process::ExitCode;

use clap::Args;

use self::tree::Tracer;
use super::error::Failure;
use super::options::Places;
use super::select::{self, InRunset, Named};
use super::{columns, output};
use crate::cli::reference::Reference;
use crate::model::task::TaskId;
use crate::out;
use crate::state::{Reader, Runset, TaskRow};
use crate::text::suggest;
use crate::text::visible;
use crate::text::width::cut;
use crate::view::lineage::draw;

/// Options of `trace`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// A final output by its name, an object by the start of its hash (four or more digits), or a task by its
    /// number
    #[arg(value_name = "OUTPUT|HASH|TASK")]
    what: String,
    #[command(flatten)]
    runset: InRunset,
    /// One JSON object instead of a tree
    #[arg(long)]
    json: bool,
}

/// Of many places where an object was, how many are traced.
const MOST: u32 = 20;
/// Prints it.
pub(super) fn main(places: &Places, options: &Options) -> Result<ExitCode, Failure> {
    let state = Reader::open(&places.db)?;
    let mut rows = rows(&state, options)?;
    let more = rows.len() > MOST as usize;
    rows.truncate(MOST as usize);
    let mut tracer = Tracer::new(places, &state)?;
    let mut nodes = Vec::new();
    // The oldest first: what comes of it, others that are asked about too, is in its tree.
    let mut shown = HashSet::new();
    for row in rows.iter().rev() {
        if shown.contains(&row.id) {
            continue;
        }
        let from = nodes.len();
        tracer.add(row, &mut nodes)?;
        shown.extend(nodes[from..].iter().map(|node| node.row.id));
    }
    let asked: HashSet<TaskId> = rows.iter().map(|row| row.id).collect();
    for node in &mut nodes {
        node.asked = asked.contains(&node.row.id);
    }
    if options.json {
        output::print_json(format!("{:#}\n", tracer.to_json(&nodes)))?;
    } else {
        let width = columns::width();
        let text = draw(&tracer.lines(&nodes));
        let text: String = text
            .lines()
            .map(|line| match width {
                Some(width) => cut(line, width) + "\n",
                None => format!("{line}\n"),
            })
            .collect();
        output::print(&text)?;
    }
    if more {
        out::tell(&format!(
            "only the newest {MOST} are shown; name a task to see another\n"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// What is asked about, newest first; one more than is shown if there are more.
fn rows(state: &Reader, options: &Options) -> Result<Vec<TaskRow>, Failure> {
    let word = &options.what;
    let runset = options.runset.find(state)?;
    let finals = state.finals_called(word, runset.as_ref())?;
    if !finals.is_empty() {
        return Ok(finals);
    }
    match select::named(state, word) {
        Ok(Named::Task(row)) => Ok(vec![*row]),
        Ok(Named::Object(object)) => {
            let mut rows = state.rows_of(&object, MOST + 1)?;
            if let Some(runset) = &runset
                && rows.iter().any(|row| row.runset == runset.name)
            {
                rows.retain(|row| row.runset == runset.name);
            }
            // Its pairs are there too.
            let paired: HashSet<TaskId> = rows.iter().filter_map(|row| row.pair_of).collect();
            rows.retain(|row| !paired.contains(&row.id));
            if rows.is_empty() {
                return Err(Failure::usage(format!(
                    "no live task has object {object} for its input or its output"
                ))
                .hint("`cat` shows the object; it is what a task wrote, or superseded"));
            }
            Ok(rows)
        }
        Err(failure) => match Reference::parse(word) {
            Ok(_) => Err(failure),
            Err(_) => Err(unknown(state, word, runset.as_ref())?),
        },
    }
}

/// The word is a final output's name by its look, but there is none.
fn unknown(state: &Reader, name: &str, runset: Option<&Runset>) -> Result<Failure, Failure> {
    let known = state.final_names(runset)?;
    let failure = Failure::usage(format!("there is no final output `{}`", visible(name)));
    Ok(
        match suggest::closest(name, known.iter().map(String::as_str)) {
            Some(near) => failure.hint(format!("did you mean `{}`?", visible(near))),
            None => failure.hint(
                "name a final output, a task by its number, or an object by four or more digits of \
                 its hash",
            ),
        },
    )
}
