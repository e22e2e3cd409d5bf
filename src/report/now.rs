//! What goes on at the moment: which tasks run and how long, which wait to be tried again, what is usual, and what time
//! that leaves. Times count from the run's start, by a clock that whoever asks has.

use std::collections::HashMap;
use std::time::Duration;

use crate::model::task::TaskId;

/// Tasks of a step whose times are known are this many at least before one is called slow.
const ENOUGH: usize = 5;
/// The times of so many tasks that ended last tell what is usual.
const RECENT: usize = 99;
/// No task that took less than this is slow.
const LONG: Duration = Duration::from_secs(10);
/// A task that should have ended, and has run for no longer, may end just now.
const LATE: Duration = Duration::from_secs(2);

/// A task that somebody has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Running {
    /// Its step, as a number.
    pub lane: usize,
    /// The name of its input.
    pub input: Option<String>,
    /// When it began.
    pub began: Duration,
    /// The machine, if it is not that of the run.
    pub node: Option<String>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Now {
    /// In no order: there are few at a time, and each is looked for twice.
    running: Vec<(TaskId, Running)>,
    /// When each of them is tried again.
    retries: HashMap<TaskId, Duration>,
    /// Tasks that run besides, of which no more is known.
    others: usize,
    /// Most tasks that ran at once.
    peak: usize,
}

/// Tasks that wait to be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Retries {
    /// How many.
    pub count: usize,
    /// The time until the next of them is.
    pub next: Duration,
    /// The time until the last of them is.
    pub last: Duration,
}

impl Now {
    /// A task was handed to those who carry them out.
    pub(super) fn begin(&mut self, task: TaskId, running: Running) {
        self.is_not_again(task);
        match self.place(task) {
            Some(place) => self.running[place].1 = running,
            None => self.running.push((task, running)),
        }
        self.peak = self.peak.max(self.running.len());
    }

    /// It is on that machine, as of now.
    pub(super) fn is_on(&mut self, task: TaskId, node: Option<&str>, now: Duration) {
        if let Some(place) = self.place(task) {
            let running = &mut self.running[place].1;
            running.began = now;
            running.node = node.map(str::to_owned);
        }
    }

    /// Nobody has it any more; `again`: when it is tried again.
    pub(super) fn end(&mut self, task: TaskId, again: Option<Duration>) {
        if let Some(place) = self.place(task) {
            self.running.swap_remove(place);
        }
        match again {
            Some(at) => {
                self.retries.insert(task, at);
            }
            None => self.is_not_again(task),
        }
    }

    /// Those that began last are likely to be asked for.
    fn place(&self, task: TaskId) -> Option<usize> {
        let mut place = self.running.len();
        while place > 0 {
            place -= 1;
            if self.running[place].0 == task {
                return Some(place);
            }
        }
        None
    }

    fn is_not_again(&mut self, task: TaskId) {
        if !self.retries.is_empty() {
            self.retries.remove(&task);
        }
    }

    /// The tasks that somebody has, in no order.
    pub(super) fn running(&self) -> impl Iterator<Item = (TaskId, &Running)> {
        self.running.iter().map(|(task, running)| (*task, running))
    }

    /// How many tasks run.
    pub(super) fn count(&self) -> usize {
        self.running.len() + self.others
    }

    /// So many run besides those that are known, and `peak` ran at once.
    pub(super) fn set_others(&mut self, others: usize, peak: usize) {
        self.others = others;
        self.peak = peak.max(self.count());
    }

    /// When each of those is tried again that wait for it, in no order.
    pub(super) fn due(&self) -> impl Iterator<Item = Duration> {
        self.retries.values().copied()
    }

    /// Most tasks that ran at once, so far.
    pub(super) fn peak(&self) -> usize {
        self.peak
    }

    /// Those that wait for their time; none if nobody does.
    pub(super) fn retries(&self, now: Duration) -> Option<Retries> {
        let waits = self.retries.values().filter_map(|at| {
            let rest = at.saturating_sub(now);
            (!rest.is_zero()).then_some(rest)
        });
        waits.fold(None, |all: Option<Retries>, rest| {
            Some(all.map_or(
                Retries {
                    count: 1,
                    next: rest,
                    last: rest,
                },
                |all| Retries {
                    count: all.count + 1,
                    next: all.next.min(rest),
                    last: all.last.max(rest),
                },
            ))
        })
    }
}

/// How long tasks of a step usually take.
#[derive(Debug, Clone, Default)]
pub(super) struct Pace {
    /// Once it is full, the oldest is at `next`.
    recent: Vec<Duration>,
    next: usize,
    /// The middle of the recent ones, once somebody wanted to know it.
    middle: Option<Duration>,
    /// Of earlier runs, and of how many tasks.
    earlier: Option<(Duration, usize)>,
    /// Most that ran at once.
    pub peak: usize,
    /// Whether outputs went to other steps, once a task told.
    pub feeds: Option<bool>,
}

impl Pace {
    /// What `earlier` runs tell: the middle, and of how many tasks.
    pub(super) fn of(earlier: Option<(Duration, usize)>) -> Self {
        Self {
            earlier,
            ..Self::default()
        }
    }

    /// A task took that long.
    pub(super) fn add(&mut self, elapsed: Duration) {
        if self.recent.len() < RECENT {
            self.recent.push(elapsed);
        } else {
            self.recent[self.next] = elapsed;
            self.next = (self.next + 1) % RECENT;
        }
        self.middle = None;
    }

    /// Finds what is usual, after [`Self::add`].
    pub(super) fn settle(&mut self) {
        if self.middle.is_none() {
            self.middle = median(self.recent.clone());
        }
    }

    /// What is usual, and of how many tasks that is known: by this run where it has enough of them.
    pub(super) fn usual(&self) -> Option<(Duration, usize)> {
        let here = self.middle.map(|middle| (middle, self.recent.len()));
        match (here, self.earlier) {
            (Some(here), Some(earlier)) if here.1 < ENOUGH && earlier.1 > here.1 => Some(earlier),
            (Some(here), _) => Some(here),
            (None, earlier) => earlier,
        }
    }

    /// What is usual, if a task that has run for `age` is slow beside it.
    pub(super) fn is_slow(&self, age: Duration) -> Option<Duration> {
        let (usual, count) = self.usual()?;
        let is_slow = count >= ENOUGH && age >= LONG && age > usual.saturating_mul(3);
        is_slow.then_some(usual)
    }
}

/// The middle one of these.
pub(super) fn median(mut all: Vec<Duration>) -> Option<Duration> {
    let middle = all.len().checked_sub(1)? / 2;
    Some(*all.select_nth_unstable(middle).1)
}

/// What a step still has before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ahead<'a> {
    /// Tasks that are to be done, those that run among them.
    pub tasks: u64,
    /// For how long each of those has run that do.
    pub ages: &'a [Duration],
    /// What is known of its tasks.
    pub pace: &'a Pace,
}

/// How long something may still take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    /// That long,
    pub time: Duration,
    /// or longer: of some of it nothing is known.
    pub at_least: bool,
}

impl Left {
    /// Of `steps` that have something before them, of which `most` tasks run at once; none where nothing is known.
    pub(super) fn of<'a>(
        steps: impl Iterator<Item = Ahead<'a>>,
        most: usize,
        retries: Option<Retries>,
    ) -> Option<Self> {
        let at_once = |peak: usize| u32::try_from(peak.max(1)).unwrap_or(u32::MAX);
        let (mut work, mut longest) = (Duration::ZERO, Duration::ZERO);
        let mut shortest = Duration::MAX;
        let (mut known, mut at_least) = (false, false);
        for Ahead { tasks, ages, pace } in steps {
            // What one leaves may be a task of another step.
            at_least |= pace.feeds != Some(false);
            let Some((usual, _)) = pace.usual() else {
                at_least = true;
                continue;
            };
            known = true;
            // One that is late may take any time.
            let late = usual.saturating_mul(3).max(LATE);
            at_least |= ages.iter().any(|age| *age > late);
            // However many run at once, none is shared out.
            let has_some_to_begin = tasks > ages.len() as u64;
            let youngest = ages.iter().min().copied().unwrap_or_default();
            longest = longest.max(if has_some_to_begin {
                usual
            } else {
                usual.saturating_sub(youngest)
            });
            shortest = shortest.min(usual);
            let tasks = u32::try_from(tasks).unwrap_or(u32::MAX);
            let done: Duration = ages.iter().map(|age| (*age).min(usual)).sum();
            let own = usual.saturating_mul(tasks).saturating_sub(done);
            work = work.saturating_add(own);
            let peak = if pace.peak == 0 { most } else { pace.peak };
            longest = longest.max(own / at_once(peak));
        }
        let time = longest.max(work / at_once(most));
        let again = retries.map(|retries| retries.last.saturating_add(shortest));
        let time = time.max(again.unwrap_or_default());
        // What should be over by now may take any time.
        (known && time >= Duration::from_secs(1)).then_some(Self { time, at_least })
    }

    /// `about 4m left`, `at least 20s left`: no more digits than are known.
    pub(super) fn in_words(self) -> String {
        let seconds = self.time.as_secs();
        let upwards = |unit: u64| seconds.div_ceil(unit) * unit;
        let seconds = match seconds {
            0..10 => upwards(1),
            10..60 => upwards(5),
            60..600 => upwards(30),
            600..3600 => upwards(60),
            3600..86_400 => upwards(600),
            _ => upwards(3600),
        };
        let about = if self.at_least { "at least" } else { "about" };
        let time = crate::text::time::exact(Duration::from_secs(seconds));
        format!("{about} {time} left")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn pace(times: &[u64], feeds: Option<bool>) -> Pace {
        let mut pace = Pace {
            feeds,
            ..Pace::default()
        };
        times.iter().for_each(|time| pace.add(seconds(*time)));
        pace.settle();
        pace
    }

    fn left(steps: &[(u64, &[u64], &Pace)], most: usize) -> Option<String> {
        let ages: Vec<Vec<Duration>> = steps
            .iter()
            .map(|(_, ages, _)| ages.iter().map(|age| seconds(*age)).collect())
            .collect();
        let steps = steps
            .iter()
            .zip(&ages)
            .map(|((tasks, _, pace), ages)| Ahead {
                tasks: *tasks,
                ages,
                pace,
            });
        Left::of(steps, most, None).map(Left::in_words)
    }

    #[test]
    fn the_time_that_is_left_is_told_as_far_as_it_is_known() {
        let last = pace(&[4, 4, 4, 4, 90], Some(false));
        assert_eq!(left(&[(10, &[], &last)], 2).unwrap(), "about 20s left");
        // What ran for a while has less before it, and what is late has any time.
        assert_eq!(
            left(&[(2, &[3, 60], &last)], 1).unwrap(),
            "at least 1s left"
        );
        assert_eq!(left(&[(1, &[60], &last)], 1), None);
        // However many could run at once, one takes its time.
        assert_eq!(left(&[(1, &[], &last)], 3).unwrap(), "about 4s left");
        assert_eq!(left(&[(2, &[3, 1], &last)], 3).unwrap(), "about 3s left");
        // Its tasks do not all run at once, whatever else could.
        let mut one = last.clone();
        one.peak = 1;
        assert_eq!(left(&[(10, &[], &one)], 8).unwrap(), "about 40s left");
        // Other steps may get tasks of it, or nothing is known of one.
        let first = pace(&[4; 5], Some(true));
        assert_eq!(left(&[(10, &[], &first)], 1).unwrap(), "at least 40s left");
        let (unknown, told) = (Pace::default(), pace(&[4; 5], None));
        assert_eq!(left(&[(10, &[], &unknown)], 1), None);
        assert_eq!(left(&[(10, &[], &told)], 1).unwrap(), "at least 40s left");
        assert_eq!(
            left(&[(10, &[], &last), (1, &[], &unknown)], 1).unwrap(),
            "at least 40s left"
        );
        assert_eq!(left(&[], 1), None);
    }

    #[test]
    fn no_more_digits_than_are_known() {
        for (time, words) in [
            (1, "about 1s left"),
            (11, "about 15s left"),
            (61, "about 1m30s left"),
            (601, "about 11m left"),
            (3601, "about 1h10m left"),
            (90_001, "about 1d2h left"),
        ] {
            let left = Left {
                time: seconds(time),
                at_least: false,
            };
            assert_eq!(left.in_words(), words);
        }
    }

    #[test]
    fn earlier_runs_tell_what_is_usual_until_this_one_does() {
        let mut pace = Pace::of(Some((seconds(7), 40)));
        assert_eq!(pace.usual(), Some((seconds(7), 40)));
        (0..4).for_each(|_| pace.add(seconds(1)));
        pace.settle();
        assert_eq!(pace.usual(), Some((seconds(7), 40)));
        pace.add(seconds(1));
        pace.settle();
        assert_eq!(pace.usual(), Some((seconds(1), 5)));
        // Only the last ones count.
        (0..RECENT).for_each(|_| pace.add(seconds(30)));
        pace.settle();
        assert_eq!(pace.usual(), Some((seconds(30), RECENT)));
    }

    #[test]
    fn slow_is_three_times_what_is_usual_and_no_short_while() {
        let quick = pace(&[1; 5], None);
        assert_eq!(quick.is_slow(seconds(9)), None);
        assert_eq!(quick.is_slow(seconds(10)), Some(seconds(1)));
        let long = pace(&[20; 5], None);
        assert_eq!(long.is_slow(seconds(60)), None);
        assert_eq!(long.is_slow(seconds(61)), Some(seconds(20)));
        assert_eq!(pace(&[1; 4], None).is_slow(seconds(99)), None, "too few");
    }

    #[test]
    fn who_waits_to_be_tried_again() {
        let mut now = Now::default();
        let running = Running {
            lane: 0,
            input: None,
            began: seconds(0),
            node: None,
        };
        for task in 1..=3 {
            now.begin(TaskId(task), running.clone());
            now.end(
                TaskId(task),
                Some(seconds(10 * u64::try_from(task).unwrap())),
            );
        }
        let retries = |count, next, last| {
            Some(Retries {
                count,
                next: seconds(next),
                last: seconds(last),
            })
        };
        assert_eq!(now.retries(seconds(4)), retries(3, 6, 26));
        // Whose time has come waits for somebody to have it.
        assert_eq!(now.retries(seconds(10)), retries(2, 10, 20));
        now.begin(TaskId(2), running);
        assert_eq!(now.retries(seconds(10)), retries(1, 20, 20));
        now.end(TaskId(3), None);
        assert_eq!(now.retries(seconds(10)), None);
        assert_eq!((now.running().count(), now.peak()), (1, 1));
    }
}
