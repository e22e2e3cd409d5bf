//! Tasks that succeeded at a later try than the first.

use rusqlite::{OptionalExtension as _, Row};

use super::cell::{located, number};
use super::{Context, Error, Reader, Runset, State};
use crate::model::name::{FileName, StepName};
use crate::model::task::TaskId;

/// Such a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flaky {
    /// Its row.
    pub task: TaskId,
    /// Its step.
    pub step: StepName,
    /// The name under which its input was left.
    pub input_name: Option<FileName>,
    /// How often it was tried, with the try that succeeded.
    pub tries: i64,
    /// How the one before that failed.
    pub error: String,
}

const DOING: &str = "read what succeeded at a later try";

impl State {
    /// Notes that a task succeeded at the last of so many tries, and how the one before failed.
    pub(crate) fn put_flaky(&mut self, task: TaskId, tries: u32, error: &str) -> Result<(), Error> {
        self.reader
            .connection
            .write(
                "write at which try a task succeeded",
                "INSERT OR REPLACE INTO flaky (task_id, tries, error) VALUES (?1, ?2, ?3)",
                (task.0, tries, error),
            )
            .map(drop)
    }
}

impl Reader {
    /// At which try a task succeeded that did at a later one than the first, and how the one before failed.
    pub(crate) fn flaky(&self, task: TaskId) -> Result<Option<(i64, String)>, Error> {
        self.connection
            .prepare_cached("SELECT tries, error FROM flaky WHERE task_id = ?1")
            .and_then(|mut query| {
                query
                    .query_row([task.0], |row| Ok((number(row, 0)?, row.get(1)?)))
                    .optional()
            })
            .during(&self.layout, DOING)
    }

    /// The live ones of `runset`, or of all, in the order of their rows.
    pub(crate) fn each_flaky(
        &self,
        runset: Option<&Runset>,
        mut each: impl FnMut(Flaky),
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "SELECT f.task_id, s.name, t.name, f.tries, f.error FROM flaky AS f
                 JOIN task AS t ON t.id = f.task_id JOIN step AS s ON s.id = t.step_id
                 WHERE t.live = 1 AND t.processed = 1 AND (?1 IS NULL OR t.runset = ?1) ORDER BY f.task_id",
            )
            .and_then(|mut query| {
                let mut rows = query.query([runset.map(|runset| &runset.name)])?;
                while let Some(row) = rows.next()? {
                    each(located("flaky", row, flaky)?);
                }
                Ok(())
            })
            .during(&self.layout, DOING)
    }
}

fn flaky(row: &Row) -> rusqlite::Result<Flaky> {
    Ok(Flaky {
        task: TaskId(row.get(0)?),
        step: row.get(1)?,
        input_name: row
            .get::<_, Option<String>>(2)?
            .and_then(|name| FileName::new(&name).ok()),
        tries: number(row, 3)?,
        error: row.get(4)?,
    })
}
