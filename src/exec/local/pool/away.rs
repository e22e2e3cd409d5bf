//! Jobs that are carried out elsewhere: one thread hears what comes of them, and takes turns for them.
//!
//! Whoever takes a turn may be given any job: one for elsewhere is passed on at once, and one for here waits
//! for a worker, who is woken.

use std::sync::MutexGuard;
use std::thread::Scope;

use super::{Dispatch, Pool};
use crate::engine::{Error, Job, Outcome, Reply, Stop, Turn, Who};
use crate::exec::away::{Away, News, Whereabouts};
use crate::model::event::{Cause, Event};
use crate::model::plan::QueueId;

impl<'a, 'c> Pool<'a, 'c> {
    /// Starts the thread that hears what happens elsewhere, if anybody works there.
    pub(super) fn hear_news<'scope, 'env>(&'env self, scope: &'scope Scope<'scope, 'env>)
    where
        'a: 'scope,
        'c: 'scope,
    {
        let Some(away) = self.away else {
            return;
        };
        away.open();
        let started = std::thread::Builder::new()
            .name("news".into())
            .spawn_scoped(scope, move || {
                while let Some(news) = away.next() {
                    self.hear(scope, away, news);
                }
            });
        let mut dispatch = self.lock();
        if let Err(error) = started {
            self.fail(&mut dispatch, Error::Worker(Some(error)));
        }
        self.call_others(&mut dispatch);
    }

    fn hear<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        away: &dyn Away,
        news: News,
    ) where
        'a: 'scope,
        'c: 'scope,
    {
        let mut dispatch = self.lock();
        let reply = match news {
            News::Ended(mut ended) => {
                if let Outcome::Failure(error) = &mut ended.outcome {
                    let step = dispatch.scheduler.step_of(ended.task);
                    self.explain(step, error);
                }
                Some(Reply::Ended(*ended))
            }
            News::Room(place, units) => {
                dispatch.scheduler.set_room(place, units);
                None
            }
            News::Wrote {
                task,
                step,
                stderr,
                bytes,
            } => {
                return dispatch.scheduler.tell(&Event::Output {
                    task,
                    step: &self.steps[step].name,
                    stderr,
                    bytes: &bytes,
                });
            }
            News::Given(worker, task) => return dispatch.scheduler.given_there(worker, task),
            News::Kept(task, tree) => {
                if let Err(error) = dispatch.scheduler.keeps(task, &tree) {
                    return self.fail(&mut dispatch, error);
                }
                None
            }
            News::Worker(worker, place, whereabouts) => {
                let scheduler = &mut dispatch.scheduler;
                let (executor, most) = away.crew(place);
                let who = Who {
                    worker,
                    executor,
                    place,
                    most,
                };
                let done = match &whereabouts {
                    Whereabouts::Called => scheduler.worker_called(who),
                    Whereabouts::Waits(why) => scheduler.worker_waits(who, why),
                    Whereabouts::Here { node, slots } => scheduler.worker_came(who, node, *slots),
                    Whereabouts::Gone(why) => scheduler.worker_gone(who, why),
                };
                if let Err(error) = done {
                    return self.fail(&mut dispatch, error);
                }
                None
            }
            News::Lost {
                worker,
                task,
                given,
                why,
            } => {
                if let Err(error) = dispatch.scheduler.lost_there(worker, task, given, &why) {
                    return self.fail(&mut dispatch, error);
                }
                None
            }
            News::Warning(words) => return dispatch.scheduler.tell(&Event::Warning(&words)),
            News::Nobody(place, error, hint) => {
                dispatch.scheduler.end_for_want(place, error, hint);
                None
            }
        };
        if !dispatch.over {
            self.take_turns(scope, away, dispatch, reply);
        }
    }

    /// Adds what is known here alone: whether a script failed for a file that its sandbox does not show.
    fn explain(&self, step: Option<QueueId>, error: &mut String) {
        let sandbox = step.and_then(|step| self.steps[step].sandbox.as_ref());
        let is_lost = matches!(Cause::of(error), Cause::Lost);
        let hint = sandbox
            .filter(|_| !is_lost)
            .and_then(|sandbox| sandbox.hint(error));
        for line in hint.iter().flat_map(|hint| hint.lines()) {
            // A machine that sees the same disk may have said it.
            if !error.contains(line) {
                error.push('\n');
                error.push_str(line);
            }
        }
    }

    /// Takes turns until there is nothing to do.
    fn take_turns<'g, 'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        away: &dyn Away,
        mut dispatch: MutexGuard<'g, Dispatch<'a>>,
        mut reply: Option<Reply>,
    ) where
        'env: 'g,
        'a: 'scope,
        'c: 'scope,
    {
        while !dispatch.over {
            match dispatch.turn(reply.take()) {
                Ok(Turn::Do(job)) => {
                    if let Some(job) = give_away(away, job) {
                        dispatch.at_hand.push_back(job);
                        if let Err(error) = self.call(&mut dispatch, scope) {
                            return self.fail(&mut dispatch, error);
                        }
                    }
                }
                Ok(Turn::Examine(mut examination)) => {
                    drop(dispatch);
                    examination.look(self.site.store);
                    reply = Some(Reply::Examined(examination));
                    dispatch = self.lock();
                }
                Ok(Turn::Record(recording)) => {
                    reply = Some(Reply::Recording(recording));
                    dispatch = self.let_others(dispatch);
                }
                Ok(Turn::Again) => dispatch = self.let_others(dispatch),
                Ok(Turn::Over) => self.finish(&mut dispatch),
                Ok(Turn::Wait) => {
                    self.call_others(&mut dispatch);
                    self.set_alarm(&mut dispatch);
                    if let Err(error) = self.call(&mut dispatch, scope) {
                        self.fail(&mut dispatch, error);
                    }
                    return;
                }
                Err(error) => return self.fail(&mut dispatch, error),
            }
        }
    }

    /// Passes a job on that is carried out elsewhere; gives back one that is not.
    pub(super) fn give_away(&self, job: Box<Job>) -> Option<Box<Job>> {
        match self.away {
            Some(away) => give_away(away, job),
            None => Some(job),
        }
    }

    /// Says how many jobs wait for somebody elsewhere.
    pub(super) fn call_others(&self, dispatch: &mut Dispatch<'a>) {
        if let Some(away) = self.away
            && !dispatch.over
        {
            for (place, jobs) in dispatch.scheduler.wanted().into_iter().enumerate() {
                if jobs > 0 {
                    away.want(place, jobs);
                }
            }
        }
    }

    /// All that runs is asked to end, or is ended.
    pub(super) fn stop_all(&self, stop: Stop) {
        match stop {
            Stop::Ask => self.tasks.end(),
            Stop::Kill => self.tasks.kill(),
        }
        if let Some(away) = self.away {
            away.stop(stop);
        }
    }
}

/// Passes a job on that is carried out elsewhere; gives back one that is not.
fn give_away(away: &dyn Away, job: Box<Job>) -> Option<Box<Job>> {
    if away.place(job.step.queue).is_none() {
        return Some(job);
    }
    away.give(job);
    None
}
