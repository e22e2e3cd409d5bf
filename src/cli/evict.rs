//! `evict`: bytes that can be made again go; all else that is known of them stays.

mod after_run;
mod told;

use std::collections::HashSet;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use clap::Args;

use super::beside::{self, Hold};
use super::error::Failure;
use super::gc::little::with_room;
use super::options::{ParamOptions, Places};
use super::place::known_step;
use super::{output, params, select};
use crate::evict::{Steady, Wish, evict};
use crate::model::name::StepName;
use crate::out;
use crate::prepare::{Known, PackageOptions, Source, Steps};
use crate::state::{Reader, Room, State};
use crate::text::amount::read_bytes;
use told::Told;

/// Options of `evict`.
#[derive(Debug, Args)]
#[command(
    after_help = "If a run needs such bytes again, it runs the nearest tasks that make them. These are never dropped: inputs, final \
    outputs, and what cannot be made again for certain, because it was left by start tasks, or by steps with secrets, \
    the network, or `cache` other than true."
)]
pub(super) struct Options {
    /// Only what these steps left
    #[arg(value_name = "STEP")]
    steps: Vec<String>,
    /// Only as much as necessary for all objects to take no more space than this, such as 50G; the largest go first
    #[arg(long, value_name = "SIZE", value_parser = read_bytes)]
    max_size: Option<u64>,
    /// Only what tasks of this runset left and no other runset has; default: all runsets
    #[arg(long, value_name = "NAME")]
    runset: Option<String>,
    /// Say what would go; change nothing
    #[arg(long)]
    dry_run: bool,
    /// Steps ran with the host's programs instead of packages
    #[arg(long)]
    host_env: bool,
    #[command(flatten)]
    params: ParamOptions,
    /// One JSON object instead of lines
    #[arg(long)]
    json: bool,
}

/// Drops them, and says what they were.
pub(super) fn main(places: &Places, options: &Options) -> Result<ExitCode, Failure> {
    with_room(&places.db, options.dry_run, false, |room, _| {
        drop_bytes(places, options, room)
    })
}

fn drop_bytes(places: &Places, options: &Options, room: Room) -> Result<ExitCode, Failure> {
    let mut source = Source::load(&places.manifest()?)?;
    // Where there is no db, none is made.
    let reader = Reader::open(&places.db)?;
    source.params = params::of_one_task(places, &options.params, &source)?;
    let mut wish = options.wish(&source, &reader)?;
    drop(reader);
    // Before a run is asked to hold still: it may take a while.
    let steady = steady(places, &source, options.host_env, room)?;
    let (mut state, hold) = if options.dry_run {
        (State::private_copy_within(&places.db, room)?, Hold::Copy)
    } else {
        beside::open(&places.db, room)?
    };
    state.check_sound()?;
    if let Hold::Beside { answer, .. } = &hold {
        wish.needed.clone_from(&answer.objects);
    }
    let store = select::store(&state)?;
    let evicted = evict(&mut state, &store, &steady, &wish, options.dry_run)?;
    if !options.dry_run {
        state.end()?;
    }
    let told = Told {
        evicted,
        all: state.evicted_amount()?,
        most: options.max_size,
    };
    // The run goes on.
    drop((state, hold));
    if options.json {
        Failure::unless_gone(output::print_json(format!(
            "{:#}\n",
            told.to_json(options.dry_run)
        )))?;
    } else {
        Failure::unless_gone(output::print(&told.text(options.dry_run)))?;
    }
    for warning in told.warnings() {
        out::tell(&format!("warning: {warning}\n"));
    }
    Ok(ExitCode::from(u8::from(told.evicted.left > 0)))
}

/// What would come of the steps just so if they ran now.
fn steady(places: &Places, source: &Source, host: bool, room: Room) -> Result<Steady, Failure> {
    let never = AtomicBool::new(false);
    let supply = PackageOptions {
        host,
        locked: false,
        stop: &never,
    };
    // Versions are registered by those who run them.
    let mut copy = match room {
        Room::Plenty => {
            State::private_copy_of_steps(&places.db).or_else(|_| State::private_copy(&places.db))?
        }
        Room::Little => State::private_copy_within(&places.db, room)?,
    };
    let known = Known::of(source, &mut copy, supply)?;
    let steps = Steps::without_registering(source, &mut copy, &known, &mut |_| {})?;
    Ok(steps.steady(&known.unresolved))
}

impl Options {
    fn wish(&self, source: &Source, state: &Reader) -> Result<Wish, Failure> {
        let mut steps = HashSet::new();
        for name in &self.steps {
            known_step(source, name)?;
            steps.extend(StepName::new(name).ok());
        }
        let runset = self.runset.clone().filter(|name| name != select::ALL);
        if let Some(name) = &runset
            && state.runset(name)?.is_none()
        {
            return Err(select::unknown_runset(state, name)?);
        }
        Ok(Wish {
            steps: (!steps.is_empty()).then_some(steps),
            runset,
            size: self.max_size,
            needed: Vec::new(),
        })
    }
}
