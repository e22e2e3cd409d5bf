//! Entries, and what becomes of their tasks.

use super::*;

/// Takes in one entry of each name, in the place of what it was.
fn take_in(f: &mut Fixture, step: StepId, gone: &[&str], made: &[(&str, &[u8])]) {
    let mut known = std::collections::HashMap::new();
    f.state
        .each_entry(&f.runset, |entry| {
            known.insert(entry.identity, entry.task);
        })
        .unwrap();
    let entries = Entries {
        gone: gone.iter().map(|name| (*name, known[*name])).collect(),
        made: made
            .iter()
            .map(|(name, bytes)| NewEntry {
                key: None,
                identity: name,
                name,
                object: Digest::of(bytes),
                form: Form::File,
                step,
                replaces: known.get(*name).copied(),
            })
            .collect(),
    };
    f.state.change_entries(&f.runset, &entries).unwrap();
    f.assert_counts();
}

fn entries(f: &Fixture) -> Vec<(String, i64)> {
    let mut all = Vec::new();
    f.state
        .each_entry(&f.runset, |entry| {
            assert!(entry.live);
            all.push((entry.identity, entry.task.0));
        })
        .unwrap();
    all
}

#[test]
fn entries_that_change_or_go_take_with_them_what_followed() {
    let mut f = Fixture::new();
    let (a, b) = (f.step("a", "1"), f.step("b", "1"));
    take_in(&mut f, a, &[], &[("x", b"1"), ("y", b"1"), ("z", b"1")]);
    let entry = |name: &str, task: i64| (name.to_owned(), task);
    assert_eq!(entries(&f), [entry("x", 1), entry("y", 2), entry("z", 3)]);
    assert_eq!((f.tally(a).pending, f.tally(b).total()), (3, 0));
    f.state.group().unwrap();
    for task in [1, 2] {
        f.done(a, TaskId(task));
        let below = f.child(TaskId(task), "o", Some(b));
        f.done(b, below);
        f.child(below, "end", None);
    }
    take_in(&mut f, a, &["y"], &[("x", b"2")]);
    assert_eq!(entries(&f), [entry("x", 8), entry("z", 3)]);
    assert_eq!((f.tally(a).pending, f.tally(a).done), (2, 0));
    assert_eq!(f.tally(b).total(), 0);
    let new = f.state.task(TaskId(8)).unwrap().unwrap();
    assert_eq!((new.supersedes, new.forced), (Some(TaskId(1)), false));
    let live = |id: &i64| f.state.task(TaskId(*id)).unwrap().unwrap().live;
    assert_eq!((1..8).filter(live).collect::<Vec<_>>(), [3]);
    // Nothing is left of the temporary tables, so that it can be done again.
    take_in(&mut f, a, &["x", "z"], &[]);
    assert!(entries(&f).is_empty() && !f.state.has_entries(&f.runset).unwrap());
    assert_eq!(f.tally(a).total(), 0);
}

#[test]
fn an_entry_goes_with_its_task_where_another_one_takes_its_place() {
    let mut f = Fixture::new();
    let a = f.step("a", "1");
    take_in(&mut f, a, &[], &[("x", b"1"), ("y", b"1")]);
    f.done(a, TaskId(1));
    let newer = f.step("a", "2");
    f.state.migrate_tainted(&f.runset, &[newer]).unwrap();
    assert_eq!(entries(&f), [("x".to_owned(), 3), ("y".to_owned(), 2)]);
    f.state.update_unfinished(&f.runset, &[newer]).unwrap();
    f.done(newer, TaskId(3));
    f.state.restart(&f.runset, newer).unwrap();
    assert_eq!(entries(&f), [("x".to_owned(), 4), ("y".to_owned(), 2)]);
    let wanted = f.state.unfinished_roots(&f.runset).unwrap();
    assert_eq!(wanted, [Digest::of(b"1"); 2]);
}

#[test]
fn a_list_and_a_file_of_the_same_bytes_are_different_inputs() {
    let mut f = Fixture::new();
    let a = f.step("a", "1");
    let entries = [("x", Form::File), ("y", Form::List)];
    let made = entries.iter().map(|(name, form)| NewEntry {
        key: None,
        identity: name,
        name,
        object: Digest::of(b"1"),
        form: *form,
        step: a,
        replaces: None,
    });
    let entries = Entries {
        gone: Vec::new(),
        made: made.collect(),
    };
    f.state.change_entries(&f.runset, &entries).unwrap();
    let equal = |f: &Fixture, form| {
        let found = f
            .state
            .finished_equal(&[a], (&Digest::of(b"1"), form, None), None, None, ANY);
        found.unwrap().map(|equal| equal.task)
    };
    let before = |f: &Fixture, form| {
        let found = f
            .state
            .finished_before(&[a], &Digest::of(b"1"), form, TaskId(99));
        found.unwrap()
    };
    f.state.group().unwrap();
    for (task, form) in [(1, Form::File), (2, Form::List)] {
        assert_eq!((equal(&f, form), before(&f, form)), (None, None));
        f.done(a, TaskId(task));
        let own = Some(TaskId(task));
        assert_eq!((equal(&f, form), before(&f, form)), (own, own));
        let row = f.state.task(TaskId(task)).unwrap().unwrap();
        let origin = f.state.origin(TaskId(task)).unwrap().unwrap();
        assert_eq!((row.form, origin.form), (form, form));
    }
    // What takes the place of one is of its form.
    f.state.restart(&f.runset, a).unwrap();
    let pending = f.state.unfinished(&f.runset, a, TaskId(0), 9).unwrap();
    let forms: Vec<Form> = pending.iter().map(|ready| ready.form).collect();
    assert_eq!(forms, [Form::File, Form::List]);
}
