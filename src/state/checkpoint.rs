//! What tasks keep from try to try: for each one tree, which is there until the task has ended well.

use rusqlite::{OptionalExtension as _, Row};

use super::cell::{digest, located, number, some_digest};
use super::{Context as _, Error, Reader, State, StepId};
use crate::model::digest::Digest;
use crate::model::task::TaskId;

/// What a try works on: to another one what was kept says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Basis<'a> {
    /// The version of the step.
    pub step: StepId,
    /// The input.
    pub input: &'a Digest,
    /// The list of what the task gets besides.
    pub context: Option<&'a Digest>,
}

/// Rows that are of use, as a literal: their task is by the version that they are of, and to be done, or such as may have
/// to be made again.
macro_rules! of_use {
    () => {
        "checkpoint JOIN task ON task.id = checkpoint.task_id AND task.live = 1
         AND task.step_id = checkpoint.step_id AND (task.processed = 0 OR EXISTS (SELECT 1 FROM evicted))"
    };
}
pub(super) use of_use;

impl Reader {
    /// The tree that a task kept in an earlier try, if that worked on the same.
    pub(crate) fn checkpoint(&self, task: TaskId, basis: Basis) -> Result<Option<Digest>, Error> {
        self.connection
            .prepare_cached(
                "SELECT tree, input, context, step_id FROM checkpoint WHERE task_id = ?1",
            )
            .and_then(|mut query| {
                let mut rows = query.query([task.0])?;
                let Some(row) = rows.next()? else {
                    return Ok(None);
                };
                // What cannot be read is of no use, and of no harm.
                let (Ok(tree), Ok(input), Ok(context)) =
                    (digest(row, 0), digest(row, 1), some_digest(row, 2))
                else {
                    return Ok(None);
                };
                let is_same = row.get::<_, i64>(3)? == basis.step.0
                    && input == *basis.input
                    && context.as_ref() == basis.context;
                Ok(is_same.then_some(tree))
            })
            .during(&self.layout, "read what a task kept")
    }
}

/// What a task works on that has to be done, or made again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnBasis {
    step: StepId,
    /// The number of its version.
    pub version: i64,
    /// The input.
    pub input: Digest,
    /// The list of what the task gets besides.
    pub context: Option<Digest>,
}

impl OwnBasis {
    /// For those who record something on it.
    pub(crate) fn basis(&self) -> Basis<'_> {
        Basis {
            step: self.step,
            input: &self.input,
            context: self.context.as_ref(),
        }
    }
}

impl Reader {
    /// What a task works on that did not end when its run was killed; none if it has been superseded. That of one that
    /// was made again has ended before.
    pub(crate) fn killed_basis(&self, task: TaskId) -> Result<Option<OwnBasis>, Error> {
        self.connection
            .prepare_cached(
                "SELECT step.id, step.version, object_hash, context FROM task
                 JOIN step ON step.id = task.step_id
                 WHERE task.id = ?1 AND live = 1",
            )
            .and_then(|mut query| {
                let basis = |row: &Row| {
                    Ok(OwnBasis {
                        step: StepId(row.get(0)?),
                        version: number(row, 1)?,
                        input: digest(row, 2)?,
                        context: some_digest(row, 3)?,
                    })
                };
                query
                    .query_row([task.0], |row| located("task", row, basis))
                    .optional()
            })
            .during(&self.layout, "read a task")
    }

    /// The trees that are of use.
    pub(super) fn checkpoints(&self) -> Result<Vec<Digest>, Error> {
        self.connection
            .prepare_cached(concat!("SELECT unhex(tree) FROM ", of_use!()))
            .and_then(|mut query| {
                let trees = query.query_map([], |row| Ok(row.get(0).ok().map(Digest)))?;
                trees.filter_map(Result::transpose).collect()
            })
            .during(&self.layout, "read what tasks kept")
    }
}

impl State {
    /// A task kept this, and what it kept before is of no use any more.
    pub(crate) fn put_checkpoint(
        &mut self,
        task: TaskId,
        basis: Basis,
        tree: &Digest,
    ) -> Result<(), Error> {
        let context = basis.context.map(ToString::to_string);
        self.reader
            .connection
            .write(
                "write what a task kept",
                "INSERT OR REPLACE INTO checkpoint (task_id, step_id, input, context, tree)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                (
                    task.0,
                    basis.step.0,
                    &*basis.input.hex(),
                    context,
                    &*tree.hex(),
                ),
            )
            .map(drop)
    }

    /// The task has ended well, or begins with nothing.
    pub(crate) fn drop_checkpoint(&mut self, task: TaskId) -> Result<(), Error> {
        self.reader
            .connection
            .write(
                "write that a task keeps nothing",
                "DELETE FROM checkpoint WHERE task_id = ?1",
                [task.0],
            )
            .map(drop)
    }
}
