//! Random pipelines that are edited and run, with kills at any moment, and collections and bytes that are dropped beside the
//! runs and between them: all comes to what it would have come to undisturbed.
//!
//! `SEED` in the message of a failure is all that is needed to see it again:
//! `TASK_PIPELINE_KILLS_SEED=SEED cargo test --test cli kills`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rustix::process::Signal;

use crate::gc::common::objects;
use crate::gc::model::evicted;
use crate::gc::world::World;
use crate::harness::{Running, Test};
use crate::random::Random;
use crate::recorded;

/// Edits of one pipeline, each with a run.
const ROUNDS: usize = 5;

/// What is there once all of a round is done: rows, and objects.
#[derive(Debug, PartialEq)]
struct End {
    rows: BTreeMap<String, usize>,
    /// Whether their bytes were dropped or not: what had to be made again in between has them.
    objects: BTreeSet<String>,
    /// Those with bytes, once all were dropped that can be.
    bytes: BTreeSet<String>,
    finals: BTreeMap<String, Vec<Vec<u8>>>,
}

/// What disturbs.
struct Trouble {
    random: Random,
    /// How long each run takes that nothing disturbs.
    times: Vec<Duration>,
    /// How often something was killed, and which of it was a run that had begun to record.
    kills: usize,
    amid: usize,
}

/// Plays a pipeline's history, and gives what it comes to after each round; how long each run took.
fn play(seed: u64, mut trouble: Option<&mut Trouble>) -> (Vec<End>, Vec<Duration>) {
    let mut world = World::begin(seed);
    let (mut ends, mut times) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let mut words: Vec<String> = ["-quiet", "-parallel", "3"].map(str::to_owned).into();
        let kind = world.random.below(6);
        if round > 0 {
            world.edit();
        }
        words.extend(world.param());
        match kind {
            2 if round > 0 => {
                let old = &world.runsets[world.random.below(world.runsets.len())];
                let of_old = ["-runset", old, "-migrate-tainted"];
                words.extend(of_old.map(str::to_owned));
            }
            4.. if round > 0 => words.push("-migrate-tainted".to_owned()),
            _ => {}
        }
        let fresh = (round == 0 || kind == 3).then(|| format!("r{round}"));
        if let Some(trouble) = trouble.as_deref_mut() {
            disturb(&world.test, &words, fresh.as_deref(), round, trouble);
        }
        let ran = world.test.run(run(&world.test, &words, fresh.as_deref()));
        assert_eq!(ran.status, 0, "seed {seed}, round {round}: {ran}");
        times.push(ran.elapsed);
        collect(&mut world);
        ends.push(end(&world, round + 1 == ROUNDS, seed));
    }
    (ends, times)
}

/// What a run is called with: a runset is new once.
fn run(test: &Test, words: &[String], fresh: Option<&str>) -> Vec<String> {
    let mut all = vec!["-run".to_owned()];
    all.extend(words.iter().cloned());
    if let Some(name) = fresh {
        all.extend(["-runset".to_owned(), name.to_owned()]);
        let known = "SELECT count(*) FROM sqlite_master WHERE name = 'runset'";
        let is_there = test.path("db/db").exists()
            && test.rows(known) == ["1"]
            && test
                .rows("SELECT name FROM runset")
                .iter()
                .any(|one| one == name);
        if !is_there {
            all.push("-fresh".to_owned());
        }
    }
    all
}

/// Room is made.
fn collect(world: &mut World) {
    let keep = (1 + world.random.below(3)).to_string();
    world
        .test
        .text(&["gc", "-keep-runsets", &keep, "-older-than", "1ms"]);
    let step = *world.random.of(&[None, None, Some("split"), Some("fold")]);
    evict(world, step);
    world.runsets = world.test.rows("SELECT name FROM runset ORDER BY id");
}

fn end(world: &World, last: bool, seed: u64) -> End {
    let test = &world.test;
    let known = &objects(test) | &evicted(test);
    if last {
        evict(world, None);
    }
    let verify = test.run(["verify"]);
    assert_eq!(verify.status, 0, "seed {seed}: {verify}");
    test.tally_is_right();
    test.objects_are_whole();
    test.nothing_temporary_is_left();
    End {
        rows: recorded::rows(test, "true"),
        objects: known,
        bytes: if last { objects(test) } else { BTreeSet::new() },
        finals: test.finals(),
    }
}

fn evict(world: &World, step: Option<&str>) {
    let mut words = vec!["evict".to_owned()];
    words.extend(world.param());
    words.extend(step.map(str::to_owned));
    let output = world.test.call(&words);
    assert!(output.status.success(), "{output:?}");
}

/// Runs are begun and killed, and others beside and after them.
fn disturb(
    test: &Test,
    words: &[String],
    fresh: Option<&str>,
    round: usize,
    trouble: &mut Trouble,
) {
    let most = u64::try_from(trouble.times[round].as_micros()).unwrap() + 4000;
    for _ in 0..=trouble.random.below(4) {
        let running = test.start(run(test, words, fresh));
        let collects = trouble.random.below(2) == 0;
        let moment = trouble.random.next() % most;
        let (before, after) = if collects {
            (trouble.random.next() % (moment + 1), true)
        } else {
            (moment, false)
        };
        std::thread::sleep(Duration::from_micros(before));
        let beside = after.then(|| {
            if trouble.random.below(2) == 0 {
                return test.start(["gc"]);
            }
            test.start(std::iter::once("evict").chain(param(words)))
        });
        std::thread::sleep(Duration::from_micros(moment - before));
        running.signal(Signal::KILL);
        trouble.kills += 1;
        if running.end().status == 137 && begun(test) {
            trouble.amid += 1;
        }
        if let Some(beside) = beside {
            end_or_kill(beside, trouble, "beside");
        }
        if trouble.random.below(3) == 0 && test.path("db/db").exists() {
            let evict = std::iter::once("evict").chain(param(words));
            end_or_kill(test.start(evict), trouble, "evict");
        }
    }
}

/// What the run has of parameters.
fn param(words: &[String]) -> impl Iterator<Item = &str> {
    let given = words.iter().position(|word| word == "-param");
    let given = given.map_or(&[][..], |at| &words[at..at + 2]);
    given.iter().map(String::as_str)
}

fn begun(test: &Test) -> bool {
    test.path("db/db").exists()
        && test.rows("SELECT count(*) FROM sqlite_master WHERE name = 'task'") == ["1"]
        && test.rows("SELECT count(*) FROM task") != ["0"]
}

/// One in two comes to its end.
fn end_or_kill(running: Running, trouble: &mut Trouble, what: &str) {
    if trouble.random.below(2) == 0 {
        std::thread::sleep(Duration::from_micros(trouble.random.next() % 40_000));
        running.signal(Signal::KILL);
        trouble.kills += 1;
        running.end();
        return;
    }
    let ran = running.end();
    // There may be nothing yet to be done.
    assert!(matches!(ran.status, 0 | 2), "{what}: {ran}");
    assert!(!ran.stderr.contains("panicked"), "{what}: {ran}");
}

/// Pipelines from that seed on, until there were so many kills.
pub fn come_to_the_same(seed: u64, kills: usize) {
    let (mut done, mut amid, mut seed) = (0, 0, seed);
    while done < kills {
        let (calm, times) = play(seed, None);
        let mut trouble = Trouble {
            random: Random::new(seed ^ 0x6b69_6c6c),
            times,
            kills: 0,
            amid: 0,
        };
        let (disturbed, _) = play(seed, Some(&mut trouble));
        for (round, (calm, disturbed)) in calm.iter().zip(&disturbed).enumerate() {
            same(calm, disturbed, &format!("seed {seed}, round {round}"));
        }
        done += trouble.kills;
        amid += trouble.amid;
        seed += 1;
    }
    println!("{done} kills, {amid} amid the work, {seed} the next seed");
    assert!(amid * 4 > kills, "{amid} of {done} came amid the work");
}

/// What differs is shown, and nothing else.
fn same(calm: &End, disturbed: &End, told: &str) {
    let lines = |end: &End| -> BTreeSet<String> {
        let rows = end.rows.iter().map(|row| format!("{row:?}"));
        rows.chain(end.objects.iter().cloned())
            .chain(end.bytes.iter().map(|object| format!("bytes of {object}")))
            .collect()
    };
    let (calm_lines, others) = (lines(calm), lines(disturbed));
    let missing: Vec<_> = calm_lines.difference(&others).collect();
    let extra: Vec<_> = others.difference(&calm_lines).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "{told}: missing {missing:#?}, extra {extra:#?}"
    );
    assert_eq!(calm, disturbed, "{told}");
}

#[test]
fn whatever_is_killed_all_comes_to_the_same() {
    match std::env::var("TASK_PIPELINE_KILLS_SEED") {
        Ok(seed) => come_to_the_same(seed.parse().unwrap(), 1),
        Err(_) => come_to_the_same(1, 20),
    }
}
