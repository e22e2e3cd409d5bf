//! The lists that tasks on what was gathered work on.

use super::super::{Error, Scheduler};
use crate::model::digest::Digest;
use crate::model::list;
use crate::state::{GroupId, Reader};
use crate::store::{Store, TreeWriter};

/// Members of a group that are held in memory, if it has no more.
const MANY: usize = if cfg!(test) { 2 } else { 16 << 10 };
/// Members of a larger one that are sorted at once.
const AT_ONCE: usize = if cfg!(test) { 2 } else { 64 << 10 };

impl Scheduler<'_> {
    /// The list of a group's members, as an object in the store, and how many there are.
    pub(super) fn list_of(&mut self, group: GroupId) -> Result<(Digest, u64), Error> {
        list_of(self.state, self.store, group)
    }
}

/// The list of a group's members, as an object in the store, and how many there are.
pub(crate) fn list_of(
    state: &Reader,
    store: &Store,
    group: GroupId,
) -> Result<(Digest, u64), Error> {
    let mut members = state.members(group, MANY + 1)?;
    if members.len() > MANY {
        drop(members);
        if let Some(written) = write_list(state, store, group)? {
            return Ok(written);
        }
        members = state.members(group, usize::MAX)?;
    }
    let count = members.len() as u64;
    let list = store.insert_bytes(list::of(members).as_bytes());
    Ok((list.map_err(Error::List)?, count))
}

/// The same piece by piece, in the order of their names; none if some have the same, and get others.
fn write_list(
    state: &Reader,
    store: &Store,
    group: GroupId,
) -> Result<Option<(Digest, u64)>, Error> {
    let mut list = TreeWriter::new(store);
    let (mut behind, mut count) = (String::new(), 0);
    loop {
        let (before, mut differ, mut wrote) = (count, true, Ok(()));
        let after = behind.clone();
        state.each_member_after(group, &after, AT_ONCE, |name, digest, form| {
            differ = differ && name > behind.as_str();
            if differ && wrote.is_ok() {
                wrote = list.add(form.in_list(), &digest, name);
                count += 1;
                behind.clear();
                behind.push_str(name);
            }
        })?;
        wrote.map_err(Error::List)?;
        if !differ {
            return Ok(None);
        }
        if count == before {
            break;
        }
    }
    // One of the name that ended a piece was passed over, and so were those without a name.
    if state.members_in(group)? != count {
        return Ok(None);
    }
    Ok(Some((list.end().map_err(Error::List)?, count)))
}
