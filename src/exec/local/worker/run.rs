//! Runs the script of a task in the cheapest way that is as good as a shell of its own.

use std::io;

use super::super::launch::cache::{Prepared, TaskEnvironment};
use super::super::launch::step::TaskLaunch;
use super::super::listener::Listener;
use super::super::live::Live;
use super::super::scratch::notes;
use super::super::transcript::Record;
use super::{Connected, Worker, connected};
use crate::model::event::Launch;
use crate::process::{self, Pipes, RunError, Sink as _, Stream};
use crate::sys::{Part, Shortage, Usage};

impl<'a> Worker<'a> {
    pub(super) fn run(
        &mut self,
        job: &TaskLaunch,
        record: &mut Record<'a>,
    ) -> Result<process::Ended, RunError> {
        let mut live = self
            .tell
            .map(|tell| Live::new(tell, job.ready.id, &job.step.name));
        let ended = self.launch(job, record, &mut live);
        record.end(&mut |stream, bytes| {
            if let Some(live) = &mut live {
                live.wrote(stream, bytes);
            }
        });
        if let Some(live) = &mut live {
            live.end();
        }
        ended
    }

    fn launch(
        &mut self,
        job: &TaskLaunch,
        record: &mut Record<'a>,
        live: &mut Option<Live>,
    ) -> Result<process::Ended, RunError> {
        let Connected {
            pipes,
            shells,
            servers,
            commands,
        } = connected(&mut self.open, &mut self.boxed, job);
        let pipes = match pipes {
            Some(pipes) => pipes,
            none => {
                let pipes = none.insert(Pipes::new()?);
                // Where it fails, processes are known by their variables.
                let _ = notes::add(&self.site.scratch, pipes);
                pipes
            }
        };
        (self.seen, self.used) = (None, Usage::default());
        let part = match (&self.site.fence, job.grant.memory) {
            (Some(fence), Some(bytes)) => {
                let number = self.number;
                let part = (self.part).get_or_insert_with(|| fence.part(&number.to_string()));
                part.begin(bytes)?;
                Some(&*part)
            }
            (None, _) | (_, None) => None,
        };
        let mut sink = Listener {
            job,
            record,
            live: live.as_mut(),
            store: self.site.store,
            disk: &mut self.disk,
        };
        let kept = commands.of(job.step.queue);
        let own = TaskEnvironment::new(&self.workspace, job);
        if let Some(direct) = job.step.direct().filter(|_| part.is_none()) {
            let is_short = |error: &io::Error| Shortage::of(error).is_some();
            // What is not short, the shell can say best.
            match kept.plain(job, direct, &own, pipes) {
                Err(error) if is_short(&error) => return Err(RunError::Spawn(error)),
                Ok(None) | Err(_) => {}
                Ok(Some(Prepared::Done)) => {
                    self.launched = Some(Launch::Direct);
                    return Ok(process::Ended::at_once());
                }
                Ok(Some(Prepared::Start(specs))) => {
                    self.launched = Some(Launch::Direct);
                    match self.handle.launch(specs, pipes, &mut sink) {
                        Err(RunError::Spawn(error)) if !is_short(&error) => {}
                        Ok((ended, stages)) if direct.waits && ended.cut.is_none() => {
                            let tell = |words: &str| sink.wrote(Stream::Stderr, words.as_bytes());
                            return Ok(ended.of_a_shell(&stages, direct.semantics, tell));
                        }
                        other => return other.map(|(ended, _)| ended),
                    }
                }
            }
        }
        if !self.alone && part.is_none() {
            let orphans = &self.site.orphans;
            let warm = shells.run(job, &own, self.handle, pipes, orphans, &mut sink)?;
            if let Some(ended) = warm {
                self.launched = Some(Launch::Warm);
                return Ok(ended);
            }
            let served = servers.run(job, &own, self.handle, pipes, orphans, &mut sink)?;
            if let Some(ended) = served {
                self.launched = Some(Launch::Shell);
                return Ok(ended);
            }
        }
        self.launched = Some(Launch::Shell);
        let door = part.map(Part::door);
        let spec = std::slice::from_ref(kept.shell(job, &own, door.as_deref(), pipes)?);
        let ended = self.handle.launch(spec, pipes, &mut sink);
        self.seen = part.map(Part::end);
        if let Some(seen) = &self.seen {
            self.site.kills.count(seen);
        }
        ended.map(|(ended, _)| ended)
    }
}
