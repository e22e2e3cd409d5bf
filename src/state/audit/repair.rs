//! Rows that do not lead where they should are taken out, and what they belonged to is done again.

use std::collections::{HashMap, HashSet};

use rusqlite::OptionalExtension as _;

use super::super::{Context, Error, Mended, Reader, State, mend};
use crate::model::digest::Digest;
use crate::model::task::TaskId;

/// Rows that cannot be read as what they are said to be, or lead to what is not there and cannot be done without.
/// What their makers left is not all there without them.
const UNFIT: &str = "
CREATE TEMP TABLE unfit (id INTEGER PRIMARY KEY);
INSERT INTO unfit
SELECT t.id FROM task AS t LEFT JOIN step AS s ON s.id = t.step_id
LEFT JOIN gathering AS g ON g.id = t.gathering
WHERE t.step_id IS NOT NULL AND s.id IS NULL
   OR t.gathering IS NOT NULL AND g.id IS NULL OR t.role = 3 AND t.gathering IS NULL
   OR g.owner > 0 AND NOT EXISTS (SELECT 1 FROM task AS o WHERE o.id = g.owner)
   OR t.output IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM task AS o WHERE o.id = t.output AND (o.live = 1 OR t.live = 0))
   OR coalesce(length(t.object_hash) <> 64 OR t.object_hash GLOB '*[^0-9a-f]*', 1)
   OR t.context IS NOT NULL AND (length(t.context) <> 64 OR t.context GLOB '*[^0-9a-f]*')
   OR t.kind NOT IN (0, 1, 2) OR t.role NOT IN (0, 1, 2, 3)
   OR t.live NOT IN (0, 1) OR t.processed NOT IN (0, 1);
CREATE TEMP TABLE stripped (id INTEGER PRIMARY KEY);
INSERT INTO stripped SELECT DISTINCT input_task_id FROM task
    WHERE id IN (SELECT id FROM unfit) AND input_task_id IS NOT NULL;";

/// Nothing is left of them that anybody would stumble over; and what says that it is about a row that is not
/// there goes.
const TAKEN_OUT: &str = "
UPDATE task SET live = 0, processed = 0, error = NULL, input_task_id = NULL, output = NULL,
    gathering = NULL, context = NULL, kind = 0, role = 0,
    object_hash = iif(coalesce(length(object_hash) <> 64 OR object_hash GLOB '*[^0-9a-f]*', 1),
        'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', object_hash),
    step_id = iif(step_id IN (SELECT id FROM step), step_id, NULL)
WHERE id IN (SELECT id FROM unfit);
DELETE FROM gathering WHERE owner > 0 AND owner NOT IN (SELECT id FROM task);
DELETE FROM accepted WHERE task_id NOT IN (SELECT id FROM task)
    OR from_step NOT IN (SELECT id FROM step);
DELETE FROM shared WHERE task_id NOT IN (SELECT id FROM task);
DELETE FROM flaky WHERE task_id NOT IN (SELECT id FROM task);
DELETE FROM checkpoint WHERE task_id NOT IN (SELECT id FROM task);
DELETE FROM attempt WHERE task_id NOT IN (SELECT id FROM task)
    OR worker_id NOT IN (SELECT id FROM worker);
INSERT INTO runset (name) SELECT DISTINCT runset FROM task
    WHERE runset IS NOT NULL AND runset NOT IN (SELECT name FROM runset);
UPDATE task SET live = 0
WHERE input_task_id IS NULL AND role = 0 AND name IS NOT NULL AND step_id IS NOT NULL AND live = 1
    AND id NOT IN (SELECT task_id FROM entry);
UPDATE task SET error = NULL WHERE processed = 1 AND error IS NOT NULL AND live = 1;
UPDATE task SET processed = 1 WHERE step_id IS NULL AND processed = 0 AND live = 1;
UPDATE task SET executed = NULL WHERE executed NOT BETWEEN 0 AND 1 << 53;
UPDATE task SET started = NULL, elapsed = NULL
    WHERE started NOT BETWEEN 0 AND 1 << 53 OR elapsed NOT BETWEEN 0 AND 1 << 53;
UPDATE runset SET ran = NULL WHERE ran NOT BETWEEN 0 AND 1 << 53;
UPDATE runset SET created = NULL WHERE created NOT BETWEEN 0 AND 1 << 53;
UPDATE step SET is_start = 0 WHERE is_start NOT IN (0, 1);
UPDATE step SET parallel = NULL WHERE parallel NOT BETWEEN 1 AND 1 << 32;
UPDATE step SET created = NULL WHERE created NOT BETWEEN 0 AND 1 << 53;
UPDATE step SET version = id WHERE version NOT BETWEEN 1 AND 1 << 53;";

/// An input whose task was taken out comes in again as if it was new.
const ENTRIES: &str = "
UPDATE entry SET task_id = coalesce(
    (SELECT max(id) FROM task WHERE supersedes = entry.task_id AND live = 1), task_id)
WHERE task_id IN (SELECT id FROM task WHERE live = 0);
DELETE FROM entry WHERE task_id NOT IN (SELECT id FROM task WHERE live = 1);
DROP TABLE unfit;";

/// What the keys of `meta` begin with that name an object nobody looks for any more.
pub(in super::super) const GONE: &str = "gone ";

const DOING: &str = "take rows out that lead nowhere";

/// How far up it is looked for who makes something again.
const UP: usize = 1000;

impl Reader {
    /// Of what a superseded task works on, or was a final output: the task that is to be done and makes it again, or makes that of
    /// which it is made.
    pub(crate) fn maker_to_come(&self, row: TaskId) -> Result<Option<TaskId>, Error> {
        let members: Vec<i64> = self
            .connection
            .prepare_cached(
                "SELECT member.id FROM task AS t JOIN task AS member ON member.gathering = t.gathering
                 WHERE t.id = ?1 AND t.role = 3 AND member.role = 1 LIMIT 1000",
            )
            .and_then(|mut query| query.query_map([row.0], |row| row.get(0))?.collect())
            .during(&self.layout, "read what was gathered")?;
        for from in std::iter::once(row).chain(members.into_iter().map(TaskId)) {
            let to_come = self.above_to_come(from)?;
            if to_come.is_some() {
                return Ok(to_come);
            }
        }
        Ok(None)
    }

    fn above_to_come(&self, row: TaskId) -> Result<Option<TaskId>, Error> {
        let mut at = row.0;
        for _ in 0..UP {
            let above: Option<i64> = self
                .connection
                .prepare_cached(
                    "SELECT input_task_id FROM task WHERE id = ?1 AND input_task_id < id",
                )
                .and_then(|mut query| query.query_row([at], |row| row.get(0)).optional())
                .map(Option::flatten)
                .during(&self.layout, "read who makes something again")?;
            let Some(maker) = above else {
                return Ok(None);
            };
            let to_come: Option<i64> = self
                .connection
                .prepare_cached(
                    "WITH RECURSIVE next (id) AS (
                         SELECT id FROM task WHERE supersedes = ?1
                         UNION SELECT task.id FROM task JOIN next ON task.supersedes = next.id LIMIT 1000)
                     SELECT task.id FROM task JOIN next ON task.id = next.id
                     WHERE live = 1 AND processed = 0 AND error IS NULL",
                )
                .and_then(|mut query| query.query_row([maker], |row| row.get(0)).optional())
                .during(&self.layout, "read who makes something again")?;
            if to_come.is_some() {
                return Ok(to_come.map(TaskId));
            }
            at = maker;
        }
        Ok(None)
    }

    /// What tasks that are to be done leave again, by the task: those that do once more, by the same version on the same input,
    /// what had been done before.
    pub(crate) fn to_come_again(&self) -> Result<HashMap<Digest, TaskId>, Error> {
        self.connection
            .prepare(
                "WITH RECURSIVE done (id, again) AS (
                     SELECT o.id, t.id FROM task AS t JOIN task AS o ON o.id = t.supersedes
                     WHERE t.processed = 0 AND t.live = 1 AND t.error IS NULL
                       AND o.step_id = t.step_id AND o.object_hash = t.object_hash),
                 below (id, again) AS (
                     SELECT t.id, done.again FROM task AS t JOIN done ON t.input_task_id = done.id
                     UNION SELECT t.id, below.again FROM task AS t JOIN below ON t.input_task_id = below.id)
                 SELECT t.object_hash, max(below.again) FROM below JOIN task AS t ON t.id = below.id
                 GROUP BY t.object_hash LIMIT 1000000",
            )
            .and_then(|mut query| {
                let mut rows = query.query([])?;
                let mut found = HashMap::new();
                while let Some(row) = rows.next()? {
                    // A row that cannot be read is told of elsewhere.
                    if let Some(object) = row.get_ref(0)?.as_str().ok().and_then(|text| text.parse().ok()) {
                        found.insert(object, TaskId(row.get(1)?));
                    }
                }
                Ok(found)
            })
            .during(&self.layout, "read what is made again")
    }

    /// Of each runset a row that counts for each of these objects that is what it works on, or its final output.
    pub(crate) fn in_each_runset(
        &self,
        objects: &HashSet<Digest>,
    ) -> Result<Vec<(Digest, TaskId)>, Error> {
        let mut found = HashMap::new();
        self.connection
            .prepare("SELECT object_hash, runset, id FROM task WHERE live = 1")
            .and_then(|mut query| {
                let mut rows = query.query([])?;
                while let Some(row) = rows.next()? {
                    let object = row
                        .get_ref(0)?
                        .as_str()
                        .ok()
                        .and_then(|text| text.parse().ok());
                    if let Some(object) = object
                        && objects.contains(&object)
                    {
                        let runset: String = row.get(1)?;
                        found.insert((object, runset), TaskId(row.get(2)?));
                    }
                }
                Ok(())
            })
            .during(&self.layout, "read who needs what is gone")?;
        let mut found: Vec<_> = found
            .into_iter()
            .map(|((object, _), row)| (object, row))
            .collect();
        found.sort_unstable();
        Ok(found)
    }

    /// Objects that are gone, and were given up.
    pub(crate) fn given_up(&self) -> Result<HashSet<Digest>, Error> {
        self.connection
            .prepare("SELECT substr(key, 6) FROM meta WHERE key > ?1 AND key < 'gone!'")
            .and_then(|mut query| {
                let object = |row: &rusqlite::Row| Ok(row.get_ref(0)?.as_str()?.parse().ok());
                let objects = query.query_map([GONE], object)?;
                objects.filter_map(Result::transpose).collect()
            })
            .during(&self.layout, "read what is gone")
    }
}

impl State {
    /// Takes out what leads nowhere, and has done again what it belonged to, as far as that is known; what was
    /// done, and the tasks that have to be executed again, for a row is gone that stood for what they left.
    pub(crate) fn repair_rows(&mut self) -> Result<(Mended, Vec<TaskId>), Error> {
        self.commit()?;
        self.reader.connection.write_all(DOING, UNFIT)?;
        let makers: Vec<TaskId> = self
            .connection
            .prepare(
                "SELECT DISTINCT input_task_id FROM task WHERE id IN (SELECT id FROM unfit)
                     AND live <> 0 AND input_task_id NOT IN (SELECT id FROM unfit)
                     AND input_task_id IN (SELECT id FROM task)",
            )
            .and_then(|mut query| {
                let maker = |row: &rusqlite::Row| row.get(0).map(TaskId);
                query.query_map([], maker)?.collect()
            })
            .during(&self.reader.layout, DOING)?;
        self.reader.connection.write_all(DOING, TAKEN_OUT)?;
        // Counts in memory are of what there was.
        self.commit()?;
        let mended = self.reader.connection.change(DOING, mend::all)?;
        self.reader.connection.write_all(DOING, ENTRIES)?;
        self.commit()?;
        Ok((mended, makers))
    }

    /// Of the tasks of which [`Self::repair_rows`] has taken outputs out, those that were superseded, by then or since, have not
    /// ended: nobody is to take over what is left of their results.
    pub(crate) fn forget_stripped(&mut self) -> Result<(), Error> {
        self.reader.connection.write_all(
            DOING,
            "UPDATE task SET processed = 0 WHERE live = 0 AND id IN (SELECT id FROM stripped);
             DROP TABLE stripped;",
        )
    }

    /// Forgets what tasks wrote that is gone: of how many tasks.
    pub(crate) fn forget_logs(&mut self, gone: &[Digest]) -> Result<u64, Error> {
        const FORGETTING: &str = "forget what tasks wrote";
        if gone.is_empty() {
            return Ok(0);
        }
        let connection = &mut self.reader.connection;
        let make = "CREATE TEMP TABLE gone (hash TEXT PRIMARY KEY) WITHOUT ROWID";
        connection.write_all(FORGETTING, make)?;
        for object in gone {
            let put = "INSERT OR IGNORE INTO gone VALUES (?1)";
            connection.write(FORGETTING, put, [&*object.hex()])?;
        }
        let forgotten = connection.write(
            FORGETTING,
            "UPDATE log SET stdout = iif(stdout IN (SELECT hash FROM gone), NULL, stdout),
                 stderr = iif(stderr IN (SELECT hash FROM gone), NULL, stderr)
             WHERE stdout IN (SELECT hash FROM gone) OR stderr IN (SELECT hash FROM gone)",
            [],
        )?;
        connection.write_all(FORGETTING, "DROP TABLE gone")?;
        Ok(forgotten as u64)
    }

    /// Notes that these objects are gone, and that nothing but questions about what was misses them.
    pub(crate) fn give_up(&mut self, objects: &[Digest]) -> Result<(), Error> {
        for object in objects {
            self.reader.connection.write(
                "write what is gone",
                "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, '')",
                [format!("{GONE}{object}")],
            )?;
        }
        Ok(())
    }

    /// Makes all indexes anew.
    pub(crate) fn repair_indexes(&mut self) -> Result<(), Error> {
        const MAKING: &str = "make the indexes anew";
        self.reader.connection.write_all(MAKING, "REINDEX")?;
        self.commit()
    }
}
