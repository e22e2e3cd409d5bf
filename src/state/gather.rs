//! What steps gather: members, groups of them, and the tasks that work on these.

mod write;

use rusqlite::{OptionalExtension, Row};

use super::cell::{count, digest, form, located, number, role};
use super::lineage::PARENT;
use super::{Context, Error, Reader, Runset, StepId};
use crate::model::digest::Digest;
use crate::model::gather::{Role, Which};
use crate::model::list::Form;
use crate::model::name::StepName;
use crate::model::task::TaskId;

/// The row of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct GroupId(pub i64);

/// Members that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// Its row.
    pub id: GroupId,
    /// The key that its members have; empty where a step gathers everything.
    pub key: Box<str>,
    /// The task whose descendants its members are, if that is what makes it a group.
    pub owner: Option<TaskId>,
}

/// An output that is gathered, or anything else that came to a step that gathers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewMember<'a> {
    /// Its bytes.
    pub object: Digest,
    /// What that is.
    pub form: Form,
    /// The version of the step that gathers it.
    pub step: StepId,
    /// The group.
    pub group: GroupId,
    /// The task that left it.
    pub parent: TaskId,
    /// Under which name.
    pub name: &'a str,
    /// Its key.
    pub key: &'a str,
    /// The output's own row, if it has another one.
    pub output: Option<TaskId>,
}

/// A task that works on what was gathered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewGather<'a> {
    /// The list.
    pub list: Digest,
    /// The version of the step.
    pub step: StepId,
    /// What it works on.
    pub group: &'a Group,
}

/// What a step has gathered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Gathered {
    /// Groups with members, or with a task although they have none.
    pub groups: u64,
    /// Those with a task.
    pub complete: u64,
    /// Members.
    pub members: u64,
}

/// Rows of the same step and with the same task above them that are to be done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unfinished {
    /// One of them.
    pub one: TaskId,
    /// Their step version.
    pub step: StepId,
    /// What is above them.
    pub parent: Option<TaskId>,
    /// How many.
    pub count: u64,
    /// How many of these failed at the last try.
    pub failed: u64,
    /// What they stand for.
    pub role: Role,
}

impl Unfinished {
    /// Whether step, the task above, and what they stand for are the same.
    fn is_beside(&self, other: &Self) -> bool {
        (self.step, self.parent, self.role) == (other.step, other.parent, other.role)
    }
}

pub(super) const DOING: &str = "read what is gathered";

impl Reader {
    /// Whether anything was ever gathered in the runset.
    pub(crate) fn has_gathered(&self, runset: &Runset) -> Result<bool, Error> {
        self.connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM gathering WHERE runset_id = ?1)")
            .and_then(|mut query| query.query_row([runset.id.0], |row| row.get(0)))
            .during(&self.layout, DOING)
    }

    /// The group, if anything ever came to it.
    pub(crate) fn find_group(
        &self,
        runset: &Runset,
        step: &StepName,
        which: Which,
    ) -> Result<Option<GroupId>, Error> {
        let named = (runset.id.0, step.as_str(), which.owner);
        let group = |row: &Row| row.get(0).map(GroupId);
        // In one question the index would not be used to its end: among many keys that takes long.
        if which.owner > 0 {
            self.connection
                .prepare_cached(
                    "SELECT id FROM gathering
                     WHERE runset_id = ?1 AND step = ?2 AND owner = ?3 LIMIT 1",
                )
                .and_then(|mut query| query.query_row(named, group).optional())
        } else {
            let (runset, step, owner) = named;
            self.connection
                .prepare_cached(
                    "SELECT id FROM gathering
                     WHERE runset_id = ?1 AND step = ?2 AND owner = ?3 AND key = ?4 LIMIT 1",
                )
                .and_then(|mut query| {
                    let named = (runset, step, owner, which.key);
                    query.query_row(named, group).optional()
                })
        }
        .during(&self.layout, DOING)
    }

    /// At most `most` groups of a step that have members and no task that works on them, by their keys,
    /// behind that one; which all have what it takes to be one of `which`, but for the key.
    pub(crate) fn open_groups(
        &self,
        runset: &Runset,
        step: &StepName,
        (which, after): (Which, Option<&Group>),
        most: usize,
    ) -> Result<Vec<Group>, Error> {
        let (key, id) = after.map_or(("", -1), |after| (&*after.key, after.id.0));
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.connection
            .prepare_cached(
                "SELECT id, key FROM gathering AS g
                 WHERE runset_id = ?1 AND step = ?2 AND owner = ?3 AND (key, id) > (?4, ?5)
                   AND NOT EXISTS (SELECT 1 FROM task
                                   WHERE gathering = g.id AND role = 3 AND live = 1)
                   AND EXISTS (SELECT 1 FROM task WHERE gathering = g.id AND role = 1 AND live = 1)
                 ORDER BY key, id LIMIT ?6",
            )
            .and_then(|mut query| {
                let group = |row: &Row| {
                    let key: String = row.get(1)?;
                    Ok(Group {
                        id: GroupId(number(row, 0)?),
                        key: key.into(),
                        owner: None,
                    })
                };
                let of = (runset.id.0, step.as_str(), which.owner, key, id, most);
                query.query_map(of, group)?.collect()
            })
            .during(&self.layout, DOING)
    }

    /// The tasks whose descendants a step gathers, has some of, and has no task for.
    pub(crate) fn owners_of_open_groups(
        &self,
        runset: &Runset,
        step: &StepName,
    ) -> Result<Vec<TaskId>, Error> {
        self.connection
            .prepare_cached(
                "SELECT owner FROM gathering AS g
                 WHERE runset_id = ?1 AND step = ?2 AND owner > 0
                   AND NOT EXISTS (SELECT 1 FROM task
                                   WHERE gathering = g.id AND role = 3 AND live = 1)
                   AND EXISTS (SELECT 1 FROM task WHERE gathering = g.id AND role = 1 AND live = 1)
                 ORDER BY owner",
            )
            .and_then(|mut query| {
                let owner = |row: &Row| number(row, 0).map(TaskId);
                let of = (runset.id.0, step.as_str());
                query.query_map(of, owner)?.collect()
            })
            .during(&self.layout, DOING)
    }

    /// The finished live tasks of a step whose descendants another one gathers, and no task of that one
    /// works on these.
    pub(crate) fn without_group(
        &self,
        runset: &Runset,
        owner: &StepName,
        step: &StepName,
    ) -> Result<Vec<TaskId>, Error> {
        self.connection
            .prepare_cached(
                "SELECT t.id FROM step AS s JOIN task AS t ON t.step_id = s.id AND t.step_id IS NOT NULL
                 WHERE s.name = ?2 AND t.runset = ?1 AND t.live = 1 AND t.processed = 1 AND t.role <> 1
                   AND NOT EXISTS (SELECT 1 FROM gathering AS g JOIN task AS r ON r.gathering = g.id
                       WHERE g.owner = t.id AND g.owner > 0 AND g.step = ?3 AND r.role = 3 AND r.live = 1)",
            )
            .and_then(|mut query| {
                let which = (&runset.name, owner.as_str(), step.as_str());
                query
                    .query_map(which, |row| number(row, 0).map(TaskId))?
                    .collect()
            })
            .during(&self.layout, DOING)
    }

    /// Whether anything live came to a group.
    pub(crate) fn has_members(&self, group: GroupId) -> Result<bool, Error> {
        self.connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM task WHERE gathering = ?1 AND role = 1 AND live = 1)",
            )
            .and_then(|mut query| query.query_row([group.0], |row| row.get(0)))
            .during(&self.layout, DOING)
    }

    /// How much came to a step and belongs to no group.
    pub(crate) fn astray_of(&self, runset: &Runset, step: &StepName) -> Result<u64, Error> {
        self.connection
            .prepare_cached(
                "SELECT count(*) FROM gathering AS g JOIN task AS m ON m.gathering = g.id
                 WHERE g.runset_id = ?1 AND g.step = ?2 AND g.owner = ?3 AND m.role = 1 AND m.live = 1",
            )
            .and_then(|mut query| {
                let which = (runset.id.0, step.as_str(), Which::ASTRAY.owner);
                query.query_row(which, |row| natural(row, 0))
            })
            .during(&self.layout, DOING)
    }

    /// The live task that works on a group.
    pub(crate) fn gathers(&self, group: GroupId) -> Result<Option<TaskId>, Error> {
        self.connection
            .prepare_cached("SELECT id FROM task WHERE gathering = ?1 AND role = 3 AND live = 1")
            .and_then(|mut query| {
                let task = query.query_row([group.0], |row| number(row, 0).map(TaskId));
                task.optional()
            })
            .during(&self.layout, DOING)
    }

    /// The groups whose tasks are to be done, and what these work on.
    pub(crate) fn unfinished_lists(
        &self,
        runset: &Runset,
    ) -> Result<Vec<(GroupId, Digest)>, Error> {
        self.connection
            .prepare_cached(
                "SELECT id, gathering, object_hash FROM task
                 WHERE processed = 0 AND live = 1 AND runset = ?1 AND role = 3",
            )
            .and_then(|mut query| {
                let list = |row: &Row| {
                    located("task", row, |row| {
                        Ok((GroupId(number(row, 1)?), digest(row, 2)?))
                    })
                };
                query.query_map([&runset.name], list)?.collect()
            })
            .during(&self.layout, DOING)
    }

    /// The live task that works on the group of this member.
    pub(crate) fn gathered_by(&self, member: TaskId) -> Result<Option<TaskId>, Error> {
        self.connection
            .prepare_cached(
                "SELECT g.id FROM task AS m JOIN task AS g ON g.gathering = m.gathering AND g.role = 3
                 WHERE m.id = ?1 AND m.role = 1 AND g.live = 1",
            )
            .and_then(|mut query| {
                let task = query.query_row([member.0], |row| number(row, 0).map(TaskId));
                task.optional()
            })
            .during(&self.layout, DOING)
    }

    /// The live members that this task works on, oldest first; at most `most`.
    pub(crate) fn gathered_in(&self, task: TaskId, most: usize) -> Result<Vec<TaskId>, Error> {
        self.connection
            .prepare_cached(
                "SELECT m.id FROM task AS g JOIN task AS m ON m.gathering = g.gathering AND m.role = 1
                 WHERE g.id = ?1 AND g.role = 3 AND m.live = 1 ORDER BY m.id LIMIT ?2",
            )
            .and_then(|mut query| {
                let most = i64::try_from(most).unwrap_or(i64::MAX);
                query
                    .query_map((task.0, most), |row| number(row, 0).map(TaskId))?
                    .collect()
            })
            .during(&self.layout, DOING)
    }

    /// Calls `each` with the live members that this task works on, what they are, and what left them.
    pub(crate) fn each_gathered(
        &self,
        task: TaskId,
        mut each: impl FnMut(Digest, Form, Option<TaskId>),
    ) -> Result<(), Error> {
        let mut query = self
            .connection
            .prepare_cached(
                "SELECT m.id, m.object_hash, m.input_task_id, m.kind FROM task AS g
                 JOIN task AS m ON m.gathering = g.gathering AND m.role = 1
                 WHERE g.id = ?1 AND g.role = 3 AND m.live = 1",
            )
            .during(&self.layout, DOING)?;
        let mut rows = query.query([task.0]).during(&self.layout, DOING)?;
        while let Some(row) = rows.next().during(&self.layout, DOING)? {
            let member = |row: &Row| {
                let maker = row.get::<_, Option<i64>>(2)?.map(TaskId);
                Ok((digest(row, 1)?, form(row, 3)?, maker))
            };
            let (object, form, maker) = located("task", row, member).during(&self.layout, DOING)?;
            each(object, form, maker);
        }
        Ok(())
    }

    /// How many live members the group of a task has.
    pub(crate) fn members_of(&self, task: TaskId) -> Result<u64, Error> {
        self.connection
            .prepare_cached(
                "SELECT count(*) FROM task AS g JOIN task AS m ON m.gathering = g.gathering
                 WHERE g.id = ?1 AND g.role = 3 AND m.role = 1 AND m.live = 1",
            )
            .and_then(|mut query| query.query_row([task.0], |row| natural(row, 0)))
            .during(&self.layout, DOING)
    }

    /// What a step has gathered in the runset.
    pub(crate) fn gathered(&self, runset: &Runset, step: &StepName) -> Result<Gathered, Error> {
        self.connection
            .prepare_cached(
                "SELECT coalesce(sum(members > 0 OR tasks > 0), 0), coalesce(sum(tasks > 0), 0),
                     coalesce(sum(members), 0)
                 FROM (SELECT
                     (SELECT count(*) FROM task WHERE gathering = g.id AND role = 1 AND live = 1)
                         AS members,
                     (SELECT count(*) FROM task WHERE gathering = g.id AND role = 3 AND live = 1)
                         AS tasks
                     FROM gathering AS g WHERE runset_id = ?1 AND step = ?2 AND owner > -2)",
            )
            .and_then(|mut query| {
                query.query_row((runset.id.0, step.as_str()), |row| {
                    Ok(Gathered {
                        groups: natural(row, 0)?,
                        complete: natural(row, 1)?,
                        members: natural(row, 2)?,
                    })
                })
            })
            .during(&self.layout, DOING)
    }

    /// The tasks that left what this one gathered, each once.
    pub(crate) fn makers_of_members(&self, task: TaskId) -> Result<Vec<TaskId>, Error> {
        self.connection
            .prepare_cached(
                "SELECT DISTINCT m.input_task_id FROM task AS g
                 JOIN task AS m ON m.gathering = g.gathering AND m.role = 1
                 WHERE g.id = ?1 AND m.live = 1 AND m.input_task_id IS NOT NULL",
            )
            .and_then(|mut query| {
                query
                    .query_map([task.0], |row| number(row, 0).map(TaskId))?
                    .collect()
            })
            .during(&self.layout, DOING)
    }

    /// How many tasks of a step version are to be done in the runset.
    pub(crate) fn unfinished_of(&self, runset: &Runset, step: StepId) -> Result<u64, Error> {
        self.connection
            .prepare_cached(
                "SELECT count(*) FROM task
                 WHERE processed = 0 AND live = 1 AND runset = ?1 AND step_id = ?2",
            )
            .and_then(|mut query| query.query_row((&runset.name, step.0), |row| natural(row, 0)))
            .during(&self.layout, DOING)
    }

    /// Calls `each` with what is to be done in the runset: rows of the same step and with the same task
    /// above them together, as far as they are one behind the other.
    pub(crate) fn each_unfinished(
        &self,
        runset: &Runset,
        mut each: impl FnMut(Unfinished) -> Result<(), Error>,
    ) -> Result<(), Error> {
        // In the order of the index: what is sorted or grouped is in memory.
        let sql = format!(
            "SELECT id, step_id, {PARENT}, error IS NOT NULL, role FROM task
             WHERE processed = 0 AND live = 1 AND runset = ?1 AND step_id IS NOT NULL"
        );
        let query = self.connection.prepare_cached(&sql);
        let mut query = query.during(&self.layout, DOING)?;
        let mut rows = query.query([&runset.name]).during(&self.layout, DOING)?;
        let mut last: Option<Unfinished> = None;
        while let Some(row) = rows.next().during(&self.layout, DOING)? {
            let one = located("task", row, |row| {
                Ok(Unfinished {
                    one: TaskId(number(row, 0)?),
                    step: StepId(row.get(1)?),
                    parent: row.get::<_, Option<i64>>(2)?.map(TaskId),
                    count: 1,
                    failed: u64::from(row.get::<_, bool>(3)?),
                    role: role(row, 4)?,
                })
            });
            let one = one.during(&self.layout, DOING)?;
            match &mut last {
                Some(last) if last.is_beside(&one) => {
                    last.count += 1;
                    last.failed += one.failed;
                }
                _ => last.replace(one).map_or(Ok(()), &mut each)?,
            }
        }
        last.map_or(Ok(()), each)
    }

    /// How many finished tasks of these step versions work on what no step gathered, although it does
    /// so now.
    pub(crate) fn not_gathered(&self, runset: &Runset, steps: &[StepId]) -> Result<u64, Error> {
        let mut count = 0;
        for step in steps {
            let of_step: u64 = self
                .connection
                .prepare_cached(
                    "SELECT count(*) FROM task WHERE step_id = ?1 AND step_id IS NOT NULL
                       AND runset = ?2 AND live = 1 AND processed = 1 AND role IN (0, 2)",
                )
                .and_then(|mut query| {
                    query.query_row((step.0, &runset.name), |row| natural(row, 0))
                })
                .during(&self.layout, DOING)?;
            count += of_step;
        }
        Ok(count)
    }
}

pub(super) fn natural(row: &Row, column: usize) -> rusqlite::Result<u64> {
    Ok(count(row, column)?.unsigned_abs())
}
