//! `trace-files`: which files a step uses that its version does not know of. One task of it runs under
//! observation; what it leaves is thrown away.

mod found;
mod task;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::error::{Failure, signal_status};
use super::one_task::OneTask;
use super::options::{ParamOptions, Places, SecretOptions};
use super::output::print;
use super::{params, place, secrets, signals};
use crate::exec::local::Channel;
use crate::manifest::Step;
use crate::out;
use crate::prepare::Source;
use crate::process::{Handle, StopReason, describe};
use crate::sys::Used;
use crate::text::time::exact;
use crate::text::{said, visible};
use found::{World, declared, in_words};
use task::{Chosen, Script, choose, script};

/// Options of `trace-files`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The step
    #[arg(value_name = "STEP")]
    step: String,
    /// The task whose input to use; default: of the finished tasks, the one with the median time
    #[arg(value_name = "TASK")]
    task: Option<String>,
    /// Use the host's programs instead of packages
    #[arg(long)]
    host_env: bool,
    #[command(flatten)]
    params: ParamOptions,
    #[command(flatten)]
    secrets: SecretOptions,
}

/// Runs a task and prints what it used.
pub(super) fn main(places: &Places, options: &Options) -> Result<ExitCode, Failure> {
    let mut source = Source::load(&places.manifest()?)?;
    if let Some(folder) = &places.workdir {
        source.folder = place::working_folder(folder)?;
    }
    place::known_step(&source, &options.step)?;
    source.params = params::of_one_task(places, &options.params, &source)?;
    secrets::give(&options.secrets, &mut source)?;
    // The second signal ends it at once: nobody hears the first one but what runs.
    let (inbox, emergency) = {
        let channel = Channel::default();
        (signals::listen(&channel)?, channel.emergency().clone())
    };
    source.stop = Arc::clone(&inbox.stop);
    for step in &mut source.manifest.steps {
        // What a sandbox does not show could not be seen to be missing.
        step.sandbox = false;
    }
    let step = source
        .manifest
        .step(&options.step)
        .ok_or_else(|| Failure::usage("no such step"))?;
    secrets::check_step(&source, step)?;
    let chosen = choose(places, step, options.task.as_deref())?;
    let row = chosen.as_ref().map(|chosen| &chosen.row);
    let place = OneTask::place()?;
    emergency.has(place.path());
    let Script { command, time } = script(places, options, &source, step, row, place.path())
        .map_err(|failure| failure.or_signal(inbox.signal()))?;
    let mut uses = BTreeMap::new();
    let handle = Handle::default();
    emergency.tasks().add(handle.clone());
    let ended = handle.observe(
        command,
        Some(time),
        &inbox.stop,
        &mut |Used { path, how }| {
            let most = uses.entry(path).or_insert(how);
            *most = how.max(*most);
        },
    );
    let (ended, cut) = ended.map_err(|error| {
        Failure::usage(format!(
            "cannot observe step {}: {error}",
            visible(&options.step)
        ))
        .hint("this takes Linux with glibc, where processes may be traced (ptrace), as strace does it")
    })?;
    let how = match cut {
        None => describe(ended),
        Some(StopReason::Timeout) => format!("ended after {}, when its time was over", exact(time)),
        Some(StopReason::Asked) => "interrupted".to_owned(),
    };
    let is_whole = cut.is_none() && ended.success();
    say_how_it_ended(step, chosen.as_ref(), &how, is_whole, place.path());
    let world = World {
        folder: source.folder.clone(),
        own: [
            fs::canonicalize(&places.db).ok(),
            fs::canonicalize(place.path()).ok(),
        ]
        .into_iter()
        .flatten()
        .collect(),
        declared: declared(step),
    };
    Failure::unless_gone(print(&in_words(step, &world.sort(uses))))?;
    Ok(match inbox.signal() {
        Some(signal) => ExitCode::from(signal_status(signal)),
        None => ExitCode::from(u8::from(!is_whole)),
    })
}

/// Lines of standard error that are told of a script that failed.
const LAST_WORDS: usize = 5;

/// `how`: how it ended; `is_whole`: all that it does was seen.
fn say_how_it_ended(step: &Step, chosen: Option<&Chosen>, how: &str, is_whole: bool, place: &Path) {
    let name = visible(step.name.as_str());
    let task = chosen.map_or_else(String::new, |chosen| {
        let why = chosen.why.iter().map(|why| format!(" ({why})"));
        format!(" #{}{}", chosen.row.id, why.collect::<String>())
    });
    let mut text = format!("{name}{task}: observed, {how}; what it left is thrown away\n");
    if !is_whole {
        let mut words = Vec::new();
        let _ = File::open(place.join("stderr"))
            .and_then(|file| file.take(1 << 20).read_to_end(&mut words));
        let lines = said(&words);
        for line in &lines[lines.len().saturating_sub(LAST_WORDS)..] {
            let _ = writeln!(text, "  {line}");
        }
        text.push_str("what it would have used behind that is not known\n");
    }
    out::tell(&text);
}
