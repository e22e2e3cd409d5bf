//! Trees of tasks as text.

/// A place in a tree: what is said of it, and how far below the root it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// 0 for a root; at most one more than that of the line before.
    pub depth: usize,
    /// One line.
    pub label: String,
}

/// Draws trees, given as their nodes from the top down (each one's children after it, one deeper).
///
/// Nothing here recurs: a pipeline that feeds itself makes trees as deep as it has tasks.
pub fn draw(lines: &[Line]) -> String {
    // From the end: at each depth, whether another node of the same parent follows.
    let mut follows: Vec<bool> = Vec::new();
    let mut last = vec![false; lines.len()];
    let mut open: Vec<Vec<bool>> = Vec::new();
    for (at, line) in lines.iter().enumerate().rev() {
        follows.resize(line.depth + 1, false);
        last[at] = !follows[line.depth];
        open.push(follows[..line.depth].to_vec());
        follows[line.depth] = true;
    }
    let mut text = String::new();
    for ((line, last), open) in lines.iter().zip(last).zip(open.into_iter().rev()) {
        // Roots are not joined to one another.
        for above in open.iter().skip(1) {
            text.push_str(if *above { "│  " } else { "   " });
        }
        if line.depth > 0 {
            text.push_str(if last { "└─ " } else { "├─ " });
        }
        text.push_str(&line.label);
        text.push('\n');
    }
    text
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
}
