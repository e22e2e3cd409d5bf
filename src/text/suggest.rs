//! "Did you mean": the closest of some known words, in single-character edits: insertions, deletions,
//! replacements and swaps of neighbours, no substring edited twice.

pub(crate) use strsim::osa_distance as distance;

/// The candidate that `word` was most likely meant to be, if one is close enough: equal but for
/// case, or one edit away for each three characters of the word (one at least). Of several at the
/// same distance, the first.
pub(crate) fn closest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let folded = word.to_lowercase();
    let length = folded.chars().count();
    let limit = (length / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= limit)
        .map(|candidate| (distance(&folded, &candidate.to_lowercase()), candidate))
        // A one-letter word is not close to every other one-letter word.
        .filter(|(edits, _)| *edits <= limit && *edits < length.max(1))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Finds the first of those of `words` that are the fewest edits from `word`, `limit` at most, and
/// their number: without comparing each, as words that begin alike are given up together.
///
/// `words` are in ascending order, each of `length` characters.
pub(crate) fn nearest<'w, W: AsRef<str>>(
    words: &'w [W],
    length: usize,
    word: &str,
    limit: usize,
) -> Option<(usize, &'w W)> {
    let mut rows = Table::new(word, length, limit);
    let mut limit = limit;
    let mut nearest = None;
    let mut at = 0;
    'words: while let Some(found) = words.get(at) {
        let candidate = found.as_ref();
        rows.back_to(candidate);
        for (start, c) in candidate.char_indices().skip(rows.path.len()) {
            rows.push(c);
            if rows.least() > limit {
                let prefix = &candidate[..start + c.len_utf8()];
                at += run(&words[at..], |word| word.as_ref().starts_with(prefix));
                continue 'words;
            }
        }
        let edits = rows.edits();
        if edits <= limit {
            nearest = Some((edits, found));
            let Some(fewer) = edits.checked_sub(1) else {
                break;
            };
            limit = fewer;
        }
        at += 1;
    }
    nearest
}

/// How many of the first items `holds` is true of, as for a partition point, but for short runs.
fn run<T>(items: &[T], holds: impl Fn(&T) -> bool) -> usize {
    let mut end = 1;
    while items.get(end).is_some_and(&holds) {
        end *= 2;
    }
    let (from, to) = (end / 2, end.min(items.len()));
    from + items[from..to].partition_point(holds)
}

/// The table of [`distance()`], a row for each character of a candidate, to be taken back to where
/// the next candidate parts from it.
///
/// Of each row only the cells are kept that can be part of `limit` edits: those near the diagonal.
struct Table {
    word: Vec<char>,
    /// Of each candidate, in characters.
    length: usize,
    limit: usize,
    path: Vec<char>,
    rows: Vec<Vec<usize>>,
    /// Of each row the fewest edits that can come of it.
    least: Vec<usize>,
}

impl Table {
    fn new(word: &str, length: usize, limit: usize) -> Self {
        let word: Vec<char> = word.chars().collect();
        Self {
            length,
            limit,
            rows: vec![(0..=word.len()).collect()],
            least: vec![0],
            word,
            path: Vec::new(),
        }
    }

    fn back_to(&mut self, candidate: &str) {
        let path = self.path.iter().copied();
        let common = candidate.chars().zip(path).take_while(|(a, b)| a == b);
        self.path.truncate(common.count());
    }

    /// The cells of a row that are kept.
    fn band(&self, depth: usize) -> std::ops::RangeInclusive<usize> {
        depth.saturating_sub(self.limit)..=(depth + self.limit).min(self.word.len())
    }

    fn push(&mut self, c: char) {
        let depth = self.path.len();
        let band = self.band(depth + 1);
        if self.rows.len() == depth + 1 {
            self.rows.push(vec![usize::MAX / 2; self.word.len() + 1]);
            self.least.push(0);
        }
        let more = self.length.saturating_sub(depth + 1);
        let mut fewest = usize::MAX / 2;
        let (done, rest) = self.rows.split_at_mut(depth + 1);
        let (last, row) = (&done[depth], &mut rest[0]);
        for at in band {
            let mut cost = depth + 1;
            if let Some(j) = at.checked_sub(1) {
                let d = self.word[j];
                // Beside the band cells hold what no number of edits is.
                cost = (last[at] + 1)
                    .min(row[j] + 1)
                    .min(last[j] + usize::from(c != d));
                if j > 0 && depth > 0 && self.path[depth - 1] == d && self.word[j - 1] == c {
                    cost = cost.min(done[depth - 1][j - 1] + 1);
                }
            }
            row[at] = cost;
            // What is left of both has to be made equally long at least.
            fewest = fewest.min(cost + (self.word.len() - at).abs_diff(more));
        }
        self.least[depth + 1] = fewest;
        self.path.push(c);
    }

    /// No word that begins like this takes fewer edits.
    fn least(&self) -> usize {
        let depth = self.path.len();
        // A swap with the next character goes back two rows.
        self.least[depth].min(self.least[depth - 1] + 1)
    }

    fn edits(&self) -> usize {
        self.rows[self.path.len()][self.word.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::{prop_assert_eq, proptest};

    #[test]
    fn the_closest_word() {
        let words = ["script", "shell", "start", "retries"];
        let closest = |word| closest(word, words);
        assert_eq!(closest("scirpt"), Some("script"));
        assert_eq!(closest("SCRIPT"), Some("script"));
        assert_eq!(closest("retry"), None);
        assert_eq!(closest("retires"), Some("retries"));
        assert_eq!(closest("strat"), Some("start"));
        assert_eq!(closest("x"), None);
        assert_eq!(closest(""), None);
        assert_eq!(super::closest("a", ["b"]), None);
        assert_eq!(super::closest("a", ["A"]), Some("A"));
    }

    proptest! {
        #[test]
        fn the_nearest_is_that_of_comparing_each(
            mut words in vec("[abé]{6}", 1..30), length in 1..7_usize,
            word in "[abé]{0,7}", limit in 0..5_usize
        ) {
            for word in &mut words {
                *word = word.chars().take(length).collect();
            }
            words.sort();
            let all = words.iter().map(|other| (distance(&word, other), other));
            let near = all.filter(|(edits, _)| *edits <= limit).min_by_key(|(edits, _)| *edits);
            prop_assert_eq!(nearest(&words, length, &word, limit), near);
        }
    }
}
