//! All of it in memory: the owner's part as it is, with workers, machines and connections that are made up, of which
//! anything may go wrong at any moment. A *history* follows from its seed alone, and takes no time but that of its
//! clock, which somebody moves.
//!
//! What must hold, whatever happens: each task ends once, and as it has to; nothing is left in anybody's hand; what
//! workers lose has a budget of its own, which nobody pays for another one; what comes back is what was hashed.

mod connection;
mod owner;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::Posted;
use super::book::{BAD, LOSSES};
use crate::engine::Outcome;
use crate::exec::tests::world::{World, step};
use crate::model::digest::Digest;
use crate::wire::message::{StepSpec, Terms};
use owner::{Life, Over};

/// Where what happens next comes from.
struct Luck(u64);

impl Luck {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most.max(1) as u64).unwrap_or(0)
    }

    /// True one time in `of`.
    fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }
}

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nature {
    /// It leaves so many files.
    Leaves(usize),
    Fails,
    /// It ends its worker.
    Kills,
}

/// What may happen besides what has to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Harm {
    /// Anything.
    All,
    /// Tasks end their workers.
    Tasks,
    /// All that begins on one machine ends its worker.
    Machine,
}

/// All that follows from the seed, and what has come of it.
struct History {
    seed: u64,
    luck: Luck,
    harm: Harm,
    natures: Vec<Nature>,
    /// Of the machines, and where workers are started.
    nodes: usize,
    stations: usize,
    slots: u64,
    /// Nothing more goes wrong.
    calm: bool,
    /// How much may still go wrong.
    faults: usize,
    frozen: BTreeSet<usize>,
    now: Instant,
    /// What came of tasks.
    recorded: BTreeMap<i64, Ended>,
    /// What the run was told of a task's trees, the last one.
    kept: BTreeMap<i64, Digest>,
    /// Of this life of the owner: workers that ended a task with them, that a task was lost with, and that were lost
    /// on a machine.
    killed: BTreeMap<i64, u32>,
    lost: BTreeMap<i64, u32>,
    lost_on: BTreeMap<usize, u32>,
    /// Tasks that are recorded as lost with their workers, and told to be.
    losses: usize,
    told: usize,
    done: Tally,
}

/// How a task ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Well,
    Failed,
    Lost,
}

/// What histories had in them: that they are worth something.
#[derive(Debug, Default)]
struct Tally {
    losses: usize,
    failed_as_lost: usize,
    left_out: usize,
    refused: usize,
    lives: usize,
    unable: usize,
    given_back: usize,
    silent: usize,
    twice: usize,
    rounds: usize,
}

const SILENCE: Duration = Duration::from_secs(30);
/// How often something happens until nothing more goes wrong, and until all has to be over.
const STIRRED: usize = 400;
const MOST: usize = 20_000;

/// What is the same in all histories.
struct Scenery {
    world: World,
    steps: Vec<Option<Posted>>,
    terms: Terms,
}

impl Scenery {
    fn new() -> Self {
        let spec = |units| StepSpec {
            name: format!("s{units}"),
            version: 1,
            units,
            ..super::trial::step()
        };
        let posted = |units| {
            Some(Posted {
                place: 0,
                spec: spec(units),
                secrets: Vec::new(),
            })
        };
        Self {
            world: World::new([step("one"), step("two")]),
            steps: vec![posted(1), posted(2)],
            terms: Terms {
                silence: u64::try_from(SILENCE.as_millis()).unwrap(),
                grace: 1000,
                live: false,
                memory: false,
                keep: false,
                meeting: None,
                nix_cache: None,
            },
        }
    }
}

impl History {
    fn new(seed: u64) -> Self {
        let mut luck = Luck(seed);
        let harm = match luck.below(4) {
            0 => Harm::Tasks,
            1 => Harm::Machine,
            _ => Harm::All,
        };
        let tasks = 1 + luck.below(8);
        let nature = |luck: &mut Luck| match luck.below(8) {
            0 => Nature::Fails,
            1 if harm != Harm::Machine => Nature::Kills,
            _ => Nature::Leaves(luck.below(3)),
        };
        let nodes = 1 + luck.below(3) + usize::from(harm == Harm::Machine);
        Self {
            seed,
            harm,
            natures: (0..tasks).map(|_| nature(&mut luck)).collect(),
            nodes,
            // Where one is bad, workers come to others, too.
            stations: nodes + luck.below(2),
            slots: 1 + luck.next() % 3,
            calm: false,
            faults: match harm {
                Harm::All => luck.below(12),
                Harm::Tasks | Harm::Machine => 0,
            },
            luck,
            frozen: BTreeSet::new(),
            now: Instant::now(),
            recorded: BTreeMap::new(),
            kept: BTreeMap::new(),
            killed: BTreeMap::new(),
            lost: BTreeMap::new(),
            lost_on: BTreeMap::new(),
            losses: 0,
            told: 0,
            done: Tally::default(),
        }
    }

    /// Whether something goes wrong, one time in `of`.
    fn goes_wrong(&mut self, of: usize) -> bool {
        let wrong = !self.calm && self.faults > 0 && self.luck.one_in(of);
        self.faults -= usize::from(wrong);
        wrong
    }

    fn nature(&self, task: i64) -> Nature {
        self.natures[usize::try_from(task).unwrap()]
    }

    /// The bytes of a file that a task leaves.
    fn content(&self, task: i64, number: usize) -> Vec<u8> {
        format!("{} {task} {number}", self.seed).into_bytes()
    }

    fn input(&self, task: i64) -> Vec<u8> {
        // Some are the same.
        format!("{} input {}", self.seed, task % 3).into_bytes()
    }

    fn outputs(&self, task: i64) -> Vec<(String, Digest)> {
        let Nature::Leaves(files) = self.nature(task) else {
            return Vec::new();
        };
        let file = |number| {
            let digest = Digest::of(&self.content(task, number));
            (format!("{task}.{number}"), digest)
        };
        (0..files).map(file).collect()
    }

    /// Goes through all of it.
    fn pass(&mut self, scenery: &Scenery) {
        for task in 0..self.natures.len() {
            let input = self.input(i64::try_from(task).unwrap());
            scenery.world.store.insert_bytes(&input).unwrap();
        }
        for _ in 0..100 {
            self.done.lives += 1;
            self.killed.clear();
            self.lost.clear();
            self.lost_on.clear();
            if Life::pass(self, scenery) == Over::All {
                break;
            }
        }
        let tasks = i64::try_from(self.natures.len()).unwrap();
        let missing = (0..tasks).filter(|task| !self.recorded.contains_key(task));
        assert_eq!(missing.collect::<Vec<_>>(), Vec::<i64>::new());
    }

    /// A task ended for the run.
    fn record(&mut self, task: i64, outcome: Outcome) {
        let nature = self.nature(task);
        let ended = match outcome {
            Outcome::Success(outputs) => {
                let outputs = outputs.map(Result::unwrap);
                let outputs = outputs.map(|output| (output.name.into_string(), output.digest));
                assert_eq!(outputs.collect::<Vec<_>>(), self.outputs(task), "#{task}");
                assert!(matches!(nature, Nature::Leaves(_)), "#{task}: {nature:?}");
                Ended::Well
            }
            Outcome::Failure(why) if why.starts_with("lost: ") => {
                let lost = self.lost.get(&task).copied().unwrap_or(0);
                assert!(lost >= LOSSES, "#{task} was lost {lost} times: {why}");
                let is_innocent = self.harm == Harm::Tasks && nature != Nature::Kills;
                assert!(
                    !is_innocent,
                    "#{task} paid for others ({:?}): {why}",
                    self.harm
                );
                self.done.failed_as_lost += 1;
                Ended::Lost
            }
            Outcome::Failure(why) => {
                assert_eq!((nature, &*why), (Nature::Fails, "no luck"), "#{task}");
                Ended::Failed
            }
            other => panic!("#{task}: {other:?}"),
        };
        let before = self.recorded.insert(task, ended);
        assert_eq!(before, None, "#{task} is recorded twice");
    }

    /// A task ended its worker.
    fn kills(&mut self, task: i64) {
        let killed = self.killed.entry(task).or_default();
        *killed += 1;
        let killed = *killed;
        // Where its last words get lost, what a worker had begun is not known.
        if self.nature(task) == Nature::Kills && self.harm != Harm::All {
            assert!(killed <= LOSSES, "#{task} ended {killed} workers");
        }
    }

    /// A machine gets nothing more.
    fn is_left_out(&mut self, node: usize) {
        let lost = self.lost_on.get(&node).copied().unwrap_or(0);
        assert!(lost >= BAD, "machine {node} lost only {lost}");
        self.done.left_out += 1;
    }
}

impl Tally {
    fn add(&mut self, other: &Self) {
        for (all, more) in [
            (&mut self.losses, other.losses),
            (&mut self.failed_as_lost, other.failed_as_lost),
            (&mut self.left_out, other.left_out),
            (&mut self.refused, other.refused),
            (&mut self.lives, other.lives),
            (&mut self.unable, other.unable),
            (&mut self.given_back, other.given_back),
            (&mut self.silent, other.silent),
            (&mut self.twice, other.twice),
            (&mut self.rounds, other.rounds),
        ] {
            *all += more;
        }
    }
}

/// Goes through the histories of these seeds.
fn explore(seeds: impl Iterator<Item = u64>) -> Tally {
    let mut all = Tally::default();
    let mut scenery = Scenery::new();
    for (count, seed) in seeds.enumerate() {
        if count % 20_000 == 19_999 {
            // What they leave is not kept for ever.
            scenery = Scenery::new();
        }
        let mut history = History::new(seed);
        let passed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            history.pass(&scenery);
        }));
        if let Err(why) = passed {
            println!("history {seed}");
            std::panic::resume_unwind(why);
        }
        all.add(&history.done);
    }
    all
}

#[test]
fn whatever_happens_each_task_ends_once_as_it_has_to() {
    // Many more are among the tests that take minutes.
    let seeds = std::env::var("TASK_PIPELINE_TESTS_HISTORIES");
    let seeds = seeds.map_or(150, |seeds| seeds.parse().unwrap());
    let began = Instant::now();
    let from = std::env::var("TASK_PIPELINE_TESTS_HISTORY");
    let from = from.map_or(0, |from| from.parse().unwrap());
    let all = explore(from..from + seeds);
    println!("{seeds} histories, {:?}: {all:?}", began.elapsed());
    if seeds < 150 {
        // One that is looked into.
        return;
    }
    // It is not all idle.
    for count in [
        all.losses,
        all.failed_as_lost,
        all.left_out,
        all.refused,
        all.unable,
        all.given_back,
        all.silent,
        all.twice,
    ] {
        assert!(count > 0, "{all:?}");
    }
}

#[test]
fn what_is_given_back_when_the_run_is_to_end_is_over() {
    Life::given_back_late(&History::new(0), &Scenery::new());
}

#[test]
fn a_run_that_stood_still_takes_it_out_on_no_task_and_no_machine() {
    Life::stands_still(&History::new(0), &Scenery::new());
}

#[test]
fn what_a_worker_cuts_off_that_is_to_end_is_lost_with_it() {
    Life::cut_off(&History::new(0), &Scenery::new());
}
