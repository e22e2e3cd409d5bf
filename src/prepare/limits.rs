//! What is too long to be passed to a program. The system says so only when a task is started: each
//! one would fail, whatever ran before it.

use std::ffi::OsStr;
use std::fmt;

use super::Values;
use crate::manifest::Step;
use crate::model::name::StepName;
use crate::model::param;
use crate::sys::ArgumentLimits;

/// Bytes for what a single task adds: paths, numbers, names.
const TASK: usize = 32 << 10;
/// Bytes that each argument and variable takes besides its own: its end, and a pointer to it.
const EACH: usize = 1 + size_of::<usize>();

/// Something of a step, or of the pipeline, that is too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TooLong {
    step: Option<StepName>,
    what: String,
    bytes: usize,
    most: usize,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(step) = &self.step {
            write!(f, "step {step}: ")?;
        }
        write!(
            f,
            "{} {} bytes, and this system passes at most {} to a program",
            self.what, self.bytes, self.most
        )
    }
}

/// What is too long in a step itself: a single text, or all of them together.
pub(super) fn of_step(step: &Step, limits: &ArgumentLimits) -> Vec<TooLong> {
    let too_long = |what: String, bytes: usize, most: usize| TooLong {
        step: Some(step.name.clone()),
        what,
        bytes,
        most,
    };
    // The end of each counts.
    let one = |bytes: usize| bytes >= limits.one;
    let mut found = Vec::new();
    if one(step.script.len()) {
        found.push(too_long(
            "its script has".to_owned(),
            step.script.len(),
            limits.one - 1,
        ));
    }
    for word in step.shell.iter().filter(|word| one(word.len())) {
        found.push(too_long(
            "a word of its shell has".to_owned(),
            word.len(),
            limits.one - 1,
        ));
    }
    for (name, value) in &step.env {
        let bytes = name.len() + "=".len() + value.len();
        if one(bytes) {
            found.push(too_long(
                format!("with its name the variable {name} has"),
                bytes,
                limits.one - 1,
            ));
        }
    }
    if found.is_empty() {
        found.extend(together(step, step.env.iter(), limits));
    }
    found
}

/// The longest parameter, if it is too long to be a variable.
pub(super) fn of_params(params: &Values, limits: &ArgumentLimits) -> Option<TooLong> {
    let (name, value) = params.longest()?;
    let bytes = param::VARIABLE.len() + name.len() + "=".len() + value.len();
    (bytes >= limits.one).then(|| TooLong {
        step: None,
        what: format!("with its name the parameter {name} has"),
        bytes,
        most: limits.one - 1,
    })
}

/// Whether all that a step's tasks are started with is too long together.
pub(super) fn together<S: AsRef<OsStr>>(
    step: &Step,
    variables: impl Iterator<Item = (S, S)>,
    limits: &ArgumentLimits,
) -> Option<TooLong> {
    let arguments = step
        .shell
        .iter()
        .map(String::len)
        .chain([step.script.len()]);
    let variables =
        variables.map(|(name, value)| name.as_ref().len() + "=".len() + value.as_ref().len());
    let bytes: usize = arguments.chain(variables).map(|bytes| bytes + EACH).sum();
    (bytes + TASK > limits.all).then(|| TooLong {
        step: Some(step.name.clone()),
        what: "its script and variables have together".to_owned(),
        bytes,
        most: limits.all.saturating_sub(TASK),
    })
}
