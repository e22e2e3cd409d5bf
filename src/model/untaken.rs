//! A pattern of `from` that nothing matches: perhaps a mistake.

use std::collections::BTreeSet;
use std::fmt;

use super::gather::Source;
use super::name::StepName;
use crate::text::amount::count;
use crate::text::quoted;

/// Names that are told.
const NAMED: usize = 3;

/// What a step asks for and does not get, though there are outputs to choose from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untaken {
    /// The step that asks.
    pub step: StepName,
    /// What for.
    pub source: Source,
    /// How many outputs there are, of which it takes none.
    pub outputs: u64,
    /// The first of their names, each once.
    pub names: BTreeSet<String>,
}

impl Untaken {
    /// Nothing was seen yet.
    pub fn new(step: &StepName, source: &Source) -> Self {
        Self {
            step: step.clone(),
            source: source.clone(),
            outputs: 0,
            names: BTreeSet::new(),
        }
    }

    /// One more output. Whether it is one that is asked for.
    pub fn is_it(&mut self, name: &str) -> bool {
        let pattern = self.source.pattern.as_ref();
        if pattern.is_none_or(|pattern| pattern.matches(name)) {
            return true;
        }
        self.outputs += 1;
        if self.names.len() < NAMED {
            self.names.insert(name.to_owned());
        }
        false
    }
}

impl fmt::Display for Untaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.names.iter().map(|name| quoted(name)).collect();
        write!(
            f,
            "{} takes nothing by `from` {}: step {} left {}, none of that name ({}{}); mend the pattern, or \
             write {} if there may be none",
            self.step,
            quoted(&self.source.to_string()),
            self.source.step,
            count(self.outputs, "output"),
            names.join(", "),
            if self.outputs > self.names.len() as u64 {
                ", …"
            } else {
                ""
            },
            quoted(&format!("{}?", self.source)),
        )
    }
}
