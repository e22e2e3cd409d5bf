//! Rows that go.
//!
//! At any moment of it the database is whole. With the first group of writes the runsets are gone, so that
//! nobody finds them; rows of no runset are taken out in the order of their numbers, so that who leaves
//! something goes before what it left: a task that is still there has all its outputs.

use std::time::Duration;

use super::super::checkpoint::of_use;
use super::super::{Context, Error, Reading, Room, State, Sync};
use super::{DOING, STRAYS};

/// Rows that are looked at in one group of writes.
///
/// Each group writes most pages of the indexes by hash: with few groups they are written a few times.
const GROUP: i64 = if cfg!(test) { 4 } else { 200_000 };

/// The same where there is little room: what they take of the log is free again after each group.
const SMALL_GROUP: i64 = if cfg!(test) { 2 } else { 64 };

/// Bytes of pages that are in memory meanwhile, negative and in KiB, as `SQLite` takes it: more than at other times.
const CACHE: &str = "-32768";

const REMOVING: &str = "remove rows";

/// What belongs to runsets that are not kept. `meta` has what is noted of each under its number.
const RUNSETS: &str = "
DELETE FROM entry WHERE runset_id IN (SELECT id FROM runset WHERE name NOT IN (SELECT name FROM kept));
DELETE FROM param WHERE runset_id IN (SELECT id FROM runset WHERE name NOT IN (SELECT name FROM kept));
DELETE FROM sample WHERE runset_id IN (SELECT id FROM runset WHERE name NOT IN (SELECT name FROM kept));
DELETE FROM tally WHERE runset_id IN (SELECT id FROM runset WHERE name NOT IN (SELECT name FROM kept));
DELETE FROM gathering WHERE runset_id IN (SELECT id FROM runset WHERE name NOT IN (SELECT name FROM kept));
DELETE FROM meta WHERE key IN (SELECT words || ' of ' || id FROM runset
    JOIN (SELECT 'objects' AS words UNION SELECT 'start' UNION SELECT 'routes')
    WHERE name NOT IN (SELECT name FROM kept));
DELETE FROM meta WHERE key IN (SELECT 'taken in ' || id FROM runset WHERE name NOT IN (SELECT name FROM kept));
DELETE FROM runset WHERE name NOT IN (SELECT name FROM kept);";

/// What nothing names any more once the rows are gone.
const REST: &str = concat!(
    "
DELETE FROM step WHERE id IN (SELECT id FROM unused);
DELETE FROM sample WHERE from_step NOT IN (SELECT id FROM step) OR to_step NOT IN (SELECT id FROM step);
DELETE FROM gathering WHERE owner > 0 AND owner NOT IN (SELECT id FROM task)
    AND NOT EXISTS (SELECT 1 FROM task WHERE gathering = gathering.id);
DELETE FROM file WHERE hash NOT IN (SELECT object FROM needed);
DELETE FROM lent WHERE hash NOT IN (SELECT object FROM needed);
DELETE FROM meta WHERE key > 'gone ' AND key < 'gone!' AND unhex(substr(key, 6)) NOT IN (SELECT object FROM needed);
DELETE FROM evicted WHERE hash NOT IN (SELECT object FROM needed);
DELETE FROM checkpoint WHERE task_id NOT IN (SELECT task_id FROM ",
    of_use!(),
    ");
DELETE FROM worker WHERE gone IS NOT NULL AND id NOT IN (SELECT worker_id FROM attempt);
DELETE FROM unsteady WHERE step_id NOT IN (SELECT id FROM step);"
);

/// Tables that note something of tasks, which goes with them.
const NOTES: [&str; 4] = ["accepted", "shared", "attempt", "flaky"];

impl State {
    /// Waits until nobody reads any more what goes, and nobody can; none if somebody goes on for so long. See [`Reading`].
    pub(crate) fn let_nobody_read(&self, patience: Duration) -> Option<Reading> {
        Reading::end_all(&self.reader.layout, patience)
    }

    /// Removes what nothing names any more. After it no power cut brings rows back: the objects that they named will
    /// be gone.
    pub(crate) fn drop_rest(&mut self) -> Result<(), Error> {
        self.commit()?;
        self.set_synchronous("FULL")?;
        self.reader.connection.write_all(REMOVING, REST)?;
        self.no_strays()?;
        if self.sync != Sync::Commit {
            self.set_synchronous("NORMAL")?;
        }
        Ok(())
    }

    /// Removes the rows that were chosen.
    pub(crate) fn drop_rows(&mut self) -> Result<(), Error> {
        self.mind_parents(false)?;
        self.reader
            .connection
            .set("cache_size", CACHE)
            .during(&self.reader.layout, REMOVING)?;
        self.put_meta(STRAYS, "1")?;
        self.reader.connection.write_all(REMOVING, RUNSETS)?;
        self.commit()?;
        let last = self.newest_task()?.0;
        let mut from = 0;
        while from < last {
            let to = from + self.group_size();
            self.relink(from, to)?;
            let connection = &mut self.reader.connection;
            connection.write(REMOVING, STRAY_ROWS, (from, to))?;
            connection.write(
                REMOVING,
                "DELETE FROM task WHERE id IN (SELECT id FROM doomed WHERE id > ?1 AND id <= ?2)",
                (from, to),
            )?;
            for table in NOTES {
                let gone = format!(
                    "DELETE FROM {table} WHERE task_id > ?1 AND task_id <= ?2
                       AND NOT EXISTS (SELECT 1 FROM task WHERE id = task_id)"
                );
                connection.write(REMOVING, &gone, (from, to))?;
            }
            connection.write(
                REMOVING,
                "DELETE FROM log WHERE task_id > ?1 AND task_id <= ?2
                   AND NOT EXISTS (SELECT 1 FROM task WHERE id = task_id)
                   AND task_id NOT IN (SELECT id FROM taken)",
                (from, to),
            )?;
            self.commit()?;
            self.clear_log();
            from = to;
        }
        self.drop_rest()?;
        self.mind_parents(true)
    }

    /// What took the place of rows that go takes that of what these took the place of: so each output still has
    /// one row of its own.
    fn relink(&mut self, from: i64, to: i64) -> Result<(), Error> {
        let doomed: Vec<i64> = self
            .connection
            .prepare_cached(
                "SELECT id FROM doomed WHERE id > ?1 AND id <= ?2
                   AND EXISTS (SELECT 1 FROM task WHERE supersedes = doomed.id) ORDER BY id",
            )
            .and_then(|mut query| query.query_map((from, to), |row| row.get(0))?.collect())
            .during(&self.reader.layout, DOING)?;
        for row in doomed {
            self.reader.connection.write(
                REMOVING,
                "UPDATE task SET supersedes = (SELECT old.supersedes FROM task AS old WHERE old.id = ?1)
                 WHERE supersedes = ?1",
                [row],
            )?;
        }
        Ok(())
    }

    /// Removes rows of no runset, which a collection left that was killed: else one that is made under the name of
    /// theirs would have them.
    pub(in super::super) fn drop_strays(&mut self) -> Result<(), Error> {
        if self.meta(STRAYS)?.is_none() {
            return Ok(());
        }
        self.mind_parents(false)?;
        let last = self.newest_task()?.0;
        let mut from = 0;
        while from < last {
            let to = from + self.group_size();
            self.reader
                .connection
                .write(REMOVING, STRAY_ROWS, (from, to))?;
            self.commit()?;
            self.clear_log();
            from = to;
        }
        self.no_strays()?;
        self.mind_parents(true)
    }

    /// Whether a row may go only after all that it left.
    pub(super) fn mind_parents(&self, minds: bool) -> Result<(), Error> {
        self.reader
            .connection
            .set("foreign_keys", if minds { "ON" } else { "OFF" })
            .during(&self.reader.layout, REMOVING)
    }

    fn group_size(&self) -> i64 {
        match self.room {
            Room::Plenty => GROUP,
            Room::Little => SMALL_GROUP,
        }
    }

    fn no_strays(&mut self) -> Result<(), Error> {
        self.reader
            .connection
            .write(REMOVING, "DELETE FROM meta WHERE key = ?1", [STRAYS])?;
        self.commit()
    }
}

/// Those of some numbers.
const STRAY_ROWS: &str = "DELETE FROM task WHERE id > ?1 AND id <= ?2
    AND runset NOT IN (SELECT name FROM runset)";
