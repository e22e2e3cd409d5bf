//! Whether a task takes as long after many others as it does in a small run.
//!
//! One large run is done in slices, by interrupting it and going on. Before and after each slice
//! small runs are done from the beginning, so that what else the machine does hits both. The time
//! a task is that from the first start to the last end in the database, by the number of tasks:
//! neither seeding nor the start of the program is in it.

use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use super::contender::Kind;
use super::failure::{Failure, Fallible};
use super::measure::{self, Call};
use super::options::fan_out;
use super::statistics::median;
use super::suite::{Outcome, SECOND, Suite};
use super::work::Work;
use super::{check, generate, interrupt};

/// What was measured.
#[derive(Debug)]
pub struct Flat {
    /// Tasks of the large run.
    pub items: usize,
    /// Of each kind of small run, how many tasks it has.
    pub small: [usize; 2],
    /// In order.
    pub slices: Vec<Slice>,
    /// Bytes of state at the end, objects aside.
    pub state: u64,
}

/// A part of the large run.
#[derive(Debug)]
pub struct Slice {
    /// Tasks done in it.
    pub tasks: usize,
    /// Tasks done at its end, from the first of the run on.
    pub done: usize,
    /// Seconds a task.
    pub time: f64,
    /// The same in the small runs on both sides of it.
    pub beside: [f64; 2],
    /// Peak memory, bytes.
    pub memory: u64,
}

/// Tasks of the large run, unless it is said otherwise.
pub const ITEMS: usize = 1_000_000;

/// Runs of each small kind: several where one is over soon.
const TIMES: [usize; 2] = [1, 5];

/// How large all is.
struct Size {
    items: usize,
    /// The first slice is over after so many tasks.
    first: usize,
    /// The others after so long.
    slice: Duration,
    small: [usize; 2],
}

impl Size {
    /// A million tasks in slices of 45 seconds; fewer in proportion.
    fn of(items: usize) -> Self {
        let part = items.min(ITEMS);
        let millis = u64::try_from(part * 45_000 / ITEMS).unwrap_or(u64::MAX);
        Self {
            items,
            first: (part / 100).max(1),
            slice: Duration::from_millis(millis.max(1000)),
            small: [10_000.min(items / 10).max(1), 1000.min(items / 20).max(1)],
        }
    }
}

/// Measures it; also second runs with nothing to do.
pub fn measure(suite: &mut Suite, items: usize) -> Fallible<(Flat, Outcome)> {
    let size = Size::of(items);
    let work = fan_out("flat", size.items, 1);
    let folder = suite.folder(work.name, Kind::Own, 0)?;
    suite.make_room(&title(items), work.needs())?;
    generate::generate(Kind::Own, &work, &folder, suite.parallel())?;
    let mut slices: Vec<Slice> = Vec::new();
    let mut before = small_runs(suite, &size, 0)?;
    loop {
        let done = slices.last().map_or(0, |slice| slice.done);
        let (time, memory) = slice(suite, &size, &work, &folder, done)?;
        let now = check::own_counted(&folder).unwrap_or(0);
        if now <= done {
            return Err(failed(items, "a slice got nowhere"));
        }
        let after = small_runs(suite, &size, slices.len() + 1)?;
        let beside = [0, 1].map(|at| f64::midpoint(before[at], after[at]));
        before = after;
        eprintln!(
            "flat: {now} tasks: {:.0} µs a task; small runs beside: {:.0} µs, {:.0} µs",
            time * 1e6,
            beside[0] * 1e6,
            beside[1] * 1e6
        );
        slices.push(Slice {
            tasks: now - done,
            done: now,
            time,
            beside,
            memory,
        });
        if now >= items {
            break;
        }
    }
    if Some(check::results(Kind::Own, &work, &folder)?) != work.expected() {
        return Err(failed(items, "the results are not what they must be"));
    }
    if check::own_done(&folder)? != work.tasks() {
        return Err(failed(items, "not all tasks are done"));
    }
    let second = second_runs(suite, &work, &folder)?;
    let flat = Flat {
        items,
        small: size.small,
        slices,
        state: check::own_state(&folder)?,
    };
    suite.give_up(&work, folder)?;
    Ok((flat, second))
}

/// One slice of the large run: seconds a task, and peak memory.
fn slice(
    suite: &Suite,
    size: &Size,
    work: &Work,
    folder: &Path,
    done: usize,
) -> Fallible<(f64, u64)> {
    suite.settle()?;
    let began = now();
    // When the first task was seen to be done.
    let seen: Mutex<Option<Instant>> = Mutex::new(None);
    let enough = || {
        let tasks = check::own_counted(folder).unwrap_or(0);
        let mut seen = seen
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if tasks > done && seen.is_none() {
            *seen = Some(Instant::now());
        }
        if done == 0 {
            tasks >= size.first
        } else {
            seen.is_some_and(|seen| seen.elapsed() >= size.slice)
        }
    };
    let mut command = suite.own()?.command(work, folder, suite.parallel());
    match measure::run_until(&mut command, &suite.log(Kind::Own), &enough)? {
        Call::Done(sample) => Ok((a_task(folder, began, size.items)?, sample.memory)),
        Call::Failed(why) => Err(failed(size.items, &why)),
    }
}

/// The small runs at one place between slices, of each kind: seconds a task, the median.
fn small_runs(suite: &mut Suite, size: &Size, place: usize) -> Fallible<[f64; 2]> {
    let mut times = [f64::NAN; 2];
    for (at, time) in times.iter_mut().enumerate() {
        let mut all = Vec::new();
        for round in 0..TIMES[at] {
            let work = fan_out("flat", size.small[at], 1);
            let name = format!("flat-{at}-{place}");
            let folder = suite.folder(&name, Kind::Own, round)?;
            suite.make_room(&work.title, work.needs())?;
            generate::generate(Kind::Own, &work, &folder, suite.parallel())?;
            suite.settle()?;
            let began = now();
            let mut command = suite.own()?.command(&work, &folder, suite.parallel());
            if let Call::Failed(why) = measure::run(&mut command, &suite.log(Kind::Own))? {
                return Err(failed(size.items, &why));
            }
            all.push(a_task(&folder, began, size.items)?);
            suite.give_up(&work, folder)?;
        }
        *time = median(all).unwrap_or(f64::NAN);
    }
    Ok(times)
}

/// Calls with nothing to do, after one that has whatever is left to settle.
fn second_runs(suite: &Suite, work: &Work, folder: &Path) -> Fallible<Outcome> {
    let title = format!("{}: second run, nothing to do", title(work.items()));
    let mut outcome = Outcome::new("flat, second", &title, work.tasks());
    for round in 0..=SECOND {
        suite.settle()?;
        let mut command = suite.own()?.command(work, folder, suite.parallel());
        match measure::run(&mut command, &suite.log(Kind::Own))? {
            Call::Done(sample) if round > 0 => {
                outcome.samples.entry(Kind::Own).or_default().push(sample);
            }
            Call::Done(_) => {}
            Call::Failed(why) => return Err(failed(work.items(), &why)),
        }
    }
    Ok(outcome)
}

fn a_task(folder: &Path, began: i64, items: usize) -> Fallible<f64> {
    interrupt::check()?;
    check::own_pace(folder, began)?.ok_or_else(|| failed(items, "no task is recorded"))
}

/// Milliseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

fn title(items: usize) -> String {
    format!("{items} files, `tr` each, in slices")
}

fn failed(items: usize, why: &str) -> Failure {
    let title = title(items);
    Failure::of_call(format!("task-pipeline failed at \"{title}\": {why}"), why)
}
