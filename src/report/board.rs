//! What a run tells of itself to whoever asks from another terminal: a small file in the db folder, written anew now and
//! then while something changes, and gone with the run. What it says is known to nobody else: no row says that a task
//! runs.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::bars::model::{Earlier, Lane, Model};
use super::now::Running;
use crate::model::event::Event;
use crate::model::name::StepName;
use crate::model::task::{TaskCounts, TaskId};
use crate::out;
use crate::text::time::short;

/// A shorter run tells nothing.
const FIRST: Duration = Duration::from_millis(500);
/// How often it is written at most.
const PAUSE: Duration = Duration::from_secs(2);
/// Of more steps, a file that long is written less often.
const MANY: usize = 200;
/// Running tasks that are told one by one, those that run for the longest time.
const NAMED: usize = 100;

/// Tasks that a line calls slow.
const SLOW: usize = 20;

/// What is in the file. Times are in milliseconds, and count from the run's start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// The process of the run.
    pub pid: u32,
    /// The runset.
    pub runset: String,
    /// How long the run has been on.
    pub at: u64,
    /// The steps, in the order of the manifest.
    pub steps: Vec<StepTold>,
    /// How many tasks somebody has.
    pub running: u64,
    /// How many of them are on each other machine.
    pub nodes: BTreeMap<String, u64>,
    /// The first of them.
    pub tasks: Vec<TaskTold>,
    /// When those are tried again that wait for it.
    pub retries: Vec<u64>,
}

/// How far a step is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct StepTold {
    /// Its name.
    pub step: String,
    /// Tasks known so far.
    pub total: u64,
    /// Those with a result.
    pub finished: u64,
    /// Those that failed in this run.
    pub failed: u64,
    /// Those that somebody has.
    pub running: u64,
    /// Executions that ended.
    pub executed: u64,
    /// For how long some task of it ran.
    pub busy: u64,
    /// Microseconds that are usual, if that is known,
    pub usual: Option<u64>,
    /// of so many tasks.
    pub known: usize,
    /// Most tasks of it at once.
    pub peak: usize,
    /// Whether what it leaves goes to other steps, once that is known.
    pub feeds: Option<bool>,
}

/// A task that somebody has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TaskTold {
    /// The task.
    pub task: i64,
    /// Its step, as an index into the steps.
    pub step: usize,
    /// The name of its input.
    pub input: Option<String>,
    /// When it began.
    pub began: u64,
    /// The machine, if it is not that of the run.
    pub node: Option<String>,
}

impl Told {
    /// What the run tells that has the process `pid`; none where it has told nothing, or nothing that can be read.
    pub(crate) fn read(path: &Path, pid: u32) -> Option<Self> {
        let told: Self = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        (told.pid == pid).then_some(told)
    }

    /// For how long a task has run.
    pub(crate) fn age(&self, task: &TaskTold) -> Duration {
        Duration::from_millis(self.at.saturating_sub(task.began))
    }

    /// The first of the tasks that are slow beside others of their step, and what is usual.
    pub(super) fn slow(&self) -> Option<(&TaskTold, Duration)> {
        let model = self.model();
        self.tasks.iter().find_map(|task| {
            let lane = model.lanes.get(task.step)?;
            Some((task, lane.pace.is_slow(self.age(task))?))
        })
    }

    /// How many tasks run on the machine of the run.
    pub(crate) fn here(&self) -> u64 {
        self.running.saturating_sub(self.nodes.values().sum())
    }

    fn of(model: &Model, pid: u32, runset: &str) -> Self {
        let mut nodes = BTreeMap::new();
        let mut tasks: Vec<(TaskId, &Running)> = model.now.running().collect();
        for (_, running) in &tasks {
            if let Some(node) = &running.node {
                *nodes.entry(node.clone()).or_default() += 1;
            }
        }
        let running = tasks.len() as u64;
        tasks.sort_unstable_by_key(|(task, running)| (running.began, *task));
        tasks.truncate(NAMED);
        let tasks = tasks.into_iter().map(|(task, running)| TaskTold {
            task: task.0,
            step: running.lane,
            input: running.input.clone(),
            began: millis(running.began),
            node: running.node.clone(),
        });
        let mut retries: Vec<u64> = model.now.due().map(millis).collect();
        retries.sort_unstable();
        Self {
            pid,
            runset: runset.to_owned(),
            at: millis(model.seen()),
            steps: model.lanes.iter().map(StepTold::of).collect(),
            running,
            nodes,
            tasks: tasks.collect(),
            retries,
        }
    }

    /// The same as bars are drawn of.
    pub(super) fn model(&self) -> Model {
        let steps: Vec<(StepName, TaskCounts)> = self
            .steps
            .iter()
            .filter_map(|step| Some((StepName::new(&step.step).ok()?, TaskCounts::default())))
            .collect();
        let mut model = Model::new(&steps, &Earlier::new());
        for (lane, step) in model.lanes.iter_mut().zip(&self.steps) {
            step.put_into(lane);
        }
        for task in &self.tasks {
            let running = Running {
                lane: task.step,
                input: task.input.clone(),
                began: Duration::from_millis(task.began),
                node: task.node.clone(),
            };
            model.now.begin(TaskId(task.task), running);
        }
        let peak = self.steps.iter().map(|step| step.peak).max();
        let named = self.tasks.len() as u64;
        let others = usize::try_from(self.running.saturating_sub(named)).unwrap_or_default();
        model.now.set_others(others, peak.unwrap_or_default());
        for (number, at) in (1..).zip(&self.retries) {
            // Which tasks these are is of no use to anybody.
            let at = Duration::from_millis(*at);
            model.now.end(TaskId(-number), Some(at));
        }
        model.set_seen(Duration::from_millis(self.at));
        model
    }
}

impl StepTold {
    fn of(lane: &Lane) -> Self {
        let usual = lane.pace.usual();
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Self {
            step: lane.name.to_string(),
            total: lane.total,
            finished: lane.finished,
            failed: lane.failed,
            running: lane.running,
            executed: lane.executed,
            busy: millis(lane.busy),
            usual: usual.map(|(time, _)| micros(time)),
            known: usual.map_or(0, |(_, known)| known),
            peak: lane.pace.peak,
            feeds: lane.pace.feeds,
        }
    }

    fn put_into(&self, lane: &mut Lane) {
        let earlier = self
            .usual
            .map(|usual| (Duration::from_micros(usual), self.known));
        lane.pace = super::now::Pace::of(earlier);
        lane.pace.peak = self.peak;
        lane.pace.feeds = self.feeds;
        lane.total = self.total;
        lane.finished = self.finished;
        lane.failed = self.failed;
        lane.running = self.running;
        lane.executed = self.executed;
        lane.busy = Duration::from_millis(self.busy);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Writes the file; gone when dropped, and the file with it.
pub(super) struct Board {
    shared: Arc<Mutex<Shared>>,
    path: PathBuf,
    /// Closed to end the thread.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    began: Instant,
}

#[derive(Default)]
struct Shared {
    model: Model,
    runset: String,
    changed: bool,
}

impl Board {
    /// None if no thread can be had: nobody is told anything then.
    ///
    /// With `tells_slow`, who reads lines is told once of each of the first tasks that are slow beside others of their step.
    pub(super) fn start(path: &Path, tells_slow: bool) -> Option<Self> {
        // Of a run that was killed.
        remove(path);
        let shared: Arc<Mutex<Shared>> = Arc::default();
        let (end, ended) = mpsc::channel();
        let (told, place, began) = (Arc::clone(&shared), path.to_owned(), Instant::now());
        let write = move || {
            let mut pause = FIRST;
            let mut slow = HashSet::new();
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(pause) {
                let mut shared = lock(&told);
                let text = text(&mut shared, began.elapsed());
                let lines = if tells_slow {
                    newly_slow(&shared.model, &mut slow)
                } else {
                    String::new()
                };
                drop(shared);
                out::tell(&lines);
                let Some(text) = text else {
                    continue;
                };
                // Whoever cannot write it has other troubles.
                let _ = replace(&place, &text);
                let steps = lock(&told).model.lanes.len();
                pause = if steps > MANY { 4 * PAUSE } else { PAUSE };
            }
        };
        let thread = std::thread::Builder::new().name("board".into());
        Some(Self {
            thread: Some(thread.spawn(write).ok()?),
            shared,
            path: path.to_owned(),
            end: Some(end),
            began,
        })
    }

    /// Takes note of an event.
    pub(super) fn event(&self, event: &Event, earlier: &Earlier) {
        let mut shared = lock(&self.shared);
        if let Event::Runset { name, steps, .. } = event {
            shared.model = Model::new(steps, earlier);
            (*name).clone_into(&mut shared.runset);
        }
        shared.model.is_at(self.began.elapsed());
        shared.model.event(event);
        shared.changed = true;
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        remove(&self.path);
    }
}

fn remove(path: &Path) {
    for path in [path, &being_written(path)] {
        let _ = fs::remove_file(path);
    }
}

fn being_written(path: &Path) -> PathBuf {
    path.with_file_name(".now-new")
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A line for each task that has become slow since `told`, to which it is added.
fn newly_slow(model: &Model, told: &mut HashSet<TaskId>) -> String {
    let mut lines = String::new();
    for (task, running) in model.now.running() {
        let age = model.seen().saturating_sub(running.began);
        let Some(lane) = model.lanes.get(running.lane) else {
            continue;
        };
        if let Some(usual) = lane.pace.is_slow(age)
            && told.len() < SLOW
            && told.insert(task)
        {
            let (age, usual) = (short(age), short(usual));
            let _ = writeln!(
                lines,
                "{} #{task}: slow: {age} so far, usually {usual}",
                lane.name
            );
        }
    }
    lines
}

/// What is to be written, if there is anything new.
fn text(shared: &mut Shared, elapsed: Duration) -> Option<Vec<u8>> {
    shared.model.advance(elapsed);
    let changed = std::mem::take(&mut shared.changed);
    // Tasks grow older without an event.
    let told = changed || shared.model.now.running().next().is_some();
    if !told || shared.runset.is_empty() {
        return None;
    }
    let told = Told::of(&shared.model, std::process::id(), &shared.runset);
    serde_json::to_vec(&told).ok()
}

/// Whoever reads sees the whole of the old one or of the new one.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let new = being_written(path);
    fs::write(&new, text)?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::model::list::Form;

    #[test]
    fn a_slow_task_has_one_line() {
        let name = StepName::new("work").unwrap();
        let mut model = Model::new(&[(name, TaskCounts::default())], &Earlier::new());
        let usual = Some((Duration::from_secs(2), 9));
        model.lanes[0].pace = super::super::now::Pace::of(usual);
        let running = Running {
            lane: 0,
            input: None,
            began: Duration::from_secs(1),
            node: None,
        };
        model.now.begin(TaskId(7), running);
        let mut told = HashSet::new();
        model.set_seen(Duration::from_secs(10));
        assert_eq!(newly_slow(&model, &mut told), "");
        model.set_seen(Duration::from_secs(12));
        assert_eq!(
            newly_slow(&model, &mut told),
            "work #7: slow: 11.0s so far, usually 2.0s\n"
        );
        model.set_seen(Duration::from_secs(30));
        assert_eq!(newly_slow(&model, &mut told), "");
    }

    #[test]
    fn what_a_run_tells_is_what_bars_show() {
        let work = StepName::new("work").unwrap();
        let tally = TaskCounts {
            pending: 9,
            done: 3,
            ..TaskCounts::default()
        };
        let earlier = Earlier::from([(work.clone(), (Duration::from_secs(4), 7))]);
        let mut model = Model::new(&[(work.clone(), tally)], &earlier);
        for task in 1..=3 {
            model.event(&Event::Started {
                task: TaskId(task),
                step: &work,
                version: 1,
                input_name: Some("a.txt"),
                input: Digest::of(b""),
                form: Form::File,
                attempt: 0,
            });
        }
        model.event(&Event::Given {
            task: TaskId(2),
            step: &work,
            node: Some("n1"),
        });
        model.now.end(TaskId(3), Some(Duration::from_secs(90)));
        model.advance(Duration::from_mins(1));
        let told = Told::of(&model, 5, "r");
        assert_eq!((told.running, told.here()), (2, 1));
        assert_eq!(told.nodes, BTreeMap::from([("n1".to_owned(), 1)]));
        assert_eq!(told.age(&told.tasks[0]), Duration::from_mins(1));
        let text = serde_json::to_vec(&told).unwrap();
        let again: Told = serde_json::from_slice(&text).unwrap();
        assert_eq!(again, told);
        assert_eq!(Told::of(&again.model(), 5, "r"), told);
        // Left by a run that was killed, it tells nothing.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("now");
        replace(&path, &text).unwrap();
        assert_eq!(Told::read(&path, 5), Some(told));
        assert_eq!(Told::read(&path, 6), None);
        assert_eq!(Told::read(&folder.path().join("none"), 5), None);
    }
}
