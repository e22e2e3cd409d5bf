//! Objects whose bytes were dropped as they can be made again, and what rows say of which can.

use std::collections::HashSet;

use rusqlite::Row;

use super::cell::{Wrong, digest, form, located, older};
use super::{Context, Error, GroupId, Reader, State, StepId, Sync};
use crate::model::digest::Digest;
use crate::model::gather::Role;
use crate::model::identity::Identity;
use crate::model::list::Form;
use crate::model::task::TaskId;

/// A row of a task or of an output, as whoever drops bytes has to know it.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)] // Each is a column of its own.
pub(crate) struct Kept {
    /// Its number.
    pub id: TaskId,
    /// What it works on, or what it is.
    pub object: Digest,
    /// What that is.
    pub form: Form,
    /// What kind of row it is.
    pub role: Role,
    /// Whether nothing has superseded it.
    pub live: bool,
    /// Whether it has ended with success.
    pub finished: bool,
    /// The version of its step; none of a final output.
    pub step: Option<StepId>,
    /// The task that left its object; for a pair the row that stands for all of an input.
    pub parent: Option<TaskId>,
    /// Whether it is one of the pairs of an input.
    pub is_pair: bool,
    /// The group that it belongs to, or works on.
    pub group: Option<GroupId>,
    /// What it got besides its input.
    pub context: Option<Digest>,
    /// Whether it is of the runset that was asked for.
    pub here: bool,
}

const DOING: &str = "read whose bytes can be made again";
const WRITING: &str = "write which bytes are dropped";

impl Reader {
    /// The objects whose bytes were dropped, in the order of their hashes.
    pub(crate) fn evicted(&self) -> Result<Vec<Digest>, Error> {
        self.connection
            .prepare_cached("SELECT hash FROM evicted ORDER BY hash")
            .and_then(|mut query| query.query_map([], |row| row.get(0).map(Digest))?.collect())
            .during(&self.layout, "read which bytes were dropped")
    }

    /// Whether the object's bytes were dropped by now, and are not known to be there again.
    pub(crate) fn is_evicted(&self, object: &Digest) -> Result<bool, Error> {
        self.connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM evicted WHERE hash = ?1)")
            .and_then(|mut query| query.query_row([object.0], |row| row.get(0)))
            .during(&self.layout, "read which bytes were dropped")
    }

    /// How many that are, and how many bytes they had.
    pub(crate) fn evicted_amount(&self) -> Result<(u64, u64), Error> {
        self.connection
            .prepare_cached("SELECT count(*), coalesce(sum(size), 0) FROM evicted")
            .and_then(|mut query| {
                query.query_row([], |row| {
                    let number = |at| row.get(at).map(i64::unsigned_abs);
                    Ok((number(0)?, number(1)?))
                })
            })
            .during(&self.layout, "read which bytes were dropped")
    }

    /// The step versions that left something else when a task of them ran again.
    pub(crate) fn unsteady(&self) -> Result<Vec<StepId>, Error> {
        self.connection
            .prepare_cached("SELECT step_id FROM unsteady")
            .and_then(|mut query| query.query_map([], |row| row.get(0).map(StepId))?.collect())
            .during(&self.layout, DOING)
    }

    /// The step versions that are the current ones.
    pub(crate) fn current_versions(&self) -> Result<HashSet<StepId>, Error> {
        self.connection
            .prepare_cached("SELECT id FROM step WHERE current")
            .and_then(|mut query| query.query_map([], |row| row.get(0).map(StepId))?.collect())
            .during(&self.layout, DOING)
    }

    /// How many rows of tasks and outputs there are.
    pub(crate) fn count_rows(&self) -> Result<u64, Error> {
        self.connection
            .prepare_cached("SELECT count(*) FROM task")
            .and_then(|mut query| query.query_row([], |row| row.get(0).map(i64::unsigned_abs)))
            .during(&self.layout, DOING)
    }

    /// Calls `each` with all rows, each after those that it comes from. `runset`: the name of the one that is asked for.
    pub(crate) fn each_kept(
        &self,
        runset: Option<&str>,
        mut each: impl FnMut(Kept) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut query = self
            .connection
            .prepare(
                "SELECT id, object_hash, kind, role, live, processed, step_id, input_task_id, output, gathering,
                     context, ?1 IS NULL OR runset = ?1 FROM task ORDER BY id",
            )
            .during(&self.layout, DOING)?;
        let mut rows = query.query([runset]).during(&self.layout, DOING)?;
        while let Some(row) = rows.next().during(&self.layout, DOING)? {
            each(located("task", row, kept).during(&self.layout, DOING)?)?;
        }
        Ok(())
    }

    /// The tasks of inputs that are there by now, and those that count for a version which did not make them.
    pub(crate) fn entries_and_accepted(&self) -> Result<[HashSet<TaskId>; 2], Error> {
        let all = |question: &str| -> Result<HashSet<TaskId>, Error> {
            self.connection
                .prepare_cached(question)
                .and_then(|mut query| query.query_map([], |row| row.get(0).map(TaskId))?.collect())
                .during(&self.layout, DOING)
        };
        Ok([
            all("SELECT task_id FROM entry")?,
            all("SELECT task_id FROM accepted")?,
        ])
    }

    /// The groups whose tasks have ended.
    pub(crate) fn settled_groups(&self) -> Result<HashSet<GroupId>, Error> {
        self.connection
            .prepare_cached(
                "SELECT gathering FROM task
                 WHERE role = 3 AND live = 1 AND processed = 1 AND gathering IS NOT NULL",
            )
            .and_then(|mut query| {
                query
                    .query_map([], |row| row.get(0).map(GroupId))?
                    .collect()
            })
            .during(&self.layout, DOING)
    }

    /// The lists of the files of all versions of steps, and of what tasks kept for their next try.
    pub(crate) fn trees_that_stay(&self) -> Result<Vec<Digest>, Error> {
        let records: Vec<String> = self
            .connection
            .prepare_cached("SELECT identity FROM step")
            .and_then(|mut query| query.query_map([], |row| row.get(0))?.collect())
            .during(&self.layout, DOING)?;
        let files = records
            .iter()
            .filter_map(|record| Identity::from_json(record)?.files);
        let mut trees: Vec<Digest> = files.map(|files| files.tree).collect();
        trees.extend(self.checkpoints()?);
        Ok(trees)
    }

    /// Calls `each` with what tasks wrote, and with the lists of what they got besides their inputs.
    pub(crate) fn each_beside(&self, mut each: impl FnMut(Digest)) -> Result<(), Error> {
        let mut query = self
            .connection
            .prepare_cached(
                "SELECT unhex(stdout) FROM log WHERE stdout IS NOT NULL
                 UNION ALL SELECT unhex(stderr) FROM log WHERE stderr IS NOT NULL
                 UNION ALL SELECT unhex(context) FROM task WHERE context IS NOT NULL",
            )
            .during(&self.layout, DOING)?;
        let mut rows = query.query([]).during(&self.layout, DOING)?;
        while let Some(row) = rows.next().during(&self.layout, DOING)? {
            // What is no hash is nothing's name.
            if let Ok(object) = row.get(0) {
                each(Digest(object));
            }
        }
        Ok(())
    }
}

impl State {
    /// Records that the bytes of these are dropped. Once that is done no power cut takes it back, nor takes what they
    /// can be made of: only then may the bytes go.
    pub(crate) fn put_evicted(
        &mut self,
        objects: impl Iterator<Item = (Digest, u64)>,
    ) -> Result<(), Error> {
        self.commit()?;
        self.sync_objects()?;
        self.set_synchronous("FULL")?;
        for (object, size) in objects {
            self.reader.connection.write(
                WRITING,
                "INSERT OR REPLACE INTO evicted (hash, size) VALUES (?1, ?2)",
                (object.0, i64::try_from(size).unwrap_or(i64::MAX)),
            )?;
        }
        self.commit()?;
        if self.sync != Sync::Commit {
            self.set_synchronous("NORMAL")?;
        }
        Ok(())
    }

    /// A task of the version left something else when it ran again.
    pub(crate) fn put_unsteady(&mut self, step: StepId, task: TaskId) -> Result<(), Error> {
        self.reader
            .connection
            .write(
                WRITING,
                "INSERT OR REPLACE INTO unsteady (step_id, task_id) VALUES (?1, ?2)",
                (step.0, task.0),
            )
            .map(drop)
    }

    /// The bytes of these are there again, and on the disk.
    pub(crate) fn drop_evicted(&mut self, objects: &[Digest]) -> Result<(), Error> {
        for object in objects {
            self.reader.connection.write(
                WRITING,
                "DELETE FROM evicted WHERE hash = ?1",
                [object.0],
            )?;
        }
        self.commit()
    }
}

fn kept(row: &Row) -> rusqlite::Result<Kept> {
    let id = TaskId(row.get(0)?);
    let role: i64 = row.get(3)?;
    let role = Role::of(role)
        .ok_or_else(|| Wrong::Misfit(format!("it has the role {role}")).into_error())?;
    let parent = older(row, 7, id)?;
    let output: Option<i64> = row.get(8)?;
    let context: Option<String> = row.get(10)?;
    Ok(Kept {
        id,
        object: digest(row, 1)?,
        form: form(row, 2)?,
        role,
        live: row.get(4)?,
        finished: row.get(5)?,
        step: row.get::<_, Option<i64>>(6)?.map(StepId),
        is_pair: role == Role::Reader && output.is_some() && output == parent.map(|task| task.0),
        parent,
        group: row.get::<_, Option<i64>>(9)?.map(GroupId),
        context: context.map(|_| digest(row, 10)).transpose()?,
        here: row.get(11)?,
    })
}
