//! An executor without threads and processes, on which scheduling is tested.

use std::collections::VecDeque;
use std::time::Instant;

use super::Executor;
use crate::engine::{Ended, Error, Job, Outcome, Reply, Scheduler, Turn};
use crate::state::{Finished, Logs};
use crate::store::Session;

/// Takes whatever it is given; when there is no more, what others could have come before goes on,
/// and then one job ends.
pub(crate) struct Fake<'f> {
    /// Which of those in hand ends next; none if the executor dies with all of them.
    pub next: &'f mut dyn FnMut(&[Box<Job>]) -> Option<usize>,
    /// What comes of it.
    pub outcome: &'f mut dyn FnMut(&Job) -> Outcome,
}

impl Executor for Fake<'_> {
    fn drive<'a>(&mut self, mut scheduler: Scheduler<'a>) -> Result<Scheduler<'a>, Error> {
        let (mut now, mut hand, mut reply) = (Instant::now(), Vec::new(), None);
        let mut half_done = VecDeque::new();
        loop {
            match scheduler.turn(now, reply.take())? {
                Turn::Do(job) => hand.push(job),
                Turn::Examine(mut examination) => {
                    examination.look(scheduler.store());
                    half_done.push_back(Reply::Examined(examination));
                }
                Turn::Record(recording) => half_done.push_back(Reply::Recording(recording)),
                Turn::Again => {}
                Turn::Over => return Ok(scheduler),
                Turn::Wait if !half_done.is_empty() => reply = half_done.pop_front(),
                Turn::Wait if hand.is_empty() => {
                    // Time passes only where nothing else can.
                    now = scheduler.due().expect("somebody looks again");
                    scheduler.tick(now)?;
                }
                Turn::Wait => {
                    let next = (self.next)(&hand).ok_or(Error::Worker(None))?;
                    let job = hand.swap_remove(next);
                    reply = Some(Reply::Ended(ended(&job, (self.outcome)(&job))));
                }
            }
        }
    }
}

/// The end of a job.
pub(crate) fn ended(job: &Job, outcome: Outcome) -> Ended {
    Ended {
        task: job.ready.id,
        outcome,
        finished: Finished {
            started: 0,
            elapsed: 1,
            worker: 0,
            cpu: None,
            peak: None,
        },
        launch: None,
        logs: Logs::default(),
        warning: None,
        session: Session::default(),
        kept: None,
        checkpoint: None,
    }
}
