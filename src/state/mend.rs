//! What is wrong in a database, found and mended.
//!
//! Versions that wrote format 2 went on writing after a write had failed and `SQLite` had taken
//! back the whole group: about tasks whose rows were gone, or belonged to other tasks by then. So
//! there may be rows that are their own parent or have none, outputs twice, tasks that are said to
//! be finished and are not, and wrong counts. Such a database is looked through when it is brought
//! to the next format. Later, counts that are wrong are taken for a sign that it is needed again.
//!
//! A row that is in the wrong place is taken out: the task that it belonged to is unfinished as far
//! as the file knows, runs again, and leaves it again. A finished task that cannot be what it is
//! said to be makes way for a new one. What cannot be found out is whether a task has lost some of
//! its outputs and kept others.

use rusqlite::{Connection, Transaction};

use super::counts::recount;

/// Says in the file that somebody writes to it.
pub(super) const MARK: &str = "INSERT OR REPLACE INTO meta VALUES ('writing', '1')";
/// Says that it is no longer so.
pub(super) const UNMARK: &str = "DELETE FROM meta WHERE key = 'writing'";

/// What was wrong in a database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mended {
    /// Rows that no task left where they were.
    pub orphans: u64,
    /// Finished tasks that run again.
    pub again: u64,
    /// Whether something else was wrong: counts, what is said of final outputs.
    pub other: bool,
    /// Whether there may be more that cannot be found out.
    pub unsure: bool,
    /// Whether the file had nothing in it although there are objects: it is a new one now.
    pub emptied: bool,
}

impl Mended {
    /// Whether anything was.
    pub(crate) fn is_anything(&self) -> bool {
        self.orphans > 0 || self.again > 0 || self.other
    }
}

#[cfg(test)]
impl super::Reader {
    /// Whether the file says that somebody writes to it.
    fn is_marked(&self) -> Result<bool, super::Error> {
        Ok(self.meta("writing")?.is_some())
    }
}

/// Whether the last writer did not come to its end in order, or counts show what cannot be.
pub(super) fn is_called_for(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM meta WHERE key = 'writing')
             OR EXISTS (SELECT 1 FROM tally WHERE min(pending, failed, done, reused) < 0)",
        [],
        |row| row.get(0),
    )
}

/// Counts anew. Where the counts were wrong, everything is looked at.
pub(super) fn counts(connection: &mut Connection) -> rusqlite::Result<Mended> {
    let transaction = connection.transaction()?;
    let mut mended = Mended::default();
    if recount(&transaction)? {
        mended = Mended {
            unsure: true,
            ..look(&transaction, true)?
        };
    }
    transaction.execute(UNMARK, [])?;
    transaction.commit()?;
    Ok(mended)
}

/// Counts anew, and looks at everything.
pub(super) fn all(transaction: &Transaction) -> rusqlite::Result<Mended> {
    let miscounted = recount(transaction)?;
    let unsure = transaction.query_row(
        "SELECT EXISTS (SELECT 1 FROM task WHERE processed = 1 AND step_id IS NOT NULL)",
        [],
        |row| row.get(0),
    )?;
    Ok(Mended {
        unsure,
        ..look(transaction, miscounted)?
    })
}

/// Mends what it can. Where something is wrong, more is taken for wrong.
fn look(transaction: &Transaction, miscounted: bool) -> rusqlite::Result<Mended> {
    transaction.execute_batch(STRAYS)?;
    transaction.execute_batch(DOUBTFUL)?;
    transaction.execute_batch(BARREN)?;
    transaction.execute_batch(LAST)?;
    let finals = transaction.execute(FINALS, [])?;
    let mut mended = Mended {
        orphans: count(transaction, "stray")?,
        other: finals > 0 || miscounted,
        ..Mended::default()
    };
    if mended.is_anything() || count(transaction, "doubtful")? > 0 {
        transaction.execute_batch(SUSPICIOUS)?;
    }
    transaction.execute_batch(TAKEN)?;
    transaction.execute_batch(BELOW)?;
    mended.again = count(transaction, "root")?;
    mended.other |= count(transaction, "below")? > 0;
    transaction.execute_batch(AGAIN)?;
    if mended.is_anything() {
        recount(transaction)?;
    }
    Ok(mended)
}

fn count(transaction: &Transaction, table: &str) -> rusqlite::Result<u64> {
    let count: i64 =
        transaction.query_row(&format!("SELECT count(*) FROM temp.{table}"), [], |row| {
            row.get(0)
        })?;
    Ok(count.unsigned_abs())
}

/// Rows whose parent cannot have left them: it is not there, not older, a final output, unfinished,
/// or of another runset. Nothing is above them any more, and nobody takes them for finished.
const STRAYS: &str = "
CREATE TEMP TABLE stray (id INTEGER PRIMARY KEY);
INSERT INTO stray
SELECT t.id FROM task AS t LEFT JOIN task AS p ON p.id = t.input_task_id
WHERE t.input_task_id IS NOT NULL
  AND (p.id IS NULL OR p.id >= t.id OR p.step_id IS NULL OR p.runset IS NOT t.runset
       OR p.processed = 0 AND (p.live = 1 OR t.live = 1));
UPDATE task SET live = 0, processed = 0, input_task_id = NULL WHERE id IN (SELECT id FROM stray);
DELETE FROM log WHERE task_id NOT IN (SELECT id FROM task WHERE step_id IS NOT NULL);";

/// Finished tasks that cannot be what they are said to be: two outputs of one name, other outputs
/// than the task that they were taken from.
const DOUBTFUL: &str = "
CREATE TEMP TABLE doubtful (id INTEGER PRIMARY KEY);
INSERT OR IGNORE INTO doubtful
SELECT input_task_id FROM task
WHERE input_task_id IS NOT NULL AND supersedes IS NULL AND name IS NOT NULL AND output IS NULL
GROUP BY input_task_id, name HAVING count(*) > 1;
INSERT OR IGNORE INTO doubtful
SELECT r.id FROM task AS r WHERE r.reused_from IS NOT NULL AND r.processed = 1
  AND EXISTS (SELECT 1 FROM task AS source WHERE source.id = r.reused_from)
  AND (SELECT count(*) FROM task AS c WHERE c.input_task_id = r.id AND c.supersedes IS NULL
         AND c.output IS NULL)
   <> (SELECT count(*) FROM task AS c
       WHERE c.input_task_id = r.reused_from AND c.supersedes IS NULL AND c.output IS NULL);";

/// What was written of the end of a task to a final output that has the row now.
const FINALS: &str = "
UPDATE task SET started = NULL, elapsed = NULL, worker = NULL, cpu_time = NULL, peak_memory = NULL, error = NULL, reused_from = NULL
WHERE step_id IS NULL
  AND (started IS NOT NULL OR worker IS NOT NULL OR error IS NOT NULL OR reused_from IS NOT NULL)";

/// Finished tasks that left nothing, where others of their step left something; in `few` whether
/// those are more. And when runs ended: nothing was executed for a moment.
const BARREN: &str = "
CREATE TEMP TABLE barren (id INTEGER PRIMARY KEY, step_id INTEGER, ended INTEGER, few INTEGER);
INSERT INTO barren
SELECT id, step_id, started + elapsed / 1000, 0 FROM task AS t
WHERE processed = 1 AND live = 1 AND step_id IS NOT NULL AND reused_from IS NULL AND role <> 1
  AND NOT EXISTS (SELECT 1 FROM task AS c WHERE c.input_task_id = t.id);
CREATE TEMP TABLE share (step_id INTEGER PRIMARY KEY, none INTEGER, finished INTEGER);
INSERT INTO share
SELECT step_id, (SELECT count(*) FROM barren WHERE barren.step_id = task.step_id), count(*)
FROM task WHERE processed = 1 AND live = 1 AND step_id IS NOT NULL AND reused_from IS NULL
  AND role <> 1
GROUP BY 1;
DELETE FROM barren WHERE step_id IN (SELECT step_id FROM share WHERE none = finished);
UPDATE barren SET few = 1
WHERE step_id IN (SELECT step_id FROM share WHERE none * 2 < finished);
DROP TABLE share;
CREATE TEMP TABLE pause (began INTEGER PRIMARY KEY);
INSERT OR IGNORE INTO pause
SELECT until FROM (
    SELECT max(started + elapsed / 1000) OVER (ORDER BY started) AS until,
        lead(started) OVER (ORDER BY started) AS next
    FROM task WHERE started IS NOT NULL AND elapsed IS NOT NULL
      AND EXISTS (SELECT 1 FROM barren))
WHERE next IS NULL OR next > until + 2;";

/// A run that could not go on wrote in its last moments that tasks had ended, and not what they
/// left.
const LAST: &str = "
INSERT OR IGNORE INTO doubtful
SELECT id FROM barren
WHERE EXISTS (SELECT 1 FROM pause WHERE began BETWEEN barren.ended AND barren.ended + 1000);";

/// Where something is wrong, this is too: an execution that began before that of the parent was
/// over, and all that left nothing where most of the step left something.
const SUSPICIOUS: &str = "
INSERT OR IGNORE INTO doubtful
SELECT t.id FROM task AS t JOIN task AS p ON p.id = t.input_task_id
WHERE t.processed = 1 AND t.step_id IS NOT NULL AND t.reused_from IS NULL
  AND p.processed = 1 AND p.reused_from IS NULL
  AND t.started < p.started + p.elapsed / 1000 - 1;
INSERT OR IGNORE INTO doubtful SELECT id FROM barren WHERE few;";

/// What was taken from a doubtful task is doubtful.
const TAKEN: &str = "
CREATE TEMP TABLE took (source INTEGER, id INTEGER, PRIMARY KEY (source, id)) WITHOUT ROWID;
INSERT INTO took SELECT reused_from, id FROM task WHERE reused_from IS NOT NULL AND processed = 1;
WITH RECURSIVE d (id) AS (
    SELECT id FROM doubtful UNION SELECT id FROM stray
    UNION SELECT took.id FROM d JOIN took ON took.source = d.id)
INSERT OR IGNORE INTO doubtful
SELECT id FROM d WHERE id NOT IN (SELECT id FROM stray);";

/// All that is live and must not be because what is above it is not; and the topmost doubtful
/// tasks.
const BELOW: &str = "
CREATE TEMP TABLE below (id INTEGER PRIMARY KEY);
WITH RECURSIVE d (id) AS (
    SELECT t.id FROM task AS t JOIN task AS p ON p.id = t.input_task_id
    WHERE t.live = 1
      AND (p.live = 0 OR p.id IN (SELECT id FROM stray) OR p.id IN (SELECT id FROM doubtful))
    UNION SELECT old.id FROM task AS new JOIN task AS old ON old.id = new.supersedes
          WHERE old.live = 1
    UNION SELECT t.id FROM d JOIN task AS t ON t.input_task_id = d.id WHERE t.live = 1
    UNION SELECT g.id FROM d JOIN task AS m ON m.id = d.id AND m.role = 1
          JOIN task AS g ON g.gathering = m.gathering AND g.role = 3 WHERE g.live = 1
    UNION SELECT t.id FROM d JOIN gathering AS g ON g.owner = d.id AND g.owner > 0
          JOIN task AS t ON t.gathering = g.id AND t.role = 3 WHERE t.live = 1)
INSERT INTO below SELECT id FROM d;
CREATE TEMP TABLE root (id INTEGER PRIMARY KEY);
INSERT INTO root
SELECT id FROM task JOIN doubtful USING (id)
WHERE live = 1 AND step_id IS NOT NULL AND id NOT IN (SELECT id FROM below);";

/// Nobody takes what a doubtful task left, and the topmost ones are executed again.
const AGAIN: &str = "
INSERT INTO task (object_hash, kind, role, gathering, key, output, step_id, input_task_id, runset, name,
    supersedes, forced)
SELECT object_hash, kind, role, gathering, key, output, step_id, input_task_id, runset, name, id, 1
FROM task JOIN root USING (id) ORDER BY id;
UPDATE task SET live = 0 WHERE id IN (SELECT id FROM below);
UPDATE task SET live = 0, processed = 0 WHERE id IN (SELECT id FROM doubtful);
DROP TABLE stray;
DROP TABLE barren;
DROP TABLE pause;
DROP TABLE took;
DROP TABLE doubtful;
DROP TABLE below;
DROP TABLE root;";

#[cfg(test)]
mod tests;
