//! Finds whose bytes can go, and why the others stay.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Dropped, Error, Steady, Why, Wish};
use crate::model::digest::Digest;
use crate::model::gather::Role;
use crate::model::list::Form;
use crate::model::task::TaskId;
use crate::state::{GroupId, Kept, State, StepId};
use crate::store::{self, Amount};

/// What can go of the objects of a piece, and why the others stay.
pub(super) fn find(
    state: &State,
    store: &store::Reader,
    steady: &Steady,
    wish: &Wish,
    piece: (u64, u64),
) -> Result<Found, Error> {
    let [entries, accepted] = state.entries_and_accepted()?;
    let mut finder = Finder {
        store,
        steady,
        wish,
        entries,
        accepted,
        settled: state.settled_groups()?,
        makers: HashMap::new(),
        unable: HashMap::new(),
        current: state.current_versions()?,
        owns: HashMap::new(),
        broken: HashSet::new(),
        objects: HashMap::new(),
        known: HashMap::new(),
        piece,
        failed: None,
    };
    finder.stays(Digest::EMPTY, Why::Record);
    state.each_kept(wish.runset.as_deref(), |row| {
        finder.row(&row);
        Ok(())
    })?;
    state.each_beside(|object| finder.stays(object, Why::Record))?;
    for tree in state.trees_that_stay()? {
        finder.all_stays(&tree, Why::Record);
    }
    for object in &wish.needed {
        finder.stays(*object, Why::Run);
        if store.is_list(object)? {
            finder.all_stays(object, Why::Run);
        }
    }
    finder.end()
}

/// What becomes of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It stays, for this.
    Stays(Why),
    /// It can go, as a task of this version leaves it.
    Goes(StepId),
}

/// What can go, and of the rest how much stays for what.
pub(super) type Found = (Vec<Dropped>, BTreeMap<Why, Amount>);

/// Goes through all rows, each after those that it comes from.
struct Finder<'a> {
    store: &'a store::Reader,
    steady: &'a Steady,
    wish: &'a Wish,
    entries: HashSet<TaskId>,
    accepted: HashSet<TaskId>,
    settled: HashSet<GroupId>,
    /// The tasks that can run again, and would leave the same.
    makers: HashMap<TaskId, StepId>,
    /// Why others are none of these.
    unable: HashMap<TaskId, Why>,
    /// The versions that steps have now.
    current: HashSet<StepId>,
    /// Rows that stand for the pairs of an input, with the tasks that left it.
    owns: HashMap<TaskId, Option<TaskId>>,
    /// Groups of which something can not be had again.
    broken: HashSet<GroupId>,
    objects: HashMap<Digest, Fate>,
    /// Whether all is there that a list or folder names; whether it was dropped is no matter if the second is set.
    known: HashMap<(Digest, bool), bool>,
    /// Which part of the objects is looked for, and of how many, by the beginning of their hashes.
    piece: (u64, u64),
    failed: Option<store::Error>,
}

impl Finder<'_> {
    fn is_of_piece(&self, object: &Digest) -> bool {
        let [first, second, ..] = object.0;
        let (piece, pieces) = self.piece;
        (u64::from(u16::from_be_bytes([first, second])) * pieces) >> 16 == piece
    }

    fn goes(&mut self, object: Digest, step: StepId) {
        if self.is_of_piece(&object) {
            self.objects.entry(object).or_insert(Fate::Goes(step));
        }
    }

    fn row(&mut self, row: &Kept) {
        if row.role == Role::Member && row.group.is_none() {
            self.owns.insert(row.id, row.parent);
        }
        if row.role == Role::Member
            && row.live
            && let Some(group) = row.group
            && !self.has_from(row, row.parent)
        {
            self.broken.insert(group);
        }
        if let Some(step) = row.step {
            match self.can_run(row, step) {
                Ok(()) => {
                    self.makers.insert(row.id, step);
                }
                Err(why) => {
                    self.unable.insert(row.id, why);
                }
            }
        }
        self.judge(row);
    }

    /// Whether the task would leave the same if it ran again, or why not.
    fn can_run(&mut self, row: &Kept, step: StepId) -> Result<(), Why> {
        if !row.finished || row.role == Role::Member {
            return Err(Why::Waits);
        }
        if row.role != Role::Gather && row.parent.is_none() && !self.entries.contains(&row.id) {
            return Err(Why::Outside);
        }
        let is_steady = self.steady.contains_key(&step);
        if self.accepted.contains(&row.id) || !is_steady && !self.current.contains(&step) {
            return Err(Why::Version);
        }
        if !is_steady {
            return Err(Why::Uncertain);
        }
        if self.has_all(row) {
            Ok(())
        } else {
            Err(Why::Gone)
        }
    }

    /// Whether all is there, or can be made, that the task worked on.
    fn has_all(&mut self, row: &Kept) -> bool {
        // What a superseded one got besides, or what was gathered for it, is not what there is by now.
        let is_alone = row.role != Role::Gather && row.context.is_none();
        if !row.live && !is_alone {
            return false;
        }
        if let Some(list) = row.context
            && !self.has(list, Form::List, false)
        {
            return false;
        }
        if row.role == Role::Gather {
            let is_whole = row.group.is_some_and(|group| !self.broken.contains(&group));
            return is_whole && self.store.contains(&row.object);
        }
        let (source, maker) = match row.parent.filter(|_| row.is_pair) {
            Some(own) => (own, self.owns.get(&own).copied().flatten()),
            None => (row.id, row.parent),
        };
        // One that nothing came to is a start task: what it leaves comes from outside.
        (maker.is_some() || self.entries.contains(&source)) && self.has_from(row, maker)
    }

    /// Whether the object of the row is there for whoever runs again, or will be.
    fn has_from(&mut self, row: &Kept, maker: Option<TaskId>) -> bool {
        match maker {
            Some(maker) if self.makers.contains_key(&maker) => self.has(row.object, row.form, true),
            // Only a row that counts keeps it.
            Some(_) | None => row.live && self.has(row.object, row.form, false),
        }
    }

    fn has(&mut self, object: Digest, form: Form, dropped: bool) -> bool {
        let store = self.store;
        let is_there =
            |object: &Digest| store.contains(object) || dropped && store.is_evicted(object);
        if form == Form::File {
            return is_there(&object);
        }
        if let Some(known) = self.known.get(&(object, dropped)) {
            return *known;
        }
        let (mut all, mut folders) = (true, Vec::new());
        let read = store.each_named(&object, |named, within| {
            if within != Form::Folder {
                all &= is_there(&named);
            } else if form == Form::List {
                folders.push(named);
            }
        });
        let mut has = read.is_ok_and(|there| there) && all;
        for folder in folders {
            has = has && self.has(folder, Form::Folder, dropped);
        }
        self.known.insert((object, dropped), has);
        has
    }

    /// What the row means for its object.
    fn judge(&mut self, row: &Kept) {
        let Some(parent) = row.parent.filter(|_| row.step.is_some()) else {
            // A final output, an input, or what was gathered.
            match row.role {
                Role::Gather => self.stays(row.object, Why::Record),
                Role::Task | Role::Member | Role::Reader => {
                    let why = if row.step.is_some() {
                        Why::Outside
                    } else {
                        Why::Final
                    };
                    self.stays_as(row.object, row.form, why);
                }
            }
            return;
        };
        if row.role == Role::Gather {
            return self.stays(row.object, Why::Record);
        }
        let waits = row.live && !row.finished;
        if row.is_pair {
            if waits {
                self.stays_as(row.object, row.form, Why::Waits);
            }
            return;
        }
        let waits = waits
            || row.live
                && row.role == Role::Member
                && row
                    .group
                    .is_some_and(|group| !self.settled.contains(&group));
        match self.makers.get(&parent) {
            Some(step) if !waits && row.here && self.is_wanted(*step) => {
                let step = *step;
                self.goes_as(row.object, row.form, step);
            }
            maker if row.live => {
                let why = match maker {
                    _ if waits => Why::Waits,
                    Some(_) => Why::Others,
                    None => self.unable.get(&parent).copied().unwrap_or(Why::Gone),
                };
                self.stays_as(row.object, row.form, why);
            }
            Some(_) | None => {
                if row.form == Form::Folder {
                    self.stays(row.object, Why::Record);
                }
            }
        }
    }

    fn is_wanted(&self, step: StepId) -> bool {
        let steps = self.wish.steps.as_ref();
        steps.is_none_or(|steps| {
            let name = self.steady.get(&step);
            name.is_some_and(|name| steps.contains(name))
        })
    }

    fn stays(&mut self, object: Digest, why: Why) {
        if !self.is_of_piece(&object) {
            return;
        }
        let fate = self.objects.entry(object).or_insert(Fate::Stays(why));
        match fate {
            Fate::Stays(known) => *known = why.min(*known),
            Fate::Goes(_) => *fate = Fate::Stays(why),
        }
    }

    fn stays_as(&mut self, object: Digest, form: Form, why: Why) {
        self.stays(object, if form == Form::File { why } else { Why::Record });
        if form != Form::File {
            self.all_stays(&object, why);
        }
    }

    /// All that is in a list or folder.
    fn all_stays(&mut self, list: &Digest, why: Why) {
        self.stays(*list, Why::Record);
        for (object, form) in self.named(list) {
            if form != Form::Folder {
                self.stays(object, why);
                continue;
            }
            self.stays(object, Why::Record);
            for (inner, _) in self.named(&object) {
                self.stays(inner, why);
            }
        }
    }

    fn goes_as(&mut self, object: Digest, form: Form, step: StepId) {
        if form == Form::File {
            self.goes(object, step);
            return;
        }
        self.stays(object, Why::Record);
        for (named, within) in self.named(&object) {
            if within != Form::Folder {
                self.goes(named, step);
            }
        }
    }

    /// What a list or folder names. Where it cannot be read nothing goes at all: it could be needed.
    fn named(&mut self, list: &Digest) -> Vec<(Digest, Form)> {
        let mut all = Vec::new();
        let read = self
            .store
            .each_named(list, |object, form| all.push((object, form)));
        if let Err(error) = read {
            self.failed.get_or_insert(error);
        }
        all
    }

    fn end(self) -> Result<Found, Error> {
        if let Some(error) = self.failed {
            return Err(error.into());
        }
        let (mut all, mut stays) = (Vec::new(), BTreeMap::<Why, Amount>::new());
        for (object, fate) in self.objects {
            let Some((size, taken)) = self.store.extent(&object) else {
                continue;
            };
            match fate {
                Fate::Stays(why) => {
                    *stays.entry(why).or_default() += Amount {
                        objects: 1,
                        bytes: taken,
                    };
                }
                Fate::Goes(step) => all.push(Dropped {
                    object,
                    step,
                    size,
                    taken,
                }),
            }
        }
        Ok((all, stays))
    }
}
