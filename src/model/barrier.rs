//! What waits for everything before it: where a step gathers, and where its tasks get what others
//! left besides their own inputs; and when all of that is there.
//!
//! Each step that gathers is a *barrier*, and so is each set of steps whose outputs others get
//! (`with`), in the order of the manifest. What stands above a task are the
//! barriers that its data came through; the last of them is its *level*. A barrier is open once no
//! task of a lower level is left that may lead to it, so each waits for those before it, and no two
//! for each other. Only numbers are kept: how many such tasks are left for each barrier.
//!
//! A group below a task that is not complete ([`crate::model::scope`]) counts like the task that it will
//! have. Some of what is behind such groups may wait at a barrier that waits for it ([`crate::model::waits`]):
//! that is waited for only as long as anything else goes on.

use crate::model::gather::{BarrierId, Line};
use crate::model::line::Lines;
use crate::model::plan::QueueId;

/// A barrier as the manifest has it.
#[derive(Debug, Clone)]
pub struct Barrier {
    /// The step whose tasks wait at it; the first of several.
    pub queue: QueueId,
    /// Further ones, which get the same.
    pub others: Vec<QueueId>,
    /// The steps whose outputs these get; none for one that gathers.
    pub with: Vec<QueueId>,
    /// Whether it opens although a task before it failed for good.
    pub partial: bool,
    /// Which steps' tasks may lead to it, by their places.
    pub fed_by: Vec<bool>,
}

/// How a barrier stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Before {
    /// Tasks that may lead to it and are not finished.
    pub left: u64,
    /// Of others like them it is known that this run will not finish them.
    pub failed: u64,
}

impl Before {
    /// Whether there is nothing.
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }

    /// Whether all that is to come is there.
    fn is_clear(self, partial: bool) -> bool {
        self.left == 0 && (self.failed == 0 || partial)
    }
}

/// What a barrier waits for.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    /// What does not wait for it, whatever comes.
    certain: Before,
    /// What may.
    round: Before,
}

/// How one of them stands in this run.
#[derive(Debug, Clone, Copy, Default)]
struct Gate {
    count: Count,
    /// Whether what waited there was let through, since it was closed.
    passed: bool,
    /// Whether it lets through nothing, whatever is before it.
    shut: bool,
    /// Whether it no longer waits for what may wait for it.
    yielded: bool,
}

/// All barriers of a pipeline, and what is before them.
#[derive(Debug)]
pub struct Barriers {
    all: Vec<Barrier>,
    /// How each of them stands.
    gates: Vec<Gate>,
    /// The steps that gather below tasks.
    kinds: Vec<QueueId>,
    /// For each of these and each barrier, whether its groups may wait for the barrier.
    round: Vec<Vec<bool>>,
    /// Whether one may have opened since that was asked for.
    opened: bool,
    lines: Lines,
}

/// A group below a task that is not complete: it may have a task once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The step that gathers.
    pub queue: QueueId,
    /// What will stand above that task, and perhaps more.
    pub line: Line,
    /// Whether it is known that it will have none in this run.
    pub failed: bool,
    /// The barriers that what it waits for waits at.
    pub held_at: Box<[BarrierId]>,
}

impl Expected {
    fn among<'b>(&self, before: &'b mut Before) -> &'b mut u64 {
        if self.failed {
            &mut before.failed
        } else {
            &mut before.left
        }
    }
}

impl Barrier {
    /// The steps whose tasks wait at it.
    pub fn queues(&self) -> impl Iterator<Item = QueueId> {
        std::iter::once(self.queue).chain(self.others.iter().copied())
    }

    /// Whether a step gathers there.
    pub fn gathers(&self) -> bool {
        self.with.is_empty()
    }
}

impl Barriers {
    /// These, in their order, with nothing before them yet; and the steps that gather below tasks, with
    /// the barriers that their groups may wait for.
    pub fn new(all: Vec<Barrier>, kinds: Vec<QueueId>, round: Vec<Vec<bool>>) -> Self {
        Self {
            gates: vec![Gate::default(); all.len()],
            opened: false,
            all,
            kinds,
            round,
            lines: Lines::default(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Each with its place.
    pub fn all(&self) -> impl Iterator<Item = (BarrierId, &Barrier)> {
        self.all.iter().enumerate()
    }

    /// The barrier in that place.
    pub fn at(&self, barrier: BarrierId) -> &Barrier {
        &self.all[barrier]
    }

    /// Lets nothing through, in this run.
    pub fn shut(&mut self, barrier: BarrierId) {
        self.gates[barrier].shut = true;
    }

    /// The steps whose barriers let nothing through.
    pub fn shut_ones(&self) -> impl Iterator<Item = QueueId> {
        let all = self.all.iter().zip(&self.gates);
        all.filter(|(_, gate)| gate.shut)
            .map(|(barrier, _)| barrier.queue)
    }

    /// The barrier of that step, if it gathers.
    pub fn of(&self, queue: QueueId) -> Option<BarrierId> {
        let is_it = |barrier: &Barrier| barrier.queue == queue && barrier.gathers();
        self.all.iter().position(is_it)
    }

    /// Where tasks of that step wait for what they get besides their inputs.
    pub fn with(&self, queue: QueueId) -> Option<BarrierId> {
        let mut all = self.all.iter();
        all.position(|barrier| !barrier.gathers() && barrier.queues().any(|own| own == queue))
    }

    /// Whether any tasks get something besides their inputs.
    pub fn give(&self) -> bool {
        self.all.iter().any(|barrier| !barrier.gathers())
    }

    /// Where others wait for what tasks of that step leave, to get it besides their inputs.
    pub fn given_by(&self, queue: QueueId) -> impl Iterator<Item = BarrierId> {
        let all = self.all.iter().enumerate();
        let given = all.filter(move |(_, barrier)| barrier.with.contains(&queue));
        given.map(|(at, _)| at)
    }

    /// What stands above a task of `queue` whose input came along `line`.
    pub fn along(&mut self, line: Line, queue: QueueId) -> Line {
        if self.all.is_empty() {
            return line;
        }
        let own = [self.of(queue), self.with(queue)].into_iter().flatten();
        let line = own.fold(line, |line, own| self.lines.through(line, own));
        match self.kinds.iter().position(|own| *own == queue) {
            Some(kind) => self.lines.behind(line, kind),
            None => line,
        }
    }

    /// What stands above what comes of both.
    pub fn both(&mut self, one: Line, other: Line) -> Line {
        self.lines.both(one, other)
    }

    /// The last barrier above; none above a task that none stands above.
    pub fn level(&self, line: Line) -> Option<BarrierId> {
        self.lines.barriers(line).last().copied()
    }

    /// Whether `barrier` waits for tasks of that step with that line.
    fn waits_for(&self, barrier: BarrierId, queue: QueueId, line: Line) -> bool {
        self.level(line).is_none_or(|level| level < barrier) && self.all[barrier].fed_by[queue]
    }

    /// Whether what has that line may wait for the barrier.
    fn goes_round(&self, barrier: BarrierId, line: Line) -> bool {
        let mut kinds = self.lines.kinds(line).iter();
        kinds.any(|kind| self.round[*kind][barrier])
    }

    fn change(
        &mut self,
        queue: QueueId,
        line: Line,
        but: &[BarrierId],
        mut change: impl FnMut(&mut Before),
    ) {
        for barrier in 0..self.all.len() {
            if !self.waits_for(barrier, queue, line) || but.contains(&barrier) {
                continue;
            }
            let goes_round = self.goes_round(barrier, line);
            let count = &mut self.gates[barrier].count;
            let before = if goes_round {
                &mut count.round
            } else {
                &mut count.certain
            };
            change(before);
            self.opened |= before.left == 0;
            if !self.is_complete(barrier) {
                self.gates[barrier].passed = false;
            }
        }
    }

    /// So many more tasks are to be done.
    pub fn created(&mut self, queue: QueueId, line: Line, count: u64) {
        self.change(queue, line, &[], |before| before.left += count);
    }

    /// One was finished, or is not to be done any more.
    pub fn ended(&mut self, queue: QueueId, line: Line) {
        self.change(queue, line, &[], |before| {
            before.left = before.left.saturating_sub(1);
        });
    }

    /// So many failed for the last time in this run.
    pub fn failed(&mut self, queue: QueueId, line: Line, count: u64) {
        self.change(queue, line, &[], |before| {
            before.left = before.left.saturating_sub(count);
            before.failed += count;
        });
    }

    /// A group that may have a task once is not complete.
    pub fn expects(&mut self, group: &Expected) {
        self.change(group.queue, group.line, &group.held_at, |before| {
            *group.among(before) += 1;
        });
    }

    /// It is not waited for any more.
    pub fn settled(&mut self, group: &Expected) {
        self.change(group.queue, group.line, &group.held_at, |before| {
            let among = group.among(before);
            *among = among.saturating_sub(1);
        });
    }

    /// Whether tasks of that step may lead to any of them.
    pub fn are_fed_by(&self, queue: QueueId) -> bool {
        self.all.iter().any(|barrier| barrier.fed_by[queue])
    }

    /// What is before it.
    pub fn before(&self, barrier: BarrierId) -> Before {
        let Count { certain, round } = self.gates[barrier].count;
        Before {
            left: certain.left + round.left,
            failed: certain.failed + round.failed,
        }
    }

    /// Whether nothing more can come to what waits there, in this run.
    fn is_complete(&self, barrier: BarrierId) -> bool {
        !self.gates[barrier].shut && self.before(barrier).is_clear(self.all[barrier].partial)
    }

    /// Whether what waits there goes on: nothing more can come, but perhaps of what waits for that.
    pub fn is_open(&self, barrier: BarrierId) -> bool {
        let Gate {
            count,
            shut,
            yielded,
            ..
        } = self.gates[barrier];
        let partial = self.all[barrier].partial;
        !shut && count.certain.is_clear(partial) && (yielded || count.round.is_clear(partial))
    }

    /// The first one that nothing more can come to and was not passed since; it is passed by this. To be
    /// asked again, once what waited there counts.
    pub fn pass(&mut self) -> Option<BarrierId> {
        let is_due = |at: &BarrierId| !self.gates[*at].passed && self.is_complete(*at);
        let next = (0..self.all.len()).find(is_due)?;
        self.gates[next].passed = true;
        Some(next)
    }

    /// Nothing goes on: one that waits only for what may wait for it does so no longer. Those for which
    /// `is_waited_for` holds come first, then those that let through what others leave.
    pub fn give_way(&mut self, is_waited_for: impl Fn(BarrierId) -> bool) -> Option<BarrierId> {
        let may = |at: &BarrierId| {
            let Gate {
                count,
                shut,
                yielded,
                ..
            } = self.gates[*at];
            let partial = self.all[*at].partial;
            let waits = count.round.left > 0 && (count.round.failed == 0 || partial);
            !shut && !yielded && waits && count.certain.is_clear(partial)
        };
        let all = (0..self.all.len()).filter(may);
        let next = all.min_by_key(|at| (!is_waited_for(*at), self.all[*at].gathers(), *at))?;
        self.gates[next].yielded = true;
        self.opened = true;
        Some(next)
    }

    /// Whether any may have opened since this was asked.
    pub fn take_opened(&mut self) -> bool {
        std::mem::take(&mut self.opened)
    }

    /// Whether a task with that line must not start, as what stands above it may change yet.
    pub fn is_held(&self, line: Line) -> bool {
        let above = self.lines.barriers(line);
        above.iter().any(|barrier| !self.is_open(*barrier))
    }
}

/// Which steps may lead to `targets`, by way of `edges` (from a step to all that it may lead to) and
/// never through one of `stops`.
pub fn leading(edges: &[Vec<QueueId>], targets: &[QueueId], stops: &[bool]) -> Vec<bool> {
    let mut above: Vec<Vec<QueueId>> = vec![Vec::new(); edges.len()];
    for (from, to) in edges.iter().enumerate() {
        to.iter().for_each(|to| above[*to].push(from));
    }
    let mut leading = vec![false; edges.len()];
    let mut next = targets.to_vec();
    while let Some(at) = next.pop() {
        for from in &above[at] {
            if !stops[*from] && !std::mem::replace(&mut leading[*from], true) {
                next.push(*from);
            }
        }
    }
    leading
}

#[cfg(test)]
mod tests;
