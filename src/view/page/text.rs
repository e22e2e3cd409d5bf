//! A pipeline's graph in lines of a terminal.

use std::fmt::Write as _;

use crate::text::amount::count;
use crate::text::visible;
use crate::text::width::cut_middle;
use crate::view::graph::{Edge, Graph, Node};

/// Columns that lines keep to.
const COLUMNS: usize = 80;

/// How much came an edge's way, in words.
pub(super) fn way(edge: &Edge) -> String {
    let outputs = match (edge.observed, edge.declared) {
        (0, false) if edge.with => return "given with each input".to_owned(),
        (0, _) => "in the script, not seen yet".to_owned(),
        (all, _) if all == edge.folders => count(all, "folder"),
        (all, _) => {
            let outputs = count(all, "output");
            match edge.folders {
                0 => outputs,
                1 => outputs + ", 1 of them a folder",
                folders => format!("{outputs}, {folders} of them folders"),
            }
        }
    };
    if edge.with {
        outputs + "; given with each input"
    } else {
        outputs
    }
}

/// A paragraph a step: its name, how it stands, where its outputs go.
pub(crate) fn text(graph: &Graph, title: &str) -> String {
    let mut out = format!("{}\n", cut_middle(&visible(title), COLUMNS));
    let order = graph.in_order();
    let mut place = vec![0; graph.nodes.len()];
    for (number, at) in order.iter().enumerate() {
        place[*at] = number;
    }
    let mut edges: Vec<&Edge> = graph.edges().collect();
    edges.sort_by_key(|edge| (place[edge.from], place[edge.to]));
    let mut edges = edges.into_iter().peekable();
    for at in &order {
        let node = &graph.nodes[*at];
        out.push('\n');
        paragraph(&mut out, node);
        while let Some(edge) = edges.next_if(|edge| edge.from == *at) {
            let arrow = match (edge.from == edge.to, edge.observed > 0) {
                (true, _) => '↻',
                (false, true) => '→',
                (false, false) if edge.with && !edge.declared => '+',
                (false, false) => '⇢',
            };
            let name = cut_middle(&visible(&graph.nodes[edge.to].name), 44);
            let _ = writeln!(out, "    {arrow} {name}: {}", way(edge));
        }
    }
    out
}

fn paragraph(out: &mut String, node: &Node) {
    let name = cut_middle(&visible(&node.name), 50);
    if node.sink {
        let _ = writeln!(out, "■ {name}: {}", node.counts());
        return;
    }
    let version = node.version().map(|v| format!(" {v}")).unwrap_or_default();
    let start = if node.start { " (start)" } else { "" };
    let gone = if node.gone { " (gone)" } else { "" };
    let mark = node.status().mark();
    let _ = writeln!(out, "{mark} {name}{version}{start}{gone}");
    for input in &node.inputs {
        let _ = writeln!(out, "    ← {}", cut_middle(&visible(input), COLUMNS - 6));
    }
    for line in wrapped(&node.counts(), COLUMNS - 4) {
        let _ = writeln!(out, "    {line}");
    }
    for version in &node.versions {
        if version.tainted && version.tally.finished() > 0 {
            let _ = writeln!(
                out,
                "    tainted: {} of v{}",
                version.tally.finished(),
                version.number
            );
        }
    }
}

fn wrapped(words: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words.split_inclusive(", ") {
        match lines.last_mut() {
            Some(line) if line.len() + word.trim_end().len() <= columns => line.push_str(word),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
        .iter()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::*;
    use crate::model::task::TaskCounts;
    use crate::view::graph::Version;

    #[test]
    fn lines() {
        let mut graph = Graph::default();
        let a = graph.step("extract");
        let b = graph.step("work");
        let sink = graph.sink();
        graph.nodes[a].start = true;
        let tally = TaskCounts {
            done: 2,
            ..TaskCounts::default()
        };
        graph.nodes[a].tally = tally;
        graph.nodes[a].tainted = 2;
        graph.nodes[a].versions = [(1, false, tally), (2, true, TaskCounts::default())]
            .map(|(number, current, tally)| Version {
                number,
                current,
                tainted: !current,
                tally,
            })
            .to_vec();
        graph.nodes[b].tally.failed = 1;
        graph.observe(a, b, 1, 0);
        graph.observe(b, b, 3, 0);
        graph.declare(b, sink);
        let c = graph.step("index");
        graph.give(c, b);
        assert_eq!(
            text(&graph, "runset r"),
            "runset r\n\n\
             ! extract v2 (start)\n    2 done, 2 of them tainted\n    tainted: 2 of v1\n    → work: 1 output\n\n\
             · index\n    no tasks\n    + work: given with each input\n\n\
             ✗ work\n    1 failed\n    ↻ work: 3 outputs\n    \
             ⇢ final outputs: in the script, not seen yet\n\n\
             ■ final outputs: none\n"
        );
    }

    #[test]
    fn eighty_columns_do() {
        let mut graph = Graph::default();
        let at = graph.step(&"日本\u{1b}[2J".repeat(40));
        graph.nodes[at].start = true;
        graph.nodes[at].tally = TaskCounts {
            pending: 1_000_000_000,
            failed: 1_000_000_000,
            done: 1_000_000_000,
            reused: 1_000_000_000,
        };
        graph.nodes[at].tainted = 1_000_000_000;
        graph.observe(at, at, i64::MAX, 0);
        let text = text(&graph, &"x".repeat(300));
        assert!(text.lines().all(|line| line.width() <= 80), "{text}");
        assert!(!text.contains('\u{1b}'));
    }
}
