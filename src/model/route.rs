//! Which step an output goes to, by its file name.

use std::collections::BTreeSet;

use crate::model::name::StepName;
use crate::model::promise::Pattern;
use crate::text::suggest;

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
    /// What [`fold`] makes of each name, by length and then by text; of two names with the same, the
    /// first in text order.
    folded: Vec<Folded>,
}

/// What [`fold`] makes of a step's name, and that name.
#[derive(Debug, Clone)]
struct Folded {
    text: String,
    /// Characters.
    length: usize,
    name: StepName,
}

impl Folded {
    fn new(name: StepName) -> Self {
        let text = fold(name.as_str());
        Self {
            length: text.chars().count(),
            text,
            name,
        }
    }

    fn key(&self) -> (usize, &str) {
        (self.length, &self.text)
    }
}

impl AsRef<str> for Folded {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl Router {
    /// A router to the steps `names`, whose order does not matter.
    pub fn new(names: impl IntoIterator<Item = StepName>) -> Self {
        let names: BTreeSet<_> = names.into_iter().collect();
        let mut folded: Vec<Folded> = names.iter().map(|name| Folded::new(name.clone())).collect();
        // Stable: those of equal text keep the order of their names.
        folded.sort_by(|a, b| a.key().cmp(&b.key()));
        folded.dedup_by(|a, b| a.text == b.text);
        Self { names, folded }
    }

    /// The step that `file_name` goes to; `None` for a final output.
    pub fn route(&self, file_name: &str) -> Option<&StepName> {
        stems(file_name)
            .flat_map(|stem| tails(stem, &['_']))
            .find_map(|tail| self.names.get(tail))
    }

    /// The step that each name goes to that ends so, whatever stands before it.
    pub fn certain(&self, end: &str) -> Option<&StepName> {
        // No step's name has this in it.
        let name = format!("\0{end}");
        for stem in stems(&name) {
            // What stands before it could make the name of another step.
            if self
                .names
                .iter()
                .any(|step| step.as_str().ends_with(&stem[1..]))
            {
                return None;
            }
            let step = tails(stem, &['_']).find_map(|tail| self.names.get(tail));
            if step.is_some() {
                return step;
            }
        }
        None
    }

    /// Whether anything may be routed to that step.
    pub fn leads_to(&self, step: &StepName) -> bool {
        self.names.contains(step)
    }

    /// What stands before the route in the name, without the underscore between them: the key of
    /// an output. None where nothing does, or where there is no route.
    pub fn key<'a>(&self, file_name: &'a str) -> Option<&'a str> {
        let (stem, tail) = stems(file_name).find_map(|stem| {
            let tail = tails(stem, &['_']).find(|tail| self.names.contains(*tail))?;
            Some((stem, tail))
        })?;
        let before = stem[..stem.len() - tail.len()].strip_suffix('_');
        before.filter(|key| !key.is_empty())
    }

    /// Whether a name that `pattern` stands for may go to `step`, as far as a pattern tells.
    pub fn may_go(&self, pattern: &Pattern, step: &StepName) -> bool {
        let glob = pattern.glob();
        if pattern.is_literal() {
            return self.route(&glob) == Some(step);
        }
        let end = glob.rsplit(['*', '?']).next().unwrap_or_default();
        // No step's name has this in it; it stands for whatever is before the end.
        let name = format!("\0{end}");
        for stem in stems(&name) {
            // With what stands before it.
            if step.as_str().ends_with(&stem[1..]) {
                return true;
            }
            if let Some(route) = tails(stem, &['_']).find_map(|tail| self.names.get(tail)) {
                return route == step;
            }
        }
        true
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
            let length = tail.chars().count();
            let exact = self
                .folded
                .binary_search_by(|other| other.key().cmp(&(length, &tail)));
            if let Ok(at) = exact {
                return Some(&self.folded[at].name);
            }
            let limit = best.map_or(usize::MAX, |(least, _)| least - 1);
            if let Some((edits, near)) = self.nearest(&tail, length, limit) {
                best = Some((edits, &near.name));
            }
        }
        best.map(|(_, name)| name)
    }

    /// The name that is the fewest edits from `tail`: few for their lengths, `limit` at most.
    fn nearest(&self, tail: &str, length: usize, limit: usize) -> Option<(usize, &Folded)> {
        let most = few_edits(length).min(limit);
        let lengths = length - most..=length + most;
        lengths
            .filter_map(|other| {
                let from = self.folded.partition_point(|one| one.length < other);
                let to = self.folded.partition_point(|one| one.length <= other);
                let limit = few_edits(length.min(other)).min(limit);
                (limit > 0).then(|| suggest::nearest(&self.folded[from..to], other, tail, limit))?
            })
            .min_by(|(a, x), (b, y)| (a, &x.text).cmp(&(b, &y.text)))
    }
}

/// The name up to its first dot, less those that it begins with.
pub fn first_part(file_name: &str) -> &str {
    let hidden = file_name.len() - file_name.trim_start_matches('.').len();
    let end = file_name[hidden..].find('.');
    &file_name[..end.map_or(file_name.len(), |dot| hidden + dot)]
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

/// What are few edits of a word with so many characters.
fn few_edits(length: usize) -> usize {
    match length {
        0..4 => 0,
        4..8 => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests;
