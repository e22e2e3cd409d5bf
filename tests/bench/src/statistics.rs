//! Medians and ratios.

use super::contender::Kind;
use super::measure::Sample;
use super::suite::Outcome;

/// The median; nothing of nothing.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.is_empty() {
        None
    } else if values.len() % 2 == 1 {
        Some(values[middle])
    } else {
        Some(f64::midpoint(values[middle - 1], values[middle]))
    }
}

/// The values below which a quarter, and above which another, lies; nothing of nothing.
pub fn quartiles(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    Some((values[last / 4], values[last - last / 4]))
}

/// The median of what `of` takes from a contender's samples.
pub fn typical(outcome: &Outcome, kind: Kind, of: fn(&Sample) -> f64) -> Option<f64> {
    median(outcome.samples.get(&kind)?.iter().map(of))
}

/// The median of the ratios of this program's to the other's, round by round.
pub fn ratio(outcome: &Outcome, other: Kind, of: fn(&Sample) -> f64) -> Option<f64> {
    ratio_of(outcome, Kind::Own, other, of)
}

/// The median of the ratios of one's to the other's, round by round.
pub fn ratio_of(outcome: &Outcome, one: Kind, other: Kind, of: fn(&Sample) -> f64) -> Option<f64> {
    let own = outcome.samples.get(&one)?;
    let others = outcome.samples.get(&other)?;
    median(own.iter().zip(others).map(|(a, b)| of(a) / of(b)))
}

/// Seconds from start to end.
pub fn wall(sample: &Sample) -> f64 {
    sample.wall
}

/// Seconds of CPU.
pub fn cpu(sample: &Sample) -> f64 {
    sample.cpu
}

/// Bytes of memory.
#[allow(clippy::cast_precision_loss)] // Far below 2^53.
pub fn memory(sample: &Sample) -> f64 {
    sample.memory as f64
}
