//! What was not found where the rows of one moment have it, once more: a run, an eviction or `gc` went on since.

use super::judge::Trouble;
use super::needs::{Needs, together};
use super::objects::look_for;
use super::{Db, Error, How};
use crate::store::Depth;

/// What an object that is still needed and not there is.
#[derive(Debug)]
pub(super) enum Absent {
    /// Its bytes were dropped, as they can be made again.
    Evicted,
    /// Not as it should be.
    Trouble(Trouble),
}

/// Looks for those of them that are among `levels`, which is what rows need by now.
pub(super) fn look(
    absent: &Needs,
    levels: &[Needs; 3],
    db: Db,
    how: How,
    tell: &mut dyn FnMut(Absent) -> Result<(), Error>,
) -> Result<(), Error> {
    // Whoever judges asks what is there, too.
    db.store.set_evicted(db.state.evicted()?);
    let depth = Depth {
        quick: how.quick,
        read: &how.progress.read,
        stop: how.stop,
    };
    for first in 0..=u8::MAX {
        let wanted = absent.of(first)?;
        if wanted.is_empty() {
            continue;
        }
        let needs = together(levels, first)?;
        for one in wanted {
            let Ok(at) = needs.binary_search_by_key(&one.object, |need| need.object) else {
                continue;
            };
            // Bytes are there before they no longer count as dropped, and count as dropped before they go.
            let found = look_for(db.store, &needs[at], &depth);
            if found.is_none() {
                continue;
            }
            if db.state.is_evicted(&one.object)? {
                tell(Absent::Evicted)?;
            } else if let Some(trouble) = look_for(db.store, &needs[at], &depth) {
                tell(Absent::Trouble(trouble))?;
            }
        }
    }
    Ok(())
}
