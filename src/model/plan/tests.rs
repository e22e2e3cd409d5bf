use std::collections::VecDeque;

use proptest::prelude::*;

use super::queues::HELD;
use super::*;

fn ready(id: i64) -> Ready {
    Ready {
        id: TaskId(id),
        input: Digest::of(&id.to_le_bytes()),
        form: Form::File,
        parent: None,
        name: None,
        state: TaskState::Pending,
        forced: false,
        attempt: 0,
        line: Line::default(),
        key: None,
        context: None,
        raised: 0,
    }
}

fn key(queue: QueueId) -> Key {
    Key {
        queue,
        input: Digest::EMPTY,
        form: Form::File,
        name: None,
        key: None,
        context: None,
    }
}

/// Takes and starts one; its step.
fn start(plan: &mut Plan) -> Option<QueueId> {
    let Next::Take(queue, _) = plan.decide() else {
        return None;
    };
    plan.start(queue, None);
    Some(queue)
}

fn loaded(limit: usize, steps: &[(Option<usize>, i64)]) -> Plan {
    let mut plan = Plan::new(limit, steps.iter().map(|(limit, _)| (*limit, false)));
    let mut id = 0;
    for (queue, (_, count)) in steps.iter().enumerate() {
        for _ in 0..*count {
            id += 1;
            plan.created(queue, ready(id));
        }
    }
    plan
}

#[test]
fn both_limits_hold() {
    let mut plan = loaded(3, &[(Some(1), 5), (None, 5)]);
    let started: Vec<_> = std::iter::from_fn(|| start(&mut plan)).collect();
    assert_eq!(started, [1, 0, 1]);
    assert_eq!(plan.decide(), Next::Wait);
    plan.ended(0, None);
    assert_eq!(start(&mut plan), Some(0));
}

#[test]
fn what_follows_the_running_ones_is_known() {
    let mut plan = loaded(2, &[(None, 4)]);
    let input = |id| Some(ready(id).input);
    start(&mut plan);
    assert_eq!(plan.ahead(0), input(3));
    start(&mut plan);
    assert_eq!(plan.ahead(0), input(4));
    plan.ended(0, None);
    start(&mut plan);
    assert_eq!(plan.ahead(0), None);
}

#[test]
fn what_follows_many_running_ones_is_known_too() {
    let mut plan = loaded(100, &[(None, 1000)]);
    for id in 1..=300 {
        assert_eq!(start(&mut plan), Some(0));
        assert_eq!(plan.ahead(0), Some(ready(id + 100).input));
        plan.ended(0, None);
    }
}

#[test]
fn a_limited_step_leaves_the_other_workers_to_others() {
    // 60 slow tasks came first; the fast ones behind them must not wait.
    let mut plan = loaded(4, &[(Some(1), 60), (None, 3)]);
    let started: Vec<_> = std::iter::from_fn(|| start(&mut plan)).collect();
    assert_eq!(started, [1, 0, 1, 1]);
}

#[test]
fn steps_share_the_workers() {
    let mut plan = loaded(4, &[(None, 10), (None, 10)]);
    let started: Vec<_> = std::iter::from_fn(|| start(&mut plan)).collect();
    assert_eq!(started, [1, 0, 1, 0]);
}

#[test]
fn refills_go_on_behind_the_cursor() {
    let mut plan = Plan::new(1, [(None, true)]);
    let Next::Refill {
        queue,
        after,
        count,
    } = plan.decide()
    else {
        panic!("an unread queue is read first");
    };
    assert_eq!((queue, after), (0, TaskId(0)));
    let count = i64::try_from(count).unwrap();
    plan.fill(0, (1..=count).map(ready));
    // Created while the database has more: it will come with a later refill.
    plan.created(0, ready(1000));
    for id in 1..=count {
        assert_eq!(plan.decide(), Next::Take(0, ready(id)));
    }
    let Next::Refill { after, .. } = plan.decide() else {
        panic!("the stretch is used up");
    };
    assert_eq!(after, TaskId(count));
    plan.fill(0, [ready(1000)]);
    assert_eq!(plan.decide(), Next::Take(0, ready(1000)));
    assert_eq!(plan.decide(), Next::Wait);
    plan.created(0, ready(1001));
    assert_eq!(plan.decide(), Next::Take(0, ready(1001)));
}

#[test]
fn equal_tasks_wait_for_the_first() {
    let mut plan = loaded(4, &[(None, 3)]);
    let Next::Take(0, _) = plan.decide() else {
        panic!()
    };
    plan.start(0, Some(key(0)));
    let Next::Take(0, second) = plan.decide() else {
        panic!()
    };
    assert_eq!(plan.park(&key(0), second.clone()), None);
    plan.ended(0, Some(&key(0)));
    assert_eq!(
        plan.decide(),
        Next::Take(0, second.clone()),
        "before those behind it"
    );
    assert_eq!(plan.park(&key(0), second.clone()), Some(second));
}

#[test]
fn not_everything_is_parked() {
    let mut plan = Plan::new(2, [(None, false)]);
    plan.start(0, Some(key(0)));
    let mut parked = 0;
    for id in 1..2000 {
        plan.created(0, ready(id));
        if let Next::Take(0, task) = plan.decide() {
            plan.park(&key(0), task);
            parked += 1;
        }
    }
    assert_eq!(parked, HELD);
    plan.ended(0, Some(&key(0)));
    assert!(matches!(
        plan.decide(),
        Next::Take(0, Ready { id: TaskId(1), .. })
    ));
}

#[test]
fn a_retry_comes_when_its_pause_is_over() {
    let mut plan = loaded(1, &[(None, 1)]);
    let Next::Take(0, task) = plan.decide() else {
        panic!()
    };
    plan.pause(0, task.clone(), 500);
    assert_eq!(plan.decide(), Next::Wait);
    assert_eq!(plan.wake(499), Some(500));
    assert!(plan.is_pausing());
    assert_eq!(plan.wake(500), None);
    assert_eq!(plan.decide(), Next::Take(0, task));
}

#[test]
fn one_alone() {
    let mut plan = loaded(4, &[(None, 1), (None, 1)]);
    assert!(!plan.is_quiet_but_for_one(), "nothing runs");
    start(&mut plan);
    assert!(!plan.is_quiet_but_for_one(), "another one may start");
    start(&mut plan);
    assert!(!plan.is_quiet_but_for_one(), "two run");
    plan.ended(1, None);
    assert!(plan.is_quiet_but_for_one());
    plan.pause(1, ready(8), 500);
    assert!(!plan.is_quiet_but_for_one(), "one is to be tried again");
    plan.wake(500);
    let Next::Take(1, task) = plan.decide() else {
        panic!("the pause is over")
    };
    plan.start(1, Some(key(1)));
    plan.ended(0, None);
    assert!(plan.is_quiet_but_for_one());
    assert_eq!(plan.park(&key(1), task), None);
    assert!(!plan.is_quiet_but_for_one(), "an equal one waits");
}

proptest! {
    // Whatever ends in whatever order: no limit is passed, every task is taken exactly once, and
    // there is never an idle worker beside a task that may start.
    #[test]
    fn all_tasks_once_within_limits(
        limit in 1usize..5,
        steps in prop::collection::vec((prop::option::of(1usize..4), 0i64..200), 1..4),
        order in prop::collection::vec(any::<prop::sample::Index>(), 700),
    ) {
        // The database: per step the ids of its pending tasks, ascending.
        let mut database: Vec<Vec<i64>> = Vec::new();
        let mut id = 0;
        for (_, count) in &steps {
            database.push((0..*count).map(|_| { id += 1; id }).collect());
        }
        let mut plan = Plan::new(limit, steps.iter().map(|(limit, count)| (*limit, *count > 0)));
        let mut running: Vec<QueueId> = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        let mut order = order.into_iter();
        loop {
            match plan.decide() {
                Next::Refill { queue, after, count } => {
                    let rows: Vec<Ready> = database[queue].iter().copied()
                        .filter(|id| TaskId(*id) > after).take(count).map(ready).collect();
                    plan.fill(queue, rows);
                }
                Next::Take(queue, task) => {
                    prop_assert!(seen.insert(task.id));
                    plan.start(queue, None);
                    running.push(queue);
                    prop_assert!(running.len() <= limit);
                    let own = running.iter().filter(|l| **l == queue).count();
                    prop_assert!(own <= steps[queue].0.unwrap_or(usize::MAX));
                }
                Next::Wait if running.is_empty() => break,
                Next::Wait => {
                    let at = order.next().map_or(0, |i| i.index(running.len()));
                    plan.ended(running.swap_remove(at), None);
                }
            }
        }
        prop_assert_eq!(i64::try_from(seen.len()).unwrap(), id);
    }
}

#[test]
fn no_more_of_a_closed_step_start() {
    let mut plan = loaded(3, &[(None, 3), (None, 2)]);
    while start(&mut plan) != Some(0) {}
    plan.pause(0, ready(9), 50);
    plan.close(0);
    assert!(plan.is_closed(0) && !plan.is_closed(1));
    assert!(!plan.is_pausing());
    assert_eq!(plan.wake(60), None);
    plan.ended(0, None);
    plan.back(0, ready(10));
    let started: Vec<_> = std::iter::from_fn(|| start(&mut plan)).collect();
    assert!(started.iter().all(|queue| *queue == 1), "{started:?}");
    assert!(!plan.is_open());
}

/// Steps with so many tasks each, which take these amounts of what there is.
fn sharing(limit: usize, amounts: &[u64], steps: &[(i64, &[u64])]) -> Plan {
    let mut plan = Plan::new(limit, steps.iter().map(|_| (None, false)));
    let demand = |takes: &[u64]| {
        let kinds = takes.iter().copied().enumerate();
        vec![kinds.filter(|(_, amount)| *amount > 0).collect()]
    };
    plan.share(
        amounts.to_vec(),
        steps.iter().map(|(_, takes)| demand(takes)),
    );
    let mut id = 0;
    for (queue, (count, _)) in steps.iter().enumerate() {
        for _ in 0..*count {
            id += 1;
            plan.created(queue, ready(id));
        }
    }
    plan
}

#[test]
fn no_more_is_given_than_there_is() {
    let mut plan = sharing(10, &[4, 10], &[(9, &[2, 1]), (9, &[0, 4])]);
    let started: Vec<_> = std::iter::from_fn(|| start(&mut plan)).collect();
    // Of the first kind two fit, of the second two beside them.
    assert_eq!(started, [1, 0, 1, 0]);
    assert!(!plan.is_open(), "nothing is left for one more");
    plan.ended(0, None);
    assert_eq!(start(&mut plan), Some(0));
}

#[test]
fn what_takes_nothing_is_not_held_up() {
    let mut plan = sharing(10, &[1], &[(3, &[1]), (3, &[])]);
    let started: Vec<_> = std::iter::from_fn(|| start(&mut plan)).collect();
    assert_eq!(started, [1, 0, 1, 1]);
}

#[test]
fn a_task_that_takes_all_comes_to_run_behind_very_many_small_ones() {
    // The small ones end one at a time, so that there is never enough left by itself.
    let mut plan = sharing(100, &[8], &[(3, &[8]), (100_000, &[1])]);
    let (mut running, mut order) = (VecDeque::new(), Vec::new());
    for _ in 0..200 {
        while let Some(queue) = start(&mut plan) {
            running.push_back(queue);
            order.push(queue);
        }
        let ended = running.pop_front().expect("something runs");
        plan.ended(ended, None);
    }
    let large: Vec<_> = order
        .iter()
        .enumerate()
        .filter(|(_, queue)| **queue == 0)
        .collect();
    assert_eq!(large.len(), 3, "all of them had their turn");
    let places: Vec<_> = large.iter().map(|(at, _)| *at).collect();
    assert!(
        places[2] < 30,
        "as much goes to others as there is, and no more: {places:?}"
    );
    assert!(
        places[0] >= 8,
        "they are not before all others either: {places:?}"
    );
}

#[test]
fn what_waits_for_something_else_is_not_held_up_by_what_waits_longest() {
    let mut plan = sharing(100, &[8, 2], &[(1, &[8, 0]), (50, &[1, 0]), (50, &[0, 1])]);
    let mut small = Vec::new();
    while let Some(queue) = start(&mut plan) {
        small.push(queue);
    }
    assert_eq!(small.iter().filter(|queue| **queue == 2).count(), 2);
    // One of the small ones ends: it is kept for the large one, and the others go on.
    plan.ended(1, None);
    assert_eq!(start(&mut plan), None);
    plan.ended(2, None);
    assert_eq!(start(&mut plan), Some(2));
    for _ in 0..7 {
        assert_eq!(start(&mut plan), None);
        plan.ended(1, None);
    }
    assert_eq!(start(&mut plan), Some(0));
}

#[test]
fn one_that_takes_more_by_now_waits_for_that_and_its_step_does_not() {
    let mut plan = Plan::new(10, [(None, false)]);
    let rungs = [2, 4, 8].map(|amount| Demand::from([(0, amount)]));
    plan.share(vec![8], [rungs.to_vec()]);
    for id in 1..=4 {
        plan.created(0, ready(id));
    }
    for _ in 0..4 {
        assert_eq!(start(&mut plan), Some(0));
    }
    let raised = Ready {
        raised: 2,
        ..ready(1)
    };
    plan.back(0, raised.clone());
    plan.ended(0, None);
    plan.created(0, ready(5));
    assert_eq!(start(&mut plan), Some(0), "the next of the step fits");
    for _ in 0..3 {
        plan.ended(0, None);
        assert_eq!(plan.decide(), Next::Wait);
    }
    assert!(plan.has_waiting(0));
    plan.ended(0, None);
    assert_eq!(plan.decide(), Next::Take(0, raised.clone()));
    plan.start(Lane::from((0, &raised)), None);
    plan.created(0, ready(6));
    assert_eq!(plan.decide(), Next::Wait, "it has all there is");
    plan.ended(Lane::from((0, &raised)), None);
    assert_eq!(start(&mut plan), Some(0));
}

proptest! {
    #[test]
    fn all_come_to_run_whatever_they_take(
        limit in 1..5_usize,
        amounts in prop::collection::vec(1..9_u64, 3),
        steps in prop::collection::vec((0..30_i64, prop::collection::vec(0..9_u64, 3)), 1..6),
        dice in prop::collection::vec(any::<prop::sample::Index>(), 60),
    ) {
        let fits = |takes: &[u64]| -> Vec<u64> {
            takes.iter().zip(&amounts).map(|(take, has)| *take.min(has)).collect()
        };
        let takes: Vec<_> = steps.iter().map(|(_, takes)| fits(takes)).collect();
        let counts: Vec<_> = steps.iter().map(|(count, _)| *count).collect();
        let shares: Vec<_> = counts.iter().copied().zip(takes.iter().map(|takes| &takes[..])).collect();
        let mut plan = sharing(limit, &amounts, &shares);
        let (mut running, mut started) = (Vec::new(), vec![0_i64; steps.len()]);
        let mut ends = 0;
        // Since when each waits first in its step, by what others were given meanwhile.
        let mut waited = vec![0_u64; steps.len()];
        loop {
            while let Some(queue) = start(&mut plan) {
                running.push(queue);
                started[queue] += 1;
                waited[queue] = 0;
                for (other, waits) in waited.iter_mut().enumerate() {
                    let shared = |kind: usize| takes[queue][kind] > 0 && takes[other][kind] > 0;
                    if other != queue && started[other] < counts[other] && (0..3).any(shared) {
                        *waits += 1;
                    }
                }
                for (kind, has) in amounts.iter().enumerate() {
                    let taken: u64 = running.iter().map(|queue| takes[*queue][kind]).sum();
                    prop_assert!(taken <= *has);
                }
                prop_assert!(running.len() <= limit);
                // Each of at most five others goes first as long as it takes to give out all that there is.
                prop_assert!(waited.iter().all(|waits| *waits <= 5 * 9 * 3), "{:?}", waited);
            }
            if running.is_empty() {
                break;
            }
            let at = dice[ends % dice.len()].index(running.len());
            plan.ended(running.swap_remove(at), None);
            ends += 1;
        }
        prop_assert_eq!(started, counts);
    }
}
