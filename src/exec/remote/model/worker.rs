//! A worker as the run sees it: what it says, in the order in which a real one does.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Harm, History, Nature};
use crate::model::digest::Digest;
use crate::model::tree;
use crate::wire::message::{End, Lease, Outcome, TaskSpec, ToOwner, ToWorker};

/// Why some cannot carry out a task.
pub(super) const NO_ROOM: &str = "no room on the disk";

/// A message, and bytes with it.
pub(super) type Frame = (ToOwner, Vec<u8>);

pub(super) struct Worker {
    pub node: usize,
    most: u64,
    free: u64,
    /// The room that their tasks take.
    steps: BTreeMap<u32, u64>,
    has: BTreeSet<Digest>,
    asked: BTreeSet<Digest>,
    coming: BTreeMap<Digest, Vec<u8>>,
    queue: VecDeque<(Box<TaskSpec>, u64)>,
    running: Vec<Running>,
    /// It was taken on.
    is_on: bool,
    pub ended: bool,
}

struct Running {
    units: u64,
    /// What it still says.
    says: VecDeque<Frame>,
}

/// A job is over.
pub(super) fn done(lease: Lease, outcome: Outcome, elapsed: i64) -> Frame {
    let end = End {
        outcome,
        started: 0,
        elapsed,
        cpu: None,
        peak: None,
        launch: None,
        stdout: None,
        stderr: None,
        warning: None,
        checkpoint: None,
        kept: None,
    };
    (ToOwner::Done(lease, Box::new(end)), Vec::new())
}

impl Worker {
    pub(super) fn new(node: usize, most: u64) -> Self {
        Self {
            node,
            most,
            free: most,
            steps: BTreeMap::new(),
            has: BTreeSet::new(),
            asked: BTreeSet::new(),
            coming: BTreeMap::new(),
            queue: VecDeque::new(),
            running: Vec::new(),
            is_on: false,
            ended: false,
        }
    }

    /// It is told something; what it says to that.
    pub(super) fn hear(&mut self, message: ToWorker, bytes: &[u8]) -> Vec<Frame> {
        let plain = |message| vec![(message, Vec::new())];
        match message {
            ToWorker::Welcome(_) => self.is_on = true,
            ToWorker::Bye(_) => self.ended = true,
            ToWorker::Step(number, step) => {
                self.steps.insert(number, step.units);
            }
            ToWorker::Task(task) => {
                assert!(self.is_on, "a task came before a welcome");
                let units = self.steps.get(&task.step);
                let units = *units.expect("a task came before its step");
                let input = task.input;
                self.queue.push_back((task, units.min(self.most)));
                if !self.has.contains(&input) && self.asked.insert(input) {
                    return plain(ToOwner::Need(vec![input]));
                }
            }
            ToWorker::Piece { digest, last } => {
                let whole = self.coming.entry(digest).or_default();
                whole.extend_from_slice(bytes);
                if last {
                    assert_eq!(Digest::of(whole), digest);
                    self.coming.remove(&digest);
                    self.has.insert(digest);
                }
            }
            ToWorker::Cancel(lease) => {
                let before = self.queue.len();
                self.queue.retain(|(task, _)| task.lease != lease);
                if self.queue.len() < before {
                    return plain(ToOwner::GivenBack(lease));
                }
            }
            ToWorker::Stop { .. } => {
                let running = self.running.drain(..).map(|running| running.says);
                let last = running.filter_map(|says| match says.back() {
                    Some((ToOwner::Done(lease, _), _)) => Some(*lease),
                    _ => None,
                });
                let queued = self.queue.drain(..).map(|(task, _)| task.lease);
                let leases: Vec<Lease> = last.chain(queued).collect();
                self.free = self.most;
                let ended = leases.into_iter();
                return ended
                    .map(|lease| done(lease, Outcome::Cancelled, 0))
                    .collect();
            }
            _ => {}
        }
        Vec::new()
    }

    /// It is told that its time is over.
    pub(super) fn leaves(&mut self) -> Vec<Frame> {
        self.running.clear();
        self.queue.clear();
        vec![(ToOwner::Leaving("ended by TERM".to_owned()), Vec::new())]
    }

    /// Something goes on in it, if anything does: what it says. It may end by that.
    pub(super) fn goes_on(&mut self, history: &mut History) -> Vec<Frame> {
        let begins = self
            .queue
            .front()
            .is_some_and(|(task, units)| *units <= self.free && self.has.contains(&task.input));
        if begins && (self.running.is_empty() || history.luck.one_in(2)) {
            if let Some((task, units)) = self.queue.pop_front() {
                self.begin(history, &task, units);
            }
            return Vec::new();
        }
        if self.running.is_empty() {
            return Vec::new();
        }
        let at = history.luck.below(self.running.len());
        let running = &mut self.running[at];
        let said = running.says.pop_front();
        if running.says.is_empty() {
            self.free += running.units;
            self.running.swap_remove(at);
        }
        said.into_iter().collect()
    }

    fn begin(&mut self, history: &mut History, task: &TaskSpec, units: u64) {
        let lease = task.lease;
        let nature = history.nature(task.task);
        if nature == Nature::Kills || history.harm == Harm::Machine && self.node == 0 {
            history.kills(task.task);
            self.ended = true;
            return;
        }
        let mut says = VecDeque::new();
        if history.luck.one_in(4) {
            let number = 90 + history.luck.below(3);
            let kept = history.content(task.task, number);
            let file = send(&mut says, history, lease, &kept);
            let tree = format!("{}f {file}  kept\n", tree::HEADER);
            let tree = send(&mut says, history, lease, tree.as_bytes());
            says.push_back((ToOwner::Kept(lease, tree), Vec::new()));
        }
        let outcome = match nature {
            Nature::Fails => Outcome::Failure("no luck".to_owned()),
            _ if history.goes_wrong(12) => Outcome::Unable(NO_ROOM.to_owned()),
            _ => {
                for (number, (name, digest)) in history.outputs(task.task).into_iter().enumerate() {
                    let bytes = history.content(task.task, number);
                    send(&mut says, history, lease, &bytes);
                    let form = 0;
                    let output = ToOwner::Output {
                        lease,
                        name,
                        digest,
                        form,
                    };
                    says.push_back((output, Vec::new()));
                }
                Outcome::Success
            }
        };
        let is_short = history.luck.one_in(2);
        says.push_back(done(
            lease,
            outcome,
            if is_short { 1000 } else { 9_000_000 },
        ));
        self.free -= units;
        self.running.push(Running { units, says });
    }
}

/// An object that a task left, in one piece or two.
fn send(says: &mut VecDeque<Frame>, history: &mut History, lease: Lease, bytes: &[u8]) -> Digest {
    let digest = Digest::of(bytes);
    let (first, second) = bytes.split_at(history.luck.below(bytes.len()));
    if !first.is_empty() {
        let last = None;
        says.push_back((ToOwner::Piece { lease, last }, first.to_vec()));
    }
    let last = Some(digest);
    says.push_back((ToOwner::Piece { lease, last }, second.to_vec()));
    digest
}
