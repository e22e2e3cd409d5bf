//! Bytes of objects that can be made again go; all that is known of them stays.
//!
//! What a task left can be made again for certain if its step would do just the same today, and what it worked on is there
//! or can be made again in turn. Where anything else needs the same bytes, they stay.
//!
//! Whoever calls this is the only one who writes to the db folder: no run is at work, or it holds still, and says what it
//! needs besides that which rows name.

mod finder;
mod why;

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::model::digest::Digest;
use crate::model::name::StepName;
use crate::state::{self, State, StepId};
use crate::store::{self, Amount};
use finder::find;
pub(crate) use why::Why;

/// What is to go of what can.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wish {
    /// What these steps left; none for all of them.
    pub steps: Option<HashSet<StepName>>,
    /// What tasks of the runset of that name left; none for all of them.
    pub runset: Option<String>,
    /// No more than it takes for the objects to need no more bytes than that, the largest first.
    pub size: Option<u64>,
    /// These stay, and all that they name if they are lists: a run needs them.
    pub needed: Vec<Digest>,
}

/// The versions of steps that would leave the same for the same input if they ran today.
pub(crate) type Steady = HashMap<StepId, StepName>;

/// A failure to drop bytes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Of the database.
    #[error(transparent)]
    State(#[from] state::Error),
    /// Of the objects.
    #[error("nothing is dropped: {0}")]
    Store(#[from] store::Error),
}

/// What went, or would go.
#[derive(Debug, Default)]
pub(crate) struct Evicted {
    /// By the step that left it.
    pub steps: BTreeMap<StepName, Amount>,
    /// All of it.
    pub all: Amount,
    /// What the objects take that stay.
    pub stays: Amount,
    /// Why, of what of that is known.
    pub why: BTreeMap<Why, Amount>,
    /// Objects that could not be removed.
    pub left: u64,
    /// Why the first of these could not be.
    pub error: Option<store::Error>,
    /// Whether the objects still take more than was wished for.
    pub too_large: bool,
}

impl Evicted {
    /// Drops the bytes of these, or only counts them.
    fn drop_some(
        &mut self,
        state: &mut State,
        store: &store::Reader,
        steady: &Steady,
        some: &[Dropped],
        dry: bool,
    ) -> Result<(), Error> {
        if !dry && !some.is_empty() {
            state.put_evicted(some.iter().map(|one| (one.object, one.size)))?;
            store.set_evicted(state.evicted()?);
        }
        for one in some {
            match store.drop_bytes(&one.object, dry) {
                Ok(()) => {
                    let amount = one.amount();
                    self.all += amount;
                    if let Some(step) = steady.get(&one.step) {
                        *self.steps.entry(step.clone()).or_default() += amount;
                    }
                }
                Err(error) => {
                    self.left += 1;
                    self.error.get_or_insert(error);
                }
            }
        }
        Ok(())
    }
}

/// Objects whose bytes are dropped first where there is little room.
const LITTLE: usize = 64;

/// Rows for whose objects there is memory at a time.
const PIECE: u64 = 200_000;

/// Drops what is wished for, or only says what would be dropped.
pub(crate) fn evict(
    state: &mut State,
    store: &store::Reader,
    steady: &Steady,
    wish: &Wish,
    dry: bool,
) -> Result<Evicted, Error> {
    evict_in_pieces(state, store, steady, wish, dry, None)
}

/// The same, with all rows read so many times, each time for a part of the objects; none: as many as there are.
fn evict_in_pieces(
    state: &mut State,
    store: &store::Reader,
    steady: &Steady,
    wish: &Wish,
    dry: bool,
    pieces: Option<u64>,
) -> Result<Evicted, Error> {
    let mut steady = steady.clone();
    for version in state.unsteady()? {
        // Whatever has the same fingerprint has the same name, and no other version is steady.
        if let Some(name) = steady.remove(&version) {
            steady.retain(|_, other| *other != name);
        }
    }
    let pieces = pieces.unwrap_or(1 + state.count_rows()? / PIECE);
    let (mut all, mut why) = (Vec::new(), BTreeMap::new());
    for piece in 0..pieces {
        let (goes, stays) = find(state, store, &steady, wish, (piece, pieces))?;
        all.extend(goes);
        why::add(&mut why, stays);
    }
    let mut evicted = Evicted {
        stays: store.taken()?,
        why,
        ..Evicted::default()
    };
    if let Some(most) = wish.size {
        all.sort_unstable_by_key(|one| (std::cmp::Reverse(one.taken), one.object));
        let mut left = evicted.stays.bytes;
        let mut enough = |one: &Dropped| {
            let takes = left > most;
            left = left.saturating_sub(if takes { one.taken } else { 0 });
            if !takes {
                why::add(&mut evicted.why, [(Why::Fits, one.amount())].into());
            }
            takes
        };
        all.retain(&mut enough);
        evicted.too_large = left > most;
    }
    if state.has_little_room() && !dry {
        // To record those that follow takes some of the room of those that went.
        all.sort_unstable_by_key(|one| std::cmp::Reverse(one.taken));
        let (mut rest, mut many) = (&all[..], LITTLE);
        while !rest.is_empty() {
            let (some, others) = rest.split_at(many.min(rest.len()));
            evicted.drop_some(state, store, &steady, some, dry)?;
            (rest, many) = (others, many * 2);
        }
    } else {
        evicted.drop_some(state, store, &steady, &all, dry)?;
    }
    evicted.stays.objects -= evicted.all.objects.min(evicted.stays.objects);
    evicted.stays.bytes -= evicted.all.bytes.min(evicted.stays.bytes);
    Ok(evicted)
}

/// An object whose bytes can go.
#[derive(Debug)]
struct Dropped {
    object: Digest,
    /// The version that leaves it.
    step: StepId,
    size: u64,
    taken: u64,
}

impl Dropped {
    fn amount(&self) -> Amount {
        Amount {
            objects: 1,
            bytes: self.taken,
        }
    }
}

#[cfg(test)]
mod tests;
