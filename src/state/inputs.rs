//! Entries: what the manifest's inputs name, and the task that each has.

use rusqlite::{OptionalExtension, Row};

use super::cell::{digest, form, located};
use super::record::ROOM;
use super::{Context, Error, Reader, Runset, State, StepId};
use crate::model::digest::Digest;
use crate::model::entry::EntryName;
use crate::model::list::Form;
use crate::model::task::{TaskId, TaskState};

/// An entry as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// What tells it from all others of the runset that come to the same step.
    pub identity: String,
    /// Its task.
    pub task: TaskId,
    /// The task's input.
    pub object: Digest,
    /// The step version that the task runs.
    pub step: Option<StepId>,
    /// Whether nothing superseded the task.
    pub live: bool,
    /// What the input is.
    pub form: Form,
    /// What the task is about: the key, else the file name.
    pub about: Box<str>,
}

/// An entry whose task is to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewEntry<'a> {
    /// What tells it from all others of the runset that come to the same step.
    pub identity: &'a str,
    /// The file name of the input.
    pub name: &'a str,
    /// What the task is about, where that is not its name.
    pub key: Option<&'a str>,
    /// The input.
    pub object: Digest,
    /// What that is.
    pub form: Form,
    /// The step version that is to run.
    pub step: StepId,
    /// The task of what it was before.
    pub replaces: Option<TaskId>,
}

/// What changes among the entries of a runset.
#[derive(Debug, Default)]
pub(crate) struct Entries<'a> {
    /// Those that are no more, with their tasks.
    pub gone: Vec<(&'a str, TaskId)>,
    /// Those that are new, or not what they were.
    pub made: Vec<NewEntry<'a>>,
}

const DOING: &str = "read inputs";
const WRITING: &str = "write inputs";

impl Reader {
    /// Calls `each` with the runset's entries, in ascending order of their identities' bytes.
    pub(crate) fn each_entry(
        &self,
        runset: &Runset,
        mut each: impl FnMut(Recorded),
    ) -> Result<(), Error> {
        let mut query = self
            .connection
            .prepare_cached(
                "SELECT t.id, e.identity, t.object_hash, t.step_id, t.live, t.kind, coalesce(t.key, t.name, '')
                 FROM entry AS e JOIN task AS t ON t.id = e.task_id
                 WHERE e.runset_id = ?1 ORDER BY e.identity",
            )
            .during(&self.layout, DOING)?;
        let mut rows = query.query([runset.id.0]).during(&self.layout, DOING)?;
        while let Some(row) = rows.next().during(&self.layout, DOING)? {
            each(located("task", row, recorded).during(&self.layout, DOING)?);
        }
        Ok(())
    }

    /// Whether the runset has entries.
    pub(crate) fn has_entries(&self, runset: &Runset) -> Result<bool, Error> {
        self.connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM entry WHERE runset_id = ?1)")
            .and_then(|mut query| query.query_row([runset.id.0], |row| row.get(0)))
            .during(&self.layout, DOING)
    }

    /// The entry whose task it is or was, if it is one's.
    pub(crate) fn entry_of(&self, task: TaskId) -> Result<Option<EntryName>, Error> {
        let mut at = task;
        loop {
            let identity: Option<String> = self
                .connection
                .prepare_cached("SELECT identity FROM entry WHERE task_id = ?1 LIMIT 1")
                .and_then(|mut query| query.query_row([at.0], |row| row.get(0)).optional())
                .during(&self.layout, DOING)?;
            if let Some(identity) = identity {
                return Ok(EntryName::parse(&identity));
            }
            match self.superseded_by(at)?.filter(|next| *next > at) {
                Some(next) => at = next,
                None => return Ok(None),
            }
        }
    }

    /// What the runset's tasks that are to be done and have no task above them work on.
    pub(crate) fn unfinished_roots(&self, runset: &Runset) -> Result<Vec<Digest>, Error> {
        self.connection
            .prepare_cached(
                "SELECT id, object_hash FROM task
                 WHERE processed = 0 AND live = 1 AND runset = ?1 AND input_task_id IS NULL",
            )
            .and_then(|mut query| {
                let object = |row: &Row| located("task", row, |row| digest(row, 1));
                query.query_map([&runset.name], object)?.collect()
            })
            .during(&self.layout, DOING)
    }
}

impl State {
    /// Takes what is gone out of the runset, and what was made of it; puts in what is new.
    pub(crate) fn change_entries(
        &mut self,
        runset: &Runset,
        entries: &Entries,
    ) -> Result<(), Error> {
        let replaced = entries.made.iter().filter_map(|entry| entry.replaces);
        let dead: Vec<TaskId> = entries
            .gone
            .iter()
            .map(|(_, task)| *task)
            .chain(replaced)
            .collect();
        if !dead.is_empty() {
            self.bury(runset, &dead)?;
        }
        for (identity, task) in &entries.gone {
            self.reader.connection.write(
                WRITING,
                "DELETE FROM entry WHERE runset_id = ?1 AND identity = ?2 AND task_id = ?3",
                (runset.id.0, identity, task.0),
            )?;
        }
        for entry in &entries.made {
            self.reader.connection.write(
                WRITING,
                "INSERT INTO task (object_hash, kind, step_id, runset, name, supersedes, room, key)
                 VALUES (?1, ?7, ?2, ?3, ?4, ?5, ?6, ?8)",
                (
                    &*entry.object.hex(),
                    entry.step.0,
                    &runset.name,
                    entry.name,
                    entry.replaces.map(|task| task.0),
                    ROOM,
                    entry.form.number(),
                    entry.key,
                ),
            )?;
            let task = self.reader.connection.last_insert_rowid();
            self.count(runset.id, entry.step, TaskState::Pending, 1);
            match entry.replaces {
                None => self.reader.connection.write(
                    WRITING,
                    "INSERT INTO entry (runset_id, identity, task_id) VALUES (?1, ?2, ?3)",
                    (runset.id.0, entry.identity, task),
                )?,
                Some(old) => self.reader.connection.write(
                    WRITING,
                    "UPDATE entry SET task_id = ?3
                     WHERE runset_id = ?1 AND identity = ?2 AND task_id = ?4",
                    (runset.id.0, entry.identity, task, old.0),
                )?,
            };
        }
        Ok(())
    }
}

fn recorded(row: &Row) -> rusqlite::Result<Recorded> {
    Ok(Recorded {
        task: TaskId(row.get(0)?),
        identity: row.get(1)?,
        object: digest(row, 2)?,
        step: row.get::<_, Option<i64>>(3)?.map(StepId),
        live: row.get(4)?,
        form: form(row, 5)?,
        about: row.get(6)?,
    })
}
