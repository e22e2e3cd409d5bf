//! Pending tasks, in stretches.

use rusqlite::Row;

use super::cell::{Ascending, digest, file_name, form, located, older, some_digest};
use super::counts::{STATE_SQL, state_of};
use super::lineage::PARENT;
use super::{Context, Error, Reader, Runset, StepId};
use crate::model::gather::Line;
use crate::model::plan::Ready;
use crate::model::task::TaskId;

impl Reader {
    /// At most `count` unfinished live tasks of a step version with a row after `after`, ascending.
    pub(crate) fn unfinished(
        &self,
        runset: &Runset,
        step: StepId,
        after: TaskId,
        count: usize,
    ) -> Result<Vec<Ready>, Error> {
        self.connection
            .prepare_cached(&format!(
                "SELECT id, object_hash, name, {STATE_SQL}, forced, {PARENT}, kind, context
                 FROM task
                 WHERE processed = 0 AND live = 1 AND runset = ?1 AND step_id = ?2 AND id > ?3
                 ORDER BY id LIMIT ?4"
            ))
            .and_then(|mut query| {
                let limit = i64::try_from(count).unwrap_or(i64::MAX);
                let which = (&runset.name, step.0, after.0, limit);
                let mut order = Ascending::after(after);
                let ready = |row: &Row| {
                    located("task", row, |row| {
                        order.next(row).and_then(|id| ready(row, id))
                    })
                };
                query.query_map(which, ready)?.collect()
            })
            .during(&self.layout, "read pending tasks")
    }
}

fn ready(row: &Row, id: TaskId) -> rusqlite::Result<Ready> {
    Ok(Ready {
        id,
        input: digest(row, 1)?,
        form: form(row, 6)?,
        name: file_name(row, 2)?.map(Into::into),
        state: state_of(row.get(3)?),
        forced: row.get(4)?,
        parent: older(row, 5, id)?,
        attempt: 0,
        line: Line::default(),
        key: None,
        context: some_digest(row, 7)?.map(Box::new),
        raised: 0,
    })
}
