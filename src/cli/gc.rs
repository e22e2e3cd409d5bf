//! `gc`: what no runset that is kept needs goes.

mod after_run;
mod freed;
pub(super) mod little;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::beside::{self, Hold};
use super::error::Failure;
use super::options::{Places, whole};
use super::{kept, leftover, output};
use crate::exec::local::{Scratch, count_runs, rescue};
use crate::gc::{Collection, Wish};
use crate::manifest::length_of_time;
use crate::out;
use crate::prepare;
use crate::state::{Answer, Lock, Reader, Room, State};
use crate::store;
use crate::sys;
use crate::text::amount::read_bytes;
pub(super) use freed::{Freed, with_hint};
use little::First;

/// Options of `gc`.
#[derive(Debug, Args)]
#[command(
    after_help = "Without options, gc removes only what nothing recorded needs: what failed or killed tasks left, and\n\
    what an interrupted gc left. The newest runset and the one that ran last always stay."
)]
pub(super) struct Options {
    /// Keep the N runsets that ran last; remove all others, with what only they need
    #[arg(long, value_name = "N", value_parser = whole(1..=u32::MAX))]
    keep_runsets: Option<u32>,
    /// From the runsets that stay, remove superseded tasks that ended longer ago than this, such as 30d
    #[arg(long, value_name = "TIME", value_parser = length_of_time)]
    older_than: Option<Duration>,
    /// Remove as many runsets as necessary for the objects to take no more space than this, such as 50G; those that
    /// ran first go first
    #[arg(long, value_name = "SIZE", value_parser = read_bytes)]
    max_size: Option<u64>,
    /// Say what would go; change nothing
    #[arg(long)]
    dry_run: bool,
    /// One JSON object instead of lines
    #[arg(long)]
    json: bool,
}

/// What processes have for it that a killed run left running, and that are to end.
const GRACE: Duration = Duration::from_secs(2);

/// How long to wait for whoever reads.
const PATIENCE: Duration = Duration::from_secs(10);

/// Removes it, and says what it was.
pub(super) fn main(places: &Places, options: &Options) -> Result<ExitCode, Failure> {
    little::with_room(&places.db, options.dry_run, true, |room, first| {
        collect(places, options, room, first)
    })
}

fn collect(
    places: &Places,
    options: &Options,
    room: Room,
    first: &mut First,
) -> Result<ExitCode, Failure> {
    // Where there is no db, none is made.
    drop(Reader::open(&places.db)?);
    let dry = options.dry_run;
    let mut warnings = Vec::new();
    let (mut state, hold) = if dry {
        (State::private_copy_within(&places.db, room)?, Hold::Copy)
    } else {
        beside::open(&places.db, room)?
    };
    // What is lost would be taken for what nothing needs.
    state.check_sound()?;
    let run = match &hold {
        Hold::Copy => Lock::holder(state.layout()),
        Hold::Alone { .. } | Hold::Beside { .. } => None,
    };
    if let Some(run) = run {
        warnings.push(format!(
            "{run} is at work on the db: what it has not recorded yet counts as what nothing needs"
        ));
    }
    // Nothing is a leftover while a run is at work.
    let folders = if run.is_some() || matches!(hold, Hold::Beside { .. }) {
        0
    } else {
        match leftovers(&mut state, dry, &mut warnings) {
            // By now nearly nothing is in them.
            Err(failure) if failure.is_full() && room == Room::Little => 0,
            found => found?,
        }
    };
    let beside = match &hold {
        Hold::Beside { answer, .. } => Some(answer.clone()),
        Hold::Copy | Hold::Alone { .. } => None,
    };
    let mut freed = free(&mut state, &options.wish(), dry, PATIENCE, beside)?;
    // The run goes on.
    drop((state, hold));
    freed.folders += folders;
    freed.collected.swept.unneeded += first.swept.unneeded;
    freed.warnings.append(&mut first.warnings);
    freed.warnings.extend(warnings);
    if options.json {
        Failure::unless_gone(output::print_json(format!("{:#}\n", freed.to_json(dry))))?;
    } else {
        Failure::unless_gone(output::print(&freed.text(dry)))?;
    }
    for warning in freed.warnings() {
        out::tell(&format!("warning: {warning}\n"));
    }
    let collected = &freed.collected;
    Ok(ExitCode::from(u8::from(
        collected.swept.left > 0 || collected.read,
    )))
}

/// Frees what is wished for; with `dry`, of a copy of the database, says what it would be. `patience`: how long to
/// wait for those who read; `beside`: what a run needs that holds still.
pub(super) fn free(
    state: &mut State,
    wish: &Wish,
    dry: bool,
    patience: Duration,
    beside: Option<Answer>,
) -> Result<Freed, Failure> {
    let store = store::Reader::new(&state.layout().objects());
    let runs = beside.is_some();
    let collected = Collection::new(state, &store, beside)?.collect(wish, dry, patience)?;
    let mut freed = Freed {
        // What a run has just put there may be of a task whose end is not recorded.
        folders: if runs {
            0
        } else {
            kept::prune(state, !dry, None)
        },
        most: wish.size,
        evicted: state.evicted_amount()?,
        collected,
        ..Freed::default()
    };
    match prepare::release(state, dry) {
        Ok((roots, environments)) => {
            freed.roots = roots;
            freed.environments = environments;
        }
        Err(error) => freed
            .warnings
            .push(format!("links to packages stay: {error}")),
    }
    if !dry {
        state.end()?;
    }
    Ok(freed)
}

/// What the objects take, and what would be freed without any options.
pub(super) fn stored(places: &Places) -> Result<Freed, Failure> {
    let weigh = |room| {
        let mut copy = State::private_copy_within(&places.db, room)?;
        free(&mut copy, &Wish::default(), true, PATIENCE, None)
    };
    match weigh(Room::Plenty) {
        // The folder of temporary files is on a disk, too.
        Err(failure) if failure.is_full() => weigh(Room::Little),
        weighed => weighed,
    }
}

/// Removes what killed runs left, and ends what they left running; how many folders that are.
fn leftovers(state: &mut State, dry: bool, warnings: &mut Vec<String>) -> Result<usize, Failure> {
    let layout = state.layout().clone();
    let (scratch, objects) = (layout.scratch(), layout.objects());
    let count = count_runs(&scratch, &objects);
    if dry {
        return Ok(count);
    }
    let own = Scratch::new(&scratch, &objects, GRACE)?;
    warnings.extend(leftover::of_a_killed_run(own.leftover()));
    let store = store::Store::open(&objects, own.folder().path())?;
    warnings.extend(rescue(&own, &store, state)?);
    drop(store);
    own.close();
    Ok(count.saturating_sub(count_runs(&scratch, &objects)))
}

impl Options {
    fn wish(&self) -> Wish {
        Wish {
            keep: self
                .keep_runsets
                .map(|most| usize::try_from(most).unwrap_or(usize::MAX)),
            before: self.older_than.map(|age| {
                let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
                sys::now().as_millisecond().saturating_sub(age)
            }),
            size: self.max_size,
        }
    }
}
