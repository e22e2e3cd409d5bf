//! Steps that gather, or take what others leave: what makes one group.

use std::fmt;

use crate::model::name::StepName;
use crate::model::promise::Pattern;
use crate::model::task::TaskId;

/// What stands above a task and waits for others, as a number: equal sets of barriers have the same
/// ([`super::barrier`]).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Line(pub(super) u32);

/// The place of a barrier among all of them, from 0 ([`super::barrier`]).
pub type BarrierId = usize;

/// A step that gathers what descends from each task of another one; their order is the manifest's.
pub type KindId = usize;

/// What a step gathers into one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gather {
    /// All that comes to it in a runset.
    All,
    /// All that has the same key.
    ByKey,
    /// All that descends from a task of the step in this place of the manifest.
    Below(usize),
}

impl Gather {
    /// Whether it waits for all that may come in a runset, and not for each group by itself.
    pub fn is_barrier(self) -> bool {
        match self {
            Self::All | Self::ByKey => true,
            Self::Below(_) => false,
        }
    }
}

/// A group among those of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Which<'a> {
    /// The task whose descendants it has; 0 where everything is one group, -1 where what has the same
    /// key is, -2 where what belongs to no group is kept together.
    pub owner: i64,
    /// The key of all in it; empty where everything is one group.
    pub key: &'a str,
}

impl<'a> Which<'a> {
    /// That of everything.
    pub const ALL: Self = Self { owner: 0, key: "" };
    /// What belongs nowhere.
    pub const ASTRAY: Self = Self { owner: -2, key: "" };

    /// That of what has this key.
    pub fn of_key(key: &'a str) -> Self {
        Self { owner: -1, key }
    }

    /// That of what descends from a task, whose key that is.
    pub fn below(task: TaskId, key: &'a str) -> Self {
        Self { owner: task.0, key }
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
