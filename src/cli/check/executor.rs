//! `check -executor NAME`: one worker is started and tried.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rustix::process::{Signal, kill_process_group};

use crate::cli::error::Failure;
use crate::cli::executor::{self, Pilots};
use crate::cli::options::Places;
use crate::cli::output::print;
use crate::cli::signals;
use crate::exec::local::{Channel, Message};
use crate::exec::remote::{Tried, trial};
use crate::prepare::Source;
use crate::text::visible;

/// What a script has that is to end; the one here ends by itself.
const GRACE: Duration = Duration::from_secs(5);
/// What its command has for an end in good order.
const MOMENT: Duration = Duration::from_millis(200);

/// Says of each thing how it is, as soon as that is known.
pub(super) fn tried(name: &str, source: &Source, places: &Places) -> Result<(), Failure> {
    let (crew, pilots) = executor::one(name, &places.db, &source.manifest)?;
    let shown = visible(name);
    let folder = tempfile::tempdir().map_err(|error| Failure::cannot("make a folder", &error))?;
    print(&format!("executor {shown}\n"))?;
    let (pilots, command) = (Arc::new(pilots), Arc::new(Tried::default()));
    let own = (Arc::clone(&pilots), Arc::clone(&command));
    end_on_signal(own, folder.path().to_owned())?;
    let mut failed = None;
    let tried = trial(
        &crew,
        &executor::terms(GRACE, false),
        (folder.path(), &command),
        &mut |what, words| {
            let line = format!("  {what:<10}{}\n", visible(words));
            failed = failed.take().or(print(&line).err());
        },
    );
    pilots.cancel();
    if let Some(failure) = failed {
        return Err(failure);
    }
    let hint = match crew.stations.as_slice() {
        [(machine, _)] => crew.hint.replace("HOST", machine),
        _ => crew.hint,
    };
    tried.map_err(|why| Failure::usage(format!("executor {shown}: {why}")).hint(hint))?;
    print(&format!("executor {shown}: everything works\n"))
}

/// With a signal that ends this program, what it has started ends, too, and a place in a queue is given back.
fn end_on_signal(
    (pilots, command): (Arc<Pilots>, Arc<Tried>),
    folder: PathBuf,
) -> Result<(), Failure> {
    let channel = Channel::default();
    signals::listen(&channel)?;
    std::thread::spawn(move || {
        let signal = loop {
            match channel.next() {
                Some(Message::Signal(signal)) => break signal,
                Some(_) => {}
                None => return,
            }
        };
        // Held to the end: nothing more is started.
        let command = command.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = *command {
            let _ = kill_process_group(group, Signal::TERM);
            // `srun` gives back what it waits for; whoever does not care about that goes all the same.
            std::thread::sleep(MOMENT);
            let _ = kill_process_group(group, Signal::KILL);
        }
        pilots.cancel();
        let _ = std::fs::remove_dir_all(folder);
        std::process::exit(128 + signal);
    });
    Ok(())
}
