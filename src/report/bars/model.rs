//! How far each step of a run is.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::super::now::{Ahead, Left, Now, Pace, Running};
use crate::model::event::{Event, Presence, Routed};
use crate::model::name::StepName;
use crate::model::task::TaskCounts;

/// How far a run is. Times count from the run's start.
#[derive(Debug, Default)]
pub(in crate::report) struct Model {
    /// In the order of the manifest.
    pub lanes: Vec<Lane>,
    places: HashMap<StepName, usize>,
    /// The lane that was asked for last: often it is asked for again.
    last: usize,
    /// Who carries out tasks elsewhere, by place.
    pub crews: BTreeMap<usize, Crew>,
    /// What runs, and what waits to be tried again.
    pub now: Now,
    /// When the rates were last brought up to date.
    seen: Duration,
    /// When something happened last: the rates may be older.
    at: Duration,
}

/// Who carries out tasks in one place elsewhere.
#[derive(Debug, Clone, Default)]
pub(in crate::report) struct Crew {
    /// The executor.
    pub name: String,
    /// Most workers.
    pub most: usize,
    /// The machines of those that are there, by their numbers.
    pub here: BTreeMap<i64, String>,
    /// When those were called for that are not there, by their numbers.
    pub called: BTreeMap<i64, Duration>,
    /// Why they wait, as that was told last.
    pub why: Option<String>,
}

/// How far a step is.
#[derive(Debug, Clone)]
pub(in crate::report) struct Lane {
    /// The step's name.
    pub name: StepName,
    /// Live tasks known so far.
    pub total: u64,
    /// Those with a result.
    pub finished: u64,
    /// Tasks that failed in this run and are not tried again.
    pub failed: u64,
    /// Tasks that the workers have.
    pub running: u64,
    /// Executions that ended in this run.
    pub executed: u64,
    /// How long tasks of the step ran in this run, however many at once.
    pub busy: Duration,
    /// How long each of them takes.
    pub pace: Pace,
}

/// How long the tasks of steps took in earlier runs: the middle, and of how many.
pub(in crate::report) type Earlier = HashMap<StepName, (Duration, usize)>;

impl Lane {
    fn new(name: &StepName, tally: &TaskCounts, earlier: &Earlier) -> Self {
        Self {
            name: name.clone(),
            total: tally.total().unsigned_abs(),
            finished: tally.finished().unsigned_abs(),
            failed: 0,
            running: 0,
            executed: 0,
            busy: Duration::ZERO,
            pace: Pace::of(earlier.get(name).copied()),
        }
    }

    /// Tasks that are to be done, those that run among them.
    pub(super) fn rest(&self) -> u64 {
        self.total.saturating_sub(self.finished + self.failed)
    }

    /// Whether something of it runs or waits to run.
    pub(super) fn is_active(&self) -> bool {
        self.running > 0 || self.finished + self.failed < self.total
    }

    /// Executions a second, once that can be told.
    pub(super) fn rate(&self) -> Option<f64> {
        rate(self.executed, self.busy)
    }
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// How many a second; none as long as it would be a guess.
pub(super) fn rate(count: u64, time: Duration) -> Option<f64> {
    #[allow(clippy::cast_precision_loss)] // For the eye.
    (count > 0 && time >= Duration::from_millis(500)).then(|| count as f64 / time.as_secs_f64())
}

impl Model {
    /// At the start of a run.
    pub(in crate::report) fn new(steps: &[(StepName, TaskCounts)], earlier: &Earlier) -> Self {
        Self {
            lanes: steps
                .iter()
                .map(|(name, tally)| Lane::new(name, tally, earlier))
                .collect(),
            places: steps
                .iter()
                .enumerate()
                .map(|(place, (name, _))| (name.clone(), place))
                .collect(),
            last: 0,
            crews: BTreeMap::new(),
            now: Now::default(),
            seen: Duration::ZERO,
            at: Duration::ZERO,
        }
    }

    /// When it was brought up to date.
    pub(in crate::report) fn seen(&self) -> Duration {
        self.seen
    }

    /// It is as of then.
    pub(in crate::report) fn set_seen(&mut self, seen: Duration) {
        self.seen = seen;
        self.at = seen;
    }

    /// What is told next happens now.
    pub(in crate::report) fn is_at(&mut self, now: Duration) {
        self.at = self.at.max(now);
    }

    /// Takes note of an event.
    pub(in crate::report) fn event(&mut self, event: &Event) {
        match event {
            Event::Started {
                task,
                step,
                input_name,
                ..
            } => {
                let running = Running {
                    lane: self.place(step).unwrap_or(usize::MAX),
                    input: input_name.map(str::to_owned),
                    began: self.at,
                    node: None,
                };
                self.now.begin(*task, running);
                self.with(step, |lane| {
                    lane.running += 1;
                    lane.pace.peak = lane.pace.peak.max(count(lane.running));
                });
            }
            Event::Done {
                task,
                step,
                reused,
                shared,
                span,
                outputs,
                ..
            } => {
                self.now.end(*task, None);
                self.with(step, |lane| {
                    lane.finished += 1;
                    if reused.is_none() && shared.is_none() {
                        lane.end();
                        lane.pace.add(span.elapsed);
                    }
                    let feeds = outputs.all_steps().chain(&outputs.taken).next().is_some();
                    lane.pace.feeds = Some(feeds || lane.pace.feeds == Some(true));
                });
                self.add(outputs);
            }
            Event::Failed {
                task,
                step,
                span,
                retry,
                ..
            } => {
                self.now.end(*task, retry.map(|pause| self.at + pause));
                self.with(step, |lane| {
                    if retry.is_none() {
                        lane.failed += 1;
                    }
                    if span.worker.is_some() {
                        lane.end();
                    }
                });
            }
            Event::Cancelled { task, step, .. } | Event::Remade { task, step, .. } => {
                self.now.end(*task, None);
                self.with(step, |lane| {
                    lane.running = lane.running.saturating_sub(1);
                });
            }
            Event::Given { task, node, .. } => self.now.is_on(*task, *node, self.at),
            // It waits for another place.
            Event::Lost { task, .. } => self.now.is_on(*task, None, self.at),
            Event::Gathered { step, tasks, .. } => self.with(step, |lane| lane.total += tasks),
            Event::Paired { step, tasks, .. } => self.with(step, |lane| {
                lane.total = (lane.total + tasks).saturating_sub(1);
            }),
            Event::Worker {
                executor,
                place,
                most,
                worker,
                presence,
            } => self.worker((executor, *place, *most), *worker, *presence),
            Event::Manifest { .. }
            | Event::Inputs(_)
            | Event::Database { .. }
            | Event::Environment(_)
            | Event::Version { .. }
            | Event::Tainted { .. }
            | Event::Migrated { .. }
            | Event::NothingTainted { .. }
            | Event::Sampling { .. }
            | Event::Sampled(_)
            | Event::Accepted { .. }
            | Event::GivenBack { .. }
            | Event::Freed { .. }
            | Event::Evicted { .. }
            | Event::Results { .. }
            | Event::Kept { .. }
            | Event::Pushed { .. }
            | Event::Rerouted { .. }
            | Event::Runset { .. }
            | Event::Output { .. }
            | Event::Warning(_)
            | Event::Interrupted { .. }
            | Event::Summary(_) => {}
        }
    }

    /// Brings the rates up to date.
    pub(in crate::report) fn advance(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.seen);
        self.seen = now;
        self.is_at(now);
        for lane in &mut self.lanes {
            lane.pace.settle();
            if lane.running > 0 {
                lane.busy += passed;
            }
        }
    }

    /// How long a task has run.
    pub(super) fn age(&self, running: &Running) -> Duration {
        self.seen.saturating_sub(running.began)
    }

    /// What usual tasks of its step take, if it is slow beside them.
    pub(super) fn is_slow(&self, running: &Running) -> Option<Duration> {
        let lane = self.lanes.get(running.lane)?;
        lane.pace.is_slow(self.age(running))
    }

    /// The time that is left, as far as it is known.
    pub(in crate::report) fn left(&self) -> Option<Left> {
        let mut ages: HashMap<usize, Vec<Duration>> = HashMap::new();
        for (_, running) in self.now.running() {
            ages.entry(running.lane)
                .or_default()
                .push(self.age(running));
        }
        let lanes = self.lanes.iter().enumerate();
        let ahead = lanes.filter(|(_, lane)| lane.rest() > 0);
        let ahead = ahead.map(|(at, lane)| Ahead {
            tasks: lane.rest(),
            ages: ages.get(&at).map_or(&[], Vec::as_slice),
            pace: &lane.pace,
        });
        let retries = self.now.retries(self.seen);
        Left::of(ahead, self.now.peak(), retries)
    }

    fn worker(
        &mut self,
        (executor, place, most): (&str, usize, usize),
        worker: i64,
        presence: Presence,
    ) {
        let now = self.seen;
        let crew = self.crews.entry(place).or_default();
        if crew.name.is_empty() {
            executor.clone_into(&mut crew.name);
            crew.most = most;
        }
        let called = crew.called.remove(&worker);
        match presence {
            Presence::Called => {
                crew.called.insert(worker, now);
            }
            Presence::Waits { why } => {
                crew.called.insert(worker, called.unwrap_or(now));
                crew.why = Some(why.to_owned());
            }
            Presence::Here { node, .. } => {
                crew.here.insert(worker, node.to_owned());
            }
            Presence::Gone { .. } => {
                crew.here.remove(&worker);
            }
        }
        if crew.called.is_empty() {
            crew.why = None;
        }
    }

    fn add(&mut self, outputs: &Routed) {
        for (step, count) in outputs.steps.iter().chain(&outputs.taken) {
            self.with(step, |lane| lane.total += count);
        }
    }

    fn with(&mut self, step: &StepName, change: impl FnOnce(&mut Lane)) {
        let place = self.place(step);
        if let Some(lane) = place.and_then(|place| self.lanes.get_mut(place)) {
            change(lane);
        }
    }

    fn place(&mut self, step: &StepName) -> Option<usize> {
        let is_last = |lane: &Lane| lane.name == *step;
        if !self.lanes.get(self.last).is_some_and(is_last) {
            self.last = *self.places.get(step)?;
        }
        Some(self.last)
    }
}

impl Lane {
    fn end(&mut self) {
        self.running = self.running.saturating_sub(1);
        self.executed += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::Span;
    use crate::model::list::Form;
    use crate::model::task::TaskId;

    fn name(text: &str) -> StepName {
        StepName::new(text).unwrap()
    }

    fn span(worker: Option<i64>) -> Span {
        Span {
            started: 0,
            elapsed: Duration::ZERO,
            worker,
            launch: None,
            cpu: None,
            peak: None,
        }
    }

    fn counts(model: &Model) -> Vec<[u64; 4]> {
        let all = model.lanes.iter();
        all.map(|lane| [lane.total, lane.finished, lane.failed, lane.running])
            .collect()
    }

    #[test]
    fn totals_grow_as_tasks_appear_and_every_end_is_counted_once() {
        let (a, b) = (name("a"), name("b"));
        let tally = TaskCounts {
            pending: 1,
            failed: 1,
            ..TaskCounts::default()
        };
        let steps = [(a.clone(), tally), (b.clone(), TaskCounts::default())];
        let mut model = Model::new(&steps, &Earlier::new());
        assert_eq!(counts(&model), [[2, 0, 0, 0], [0; 4]]);
        for _ in 0..2 {
            model.event(&Event::Started {
                task: TaskId(1),
                step: &a,
                version: 1,
                input_name: None,
                input: crate::model::digest::Digest::of(b""),
                form: Form::File,
                attempt: 0,
            });
        }
        let mut outputs = Routed::default();
        outputs.add("b", Form::File, Some(&b));
        outputs.add("x_b", Form::File, Some(&b));
        outputs.add("end", Form::File, None);
        outputs.add_taken(&b);
        model.event(&Event::Done {
            task: TaskId(1),
            step: &a,
            reused: None,
            shared: None,
            span: span(Some(0)),
            node: None,
            outputs: &outputs,
        });
        assert_eq!(counts(&model), [[2, 1, 0, 1], [3, 0, 0, 0]]);
        let fail = |retry| Event::Failed {
            task: TaskId(2),
            step: &a,
            key: None,
            error: "no",
            span: span(Some(1)),
            node: None,
            retry,
        };
        model.event(&fail(Some(Duration::from_secs(1))));
        assert_eq!(counts(&model)[0], [2, 1, 0, 0]);
        assert!(model.lanes[0].is_active());
        model.event(&fail(None));
        assert_eq!(counts(&model)[0], [2, 1, 1, 0]);
        assert!(!model.lanes[0].is_active());
        model.event(&Event::Done {
            task: TaskId(3),
            step: &b,
            reused: Some(TaskId(1)),
            shared: None,
            span: span(None),
            node: None,
            outputs: &Routed::default(),
        });
        assert_eq!(counts(&model)[1], [3, 1, 0, 0]);
        assert_eq!((model.lanes[0].executed, model.lanes[1].executed), (3, 0));
    }

    #[test]
    fn a_task_begins_when_it_is_told_and_not_when_that_is_drawn() {
        let a = name("a");
        let steps = [(a.clone(), TaskCounts::default())];
        let mut model = Model::new(&steps, &Earlier::new());
        model.advance(Duration::from_millis(100));
        model.is_at(Duration::from_millis(190));
        model.event(&Event::Started {
            task: TaskId(1),
            step: &a,
            version: 1,
            input_name: None,
            input: crate::model::digest::Digest::of(b""),
            form: Form::File,
            attempt: 0,
        });
        model.advance(Duration::from_millis(200));
        let running = model.now.running().next().unwrap().1;
        assert_eq!(model.age(running), Duration::from_millis(10));
    }

    #[test]
    fn a_rate_counts_the_time_in_which_the_step_ran() {
        let a = name("a");
        let mut model = Model::new(&[(a, TaskCounts::default())], &Earlier::new());
        model.advance(Duration::from_secs(10));
        model.lanes[0].running = 1;
        model.lanes[0].executed = 4;
        assert_eq!(model.lanes[0].rate(), None);
        model.advance(Duration::from_secs(12));
        assert_eq!(model.lanes[0].rate(), Some(2.0));
    }
}
