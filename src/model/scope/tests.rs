use super::*;

const SPLIT: QueueId = 0;
const WORK: QueueId = 1;
const MERGE: QueueId = 2;
const REPORT: QueueId = 3;

/// 0 splits, 1 works, 2 and 3 gather what descends from each split.
fn scopes(partial: bool) -> Scopes {
    let kind = |queue, partial| Kind {
        queue,
        owner: SPLIT,
        partial,
        fed_by: vec![true; 4],
        too_late: None,
        shut: false,
    };
    Scopes::new(vec![kind(MERGE, partial), kind(REPORT, false)], Vec::new())
}

fn of(queue: QueueId) -> Counted {
    Counted { queue, level: None }
}

#[allow(clippy::unnecessary_wraps)] // As it is used.
fn below(node: i64) -> Option<Place> {
    Some(Place {
        node: TaskId(node),
        behind: None,
    })
}

#[allow(clippy::unnecessary_wraps)] // As it is used.
fn behind(node: i64, kind: KindId) -> Option<Place> {
    Some(Place {
        node: TaskId(node),
        behind: Some(kind),
    })
}

#[test]
fn what_is_complete_is_let_go_of_where_there_are_many() {
    let mut all = scopes(false);
    let many = i64::try_from(MANY).unwrap();
    for task in 1..=many + 2 {
        all.open(TaskId(task), SPLIT, None, false);
    }
    all.created(below(1), of(WORK), 1);
    all.recorded(TaskId(2));
    for task in 1..=3 {
        all.let_go(behind(task, 0));
    }
    assert!(all.has(TaskId(1)), "something is left below it");
    assert!(all.has(TaskId(2)), "it is to be looked at");
    assert!(!all.has(TaskId(3)));
    assert_eq!(all.next_due(), Some(TaskId(2)));
    all.let_go(behind(2, 0));
    assert!(!all.has(TaskId(2)));
    all.let_go(behind(4, 0));
    assert!(all.has(TaskId(4)), "there are few by now");
}

#[test]
fn groups_are_complete_one_after_the_other() {
    let mut all = scopes(false);
    all.open(TaskId(1), SPLIT, None, true);
    all.created(below(1), of(WORK), 2);
    all.recorded(TaskId(1));
    assert_eq!(all.next_due(), Some(TaskId(1)));
    assert!(all.complete(TaskId(1)).is_empty());
    all.ended(below(1), of(WORK));
    assert_eq!(all.next_due(), None);
    all.ended(below(1), of(WORK));
    assert_eq!(all.next_due(), Some(TaskId(1)));
    assert_eq!(all.complete(TaskId(1)), [0, 1]);
    all.created(behind(1, 0), of(MERGE), 1);
    assert_eq!(
        all.complete(TaskId(1)),
        [0],
        "the second one waits for the first"
    );
    assert!(!all.is_held(behind(1, 0)) && all.is_held(behind(1, 1)));
    all.ended(behind(1, 0), of(MERGE));
    assert_eq!(all.next_due(), Some(TaskId(1)));
    assert_eq!(all.complete(TaskId(1)), [0, 1]);
    all.close(TaskId(1));
    assert!(!all.has(TaskId(1)));
}

#[test]
fn what_is_not_all_recorded_is_not_complete() {
    let mut all = scopes(false);
    all.open(TaskId(1), SPLIT, None, true);
    all.created(below(1), of(WORK), 1);
    all.ended(below(1), of(WORK));
    assert_eq!(all.next_due(), None);
    assert!(all.complete(TaskId(1)).is_empty());
    all.recorded(TaskId(1));
    assert_eq!(all.next_due(), Some(TaskId(1)));
    assert_eq!(all.complete(TaskId(1)), [0, 1]);
}

#[test]
fn what_failed_is_missing() {
    for partial in [false, true] {
        let mut all = scopes(partial);
        all.open(TaskId(1), SPLIT, None, false);
        all.created(below(1), of(WORK), 2);
        all.failed(below(1), of(WORK), 1);
        all.ended(below(1), of(WORK));
        assert_eq!(all.next_due(), Some(TaskId(1)));
        let complete: &[KindId] = if partial { &[0] } else { &[] };
        assert_eq!(all.complete(TaskId(1)), complete);
        assert_eq!(all.is_held(behind(1, 0)), !partial);
        all.close(TaskId(1));
        assert!(all.has(TaskId(1)), "it is still missing");
    }
}

#[test]
fn owners_count_in_those_above() {
    let mut all = scopes(false);
    all.open(TaskId(1), SPLIT, None, false);
    all.open(TaskId(2), SPLIT, below(1), false);
    all.created(below(2), of(WORK), 2);
    all.ended(below(2), of(WORK));
    all.ended(below(2), of(WORK));
    assert_eq!(all.next_due(), Some(TaskId(2)), "the lower one first");
    assert_eq!(all.complete(TaskId(2)), [0, 1]);
    all.created(behind(2, 0), of(MERGE), 1);
    assert_eq!(all.next_due(), Some(TaskId(1)));
    assert!(all.complete(TaskId(1)).is_empty());
    all.open(TaskId(3), MERGE, behind(2, 0), false);
    all.created(below(3), of(WORK), 1);
    all.ended(behind(2, 0), of(MERGE));
    assert!(
        all.complete(TaskId(1)).is_empty(),
        "what follows counts there"
    );
    assert_eq!(all.complete(TaskId(2)), [0]);
    all.ended(below(3), of(WORK));
    assert_eq!(all.next_due(), Some(TaskId(2)));
    all.close(TaskId(2));
    assert_eq!(all.next_due(), Some(TaskId(1)));
    assert_eq!(all.complete(TaskId(1)), [0, 1]);
}

#[test]
fn each_belongs_to_the_nearest_owner_that_may_still_take_it() {
    let mut all = scopes(false);
    all.open(TaskId(1), SPLIT, None, false);
    all.open(TaskId(2), SPLIT, below(1), false);
    all.open(TaskId(3), MERGE, behind(2, 0), false);
    assert_eq!(all.belongs(below(2), 0), Belongs::To(TaskId(2)));
    assert_eq!(all.belongs(below(3), 1), Belongs::To(TaskId(2)));
    assert_eq!(all.belongs(below(3), 0), Belongs::Behind(0));
    assert_eq!(all.belongs(None, 0), Belongs::Nowhere);
    assert_eq!(all.waiting(below(3), of(WORK)), [0, 1], "of both owners");
    assert_eq!(all.waiting(None, of(WORK)), [] as [KindId; 0]);
    assert_eq!(all.waiting(None, of(SPLIT)), [0, 1]);
}
