use super::super::{Finished, NewTask};
use super::*;
use crate::model::identity::Identity;
use crate::model::list::Form;
use crate::model::task::TaskState;

/// A start task of `a` that left `x_b`, `x_c` and `end`.
struct World {
    state: State,
    runset: Runset,
    start: TaskId,
    names: Vec<StepName>,
}

const FINISHED: Finished = Finished {
    started: 0,
    elapsed: 5,
    worker: 0,
    cpu: None,
    peak: None,
};

fn world(names: &[&str]) -> World {
    let mut state = State::in_memory();
    let runset = state.create_runset("r", 0).unwrap();
    let mut world = World {
        state,
        runset,
        start: TaskId(0),
        names: Vec::new(),
    };
    world.steps_are(names);
    let a = world.step("a").unwrap();
    world.start = world.state.seed(&world.runset, a).unwrap();
    world.succeeds(a, world.start);
    for name in ["x_b", "x_c", "end"] {
        world.add(name);
    }
    let sign = sign(world.names.iter());
    let runset = world.runset.clone();
    world.state.set_routed_by(&runset, Some(&sign)).unwrap();
    world
}

impl World {
    /// From now on.
    fn steps_are(&mut self, names: &[&str]) {
        let known = self.state.known_steps().unwrap();
        self.names = names
            .iter()
            .map(|name| StepName::new(name).unwrap())
            .collect();
        for name in &self.names {
            let identity = Identity::default();
            let made = self.state.register(&known, name, &identity, false, None, 0);
            made.unwrap();
        }
    }

    fn step(&self, name: &str) -> Option<StepId> {
        let name = self.names.iter().find(|known| known.as_str() == name)?;
        let current = self.state.current_version(name.as_str()).unwrap();
        current.map(|version| version.id)
    }

    fn succeeds(&mut self, step: StepId, task: TaskId) {
        let runset = self.runset.clone();
        self.state
            .succeed(&runset, step, task, TaskState::Pending, &FINISHED)
            .unwrap();
    }

    fn router(&self) -> Router {
        Router::new(self.names.iter().cloned())
    }

    fn add(&mut self, name: &str) -> TaskId {
        let step = self.router().route(name).map(ToString::to_string);
        let step = step.and_then(|step| self.step(&step));
        let task = NewTask {
            form: Form::File,
            object: Digest::of(name.as_bytes()),
            step,
            parent: Some(self.start),
            name: Some(name),
            forced: false,
        };
        let runset = self.runset.clone();
        self.state.insert_task(&runset, &task).unwrap()
    }

    fn astray(&self) -> Vec<Astray> {
        let ids: HashMap<&StepName, StepId> = self
            .names
            .iter()
            .map(|name| (name, self.step(name.as_str()).unwrap()))
            .collect();
        let sign = sign(self.names.iter());
        self.state
            .astray(&self.runset, &self.router(), &ids, &sign)
            .unwrap()
    }

    fn migrate(&mut self) -> (Vec<(StepId, i64)>, Vec<String>) {
        let astray = self.astray();
        let current: Vec<StepId> = self
            .names
            .iter()
            .filter_map(|name| self.step(name.as_str()))
            .collect();
        let runset = self.runset.clone();
        let migrated = self.state.migrate(&runset, &current, &astray).unwrap();
        let sign = sign(self.names.iter());
        self.state.set_routed_by(&runset, Some(&sign)).unwrap();
        self.state.commit().unwrap();
        self.state.connection.alter(|connection| {
            assert!(!crate::state::counts::recount(connection).unwrap());
        });
        (migrated.tainted, in_words(&migrated.rerouted))
    }

    /// The live outputs of the start task with their steps.
    fn live(&self) -> Vec<String> {
        let rows = self.state.children(self.start, false).unwrap();
        let mut all: Vec<String> = rows
            .into_iter()
            .map(|row| {
                let step = row.step.map(|step| step.name.to_string());
                let name = row.name.as_deref().unwrap_or_default().to_owned();
                format!("{name} {} {:?}", step.unwrap_or_default(), row.state)
            })
            .collect();
        all.sort();
        all
    }

    fn outputs(&self) -> Vec<String> {
        let mut all = Vec::new();
        self.state
            .each_output(self.start, |name, _, _| all.push(name.unwrap().to_string()))
            .unwrap();
        all
    }
}

fn in_words(rerouted: &[Rerouted]) -> Vec<String> {
    let name = |step: &Option<StepName>| step.as_ref().map_or("-", StepName::as_str).to_owned();
    let words = |one: &Rerouted| format!("{} {}>{}", one.count, name(&one.from), name(&one.to));
    rerouted.iter().map(words).collect()
}

#[test]
fn each_way_that_an_output_can_go_elsewhere() {
    for (before, after, ways, live) in [
        (
            &["a", "b"] as &[&str],
            &["a", "b", "c"] as &[&str],
            &["1 ->c"] as &[&str],
            ["end  Done", "x_b b Pending", "x_c c Pending"],
        ),
        (
            &["a", "b", "c"],
            &["a", "b"],
            &["1 c>-"],
            ["end  Done", "x_b b Pending", "x_c  Done"],
        ),
        (
            &["a", "b"],
            &["a", "b", "x_b"],
            &["1 b>x_b"],
            ["end  Done", "x_b x_b Pending", "x_c  Done"],
        ),
        (
            &["a", "b", "end"],
            &["a", "c"],
            &["1 b>-", "1 ->c", "1 end>-"],
            ["end  Done", "x_b  Done", "x_c c Pending"],
        ),
    ] {
        let mut world = world(before);
        assert_eq!(world.astray(), []);
        world.steps_are(after);
        let astray = world.astray();
        assert_eq!(in_words(&world.state.rerouted(&astray).unwrap()), ways);
        let (router, sign) = (world.router(), sign(world.names.iter()));
        let told = world.state.would_be_rerouted(&world.runset, &router, &sign);
        assert_eq!(in_words(&told.unwrap()), ways);
        let (tainted, mut rerouted) = world.migrate();
        rerouted.sort();
        let mut ways = ways.to_vec();
        ways.sort_unstable();
        assert_eq!(
            (tainted, rerouted),
            (vec![], ways.iter().map(|way| (*way).to_owned()).collect())
        );
        assert_eq!(world.live(), live);
        assert_eq!(world.outputs(), ["x_b", "x_c", "end"], "each once");
        // And back.
        world.steps_are(before);
        let back = world.migrate().1.len();
        assert_eq!(back, ways.len());
        assert_eq!(world.outputs(), ["x_b", "x_c", "end"]);
        assert_eq!(world.migrate(), (vec![], vec![]));
    }
}

#[test]
fn what_came_of_it_is_dead_with_it() {
    let mut world = world(&["a", "b"]);
    let b = world.step("b").unwrap();
    let task = world
        .state
        .unfinished(&world.runset, b, TaskId(0), 9)
        .unwrap()[0]
        .id;
    world.succeeds(b, task);
    let top = std::mem::replace(&mut world.start, task);
    let below = world.add("y_c");
    world.start = top;
    world.steps_are(&["a", "c"]);
    assert_eq!(world.astray().len(), 3);
    let (_, rerouted) = world.migrate();
    assert_eq!(rerouted, ["1 b>-", "1 ->c"]);
    assert!(!world.state.task(below).unwrap().unwrap().live);
    let new = world.state.superseded_by(task).unwrap().unwrap();
    assert_eq!(world.state.task(new).unwrap().unwrap().step, None);
}

#[test]
fn nobody_looks_as_long_as_the_names_are_the_same() {
    let mut world = world(&["a", "b"]);
    // Had anybody looked, this would have been seen.
    let step = "UPDATE task SET step_id = NULL, processed = 1 WHERE name = 'x_b'";
    world
        .state
        .reader
        .connection
        .write("test", step, ())
        .unwrap();
    assert_eq!(world.astray(), []);
    world.steps_are(&["b", "a"]);
    assert_eq!(world.astray(), [], "in whatever order");
    let runset = world.runset.clone();
    world.state.set_routed_by(&runset, None).unwrap();
    assert_eq!(world.astray().len(), 1);
    let nameless = "UPDATE task SET name = NULL WHERE name = 'x_b'";
    world
        .state
        .reader
        .connection
        .write("test", nameless, ())
        .unwrap();
    assert_eq!(
        world.astray(),
        [],
        "the first implementation recorded no names"
    );
}
