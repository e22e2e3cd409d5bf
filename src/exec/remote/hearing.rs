//! What one worker says, from the moment that it is taken on to its end: checked, then done as it says.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use super::beside::{self, Beside};
use super::book::WorkerId;
use super::deadline;
use super::process::{PREEMPTED, TIME_IS_OVER, says_why_ended};
use super::station::{Came, Phase};
use super::talk::Say;
use super::{Arriving, Link, Remote};
use crate::engine::Output;
use crate::exec::away::{News, Whereabouts};
use crate::exec::transfer::Incoming;
use crate::model::digest::Digest;
use crate::model::list::Form;
use crate::text::time::exact;
use crate::wire::frame;
use crate::wire::message::{End, Hello, Lease, Outcome, Terms, ToOwner, ToWorker};

/// See the module.
pub(super) struct Hearing<'r, 'a> {
    remote: &'r Remote<'a>,
    worker: WorkerId,
    place: usize,
    /// That of its station.
    number: usize,
    node: String,
    /// Whether it is to get anything.
    is_welcome: bool,
    say: Sender<Say>,
    arriving: HashMap<Lease, Arriving<'a>>,
    incoming: Incoming<'a, Lease>,
    /// Whether it can read large objects where they lie.
    reads: bool,
    /// Why it takes no more tasks.
    leaving: Option<String>,
    /// Tasks that it ended.
    ended: u64,
    /// Those of them that were lost, as it is to end.
    handed: usize,
    /// What its command writes besides.
    words: Option<File>,
    /// When it said something last.
    last: Instant,
    /// When its place is taken away, where that is known.
    until: Option<Instant>,
}

/// How a worker ended, with why Slurm ended it.
fn with_cause(how: &str, said: Option<String>) -> String {
    match said {
        Some(said) => format!("{how} (Slurm: {said})"),
        None => how.to_owned(),
    }
}

impl<'a> Remote<'a> {
    /// Takes a worker on that came to a station, to whom is said what goes into `say`; what it came to where there
    /// is nothing for it.
    pub(super) fn take_on(
        &self,
        (place, number): (usize, usize),
        hello: Hello,
        say: Sender<Say>,
    ) -> Result<Hearing<'_, 'a>, Came> {
        let refused = |how: String, was_of_use: bool| Came {
            was_of_use,
            left_out: false,
            how,
        };
        if let Some(why) = deadline::is_too_near(&hello, self.crews[place].longest) {
            return Err(refused(why, false));
        }
        let terms = Terms {
            meeting: self.beside.as_ref().and_then(Beside::meeting),
            nix_cache: self.crews[place].nix_cache.clone(),
            ..self.terms.clone()
        };
        let _ = say.send(Say::Message(ToWorker::Welcome(Box::new(terms))));
        let now = (self.clock)();
        let mut state = self.lock();
        if state.over {
            return Err(refused("the run is over".to_owned(), true));
        }
        let expected = state.stations[place][number].expects.take();
        let worker = expected.unwrap_or(state.next);
        state.next = state.next.max(worker + 1);
        let here = Whereabouts::Here {
            node: hello.node.clone(),
            slots: hello.slots,
        };
        self.tell_of(worker, place, here);
        let link = Link {
            say: say.clone(),
            knows: vec![false; self.steps.len()],
            place,
            station: number,
            heard: now,
            idle: None,
            until: deadline::of(&hello, now),
            came: crate::sys::now().as_millisecond(),
        };
        let until = link.until;
        let has_deadline = until.is_some();
        state.links.insert(worker, link);
        if has_deadline {
            // Who looks after it does not know when to look again.
            self.called.notify_all();
        }
        state.stations[place][number].phase = Phase::Manned;
        state.stations[place][number].coming = None;
        let node = hello.node.clone();
        let is_welcome = state.book.join(worker, place, node, hello.slots.max(1));
        state.book.has_gpus(worker, hello.gpus);
        if !is_welcome {
            let bye = "too much was lost on this machine".to_owned();
            let _ = say.send(Say::Message(ToWorker::Bye(bye)));
            let _ = say.send(Say::End);
        }
        self.settle(&mut state);
        drop(state);
        Ok(Hearing {
            incoming: Incoming::new(self.store, self.folder, worker.to_string()),
            remote: self,
            worker,
            place,
            number,
            node: hello.node,
            is_welcome,
            say,
            arriving: HashMap::new(),
            reads: false,
            leaving: None,
            ended: 0,
            handed: 0,
            words: None,
            last: now,
            until,
        })
    }
}

impl<'a> Hearing<'_, 'a> {
    /// It said that, or nothing more; why nothing more is heard.
    pub(super) fn hear(
        &mut self,
        said: Result<Option<(ToOwner, Vec<u8>)>, frame::Error>,
    ) -> Result<(), String> {
        let done = match said {
            Ok(Some((message, bytes))) => {
                self.heard();
                self.do_as(message, &bytes)
            }
            Ok(None) => return Err("it ended".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        done.inspect_err(|_| {
            // It may go on, and hear nothing of what is said to it.
            self.remote.lock().stations[self.place][self.number].kill();
        })
    }

    /// What its command writes besides goes there.
    pub(super) fn writes(&mut self, words: &File) {
        self.words = words.try_clone().ok();
    }

    /// Why Slurm ends it, if it says so.
    fn said(&self) -> Option<String> {
        says_why_ended(self.words.as_ref()?)
    }

    /// Nothing more is heard of it: what it came to.
    pub(super) fn end(self, why: String) -> Came {
        let said = self.said();
        let remote = self.remote;
        let silence = Duration::from_millis(remote.terms.silence);
        let stood_still = remote.stood_still().filter(|_| self.leaving.is_none());
        let how = if let Some(stood_still) = &stood_still {
            format!("{why}: {stood_still}")
        } else if (remote.clock)().duration_since(self.last) > silence {
            format!("nothing was heard of it for {}", exact(silence))
        } else {
            self.leaving.clone().unwrap_or(why)
        };
        let is_said = |cause| said.as_deref() == Some(cause);
        // Its own last words may not have come.
        let is_ended = is_said(TIME_IS_OVER) || is_said(PREEMPTED);
        let left = self.leaving.is_some() || stood_still.is_some() || is_ended;
        // Slurm ends them a little earlier now and then.
        let is_past = |until: Instant| (remote.clock)() + deadline::MARGIN >= until;
        let is_past = self.leaving.is_some() && self.until.is_some_and(is_past);
        let time_is_over = is_said(TIME_IS_OVER) || is_past;
        let how = with_cause(&how, said);
        let had_some = remote.lock().book.in_hand(self.worker) > 0;
        let ends = (&*how, left, time_is_over);
        remote.gone(self.place, self.worker, &self.node, ends, self.handed);
        let _ = self.say.send(Say::End);
        let mut state = remote.lock();
        let left_out = state.book.left_out(self.place).any(|out| out == self.node);
        state.stations[self.place][self.number].phase = Phase::Starting;
        Came {
            // The next one comes elsewhere.
            was_of_use: self.ended > 0
                || (left_out && self.is_welcome)
                || ((time_is_over || is_ended) && had_some),
            left_out,
            how,
        }
    }

    /// The tasks that it has.
    #[cfg(test)]
    pub(super) fn held(&self) -> Vec<i64> {
        let state = self.remote.lock();
        let held = state.book.held(self.worker);
        held.map(|(_, job)| job.ready.id.0).collect()
    }

    /// Whether it was ended by somebody.
    #[cfg(test)]
    pub(super) fn has_left(&self) -> bool {
        self.leaving.is_some()
    }

    /// It said something.
    fn heard(&mut self) {
        // Others look at that now and then.
        const OFTEN: Duration = Duration::from_millis(100);
        let now = (self.remote.clock)();
        if now.duration_since(self.last) > OFTEN
            && let Some(link) = self.remote.lock().links.get_mut(&self.worker)
        {
            link.heard = now;
            self.last = now;
        }
    }

    fn arriving(&mut self, lease: Lease) -> &mut Arriving<'a> {
        let remote = self.remote;
        self.arriving
            .entry(lease)
            .or_insert_with(|| remote.arriving())
    }

    /// Says where the worker can read these objects; of those that it had better get the bytes go.
    fn show(&self, digests: &[Digest]) {
        let mut rest = Vec::new();
        for digest in digests {
            let there = beside::path_of(self.remote.store, digest);
            match there.as_deref().and_then(Path::to_str) {
                None => rest.push(*digest),
                Some(path) => {
                    let there = ToWorker::There(*digest, path.to_owned());
                    let _ = self.say.send(Say::Message(there));
                }
            }
        }
        let _ = self.say.send(Say::Objects(rest));
    }

    /// A task is over.
    fn is_done(&mut self, lease: Lease, end: End) -> Result<(), String> {
        self.ended += 1;
        let arrived = self.arriving.remove(&lease);
        // As few tasks end so, nothing is looked up for the others.
        let leaving = if end.outcome == Outcome::Cancelled {
            let leaving = self.leaving.as_deref();
            with_cause(leaving.unwrap_or("its worker is to end"), self.said())
        } else {
            String::new()
        };
        let is_lost = self
            .remote
            .done(self.worker, lease, end, (arrived, &*leaving))?;
        self.handed += usize::from(is_lost);
        Ok(())
    }

    /// Does what a message says; why nothing more is heard.
    fn do_as(&mut self, message: ToOwner, bytes: &[u8]) -> Result<(), String> {
        let remote = self.remote;
        match message {
            ToOwner::Hello(_) | ToOwner::Ping => {}
            ToOwner::Beside(made) => {
                self.reads = remote.beside.is_some();
                let made = made.zip(remote.beside.as_ref());
                if made.is_some_and(|(name, beside)| beside.has(&name)) {
                    let _ = self.say.send(Say::Message(ToWorker::Seen));
                }
            }
            ToOwner::Need(digests) if self.reads => self.show(&digests),
            ToOwner::Need(digests) | ToOwner::NeedBytes(digests) => {
                let _ = self.say.send(Say::Objects(digests));
            }
            ToOwner::Secrets(step) => {
                let files = remote.secrets_for(self.worker, step)?;
                let _ = self.say.send(Say::Secrets(step, files));
            }
            ToOwner::Lacks(step) => {
                let _ = self.say.send(Say::Needs(step, remote.packages_of(step)));
            }
            ToOwner::NeedPackages(step, paths) => {
                let _ = self.say.send(Say::Packages(step, paths));
            }
            ToOwner::Wrote { lease, stderr } => {
                let state = remote.lock();
                if let Some(job) = state.book.job(lease) {
                    let news = News::Wrote {
                        task: job.ready.id,
                        step: job.step.queue,
                        stderr,
                        bytes: bytes.to_owned(),
                    };
                    remote.tell(news);
                }
            }
            ToOwner::Piece { lease, last } => {
                self.arriving(lease);
                let found = self.incoming.add(lease, bytes, last.is_some());
                let found = found.map_err(|error| error.to_string())?;
                if found != last {
                    return Err("an object came with other bytes than its name says".to_owned());
                }
            }
            ToOwner::Placed {
                lease,
                digest,
                name,
            } => {
                self.arriving(lease);
                let beside = remote.beside.as_ref();
                let beside = beside.ok_or("an object came where nobody looks")?;
                beside.take(remote.store, &digest, &name)?;
            }
            ToOwner::Output {
                lease,
                name,
                digest,
                form,
            } => {
                let form = Form::of(form).ok_or("an output of no known kind came")?;
                if !remote.store.contains(&digest) {
                    return Err(format!("the bytes of output {name:?} did not come"));
                }
                let output = Output {
                    name: name.into(),
                    digest,
                    form,
                };
                let pushed = self.arriving(lease).outputs.push(output);
                pushed.map_err(|error| error.to_string())?;
            }
            ToOwner::Kept(lease, tree) => remote.keeps(lease, tree)?,
            ToOwner::Done(lease, end) => self.is_done(lease, *end)?,
            ToOwner::GivenBack(lease) => {
                let mut state = remote.lock();
                state.given.remove(&lease);
                state.book.given_back(self.worker, lease);
                remote.settle(&mut state);
            }
            ToOwner::Warning(words) => remote.warn_of(self.worker, &words),
            ToOwner::Leaving(why) => {
                let mut state = remote.lock();
                state.book.leaves(self.worker);
                remote.settle(&mut state);
                drop(state);
                self.leaving = Some(why);
            }
        }
        Ok(())
    }
}
