//! Which rows a collection keeps, which objects these need, and how the others go.
//!
//! What is kept is decided first and written to tables of this connection alone, on the disk and not in
//! memory: there may be millions of rows. So a dry run and a collection answer from the same tables.

mod needed;
mod rows;

use std::collections::{HashMap, HashSet};

use super::cell::some_number;
use super::{Context, Error, Reader, Room, Runset, RunsetId, State};

/// A runset, and what a collection has to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Weighed {
    /// It.
    pub runset: Runset,
    /// Its rows.
    pub rows: u64,
    /// How many of them are superseded.
    pub superseded: u64,
    /// Whether it stays whatever is asked for: the current one, and the one that was written to last.
    pub stays: bool,
}

/// How much a collection takes out of the tables, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Doomed {
    /// The runsets.
    pub runsets: Vec<String>,
    /// Rows of runsets.
    pub rows: u64,
    /// Superseded ones of runsets that stay.
    pub superseded: u64,
    /// Rows that are of no runset: a collection before did not come to its end.
    pub strays: u64,
    /// Versions of steps that no task is of any more.
    pub versions: u64,
}

impl Doomed {
    /// Whether it is anything.
    pub(crate) fn is_any(&self) -> bool {
        self.all_rows() > 0 || self.versions > 0 || !self.runsets.is_empty()
    }

    /// All rows of tasks and outputs.
    pub(crate) fn all_rows(&self) -> u64 {
        self.rows + self.superseded + self.strays
    }
}

const DOING: &str = "read what is kept";
const CHOOSING: &str = "choose what is kept";

/// What says in the file that there may be rows of no runset.
const STRAYS: &str = "rows of no runset";

/// The tables of the connection that a collection works with, empty.
const TABLES: &str = "
CREATE TEMP TABLE kept (name TEXT PRIMARY KEY, rank INTEGER NOT NULL) WITHOUT ROWID;
CREATE TEMP TABLE doomed (id INTEGER PRIMARY KEY);
CREATE TEMP TABLE reference (target INTEGER, source INTEGER);
CREATE TEMP TABLE saved (id INTEGER PRIMARY KEY);
CREATE TEMP TABLE taken (id INTEGER PRIMARY KEY);
CREATE TEMP TABLE unused (id INTEGER PRIMARY KEY);
CREATE TEMP TABLE list (at INTEGER PRIMARY KEY, object BLOB NOT NULL, form INTEGER NOT NULL, rank INTEGER NOT NULL);
CREATE INDEX temp.idx_list ON list (object);
CREATE TEMP TABLE named (object BLOB NOT NULL, rank INTEGER NOT NULL);
CREATE TEMP TABLE needed (object BLOB PRIMARY KEY, rank INTEGER NOT NULL) WITHOUT ROWID;";

const NO_TABLES: &str = "
DROP TABLE IF EXISTS temp.kept;
DROP TABLE IF EXISTS temp.doomed;
DROP TABLE IF EXISTS temp.reference;
DROP TABLE IF EXISTS temp.saved;
DROP TABLE IF EXISTS temp.taken;
DROP TABLE IF EXISTS temp.unused;
DROP TABLE IF EXISTS temp.list;
DROP TABLE IF EXISTS temp.named;
DROP TABLE IF EXISTS temp.needed;";

impl Reader {
    /// The runsets, that of the last run first; and how many rows are of none.
    pub(crate) fn weigh(&self) -> Result<(Vec<Weighed>, u64), Error> {
        let order: Vec<(RunsetId, String, Option<i64>)> = self
            .connection
            .prepare_cached(
                "SELECT id, name, ran FROM runset ORDER BY coalesce(ran, 0) DESC, id DESC",
            )
            .and_then(|mut query| {
                let runset = |row: &rusqlite::Row| {
                    Ok((RunsetId(row.get(0)?), row.get(1)?, some_number(row, 2)?))
                };
                query.query_map([], runset)?.collect()
            })
            .during(&self.layout, DOING)?;
        let newest = order.iter().map(|(id, ..)| id.0).max();
        let mut counts: HashMap<String, (u64, u64)> = HashMap::new();
        let mut last = None;
        // One pass: grouping them in SQL would sort them.
        self.connection
            .prepare("SELECT runset, live FROM task WHERE runset IS NOT NULL ORDER BY id")
            .and_then(|mut query| {
                let mut rows = query.query([])?;
                while let Some(row) = rows.next()? {
                    let name = row.get_ref(0)?.as_str()?;
                    let live: bool = row.get(1)?;
                    if !counts.contains_key(name) {
                        counts.insert(name.to_owned(), (0, 0));
                    }
                    if let Some((rows, superseded)) = counts.get_mut(name) {
                        *rows += 1;
                        *superseded += u64::from(!live);
                    }
                    if last.as_deref() != Some(name) {
                        last = Some(name.to_owned());
                    }
                }
                Ok(())
            })
            .during(&self.layout, DOING)?;
        let whole = self.last_whole(&order)?;
        let weighed = order.into_iter().map(|(id, name, _)| {
            let (rows, superseded) = counts.remove(&name).unwrap_or_default();
            Weighed {
                rows,
                superseded,
                stays: Some(id.0) == newest || last.as_ref() == Some(&name) || Some(id.0) == whole,
                runset: Runset { id, name },
            }
        });
        let weighed = weighed.collect();
        Ok((weighed, counts.values().map(|(rows, _)| rows).sum()))
    }

    /// The one that ran last of those that are done, with nothing that failed: nights that went wrong or were
    /// interrupted are not to take the last good results.
    fn last_whole(&self, order: &[(RunsetId, String, Option<i64>)]) -> Result<Option<i64>, Error> {
        let whole: HashSet<i64> = self
            .connection
            .prepare_cached(
                "SELECT runset_id FROM tally WHERE step_id <> 0 GROUP BY runset_id
                 HAVING sum(pending) = 0 AND sum(failed) = 0 AND sum(done + reused) > 0",
            )
            .and_then(|mut query| query.query_map([], |row| row.get(0))?.collect())
            .during(&self.layout, DOING)?;
        let mut ids = order.iter().map(|(id, ..)| id.0);
        Ok(ids.find(|id| whole.contains(id)))
    }
}

impl State {
    /// Notes that a run works on the runset now.
    pub(crate) fn set_ran(&mut self, runset: &Runset) -> Result<(), Error> {
        self.reader
            .connection
            .write(
                "write which runset ran",
                "UPDATE runset SET ran = 1 + (SELECT coalesce(max(ran), 0) FROM runset) WHERE id = ?1
                   AND coalesce(ran, 0) <= (SELECT coalesce(max(ran), 0) FROM runset WHERE id <> ?1)",
                [runset.id.0],
            )
            .map(drop)
    }

    /// Settles that of all runsets these stay, the last one first, and of their superseded rows those
    /// that are not older than `before` (milliseconds since 1970), and all of runsets above that rank. How much goes.
    ///
    /// Nothing else may be done with this state until that is done, but to remove what goes.
    pub(crate) fn choose(
        &mut self,
        (all, strays): (&[Weighed], u64),
        keeps: &dyn Fn(&Weighed) -> bool,
        before: Option<(i64, i64)>,
    ) -> Result<Doomed, Error> {
        self.commit()?;
        self.reader
            .connection
            .set(
                "temp_store",
                if self.room == Room::Little {
                    "MEMORY"
                } else {
                    "FILE"
                },
            )
            .during(&self.reader.layout, CHOOSING)?;
        self.reader.connection.write_all(CHOOSING, NO_TABLES)?;
        self.reader.connection.write_all(CHOOSING, TABLES)?;
        let mut doomed = Doomed {
            strays,
            ..Doomed::default()
        };
        for (place, weighed) in all.iter().enumerate() {
            if !keeps(weighed) {
                doomed.runsets.push(weighed.runset.name.clone());
                doomed.rows += weighed.rows;
                continue;
            }
            let rank = i64::try_from(all.len() - place).unwrap_or(i64::MAX);
            self.reader.connection.write(
                CHOOSING,
                "INSERT INTO kept VALUES (?1, ?2)",
                (&weighed.runset.name, rank),
            )?;
        }
        if let Some(before) = before {
            doomed.superseded = self.choose_superseded(before)?;
        }
        self.reader.connection.write_all(
            CHOOSING,
            "INSERT OR IGNORE INTO taken SELECT reused_from FROM task CROSS JOIN kept ON kept.name = runset
                 WHERE reused_from IS NOT NULL AND id NOT IN (SELECT id FROM doomed);
             INSERT INTO unused SELECT id FROM step
                 WHERE NOT current AND version < (SELECT max(version) FROM step AS other WHERE other.name = step.name);",
        )?;
        self.choose_left()?;
        if self.count_of("unused")? > 0 {
            // In the order of the rows: by an index it would take as many looks at other places.
            self.reader.connection.write_all(
                CHOOSING,
                "DELETE FROM unused WHERE id IN (SELECT +task.step_id FROM task CROSS JOIN kept ON kept.name = runset
                     WHERE +task.step_id IN (SELECT id FROM unused) AND task.id NOT IN (SELECT id FROM doomed));
                 DELETE FROM unused WHERE id IN (SELECT from_step FROM accepted JOIN task ON task.id = task_id
                     JOIN kept ON kept.name = runset);",
            )?;
        }
        doomed.versions = self.count_of("unused")?;
        Ok(doomed)
    }

    /// All versions of steps that have left the manifest; the others keep their newest one, and the one that they have.
    fn choose_left(&mut self) -> Result<(), Error> {
        let Some(registered) = self.registered()? else {
            return Ok(());
        };
        self.reader
            .connection
            .write(
                CHOOSING,
                "INSERT OR IGNORE INTO unused SELECT id FROM step WHERE name NOT IN (
                     SELECT step.name FROM step JOIN json_each('[' || ?1 || ']') AS one ON one.value = step.id)",
                [registered],
            )
            .map(drop)
    }

    /// Superseded rows that ended before that, as far as nothing needs them that stays.
    fn choose_superseded(&mut self, (before, rank): (i64, i64)) -> Result<u64, Error> {
        let connection = &mut self.reader.connection;
        // What never ran is as old as what left it.
        connection.write(
            CHOOSING,
            "INSERT INTO doomed
             SELECT t.id FROM task AS t JOIN kept ON kept.name = t.runset JOIN runset AS r ON r.name = t.runset
             LEFT JOIN task AS p ON p.id = t.input_task_id
             WHERE t.live = 0 AND kept.rank <= ?2 AND t.id <> (SELECT max(id) FROM task)
               AND max(coalesce(t.executed, t.started + t.elapsed / 1000, p.executed,
                       p.started + p.elapsed / 1000, r.created),
                   coalesce(r.created, 0)) < ?1",
            (before, rank),
        )?;
        connection.write_all(
            CHOOSING,
            "INSERT INTO reference
                 SELECT output, id FROM task WHERE output IS NOT NULL AND output IN (SELECT id FROM doomed);
             INSERT INTO reference
                 SELECT g.owner, t.id FROM gathering AS g JOIN task AS t ON t.gathering = g.id
                 WHERE g.owner > 0 AND g.owner IN (SELECT id FROM doomed);
             INSERT INTO reference SELECT task_id, 0 FROM entry WHERE task_id IN (SELECT id FROM doomed);",
        )?;
        loop {
            // What is above a row that stays; and what was left by one that stays, if nothing took its
            // place: whoever takes over its results takes that.
            let connection = &mut self.reader.connection;
            connection.write_all(
                CHOOSING,
                "DELETE FROM saved;
                 INSERT OR IGNORE INTO saved SELECT d.id FROM doomed AS d JOIN task AS c ON c.input_task_id = d.id
                     WHERE c.id NOT IN (SELECT id FROM doomed);
                 INSERT OR IGNORE INTO saved SELECT target FROM reference
                     WHERE target IN (SELECT id FROM doomed) AND source NOT IN (SELECT id FROM doomed);
                 INSERT OR IGNORE INTO saved SELECT d.id FROM doomed AS d JOIN task AS t ON t.id = d.id
                     JOIN task AS p ON p.id = t.input_task_id
                     WHERE t.output IS NULL AND p.id NOT IN (SELECT id FROM doomed)
                       AND NOT EXISTS (SELECT 1 FROM task AS next WHERE next.supersedes = t.id);",
            )?;
            let saved = connection.write(
                CHOOSING,
                "DELETE FROM doomed WHERE id IN (SELECT id FROM saved)",
                [],
            )?;
            if saved == 0 {
                return self.count_of("doomed");
            }
        }
    }

    /// Versions of steps that no task is of stay, too.
    pub(crate) fn keep_versions(&mut self) -> Result<(), Error> {
        let connection = &mut self.reader.connection;
        connection
            .write(CHOOSING, "DELETE FROM unused", [])
            .map(drop)
    }

    fn count_of(&self, table: &str) -> Result<u64, Error> {
        self.connection
            .prepare(&format!("SELECT count(*) FROM temp.{table}"))
            .and_then(|mut query| query.query_row([], |row| row.get::<_, i64>(0)))
            .map(i64::unsigned_abs)
            .during(&self.reader.layout, DOING)
    }
}
