//! Outputs to be exported: the final ones, which no step takes, or others by name.

use super::cell::{Wrong, digest, form, located};
use super::{Context, Error, Reader, Runset};
use crate::model::digest::Digest;
use crate::model::list::Form;
use crate::model::name::{FileName, StepName};
use crate::model::task::TaskId;

/// Which outputs are asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    /// Of this runset; none: of all.
    pub runset: Option<Runset>,
    /// The final outputs of these names; with no step either: all of them.
    pub names: Vec<String>,
    /// All that the tasks of these steps left, final or not.
    pub steps: Vec<String>,
}

/// A final output, and who left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Left {
    /// The file name under which it was left.
    pub name: FileName,
    /// Its bytes.
    pub object: Digest,
    /// What that is.
    pub form: Form,
    /// The task that left it, with its step and the number of the version; none of what came in as it is.
    pub maker: Option<(TaskId, StepName, i64)>,
}

impl Reader {
    /// The live outputs that are selected, in the order in which they were recorded. One without a name has its hash
    /// for one.
    pub(crate) fn outputs(&self, selection: &Selection) -> Result<Vec<Left>, Error> {
        const DOING: &str = "read the outputs";
        let mut query = self
            .connection
            .prepare_cached(
                "SELECT t.id, coalesce(nullif(t.name, ''), t.object_hash) AS name, t.object_hash, t.kind,
                     t.input_task_id, s.name, s.version
                 FROM task AS t LEFT JOIN task AS p ON p.id = t.input_task_id
                 LEFT JOIN step AS s ON s.id = p.step_id
                 WHERE t.live = 1 AND t.output IS NULL AND (?1 IS NULL OR t.runset = ?1)
                     AND (t.step_id IS NULL
                          AND (?2 OR t.name IN (SELECT value FROM json_each(?3)))
                          OR s.name IN (SELECT value FROM json_each(?4)))
                 ORDER BY t.id",
            )
            .during(&self.layout, DOING)?;
        let everything = selection.names.is_empty() && selection.steps.is_empty();
        let list = |names: &[String]| serde_json::Value::from(names).to_string();
        let mut rows = query
            .query((
                selection.runset.as_ref().map(|runset| &runset.name),
                everything,
                list(&selection.names),
                list(&selection.steps),
            ))
            .during(&self.layout, DOING)?;
        let mut all = Vec::new();
        while let Some(row) = rows.next().during(&self.layout, DOING)? {
            all.push(located("task", row, left).during(&self.layout, DOING)?);
        }
        Ok(all)
    }

    /// What the live final outputs of `runset`, or of all, are called: each name once.
    pub(crate) fn final_names(&self, runset: Option<&Runset>) -> Result<Vec<String>, Error> {
        self.connection
            .prepare_cached(
                "SELECT DISTINCT coalesce(nullif(name, ''), object_hash) FROM task
                 WHERE step_id IS NULL AND live = 1 AND (?1 IS NULL OR runset = ?1)",
            )
            .and_then(|mut query| {
                query
                    .query_map([runset.map(|runset| &runset.name)], |row| row.get(0))?
                    .collect()
            })
            .during(&self.layout, "read the outputs")
    }
}

fn left(row: &rusqlite::Row) -> rusqlite::Result<Left> {
    let above: Option<i64> = row.get(4)?;
    if let Some(above) = above.filter(|above| row.get(0).is_ok_and(|own: i64| *above >= own)) {
        return Err(Wrong::Circle(TaskId(above)).into_error());
    }
    let step: Option<StepName> = row.get(5)?;
    let maker = match (above, step) {
        (Some(task), Some(step)) => Some((TaskId(task), step, row.get(6)?)),
        _ => None,
    };
    Ok(Left {
        name: row.get(1)?,
        object: digest(row, 2)?,
        form: form(row, 3)?,
        maker,
    })
}
