//! The plot, in SVG: tasks a second by contender; time a task by the number of tasks.

use std::fmt::Write;

use super::contender::{ALL, Kind};
use super::statistics::{typical, wall};
use super::suite::{Outcome, Results};

const WIDTH: f64 = 860.0;
const BAR: f64 = 14.0;
const LEFT: f64 = 330.0;

/// All of it.
pub fn svg(results: &Results) -> String {
    let mut body = String::new();
    let mut y = 24.0;
    label(
        &mut body,
        10.0,
        y,
        "Tasks a second (longer is better)",
        true,
    );
    for outcome in results
        .works
        .iter()
        .filter(|one| one.whole && one.tasks >= 200)
    {
        y = bars(&mut body, outcome, y + 10.0);
    }
    let scaling: Vec<&Outcome> = results.works.iter().filter(|one| one.scales).collect();
    if scaling.len() > 1 {
        y = lines(&mut body, &scaling, y + 40.0);
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {0}\" width=\"{WIDTH}\" \
         height=\"{0}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n",
        y + 24.0
    )
}

fn colour(kind: Kind) -> &'static str {
    match kind {
        Kind::Own => "#c2410c",
        Kind::Warm => "#f59e0b",
        Kind::Ninja => "#334155",
        Kind::N2 => "#0e7490",
        Kind::Make => "#64748b",
        Kind::Xargs => "#94a3b8",
        Kind::Floor => "#a8a29e",
        Kind::Snakemake => "#15803d",
        Kind::Redun => "#7e22ce",
        Kind::Nextflow => "#0d9488",
    }
}

fn label(body: &mut String, x: f64, y: f64, text: &str, bold: bool) {
    let weight = if bold { " font-weight=\"bold\"" } else { "" };
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('`', "");
    let _ = writeln!(
        body,
        "<text x=\"{x:.1}\" y=\"{y:.1}\"{weight}>{text}</text>"
    );
}

#[allow(clippy::cast_precision_loss)] // Far below 2^53.
fn rate(outcome: &Outcome, kind: Kind) -> Option<f64> {
    Some(outcome.tasks as f64 / typical(outcome, kind, wall)?)
}

/// The bars of a work; where the next one begins.
fn bars(body: &mut String, outcome: &Outcome, top: f64) -> f64 {
    let rates: Vec<(Kind, f64)> = ALL
        .into_iter()
        .filter_map(|kind| Some((kind, rate(outcome, kind)?)))
        .collect();
    let most = rates.iter().map(|(_, rate)| *rate).fold(1.0, f64::max);
    let mut y = top + 4.0;
    label(body, 10.0, y + 11.0, &outcome.title, false);
    for (kind, rate) in rates {
        let width = (WIDTH - LEFT - 70.0) * rate / most;
        label(body, LEFT - 115.0, y + 11.0, kind.name(), kind == Kind::Own);
        let _ = writeln!(
            body,
            "<rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{}\"/>",
            BAR - 3.0,
            colour(kind)
        );
        label(
            body,
            LEFT + width + 4.0,
            y + 10.0,
            &format!("{rate:.0}"),
            false,
        );
        y += BAR;
    }
    y
}

/// A contender's points: the logarithm of the number of tasks, and µs a task.
type Series = (Kind, Vec<(f64, f64)>);

/// Where a point of the second plot is drawn.
struct Frame {
    bottom: f64,
    from: f64,
    to: f64,
    most: f64,
}

const HEIGHT: f64 = 180.0;

impl Frame {
    fn new(series: &[Series], bottom: f64) -> Self {
        let points = || series.iter().flat_map(|(_, points)| points);
        let from = points().map(|point| point.0).fold(f64::MAX, f64::min);
        Self {
            bottom,
            from,
            to: points().map(|point| point.0).fold(from + 1.0, f64::max),
            most: points().map(|point| point.1).fold(1.0, f64::max) * 1.1,
        }
    }

    fn x(&self, log: f64) -> f64 {
        60.0 + (log - self.from) / (self.to - self.from) * (WIDTH - 220.0)
    }

    fn y(&self, time: f64) -> f64 {
        self.bottom - time / self.most * HEIGHT
    }

    fn axes(&self, body: &mut String, works: &[&Outcome]) {
        for part in 0..=4 {
            let time = self.most * f64::from(part) / 4.0;
            let y = self.y(time);
            let _ = writeln!(
                body,
                "<line x1=\"60\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#e5e5e5\"/>",
                WIDTH - 160.0,
            );
            label(body, 20.0, y + 4.0, &format!("{time:.0}"), false);
        }
        for one in works {
            let x = self.x(log(one)) - 15.0;
            let tasks = (one.tasks - 1).to_string();
            label(body, x, self.bottom + 16.0, &tasks, false);
        }
    }
}

#[allow(clippy::cast_precision_loss)] // Far below 2^53.
fn log(outcome: &Outcome) -> f64 {
    (outcome.tasks as f64).log10()
}

/// Time a task by the number of tasks, the latter by its logarithm; where it ends.
fn lines(body: &mut String, works: &[&Outcome], top: f64) -> f64 {
    let title = "Time a task, µs, by the number of tasks (lower is better)";
    label(body, 10.0, top, title, true);
    let series: Vec<Series> = ALL
        .into_iter()
        .filter(|kind| !kind.is_slow())
        .map(|kind| {
            let point = |one: &&Outcome| Some((log(one), 1e6 / rate(one, kind)?));
            (kind, works.iter().filter_map(point).collect())
        })
        .filter(|(_, points): &Series| !points.is_empty())
        .collect();
    let frame = Frame::new(&series, top + 20.0 + HEIGHT);
    frame.axes(body, works);
    let mut row = top + 30.0;
    for (kind, points) in &series {
        let path: Vec<String> = points
            .iter()
            .map(|point| format!("{:.1},{:.1}", frame.x(point.0), frame.y(point.1)))
            .collect();
        let _ = writeln!(
            body,
            "<polyline points=\"{0}\" fill=\"none\" stroke=\"{1}\" stroke-width=\"2\"/>\n\
             <rect x=\"{2:.1}\" y=\"{3:.1}\" width=\"12\" height=\"4\" fill=\"{1}\"/>",
            path.join(" "),
            colour(*kind),
            WIDTH - 140.0,
            row - 5.0,
        );
        label(body, WIDTH - 122.0, row, kind.name(), *kind == Kind::Own);
        row += 16.0;
    }
    frame.bottom + 20.0
}
