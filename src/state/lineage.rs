//! From a task to those that it descends from.

use rusqlite::OptionalExtension;

use super::memo::digest;
use super::{Context, Error, State, StepId};
use crate::core::digest::Digest;
use crate::core::task::TaskId;

/// What a task works on, and where that comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The step version; none for a final output.
    pub step: Option<StepId>,
    /// The input.
    pub input: Digest,
    /// The file name under which the parent left it.
    pub name: Option<Box<str>>,
    /// The task that left it.
    pub parent: Option<TaskId>,
}

impl State {
    /// What the task works on. A parent has a lower row than its child, so that one who goes from
    /// parent to parent comes to an end: what a damaged file says otherwise is left out.
    pub fn origin(&self, task: TaskId) -> Result<Option<Origin>, Error> {
        self.connection
            .prepare_cached(
                "SELECT step_id, object_hash, name, input_task_id FROM task WHERE id = ?1",
            )
            .and_then(|mut query| {
                query
                    .query_row([task.0], |row| {
                        Ok(Origin {
                            step: row.get::<_, Option<i64>>(0)?.map(StepId),
                            input: digest(row, 1)?,
                            name: row.get::<_, Option<String>>(2)?.map(String::into_boxed_str),
                            parent: row
                                .get::<_, Option<i64>>(3)?
                                .map(TaskId)
                                .filter(|parent| *parent < task),
                        })
                    })
                    .optional()
            })
            .during(&self.layout, "read a task's parent")
    }
}
