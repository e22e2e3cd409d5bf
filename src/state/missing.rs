//! What is needed to find final outputs and inputs whose objects are gone, and to have them made
//! again.

use super::cell::{Wrong, digest, file_name, form, located, older};
use super::{Context, Error, Reader, Runset, State, StepId};
use crate::model::digest::Digest;
use crate::model::list::Form;
use crate::model::name::FileName;
use crate::model::task::TaskId;

/// How an object is called in this runset: by a final output, or by a task that is to be done.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// The task that left the object.
    pub maker: Option<TaskId>,
    /// The object.
    pub object: Digest,
    /// What that is.
    pub form: Form,
    /// Its file name.
    pub name: Option<FileName>,
}

/// A place among all final outputs, in the order of their objects' names.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    prefix: String,
    row: i64,
}

impl Place {
    /// What [`Place::to_text`] wrote.
    fn of_text(text: &str) -> Option<Self> {
        let (prefix, row) = text.split_once(' ')?;
        Some(Self {
            prefix: prefix.to_owned(),
            row: row.parse().ok()?,
        })
    }

    fn to_text(&self) -> String {
        format!("{} {}", self.prefix, self.row)
    }
}

/// When the objects of a runset were last known to be there, and how their folders were then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Looked {
    /// The folders, in some words.
    pub sign: String,
    /// Microseconds since 1970.
    pub at: i64,
}

const DOING: &str = "look at what is wanted";

impl Reader {
    /// Looks at `count` final outputs behind `after`, of whatever runset: calls `each` with the live
    /// ones of `runset`. How many there were, and the place of the last one; none if there are no
    /// more.
    pub(crate) fn finals_behind(
        &self,
        runset: &Runset,
        after: &Place,
        count: usize,
        mut each: impl FnMut(Wanted),
    ) -> Result<(usize, Option<Place>), Error> {
        let mut query = self
            .connection
            .prepare_cached(
                "SELECT id, input_task_id, object_hash, name, kind, live = 1 AND runset = ?4,
                     substr(object_hash, 1, 4)
                 FROM task
                 WHERE step_id IS NULL AND substr(object_hash, 1, 4) >= ?1
                   AND (substr(object_hash, 1, 4) > ?1 OR id > ?2)
                 ORDER BY substr(object_hash, 1, 4), id LIMIT ?3",
            )
            .during(&self.layout, DOING)?;
        let limit = i64::try_from(count).unwrap_or(i64::MAX);
        let mut rows = query
            .query((&after.prefix, after.row, limit, &runset.name))
            .during(&self.layout, DOING)?;
        let mut last = None;
        let mut seen = 0;
        while let Some(row) = rows.next().during(&self.layout, DOING)? {
            seen += 1;
            let before = last.as_ref().unwrap_or(after);
            let read = |row: &rusqlite::Row| {
                let place = Place {
                    prefix: row.get(6)?,
                    row: row.get(0)?,
                };
                if place <= *before {
                    return Err(Wrong::Order.into_error());
                }
                let wanted = row
                    .get::<_, bool>(5)?
                    .then(|| wanted_row(row))
                    .transpose()?;
                Ok((place, wanted))
            };
            let (place, wanted) = located("task", row, read).during(&self.layout, DOING)?;
            last = Some(place);
            wanted.into_iter().for_each(&mut each);
        }
        Ok((seen, last.filter(|_| seen == count)))
    }

    /// At most `count` tasks of the runset that are to be done and whose input another one made, and
    /// as much of what is gathered for those that are to be done, or that they get besides.
    pub(crate) fn wanted_inputs(
        &self,
        runset: &Runset,
        count: usize,
    ) -> Result<Vec<Wanted>, Error> {
        let mut wanted = self.wanted_context(runset, count)?;
        let inputs: Vec<Wanted> = self
            .connection
            .prepare_cached(
                "SELECT * FROM (
                     SELECT id, input_task_id, object_hash, name, kind FROM task
                     WHERE processed = 0 AND live = 1 AND runset = ?1 AND input_task_id IS NOT NULL
                     LIMIT ?2)
                 UNION ALL SELECT * FROM (
                     SELECT m.id, m.input_task_id, m.object_hash, m.name, m.kind FROM task AS g
                     JOIN task AS m ON m.gathering = g.gathering AND m.role = 1 AND m.live = 1
                     WHERE g.processed = 0 AND g.live = 1 AND g.runset = ?1 AND g.role = 3
                       AND m.input_task_id IS NOT NULL
                     LIMIT ?2)",
            )
            .and_then(|mut query| {
                let limit = i64::try_from(count).unwrap_or(i64::MAX);
                query
                    .query_map((&runset.name, limit), wanted_row)?
                    .collect()
            })
            .during(&self.layout, DOING)?;
        wanted.extend(inputs);
        Ok(wanted)
    }

    /// As much of what tasks that are to be done get besides their inputs.
    fn wanted_context(&self, runset: &Runset, count: usize) -> Result<Vec<Wanted>, Error> {
        let mut wanted = Vec::new();
        for source in self.sources_of_unfinished(runset)? {
            self.some_outputs_of(runset, &source, count, |output| {
                wanted.push(Wanted {
                    maker: Some(output.parent),
                    object: output.object,
                    form: output.form,
                    name: Some(output.name),
                });
            })?;
        }
        Ok(wanted)
    }

    /// When the runset's objects were last known to be there.
    pub(crate) fn looked(&self, runset: &Runset) -> Result<Option<Looked>, Error> {
        let text = self.meta(&looked_key(runset))?;
        Ok(text.as_deref().and_then(|text| {
            let (at, sign) = text.split_once(' ')?;
            Some(Looked {
                sign: sign.to_owned(),
                at: at.parse().ok()?,
            })
        }))
    }

    /// How far the turn through all final outputs has come.
    pub(crate) fn place(&self) -> Result<Place, Error> {
        let text = self.meta(PLACE)?;
        Ok(text.as_deref().and_then(Place::of_text).unwrap_or_default())
    }
}

impl State {
    /// Has these tasks of the runset executed again, by the versions `current` of their steps; what
    /// they made does not count. `forced`: even where an equal task has its results whole. How many, less those below another of them, and those that could
    /// not be, as their step is none of these.
    pub(crate) fn redo_all(
        &mut self,
        runset: &Runset,
        current: &[StepId],
        tasks: &[TaskId],
        forced: bool,
    ) -> Result<(u64, Vec<TaskId>), Error> {
        const WRITING: &str = "write tasks to be executed again";
        self.reader
            .connection
            .write_all(WRITING, "CREATE TEMP TABLE redone (id INTEGER PRIMARY KEY)")?;
        for task in tasks {
            self.reader.connection.write(
                WRITING,
                "INSERT OR IGNORE INTO redone VALUES (?1)",
                [task.0],
            )?;
        }
        // Pairs come of the row that stands for all of an input.
        self.reader.connection.write_all(
            WRITING,
            "INSERT OR IGNORE INTO redone SELECT output FROM redone JOIN task USING (id)
                 WHERE role = 2 AND output = input_task_id",
        )?;
        let which = "t.id IN (SELECT id FROM redone)";
        let made = self.supersede(runset, current, which, forced)?;
        self.reader
            .connection
            .write_all(WRITING, "DROP TABLE redone")?;
        let mut left = Vec::new();
        for task in tasks {
            let live: bool = self
                .connection
                .prepare_cached("SELECT live FROM task WHERE id = ?1")
                .and_then(|mut query| query.query_row([task.0], |row| row.get(0)))
                .during(&self.reader.layout, DOING)?;
            left.extend(live.then_some(*task));
        }
        let made = made.iter().map(|(_, count)| count.unsigned_abs()).sum();
        Ok((made, left))
    }

    /// Notes it.
    pub(crate) fn set_looked(&mut self, runset: &Runset, looked: &Looked) -> Result<(), Error> {
        let text = format!("{} {}", looked.at, looked.sign);
        self.put_meta(&looked_key(runset), &text)
    }

    /// Notes it.
    pub(crate) fn set_place(&mut self, place: &Place) -> Result<(), Error> {
        self.put_meta(PLACE, &place.to_text())
    }

    pub(super) fn put_meta(&mut self, key: &str, value: &str) -> Result<(), Error> {
        self.reader
            .connection
            .write(
                "write what was looked at",
                "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)",
                (key, value),
            )
            .map(drop)
    }
}

const PLACE: &str = "looked at";

fn looked_key(runset: &Runset) -> String {
    format!("objects of {}", runset.id.0)
}

fn wanted_row(row: &rusqlite::Row) -> rusqlite::Result<Wanted> {
    located("task", row, |row| {
        Ok(Wanted {
            maker: older(row, 1, TaskId(row.get(0)?))?,
            object: digest(row, 2)?,
            form: form(row, 4)?,
            name: file_name(row, 3)?,
        })
    })
}
