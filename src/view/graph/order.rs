//! Orders: of nodes along the edges, and of neighbours side by side.

use std::collections::BTreeSet;

/// A count as a coordinate.
pub(crate) fn real(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// A topological order of a graph, cycles broken.
#[derive(Debug, Clone, Default)]
pub(super) struct Order {
    /// All nodes.
    pub order: Vec<usize>,
    /// For each edge whether it runs against the order. A loop at one node does not count.
    pub back: Vec<bool>,
}

/// Orders the nodes `0..count`; `first` is where to begin: nothing comes before it.
///
/// A depth-first search decides which edges run back; few do if it begins where the graph does.
pub(super) fn topological(count: usize, edges: &[(usize, usize)], first: Option<usize>) -> Order {
    let mut out: Vec<Vec<(usize, usize)>> = vec![Vec::new(); count];
    for (number, (from, to)) in edges.iter().enumerate() {
        if from != to {
            out[*from].push((*to, number));
        }
    }
    let (back, found) = search(&out, edges.len(), first);
    // Of the nodes that can come next, the one found first.
    let mut above = vec![0; count];
    let forward = |node: usize| out[node].iter().filter(|(_, number)| !back[*number]);
    for node in 0..count {
        forward(node).for_each(|(to, _)| above[*to] += 1);
    }
    let mut ready: BTreeSet<(usize, usize)> = (0..count)
        .filter(|node| above[*node] == 0)
        .map(|node| (found[node], node))
        .collect();
    let mut order = Vec::with_capacity(count);
    while let Some((_, node)) = ready.pop_first() {
        order.push(node);
        for (to, _) in forward(node) {
            above[*to] -= 1;
            if above[*to] == 0 {
                ready.insert((found[*to], *to));
            }
        }
    }
    Order { order, back }
}

/// A depth-first search along `out` (targets and edges' numbers): which edges run back to a node
/// that is not left yet or to `first`, and as the how manieth each node was found.
fn search(
    out: &[Vec<(usize, usize)>],
    edges: usize,
    first: Option<usize>,
) -> (Vec<bool>, Vec<usize>) {
    let mut back = vec![false; edges];
    let mut state = vec![Mark::New; out.len()];
    let mut found = vec![0; out.len()];
    let mut count = 0;
    for root in first.into_iter().chain(0..out.len()) {
        if state[root] != Mark::New {
            continue;
        }
        state[root] = Mark::Open;
        found[root] = count;
        count += 1;
        let mut stack = vec![(root, 0)];
        while let Some((node, next)) = stack.pop() {
            let Some((to, number)) = out[node].get(next) else {
                state[node] = Mark::Closed;
                continue;
            };
            stack.push((node, next + 1));
            match state[*to] {
                Mark::New => {
                    state[*to] = Mark::Open;
                    found[*to] = count;
                    count += 1;
                    stack.push((*to, 0));
                }
                Mark::Open => back[*number] = true,
                Mark::Closed => back[*number] = first == Some(*to),
            }
        }
    }
    (back, found)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    Open,
    Closed,
}

/// Reorders the slots of each layer so that few links cross. `layers` holds slots from left to
/// right; `links` are pairs of slots of neighbouring layers, upper one first.
pub(super) fn uncross(layers: &mut Vec<Vec<usize>>, links: &[(usize, usize)]) {
    let slots = layers.iter().map(Vec::len).sum();
    let mut up: Vec<Vec<usize>> = vec![Vec::new(); slots];
    let mut down: Vec<Vec<usize>> = vec![Vec::new(); slots];
    for (upper, lower) in links {
        down[*upper].push(*lower);
        up[*lower].push(*upper);
    }
    let mut best = layers.clone();
    let mut places = Places(vec![0; slots]);
    let mut fewest = places.crossings(layers, &down);
    for sweep in 0..16 {
        if fewest == 0 {
            break;
        }
        if sweep % 2 == 0 {
            for at in 1..layers.len() {
                places.note(&layers[at - 1]);
                places.sort(&mut layers[at], &up);
            }
        } else {
            for at in (1..layers.len()).rev() {
                places.note(&layers[at]);
                places.sort(&mut layers[at - 1], &down);
            }
        }
        let now = places.crossings(layers, &down);
        if now < fewest {
            fewest = now;
            best.clone_from(layers);
        }
    }
    *layers = best;
}

/// For each slot its place in its layer, as last noted.
struct Places(Vec<usize>);

impl Places {
    fn note(&mut self, layer: &[usize]) {
        for (place, slot) in layer.iter().enumerate() {
            self.0[*slot] = place;
        }
    }

    /// Sorts a layer by where its neighbours, whose places are noted, are on average; what has none
    /// stays where it is.
    fn sort(&self, layer: &mut [usize], neighbours: &[Vec<usize>]) {
        let mut keys: Vec<(f64, usize)> = layer
            .iter()
            .enumerate()
            .map(|(own, slot)| {
                let near = &neighbours[*slot];
                let sum: f64 = near.iter().map(|at| real(self.0[*at])).sum();
                let key = if near.is_empty() {
                    real(own)
                } else {
                    sum / real(near.len())
                };
                (key, *slot)
            })
            .collect();
        keys.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (slot, (_, sorted)) in layer.iter_mut().zip(keys) {
            *slot = sorted;
        }
    }

    /// How many links cross in all.
    fn crossings(&mut self, layers: &[Vec<usize>], down: &[Vec<usize>]) -> usize {
        let mut count = 0;
        for pair in layers.windows(2) {
            self.note(&pair[1]);
            let mut seen = Seen::new(pair[1].len());
            for slot in &pair[0] {
                let ends = down[*slot].iter().map(|lower| self.0[*lower]);
                // Links of one slot do not cross each other.
                count += ends.clone().map(|end| seen.behind(end)).sum::<usize>();
                ends.for_each(|end| seen.add(end));
            }
        }
        count
    }
}

/// Counts by place, which know how many there are behind one: a Fenwick tree.
struct Seen {
    tree: Vec<usize>,
    all: usize,
}

impl Seen {
    fn new(places: usize) -> Self {
        Self {
            tree: vec![0; places + 1],
            all: 0,
        }
    }

    fn add(&mut self, place: usize) {
        self.all += 1;
        let mut at = place + 1;
        while let Some(count) = self.tree.get_mut(at) {
            *count += 1;
            at += at & at.wrapping_neg();
        }
    }

    fn behind(&self, place: usize) -> usize {
        let mut before = 0;
        let mut at = place + 1;
        while at > 0 {
            before += self.tree[at];
            at &= at - 1;
        }
        self.all - before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_is_broken_where_it_closes() {
        let order = topological(3, &[(1, 2), (2, 0), (0, 1), (1, 1)], Some(1));
        assert_eq!(order.order, [1, 2, 0]);
        assert_eq!(order.back, [false, false, true, false]);
    }

    #[test]
    fn nothing_comes_before_the_first() {
        let order = topological(3, &[(0, 1), (1, 2)], Some(1));
        assert_eq!(order.order, [1, 2, 0]);
        assert_eq!(order.back, [true, false]);
    }

    #[test]
    fn a_deep_chain_needs_no_deep_stack() {
        let edges: Vec<_> = (0..200_000).map(|n| (n, n + 1)).collect();
        let order = topological(200_001, &edges, Some(0));
        assert!(order.order.is_sorted());
    }

    #[test]
    fn crossings_are_counted_as_by_looking_at_each_pair() {
        // Slots 0..30 above 30..60.
        let layers = [(0..30).collect(), (30..60).rev().collect::<Vec<_>>()];
        let links: Vec<(usize, usize)> = (0..90).map(|n| (n * 7 % 30, 30 + n * n % 30)).collect();
        let mut down = vec![Vec::new(); 60];
        links
            .iter()
            .for_each(|(upper, lower)| down[*upper].push(*lower));
        let crossed = |(a, b): &(usize, usize)| {
            // The lower layer is upside down.
            links.iter().filter(|(c, d)| a < c && b < d).count()
        };
        let all: usize = links.iter().map(crossed).sum();
        assert_eq!(Places(vec![0; 60]).crossings(&layers, &down), all);
    }

    #[test]
    fn crossed_links_are_uncrossed() {
        // 0 and 1 above 2 and 3, crosswise.
        let mut layers = vec![vec![0, 1], vec![2, 3]];
        uncross(&mut layers, &[(0, 3), (1, 2)]);
        assert_eq!(layers, [[0, 1], [3, 2]]);
    }
}
