//! From a task to those that it descends from.

use rusqlite::{OptionalExtension, Row};

use super::cell::{digest, file_name, form, located, older, role, some_digest};
use super::{Context, Error, Reader, StepId};
use crate::model::digest::Digest;
use crate::model::gather::Role;
use crate::model::list::Form;
use crate::model::name::FileName;
use crate::model::task::TaskId;

/// The task above a row of `task`: of what was gathered, the one that it descends from, if there is one.
pub(super) const PARENT: &str = "iif(role <> 3, input_task_id,
    (SELECT owner FROM gathering WHERE id = task.gathering AND owner > 0))";

/// What a task works on, and where that comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The step version; none for a final output.
    pub step: Option<StepId>,
    /// The input.
    pub input: Digest,
    /// What that is.
    pub form: Form,
    /// The file name under which the parent left it.
    pub name: Option<FileName>,
    /// What the task is about, where that does not follow from the name.
    pub key: Option<String>,
    /// The task that left it; of what descends from a task and was gathered, that one.
    pub parent: Option<TaskId>,
    /// What the row stands for.
    pub role: Role,
    /// What the task got besides its input.
    pub context: Option<Digest>,
}

impl Reader {
    /// What the task works on. A parent has a lower row than its child, so that one who goes from
    /// parent to parent comes to an end.
    pub(crate) fn origin(&self, task: TaskId) -> Result<Option<Origin>, Error> {
        self.connection
            .prepare_cached(&format!(
                "SELECT id, step_id, object_hash, name, {PARENT}, kind, key, role, context FROM task
                     WHERE id = ?1"
            ))
            .and_then(|mut query| {
                let origin = |row: &Row| {
                    Ok(Origin {
                        step: row.get::<_, Option<i64>>(1)?.map(StepId),
                        input: digest(row, 2)?,
                        form: form(row, 5)?,
                        name: file_name(row, 3)?,
                        key: row.get(6)?,
                        parent: older(row, 4, task)?,
                        role: role(row, 7)?,
                        context: some_digest(row, 8)?,
                    })
                };
                query
                    .query_row([task.0], |row| located("task", row, origin))
                    .optional()
            })
            .during(&self.layout, "read a task's parent")
    }

    /// The tasks from which this one comes and that no task left, by way of all that was gathered.
    pub(crate) fn roots(&self, task: TaskId) -> Result<Vec<TaskId>, Error> {
        self.connection
            .prepare_cached(
                "WITH RECURSIVE up (id) AS (
                     VALUES (?1)
                     UNION SELECT t.input_task_id FROM up JOIN task AS t ON t.id = up.id
                         WHERE t.input_task_id IS NOT NULL
                     UNION SELECT m.id FROM up JOIN task AS t ON t.id = up.id AND t.role = 3
                         JOIN task AS m ON m.gathering = t.gathering AND m.role = 1 AND m.live = 1)
                 SELECT t.id FROM up JOIN task AS t ON t.id = up.id
                 WHERE t.input_task_id IS NULL AND t.role <> 3",
            )
            .and_then(|mut query| {
                let root = |row: &Row| row.get(0).map(TaskId);
                query.query_map([task.0], root)?.collect()
            })
            .during(&self.layout, "read what a task comes from")
    }
}
