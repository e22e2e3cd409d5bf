//! What pictures and pages tell, gathered from state, store and manifest.

mod page;

use std::collections::HashMap;

pub(crate) use page::page;

use crate::manifest::{Manifest, literal_outputs};
use crate::model::gather::Gather;
use crate::model::name::StepName;
use crate::model::route::Router;
use crate::model::task::TaskCounts;
use crate::state::{Error, Reader, RecordedStep, Runset, StepId};
use crate::view::graph::{self, Graph, Grouped, Version};

/// Steps as nodes of a graph, and which node each recorded version belongs to.
struct Steps {
    graph: Graph,
    versions: HashMap<StepId, (usize, RecordedStep)>,
    order: Vec<StepId>,
}

/// The graph of what is recorded of `runset` (none: of all) and of what `manifest` says, either
/// of which may be missing.
pub(crate) fn graph(
    state: Option<&Reader>,
    runset: Option<&Runset>,
    manifest: Option<&Manifest>,
) -> Result<Graph, Error> {
    let moment = state.map(Reader::snapshot).transpose()?;
    let graph = steps(state, runset, manifest)?.graph;
    drop(moment);
    Ok(graph)
}

fn steps(
    state: Option<&Reader>,
    runset: Option<&Runset>,
    manifest: Option<&Manifest>,
) -> Result<Steps, Error> {
    let mut graph = Graph::default();
    for step in manifest.iter().flat_map(|manifest| &manifest.steps) {
        let at = graph.step(step.name.as_str());
        graph.nodes[at].start = step.start;
        let gathers = step.gather.map(|gather| match gather {
            Gather::All => "all of a runset together".to_owned(),
            Gather::ByKey => "what has the same key, together".to_owned(),
            Gather::Below(owner) => {
                let owner = manifest.map_or("", |manifest| manifest.steps[owner].name.as_str());
                format!("what descends from each task of {owner}, together")
            }
        });
        graph.nodes[at].inputs.extend(gathers);
    }
    if let Some(manifest) = manifest {
        let router = manifest.routes();
        for input in &manifest.inputs {
            // Of names that are not known before they come, nothing is told.
            let mut steps = input.steps.clone();
            if steps.is_empty() {
                let likely = input.likely_name();
                steps.extend(likely.and_then(|name| router.route(&name).cloned()));
            }
            for step in &steps {
                if let Some(at) = graph.find(step) {
                    graph.nodes[at].inputs.push(input.in_words());
                }
            }
        }
    }
    let mut steps = Steps {
        graph,
        versions: HashMap::new(),
        order: Vec::new(),
    };
    if let Some(state) = state {
        steps.record(state, runset, manifest)?;
    }
    steps.declare(manifest);
    Ok(steps)
}

impl Steps {
    fn record(
        &mut self,
        state: &Reader,
        runset: Option<&Runset>,
        manifest: Option<&Manifest>,
    ) -> Result<(), Error> {
        let recorded = state.recorded_steps()?;
        let totals: HashMap<StepId, TaskCounts> = state.totals(runset)?.into_iter().collect();
        for step in &recorded {
            let current = step.current;
            let known = manifest.is_none_or(|manifest| manifest.step(&step.name).is_some());
            let tally = totals.get(&step.id).copied().unwrap_or_default();
            let at = self.graph.step(&step.name);
            let node = &mut self.graph.nodes[at];
            node.gone = !known;
            if manifest.is_none() && current {
                node.start = step.start;
            }
            node.tally += tally;
            if current || !tally.is_zero() {
                node.versions.push(Version {
                    number: step.version,
                    current,
                    tainted: !step.equal,
                    tally,
                });
            }
            if !step.equal {
                node.tainted += tally.finished();
            }
            self.order.push(step.id);
            self.versions.insert(step.id, (at, step.clone()));
        }
        for accepted in state.accepted(runset)? {
            if let Some(at) = self.node(accepted.step) {
                self.graph.nodes[at].accepted += accepted.count;
            }
        }
        if let Some(finals) = totals.get(&StepId::FINAL) {
            let at = self.graph.sink();
            self.graph.nodes[at].tally = *finals;
        }
        for (from, to, count, folders) in state.flows(runset)? {
            let Some(from) = self.node(from) else {
                continue;
            };
            let to = if to == StepId::FINAL {
                Some(self.graph.sink())
            } else {
                self.node(to)
            };
            if let Some(to) = to {
                self.graph.observe(from, to, count, folders);
            }
        }
        Ok(())
    }

    /// Puts groups in the place of very many steps; how many these were.
    fn group(&mut self) -> Option<usize> {
        let all = self.graph.steps();
        let Grouped { graph, place } = self.graph.grouped(graph::MOST)?;
        for (at, ..) in self.versions.values_mut() {
            *at = place[*at];
        }
        self.graph = graph;
        Some(all)
    }

    fn node(&self, step: StepId) -> Option<usize> {
        self.versions.get(&step).map(|(at, ..)| *at)
    }

    /// Adds where what steps promise to leave goes, as far as a pattern tells.
    fn declare_promised(&mut self, manifest: Option<&Manifest>, router: &Router) {
        for step in manifest.map_or(&[][..], |manifest| &manifest.steps) {
            for source in &step.from {
                let from = self.graph.step(source.step.as_str());
                let to = self.graph.step(step.name.as_str());
                self.graph.declare(from, to);
            }
            for source in &step.with {
                let from = self.graph.step(source.as_str());
                let to = self.graph.step(step.name.as_str());
                self.graph.give(from, to);
            }
            let Some(from) = self.graph.find(step.name.as_str()) else {
                continue;
            };
            for pattern in step.outputs.as_deref().unwrap_or_default() {
                let to = match router.route(&pattern.glob()) {
                    Some(to) => self.graph.step(to.as_str()),
                    None if pattern.is_literal() => self.graph.sink(),
                    None => continue,
                };
                self.graph.declare(from, to);
            }
        }
    }

    /// Adds where scripts say that their outputs go: those of the manifest, or the newest ones
    /// recorded if there is no manifest.
    fn declare(&mut self, manifest: Option<&Manifest>) {
        let scripts: Vec<(usize, String, bool)> = match manifest {
            Some(manifest) => manifest
                .steps
                .iter()
                .filter_map(|step| {
                    let at = self.graph.find(step.name.as_str())?;
                    Some((at, step.script.clone(), step.folders))
                })
                .collect(),
            None => self
                .order
                .iter()
                .filter_map(|id| self.versions.get(id))
                .filter(|(_, step)| step.current)
                .map(|(at, step)| (*at, step.script.clone(), false))
                .collect(),
        };
        let nodes = scripts.iter().map(|(at, ..)| &self.graph.nodes[*at].name);
        let router = Router::new(nodes.filter_map(|name| StepName::new(name).ok()));
        for (from, script, folders) in scripts {
            for output in literal_outputs(&script, folders) {
                let to = match router.route(&output) {
                    Some(step) => self.graph.step(step.as_str()),
                    None => self.graph.sink(),
                };
                self.graph.declare(from, to);
            }
        }
        self.declare_promised(manifest, &router);
    }
}
