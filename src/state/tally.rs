//! Counts of live tasks, kept with every write, so that no question has to count rows.

use std::collections::HashMap;

use rusqlite::Connection;

use super::{Context, Error, RunsetId, State, StepId};
use crate::core::task::{State as TaskState, Tally};

/// What a group of writes changes in the counts.
#[derive(Debug, Default)]
pub struct Deltas(HashMap<(RunsetId, StepId), Tally>);

/// The state of a task row, in SQL: 0 pending, 1 failed, 2 done, 3 reused.
pub const STATE_SQL: &str = "CASE
    WHEN processed = 0 THEN error IS NOT NULL
    ELSE 2 + (reused_from IS NOT NULL) END";

/// The state that [`STATE_SQL`] gives the number of.
pub fn state_of(number: i64) -> TaskState {
    match number {
        0 => TaskState::Pending,
        1 => TaskState::Failed,
        2 => TaskState::Done,
        _ => TaskState::Reused,
    }
}

impl State {
    /// One task came to be (`by` 1) or is no longer live (-1). Final outputs have step 0.
    pub(super) fn count(&mut self, runset: RunsetId, step: StepId, state: TaskState, by: i64) {
        self.tallies
            .0
            .entry((runset, step))
            .or_default()
            .add(state, by);
    }

    /// Writes the changes of the open group.
    pub(super) fn flush_tallies(&mut self) -> Result<(), Error> {
        let mut insert = self
            .connection
            .prepare_cached(
                "INSERT INTO tally (runset_id, step_id, pending, failed, done, reused)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT DO UPDATE SET pending = pending + excluded.pending,
                     failed = failed + excluded.failed, done = done + excluded.done,
                     reused = reused + excluded.reused",
            )
            .during(&self.layout, "write counts")?;
        for ((runset, step), tally) in self.tallies.0.drain() {
            if tally.is_zero() {
                continue;
            }
            insert
                .execute((
                    runset.0,
                    step.0,
                    tally.pending,
                    tally.failed,
                    tally.done,
                    tally.reused,
                ))
                .during(&self.layout, "write counts")?;
        }
        Ok(())
    }

    /// The counts of a runset by step version; step 0 stands for final outputs.
    pub fn tallies(&self, runset: RunsetId) -> Result<HashMap<StepId, Tally>, Error> {
        let mut counts: HashMap<StepId, Tally> = self
            .connection
            .prepare_cached(
                "SELECT step_id, pending, failed, done, reused FROM tally WHERE runset_id = ?1",
            )
            .and_then(|mut query| {
                query
                    .query_map([runset.0], |row| {
                        let tally = Tally {
                            pending: row.get(1)?,
                            failed: row.get(2)?,
                            done: row.get(3)?,
                            reused: row.get(4)?,
                        };
                        Ok((StepId(row.get(0)?), tally))
                    })?
                    .collect()
            })
            .during(&self.layout, "read counts")?;
        for ((of, step), delta) in &self.tallies.0 {
            if *of == runset {
                *counts.entry(*step).or_default() += *delta;
            }
        }
        Ok(counts)
    }
}

/// Counts the rows themselves.
pub fn recount(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "DELETE FROM tally;
         INSERT INTO tally (runset_id, step_id, pending, failed, done, reused)
         SELECT runset_id, step_id, sum(state = 0), sum(state = 1), sum(state = 2), sum(state = 3)
         FROM (SELECT runset.id AS runset_id, coalesce(step_id, 0) AS step_id, {STATE_SQL} AS state
               FROM task JOIN runset ON runset.name = task.runset WHERE live = 1)
         GROUP BY runset_id, step_id;"
    ))
}
