//! Early cutoff: a task that already was executed, by content.

use rusqlite::{OptionalExtension, Row, params};

use super::cell::{Ascending, digest, file_name, form, located, some_number};
use super::{Context, Error, Reader, StepId};
use crate::model::digest::Digest;
use crate::model::list::Form;
use crate::model::name::FileName;
use crate::model::task::TaskId;

/// How much of an object's name the index `idx_task_step` has: it finds the row that is meant, and
/// one other in 16 million.
pub(super) const PREFIX: usize = 6;

/// A finished task whose outputs may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Equal {
    /// It.
    pub task: TaskId,
    /// The one that was executed: itself, or one whose outputs it took.
    pub made_by: TaskId,
    /// When that had ended, in milliseconds since 1970; none in what the first implementation
    /// recorded.
    pub executed: Option<i64>,
}

/// Which results are usable, by when and where they were made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usable<'a> {
    /// Those that were executed from then on, and not after that: in milliseconds since 1970.
    pub within: Option<(i64, i64)>,
    /// The runset that they are to be used in.
    pub runset: &'a str,
    /// Whether those of other runsets are.
    pub elsewhere: bool,
}

/// Of all that is equal the one that was executed last: an aggregate, as that sorts nothing. What is
/// accepted for a version that did not make it stands for itself alone.
const EQUAL: &str = "SELECT id, coalesce(reused_from, id), max(coalesce(executed, -1)), executed
    FROM task
    WHERE step_id = ?1 AND processed = 1 AND step_id IS NOT NULL
      AND substr(object_hash, 1, 6) = ?2 AND object_hash = ?3 AND (?4 OR name IS ?5)
      AND (?6 IS NULL OR executed BETWEEN ?6 AND ?12) AND (?7 OR runset = ?8)
      AND kind = ?9 AND role <> 1 AND (?10 OR key IS ?11) AND context IS ?13
      AND NOT EXISTS (SELECT 1 FROM accepted WHERE task_id = task.id)";

impl Reader {
    /// All versions of the step that compute the same as `step`: those with its name and
    /// fingerprint.
    pub(crate) fn equal_versions(&self, step: StepId) -> Result<Vec<StepId>, Error> {
        self.connection
            .prepare_cached(
                "SELECT other.id FROM step JOIN step AS other USING (name, fingerprint)
                 WHERE step.id = ?1 ORDER BY other.id DESC",
            )
            .and_then(|mut query| {
                query
                    .query_map([step.0], |row| row.get(0).map(StepId))?
                    .collect()
            })
            .during(&self.layout, "read step versions")
    }

    /// The usable finished task of one of `steps` on `input`, with the same besides it, that was executed last, superseded or
    /// not; with `name`, only one whose input had that name; with `key`, only one that is about the same.
    #[allow(clippy::option_option)] // Some inputs have no name, and that may be what counts.
    pub(crate) fn finished_equal(
        &self,
        steps: &[StepId],
        (input, form, context): (&Digest, Form, Option<&Digest>),
        name: Option<Option<&str>>,
        key: Option<Option<&str>>,
        usable: Usable,
    ) -> Result<Option<Equal>, Error> {
        let hex = input.hex();
        let mut newest: Option<Equal> = None;
        for step in steps {
            let found = self
                .connection
                .prepare_cached(EQUAL)
                .and_then(|mut query| {
                    let which = params![
                        step.0,
                        &hex[..PREFIX],
                        &*hex,
                        name.is_none(),
                        name.flatten(),
                        usable.within.map(|(since, _)| since),
                        usable.elsewhere,
                        usable.runset,
                        form.number(),
                        key.is_none(),
                        key.flatten(),
                        usable.within.map(|(_, until)| until),
                        context.map(ToString::to_string),
                    ];
                    query.query_row(which, |row| located("task", row, equal))
                })
                .during(&self.layout, "look for an equal task")?;
            if newest
                .is_none_or(|newest| found.is_some_and(|found| found.executed > newest.executed))
            {
                newest = found.or(newest);
            }
        }
        Ok(newest)
    }

    /// When the execution had ended at the latest that gave the task its outputs, in microseconds
    /// since 1970, if that is recorded. When it began is, in whole milliseconds.
    pub(crate) fn made(&self, task: TaskId) -> Result<Option<i64>, Error> {
        self.connection
            .prepare_cached(
                "WITH RECURSIVE took (id) AS (
                     SELECT ?1 UNION SELECT reused_from FROM took JOIN task USING (id)
                     WHERE reused_from IS NOT NULL)
                 SELECT id, started, elapsed FROM took JOIN task USING (id)
                 WHERE reused_from IS NULL",
            )
            .and_then(|mut query| {
                let made = |row: &Row| {
                    let (started, elapsed) = (some_number(row, 1)?, some_number(row, 2)?);
                    Ok(started.zip(elapsed).map(|(ms, us)| ms * 1000 + us + 1000))
                };
                let row = query.query_row([task.0], |row| located("task", row, made));
                row.optional()
            })
            .map(Option::flatten)
            .during(&self.layout, "read when a task ended")
    }

    /// Inputs of finished tasks of `steps`: each once, at most `count`.
    pub(crate) fn finished_inputs(
        &self,
        steps: &[StepId],
        count: usize,
    ) -> Result<Vec<Digest>, Error> {
        let mut all = Vec::new();
        for step in steps {
            let left = i64::try_from(count - all.len()).unwrap_or(i64::MAX);
            let of_step: Vec<Digest> = self
                .connection
                .prepare_cached(
                    "SELECT DISTINCT object_hash FROM task
                     WHERE step_id = ?1 AND step_id IS NOT NULL AND processed = 1 AND role <> 1 LIMIT ?2",
                )
                .and_then(|mut query| {
                    query
                        .query_map((step.0, left), |row| digest(row, 0))?
                        .collect()
                })
                .during(&self.layout, "read what was worked on")?;
            all.extend(of_step);
        }
        Ok(all)
    }

    /// The newest finished task of one of `steps` on `input` before the row `before`.
    pub(crate) fn finished_before(
        &self,
        steps: &[StepId],
        input: &Digest,
        form: Form,
        before: TaskId,
    ) -> Result<Option<TaskId>, Error> {
        let hex = input.hex();
        let mut newest = None;
        for step in steps {
            let found: Option<i64> = self
                .connection
                .prepare_cached(
                    "SELECT max(id) FROM task
                     WHERE step_id = ?1 AND processed = 1 AND step_id IS NOT NULL
                       AND substr(object_hash, 1, 6) = ?2 AND object_hash = ?3 AND id < ?4
                       AND kind = ?5 AND role <> 1",
                )
                .and_then(|mut query| {
                    let which = (step.0, &hex[..PREFIX], &*hex, before.0, form.number());
                    query.query_row(which, |row| row.get(0))
                })
                .during(&self.layout, "look for an equal task")?;
            newest = newest.max(found);
        }
        Ok(newest.map(TaskId))
    }

    /// Calls `each` with name and object of every output that the task left, in order, and what that is.
    /// The first implementation did not record names.
    pub(crate) fn each_output(
        &self,
        task: TaskId,
        each: impl FnMut(Option<&FileName>, Digest, Form),
    ) -> Result<(), Error> {
        self.outputs_behind(task, TaskId(0), usize::MAX, each)
            .map(drop)
    }

    /// The same for at most `count` of them, with rows behind `after`. The row of the last one, if
    /// there may be more.
    pub(crate) fn outputs_behind(
        &self,
        task: TaskId,
        after: TaskId,
        count: usize,
        mut each: impl FnMut(Option<&FileName>, Digest, Form),
    ) -> Result<Option<TaskId>, Error> {
        let limit = i64::try_from(count).unwrap_or(i64::MAX);
        // A task that supersedes another has the same parent; it stands for no other output.
        self.connection
            .prepare_cached(
                "SELECT id, name, object_hash, kind FROM task
                 WHERE input_task_id = ?1 AND id > ?2 AND supersedes IS NULL AND output IS NULL
                 ORDER BY id LIMIT ?3",
            )
            .and_then(|mut query| {
                let mut rows = query.query((task.0, after.0, limit))?;
                let mut order = Ascending::after(after);
                let (mut seen, mut last) = (0, None);
                while let Some(row) = rows.next()? {
                    last = Some(located("task", row, |row| {
                        let id = order.next(row)?;
                        each(file_name(row, 1)?.as_ref(), digest(row, 2)?, form(row, 3)?);
                        Ok(id)
                    })?);
                    seen += 1;
                }
                Ok(last.filter(|_| seen == count))
            })
            .during(&self.layout, "read a task's outputs")
    }
}

/// None where there was none to choose from.
fn equal(row: &Row) -> rusqlite::Result<Option<Equal>> {
    let Some(task) = row.get::<_, Option<i64>>(0)? else {
        return Ok(None);
    };
    Ok(Some(Equal {
        task: TaskId(task),
        made_by: TaskId(row.get(1)?),
        executed: some_number(row, 3)?,
    }))
}

#[cfg(test)]
mod tests;
