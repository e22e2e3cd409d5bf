//! `trace`: where something comes from, and what came of it.

use crate::text::width::cut;
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::error::Failure;
use super::options::Places;
use super::select::{self, InRunset, Named};
use super::status::{environment, environment_json};
use super::tasks::{elapsed, state_in_words, to_json};
use super::{columns, output};
use crate::cli::reference::Reference;
use crate::model::entry::EntryName;
use crate::model::gather::Role;
use crate::model::identity::Identity;
use crate::model::list::Form;
use crate::model::name::StepName;
use crate::model::task::TaskId;
use crate::out;
use crate::state::{Reader, Runset, StepId, TaskRow, TaskStep};
use crate::text::time::short;
use crate::text::visible;
use crate::text::{amount, suggest};
use crate::view::lineage::{Line, draw};

/// Options of `trace`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// A final output by its name, an object by four or more digits of its hash, or a task by its
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
/// Members that are told of what was gathered, in one tree.
const MEMBERS: usize = 100;
/// Tasks above a member that are told on its line; of more, the nearest and the topmost.
const ABOVE: usize = 8;

/// Prints it.
pub(super) fn main(places: &Places, options: &Options) -> Result<ExitCode, Failure> {
    let state = Reader::open(&places.db)?;
    let mut rows = rows(&state, options)?;
    let more = rows.len() > MOST as usize;
    rows.truncate(MOST as usize);
    let mut tracer = Tracer {
        state: &state,
        identities: HashMap::new(),
    };
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

/// A row in the tree.
struct Node {
    depth: usize,
    row: TaskRow,
    /// What it works on, if that came in from outside.
    entry: Option<EntryName>,
    /// Of a member, the task that works on what was gathered.
    gathered_by: Option<TaskId>,
    /// Of one that is told as gathered by a task: the tasks that it comes from, the nearest first.
    from: Option<Vec<TaskRow>>,
    /// Of a task that gathered, how much.
    gathered: Option<u64>,
    /// Of what a task got besides its input, the step that left it.
    with: Option<String>,
    asked: bool,
}

/// What is to be told next.
enum Work {
    /// A member.
    Member(TaskId),
    /// Those of a task.
    Members(TaskId),
}

struct Tracer<'a> {
    state: &'a Reader,
    identities: HashMap<StepId, Option<Identity>>,
}

impl Tracer<'_> {
    /// Adds the tree from the start to `row` and from there to the final outputs.
    fn add(&mut self, row: &TaskRow, nodes: &mut Vec<Node>) -> Result<(), Failure> {
        let above = self.above(row)?;
        let depth = above.len();
        let maker = above.first().and_then(|maker| maker.step.clone());
        let given = row.role != Role::Reader && row.live;
        for (depth, row) in above.into_iter().rev().enumerate() {
            self.push(depth, row, nodes)?;
        }
        let mut stack = vec![(depth, row.clone())];
        // What is gathered is there once, though all members lead to it.
        let mut gathered = HashSet::new();
        while let Some((depth, at)) = stack.pop() {
            for child in self.state.children(at.id, !at.live)?.into_iter().rev() {
                stack.push((depth + 1, child));
            }
            if at.role == Role::Member
                && let Some(by) = self.state.gathered_by(at.id)?
                && gathered.insert(by)
                && let Some(by) = self.state.task(by)?
            {
                stack.push((depth + 1, by));
            }
            let is_asked = at.id == row.id;
            let context = at.context.filter(|_| is_asked && at.live);
            let (runset, task) = (at.runset.clone(), at.step.clone());
            self.push(depth, at, nodes)?;
            if let (Some(_), Some(step)) = (context, task) {
                self.push_context(depth + 1, &runset, &step, nodes)?;
            }
        }
        if let Some(maker) = maker.filter(|_| given) {
            self.push_given(depth + 1, row, &maker, nodes)?;
        }
        Ok(())
    }

    /// Adds what a task of that step got besides its input, the first ones of many.
    fn push_context(
        &mut self,
        depth: usize,
        runset: &str,
        step: &TaskStep,
        nodes: &mut Vec<Node>,
    ) -> Result<(), Failure> {
        let Some(runset) = self.state.runset(runset)? else {
            return Ok(());
        };
        let identity = self.identities.get(&step.id).and_then(Option::as_ref);
        let with = identity.map_or_else(Vec::new, |identity| identity.with.clone());
        let mut left = MEMBERS;
        for source in with.iter().filter_map(|name| StepName::new(name).ok()) {
            let outputs = self.state.outputs_of(&runset, &source)?;
            for output in outputs.iter().take(left) {
                if let Some(row) = self.state.task(output.task)? {
                    nodes.push(Node {
                        depth,
                        from: Some(self.above(&row)?),
                        row,
                        entry: None,
                        gathered_by: None,
                        gathered: None,
                        with: Some(source.to_string()),
                        asked: false,
                    });
                }
            }
            left = left.saturating_sub(outputs.len());
        }
        Ok(())
    }

    /// Adds the tasks that got what `maker` left besides their inputs, the first ones of many.
    fn push_given(
        &mut self,
        depth: usize,
        row: &TaskRow,
        maker: &TaskStep,
        nodes: &mut Vec<Node>,
    ) -> Result<(), Failure> {
        let Some(runset) = self.state.runset(&row.runset)? else {
            return Ok(());
        };
        for task in self.state.given_to(&runset, &maker.name, MEMBERS)? {
            if let Some(row) = self.state.task(task)? {
                self.push(depth, row, nodes)?;
            }
        }
        Ok(())
    }

    /// Adds the members that a task works on, the first ones of many, and what these come from.
    fn push_members(&mut self, nodes: &mut Vec<Node>) -> Result<(), Failure> {
        let Some(top) = nodes.last() else {
            return Ok(());
        };
        let mut told = 0;
        let mut seen = HashSet::new();
        // Those whose members follow, the next one last.
        let mut stack = vec![(top.depth + 1, Work::Members(top.row.id))];
        while let Some((depth, work)) = stack.pop() {
            let member = match work {
                Work::Member(member) => member,
                Work::Members(task) => {
                    let members = self.state.gathered_in(task, MEMBERS - told)?;
                    told += members.len();
                    let members = members.into_iter().rev();
                    stack.extend(members.map(|member| (depth, Work::Member(member))));
                    continue;
                }
            };
            let Some(row) = self.state.task(member)? else {
                continue;
            };
            let from = self.above(&row)?;
            let top = from.last();
            let entry = match top.unwrap_or(&row) {
                row if row.parent.is_none() && row.name.is_some() => self.state.entry_of(row.id)?,
                _ => None,
            };
            let source = top.filter(|top| top.role == Role::Gather).map(|top| top.id);
            let gathered = source.map(|task| self.state.members_of(task)).transpose()?;
            nodes.push(Node {
                depth,
                row,
                entry,
                gathered_by: None,
                from: Some(from),
                gathered,
                with: None,
                asked: false,
            });
            if let Some(task) = source
                && seen.insert(task)
            {
                stack.push((depth + 1, Work::Members(task)));
            }
        }
        Ok(())
    }

    /// The tasks above, the nearest first; up to one that works on what was gathered.
    fn above(&self, row: &TaskRow) -> Result<Vec<TaskRow>, Failure> {
        let mut above = Vec::new();
        let mut at = match row.role {
            Role::Task | Role::Member | Role::Reader => row.parent,
            Role::Gather => None,
        };
        while let Some(id) = at {
            let Some(parent) = self.state.task(id)? else {
                break;
            };
            // Parents come before children; a damaged table must not hold us for ever.
            at = parent.parent.filter(|next| *next < id);
            above.push(parent);
        }
        Ok(above)
    }

    fn push(&mut self, depth: usize, row: TaskRow, nodes: &mut Vec<Node>) -> Result<(), Failure> {
        if let Some(step) = &row.step
            && !self.identities.contains_key(&step.id)
        {
            for version in self.state.versions(&step.name)? {
                self.identities.insert(version.id, version.identity);
            }
        }
        let entry = if row.parent.is_none() && row.name.is_some() {
            self.state.entry_of(row.id)?
        } else {
            None
        };
        let gathered_by = match row.role {
            Role::Member => self.state.gathered_by(row.id)?,
            Role::Task | Role::Reader | Role::Gather => None,
        };
        let gathered = match row.role {
            Role::Gather => Some(self.state.members_of(row.id)?),
            Role::Task | Role::Member | Role::Reader => None,
        };
        // Where the tree begins with it, nothing else says where it comes from.
        let begins = gathered.is_some() && depth == 0;
        nodes.push(Node {
            depth,
            row,
            entry,
            gathered_by,
            from: None,
            gathered,
            with: None,
            asked: false,
        });
        if begins {
            self.push_members(nodes)?;
        }
        Ok(())
    }

    fn identity(&self, row: &TaskRow) -> Option<&Identity> {
        self.identities.get(&row.step.as_ref()?.id)?.as_ref()
    }

    fn lines(&self, nodes: &[Node]) -> Vec<Line> {
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
            let name = row.name.as_deref().unwrap_or_default();
            let hash = row.object.hex();
            let _ = match &node.with {
                Some(step) => {
                    let place = format!("{step}/{name}");
                    write!(
                        label,
                        "with {}{} {}",
                        visible(&place),
                        slash(row),
                        &hash[..8]
                    )
                }
                None => write!(label, "from {}{} {}", visible(name), slash(row), &hash[..8]),
            };
            for (at, task) in above.iter().enumerate() {
                if above.len() > ABOVE && (ABOVE / 2..above.len() - ABOVE / 2).contains(&at) {
                    if at == ABOVE / 2 {
                        label.push_str(" ← …");
                    }
                    continue;
                }
                let step = task.step.as_ref().map_or("", |step| step.name.as_str());
                let _ = write!(label, " ← #{} {}", task.id, visible(step));
            }
            if let Some(count) = node.gathered {
                let _ = write!(label, " of {}", amount::count(count, "output"));
            }
            if let Some(entry) = &node.entry {
                let _ = write!(label, " ← {entry}");
            }
            return label;
        }
        if let Some(name) = &row.name {
            let hash = row.object.hex();
            let entry = node.entry.as_ref().map(ToString::to_string);
            label = format!(
                "{}{} {} → ",
                entry.unwrap_or_else(|| visible(name)),
                slash(row),
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
                    None if row.context.is_some() && row.live => {
                        label.push_str("with each output of another step");
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

    fn to_json(&self, nodes: &[Node]) -> Value {
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
                    let from: Vec<Value> = from.iter().map(to_json).collect();
                    task["from"] = json!(from);
                }
                if let Some(step) = &node.with {
                    task["with"] = json!(step);
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

/// Behind the name of a folder.
fn slash(row: &TaskRow) -> &'static str {
    match row.form {
        Form::Folder => "/",
        Form::File | Form::List => "",
    }
}
