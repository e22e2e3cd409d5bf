//! What belongs to a group.

use rusqlite::Row;

use super::cell::{digest, file_name, form, located};
use super::gather::{DOING, natural};
use super::{Context, Error, GroupId, Reader};
use crate::model::digest::Digest;
use crate::model::list::{Form, Member};
use crate::model::task::TaskId;

impl Reader {
    /// The members of a group, with their names and keys; at most `most`.
    pub(crate) fn members(&self, group: GroupId, most: usize) -> Result<Vec<Member>, Error> {
        self.connection
            .prepare_cached(
                "SELECT id, name, key, object_hash, kind FROM task
                 WHERE gathering = ?1 AND role = 1 AND live = 1 LIMIT ?2",
            )
            .and_then(|mut query| {
                let member = |row: &Row| {
                    located("task", row, |row| {
                        let key: Option<String> = row.get(2)?;
                        Ok(Member {
                            name: file_name(row, 1)?.map_or_else(Box::default, Into::into),
                            key: key.unwrap_or_default().into(),
                            digest: digest(row, 3)?,
                            form: form(row, 4)?,
                        })
                    })
                };
                query.query_map((group.0, limit(most)), member)?.collect()
            })
            .during(&self.layout, DOING)
    }

    /// Calls `each` with the members whose names are behind `after`, in the order of these; at most
    /// `most`, which are in memory together.
    pub(crate) fn each_member_after(
        &self,
        group: GroupId,
        after: &str,
        most: usize,
        mut each: impl FnMut(&str, Digest, Form),
    ) -> Result<(), Error> {
        let mut query = self
            .connection
            .prepare_cached(
                "SELECT id, name, object_hash, kind FROM task
                 WHERE gathering = ?1 AND role = 1 AND live = 1 AND name > ?2
                 ORDER BY name LIMIT ?3",
            )
            .during(&self.layout, DOING)?;
        let rows = query.query((group.0, after, limit(most)));
        let mut rows = rows.during(&self.layout, DOING)?;
        while let Some(row) = rows.next().during(&self.layout, DOING)? {
            let member = |row: &Row| Ok((file_name(row, 1)?, digest(row, 2)?, form(row, 3)?));
            let (name, object, form) = located("task", row, member).during(&self.layout, DOING)?;
            each(name.as_deref().unwrap_or_default(), object, form);
        }
        Ok(())
    }

    /// The group that the task works on, or belongs to.
    pub(crate) fn group_of_task(&self, task: TaskId) -> Result<Option<GroupId>, Error> {
        self.connection
            .prepare_cached("SELECT gathering FROM task WHERE id = ?1")
            .and_then(|mut query| {
                let group = |row: &Row| Ok(row.get::<_, Option<i64>>(0)?.map(GroupId));
                query.query_row([task.0], group)
            })
            .during(&self.layout, DOING)
    }

    /// How many members a group has.
    pub(crate) fn members_in(&self, group: GroupId) -> Result<u64, Error> {
        self.connection
            .prepare_cached(
                "SELECT count(*) FROM task WHERE gathering = ?1 AND role = 1 AND live = 1",
            )
            .and_then(|mut query| query.query_row([group.0], |row| natural(row, 0)))
            .during(&self.layout, DOING)
    }
}

fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}
