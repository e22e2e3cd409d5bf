//! "Did you mean": the closest of some known words.

/// The number of single-character edits between `a` and `b`: insertions, deletions, replacements
/// and swaps of neighbours (Damerau–Levenshtein, no substring edited twice).
pub fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous = None;
    for (i, c) in a.chars().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, d) in b.iter().enumerate() {
            let mut cost = (last[j + 1] + 1)
                .min(row[j] + 1)
                .min(last[j] + usize::from(c != *d));
            if j > 0 && previous == Some(*d) && b[j - 1] == c {
                cost = cost.min(before[j - 1] + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut last, row);
        previous = Some(c);
    }
    last[b.len()]
}

/// The candidate that `word` was most likely meant to be, if one is close enough: equal but for
/// case, or one edit away for each three characters of the word (one at least). Of several at the
/// same distance, the first.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    #[test]
    fn distances() {
        assert_eq!(distance("", ""), 0);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("script", "scirpt"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("ca", "abc"), 3);
        assert_eq!(distance("größe", "grösse"), 2);
    }

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
        fn distance_is_symmetric_and_zero_for_equals(a in any::<String>(), b in any::<String>()) {
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            prop_assert_eq!(distance(&a, &b) == 0, a == b);
        }
    }
}
