//! A tree as lines and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::super::status::{environment, environment_json};
use super::super::tasks::{elapsed, state_in_words, to_json};
use super::tree::{Above, Node, Tracer};
use crate::model::gather::Role;
use crate::model::list::Form;
use crate::model::tree::{Entry, Kind};
use crate::text::amount;
use crate::text::time::short;
use crate::text::visible;
use crate::view::lineage::Line;

/// Tasks above something that are told on its line; of more, the nearest and the topmost.
const ABOVE: usize = 8;

impl Tracer<'_> {
    pub(super) fn lines(&self, nodes: &[Node]) -> Vec<Line> {
        nodes
            .iter()
            .map(|node| Line {
                depth: node.depth,
                label: self.label(node),
            })
            .collect()
    }

    fn label(&self, node: &Node) -> String {
        let row = &node.row;
        let mut label = String::new();
        if let Some(above) = &node.from {
            return given(node, above);
        }
        if let Some(name) = &row.name {
            let hash = row.object.hex();
            let entry = node.entry.as_ref().map(ToString::to_string);
            label = format!(
                "{}{} {} → ",
                entry.unwrap_or_else(|| visible(name)),
                row.form.slash(),
                &hash[..8]
            );
        }
        match &row.step {
            None => {
                let _ = write!(label, "final output #{}", row.id);
            }
            Some(step) if row.role == Role::Member => {
                let _ = write!(label, "{}, ", visible(&step.name));
                match node.gathered_by {
                    Some(task) => {
                        let _ = write!(label, "gathered by #{task}");
                    }
                    None if row.stands_for_pairs() => {
                        let with = self.identity(row).map_or(&[][..], |of| &of.with);
                        let with = with.first().map_or("another step", String::as_str);
                        let _ = write!(label, "with each output of {}", visible(with));
                    }
                    None => label.push_str(if row.live {
                        "waits for the others"
                    } else {
                        "superseded"
                    }),
                }
            }
            Some(step) => {
                let (name, state) = (visible(&step.name), state_in_words(row));
                let _ = write!(label, "#{} {name} v{}, {state}", row.id, step.version);
                if let Some(version) = row.made_by {
                    let _ = write!(label, ", accepted, made by v{version}");
                }
                if let Some(source) = row.reused_from {
                    let _ = write!(label, " (outputs of #{source})");
                }
                if let Some(time) = elapsed(row) {
                    let _ = write!(label, ", {}", short(time));
                }
                if let Some(count) = node.gathered {
                    let _ = write!(label, ", of {}", amount::count(count, "output"));
                }
                if let Some(only) = &node.alone {
                    let _ = write!(label, ", with {}", alone(only));
                }
                if let Some(identity) = self.identity(row) {
                    let _ = write!(label, ", {}", environment(identity));
                }
            }
        }
        if node.asked {
            label.push_str("  ◀");
        }
        label
    }

    pub(super) fn to_json(&self, nodes: &[Node]) -> Value {
        let tasks: Vec<Value> = nodes
            .iter()
            .map(|node| {
                let mut task = to_json(&node.row);
                task["environment"] = json!(self.identity(&node.row).map(environment_json));
                task["asked"] = json!(node.asked);
                if let Some(by) = node.gathered_by {
                    task["gathered_by"] = json!(by);
                }
                if let Some(count) = node.gathered {
                    task["gathered"] = json!(count);
                }
                if let Some(from) = &node.from {
                    let from: Vec<Value> = from.iter().map(|above| to_json(&above.row)).collect();
                    task["from"] = json!(from);
                }
                if let Some((step, _)) = node.with.as_ref().and_then(|path| path.split_once('/')) {
                    task["with"] = json!(step);
                }
                if let Some(only) = &node.alone {
                    task["with_file"] = json!(only.name);
                    task["with_kind"] = json!(form(only).word());
                }
                if let Some(entry) = &node.entry {
                    task["entry"] = json!(entry);
                }
                task["depth"] = json!(node.depth);
                task
            })
            .collect();
        json!({ "schema": 1, "tasks": tasks })
    }
}

/// The one output of another step in a pair.
fn alone(only: &Entry) -> String {
    visible(&only.name) + form(only).slash()
}

/// What that is.
fn form(only: &Entry) -> Form {
    match only.kind {
        Kind::Folder => Form::Folder,
        Kind::File | Kind::Executable | Kind::Link => Form::File,
    }
}

/// The line of what a task was given.
fn given(node: &Node, above: &[Above]) -> String {
    let row = &node.row;
    let name = row.name.as_deref().unwrap_or_default();
    let hash = row.object.hex();
    let (how, name) = match &node.with {
        Some(path) => ("with", &**path),
        None => ("from", name),
    };
    let mut label = format!("{how} {}{} {}", visible(name), row.form.slash(), &hash[..8]);
    for (at, Above { row, alone: only }) in above.iter().enumerate() {
        if above.len() > ABOVE && (ABOVE / 2..above.len() - ABOVE / 2).contains(&at) {
            if at == ABOVE / 2 {
                label.push_str(" ← …");
            }
            continue;
        }
        let step = row.step.as_ref().map_or("", |step| step.name.as_str());
        let _ = write!(label, " ← #{} {}", row.id, visible(step));
        if let Some(only) = only {
            let _ = write!(label, " with {}", alone(only));
        }
    }
    if let Some(count) = node.gathered {
        let _ = write!(label, " of {}", amount::count(count, "output"));
    }
    if let Some(entry) = &node.entry {
        let _ = write!(label, " ← {entry}");
    }
    label
}
