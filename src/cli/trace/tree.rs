//! The rows of a tree, from the start to what came of a task.

use std::collections::{HashMap, HashSet};

use super::super::error::Failure;
use super::super::options::Places;
use super::given::Gifts;
use crate::model::entry::EntryName;
use crate::model::gather::Role;
use crate::model::identity::Identity;
use crate::model::name::StepName;
use crate::model::task::TaskId;
use crate::model::tree::Entry;
use crate::state::{Reader, StepId, TaskRow};

/// Members that are told of what was gathered, and outputs that a task got besides its input, in one tree.
const MEMBERS: usize = 100;

/// A row in the tree.
pub(super) struct Node {
    /// 0 for a root.
    pub depth: usize,
    /// What is recorded of it.
    pub row: TaskRow,
    /// What it works on, if that came in from outside.
    pub entry: Option<EntryName>,
    /// Of a member, the task that works on what was gathered.
    pub gathered_by: Option<TaskId>,
    /// Of one that is told as given to a task: what it comes from, the nearest first.
    pub from: Option<Vec<Above>>,
    /// Of a task that gathered, how much.
    pub gathered: Option<u64>,
    /// Of what a task got besides its input, where it had that, `STEP/NAME`.
    pub with: Option<Box<str>>,
    /// Of a pair, the one output of another step in it, as `STEP/NAME`.
    pub alone: Option<Entry>,
    /// Whether it is what was asked about.
    pub asked: bool,
}

/// A task from which something comes.
pub(super) struct Above {
    /// What is recorded of it.
    pub row: TaskRow,
    /// Of a pair, the one output of another step in it.
    pub alone: Option<Entry>,
}

/// What is to be told next.
enum Work {
    /// An output that a task got besides its input, where it had that.
    Given(Box<str>, Box<TaskRow>),
    /// A member.
    Member(TaskId),
    /// Those of a task.
    Members(TaskId),
}

/// Finds them.
pub(super) struct Tracer<'a> {
    state: &'a Reader,
    gifts: Gifts<'a>,
    identities: HashMap<StepId, Option<Identity>>,
    /// Outputs given to tasks that can still be told.
    room: usize,
}

impl<'a> Tracer<'a> {
    pub(super) fn new(places: &'a Places, state: &'a Reader) -> Result<Self, Failure> {
        Ok(Self {
            state,
            gifts: Gifts::new(places, state)?,
            identities: HashMap::new(),
            room: MEMBERS,
        })
    }

    /// Adds the tree from the start to `row` and from there to the final outputs; of one of these also what
    /// steps made of it that take it with `from`.
    pub(super) fn add(&mut self, row: &TaskRow, nodes: &mut Vec<Node>) -> Result<(), Failure> {
        self.room = MEMBERS;
        let above = self.above(row)?;
        let depth = above.len();
        let maker = above.first().and_then(|maker| maker.step.clone());
        let given = row.role != Role::Reader && row.live;
        for (depth, row) in above.into_iter().rev().enumerate() {
            self.push_with(depth, row, nodes)?;
        }
        let mut stack = Vec::new();
        if let Some(maker) = row.parent.filter(|_| row.step.is_none()) {
            let mut takers = self.state.children(maker, !row.live)?;
            takers.retain(|other| other.id != row.id && other.name == row.name);
            stack.extend(takers.into_iter().rev().map(|taker| (depth, taker)));
        }
        stack.push((depth, row.clone()));
        // What is gathered is there once, though all members lead to it.
        let mut gathered = HashSet::new();
        while let Some((depth, at)) = stack.pop() {
            for child in self.below(&at)?.into_iter().rev() {
                stack.push((depth + 1, child));
            }
            if at.role == Role::Member
                && let Some(by) = self.state.gathered_by(at.id)?
                && gathered.insert(by)
                && let Some(by) = self.state.task(by)?
            {
                stack.push((depth + 1, by));
            }
            if at.id == row.id {
                self.push_with(depth, at, nodes)?;
            } else {
                self.push(depth, at, nodes)?;
            }
        }
        if let Some(maker) = maker.filter(|_| given) {
            self.push_given(depth + 1, row, &maker.name, nodes)?;
        }
        Ok(())
    }

    /// Adds a task, and what it got besides its input.
    fn push_with(
        &mut self,
        depth: usize,
        row: TaskRow,
        nodes: &mut Vec<Node>,
    ) -> Result<(), Failure> {
        let got = self.gifts.got(&row, self.room)?;
        self.room -= got.len();
        let got = got.into_iter();
        let got = got.map(|(path, row)| (depth + 1, Work::Given(path, Box::new(row))));
        let got: Vec<_> = got.collect();
        self.push(depth, row, nodes)?;
        self.push_origins(got, nodes)
    }

    /// Adds the tasks that got the output `row` of the step `maker` besides their inputs, the first ones of many.
    fn push_given(
        &mut self,
        depth: usize,
        row: &TaskRow,
        maker: &StepName,
        nodes: &mut Vec<Node>,
    ) -> Result<(), Failure> {
        let Some(runset) = self.state.runset(&row.runset)? else {
            return Ok(());
        };
        let state = self.state;
        let alone = || self.gifts.list_of(&runset, maker, row);
        for task in state.given_to(&runset, maker, MEMBERS, alone)? {
            if let Some(row) = state.task(task)? {
                self.push(depth, row, nodes)?;
            }
        }
        Ok(())
    }

    /// What it left. In the place of a row that stands for pairs these are there.
    fn below(&self, row: &TaskRow) -> Result<Vec<TaskRow>, Failure> {
        let mut below = Vec::new();
        for child in self.state.children(row.id, !row.live)? {
            if child.stands_for_pairs() {
                let pairs = self.state.children(child.id, !child.live)?;
                if !pairs.is_empty() {
                    below.extend(pairs);
                    continue;
                }
            }
            below.push(child);
        }
        Ok(below)
    }

    /// Adds what tasks were given, each with what it comes from: of what was gathered the first ones of many.
    fn push_origins(
        &mut self,
        first: Vec<(usize, Work)>,
        nodes: &mut Vec<Node>,
    ) -> Result<(), Failure> {
        let mut told = 0;
        let mut seen = HashSet::new();
        // Those whose members follow, the next one last.
        let mut stack = first;
        stack.reverse();
        while let Some((depth, work)) = stack.pop() {
            let (row, with) = match work {
                Work::Given(path, row) => (*row, Some(path)),
                Work::Member(member) => match self.state.task(member)? {
                    Some(row) => (row, None),
                    None => continue,
                },
                Work::Members(task) => {
                    let members = self.state.gathered_in(task, MEMBERS - told)?;
                    told += members.len();
                    let members = members.into_iter().rev();
                    stack.extend(members.map(|member| (depth, Work::Member(member))));
                    continue;
                }
            };
            let from = self.above(&row)?;
            let top = from.last().unwrap_or(&row);
            let entry = self.entry(top)?;
            let source = (top.role == Role::Gather).then_some(top.id);
            let gathered = source.map(|task| self.state.members_of(task)).transpose()?;
            let from = from.into_iter().map(|row| Above {
                alone: self.gifts.alone(&row),
                row,
            });
            nodes.push(Node {
                depth,
                from: Some(from.collect()),
                row,
                entry,
                gathered_by: None,
                gathered,
                with,
                alone: None,
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

    /// Where it came in from outside, if it did.
    fn entry(&self, row: &TaskRow) -> Result<Option<EntryName>, Failure> {
        if row.parent.is_some() || row.name.is_none() {
            return Ok(None);
        }
        Ok(self.state.entry_of(row.own_row())?)
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

    pub(super) fn push(
        &mut self,
        depth: usize,
        row: TaskRow,
        nodes: &mut Vec<Node>,
    ) -> Result<(), Failure> {
        if let Some(step) = &row.step
            && !self.identities.contains_key(&step.id)
        {
            for version in self.state.versions(&step.name)? {
                self.identities.insert(version.id, version.identity);
            }
        }
        let entry = self.entry(&row)?;
        let alone = self.gifts.alone(&row);
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
        let members = begins.then(|| (depth + 1, Work::Members(row.id)));
        nodes.push(Node {
            depth,
            row,
            entry,
            gathered_by,
            from: None,
            gathered,
            with: None,
            alone,
            asked: false,
        });
        self.push_origins(members.into_iter().collect(), nodes)
    }

    /// What the version is that a task runs.
    pub(super) fn identity(&self, row: &TaskRow) -> Option<&Identity> {
        self.identities.get(&row.step.as_ref()?.id)?.as_ref()
    }
}
