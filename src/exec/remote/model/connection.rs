//! A worker at a station, and the bytes that are on the way between it and the run.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::Instant;

use super::super::Remote;
use super::super::hearing::Hearing;
use super::super::station::{Came, Next};
use super::super::talk::{Say, Talker};
use super::worker::{Frame, Worker};
use super::{Harm, History, SILENCE};
use crate::wire::frame;
use crate::wire::message::{Hello, Lease, Outcome, ToOwner, ToWorker};

/// Frames that were said and not heard.
#[derive(Default)]
struct Way {
    frames: VecDeque<Vec<u8>>,
    /// Nothing follows.
    ended: bool,
}

impl Way {
    /// It ends now: some of what was said last gets lost, and what is last of the rest may be cut.
    fn cut(&mut self, history: &mut History) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if history.harm != Harm::All {
            // As where its standard output is a pipe of this machine.
            return;
        }
        let kept = history.luck.below(self.frames.len() + 1);
        self.frames.truncate(kept);
        if let Some(last) = self.frames.back_mut()
            && history.luck.one_in(3)
        {
            last.truncate(history.luck.below(last.len()).max(1));
        }
    }
}

/// What a worker says first.
pub(super) fn hello(node: usize, slots: u64) -> Hello {
    Hello {
        version: String::new(),
        node: node.to_string(),
        slots,
        nix: false,
        gpus: 0,
        left: None,
    }
}

/// Whether it closes a lease.
fn is_end(message: &ToOwner) -> bool {
    matches!(message, ToOwner::Done(..) | ToOwner::GivenBack(_))
}

/// A worker, from the start of its command to its end.
pub(super) struct Connection<'r, 'a> {
    /// Its place and station.
    pub at: (usize, usize),
    worker: Worker,
    /// Whether the run ended its command.
    is_killed: Arc<AtomicBool>,
    up: Way,
    down: Way,
    owner: Option<Owner<'r, 'a>>,
    /// What the worker is to say once more.
    twice: Vec<Vec<u8>>,
    /// When the worker said and heard something last, and the run said something.
    said: Instant,
    heard: Instant,
    pinged: Instant,
    /// The most that it may have from now on.
    most: Option<usize>,
}

/// The run's end.
struct Owner<'r, 'a> {
    hearing: Hearing<'r, 'a>,
    talker: Talker<'r, Vec<u8>>,
    says: Receiver<Say>,
    tasks: BTreeMap<Lease, i64>,
    /// Those whose end was not heard.
    open: BTreeSet<Lease>,
    has_ended: bool,
}

/// What becomes of a worker.
pub(super) enum Fate {
    Stays,
    /// What the run does then.
    Ends(Next),
}

impl<'r, 'a> Connection<'r, 'a> {
    /// A command is started at a station.
    pub(super) fn start(
        remote: &Remote<'_>,
        history: &mut History,
        (place, number): (usize, usize),
    ) -> Self {
        let node = history.luck.below(history.nodes);
        let is_killed = Arc::new(AtomicBool::new(false));
        let kill = Arc::clone(&is_killed);
        let end = move || kill.store(true, Ordering::Relaxed);
        remote.is_started(place, number, Box::new(end), None);
        Self {
            at: (place, number),
            worker: Worker::new(node, history.slots),
            is_killed,
            up: Way::default(),
            down: Way::default(),
            owner: None,
            twice: Vec::new(),
            said: history.now,
            heard: history.now,
            pinged: history.now,
            most: None,
        }
    }

    pub(super) fn node(&self) -> usize {
        self.worker.node
    }

    fn say(&mut self, history: &mut History, frames: Vec<Frame>) {
        for (message, bytes) in frames {
            if self.up.ended {
                return;
            }
            let mut frame = Vec::new();
            frame::write(&mut frame, &message, &bytes).unwrap();
            // It may say twice, and late, what is over.
            if is_end(&message) && history.goes_wrong(15) {
                self.twice.push(frame.clone());
            }
            self.up.frames.push_back(frame);
            if !self.twice.is_empty() && history.luck.one_in(3) {
                self.up.frames.extend(self.twice.drain(..));
            }
        }
    }

    /// It dies, or the connection does, for whichever reason.
    pub(super) fn dies(&mut self, history: &mut History) {
        self.worker.ended = true;
        self.up.cut(history);
        self.down.cut(history);
    }

    /// The connection ends, and the worker does not know it yet.
    pub(super) fn is_cut(&mut self, history: &mut History) {
        self.up.cut(history);
        self.down.cut(history);
    }

    /// The worker's machine tells it that its time is over.
    pub(super) fn is_asked_to_leave(&mut self, history: &mut History) {
        if self.owner.is_some() && !self.worker.ended {
            let frames = self.worker.leaves();
            self.say(history, frames);
            self.worker.ended = true;
            self.up.ended = true;
        }
    }

    /// A byte of an object is another one when it comes.
    pub(super) fn is_damaged(&mut self) {
        for frame in &mut self.up.frames {
            if let Ok(Some((ToOwner::Piece { .. }, bytes))) = frame::read(&mut &frame[..])
                && !bytes.is_empty()
            {
                let last = frame.len() - 1;
                frame[last] ^= 1;
                return;
            }
        }
    }

    /// One thing happens on the way from here to there and back.
    pub(super) fn goes_on(&mut self, remote: &'r Remote<'a>, history: &mut History) -> Fate {
        if self.is_killed.load(Ordering::Relaxed) && !self.up.ended {
            self.dies(history);
        }
        let is_frozen = history.frozen.contains(&self.worker.node);
        match history.luck.below(4) {
            0 if !is_frozen => self.worker_hears(history),
            1 if !is_frozen => self.worker_goes_on(history),
            2 => self.owner_says(history),
            _ => return self.owner_hears(remote, history),
        }
        Fate::Stays
    }

    fn worker_hears(&mut self, history: &mut History) {
        if self.worker.ended {
            return;
        }
        let Some(frame) = self.down.frames.pop_front() else {
            // It ends with its connection, and where it hears nothing.
            let is_silent = history.now.duration_since(self.heard) >= SILENCE;
            if self.down.ended || self.owner.is_some() && is_silent {
                self.dies(history);
            }
            return;
        };
        self.heard = history.now;
        match frame::read::<ToWorker>(&mut &frame[..]) {
            Ok(Some((message, bytes))) => {
                let said = self.worker.hear(message, &bytes);
                self.say(history, said);
            }
            _ => self.dies(history),
        }
        if self.worker.ended {
            self.up.ended = true;
        }
    }

    fn worker_goes_on(&mut self, history: &mut History) {
        if self.worker.ended {
            return;
        }
        let mut said = self.worker.goes_on(history);
        if self.worker.ended {
            return self.dies(history);
        }
        if said.is_empty() && history.now.duration_since(self.said) >= SILENCE / 3 {
            said.push((ToOwner::Ping, Vec::new()));
        }
        if !said.is_empty() {
            self.said = history.now;
        }
        self.say(history, said);
    }

    fn owner_says(&mut self, history: &mut History) {
        let Some(owner) = &mut self.owner else {
            return;
        };
        if owner.has_ended {
            return;
        }
        let say = match owner.says.try_recv() {
            Ok(say) => Some(say),
            Err(_) if owner.talker.has_objects() => None,
            Err(_) if history.now.duration_since(self.pinged) >= SILENCE / 3 => None,
            Err(_) => return,
        };
        if let Some(Say::Message(ToWorker::Task(task))) = &say {
            owner.tasks.insert(task.lease, task.task);
            owner.open.insert(task.lease);
            let kept = history.kept.get(&task.task).copied();
            assert_eq!(task.checkpoint, kept, "what #{} kept", task.task);
        }
        self.pinged = history.now;
        owner.has_ended = !owner.talker.say(say).unwrap();
        let mut said = std::mem::take(&mut owner.talker.to);
        if owner.has_ended {
            // Whatever the other one does, it hears the end of it.
            self.down.ended = true;
        } else if !self.down.ended && !said.is_empty() {
            // More than one frame, where an object is long.
            let mut rest = &said[..];
            let mut frames = Vec::new();
            while let Ok(Some((message, bytes))) = frame::read::<ToWorker>(&mut rest) {
                let mut one = Vec::new();
                frame::write(&mut one, &message, &bytes).unwrap();
                frames.push(one);
            }
            assert!(rest.is_empty());
            self.down.frames.extend(frames);
        }
        said.clear();
        owner.talker.to = said;
    }

    fn owner_hears(&mut self, remote: &'r Remote<'a>, history: &mut History) -> Fate {
        let Some(owner) = &mut self.owner else {
            return self.begins(remote, history);
        };
        let said = match self.up.frames.pop_front() {
            Some(frame) => frame::read::<ToOwner>(&mut &frame[..]),
            None if self.up.ended => Ok(None),
            None => return Fate::Stays,
        };
        if let Ok(Some((message, _))) = &said {
            match message {
                ToOwner::Done(lease, _) | ToOwner::GivenBack(lease)
                    if !owner.open.remove(lease) =>
                {
                    history.done.twice += 1;
                }
                ToOwner::Done(lease, end) if matches!(end.outcome, Outcome::Unable(_)) => {
                    let task = owner.tasks[lease];
                    history.done.unable += 1;
                    *history.lost.entry(task).or_default() += 1;
                    *history.lost_on.entry(self.worker.node).or_default() += 1;
                }
                ToOwner::GivenBack(_) => history.done.given_back += 1,
                _ => {}
            }
        }
        let is_told = matches!(said, Ok(Some(_)));
        let heard = owner.hearing.hear(said);
        if let Err(why) = heard {
            history.done.refused += usize::from(is_told);
            return Fate::Ends(self.ends(remote, history, why));
        }
        Fate::Stays
    }

    /// It says who it is, or nothing ever.
    fn begins(&mut self, remote: &'r Remote<'a>, history: &mut History) -> Fate {
        if self.up.ended || history.goes_wrong(6) {
            let came = Came {
                was_of_use: false,
                left_out: false,
                how: "it said nothing".to_owned(),
            };
            return Fate::Ends(remote.next_at(self.at.0, self.at.1, &came));
        }
        let (say, says) = mpsc::channel();
        (self.said, self.heard, self.pinged) = (history.now, history.now, history.now);
        match remote.take_on(self.at, hello(self.worker.node, history.slots), say) {
            Ok(hearing) => {
                self.owner = Some(Owner {
                    hearing,
                    talker: Talker::new(remote.store, Vec::new()),
                    says,
                    tasks: BTreeMap::new(),
                    open: BTreeSet::new(),
                    has_ended: false,
                });
                Fate::Stays
            }
            Err(came) => Fate::Ends(remote.next_at(self.at.0, self.at.1, &came)),
        }
    }

    /// Nothing more is heard of it.
    fn ends(&mut self, remote: &'r Remote<'a>, history: &mut History, why: String) -> Next {
        let Some(owner) = self.owner.take() else {
            return Next::Nothing;
        };
        let (held, has_left) = (owner.hearing.held(), owner.hearing.has_left());
        if !held.is_empty() && !has_left {
            *history.lost_on.entry(self.worker.node).or_default() += 1;
            for task in &held {
                *history.lost.entry(*task).or_default() += 1;
            }
        }
        let came = owner.hearing.end(why);
        history.done.silent += usize::from(came.how.starts_with("nothing was heard of it"));
        remote.next_at(self.at.0, self.at.1, &came)
    }

    /// A machine that is left out gets nothing more.
    pub(super) fn check(&mut self, remote: &Remote<'_>, history: &mut History) {
        let Some(owner) = &self.owner else {
            return;
        };
        let has = owner.hearing.held().len();
        if let Some(most) = &mut self.most {
            assert!(has <= *most, "machine {} was left out", self.worker.node);
            *most = has;
            return;
        }
        let node = self.worker.node.to_string();
        let state = remote.lock();
        if state.book.left_out(self.at.0).any(|out| out == node) {
            self.most = Some(has);
            drop(state);
            history.is_left_out(self.worker.node);
        }
    }
}
