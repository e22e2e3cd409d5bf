use std::time::Duration;

use super::*;

#[test]
fn what_is_usual_is_known_of_tasks_that_succeeded_here() {
    let mut fixture = Fixture::new();
    let work = StepName::new("work").unwrap();
    let usual = |fixture: &Fixture| {
        let usual = fixture.state.usual_times([&work].into_iter()).unwrap();
        usual.get(&work).copied()
    };
    assert_eq!(usual(&fixture), None);
    let start = fixture.step("start", "x");
    let root = fixture
        .state
        .insert_task(
            &fixture.runset,
            &NewTask {
                form: Form::File,
                object: Digest::of(b""),
                step: Some(start),
                parent: None,
                name: None,
                forced: false,
            },
        )
        .unwrap();
    fixture.done(start, root);
    let old = fixture.step("work", "old");
    for elapsed in [5, 9, 70] {
        let task = fixture.child(root, &format!("old{elapsed}"), Some(old));
        let finished = Finished {
            elapsed,
            ..FINISHED
        };
        fixture
            .state
            .succeed(&fixture.runset, old, task, TaskState::Pending, &finished)
            .unwrap();
    }
    // It is still to be done.
    fixture.child(root, "pending", Some(old));
    fixture.state.commit().unwrap();
    assert_eq!(usual(&fixture), Some((Duration::from_micros(9), 3)));
    // Of a new version nothing is known but what the one before took.
    let new = fixture.step("work", "new");
    fixture.state.commit().unwrap();
    assert_eq!(usual(&fixture), Some((Duration::from_micros(9), 3)));
    for number in 0..4 {
        let task = fixture.child(root, &format!("new{number}"), Some(new));
        fixture.done(new, task);
    }
    fixture.state.commit().unwrap();
    assert_eq!(usual(&fixture), Some((Duration::from_micros(7), 7)));
}
