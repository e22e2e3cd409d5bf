//! What comes of jobs that workers have: each ends once, whatever becomes of whoever has it.

use std::path::PathBuf;

use super::book::{BAD, LOSSES, OUTLASTED, WorkerId};
use super::talk::OTHER;
use super::{Arriving, Remote, State};
use crate::engine::{self, Collected, Ended, Job};
use crate::exec::away::News;
use crate::model::digest::Digest;
use crate::model::event::Launch;
use crate::model::identity::Tools;
use crate::model::task::TaskId;
use crate::state::{Finished, Logs};
use crate::text::amount;
use crate::text::joined;
use crate::text::time::short_micros;
use crate::wire::message::{End, Lease, Outcome};

/// How often it is told that a machine cannot carry out tasks of a step.
const TOLD: usize = 50;

impl<'a> Remote<'a> {
    /// A worker said that a job is over; whether the job was lost by that, as the worker is to end. `leaving`: why it is.
    pub(super) fn done(
        &self,
        worker: WorkerId,
        lease: Lease,
        end: End,
        (arrived, leaving): (Option<Arriving<'a>>, &str),
    ) -> Result<bool, String> {
        if let Some(tree) = &end.checkpoint {
            self.check_tree(tree)?;
        }
        if let Outcome::Unable(why) = &end.outcome {
            self.unable(worker, lease, why);
            return Ok(false);
        }
        let mut state = self.lock();
        let elapsed = u64::try_from(end.elapsed).unwrap_or(0);
        let Some(job) = state.book.done(worker, lease, elapsed) else {
            return Ok(false);
        };
        let given = state.given.remove(&lease);
        // Nobody asked for its end but whoever ends the worker.
        let is_lost = end.outcome == Outcome::Cancelled && !state.stopped && !state.over;
        if is_lost {
            self.tell(News::Lost {
                worker: self.number(worker),
                task: job.ready.id,
                given: given.unwrap_or_default(),
                why: leaving.to_owned(),
            });
        }
        self.settle(&mut state);
        drop(state);
        let arrived = arrived.unwrap_or_else(|| self.arriving());
        let outcome = match end.outcome {
            Outcome::Success => {
                let outputs = arrived.outputs.end();
                engine::Outcome::Success(outputs.map_err(|error| error.to_string())?)
            }
            Outcome::Failure(error) => engine::Outcome::Failure(error),
            Outcome::OutOfMemory(error) => engine::Outcome::OutOfMemory(error),
            Outcome::Cancelled | Outcome::Unable(_) => engine::Outcome::Cancelled,
        };
        let kept = self.keep.as_ref().zip(end.kept).map(|(keep, kept)| {
            let kept = kept.and_then(|tree| {
                self.check_tree(&tree)?;
                let kept = keep.unfold(self.store, job.ready.id, &tree);
                kept.map_err(|error| error.to_string())
            });
            keep.words(kept, &job.step.name, job.ready.id)
        });
        let launches = [Launch::Direct, Launch::Shell, Launch::Warm];
        self.tell(News::Ended(Box::new(Ended {
            task: job.ready.id,
            outcome,
            finished: Finished {
                started: end.started,
                elapsed: end.elapsed,
                worker: self.number(worker),
                cpu: end.cpu,
                peak: end.peak,
            },
            launch: end.launch.and_then(|word| {
                let mut launches = launches.into_iter();
                launches.find(|launch| launch.word() == word)
            }),
            logs: Logs {
                stdout: end.stdout,
                stderr: end.stderr,
            },
            warning: end.warning,
            session: arrived.session,
            kept,
            checkpoint: end.checkpoint,
        })));
        Ok(is_lost)
    }

    /// A worker could not do its part of a job.
    fn unable(&self, worker: WorkerId, lease: Lease, why: &str) {
        let mut state = self.lock();
        if why.contains(OTHER) {
            // No other machine gets it, either.
            state.given.remove(&lease);
            if let Some(job) = state.book.give_up(worker, lease) {
                self.fail(&job, why.to_owned());
            }
            self.settle(&mut state);
            return;
        }
        let node = state.book.node(worker).unwrap_or_default().to_owned();
        let about = state.book.job(lease);
        let about = about.map(|job| (job.step.queue, job.step.name.to_string(), job.ready.id));
        let place = state.links.get(&worker).map_or(0, |link| link.place);
        if let (Some(lost), Some((queue, step, task))) = (state.book.unable(worker, lease), about) {
            let given = state.given.remove(&lease).unwrap_or_default();
            self.tell(News::Lost {
                worker: self.number(worker),
                task,
                given,
                why: why.to_owned(),
            });
            if lost.left_out {
                self.warn(format!(
                    "{}: {node} gets no more tasks, as {BAD} in a row could not be carried out there, the last \
                     one, {step} #{task}, as: {}",
                    self.crews[place].name,
                    joined(why)
                ));
            } else if lost.again > 0
                && state.unable.len() < TOLD
                && state.unable.insert((node.clone(), queue))
            {
                self.warn(format!(
                    "{node} cannot carry out {step} #{task}, which is tried again, elsewhere if there are others: {}", joined(why)
                ));
            }
            for job in &lost.for_good {
                self.fail(job, format!(
                    "lost: {LOSSES} workers could not carry it out, the last one on {node}: {why}"
                ));
            }
        }
        self.settle(&mut state);
    }

    /// A worker says something of its machine, which is told once.
    pub(super) fn warn_of(&self, worker: WorkerId, words: &str) {
        let mut state = self.lock();
        let node = state.book.node(worker).unwrap_or_default().to_owned();
        if state.warned.len() < TOLD && state.warned.insert(words.to_owned()) {
            self.warn(format!("{node}: {words}"));
        }
    }

    /// Where the secrets of a step are; fails for a worker that has no task of it.
    pub(super) fn secrets_for(
        &self,
        worker: WorkerId,
        step: u32,
    ) -> Result<Vec<PathBuf>, &'static str> {
        let queue = usize::try_from(step).unwrap_or(usize::MAX);
        let posted = self.steps.get(queue).and_then(Option::as_ref);
        let state = self.lock();
        let has_task = state.book.has(worker, |job| job.step.queue == queue);
        let files = posted.filter(|_| has_task);
        let files = files.map(|posted| posted.secrets.clone());
        files.ok_or("it asked for the secrets of a step that it has no task of")
    }

    /// A worker said that a job that goes on keeps this tree.
    pub(super) fn keeps(&self, lease: Lease, tree: Digest) -> Result<(), String> {
        self.check_tree(&tree)?;
        let mut state = self.lock();
        if let Some(job) = state.book.job_mut(lease) {
            // It has it, too, should it be carried out again.
            job.grant.checkpoint = Some(tree);
            self.tell(News::Kept(job.ready.id, tree));
        }
        Ok(())
    }

    /// Fails unless all of it came.
    fn check_tree(&self, tree: &Digest) -> Result<(), String> {
        let is_there = self.store.contains(tree) && {
            let is_there = |digest: &Digest| self.store.contains(digest);
            self.store.all_in(tree, is_there)
        };
        if is_there {
            return Ok(());
        }
        Err("what a task keeps did not come".to_owned())
    }

    /// The store paths of a step's packages.
    pub(super) fn packages_of(&self, step: u32) -> Vec<String> {
        let posted = self.steps.get(step as usize).and_then(Option::as_ref);
        let Some(Tools::Nix(environment)) = posted.map(|posted| &posted.spec.identity.tools) else {
            return Vec::new();
        };
        let packages = environment.packages.iter();
        packages
            .flat_map(|package| package.store_paths.iter().cloned())
            .collect()
    }

    pub(super) fn arriving(&self) -> Arriving<'a> {
        Arriving {
            outputs: Collected::new(self.folder.path()),
            session: self.store.session(),
        }
    }

    /// A job that nobody can carry out.
    fn fail(&self, job: &Job, error: String) {
        self.ended(job.ready.id, engine::Outcome::Failure(error));
    }

    /// A job was not carried out at all.
    pub(super) fn ended(&self, task: TaskId, outcome: engine::Outcome) {
        self.tell(News::Ended(Box::new(Ended {
            task,
            outcome,
            finished: Finished {
                started: crate::sys::now().as_millisecond(),
                elapsed: 0,
                worker: 0,
                cpu: None,
                peak: None,
            },
            launch: None,
            logs: Logs::default(),
            warning: None,
            session: self.store.session(),
            kept: None,
            checkpoint: None,
        })));
    }

    /// A worker is gone: what it had is done elsewhere, as are the `handed` jobs that were lost before with what they keep.
    pub(super) fn gone(
        &self,
        place: usize,
        worker: WorkerId,
        node: &str,
        (why, left, time_is_over): (&str, bool, bool),
        handed: usize,
    ) {
        let mut state = self.lock();
        let link = state.links.remove(&worker);
        state.late.remove(&worker);
        let held = state.book.held(worker);
        let held: Vec<_> = held.map(|(lease, job)| (lease, job.ready.id)).collect();
        let State { book, given, .. } = &mut *state;
        let now = crate::sys::now().as_millisecond();
        let came = link.filter(|_| time_is_over).map(|link| link.came);
        let lost = book.gone_with(worker, left, |lease, job| {
            // One that came late in the worker's life may well fit into the next one's.
            let half = came.map(|came| came.midpoint(now));
            let is_early = half
                .zip(given.get(&lease))
                .is_some_and(|(half, given)| *given < half);
            is_early && !job.step.checkpoint.is_kept()
        });
        let (over, stopped) = (state.over, state.stopped);
        for (lease, task) in held {
            let given = state.given.remove(&lease);
            if !over && !stopped && lost.begun.contains(&lease) {
                self.tell(News::Lost {
                    worker: self.number(worker),
                    task,
                    given: given.unwrap_or_default(),
                    why: why.to_owned(),
                });
            }
        }
        self.settle(&mut state);
        drop(state);
        for job in &lost.for_good {
            let why =
                format!("lost: {LOSSES} workers ended while it ran, the last one on {node}: {why}");
            self.fail(job, why);
        }
        for job in &lost.too_long {
            self.fail(job, format!(
                "lost: it goes on for longer than its workers may: the time of {OUTLASTED} was over while it ran, the last one on \
                 {node} after {}: {why}\nhint: give the workers more time (with Slurm `-t` among the executor's options), or the step \
                 `checkpoint = true`, if it can go on where it was",
                 short_micros(now.saturating_sub(came.unwrap_or(now)).saturating_mul(1000)),
            ));
        }
        let failed = lost.for_good.len() + lost.too_long.len();
        // What had not begun is handed back, as if it had never been there.
        let all = lost.begun.len() + handed;
        if !over && !stopped && all > 0 {
            let executor = &self.crews[place].name;
            self.warn(format!(
                "{executor}: {} lost with a worker on {node} ({why}): {}{}",
                amount::count(all, "task"),
                match (all.saturating_sub(failed), failed) {
                    (_, 0) => "run again elsewhere".to_owned(),
                    (again, failed) => format!("{again} run again elsewhere, {failed} failed"),
                },
                if lost.left_out {
                    format!(
                        "; {node} gets no more tasks, as {BAD} workers in a row were lost there"
                    )
                } else {
                    String::new()
                }
            ));
        }
    }
}
