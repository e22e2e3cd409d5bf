//! The plot, in SVG: tasks a second by contender; time a task by the number of tasks.

use std::fmt::Write;

use super::contender::{ALL, Kind};
use super::statistics::{typical, wall};
use super::suite::{Outcome, Results};

const WIDTH: f64 = 760.0;
const BAR: f64 = 14.0;
const LEFT: f64 = 230.0;

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
        label(body, LEFT - 85.0, y + 11.0, kind.name(), kind == Kind::Own);
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

/// Time a task by the number of tasks, the latter by its logarithm; where it ends.
#[allow(clippy::cast_precision_loss)] // Far below 2^53.
fn lines(body: &mut String, works: &[&Outcome], top: f64) -> f64 {
    let height = 180.0;
    let bottom = top + 20.0 + height;
    label(
        body,
        10.0,
        top,
        "Time a task, µs, by the number of tasks (lower is better)",
        true,
    );
    let series: Vec<(Kind, Vec<(f64, f64)>)> = ALL
        .into_iter()
        .filter(|kind| !kind.is_slow())
        .map(|kind| {
            let points = works
                .iter()
                .filter_map(|one| Some(((one.tasks as f64).log10(), 1e6 / rate(one, kind)?)));
            (kind, points.collect())
        })
        .filter(|(_, points): &(Kind, Vec<_>)| !points.is_empty())
        .collect();
    let points = || series.iter().flat_map(|(_, points)| points);
    let most = points().map(|point| point.1).fold(1.0, f64::max) * 1.1;
    let from = points().map(|point| point.0).fold(f64::MAX, f64::min);
    let to = points().map(|point| point.0).fold(from + 1.0, f64::max);
    let x = |log: f64| 60.0 + (log - from) / (to - from) * (WIDTH - 220.0);
    let y = |time: f64| bottom - time / most * height;
    for part in 0..=4 {
        let time = most * f64::from(part) / 4.0;
        let _ = writeln!(
            body,
            "<line x1=\"60\" x2=\"{:.1}\" y1=\"{1:.1}\" y2=\"{1:.1}\" stroke=\"#e5e5e5\"/>",
            WIDTH - 160.0,
            y(time)
        );
        label(body, 20.0, y(time) + 4.0, &format!("{time:.0}"), false);
    }
    for one in works {
        let at = x((one.tasks as f64).log10());
        label(
            body,
            at - 15.0,
            bottom + 16.0,
            &(one.tasks - 1).to_string(),
            false,
        );
    }
    for (n, (kind, points)) in series.iter().enumerate() {
        let path: Vec<String> = points
            .iter()
            .map(|point| format!("{:.1},{:.1}", x(point.0), y(point.1)))
            .collect();
        let _ = writeln!(
            body,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>",
            path.join(" "),
            colour(*kind)
        );
        let row = top + 30.0 + 16.0 * n as f64;
        let _ = writeln!(
            body,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"12\" height=\"4\" fill=\"{}\"/>",
            WIDTH - 140.0,
            row - 5.0,
            colour(*kind)
        );
        label(body, WIDTH - 122.0, row, kind.name(), *kind == Kind::Own);
    }
    bottom + 20.0
}
