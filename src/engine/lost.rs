//! Results whose objects are gone from the store, or were altered there: found, and made again.
//!
//! To look at every object would cost each run more than it does otherwise. So at its end a run
//! notes how the folders of the store are, and when that was. While they are the same, no folder
//! that holds objects was added or removed, and a run looks at some hundred final outputs, from
//! where the last one stopped: with few of them at all. If they are not the same, at all of them
//! however many there are. To look means to ask for the file's entry; its bytes are read if
//! anything was done to it since all were looked at last, or since the task that left it had ended:
//! no program can hide that.
//!
//! The rest, as single objects that are gone among many, or bytes that a disk has lost without a
//! word, is noticed by whoever uses them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::SystemTime;

use crate::model::digest::Digest;
use crate::model::gather::Role;
use crate::model::list::Form;
use crate::model::task::TaskId;
use crate::model::tree::Kind;
use crate::state::{self, Looked, Place, Reader, Runset, State, StepId, Wanted};
use crate::store;
use crate::text::quoted;

/// Final outputs, and tasks to be done, that are looked at in any case.
const FEW: usize = if cfg!(test) { 4 } else { 256 };
/// Rows that are read at once.
const STRETCH: usize = if cfg!(test) { 3 } else { 4096 };
/// Objects of which it is remembered whether they are there.
const MOST: usize = 1 << 16;
/// Names that are told.
const NAMED: usize = 3;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    /// Final outputs that are gone or were altered.
    pub finals: u64,
    /// Tasks to be done whose input is.
    pub inputs: u64,
    /// Some of their file names.
    pub names: Vec<String>,
    /// The tasks that made them.
    makers: BTreeSet<TaskId>,
    /// Whether all final outputs were looked at.
    complete: bool,
    /// Whether bytes were read, as something was done to their files, and found to be right.
    doubted: bool,
    /// Where those that were not looked at begin.
    place: Option<Place>,
}

impl Lost {
    /// What is lost; none if nothing is.
    pub(crate) fn in_words(&self) -> Option<String> {
        let count = |count, one: &str| match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            many => Some(format!("{many} {one}s")),
        };
        let finals = count(self.finals, "final output");
        let inputs = count(self.inputs, "input");
        let what = finals.into_iter().chain(inputs).collect::<Vec<_>>();
        if what.is_empty() {
            return None;
        }
        let names: Vec<String> = self.names.iter().map(|name| quoted(name)).collect();
        let more = if self.finals + self.inputs > names.len() as u64 {
            ", …"
        } else {
            ""
        };
        Some(format!(
            "gone from the store or altered there: {} ({}{more})",
            what.join(", "),
            names.join(", ")
        ))
    }
}

/// What became of it.
#[derive(Debug, Default)]
pub(crate) struct Redone {
    /// Tasks that are to be executed again.
    pub tasks: u64,
    /// Tasks that cannot be: their steps are in no manifest any more.
    pub hopeless: Vec<TaskId>,
}

/// Looks at what `runset` has, as much as is worth it; changes nothing. `running`: whether another
/// process adds to the store meanwhile.
pub(crate) fn look(
    state: &Reader,
    store: &store::Reader,
    runset: &Runset,
    running: bool,
) -> Result<Lost, state::Error> {
    look_with(state, store, runset, running, &store.sign())
}

fn look_with(
    state: &Reader,
    store: &store::Reader,
    runset: &Runset,
    running: bool,
    sign: &str,
) -> Result<Lost, state::Error> {
    let looked = state.looked(runset)?;
    let all = !running && looked.as_ref().is_none_or(|looked| looked.sign != sign);
    let mut look = Look {
        state,
        store,
        // Without a note, a run that made something was killed: when each task ended decides.
        since: looked.map_or(0, |looked| looked.at),
        seen: HashMap::new(),
        made: (None, None),
        lost: Lost::default(),
    };
    let begin = if all {
        Place::default()
    } else {
        state.place()?
    };
    let mut place = begin.clone();
    let mut left = if all { usize::MAX } else { FEW };
    let mut turned = false;
    while left > 0 {
        let count = left.min(STRETCH);
        let mut found = Vec::new();
        let (seen, next) =
            state.finals_behind(runset, &place, count, |wanted| found.push(wanted))?;
        for wanted in found {
            look.at(wanted, true)?;
        }
        left -= seen;
        match next {
            Some(next) => place = next,
            // Round to those before where this began.
            None if begin != Place::default() && !turned => {
                turned = true;
                place = Place::default();
            }
            None => {
                look.lost.complete = true;
                place = Place::default();
                break;
            }
        }
        look.lost.complete |= turned && place >= begin;
        if look.lost.complete {
            break;
        }
    }
    look.lost.place = Some(place).filter(|place| *place != begin);
    let count = if all { usize::MAX } else { FEW };
    for wanted in state.wanted_inputs(runset, count)? {
        look.at(wanted, false)?;
    }
    Ok(look.lost)
}

struct Look<'a> {
    state: &'a Reader,
    store: &'a store::Reader,
    since: i64,
    /// Objects that were looked at.
    seen: HashMap<(Digest, Form), bool>,
    /// The task that was asked for last, and when that had ended.
    made: (Option<TaskId>, Option<i64>),
    lost: Lost,
}

impl Look<'_> {
    fn at(&mut self, wanted: Wanted, is_final: bool) -> Result<(), state::Error> {
        let whole = match self.seen.get(&(wanted.object, wanted.form)) {
            Some(whole) => *whole,
            None => self.is_whole(&wanted)?,
        };
        if self.seen.len() >= STRETCH {
            self.seen.clear();
        }
        self.seen.insert((wanted.object, wanted.form), whole);
        let Some(maker) = wanted.maker.filter(|_| !whole) else {
            return Ok(());
        };
        self.lost.makers.insert(maker);
        if is_final {
            self.lost.finals += 1;
        } else {
            self.lost.inputs += 1;
        }
        let name = wanted.name.map(String::from);
        let known = |name: &String| self.lost.names.contains(name);
        if self.lost.names.len() < NAMED && !name.as_ref().is_some_and(known) {
            self.lost.names.extend(name);
        }
        Ok(())
    }

    fn is_whole(&mut self, wanted: &Wanted) -> Result<bool, state::Error> {
        if !self.is_object_whole(&wanted.object, wanted.maker)? {
            return Ok(false);
        }
        if wanted.form != Form::Folder {
            return Ok(true);
        }
        let tree = match self.store.tree(&wanted.object) {
            Ok(tree) => tree,
            Err(error) => return Ok(!error.is_loss()),
        };
        for entry in tree {
            match entry {
                Ok(entry) if entry.kind == Kind::Folder => {}
                Ok(entry) => {
                    if !self.is_object_whole(&entry.digest, wanted.maker)? {
                        return Ok(false);
                    }
                }
                Err(error) => return Ok(!error.is_loss()),
            }
        }
        Ok(true)
    }

    fn is_object_whole(
        &mut self,
        object: &Digest,
        maker: Option<TaskId>,
    ) -> Result<bool, state::Error> {
        let changed = match self.store.changed(object) {
            Ok(Some(changed)) => changed,
            // What was dropped, perhaps while this looks, is made again by whoever needs it.
            Ok(None) => return Ok(self.store.is_evicted(object) || self.state.is_evicted(object)?),
            // Nothing is known of what cannot be looked at.
            Err(_) => return Ok(true),
        };
        if changed <= self.since {
            return Ok(true);
        }
        if self.made(maker)?.is_some_and(|made| changed <= made) {
            return Ok(true);
        }
        let read = self.store.verify_stored(object);
        self.lost.doubted |= read.is_ok();
        Ok(!read.is_err_and(|error| error.is_loss()))
    }

    /// When that task had ended, if it is known; asked once for all that it left.
    fn made(&mut self, maker: Option<TaskId>) -> Result<Option<i64>, state::Error> {
        if let Some(task) = maker
            && self.made.0 != maker
        {
            self.made = (maker, self.state.made(task)?);
        }
        Ok(maker.and(self.made.1))
    }
}

/// Has all that is found to be lost made again, and notes what was looked at. `sign`: that of the
/// store before this process put something there; none if it did not.
pub(crate) fn restore(
    state: &mut State,
    store: &store::Reader,
    runset: &Runset,
    current: &[StepId],
    sign: Option<&str>,
) -> Result<(Lost, Redone), state::Error> {
    let looked = Looked {
        sign: sign.map_or_else(|| store.sign(), str::to_owned),
        at: now(),
    };
    let lost = look_with(state, store, runset, false, &looked.sign)?;
    let mut redone = Redone::default();
    if !lost.makers.is_empty() {
        let mut tops = Tops::new(state, store);
        let mut found = BTreeSet::new();
        for maker in &lost.makers {
            tops.of(*maker, &mut found)?;
        }
        let tasks: Vec<TaskId> = found.into_iter().collect();
        (redone.tasks, redone.hopeless) = state.redo_all(runset, current, &tasks, true)?;
    }
    let noted = state.looked(runset)?;
    let differs = noted.is_none_or(|noted| noted.sign != looked.sign);
    if lost.complete && (differs || lost.doubted) {
        state.set_looked(runset, &looked)?;
    }
    if let Some(place) = &lost.place {
        state.set_place(place)?;
    }
    Ok((lost, redone))
}

/// Notes at the end of a run how it leaves the store's folders.
pub(super) fn note(
    state: &mut State,
    store: &store::Reader,
    runset: &Runset,
) -> Result<(), state::Error> {
    let at = match state.looked(runset)? {
        Some(looked) => looked.at,
        // What was altered while the run went on is noticed as well: all that a new runset has was
        // made or looked at after its beginning.
        None => state
            .runset_created(runset)?
            .unwrap_or(0)
            .saturating_mul(1000),
    };
    let sign = store.sign();
    state.set_looked(runset, &Looked { sign, at })
}

/// Finds the tasks to begin with.
#[derive(Debug)]
pub(crate) struct Tops<'a> {
    state: &'a Reader,
    store: &'a store::Reader,
    /// Whether the input of a task is there.
    known: HashMap<(Digest, Form), bool>,
}

impl<'a> Tops<'a> {
    /// Nothing is known yet.
    pub(crate) fn new(state: &'a Reader, store: &'a store::Reader) -> Self {
        Self {
            state,
            store,
            known: HashMap::new(),
        }
    }

    /// Adds the nearest task from `maker` upwards whose input is there; of what was gathered, the nearest
    /// ones above what of it is not.
    pub(crate) fn of(
        &mut self,
        maker: TaskId,
        found: &mut BTreeSet<TaskId>,
    ) -> Result<(), state::Error> {
        let mut seen = HashSet::new();
        let mut next = vec![maker];
        while let Some(at) = next.pop() {
            if !seen.insert(at) {
                continue;
            }
            let Some(origin) = self.state.origin(at)? else {
                continue;
            };
            if origin.role == Role::Gather {
                let known = next.len();
                let state = self.state;
                state.each_gathered(at, |member, form, maker| {
                    if !self.is_there(member, form) {
                        next.extend(maker);
                    }
                })?;
                if next.len() == known {
                    found.insert(at);
                }
                continue;
            }
            match origin.parent {
                Some(parent) if !self.is_there(origin.input, origin.form) => next.push(parent),
                Some(_) | None => {
                    found.insert(at);
                }
            }
        }
        Ok(())
    }

    /// Whether the object is there, as far as that is known without reading a large one.
    pub(crate) fn is_there(&mut self, object: Digest, form: Form) -> bool {
        let store = self.store;
        if self.known.len() >= MOST {
            self.known.clear();
        }
        let known = self.known.entry((object, form));
        *known.or_insert_with(|| object == Digest::EMPTY || store.is_there_as(&object, form))
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    })
}

#[cfg(test)]
mod tests;
