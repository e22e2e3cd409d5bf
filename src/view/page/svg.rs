//! A pipeline's graph as SVG.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;

use crate::text::amount::grouped;
use crate::text::html;
use crate::text::width::cut_middle;
use crate::view::graph::{Edge, Graph, Layout, Node, Point, Route, Size, Status, layout, real};

/// Columns of text in a box; longer names are cut.
const COLUMNS: usize = 26;
/// Pixels a column of the monospaced font, at the size of names.
const COLUMN: f64 = 7.9;

/// Edges that have a title each.
const TITLED: usize = 250;

/// The look of the picture alone; a page has its own colours under the same names.
const STYLE: &str = include_str!("graph.css");

/// A file of its own.
pub(crate) fn standalone(graph: &Graph, title: &str) -> String {
    let picture = picture(graph, title, None);
    let style = format!("<style>{COLOURS}{STYLE}</style>");
    match picture.split_once('>') {
        Some((head, rest)) => format!("{head} class=\"alone\">{style}{rest}\n"),
        None => picture,
    }
}

/// The colours of a picture that stands alone.
const COLOURS: &str = "svg{--bg:#fff;--fg:#1b1f24;--dim:#57606a;--line:#8c959f;--box:#f6f8fa;\
--failed:#c0262d;--tainted:#9a5b00;--pending:#57606a;--done:#1a7f37}\
@media (prefers-color-scheme:dark){svg{--bg:#14171c;--fg:#e6e8eb;--dim:#a3abb5;--line:#7d8794;\
--box:#1f242c;--failed:#ff7b72;--tainted:#e3a23b;--pending:#a3abb5;--done:#56d364}}\
svg.alone{background:var(--bg)}";

/// The rules that a page needs for pictures in it.
pub(super) fn style() -> &'static str {
    STYLE
}

/// The picture, for a page that has [`style`]. With `link`, each step leads to that and its index.
pub(super) fn picture(graph: &Graph, title: &str, link: Option<&str>) -> String {
    let boxes: Vec<Box> = graph.nodes.iter().map(Box::of).collect();
    let sizes: Vec<Size> = boxes.iter().map(|b| b.size).collect();
    let layout = layout(graph, &sizes);
    let Layout {
        size,
        places,
        routes,
    } = &layout;
    let mut out = String::new();
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w:.0}\" height=\"{h:.0}\" \
         viewBox=\"0 0 {w:.0} {h:.0}\" role=\"{}\" aria-label=\"{}\">",
        // What is in an image is nothing that can be gone to.
        if link.is_some() { "group" } else { "img" },
        html(title),
        w = size.width.ceil(),
        h = size.height.ceil()
    );
    if routes.len() > TITLED {
        merged_paths(&mut out, graph, &layout, &sizes);
    } else {
        for (edge, route) in graph.edges().zip(routes) {
            let from = places[edge.from].centre;
            edge_path(&mut out, graph, edge, route, from, sizes[edge.from]);
        }
    }
    for (edge, route) in graph.edges().zip(routes) {
        if edge.observed > 0 {
            let _ = write!(out, "<text class=\"count\" x=\"");
            coordinate(&mut out, route.label.x);
            out.push_str("\" y=\"");
            coordinate(&mut out, route.label.y + 4.0);
            let _ = write!(out, "\">{}</text>", grouped(edge.observed));
        }
    }
    for (at, (place, a_box)) in places.iter().zip(&boxes).enumerate() {
        match link.filter(|_| !a_box.node.sink) {
            Some(link) => {
                // Its name is what is in it: the whole name of the step, and all that is seen.
                let _ = write!(out, "<a href=\"{link}{at}\">");
                a_box.draw(&mut out, place.centre);
                out.push_str("</a>");
            }
            None => a_box.draw(&mut out, place.centre),
        }
    }
    out.push_str("</svg>");
    out
}

/// A node's box and the lines in it.
struct Box<'a> {
    node: &'a Node,
    name: String,
    lines: Vec<String>,
    size: Size,
}

impl<'a> Box<'a> {
    fn of(node: &'a Node) -> Self {
        let start = if node.start { "▸ " } else { "" };
        let name = format!("{start}{}", cut_middle(&node.name, COLUMNS));
        let mut what: Vec<String> = node.version().into_iter().collect();
        if node.gone {
            what.push("not in the manifest".to_owned());
        }
        let status = node.status();
        what.push(match status {
            Status::Idle => node.counts(),
            Status::Failed | Status::Tainted | Status::Pending | Status::Done => {
                format!("{} {}", status.mark(), node.counts())
            }
        });
        if node.sink {
            what = vec![node.counts()];
        }
        let input = |input: &String| format!("← {}", cut_middle(input, COLUMNS));
        let mut lines: Vec<String> = node.inputs.iter().map(input).collect();
        let mut fresh = true;
        for word in what.join(" · ").split_inclusive(", ") {
            match lines.last_mut() {
                Some(line) if !fresh && line.width() + word.trim_end().width() <= COLUMNS + 4 => {
                    line.push_str(word);
                }
                _ => lines.push(word.to_owned()),
            }
            fresh = false;
        }
        let small = lines.iter().map(|line| line.trim_end().width()).max();
        let columns = real(name.width()).max(real(small.unwrap_or(0)) * 0.88);
        Self {
            node,
            name,
            size: Size {
                width: (columns * COLUMN + 28.0).max(120.0).ceil(),
                height: 30.0 + 17.0 * real(lines.len()),
            },
            lines,
        }
    }

    fn draw(&self, out: &mut String, centre: Point) {
        let (left, top) = (
            centre.x - self.size.width / 2.0,
            centre.y - self.size.height / 2.0,
        );
        let kind = if self.node.sink {
            "sink"
        } else {
            self.node.status().word()
        };
        let _ = write!(
            out,
            "<g class=\"node {kind}{}\"><title>{}: {}</title><rect x=\"{left:.1}\" y=\"{top:.1}\" \
             width=\"{:.0}\" height=\"{:.0}\" rx=\"{}\"/>",
            if self.node.gone { " gone" } else { "" },
            html(&self.node.name),
            html(&self.node.counts()),
            self.size.width,
            self.size.height,
            if self.node.sink { 20 } else { 6 },
        );
        let _ = write!(
            out,
            "<text class=\"name\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            centre.x,
            top + 20.0,
            html(&self.name)
        );
        for (number, line) in self.lines.iter().enumerate() {
            let _ = write!(
                out,
                "<text class=\"what\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                centre.x,
                top + 37.0 + 17.0 * real(number),
                html(line.trim_end())
            );
        }
        out.push_str("</g>");
    }
}

/// The look of an edge.
fn kind(edge: &Edge, route: &Route) -> &'static str {
    match (edge.observed > 0, route.back) {
        (false, _) if edge.with && !edge.declared => "edge with",
        (false, _) => "edge declared",
        (true, false) => "edge",
        (true, true) => "edge back",
    }
}

/// Each edge by itself, with a title.
fn edge_path(out: &mut String, graph: &Graph, edge: &Edge, route: &Route, from: Point, size: Size) {
    let (curves, tip) = curves(route, from, size);
    let _ = write!(
        out,
        "<g class=\"{}\"><title>{} → {}: {}</title><path d=\"{}\"/><path class=\"tip\" \
         d=\"{tip}\"/></g>",
        kind(edge, route),
        html(&graph.nodes[edge.from].name),
        html(&graph.nodes[edge.to].name),
        super::text::way(edge),
        curves.concat()
    );
}

/// Many edges: what they share is drawn once, and no edge has a title.
fn merged_paths(out: &mut String, graph: &Graph, layout: &Layout, sizes: &[Size]) {
    let mut looks: BTreeMap<&str, (BTreeSet<String>, String)> = BTreeMap::new();
    for (edge, route) in graph.edges().zip(&layout.routes) {
        let (curves, tip) = curves(route, layout.places[edge.from].centre, sizes[edge.from]);
        let look = looks.entry(kind(edge, route)).or_default();
        look.0.extend(curves);
        look.1.push_str(&tip);
    }
    for (kind, (curves, tips)) in looks {
        let curves: String = curves.into_iter().collect();
        let _ = write!(
            out,
            "<g class=\"{kind}\"><path d=\"{curves}\"/><path class=\"tip\" d=\"{tips}\"/></g>"
        );
    }
}

/// The curves of a route, each with the straight line after it, and the arrow's tip.
fn curves(route: &Route, from: Point, size: Size) -> (Vec<String>, String) {
    let Some((_, end)) = route.curves.last() else {
        let right = from.x + size.width / 2.0;
        return (
            vec![format!(
                "M{right:.1} {:.1}c32 -22 32 38 8 20",
                from.y - 10.0
            )],
            // Points left, into the box.
            format!("M{right:.1} {:.1}l9 -1l-5 8z", from.y + 6.0),
        );
    };
    let sign = if route.back { -1.0 } else { 1.0 };
    let mut curves = Vec::new();
    for (number, (a, b)) in route.curves.iter().enumerate() {
        let next = route.curves.get(number + 1).map(|(next, _)| *next);
        // The line ends where the tip begins.
        let to = match next {
            Some(_) => *b,
            None => Point {
                x: b.x,
                y: b.y - 7.0 * sign,
            },
        };
        let middle = f64::midpoint(a.y, to.y);
        let mut curve = String::from("M");
        pair(&mut curve, *a);
        curve.push('C');
        pair(&mut curve, Point { x: a.x, y: middle });
        curve.push(' ');
        pair(&mut curve, Point { x: to.x, y: middle });
        curve.push(' ');
        pair(&mut curve, to);
        if let Some(next) = next {
            curve.push('L');
            pair(&mut curve, next);
        }
        curves.push(curve);
    }
    let height = if route.back { "8" } else { "-8" };
    let mut tip = String::from("M");
    pair(&mut tip, *end);
    let _ = write!(tip, "l-4 {height}h8z");
    (curves, tip)
}

fn pair(out: &mut String, point: Point) {
    coordinate(out, point.x);
    out.push(' ');
    coordinate(out, point.y);
}

/// A coordinate with one digit behind the point, none if that is 0.
fn coordinate(out: &mut String, value: f64) {
    let text = format!("{value:.1}");
    let _ = out.write_str(text.strip_suffix(".0").unwrap_or(&text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_and_cut_with_a_title() {
        let mut graph = Graph::default();
        let long = format!("</title><script>{}", "x".repeat(60));
        let node = graph.step(&long);
        graph.nodes[node].start = true;
        graph.observe(node, node, 1234, 0);
        let svg = standalone(&graph, "a & b");
        assert!(!svg.contains("<script"));
        assert!(svg.contains(&html(&long)));
        assert!(svg.contains("aria-label=\"a &amp; b\""));
        assert!(svg.contains('…'));
        assert!(svg.contains("1\u{202f}234"));
        assert_eq!(svg.matches("<g ").count(), svg.matches("</g>").count());
    }

    #[test]
    fn many_edges_are_drawn_once_where_they_run_together() {
        let mut graph = Graph::default();
        for (from, to) in (0..400).map(|n| (n % 40, n * 7 % 41)) {
            let (from, to) = (graph.step(&from.to_string()), graph.step(&to.to_string()));
            graph.observe(from, to, 1, 0);
        }
        assert!(graph.edges().count() > TITLED);
        let svg = picture(&graph, "", None);
        assert!(svg.len() < 300_000, "{}", svg.len());
        // As many tips as edges.
        assert_eq!(
            svg.matches("h8z").count() + svg.matches("l-5 8z").count(),
            graph.edges().count()
        );
    }

    #[test]
    fn failed_and_tainted_are_told_in_words() {
        let mut graph = Graph::default();
        let node = graph.step("a");
        graph.nodes[node].tally.failed = 2;
        graph.nodes[node].tally.done = 1;
        graph.nodes[node].tainted = 1;
        let svg = picture(&graph, "", Some("#step-"));
        assert!(svg.contains("<a href=\"#step-0\"><g class=\"node failed\"><title>a: "));
        assert!(svg.contains("node failed"));
        assert!(svg.contains("1 of them tainted"));
    }
}
