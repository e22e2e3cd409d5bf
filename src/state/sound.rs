//! Whether pages of the database are lost, as far as that can be seen at once: before a run, which would take what it does
//! not find for what was never there.
//!
//! A small database is looked through. Of a large one some rows are, from all over it: each has to be found by every
//! index, and to lead to rows that are there. All else is left to `verify`.

use std::collections::HashSet;

use rusqlite::{OptionalExtension as _, Row};

use super::{Context, Error, Reader};

const DOING: &str = "look whether it is whole";

/// Bytes of a database that is looked through.
const SMALL: i64 = 1 << 20;

/// Of a larger one: rows from all over it, and the last ones.
const SPREAD: i64 = 48;
const LAST: i64 = 16;

/// Unfinished rows that are counted, of all that there may be.
const MOST: i64 = 1000;

/// Ends where there is no higher one: of as many rows as there are, a look at each value.
const VERSIONS: &str = "
WITH RECURSIVE version (id) AS (
    SELECT min(step_id) FROM task WHERE step_id IS NOT NULL
    UNION ALL SELECT (SELECT min(step_id) FROM task WHERE step_id > version.id AND step_id IS NOT NULL)
    FROM version WHERE version.id IS NOT NULL LIMIT 100000)
SELECT id FROM version WHERE id IS NOT NULL AND id NOT IN (SELECT id FROM step)";

const GROUPS: &str = "
WITH RECURSIVE found (id) AS (
    SELECT min(gathering) FROM task WHERE gathering IS NOT NULL
    UNION ALL SELECT (SELECT min(gathering) FROM task WHERE gathering > found.id AND gathering IS NOT NULL)
    FROM found WHERE found.id IS NOT NULL LIMIT 1000)
SELECT id FROM found WHERE id IS NOT NULL AND id NOT IN (SELECT id FROM gathering)";

/// Of a row: what it leads to that is not there, and which index does not have it.
const ROW: &str = "
SELECT CASE
    WHEN runset IS NOT NULL AND NOT EXISTS (SELECT 1 FROM runset AS r WHERE +r.name = t.runset)
        THEN 'its runset is not there'
    WHEN runset IS NOT NULL AND NOT EXISTS (SELECT 1 FROM runset AS r WHERE r.name = t.runset)
        THEN 'the index of runsets does not have its own'
    WHEN input_task_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM task AS p WHERE p.id = t.input_task_id)
        THEN 'the task that it comes from is not there'
    WHEN input_task_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM task AS o INDEXED BY idx_task_input
            WHERE o.input_task_id = t.input_task_id AND o.id = t.id)
        THEN 'the index idx_task_input does not have it'
    WHEN step_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM task AS o INDEXED BY idx_task_step
            WHERE o.step_id = t.step_id AND substr(o.object_hash, 1, 6) = substr(t.object_hash, 1, 6) AND o.id = t.id)
        THEN 'the index idx_task_step does not have it'
    WHEN step_id IS NULL AND NOT EXISTS (SELECT 1 FROM task AS o INDEXED BY idx_task_final
            WHERE o.step_id IS NULL AND substr(o.object_hash, 1, 4) = substr(t.object_hash, 1, 4) AND o.id = t.id)
        THEN 'the index idx_task_final does not have it'
    WHEN gathering IS NOT NULL AND NOT EXISTS (SELECT 1 FROM task AS o INDEXED BY idx_task_gathering
            WHERE o.gathering = t.gathering AND o.role = t.role AND o.id = t.id)
        THEN 'the index idx_task_gathering does not have it'
    WHEN supersedes IS NOT NULL AND NOT EXISTS (SELECT 1 FROM task AS o INDEXED BY idx_task_supersedes
            WHERE o.supersedes = t.supersedes AND o.id = t.id)
        THEN 'the index idx_task_supersedes does not have it'
    END, t.id
FROM task AS t WHERE id >= ?1 ORDER BY id LIMIT 1";

/// The indexes that [`ROW`] names.
const INDEXES: [&str; 6] = [
    "idx_task_input",
    "idx_task_step",
    "idx_task_final",
    "idx_task_gathering",
    "idx_task_supersedes",
    "idx_task_processed",
];

impl Reader {
    /// Fails if pages of it are lost, as far as that is seen at once.
    pub(crate) fn check_sound(&self) -> Result<(), Error> {
        self.check_sound_if(SMALL)
    }

    fn check_sound_if(&self, small: i64) -> Result<(), Error> {
        let wrong = match self.unsound(small).during(&self.layout, DOING) {
            Ok(wrong) => wrong,
            Err(Error::Corrupt { reason, .. }) => Some(reason),
            Err(error) => return Err(error),
        };
        wrong.map_or(Ok(()), |reason| {
            Err(Error::Unsound {
                path: self.layout.database(),
                reason,
            })
        })
    }

    /// What is wrong; `small`: bytes of a database that is looked through.
    fn unsound(&self, small: i64) -> rusqlite::Result<Option<String>> {
        let size = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
        let mut query = self.connection.prepare(size)?;
        if query.query_row([], |row| row.get::<_, i64>(0))? <= small {
            return match self.pages_of("pragma_integrity_check")? {
                None => self.leads_nowhere(),
                wrong => Ok(wrong),
            };
        }
        for table in ["step", "runset"] {
            if let Some(wrong) = self.pages_of(&format!("pragma_integrity_check('{table}')"))? {
                return Ok(Some(wrong));
            }
        }
        if let Some(wrong) = self.leads_nowhere()? {
            return Ok(Some(wrong));
        }
        match self.sample()? {
            None => self.miscounted_pending(),
            wrong => Ok(wrong),
        }
    }

    /// What `SQLite` finds wrong with pages and indexes; what is in rows is looked at where they are read.
    fn pages_of(&self, check: &str) -> rusqlite::Result<Option<String>> {
        let mut query = self
            .connection
            .prepare(&format!("SELECT integrity_check FROM {check}"))?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let words = row.get_ref(0)?.as_str()?;
            let of_values = [
                "NULL value in ",
                "non-unique entry in ",
                "CHECK constraint",
                " value in ",
            ];
            if words != "ok" && !of_values.iter().any(|known| words.contains(known)) {
                return Ok(Some(words.to_owned()));
            }
        }
        Ok(None)
    }

    /// Rows that are named and not there.
    fn leads_nowhere(&self) -> rusqlite::Result<Option<String>> {
        for (sql, what) in [(VERSIONS, "the version of a step"), (GROUPS, "the group")] {
            let mut query = self.connection.prepare(sql)?;
            let missing: Option<i64> = query.query_row([], |row| row.get(0)).optional()?;
            if let Some(missing) = missing {
                return Ok(Some(format!(
                    "there are tasks of {what} with the number {missing}, and it is not there"
                )));
            }
        }
        let counts = "SELECT EXISTS (SELECT 1 FROM task WHERE live = 1) AND NOT EXISTS (SELECT 1 FROM tally)";
        let mut query = self.connection.prepare(counts)?;
        let uncounted: bool = query.query_row([], |row| row.get(0))?;
        Ok(uncounted.then(|| "there are tasks, and no counts of them".to_owned()))
    }

    /// Whether some rows are found by all indexes.
    fn sample(&self) -> rusqlite::Result<Option<String>> {
        let known: HashSet<String> = self
            .connection
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'index'")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        // Somebody has taken one away: all else works without, only slower.
        if !INDEXES.iter().all(|index| known.contains(*index)) {
            return Ok(None);
        }
        let newest: i64 = self
            .connection
            .prepare("SELECT coalesce(max(id), 0) FROM task")?
            .query_row([], |row| row.get(0))?;
        let spread = (0..SPREAD).map(|part| newest / SPREAD * part);
        let last = (newest - LAST).max(0)..=newest;
        let mut query = self.connection.prepare(ROW)?;
        for id in spread.chain(last) {
            let wrong = |row: &Row| Ok((row.get(0)?, row.get(1)?));
            let found: Option<(Option<String>, i64)> = query.query_row([id], wrong).optional()?;
            if let Some((Some(wrong), id)) = found {
                return Ok(Some(format!("row #{id} of its table task: {wrong}")));
            }
        }
        Ok(None)
    }

    /// Whether unfinished tasks are found that are counted.
    fn miscounted_pending(&self) -> rusqlite::Result<Option<String>> {
        let mut query = self.connection.prepare(
            "SELECT runset.name, step_id, pending + failed FROM tally JOIN runset ON runset.id = runset_id
             WHERE pending + failed > 0 AND step_id <> 0 ORDER BY runset_id DESC, step_id LIMIT 100",
        )?;
        let mut rows = query.query([])?;
        let mut left = MOST;
        let mut find = self.connection.prepare(
            "SELECT count(*) FROM (SELECT 1 FROM task INDEXED BY idx_task_processed
                 WHERE runset = ?1 AND step_id = ?2 AND processed = 0 AND live = 1 LIMIT ?3)",
        )?;
        while let Some(row) = rows.next()? {
            let (runset, step) = (row.get_ref(0)?.as_str()?, row.get::<_, i64>(1)?);
            let counted = row.get::<_, i64>(2)?.min(left);
            let found: i64 = find.query_row((runset, step, counted), |row| row.get(0))?;
            if found < counted {
                return Ok(Some(format!(
                    "of {counted} tasks that are to be done {found} are found"
                )));
            }
            left -= counted;
            if left <= 0 {
                break;
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
