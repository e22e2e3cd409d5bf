//! What may wait for what: barriers, and steps that gather below the tasks of another one, as far as the
//! manifest tells.
//!
//! A group below a task waits for all that may lead to it, and some of that may wait at a barrier itself.
//! That barrier must not wait for the group in turn, and none that it waits for, or nothing would ever go on.

use crate::model::barrier::Barrier;
use crate::model::gather::BarrierId;
use crate::model::gather::KindId;
use crate::model::scope::Kind;

/// What may wait for each other.
#[derive(Debug, Default)]
pub struct Waits {
    /// For each kind and barrier, whether groups of the kind may wait for what the barrier holds up,
    /// perhaps by way of others.
    pub round: Vec<Vec<bool>>,
    /// Of these pairs what waits at the barrier may lead to groups of the kind itself.
    pub direct: Vec<(KindId, BarrierId)>,
}

impl Waits {
    /// Those of these. An order of the two that goes round is settled for the barrier that comes first in
    /// the manifest.
    pub fn of(barriers: &[Barrier], kinds: &[Kind]) -> Self {
        let first = barriers.len();
        let mut edges = vec![Vec::new(); first + kinds.len()];
        let mut direct = Vec::new();
        for (id, kind) in kinds.iter().enumerate() {
            for (at, barrier) in barriers.iter().enumerate() {
                if barrier.queues().any(|queue| kind.fed_by[queue]) && !kind.is_too_late(Some(at)) {
                    direct.push((id, at));
                    edges[first + id].push(at);
                }
            }
            for (other, gathers) in kinds.iter().enumerate() {
                if other != id && kind.fed_by[gathers.queue] {
                    edges[first + id].push(first + other);
                }
            }
        }
        for (at, barrier) in barriers.iter().enumerate() {
            let before = barriers[..at].iter().enumerate();
            let waited = before.filter(|(_, other)| other.queues().any(|own| barrier.fed_by[own]));
            edges[at].extend(waited.map(|(other, _)| other));
        }
        let mut round = vec![vec![false; first]; kinds.len()];
        for (at, barrier) in barriers.iter().enumerate() {
            for (id, kind) in kinds.iter().enumerate() {
                round[id][at] = leads(&edges, first + id, at);
                if !round[id][at] && barrier.fed_by[kind.queue] {
                    edges[at].push(first + id);
                }
            }
        }
        Self { round, direct }
    }
}

/// Whether edges lead from one to the other.
fn leads(edges: &[Vec<usize>], from: usize, to: usize) -> bool {
    let mut seen = vec![false; edges.len()];
    let mut next = vec![from];
    while let Some(at) = next.pop() {
        for other in &edges[at] {
            if *other == to {
                return true;
            }
            if !std::mem::replace(&mut seen[*other], true) {
                next.push(*other);
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::plan::QueueId;

    /// 0 makes an index, 1 splits, 2 waits for the index, 3 gathers what descends from 1, 4 gathers all.
    fn waits(of_groups: [bool; 5], of_index: [bool; 5]) -> Waits {
        let barrier = |queue: QueueId, with: &[QueueId], fed_by: [bool; 5]| Barrier {
            queue,
            others: Vec::new(),
            with: with.to_vec(),
            partial: false,
            fed_by: fed_by.to_vec(),
        };
        let kind = Kind {
            queue: 3,
            owner: 1,
            partial: false,
            fed_by: of_groups.to_vec(),
            too_late: None,
            shut: false,
        };
        let report = [true, true, true, true, false];
        Waits::of(
            &[barrier(2, &[0], of_index), barrier(4, &[], report)],
            &[kind],
        )
    }

    #[test]
    fn nothing_waits_for_what_waits_for_it() {
        // All may lead to all: what waits for the index may be a member.
        let all = waits(
            [true, true, true, false, false],
            [true, true, false, true, false],
        );
        assert_eq!(all.direct, [(0, 0)]);
        assert_eq!(all.round, [[true, false]], "the last one waits for all");
        let apart = waits(
            [true, true, false, false, false],
            [true, true, false, true, false],
        );
        assert!(apart.direct.is_empty());
        assert_eq!(apart.round, [[false, false]]);
    }

    #[test]
    fn nor_by_way_of_others() {
        // What waits for the index waits for what is made of all that is gathered, which is above.
        let barrier = |queue: QueueId, with: &[QueueId], fed_by: [bool; 4]| Barrier {
            queue,
            others: Vec::new(),
            with: with.to_vec(),
            partial: false,
            fed_by: fed_by.to_vec(),
        };
        let kind = Kind {
            queue: 2,
            owner: 0,
            partial: false,
            fed_by: vec![true, true, false, false],
            too_late: None,
            shut: false,
        };
        let gathers = barrier(3, &[], [true, true, true, false]);
        let waits = Waits::of(
            &[gathers, barrier(1, &[0], [true, false, false, true])],
            &[kind],
        );
        assert_eq!(waits.direct, [(0, 1)]);
        assert_eq!(waits.round, [[true, true]]);
    }
}
