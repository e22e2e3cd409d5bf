use super::*;

const BOX: Size = Size {
    width: 180.0,
    height: 50.0,
};

/// A graph with the given edges; the first node is the start.
fn graph(count: usize, edges: &[(usize, usize)]) -> Graph {
    let mut graph = Graph::default();
    for node in 0..count {
        graph.step(&node.to_string());
    }
    graph.nodes[0].start = true;
    for (from, to) in edges {
        graph.observe(*from, *to, 1, 0);
    }
    graph
}

fn laid_out(graph: &Graph) -> Layout {
    let layout = layout(graph, &vec![BOX; graph.nodes.len()]);
    check(graph, &layout);
    layout
}

/// What is true of every layout: boxes lie apart and inside, edges end at their nodes.
fn check(graph: &Graph, layout: &Layout) {
    for (at, a) in layout.places.iter().enumerate() {
        let inside = |value: f64, half: f64, whole: f64| value >= half && value + half <= whole;
        assert!(inside(a.centre.x, BOX.width / 2.0, layout.size.width));
        assert!(inside(a.centre.y, BOX.height / 2.0, layout.size.height));
        for b in &layout.places[at + 1..] {
            let apart = (a.centre.x - b.centre.x).abs() >= BOX.width
                || (a.centre.y - b.centre.y).abs() >= BOX.height;
            assert!(apart, "{a:?} {b:?}");
        }
    }
    for (edge, route) in graph.edges().zip(&layout.routes) {
        let (Some((start, _)), Some((_, end))) = (route.curves.first(), route.curves.last()) else {
            assert_eq!(edge.from, edge.to);
            continue;
        };
        for (point, node) in [(start, edge.from), (end, edge.to)] {
            let centre = layout.places[node].centre;
            assert!((point.x - centre.x).abs() <= BOX.width / 2.0);
            assert!(((point.y - centre.y).abs() - BOX.height / 2.0).abs() < 1e-6);
        }
        assert_eq!(route.back, end.y < start.y);
    }
}

#[test]
fn nothing_at_all() {
    let empty = layout(&Graph::default(), &[]);
    assert!(empty.places.is_empty());
    assert!(empty.size.width.is_finite() && empty.size.height.is_finite());
}

#[test]
fn one_step_with_a_loop() {
    let layout = laid_out(&graph(1, &[(0, 0)]));
    assert!(layout.routes[0].curves.is_empty());
    assert!(layout.routes[0].label.x < layout.size.width);
}

#[test]
fn a_chain_is_a_straight_line() {
    let edges: Vec<_> = (0..9).map(|n| (n, n + 1)).collect();
    let layout = laid_out(&graph(10, &edges));
    let x = layout.places[0].centre.x;
    assert!(layout.places.iter().all(|p| (p.centre.x - x).abs() < 1.0));
    assert!(layout.places.iter().map(|p| p.layer).eq(0..10));
}

#[test]
fn a_fan_of_100_stays_narrow_and_shares_its_trunk() {
    let mut graph = graph(
        100,
        &(1..100).map(|n| (0, n)).collect::<Vec<(usize, usize)>>(),
    );
    let sink = graph.sink();
    for node in 1..100 {
        graph.observe(node, sink, 1, 0);
    }
    let layout = laid_out(&graph);
    assert!(layout.size.width < 2000.0, "{}", layout.size.width);
    assert_eq!(layout.places[sink].layer, 1 + 99usize.div_ceil(ACROSS));
}

#[test]
fn cycles_run_back_up() {
    let layout = laid_out(&graph(4, &[(0, 1), (1, 2), (2, 3), (3, 1), (2, 1), (2, 2)]));
    let back: Vec<bool> = layout.routes.iter().map(|route| route.back).collect();
    // In the order of the graph's edges: 0-1, 1-2, 2-1, 2-2, 2-3, 3-1.
    assert_eq!(back, [false, false, true, false, false, true]);
}

#[test]
fn a_dense_graph_of_100_is_laid_out() {
    let edges: Vec<_> = (0..100usize)
        .flat_map(|n| [(n, (n * 7 + 3) % 100), (n, (n * 13 + 1) % 100), (n, n / 2)])
        .collect();
    laid_out(&graph(100, &edges));
}
