//! Which step an output goes to, by its file name.

use std::collections::{BTreeMap, BTreeSet};

use super::name::StepName;
use super::suggest;

/// Routes file names to steps.
///
/// For an output file name the whole name is tried, then the name less its last extension, and so
/// on (`a_next.tar.gz`, `a_next.tar`, `a_next`). For each: if it is a step's name, that step; else
/// the longest part after an underscore that is a step's name. The first hit is the route.
///
/// An *extension* is everything from the last dot on, unless that dot is the first character of
/// the name: `.next` is a hidden file with no extension (and goes only to a step `.next`), while
/// `next.` has an empty one and goes to `next`, as `next..` does. Step names may themselves hold
/// dots and underscores; a longer match wins over a shorter one. Letters' case counts.
#[derive(Debug, Clone)]
pub struct Router {
    names: BTreeSet<StepName>,
    /// By what [`fold`] makes of the name; of two names with the same, the first in text order.
    folded: BTreeMap<String, StepName>,
}

impl Router {
    /// A router to the steps `names`, whose order does not matter.
    pub fn new(names: impl IntoIterator<Item = StepName>) -> Self {
        let names: BTreeSet<_> = names.into_iter().collect();
        let mut folded = BTreeMap::new();
        for name in &names {
            folded
                .entry(fold(name.as_str()))
                .or_insert_with(|| name.clone());
        }
        Self { names, folded }
    }

    /// The step that `file_name` goes to; `None` for a final output.
    pub fn route(&self, file_name: &str) -> Option<&StepName> {
        stems(file_name)
            .flat_map(|stem| tails(stem, &['_']))
            .find_map(|tail| self.names.get(tail))
    }

    /// The step that a final output called `file_name` was perhaps meant for: what routing tries
    /// is compared with the steps' names, and one is near that differs only in case or in `-`
    /// for `_`, by one edit if both have four characters or more, by two if both have eight.
    ///
    /// `None` for a name that has a route.
    pub fn near(&self, file_name: &str) -> Option<&StepName> {
        if self.route(file_name).is_some() {
            return None;
        }
        let mut best: Option<(usize, &StepName)> = None;
        for tail in stems(file_name).flat_map(|stem| tails(stem, &['_', '-', ' '])) {
            let tail = fold(tail);
            if let Some(name) = self.folded.get(&tail) {
                return Some(name);
            }
            for (folded, name) in &self.folded {
                if let Some(edits) = few_edits(&tail, folded)
                    && best.is_none_or(|(least, _)| edits < least)
                {
                    best = Some((edits, name));
                }
            }
        }
        best.map(|(_, name)| name)
    }
}

/// The name, then the name less its last extension, and so on.
fn stems(file_name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(file_name), |stem| {
        let dot = stem.rfind('.').filter(|dot| *dot > 0)?;
        Some(&stem[..dot])
    })
}

/// The stem, then what follows each separator in it, the longest first.
fn tails<'a>(stem: &'a str, separators: &'a [char]) -> impl Iterator<Item = &'a str> {
    // All separators are ASCII: one byte.
    let after = stem
        .match_indices(separators)
        .map(|(at, _)| &stem[at + 1..]);
    std::iter::once(stem).chain(after)
}

/// A name without what people mix up.
fn fold(name: &str) -> String {
    name.to_lowercase().replace(['-', ' '], "_")
}

/// The edits between two words if they are few for the words' lengths.
fn few_edits(a: &str, b: &str) -> Option<usize> {
    let (m, n) = (a.chars().count(), b.chars().count());
    let limit = match m.min(n) {
        0..4 => return None,
        4..8 => 1,
        _ => 2,
    };
    if m.abs_diff(n) > limit {
        return None;
    }
    Some(suggest::distance(a, b)).filter(|edits| *edits <= limit)
}

#[cfg(test)]
mod tests;
