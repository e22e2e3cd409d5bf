//! What the tasks of a step took.

use super::cell::some_number;
use super::{Context, Error, Reader, Runset};

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
    /// How many CPUs were at work for one of them, on average.
    #[allow(clippy::cast_precision_loss)] // Two digits are shown.
    pub(crate) fn cpus(&self) -> Option<f64> {
        (self.elapsed > 0).then(|| self.cpu as f64 / self.elapsed as f64)
    }
}

impl Reader {
    /// What those of all versions of a step took in a runset, or in all of them. It looks at each.
    pub(crate) fn taken(&self, runset: Option<&Runset>, step: &str) -> Result<Taken, Error> {
        self.connection
            .prepare_cached(
                "SELECT max(peak_memory), coalesce(sum(cpu_time), 0),
                     coalesce(sum(iif(cpu_time IS NULL, 0, elapsed)), 0)
                 FROM task WHERE live = 1 AND (?1 IS NULL OR runset = ?1)
                     AND step_id IN (SELECT id FROM step WHERE name = ?2)",
            )
            .and_then(|mut query| {
                query.query_row((runset.map(|runset| &runset.name), step), |row| {
                    Ok(Taken {
                        peak: some_number(row, 0)?,
                        cpu: row.get(1)?,
                        elapsed: row.get(2)?,
                    })
                })
            })
            .during(&self.layout, "read what tasks took")
    }
}
