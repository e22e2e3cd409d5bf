//! A graph of very many steps, with those of like names as one.

use std::collections::{BTreeMap, HashMap};

use super::{Edge, Graph, Node};

/// Steps up to which a picture shows each by itself.
pub(crate) const MOST: usize = 300;

/// How much alike names are that become one, from a little to not at all.
#[derive(Clone, Copy)]
enum Alike {
    /// But for numbers: `align_*`.
    Numbers,
    /// Up to the first separator: `align_…`.
    Beginning,
    /// The first character.
    Letter,
    /// Nothing.
    All,
}

/// A graph with groups of steps in the place of steps.
#[derive(Debug, Clone)]
pub(crate) struct Grouped {
    /// It.
    pub graph: Graph,
    /// For each node of the graph that was grouped, its node in this one.
    pub place: Vec<usize>,
}

impl Graph {
    /// Where there are more than `most` steps: the same with groups of steps in their place, by
    /// what their names have in common. The start step stays by itself.
    pub(crate) fn grouped(&self, most: usize) -> Option<Grouped> {
        if self.steps() <= most {
            return None;
        }
        [Alike::Numbers, Alike::Beginning, Alike::Letter]
            .iter()
            .map(|alike| self.group(*alike))
            .find(|grouped| grouped.graph.steps() <= most)
            .or_else(|| Some(self.group(Alike::All)))
    }

    /// How many steps there are, or groups of them.
    pub(crate) fn steps(&self) -> usize {
        self.nodes.len() - usize::from(self.sink.is_some())
    }

    fn group(&self, alike: Alike) -> Grouped {
        let mut graph = Self::default();
        let mut groups: HashMap<Option<String>, usize> = HashMap::new();
        let place: Vec<usize> = self
            .nodes
            .iter()
            .map(|node| {
                let group = (!node.sink && !node.start).then(|| key(&node.name, alike));
                let new = graph.nodes.len();
                let at = match group {
                    None => new,
                    group => *groups.entry(group).or_insert(new),
                };
                match graph.nodes.get_mut(at) {
                    Some(there) => there.join(node),
                    None => graph.nodes.push(node.clone()),
                }
                at
            })
            .collect();
        for (group, at) in groups {
            if graph.nodes[at].members > 1 {
                graph.nodes[at].name = group.unwrap_or_default();
            }
        }
        graph.sink = self.sink.map(|sink| place[sink]);
        let mut edges: BTreeMap<(usize, usize), Edge> = BTreeMap::new();
        for edge in self.edges() {
            let (from, to) = (place[edge.from], place[edge.to]);
            let one = edges.entry((from, to)).or_insert(Edge {
                from,
                to,
                observed: 0,
                folders: 0,
                declared: false,
                with: false,
            });
            one.observed += edge.observed;
            one.folders += edge.folders;
            one.declared |= edge.declared;
            one.with |= edge.with;
        }
        graph.edges = edges;
        Grouped { graph, place }
    }
}

impl Node {
    fn join(&mut self, other: &Self) {
        self.members = self.members.max(1) + 1;
        self.gone &= other.gone;
        self.versions = Vec::new();
        self.inputs = Vec::new();
        self.tally += other.tally;
        self.tainted += other.tainted;
        self.accepted += other.accepted;
    }
}

/// What names of a group have in common.
fn key(name: &str, alike: Alike) -> String {
    match alike {
        Alike::All => "all other steps".to_owned(),
        Alike::Letter => name.chars().take(1).chain(['…']).collect(),
        Alike::Beginning => {
            let name = key(name, Alike::Numbers);
            match name.find(['_', '-', '.']) {
                Some(at) => format!("{}…", &name[..=at]),
                None => name,
            }
        }
        Alike::Numbers => {
            let mut key = String::new();
            for c in name.chars() {
                match c {
                    '0'..='9' if key.ends_with('*') => {}
                    '0'..='9' => key.push('*'),
                    c => key.push(c),
                }
            }
            key
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(graph: &Graph) -> Vec<&str> {
        graph.nodes.iter().map(|node| node.name.as_str()).collect()
    }

    #[test]
    fn names_that_differ_in_numbers_are_one() {
        let mut graph = Graph::default();
        let start = graph.step("part_0");
        graph.nodes[start].start = true;
        let sink = graph.sink();
        for number in 1..=10 {
            let step = graph.step(&format!("part_{number}"));
            graph.nodes[step].tally.done = 1;
            graph.observe(start, step, 2, 0);
            graph.declare(step, sink);
        }
        graph.nodes[4].tally.failed = 1;
        let merge = graph.step("merge_1");
        graph.observe(4, merge, 5, 0);
        assert!(graph.grouped(12).is_none());
        let grouped = graph.grouped(11).unwrap().graph;
        assert_eq!(
            names(&grouped),
            ["part_0", "final outputs", "part_*", "merge_1"]
        );
        assert_eq!(grouped.steps(), 3);
        assert_eq!(grouped.nodes[2].counts(), "10 steps, 1 failed, 10 done");
        let edges: Vec<_> = grouped
            .edges()
            .map(|e| (e.from, e.to, e.observed))
            .collect();
        assert_eq!(edges, [(0, 2, 20), (2, 1, 0), (2, 3, 5)]);
        assert_eq!(grouped.in_order(), [0, 2, 3, 1]);
    }

    #[test]
    fn whatever_the_names_there_are_few_groups() {
        let mut graph = Graph::default();
        for letters in 0..2000_u32 {
            let name: String = (0..4)
                .map(|at| char::from_u32(97 + letters / 4 / 7_u32.pow(at) % 7).unwrap())
                .collect();
            graph.step(&format!(
                "{name}_{}",
                char::from_u32(0x4e00 + letters).unwrap()
            ));
        }
        assert_eq!(graph.grouped(1999).unwrap().graph.steps(), 500);
        assert_eq!(names(&graph.grouped(10).unwrap().graph).len(), 7);
        assert_eq!(names(&graph.grouped(5).unwrap().graph), ["all other steps"]);
    }
}
