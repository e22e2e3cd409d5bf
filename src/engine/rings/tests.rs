//! Runs in memory, without processes: the state and the engine are the real ones.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use tempfile::TempDir;

use super::super::{
    Job, Outcome, Output, Reply, ReuseRule, ReuseScope, Scheduler, Settings, StepPlan, Turn,
};
use super::arrows;
use crate::exec::fake::ended;
use crate::exec::tests::world::in_memory;
use crate::model::digest::Digest;
use crate::model::identity::Identity;
use crate::model::list::Form;
use crate::model::name::StepName;
use crate::model::resources::{Resources, Supply};
use crate::model::route::Router;
use crate::model::task::TaskId;
use crate::model::task::TaskState;
use crate::state::{Filter, Runset, State, Which};
use crate::store::Store;

/// All that files can hold; the first is what a start task works on.
const CONTENTS: [&str; 3] = ["", "one", "two"];
/// More tasks than any world here has, if rings end.
const MANY: usize = 50_000;

/// What a script leaves: under a name that begins with a letter or another, for a step or none.
#[derive(Debug, Clone)]
struct Left {
    letter: bool,
    to: usize,
    content: usize,
}

impl Left {
    /// A step that there is none of: the output is final.
    fn name(&self, steps: usize) -> String {
        let letter = if self.letter { "p" } else { "q" };
        if self.to < steps {
            format!("{letter}_s{}", self.to)
        } else {
            format!("{letter}.end")
        }
    }
}

/// A step's script: what it leaves for each content, and for each letter if it reads the name.
#[derive(Debug, Clone)]
struct Script {
    reuse_rule: ReuseRule,
    rounds: u32,
    leaves: [[Vec<Left>; CONTENTS.len()]; 2],
}

impl Script {
    fn leaves(&self, name: Option<&str>, content: usize) -> &[Left] {
        let by_name = self.reuse_rule == ReuseRule::ContentAndName
            && name.is_some_and(|n| n.starts_with('p'));
        &self.leaves[usize::from(by_name)][content]
    }
}

type World = Vec<Script>;

fn worlds() -> impl Strategy<Value = World> {
    let left =
        (any::<bool>(), 0..5_usize, 0..CONTENTS.len()).prop_map(|(letter, to, content)| Left {
            letter,
            to,
            content,
        });
    let some = move || proptest::collection::vec(left.clone(), 0..3);
    let reuse_rule = prop_oneof![
        1 => Just(ReuseRule::Never),
        4 => Just(ReuseRule::Content),
        2 => Just(ReuseRule::ContentAndName),
    ];
    let leaves = [[some(), some(), some()], [some(), some(), some()]];
    let script = (reuse_rule, 1..4_u32, leaves).prop_map(|(reuse_rule, rounds, leaves)| Script {
        reuse_rule,
        rounds,
        leaves,
    });
    proptest::collection::vec(script, 1..4)
}

/// A task's way from the start: its step, its input's name and content, after those of all above.
type Way = Vec<(usize, Option<String>, usize)>;

/// Every task that a run of the world has, with whether it goes round: by asking all ancestors.
fn expected(world: &World) -> Vec<(Way, bool)> {
    let mut all = Vec::new();
    let mut todo: Vec<Way> = vec![vec![(0, None, 0)]];
    while let Some(way) = todo.pop() {
        let (own, above) = way.split_last().unwrap();
        let (step, name, content) = own;
        let script = &world[*step];
        let equal = |(s, n, c): &(usize, Option<String>, usize)| match script.reuse_rule {
            ReuseRule::Never => false,
            ReuseRule::Content => (s, c) == (step, content),
            ReuseRule::ContentAndName => (s, n, c) == (step, name, content),
        };
        let rounds = above.iter().filter(|one| one.0 == *step).count();
        let goes_round = !above.is_empty()
            && (above.iter().any(equal) || rounds >= usize::try_from(script.rounds).unwrap());
        if !goes_round {
            for left in script.leaves(name.as_deref(), *content) {
                if left.to < world.len() {
                    let next = (left.to, Some(left.name(world.len())), left.content);
                    todo.push([&way[..], &[next]].concat());
                }
            }
        }
        all.push((way, goes_round));
        assert!(all.len() < MANY, "too large a world for this test");
    }
    all.sort();
    all
}

/// A pipeline of a world, with its state.
struct Run {
    state: State,
    steps: Vec<Arc<StepPlan>>,
    router: Router,
}

static STORE: LazyLock<(TempDir, Store)> = LazyLock::new(|| {
    let folder = in_memory();
    let store = Store::open(&folder.path().join("objects"), folder.path()).unwrap();
    for content in CONTENTS {
        store.insert_bytes(content.as_bytes()).unwrap();
    }
    (folder, store)
});

impl Run {
    fn new(world: &World) -> Self {
        let mut run = Self {
            state: State::in_memory(),
            steps: Vec::new(),
            router: Router::new((0..world.len()).map(name)),
        };
        run.register(world, 0);
        run
    }

    /// The steps, in version `version`.
    fn register(&mut self, world: &World, version: usize) {
        let known = self.state.known_steps().unwrap();
        let runnable = |(queue, script): (usize, &Script)| {
            let identity = identity(version);
            let made = self
                .state
                .register(&known, &name(queue), &identity, queue == 0, None, 0)
                .unwrap();
            Arc::new(StepPlan {
                steady: true,
                folders: false,
                checkpoint: crate::model::checkpoint::Checkpoint::No,
                queue,
                name: name(queue),
                id: made.id,
                equal: self.state.equal_versions(made.id).unwrap(),
                version: made.version,
                reuse_rule: script.reuse_rule,
                scope: ReuseScope::Any,
                outputs: None,
                parallel: None,
                resources: Resources::default(),
                place: None,
                retries: 0,
                pauses: crate::model::retry::Pauses::from(std::time::Duration::ZERO),
                rounds: script.rounds,
                gather: None,
                partial: false,
                empty: false,
                reads_key: false,
                lacks: Box::default(),
                share: None,
                from: Vec::new(),
                with: Vec::new(),
                each: false,
            })
        };
        self.steps = world.iter().enumerate().map(runnable).collect();
    }

    fn fresh(&mut self) -> Runset {
        let runset = self.state.create_runset("r", 0).unwrap();
        self.state.seed(&runset, self.steps[0].id).unwrap();
        runset
    }

    /// Runs what is pending, or only until some tasks have ended. Which of the running tasks ends next
    /// is up to `dice`.
    fn run(&mut self, world: &World, runset: &Runset, dice: &[u8], most: usize) {
        let mut listener = |_: &crate::model::event::Event| {};
        let mut scheduler = Scheduler::new(
            &mut self.state,
            &STORE.1,
            &self.steps,
            &self.router,
            runset,
            Settings {
                parallel: 1 + dice.len() % 3,
                fail_fast: false,
                supply: Supply::default(),
                places: 0,
            },
            &mut listener,
        )
        .unwrap();
        let now = std::time::Instant::now();
        let mut running: Vec<Box<Job>> = Vec::new();
        let mut reply = None;
        let mut ends = 0;
        let mut turns = 0;
        loop {
            turns += 1;
            assert!(turns < MANY, "no end");
            match scheduler.turn(now, reply.take()).unwrap() {
                Turn::Do(job) => running.push(job),
                Turn::Again => {}
                Turn::Record(recording) => reply = Some(Reply::Recording(recording)),
                Turn::Examine(_) => panic!("no content here is large"),
                Turn::Over => break,
                Turn::Wait if ends == most => break,
                Turn::Wait => {
                    let one = usize::from(dice[ends % dice.len()]) % running.len();
                    let job = running.swap_remove(one);
                    reply = Some(Reply::Ended(ended(&job, execute(world, &job))));
                    ends += 1;
                }
            }
        }
        drop(scheduler);
        self.state.commit().unwrap();
    }

    /// The tasks of the runset with whether they failed.
    fn recorded(&self, runset: &Runset) -> Vec<(Way, bool)> {
        let mut ways: BTreeMap<TaskId, Way> = BTreeMap::new();
        let mut all = Vec::new();
        let filter = Filter {
            runset: Some(&runset.name),
            which: Which::Live,
            ..Filter::default()
        };
        let done: Result<(), crate::state::Error> = self.state.each_task(&filter, |row| {
            let mut way = match row.parent {
                Some(parent) => ways[&parent].clone(),
                None => Vec::new(),
            };
            let step = &row.step.as_ref().unwrap().name;
            let of = |digest| {
                let digests = CONTENTS.map(|content| Digest::of(content.as_bytes()));
                digests.iter().position(|one| *one == digest).unwrap()
            };
            way.push((
                step[1..].parse().unwrap(),
                row.name.map(String::from),
                of(row.object),
            ));
            ways.insert(row.id, way.clone());
            assert_ne!(row.state, TaskState::Pending);
            all.push((way, row.state == TaskState::Failed));
            Ok(())
        });
        done.unwrap();
        all.sort();
        all
    }
}

fn name(queue: usize) -> StepName {
    StepName::new(&format!("s{queue}")).unwrap()
}

fn identity(version: usize) -> Identity {
    Identity {
        script: version.to_string(),
        shell: vec!["sh".into()],
        ..Identity::default()
    }
}

fn execute(world: &World, job: &Job) -> Outcome {
    let script = &world[job.step.queue];
    let content = |content: &str| Digest::of(content.as_bytes());
    let input = CONTENTS
        .iter()
        .position(|one| content(one) == job.ready.input)
        .unwrap();
    let outputs = script.leaves(job.ready.name.as_deref(), input).iter();
    let outputs = outputs.map(|left| Output {
        form: Form::File,
        name: left.name(world.len()).into(),
        digest: content(CONTENTS[left.content]),
    });
    Outcome::Success(outputs.collect::<Vec<_>>().into())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A run, another over its results, one that starts in the middle, one after an interrupt, and
    /// one of other versions of the steps.
    #[test]
    fn every_ring_ends_where_all_ancestors_say_so(
        world in worlds(),
        dice in proptest::collection::vec(any::<u8>(), 1..9),
        interrupt in 0..12_usize,
    ) {
        let expected = expected(&world);
        let mut run = Run::new(&world);
        let first = run.fresh();
        run.run(&world, &first, &dice, interrupt);
        run.run(&world, &first, &dice, MANY);
        prop_assert_eq!(&run.recorded(&first), &expected);
        // What failed fails again.
        run.run(&world, &first, &dice, MANY);
        prop_assert_eq!(&run.recorded(&first), &expected);

        let second = run.fresh();
        run.run(&world, &second, &dice, MANY);
        prop_assert_eq!(&run.recorded(&second), &expected);

        let middle = run.steps[interrupt % run.steps.len()].id;
        run.state.restart(&first, middle).unwrap();
        run.run(&world, &first, &dice, MANY);
        prop_assert_eq!(&run.recorded(&first), &expected);

        run.register(&world, 1);
        let ids: Vec<_> = run.steps.iter().map(|step| step.id).collect();
        run.state.migrate_tainted(&first, &ids).unwrap();
        run.state.update_unfinished(&first, &ids).unwrap();
        run.run(&world, &first, &dice, interrupt);
        run.run(&world, &first, &dice, MANY);
        prop_assert_eq!(&run.recorded(&first), &expected);
    }
}

#[test]
fn of_a_long_ring_the_ends_are_shown() {
    let names: Vec<String> = (0..20).map(|n| format!("s{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(arrows(&names[..2]), "s0 → s1");
    assert_eq!(
        arrows(&names),
        "s0 → s1 → s2 → s3 → … 12 more … → s16 → s17 → s18 → s19"
    );
}
