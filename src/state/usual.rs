//! How long tasks usually take.

use std::collections::HashMap;
use std::time::Duration;

use super::{Context as _, Error, Reader};
use crate::model::name::StepName;

/// Tasks that are looked at, of each step.
const LOOKED_AT: usize = 99;

impl Reader {
    /// Of each of these steps the middle of how long some tasks took that succeeded, of its latest versions, and of how
    /// many; nothing of those of which none did.
    pub(crate) fn usual_times<'a>(
        &self,
        steps: impl Iterator<Item = &'a StepName>,
    ) -> Result<HashMap<StepName, (Duration, usize)>, Error> {
        let mut usual = HashMap::new();
        for step in steps {
            let mut times = self.some_times(step)?;
            if let Some(middle) = times.len().checked_sub(1).map(|last| last / 2) {
                let micros = *times.select_nth_unstable(middle).1;
                let time = Duration::from_micros(micros.max(0).unsigned_abs());
                usual.insert(step.clone(), (time, times.len()));
            }
        }
        Ok(usual)
    }

    /// In the order of the index, which is that of hashes: as good as drawn by lot, and none is sorted for it. Where most
    /// are still to be done, not all of those are gone through.
    fn some_times(&self, step: &StepName) -> Result<Vec<i64>, Error> {
        let mut times = Vec::new();
        self.connection
            .prepare_cached("SELECT id FROM step WHERE name = ?1 ORDER BY current DESC, version DESC LIMIT 4")
            .and_then(|mut query| {
                let versions = query.query_map([step.as_str()], |row| row.get(0))?;
                let versions: Vec<i64> = versions.collect::<Result<_, _>>()?;
                let mut query = self.connection.prepare_cached(
                    "SELECT elapsed FROM (SELECT elapsed, processed, reused_from FROM task
                         WHERE step_id = ?1 ORDER BY substr(object_hash, 1, 6) LIMIT 5000)
                     WHERE processed = 1 AND reused_from IS NULL AND typeof(elapsed) = 'integer' LIMIT ?2",
                )?;
                for version in versions {
                    let more = LOOKED_AT.saturating_sub(times.len());
                    let more = i64::try_from(more).unwrap_or(i64::MAX);
                    for time in query.query_map((version, more), |row| row.get(0))? {
                        times.push(time?);
                    }
                }
                Ok(())
            })
            .during(&self.layout, "read times")?;
        Ok(times)
    }
}
