//! A pipeline as a graph: its steps, what went from one to the other, and what can go.

mod group;
mod layout;
mod order;

use std::collections::{BTreeMap, HashMap};

pub(crate) use group::{Grouped, MOST};
pub(crate) use layout::{Layout, Point, Route, Size, is_too_large, layout};
pub(crate) use order::real;

use crate::model::task::TaskCounts;
use crate::text::amount::count;

/// Steps and the ways between them. Cycles and loops at one step are allowed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Graph {
    /// The steps in the order in which they became known, and the sink of final outputs.
    pub nodes: Vec<Node>,
    edges: BTreeMap<(usize, usize), Edge>,
    index: HashMap<String, usize>,
    sink: Option<usize>,
}

/// A step, or what stands for all final outputs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Node {
    /// The step's name; for the sink, words.
    pub name: String,
    /// Whether this stands for final outputs and is no step.
    pub sink: bool,
    /// Whether the pipeline starts here.
    pub start: bool,
    /// What comes in here from outside, in words.
    pub inputs: Vec<String>,
    /// Whether the manifest no longer has the step.
    pub gone: bool,
    /// The versions that have live tasks, and the current one; oldest first.
    pub versions: Vec<Version>,
    /// The live tasks of all versions; of the sink, the final outputs.
    pub tally: TaskCounts,
    /// Of the sink, how many of the final outputs are folders.
    pub folders: i64,
    /// Finished live tasks of versions that compute something else than the current one.
    pub tainted: i64,
    /// Live tasks that count for a version that did not make them.
    pub accepted: i64,
    /// Of a group of steps, how many; 0 for a step by itself.
    pub members: usize,
}

/// A version of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    /// Counts from 1.
    pub number: i64,
    /// Whether it is the one that the step has now.
    pub current: bool,
    /// Whether it computes something else than that one.
    pub tainted: bool,
    /// Its live tasks.
    pub tally: TaskCounts,
}

/// A way from one node to another, or to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edge {
    /// Where outputs come from: an index into the nodes.
    pub from: usize,
    /// Where they go: an index into the nodes.
    pub to: usize,
    /// How many live tasks or final outputs came this way.
    pub observed: i64,
    /// How many of those are folders.
    pub folders: i64,
    /// Whether a script names an output that goes this way.
    pub declared: bool,
    /// Whether tasks there get outputs from here besides their inputs.
    pub with: bool,
}

/// How a node stands; the worst that is true of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// At least one task failed.
    Failed,
    /// At least one finished task has another version than the step has now.
    Tainted,
    /// At least one task is to be executed.
    Pending,
    /// All tasks are finished.
    Done,
    /// There is no task.
    Idle,
}

impl Status {
    /// One word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Tainted => "tainted",
            Self::Pending => "pending",
            Self::Done => "done",
            Self::Idle => "idle",
        }
    }

    /// One character for it, so that nothing rests on colour alone.
    pub(crate) fn mark(self) -> char {
        match self {
            Self::Failed => '✗',
            Self::Tainted => '!',
            Self::Pending => '…',
            Self::Done => '✓',
            Self::Idle => '·',
        }
    }
}

impl Node {
    /// How it stands.
    pub(crate) fn status(&self) -> Status {
        if self.tally.failed > 0 {
            Status::Failed
        } else if self.tainted > 0 {
            Status::Tainted
        } else if self.tally.pending > 0 {
            Status::Pending
        } else if self.tally.total() > 0 {
            Status::Done
        } else {
            Status::Idle
        }
    }

    /// `v3`, or nothing for the sink and for a step that was never registered.
    pub(crate) fn version(&self) -> Option<String> {
        let current = self.versions.iter().find(|version| version.current)?;
        Some(format!("v{}", current.number))
    }

    /// `2 failed, 3 pending, 10 done, 1 of them tainted, 2 of them accepted`.
    pub(crate) fn counts(&self) -> String {
        if self.sink {
            let files = self.tally.total() - self.folders;
            return match (files, self.folders) {
                (0, 0) => "none".to_owned(),
                (_, 0) => count(files, "file"),
                (0, folders) => count(folders, "folder"),
                (_, folders) => format!("{}, {}", count(files, "file"), count(folders, "folder")),
            };
        }
        let members = i64::try_from(self.members).unwrap_or(i64::MAX);
        let words: Vec<String> = [
            (members, "steps"),
            (self.tally.failed, "failed"),
            (self.tally.pending, "pending"),
            (self.tally.done, "done"),
            (self.tally.reused, "reused"),
            (self.tainted, "of them tainted"),
            (self.accepted, "of them accepted"),
        ]
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
        if words.is_empty() {
            "no tasks".to_owned()
        } else {
            words.join(", ")
        }
    }
}

impl Graph {
    /// The node of the step `name`, which is added if it is not there.
    pub(crate) fn step(&mut self, name: &str) -> usize {
        if let Some(at) = self.index.get(name) {
            return *at;
        }
        self.nodes.push(Node {
            name: name.to_owned(),
            ..Node::default()
        });
        self.index.insert(name.to_owned(), self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    /// The node of the step `name`, if there is one.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// The node of final outputs, which is added if it is not there.
    pub(crate) fn sink(&mut self) -> usize {
        if let Some(at) = self.sink {
            return at;
        }
        self.nodes.push(Node {
            name: "final outputs".to_owned(),
            sink: true,
            ..Node::default()
        });
        self.sink = Some(self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    /// Notes that `count` outputs went from one node to the other, `folders` of which are folders.
    pub(crate) fn observe(&mut self, from: usize, to: usize, count: i64, folders: i64) {
        let edge = self.edge(from, to);
        edge.observed += count;
        edge.folders += folders;
        if self.nodes[to].sink {
            self.nodes[to].folders += folders;
        }
    }

    /// Notes that a script names an output that goes this way.
    pub(crate) fn declare(&mut self, from: usize, to: usize) {
        self.edge(from, to).declared = true;
    }

    /// Notes that tasks of one node get what is left at the other besides their inputs.
    pub(crate) fn give(&mut self, from: usize, to: usize) {
        self.edge(from, to).with = true;
    }

    fn edge(&mut self, from: usize, to: usize) -> &mut Edge {
        self.edges.entry((from, to)).or_insert(Edge {
            from,
            to,
            observed: 0,
            folders: 0,
            declared: false,
            with: false,
        })
    }

    /// The ways, by where they come from and then by where they go.
    pub(crate) fn edges(&self) -> impl Iterator<Item = &Edge> {
        self.edges.values()
    }

    /// Where the pipeline starts.
    fn first(&self) -> Option<usize> {
        self.nodes.iter().position(|node| node.start)
    }

    /// The nodes from the start on, each after those it follows from as far as cycles allow; the
    /// sink is the last.
    pub(crate) fn in_order(&self) -> Vec<usize> {
        let links: Vec<(usize, usize)> = self.edges.keys().copied().collect();
        let first = self.first();
        let mut order = order::topological(self.nodes.len(), &links, first).order;
        // Stable: all else stays as it is.
        order.sort_by_key(|at| self.nodes[*at].sink);
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_is_said() {
        let mut node = Node::default();
        assert_eq!(node.status(), Status::Idle);
        assert_eq!(node.counts(), "no tasks");
        node.tally.done = 3;
        assert_eq!(node.status(), Status::Done);
        node.tally.pending = 2;
        assert_eq!(node.status(), Status::Pending);
        node.tainted = 1;
        assert_eq!(node.status(), Status::Tainted);
        node.tally.failed = 4;
        assert_eq!(node.status(), Status::Failed);
        assert_eq!(
            node.counts(),
            "4 failed, 2 pending, 3 done, 1 of them tainted"
        );
    }

    #[test]
    fn order_begins_at_the_start_and_ends_at_the_sink() {
        let mut graph = Graph::default();
        let sink = graph.sink();
        let last = graph.step("last");
        let middle = graph.step("middle");
        let first = graph.step("first");
        graph.nodes[first].start = true;
        graph.observe(first, middle, 1, 0);
        graph.observe(middle, middle, 1, 0);
        graph.observe(middle, last, 1, 0);
        graph.observe(last, first, 1, 0);
        graph.declare(last, sink);
        assert_eq!(graph.in_order(), [first, middle, last, sink]);
    }

    #[test]
    fn a_name_is_one_node() {
        let mut graph = Graph::default();
        assert_eq!(graph.step("a"), graph.step("a"));
        assert_eq!(graph.find("b"), None);
        graph.observe(0, 0, 2, 1);
        graph.observe(0, 0, 3, 0);
        graph.declare(0, 0);
        let edges: Vec<_> = graph.edges().copied().collect();
        assert_eq!(
            edges,
            [Edge {
                from: 0,
                to: 0,
                observed: 5,
                folders: 1,
                declared: true,
                with: false
            }]
        );
    }
}
