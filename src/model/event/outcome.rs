//! What came of one task: when and where it ran, what it left, why it failed.

use std::sync::Arc;
use std::time::Duration;

use crate::model::list::Form;
use crate::model::name::StepName;
use crate::model::task::TaskId;

/// When and where a task ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// When it began: milliseconds since 1970, UTC.
    pub started: i64,
    /// From start to end; zero if nothing was executed.
    pub elapsed: Duration,
    /// The worker that executed it, from 0; none if it was not executed.
    pub worker: Option<i64>,
    /// What ran its script; none if nothing did.
    pub launch: Option<Launch>,
    /// The time that CPUs worked for it, where that is known.
    pub cpu: Option<Duration>,
    /// The most memory that it had at a time, in bytes, where that is known.
    pub peak: Option<u64>,
}

/// What runs a task's script. Scripts cannot tell the difference, so somebody else has to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Launch {
    /// The runner itself starts the programs.
    Direct,
    /// A shell of its own.
    Shell,
    /// A subshell of one that runs many tasks.
    Warm,
}

impl Launch {
    /// The word for it in events and traces.
    pub fn word(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Shell => "shell",
            Self::Warm => "warm",
        }
    }
}

/// The outputs of one task, by where they went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routed {
    /// Steps and how many outputs went to each.
    pub steps: Vec<(StepName, u64)>,
    /// Steps that gather, and how many outputs went to each.
    pub gathered: Vec<(StepName, u64)>,
    /// Steps that take some by their `from`, besides where these went, and how many tasks each got by that. No
    /// outputs of their own.
    pub taken: Vec<(StepName, u64)>,
    /// Final outputs: how many.
    pub finals: u64,
    /// Those of a sample, which go nowhere: how many.
    pub apart: u64,
    /// The first few outputs.
    pub names: Vec<Left>,
}

/// An output that is told by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Its name.
    pub name: String,
    /// What it is.
    pub form: Form,
    /// The step that it went to; none if it is final.
    pub step: Option<StepName>,
}

impl Routed {
    /// How many names are told; the rest is a number.
    pub const NAMED: usize = 8;

    /// Adds one output.
    pub fn add(&mut self, name: &str, form: Form, route: Option<&StepName>) {
        self.name(name, form, route);
        match route {
            None => self.finals += 1,
            Some(step) => one_more(&mut self.steps, step),
        }
    }

    /// Adds one output that a step gathers.
    pub fn add_gathered(&mut self, name: &str, form: Form, step: &StepName) {
        self.name(name, form, Some(step));
        one_more(&mut self.gathered, step);
    }

    /// Adds a task of a step that takes an output besides where that went.
    pub fn add_taken(&mut self, step: &StepName) {
        one_more(&mut self.taken, step);
    }

    /// The same of a task whose outputs go nowhere: where those would go that have names is as `route` says.
    #[must_use]
    pub fn of_sample<'a>(&self, route: impl Fn(&str) -> Option<&'a StepName>) -> Self {
        let names = self.names.iter().map(|left| Left {
            step: route(&left.name).cloned(),
            ..left.clone()
        });
        Self {
            apart: self.total(),
            names: names.collect(),
            ..Self::default()
        }
    }

    fn name(&mut self, name: &str, form: Form, route: Option<&StepName>) {
        if self.names.len() < Self::NAMED {
            self.names.push(Left {
                name: name.to_owned(),
                form,
                step: route.cloned(),
            });
        }
    }

    /// Steps, gathering or not, and how many outputs went to each.
    pub fn all_steps(&self) -> impl Iterator<Item = &(StepName, u64)> {
        self.steps.iter().chain(&self.gathered)
    }

    /// All outputs.
    pub fn total(&self) -> u64 {
        self.finals + self.apart + self.all_steps().map(|(_, count)| count).sum::<u64>()
    }
}

fn one_more(steps: &mut Vec<(StepName, u64)>, step: &StepName) {
    match steps.iter_mut().find(|(name, _)| name == step) {
        Some((_, count)) => *count += 1,
        None => steps.push((step.clone(), 1)),
    }
}

/// A failed task.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The task.
    pub task: TaskId,
    /// Its step.
    pub step: StepName,
    /// The name of its input.
    pub input_name: Option<String>,
    /// Of which group it is, for one of several that a step gathers.
    pub key: Option<String>,
    /// What its input is.
    pub form: Form,
    /// The machine that it ran on last, if it was not that of the run.
    pub node: Option<Arc<str>>,
    /// How it ended, and its last words.
    pub error: String,
}

/// Why a task failed, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Its script ended with a status other than 0.
    Exit,
    /// Somebody ended it by a signal.
    Signal,
    /// Its time was over.
    Timeout,
    /// It took more memory than it was given.
    OutOfMemory,
    /// Whatever ran it is gone, and nobody knows what became of it.
    Lost,
    /// What it left, or was to work on, is not as it has to be.
    Other,
}

impl Cause {
    /// That of a recorded error, each of which begins with how the script ended.
    pub fn of(error: &str) -> Self {
        let begins = |words: &str| error.starts_with(words);
        if begins("exit status ") {
            Self::Exit
        } else if begins("killed by ") {
            Self::Signal
        } else if begins("timed out ") {
            Self::Timeout
        } else if begins("out of memory") {
            Self::OutOfMemory
        } else if begins("lost: ") {
            Self::Lost
        } else {
            Self::Other
        }
    }

    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Signal => "signal",
            Self::Timeout => "timeout",
            Self::OutOfMemory => "out of memory",
            Self::Lost => "lost",
            Self::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_of_a_sample_are_no_final_ones_and_go_to_no_step() {
        let join = StepName::new("join").unwrap();
        let mut all = Routed::default();
        all.add("26_join", Form::File, None);
        all.add("end", Form::File, None);
        let told = all.of_sample(|name| name.ends_with("_join").then_some(&join));
        assert_eq!((told.finals, told.apart, told.total()), (0, 2, 2));
        assert_eq!(told.all_steps().count(), 0);
        let steps: Vec<_> = told.names.iter().map(|left| left.step.as_ref()).collect();
        assert_eq!(steps, [Some(&join), None]);
    }

    #[test]
    fn a_cause_is_known_by_how_an_error_begins() {
        for (error, word) in [
            ("exit status 3\n  killed by hand", "exit"),
            ("killed by SIGKILL", "signal"),
            ("timed out after 10m", "timeout"),
            ("out of memory: killed at 2.0 GiB", "out of memory"),
            ("lost: its shell died", "lost"),
            ("left a FIFO", "other"),
        ] {
            assert_eq!(Cause::of(error).word(), word);
        }
    }
}
