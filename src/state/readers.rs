//! Tasks on outputs that have rows of their own besides: of steps that take what others leave.

use std::ops::ControlFlow;

use rusqlite::Row;

use super::cell::{digest, file_name, form, located, number};
use super::record::ROOM;
use super::{Context, Error, Reader, Runset, State, StepId};
use crate::model::digest::Digest;
use crate::model::list::Form;
use crate::model::name::{FileName, StepName};
use crate::model::task::{TaskId, TaskState};

/// A further task on an output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewReader<'a> {
    /// Its bytes.
    pub object: Digest,
    /// What that is.
    pub form: Form,
    /// The version of the step that takes it.
    pub step: StepId,
    /// The task that left it.
    pub parent: TaskId,
    /// Under which name.
    pub name: &'a str,
    /// The key, where it does not follow from the name.
    pub key: Option<&'a str>,
    /// The output's own row.
    pub output: TaskId,
}

/// An output, or who takes one.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// Its row.
    pub task: TaskId,
    /// The task that left it.
    pub parent: TaskId,
    /// Under which name.
    pub name: FileName,
    /// Its bytes.
    pub object: Digest,
    /// What that is.
    pub form: Form,
    /// The key that it was given, if it was given one.
    pub key: Option<Box<str>>,
    /// Whether it is one of what is gathered.
    pub gathered: bool,
}

const DOING: &str = "read who takes what";

impl Reader {
    /// The live outputs of the finished tasks of a step in the runset.
    pub(crate) fn outputs_of(&self, runset: &Runset, step: &StepName) -> Result<Vec<Told>, Error> {
        let mut told = Vec::new();
        self.each_output_of(runset, step, |one| told.push(one))?;
        Ok(told)
    }

    /// Calls `each` with these.
    pub(crate) fn each_output_of(
        &self,
        runset: &Runset,
        step: &StepName,
        each: impl FnMut(Told),
    ) -> Result<(), Error> {
        self.some_outputs_of(runset, step, usize::MAX, each)
    }

    /// Calls `each` with at most `most` of these.
    pub(super) fn some_outputs_of(
        &self,
        runset: &Runset,
        step: &StepName,
        most: usize,
        each: impl FnMut(Told),
    ) -> Result<(), Error> {
        self.told(
            "SELECT o.id, o.input_task_id, o.name, o.object_hash, o.kind, o.key, o.role = 1
             FROM step AS s JOIN task AS m ON m.step_id = s.id AND m.step_id IS NOT NULL
             JOIN task AS o ON o.input_task_id = m.id
             WHERE s.name = ?2 AND m.runset = ?1 AND m.live = 1 AND m.processed = 1 AND m.role <> 1
               AND o.live = 1 AND o.output IS NULL AND o.name IS NOT NULL
             LIMIT ?3",
            (runset, step, most),
            each,
        )
    }

    /// Calls `each` with the names of these, until it says that it wants no more.
    pub(crate) fn names_left_by(
        &self,
        runset: &Runset,
        step: &StepName,
        mut each: impl FnMut(&str) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let sql = "SELECT o.id, o.name
             FROM step AS s JOIN task AS m ON m.step_id = s.id AND m.step_id IS NOT NULL
             JOIN task AS o ON o.input_task_id = m.id
             WHERE s.name = ?2 AND m.runset = ?1 AND m.live = 1 AND m.processed = 1 AND m.role <> 1
               AND o.live = 1 AND o.output IS NULL AND o.name IS NOT NULL";
        self.connection
            .prepare_cached(sql)
            .and_then(|mut query| {
                let mut rows = query.query((&runset.name, step.as_str()))?;
                while let Some(row) = rows.next()? {
                    let name = located("task", row, |row| file_name(row, 1))?;
                    if name.is_some_and(|name| each(&name).is_break()) {
                        break;
                    }
                }
                Ok(())
            })
            .during(&self.layout, DOING)
    }

    /// What a step takes in the runset besides what is routed to it; not the pairs, which are made of what
    /// it has.
    pub(crate) fn taken_by(&self, runset: &Runset, step: &StepName) -> Result<Vec<Told>, Error> {
        let mut told = Vec::new();
        self.told(
            "SELECT t.id, t.input_task_id, t.name, t.object_hash, t.kind, t.key, t.role = 1
             FROM step AS s JOIN task AS t ON t.step_id = s.id AND t.step_id IS NOT NULL
             WHERE s.name = ?2 AND t.runset = ?1 AND t.live = 1 AND t.output <> t.input_task_id
             LIMIT ?3",
            (runset, step, usize::MAX),
            |one| told.push(one),
        )?;
        Ok(told)
    }

    fn told(
        &self,
        sql: &str,
        (runset, step, most): (&Runset, &StepName, usize),
        each: impl FnMut(Told),
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut query| {
                let told = |row: &Row| {
                    located("task", row, |row| {
                        let left = file_name(row, 2)?.zip(row.get::<_, Option<i64>>(1)?);
                        let (task, object) = (TaskId(number(row, 0)?), digest(row, 3)?);
                        let form = form(row, 4)?;
                        let (key, gathered) = (row.get(5)?, row.get(6)?);
                        Ok(left.map(|(name, parent)| Told {
                            task,
                            parent: TaskId(parent),
                            name,
                            object,
                            form,
                            key,
                            gathered,
                        }))
                    })
                };
                let most = i64::try_from(most).unwrap_or(i64::MAX);
                let rows = query.query_map((&runset.name, step.as_str(), most), told)?;
                let mut told = rows.filter_map(Result::transpose);
                let mut each = each;
                told.try_for_each(|one| one.map(&mut each))
            })
            .during(&self.layout, DOING)
    }

    /// What was asked for when it was last made sure that all that is taken is there, in some words.
    pub(crate) fn taken_as(&self, runset: &Runset) -> Result<Option<String>, Error> {
        self.meta(&sign_key(runset))
    }
}

impl State {
    /// Notes that all that is asked for in these words is there.
    pub(crate) fn set_taken_as(&mut self, runset: &Runset, sign: &str) -> Result<(), Error> {
        self.put_meta(&sign_key(runset), sign)
    }

    /// Adds a further task on an output.
    pub(crate) fn insert_reader(
        &mut self,
        runset: &Runset,
        reader: &NewReader,
    ) -> Result<TaskId, Error> {
        self.reader.connection.write(
            "write a task",
            "INSERT INTO task (object_hash, step_id, input_task_id, runset, name, role, output, key,
                 room, kind)
             VALUES (?1, ?2, ?3, ?4, ?5, 2, ?6, ?7, ?8, ?9)",
            (
                &*reader.object.hex(),
                reader.step.0,
                reader.parent.0,
                &runset.name,
                reader.name,
                reader.output.0,
                reader.key,
                ROOM,
                reader.form.number(),
            ),
        )?;
        let task = TaskId(self.reader.connection.last_insert_rowid());
        self.count(runset.id, reader.step, TaskState::Pending, 1);
        Ok(task)
    }

    /// These, and all that was made of them, live no more.
    pub(crate) fn leave(&mut self, runset: &Runset, tasks: &[TaskId]) -> Result<(), Error> {
        if tasks.is_empty() {
            return Ok(());
        }
        self.bury(runset, tasks).map(drop)
    }
}

fn sign_key(runset: &Runset) -> String {
    format!("taken in {}", runset.id.0)
}
