use super::*;

fn barriers(partial: bool) -> Barriers {
    // 0 → 1 → 2 (gathers) → 3 (gathers), and 0 may lead everywhere.
    let barrier = |queue, fed_by: [bool; 4]| Barrier {
        queue,
        others: Vec::new(),
        with: Vec::new(),
        partial,
        fed_by: fed_by.to_vec(),
    };
    Barriers::new(
        vec![
            barrier(2, [true, true, false, false]),
            barrier(3, [true, true, true, false]),
        ],
        Vec::new(),
        Vec::new(),
    )
}

#[test]
fn each_opens_once_nothing_is_left_before_it() {
    let mut all = barriers(false);
    let none = Line::default();
    all.created(0, none, 1);
    assert_eq!(all.pass(), None);
    all.created(1, none, 2);
    all.ended(0, none);
    all.ended(1, none);
    assert_eq!(all.before(0), Before { left: 1, failed: 0 });
    assert_eq!(all.pass(), None);
    all.ended(1, none);
    assert_eq!(all.pass(), Some(0));
    let first = all.along(none, 2);
    all.created(2, first, 1);
    assert_eq!(all.pass(), None, "the second waits for the first");
    assert!(!all.is_held(first));
    all.ended(2, first);
    assert_eq!(all.pass(), Some(1));
    assert_eq!(all.pass(), None);
}

#[test]
fn what_failed_is_missing() {
    for partial in [false, true] {
        let mut all = barriers(partial);
        let none = Line::default();
        all.created(1, none, 2);
        all.failed(1, none, 1);
        all.ended(1, none);
        assert_eq!(all.pass(), partial.then_some(0));
        let below = all.along(none, 2);
        assert_eq!(all.is_held(below), !partial);
        assert!(!all.is_held(none));
    }
}

#[test]
fn what_came_through_a_barrier_does_not_lead_to_it() {
    let mut all = barriers(false);
    let first = all.along(Line::default(), 2);
    let second = all.along(first, 3);
    assert_eq!(
        [first, second].map(|line| all.level(line)),
        [Some(0), Some(1)]
    );
    assert_eq!(all.both(first, second), second);
    assert_eq!(all.along(second, 2), second);
    all.created(1, first, 1);
    assert_eq!(all.before(0).left, 0);
    assert_eq!(all.before(1).left, 1);
    all.created(1, second, 1);
    assert_eq!(all.before(1).left, 1);
}

#[test]
fn whoever_gets_what_others_left_waits_for_them() {
    // 1 and 2 get what 0 leaves, and 2 gathers.
    let all = vec![
        Barrier {
            queue: 1,
            others: vec![2],
            with: vec![0],
            partial: false,
            fed_by: vec![true, false, false],
        },
        Barrier {
            queue: 2,
            others: Vec::new(),
            with: Vec::new(),
            partial: false,
            fed_by: vec![true, true, false],
        },
    ];
    let mut all = Barriers::new(all, Vec::new(), Vec::new());
    assert_eq!([all.of(1), all.of(2)], [None, Some(1)]);
    assert_eq!(
        [all.with(0), all.with(1), all.with(2)],
        [None, Some(0), Some(0)]
    );
    assert_eq!(all.given_by(0).collect::<Vec<_>>(), [0]);
    let none = Line::default();
    all.created(0, none, 1);
    let one = all.along(none, 1);
    all.created(1, one, 1);
    let both = all.along(none, 2);
    assert_eq!((all.level(one), all.level(both)), (Some(0), Some(1)));
    assert!(all.is_held(one));
    all.ended(0, none);
    assert!(!all.is_held(one) && all.is_held(both));
    assert_eq!([all.pass(), all.pass()], [Some(0), None]);
    all.ended(1, one);
    assert!(!all.is_held(both));
}

#[test]
fn steps_lead_where_their_outputs_do() {
    let edges = [vec![1], vec![2], vec![3], vec![1]];
    let no_stops = [false; 4];
    assert_eq!(leading(&edges, &[2], &no_stops), [true, true, true, true]);
    let stops = [false, false, false, true];
    assert_eq!(leading(&edges, &[2], &stops), [true, true, false, false]);
    assert_eq!(leading(&edges, &[0], &no_stops), [false; 4]);
}
