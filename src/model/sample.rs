//! Samples of tainted tasks: some of them run under the version that their step has now, and what
//! came of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::list::Form;
use super::name::StepName;
use super::task::TaskId;

/// What speaks for taking tasks over: as many of them as these left the same under another version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Tasks that were run.
    pub tasks: i64,
    /// Tasks that they were taken from.
    pub tainted: i64,
    /// When that was: milliseconds since 1970, UTC.
    pub made: i64,
}

impl Sample {
    /// As it is recorded.
    pub(crate) fn to_json(self) -> String {
        // Three numbers are always written.
        serde_json::to_string(&self).unwrap_or_default()
    }

    /// What was recorded; none if that is something else.
    pub(crate) fn from_json(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a sample of {} of {}", self.tasks, self.tainted)?;
        match jiff::Timestamp::from_millisecond(self.made) {
            Ok(made) => write!(f, " on {}", made.strftime("%Y-%m-%d")),
            Err(_) => Ok(()),
        }
    }
}

/// What came of a sample of the tasks of one version of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sampled {
    /// The runset.
    pub runset: String,
    /// The step.
    pub step: StepName,
    /// The version that they were run under.
    pub version: i64,
    /// The version that they are of.
    pub from: i64,
    /// Tasks that were run.
    pub tasks: i64,
    /// Tasks that they were taken from.
    pub tainted: i64,
    /// Of those that were run: they left something else than before.
    pub differing: i64,
    /// Of those that were run: they failed.
    pub failed: i64,
    /// The first few that differ or failed.
    pub shown: Vec<Unequal>,
    /// What to type next.
    pub next: String,
}

impl Sampled {
    /// Tasks that are told.
    pub const SHOWN: usize = 5;

    /// Whether all left the same as before.
    pub fn is_equal(&self) -> bool {
        self.differing + self.failed == 0
    }
}

/// A task that did not leave the same as before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unequal {
    /// The task.
    pub task: TaskId,
    /// The name of its input.
    pub input_name: Option<String>,
    /// What its input is.
    pub form: Form,
    /// How it failed, if it did.
    pub error: Option<String>,
    /// The first few outputs that differ.
    pub outputs: Vec<Difference>,
    /// How many more do.
    pub more: usize,
}

/// An output that is another one, is missing, or was not there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its file name.
    pub name: String,
    /// What it was.
    pub old: Option<Digest>,
    /// What it is.
    pub new: Option<Digest>,
}

/// Outputs by name and bytes.
pub type Left = Vec<(String, Digest)>;

/// The outputs that are not both in `old` and in `new`, by name; each counts as often as it is
/// there.
pub fn differences(mut old: Left, mut new: Left) -> Vec<Difference> {
    old.sort();
    new.sort();
    let gone = without(&old, &new);
    let mut come = without(&new, &old);
    let mut all: Vec<Difference> = gone
        .into_iter()
        .map(|(name, digest)| {
            let same = come.iter().position(|(other, _)| *other == name);
            Difference {
                name,
                old: Some(digest),
                new: same.map(|at| come.remove(at).1),
            }
        })
        .collect();
    all.extend(come.into_iter().map(|(name, digest)| Difference {
        name,
        old: None,
        new: Some(digest),
    }));
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// Those of `all` that `others` lack; both are sorted.
fn without(all: &[(String, Digest)], others: &[(String, Digest)]) -> Left {
    let mut others = others.iter().peekable();
    let mut left = Left::new();
    for one in all {
        while others.next_if(|other| *other < one).is_some() {}
        if others.next_if(|other| *other == one).is_none() {
            left.push(one.clone());
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(outputs: &[(&str, &str)]) -> Left {
        let output = |(name, text): &(&str, &str)| ((*name).into(), Digest::of(text.as_bytes()));
        outputs.iter().map(output).collect()
    }

    #[test]
    fn outputs_are_compared_as_a_multiset() {
        let of = |old: &[(&str, &str)], new: &[(&str, &str)]| -> Vec<String> {
            let all = differences(left(old), left(new));
            let words = |one: Difference| match (one.old, one.new) {
                (Some(_), Some(_)) => format!("{} other", one.name),
                (Some(_), None) => format!("{} gone", one.name),
                (None, _) => format!("{} new", one.name),
            };
            all.into_iter().map(words).collect()
        };
        let none: [String; 0] = [];
        assert_eq!(of(&[], &[]), none);
        assert_eq!(
            of(&[("a", "1"), ("b", "2")], &[("b", "2"), ("a", "1")]),
            none
        );
        assert_eq!(of(&[("a", "1")], &[("a", "2")]), ["a other"]);
        assert_eq!(of(&[("a", "1")], &[("b", "1")]), ["a gone", "b new"]);
        assert_eq!(of(&[("a", "1"), ("a", "1")], &[("a", "1")]), ["a gone"]);
        assert_eq!(of(&[], &[("z", "1"), ("a", "1")]), ["a new", "z new"]);
    }

    #[test]
    fn what_is_recorded_of_a_sample_is_read_again() {
        let sample = Sample {
            tasks: 20,
            tainted: 1000,
            made: 1_795_680_000_000,
        };
        assert_eq!(sample.to_string(), "a sample of 20 of 1000 on 2026-11-26");
        assert_eq!(
            sample.to_json(),
            r#"{"tasks":20,"tainted":1000,"made":1795680000000}"#
        );
        assert_eq!(Sample::from_json(&sample.to_json()), Some(sample));
        assert_eq!(Sample::from_json("?"), None);
    }
}
