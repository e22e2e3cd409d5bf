//! What no runset that is kept needs goes: rows first, then objects.
//!
//! Whoever calls this is the only one who writes to the db folder, so that no object comes into use
//! while it is looked for: no run is at work, or it holds still, and says what it needs besides that which rows
//! name ([`Beside`]). And nobody reads, whose rows would go: beside those who read, rows stay.

use std::collections::HashSet;
use std::time::Duration;

use crate::model::digest::Digest;
use crate::model::list::Form;
use crate::state::{self, Answer as Beside, Doomed, State, Weighed};
use crate::store::{self, Amount, Removes, Swept};

/// What is to go besides that which nothing needs at all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wish {
    /// All runsets but that many, which were the last to run.
    pub keep: Option<usize>,
    /// Superseded rows that ended before that, in milliseconds since 1970.
    pub before: Option<i64>,
    /// As many of the oldest runsets as it takes for the objects to need no more bytes than that.
    pub size: Option<u64>,
}

/// A failure to collect.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Of the database.
    #[error(transparent)]
    State(#[from] state::Error),
    /// A list cannot be read: what it names could be needed.
    #[error("nothing more is removed: {0}")]
    List(#[source] store::Error),
}

/// What goes, or went.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    /// Rows.
    pub doomed: Doomed,
    /// Objects.
    pub swept: Swept,
    /// Lists that are needed and are not there: nobody knows what they name.
    pub lists: u64,
    /// What runsets that stay, and could go, need by themselves: `-keep-runsets` frees it.
    pub older: Amount,
    /// How many these are.
    pub older_runsets: u64,
    /// Superseded rows that stay.
    pub superseded: u64,
    /// Whether the objects still take more than was wished for.
    pub too_large: bool,
    /// Whether rows stay because somebody reads.
    pub read: bool,
}

/// Decides what goes.
pub(crate) struct Collection<'a> {
    state: &'a mut State,
    store: &'a store::Reader,
    runsets: Vec<Weighed>,
    strays: u64,
    lists: u64,
    beside: Option<Beside>,
}

impl<'a> Collection<'a> {
    /// Begins one; `beside` a run that holds still, if there is one.
    pub(crate) fn new(
        state: &'a mut State,
        store: &'a store::Reader,
        beside: Option<Beside>,
    ) -> Result<Self, Error> {
        let (runsets, strays) = state.weigh()?;
        Ok(Self {
            state,
            store,
            runsets,
            strays,
            lists: 0,
            beside,
        })
    }

    /// Does what is wished for, or only says what would be done. `patience`: how long to wait for whoever reads.
    pub(crate) fn collect(
        &mut self,
        wish: &Wish,
        dry: bool,
        patience: Duration,
    ) -> Result<Collected, Error> {
        let mut stay = wish.keep.unwrap_or(usize::MAX).max(self.least());
        if let Some(most) = wish.size {
            stay = self.fitting(wish, stay, most)?;
        }
        let mut doomed = self.choose(wish, stay)?;
        self.find_needed()?;
        let mut read = false;
        if !dry && !doomed.is_any() {
            self.state.drop_rest()?;
        } else if !dry {
            // Whoever begins to read when that is done finds no row of what goes.
            if let Some(_alone) = self.state.let_nobody_read(patience) {
                self.state.drop_rows()?;
            } else {
                read = true;
                stay = usize::MAX;
                self.choose(&Wish::default(), stay)?;
                self.state.keep_versions()?;
                self.find_needed()?;
                doomed = Doomed::default();
            }
        }
        let swept = self.sweep(match (dry, &self.beside) {
            (true, _) => Removes::Nothing,
            (false, None) => Removes::Folders,
            (false, Some(_)) => Removes::Objects,
        })?;
        if !dry {
            self.state.end()?;
        }
        Ok(Collected {
            read,
            ..self.collected(wish, stay, doomed, swept)
        })
    }

    /// Removes what no row names, and records nothing of it: for one who has no room to.
    pub(crate) fn sweep_unnamed(&mut self) -> Result<Swept, Error> {
        self.choose(&Wish::default(), usize::MAX)?;
        self.state.keep_versions()?;
        self.state.name_noted()?;
        self.find_needed()?;
        // Rows that went before must not come back with a power cut, without their objects.
        self.state.sync_log()?;
        self.sweep(Removes::Folders)
    }

    /// How many runsets stay in any case.
    fn least(&self) -> usize {
        let runs = self.beside.as_ref().map_or(0, |beside| beside.runsets);
        runs.max(1)
    }

    fn collected(&self, wish: &Wish, stay: usize, doomed: Doomed, swept: Swept) -> Collected {
        let stays = |(place, weighed): &(usize, &Weighed)| *place < stay || weighed.stays;
        let staying: Vec<(usize, &Weighed)> =
            self.runsets.iter().enumerate().filter(stays).collect();
        let superseded: u64 = staying.iter().map(|(_, weighed)| weighed.superseded).sum();
        let mut older = Amount::default();
        let mut older_runsets = 0;
        for (place, _) in staying
            .iter()
            .filter(|(place, one)| *place > 0 && !one.stays)
        {
            older_runsets += 1;
            let rank = self.rank(*place);
            older += swept.needed.get(&rank).copied().unwrap_or_default();
        }
        Collected {
            lists: self.lists,
            older,
            older_runsets,
            superseded: superseded.saturating_sub(doomed.superseded),
            too_large: wish.size.is_some_and(|most| swept.stays().bytes > most),
            read: false,
            doomed,
            swept,
        }
    }

    fn rank(&self, place: usize) -> i64 {
        i64::try_from(self.runsets.len().saturating_sub(place)).unwrap_or(i64::MAX)
    }

    fn choose(&mut self, wish: &Wish, stay: usize) -> Result<Doomed, Error> {
        let places: HashSet<i64> = self
            .runsets
            .iter()
            .take(stay)
            .map(|one| one.runset.id.0)
            .collect();
        let stays = |one: &Weighed| one.stays || places.contains(&one.runset.id.0);
        let all = (&self.runsets[..], self.strays);
        // What a run knows of the runsets that it works on stays whole.
        let runs = self.beside.as_ref().map_or(0, |beside| beside.runsets);
        let before = wish.before.map(|before| (before, self.rank(runs)));
        Ok(self.state.choose(all, &stays, before)?)
    }

    /// How many runsets stay for their objects to take no more than that.
    fn fitting(&mut self, wish: &Wish, stay: usize, most: u64) -> Result<usize, Error> {
        self.choose(wish, stay)?;
        self.find_needed()?;
        let swept = self.sweep(Removes::Nothing)?;
        let mut left = swept.stays().bytes;
        let mut stay = stay.min(self.runsets.len());
        while left > most && stay > self.least() {
            let place = stay - 1;
            if !self.runsets[place].stays {
                let rank = self.rank(place);
                left -= swept.needed.get(&rank).map_or(0, |amount| amount.bytes);
            }
            stay = place;
        }
        Ok(stay)
    }

    fn find_needed(&mut self) -> Result<(), Error> {
        self.state.find_lists()?;
        if let Some(beside) = &self.beside {
            self.state.name_always(&beside.objects)?;
        }
        self.lists = 0;
        let mut at = 0;
        loop {
            let lists = self.state.lists_behind(at)?;
            let Some(last) = lists.last() else {
                break;
            };
            at = last.at;
            for list in lists {
                self.read(list.rank, list.form, &list.object)?;
            }
        }
        Ok(self.state.settle_needed()?)
    }

    fn read(&mut self, rank: i64, form: Form, list: &Digest) -> Result<(), Error> {
        const MANY: usize = 4096;
        let mut objects = Vec::new();
        let mut failed = Ok(());
        let state = &mut *self.state;
        let there = self
            .store
            .each_named(list, |object, of| {
                objects.push((object, of));
                if objects.len() == MANY && failed.is_ok() {
                    failed = state.name(rank, form, &objects);
                    objects.clear();
                }
            })
            .map_err(Error::List)?;
        failed?;
        self.state.name(rank, form, &objects)?;
        self.lists += u64::from(!there);
        Ok(())
    }

    fn sweep(&self, removes: Removes) -> Result<Swept, Error> {
        let needed = |first| self.state.needed_in(first);
        Ok(self.store.sweep(needed, removes)?)
    }
}

#[cfg(test)]
mod tests;
