//! Taint and migration: finished tasks make way for new ones, and what follows from them with
//! them.

use super::below::{AGAIN, below};
use super::cell::{count, located};
use super::counts::{STATE_SQL, state_of};
use super::record::ROOM;
use super::reroute::{self, Astray, Rerouted};
use super::{Context, Error, Reader, Runset, RunsetId, State, StepId};
use crate::model::name::StepName;
use crate::model::task::TaskState;

/// Finished live tasks of one step version.
#[derive(Debug, Clone)]
pub(crate) struct Taint {
    /// The step's name.
    pub name: StepName,
    /// The version.
    pub step: StepId,
    /// How many tasks it has.
    pub count: i64,
}

/// What a migration did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Migrated {
    /// How many tasks each step version got that took the place of tainted ones.
    pub tainted: Vec<(StepId, i64)>,
    /// Outputs that went elsewhere.
    pub rerouted: Vec<Rerouted>,
}

impl Migrated {
    fn tainted(&mut self, step: StepId, count: i64) {
        match self.tainted.iter_mut().find(|(known, _)| *known == step) {
            Some((_, known)) => *known += count,
            None => self.tainted.push((step, count)),
        }
    }
}

/// From what, to what, how many; none for final outputs.
type Replaced = (Option<StepId>, Option<StepId>, i64);

/// Whether a task's key is what its name and the names of today's steps make of it, and noted only as what
/// it was executed with: of an output's own row.
const FOLLOWS: &str = "t.input_task_id IS NOT NULL AND t.output IS NULL AND t.role IN (0, 1)";

/// Of another version than the step has now.
const TAINTED: &str = "s.fingerprint <> c.fingerprint";

impl Reader {
    /// The finished tasks of a runset by step version, oldest version first. Those of versions
    /// that compute something else than the current one are tainted.
    pub(crate) fn finished(&self, runset: RunsetId) -> Result<Vec<Taint>, Error> {
        self.connection
            .prepare_cached(
                "SELECT step.id, step.name, tally.done + tally.reused FROM tally
                 JOIN step ON step.id = tally.step_id
                 WHERE tally.runset_id = ?1 AND tally.done + tally.reused > 0 ORDER BY step.id",
            )
            .and_then(|mut query| {
                query
                    .query_map([runset.0], |row| located("step", row, taint))?
                    .collect()
            })
            .during(&self.layout, "read tainted tasks")
    }
}

impl State {
    /// Supersedes the topmost tainted tasks of the steps `current` (their current versions) by
    /// pending ones of those versions, and outputs that went elsewhere than they go today by ones
    /// that are there. What descends from them is live no more.
    pub(crate) fn migrate(
        &mut self,
        runset: &Runset,
        current: &[StepId],
        astray: &[Astray],
    ) -> Result<Migrated, Error> {
        self.find_roots(runset, current, TAINTED)?;
        for output in astray {
            self.reader.connection.write(
                "find the tasks to supersede",
                "INSERT OR REPLACE INTO root VALUES (?1, ?2)",
                (output.task.0, output.to.map(|step| step.0)),
            )?;
        }
        self.find_what_is_below(runset)?;
        let names = self.names_of_versions()?;
        let mut migrated = Migrated::default();
        for (from, to, count) in self.replace_roots(runset, false)? {
            let name = |step: Option<StepId>| step.and_then(|step| names.get(&step));
            match to {
                Some(to) if name(from) == name(Some(to)) => migrated.tainted(to, count),
                _ => reroute::add(&mut migrated.rerouted, name(from), name(to), count),
            }
        }
        Ok(migrated)
    }

    /// The same where all outputs are where they belong: how many tasks each step got.
    #[cfg(test)]
    pub(crate) fn migrate_tainted(
        &mut self,
        runset: &Runset,
        current: &[StepId],
    ) -> Result<Vec<(StepId, i64)>, Error> {
        Ok(self.migrate(runset, current, &[])?.tainted)
    }

    /// Supersedes the topmost finished tasks of one step, of whatever version, by pending ones
    /// that execute in any case. How many.
    pub(crate) fn restart(&mut self, runset: &Runset, current: StepId) -> Result<i64, Error> {
        let made = self.supersede(runset, &[current], "1", true)?;
        self.reader.connection.write(
            "write tasks to start from",
            "UPDATE task SET forced = 1
             WHERE processed = 0 AND live = 1 AND runset = ?1 AND step_id = ?2",
            (&runset.name, current.0),
        )?;
        Ok(made.iter().map(|(_, count)| count).sum())
    }

    /// `which`: an SQL condition on a live finished task `t`, its version `s` and the current
    /// version `c` of the same step.
    pub(super) fn supersede(
        &mut self,
        runset: &Runset,
        current: &[StepId],
        which: &str,
        forced: bool,
    ) -> Result<Vec<(StepId, i64)>, Error> {
        self.find_roots(runset, current, which)?;
        self.find_what_is_below(runset)?;
        let mut made = Migrated::default();
        for (_, to, count) in self.replace_roots(runset, forced)? {
            made.tainted(to.unwrap_or(StepId::FINAL), count);
        }
        Ok(made.tainted)
    }

    fn find_roots(
        &mut self,
        runset: &Runset,
        current: &[StepId],
        which: &str,
    ) -> Result<(), Error> {
        // Counts in memory must be in the table first: it is read below.
        self.flush_tallies()?;
        let ids: Vec<String> = current.iter().map(|id| id.0.to_string()).collect();
        let statements = format!(
            "CREATE TEMP TABLE current (id INTEGER PRIMARY KEY, name TEXT, fingerprint TEXT);
             INSERT INTO current SELECT id, name, fingerprint FROM step WHERE id IN ({});
             CREATE TEMP TABLE root (id INTEGER PRIMARY KEY, step_id INTEGER);
             INSERT INTO root SELECT t.id, c.id FROM task AS t JOIN step AS s ON s.id = t.step_id
                 JOIN current AS c ON c.name = s.name
                 WHERE t.runset = {} AND t.processed = 1 AND t.live = 1
                     AND (t.role <> 1 OR t.context IS NOT NULL)
                     AND NOT (t.role = 2 AND t.output = t.input_task_id)
                     AND {which};",
            ids.join(","),
            quoted(&runset.name),
        );
        self.reader
            .connection
            .write_all("find the tasks to supersede", &statements)
    }

    fn find_what_is_below(&mut self, runset: &Runset) -> Result<(), Error> {
        const FINDING: &str = "find the tasks to supersede";
        let statements = format!(
            "CREATE TEMP TABLE below (id INTEGER PRIMARY KEY); {AGAIN}
             {} INSERT INTO below SELECT id FROM d;",
            below("root")
        );
        self.reader.connection.write_all(FINDING, &statements)?;
        self.spread(runset, "below", Some("root"), None)?;
        self.reader.connection.write_all(
            FINDING,
            "DELETE FROM root WHERE id IN (SELECT id FROM below);
             INSERT INTO below SELECT id FROM root;",
        )
    }

    /// Counts these no more.
    pub(super) fn uncount(&mut self, runset: &Runset, dead: &str) -> Result<(), Error> {
        let lost: Vec<(i64, i64, i64, i64)> = self
            .connection
            .prepare(&format!(
                "SELECT coalesce(step_id, 0), {STATE_SQL}, count(*), coalesce(sum(elapsed), 0)
                 FROM {dead} JOIN task USING (id) WHERE role <> 1 GROUP BY 1, 2"
            ))
            .and_then(|mut query| {
                query
                    .query_map([], |row| {
                        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                    })?
                    .collect()
            })
            .during(&self.reader.layout, "count the tasks to supersede")?;
        for (step, state, count, spent) in lost {
            self.count(runset.id, StepId(step), state_of(state), -count);
            self.spend(runset.id, StepId(step), 0_i64.saturating_sub(spent));
        }
        Ok(())
    }

    /// How many tasks of a step version, or final outputs, gave way to those of another.
    fn replace_roots(&mut self, runset: &Runset, forced: bool) -> Result<Vec<Replaced>, Error> {
        self.uncount(runset, "below")?;
        let made: Vec<Replaced> = self
            .connection
            .prepare(
                "SELECT root.step_id, task.step_id, count(*) FROM root JOIN task USING (id)
                 GROUP BY 1, 2 ORDER BY 1, 2",
            )
            .and_then(|mut query| {
                let replaced = |row: &rusqlite::Row| {
                    let step = |id: Option<i64>| id.map(StepId);
                    Ok((step(row.get(1)?), step(row.get(0)?), row.get(2)?))
                };
                query.query_map([], replaced)?.collect()
            })
            .during(&self.reader.layout, "count the tasks to supersede")?;
        for (_, to, count) in &made {
            match to {
                Some(step) => self.count(runset.id, *step, TaskState::Pending, *count),
                None => self.count(runset.id, StepId::FINAL, TaskState::Done, *count),
            }
        }
        self.reader.connection.write_all(
            "supersede tasks",
            "UPDATE task SET live = 0 WHERE id IN (SELECT id FROM below);",
        )?;
        self.reader.connection.write(
            "supersede tasks",
            &format!("INSERT INTO task
                 (object_hash, kind, role, gathering, key, output, step_id, input_task_id, runset, name,
                  supersedes, forced, processed, room)
             SELECT t.object_hash, t.kind, iif(t.role = 1, 0, t.role),
                 iif(t.role = 3, t.gathering, NULL), iif({FOLLOWS}, NULL, t.key), t.output, root.step_id, t.input_task_id, t.runset, t.name, t.id,
                 ?1 OR t.forced AND NOT t.processed,
                 root.step_id IS NULL, iif(root.step_id IS NULL, NULL, ?2)
             FROM root JOIN task AS t ON t.id = root.id ORDER BY t.id"),
            (forced, ROOM),
        )?;
        self.reader.connection.write(
            "supersede tasks",
            "UPDATE entry SET task_id = (SELECT max(id) FROM task WHERE supersedes = entry.task_id)
             WHERE runset_id = ?1 AND task_id IN (SELECT id FROM root)",
            [runset.id.0],
        )?;
        self.lead_readers("root")?;
        self.make_again(runset, "below")?;
        self.reader.connection.write_all(
            "clean up",
            "DROP TABLE current; DROP TABLE root; DROP TABLE below;",
        )?;
        Ok(made)
    }

    /// Who reads outputs whose own rows gave way to others is led to these.
    pub(super) fn lead_readers(&mut self, old: &str) -> Result<(), Error> {
        // Both come from the same task, which is looked for by an index.
        self.reader.connection.write_all(
            "supersede tasks",
            &format!(
                "UPDATE task SET output =
                     (SELECT max(own.id) FROM task AS own WHERE own.supersedes = task.output AND own.live = 1)
                 WHERE input_task_id IN (SELECT t.input_task_id FROM {old} JOIN task AS t ON t.id = {old}.id)
                     AND live = 1 AND output IN (SELECT id FROM {old}) AND output <> input_task_id
                     AND EXISTS (SELECT 1 FROM task AS own WHERE own.supersedes = task.output AND own.live = 1);"
            ),
        )
    }
}

fn taint(row: &rusqlite::Row) -> rusqlite::Result<Taint> {
    Ok(Taint {
        step: StepId(row.get(0)?),
        name: row.get(1)?,
        count: count(row, 2)?,
    })
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
