//! The table of slices of a large run.

use std::fmt::Write as _;

use super::flat::{Flat, Slice};
use super::goal;
use super::statistics::median;

/// Most rows: a large run has more slices than need be shown.
const ROWS: usize = 12;

/// The table, and what follows from it.
#[allow(clippy::cast_precision_loss)] // Far below 2^53.
pub fn markdown(flat: &Flat, text: &mut String) {
    let [large, small] = flat.small;
    let _ = writeln!(
        text,
        "\nTime a task as a run of {} tasks grows (`tr` a file; in slices, each beside new runs of \
         {large} and of {small} tasks just before and after it; the medians are of slices of at \
         least {small} tasks):\n\n\
         | tasks done | a task | in a run of {large} | ratio | in a run of {small} | ratio | peak memory |\n\
         |---|---|---|---|---|---|---|",
        flat.items
    );
    for slice in shown(&flat.slices) {
        let [large, small] = slice.beside;
        let _ = writeln!(
            text,
            "| {} | {:.0} µs | {:.0} µs | {:.2} | {:.0} µs | {:.2} | {:.1} MiB |",
            slice.done,
            slice.time * 1e6,
            large * 1e6,
            slice.time / large,
            small * 1e6,
            slice.time / small,
            slice.memory as f64 / f64::from(1 << 20),
        );
    }
    medians(flat, text);
    let a_task = flat.state as f64 / (flat.items + 1) as f64;
    let met = if a_task <= goal::STATE {
        "yes"
    } else {
        "**no**"
    };
    let _ = writeln!(
        text,
        "\nState on disk at the end, objects aside: {a_task:.0} bytes a task (≤ {:.0}: {met}).",
        goal::STATE
    );
}

fn medians(flat: &Flat, text: &mut String) {
    let [large, small] = flat.small;
    let _ = writeln!(
        text,
        "\n| {} slices | beside a run of {large} | beside a run of {small} | goal: met? |\n|---|---|---|---|",
        flat.slices.len()
    );
    // Growth would show in the last ones, whatever the median of all is.
    let last = flat.slices.len().div_ceil(3);
    let late = &flat.slices[flat.slices.len() - last..];
    for (name, slices) in [
        ("median of all", &flat.slices[..]),
        ("of the last third", late),
    ] {
        let ratios = [0, 1].map(|at| ratio(slices, small, at));
        let met = ratios.iter().all(|ratio| *ratio <= goal::FLAT);
        let _ = writeln!(
            text,
            "| {name} | {:.2} | {:.2} | ≤ {:.2}: {} |",
            ratios[0],
            ratios[1],
            goal::FLAT,
            if met { "yes" } else { "**no**" }
        );
    }
}

/// The median, of slices that are long enough to say something.
fn ratio(slices: &[Slice], least: usize, at: usize) -> f64 {
    let long = slices.iter().filter(|slice| slice.tasks >= least);
    median(long.map(|slice| slice.time / slice.beside[at])).unwrap_or(f64::NAN)
}

/// The first, the last, and some between, evenly spread.
fn shown(slices: &[Slice]) -> impl Iterator<Item = &Slice> {
    let rows = slices.len().min(ROWS);
    let last = slices.len().saturating_sub(1);
    (0..rows).map(move |row| &slices[row * last / rows.saturating_sub(1).max(1)])
}
