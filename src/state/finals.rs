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

/// An output as the state has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Final {
    /// The file name under which it was left.
    pub name: FileName,
    /// Its bytes.
    pub object: Digest,
    /// What that is.
    pub form: Form,
    /// Whether another one of the same name has other bytes.
    pub clashes: bool,
}

impl Reader {
    /// Calls `each` with the live outputs that are selected, those of the same name and bytes
    /// once, ordered by name and then by digest. An output without a name has its hash for one.
    pub(crate) fn each_final<E: From<Error>>(
        &self,
        selection: &Selection,
        mut each: impl FnMut(Final) -> Result<(), E>,
    ) -> Result<(), E> {
        const DOING: &str = "read the outputs";
        let mut query = self
            .connection
            .prepare_cached(
                "SELECT id, name, object_hash, count(*) OVER (PARTITION BY name) > 1, above, kind
                 FROM (SELECT coalesce(max(iif(t.input_task_id >= t.id, t.id, NULL)), min(t.id)) AS id, coalesce(nullif(t.name, ''), t.object_hash) AS name,
                           t.object_hash, max(iif(t.input_task_id >= t.id, t.input_task_id, NULL)) AS above, t.kind AS kind
                       FROM task AS t LEFT JOIN task AS p ON p.id = t.input_task_id
                       LEFT JOIN step AS s ON s.id = p.step_id
                       WHERE t.live = 1 AND t.output IS NULL AND (?1 IS NULL OR t.runset = ?1)
                         AND (t.step_id IS NULL
                              AND (?2 OR t.name IN (SELECT value FROM json_each(?3)))
                              OR s.name IN (SELECT value FROM json_each(?4)))
                       GROUP BY 2, 3, t.kind)
                 ORDER BY name, object_hash, kind",
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
        while let Some(row) = rows.next().during(&self.layout, DOING)? {
            each(located("task", row, output).during(&self.layout, DOING)?)?;
        }
        Ok(())
    }

    /// The live final outputs of `runset`, in the order in which they were recorded. One without a name has its
    /// hash for one.
    pub(crate) fn finals_of(&self, runset: &Runset) -> Result<Vec<Left>, Error> {
        const DOING: &str = "read the outputs";
        let mut query = self
            .connection
            .prepare_cached(
                "SELECT t.id, coalesce(nullif(t.name, ''), t.object_hash), t.object_hash, t.kind,
                     t.input_task_id, s.name, s.version
                 FROM task AS t LEFT JOIN task AS p ON p.id = t.input_task_id
                 LEFT JOIN step AS s ON s.id = p.step_id
                 WHERE t.live = 1 AND t.output IS NULL AND t.step_id IS NULL AND t.runset = ?1
                 ORDER BY t.id",
            )
            .during(&self.layout, DOING)?;
        let mut rows = query.query([&runset.name]).during(&self.layout, DOING)?;
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
    let step: Option<StepName> = row.get(5)?;
    let maker = match (row.get::<_, Option<i64>>(4)?, step) {
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

fn output(row: &rusqlite::Row) -> rusqlite::Result<Final> {
    if let Some(above) = row.get::<_, Option<i64>>(4)? {
        return Err(Wrong::Circle(TaskId(above)).into_error());
    }
    Ok(Final {
        name: row.get(1)?,
        object: digest(row, 2)?,
        form: form(row, 5)?,
        clashes: row.get(3)?,
    })
}
