//! Runsets: all tasks that descend from one seeding of the start step.

use rusqlite::{OptionalExtension, Row};

use super::cell::{Wrong, located};
use super::record::NewTask;
use super::{Context, Error, Reader, State, StepId};
use crate::model::digest::Digest;
use crate::model::list::Form;
use crate::model::task::TaskId;

/// The row of a runset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RunsetId(pub i64);

/// A runset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Runset {
    /// Its row; a newer runset has a higher one.
    pub id: RunsetId,
    /// Its name, by default the UTC time at which it was seeded.
    pub name: String,
}

impl Reader {
    /// All runsets, oldest first.
    pub(crate) fn runsets(&self) -> Result<Vec<Runset>, Error> {
        self.connection
            .prepare_cached("SELECT id, name FROM runset ORDER BY id")
            .and_then(|mut query| query.query_map([], runset)?.collect())
            .during(&self.layout, "read runsets")
    }

    /// The newest runset.
    pub(crate) fn newest_runset(&self) -> Result<Option<Runset>, Error> {
        self.connection
            .prepare_cached("SELECT id, name FROM runset ORDER BY id DESC LIMIT 1")
            .and_then(|mut query| query.query_row([], runset).optional())
            .during(&self.layout, "read runsets")
    }

    /// The runset of that name.
    pub(crate) fn runset(&self, name: &str) -> Result<Option<Runset>, Error> {
        self.connection
            .prepare_cached("SELECT id, name FROM runset WHERE name = ?1")
            .and_then(|mut query| query.query_row([name], runset).optional())
            .during(&self.layout, "read runsets")
    }

    /// The step that the runset began at.
    pub(crate) fn seeded_step(&self, runset: &Runset) -> Result<Option<String>, Error> {
        self.connection
            .prepare_cached(
                "SELECT step.name FROM task JOIN step ON step.id = task.step_id
                 WHERE runset = ?1 AND input_task_id IS NULL AND live = 1 AND role <> 3
                 ORDER BY task.id LIMIT 1",
            )
            .and_then(|mut query| query.query_row([&runset.name], |row| row.get(0)).optional())
            .during(&self.layout, "read where a runset began")
    }
}

impl State {
    /// Makes a runset; if there is one of that name, with `.2`, `.3` … behind it.
    ///
    /// `created`: milliseconds since 1970.
    pub(crate) fn create_runset(&mut self, name: &str, created: i64) -> Result<Runset, Error> {
        let mut own = name.to_owned();
        let mut number = 2;
        while self.runset(&own)?.is_some() {
            own = format!("{name}.{number}");
            number += 1;
        }
        self.reader.connection.write(
            "write a runset",
            "INSERT INTO runset (name, created) VALUES (?1, ?2)",
            (&own, created),
        )?;
        Ok(Runset {
            id: RunsetId(self.reader.connection.last_insert_rowid()),
            name: own,
        })
    }

    /// Adds a task of `step` on the empty input, which executes in any case.
    pub(crate) fn seed(&mut self, runset: &Runset, step: StepId) -> Result<TaskId, Error> {
        self.insert_task(
            runset,
            &NewTask {
                object: Digest::EMPTY,
                form: Form::File,
                step: Some(step),
                parent: None,
                name: None,
                forced: true,
            },
        )
    }
}

fn runset(row: &Row) -> rusqlite::Result<Runset> {
    located("runset", row, |row| {
        let name: String = row.get(1)?;
        // Each task gets it as a variable.
        if name.contains('\0') {
            return Err(Wrong::Variable.into_error());
        }
        Ok(Runset {
            id: RunsetId(row.get(0)?),
            name,
        })
    })
}
