//! A worker's servers of sandboxes: each makes those of one step, one after the other.

use super::cache::{self, TaskEnvironment};
use super::step::TaskLaunch;
use super::warm::KEPT;
use crate::exec::local::sandbox::Sandbox;
use crate::model::plan::QueueId;
use crate::process::{Ended, Handle, Pipes, RunError, Sink, Warm};
use crate::sys::Orphans;

/// The servers of one worker, all of them idle; they end with this.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    /// The one used last is the last.
    idle: Vec<(QueueId, Warm)>,
    made: u32,
    /// Steps whose servers do not start.
    cold: Vec<QueueId>,
}

impl Servers {
    /// Runs the job's task in a sandbox that the server of its step makes; nothing if it must be one that is made
    /// for it alone.
    pub(crate) fn run(
        &mut self,
        job: &TaskLaunch,
        own: &TaskEnvironment,
        handle: &Handle,
        pipes: &mut Pipes,
        orphans: &Orphans,
        sink: &mut dyn Sink,
    ) -> Result<Option<Ended>, RunError> {
        let Some(sandbox) = &job.step.sandbox else {
            return Ok(None);
        };
        let queue = job.step.queue;
        let is_there = self.idle.iter().any(|(of, _)| *of == queue);
        if !is_there && !job.more || self.cold.contains(&queue) || !own.workspace.leads().is_empty()
        {
            return Ok(None);
        }
        let Some(server) = self.take(sandbox, job, own, pipes, orphans) else {
            self.cold.push(queue);
            return Ok(None);
        };
        let message = own.message();
        let timeout = job.step.timeout;
        let (ended, server) = handle.run_warm(server, &message, pipes, orphans, timeout, sink)?;
        self.idle.extend(server.map(|server| (queue, server)));
        Ok(Some(ended))
    }

    /// The server of the job's step, started if need be.
    fn take(
        &mut self,
        sandbox: &Sandbox,
        job: &TaskLaunch,
        own: &TaskEnvironment,
        pipes: &Pipes,
        orphans: &Orphans,
    ) -> Option<Warm> {
        let queue = job.step.queue;
        if let Some(at) = self.idle.iter().position(|(of, _)| *of == queue) {
            let (_, server) = self.idle.remove(at);
            if !server.is_dead() {
                return Some(server);
            }
        }
        if !orphans.can_tell() {
            return None;
        }
        if self.idle.len() == KEPT {
            self.idle.remove(0);
        }
        let file = |name: &str| {
            own.workspace
                .own_file(&format!("{name}{queue}-{}", self.made))
        };
        let (view, fifo) = (file("seen"), file("serve"));
        self.made += 1;
        sandbox.write(&view, []).ok()?;
        let shell = cache::shell(own, &job.step.arguments).ok()?;
        let server = Sandbox::server(shell, &view, &fifo).ok()?;
        Warm::start(&server.prepare(pipes).ok()?, &fifo).ok()
    }
}
