//! Where a disk is full: what takes no writing goes first, and what is set aside for this is given back.

use std::path::Path;
use std::process::ExitCode;

use super::super::error::Failure;
use super::super::leftover;
use super::GRACE;
use crate::exec::local::{clear_runs, count_runs};
use crate::gc::Collection;
use crate::state::{Layout, Lock, Question, Room, State};
use crate::store::{self, Swept};
use crate::sys;

/// What went before anything was written.
#[derive(Debug, Default)]
pub(in super::super) struct First {
    /// Objects that no row names.
    pub swept: Swept,
    /// What there is to say.
    pub warnings: Vec<String>,
}

/// Does it, as where there is plenty of room; where there is not, as long as that gets on: what fails for want of room
/// may work once something is gone. `clears`: what killed runs left goes too, and what no row names; not if it is `dry`.
pub(in super::super) fn with_room(
    db: &Path,
    dry: bool,
    clears: bool,
    mut attempt: impl FnMut(Room, &mut First) -> Result<ExitCode, Failure>,
) -> Result<ExitCode, Failure> {
    // Files in memory cannot even be tried there.
    if !sys::is_full(db, "") {
        match attempt(Room::Plenty, &mut First::default()) {
            Err(failure) if failure.is_full() => {}
            done => return done,
        }
    }
    if dry {
        return attempt(Room::Little, &mut First::default());
    }
    by_and_by(db, clears, |first| attempt(Room::Little, first))
}

fn by_and_by(
    db: &Path,
    clears: bool,
    mut attempt: impl FnMut(&mut First) -> Result<ExitCode, Failure>,
) -> Result<ExitCode, Failure> {
    let mut all = First::default();
    let mut gets_on = State::take_reserve(db);
    let mut tries = 0;
    loop {
        if clears {
            gets_on |= first(db, &mut all);
        }
        if tries > 0 {
            let words = "the disk was full: rows that went before there was room are not counted";
            all.warnings.push(words.to_owned());
        }
        match attempt(&mut all) {
            Err(failure) if failure.is_full() && gets_on => gets_on = false,
            Err(failure) if failure.is_full() => {
                return Err(Failure::usage(failure.message()).hint(HINT));
            }
            done => {
                State::keep_reserve(db);
                return done;
            }
        }
        tries += 1;
    }
}

const HINT: &str = "to record what goes takes a little room: remove any file of some MiB from that disk, and call it again";

/// Removes what takes no writing; whether that was anything. What fails here, fails again where it is told.
fn first(db: &Path, all: &mut First) -> bool {
    let layout = Layout::new(db);
    // A run that is at work: what nothing needs is known when it holds still.
    let Ok(_lock) = Lock::take(&layout, false) else {
        return false;
    };
    let _tells = Question::alone(&layout).ok();
    let (scratch, objects) = (layout.scratch(), layout.objects());
    // What another db has, too, is told by the attempt.
    if store::claim(&objects).is_err() {
        return false;
    }
    let runs = count_runs(&scratch, &objects);
    if runs > 0 {
        let left = clear_runs(&scratch, &objects, GRACE);
        all.warnings.extend(leftover::of_a_killed_run(&left));
    }
    let opened = match State::open_beside(&layout, Room::Little) {
        Err(error) if error.is_full() => State::open_without_index(&layout, Room::Little),
        opened => opened,
    };
    let Ok(mut state) = opened else {
        return runs > 0;
    };
    let store = store::Reader::new(&objects);
    let swept = Collection::new(&mut state, &store, None).and_then(|mut one| one.sweep_unnamed());
    let Ok(swept) = swept else {
        return runs > 0;
    };
    let gets_on = runs > 0 || swept.unneeded.objects > 0;
    all.swept.unneeded += swept.unneeded;
    gets_on
}
