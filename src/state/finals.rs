//! Final outputs: what no step takes.

use super::memo::digest;
use super::{Context, Error, Runset, State};
use crate::core::digest::Digest;

/// A final output as the state has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Final {
    /// The file name under which it was left.
    pub name: String,
    /// Its bytes.
    pub object: Digest,
    /// Whether another final output of the same name has other bytes.
    pub clashes: bool,
}

impl State {
    /// Calls `each` with the live final outputs of `runset` (none: of all runsets), those of the
    /// same name and bytes once, ordered by name and then by digest.
    pub fn each_final<E: From<Error>>(
        &self,
        runset: Option<&Runset>,
        mut each: impl FnMut(Final) -> Result<(), E>,
    ) -> Result<(), E> {
        const DOING: &str = "read the final outputs";
        let mut query = self
            .connection
            .prepare_cached(
                "SELECT name, object_hash, count(*) OVER (PARTITION BY name) > 1
                 FROM (SELECT DISTINCT coalesce(name, '') AS name, object_hash FROM task
                       WHERE step_id IS NULL AND live = 1 AND (?1 IS NULL OR runset = ?1))
                 ORDER BY name, object_hash",
            )
            .during(&self.layout, DOING)?;
        let mut rows = query
            .query([runset.map(|runset| &runset.name)])
            .during(&self.layout, DOING)?;
        while let Some(row) = rows.next().during(&self.layout, DOING)? {
            let output = Final {
                name: row.get(0).during(&self.layout, DOING)?,
                object: digest(row, 1).during(&self.layout, DOING)?,
                clashes: row.get(2).during(&self.layout, DOING)?,
            };
            each(output)?;
        }
        Ok(())
    }
}
