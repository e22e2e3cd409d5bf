use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn sent(acts: &[Act]) -> Vec<(WorkerId, Lease)> {
    let sent = acts.iter().filter_map(|act| match act {
        Act::Send(worker, lease) => Some((*worker, *lease)),
        Act::Cancel(..) => None,
    });
    sent.collect()
}

fn book(workers: &[(&str, u64)]) -> Book<u32> {
    let mut book = Book::new(1);
    for (id, (node, slots)) in workers.iter().enumerate() {
        book.join(id, 0, (*node).to_owned(), *slots);
    }
    book
}

#[test]
fn jobs_go_to_whoever_is_filled_least() {
    let mut book = book(&[("a", 1), ("b", 3)]);
    (0..5).for_each(|job| book.give(0, job, 1));
    let workers: Vec<WorkerId> = sent(&book.assign()).iter().map(|(w, _)| *w).collect();
    assert_eq!(workers, [0, 1, 1, 1]);
    assert_eq!((book.room(0), book.waiting(0)), (4, 1));
}

#[test]
fn short_tasks_are_sent_ahead_and_given_back_to_whoever_is_idle() {
    let mut book = book(&[("a", 1)]);
    (0..3).for_each(|job| book.give(0, job, 1));
    assert_eq!(sent(&book.assign()), [(0, 1)]);
    assert_eq!(book.done(0, 1, 1000), Some(0));
    // It was short: two at once.
    assert_eq!(sent(&book.assign()), [(0, 2), (0, 3)]);
    assert_eq!(book.room(0), 2);
    book.join(1, 0, "b".into(), 1);
    assert_eq!(book.assign(), [Act::Cancel(0, 3)]);
    // Once is enough.
    assert_eq!(book.assign(), []);
    book.given_back(0, 3);
    assert_eq!(sent(&book.assign()), [(1, 4)]);
    assert_eq!(book.job(4), Some(&2));
}

#[test]
fn what_is_lost_runs_elsewhere_and_at_last_alone() {
    let mut book = book(&[("a", 2), ("b", 2)]);
    book.give(0, 7, 1);
    let Some((first, _)) = sent(&book.assign()).pop() else {
        panic!();
    };
    let lost = book.gone(first, false);
    assert_eq!((lost.again, lost.for_good.len()), (1, 0));
    // Not where it was lost, though there is more room.
    book.join(9, 0, "a".into(), 64);
    assert_eq!(sent(&book.assign()), [(1, 2)]);
    assert_eq!(book.gone(1, false).again, 1);
    // With nobody beside it.
    book.join(10, 0, "c".into(), 2);
    book.leaves(9);
    book.give(0, 8, 1);
    assert_eq!(sent(&book.assign()), [(10, 3)]);
    assert_eq!(book.job(3), Some(&7));
    assert_eq!(book.gone(10, false).for_good, [7]);
    assert_eq!(book.waiting(0), 1);
}

#[test]
fn nobody_is_put_beside_what_may_end_its_worker() {
    let mut book = book(&[("a", 2)]);
    // Tasks are short, so that more is given than there is room for.
    book.give(0, 0, 1);
    assert_eq!(sent(&book.assign()), [(0, 1)]);
    assert_eq!(book.done(0, 1, 1000), Some(0));
    book.give(0, 7, 1);
    for worker in 0..2 {
        assert_eq!(sent(&book.assign()).len(), 1);
        assert_eq!(book.gone(worker, false).again, 1);
        book.join(worker + 1, 0, "a".into(), 2);
    }
    assert_eq!(sent(&book.assign()), [(2, 4)]);
    book.give(0, 8, 1);
    assert_eq!(book.assign(), []);
    assert_eq!(book.done(2, 4, 1000), Some(7));
    assert_eq!(sent(&book.assign()), [(2, 5)]);
}

/// Gives a job to the worker alone that has most room, and loses it with that.
fn lose(book: &mut Book<u32>, worker: WorkerId, job: u32) -> bool {
    book.give(0, job, 1);
    let sent = sent(&book.assign());
    assert!(sent.iter().all(|(to, _)| *to == worker), "{sent:?}");
    book.gone(worker, false).left_out
}

#[test]
fn a_machine_where_three_in_a_row_are_lost_gets_no_more() {
    let mut book = book(&[("good", 1)]);
    book.give(0, 0, 1);
    assert_eq!(sent(&book.assign()), [(0, 1)]);
    // The machine that works is busy with it all the time, and others come and go beside it.
    book.give(0, 90, 1);
    assert_eq!(book.done(0, 1, 9_000_000), Some(0));
    assert_eq!(sent(&book.assign()), [(0, 2)]);
    for (worker, is_out) in [(1, false), (2, false), (3, true)] {
        assert!(book.join(worker, 0, "bad".into(), 1));
        assert_eq!(lose(&mut book, worker, 7), is_out);
        // So that it waits for the other one.
        assert_eq!(sent(&book.assign()), []);
        assert!(
            book.done(0, 2 * u64::try_from(worker).unwrap(), 9_000_000)
                .is_some()
        );
        assert_eq!(sent(&book.assign()).len(), 1);
    }
    assert_eq!(book.left_out(0).collect::<Vec<_>>(), ["bad"]);
    assert!(!book.join(9, 0, "bad".into(), 9));
    book.give(0, 99, 1);
    assert_eq!(sent(&book.assign()), []);
    assert!(book.has_left(9) && !book.has_left(0));
}

#[test]
fn a_machine_where_something_ends_between_losses_stays() {
    let mut book = book(&[("good", 1), ("so-so", 1)]);
    (0..2).for_each(|job| book.give(0, job, 1));
    for (worker, lease) in sent(&book.assign()) {
        assert!(book.done(worker, lease, 9_000_000).is_some());
    }
    book.leaves(0);
    let mut worker = 1;
    for job in 0..12 {
        assert!(!lose(&mut book, worker, job));
        worker += 1;
        assert!(book.join(worker, 0, "so-so".into(), 1));
        // Every other one ends.
        for (worker, lease) in sent(&book.assign()) {
            assert!(book.done(worker, lease, 9_000_000).is_some());
        }
    }
    assert_eq!(book.left_out(0).count(), 0);
}

#[test]
fn where_there_is_no_better_one_and_where_a_task_ends_all_no_machine_is_left_out() {
    // Nobody proved that it can be done at all.
    let mut alone = book(&[("a", 1), ("b", 1)]);
    for worker in 0..20 {
        alone.give(0, 7, 1);
        for (worker, _) in sent(&alone.assign()) {
            assert!(!alone.gone(worker, false).left_out);
        }
        alone.join(worker + 2, 0, "a".into(), 1);
    }
    // It is the same task each time.
    let mut evil = book(&[("good", 1), ("b", 1)]);
    evil.give(0, 0, 1);
    assert_eq!(evil.done(0, 1, 9_000_000), None);
    assert_eq!(sent(&evil.assign()).len(), 1);
    assert_eq!(evil.done(0, 1, 9_000_000), Some(0));
    evil.leaves(0);
    evil.give(0, 7, 1);
    for worker in 1..=3 {
        assert_eq!(sent(&evil.assign()).len(), 1);
        assert!(!evil.gone(worker, false).left_out);
        evil.join(worker + 1, 0, "b".into(), 1);
    }
    assert_eq!(evil.waiting(0), 0);
}

#[test]
fn what_was_with_a_worker_that_was_ended_is_not_held_against_it() {
    let mut book = book(&[("a", 1)]);
    book.give(0, 7, 1);
    for id in 0..10 {
        assert_eq!(sent(&book.assign()).len(), 1);
        let lost = book.gone(id, true);
        assert_eq!((lost.again, lost.for_good.len()), (1, 0));
        book.join(id + 1, 0, "a".into(), 1);
    }
}

#[test]
fn nobody_ends_what_is_not_his() {
    let mut book = book(&[("a", 1), ("b", 1)]);
    book.give(0, 7, 1);
    assert_eq!(sent(&book.assign()), [(0, 1)]);
    assert_eq!(book.done(1, 1, 0), None);
    assert_eq!(book.done(0, 2, 0), None);
    assert_eq!(book.done(0, 1, 0), Some(7));
    assert_eq!(book.done(0, 1, 0), None);
    book.given_back(0, 1);
    assert!(book.unable(0, 1).is_none());
    assert_eq!(book.waiting(0), 0);
}

#[test]
fn a_job_that_is_too_large_for_any_worker_has_one_for_itself() {
    let mut book = book(&[("a", 2)]);
    book.give(0, 1, 5);
    book.give(0, 2, 1);
    assert_eq!(sent(&book.assign()), [(0, 1)]);
}

#[derive(Debug, Clone)]
enum Move {
    Join(u8, u64),
    Give(u64),
    Done(usize),
    Twice(usize),
    Back(usize),
    Unable(usize),
    Gone(usize),
    Leave(usize),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let some = prop_oneof![
        2 => (0..3u8, 1..4u64).prop_map(|(node, slots)| Move::Join(node, slots)),
        6 => (1..3u64).prop_map(Move::Give),
        6 => any::<usize>().prop_map(Move::Done),
        1 => any::<usize>().prop_map(Move::Twice),
        1 => any::<usize>().prop_map(Move::Back),
        1 => any::<usize>().prop_map(Move::Unable),
        2 => any::<usize>().prop_map(Move::Gone),
        1 => any::<usize>().prop_map(Move::Leave),
    ];
    prop::collection::vec(some, 1..200)
}

proptest! {
    /// Whatever happens, in whatever order: each job comes to one end, and none is forgotten.
    #[test]
    fn every_job_ends_once(moves in moves()) {
        let mut book: Book<u32> = Book::new(1);
        let mut workers: BTreeMap<WorkerId, u64> = BTreeMap::new();
        let mut held: Vec<(WorkerId, Lease)> = Vec::new();
        let mut over: Vec<(WorkerId, Lease)> = Vec::new();
        let (mut given, mut ended, mut next) = (0, BTreeSet::new(), 0);
        for step in moves {
            let pick = |from: usize, held: &[(WorkerId, Lease)]| {
                (!held.is_empty()).then(|| from % held.len())
            };
            match step {
                Move::Join(node, slots) => {
                    book.join(next, 0, node.to_string(), slots);
                    workers.insert(next, slots);
                    next += 1;
                }
                Move::Give(units) => {
                    book.give(0, given, units);
                    given += 1;
                }
                Move::Done(at) => if let Some(at) = pick(at, &held) {
                    let (worker, lease) = held.swap_remove(at);
                    let job = book.done(worker, lease, 1000 * lease % 7 * 100);
                    prop_assert!(ended.insert(job.unwrap()));
                    over.push((worker, lease));
                },
                Move::Twice(at) => if let Some(at) = pick(at, &over) {
                    let (worker, lease) = over[at];
                    prop_assert_eq!(book.done(worker, lease, 1), None);
                },
                Move::Back(at) => if let Some(at) = pick(at, &held) {
                    let (worker, lease) = held.swap_remove(at);
                    book.given_back(worker, lease);
                    over.push((worker, lease));
                },
                Move::Unable(at) => if let Some(at) = pick(at, &held) {
                    let (worker, lease) = held.swap_remove(at);
                    for job in book.unable(worker, lease).unwrap().for_good {
                        prop_assert!(ended.insert(job));
                    }
                    over.push((worker, lease));
                },
                Move::Gone(at) => if let Some(worker) = workers.keys().nth(at % (workers.len() + 1)).copied() {
                    let lost = book.gone(worker, false);
                    let before = held.len();
                    over.extend(held.iter().filter(|(of, _)| *of == worker));
                    held.retain(|(of, _)| *of != worker);
                    prop_assert_eq!(before - held.len(), lost.again + lost.for_good.len());
                    for job in lost.for_good {
                        prop_assert!(ended.insert(job));
                    }
                    workers.remove(&worker);
                },
                Move::Leave(at) => if let Some(worker) = workers.keys().nth(at % (workers.len() + 1)) {
                    book.leaves(*worker);
                },
            }
            for (worker, lease) in sent(&book.assign()) {
                prop_assert!(workers.contains_key(&worker));
                held.push((worker, lease));
            }
            for (worker, slots) in &workers {
                let leases = held.iter().filter(|(of, _)| of == worker).count();
                prop_assert_eq!(leases, book.in_hand(*worker));
                prop_assert!(u64::try_from(leases).unwrap() <= slots * 2);
            }
            prop_assert_eq!(held.len() + book.waiting(0) + ended.len(), given as usize);
        }
        // Whoever comes now gets all that is left, one by one.
        for worker in workers.keys() {
            for job in book.gone(*worker, false).for_good {
                prop_assert!(ended.insert(job));
            }
        }
        book.join(next, 0, "last".into(), 4);
        loop {
            let more = sent(&book.assign());
            if more.is_empty() {
                break;
            }
            for (worker, lease) in more {
                if let Some(job) = book.done(worker, lease, 1_000_000) {
                    prop_assert!(ended.insert(job));
                }
            }
        }
        prop_assert_eq!(ended.len(), given as usize);
        prop_assert_eq!(book.take_waiting(0), Vec::<u32>::new());
    }
}

#[test]
fn tasks_have_gpus_of_their_own_and_keep_nobody_who_needs_none() {
    let mut book: Book<&str> = Book::new(1);
    book.join(0, 0, "a".to_owned(), 4);
    book.has_gpus(0, 2);
    book.join(1, 0, "b".to_owned(), 4);
    for job in ["g1", "g2", "g3"] {
        book.give_with(0, job, 1, 1);
    }
    book.give(0, "plain", 1);
    let sent = |book: &Book<&'static str>, acts: Vec<Act>| {
        let of = |act: &Act| match act {
            Act::Send(worker, lease) => Some((*worker, *lease, *book.job(*lease)?)),
            Act::Cancel(..) => None,
        };
        acts.iter().filter_map(of).collect::<Vec<_>>()
    };
    let acts = book.assign();
    let first = sent(&book, acts);
    assert_eq!(first, [(0, 1, "g1"), (0, 2, "g2"), (1, 3, "plain")]);
    assert!(book.done(0, 1, 10_000_000).is_some());
    let acts = book.assign();
    assert_eq!(sent(&book, acts), [(0, 4, "g3")]);
    // For what nobody has it is asked all the same: who gets it says so.
    book.give_with(0, "many", 1, 3);
    let acts = book.assign();
    assert_eq!(sent(&book, acts).len(), 1);
    for (worker, lease) in [(0, 2), (1, 3), (0, 4), (1, 5)] {
        assert!(book.done(worker, lease, 10_000_000).is_some(), "{lease}");
    }
    assert_eq!(book.waiting(0), 0);
}

#[test]
fn what_a_machine_cannot_do_waits_for_others_that_are_on_their_way() {
    let mut book: Book<&str> = Book::new(1);
    book.join(0, 0, "a".to_owned(), 1);
    book.give(0, "job", 1);
    assert_eq!(book.assign(), [Act::Send(0, 1)]);
    book.set_coming(0, true);
    assert_eq!(book.unable(0, 1).map(|lost| lost.again), Some(1));
    assert_eq!(book.assign(), []);
    book.join(1, 0, "b".to_owned(), 1);
    book.set_coming(0, false);
    assert_eq!(book.assign(), [Act::Send(1, 2)]);
    // Nobody else is left who could: whoever there is tries again.
    assert_eq!(book.unable(1, 2).map(|lost| lost.again), Some(1));
    book.gone(0, true);
    assert_eq!(book.assign(), [Act::Send(1, 3)]);
    let lost = book.unable(1, 3).map(|lost| lost.for_good);
    assert_eq!(lost, Some(vec!["job"]));
}
