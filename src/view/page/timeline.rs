//! The timeline: what ran when, by worker and by step.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use maud::{Markup, PreEscaped, html};

use super::table::{Column, Table};
use super::{Machine, Page};
use crate::text::amount::{grouped, grouped_count};
use crate::text::time::{point, short_micros};
use crate::text::width::cut_middle;
use crate::text::{html, visible};
use crate::view::graph::real;
use crate::view::timeline::{Axis, Bins, Span, lanes};

/// Tasks that get a bar of their own; more are summed up.
const BARS: usize = 2500;
/// Rows of workers.
const WORKERS: usize = 48;
/// Colours of steps; further steps have the same again.
pub(super) const COLOURS: usize = 8;
/// Pixels: names at the left, the chart's width, the axis' height.
const LEFT: f64 = 170.0;
const WIDTH: f64 = 900.0;
const AXIS: f64 = 34.0;
/// Pixels: the height of each of so many rows.
fn row_height(rows: usize) -> f64 {
    match rows {
        0..=6 => 36.0,
        7..=16 => 28.0,
        _ => 22.0,
    }
}

/// Bins by step: in all rows; in one row, at least and at most.
const BINS: usize = 12_000;
const FEWEST: usize = 60;
const MOST: usize = 300;

/// The figures and the table that says the same.
pub(super) fn section(page: &Page) -> Markup {
    if page.spans.is_empty() && page.lost.is_empty() {
        return html! { p { "No task was executed yet." } };
    }
    let all: Vec<Span> = page.spans.iter().chain(&page.lost).copied().collect();
    let axis = Axis::of(&all);
    html! { (by_worker(page, &axis)) (by_step(page, &axis)) (as_table(page)) }
}

/// The rows of the chart by worker: their names, and which one each span has, the lost ones after the others.
fn rows(page: &Page) -> (Vec<String>, Vec<usize>) {
    let spans: Vec<&Span> = page.spans.iter().chain(&page.lost).collect();
    let at_home = spans.iter().filter(|span| span.machine.is_none());
    let workers: BTreeSet<u64> = at_home.map(|span| span.worker).collect();
    let mut names: Vec<String> = workers.iter().map(|w| format!("worker {w}")).collect();
    let workers: Vec<u64> = workers.into_iter().collect();
    let row = |span: &&Span| workers.binary_search(&span.worker).unwrap_or(0);
    let mut row_of: Vec<usize> = spans.iter().map(row).collect();
    let mut of_machine = vec![Vec::new(); page.machines.len()];
    for (at, span) in spans.iter().enumerate() {
        if let Some(own) = span.machine.and_then(|machine| of_machine.get_mut(machine)) {
            own.push(at);
        }
    }
    for (machine, own) in page.machines.iter().zip(of_machine) {
        let times: Vec<(i64, i64)> = own
            .iter()
            .map(|at| (spans[*at].start, spans[*at].end()))
            .collect();
        let (lane_of, lanes) = lanes(&times);
        for (at, lane) in own.iter().zip(lane_of) {
            row_of[*at] = names.len() + lane;
        }
        names.extend((0..lanes).map(|lane| match lane {
            0 => machine.name.clone(),
            more => format!("{} ({})", machine.name, more + 1),
        }));
    }
    (names, row_of)
}

fn by_worker(page: &Page, axis: &Axis) -> Markup {
    let (names, row_of) = rows(page);
    let shown = names.len().min(WORKERS);
    let spans = page.spans.iter().chain(&page.lost).zip(&row_of);
    let one_by_one = row_of.len() <= BARS;
    let mut chart = Chart::new(axis, &names[..shown], "What each worker did over time");
    if one_by_one {
        for (at, (span, row)) in spans.enumerate() {
            if *row < shown {
                chart.bar(page, axis, (span, at >= page.spans.len()), *row);
            }
        }
    } else {
        chart.summed(page, axis, (&row_of, shown));
    }
    for machine in &page.machines {
        let row = names.iter().position(|name| *name == machine.name);
        if let Some(row) = row.filter(|row| *row < shown) {
            chart.waits(axis, machine, row);
        }
    }
    let mut words = String::from("By worker; the colour is the step's. ");
    if !page.machines.is_empty() {
        words.push_str(
            "A machine has as many rows as it had tasks at once; a thin line is the time that a worker waited for its place there. ",
        );
    }
    if !page.lost.is_empty() {
        words.push_str("What was lost with a machine is hollow. ");
    }
    if !one_by_one {
        let _ = write!(
            words,
            "{} are summed up: each stretch has the colour of the step that took most of it, and is \
             the paler the more the worker was idle. ",
            grouped_count(i64::try_from(page.spans.len()).unwrap_or(i64::MAX), "task")
        );
    }
    if names.len() > shown {
        let _ = write!(
            words,
            "The first {shown} of {} rows are shown. ",
            names.len()
        );
    }
    html! { (chart.figure("worker", &words, Some(legend(page)))) (by_machine(page)) }
}

/// What each other machine did.
fn by_machine(page: &Page) -> Markup {
    if page.machines.is_empty() {
        return html! {};
    }
    let columns = [
        ("Machine", Column::Text),
        ("Executor", Column::Text),
        ("Tasks", Column::Number),
        ("Time spent", Column::Number),
        ("Lost", Column::Number),
        ("Workers", Column::Number),
        ("Longest wait for a place", Column::Number),
    ];
    let mut table = Table::new("machines", "Other machines", false, &columns);
    for (at, machine) in page.machines.iter().enumerate() {
        let own = |spans: &[Span]| -> Vec<Span> {
            let own = spans.iter().filter(|span| span.machine == Some(at));
            own.copied().collect()
        };
        let (done, lost) = (own(&page.spans), own(&page.lost));
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let spent = done
            .iter()
            .fold(0_i64, |sum, span| sum.saturating_add(span.elapsed));
        let waited = machine
            .waits
            .iter()
            .map(|(called, came)| came - called)
            .max();
        let executors: Vec<&str> = machine.executors.iter().map(String::as_str).collect();
        let [tasks, lost, workers] = [done.len(), lost.len(), machine.waits.len()].map(number);
        table
            .text(cut_middle(&visible(&machine.name), 60))
            .text(cut_middle(&visible(&executors.join(", ")), 60))
            .number(&grouped(tasks), Some(tasks))
            .number(&short_micros(spent), Some(spent))
            .number(&grouped(lost), Some(lost))
            .number(&grouped(workers), Some(workers))
            .number(&waited.map_or_else(|| "–".to_owned(), short_micros), waited);
    }
    html! { (table.finish()) }
}

/// The steps' colours.
fn legend(page: &Page) -> Markup {
    let ran: BTreeSet<usize> = page.spans.iter().map(|span| span.step).collect();
    html! {
        ul.legend {
            @for step in ran {
                li {
                    svg width="12" height="12" aria-hidden="true" {
                        rect class={ "c" (step % COLOURS) } width="12" height="12" {}
                    }
                    " " (cut_middle(&page.graph.nodes[step].name, 40))
                }
            }
            @if page.spans.iter().any(|span| span.failed) {
                li {
                    svg width="12" height="12" aria-hidden="true" {
                        rect class="bad hollow" x="1" y="1" width="10" height="10" {}
                    }
                    " failed"
                }
            }
        }
    }
}

fn by_step(page: &Page, axis: &Axis) -> Markup {
    let ran: Vec<usize> = page
        .spans
        .iter()
        .map(|span| span.step)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let names: Vec<String> = ran
        .iter()
        .map(|step| page.graph.nodes[*step].name.clone())
        .collect();
    let count = (BINS / ran.len().max(1)).clamp(FEWEST, MOST);
    let bins = Bins::of(axis, &page.spans, ran.len(), count, |span| {
        ran.binary_search(&span.step).unwrap_or(usize::MAX)
    });
    let mut chart = Chart::new(axis, &names, "How many tasks of each step ran over time");
    let wide = WIDTH / real(count);
    let most = bins.most().max(1);
    for (row, (busy, step)) in bins.busy.iter().zip(&ran).enumerate() {
        let bottom = chart.row * real(row + 1) - 1.0;
        let mut path = String::new();
        for (bin, time) in busy.iter().enumerate().filter(|(_, time)| **time > 0) {
            // As a share of the most that any step had, in percent.
            let share = u32::try_from((i128::from(*time) * 100) / i128::from(most)).unwrap_or(100);
            let height = (f64::from(share) / 100.0 * (chart.row - 3.0)).max(1.5);
            let _ = write!(
                path,
                "M{:.1} {bottom}v-{height:.1}h{wide:.1}v{height:.1}z",
                LEFT + wide * real(bin)
            );
        }
        let _ = write!(
            chart.out,
            "<path class=\"c{}\" d=\"{path}\"/>",
            step % COLOURS
        );
    }
    let tenths = most * 10 / bins.length;
    let words = format!(
        "By step; a full row is {}.{} tasks at once. ",
        grouped(tenths / 10),
        tenths % 10
    );
    chart.figure("step", &words, None)
}

/// The same in numbers.
fn as_table(page: &Page) -> Markup {
    let columns = [
        ("Step", Column::Text),
        ("Executed", Column::Number),
        ("First began", Column::Number),
        ("Last ended", Column::Number),
        ("Time spent", Column::Number),
    ];
    let mut table = Table::new("when", "When each step's tasks ran", false, &columns);
    for (step, node) in page.graph.nodes.iter().enumerate() {
        let spans = || page.spans.iter().filter(|span| span.step == step);
        let ends = spans()
            .map(|span| span.start.saturating_add(span.elapsed))
            .max();
        let (Some(first), Some(last)) = (spans().map(|span| span.start).min(), ends) else {
            continue;
        };
        let executed = i64::try_from(spans().count()).unwrap_or(i64::MAX);
        let spent = spans().fold(0_i64, |sum, span| sum.saturating_add(span.elapsed));
        table
            .text(&node.name)
            .number(&grouped(executed), Some(executed))
            .number(&point(first / 1000), Some(first))
            .number(&point(last / 1000), Some(last))
            .number(&short_micros(spent), Some(spent));
    }
    html! { details { summary { "The timeline as a table" } (table.finish()) } }
}

/// A chart with a row a name and an axis of time below.
struct Chart {
    out: String,
    /// Pixels of each row, and of all.
    row: f64,
    height: f64,
    scale: f64,
    pauses: usize,
}

impl Chart {
    fn new(axis: &Axis, names: &[String], title: &str) -> Self {
        let row_height = row_height(names.len());
        let height = row_height * real(names.len());
        let scale = WIDTH / pixels(axis.length);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"time\" width=\"{w}\" height=\"{h}\" \
             viewBox=\"0 0 {w} {h}\" role=\"img\" aria-label=\"{}\">",
            html(title),
            w = LEFT + WIDTH + 14.0,
            h = height + AXIS
        );
        for (row, name) in names.iter().enumerate() {
            let top = row_height * real(row);
            let _ = write!(
                out,
                "<path class=\"row\" d=\"M{LEFT} {y}h{WIDTH}\"/><text x=\"{x}\" y=\"{base}\" \
                 class=\"row\"><title>{full}</title>{}</text>",
                html(&cut_middle(name, 22)),
                full = html(name),
                y = top + row_height - 0.5,
                x = LEFT - 8.0,
                base = top + row_height / 2.0 + 4.0
            );
        }
        let mut chart = Self {
            out,
            row: row_height,
            height,
            scale,
            pauses: 0,
        };
        chart.axis(axis);
        chart
    }

    fn axis(&mut self, axis: &Axis) {
        for tick in 0..=5 {
            let at = axis.length / 5 * tick;
            let x = LEFT + pixels(at) * self.scale;
            let anchor = match tick {
                0 => "start",
                5 => "end",
                _ => "middle",
            };
            let _ = write!(
                self.out,
                "<path class=\"tick\" d=\"M{x:.1} 0v{:.1}\"/><text class=\"tick\" \
                 text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
                self.height + 4.0,
                self.height + 18.0,
                if tick == 0 {
                    "0".to_owned()
                } else {
                    short_micros(at)
                }
            );
        }
        for (at, length) in axis.pauses() {
            self.pauses += 1;
            let _ = write!(
                self.out,
                "<path class=\"pause\" d=\"M{:.1} 0v{:.1}\"><title>pause of {}</title></path>",
                LEFT + pixels(at) * self.scale,
                self.height,
                short_micros(length)
            );
        }
    }

    /// The times that workers waited for their places, at the foot of a machine's row.
    fn waits(&mut self, axis: &Axis, machine: &Machine, row: usize) {
        for (called, came) in &machine.waits {
            let from = pixels(axis.at(*called)) * self.scale;
            let to = pixels(axis.at(*came)) * self.scale;
            let _ = write!(
                self.out,
                "<rect class=\"wait\" x=\"{:.1}\" y=\"{:.0}\" width=\"{:.1}\" height=\"2\">\
                 <title>a worker waited {} for its place</title></rect>",
                LEFT + from,
                self.row * real(row + 1) - 3.0,
                (to - from).max(1.0),
                short_micros(came - called),
            );
        }
    }

    /// A task's own bar.
    fn bar(&mut self, page: &Page, axis: &Axis, (span, lost): (&Span, bool), row: usize) {
        let from = pixels(axis.at(span.start)) * self.scale;
        let to = pixels(axis.at(span.start.saturating_add(span.elapsed))) * self.scale;
        let (failed, words) = match (span.failed, lost) {
            (_, true) => (" lost", ", lost"),
            (true, false) => (" bad", ", failed"),
            (false, false) => ("", ""),
        };
        let _ = write!(
            self.out,
            "<rect class=\"c{}{failed}\" x=\"{:.1}\" y=\"{:.0}\" width=\"{:.1}\" height=\"{}\">\
             <title>task {}, {}: {}{}</title></rect>",
            span.step % COLOURS,
            LEFT + from,
            self.row * real(row) + 2.0,
            (to - from).max(1.0),
            self.row - 4.0,
            span.task,
            html(&cut_middle(&page.graph.nodes[span.step].name, 40)),
            short_micros(span.elapsed),
            words
        );
    }

    /// Many tasks: per worker and stretch the step that took most of it.
    fn summed(&mut self, page: &Page, axis: &Axis, (row_of, rows): (&[usize], usize)) {
        let count = (12_000 / rows.max(1)).clamp(100, 450);
        let steps = page.graph.nodes.len();
        let wide = WIDTH / real(count);
        // A path per colour and paleness.
        let mut paths = vec![String::new(); COLOURS * 3];
        for row in 0..rows {
            let own: Vec<Span> = page
                .spans
                .iter()
                .zip(row_of)
                .filter(|(_, of)| **of == row)
                .map(|(span, _)| *span)
                .collect();
            let bins = Bins::of(axis, &own, steps, count, |span| span.step);
            for bin in 0..count {
                let busy: i64 = bins.busy.iter().map(|step| step[bin]).sum();
                let first = (0..steps).max_by_key(|step| bins.busy[*step][bin]);
                let Some(step) = first.filter(|_| busy > 0) else {
                    continue;
                };
                let level = match busy * 3 / bins.length {
                    0 => 0,
                    1 => 1,
                    _ => 2,
                };
                let _ = write!(
                    paths[step % COLOURS * 3 + level],
                    "M{:.0} {:.0}h{wide:.1}v{high:.0}h-{wide:.1}z",
                    LEFT + wide * real(bin),
                    self.row * real(row) + 2.0,
                    high = self.row - 4.0
                );
            }
        }
        for (number, path) in paths
            .iter()
            .enumerate()
            .filter(|(_, path)| !path.is_empty())
        {
            let _ = write!(
                self.out,
                "<path class=\"c{} p{}\" d=\"{path}\"/>",
                number / 3,
                number % 3
            );
        }
    }

    fn figure(self, by: &str, words: &str, legend: Option<Markup>) -> Markup {
        let pauses = match self.pauses {
            0 => String::new(),
            1 => "A long pause is cut out; a dashed line marks it. ".to_owned(),
            many => format!("{many} long pauses are cut out; dashed lines mark them. "),
        };
        let picture = self.out + "</svg>";
        html! {
            figure {
                div.scroll role="region" aria-label={ "Timeline by " (by) } tabindex="0" {
                    (PreEscaped(picture))
                }
                figcaption { (words) (pauses) }
                @if let Some(legend) = legend { (legend) }
            }
        }
    }
}

#[allow(clippy::cast_precision_loss)] // A pixel is wider.
fn pixels(micros: i64) -> f64 {
    micros as f64
}
