//! Samples of tainted tasks: which are taken, the state of its own in which they run, and what is
//! kept of what came of it.

use std::collections::BTreeMap;

use rusqlite::Row;

use super::cell::{
    Ascending, count, digest, file_name, form, located, number, some_digest, some_number,
};
use super::record::ROOM;
use super::{Context, Error, Reader, Runset, RunsetId, State, StepId};
use crate::model::digest::Digest;
use crate::model::list::Form;
use crate::model::sample::Sample;
use crate::model::task::{TaskId, TaskState};

/// A task of a sample, and the version that is to run it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Drawn {
    /// The task.
    pub task: TaskId,
    /// The version.
    pub step: StepId,
}

/// What is kept of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// The version whose tasks were run.
    pub from: StepId,
    /// The version that they were run under.
    pub to: StepId,
    /// How many, and when.
    pub sample: Sample,
    /// How many of them did not leave the same.
    pub unequal: i64,
    /// The newest task that there was of the version: it speaks for none that came later.
    pub newest: TaskId,
}

/// Whether all bytes of an object are there, as far as they were not dropped.
type IsThere<'a> = &'a dyn Fn(&Digest, Form) -> bool;

/// The tasks with the smallest hashes, those that are equal together under one.
struct Smallest {
    most: usize,
    kept: BTreeMap<Digest, Vec<TaskId>>,
}

impl Smallest {
    fn offer(&mut self, hash: Digest, task: TaskId) {
        if let Some(equal) = self.kept.get_mut(&hash) {
            if equal.len() < self.most {
                equal.push(task);
            }
            return;
        }
        let is_full = self.kept.len() >= self.most;
        if is_full
            && self
                .kept
                .last_key_value()
                .is_some_and(|(last, _)| *last < hash)
        {
            return;
        }
        self.kept.insert(hash, vec![task]);
        if is_full {
            self.kept.pop_last();
        }
    }

    /// One of each kind first, as equal ones say little more.
    fn end(self) -> Vec<TaskId> {
        let mut all: Vec<(usize, Digest, TaskId)> = Vec::new();
        for (hash, equal) in self.kept {
            let equal = equal.into_iter().enumerate();
            all.extend(equal.map(|(round, task)| (round, hash, task)));
        }
        all.sort_unstable();
        all.truncate(self.most);
        let mut tasks: Vec<TaskId> = all.into_iter().map(|(_, _, task)| task).collect();
        tasks.sort_unstable();
        tasks
    }
}

impl Reader {
    /// At most `most` finished live tasks of a step version of which all that they work on `is_there`: the same each
    /// time, whatever they are about. One of each input and name before a second one.
    pub(crate) fn draw(
        &self,
        runset: &Runset,
        step: StepId,
        most: usize,
        is_there: IsThere,
    ) -> Result<Vec<TaskId>, Error> {
        self.draw_by(runset, step, (most, 0), is_there)
    }

    /// The same, others for another seed.
    pub(crate) fn draw_by(
        &self,
        runset: &Runset,
        step: StepId,
        (most, seed): (usize, u64),
        is_there: IsThere,
    ) -> Result<Vec<TaskId>, Error> {
        self.connection
            .prepare_cached(
                "SELECT id, object_hash, name, kind, context FROM task
                 WHERE step_id = ?1 AND step_id IS NOT NULL AND runset = ?2
                   AND processed = 1 AND live = 1 AND role <> 1",
            )
            .and_then(|mut query| {
                let mut smallest = Smallest {
                    most,
                    kept: BTreeMap::new(),
                };
                let mut rows = query.query((step.0, &runset.name))?;
                while let Some(row) = rows.next()? {
                    let (task, hash) = located("task", row, |row| of_row(row, seed))?;
                    let (input, form, context) = located("task", row, |row| {
                        Ok((digest(row, 1)?, form(row, 3)?, some_digest(row, 4)?))
                    })?;
                    if is_there(&input, form)
                        && context.is_none_or(|context| is_there(&context, Form::List))
                    {
                        smallest.offer(hash, task);
                    }
                }
                Ok(smallest.end())
            })
            .during(&self.layout, "choose tasks of a sample")
    }

    /// A state that nobody else sees, in which nothing is to be done but these tasks, under their
    /// numbers, by execution in any case.
    pub(crate) fn apart(&self, runset: &Runset, tasks: &[Drawn]) -> Result<State, Error> {
        /// Rows that are copied at once.
        const STRETCH: usize = 1000;
        let mut rows: Vec<(&str, String)> = ["step", "runset", "environment", "meta", "file"]
            .map(|table| (table, "1".to_owned()))
            .into();
        rows.extend(tasks.chunks(STRETCH).map(|some| {
            let ids: Vec<String> = some.iter().map(|one| one.task.0.to_string()).collect();
            ("task", format!("id IN ({})", ids.join(",")))
        }));
        let mut state = self.copy_of(&rows)?;
        for Drawn { task, step } in tasks {
            state.reader.connection.write(
                "write tasks of a sample",
                "UPDATE task SET step_id = ?2, input_task_id = NULL, processed = 0, error = NULL,
                     live = 1, supersedes = NULL, forced = 1, reused_from = NULL, started = NULL,
                     elapsed = NULL, worker = NULL, cpu_time = NULL, peak_memory = NULL, executed = NULL, room = ?3
                 WHERE id = ?1",
                (task.0, step.0, ROOM),
            )?;
            state.count(runset.id, *step, TaskState::Pending, 1);
        }
        state.commit()?;
        Ok(state)
    }

    /// The newest of the finished live tasks of a step version, and when the last of them was executed, in
    /// milliseconds since 1970, as far as that is recorded.
    pub(crate) fn newest_finished(
        &self,
        runset: &Runset,
        step: StepId,
    ) -> Result<(TaskId, Option<i64>), Error> {
        self.connection
            .prepare_cached(
                "SELECT coalesce(max(id), 0), max(executed) FROM task
                 WHERE step_id = ?1 AND step_id IS NOT NULL AND runset = ?2
                   AND processed = 1 AND live = 1",
            )
            .and_then(|mut query| {
                query.query_row((step.0, &runset.name), |row| {
                    Ok((TaskId(row.get(0)?), some_number(row, 1)?))
                })
            })
            .during(&self.layout, "read when tasks were executed")
    }

    /// What is known of samples of the runset.
    pub(crate) fn evidence(&self, runset: RunsetId) -> Result<Vec<Evidence>, Error> {
        self.connection
            .prepare_cached(
                "SELECT from_step, to_step, tasks, tainted, unequal, made, newest FROM sample
                 WHERE runset_id = ?1 ORDER BY made DESC, from_step, to_step",
            )
            .and_then(|mut query| {
                let rows = query.query_map([runset.0], |row| located("sample", row, evidence))?;
                rows.collect()
            })
            .during(&self.layout, "read samples")
    }
}

impl State {
    /// Keeps what came of a sample, in place of what is known from an earlier one of the same.
    pub(crate) fn put_evidence(&mut self, runset: RunsetId, kept: &Evidence) -> Result<(), Error> {
        let Sample {
            tasks,
            tainted,
            made,
        } = kept.sample;
        self.reader
            .connection
            .write(
                "write a sample",
                "INSERT OR REPLACE INTO sample
                     (runset_id, from_step, to_step, tasks, tainted, unequal, made, newest)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                (
                    runset.0,
                    kept.from.0,
                    kept.to.0,
                    tasks,
                    tainted,
                    kept.unequal,
                    made,
                    kept.newest.0,
                ),
            )
            .map(drop)
    }

    /// Forgets what is known from a sample: another one begins, or what it was of is no more.
    pub(crate) fn drop_evidence(
        &mut self,
        runset: RunsetId,
        from: StepId,
        to: StepId,
    ) -> Result<(), Error> {
        self.reader
            .connection
            .write(
                "write a sample",
                "DELETE FROM sample WHERE runset_id = ?1 AND from_step = ?2 AND to_step = ?3",
                (runset.0, from.0, to.0),
            )
            .map(drop)
    }
}

/// The task and the hash of what it works on, by which it is taken or not.
fn of_row(row: &Row, seed: u64) -> rusqlite::Result<(TaskId, Digest)> {
    let task = Ascending::new().next(row)?;
    let mut about = digest(row, 1)?.0.to_vec();
    about.extend(form(row, 3)?.number().to_le_bytes());
    if let Some(name) = file_name(row, 2)? {
        about.push(b'/');
        about.extend(name.as_bytes());
    }
    if seed != 0 {
        about.extend(seed.to_le_bytes());
    }
    Ok((task, Digest::of(&about)))
}

fn evidence(row: &Row) -> rusqlite::Result<Evidence> {
    Ok(Evidence {
        from: StepId(row.get(0)?),
        to: StepId(row.get(1)?),
        sample: Sample {
            tasks: count(row, 2)?,
            tainted: count(row, 3)?,
            made: number(row, 5)?,
        },
        unequal: count(row, 4)?,
        newest: TaskId(row.get(6)?),
    })
}

#[cfg(test)]
mod tests;
