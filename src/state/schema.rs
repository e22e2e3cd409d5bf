//! Tables, and the way from older formats to this one.

use rusqlite::{Connection, Transaction};

use super::cell::located;
use super::{Context, Error, Layout, Mended, guard, mend};
use crate::model::identity::Identity;
use crate::model::name::StepName;

/// The format that this program writes (`PRAGMA user_version`).
///
/// 0 with tables in it: that of the first implementation, which knew only `step` and `task`.
/// 1: what this program wrote at first; only indexes and `tally.spent` differ.
/// 2: without `task.room` and the indexes of final outputs; written by versions that went on after
/// a failed write ([`super::mend`]).
/// 3: without what [`GROWN`] adds.
pub(crate) const FORMAT: i64 = 4;

/// The two tables of the first implementation, as it made them.
const FIRST: &str = "
CREATE TABLE IF NOT EXISTS step (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    script TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1,
    is_start INTEGER NOT NULL DEFAULT 0,
    parallel INTEGER
);
CREATE TABLE IF NOT EXISTS task (
    id INTEGER PRIMARY KEY,
    object_hash TEXT NOT NULL,
    step_id INTEGER REFERENCES step(id),
    input_task_id INTEGER REFERENCES task(id),
    processed INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    runset TEXT
);";

/// What this format adds.
///
/// `step.identity` is the JSON of what `step.fingerprint` is taken over. `task.name` is the file
/// name under which the parent left the object; `live` is 0 once a migration has superseded the
/// task or one above it; `supersedes` is the task that it takes the place of; `forced` tasks
/// execute even where an equal one did; `reused_from` is the task whose outputs it took; `started`
/// is in milliseconds since 1970, `elapsed` in microseconds; `worker` counts from 0.
/// `tally` has the counts of live tasks, `step_id` 0 for final outputs, and in `spent` the
/// microseconds that their last executions took. `room` keeps free in a pending row what
/// `started`, `elapsed`, `worker` and `executed` will need: a row that grows splits the page that
/// it is in.
///
/// `idx_task_step` also finds equal tasks, by the beginning of their input's hash.
/// `idx_task_final` finds final outputs so; `idx_task_digits` has the names that could be the hash
/// of an object or the number of a task.
const ADDED: &str = "
ALTER TABLE step ADD COLUMN fingerprint TEXT NOT NULL DEFAULT '';
ALTER TABLE step ADD COLUMN identity TEXT NOT NULL DEFAULT '';
ALTER TABLE step ADD COLUMN created INTEGER;
ALTER TABLE task ADD COLUMN name TEXT;
ALTER TABLE task ADD COLUMN live INTEGER NOT NULL DEFAULT 1;
ALTER TABLE task ADD COLUMN supersedes INTEGER;
ALTER TABLE task ADD COLUMN forced INTEGER NOT NULL DEFAULT 0;
ALTER TABLE task ADD COLUMN reused_from INTEGER;
ALTER TABLE task ADD COLUMN started INTEGER;
ALTER TABLE task ADD COLUMN elapsed INTEGER;
ALTER TABLE task ADD COLUMN worker INTEGER;
CREATE TABLE runset (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created INTEGER
);
CREATE TABLE tally (
    runset_id INTEGER NOT NULL,
    step_id INTEGER NOT NULL,
    pending INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    done INTEGER NOT NULL DEFAULT 0,
    reused INTEGER NOT NULL DEFAULT 0,
    spent INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (runset_id, step_id)
) WITHOUT ROWID;
CREATE TABLE log (
    task_id INTEGER PRIMARY KEY,
    stdout TEXT,
    stderr TEXT
);
CREATE TABLE environment (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
DROP INDEX IF EXISTS idx_step_name;
DROP INDEX IF EXISTS idx_task_step;
DROP INDEX IF EXISTS idx_task_processed;
DROP INDEX IF EXISTS idx_task_input;
CREATE INDEX idx_step_name ON step (name, version);
CREATE INDEX idx_task_step ON task (step_id, substr(object_hash, 1, 6))
    WHERE step_id IS NOT NULL;
CREATE INDEX idx_task_processed ON task (runset, step_id) WHERE processed = 0;
CREATE INDEX idx_task_input ON task (input_task_id) WHERE input_task_id IS NOT NULL;
CREATE INDEX idx_task_supersedes ON task (supersedes) WHERE supersedes IS NOT NULL;";

/// What format 3 added.
const FINALS: &str = "
ALTER TABLE task ADD COLUMN room BLOB;
CREATE INDEX idx_task_final ON task (substr(object_hash, 1, 4)) WHERE step_id IS NULL;
CREATE INDEX idx_task_digits ON task (name)
    WHERE step_id IS NULL AND name NOT GLOB '*[^#0-9a-fA-F]*';";

/// What format 4 added.
///
/// `task.kind` is 0 where `object_hash` is a file's, 1 where it is that of a folder, 2 where it is that of a list of files
/// ([`crate::model::list`]). `task.executed` is when the execution ended whose outputs a finished task has, in milliseconds
/// since 1970: a task that takes them over has that of the one that it took them from.
/// `step.current` is 1 for the one version of each name that was registered last. `runset.ran` is higher in the
/// one that a run worked on later. `file` says what
/// bytes a file had: `stat` is what one can see of it without reading it, `mentions` the variables
/// of a task that stand in it. `entry` has the tasks of
/// each thing that a manifest's inputs name, one for each step that takes it. `evicted` has the objects whose bytes were
/// dropped, of `size` bytes, as they can be made again; `unsteady` the step versions that left something else on the same
/// input, with the task that did. `param` has the parameters that were given to a runset, in
/// their text form; of runset 0, the first before it is there, also its name, under an empty one. `accepted` has the tasks that count for another
/// version than that which made them, `from_step`, and what speaks for it. `sample` has what came of
/// running some tainted tasks of a version under another one: how many tasks, of how many, how many
/// of them did not leave the same, and when, in milliseconds since 1970. `shared` has the tasks whose results
/// somebody else made, and `origin` who that was, and where it was found. `checkpoint` has, by task, the tree of what it kept
/// from a try that did not succeed, and what that try worked on. `worker` has those who carried out tasks elsewhere: when one
/// was called for, `came`, and was `gone`, in milliseconds since 1970, and `why`. `attempt` has what each of them had, by task, counted
/// from 1: `started` in milliseconds since 1970 by the clock there, as in `task`, `elapsed` in microseconds; of one that was `lost`, why,
/// and when it was given out. What runs at home has no row. `flaky` has the tasks that succeeded at a later try, with how the one
/// before failed.
///
/// `task.role` is 0 for tasks and final outputs, 1 for a member: an output that a step gathers
/// (`processed` 1, it is never run), 3 for the task that works on what was gathered. `gathering` is
/// the group of both, a row of the table of that name; there `step` is the step's name, and `owner`
/// is 0 where everything is one group, -1 where those of a `key` are, else the task whose descendants
/// are; -2 where what belongs to no group is kept. `task.key` is the key of a task, where it does not follow from its name. `role` 2 is a task on an output that has another
/// row, `task.output`; so may a member be. `context` is the hash of the list of what a finished task got
/// besides its input.
const GROWN: &str = "
ALTER TABLE task ADD COLUMN executed INTEGER;
ALTER TABLE task ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;
ALTER TABLE task ADD COLUMN role INTEGER NOT NULL DEFAULT 0;
ALTER TABLE task ADD COLUMN gathering INTEGER;
ALTER TABLE task ADD COLUMN key TEXT;
ALTER TABLE task ADD COLUMN output INTEGER;
ALTER TABLE task ADD COLUMN context TEXT;
ALTER TABLE task ADD COLUMN cpu_time INTEGER;
ALTER TABLE task ADD COLUMN peak_memory INTEGER;
ALTER TABLE step ADD COLUMN current INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runset ADD COLUMN ran INTEGER;
CREATE TABLE file (
    device INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    stat BLOB NOT NULL,
    hash BLOB NOT NULL,
    mentions TEXT NOT NULL,
    PRIMARY KEY (device, inode)
) WITHOUT ROWID;
CREATE TABLE entry (
    runset_id INTEGER NOT NULL,
    identity TEXT NOT NULL,
    task_id INTEGER NOT NULL,
    PRIMARY KEY (runset_id, identity, task_id)
) WITHOUT ROWID;
CREATE TABLE lent (
    hash BLOB PRIMARY KEY,
    path BLOB NOT NULL,
    stat BLOB NOT NULL,
    settled INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE evicted (
    hash BLOB PRIMARY KEY,
    size INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE unsteady (
    step_id INTEGER PRIMARY KEY,
    task_id INTEGER NOT NULL
);
CREATE TABLE param (
    runset_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (runset_id, name)
) WITHOUT ROWID;
CREATE TABLE accepted (
    task_id INTEGER PRIMARY KEY,
    from_step INTEGER NOT NULL,
    evidence TEXT NOT NULL
);
CREATE TABLE sample (
    runset_id INTEGER NOT NULL,
    from_step INTEGER NOT NULL,
    to_step INTEGER NOT NULL,
    tasks INTEGER NOT NULL,
    tainted INTEGER NOT NULL,
    unequal INTEGER NOT NULL,
    made INTEGER NOT NULL,
    newest INTEGER NOT NULL,
    PRIMARY KEY (runset_id, from_step, to_step)
) WITHOUT ROWID;
CREATE TABLE shared (
    task_id INTEGER PRIMARY KEY,
    origin TEXT NOT NULL
);
CREATE TABLE flaky (
    task_id INTEGER PRIMARY KEY,
    tries INTEGER NOT NULL,
    error TEXT NOT NULL
);
CREATE TABLE checkpoint (
    task_id INTEGER PRIMARY KEY,
    step_id INTEGER NOT NULL,
    input TEXT NOT NULL,
    context TEXT,
    tree TEXT NOT NULL
);
CREATE TABLE worker (
    id INTEGER PRIMARY KEY,
    runset_id INTEGER NOT NULL,
    executor TEXT NOT NULL,
    called INTEGER NOT NULL,
    came INTEGER,
    node TEXT,
    slots INTEGER,
    gone INTEGER,
    why TEXT
);
CREATE TABLE attempt (
    task_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    worker_id INTEGER NOT NULL,
    started INTEGER NOT NULL,
    elapsed INTEGER NOT NULL,
    lost TEXT,
    PRIMARY KEY (task_id, number)
) WITHOUT ROWID;
CREATE TABLE gathering (
    id INTEGER PRIMARY KEY,
    runset_id INTEGER NOT NULL,
    step TEXT NOT NULL,
    owner INTEGER NOT NULL,
    key TEXT NOT NULL
);
CREATE INDEX idx_gathering ON gathering (runset_id, step, owner, key);
CREATE INDEX idx_gathering_owner ON gathering (owner) WHERE owner > 0;
CREATE INDEX idx_task_gathering ON task (gathering, role) WHERE gathering IS NOT NULL;";

/// Of the views `live_task` differs: in what is `tainted`, and in `made_by`, the version that made an
/// accepted task, in `node`, where it ran if not here, and in that what is gathered is no task of the step that does, as in
/// `step_history`. `acceptance` has the accepted tasks, `elsewhere` the tries of tasks on other machines.
const VIEWS_NOW: &str = "
DROP VIEW IF EXISTS live_task;
DROP VIEW IF EXISTS step_history;
DROP VIEW IF EXISTS lineage;
CREATE VIEW live_task AS
SELECT task.id, task.runset, step.name AS step, step.version,
    CASE WHEN processed = 0 AND error IS NULL THEN 'pending'
         WHEN processed = 0 THEN 'failed'
         WHEN reused_from IS NOT NULL THEN 'reused'
         ELSE 'done' END AS state,
    processed = 1 AND NOT step.current AND step.fingerprint IS NOT
        (SELECT now.fingerprint FROM step AS now WHERE now.name = step.name AND now.current) AS tainted,
    task.name AS input_name, object_hash AS input_hash,
    iif(role = 2 AND output = input_task_id,
        (SELECT own.input_task_id FROM task AS own WHERE own.id = task.output), input_task_id) AS parent,
    reused_from,
    strftime('%Y-%m-%d %H:%M:%f', started / 1000.0, 'unixepoch') AS started, elapsed / 1e6 AS seconds,
    worker, error,
    (SELECT made.version FROM accepted JOIN step AS made ON made.id = accepted.from_step
        WHERE accepted.task_id = task.id) AS made_by, cpu_time / 1e6 AS cpu_seconds, peak_memory,
    (SELECT worker.node FROM attempt JOIN worker ON worker.id = attempt.worker_id
        WHERE attempt.task_id = task.id AND attempt.started = task.started AND lost IS NULL
            AND reused_from IS NULL) AS node
FROM task JOIN step ON step.id = task.step_id WHERE live = 1 AND role <> 1;
CREATE VIEW elsewhere AS
SELECT attempt.task_id AS id, task.runset, step.name AS step, attempt.number AS try, worker.executor, worker.node,
    strftime('%Y-%m-%d %H:%M:%f', attempt.started / 1000.0, 'unixepoch') AS started,
    attempt.elapsed / 1e6 AS seconds, attempt.lost
FROM attempt JOIN worker ON worker.id = attempt.worker_id JOIN task ON task.id = attempt.task_id
JOIN step ON step.id = task.step_id;
CREATE VIEW acceptance AS
SELECT task.id, task.runset, step.name AS step, step.version, made.version AS made_by,
    json_extract(evidence, '$.tasks') AS sampled, json_extract(evidence, '$.tainted') AS sampled_of,
    strftime('%Y-%m-%d %H:%M:%f', json_extract(evidence, '$.made') / 1000.0, 'unixepoch') AS sampled_at
FROM accepted JOIN task ON task.id = accepted.task_id JOIN step ON step.id = task.step_id
JOIN step AS made ON made.id = accepted.from_step WHERE task.live = 1;
CREATE VIEW step_history AS
SELECT step.id, step.name AS step, step.version, step.fingerprint,
    strftime('%Y-%m-%d %H:%M:%f', step.created / 1000.0, 'unixepoch') AS created,
    count(task.id) AS tasks, coalesce(sum(task.live), 0) AS live,
    coalesce(sum(task.processed), 0) AS finished, sum(task.elapsed) / 1e6 AS seconds, step.script
FROM step LEFT JOIN task ON task.step_id = step.id AND task.role <> 1 GROUP BY step.id;
CREATE VIEW lineage AS
SELECT output.id, output.runset, output.name AS output_name, output.object_hash AS output_hash,
    producer.id AS producer, by.name AS producer_step, by.version AS producer_version,
    producer.object_hash AS input_hash, consumer.name AS consumer_step,
    consumer.version AS consumer_version, output.step_id IS NULL AS is_final, output.live
FROM task AS output JOIN task AS producer ON producer.id = output.input_task_id
JOIN step AS by ON by.id = producer.step_id
LEFT JOIN step AS consumer ON consumer.id = output.step_id WHERE output.output IS NULL;";

/// What is known of it in older formats.
const FROM_THREE: &str = "
UPDATE step SET current = 1 WHERE id IN
    (SELECT id FROM (SELECT id, max(version) FROM step GROUP BY name));
UPDATE task SET executed = started + elapsed / 1000 WHERE processed = 1 AND reused_from IS NULL;";

/// Whoever took over outputs may have taken them from a task that did so too: to be done until
/// nothing is left to do.
const TAKEN_OVER: &str = "
UPDATE task SET executed = source.executed FROM task AS source
WHERE source.id = task.reused_from AND task.executed IS NULL AND source.executed IS NOT NULL";

/// Whoever took over outputs names the task that was executed, not one that took them over too:
/// each time this is done, half of the way there is gone.
const NAMED: &str = "
UPDATE task SET reused_from = source.reused_from FROM task AS source
WHERE source.id = task.reused_from AND source.reused_from IS NOT NULL
    AND source.reused_from <> task.reused_from AND source.reused_from <> task.id";

/// Times that it is done at most, should they name each other in a circle.
const HALVED: usize = 64;

/// From the present format back to 3.
#[cfg(test)]
pub(super) const BACK_TO_3: &str = "
DROP VIEW live_task;
CREATE VIEW live_task AS
SELECT id, runset, '' AS step, 1 AS version, name AS input_name, object_hash AS input_hash, started,
    elapsed AS seconds, error, '' AS state FROM task;
DROP VIEW acceptance;
DROP VIEW elsewhere;
DROP TABLE attempt;
DROP TABLE worker;
DROP TABLE sample;
DROP VIEW lineage;
CREATE VIEW lineage AS SELECT id FROM task;
DROP VIEW step_history;
CREATE VIEW step_history AS SELECT id, name AS step, version, fingerprint, script FROM step;
DROP INDEX idx_task_gathering;
DROP TABLE gathering;
DROP TABLE accepted;
DROP TABLE checkpoint;
DROP TABLE shared;
DROP TABLE flaky;
DROP TABLE param;
DROP TABLE unsteady;
DROP TABLE evicted;
DROP TABLE lent;
DROP TABLE entry;
DROP TABLE file;
ALTER TABLE step DROP COLUMN current;
ALTER TABLE runset DROP COLUMN ran;
ALTER TABLE task DROP COLUMN peak_memory;
ALTER TABLE task DROP COLUMN cpu_time;
ALTER TABLE task DROP COLUMN context;
ALTER TABLE task DROP COLUMN output;
ALTER TABLE task DROP COLUMN key;
ALTER TABLE task DROP COLUMN gathering;
ALTER TABLE task DROP COLUMN role;
ALTER TABLE task DROP COLUMN kind;
ALTER TABLE task DROP COLUMN executed;
PRAGMA user_version = 3;";

/// From format 3 back to 2.
#[cfg(test)]
pub(super) const BACK_TO_2: &str = "
DROP INDEX idx_task_final;
DROP INDEX idx_task_digits;
ALTER TABLE task DROP COLUMN room;
PRAGMA user_version = 2;";

/// From format 1 to 2.
const FROM_ONE: &str = "
DROP INDEX idx_task_memo;
DROP INDEX idx_task_step;
CREATE INDEX idx_task_step ON task (step_id, substr(object_hash, 1, 6))
    WHERE step_id IS NOT NULL;
CREATE INDEX idx_task_supersedes ON task (supersedes) WHERE supersedes IS NOT NULL;
ALTER TABLE tally ADD COLUMN spent INTEGER NOT NULL DEFAULT 0;";

/// For those who ask in SQL. No query of the program's own needs them.
///
/// `live_task`: live tasks with their step, state as a word, and times; final outputs are not in
/// it. `failure`: the failed ones of these. `lineage`: a row for every output, with the task that
/// left it and what became of it. `step_history`: step versions with the counts of their tasks.
const VIEWS: &str = "
CREATE VIEW live_task AS
SELECT task.id, task.runset, step.name AS step, step.version,
    CASE WHEN processed = 0 AND error IS NULL THEN 'pending'
         WHEN processed = 0 THEN 'failed'
         WHEN reused_from IS NOT NULL THEN 'reused'
         ELSE 'done' END AS state,
    processed = 1 AND step.version <
        (SELECT max(version) FROM step AS newer WHERE newer.name = step.name) AS tainted,
    task.name AS input_name, object_hash AS input_hash, input_task_id AS parent, reused_from,
    strftime('%Y-%m-%d %H:%M:%f', started / 1000.0, 'unixepoch') AS started, elapsed / 1e6 AS seconds,
    worker, error
FROM task JOIN step ON step.id = task.step_id WHERE live = 1;
CREATE VIEW failure AS
SELECT id, runset, step, version, input_name, input_hash, started, seconds, error
FROM live_task WHERE state = 'failed';
CREATE VIEW lineage AS
SELECT output.id, output.runset, output.name AS output_name, output.object_hash AS output_hash,
    producer.id AS producer, by.name AS producer_step, by.version AS producer_version,
    producer.object_hash AS input_hash, consumer.name AS consumer_step,
    consumer.version AS consumer_version, output.step_id IS NULL AS is_final, output.live
FROM task AS output JOIN task AS producer ON producer.id = output.input_task_id
JOIN step AS by ON by.id = producer.step_id
LEFT JOIN step AS consumer ON consumer.id = output.step_id;
CREATE VIEW step_history AS
SELECT step.id, step.name AS step, step.version, step.fingerprint,
    strftime('%Y-%m-%d %H:%M:%f', step.created / 1000.0, 'unixepoch') AS created,
    count(task.id) AS tasks, coalesce(sum(task.live), 0) AS live,
    coalesce(sum(task.processed), 0) AS finished, sum(task.elapsed) / 1e6 AS seconds, step.script
FROM step LEFT JOIN task ON task.step_id = step.id GROUP BY step.id;";

/// Refuses what is no database of ours or of a newer format; its format.
pub(super) fn check(connection: &Connection, layout: &Layout) -> Result<i64, Error> {
    let found: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .during(layout, "read the format")?;
    if found > FORMAT {
        return Err(Error::Newer {
            path: layout.database(),
            found,
        });
    }
    if found < 0 {
        return Err(Error::Corrupt {
            path: layout.database(),
            reason: format!("it has format {found}, and there is none below 0"),
        });
    }
    guard::check(connection, layout, found)?;
    Ok(found)
}

/// Whether there is no table at all: as in a database whose log was lost before anything came from
/// there to the file.
pub(super) fn is_bare(connection: &Connection, layout: &Layout) -> Result<bool, Error> {
    connection
        .query_row(
            "SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)",
            [],
            |row| row.get(0),
        )
        .during(layout, "read the format")
}

/// Brings the database from the format `found`, which [`check`] gave, to [`FORMAT`], in one
/// transaction; what was wrong in it.
pub(super) fn migrate(
    connection: &mut Connection,
    layout: &Layout,
    found: i64,
) -> Result<Mended, Error> {
    if found == FORMAT {
        return Ok(Mended::default());
    }
    let transaction = connection
        .transaction()
        .during(layout, "begin a transaction")?;
    let done = match found {
        0 => from_first(&transaction).map(|()| Mended::default()),
        1 => transaction
            .execute_batch(FROM_ONE)
            .and_then(|()| grow(&transaction, found))
            .and_then(|()| mend::all(&transaction)),
        2 => grow(&transaction, found).and_then(|()| mend::all(&transaction)),
        _ => grow(&transaction, found).map(|()| Mended::default()),
    };
    done.and_then(|mended| {
        transaction.execute_batch(VIEWS_NOW)?;
        transaction.execute_batch(FROM_THREE)?;
        for _ in 0..HALVED {
            if transaction.execute(NAMED, [])? == 0 {
                break;
            }
        }
        while transaction.execute(TAKEN_OVER, [])? > 0 {}
        transaction.pragma_update(None, "user_version", FORMAT)?;
        transaction.commit()?;
        Ok(mended)
    })
    .during(layout, "bring the database to the present format")
}

/// Columns and tables that are new.
fn grow(transaction: &Transaction, found: i64) -> rusqlite::Result<()> {
    if found < 3 {
        transaction.execute_batch(FINALS)?;
    }
    transaction.execute_batch(GROWN)
}

/// From nothing, or from the first implementation's tables.
fn from_first(transaction: &Transaction) -> rusqlite::Result<()> {
    transaction.execute_batch(FIRST)?;
    transaction.execute_batch(ADDED)?;
    transaction.execute_batch(VIEWS)?;
    grow(transaction, 0)?;
    identify_steps(transaction)?;
    transaction.execute_batch(
        "UPDATE task SET runset = '' WHERE runset IS NULL;
         INSERT INTO runset (name) SELECT runset FROM task GROUP BY runset ORDER BY min(id);",
    )?;
    super::counts::recount(transaction).map(drop)
}

/// The first implementation took any text for a step's name, and ran every script by `sh -c` on the host's PATH. Its shell had no
/// `-e`, so that what it computed may differ: its versions get a fingerprint of their own.
fn identify_steps(transaction: &Transaction) -> rusqlite::Result<()> {
    let mut read = transaction.prepare("SELECT id, name, script FROM step")?;
    let steps: Vec<(i64, String, String)> = read
        .query_map([], |row| {
            located("step", row, |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
        })?
        .collect::<Result<_, _>>()?;
    for (id, name, script) in steps {
        let identity = Identity {
            script,
            shell: vec!["sh".to_owned(), "-c".to_owned()],
            ..Identity::default()
        };
        transaction.execute(
            "UPDATE step SET name = ?2, fingerprint = ?3, identity = ?4 WHERE id = ?1",
            (
                id,
                StepName::nearest(&name).as_str(),
                identity.fingerprint().to_string(),
                identity.to_json(),
            ),
        )?;
    }
    Ok(())
}
