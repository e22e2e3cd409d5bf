//! Where a runset begins: its tasks that have none above them and that nothing from outside came in for.
//!
//! The start step may be another one by now, or none. To find what an earlier one began takes a look at
//! every task. So it is noted which step a runset begins at, and nobody looks as long as it is that.

use super::cell::located;
use super::{Context, Error, Reader, Runset, State};
use crate::model::name::StepName;
use crate::model::task::TaskId;

/// Live tasks with none above them that are no entry's.
const BEGUN: &str = "FROM task AS t JOIN step AS s ON s.id = t.step_id
    WHERE t.runset = ?1 AND t.live = 1 AND t.input_task_id IS NULL AND t.role = 0
      AND t.id NOT IN (SELECT task_id FROM entry WHERE runset_id = ?2)";

impl Reader {
    /// The steps that the runset's tasks begin at, but for what came in from outside; none where that is
    /// known to be `start` alone, if anything.
    pub(crate) fn begun_elsewhere(
        &self,
        runset: &Runset,
        start: Option<&StepName>,
    ) -> Result<Option<Vec<StepName>>, Error> {
        let noted = self.meta(&key(runset))?;
        if noted.is_none_or(|noted| noted == words(start)) {
            return Ok(None);
        }
        self.connection
            .prepare_cached(&format!(
                "SELECT s.name {BEGUN} GROUP BY 1 ORDER BY min(t.id)"
            ))
            .and_then(|mut query| {
                let name = |row: &rusqlite::Row| located("step", row, |row| row.get(0));
                query
                    .query_map((&runset.name, runset.id.0), name)?
                    .collect()
            })
            .map(Some)
            .during(&self.layout, "read where a runset began")
    }
}

impl State {
    /// Notes that the runset begins at `start` alone, if anywhere.
    pub(crate) fn set_begun(
        &mut self,
        runset: &Runset,
        start: Option<&StepName>,
    ) -> Result<(), Error> {
        if self.meta(&key(runset))?.as_deref() == Some(words(start)) {
            return Ok(());
        }
        self.put_meta(&key(runset), words(start))
    }

    /// Notes that it begins elsewhere, too.
    pub(crate) fn set_begun_in_several(&mut self, runset: &Runset) -> Result<(), Error> {
        self.put_meta(&key(runset), SEVERAL)
    }

    /// Tasks that the runset begins with at other steps than `start` live no more, nor what was made of them;
    /// how many there were.
    pub(crate) fn end_begun_elsewhere(
        &mut self,
        runset: &Runset,
        start: Option<&StepName>,
    ) -> Result<usize, Error> {
        let tasks: Vec<TaskId> = self
            .connection
            .prepare_cached(&format!("SELECT t.id {BEGUN} AND s.name IS NOT ?3"))
            .and_then(|mut query| {
                let parameters = (&runset.name, runset.id.0, start.map(StepName::as_str));
                query
                    .query_map(parameters, |row| Ok(TaskId(row.get(0)?)))?
                    .collect()
            })
            .during(&self.reader.layout, "read where a runset began")?;
        if !tasks.is_empty() {
            self.bury(runset, &tasks)?;
        }
        Ok(tasks.len())
    }
}

/// In place of a step, none of which can have that name.
const SEVERAL: &str = "several steps";

fn key(runset: &Runset) -> String {
    format!("start of {}", runset.id.0)
}

fn words(start: Option<&StepName>) -> &str {
    start.map_or("", StepName::as_str)
}
