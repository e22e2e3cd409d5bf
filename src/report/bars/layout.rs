//! Progress as lines that fit a terminal.

mod single;

use crate::text::amount;
use crate::text::colour::{Mark, RESET};
use crate::text::time::{clock, exact};
use crate::text::width::{cut, pad};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use unicode_width::UnicodeWidthStr;

use super::super::now::Left;
use super::model::{Crew, Lane, Model, rate};
use crate::text::visible;

/// A terminal's size, in character cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// Columns left to the `^C` that a terminal shows behind the last line: it must not break it.
const MARGIN: usize = 3;
/// Rows left to what is told above.
const ABOVE: usize = 3;
/// With no more steps than this all are shown, those at rest too.
const FEW: usize = 12;
/// The widest bar.
const BAR: usize = 30;
/// The narrowest bar that tells anything.
const NARROW: usize = 6;
/// With fewer rows than this there are none for single tasks.
const ROOMY: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Plain,
    Dim,
    Good,
    Bad,
    Warn,
}

impl Look {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Dim => Mark::Dim.code(),
            Self::Good => Mark::Good.code(),
            Self::Bad => Mark::Bad.code(),
            Self::Warn => Mark::Warn.code(),
        }
    }
}

/// A line before it is cut and coloured.
type Line = Vec<(Look, String)>;

/// The columns of one line.
struct Row {
    label: String,
    counts: String,
    running: String,
    rate: String,
    failed: String,
    /// The time that is left.
    left: String,
    /// Finished, failed, all.
    parts: (u64, u64, u64),
}

/// The lines of progress: one a step, the sum of those not shown, the total. None is wider than
/// the terminal less [`MARGIN`]; with a line for the cursor they fit its height.
pub(super) fn lines(model: &Model, elapsed: Duration, size: Size, colours: bool) -> Vec<String> {
    let crews: Vec<Line> = model
        .crews
        .values()
        .filter_map(|crew| crew_line(crew, model.seen()))
        .collect();
    let single = if size.height < ROOMY {
        Vec::new()
    } else {
        single::lines(model, size.width.saturating_sub(MARGIN))
    };
    let taken = ABOVE + 2 + crews.len() + single.len();
    let (shown, rest) = choose(&model.lanes, size.height.saturating_sub(taken).max(1));
    let mut rows: Vec<Row> = shown.into_iter().map(Row::lane).collect();
    rows.push(Row::total(model, elapsed));
    let columns = Columns::fit(&rows, size.width.saturating_sub(MARGIN));
    let total = rows.pop();
    let mut lines: Vec<Line> = rows.iter().map(|row| columns.line(row)).collect();
    lines.extend(rest.map(|rest| vec![(Look::Dim, rest)]));
    lines.extend(crews);
    lines.extend(single);
    lines.extend(total.iter().map(|row| columns.line(row)));
    // Where there is hardly a row, the total is the one that remains.
    let surplus = lines.len().saturating_sub(size.height.max(1));
    lines
        .into_iter()
        .skip(surplus)
        .map(|line| paint(line, size.width.saturating_sub(MARGIN), colours))
        .collect()
}

/// `slurm: 2 of 4 workers, 1 waits 35s for a place (PartitionDown); n1, n2`; none where nobody is there and none is called for.
fn crew_line(crew: &Crew, now: Duration) -> Option<Line> {
    let first = crew.called.values().min();
    if crew.here.is_empty() && first.is_none() {
        return None;
    }
    let mut words = format!(
        "{}: {} of {}",
        visible(&crew.name),
        crew.here.len(),
        amount::count(crew.most, "worker")
    );
    if let Some(first) = first {
        let waiting = match crew.called.len() {
            1 => "1 waits".to_owned(),
            several => format!("{several} wait"),
        };
        let since = Duration::from_secs(now.saturating_sub(*first).as_secs());
        let _ = write!(words, ", {waiting} {} for a place", exact(since));
        if let Some(why) = &crew.why {
            let _ = write!(words, " ({})", visible(why));
        }
    }
    let nodes: BTreeSet<&str> = crew.here.values().map(String::as_str).collect();
    if !nodes.is_empty() {
        let nodes: Vec<String> = nodes.into_iter().map(visible).collect();
        let _ = write!(words, "; {}", nodes.join(", "));
    }
    Some(vec![(Look::Dim, words)])
}

/// How many rows the lines take in a terminal of that width, which breaks those that are longer.
pub(super) fn rows(lines: &str, width: usize) -> usize {
    let line = |line: &str| bare_width(line).max(1).div_ceil(width.max(1));
    lines.lines().map(line).sum()
}

/// The width of a text with colours.
fn bare_width(text: &str) -> usize {
    let mut parts = text.split('\u{1b}');
    let plain = parts.next().map_or(0, UnicodeWidthStr::width);
    let coloured = parts.map(|part| part.split_once('m').map_or(0, |(_, rest)| rest.width()));
    plain + coloured.sum::<usize>()
}

/// The steps to show, in the order of the manifest, and the others in words.
fn choose(lanes: &[Lane], most: usize) -> (Vec<&Lane>, Option<String>) {
    if lanes.len() <= FEW.min(most) {
        return (lanes.iter().collect(), None);
    }
    // One row is for the others.
    let most = most.saturating_sub(1).max(1);
    let mut places: Vec<usize> = (0..lanes.len())
        .filter(|place| lanes[*place].is_active())
        .collect();
    places.sort_by_key(|place| lanes[*place].running == 0);
    places.truncate(most);
    places.sort_unstable();
    let mut others = lanes
        .iter()
        .enumerate()
        .filter(|(place, _)| places.binary_search(place).is_err())
        .map(|(_, lane)| lane)
        .peekable();
    let rest = others.peek().is_some().then(|| in_words(others));
    (
        places.into_iter().map(|place| &lanes[place]).collect(),
        rest,
    )
}

fn in_words<'a>(lanes: impl Iterator<Item = &'a Lane>) -> String {
    let (mut active, mut done, mut idle) = (0, 0, 0);
    for lane in lanes {
        if lane.is_active() {
            active += 1;
        } else if lane.total > 0 {
            done += 1;
        } else {
            idle += 1;
        }
    }
    let words: Vec<String> = [
        (active, "under way"),
        (done, "done"),
        (idle, "without tasks"),
    ]
    .iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect();
    format!("other steps: {}", words.join(", "))
}

impl Row {
    fn lane(lane: &Lane) -> Self {
        Self {
            label: visible(lane.name.as_str()),
            counts: counts(lane.finished, lane.total),
            running: running_now(lane.running),
            rate: lane.rate().map(per_time).unwrap_or_default(),
            failed: failed(lane.failed),
            left: String::new(),
            parts: (lane.finished, lane.failed, lane.total),
        }
    }

    fn total(model: &Model, elapsed: Duration) -> Self {
        let lanes = &model.lanes;
        let sum = |what: fn(&Lane) -> u64| lanes.iter().map(what).sum::<u64>();
        let parts = (
            sum(|lane| lane.finished),
            sum(|lane| lane.failed),
            sum(|lane| lane.total),
        );
        Self {
            label: format!("total {}", clock(elapsed)),
            counts: counts(parts.0, parts.2),
            rate: rate(sum(|lane| lane.executed), elapsed)
                .map(per_time)
                .unwrap_or_default(),
            failed: failed(parts.1),
            running: running_now(sum(|lane| lane.running)),
            left: model.left().map_or_else(String::new, Left::in_words),
            parts,
        }
    }
}

/// The widths of the columns; those without room have none.
struct Columns {
    label: usize,
    bar: usize,
    counts: usize,
    running: usize,
    rate: usize,
    left: usize,
}

impl Columns {
    /// Gives room to what matters most: counts and failures, names, the time that is left, rates, what runs, bars.
    fn fit(rows: &[Row], width: usize) -> Self {
        let widest = |what: fn(&Row) -> &str| {
            let widths = rows.iter().map(|row| what(row).width());
            widths.max().unwrap_or(0)
        };
        let counts = widest(|row| &row.counts) + 2;
        let failed = match widest(|row| &row.failed) {
            0 => 0,
            width => width + 2,
        };
        let label = widest(|row| &row.label)
            .min((width / 3).max(14))
            .min(width.saturating_sub(counts + failed).max(4));
        let mut left = width.saturating_sub(label + counts + failed);
        let mut take = |wanted: usize| {
            let width = if wanted <= left { wanted } else { 0 };
            left -= width;
            width
        };
        let time = match widest(|row| &row.left) {
            0 => 0,
            width => take(width + 2),
        };
        // These come and go: their columns stay.
        let rate = take(widest(|row| &row.rate).max(6) + 2);
        let running = take(widest(|row| &row.running).max(6) + 2);
        let bar = left.saturating_sub(2).min(BAR);
        Self {
            label,
            bar: if bar < NARROW { 0 } else { bar },
            counts,
            running,
            rate,
            left: time,
        }
    }

    fn line(&self, row: &Row) -> Line {
        let mut line = vec![(Look::Plain, padded(&row.label, self.label))];
        if self.bar > 0 {
            line.push((Look::Plain, "  ".to_owned()));
            line.extend(bar(row.parts, self.bar));
        }
        line.push((Look::Plain, format!("{:>1$}", row.counts, self.counts)));
        if self.running > 0 {
            line.push((Look::Plain, format!("{:>1$}", row.running, self.running)));
        }
        if self.rate > 0 {
            line.push((Look::Dim, format!("{:>1$}", row.rate, self.rate)));
        }
        if !row.failed.is_empty() {
            line.push((Look::Bad, format!("  {}", row.failed)));
        }
        if self.left > 0 && !row.left.is_empty() {
            line.push((Look::Plain, format!("  {}", row.left)));
        }
        line
    }
}

fn bar((finished, failed, total): (u64, u64, u64), width: usize) -> Line {
    let cells = |count: u64| {
        let cells = u128::from(count) * width as u128 / u128::from(total.max(1));
        usize::try_from(cells).unwrap_or(width).min(width)
    };
    let good = cells(finished);
    // However few failed, it is to be seen.
    let bad = cells(finished + failed)
        .saturating_sub(good)
        .max(usize::from(failed > 0))
        .min(width - good);
    vec![
        (Look::Good, "━".repeat(good)),
        (Look::Bad, "━".repeat(bad)),
        (Look::Dim, "─".repeat(width - good - bad)),
    ]
}

fn counts(finished: u64, total: u64) -> String {
    format!("{finished}/{total}")
}

fn running_now(count: u64) -> String {
    if count == 0 {
        String::new()
    } else {
        format!("{count} run")
    }
}

fn failed(count: u64) -> String {
    if count == 0 {
        String::new()
    } else {
        format!("{count} failed")
    }
}

/// `52/s`, `5.2/s`, `12/min`, `3/h`.
fn per_time(rate: f64) -> String {
    if rate >= 9.95 {
        format!("{rate:.0}/s")
    } else if rate >= 1.0 {
        format!("{rate:.1}/s")
    } else if rate * 60.0 >= 1.0 {
        format!("{:.0}/min", rate * 60.0)
    } else {
        format!("{:.0}/h", (rate * 3600.0).max(1.0))
    }
}

/// The text in exactly `width` columns.
fn padded(text: &str, width: usize) -> String {
    pad(&cut(text, width), width)
}

fn paint(line: Line, width: usize, colours: bool) -> String {
    let mut left = width;
    let mut text = String::new();
    for (look, part) in line {
        let part = cut(&part, left);
        left -= part.width().min(left);
        if colours && look != Look::Plain && !part.trim().is_empty() {
            text.push_str(look.code());
            text.push_str(&part);
            text.push_str(RESET);
        } else {
            text.push_str(&part);
        }
    }
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests;
