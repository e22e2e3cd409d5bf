//! Rows of a step that gathers by now, or no longer does.

use rusqlite::Row;

use super::cell::number;
use super::counts::{STATE_SQL, state_of};
use super::record::ROOM;
use super::{Context, Error, GroupId, Reader, Runset, State, StepId};
use crate::model::gather::Which;
use crate::model::name::StepName;
use crate::model::task::{TaskId, TaskState};

/// A step as the manifest has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape<'a> {
    /// Its name.
    pub name: &'a StepName,
    /// Its current version.
    pub step: StepId,
    /// What it gathers, if it does.
    pub gather: Option<Groups<'a>>,
    /// Whether it gathers nothing, too.
    pub empty: bool,
}

/// What makes a group.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Groups<'a> {
    /// Everything is one.
    All,
    /// A key.
    Key,
    /// A task of this step.
    Below(&'a StepName),
}

/// Where an output belongs.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    /// As [`Which::owner`].
    pub owner: i64,
    /// As [`Which::key`].
    pub group: String,
    /// Its own key.
    pub key: String,
}

impl Home {
    /// The group.
    pub(crate) fn which(&self) -> Which<'_> {
        Which {
            owner: self.owner,
            key: &self.group,
        }
    }
}

/// Tells where an output belongs.
type HomeOf<'a> = &'a mut dyn FnMut(&Reader, TaskId) -> Result<Home, Error>;

const DOING: &str = "read what is gathered";
const WRITING: &str = "write what is gathered";

impl State {
    /// Has what waits for a step be what it is for such a step today.
    pub(crate) fn reshape(
        &mut self,
        runset: &Runset,
        shape: &Shape,
        home: HomeOf,
    ) -> Result<(), Error> {
        match shape.gather {
            Some(groups) => {
                self.take_members(runset, shape)?;
                self.regroup(runset, shape, groups, home)?;
                self.bring_together(runset, shape, home)?;
                self.leave_nothing(runset, shape)
            }
            None => self.part(runset, shape),
        }
    }

    /// Members of older versions are those of this one.
    fn take_members(&mut self, runset: &Runset, shape: &Shape) -> Result<(), Error> {
        self.reader
            .connection
            .write(
                WRITING,
                "UPDATE task SET step_id = ?3
                 WHERE gathering IN (SELECT id FROM gathering WHERE runset_id = ?1 AND step = ?2)
                   AND role = 1 AND live = 1 AND step_id <> ?3",
                (runset.id.0, shape.name.as_str(), shape.step.0),
            )
            .map(drop)
    }

    /// Members of groups that are made otherwise today.
    fn regroup(
        &mut self,
        runset: &Runset,
        shape: &Shape,
        groups: Groups,
        home: HomeOf,
    ) -> Result<(), Error> {
        let others = "SELECT id FROM gathering WHERE runset_id = ?1 AND step = ?2 AND";
        let name = shape.name.as_str();
        let groups = match groups {
            Groups::All => self.numbers(&format!("{others} owner <> 0"), (runset.id.0, name)),
            Groups::Key => self.numbers(&format!("{others} owner <> -1"), (runset.id.0, name)),
            Groups::Below(step) => self.numbers(
                &format!(
                    "{others} (owner <= 0 OR ?3 IS NOT (SELECT s.name FROM task AS o
                         JOIN step AS s ON s.id = o.step_id WHERE o.id = owner))"
                ),
                (runset.id.0, name, step.as_str()),
            ),
        }?;
        for group in groups {
            self.reopen(runset, GroupId(group))?;
            let members = self.numbers(
                "SELECT id FROM task WHERE gathering = ?1 AND role = 1 AND live = 1",
                [group],
            )?;
            for member in members {
                self.make_member(runset, shape, TaskId(member), home)?;
            }
        }
        Ok(())
    }

    /// Tasks that were never done are members.
    fn bring_together(
        &mut self,
        runset: &Runset,
        shape: &Shape,
        home: HomeOf,
    ) -> Result<(), Error> {
        let tasks: Vec<(TaskId, TaskState, i64)> = self
            .connection
            .prepare_cached(&format!(
                "SELECT id, {STATE_SQL}, coalesce(elapsed, 0) FROM task
                 WHERE processed = 0 AND live = 1 AND runset = ?1 AND step_id = ?2
                   AND role IN (0, 2)"
            ))
            .and_then(|mut query| {
                let task =
                    |row: &Row| Ok((TaskId(number(row, 0)?), state_of(row.get(1)?), row.get(2)?));
                query
                    .query_map((&runset.name, shape.step.0), task)?
                    .collect()
            })
            .during(&self.reader.layout, DOING)?;
        for (task, state, spent) in tasks {
            self.make_member(runset, shape, task, home)?;
            self.count(runset.id, shape.step, state, -1);
            self.spend(runset.id, shape.step, 0_i64.saturating_sub(spent));
        }
        Ok(())
    }

    fn make_member(
        &mut self,
        runset: &Runset,
        shape: &Shape,
        task: TaskId,
        home: HomeOf,
    ) -> Result<(), Error> {
        let home = home(&self.reader, task)?;
        let group = self.group_of(runset, shape.name, home.which())?;
        self.reader.connection.write(
            WRITING,
            "UPDATE task SET role = 1, processed = 1, error = NULL, started = NULL, elapsed = NULL,
                 worker = NULL, cpu_time = NULL, peak_memory = NULL, room = NULL, forced = 0, gathering = ?2, key = ?3
             WHERE id = ?1",
            (task.0, group.0, home.key),
        )?;
        self.reopen(runset, group).map(drop)
    }

    /// What works on nothing dies where that is not asked for.
    fn leave_nothing(&mut self, runset: &Runset, shape: &Shape) -> Result<(), Error> {
        if shape.empty {
            return Ok(());
        }
        let on_nothing = self.numbers(
            "SELECT r.id FROM gathering AS g JOIN task AS r ON r.gathering = g.id
             WHERE g.runset_id = ?1 AND g.step = ?2 AND r.role = 3 AND r.live = 1
               AND NOT EXISTS (SELECT 1 FROM task
                               WHERE gathering = g.id AND role = 1 AND live = 1)",
            (runset.id.0, shape.name.as_str()),
        )?;
        let on_nothing: Vec<TaskId> = on_nothing.into_iter().map(TaskId).collect();
        self.leave(runset, &on_nothing)
    }

    /// What a step gathered that does so no more is work for it, one by one, unless something was
    /// made of all together.
    fn part(&mut self, runset: &Runset, shape: &Shape) -> Result<(), Error> {
        let groups = self.numbers(
            "SELECT id FROM gathering WHERE runset_id = ?1 AND step = ?2",
            (runset.id.0, shape.name.as_str()),
        )?;
        for group in groups {
            let unfinished = self.numbers(
                "SELECT id FROM task WHERE gathering = ?1 AND role = 3 AND live = 1
                   AND processed = 0",
                [group],
            )?;
            let unfinished: Vec<TaskId> = unfinished.into_iter().map(TaskId).collect();
            if !unfinished.is_empty() {
                self.bury(runset, &unfinished)?;
            }
            if self.gathers(GroupId(group))?.is_some() {
                continue;
            }
            let parted = self.reader.connection.write(
                WRITING,
                "UPDATE task SET role = iif(output IS NULL, 0, 2), processed = 0, gathering = NULL, room = ?3,
                     key = iif(input_task_id IS NULL, key, NULL), step_id = ?2
                 WHERE gathering = ?1 AND role = 1 AND live = 1",
                (group, shape.step.0, ROOM),
            )?;
            let parted = i64::try_from(parted).unwrap_or(i64::MAX);
            self.count(runset.id, shape.step, TaskState::Pending, parted);
        }
        Ok(())
    }

    fn numbers(&self, sql: &str, which: impl rusqlite::Params) -> Result<Vec<i64>, Error> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut query| query.query_map(which, |row| number(row, 0))?.collect())
            .during(&self.reader.layout, DOING)
    }
}
