//! What the tasks of a step took.

use std::collections::HashMap;

use super::cell::{located, some_number};
use super::{Context, Error, Reader, Runset};

const DOING: &str = "read what tasks took";

/// What live tasks of a step took when they were executed last, as far as is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// The most memory that one of them had, in bytes.
    pub peak: Option<i64>,
    /// Microseconds that CPUs worked for those of which it is known.
    pub cpu: i64,
    /// Microseconds that these lasted.
    pub elapsed: i64,
}

impl Taken {
    fn add(&mut self, other: Self) {
        self.peak = self.peak.max(other.peak);
        self.cpu = self.cpu.saturating_add(other.cpu);
        self.elapsed = self.elapsed.saturating_add(other.elapsed);
    }

    /// How many CPUs were at work for one of them, on average.
    #[allow(clippy::cast_precision_loss)] // Two digits are shown.
    pub(crate) fn cpus(&self) -> Option<f64> {
        (self.elapsed > 0).then(|| self.cpu as f64 / self.elapsed as f64)
    }
}

/// A scan of all rows is faster from there on: one in so many is asked for, each of which lies somewhere else in the file.
const SCAN: i64 = 8;

impl Reader {
    /// What those of all versions of these steps took in a runset, or in all of them, by the steps' names. It looks at
    /// each.
    pub(crate) fn taken(
        &self,
        runset: Option<&Runset>,
        steps: &[&str],
    ) -> Result<HashMap<String, Taken>, Error> {
        let mut names: HashMap<i64, &str> = HashMap::new();
        for name in steps {
            let versions = self.ids_of(name)?;
            names.extend(versions.into_iter().map(|id| (id, *name)));
        }
        let mut all = HashMap::new();
        let tasks = self.count_of(runset, &names)?;
        if tasks == 0 {
            return Ok(all);
        }
        if tasks > self.rows()? / SCAN {
            let what = "task NOT INDEXED WHERE step_id IS NOT NULL";
            self.add_taken(runset, what, &names, &mut all)?;
        } else {
            for id in names.keys() {
                let what = format!("task WHERE step_id = {id}");
                self.add_taken(runset, &what, &names, &mut all)?;
            }
        }
        Ok(all)
    }

    fn ids_of(&self, step: &str) -> Result<Vec<i64>, Error> {
        self.connection
            .prepare_cached("SELECT id FROM step WHERE name = ?1")
            .and_then(|mut query| query.query_map([step], |row| row.get(0))?.collect())
            .during(&self.layout, DOING)
    }

    /// How many tasks of these versions count.
    fn count_of(&self, runset: Option<&Runset>, steps: &HashMap<i64, &str>) -> Result<i64, Error> {
        let mut count = 0i64;
        for id in steps.keys() {
            let of_step: i64 = self
                .connection
                .prepare_cached(
                    "SELECT coalesce(sum(pending + failed + done + reused), 0) FROM tally
                     WHERE step_id = ?1 AND (?2 IS NULL OR runset_id = ?2)",
                )
                .and_then(|mut query| {
                    query.query_row((id, runset.map(|runset| runset.id.0)), |row| row.get(0))
                })
                .during(&self.layout, DOING)?;
            count = count.saturating_add(of_step);
        }
        Ok(count)
    }

    /// How many rows of tasks there are at most.
    fn rows(&self) -> Result<i64, Error> {
        self.connection
            .prepare_cached("SELECT coalesce(max(id), 0) FROM task")
            .and_then(|mut query| query.query_row([], |row| row.get(0)))
            .during(&self.layout, DOING)
    }

    /// Adds what the tasks took of the rows that `what` gives, if they are of these versions.
    fn add_taken(
        &self,
        runset: Option<&Runset>,
        what: &str,
        steps: &HashMap<i64, &str>,
        all: &mut HashMap<String, Taken>,
    ) -> Result<(), Error> {
        let mut by_version: HashMap<i64, Taken> = HashMap::new();
        let query = format!(
            "SELECT id, step_id, peak_memory, cpu_time, elapsed FROM {what} AND live = 1
                 AND cpu_time IS NOT NULL AND (?1 IS NULL OR runset = ?1)"
        );
        self.connection
            .prepare(&query)
            .and_then(|mut query| {
                let mut rows = query.query([runset.map(|runset| &runset.name)])?;
                while let Some(row) = rows.next()? {
                    let (version, taken) = located("task", row, |row| {
                        let taken = Taken {
                            peak: some_number(row, 2)?,
                            cpu: some_number(row, 3)?.unwrap_or(0),
                            elapsed: some_number(row, 4)?.unwrap_or(0),
                        };
                        Ok((row.get(1)?, taken))
                    })?;
                    by_version.entry(version).or_default().add(taken);
                }
                Ok(())
            })
            .during(&self.layout, DOING)?;
        for (version, taken) in by_version {
            if let Some(name) = steps.get(&version) {
                all.entry((*name).to_owned()).or_default().add(taken);
            }
        }
        Ok(())
    }
}
