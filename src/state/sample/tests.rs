use super::*;
use crate::model::identity::Identity;
use crate::model::list::Form;
use crate::model::name::StepName;
use crate::model::task::TaskCounts;
use crate::state::{Filter, Finished, NewTask, Usable, Which};

const FINISHED: Finished = Finished {
    started: 1_000,
    elapsed: 7_000,
    worker: 0,
    cpu: None,
    peak: None,
};

struct World {
    state: State,
    runset: Runset,
}

impl World {
    fn new() -> Self {
        let mut state = State::in_memory();
        let runset = state.create_runset("r", 0).unwrap();
        Self { state, runset }
    }

    /// The version of the step `work` that has this script.
    fn version(&mut self, script: &str) -> StepId {
        let identity = Identity {
            script: script.into(),
            shell: vec!["sh".into()],
            ..Identity::default()
        };
        let known = self.state.known_steps().unwrap();
        let name = StepName::new("work").unwrap();
        let made = self
            .state
            .register(&known, &name, &identity, false, None, 0);
        made.unwrap().id
    }

    /// A finished task on this input, which left one output.
    fn done(&mut self, step: StepId, input: &str, name: &str) -> TaskId {
        let task = NewTask {
            form: Form::File,
            object: Digest::of(input.as_bytes()),
            step: Some(step),
            parent: None,
            name: Some(name),
            forced: false,
        };
        let id = self.state.insert_task(&self.runset, &task).unwrap();
        self.state
            .succeed(&self.runset, step, id, TaskState::Pending, &FINISHED)
            .unwrap();
        let output = NewTask {
            form: Form::File,
            object: Digest::of(input.to_uppercase().as_bytes()),
            step: None,
            parent: Some(id),
            name: Some("out"),
            ..task
        };
        self.state.insert_task(&self.runset, &output).unwrap();
        id
    }

    fn tally(&self, step: StepId) -> TaskCounts {
        let counts = self.state.tallies(self.runset.id).unwrap();
        counts.get(&step).copied().unwrap_or_default()
    }

    fn equal(&self, step: StepId, input: &str, runset: &str) -> Option<TaskId> {
        let usable = Usable {
            within: None,
            runset,
            elsewhere: true,
        };
        let input = Digest::of(input.as_bytes());
        let found =
            self.state
                .finished_equal(&[step], (&input, Form::File, None), None, None, usable);
        found.unwrap().map(|equal| equal.task)
    }
}

fn evidence(from: StepId, to: StepId, tainted: i64) -> Evidence {
    Evidence {
        from,
        to,
        sample: Sample {
            tasks: 2,
            tainted,
            made: 1_795_680_000_000,
        },
        unequal: 0,
        newest: TaskId(9),
    }
}

#[test]
fn the_same_tasks_are_drawn_each_time_and_one_of_each_input_first() {
    let mut world = World::new();
    let step = world.version("1");
    // Four equal ones, in the middle of others.
    for n in 0..20 {
        world.done(step, &format!("{n}"), "x");
        if n % 5 == 0 {
            world.done(step, "same", "x");
        }
    }
    let draw = |most| {
        world
            .state
            .draw(&world.runset, step, most, &|_, _| true)
            .unwrap()
    };
    assert_eq!(draw(0), []);
    let few = draw(5);
    assert_eq!(few, draw(5));
    assert_eq!(few.len(), 5);
    assert!(few.is_sorted() && few.iter().all(|task| draw(9).contains(task)));
    let inputs = |tasks: &[TaskId]| {
        let object = |task: &TaskId| world.state.task(*task).unwrap().unwrap().object;
        let all: std::collections::BTreeSet<Digest> = tasks.iter().map(object).collect();
        all.len()
    };
    assert_eq!(inputs(&draw(21)), 21);
    assert_eq!(draw(23).len(), 23);
    let all = draw(1000);
    assert_eq!((all.len(), inputs(&all)), (24, 21));
}

#[test]
fn names_count_as_well_and_what_is_not_finished_or_live_does_not() {
    let mut world = World::new();
    let step = world.version("1");
    let all = [("a", "x"), ("a", "y"), ("b", "x")].map(|(i, n)| world.done(step, i, n));
    world.state.seed(&world.runset, step).unwrap();
    assert_eq!(
        world
            .state
            .draw(&world.runset, step, 9, &|_, _| true)
            .unwrap(),
        all
    );
    let newer = world.version("2");
    world
        .state
        .migrate_tainted(&world.runset, &[newer])
        .unwrap();
    assert_eq!(
        world
            .state
            .draw(&world.runset, step, 9, &|_, _| true)
            .unwrap(),
        []
    );
}

#[test]
fn a_sample_runs_apart_under_the_numbers_of_its_tasks() {
    let mut world = World::new();
    let old = world.version("1");
    let tasks = ["a", "b", "c"].map(|input| world.done(old, input, "x"));
    let new = world.version("2");
    let drawn = [tasks[0], tasks[2]].map(|task| Drawn { task, step: new });
    let apart = world.state.apart(&world.runset, &drawn).unwrap();
    let pending = apart.unfinished(&world.runset, new, TaskId(0), 9).unwrap();
    let ids: Vec<TaskId> = pending.iter().map(|ready| ready.id).collect();
    assert_eq!(ids, [tasks[0], tasks[2]]);
    assert!(
        pending
            .iter()
            .all(|ready| ready.forced && ready.parent.is_none())
    );
    assert_eq!(pending[0].input, Digest::of(b"a"));
    assert_eq!(pending[0].name.as_deref(), Some("x"));
    let counts = apart.tallies(world.runset.id).unwrap();
    assert_eq!((counts.len(), counts[&new].pending), (1, 2));
    assert!(apart.next_task().unwrap() > tasks[2]);
    // Nothing of that is in the one that it was made from.
    assert_eq!((world.tally(old).done, world.tally(new).total()), (3, 0));
}

#[test]
fn evidence_is_replaced_and_forgotten() {
    let mut world = World::new();
    let (a, b) = (world.version("1"), world.version("2"));
    let id = world.runset.id;
    let first = evidence(a, b, 5);
    world.state.put_evidence(id, &first).unwrap();
    let second = Evidence {
        unequal: 1,
        ..evidence(a, b, 9)
    };
    world.state.put_evidence(id, &second).unwrap();
    world.state.put_evidence(id, &evidence(b, a, 9)).unwrap();
    assert_eq!(
        world.state.evidence(id).unwrap(),
        [second, evidence(b, a, 9)]
    );
    world.state.drop_evidence(id, a, b).unwrap();
    assert_eq!(world.state.evidence(id).unwrap(), [evidence(b, a, 9)]);
}

#[test]
fn accepted_tasks_stay_what_they_are_and_count_for_another_version() {
    let mut world = World::new();
    let old = world.version("1");
    let first = world.done(old, "a", "x");
    let second = world.done(old, "b", "x");
    let new = world.version("2");
    let before = world.state.task(first).unwrap().unwrap();
    assert!(before.tainted);
    let why = evidence(old, new, 2);
    world.state.put_evidence(world.runset.id, &why).unwrap();
    assert_eq!(world.state.accept(&world.runset, &why).unwrap(), 2);
    world.state.commit().unwrap();

    let after = world.state.task(first).unwrap().unwrap();
    assert!(!after.tainted && after.live);
    assert_eq!(after.step.as_ref().map(|step| step.version), Some(2));
    assert_eq!(after.made_by, Some(1));
    assert_eq!(
        (after.started, after.elapsed, after.executed, after.object),
        (
            before.started,
            before.elapsed,
            before.executed,
            before.object
        )
    );
    let acceptance = world.state.acceptance(second).unwrap().unwrap();
    assert_eq!(
        acceptance.in_words(2),
        "accepted for version 2 on a sample of 2 of 2 on 2026-11-26, made by version 1"
    );
    let all = world.state.accepted(Some(&world.runset)).unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(
        (all[0].step, all[0].count, all[0].why),
        (new, 2, acceptance)
    );
    assert_eq!((world.tally(old).total(), world.tally(new).done), (0, 2));
    assert_eq!(world.state.evidence(world.runset.id).unwrap(), []);
    world.state.connection.alter(|connection| {
        assert!(!crate::state::counts::recount(connection).unwrap());
    });
    // Nothing to be migrated, and nothing to be used again, wherever that is.
    let migrated = world.state.migrate_tainted(&world.runset, &[new]);
    assert_eq!(migrated.unwrap(), []);
    assert_eq!(world.equal(new, "a", "r"), None);
    assert_eq!(world.equal(new, "a", "other"), None);
    let own = world.done(new, "a", "x");
    assert_eq!(world.equal(new, "a", "other"), Some(own));
}

#[test]
fn a_task_that_is_accepted_twice_keeps_the_version_that_made_it() {
    let mut world = World::new();
    let first = world.version("1");
    let task = world.done(first, "a", "x");
    let second = world.version("2");
    let accept = |world: &mut World, from, to| {
        let why = evidence(from, to, 1);
        assert_eq!(world.state.accept(&world.runset, &why).unwrap(), 1);
        world.state.commit().unwrap();
        let found = world.state.acceptance(task).unwrap();
        found.map(|acceptance| acceptance.made_by_version)
    };
    assert_eq!(accept(&mut world, first, second), Some(1));
    let third = world.version("3");
    let filter = Filter {
        which: Which::Tainted,
        ..Filter::default()
    };
    let mut tainted = 0;
    let count = |_| {
        tainted += 1;
        Ok::<(), Error>(())
    };
    world.state.each_task(&filter, count).unwrap();
    assert_eq!(tainted, 1, "it is like any other");
    assert_eq!(accept(&mut world, second, third), Some(1));
    // Back where it came from it is nothing special.
    assert_eq!(accept(&mut world, third, first), None);
    assert_eq!(world.equal(first, "a", "other"), Some(task));
}

#[test]
fn what_a_version_made_is_its_own_again() {
    let mut world = World::new();
    let first = world.version("1");
    let tasks = ["a", "b"].map(|input| world.done(first, input, "x"));
    let second = world.version("2");
    let own = world.done(second, "c", "x");
    let why = evidence(first, second, 2);
    world.state.accept(&world.runset, &why).unwrap();
    let back = |world: &mut World, to| {
        let given = world.state.give_back(&world.runset, &[to]).unwrap();
        world.state.commit().unwrap();
        given
    };
    assert_eq!(back(&mut world, second), []);
    let third = world.version("3");
    assert_eq!(back(&mut world, third), []);
    assert_eq!(world.version("1"), first);
    assert_eq!(back(&mut world, first), [(first, 2)]);
    assert_eq!(back(&mut world, first), []);
    assert_eq!((world.tally(first).done, world.tally(second).done), (2, 1));
    assert_eq!(world.state.acceptance(tasks[0]).unwrap(), None);
    assert_eq!(world.equal(first, "b", "other"), Some(tasks[1]));
    assert_eq!(world.equal(second, "c", "other"), Some(own));
}
