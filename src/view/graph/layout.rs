//! A layered layout: each node below those it follows from, long ways in lanes of their own.
//!
//! The steps are Sugiyama's: break cycles, assign layers (at most [`ACROSS`] nodes side by side,
//! so that a picture of 100 steps stays narrow), give long edges a slot in each layer that they
//! pass, reorder slots so that few edges cross, and place slots near their neighbours. Long edges
//! of one source, or to one target, share their slots: a fan of 100 edges is one trunk.

use std::collections::HashMap;

use super::Graph;
use super::order::{real, topological, uncross};

/// Nodes side by side.
const ACROSS: usize = 6;
/// Pixels between nodes side by side, and between a node and a passing edge.
const APART: f64 = 28.0;
/// Pixels between layers.
const BETWEEN: f64 = 58.0;
/// Pixels around the picture.
const MARGIN: f64 = 12.0;
/// Pixels beside a node with a loop.
const LOOP: f64 = 58.0;
/// Pixels between the ends of edges at one side of a node.
const PORT: f64 = 18.0;

/// How much more than a node's place a lane's straightness counts.
const STRAIGHT: f64 = 10_000.0;

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Size {
    /// Pixels from left to right.
    pub width: f64,
    /// Pixels from top to bottom.
    pub height: f64,
}

/// A point in pixels, from the left and from the top.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    /// From the left.
    pub x: f64,
    /// From the top.
    pub y: f64,
}

/// Where a node is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Place {
    /// Its centre.
    pub centre: Point,
    /// Its layer, from the top.
    pub layer: usize,
}

/// The way of an edge.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Route {
    /// Pairs of points, from source to target: a curve from the first of each pair to the second,
    /// a straight line on to the next pair. Empty for a loop at one node.
    pub curves: Vec<(Point, Point)>,
    /// Whether it runs against the order of the layers: upwards.
    pub back: bool,
    /// Where its count can stand.
    pub label: Point,
}

/// A picture's geometry.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Layout {
    /// Of the whole picture.
    pub size: Size,
    /// For each node.
    pub places: Vec<Place>,
    /// For each edge, in the order of [`Graph::edges`].
    pub routes: Vec<Route>,
}

/// Slots of a picture that can be had in seconds, and looked at.
const MOST: usize = 400_000;

/// Whether the ways of the edges are too long and too many for a picture.
pub(crate) fn is_too_large(graph: &Graph) -> bool {
    let edges: Vec<(usize, usize)> = graph.edges().map(|edge| (edge.from, edge.to)).collect();
    let order = topological(graph.nodes.len(), &edges, graph.first());
    let layers = layers(graph, &edges, &order.order, &order.back);
    let slots = edges
        .iter()
        .map(|(from, to)| layers[*from].abs_diff(layers[*to]));
    slots.sum::<usize>() > MOST
}

/// Places the nodes of `graph`, which have the given sizes.
pub(crate) fn layout(graph: &Graph, sizes: &[Size]) -> Layout {
    let edges: Vec<(usize, usize)> = graph.edges().map(|edge| (edge.from, edge.to)).collect();
    let first = graph.first();
    let order = topological(sizes.len(), &edges, first);
    let layers = layers(graph, &edges, &order.order, &order.back);
    let mut grid = Grid::new(sizes, &edges, &order.back, &layers);
    let links = grid.links.clone();
    uncross(&mut grid.layers, &links);
    grid.place();
    grid.finish(sizes, &edges, &order.back, &layers)
}

/// A layer for each node: below all it follows from, in the first that has room.
fn layers(graph: &Graph, edges: &[(usize, usize)], order: &[usize], back: &[bool]) -> Vec<usize> {
    let mut above: Vec<Vec<usize>> = vec![Vec::new(); order.len()];
    for ((from, to), back) in edges.iter().zip(back) {
        match (from == to, back) {
            (true, _) => {}
            (false, false) => above[*to].push(*from),
            (false, true) => above[*from].push(*to),
        }
    }
    let mut layers = vec![0; order.len()];
    let mut filled: Vec<usize> = Vec::new();
    let steps = order.iter().filter(|at| !graph.nodes[**at].sink);
    for node in steps {
        let mut layer = above[*node]
            .iter()
            .map(|at| layers[*at] + 1)
            .max()
            .unwrap_or(0);
        while filled.get(layer).is_some_and(|count| *count >= ACROSS) {
            layer += 1;
        }
        if filled.len() <= layer {
            filled.resize(layer + 1, 0);
        }
        filled[layer] += 1;
        layers[*node] = layer;
    }
    for (layer, node) in layers.iter_mut().zip(&graph.nodes) {
        if node.sink {
            *layer = filled.len();
        }
    }
    layers
}

/// What a slot is taken by.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Lane {
    /// Long edges from a node in this layer, forward or back.
    From(usize, usize, bool),
    /// Long edges to a node in this layer, forward or back.
    To(usize, usize, bool),
}

/// Slots in layers.
struct Grid {
    widths: Vec<f64>,
    x: Vec<f64>,
    /// Whether the slot is a node's.
    solid: Vec<bool>,
    layers: Vec<Vec<usize>>,
    links: Vec<(usize, usize)>,
    /// For each edge its slots from the upper node to the lower one; none for a loop.
    paths: Vec<Vec<usize>>,
    /// For each edge whether it shares its lanes with others of the same upper node.
    shares_upper: Vec<bool>,
}

impl Grid {
    fn new(sizes: &[Size], edges: &[(usize, usize)], back: &[bool], layer_of: &[usize]) -> Self {
        let count = layer_of.iter().max().map_or(0, |last| last + 1);
        let mut widths: Vec<f64> = sizes.iter().map(|size| size.width).collect();
        let mut layers = vec![Vec::new(); count];
        for (node, layer) in layer_of.iter().enumerate() {
            layers[*layer].push(node);
        }
        for (from, to) in edges {
            if from == to {
                widths[*from] += 2.0 * LOOP;
            }
        }
        let mut grid = Self {
            x: Vec::new(),
            solid: vec![true; widths.len()],
            widths,
            layers,
            links: Vec::new(),
            paths: Vec::new(),
            shares_upper: Vec::new(),
        };
        let ends: Vec<(usize, usize)> = edges
            .iter()
            .zip(back)
            .map(|((from, to), back)| if *back { (*to, *from) } else { (*from, *to) })
            .collect();
        let (mut below, mut above) = (vec![0; sizes.len()], vec![0; sizes.len()]);
        for (upper, lower) in &ends {
            below[*upper] += 1;
            above[*lower] += 1;
        }
        let mut slots: HashMap<Lane, usize> = HashMap::new();
        for ((upper, lower), back) in ends.iter().zip(back) {
            let shares_upper = below[*upper] > above[*lower];
            grid.shares_upper.push(shares_upper);
            if upper == lower {
                grid.paths.push(Vec::new());
                continue;
            }
            let mut path = vec![*upper];
            for layer in layer_of[*upper] + 1..layer_of[*lower] {
                let lane = if shares_upper {
                    Lane::From(*upper, layer, *back)
                } else {
                    Lane::To(*lower, layer, *back)
                };
                path.push(*slots.entry(lane).or_insert_with(|| grid.lane(layer)));
            }
            path.push(*lower);
            grid.links
                .extend(path.windows(2).map(|pair| (pair[0], pair[1])));
            grid.paths.push(path);
        }
        grid.links.sort_unstable();
        grid.links.dedup();
        grid
    }

    /// A new slot for passing edges.
    fn lane(&mut self, layer: usize) -> usize {
        let slot = self.widths.len();
        self.widths.push(2.0);
        self.solid.push(false);
        self.layers[layer].push(slot);
        slot
    }

    /// Gives each slot its place from left to right.
    fn place(&mut self) {
        self.x = vec![0.0; self.widths.len()];
        for layer in &self.layers {
            let offsets = self.offsets(layer);
            let middle = offsets.last().copied().unwrap_or(0.0) / 2.0;
            for (slot, offset) in layer.iter().zip(offsets) {
                self.x[*slot] = offset - middle;
            }
        }
        let mut up: Vec<Vec<usize>> = vec![Vec::new(); self.widths.len()];
        let mut down = up.clone();
        for (upper, lower) in &self.links {
            down[*upper].push(*lower);
            up[*lower].push(*upper);
        }
        let both: Vec<Vec<usize>> = up
            .iter()
            .zip(&down)
            .map(|(up, down)| up.iter().chain(down).copied().collect())
            .collect();
        for sweep in 0..12 {
            let neighbours = match sweep {
                10.. => &both,
                even if even % 2 == 0 => &up,
                _ => &down,
            };
            let last = self.layers.len();
            for at in 0..last {
                let at = if sweep % 2 == 0 { at } else { last - 1 - at };
                self.draw_near(at, neighbours);
            }
        }
    }

    /// Distances of a layer's slots from its first one, when nothing pulls them apart.
    fn offsets(&self, layer: &[usize]) -> Vec<f64> {
        let mut at = 0.0;
        let mut offsets = Vec::with_capacity(layer.len());
        for (number, slot) in layer.iter().enumerate() {
            if number > 0 {
                let before = layer[number - 1];
                let apart = if self.solid[before] || self.solid[*slot] {
                    APART
                } else {
                    APART / 2.0
                };
                at += f64::midpoint(self.widths[before], self.widths[*slot]) + apart;
            }
            offsets.push(at);
        }
        offsets
    }

    /// Moves a layer's slots to the mean of their neighbours, as near as their distances allow:
    /// the least sum of squares, by pooling adjacent violators.
    fn draw_near(&mut self, layer: usize, neighbours: &[Vec<usize>]) {
        let offsets = self.offsets(&self.layers[layer]);
        // Each pool: the sum of weighted wishes, the sum of weights, how many slots.
        let mut pools: Vec<(f64, f64, usize)> = Vec::new();
        for (slot, offset) in self.layers[layer].iter().zip(&offsets) {
            let (wish, weight) = self.wish(*slot, &neighbours[*slot]);
            pools.push(((wish - offset) * weight, weight, 1));
            while let [.., (a, b, m), (c, d, n)] = pools.as_slice()
                && a / b > c / d
            {
                let pool = (a + c, b + d, m + n);
                pools.truncate(pools.len() - 2);
                pools.push(pool);
            }
        }
        let places = pools
            .iter()
            .flat_map(|(sum, weight, count)| std::iter::repeat_n(sum / weight, *count));
        for ((slot, offset), place) in self.layers[layer].iter().zip(&offsets).zip(places) {
            self.x[*slot] = place + offset;
        }
    }

    /// Where a slot would be best, and how much that counts. Lanes run straight: what branches
    /// off them does not bend them.
    fn wish(&self, slot: usize, near: &[usize]) -> (f64, f64) {
        let lanes = near.iter().filter(|at| !self.solid[**at]);
        let (count, sum, weight) = if !self.solid[slot] && lanes.clone().count() > 0 {
            let sum: f64 = lanes.clone().map(|at| self.x[*at]).sum();
            (lanes.count(), sum, STRAIGHT)
        } else {
            let sum: f64 = near.iter().map(|at| self.x[*at]).sum();
            (near.len(), sum, real(near.len()))
        };
        if count == 0 {
            (self.x[slot], 0.1)
        } else {
            (sum / real(count), weight)
        }
    }

    fn finish(
        &self,
        sizes: &[Size],
        edges: &[(usize, usize)],
        back: &[bool],
        layer_of: &[usize],
    ) -> Layout {
        let slots = || self.x.iter().zip(&self.widths);
        let left = slots()
            .map(|(x, width)| x - width / 2.0)
            .fold(f64::INFINITY, f64::min);
        let right = slots()
            .map(|(x, width)| x + width / 2.0)
            .fold(f64::NEG_INFINITY, f64::max);
        let (shift, width) = if left.is_finite() {
            (MARGIN - left, right - left)
        } else {
            (0.0, 0.0)
        };
        let mut bands = Vec::new();
        let mut y = MARGIN;
        for layer in &self.layers {
            let height = layer
                .iter()
                .filter_map(|slot| sizes.get(*slot))
                .fold(0.0, |most: f64, size| most.max(size.height));
            bands.push((y, y + height));
            y += height + BETWEEN;
        }
        let places: Vec<Place> = layer_of
            .iter()
            .enumerate()
            .map(|(node, layer)| Place {
                centre: Point {
                    x: self.x[node] + shift,
                    y: f64::midpoint(bands[*layer].0, bands[*layer].1),
                },
                layer: *layer,
            })
            .collect();
        let routing = Routing {
            grid: self,
            sizes,
            places: &places,
            bands: &bands,
            shift,
            ports: self.ports(back),
        };
        let routes = (0..edges.len())
            .map(|edge| routing.route(edge, edges[edge].0, back[edge]))
            .collect();
        Layout {
            size: Size {
                width: width + 2.0 * MARGIN,
                height: (y - BETWEEN).max(0.0) + MARGIN,
            },
            places,
            routes,
        }
    }

    /// Offsets from a node's centre at which links end, by node, other slot, direction.
    fn ports(&self, back: &[bool]) -> HashMap<(usize, usize, bool), f64> {
        let mut ends: Vec<Vec<(usize, bool)>> = vec![Vec::new(); self.solid.len() * 2];
        for (path, back) in self.paths.iter().zip(back) {
            if let ([upper, second, ..], [.., before, lower]) = (path.as_slice(), path.as_slice()) {
                ends[upper * 2 + 1].push((*second, *back));
                ends[lower * 2].push((*before, *back));
            }
        }
        let mut ports = HashMap::new();
        for (side, mut others) in ends.into_iter().enumerate() {
            let node = side / 2;
            others.sort_by(|a, b| self.x[a.0].total_cmp(&self.x[b.0]).then(a.cmp(b)));
            others.dedup();
            let gap = PORT.min(self.widths[node] * 0.7 / real(others.len().max(1)));
            let middle = real(others.len().saturating_sub(1)) / 2.0;
            for (number, (other, back)) in others.into_iter().enumerate() {
                ports.insert((node, other, back), (real(number) - middle) * gap);
            }
        }
        ports
    }
}

/// What routes are made of.
struct Routing<'a> {
    grid: &'a Grid,
    sizes: &'a [Size],
    places: &'a [Place],
    /// Top and bottom of each layer.
    bands: &'a [(f64, f64)],
    shift: f64,
    ports: HashMap<(usize, usize, bool), f64>,
}

impl Routing<'_> {
    fn route(&self, edge: usize, from: usize, back: bool) -> Route {
        let path = &self.grid.paths[edge];
        let ([upper, second, ..], [.., before, lower]) = (path.as_slice(), path.as_slice()) else {
            let place = self.places[from].centre;
            let size = self.sizes[from];
            return Route {
                curves: Vec::new(),
                back: false,
                label: Point {
                    x: place.x + size.width / 2.0 + 27.0,
                    y: place.y,
                },
            };
        };
        let end = |node: usize, other: usize, sign: f64| {
            let place = self.places[node].centre;
            let port = self.ports.get(&(node, other, back)).copied();
            Point {
                x: place.x + port.unwrap_or_default(),
                y: place.y + sign * self.sizes[node].height / 2.0,
            }
        };
        let mut curves = Vec::new();
        let mut at = end(*upper, *second, 1.0);
        for (step, slot) in path[1..path.len() - 1].iter().enumerate() {
            let (top, bottom) = self.bands[self.places[*upper].layer + 1 + step];
            let x = self.grid.x[*slot] + self.shift;
            curves.push((at, Point { x, y: top }));
            at = Point { x, y: bottom };
        }
        curves.push((at, end(*lower, *before, -1.0)));
        // The end that is this edge's alone.
        let own = if self.grid.shares_upper[edge] || curves.len() == 1 {
            curves.last()
        } else {
            curves.first()
        };
        let (a, b) = own.copied().unwrap_or((at, at));
        let label = Point {
            x: f64::midpoint(a.x, b.x),
            y: f64::midpoint(a.y, b.y),
        };
        if back {
            curves = curves.iter().rev().map(|(a, b)| (*b, *a)).collect();
        }
        Route {
            curves,
            back,
            label,
        }
    }
}

#[cfg(test)]
mod tests;
