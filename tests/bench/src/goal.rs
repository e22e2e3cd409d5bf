//! What is to be reached, and whether it was.

use super::contender::Kind;
use super::statistics::{ratio_of, typical, wall};
use super::suite::Outcome;

/// A goal for this program's wall time at a work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// At most so many times that contender's, by the median of pairs.
    Times(f64, Kind),
    /// At most so many seconds.
    Within(f64),
}

/// Most bytes of state a task, objects aside.
pub const STATE: f64 = 300.0;

/// Most times that a task of a large run takes as long as one of a small run.
pub const FLAT: f64 = 1.10;

/// The goal at the work of that name.
pub fn of(name: &str) -> Option<Goal> {
    match name {
        "nothing" => Some(Goal::Times(0.5, Kind::Xargs)),
        "outputs-20000" | "outputs-100000" => Some(Goal::Times(1.2, Kind::Floor)),
        "gather" | "gather-list" => Some(Goal::Times(1.5, Kind::Floor)),
        "copies" => Some(Goal::Times(1.1, Kind::Floor)),
        "fan-1000000" => None,
        "fan-1000000, second" | "flat, second" | "second-1000000" => Some(Goal::Within(0.050)),
        "start" => Some(Goal::Within(0.020)),
        _ => Some(Goal::Times(1.0, Kind::Ninja)),
    }
}

/// The goal and whether it was met, in words; with that of the warm manifest, if it was measured.
pub fn verdict(outcome: &Outcome) -> String {
    let Some(goal) = outcome.goal else {
        return "–".to_owned();
    };
    let wanted = match goal {
        Goal::Times(1.0, kind) => format!("≤ {}", kind.name()),
        Goal::Times(most, kind) => format!("≤ {most} × {}", kind.name()),
        Goal::Within(seconds) => format!("≤ {:.0} ms", seconds * 1e3),
    };
    let own = judged(goal, outcome, Kind::Own).unwrap_or_else(|| "not measured".to_owned());
    match judged(goal, outcome, Kind::Warm) {
        Some(warm) => format!("{wanted}: {own}; warm: {warm}"),
        None => format!("{wanted}: {own}"),
    }
}

fn judged(goal: Goal, outcome: &Outcome, kind: Kind) -> Option<String> {
    let (met, by) = match goal {
        Goal::Times(most, other) => {
            let ratio = ratio_of(outcome, kind, other, wall)?;
            // As it is shown.
            (ratio < most + 0.005, format!(" ({ratio:.2})"))
        }
        Goal::Within(seconds) => (typical(outcome, kind, wall)? <= seconds, String::new()),
    };
    Some(format!("{}{by}", if met { "yes" } else { "**no**" }))
}
