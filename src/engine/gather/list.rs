//! The lists that tasks on what was gathered work on, and of what tasks get besides.

use super::super::{Error, Scheduler};
use crate::engine::key::key_of;
use crate::model::digest::Digest;
use crate::model::list;
use crate::model::name::StepName;
use crate::model::route::Router;
use crate::model::task::TaskId;
use crate::state::{GroupId, Reader, Runset};
use crate::store::{Gathered, Store, TreeWriter};

/// Members of a group that are held in memory, if it has no more.
const MANY: usize = if cfg!(test) { 2 } else { 16 << 10 };

impl Scheduler<'_> {
    /// The list of a group's members, as an object in the store, and how many there are.
    pub(in crate::engine) fn list_of(&mut self, group: GroupId) -> Result<(Digest, u64), Error> {
        list_of(self.state, Some(self.store), group)
    }
}

/// The list of a group's members, as an object in the store, if it is to be in one; and how many there are.
pub(crate) fn list_of(
    state: &Reader,
    store: Option<&Store>,
    group: GroupId,
) -> Result<(Digest, u64), Error> {
    let members = state.members(group, MANY + 1)?;
    if members.len() > MANY {
        drop(members);
        return list_of_many(state, store, group);
    }
    let count = members.len() as u64;
    let list = list::of(members);
    let list = match store {
        Some(store) => store.insert_bytes(list.as_bytes())?,
        None => Digest::of(list.as_bytes()),
    };
    Ok((list, count))
}

fn list_of_many(
    state: &Reader,
    store: Option<&Store>,
    group: GroupId,
) -> Result<(Digest, u64), Error> {
    let mut gathered = Gathered::for_list_in(store);
    let mut added = Ok(());
    state.each_member(group, |name, key, digest, form| {
        if added.is_ok() {
            added = gathered.add(name, key.as_bytes(), &digest, form);
        }
    })?;
    added?;
    let count = gathered.count();
    let mut list = TreeWriter::kept_in(store);
    let key = |key: &[u8]| Ok(String::from_utf8_lossy(key).into());
    gathered.named(key, |kind, digest, name| -> Result<(), Error> {
        Ok(list.add(kind, digest, name)?)
    })?;
    Ok((list.end()?, count))
}

/// The list that [`super::context`] gives, as an object in the store, if it is to be in one.
pub(crate) fn list_given(
    state: &Reader,
    router: &Router,
    runset: &Runset,
    with: &[StepName],
    store: Option<&Store>,
) -> Result<Digest, Error> {
    let mut steps: Vec<(String, &StepName)> = with
        .iter()
        .map(|step| (format!("{}/", step.as_str()), step))
        .collect();
    // Nothing of one step is between what is of another one.
    steps.sort_unstable();
    let mut list = TreeWriter::kept_in(store);
    for (mut path, step) in steps {
        let mut gathered = Gathered::for_list_in(store);
        let mut added = Ok(());
        state.each_output_of(runset, step, |output| {
            if added.is_ok() {
                let maker = output.parent.0.to_be_bytes();
                added = gathered.add(&output.name, &maker, &output.object, output.form);
            }
        })?;
        added?;
        let key = |maker: &[u8]| -> Result<Box<str>, Error> {
            let maker = maker.try_into().map_or(0, i64::from_be_bytes);
            Ok(key_of(state, router, TaskId(maker))?.into())
        };
        let folder = path.len();
        gathered.named(key, |kind, digest, name| {
            path.truncate(folder);
            path.push_str(name);
            Ok(list.add(kind, digest, &path)?)
        })?;
    }
    Ok(list.end()?)
}
