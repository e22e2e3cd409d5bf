//! A pipeline's graph in the languages of Graphviz and Mermaid.

use std::fmt::Write as _;

use crate::text::visible;
use crate::text::width::cut_middle;
use crate::view::graph::{Graph, Status};

/// For Graphviz' `dot`.
pub(crate) fn dot(graph: &Graph, title: &str) -> String {
    let mut out = String::from("digraph pipeline {\n");
    let _ = writeln!(out, "  label={};", quoted(&visible(title)));
    out.push_str("  labelloc=t;\n  node [shape=box, fontname=\"monospace\"];\n");
    out.push_str("  edge [fontname=\"monospace\"];\n");
    for (at, node) in graph.nodes.iter().enumerate() {
        let look = match node.status() {
            _ if node.sink => "style=rounded",
            Status::Failed => "color=\"#c0262d\", penwidth=2",
            Status::Tainted => "color=\"#9a5b00\", penwidth=2, style=dashed",
            Status::Done => "color=\"#1a7f37\"",
            Status::Pending | Status::Idle => "color=\"#57606a\"",
        };
        let _ = writeln!(
            out,
            "  n{at} [label={}, {look}];",
            quoted(&label(graph, at))
        );
    }
    for edge in graph.edges() {
        let look = if edge.observed > 0 {
            format!("label=\"{}\"", edge.observed)
        } else if edge.with && !edge.declared {
            "label=\"with\", style=dotted, arrowhead=odot".to_owned()
        } else {
            "style=dashed".to_owned()
        };
        let _ = writeln!(out, "  n{} -> n{} [{look}];", edge.from, edge.to);
    }
    out.push_str("}\n");
    out
}

/// For Mermaid, which GitHub and GitLab show in Markdown.
pub(crate) fn mermaid(graph: &Graph, title: &str) -> String {
    let mut out = format!("%% {}\nflowchart TD\n", visible(title));
    for (at, node) in graph.nodes.iter().enumerate() {
        let label = entities(&label(graph, at));
        let (open, close) = if node.sink { ("([", "])") } else { ("[", "]") };
        let _ = writeln!(out, "  n{at}{open}\"{label}\"{close}");
        if !node.sink {
            let _ = writeln!(out, "  class n{at} {};", node.status().word());
        }
    }
    for edge in graph.edges() {
        if edge.observed > 0 {
            let _ = writeln!(out, "  n{} -->|{}| n{}", edge.from, edge.observed, edge.to);
        } else if edge.with && !edge.declared {
            let _ = writeln!(out, "  n{} -.->|with| n{}", edge.from, edge.to);
        } else {
            let _ = writeln!(out, "  n{} -.-> n{}", edge.from, edge.to);
        }
    }
    out.push_str("  classDef failed stroke:#c0262d,stroke-width:3px\n");
    out.push_str("  classDef tainted stroke:#9a5b00,stroke-width:3px,stroke-dasharray:6 3\n");
    out.push_str("  classDef done stroke:#1a7f37\n");
    out.push_str("  classDef pending stroke:#57606a\n");
    out.push_str("  classDef idle stroke:#57606a,stroke-dasharray:2 3\n");
    out
}

/// Columns of the words for an input.
const LONGEST: usize = 40;

/// Name, version, what comes in from outside, and counts, in lines.
fn label(graph: &Graph, at: usize) -> String {
    let node = &graph.nodes[at];
    let version = node.version().map(|v| format!(" {v}")).unwrap_or_default();
    let start = if node.start { " (start)" } else { "" };
    let mut label = format!("{}{version}{start}\n", visible(&node.name));
    for input in &node.inputs {
        let _ = writeln!(label, "← {}", cut_middle(&visible(input), LONGEST));
    }
    label + &node.counts()
}

fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", text.replace('\n', "\\n"))
}

/// Mermaid's own entities: all that could end a label or mean something in it.
fn entities(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\n' => out.push_str("<br>"),
            c if c.is_alphanumeric() || " .,_()-".contains(c) => out.push(c),
            c => {
                let _ = write!(out, "#{};", u32::from(c));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph() -> Graph {
        let mut graph = Graph::default();
        let a = graph.step("a\"b\\<x>");
        let sink = graph.sink();
        graph.nodes[a].tally.failed = 1;
        graph.observe(a, a, 4, 0);
        graph.declare(a, sink);
        graph
    }

    #[test]
    fn graphviz() {
        let dot = dot(&graph(), "t\"");
        assert!(dot.contains("label=\"t\\\"\";"));
        assert!(dot.contains("n0 [label=\"a\\\"b\\\\<x>\\n1 failed\", color=\"#c0262d\""));
        assert!(dot.contains("n0 -> n0 [label=\"4\"];"));
        assert!(dot.contains("n0 -> n1 [style=dashed];"));
    }

    #[test]
    fn mermaid_labels_cannot_end_early() {
        let text = mermaid(&graph(), "t\nx");
        assert!(text.starts_with("%% t\\nx\nflowchart TD\n"));
        assert!(text.contains("n0[\"a#34;b#92;#60;x#62;<br>1 failed\"]"));
        assert!(text.contains("n0 -->|4| n0"));
        assert!(text.contains("n0 -.-> n1"));
        assert!(text.contains("class n0 failed;"));
    }
}
