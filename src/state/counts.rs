//! Counts of live tasks and the time that they took, kept with every write, so that no question
//! has to look at all rows.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, Row, Statement};

use super::cell::{count, located};
use super::{Context, Error, Reader, Runset, RunsetId, State, StepId};
use crate::model::task::{TaskCounts, TaskState};

/// What a group of writes changes in the counts.
#[derive(Debug, Default)]
pub(super) struct Deltas(HashMap<(RunsetId, StepId), Delta>);

#[derive(Debug, Default, PartialEq, Eq)]
struct Delta {
    tally: TaskCounts,
    /// Microseconds.
    spent: i64,
}

/// The state of a task row, in SQL: 0 pending, 1 failed, 2 done, 3 reused.
pub(super) const STATE_SQL: &str = "CASE
    WHEN processed = 0 THEN error IS NOT NULL
    ELSE 2 + (reused_from IS NOT NULL) END";

/// The state that [`STATE_SQL`] gives the number of.
pub(super) fn state_of(number: i64) -> TaskState {
    match number {
        0 => TaskState::Pending,
        1 => TaskState::Failed,
        2 => TaskState::Done,
        _ => TaskState::Reused,
    }
}

impl Reader {
    /// The counts of a runset by step version; step 0 stands for final outputs.
    pub(crate) fn tallies(&self, runset: RunsetId) -> Result<HashMap<StepId, TaskCounts>, Error> {
        let mut counts: HashMap<StepId, TaskCounts> = self
            .connection
            .prepare_cached(
                "SELECT step_id, pending, failed, done, reused FROM tally WHERE runset_id = ?1",
            )
            .and_then(|mut query| query.query_map([runset.0], tally_of_step)?.collect())
            .during(&self.layout, "read counts")?;
        for ((of, step), delta) in self.connection.deltas().into_iter().flat_map(|own| &own.0) {
            if *of == runset {
                *counts.entry(*step).or_default() += delta.tally;
            }
        }
        Ok(counts)
    }

    /// By step version, how long the last executions of the runset's live tasks took, in
    /// microseconds, as far as it is committed.
    pub(crate) fn time_spent(&self, runset: &Runset) -> Result<HashMap<StepId, i64>, Error> {
        self.connection
            .prepare_cached("SELECT step_id, spent FROM tally WHERE runset_id = ?1 AND spent <> 0")
            .and_then(|mut query| {
                query
                    .query_map([runset.id.0], |row| Ok((StepId(row.get(0)?), row.get(1)?)))?
                    .collect()
            })
            .during(&self.layout, "read times")
    }
}

impl State {
    /// One task came to be (`by` 1) or is no longer live (-1). Final outputs have step 0.
    pub(super) fn count(&mut self, runset: RunsetId, step: StepId, state: TaskState, by: i64) {
        if let Some(delta) = self.delta(runset, step) {
            delta.tally.add(state, by);
        }
    }

    /// The last executions of live tasks took so many microseconds more.
    pub(super) fn spend(&mut self, runset: RunsetId, step: StepId, by: i64) {
        if let Some(delta) = self.delta(runset, step) {
            delta.spent = delta.spent.saturating_add(by);
        }
    }

    /// What the open group changes; there is one, for counts change with rows.
    fn delta(&mut self, runset: RunsetId, step: StepId) -> Option<&mut Delta> {
        let deltas = self.reader.connection.deltas_mut()?;
        Some(deltas.0.entry((runset, step)).or_default())
    }

    /// Writes the changes of the open group.
    pub(super) fn flush_tallies(&mut self) -> Result<(), Error> {
        let deltas = self.reader.connection.deltas_mut().map(std::mem::take);
        for ((runset, step), Delta { tally, spent }) in deltas.unwrap_or_default().0 {
            if tally.is_zero() && spent == 0 {
                continue;
            }
            self.reader.connection.write(
                "write counts",
                "INSERT INTO tally (runset_id, step_id, pending, failed, done, reused, spent)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT DO UPDATE SET pending = pending + excluded.pending,
                     failed = failed + excluded.failed, done = done + excluded.done,
                     reused = reused + excluded.reused, spent = spent + excluded.spent",
                (
                    runset.0,
                    step.0,
                    tally.pending,
                    tally.failed,
                    tally.done,
                    tally.reused,
                    spent,
                ),
            )?;
        }
        Ok(())
    }
}

/// The counts of a step version, whose number is in the first column.
pub(super) fn tally_of_step(row: &Row) -> rusqlite::Result<(StepId, TaskCounts)> {
    located("the tally of step version", row, |row| {
        let tally = TaskCounts {
            pending: count(row, 1)?,
            failed: count(row, 2)?,
            done: count(row, 3)?,
            reused: count(row, 4)?,
        };
        Ok((StepId(row.get(0)?), tally))
    })
}

/// Counts the rows themselves, and writes that where something else is written; whether that was
/// wrong about tasks, not only about times.
pub(super) fn recount(connection: &Connection) -> rusqlite::Result<bool> {
    let (kept, right) = (kept(connection)?, counted(connection)?);
    if kept == right {
        return Ok(false);
    }
    connection.execute("DELETE FROM tally", [])?;
    let mut insert = connection.prepare(
        "INSERT INTO tally (runset_id, step_id, pending, failed, done, reused, spent)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for ((runset, step), Delta { tally, spent }) in &right {
        let TaskCounts {
            pending,
            failed,
            done,
            reused,
        } = tally;
        insert.execute((runset.0, step.0, pending, failed, done, reused, spent))?;
    }
    let tasks = |counts: &Counts| -> HashMap<_, _> {
        let tallies = counts.iter().map(|(of, delta)| (*of, delta.tally));
        tallies.filter(|(_, tally)| !tally.is_zero()).collect()
    };
    Ok(tasks(&kept) != tasks(&right))
}

/// Counts that are not those of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Miscounted {
    /// The runset.
    pub runset: RunsetId,
    /// The step version; that of final outputs for these.
    pub step: StepId,
    /// What is counted.
    pub told: TaskCounts,
    /// What there is.
    pub right: TaskCounts,
}

/// All of them.
pub(super) fn miscounted(database: &impl Asked) -> rusqlite::Result<Vec<Miscounted>> {
    let (kept, counted) = (kept(database)?, counted(database)?);
    let keys: HashSet<_> = kept.keys().chain(counted.keys()).collect();
    let tally = |counts: &Counts, key: &(RunsetId, StepId)| {
        let delta = counts.get(key);
        delta.map(|delta| delta.tally).unwrap_or_default()
    };
    let one = |key: &(RunsetId, StepId)| Miscounted {
        runset: key.0,
        step: key.1,
        told: tally(&kept, key),
        right: tally(&counted, key),
    };
    let all = keys.into_iter().map(one);
    let mut wrong: Vec<_> = all.filter(|one| one.told != one.right).collect();
    wrong.sort_by_key(|one| (one.runset.0, one.step.0));
    Ok(wrong)
}

/// Who can be asked.
pub(super) trait Asked {
    /// A question.
    fn question(&self, sql: &str) -> rusqlite::Result<Statement<'_>>;
}

impl Asked for Connection {
    fn question(&self, sql: &str) -> rusqlite::Result<Statement<'_>> {
        self.prepare(sql)
    }
}

type Counts = HashMap<(RunsetId, StepId), Delta>;

fn kept(connection: &impl Asked) -> rusqlite::Result<Counts> {
    let mut query = connection
        .question("SELECT runset_id, step_id, pending, failed, done, reused, spent FROM tally")?;
    let rows = query.query_map([], |row| {
        let tally = TaskCounts {
            pending: row.get(2)?,
            failed: row.get(3)?,
            done: row.get(4)?,
            reused: row.get(5)?,
        };
        let of = (RunsetId(row.get(0)?), StepId(row.get(1)?));
        let spent = row.get(6)?;
        Ok((of, Delta { tally, spent }))
    })?;
    rows.filter(|row| !matches!(row, Ok((_, delta)) if *delta == Delta::default()))
        .collect()
}

/// In one pass over all rows: grouping them in SQL would sort them, which takes four times as long.
fn counted(connection: &impl Asked) -> rusqlite::Result<Counts> {
    let mut query = connection.question("SELECT name, id FROM runset")?;
    let runsets: HashMap<String, RunsetId> = query
        .query_map([], |row| Ok((row.get(0)?, RunsetId(row.get(1)?))))?
        .collect::<Result<_, _>>()?;
    let mut counts = Counts::new();
    let mut query = connection.question(&format!(
        "SELECT runset, coalesce(step_id, 0), {STATE_SQL}, coalesce(elapsed, 0) FROM task
         WHERE live = 1 AND runset IS NOT NULL AND role <> 1"
    ))?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(runset) = runsets.get(row.get_ref(0)?.as_str()?) {
            let delta = counts.entry((*runset, StepId(row.get(1)?))).or_default();
            delta.tally.add(state_of(row.get(2)?), 1);
            delta.spent = delta.spent.saturating_add(row.get(3)?);
        }
    }
    Ok(counts)
}
