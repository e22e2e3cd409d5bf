//! Who carried out tasks on other machines, and what became of each try there.
//!
//! A task's own row says when its last try began: the try with the same beginning is the one that the row is
//! about. What runs at home has no row here.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::Row;

use super::cell::{located, number, some_number};
use super::{Context as _, Error, Reader, Runset, State};
use crate::model::task::TaskId;

/// The workers of this run, by the numbers that they have in it.
#[derive(Debug, Default)]
pub(super) struct Workers(HashMap<i64, Known>);

#[derive(Debug)]
struct Known {
    row: i64,
    runset: i64,
    executor: Arc<str>,
    /// Milliseconds since 1970.
    called: i64,
    /// None before it has come.
    node: Option<Arc<str>>,
    slots: i64,
}

/// One try of a task on another machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// Whose workers tried.
    pub executor: String,
    /// The machine; none if the worker had not said.
    pub node: Option<String>,
    /// Milliseconds since 1970.
    pub started: i64,
    /// Microseconds.
    pub elapsed: i64,
    /// How it was lost, if it was: it ran again.
    pub lost: Option<String>,
}

/// A try that ended, or was lost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Try<'a> {
    /// The number that the worker has in the run.
    pub worker: i64,
    /// Milliseconds since 1970.
    pub started: i64,
    /// Microseconds.
    pub elapsed: i64,
    /// How it was lost, if it was.
    pub lost: Option<&'a str>,
}

/// A worker, and how many tries it had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Its row.
    pub row: i64,
    /// Whose it is.
    pub executor: String,
    /// When it was called for, in milliseconds since 1970.
    pub called: i64,
    /// When it came.
    pub came: Option<i64>,
    /// Its machine.
    pub node: Option<String>,
    /// How many tasks it carries out at once.
    pub slots: Option<i64>,
    /// When it was gone, or that was noticed.
    pub gone: Option<i64>,
    /// Why.
    pub why: Option<String>,
    /// Tries that ended there, with success or without.
    pub ended: i64,
    /// Tries that were lost there.
    pub lost: i64,
}

const DOING: &str = "read workers";

impl Reader {
    /// The tries of a task on other machines, the first one first.
    pub(crate) fn attempts(&self, task: TaskId) -> Result<Vec<Attempt>, Error> {
        self.connection
            .prepare_cached(
                "SELECT a.task_id, w.executor, w.node, a.started, a.elapsed, a.lost
                 FROM attempt AS a JOIN worker AS w ON w.id = a.worker_id
                 WHERE a.task_id = ?1 ORDER BY a.number",
            )
            .and_then(|mut query| {
                let attempt = |row: &Row| {
                    Ok(Attempt {
                        executor: row.get(1)?,
                        node: row.get(2)?,
                        started: number(row, 3)?,
                        elapsed: number(row, 4)?,
                        lost: row.get(5)?,
                    })
                };
                query
                    .query_map([task.0], |row| located("attempt", row, attempt))?
                    .collect()
            })
            .during(&self.layout, DOING)
    }

    /// The workers that a runset (none: any) ever had, in the order in which they were called for.
    pub(crate) fn workers(&self, runset: Option<&Runset>) -> Result<Vec<Standing>, Error> {
        let of = |row: &Row| {
            Ok(Standing {
                row: row.get(0)?,
                executor: row.get(1)?,
                called: number(row, 2)?,
                came: some_number(row, 3)?,
                node: row.get(4)?,
                slots: some_number(row, 5)?,
                gone: some_number(row, 6)?,
                why: row.get(7)?,
                ended: number(row, 8)?,
                lost: number(row, 9)?,
            })
        };
        self.connection
            .prepare_cached(
                "SELECT id, executor, called, came, node, slots, gone, why, coalesce(tries - lost, 0), coalesce(lost, 0)
                 FROM worker LEFT JOIN (SELECT worker_id, count(*) AS tries, count(lost) AS lost
                     FROM attempt GROUP BY worker_id) ON worker_id = id
                 WHERE ?1 IS NULL OR runset_id = ?1 ORDER BY id",
            )
            .and_then(|mut query| {
                query
                    .query_map([runset.map(|runset| runset.id.0)], |row| {
                        located("worker", row, of)
                    })?
                    .collect()
            })
            .during(&self.layout, DOING)
    }
}

impl State {
    /// Those of whom nothing says that they are gone are, as their run is over: now, in milliseconds since 1970.
    pub(crate) fn end_workers(&mut self, now: i64, why: &str) -> Result<(), Error> {
        self.workers = None;
        self.reader
            .connection
            .write(
                "write that workers are gone",
                "UPDATE worker SET gone = ?1, why = ?2 WHERE gone IS NULL",
                (now, why),
            )
            .map(drop)
    }

    /// Workers that were there for another runset go on for this one.
    pub(crate) fn keep_workers(&mut self, runset: &Runset, now: i64) -> Result<(), Error> {
        let Some(mut workers) = self.workers.take() else {
            return Ok(());
        };
        for known in workers.0.values_mut() {
            if known.runset == runset.id.0 {
                continue;
            }
            let connection = &mut self.reader.connection;
            connection.write(
                "write that a worker goes on",
                "UPDATE worker SET gone = ?2, why = 'it went on with another runset' WHERE id = ?1",
                (known.row, now),
            )?;
            connection.write(
                "write that a worker goes on",
                "INSERT INTO worker (runset_id, executor, called, came, node, slots)
                 VALUES (?1, ?2, ?3, iif(?4 IS NULL, NULL, ?3), ?4, ?5)",
                (
                    runset.id.0,
                    &*known.executor,
                    now,
                    known.node.as_deref(),
                    known.node.as_ref().map(|_| known.slots),
                ),
            )?;
            known.row = connection.last_insert_rowid();
            known.runset = runset.id.0;
        }
        self.workers = Some(workers);
        Ok(())
    }

    /// A worker was called for, at `now` (milliseconds since 1970), which has this number in the run.
    pub(crate) fn worker_called(
        &mut self,
        runset: &Runset,
        worker: i64,
        executor: &str,
        now: i64,
    ) -> Result<(), Error> {
        self.reader.connection.write(
            "write that a worker was called for",
            "INSERT INTO worker (runset_id, executor, called) VALUES (?1, ?2, ?3)",
            (runset.id.0, executor, now),
        )?;
        let known = Known {
            row: self.reader.connection.last_insert_rowid(),
            runset: runset.id.0,
            executor: executor.into(),
            called: now,
            node: None,
            slots: 0,
        };
        self.workers.get_or_insert_default().0.insert(worker, known);
        Ok(())
    }

    /// It waits for its place, and that is why.
    pub(crate) fn worker_waits(&mut self, worker: i64, why: &str) -> Result<(), Error> {
        let workers = self.workers.as_ref();
        let Some(known) = workers.and_then(|workers| workers.0.get(&worker)) else {
            return Ok(());
        };
        let write = "UPDATE worker SET why = ?2 WHERE id = ?1 AND came IS NULL";
        self.reader
            .connection
            .write("write why a worker waits", write, (known.row, why))
            .map(drop)
    }

    /// It has come.
    pub(crate) fn worker_came(
        &mut self,
        worker: i64,
        node: &str,
        slots: u64,
        now: i64,
    ) -> Result<(), Error> {
        let slots = i64::try_from(slots).unwrap_or(i64::MAX);
        let workers = self.workers.as_mut();
        let Some(known) = workers.and_then(|workers| workers.0.get_mut(&worker)) else {
            return Ok(());
        };
        (known.node, known.slots) = (Some(node.into()), slots);
        self.reader
            .connection
            .write(
                "write that a worker has come",
                "UPDATE worker SET came = ?2, node = ?3, slots = ?4, why = NULL WHERE id = ?1",
                (known.row, now, node, slots),
            )
            .map(drop)
    }

    /// It is gone, or never came.
    pub(crate) fn worker_gone(&mut self, worker: i64, why: &str, now: i64) -> Result<(), Error> {
        let workers = self.workers.as_mut();
        let Some(known) = workers.and_then(|workers| workers.0.remove(&worker)) else {
            return Ok(());
        };
        self.reader
            .connection
            .write(
                "write that a worker is gone",
                "UPDATE worker SET gone = ?2, why = ?3 WHERE id = ?1",
                (known.row, now, why),
            )
            .map(drop)
    }

    /// The machine of the worker with this number; none if it works at home, or has not come.
    pub(crate) fn node_of(&self, worker: i64) -> Option<Arc<str>> {
        let known = self.workers.as_ref()?.0.get(&worker)?;
        known.node.clone()
    }

    /// Whose that worker is, and when it was called for, in milliseconds since 1970.
    pub(crate) fn worker(&self, worker: i64) -> Option<(Arc<str>, i64)> {
        let known = self.workers.as_ref()?.0.get(&worker)?;
        Some((Arc::clone(&known.executor), known.called))
    }

    /// A try of a task ended, or was lost; nothing of one at home.
    pub(crate) fn put_attempt(&mut self, task: TaskId, of: Try) -> Result<(), Error> {
        let workers = self.workers.as_ref();
        let Some(known) = workers.and_then(|workers| workers.0.get(&of.worker)) else {
            return Ok(());
        };
        self.reader
            .connection
            .write(
                "write where a task ran",
                "INSERT INTO attempt (task_id, number, worker_id, started, elapsed, lost)
                 VALUES (?1, (SELECT coalesce(max(number), 0) + 1 FROM attempt WHERE task_id = ?1), ?2, ?3, ?4, ?5)",
                (task.0, known.row, of.started, of.elapsed, of.lost),
            )
            .map(drop)
    }
}

#[cfg(test)]
mod tests;
