use super::super::{Finished, NewTask, Runset, State};
use super::*;
use crate::model::identity::Identity;
use crate::model::name::StepName;
use crate::model::task::TaskState;

/// A step whose tasks are all equal.
struct World {
    state: State,
    step: StepId,
    equal: Vec<StepId>,
}

fn world() -> World {
    let mut state = State::in_memory();
    let known = state.known_steps().unwrap();
    let name = StepName::new("a").unwrap();
    let made = state.register(&known, &name, &Identity::default(), true, None, 0);
    let made = made.unwrap();
    World {
        state,
        step: made.id,
        equal: made.equal,
    }
}

impl World {
    fn runset(&mut self, name: &str) -> Runset {
        self.state.create_runset(name, 0).unwrap()
    }

    fn add(&mut self, runset: &Runset) -> TaskId {
        let task = NewTask {
            form: Form::File,
            object: Digest::EMPTY,
            step: Some(self.step),
            parent: None,
            name: Some("x"),
            forced: false,
        };
        self.state.insert_task(runset, &task).unwrap()
    }

    /// Its execution ends at that time.
    fn executes(&mut self, runset: &Runset, task: TaskId, at: i64) {
        let finished = Finished {
            started: at - 2,
            elapsed: 2000,
            worker: 0,
            cpu: None,
            peak: None,
        };
        let (step, from) = (self.step, TaskState::Pending);
        self.state
            .succeed(runset, step, task, from, &finished)
            .unwrap();
    }

    fn reuses(&mut self, runset: &Runset, task: TaskId, usable: Usable) {
        let source = self.find(usable).unwrap();
        let (step, from) = (self.step, TaskState::Pending);
        self.state.reuse(runset, step, task, from, &source).unwrap();
    }

    fn find(&self, usable: Usable) -> Option<Equal> {
        let equal = &self.equal;
        let found = self.state.finished_equal(
            equal,
            (&Digest::EMPTY, Form::File, None),
            None,
            None,
            usable,
        );
        found.unwrap()
    }
}

fn usable(since: Option<i64>, runset: &str, elsewhere: bool) -> Usable<'_> {
    Usable {
        within: since.map(|since| (since, 1_000)),
        runset,
        elsewhere,
    }
}

#[test]
fn the_last_execution_is_taken_whichever_row_it_has() {
    let mut world = world();
    let one = world.runset("one");
    let [first, second, third] = [(); 3].map(|()| world.add(&one));
    let any = usable(None, "one", true);
    assert_eq!(world.find(any), None);
    world.executes(&one, second, 100);
    world.executes(&one, first, 200);
    let newest = Equal {
        task: first,
        made_by: first,
        executed: Some(200),
    };
    assert_eq!(world.find(any), Some(newest));
    // Who takes it over is as old as what it took, and says who was executed.
    world.reuses(&one, third, any);
    let taken = world.state.task(third).unwrap().unwrap();
    assert_eq!(
        (taken.reused_from, taken.executed),
        (Some(first), Some(200))
    );
    assert_eq!(world.find(any).unwrap().made_by, first);
    let of_none =
        world
            .state
            .finished_equal(&[], (&Digest::EMPTY, Form::File, None), None, None, any);
    assert_eq!(of_none.unwrap(), None);
}

#[test]
fn neither_age_nor_runset_is_passed_on_by_reuse() {
    let mut world = world();
    let (one, two) = (world.runset("one"), world.runset("two"));
    let made = world.add(&one);
    world.executes(&one, made, 100);
    let taken = world.add(&two);
    world.reuses(&two, taken, usable(Some(100), "two", true));
    for since in [101, i64::MAX] {
        assert_eq!(world.find(usable(Some(since), "two", true)), None);
    }
    // One that was made when the clock was ahead would be young for ever.
    let ahead = Usable {
        within: Some((0, 99)),
        ..usable(None, "two", true)
    };
    assert_eq!(world.find(ahead), None);
    let found = world.find(usable(Some(100), "two", true)).unwrap();
    assert_eq!((found.made_by, found.executed), (made, Some(100)));
    // In its own runset there is one now; in a third there is none.
    let found = world.find(usable(None, "two", false)).unwrap();
    assert_eq!((found.task, found.made_by), (taken, made));
    assert_eq!(world.find(usable(None, "three", false)), None);
}

#[test]
fn what_has_no_age_is_older_than_any() {
    let mut world = world();
    let one = world.runset("one");
    let [unknown, known] = [(); 2].map(|()| world.add(&one));
    world.executes(&one, unknown, 100);
    let forget = "UPDATE task SET executed = NULL, started = NULL";
    world
        .state
        .reader
        .connection
        .write("test", forget, ())
        .unwrap();
    assert_eq!(world.find(usable(Some(i64::MIN), "one", true)), None);
    let found = world.find(usable(None, "one", true)).unwrap();
    assert_eq!((found.task, found.executed), (unknown, None));
    world.executes(&one, known, 0);
    assert_eq!(world.find(usable(None, "one", true)).unwrap().task, known);
}

#[test]
fn the_search_goes_by_the_index() {
    let world = world();
    let mut query = world
        .state
        .connection
        .prepare(&format!("EXPLAIN QUERY PLAN {EQUAL}"))
        .unwrap();
    let mut rows = query.raw_query();
    let mut plan = String::new();
    while let Some(row) = rows.next().unwrap() {
        plan = format!("{plan}{}\n", row.get::<_, String>(3).unwrap());
    }
    for part in [
        "idx_task_step (step_id=? AND <expr>=?)",
        "SEARCH accepted USING INTEGER PRIMARY KEY",
    ] {
        assert!(plan.contains(part), "{plan}");
    }
    assert!(!plan.contains("TEMP B-TREE"), "it sorts: {plan}");
    assert!(!plan.contains("SCAN"), "{plan}");
}
