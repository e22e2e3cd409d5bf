//! A worker's warm shells: which tasks run in one, and which shell serves them.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::cache::{self, TaskEnvironment};
use super::step::{Runnable, TaskLaunch};
use super::warmth::Warmth;
use crate::exec::local::workspace::Workspace;
use crate::model::plan::QueueId;
use crate::process::{Ended, Handle, Invocation, Limits, Pipes, RunError, Sink, Warm};
use crate::sys::Orphans;

/// The warm shells of one worker, all of them idle; they end with this.
#[derive(Debug, Default)]
pub(crate) struct Shells {
    /// The one used last is the last.
    idle: Vec<Shell>,
    made: u32,
    /// Steps whose shells do not start.
    cold: Vec<QueueId>,
    /// How many tasks of a step had a shell of their own that could have had a warm one.
    alone: HashMap<QueueId, u32>,
}

#[derive(Debug)]
struct Shell {
    queue: QueueId,
    warm: Warm,
    /// The values of [`crate::script::warm::PLACES`] that it has.
    places: [PathBuf; 3],
}

/// A worker keeps no more: each takes a process.
pub(crate) const KEPT: usize = 4;
/// So many tasks of a step save what it takes to start a warm shell, and to ask before whether it
/// works: after as many in shells of their own one is worth it, if it was not asked for.
const PAYS: u32 = 4;

impl Shells {
    /// Runs the job's task in the shell of its step; nothing if it must run in one of its own.
    pub(crate) fn run(
        &mut self,
        job: &TaskLaunch,
        own: &TaskEnvironment,
        handle: &Handle,
        pipes: &mut Pipes,
        orphans: &Orphans,
        sink: &mut dyn Sink,
    ) -> Result<Option<Ended>, RunError> {
        let Some(warmth) = job.step.warm() else {
            return Ok(None);
        };
        let name = job.ready.name.as_deref().unwrap_or_default();
        if name.contains('\n') || self.cold.contains(&job.step.queue) || !self.pays(warmth, job) {
            return Ok(None);
        }
        let Some(mut shell) = self.take(warmth, job, own, pipes, orphans) else {
            self.cold.push(job.step.queue);
            return Ok(None);
        };
        let mut lines = Vec::new();
        let places = places(own.workspace);
        if shell.places != places {
            lines.extend_from_slice(b"+\n");
            for place in &places {
                lines.extend_from_slice(place.as_os_str().as_bytes());
                lines.push(b'\n');
            }
            shell.places = places;
        }
        lines.extend_from_slice(format!("{}\n{name}\n", job.ready.id).as_bytes());
        let timeout = job.step.timeout;
        let (ended, warm) = handle.run_warm(shell.warm, &lines, pipes, orphans, timeout, sink)?;
        if let Some(warm) = warm {
            self.idle.push(Shell { warm, ..shell });
        }
        Ok(Some(ended))
    }

    /// Whether the step has a shell, or one is worth its start.
    fn pays(&mut self, warmth: &Warmth, job: &TaskLaunch) -> bool {
        let queue = job.step.queue;
        if self.idle.iter().any(|shell| shell.queue == queue) {
            return true;
        }
        let alone = self.alone.entry(queue).or_default();
        let pays = job.more && (warmth.wanted || *alone >= PAYS);
        if !pays {
            *alone += 1;
        }
        pays
    }

    /// The shell of the job's step, started if need be.
    fn take(
        &mut self,
        warmth: &Warmth,
        job: &TaskLaunch,
        own: &TaskEnvironment,
        pipes: &Pipes,
        orphans: &Orphans,
    ) -> Option<Shell> {
        let queue = job.step.queue;
        if let Some(at) = self.idle.iter().position(|shell| shell.queue == queue) {
            let shell = self.idle.remove(at);
            if !shell.warm.is_dead() {
                return Some(shell);
            }
        }
        let plain = |path: &PathBuf| !path.as_os_str().as_bytes().contains(&b'\n');
        let places = places(own.workspace);
        if !orphans.can_tell() || !places.iter().all(plain) || !works(warmth, job.step) {
            return None;
        }
        if self.idle.len() == KEPT {
            self.idle.remove(0);
        }
        let fifo = own.workspace.own_file(&format!("warm{}", self.made));
        self.made += 1;
        let arguments = ["-c".into(), warmth.script.looped(fifo.to_str()?).into()];
        let spec = cache::shell(own, &arguments).ok()?.prepare(pipes).ok()?;
        let warm = Warm::start(&spec, &fifo).ok()?;
        Some(Shell {
            queue,
            warm,
            places,
        })
    }
}

fn places(workspace: &Workspace) -> [PathBuf; 3] {
    [
        workspace.input().to_owned(),
        workspace.output().to_owned(),
        workspace.temporary().to_owned(),
    ]
}

/// Whether the shell takes the script, by itself and within the loop, without a word, and it calls
/// what it is known to call.
fn works(warmth: &Warmth, step: &Runnable) -> bool {
    *warmth.works.get_or_init(|| {
        let looped = [OsStr::new("-c").into(), warmth.script.looped("/").into()];
        warmth.programs.iter().all(|name| is_compiled(name, step))
            && is_silent(step, &step.arguments).unwrap_or(false)
            && is_silent(step, &looped).unwrap_or(false)
    })
}

/// Whether a name stands for a compiled program, as that of a well-known one does: a script could
/// do anything under any name.
fn is_compiled(name: &str, step: &Runnable) -> bool {
    let Some(path) = step.variables.get(OsStr::new("PATH")) else {
        return false;
    };
    let mut start = [0; 4];
    std::env::split_paths(path).all(|entry| entry.is_absolute())
        && which::which_in(name, Some(path), &step.folder)
            .and_then(|file| File::open(file).map_err(|_| which::Error::CannotFindBinaryPath))
            .is_ok_and(|mut file| file.read_exact(&mut start).is_ok())
        && start == *b"\x7fELF"
}

fn is_silent(step: &Runnable, arguments: &[OsString]) -> Result<bool, RunError> {
    let mut pipes = Pipes::new()?;
    let arguments = [&["-n".into()], arguments].concat();
    let probe = Invocation {
        // Nothing that it could wait for runs in it.
        limits: Limits::default(),
        ..cache::of_shell(step, &arguments, step.variables.as_ref().clone())?
    };
    let probe = [probe.prepare(&pipes)?];
    let mut silent = true;
    let mut sink = |_, _: &[u8]| silent = false;
    let (ended, _) = Handle::default().launch(&probe, &mut pipes, &mut sink)?;
    Ok(ended.status.success() && silent)
}
