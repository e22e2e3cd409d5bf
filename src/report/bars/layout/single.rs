//! Lines about single tasks.

use std::fmt::Write as _;
use std::time::Duration;

use unicode_width::UnicodeWidthStr as _;

use super::super::super::now::Running;
use super::super::model::Model;
use super::{Line, Look};
use crate::model::task::TaskId;
use crate::text::time::{exact, short};
use crate::text::visible;
use crate::text::width::cut_middle;

/// Slow tasks that have a line of their own.
const SLOW: usize = 3;
/// Tasks that run for less are not told one by one: nobody could read that.
const READABLE: Duration = Duration::from_secs(1);

/// What is to be told of single tasks: which run, which are slow, how many wait to be tried again.
pub(super) fn lines(model: &Model, width: usize) -> Vec<Line> {
    let mut tasks: Vec<(TaskId, &Running)> = model
        .now
        .running()
        .filter(|(_, running)| model.age(running) >= READABLE)
        .collect();
    // The oldest first; the same ones each time.
    tasks.sort_unstable_by_key(|(task, running)| (running.began, *task));
    let (slow, others): (Vec<_>, Vec<_>) = tasks
        .into_iter()
        .partition(|(_, running)| model.is_slow(running).is_some());
    let mut lines = Vec::new();
    let briefly = model.now.count() - slow.len();
    if !others.is_empty() {
        lines.push(vec![(Look::Dim, running(model, &others, briefly, width))]);
    }
    for (task, running) in slow.iter().take(SLOW) {
        let usual = model.is_slow(running).map_or_else(String::new, short);
        let words = format!(
            "slow: {}, usual is {usual}",
            in_short(model, *task, running)
        );
        lines.push(vec![(Look::Warn, words)]);
    }
    if let more @ 1.. = slow.len().saturating_sub(SLOW) {
        lines.push(vec![(Look::Warn, format!("and {more} more are slow"))]);
    }
    if let Some(retries) = model.now.retries(model.seen()) {
        let waiting = match retries.count {
            1 => "1 task waits to be tried again".to_owned(),
            several => format!("{several} tasks wait to be tried again, the next one"),
        };
        let next = Duration::from_secs(retries.next.as_secs() + 1);
        lines.push(vec![(Look::Dim, format!("{waiting} in {}", exact(next)))]);
    }
    lines
}

/// `running: work #12 (a.txt) 12s, work #13 (b.txt) 4s, and 6 more`: as many as there is room for, of `all` that run.
fn running(model: &Model, tasks: &[(TaskId, &Running)], all: usize, width: usize) -> String {
    const MORE: usize = ", and 12345 more".len();
    let mut words = String::from("running: ");
    let mut told = 0;
    for (task, running) in tasks {
        let next = in_short(model, *task, running);
        let comma = if told == 0 { "" } else { ", " };
        if told > 0 && words.width() + comma.len() + next.width() + MORE > width {
            break;
        }
        words.push_str(comma);
        words.push_str(&next);
        told += 1;
    }
    if let more @ 1.. = all.saturating_sub(told) {
        let _ = write!(words, ", and {more} more");
    }
    words
}

/// `work #12 (a.txt) on n7 12s`.
fn in_short(model: &Model, task: TaskId, running: &Running) -> String {
    /// The widest name of an input.
    const NAME: usize = 24;
    let lane = model.lanes.get(running.lane);
    let mut words = format!(
        "{} #{task}",
        lane.map_or_else(String::new, |lane| visible(lane.name.as_str()))
    );
    if let Some(input) = &running.input {
        let _ = write!(words, " ({})", cut_middle(&visible(input), NAME));
    }
    if let Some(node) = &running.node {
        let _ = write!(words, " on {}", visible(node));
    }
    let age = Duration::from_secs(model.age(running).as_secs());
    let _ = write!(words, " {}", exact(age));
    words
}
