//! Where a step's outputs go, as far as its text tells.

use crate::manifest::{Step, literal_outputs};
use crate::model::promise::Pattern;
use crate::model::route::Router;
use crate::script::survey;

/// Final outputs of which it is looked whether a step was meant.
pub(super) const COMPARED: usize = 1000;

/// Where the outputs go whose names stand in scripts.
pub(super) struct Routes<'a> {
    router: &'a Router,
    /// Those without a route, so far.
    pub finals: usize,
}

impl<'a> Routes<'a> {
    pub(super) fn new(router: &'a Router) -> Self {
        Self { router, finals: 0 }
    }

    /// Those of a step.
    pub(super) fn of(&mut self, step: &Step) -> Option<String> {
        let mut names = literal_outputs(&step.script, step.folders);
        let mut prefixes = if survey::is_shell(&step.shell) {
            survey::of(&step.script).prefixes
        } else {
            Vec::new()
        };
        prefixes.dedup();
        // Those are no names, but what names begin with.
        names.retain(|name| !prefixes.iter().any(|prefix| prefix.name == *name));
        let promised = step.outputs.as_deref().unwrap_or_default();
        let mut words: Vec<String> = names
            .iter()
            .map(|name| {
                if step.outputs.is_some() && !promised.iter().any(|one| one.matches(name)) {
                    return format!("{name} → fails (it is not in its `outputs`)");
                }
                self.route(name)
            })
            .collect();
        let others = promised
            .iter()
            .filter(|one| !one.is_literal() || !names.contains(&one.glob()));
        words.extend(others.map(|one| self.promised(one)));
        if step.outputs.is_none() {
            words.extend(
                prefixes
                    .iter()
                    .map(|prefix| self.may(&format!("{}*{}", prefix.name, prefix.suffix))),
            );
        }
        if step.outputs.is_some() && promised.is_empty() {
            words.push("no outputs".to_owned());
        }
        (!words.is_empty()).then(|| words.join(", "))
    }

    fn promised(&mut self, pattern: &Pattern) -> String {
        let glob = pattern.glob();
        if pattern.is_literal() {
            return self.route(&glob);
        }
        self.may(&glob)
    }

    fn may(&self, glob: &str) -> String {
        match self.router.route(glob) {
            Some(step) => format!("{glob} may go to {step}"),
            None => format!("{glob} → wherever the names lead"),
        }
    }

    fn route(&mut self, name: &str) -> String {
        if let Some(step) = self.router.route(name) {
            return format!("{name} → {step}");
        }
        self.finals += 1;
        let near = (self.finals <= COMPARED).then(|| self.router.near(name));
        match near.flatten() {
            Some(near) => format!("{name} → final output (did you mean {near}?)"),
            None => format!("{name} → final output"),
        }
    }
}
