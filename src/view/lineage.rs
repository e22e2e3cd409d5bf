//! Trees of tasks as text.

use std::fmt::Write as _;

/// A place in a tree: what is said of it, and how far below the root it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// 0 for a root; at most one more than that of the line before.
    pub depth: usize,
    /// One line.
    pub label: String,
}

/// In trees deeper than this, who is an only child stands below its parent, not to the right.
const DEEP: usize = 12;
/// What is further to the right than this stands here, with its depth as a number.
const RIGHT: usize = 16;

/// Draws trees, given as their nodes from the top down (each one's children after it, one deeper).
///
/// Nothing here recurs, and no line grows with the depth: a pipeline that feeds itself makes trees
/// as deep as it has tasks.
pub(crate) fn draw(lines: &[Line]) -> String {
    let places = places(lines);
    // From the end: at each depth, whether another node of the same parent follows.
    let mut follows: Vec<bool> = Vec::new();
    let mut last = vec![false; lines.len()];
    let mut open: Vec<Vec<bool>> = Vec::new();
    for (at, place) in places.iter().enumerate().rev() {
        follows.resize(place.depth + 1, false);
        last[at] = !follows[place.depth];
        let drawn = place.depth + usize::from(place.below);
        open.push(follows[..drawn.min(RIGHT)].to_vec());
        follows[place.depth] |= !place.below;
    }
    let mut text = String::new();
    for (at, open) in (0..lines.len()).zip(open.into_iter().rev()) {
        let (line, place) = (&lines[at], &places[at]);
        // Roots are not joined to one another.
        for above in open.iter().skip(1) {
            text.push_str(if *above { "│  " } else { "   " });
        }
        text.push_str(match (place.below, place.depth, last[at]) {
            (true, ..) => "↓ ",
            (_, 0, _) => "",
            (_, _, true) => "└─ ",
            (_, _, false) => "├─ ",
        });
        if place.depth > RIGHT {
            let _ = write!(text, "({}) ", line.depth);
        }
        text.push_str(&line.label);
        text.push('\n');
    }
    text
}

/// Where a node is drawn.
struct Place {
    depth: usize,
    /// At its parent's depth, as its only child.
    below: bool,
}

fn places(lines: &[Line]) -> Vec<Place> {
    let deep = lines.iter().any(|line| line.depth > DEEP);
    // The nodes from the root to the present one.
    let mut path: Vec<usize> = Vec::new();
    let mut children = vec![0; lines.len()];
    let parents: Vec<Option<usize>> = lines
        .iter()
        .enumerate()
        .map(|(at, line)| {
            path.truncate(line.depth);
            let parent = path.last().copied();
            path.push(at);
            parent.inspect(|parent| children[*parent] += 1)
        })
        .collect();
    let mut places: Vec<Place> = Vec::with_capacity(lines.len());
    for parent in parents {
        places.push(match parent {
            None => Place {
                depth: 0,
                below: false,
            },
            Some(parent) => {
                let below = deep && children[parent] == 1;
                Place {
                    depth: places[parent].depth + usize::from(!below),
                    below,
                }
            }
        });
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(lines: &[(usize, &str)]) -> String {
        let lines: Vec<Line> = lines
            .iter()
            .map(|(depth, label)| Line {
                depth: *depth,
                label: (*label).to_owned(),
            })
            .collect();
        draw(&lines)
    }

    #[test]
    fn trees() {
        assert_eq!(drawn(&[]), "");
        let lines = [
            (0, "a"),
            (1, "b"),
            (2, "c"),
            (3, "d"),
            (2, "e"),
            (1, "f"),
            (2, "g"),
            (0, "h"),
            (1, "i"),
        ];
        assert_eq!(
            drawn(&lines),
            "a\n├─ b\n│  ├─ c\n│  │  └─ d\n│  └─ e\n└─ f\n   └─ g\nh\n└─ i\n"
        );
    }

    #[test]
    fn a_chain_in_a_deep_tree_goes_down() {
        let mut lines: Vec<(usize, &str)> = (0..=DEEP + 1).map(|depth| (depth, "x")).collect();
        lines.push((DEEP + 2, "left"));
        lines.push((DEEP + 3, "its own"));
        lines.push((DEEP + 2, "right"));
        lines.push((DEEP + 3, "one"));
        lines.push((DEEP + 3, "two"));
        lines.push((0, "root"));
        let chain = "↓ x\n".repeat(DEEP + 1);
        assert_eq!(
            drawn(&lines),
            format!("x\n{chain}├─ left\n│  ↓ its own\n└─ right\n   ├─ one\n   └─ two\nroot\n")
        );
    }

    #[test]
    fn no_line_grows_with_the_depth() {
        // Each node has two children, of which one goes on.
        let mut lines = vec![(0, "root")];
        for depth in 1..5000 {
            lines.push((depth, "leaf"));
            lines.push((depth, "on"));
        }
        let text = drawn(&lines);
        let longest = text.lines().map(|line| line.chars().count()).max();
        assert!(longest.is_some_and(|longest| longest < 3 * RIGHT + 20));
        assert!(
            text.ends_with("└─ (4999) on\n"),
            "{}",
            &text[text.len() - 99..]
        );
    }
}
