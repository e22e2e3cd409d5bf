//! Why bytes stay.

use std::collections::BTreeMap;

use crate::store::Amount;

/// What keeps an object's bytes; of several the first one is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Why {
    /// It is a final output.
    Final,
    /// It came in from outside, or a start task left it.
    Outside,
    /// A run that is at work needs it.
    Run,
    /// A task that is to be done works on it.
    Waits,
    /// Another version of the step left it than it has now.
    Version,
    /// The step may leave something else.
    Uncertain,
    /// What it was made of is gone.
    Gone,
    /// Of another step or runset than was asked for.
    Others,
    /// The objects take no more than was wished for without it.
    Fits,
    /// A list, a folder, what a task wrote, or a file of a step.
    Record,
}

impl Why {
    /// For people.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Final => "final outputs",
            Self::Outside => {
                "inputs, and what start tasks left: nothing makes them again for certain"
            }
            Self::Run => "the run that is at work needs them",
            Self::Waits => "tasks that are still to be done work on them",
            Self::Version => {
                "another version of their step left them than it has now (`-migrate-tainted`)"
            }
            Self::Uncertain => {
                "their step may leave something else: secrets, network, `cache` other than true, or it once did"
            }
            Self::Gone => "something that they were made of is gone, or superseded",
            Self::Others => "of other steps or runsets than were named",
            Self::Fits => "without them the objects take no more than -max-size",
            Self::Record => {
                "lists, folders, what tasks wrote, files of steps: small, and needed to know what is what"
            }
        }
    }

    /// For programs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Final => "final",
            Self::Outside => "outside",
            Self::Run => "run",
            Self::Waits => "pending",
            Self::Version => "version",
            Self::Uncertain => "uncertain",
            Self::Gone => "gone",
            Self::Others => "others",
            Self::Fits => "fits",
            Self::Record => "record",
        }
    }
}

/// Adds what else stays.
pub(super) fn add(all: &mut BTreeMap<Why, Amount>, more: BTreeMap<Why, Amount>) {
    for (why, amount) in more {
        *all.entry(why).or_default() += amount;
    }
}
