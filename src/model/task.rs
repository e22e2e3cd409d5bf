//! Tasks: their identity, the states that they go through, and the one function that moves them.

use std::fmt;

use super::checkpoint;

/// The variable with the folder of an input's files: only tasks of steps that mention it have it.
pub const INPUT_DIR: &str = "INPUT_DIR";

/// The variable with the folder of what other steps left for a task: only tasks of steps that mention
/// it have it.
pub const WITH_DIR: &str = "WITH_DIR";

/// The variable with the one such file that a task gets: as with the folder.
pub const WITH_FILE: &str = "WITH_FILE";

/// The variable with the key of a task: only tasks of steps that mention it have it.
pub const KEY: &str = "TASK_PIPELINE_KEY";

/// The variables that the runner sets for each task; a host that has them set is a task itself.
pub const VARIABLES: [&str; 13] = [
    "INPUT_FILE",
    INPUT_DIR,
    WITH_DIR,
    WITH_FILE,
    "OUTPUT_DIR",
    checkpoint::STATE_DIR,
    "TMPDIR",
    "TASK_PIPELINE_STEP",
    "TASK_PIPELINE_VERSION",
    "TASK_PIPELINE_TASK",
    "TASK_PIPELINE_RUNSET",
    "TASK_PIPELINE_INPUT_NAME",
    KEY,
];

/// The row of a task in the state database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct TaskId(pub i64);

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The recorded state of a live task.
///
/// A running task has none of its own: until it ends it stays what it was, so that a run killed at
/// any moment finds it to be done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// Not executed yet, or interrupted. `processed` is 0, `error` is NULL.
    Pending,
    /// The last execution failed; the next run tries again. `processed` is 0, `error` is set.
    Failed,
    /// Executed with success; its outputs are recorded. `processed` is 1.
    Done,
    /// Not executed: an equal task's outputs stand for its own. `processed` is 1.
    Reused,
}

/// What can happen to a live task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// An execution succeeded.
    Succeed,
    /// An execution failed.
    Fail,
    /// Outputs of an equal task were taken.
    Reuse,
}

/// A transition that no correct program asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a task that is {from:?} cannot {step:?}")]
pub struct Illegal {
    /// The state it was in.
    pub from: TaskState,
    /// What was asked of it.
    pub step: Step,
}

impl TaskState {
    /// Every state, in the order in which counts are shown.
    pub const ALL: [Self; 4] = [Self::Done, Self::Reused, Self::Failed, Self::Pending];

    /// The state after `step`. A finished task never moves again: only a new task can supersede it.
    pub fn after(self, step: Step) -> Result<Self, Illegal> {
        match (self, step) {
            (Self::Pending | Self::Failed, Step::Succeed) => Ok(Self::Done),
            (Self::Pending | Self::Failed, Step::Fail) => Ok(Self::Failed),
            (Self::Pending | Self::Failed, Step::Reuse) => Ok(Self::Reused),
            (from @ (Self::Done | Self::Reused), step) => Err(Illegal { from, step }),
        }
    }

    /// Whether the next run has nothing to do for it.
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Done | Self::Reused)
    }
}

/// How many live tasks are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct TaskCounts {
    /// Not executed yet.
    pub pending: i64,
    /// Failed at the last try.
    pub failed: i64,
    /// Executed with success.
    pub done: i64,
    /// Outputs of an equal task were taken.
    pub reused: i64,
}

impl TaskCounts {
    /// One more in `state`, or fewer with a negative `by`.
    pub fn add(&mut self, state: TaskState, by: i64) {
        *self.slot(state) += by;
    }

    /// One task moved.
    pub fn moved(&mut self, from: TaskState, to: TaskState) {
        self.add(from, -1);
        self.add(to, 1);
    }

    /// Tasks with a result.
    pub fn finished(&self) -> i64 {
        self.done + self.reused
    }

    /// All live tasks.
    pub fn total(&self) -> i64 {
        self.pending + self.failed + self.finished()
    }

    /// Whether there is nothing to tell.
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    fn slot(&mut self, state: TaskState) -> &mut i64 {
        match state {
            TaskState::Pending => &mut self.pending,
            TaskState::Failed => &mut self.failed,
            TaskState::Done => &mut self.done,
            TaskState::Reused => &mut self.reused,
        }
    }
}

impl std::ops::AddAssign for TaskCounts {
    fn add_assign(&mut self, other: Self) {
        self.pending += other.pending;
        self.failed += other.failed;
        self.done += other.done;
        self.reused += other.reused;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finished_tasks_never_move() {
        for from in TaskState::ALL {
            for step in [Step::Succeed, Step::Fail, Step::Reuse] {
                assert_eq!(from.after(step).is_err(), from.is_finished());
            }
        }
    }

    #[test]
    fn a_failed_task_can_succeed() {
        assert_eq!(TaskState::Failed.after(Step::Succeed), Ok(TaskState::Done));
        assert_eq!(TaskState::Pending.after(Step::Fail), Ok(TaskState::Failed));
    }

    #[test]
    fn moves_keep_the_total() {
        let mut tally = TaskCounts::default();
        tally.add(TaskState::Pending, 3);
        tally.moved(TaskState::Pending, TaskState::Done);
        assert_eq!((tally.pending, tally.done, tally.total()), (2, 1, 3));
    }
}
