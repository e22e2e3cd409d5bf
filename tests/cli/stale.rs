//! Whatever is edited, the results are those of a run that begins with nothing.
//!
//! A random pipeline over files, inputs and variables is run; then one thing or several are edited,
//! and it is run again, perhaps killed in between. `SEED` in the message of a failure is all that is
//! needed to see it again: `TASK_PIPELINE_STALE_SEED=SEED cargo test --test cli stale`.

// Said, for this file is a part of the long tests too.
#[path = "stale/edit.rs"]
mod edit;
#[path = "stale/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::harness::{Ran, Running, Test};
use crate::random::Random;
use world::World;

/// Edits of one pipeline.
const EDITS: usize = 8;

/// One pipeline and its edits.
pub fn holds(seed: u64) {
    let mut random = Random::new(seed);
    let mut world = World::random(&mut random);
    let test = Test::in_memory();
    let mut history = vec![format!("seed {seed}")];
    world.write(&test);
    let ran = run(&test, &world, &["-run"]);
    compare(&test, &world, &history, &ran);
    for _ in 0..EDITS {
        for _ in 0..=random.below(3) {
            history.push(edit::edit(&mut world, &test, &mut random));
        }
        history.push(settle(&test, &world, &mut random, &history));
    }
    test.tally_is_right();
    test.objects_are_whole();
    test.nothing_temporary_is_left();
}

/// Runs until all is as it must be, on one of the ways that lead there.
fn settle(test: &Test, world: &World, random: &mut Random, history: &[String]) -> String {
    let migrate = ["-migrate-tainted", "-run"];
    let way = match random.below(5) {
        0 => {
            let ran = run(test, world, &["-run"]);
            let right = finals(test, "db") == from_nothing(test, world, history);
            let told = ran.stderr.contains("-migrate-tainted");
            assert!(
                right || told,
                "stale, and nothing is said: {history:#?} {ran}"
            );
            "-run"
        }
        1 => {
            let ran = run(test, world, &["-run", "-fresh"]);
            compare(test, world, history, &ran);
            return "-run -fresh".to_owned();
        }
        2 => {
            let mut command = test.command(migrate);
            world.variables(&mut command);
            let running = Running::start(command);
            std::thread::sleep(Duration::from_millis(random.below(60) as u64));
            running.signal(rustix::process::Signal::KILL);
            running.end();
            "killed"
        }
        _ => "nothing before",
    };
    let ran = run(test, world, &migrate);
    compare(test, world, history, &ran);
    // Nothing is left to do, but what failed.
    let again = run(test, world, &["-run"]);
    compare(test, world, history, &again);
    if ran.status == 0 {
        assert!(again.stderr.contains(" 0 run"), "{history:#?} {again}");
    }
    format!("{way}, -migrate-tainted -run")
}

/// A run that ends in order, with failed tasks or without.
fn run(test: &Test, world: &World, arguments: &[&str]) -> Ran {
    let mut command = test.command(arguments);
    world.variables(&mut command);
    let ran = Running::start(command).end();
    assert!(
        matches!(ran.status, 0 | 1),
        "{}: {ran}",
        test.read("workflow.toml")
    );
    ran
}

fn compare(test: &Test, world: &World, history: &[String], ran: &Ran) {
    let nothing = from_nothing(test, world, history);
    let found = finals(test, "db");
    if found != nothing {
        let manifest = test.read("workflow.toml");
        panic!("{history:#?}\n{manifest}\n{ran}\nfound {found:#?}\nfrom nothing {nothing:#?}");
    }
}

/// The final outputs of a run that knows nothing.
fn from_nothing(test: &Test, world: &World, history: &[String]) -> BTreeMap<String, i64> {
    let _ = std::fs::remove_dir_all(test.path("other"));
    let ran = run(test, world, &["-run", "-db", "other"]);
    assert!(
        !ran.stderr.contains("-migrate-tainted"),
        "{history:#?} {ran}"
    );
    finals(test, "other")
}

/// Final outputs of the newest runset, by name and hash: how many of each.
fn finals(test: &Test, db: &str) -> BTreeMap<String, i64> {
    let db = rusqlite::Connection::open(test.path(db).join("db")).unwrap();
    let mut query = db
        .prepare(
            "SELECT name || ' ' || object_hash, count(*) FROM task
             WHERE step_id IS NULL AND live = 1
                 AND runset = (SELECT name FROM runset ORDER BY id DESC LIMIT 1) GROUP BY 1",
        )
        .unwrap();
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn results_are_those_of_a_run_from_nothing_whatever_is_edited() {
    match std::env::var("TASK_PIPELINE_STALE_SEED") {
        Ok(seed) => holds(seed.parse().unwrap()),
        Err(_) => (1..=6).for_each(holds),
    }
}
