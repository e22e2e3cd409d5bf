//! How often things occurred on the way to a place in a tree.
//!
//! Each place adds one thing to what its parent has, and shares all else with it: a tree of any
//! number of places costs little more than its longest way.

use std::cmp::Ordering;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Counts by hash, of which any number of versions live beside each other.
///
/// A search tree of the hashes. As these are as good as random, it needs no balancing.
#[derive(Debug, Clone, Default)]
pub struct Trail(Option<Arc<Node>>);

#[derive(Debug, Clone)]
struct Node {
    hash: u64,
    count: u32,
    below: Trail,
    above: Trail,
}

/// The hash of a thing. It is the same within one run of the program.
pub fn hash(thing: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    thing.hash(&mut hasher);
    hasher.finish()
}

impl Trail {
    /// How often the thing with this hash occurred.
    pub fn count(&self, hash: u64) -> u32 {
        let mut at = self;
        while let Some(node) = &at.0 {
            at = match hash.cmp(&node.hash) {
                Ordering::Equal => return node.count,
                Ordering::Less => &node.below,
                Ordering::Greater => &node.above,
            };
        }
        0
    }

    /// This, and the thing with this hash once more.
    #[must_use]
    pub fn with(&self, hash: u64) -> Self {
        let mut node = match &self.0 {
            Some(node) => Node::clone(node),
            None => Node {
                hash,
                count: 0,
                below: Self::default(),
                above: Self::default(),
            },
        };
        match hash.cmp(&node.hash) {
            Ordering::Equal => node.count = node.count.saturating_add(1),
            Ordering::Less => node.below = node.below.with(hash),
            Ordering::Greater => node.above = node.above.with(hash),
        }
        Self(Some(Arc::new(node)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_place_of_a_tree_counts_its_own_way(
            places in proptest::collection::vec((any::<u16>(), 0_u8..6), 1..60)
        ) {
            let mut tree = vec![(Trail::default(), HashMap::<u8, u32>::new())];
            for (parent, thing) in places {
                let (trail, counts) = &tree[usize::from(parent) % tree.len()];
                let (trail, mut counts) = (trail.with(hash(thing)), counts.clone());
                *counts.entry(thing).or_default() += 1;
                tree.push((trail, counts));
            }
            for (trail, counts) in tree {
                for thing in 0..6 {
                    let counted = counts.get(&thing).copied().unwrap_or_default();
                    prop_assert_eq!(trail.count(hash(thing)), counted);
                }
            }
        }
    }

    #[test]
    fn a_long_way_is_a_shallow_tree() {
        fn depth(trail: &Trail) -> usize {
            trail
                .0
                .as_ref()
                .map_or(0, |node| 1 + depth(&node.below).max(depth(&node.above)))
        }
        let trail = (0..100_000).fold(Trail::default(), |trail, n| trail.with(hash(n)));
        assert!(depth(&trail) < 60, "{}", depth(&trail));
    }
}
