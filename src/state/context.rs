//! What tasks get besides their inputs: all that other steps left in the runset (`with`).
//!
//! A finished task has the hash of it in its row. Once one of those steps has left something else, or
//! more, or less, what was made of the old is dead, and pending tasks take the place of those that got it.

use std::collections::BTreeSet;

use rusqlite::Row;

use super::below::{AGAIN, below};
use super::cell::{digest, located, number, older};
use super::record::ROOM;
use super::{Context as _, Error, Reader, Runset, State, StepId};
use crate::model::digest::Digest;
use crate::model::identity::Identity;
use crate::model::name::StepName;
use crate::model::task::{TaskId, TaskState};

/// What became of tasks that are live no more.
#[derive(Debug, Default)]
pub(crate) struct Buried {
    /// Those that were not finished.
    pub unfinished: Vec<TaskId>,
    /// Pending ones that took the place of others.
    pub made: Vec<Made>,
}

/// A pending task that took the place of one that got something else besides its input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Made {
    /// It.
    pub task: TaskId,
    /// The one whose place it took.
    pub old: TaskId,
    /// The version of its step.
    pub step: StepId,
    /// The task that left its input.
    pub parent: Option<TaskId>,
}

/// A version of a step whose tasks get what others leave.
#[derive(Debug)]
struct Given {
    step: StepId,
    with: Vec<String>,
    each: bool,
}

/// A task on an input with one of the files that another step left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewPair<'a> {
    /// The task that stands for all pairs of the input.
    pub own: TaskId,
    /// The version of the step.
    pub step: StepId,
    /// The list of the one file.
    pub context: Digest,
    /// What it is about.
    pub key: &'a str,
}

const DOING: &str = "read what tasks get of other steps";
const WRITING: &str = "write what tasks get of other steps";

/// One of the pairs of an input.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    /// What stands for all pairs of that input.
    pub own: TaskId,
    /// What it is about.
    pub key: Box<str>,
    /// The list of the one thing that it gets besides.
    pub context: Digest,
}

impl Reader {
    fn given(&self) -> Result<Vec<Given>, Error> {
        self.connection
            .prepare_cached("SELECT id, identity FROM step WHERE identity LIKE '%\"with\":[%'")
            .and_then(|mut query| {
                let given = |row: &Row| {
                    let record: String = row.get(1)?;
                    let identity = Identity::from_json(&record).unwrap_or_default();
                    Ok(Given {
                        step: StepId(row.get(0)?),
                        with: identity.with,
                        each: identity.each,
                    })
                };
                query.query_map([], given)?.collect()
            })
            .during(&self.layout, DOING)
    }

    /// The steps whose outputs tasks of the runset that are to be done will get.
    pub(super) fn sources_of_unfinished(
        &self,
        runset: &Runset,
    ) -> Result<BTreeSet<StepName>, Error> {
        let mut sources = BTreeSet::new();
        for given in self.given()? {
            if self.unfinished_of(runset, given.step)? > 0 {
                let names = given.with.iter();
                sources.extend(names.filter_map(|name| StepName::new(name).ok()));
            }
        }
        Ok(sources)
    }

    /// The live tasks that got an output of that step, at most `most` of each version of a step. `alone`: the
    /// hash of the list of that output, which is what a pair gets.
    pub(crate) fn given_to<E: From<Error>>(
        &self,
        runset: &Runset,
        source: &str,
        most: usize,
        alone: impl FnOnce() -> Result<Option<Digest>, E>,
    ) -> Result<Vec<TaskId>, E> {
        let mut given = self.given()?;
        given.retain(|given| given.with.iter().any(|name| name == source));
        let alone = if given.iter().any(|given| given.each) {
            alone()?.map(|alone| alone.hex().to_string())
        } else {
            None
        };
        let mut tasks = Vec::new();
        for given in given {
            if given.each && alone.is_none() {
                continue;
            }
            let alone = alone.as_ref().filter(|_| given.each);
            let of_version: Vec<TaskId> = self
                .connection
                .prepare_cached(
                    "SELECT id FROM task WHERE step_id = ?1 AND step_id IS NOT NULL AND runset = ?2
                         AND live = 1 AND context IS NOT NULL AND role <> 1
                         AND (?3 IS NULL OR context = ?3) ORDER BY id LIMIT ?4",
                )
                .and_then(|mut query| {
                    let most = i64::try_from(most).unwrap_or(i64::MAX);
                    let which = (given.step.0, &runset.name, alone, most);
                    query
                        .query_map(which, |row| number(row, 0).map(TaskId))?
                        .collect()
                })
                .during(&self.layout, DOING)?;
            tasks.extend(of_version);
        }
        Ok(tasks)
    }

    /// Whether a live finished task of one of these step versions got anything but this.
    fn got_else(&self, runset: &Runset, steps: &[StepId], context: &Digest) -> Result<bool, Error> {
        for step in steps {
            let found = self
                .connection
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM task WHERE step_id = ?1 AND step_id IS NOT NULL
                         AND runset = ?2 AND live = 1 AND processed = 1 AND context <> ?3
                         AND NOT (role = 2 AND output = input_task_id))",
                )
                .and_then(|mut query| {
                    let which = (step.0, &runset.name, &*context.hex());
                    query.query_row(which, |row| row.get(0))
                })
                .during(&self.layout, DOING)?;
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether any task of the runset got what that step left.
    fn is_given(&self, runset: &Runset, source: &StepName) -> Result<bool, Error> {
        for given in self.given()? {
            if !given.with.iter().any(|name| name == source.as_str()) {
                continue;
            }
            let found: bool = self
                .connection
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM task WHERE step_id = ?1 AND step_id IS NOT NULL
                         AND runset = ?2 AND live = 1 AND processed = 1 AND context IS NOT NULL)",
                )
                .and_then(|mut query| {
                    query.query_row((given.step.0, &runset.name), |row| row.get(0))
                })
                .during(&self.layout, DOING)?;
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Reader {
    /// The live pairs of a step in the runset, those of one input behind each other.
    pub(crate) fn pairs_of(&self, runset: &Runset, step: &StepName) -> Result<Vec<Pair>, Error> {
        self.connection
            .prepare_cached(
                "SELECT t.id, t.output, coalesce(t.key, ''), t.context
                 FROM step AS s JOIN task AS t ON t.step_id = s.id AND t.step_id IS NOT NULL
                 WHERE s.name = ?2 AND t.runset = ?1 AND t.live = 1 AND t.role = 2
                   AND t.output = t.input_task_id AND t.context IS NOT NULL ORDER BY 2",
            )
            .and_then(|mut query| {
                let pair = |row: &Row| {
                    located("task", row, |row| {
                        Ok(Pair {
                            own: TaskId(number(row, 1)?),
                            key: row.get(2)?,
                            context: digest(row, 3)?,
                        })
                    })
                };
                query
                    .query_map((&runset.name, step.as_str()), pair)?
                    .collect()
            })
            .during(&self.layout, DOING)
    }
}

impl State {
    /// Notes what a task got besides its input.
    pub(crate) fn put_context(&mut self, task: TaskId, context: &Digest) -> Result<(), Error> {
        self.reader
            .connection
            .write(
                WRITING,
                "UPDATE task SET context = ?2 WHERE id = ?1",
                (task.0, &*context.hex()),
            )
            .map(drop)
    }

    /// A task stands for its pairs from now on, with each of the files in that list; whether it was to
    /// execute in any case.
    pub(crate) fn stand_for_pairs(
        &mut self,
        runset: &Runset,
        (task, step, from): (TaskId, StepId, TaskState),
        context: &Digest,
    ) -> Result<(), Error> {
        self.reader.connection.write(
            WRITING,
            "UPDATE task SET role = 1, processed = 1, context = ?2, error = NULL, room = NULL
             WHERE id = ?1",
            (task.0, &*context.hex()),
        )?;
        self.count(runset.id, step, from, -1);
        Ok(())
    }

    /// Adds a pair.
    pub(crate) fn add_pair(&mut self, runset: &Runset, pair: &NewPair) -> Result<TaskId, Error> {
        self.reader.connection.write(
            WRITING,
            "INSERT INTO task (object_hash, kind, step_id, input_task_id, runset, name, role, output,
                 key, context, forced, room)
             SELECT object_hash, kind, ?2, id, runset, name, 2, id, ?3, ?4, forced, ?5
             FROM task WHERE id = ?1",
            (
                pair.own.0,
                pair.step.0,
                pair.key,
                &*pair.context.hex(),
                ROOM,
            ),
        )?;
        let task = TaskId(self.reader.connection.last_insert_rowid());
        self.count(runset.id, pair.step, TaskState::Pending, 1);
        Ok(task)
    }

    /// That step leaves something more: whoever got what it had left is dead, with all that was made of
    /// that.
    pub(crate) fn gives_more(
        &mut self,
        runset: &Runset,
        source: &StepName,
    ) -> Result<Buried, Error> {
        if !self.is_given(runset, source)? {
            return Ok(Buried::default());
        }
        self.bury_given(runset, &[], &[], Some(source), None)
    }

    /// Tasks that get what these steps leave get this by now: finished ones that got something else are
    /// dead, with all that was made of them.
    pub(crate) fn gives_this(
        &mut self,
        runset: &Runset,
        with: &[StepName],
        context: &Digest,
    ) -> Result<Buried, Error> {
        let mut steps = self.given()?;
        steps.retain(|given| {
            let names = with.iter().map(StepName::as_str);
            names.eq(given.with.iter().map(String::as_str))
        });
        let steps: Vec<StepId> = steps.into_iter().map(|given| given.step).collect();
        if !self.got_else(runset, &steps, context)? {
            return Ok(Buried::default());
        }
        self.bury_given(runset, &[], &[], None, Some((&steps, context)))
    }

    /// Has pairs of a step version made anew of which some are to be done: what they are made of is another
    /// version's business.
    pub(super) fn part_pairs(&mut self, runset: &Runset, step: StepId) -> Result<(), Error> {
        let anew: Vec<i64> = self
            .connection
            .prepare_cached(
                "SELECT DISTINCT output FROM task
                 WHERE processed = 0 AND live = 1 AND runset = ?1 AND step_id = ?2 AND role = 2
                   AND output = input_task_id",
            )
            .and_then(|mut query| {
                query
                    .query_map((&runset.name, step.0), |row| row.get(0))?
                    .collect()
            })
            .during(&self.reader.layout, DOING)?;
        if anew.is_empty() {
            return Ok(());
        }
        self.bury_given(runset, &[], &anew, None, None).map(drop)
    }

    /// What stands for pairs gives way to pairs that are made anew.
    pub(crate) fn unpair(&mut self, runset: &Runset, own: &[TaskId]) -> Result<(), Error> {
        if own.is_empty() {
            return Ok(());
        }
        let own: Vec<i64> = own.iter().map(|task| task.0).collect();
        self.bury_given(runset, &[], &own, None, None).map(drop)
    }

    /// Tasks, and all that was made of them, live no more.
    pub(super) fn bury(&mut self, runset: &Runset, tasks: &[TaskId]) -> Result<Buried, Error> {
        self.bury_given(runset, tasks, &[], None, None)
    }

    fn bury_given(
        &mut self,
        runset: &Runset,
        tasks: &[TaskId],
        anew: &[i64],
        more: Option<&StepName>,
        else_than: Option<(&[StepId], &Digest)>,
    ) -> Result<Buried, Error> {
        // Counts in memory must be in the table first.
        self.flush_tallies()?;
        self.reader.connection.write_all(
            WRITING,
            &format!("CREATE TEMP TABLE dead (id INTEGER PRIMARY KEY); {AGAIN}"),
        )?;
        for task in tasks {
            self.reader.connection.write(
                WRITING,
                "INSERT OR IGNORE INTO dead SELECT id FROM task WHERE id = ?1 AND live = 1",
                [task.0],
            )?;
        }
        for task in anew {
            self.reader.connection.write(
                WRITING,
                "INSERT OR IGNORE INTO again VALUES (?1)",
                [task],
            )?;
        }
        if let Some((steps, context)) = else_than {
            for step in steps {
                self.reader.connection.write(
                    WRITING,
                    "INSERT INTO again SELECT id FROM task WHERE step_id = ?1 AND step_id IS NOT NULL
                         AND runset = ?2 AND live = 1 AND processed = 1 AND context <> ?3
                         AND NOT (role = 2 AND output = input_task_id)",
                    (step.0, &runset.name, &*context.hex()),
                )?;
            }
        }
        self.reader
            .connection
            .write_all(WRITING, "INSERT OR IGNORE INTO dead SELECT id FROM again")?;
        let statement = format!(
            "{} INSERT OR IGNORE INTO dead SELECT id FROM d;",
            below("dead")
        );
        self.reader.connection.write_all(WRITING, &statement)?;
        self.spread(runset, "dead", None, more)?;
        self.uncount(runset, "dead")?;
        let unfinished = self
            .connection
            .prepare("SELECT id FROM dead JOIN task USING (id) WHERE processed = 0")
            .and_then(|mut query| query.query_map([], |row| row.get(0).map(TaskId))?.collect())
            .during(&self.reader.layout, WRITING)?;
        self.reader.connection.write_all(
            WRITING,
            "UPDATE task SET live = 0 WHERE id IN (SELECT id FROM dead)",
        )?;
        let made = self.make_again(runset, "dead")?;
        self.reader
            .connection
            .write_all(WRITING, "DROP TABLE dead")?;
        Ok(Buried { unfinished, made })
    }

    /// Adds to the table `dead` the finished tasks that got what dead ones had left besides their inputs, with
    /// all that was made of them, and so on. `root`: a table of further dead ones, which have a
    /// successor each; `more`: a step that leaves something more.
    pub(super) fn spread(
        &mut self,
        runset: &Runset,
        dead: &str,
        root: Option<&str>,
        more: Option<&StepName>,
    ) -> Result<(), Error> {
        let mut given = self.given()?;
        let mut sources: BTreeSet<String> = more.iter().map(ToString::to_string).collect();
        let others = root.map_or_else(String::new, |root| format!(" UNION SELECT id FROM {root}"));
        while !given.is_empty() {
            let left: Vec<String> = self
                .connection
                .prepare(&format!(
                    "SELECT DISTINCT s.name FROM (SELECT id FROM {dead}{others}) AS a
                     JOIN task AS m ON m.id = a.id JOIN step AS s ON s.id = m.step_id
                     WHERE m.processed = 1 AND m.role <> 1 AND EXISTS (
                         SELECT 1 FROM task AS o
                         WHERE o.input_task_id = m.id AND o.output IS NULL AND o.live = 1)"
                ))
                .and_then(|mut query| query.query_map([], |row| row.get(0))?.collect())
                .during(&self.reader.layout, DOING)?;
            sources.extend(left);
            let is_hit = |one: &mut Given| one.with.iter().any(|name| sources.contains(name));
            let hit: Vec<Given> = given.extract_if(.., is_hit).collect();
            if hit.is_empty() {
                return Ok(());
            }
            for one in hit {
                self.reader.connection.write(
                    WRITING,
                    &format!(
                        "INSERT OR IGNORE INTO again
                         SELECT id FROM task WHERE step_id = ?1 AND step_id IS NOT NULL
                             AND runset = ?2 AND live = 1 AND processed = 1 AND context IS NOT NULL
                             AND NOT (role = 2 AND output = input_task_id)
                             AND id NOT IN (SELECT id FROM {dead}{others})"
                    ),
                    (one.step.0, &runset.name),
                )?;
            }
            let statements = format!(
                "INSERT OR IGNORE INTO {dead} SELECT id FROM again;
                 {} INSERT OR IGNORE INTO {dead} SELECT id FROM d;",
                below("again")
            );
            self.reader.connection.write_all(WRITING, &statements)?;
        }
        Ok(())
    }

    /// Adds pending tasks in the place of those that got something else, as far as their inputs are not dead
    /// as well. What gathers gets its tasks when all is there.
    pub(super) fn make_again(&mut self, runset: &Runset, dead: &str) -> Result<Vec<Made>, Error> {
        self.reader.connection.write(
            WRITING,
            &format!(
                "INSERT INTO task (object_hash, kind, role, key, output, step_id, input_task_id, runset,
                     name, supersedes, room)
                 SELECT t.object_hash, t.kind, iif(t.role = 1, 0, t.role), t.key, t.output,
                     coalesce((SELECT now.id FROM step AS now WHERE now.name = s.name AND now.current),
                         t.step_id),
                     t.input_task_id, t.runset, t.name, t.id, ?1
                 FROM again JOIN task AS t ON t.id = again.id JOIN step AS s ON s.id = t.step_id
                 WHERE t.role <> 3 AND (t.input_task_id IS NULL
                     OR t.input_task_id NOT IN (SELECT id FROM {dead})) ORDER BY t.id"
            ),
            [ROOM],
        )?;
        self.lead_readers("again")?;
        let made: Vec<Made> = self
            .connection
            .prepare(
                "SELECT t.id, t.step_id, t.input_task_id, again.id
                 FROM again JOIN task AS t ON t.supersedes = again.id WHERE t.live = 1 ORDER BY t.id",
            )
            .and_then(|mut query| {
                let made = |row: &Row| {
                    let task = TaskId(number(row, 0)?);
                    Ok(Made {
                        task,
                        old: TaskId(number(row, 3)?),
                        step: StepId(row.get(1)?),
                        parent: older(row, 2, task)?,
                    })
                };
                query
                    .query_map([], |row| located("task", row, made))?
                    .collect()
            })
            .during(&self.reader.layout, DOING)?;
        for one in &made {
            self.count(runset.id, one.step, TaskState::Pending, 1);
        }
        self.reader.connection.write(
            WRITING,
            "UPDATE entry SET task_id = (SELECT id FROM task WHERE supersedes = entry.task_id AND live = 1)
             WHERE runset_id = ?1 AND task_id IN (
                 SELECT t.supersedes FROM again JOIN task AS t ON t.supersedes = again.id
                 WHERE t.live = 1)",
            [runset.id.0],
        )?;
        self.reader
            .connection
            .write_all(WRITING, "DROP TABLE again")?;
        Ok(made)
    }
}
