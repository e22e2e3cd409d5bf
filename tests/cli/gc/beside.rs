//! Collections beside runs and readers.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;

use super::common::{PIPELINE, add, fresh, is_whole, objects};
use super::model::{evicted, missing, read};
use super::world::World;
use crate::harness::{Running, Test, files, hash, wait_for};

/// Of `PIPELINE`: what waits until it is let go.
fn waiting(test: &Test, run: &str) -> Running {
    let script = "while ! test -e go; do sleep 0.01; done\necho \"begin of";
    test.manifest(&PIPELINE.replacen("echo \"begin of", script, 1));
    let mut command = test.command(["-run", "-fresh", "-runset", run]);
    command.env("RUN", run);
    let running = Running::start(command);
    let began = format!("SELECT id FROM task WHERE runset = '{run}'");
    wait_for("the task", || {
        test.rows(&began).len() == 1 && !files(&test.path("db/tmp")).is_empty()
    });
    running
}

#[test]
fn runsets_go_while_a_task_runs() {
    let test = Test::with(PIPELINE);
    for run in ["one", "two"] {
        fresh(&test, run);
    }
    let garbage = add(&test, b"of nothing");
    let run = waiting(&test, "three");
    let done = test.json(&["gc", "-keep-runsets", "1", "-json"]);
    // The one that is at work has no results yet: the last that is done stays beside it.
    assert_eq!(
        done["removed"]["runsets"],
        serde_json::json!(["one"]),
        "{done}"
    );
    assert!(!objects(&test).contains(&garbage));
    // What it has not made yet is there already when the next one looks.
    let same = add(&test, b"three 1\n");
    assert_eq!(test.json(&["gc", "-json"])["removed"]["objects"], 1);
    assert!(!objects(&test).contains(&same));
    test.write("go", "");
    run.end().exits(0);
    is_whole(&test, "three");
    test.nothing_temporary_is_left();
    let left = test.json(&["gc", "-json"]);
    assert_eq!(left["removed"]["objects"], 0, "{left}");
}

#[test]
fn results_that_are_gone_are_not_taken_over() {
    let test = Test::with(
        "[[step]]\nname = 'a'\nstart = true\nscript = 'echo same > $OUTPUT_DIR/1_b; echo same > $OUTPUT_DIR/2_wait; echo > $OUTPUT_DIR/3_sour'\n\
         [[step]]\nname = 'wait'\nscript = 'touch began-$RUN; while ! test -e go; do sleep 0.01; done; echo x > $OUTPUT_DIR/x_b'\n\
         keep = ['RUN']\n\
         [[step]]\nname = 'sour'\nscript = 'test $RUN != one'\nkeep = ['RUN']\n\
         [[step]]\nname = 'b'\nscript = 'echo b >> $COUNT; cp $INPUT_FILE $OUTPUT_DIR/final-$(cat $INPUT_FILE)'\nkeep = ['COUNT']\n",
    );
    test.write("go", "");
    // One that is not all done goes.
    let mut command = test.command(["-run", "-fresh", "-runset", "one"]);
    command.env("RUN", "one");
    Running::start(command).end().exits(1);
    fs::remove_file(test.path("go")).unwrap();
    let count = test.times("b");
    assert_eq!(count, 2);
    let mut command = test.command(["-run", "-fresh", "-runset", "two", "-parallel", "1"]);
    command.env("RUN", "two");
    let run = Running::start(command);
    wait_for("the task", || test.path("began-two").exists());
    test.text(&["gc", "-keep-runsets", "1"]);
    assert_eq!(test.rows("SELECT name FROM runset"), ["two"]);
    test.write("go", "");
    run.end().exits(0);
    // `x` was done in the other one alone.
    assert!(test.times("b") > count);
    assert_eq!(test.output("final-x"), "x\n");
    test.objects_are_whole();
    test.tally_is_right();
}

#[test]
fn signals_are_heard_and_killed_collections_let_the_run_go_on() {
    let test = Test::with(PIPELINE);
    fresh(&test, "one");
    let run = waiting(&test, "two");
    for _ in 0..10 {
        let gc = Running::start(test.command(["gc", "-keep-runsets", "1"]));
        std::thread::sleep(Duration::from_millis(8));
        gc.signal(Signal::KILL);
        drop(gc);
    }
    test.text(&["gc"]);
    run.signal(Signal::TERM);
    run.end().exits(143);
    test.write("go", "");
    test.text(&["gc", "-keep-runsets", "1"]);
    let mut command = test.command(["-run", "-runset", "two"]);
    command.env("RUN", "two");
    Running::start(command).end().exits(0);
    is_whole(&test, "two");
    test.nothing_temporary_is_left();
}

#[test]
fn several_at_once_wait_for_each_other() {
    let test = Test::with(PIPELINE);
    for run in ["one", "two"] {
        fresh(&test, run);
    }
    let reading = fs::File::open(test.path("db/objects")).unwrap();
    rustix::fs::flock(&reading, rustix::fs::FlockOperation::LockShared).unwrap();
    let first = test.start(["gc", "-keep-runsets", "1"]);
    wait_for("the first", || test.path("db/gc-running").exists());
    let others = [&["gc"][..], &["evict"], &["gc"], &["evict"]];
    let others = others.map(|arguments| test.start(arguments.iter().copied()));
    // More than enough for each to look several times.
    std::thread::sleep(Duration::from_secs(1));
    drop(reading);
    first.end().exits(0);
    for other in others {
        other.end().exits(0);
    }
    assert_eq!(test.rows("SELECT name FROM runset"), ["two"]);
}

#[test]
fn beside_a_reader_rows_stay_and_what_no_row_names_goes() {
    let test = Test::with(PIPELINE);
    for run in ["one", "two"] {
        fresh(&test, run);
    }
    let garbage = add(&test, b"of nothing");
    let reading = fs::File::open(test.path("db/objects")).unwrap();
    rustix::fs::flock(&reading, rustix::fs::FlockOperation::LockShared).unwrap();
    let before = test.rows("SELECT id FROM task");
    let output = test.call(["gc", "-keep-runsets", "1"]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("somebody reads from the db"), "{told}");
    assert!(!objects(&test).contains(&garbage));
    assert_eq!(test.rows("SELECT id FROM task"), before);
    is_whole(&test, "two");
    drop(reading);
    test.text(&["gc", "-keep-runsets", "1"]);
    assert_eq!(test.rows("SELECT name FROM runset"), ["two"]);
    is_whole(&test, "two");
}

#[test]
fn what_tasks_leave_meanwhile_stays() {
    let test = Test::in_memory();
    test.manifest(
        "[[step]]\nname = 'a'\nstart = true\nscript = 'touch began; for i in $(seq 24); do echo $i > $OUTPUT_DIR/${i}_b; done'\n\
         [[step]]\nname = 'b'\nscript = 'read n < $INPUT_FILE; cd $OUTPUT_DIR; for i in $(seq 200); do echo $n $i > $i; done'\n",
    );
    let run = test.start(["-run", "-quiet", "-parallel", "4"]);
    let mut collected = 0;
    wait_for("the first task", || test.path("began").exists());
    while !test
        .rows("SELECT 1 FROM task WHERE processed = 0")
        .is_empty()
    {
        assert!(test.call(["gc"]).status.success());
        collected += 1;
    }
    run.end().exits(0);
    assert!(collected > 2, "{collected}");
    let needed = read(&test).needed_by_all(&test);
    assert_eq!(missing(&needed, &objects(&test)), Vec::<&String>::new());
}

/// Whoever asks about what stays gets an answer.
fn ask(world: &mut World) {
    let questions: [&[&str]; 4] = [
        &["status"],
        &["tasks", "-json"],
        &["export", "-force", "-to", "out"],
        &["verify"],
    ];
    let question = world.random.of(&questions);
    if world.test.path("db/db").exists() {
        world.test.call(*question);
    }
}

fn interleave(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..3 {
        let words = world.alter();
        let with = ["-quiet", "-parallel", "3"].map(str::to_owned);
        let run = world.test.start(words.iter().cloned().chain(with));
        for _ in 0..world.random.below(5) {
            // What tasks are about to make, or have just made, and nobody needs.
            for _ in 0..3 {
                let number = world.random.below(3);
                let text = match world.random.below(3) {
                    0 => format!("{number}\n"),
                    1 => format!("{} {number}\n", world.random.below(3)),
                    _ => "x".to_owned(),
                };
                let name = hash(text.as_bytes());
                if !world.test.object(&name).exists() {
                    add_quietly(&world.test, &name, text.as_bytes());
                }
            }
            let keep = (1 + world.random.below(3)).to_string();
            let collects: [&[&str]; 6] = [
                &["evict"],
                &["evict", "split"],
                &["gc"],
                &["gc", "-keep-runsets", &keep],
                &["gc", "-keep-runsets", &keep, "-older-than", "1ms"],
                &["gc", "-max-size", "1"],
            ];
            let collect = *world.random.of(&collects);
            match world.random.below(5) {
                0 => {
                    let gc = world.test.start(collect);
                    std::thread::sleep(Duration::from_micros(world.random.next() % 60_000));
                    gc.signal(Signal::KILL);
                    drop(gc);
                }
                1 => ask(&mut world),
                _ => {
                    let output = world.test.call(collect);
                    assert!(output.status.success(), "{seed}: {output:?}");
                }
            }
        }
        let ran = run.end();
        assert!(matches!(ran.status, 0 | 1), "{seed}: {ran:?}");
        let test = &world.test;
        let after = read(test);
        let needed = after.needed_by_all(test);
        let known = &objects(test) | &evicted(test);
        assert_eq!(missing(&needed, &known), Vec::<&String>::new(), "{seed}");
        test.tally_is_right();
        assert_eq!(test.rows("PRAGMA foreign_key_check"), Vec::<String>::new());
        assert!(!ran.stderr.contains("missing"), "{seed}: {ran:?}");
    }
    world.collect(0);
    world.test.nothing_temporary_is_left();
}

/// As the store puts it there: whole at once.
fn add_quietly(test: &Test, name: &str, bytes: &[u8]) {
    let place = test.object(name);
    let beside = test.path("beside");
    fs::write(&beside, bytes).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o444);
    fs::set_permissions(&beside, mode).unwrap();
    // The folder may go.
    let _ = fs::create_dir_all(place.parent().unwrap());
    let _ = fs::rename(&beside, &place);
}

/// Seeds of random interleavings, and how many.
pub fn interleavings(seeds: std::ops::Range<u64>) {
    seeds.for_each(interleave);
}

#[test]
fn random_interleavings_with_runs_and_readers_lose_nothing() {
    interleavings(0..12);
}
