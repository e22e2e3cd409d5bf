//! Rows by what they are called: by an object's hash, by an output's name.
//!
//! No question goes through all rows that has a hash in it. Tasks are found step by step, in
//! `idx_task_step`; final outputs, which no step takes, in `idx_task_final`.

use rusqlite::{ToSql, params};

use super::cell::digest;
use super::read::{columns, task};
use super::reuse::PREFIX;
use super::{Context, Error, Reader, Runset, TaskRow};
use crate::model::digest::Digest;
use crate::model::task::TaskId;

/// How much of an object's name the index `idx_task_final` has: as much as has to be given of it.
const FINAL_PREFIX: usize = 4;

/// The newest live tasks of the step ?1 on the object ?2, whose name begins with ?3; at most ?4.
pub(super) const TASKS_ON: &str = "SELECT id FROM task
    WHERE step_id = ?1 AND step_id IS NOT NULL AND substr(object_hash, 1, 6) = ?3
      AND object_hash = ?2 AND live = 1 ORDER BY id DESC LIMIT ?4";

/// The newest live final outputs with the object ?1, whose name begins with ?2; at most ?3.
pub(super) const FINALS_WITH: &str = "SELECT id FROM task
    WHERE step_id IS NULL AND substr(object_hash, 1, 4) = ?2 AND object_hash = ?1 AND live = 1
    ORDER BY id DESC LIMIT ?3";

/// The newest of the superseded rows of the step ?1 on the object ?2, whose name begins with ?3; at most ?4.
pub(super) const PAST_ON: &str = "SELECT id FROM task
    WHERE step_id = ?1 AND step_id IS NOT NULL AND substr(object_hash, 1, 6) = ?3
      AND object_hash = ?2 AND live = 0 ORDER BY id DESC LIMIT ?4";

/// The objects from ?2 on and before ?3 that tasks of the step ?1 have for their input; ?4 and ?5
/// are the beginnings of these two; at most ?6.
pub(super) const INPUTS_STARTING: &str = "SELECT DISTINCT object_hash FROM task
    WHERE step_id = ?1 AND step_id IS NOT NULL AND substr(object_hash, 1, 6) >= ?4
      AND substr(object_hash, 1, 6) < ?5 AND object_hash >= ?2 AND object_hash < ?3 LIMIT ?6";

/// The objects from ?1 on and before ?2 of final outputs; ?3 is the beginning of all; at most ?4.
pub(super) const FINALS_STARTING: &str = "SELECT DISTINCT object_hash FROM task
    WHERE step_id IS NULL AND substr(object_hash, 1, 4) = ?3
      AND object_hash >= ?1 AND object_hash < ?2 LIMIT ?4";

/// Final outputs called ?1.
const CALLED: &str = "t.step_id IS NULL AND t.live = 1 AND t.name = ?1
    AND (?2 IS NULL OR t.runset = ?2) ORDER BY t.id DESC";

/// The names that could be an object's or a task's too. There are few, and they have an index.
const LIKE_A_REFERENCE: &str = "t.name NOT GLOB '*[^#0-9a-fA-F]*'";

/// Asks for the live final outputs called ?1, of the runset ?2 or of all; newest first.
pub(super) fn finals_called(name: &str) -> String {
    let likely = name
        .bytes()
        .all(|byte| byte == b'#' || byte.is_ascii_hexdigit());
    let which = if likely { LIKE_A_REFERENCE } else { "1" };
    format!("{} WHERE {which} AND {CALLED}", columns())
}

const DOING: &str = "look for objects";

impl Reader {
    /// The live rows, final outputs and others, that `object` came to be; at most `most`, newest
    /// first.
    pub(crate) fn rows_of(&self, object: &Digest, most: u32) -> Result<Vec<TaskRow>, Error> {
        let hex = object.hex();
        let mut ids = self.ids(FINALS_WITH, params![&*hex, &hex[..FINAL_PREFIX], most])?;
        for step in self.names_of_versions()?.keys() {
            let of_step = params![step.0, &*hex, &hex[..PREFIX], most];
            ids.extend(self.ids(TASKS_ON, of_step)?);
        }
        ids.sort_unstable_by(|a, b| b.cmp(a));
        ids.truncate(most as usize);
        let rows = ids.into_iter().map(|id| self.task(id));
        rows.filter_map(Result::transpose).collect()
    }

    /// The superseded rows that steps had for `object`; at most `most` of each version, newest first.
    pub(crate) fn past_rows_of(&self, object: &Digest, most: u32) -> Result<Vec<TaskRow>, Error> {
        let hex = object.hex();
        let mut ids = Vec::new();
        for step in self.names_of_versions()?.keys() {
            let of_step = params![step.0, &*hex, &hex[..PREFIX], most];
            ids.extend(self.ids(PAST_ON, of_step)?);
        }
        ids.sort_unstable_by(|a, b| b.cmp(a));
        let rows = ids.into_iter().map(|id| self.task(id));
        rows.filter_map(Result::transpose).collect()
    }

    fn ids(&self, sql: &str, which: &[&dyn ToSql]) -> Result<Vec<TaskId>, Error> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut query| {
                query
                    .query_map(which, |row| row.get(0).map(TaskId))?
                    .collect()
            })
            .during(&self.layout, DOING)
    }

    /// The live final outputs called `name`, of `runset` or of all; newest first.
    pub(crate) fn finals_called(
        &self,
        name: &str,
        runset: Option<&Runset>,
    ) -> Result<Vec<TaskRow>, Error> {
        self.connection
            .prepare_cached(&finals_called(name))
            .and_then(|mut query| {
                query
                    .query_map((name, runset.map(|runset| &runset.name)), task)?
                    .collect()
            })
            .during(&self.layout, DOING)
    }

    /// The objects that tasks took or left whose hash starts with `prefix` (four or more lower-case
    /// hexadecimal digits), in order; at most `most`.
    pub(crate) fn objects_starting(&self, prefix: &str, most: u32) -> Result<Vec<Digest>, Error> {
        // `g` comes after every digit.
        let end = format!("{prefix}g");
        let start = &prefix[..prefix.len().min(PREFIX)];
        let before = format!("{start}g");
        let short = &prefix[..FINAL_PREFIX];
        let mut found = self.objects(FINALS_STARTING, params![prefix, end, short, most])?;
        for step in self.names_of_versions()?.keys() {
            let of_step = params![step.0, prefix, end, start, before, most];
            found.extend(self.objects(INPUTS_STARTING, of_step)?);
        }
        found.sort_unstable();
        found.dedup();
        found.truncate(most as usize);
        Ok(found)
    }

    fn objects(&self, sql: &str, which: &[&dyn ToSql]) -> Result<Vec<Digest>, Error> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut query| query.query_map(which, |row| digest(row, 0))?.collect())
            .during(&self.layout, DOING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::list::Form;
    use crate::model::task::TaskState;
    use crate::state::State;
    use crate::state::{Finished, NewTask, StepId};

    /// Two steps, `a` with a task of its own for each number and `b` with one for each other; each
    /// of `b` left a final output.
    fn state() -> (State, Runset) {
        let mut state = State::in_memory();
        let steps = "INSERT INTO step (id, name, script) VALUES (1, 'a', 'true'), (2, 'b', 'true')";
        state
            .reader
            .connection
            .write_all("write steps", steps)
            .unwrap();
        let runset = state.create_runset("r", 0).unwrap();
        for number in 0..300 {
            let row = |text: String, step: Option<i64>, parent, name| NewTask {
                form: Form::File,
                object: Digest::of(text.as_bytes()),
                step: step.map(StepId),
                parent,
                name,
                forced: false,
            };
            let first = row(format!("in {number}"), Some(1), None, None);
            let first = state.insert_task(&runset, &first).unwrap();
            let second = row(
                format!("in {}", number / 2),
                Some(2),
                Some(first),
                Some("x"),
            );
            let second = state.insert_task(&runset, &second).unwrap();
            let name = format!("{number:04}");
            let last = row(
                format!("out {}", number / 3),
                None,
                Some(second),
                Some(&name),
            );
            state.insert_task(&runset, &last).unwrap();
        }
        state.commit().unwrap();
        (state, runset)
    }

    fn plan(state: &State, sql: &str) -> String {
        let mut query = state
            .connection
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap();
        let mut rows = query.raw_query();
        let mut plan = String::new();
        while let Some(row) = rows.next().unwrap() {
            plan = format!("{plan}{}\n", row.get::<_, String>(3).unwrap());
        }
        plan
    }

    #[test]
    fn no_hash_is_looked_for_in_all_rows() {
        let (state, _) = state();
        for (sql, index) in [
            (TASKS_ON, "idx_task_step (step_id=? AND <expr>=?)"),
            (PAST_ON, "idx_task_step (step_id=? AND <expr>=?)"),
            (FINALS_WITH, "idx_task_final (<expr>=?)"),
            (
                INPUTS_STARTING,
                "idx_task_step (step_id=? AND <expr>>? AND <expr><?)",
            ),
            (FINALS_STARTING, "idx_task_final (<expr>=?)"),
            (&finals_called("2024"), "idx_task_digits (name=?)"),
            (&finals_called("#7"), "idx_task_digits (name=?)"),
        ] {
            let plan = plan(&state, sql);
            assert!(plan.contains(index), "{sql}: {plan}");
            assert!(!plan.contains("SCAN t"), "{sql}: {plan}");
        }
    }

    #[test]
    fn an_object_is_found_by_as_much_of_its_hash_as_there_is() {
        let (state, _) = state();
        let mut all: Vec<String> = (0..300)
            .map(|n| format!("in {n}"))
            .chain((0..100).map(|n| format!("out {n}")))
            .map(|text| Digest::of(text.as_bytes()).to_string())
            .collect();
        all.sort();
        for length in [4, 5, 6, 7, 8, 63, 64] {
            for one in all.iter().step_by(7) {
                let prefix = &one[..length];
                let wanted: Vec<&String> =
                    all.iter().filter(|one| one.starts_with(prefix)).collect();
                let found = state.objects_starting(prefix, 9).unwrap();
                let found: Vec<String> = found.iter().map(Digest::to_string).collect();
                assert_eq!(found.iter().collect::<Vec<_>>(), wanted, "{prefix}");
            }
        }
        assert!(state.objects_starting("0000000", 9).unwrap().is_empty());
    }

    #[test]
    fn rows_of_an_object_are_those_of_every_step_and_final_ones_newest_first() {
        let (mut state, runset) = state();
        let of = |state: &State, text: &str, most| -> Vec<(i64, Option<String>)> {
            let rows = state.rows_of(&Digest::of(text.as_bytes()), most).unwrap();
            rows.into_iter()
                .map(|row| (row.id.0, row.step.map(|step| step.name.to_string())))
                .collect()
        };
        let named = |id, name: &str| (id, Some(name.to_owned()));
        assert_eq!(
            of(&state, "in 7", 9),
            [named(47, "b"), named(44, "b"), named(22, "a")]
        );
        assert_eq!(of(&state, "in 7", 2), [named(47, "b"), named(44, "b")]);
        assert_eq!(of(&state, "out 1", 9), [(18, None), (15, None), (12, None)]);
        let dead = "UPDATE task SET live = 0 WHERE id IN (15, 44)";
        state
            .reader
            .connection
            .write_all("supersede tasks", dead)
            .unwrap();
        assert_eq!(of(&state, "in 7", 9), [named(47, "b"), named(22, "a")]);
        assert_eq!(of(&state, "out 1", 9), [(18, None), (12, None)]);

        let called = |name| state.finals_called(name, Some(&runset)).unwrap();
        assert_eq!(called("0003")[0].id, TaskId(12));
        assert!(called("x").is_empty(), "no final output");
    }

    /// A row that grows splits its page, and both halves stay partly empty.
    #[test]
    fn the_end_of_a_task_takes_no_room_that_its_beginning_did_not() {
        let (mut state, runset) = state();
        let pages = |state: &State| -> i64 {
            let query = "SELECT page_count FROM pragma_page_count";
            let mut query = state.connection.prepare(query).unwrap();
            query.query_row([], |row| row.get(0)).unwrap()
        };
        let before = pages(&state);
        let finished = Finished {
            started: 1_800_000_000_000,
            elapsed: 20_000,
            worker: 1,
            cpu: None,
            peak: None,
        };
        for number in 0..300 {
            for (row, step) in [(1, 1), (2, 2)] {
                let (task, step) = (TaskId(3 * number + row), StepId(step));
                state
                    .succeed(&runset, step, task, TaskState::Pending, &finished)
                    .unwrap();
            }
        }
        state.commit().unwrap();
        assert_eq!(pages(&state), before);
    }
}
