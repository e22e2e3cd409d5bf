//! Steps that are said to take what comes of themselves, or to wait for it.

use std::ops::Range;

use super::value::Reader;
use crate::manifest::diagnostic::Diagnostic;
use crate::model::name::StepName;

/// What one step says of another.
#[derive(Debug)]
pub(super) struct Way<'a> {
    /// The key.
    pub key: &'static str,
    /// The other step.
    pub to: &'a StepName,
    /// Where it says so.
    pub at: Range<usize>,
}

/// Notes them; what each of the steps says of others.
pub(super) fn note(reader: &mut Reader<'_>, names: &[&StepName], ways: &[Vec<Way<'_>>]) {
    let at = |name: &StepName| names.iter().position(|own| *own == name);
    // Each is gone through once: 1 while it is on the way, 2 when all behind it is known.
    let mut seen = vec![0_u8; names.len()];
    for begin in 0..names.len() {
        let mut path: Vec<(usize, usize)> = vec![(begin, 0)];
        if seen[begin] > 0 {
            continue;
        }
        seen[begin] = 1;
        while let Some((step, next)) = path.last_mut() {
            let own = *step;
            let Some(way) = ways[own].get(*next) else {
                seen[own] = 2;
                path.pop();
                continue;
            };
            *next += 1;
            let Some(other) = at(way.to) else {
                continue;
            };
            match seen[other] {
                0 => {
                    seen[other] = 1;
                    path.push((other, 0));
                }
                1 => {
                    let from = path.iter().position(|(on, _)| *on == other).unwrap_or(0);
                    let circle = &path[from..];
                    // Each has gone on from the way that it took last.
                    let taken = |(on, next): &(usize, usize)| &ways[*on][next - 1];
                    reader.error(error(names, circle, &taken, way));
                }
                _ => {}
            }
        }
    }
}

fn error<'w>(
    names: &[&StepName],
    circle: &[(usize, usize)],
    taken: &dyn Fn(&(usize, usize)) -> &'w Way<'w>,
    last: &Way<'_>,
) -> Diagnostic {
    let mut on: Vec<&str> = circle.iter().map(|(on, _)| names[*on].as_str()).collect();
    on.push(on[0]);
    on.reverse();
    let mut keys: Vec<String> = circle
        .iter()
        .map(|step| format!("`{}`", taken(step).key))
        .collect();
    keys.sort();
    keys.dedup();
    let (go, hint) = match keys.as_slice() {
        [only] if only == "`from`" => ("goes", "what goes round is routed by its name"),
        [_] => ("goes", "a step waits for those that it names here"),
        _ => ("go", "a step waits for those that it names here"),
    };
    let message = format!(
        "{} {go} in a circle: {}",
        keys.join(" and "),
        on.join(" → ")
    );
    Diagnostic::at(last.at.clone(), message).hint(hint)
}
