//! Steps that gather, or take what others leave: what makes one group.

use std::fmt;

use crate::model::name::StepName;
use crate::model::promise::Pattern;

/// What stands above a task and waits for others, as a number: equal sets of barriers have the same
/// ([`super::barrier`]).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Line(pub(super) u32);

/// What a step gathers into one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gather {
    /// All that comes to it in a runset.
    All,
    /// All that has the same key.
    ByKey,
}

impl Gather {
    /// What stands in place of a group's owner.
    pub fn owner(self) -> i64 {
        match self {
            Self::All => 0,
            Self::ByKey => -1,
        }
    }

    /// The key of the group that something with that key belongs to.
    pub fn key(self, key: &str) -> &str {
        match self {
            Self::All => "",
            Self::ByKey => key,
        }
    }
}

/// Outputs of a step that another one takes, wherever they are routed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The step that leaves them.
    pub step: StepName,
    /// Their names; none for all.
    pub pattern: Option<Pattern>,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.step.as_str())?;
        match &self.pattern {
            Some(pattern) => write!(f, ":{}", pattern.text()),
            None => Ok(()),
        }
    }
}

/// What a row of a task stands for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Role {
    /// A task, or a final output.
    #[default]
    Task,
    /// An output that a step gathers.
    Member,
    /// A task on an output that has a row of its own besides.
    Reader,
    /// A task that works on what was gathered.
    Gather,
}

impl Role {
    /// As the database has it.
    pub fn number(self) -> i64 {
        match self {
            Self::Task => 0,
            Self::Member => 1,
            Self::Reader => 2,
            Self::Gather => 3,
        }
    }

    /// What [`Role::number`] gave.
    pub fn of(number: i64) -> Option<Self> {
        let all = [Self::Task, Self::Member, Self::Reader, Self::Gather];
        all.into_iter().find(|role| role.number() == number)
    }
}
