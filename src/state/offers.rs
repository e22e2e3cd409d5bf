//! What could be meant by a word that is begun: a few answers at once, and none where that would take long.
//!
//! What was found before a statement was broken off counts ([`Reader::open_for_a_moment`]).

use std::collections::HashSet;
use std::ops::Range;

use rusqlite::{Row, ToSql, params};

use super::cell::located;
use super::read::{columns, task};
use super::{Context, Error, Reader, Runset, RunsetId, TaskRow};

const DOING: &str = "look for names";

/// Live tasks of the runset ?1 or of all. The `+` leaves out the index of steps, which has no end.
const LIVE: &str =
    "+t.step_id IS NOT NULL AND t.role <> 1 AND t.live = 1 AND (?1 IS NULL OR t.runset = ?1)";

/// Rows among which the newest tasks of a step are looked for one by one.
const NEWEST: i64 = 100_000;

/// Those of the step ?2 or of all, of the numbers from ?3 up to ?4; at most ?5.
fn newest() -> String {
    format!(
        "{} WHERE {LIVE} AND (?2 IS NULL OR s.name = ?2) AND t.id BETWEEN ?3 AND ?4 ORDER BY t.id DESC LIMIT ?5",
        columns()
    )
}

/// Some of the step ?2 whose numbers begin with ?3; at most ?4. In the order of the index, as to order them would
/// be to go through all.
fn of_step() -> String {
    format!(
        "{} WHERE {LIVE} AND t.step_id IS NOT NULL AND t.step_id IN (SELECT id FROM step WHERE name = ?2) AND substr(t.id, 1, length(?3)) = ?3
         LIMIT ?4",
        columns()
    )
}

/// Those that failed, of the step ?2 or of all, whose numbers begin with ?3; at most ?4.
fn failed() -> String {
    format!(
        "{} WHERE {LIVE} AND t.processed = 0 AND t.error IS NOT NULL AND (?2 IS NULL OR s.name = ?2)
             AND substr(t.id, 1, length(?3)) = ?3 LIMIT ?4",
        columns()
    )
}

/// Final outputs of the runset ?1 or of all whose names begin with ?2, the newest first.
const FINALS: &str =
    "SELECT name FROM task WHERE step_id IS NULL AND live = 1 AND (?1 IS NULL OR runset = ?1)
    AND name <> '' AND substr(name, 1, length(?2)) = ?2 ORDER BY id DESC";

/// The entries of the runset ?1 from ?2 on and before ?3 that have ?4 in them.
const ENTRIES: &str =
    "SELECT identity FROM entry WHERE runset_id = ?1 AND identity >= ?2 AND identity < ?3
    AND instr(identity, ?4) ORDER BY identity";

impl Reader {
    /// From now on each statement is broken off that takes more steps of `SQLite` than these.
    pub(super) fn take_no_longer_than(&mut self, steps: u64) -> Result<(), Error> {
        self.connection.limit(steps).during(&self.layout, DOING)
    }

    /// The newest runsets whose names begin so, the newest first; at most `most`.
    pub(crate) fn runsets_begun(&self, begun: &str, most: usize) -> Result<Vec<Runset>, Error> {
        let sql = "SELECT id, name FROM runset WHERE substr(name, 1, length(?1)) = ?1 ORDER BY id DESC LIMIT ?2";
        self.some(sql, params![begun, limit(most)], most, |row| {
            Ok(Some(Runset {
                id: RunsetId(row.get(0)?),
                name: row.get(1)?,
            }))
        })
    }

    /// Live tasks whose numbers begin with these digits, the newest first; perhaps of one runset or step alone. At
    /// most `most`, which are the newest unless the step has its last one far back.
    pub(crate) fn tasks_begun(
        &self,
        runset: Option<&str>,
        step: Option<&str>,
        digits: &str,
        most: usize,
    ) -> Result<Vec<TaskRow>, Error> {
        let last = self.newest_task()?.0;
        let mut found = Vec::new();
        for (from, to) in numbers(digits, last) {
            let from = if step.is_some() {
                from.max(last - NEWEST)
            } else {
                from
            };
            let left = most - found.len();
            let which = params![runset, step, from, to, limit(left)];
            found.extend(self.some(&newest(), which, left, some_task)?);
        }
        if let Some(step) = step
            && found.len() < most
            && last > NEWEST
        {
            let which = params![runset, step, digits, limit(most)];
            let more = self.some(&of_step(), which, most, some_task)?;
            found.extend(more);
            found.sort_by_key(|row| std::cmp::Reverse(row.id));
            found.dedup_by_key(|row| row.id);
            found.truncate(most);
        }
        Ok(found)
    }

    /// Live tasks that failed, whose numbers begin with these digits, the newest first; perhaps of one runset or
    /// step alone. At most `most`.
    pub(crate) fn failed_begun(
        &self,
        runset: Option<&str>,
        step: Option<&str>,
        digits: &str,
        most: usize,
    ) -> Result<Vec<TaskRow>, Error> {
        let which = params![runset, step, digits, limit(most)];
        let mut found = self.some(&failed(), which, most, some_task)?;
        found.sort_by_key(|row| std::cmp::Reverse(row.id));
        Ok(found)
    }

    /// The names of live final outputs that begin so, the newest first, each once; at most `most`.
    pub(crate) fn finals_begun(
        &self,
        runset: Option<&str>,
        begun: &str,
        most: usize,
    ) -> Result<Vec<String>, Error> {
        let mut known = HashSet::new();
        self.some(FINALS, params![runset, begun], most, |row| {
            let name: String = row.get(0)?;
            Ok(known.insert(name.clone()).then_some(name))
        })
    }

    /// What `part` makes of the identities of the runset's entries in `range` that have `begun` in them, in the
    /// order of their bytes; it passes over those of which it makes nothing. At most `most`.
    pub(crate) fn entries_with<T>(
        &self,
        runset: &Runset,
        range: Range<&str>,
        begun: &str,
        most: usize,
        mut part: impl FnMut(&str) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        let which = params![runset.id.0, range.start, range.end, begun];
        self.some(ENTRIES, which, most, |row| {
            Ok(part(row.get_ref(0)?.as_str()?))
        })
    }

    /// What `each` makes of rows, up to the first that cannot be read or that would take too long.
    fn some<T>(
        &self,
        sql: &str,
        which: &[&dyn ToSql],
        most: usize,
        mut each: impl FnMut(&Row) -> rusqlite::Result<Option<T>>,
    ) -> Result<Vec<T>, Error> {
        let mut query = self
            .connection
            .prepare_cached(sql)
            .during(&self.layout, DOING)?;
        let mut rows = query.query(which).during(&self.layout, DOING)?;
        let mut found = Vec::new();
        while found.len() < most {
            match rows.next() {
                Ok(Some(row)) => found.extend(located("row", row, &mut each).ok().flatten()),
                Ok(None) | Err(_) => break,
            }
        }
        Ok(found)
    }
}

fn some_task(row: &Row) -> rusqlite::Result<Option<TaskRow>> {
    task(row).map(Some)
}

fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

/// The numbers up to `last` that begin with the digits, from the highest to the lowest: where each stretch begins
/// and ends.
fn numbers(digits: &str, last: i64) -> Vec<(i64, i64)> {
    if digits.is_empty() {
        return vec![(1, last)];
    }
    let begun = digits.parse().ok().filter(|begun| *begun > 0);
    let wider = |(from, room): &(i64, i64)| Some((from.checked_mul(10)?, room * 10));
    let stretches = std::iter::successors(begun.map(|begun| (begun, 1)), wider);
    let stretches = stretches.take_while(|(from, _)| *from <= last);
    let mut found: Vec<(i64, i64)> = stretches
        .map(|(from, room)| (from, last.min(from.saturating_add(room - 1))))
        .collect();
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::model::list::Form;
    use crate::state::{NewTask, State, StepId};

    /// A task of step `a`, and very many of `b`, each of which left a final output.
    fn state(tasks: i64) -> (State, Runset) {
        let mut state = State::in_memory();
        let steps = "INSERT INTO step (id, name, script) VALUES (1, 'a', ':'), (2, 'b', ':')";
        state
            .reader
            .connection
            .write_all("write steps", steps)
            .unwrap();
        let runset = state.create_runset("r", 0).unwrap();
        for number in 1..=tasks {
            let step = match number {
                1 => Some(1),
                odd if odd % 2 == 1 => None,
                _ => Some(2),
            };
            let task = NewTask {
                form: Form::File,
                object: Digest::of(&number.to_le_bytes()),
                step: step.map(StepId),
                parent: None,
                name: None,
                forced: false,
            };
            state.insert_task(&runset, &task).unwrap();
        }
        state.commit().unwrap();
        (state, runset)
    }

    fn ids(rows: &[TaskRow]) -> Vec<i64> {
        rows.iter().map(|row| row.id.0).collect()
    }

    #[test]
    fn numbers_that_begin_so() {
        assert_eq!(numbers("", 7), [(1, 7)]);
        assert_eq!(numbers("1", 123), [(100, 123), (10, 19), (1, 1)]);
        assert_eq!(numbers("12", 123), [(120, 123), (12, 12)]);
        assert_eq!(numbers("2", 123), [(20, 29), (2, 2)]);
        for none in ["0", "00", "9999999999999999999999"] {
            assert_eq!(numbers(none, 123), []);
        }
        assert_eq!(numbers("9", i64::MAX).len(), 19);
    }

    #[test]
    fn the_newest_come_first_and_no_more_than_asked_for() {
        let (state, _) = state(300);
        let tasks = |step, digits| ids(&state.tasks_begun(Some("r"), step, digits, 3).unwrap());
        assert_eq!(tasks(None, ""), [300, 298, 296]);
        assert_eq!(tasks(None, "29"), [298, 296, 294]);
        assert_eq!(tasks(None, "9"), [98, 96, 94]);
        assert_eq!(tasks(Some("a"), ""), [1]);
        assert_eq!(tasks(Some("a"), "2"), [0; 0]);
        assert_eq!(tasks(Some("c"), ""), [0; 0]);
        assert_eq!(
            ids(&state.tasks_begun(Some("s"), None, "", 3).unwrap()),
            [0; 0]
        );
    }

    /// What is behind the rows that are gone through is found by the step's index; and all that is found before a
    /// statement is broken off is told.
    #[test]
    fn however_many_there_are_it_takes_few_steps() {
        let (mut state, _) = state(4000);
        state.reader.take_no_longer_than(20_000).unwrap();
        let rare = state.tasks_begun(Some("r"), Some("a"), "", 50).unwrap();
        assert_eq!(ids(&rare), [0; 0], "it is not gone to the end of");
        assert_eq!(state.tasks_begun(None, None, "", 50).unwrap().len(), 50);
        assert!(state.each_flaky(None, |_| {}).is_ok(), "each by itself");
        // As if there were more than are gone through.
        let index = ids(&state
            .some(
                &of_step(),
                params![None::<&str>, "a", "", 50],
                50,
                some_task,
            )
            .unwrap());
        assert_eq!(index, [1]);
    }

    #[test]
    fn questions_use_indexes() {
        let (state, _) = state(10);
        for (sql, index) in [
            (
                newest(),
                "SEARCH t USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
            ),
            (of_step(), "SEARCH t USING INDEX idx_task_step (step_id=?)"),
            (failed(), "USING INDEX idx_task_processed"),
            (
                ENTRIES.to_owned(),
                "SEARCH entry USING PRIMARY KEY (runset_id=? AND identity>? AND identity<?)",
            ),
        ] {
            let mut query = state
                .reader
                .connection
                .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
                .unwrap();
            let mut rows = query.raw_query();
            let mut plan = String::new();
            while let Some(row) = rows.next().unwrap() {
                plan = plan + &row.get::<_, String>(3).unwrap() + "\n";
            }
            assert!(plan.contains(index), "{sql}: {plan}");
            assert!(!plan.contains("ORDER BY"), "{sql}: {plan}");
        }
    }
}
