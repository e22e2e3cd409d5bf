//! Distributions by step: a row of numbers and a small histogram.

use std::fmt::Write as _;

use maud::{Markup, PreEscaped, html};

use super::table::{Column, Table};
use super::{Page, Spreads};
use crate::text::amount::{bytes, grouped, grouped_count};
use crate::text::html;
use crate::text::time::short_micros;
use crate::view::graph::Node;
use crate::view::spread::{Scale, Spread};

/// Bins of a histogram, and a bin's width and the height in pixels.
const BINS: usize = 28;
const WIDE: usize = 6;
const HIGH: usize = 30;

/// A table of distributions.
struct Kind {
    id: &'static str,
    caption: &'static str,
    what: &'static str,
    of: fn(&Spreads) -> &Spread,
    words: fn(u64) -> String,
    /// The total's column.
    total: &'static str,
}

/// How long tasks took.
pub(super) fn durations(page: &Page) -> Markup {
    let kind = Kind {
        id: "durations",
        caption: "Time per executed task, by step",
        what: "tasks",
        of: |spreads| &spreads.durations,
        words: |micros| short_micros(signed(micros)),
        total: "Time spent",
    };
    kind.section(page)
}

/// How large outputs are.
pub(super) fn sizes(page: &Page) -> Markup {
    let kind = Kind {
        id: "sizes",
        caption: "Size of outputs, by the step that left them",
        what: "outputs",
        of: |spreads| &spreads.sizes,
        words: bytes,
        total: "In all",
    };
    let sampled: Vec<&Spread> = page
        .spreads
        .iter()
        .map(|spreads| &spreads.sizes)
        .filter(|spread| spread.is_sample())
        .collect();
    let looked_at: usize = sampled.iter().map(|spread| spread.looked_at()).sum();
    let total: u64 = sampled.iter().map(|spread| spread.total).sum();
    html! {
        (kind.section(page))
        @if !sampled.is_empty() {
            p.note {
                "Rows with ~ are estimates from a sample: " (grouped(signed(looked_at as u64)))
                " of " (grouped_count(signed(total), "output")) " were looked at."
            }
        }
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl Kind {
    fn section(&self, page: &Page) -> Markup {
        let rows: Vec<(&Node, &Spread)> = page
            .graph
            .nodes
            .iter()
            .zip(&page.spreads)
            .map(|(node, spreads)| (node, (self.of)(spreads)))
            .filter(|(_, spread)| spread.total > 0)
            .collect();
        if rows.is_empty() {
            return html! { p { "No " (self.what) " yet." } };
        }
        let scale = Scale::over(rows.iter().map(|(_, spread)| *spread), BINS);
        let columns = [
            ("Step", Column::Text),
            ("Count", Column::Number),
            (self.total, Column::Number),
            ("Least", Column::Number),
            ("Median", Column::Number),
            ("95 %", Column::Number),
            ("Most", Column::Number),
            ("Distribution", Column::Fixed),
        ];
        let mut table = Table::new(self.id, self.caption, false, &columns);
        for (node, spread) in rows {
            let about = if spread.is_sample() { "~" } else { "" };
            table
                .text(&node.name)
                .number(&grouped(signed(spread.total)), Some(signed(spread.total)));
            for value in [
                (spread.looked_at() > 0).then_some(spread.sum),
                spread.least(),
                spread.quantile(50),
                spread.quantile(95),
                spread.most(),
            ] {
                let words = value.map_or_else(
                    || "unknown".to_owned(),
                    |value| format!("{about}{}", (self.words)(value)),
                );
                table.number(&words, value.map(signed));
            }
            table.text(PreEscaped(self.histogram(spread, &scale)));
        }
        let low = (self.words)(scale.begin(0));
        let high = (self.words)(scale.begin(BINS));
        html! {
            (table.finish())
            p.note {
                "All distributions share one logarithmic scale, from " (low) " to " (high) "."
            }
        }
    }

    fn histogram(&self, spread: &Spread, scale: &Scale) -> String {
        let bins = spread.histogram(scale);
        let most = bins.iter().copied().max().unwrap_or(0).max(1);
        let peak = bins.iter().position(|count| *count == most).unwrap_or(0);
        let words = format!(
            "most between {} and {}",
            (self.words)(scale.begin(peak)),
            (self.words)(scale.begin(peak + 1))
        );
        let mut path = String::new();
        for (bin, count) in bins.iter().enumerate().filter(|(_, count)| **count > 0) {
            // One task among thousands is to be seen too.
            let height = (count * HIGH).div_ceil(most).max(2);
            let _ = write!(
                path,
                "M{} {}v-{height}h{}v{height}z",
                bin * WIDE,
                HIGH + 1,
                WIDE - 1
            );
        }
        format!(
            "<svg class=\"bars\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" role=\"img\" \
             aria-label=\"{}\"><path class=\"base\" d=\"M0 {y}H{w}\"/><path d=\"{path}\"/></svg>",
            html(&words),
            w = BINS * WIDE,
            h = HIGH + 2,
            y = format_args!("{}.5", HIGH + 1),
        )
    }
}
