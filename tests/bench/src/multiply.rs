//! A second run after 1 000 000 tasks: those of a small run, many times over in its database.

use rusqlite::Connection;

use super::contender::Kind;
use super::failure::{Failure, Fallible};
use super::measure::{self, Call};
use super::options::fan_out;
use super::suite::{Outcome, SECOND, Suite};
use super::{check, generate};

const ITEMS: usize = 1000;
const TASKS: usize = 1_000_000;
/// Bytes and files that it takes.
const NEEDS: (u64, u64) = (1 << 30, 10_000);
const TITLE: &str = "1000000 files, `tr` each: second run, nothing to do (rows made by SQL)";

/// Every task of the second step and its final output once more, on another object each. The
/// counts are kept right, or the program would look for what is pending.
const MULTIPLY: &str = "
PRAGMA synchronous = OFF;
CREATE TEMP TABLE old AS SELECT max(id) AS last FROM task;
CREATE TEMP TABLE times AS
    WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 999) SELECT n FROM n;
BEGIN;
INSERT INTO task (object_hash, step_id, input_task_id, processed, runset, name, started, elapsed, worker)
    SELECT lower(hex(randomblob(32))), step_id, input_task_id, 1, runset, name, started, elapsed, worker
    FROM times CROSS JOIN task WHERE step_id = 2;
INSERT INTO task (object_hash, input_task_id, processed, runset, name)
    SELECT lower(hex(randomblob(32))), id, 1, runset, 'result' FROM task
    WHERE id > (SELECT last FROM old);
UPDATE tally SET done = done * 1000 WHERE step_id IN (0, 2);
COMMIT;
PRAGMA wal_checkpoint(TRUNCATE);";

/// Measures it.
pub fn measure(suite: &mut Suite) -> Fallible<Outcome> {
    let work = fan_out("second-1000000", ITEMS, 1);
    let own = suite.own()?;
    let folder = suite.folder(work.name, Kind::Own, 0)?;
    suite.make_room(TITLE, NEEDS)?;
    generate::generate(Kind::Own, &work, &folder, suite.parallel())?;
    let log = suite.log(Kind::Own);
    let call = |suite: &Suite| {
        let mut command = own.command(&work, &folder, suite.parallel());
        match measure::run(&mut command, &log)? {
            Call::Done(sample) => Ok(sample),
            Call::Failed(why) => Err(Failure::of_call(
                format!("task-pipeline failed at \"{TITLE}\": {why}"),
                &why,
            )),
        }
    };
    call(suite)?;
    let database = folder.join("db/db");
    Connection::open(&database)
        .and_then(|connection| connection.execute_batch(MULTIPLY))
        .map_err(|error| {
            let what = format!(
                "cannot multiply the rows of {}: {error}",
                database.display()
            );
            Failure::of_call(what, &error.to_string())
        })?;
    // The first call has the new rows' objects synced, as after any run of so many tasks.
    call(suite)?;
    let mut outcome = Outcome::new(work.name, TITLE, TASKS + 1);
    for _ in 0..SECOND {
        suite.settle()?;
        let sample = call(suite)?;
        outcome.samples.entry(Kind::Own).or_default().push(sample);
    }
    let done = check::own_done(&folder)?;
    if done != TASKS + 1 {
        return Err(Failure::new(
            format!("{done} tasks are done, not {}", TASKS + 1),
            "report it",
        ));
    }
    suite.give_up(&work, folder)?;
    Ok(outcome)
}
