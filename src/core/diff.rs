//! The lines in which two texts differ.

/// A line of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit<'t> {
    /// In both.
    Same(&'t str),
    /// Only in the old text.
    Removed(&'t str),
    /// Only in the new text.
    Added(&'t str),
}

/// Beyond this many pairs of lines, texts are compared as a whole: scripts are short.
const MOST: usize = 4_000_000;

/// What leads from `old` to `new`, with as many lines kept as can be.
pub fn lines<'t>(old: &'t str, new: &'t str) -> Vec<Edit<'t>> {
    let old: Vec<&str> = old.lines().collect();
    let new: Vec<&str> = new.lines().collect();
    let start = same(old.iter().zip(&new));
    let rest = same(old[start..].iter().rev().zip(new[start..].iter().rev()));
    let (old_end, new_end) = (old.len() - rest, new.len() - rest);
    let mut edits: Vec<Edit> = old[..start].iter().copied().map(Edit::Same).collect();
    middle(&old[start..old_end], &new[start..new_end], &mut edits);
    edits.extend(old[old_end..].iter().copied().map(Edit::Same));
    edits
}

fn same<'l>(pairs: impl Iterator<Item = (&'l &'l str, &'l &'l str)>) -> usize {
    pairs.take_while(|(a, b)| a == b).count()
}

/// By the longest common subsequence.
fn middle<'t>(old: &[&'t str], new: &[&'t str], edits: &mut Vec<Edit<'t>>) {
    let columns = new.len() + 1;
    let small = old.len().saturating_mul(new.len()) <= MOST;
    // At (i, j): how many lines old[i..] and new[j..] have in common.
    let mut common = vec![0_u32; if small { (old.len() + 1) * columns } else { 0 }];
    if small {
        for i in (0..old.len()).rev() {
            for j in (0..new.len()).rev() {
                common[i * columns + j] = if old[i] == new[j] {
                    common[(i + 1) * columns + j + 1] + 1
                } else {
                    common[(i + 1) * columns + j].max(common[i * columns + j + 1])
                };
            }
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        if small && i < old.len() && j < new.len() && old[i] == new[j] {
            edits.push(Edit::Same(old[i]));
            (i, j) = (i + 1, j + 1);
        } else if i < old.len()
            && (!small
                || j == new.len()
                || common[(i + 1) * columns + j] >= common[i * columns + j + 1])
        {
            edits.push(Edit::Removed(old[i]));
            i += 1;
        } else {
            edits.push(Edit::Added(new[j]));
            j += 1;
        }
    }
}

/// The edits as lines with `-`, `+` or a space in front, unchanged ones only near changes (`…`
/// stands for the others).
pub fn unified(edits: &[Edit]) -> Vec<String> {
    /// Unchanged lines shown before and after a change.
    const AROUND: usize = 3;
    let changed: Vec<bool> = edits.iter().map(|e| !matches!(e, Edit::Same(_))).collect();
    let near = |at: usize| {
        let from = at.saturating_sub(AROUND);
        let to = (at + AROUND + 1).min(changed.len());
        changed[from..to].contains(&true)
    };
    let mut text: Vec<String> = Vec::new();
    for (at, edit) in edits.iter().enumerate() {
        if near(at) {
            text.push(match edit {
                Edit::Same(line) => format!("  {line}"),
                Edit::Removed(line) => format!("- {line}"),
                Edit::Added(line) => format!("+ {line}"),
            });
        } else if text.last().is_none_or(|line| line != "…") {
            text.push("…".to_owned());
        }
    }
    text
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
            let (old_text, new_text) = (old.join("\n"), new.join("\n"));
            let edits = lines(&old_text, &new_text);
            let side = |added: bool| -> Vec<&str> {
                edits
                    .iter()
                    .filter_map(|edit| match edit {
                        Edit::Same(line) => Some(*line),
                        Edit::Removed(line) => (!added).then_some(*line),
                        Edit::Added(line) => added.then_some(*line),
                    })
                    .collect()
            };
            prop_assert_eq!(side(false), old_text.lines().collect::<Vec<_>>());
            prop_assert_eq!(side(true), new_text.lines().collect::<Vec<_>>());
        }
    }

    #[test]
    fn only_what_is_near_a_change_is_shown() {
        let old: Vec<String> = (0..20).map(|n| n.to_string()).collect();
        let old = old.join("\n");
        let new = old.replace("\n10\n", "\nten\n");
        assert_eq!(
            unified(&lines(&old, &new)),
            [
                "…", "  7", "  8", "  9", "- 10", "+ ten", "  11", "  12", "  13", "…"
            ]
        );
        assert_eq!(unified(&lines("a", "a")), ["…"]);
    }
}
