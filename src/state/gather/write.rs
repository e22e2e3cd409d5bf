//! Adds groups, members and the tasks that work on them.

use rusqlite::OptionalExtension as _;

use super::super::cell::number;
use super::super::record::ROOM;
use super::super::{Buried, Context as _, Error, Runset, State, StepId};
use super::{DOING, GroupId, NewGather, NewMember};
use crate::model::digest::Digest;
use crate::model::gather::Which;
use crate::model::list::Form;
use crate::model::name::StepName;
use crate::model::task::{TaskId, TaskState};

const WRITING: &str = "write what is gathered";

impl State {
    /// That group of a step. Made, if it is not there.
    pub(crate) fn group_of(
        &mut self,
        runset: &Runset,
        step: &StepName,
        which: Which,
    ) -> Result<GroupId, Error> {
        if let Some(group) = self.find_group(runset, step, which)? {
            return Ok(group);
        }
        self.reader.connection.write(
            WRITING,
            "INSERT INTO gathering (runset_id, step, owner, key) VALUES (?1, ?2, ?3, ?4)",
            (runset.id.0, step.as_str(), which.owner, which.key),
        )?;
        Ok(GroupId(self.reader.connection.last_insert_rowid()))
    }

    /// Adds a member. What worked on the group without it is dead, with all that was made of it;
    /// what became of these.
    pub(crate) fn add_member(
        &mut self,
        runset: &Runset,
        member: &NewMember,
    ) -> Result<(TaskId, Buried), Error> {
        self.reader.connection.write(
            WRITING,
            "INSERT INTO task (object_hash, step_id, input_task_id, processed, runset, name, role,
                 gathering, key, output, kind)
             VALUES (?1, ?2, ?3, 1, ?4, ?5, 1, ?6, ?7, ?8, ?9)",
            (
                &*member.object.hex(),
                member.step.0,
                member.parent.0,
                &runset.name,
                member.name,
                member.group.0,
                member.key,
                member.output.map(|output| output.0),
                member.form.number(),
            ),
        )?;
        let task = TaskId(self.reader.connection.last_insert_rowid());
        let dead = self.reopen(runset, member.group)?;
        Ok((task, dead))
    }

    /// The group has changed: what worked on it is dead.
    pub(in crate::state) fn reopen(
        &mut self,
        runset: &Runset,
        group: GroupId,
    ) -> Result<Buried, Error> {
        match self.gathers(group)? {
            Some(task) => self.bury(runset, &[task]),
            None => Ok(Buried::default()),
        }
    }

    /// Has the next task of each group of a step execute in any case, where there is none at the moment.
    /// How many groups.
    pub(crate) fn force_groups(
        &mut self,
        runset: &Runset,
        name: &StepName,
        step: StepId,
    ) -> Result<usize, Error> {
        // A row that never lives, which the next one takes the place of.
        self.reader.connection.write(
            WRITING,
            "INSERT INTO task (object_hash, kind, step_id, runset, role, gathering, key, supersedes,
                 forced, live)
             SELECT coalesce((SELECT object_hash FROM task WHERE id = g.last), ?5), ?4, ?3,
                 ?6, 3, g.id, g.key, g.last, 1, 0
             FROM (SELECT id, key, (SELECT max(id) FROM task WHERE gathering = gathering.id AND role = 3)
                     AS last
                 FROM gathering WHERE runset_id = ?1 AND step = ?2 AND owner > -2) AS g
             WHERE EXISTS (SELECT 1 FROM task WHERE gathering = g.id AND role = 1 AND live = 1)
               AND NOT EXISTS (SELECT 1 FROM task
                               WHERE gathering = g.id AND role = 3 AND (live = 1 OR id = g.last
                                   AND forced AND NOT processed))",
            (
                runset.id.0,
                name.as_str(),
                step.0,
                Form::List.number(),
                &*Digest::EMPTY.hex(),
                &runset.name,
            ),
        )
    }

    /// Adds the task that works on a group as it is now; whether it is to execute in any case, as one
    /// was asked to that the group had before, and never did.
    pub(crate) fn add_gather(
        &mut self,
        runset: &Runset,
        gather: &NewGather,
    ) -> Result<(TaskId, bool), Error> {
        let before: Option<(i64, bool)> = self
            .connection
            .prepare_cached(
                "SELECT id, forced AND NOT processed FROM task
                 WHERE gathering = ?1 AND role = 3 ORDER BY id DESC LIMIT 1",
            )
            .and_then(|mut query| {
                let before = query.query_row([gather.group.id.0], |row| {
                    Ok((number(row, 0)?, row.get(1)?))
                });
                before.optional()
            })
            .during(&self.reader.layout, DOING)?;
        let forced = before.is_some_and(|(_, forced)| forced);
        self.reader.connection.write(
            WRITING,
            "INSERT INTO task (object_hash, kind, step_id, runset, role, gathering, key, supersedes,
                 forced, room)
             VALUES (?1, ?2, ?3, ?4, 3, ?5, ?6, ?8, ?9, ?7)",
            (
                &*gather.list.hex(),
                Form::List.number(),
                gather.step.0,
                &runset.name,
                gather.group.id.0,
                &*gather.group.key,
                ROOM,
                before.map(|(task, _)| task),
                forced,
            ),
        )?;
        let task = TaskId(self.reader.connection.last_insert_rowid());
        self.count(runset.id, gather.step, TaskState::Pending, 1);
        Ok((task, forced))
    }
}
