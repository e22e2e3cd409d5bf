//! Which store paths the manifests on this db use: what keeps GC roots.

use std::collections::{BTreeMap, BTreeSet};

use super::{Context, Error, Reader, State};
use crate::model::identity::Identity;

/// What the keys begin with; the manifest's path follows.
const HELD: &str = "held:";

impl Reader {
    /// By the manifest's path: the store paths that its steps used when it ran last.
    pub(crate) fn held(&self) -> Result<BTreeMap<String, BTreeSet<String>>, Error> {
        let rows: Vec<(String, String)> = self
            .connection
            .prepare_cached("SELECT key, value FROM meta WHERE key >= 'held:' AND key < 'held;'")
            .and_then(|mut query| {
                query
                    .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                    .collect()
            })
            .during(&self.layout, "read what is held")?;
        let one = |(key, value): (String, String)| {
            let manifest = key.strip_prefix(HELD)?.to_owned();
            Some((manifest, serde_json::from_str(&value).ok()?))
        };
        Ok(rows.into_iter().filter_map(one).collect())
    }

    /// The step versions that have tasks to do, in any runset.
    pub(crate) fn unfinished_identities(&self) -> Result<Vec<Identity>, Error> {
        let texts: Vec<String> = self
            .connection
            .prepare_cached(
                "SELECT identity FROM step WHERE identity IS NOT NULL AND id IN
                 (SELECT step_id FROM tally WHERE pending + failed > 0)",
            )
            .and_then(|mut query| query.query_map([], |row| row.get(0))?.collect())
            .during(&self.layout, "read steps")?;
        Ok(texts
            .iter()
            .filter_map(|text| Identity::from_json(text))
            .collect())
    }
}

impl State {
    /// Records what [`State::held`] gives for `manifest`.
    pub(crate) fn set_held(
        &mut self,
        manifest: &str,
        held: &BTreeSet<String>,
    ) -> Result<(), Error> {
        let key = format!("{HELD}{manifest}");
        // A list of texts always has a JSON form.
        let value = serde_json::to_string(held).unwrap_or_default();
        let what = "write what is held";
        if held.is_empty() {
            let delete = "DELETE FROM meta WHERE key = ?1";
            self.reader.connection.write(what, delete, [key])?;
        } else {
            let write = "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)";
            self.reader.connection.write(what, write, (key, value))?;
        }
        self.commit()
    }
}
