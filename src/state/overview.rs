//! What pictures and pages of a pipeline are made of.

use rusqlite::Row;

use super::cell::{Wrong, count, digest, file_name, form, located, number, some_number};
use super::counts::{STATE_SQL, state_of, tally_of_step};
use super::{Context, Error, Reader, Runset, StepId};
use crate::model::digest::Digest;
use crate::model::identity::Identity;
use crate::model::list::Form;
use crate::model::name::{FileName, StepName};
use crate::model::task::{TaskCounts, TaskId, TaskState};

/// A step version as it is recorded.
#[derive(Debug, Clone)]
pub(crate) struct RecordedStep {
    /// Its row.
    pub id: StepId,
    /// The step's name.
    pub name: StepName,
    /// Counts from 1 for each name.
    pub version: i64,
    /// Whether it is the one that was registered last of its name.
    pub current: bool,
    /// Whether it computes the same as that one.
    pub equal: bool,
    /// Whether the pipeline starts there.
    pub start: bool,
    /// The script.
    pub script: String,
    /// When it was registered, in milliseconds since 1970, if that is known.
    pub created: Option<i64>,
    /// What the version is; none if the record cannot be read.
    pub identity: Option<Identity>,
}

/// An executed live task.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Execution {
    /// Its row.
    pub task: TaskId,
    /// Its step version.
    pub step: StepId,
    /// Milliseconds since 1970; none in databases of the first implementation.
    pub started: Option<i64>,
    /// Microseconds.
    pub elapsed: i64,
    /// From 0.
    pub worker: i64,
    /// Whether it failed.
    pub failed: bool,
    /// The row of the worker elsewhere that had it; none if it ran at home.
    pub elsewhere: Option<i64>,
}

/// A live task in full.
#[derive(Debug, Clone)]
pub(crate) struct ShownTask {
    /// Its row.
    pub id: TaskId,
    /// Its step version.
    pub step: StepId,
    /// Its input.
    pub object: Digest,
    /// What that is.
    pub form: Form,
    /// The file name under which its parent left the input.
    pub name: Option<FileName>,
    /// The key of what it gathers, where a step gathers by key.
    pub key: Option<String>,
    /// Its state.
    pub state: TaskState,
    /// Milliseconds since 1970.
    pub started: Option<i64>,
    /// Microseconds.
    pub elapsed: Option<i64>,
    /// From 0.
    pub worker: Option<i64>,
    /// How it failed.
    pub error: Option<String>,
    /// What it wrote to standard output.
    pub stdout: Option<Digest>,
    /// What it wrote to standard error.
    pub stderr: Option<Digest>,
}

/// While it lives, all that is read is of one moment, whatever is written meanwhile.
#[derive(Debug)]
pub(crate) struct Snapshot<'a> {
    _transaction: rusqlite::Transaction<'a>,
}

/// No error of ours is so long as to be cut.
const TASK: &str = "id, step_id, object_hash, name, started, elapsed, worker,
    substr(error, 1, 65536)";

impl Reader {
    /// Begins a moment.
    pub(crate) fn snapshot(&self) -> Result<Snapshot<'_>, Error> {
        self.connection
            .snapshot()
            .map(|transaction| Snapshot {
                _transaction: transaction,
            })
            .during(&self.layout, "begin a transaction")
    }

    /// All step versions, by step in the order in which these became known, oldest first.
    pub(crate) fn recorded_steps(&self) -> Result<Vec<RecordedStep>, Error> {
        self.connection
            .prepare_cached(
                "SELECT id, name, version, is_start, script, created, identity, current,
                     current OR fingerprint = max(iif(current, fingerprint, NULL))
                         OVER (PARTITION BY name)
                 FROM step ORDER BY min(id) OVER (PARTITION BY name), version",
            )
            .and_then(|mut query| {
                query
                    .query_map([], |row| located("step", row, recorded))?
                    .collect()
            })
            .during(&self.layout, "read steps")
    }

    /// When a runset was made, in milliseconds since 1970, if that is known.
    pub(crate) fn runset_created(&self, runset: &Runset) -> Result<Option<i64>, Error> {
        self.connection
            .prepare_cached("SELECT created FROM runset WHERE id = ?1")
            .and_then(|mut query| query.query_row([runset.id.0], |row| some_number(row, 0)))
            .during(&self.layout, "read runsets")
    }

    /// The counts of live tasks by step version, step 0 for final outputs, of `runset` or of all.
    pub(crate) fn totals(
        &self,
        runset: Option<&Runset>,
    ) -> Result<Vec<(StepId, TaskCounts)>, Error> {
        self.connection
            .prepare_cached(
                "SELECT step_id, sum(pending), sum(failed), sum(done), sum(reused) FROM tally
                 WHERE ?1 IS NULL OR runset_id = ?1 GROUP BY step_id",
            )
            .and_then(|mut query| {
                query
                    .query_map([runset.map(|runset| runset.id.0)], tally_of_step)?
                    .collect()
            })
            .during(&self.layout, "read counts")
    }

    /// How many live outputs of one step version's tasks went to another, and how many of them are
    /// folders; step 0 for final ones.
    pub(crate) fn flows(
        &self,
        runset: Option<&Runset>,
    ) -> Result<Vec<(StepId, StepId, i64, i64)>, Error> {
        self.connection
            .prepare_cached(
                "SELECT max(iif(parent.id >= task.id, task.id, NULL)), parent.step_id, coalesce(task.step_id, 0), count(*),
                     max(iif(parent.id >= task.id, parent.id, NULL)), sum(task.kind = 1)
                 FROM task JOIN task AS parent ON parent.id = task.input_task_id
                 WHERE task.live = 1 AND parent.step_id IS NOT NULL
                   AND NOT (task.role = 2 AND task.output = task.input_task_id)
                   AND (?1 IS NULL OR task.runset = ?1)
                 GROUP BY 2, 3 ORDER BY 2, 3",
            )
            .and_then(|mut query| {
                query
                    .query_map([runset.map(|runset| &runset.name)], |row| {
                        located("task", row, flow)
                    })?
                    .collect()
            })
            .during(&self.layout, "read what came from what")
    }

    /// Calls `each` with every live task that was executed.
    pub(crate) fn each_execution(
        &self,
        runset: Option<&Runset>,
        mut each: impl FnMut(Execution),
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "SELECT id, step_id, started, elapsed, coalesce(worker, 0), processed = 0,
                     (SELECT worker_id FROM attempt WHERE task_id = id AND attempt.started = task.started
                          AND lost IS NULL)
                 FROM task
                 WHERE live = 1 AND step_id IS NOT NULL AND elapsed IS NOT NULL
                   AND (processed = 1 OR error IS NOT NULL) AND reused_from IS NULL
                   AND (?1 IS NULL OR runset = ?1)",
            )
            .and_then(|mut query| {
                let mut rows = query.query([runset.map(|runset| &runset.name)])?;
                while let Some(row) = rows.next()? {
                    each(located("task", row, execution)?);
                }
                Ok(())
            })
            .during(&self.layout, "read tasks")
    }

    /// Calls `each` with every try of a live task that was lost elsewhere.
    pub(crate) fn each_lost(
        &self,
        runset: Option<&Runset>,
        mut each: impl FnMut(Execution),
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "SELECT task.id, step_id, attempt.started, attempt.elapsed, 0, 0, worker_id
                 FROM attempt JOIN task ON task.id = task_id
                 WHERE lost IS NOT NULL AND live = 1 AND step_id IS NOT NULL
                   AND (?1 IS NULL OR runset = ?1)",
            )
            .and_then(|mut query| {
                let mut rows = query.query([runset.map(|runset| &runset.name)])?;
                while let Some(row) = rows.next()? {
                    each(located("attempt", row, execution)?);
                }
                Ok(())
            })
            .during(&self.layout, "read workers")
    }

    /// Calls `each` with every live output: the step version that left it, the object, and what that is.
    pub(crate) fn each_left(
        &self,
        runset: Option<&Runset>,
        mut each: impl FnMut(StepId, (Digest, Form)),
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "SELECT task.id, parent.step_id, task.object_hash, task.kind
                 FROM task JOIN task AS parent ON parent.id = task.input_task_id
                 WHERE task.live = 1 AND parent.step_id IS NOT NULL AND task.output IS NULL
                   AND (?1 IS NULL OR task.runset = ?1)",
            )
            .and_then(|mut query| {
                let mut rows = query.query([runset.map(|runset| &runset.name)])?;
                while let Some(row) = rows.next()? {
                    let (step, object) = located("task", row, |row| {
                        Ok((StepId(row.get(1)?), (digest(row, 2)?, form(row, 3)?)))
                    })?;
                    each(step, object);
                }
                Ok(())
            })
            .during(&self.layout, "read outputs")
    }

    /// At most `count` live tasks: the failed ones, then the slowest, then the others by row.
    pub(crate) fn notable_tasks(
        &self,
        runset: Option<&Runset>,
        count: usize,
    ) -> Result<Vec<ShownTask>, Error> {
        self.connection
            .prepare_cached(&format!(
                "SELECT {TASK}, {STATE_SQL}, NULL, NULL, kind, iif(role = 3, nullif(key, ''), NULL) FROM task
                 WHERE live = 1 AND step_id IS NOT NULL AND role <> 1
                   AND (?1 IS NULL OR runset = ?1)
                 ORDER BY processed = 0 AND error IS NOT NULL DESC, elapsed DESC, id LIMIT ?2"
            ))
            .and_then(|mut query| {
                query
                    .query_map((runset.map(|runset| &runset.name), limit(count)), |row| {
                        located("task", row, task_row)
                    })?
                    .collect()
            })
            .during(&self.layout, "read tasks")
    }

    /// At most `count` failed live tasks with their logs, so that each step has its first ones
    /// before any has its next.
    pub(crate) fn failures(
        &self,
        runset: Option<&Runset>,
        count: usize,
    ) -> Result<Vec<ShownTask>, Error> {
        self.connection
            .prepare_cached(&format!(
                "SELECT {TASK}, {STATE_SQL}, log.stdout, log.stderr, kind, iif(role = 3, nullif(key, ''), NULL)
                 FROM (SELECT *, row_number() OVER (PARTITION BY step_id ORDER BY id) AS nth
                       FROM task
                       WHERE processed = 0 AND live = 1 AND error IS NOT NULL
                         AND step_id IS NOT NULL AND (?1 IS NULL OR runset = ?1)
                       ORDER BY nth, step_id LIMIT ?2)
                 LEFT JOIN log ON log.task_id = id ORDER BY step_id, id"
            ))
            .and_then(|mut query| {
                query
                    .query_map((runset.map(|runset| &runset.name), limit(count)), |row| {
                        located("task", row, task_row)
                    })?
                    .collect()
            })
            .during(&self.layout, "read failed tasks")
    }
}

fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn execution(row: &Row) -> rusqlite::Result<Execution> {
    Ok(Execution {
        task: TaskId(row.get(0)?),
        step: StepId(row.get(1)?),
        started: some_number(row, 2)?,
        elapsed: number(row, 3)?,
        worker: number(row, 4)?,
        failed: row.get(5)?,
        elsewhere: row.get(6)?,
    })
}

fn flow(row: &Row) -> rusqlite::Result<(StepId, StepId, i64, i64)> {
    if let Some(above) = row.get::<_, Option<i64>>(4)? {
        return Err(Wrong::Circle(TaskId(above)).into_error());
    }
    Ok((
        StepId(row.get(1)?),
        StepId(row.get(2)?),
        count(row, 3)?,
        count(row, 5)?,
    ))
}

fn recorded(row: &Row) -> rusqlite::Result<RecordedStep> {
    let identity: String = row.get(6)?;
    Ok(RecordedStep {
        id: StepId(row.get(0)?),
        name: row.get(1)?,
        version: number(row, 2)?,
        start: row.get(3)?,
        script: row.get(4)?,
        created: some_number(row, 5)?,
        identity: Identity::from_json(&identity),
        current: row.get(7)?,
        equal: row.get::<_, Option<bool>>(8)?.unwrap_or(false),
    })
}

fn task_row(row: &Row) -> rusqlite::Result<ShownTask> {
    let log = |column: usize| -> rusqlite::Result<Option<Digest>> {
        let text: Option<String> = row.get(column)?;
        Ok(text.and_then(|text| text.parse().ok()))
    };
    Ok(ShownTask {
        id: TaskId(row.get(0)?),
        step: StepId(row.get(1)?),
        object: digest(row, 2)?,
        form: form(row, 11)?,
        name: file_name(row, 3)?,
        key: row.get(12)?,
        started: some_number(row, 4)?,
        elapsed: some_number(row, 5)?,
        worker: some_number(row, 6)?,
        error: row.get(7)?,
        state: state_of(row.get(8)?),
        stdout: log(9)?,
        stderr: log(10)?,
    })
}

#[cfg(test)]
mod tests;
