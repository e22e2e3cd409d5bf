//! Pending tasks, in stretches.

use super::tally::{STATE_SQL, state_of};
use super::{Context, Error, Runset, State, StepId};
use crate::core::plan::Ready;
use crate::core::task::TaskId;

impl State {
    /// At most `count` unfinished live tasks of a step version with a row after `after`, ascending.
    pub fn unfinished(
        &self,
        runset: &Runset,
        step: StepId,
        after: TaskId,
        count: usize,
    ) -> Result<Vec<Ready>, Error> {
        self.connection
            .prepare_cached(&format!(
                "SELECT id, object_hash, name, {STATE_SQL}, forced, input_task_id FROM task
                 WHERE processed = 0 AND live = 1 AND runset = ?1 AND step_id = ?2 AND id > ?3
                 ORDER BY id LIMIT ?4"
            ))
            .and_then(|mut query| {
                query
                    .query_map(
                        (
                            &runset.name,
                            step.0,
                            after.0,
                            i64::try_from(count).unwrap_or(i64::MAX),
                        ),
                        ready,
                    )?
                    .collect()
            })
            .during(&self.layout, "read pending tasks")
    }
}

fn ready(row: &rusqlite::Row) -> rusqlite::Result<Ready> {
    Ok(Ready {
        id: TaskId(row.get(0)?),
        input: super::memo::digest(row, 1)?,
        name: row.get::<_, Option<String>>(2)?.map(String::into_boxed_str),
        state: state_of(row.get(3)?),
        forced: row.get(4)?,
        parent: row.get::<_, Option<i64>>(5)?.map(TaskId),
        attempt: 0,
    })
}
