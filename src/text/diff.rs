//! The lines in which two texts differ.

use similar::{Algorithm, ChangeTag, DiffOp, capture_diff_slices, group_diff_ops};

/// Beyond this many pairs of lines, what differs is shown as one piece: looking for lines that are
/// in both would take seconds, and scripts are short.
const MOST: usize = 4_000_000;

/// Unchanged lines shown before and after a change.
const AROUND: usize = 3;

/// The lines that differ, with `-` or `+` in front, and the unchanged ones near them; `…` stands
/// for the others.
pub(crate) fn unified(old: &str, new: &str) -> Vec<String> {
    let old: Vec<&str> = old.lines().collect();
    let new: Vec<&str> = new.lines().collect();
    let mut text = Vec::new();
    let mut shown = 0;
    for op in group_diff_ops(operations(&old, &new), AROUND)
        .iter()
        .flatten()
    {
        if op.old_range().start > shown {
            text.push("…".to_owned());
        }
        shown = op.old_range().end;
        text.extend(op.iter_changes(&old, &new).map(|change| {
            let sign = match change.tag() {
                ChangeTag::Equal => ' ',
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
            };
            format!("{sign} {}", change.value())
        }));
    }
    if shown < old.len() {
        text.push("…".to_owned());
    }
    text
}

/// What leads from `old` to `new`.
fn operations(old: &[&str], new: &[&str]) -> Vec<DiffOp> {
    let start = same(old.iter().zip(new));
    let end = same(old[start..].iter().rev().zip(new[start..].iter().rev()));
    let (old_len, new_len) = (old.len() - start - end, new.len() - start - end);
    if old_len.saturating_mul(new_len) <= MOST {
        return capture_diff_slices(Algorithm::Myers, old, new);
    }
    let equal = |old_index, new_index, len| DiffOp::Equal {
        old_index,
        new_index,
        len,
    };
    let all = DiffOp::Replace {
        old_index: start,
        old_len,
        new_index: start,
        new_len,
    };
    let rest = equal(start + old_len, start + new_len, end);
    vec![equal(0, 0, start), all, rest]
}

fn same<'l>(pairs: impl Iterator<Item = (&'l &'l str, &'l &'l str)>) -> usize {
    pairs.take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn both_texts_can_be_read_off(
            old in prop::collection::vec("[ab]", 0..8),
            new in prop::collection::vec("[ab]", 0..8),
        ) {
            let lines = unified(&old.join("\n"), &new.join("\n"));
            prop_assume!(!lines.iter().any(|line| line == "…"));
            let side = |other: char| -> Vec<&str> {
                let lines = lines.iter().filter(|line| !line.starts_with(other));
                lines.map(|line| &line[2..]).collect()
            };
            prop_assert_eq!(side('+'), old);
            prop_assert_eq!(side('-'), new);
        }
    }

    #[test]
    fn only_what_is_near_a_change_is_shown() {
        let old: Vec<String> = (0..30).map(|n| n.to_string()).collect();
        let old = old.join("\n");
        let new = old.replace("\n10\n", "\nten\n").replace("\n20\n", "\n");
        assert_eq!(
            unified(&old, &new),
            [
                "…", "  7", "  8", "  9", "- 10", "+ ten", "  11", "  12", "  13", "…", "  17",
                "  18", "  19", "- 20", "  21", "  22", "  23", "…"
            ]
        );
        assert_eq!(unified("a", "a"), ["…"]);
        assert_eq!(unified("", ""), [""; 0]);
        assert_eq!(unified("", "a\nb"), ["+ a", "+ b"]);
    }

    #[test]
    fn what_is_too_much_to_compare_is_shown_whole() {
        let text = |front: char| -> Vec<String> {
            let middle = (0..3000).map(|n| format!("{front}{n}"));
            let lines = ["first".to_owned()].into_iter().chain(middle);
            lines.chain(["last".to_owned()]).collect()
        };
        let lines = unified(&text('a').join("\n"), &text('b').join("\n"));
        assert_eq!(lines.len(), 6002);
        assert_eq!(lines[..2], ["  first", "- a0"]);
        assert_eq!(lines[3001..3002], ["+ b0"]);
        assert_eq!(lines[6001], "  last");
    }
}
