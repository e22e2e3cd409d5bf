//! What belongs to a group.

use rusqlite::Row;

use super::cell::{digest, file_name, form, located};
use super::gather::DOING;
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

    /// Calls `each` with the name and the key of all members of a group, and with what they are.
    pub(crate) fn each_member(
        &self,
        group: GroupId,
        mut each: impl FnMut(&str, &str, Digest, Form),
    ) -> Result<(), Error> {
        let mut query = self
            .connection
            .prepare_cached(
                "SELECT id, name, key, object_hash, kind FROM task
                 WHERE gathering = ?1 AND role = 1 AND live = 1",
            )
            .during(&self.layout, DOING)?;
        let mut rows = query.query([group.0]).during(&self.layout, DOING)?;
        while let Some(row) = rows.next().during(&self.layout, DOING)? {
            let member = |row: &Row| {
                let key: Option<String> = row.get(2)?;
                each(
                    file_name(row, 1)?.as_deref().unwrap_or_default(),
                    key.as_deref().unwrap_or_default(),
                    digest(row, 3)?,
                    form(row, 4)?,
                );
                Ok(())
            };
            located("task", row, member).during(&self.layout, DOING)?;
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
}

fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}
