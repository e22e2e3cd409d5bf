//! Tainted tasks that are taken over as they are, on the evidence of a sample: they count for the
//! version that their step has now, in their own runset, and were made by another one.

use rusqlite::{OptionalExtension, Row};

use super::cell::{count, located, number};
use super::sample::Evidence;
use super::{Context, Error, Reader, Runset, State, StepId};
use crate::model::sample::Sample;
use crate::model::task::TaskId;

/// Why a task counts for a version that did not make it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Acceptance {
    /// The version that made it.
    pub made_by: StepId,
    /// The number of that.
    pub made_by_version: i64,
    /// What spoke for it; none if the record cannot be read.
    pub sample: Option<Sample>,
}

impl Acceptance {
    /// `accepted for version 3 on a sample of 20 of 1000 on 2026-11-26, made by version 2`;
    /// `version`: the number of the one that it counts for.
    pub(crate) fn in_words(&self, version: i64) -> String {
        let on = match self.sample {
            Some(sample) => format!(" on {sample}"),
            None => String::new(),
        };
        format!(
            "accepted for version {version}{on}, made by version {}",
            self.made_by_version
        )
    }
}

/// Accepted tasks that have all this in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// The version that they count for.
    pub step: StepId,
    /// Why.
    pub why: Acceptance,
    /// How many.
    pub count: i64,
}

const DOING: &str = "read what was accepted";

impl Reader {
    /// Why the task counts for a version that did not make it; none if its version did.
    pub(crate) fn acceptance(&self, task: TaskId) -> Result<Option<Acceptance>, Error> {
        self.connection
            .prepare_cached(
                "SELECT accepted.task_id, accepted.from_step, step.version, accepted.evidence
                 FROM accepted JOIN step ON step.id = accepted.from_step WHERE task_id = ?1",
            )
            .and_then(|mut query| {
                let row = query.query_row([task.0], |row| located("accepted", row, acceptance));
                row.optional()
            })
            .during(&self.layout, DOING)
    }

    /// The live accepted tasks of `runset` or of all, oldest versions first.
    pub(crate) fn accepted(&self, runset: Option<&Runset>) -> Result<Vec<Accepted>, Error> {
        self.connection
            .prepare_cached(
                // In this order: of all tasks few are accepted, and nobody has told SQLite.
                "SELECT min(accepted.task_id), accepted.from_step, step.version, accepted.evidence,
                     task.step_id, count(*)
                 FROM accepted CROSS JOIN task ON task.id = accepted.task_id
                 CROSS JOIN step ON step.id = accepted.from_step
                 WHERE task.live = 1 AND task.step_id IS NOT NULL
                   AND (?1 IS NULL OR task.runset = ?1)
                 GROUP BY 5, 2, 4 ORDER BY 5, 2, 4",
            )
            .and_then(|mut query| {
                let accepted = |row: &Row| {
                    Ok(Accepted {
                        step: StepId(row.get(4)?),
                        why: acceptance(row)?,
                        count: count(row, 5)?,
                    })
                };
                query
                    .query_map([runset.map(|runset| &runset.name)], |row| {
                        located("accepted", row, accepted)
                    })?
                    .collect()
            })
            .during(&self.layout, DOING)
    }
}

impl State {
    /// The finished tasks of the version that a sample was taken of count for the one that it was
    /// run under; what follows from them stays as it is. How many.
    pub(crate) fn accept(&mut self, runset: &Runset, evidence: &Evidence) -> Result<i64, Error> {
        let Evidence { from, to, .. } = *evidence;
        // Whoever was accepted before keeps the version that made it.
        self.reader.connection.write(
            "write what is accepted",
            "INSERT INTO accepted (task_id, from_step, evidence)
             SELECT id, step_id, ?3 FROM task
             WHERE step_id = ?2 AND step_id IS NOT NULL AND runset = ?1
               AND processed = 1 AND live = 1 AND role <> 1
             ON CONFLICT (task_id) DO UPDATE SET evidence = excluded.evidence",
            (&runset.name, from.0, evidence.sample.to_json()),
        )?;
        let moved = self.give(runset, from, to, "processed = 1")?;
        self.unmark_at_home(to)?;
        self.drop_evidence(runset.id, from, to)?;
        Ok(moved)
    }

    /// Has tasks that are accepted for another version than the present one, and were made by that,
    /// count for what made them. How many, by version. `current`: the present versions.
    pub(crate) fn give_back(
        &mut self,
        runset: &Runset,
        current: &[StepId],
    ) -> Result<Vec<(StepId, i64)>, Error> {
        let mut given = Vec::new();
        for Accepted { step, why, .. } in self.accepted(Some(runset))? {
            let home = why.made_by;
            let now = self.equal_versions(home)?;
            let is_now = |one: StepId| current.contains(&one);
            if now.contains(&step) || !now.iter().any(|one| is_now(*one)) {
                continue;
            }
            let which = format!(
                "processed = 1 AND id IN (SELECT task_id FROM accepted WHERE from_step = {})",
                home.0
            );
            let moved = self.give(runset, step, home, &which)?;
            self.unmark_at_home(home)?;
            if moved > 0 {
                given.push((home, moved));
            }
        }
        Ok(given)
    }

    /// What was accepted and is superseded by now is again of the version that made it, and serves that:
    /// nobody needs it for the other one.
    pub(crate) fn give_back_superseded(&mut self) -> Result<(), Error> {
        const DEAD: &str =
            "SELECT task_id FROM accepted JOIN task ON task.id = task_id WHERE task.live = 0";
        let doing = "write what is accepted";
        let any: bool = self
            .connection
            .prepare_cached(&format!("SELECT EXISTS ({DEAD})"))
            .and_then(|mut query| query.query_row([], |row| row.get(0)))
            .during(&self.reader.layout, DOING)?;
        if any {
            let connection = &mut self.reader.connection;
            connection.write(
                doing,
                &format!(
                    "UPDATE task SET step_id =
                         (SELECT from_step FROM accepted WHERE task_id = task.id)
                     WHERE id IN ({DEAD})"
                ),
                [],
            )?;
            connection.write(
                doing,
                &format!("DELETE FROM accepted WHERE task_id IN ({DEAD})"),
                [],
            )?;
        }
        Ok(())
    }

    /// Nothing is accepted that counts for what made it.
    fn unmark_at_home(&mut self, home: StepId) -> Result<(), Error> {
        self.reader
            .connection
            .write(
                "write what is accepted",
                "DELETE FROM accepted WHERE from_step = ?1
                     AND task_id IN (SELECT id FROM task WHERE step_id = ?1 AND step_id IS NOT NULL)",
                [home.0],
            )
            .map(drop)
    }
}

fn acceptance(row: &Row) -> rusqlite::Result<Acceptance> {
    let evidence: String = row.get(3)?;
    Ok(Acceptance {
        made_by: StepId(row.get(1)?),
        made_by_version: number(row, 2)?,
        sample: Sample::from_json(&evidence),
    })
}
