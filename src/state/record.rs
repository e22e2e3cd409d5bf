//! The ends of tasks. All of these go into the open group.

use std::collections::HashMap;

use rusqlite::Params;

use super::counts::{STATE_SQL, state_of};
use super::{Context, Equal, Error, Reader, Runset, State, StepId};
use crate::model::digest::Digest;
use crate::model::list::Form;
use crate::model::task::{Step, TaskId, TaskState};

/// A task to be added.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewTask<'a> {
    /// Its input; for a final output, the result.
    pub object: Digest,
    /// What that is.
    pub form: Form,
    /// The step version that it is to run; none for a final output.
    pub step: Option<StepId>,
    /// The task that left the object.
    pub parent: Option<TaskId>,
    /// The file name under which it did.
    pub name: Option<&'a str>,
    /// Whether it executes even where an equal task did.
    pub forced: bool,
}

/// When and where a task was executed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Finished {
    /// Milliseconds since 1970.
    pub started: i64,
    /// Microseconds.
    pub elapsed: i64,
    /// Counts from 0.
    pub worker: i64,
    /// Microseconds that CPUs worked for it, where that is known.
    pub cpu: Option<i64>,
    /// The most memory that it had at a time, in bytes, where that is known.
    pub peak: Option<i64>,
}

impl Finished {
    /// When it had ended, in milliseconds since 1970.
    pub(crate) fn executed(&self) -> i64 {
        self.started.saturating_add(self.elapsed / 1000)
    }
}

/// What a pending row has in `room`: as many bytes as `started`, `elapsed`, `worker`, `executed`, `cpu_time`
/// and `peak_memory` take of a task that lasts for 33 milliseconds at most. Of those that last longer there are not
/// so many.
pub(super) const ROOM: &[u8] = &[0; 21];

/// The objects that hold what a task wrote; none where it wrote nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Logs {
    /// Standard output.
    pub stdout: Option<Digest>,
    /// Standard error.
    pub stderr: Option<Digest>,
}

impl Reader {
    /// The row of the task that is added next.
    pub(crate) fn next_task(&self) -> Result<TaskId, Error> {
        Ok(TaskId(self.newest_task()?.0 + 1))
    }

    /// Versions with unfinished tasks whose step has another one in `current`, and that one.
    ///
    /// By the counts: the tasks themselves are many.
    fn unfinished_older(
        &self,
        runset: &Runset,
        current: &[StepId],
    ) -> Result<Vec<(StepId, StepId)>, Error> {
        let counts = self.tallies(runset.id)?;
        let mut steps: Vec<StepId> = counts
            .iter()
            .filter(|(step, tally)| tally.pending + tally.failed > 0 && !current.contains(step))
            .map(|(step, _)| *step)
            .collect();
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        steps.sort();
        let names = self.names_of_versions()?;
        let now: HashMap<&str, StepId> = current
            .iter()
            .filter_map(|step| Some((names.get(step)?.as_str(), *step)))
            .collect();
        let of = |step| Some((step, *now.get(names.get(&step)?.as_str())?));
        Ok(steps.into_iter().filter_map(of).collect())
    }
}

impl State {
    /// Adds a task: pending, or finished at once if it is a final output.
    pub(crate) fn insert_task(&mut self, runset: &Runset, task: &NewTask) -> Result<TaskId, Error> {
        let processed = task.step.is_none();
        self.reader.connection.write(
            "write a task",
            "INSERT INTO task
                 (object_hash, kind, step_id, input_task_id, processed, runset, name, forced, room)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            (
                &*task.object.hex(),
                task.form.number(),
                task.step.map(|step| step.0),
                task.parent.map(|parent| parent.0),
                processed,
                &runset.name,
                task.name,
                task.forced,
                (!processed).then_some(ROOM),
            ),
        )?;
        let state = if processed {
            TaskState::Done
        } else {
            TaskState::Pending
        };
        self.count(runset.id, task.step.unwrap_or(StepId::FINAL), state, 1);
        Ok(TaskId(self.reader.connection.last_insert_rowid()))
    }

    /// A task's script succeeded.
    pub(crate) fn succeed(
        &mut self,
        runset: &Runset,
        step: StepId,
        task: TaskId,
        from: TaskState,
        finished: &Finished,
    ) -> Result<(), Error> {
        let to = from.after(Step::Succeed)?;
        self.spent(runset, step, task, from, finished.elapsed)?;
        self.write_end(
            task,
            "UPDATE task SET processed = 1, error = NULL, started = ?2, elapsed = ?3, worker = ?4,
                 executed = ?5, cpu_time = ?6, peak_memory = ?7, room = NULL
             WHERE id = ?1 AND processed = 0",
            (
                task.0,
                finished.started,
                finished.elapsed,
                finished.worker,
                finished.executed(),
                finished.cpu,
                finished.peak,
            ),
        )?;
        self.moved(runset, step, from, to);
        Ok(())
    }

    /// A task failed; `error` says how.
    pub(crate) fn fail(
        &mut self,
        runset: &Runset,
        step: StepId,
        task: TaskId,
        from: TaskState,
        error: &str,
        finished: &Finished,
    ) -> Result<(), Error> {
        let to = from.after(Step::Fail)?;
        self.spent(runset, step, task, from, finished.elapsed)?;
        self.write_end(
            task,
            "UPDATE task SET error = ?2, started = ?3, elapsed = ?4, worker = ?5, cpu_time = ?6,
                 peak_memory = ?7, room = NULL
             WHERE id = ?1 AND processed = 0",
            (
                task.0,
                error,
                finished.started,
                finished.elapsed,
                finished.worker,
                finished.cpu,
                finished.peak,
            ),
        )?;
        self.moved(runset, step, from, to);
        Ok(())
    }

    /// A task takes over the outputs of `source`; the caller adds them. It is recorded to be
    /// `reused_from` the one that was executed.
    pub(crate) fn reuse(
        &mut self,
        runset: &Runset,
        step: StepId,
        task: TaskId,
        from: TaskState,
        source: &Equal,
    ) -> Result<(), Error> {
        let to = from.after(Step::Reuse)?;
        self.write_end(
            task,
            "UPDATE task SET processed = 1, error = NULL, reused_from = ?2, executed = ?3,
                 room = NULL
             WHERE id = ?1 AND processed = 0",
            (task.0, source.made_by.0, source.executed),
        )?;
        self.moved(runset, step, from, to);
        Ok(())
    }

    /// A task has what somebody else left, who executed it at `executed` (milliseconds since 1970); the caller adds the
    /// outputs. `origin` says who that was, and where it was found.
    pub(crate) fn share(
        &mut self,
        runset: &Runset,
        step: StepId,
        task: TaskId,
        from: TaskState,
        (executed, origin): (i64, &str),
    ) -> Result<(), Error> {
        let to = from.after(Step::Succeed)?;
        self.write_end(
            task,
            "UPDATE task SET processed = 1, error = NULL, executed = ?2, started = NULL, elapsed = NULL,
                 worker = NULL, room = NULL
             WHERE id = ?1 AND processed = 0",
            (task.0, executed),
        )?;
        self.reader.connection.write(
            "write where a result came from",
            "INSERT OR REPLACE INTO shared (task_id, origin) VALUES (?1, ?2)",
            (task.0, origin),
        )?;
        self.spent(runset, step, task, from, 0)?;
        self.moved(runset, step, from, to);
        Ok(())
    }

    /// Notes what a task is about, for those whose results depend on it.
    pub(crate) fn put_key(&mut self, task: TaskId, key: Option<&str>) -> Result<(), Error> {
        self.reader
            .connection
            .write(
                "write a task's key",
                "UPDATE task SET key = ?2 WHERE id = ?1",
                (task.0, key),
            )
            .map(drop)
    }

    /// Keeps what a task wrote; replaces what an earlier try wrote.
    pub(crate) fn put_logs(&mut self, task: TaskId, again: bool, logs: Logs) -> Result<(), Error> {
        if logs == Logs::default() && !again {
            return Ok(());
        }
        self.reader
            .connection
            .write(
                "write a task's log",
                "INSERT OR REPLACE INTO log (task_id, stdout, stderr) VALUES (?1, ?2, ?3)",
                (
                    task.0,
                    logs.stdout.map(|digest| digest.to_string()),
                    logs.stderr.map(|digest| digest.to_string()),
                ),
            )
            .map(drop)
    }

    /// Gives tasks that never succeeded to the version in `current` of their step: they have
    /// nothing to preserve. How many.
    pub(crate) fn update_unfinished(
        &mut self,
        runset: &Runset,
        current: &[StepId],
    ) -> Result<u64, Error> {
        let mut moved = 0;
        for (step, to) in self.unfinished_older(runset, current)? {
            self.part_pairs(runset, step)?;
            moved += self.give_to(runset, step, to)?;
        }
        Ok(moved)
    }

    /// Gives the unfinished tasks of the version `from` to the version `to`. How many.
    fn give_to(&mut self, runset: &Runset, from: StepId, to: StepId) -> Result<u64, Error> {
        let moved = self.give(runset, from, to, "processed = 0")?;
        Ok(moved.unsigned_abs())
    }

    /// Gives live tasks of the version `from` to the version `to`. How many. `which`: an SQL
    /// condition.
    pub(super) fn give(
        &mut self,
        runset: &Runset,
        from: StepId,
        to: StepId,
        which: &str,
    ) -> Result<i64, Error> {
        let pairs = format!(
            "UPDATE task SET step_id = ?3 WHERE {which} AND live = 1 AND role = 1
                 AND context IS NOT NULL AND runset = ?1 AND step_id = ?2"
        );
        let which = format!("{which} AND live = 1 AND role <> 1 AND runset = ?1 AND step_id = ?2");
        let counts: Vec<(i64, i64, i64)> = self
            .reader
            .connection
            .prepare_cached(&format!(
                "SELECT {STATE_SQL}, count(*), coalesce(sum(elapsed), 0) FROM task
                 WHERE {which} GROUP BY 1"
            ))
            .and_then(|mut query| {
                query
                    .query_map((&runset.name, from.0), |row| {
                        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                    })?
                    .collect()
            })
            .during(&self.reader.layout, "read tasks of a version")?;
        self.reader.connection.write(
            "give tasks to another version",
            &format!("UPDATE task SET step_id = ?3 WHERE {which}"),
            (&runset.name, from.0, to.0),
        )?;
        // What stands for pairs goes with them.
        self.reader.connection.write(
            "give tasks to another version",
            &pairs,
            (&runset.name, from.0, to.0),
        )?;
        let mut moved = 0;
        for (state, count, spent) in counts {
            self.count(runset.id, from, state_of(state), -count);
            self.count(runset.id, to, state_of(state), count);
            self.spend(runset.id, from, 0_i64.saturating_sub(spent));
            self.spend(runset.id, to, spent);
            moved += count;
        }
        Ok(moved)
    }

    /// Writes the end of a task, whose row is there and unfinished.
    fn write_end(&mut self, task: TaskId, update: &str, params: impl Params) -> Result<(), Error> {
        let rows = self
            .reader
            .connection
            .write("write a task's end", update, params)?;
        let found = match rows {
            1 => Ok(()),
            _ => Err(Error::Lost(task)),
        };
        self.reader.connection.or_stop(found)
    }

    /// Counts the time of an execution, in place of that of the one before.
    fn spent(
        &mut self,
        runset: &Runset,
        step: StepId,
        task: TaskId,
        from: TaskState,
        elapsed: i64,
    ) -> Result<(), Error> {
        let mut before = 0;
        if from == TaskState::Failed {
            before = self
                .reader
                .connection
                .prepare_cached("SELECT coalesce(elapsed, 0) FROM task WHERE id = ?1")
                .and_then(|mut query| query.query_row([task.0], |row| row.get(0)))
                .during(&self.reader.layout, "read a task")?;
        }
        self.spend(runset.id, step, elapsed.saturating_sub(before));
        Ok(())
    }

    fn moved(&mut self, runset: &Runset, step: StepId, from: TaskState, to: TaskState) {
        self.count(runset.id, step, from, -1);
        self.count(runset.id, step, to, 1);
    }
}
