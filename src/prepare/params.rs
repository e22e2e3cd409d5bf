//! Which value each parameter has, and who gets it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::manifest::Step;
use crate::model::identity::Identity;
use crate::model::param::{self, BadValue, Params};
use crate::state::{self, Runset, State};
use crate::text::quoted;

/// What was given to this call, of parameters that the manifest has, in their text form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Given {
    /// By name.
    pub values: BTreeMap<String, String>,
    /// Those that are to be what they are without being given.
    pub forgotten: BTreeSet<String>,
}

impl Given {
    /// Whether nothing changes by it.
    pub(crate) fn is_nothing(&self) -> bool {
        self.values.is_empty() && self.forgotten.is_empty()
    }
}

/// Who remembers what a call is given.
#[derive(Debug)]
pub(crate) enum Remember {
    /// Nobody.
    Nobody,
    /// These runsets.
    These(Vec<Runset>),
    /// The first runset, which is not there yet: as it is to be called, if that is said, and whether nothing
    /// counts that was given to it before.
    First { name: Option<String>, anew: bool },
}

impl Remember {
    /// Records it, in the open group of writes.
    pub(super) fn record(&self, given: &Given, state: &mut State) -> Result<(), state::Error> {
        match self {
            Self::Nobody => {}
            Self::These(runsets) => {
                for runset in runsets {
                    state.give_params(runset, &given.values, &given.forgotten)?;
                }
            }
            Self::First { name, anew } => {
                if *anew {
                    state.await_no_more()?;
                }
                state.await_first(name.as_deref(), &given.values, &given.forgotten)?;
            }
        }
        Ok(())
    }
}

/// The parameters of a pipeline with their values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Values {
    values: BTreeMap<String, Value>,
    /// What this call gives the runset, and what the runset forgets.
    pub given: Given,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Value {
    text: String,
    volatile: bool,
    /// Whether it was given, now or before; else it is the default.
    given: bool,
}

/// Parameters that cannot have a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BadParams {
    /// These were not given, and have no default.
    Missing(Vec<String>),
    /// What the runset was given is no value of it any more.
    Remembered {
        /// The runset.
        runset: String,
        /// The parameter.
        name: String,
        /// Why.
        why: BadValue,
    },
}

impl fmt::Display for BadParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(names) => match names.as_slice() {
                [one] => write!(
                    f,
                    "parameter {} has no default and is not given",
                    quoted(one)
                ),
                many => {
                    let names: Vec<String> = many.iter().map(|name| quoted(name)).collect();
                    let names = names.join(", ");
                    write!(f, "parameters {names} have no default and are not given")
                }
            },
            Self::Remembered { runset, name, why } => write!(
                f,
                "parameter {}, as runset {} was given it: {why}",
                quoted(name),
                quoted(runset)
            ),
        }
    }
}

impl BadParams {
    /// What to do about it.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Missing(names) => {
                let words: Vec<String> = names
                    .iter()
                    .map(|name| format!("-param {name}=…"))
                    .collect();
                format!(
                    "{}; `task-pipeline check` shows what they are",
                    words.join(" ")
                )
            }
            Self::Remembered { name, .. } => {
                format!("-param {name}=… gives another value, -param {name} takes the default")
            }
        }
    }
}

impl Values {
    /// Those of `params`: what is given now, else what was given to the runset before, else the
    /// default.
    pub(crate) fn resolve(
        params: &Params,
        given: &Given,
        (runset, remembered): (&str, &BTreeMap<String, String>),
    ) -> Result<Self, BadParams> {
        let mut values = BTreeMap::new();
        let mut missing = Vec::new();
        for (name, param) in params {
            let now = given.values.get(name).cloned();
            let before = || {
                let text = remembered.get(name)?;
                let is_gone = given.forgotten.contains(name);
                (!is_gone).then(|| param.read(text))
            };
            let text = match now {
                Some(now) => Some(now),
                None => before().transpose().map_err(|why| BadParams::Remembered {
                    runset: runset.to_owned(),
                    name: name.clone(),
                    why,
                })?,
            };
            let is_given = text.is_some();
            let Some(text) = text.or_else(|| param.default.clone()) else {
                missing.push(name.clone());
                continue;
            };
            let value = Value {
                text,
                volatile: param.volatile,
                given: is_given,
            };
            values.insert(name.clone(), value);
        }
        if !missing.is_empty() {
            return Err(BadParams::Missing(missing));
        }
        Ok(Self {
            values,
            given: given.clone(),
        })
    }

    /// Those that differ from the others', with both values.
    pub(crate) fn first_difference<'a>(
        &'a self,
        other: &'a Self,
    ) -> Option<(&'a str, &'a str, &'a str)> {
        let text = |value: &'a Value| value.text.as_str();
        self.values.iter().find_map(|(name, value)| {
            let other = other.values.get(name).map_or("", text);
            (value.text != other).then_some((name.as_str(), text(value), other))
        })
    }

    /// What was given, now or before, by name.
    pub(crate) fn all_given(&self) -> Vec<(&str, &str)> {
        let given = self.values.iter().filter(|(_, value)| value.given);
        given
            .map(|(name, value)| (name.as_str(), value.text.as_str()))
            .collect()
    }

    /// All, by name.
    pub(crate) fn all(&self) -> Vec<(&str, &str)> {
        let pairs = self.values.iter();
        pairs
            .map(|(name, value)| (name.as_str(), value.text.as_str()))
            .collect()
    }

    /// Whether the pipeline has the parameter.
    pub(super) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Whether the parameter may have another value where all else is the same.
    pub(super) fn is_volatile(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|value| value.volatile)
    }

    /// Those that a step's scripts get; what of them is not volatile becomes a part of the version.
    pub(super) fn of_step<'a>(
        &'a self,
        step: &Step,
        identity: &mut Identity,
    ) -> Vec<(&'a str, &'a str)> {
        let mut used = Vec::new();
        for (name, value) in &self.values {
            if !step.params.contains(name) && !mentions(identity, &param::variable(name)) {
                continue;
            }
            used.push((name.as_str(), value.text.as_str()));
            if !value.volatile {
                identity.params.insert(name.clone(), value.text.clone());
            }
        }
        used
    }

    /// The longest value, with its name.
    pub(super) fn longest(&self) -> Option<(&str, &str)> {
        self.all()
            .into_iter()
            .max_by_key(|(name, text)| name.len() + text.len())
    }
}

/// Whether the script, the shell, a variable or the text of a file of a step mentions the variable.
fn mentions(identity: &Identity, variable: &str) -> bool {
    let mentions = |text: &String| param::is_mentioned(text, variable);
    mentions(&identity.script)
        || identity.shell.iter().any(mentions)
        || identity.env.values().any(mentions)
        || identity
            .files
            .iter()
            .any(|files| files.mentions.contains(variable))
}
