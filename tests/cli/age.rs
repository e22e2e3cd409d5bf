//! Results that are not used again for ever: `cache = "12h"`, `cache = "runset"`.

use crate::harness::{Ran, Test};

/// `urls` → `fetch` → `parse`; what `fetch` gets is in the file `web`.
fn nightly(cache: &str) -> Test {
    let test = Test::with(&format!(
        "[[step]]\nname = 'urls'\nstart = true\n\
         script = 'echo u > $OUTPUT_DIR/1_fetch; echo v > $OUTPUT_DIR/2_fetch'\n\
         [[step]]\nname = 'fetch'\n{cache}\n\
         script = 'echo fetch >> $COUNT; cat web $INPUT_FILE > $OUTPUT_DIR/x_parse'\n\
         [[step]]\nname = 'parse'\n\
         script = 'echo parse >> $COUNT; cp $INPUT_FILE $OUTPUT_DIR/end'\n"
    ));
    test.write("web", "monday\n");
    test
}

/// Lets so many hours pass.
fn hours_pass(test: &Test, hours: u32) {
    test.alter(&format!(
        "UPDATE task SET executed = executed - {hours} * 3600000, started = started - {hours} * 3600000"
    ));
}

fn night(test: &Test, name: &str) -> Ran {
    test.run(["-run", "-fresh", "-runset", name]).exits(0)
}

fn done(test: &Test) -> (usize, usize) {
    (test.times("fetch"), test.times("parse"))
}

/// The final outputs of a runset.
fn results(test: &Test, runset: &str) -> Vec<String> {
    let rows = test.rows(&format!(
        "SELECT object_hash FROM task WHERE step_id IS NULL AND live AND runset = '{runset}'"
    ));
    let read = |hash: &String| std::fs::read_to_string(test.object(hash)).unwrap();
    let mut all: Vec<String> = rows.iter().map(read).collect();
    all.sort();
    all
}

#[test]
fn a_nightly_run_fetches_again_what_is_too_old_and_parses_what_is_new() {
    let test = nightly("cache = '12h'");
    night(&test, "monday").never_says("oldest");
    assert_eq!(done(&test), (2, 2));
    hours_pass(&test, 11);
    night(&test, "evening")
        .says("1 run, 4 reused")
        .says("the oldest result that was reused is 11h0");
    // It counts from the execution, however often the result was taken since.
    hours_pass(&test, 2);
    let would = test.run(["-run", "-fresh", "-dry-run"]).exits(0);
    assert!(!would.stdout.contains("fetch"), "{would}");
    night(&test, "tuesday").says("3 run, 2 reused").says("13h0");
    assert_eq!(done(&test), (4, 2), "the web is as it was");
    hours_pass(&test, 13);
    test.write("web", "wednesday\n");
    night(&test, "wednesday").says("5 run, 0 reused");
    assert_eq!(done(&test), (6, 4));
    assert_eq!(
        results(&test, "wednesday"),
        ["wednesday\nu\n", "wednesday\nv\n"]
    );
    assert_eq!(results(&test, "tuesday"), ["monday\nu\n", "monday\nv\n"]);
    test.tally_is_right();
}

#[test]
fn without_a_word_a_result_is_used_for_ever() {
    let test = nightly("");
    night(&test, "monday");
    hours_pass(&test, 24 * 365);
    test.write("web", "next year\n");
    night(&test, "next year")
        .says("1 run, 4 reused")
        .says("365d0");
    assert_eq!(done(&test), (2, 2));
    let json = test.call(["-run", "-fresh", "-log-format", "json"]).stderr;
    let json = String::from_utf8(json).unwrap();
    let summary = json.lines().last().unwrap();
    let summary: serde_json::Value = serde_json::from_str(summary).unwrap();
    let age = summary["oldest_reused_seconds"].as_f64().unwrap();
    assert!(
        (365.0 * 86400.0..366.0 * 86400.0).contains(&age),
        "{summary}"
    );
}

#[test]
fn what_is_finished_stays_however_old_it_is() {
    let test = nightly("cache = '1h'");
    night(&test, "monday");
    hours_pass(&test, 100);
    test.runs().says("0 run, 0 reused");
    test.run(["-run", "-migrate-tainted"])
        .exits(0)
        .says("nothing is tainted");
    assert_eq!(done(&test), (2, 2));
    // A version that comes back is reused as far as its results are not too old.
    let manifest = test.read("workflow.toml");
    test.manifest(&manifest.replace("cat web $INPUT_FILE", "cat $INPUT_FILE web"));
    test.run(["-run", "-migrate-tainted"])
        .exits(0)
        .says("4 run");
    test.manifest(&manifest);
    test.run(["-run", "-migrate-tainted"])
        .exits(0)
        .says("2 run, 2 reused");
    assert_eq!(done(&test), (6, 4));
    test.tally_is_right();
}

#[test]
fn equal_tasks_of_one_runset_share_a_result() {
    let test = nightly("cache = 'runset'");
    let manifest = test.read("workflow.toml");
    test.manifest(&manifest.replace("echo v", "echo u"));
    night(&test, "one").says("3 run, 2 reused");
    night(&test, "two").says("2 run, 3 reused");
    assert_eq!(done(&test), (2, 1), "once a runset");
    test.manifest(
        &manifest
            .replace("echo v", "echo u")
            .replace("'runset'", "'1ms'"),
    );
    night(&test, "three").says("2 run, 3 reused");
    test.tally_is_right();
}

#[test]
fn why_and_a_dry_run_tell_what_is_too_old() {
    let test = nightly("cache = '12h'");
    night(&test, "monday");
    let fetched = test.rows(
        "SELECT min(t.id) FROM task AS t JOIN step ON step.id = step_id WHERE step.name = 'fetch'",
    );
    hours_pass(&test, 50);
    // As it is when a run was interrupted.
    test.alter(
        "INSERT INTO runset (name) VALUES ('next');
         INSERT INTO task (object_hash, step_id, input_task_id, runset, name)
             SELECT object_hash, step_id, input_task_id, 'next', name FROM task
             WHERE step_id = (SELECT id FROM step WHERE name = 'fetch') ORDER BY id;
         INSERT INTO tally (runset_id, step_id, pending)
             SELECT runset.id, step.id, 2 FROM runset, step
             WHERE runset.name = 'next' AND step.name = 'fetch';",
    );
    let pending = test
        .rows("SELECT min(id) FROM task WHERE runset = 'next'")
        .remove(0);
    let why = |task: &str| test.text(&["why", task]);
    let old = format!(
        "the result of task #{}, an equal one, was 2d02h old, and the step has `cache = \"12h\"`",
        fetched[0]
    );
    assert!(why(&pending).contains(&old), "{}", why(&pending));
    test.run(["-run", "-dry-run"])
        .exits(0)
        .prints("would run 2 (2 whose results are not used any more, as `cache` says)");
    test.runs().says("2 run, 2 reused");
    assert!(
        why(&pending).contains("the same on the same input, was 2d02h old"),
        "{}",
        why(&pending)
    );
    let reused = test
        .rows("SELECT max(id) FROM task WHERE reused_from IS NOT NULL")
        .remove(0);
    assert!(
        why(&reused).contains("they were made until 20"),
        "{}",
        why(&reused)
    );
    test.run(["check"])
        .exits(0)
        .prints("reused up to an age of 12h");
}

#[test]
fn what_cannot_be_meant_is_told() {
    for (value, message, hint) in [
        (
            "12",
            "`cache` must be true, false, \"runset\" or a length of time in quotes",
            "`cache` = \"12h\"",
        ),
        ("'12'", "has no unit", "\"12s\""),
        ("'0h'", "is no time at all", "false, without quotes"),
        (
            "'daily'",
            "`daily` is neither \"runset\" nor a length of time",
            "\"7d\"",
        ),
        ("'true'", "must be true or false", "without quotes: true"),
    ] {
        let test = nightly(&format!("cache = {value}"));
        test.run(["check"]).exits(2).says(message).says(hint);
    }
}

#[test]
fn check_points_to_what_uses_the_network_and_has_no_limit() {
    let line = "curl uses the network, and the results are used again for ever: cache = \"12h\" limits that";
    let with = |cache: &str| {
        Test::with(&format!(
            "[[step]]\nname = 'urls'\nstart = true\nscript = 'curl x > $OUTPUT_DIR/1_fetch'\n\
             [[step]]\nname = 'fetch'\n{cache}\nscript = 'curl $(cat $INPUT_FILE) > $OUTPUT_DIR/end'\n"
        ))
    };
    let said = with("").run(["check"]).exits(0).prints(line).stdout;
    assert_eq!(
        said.matches(line).count(),
        1,
        "start tasks are always executed"
    );
    for cache in ["cache = '1d'", "cache = 'runset'", "cache = false"] {
        let ran = with(cache).run(["check"]).exits(0);
        assert!(!ran.stdout.contains("for ever"), "{ran}");
    }
}

#[test]
fn a_clock_that_was_set_back_makes_no_result_young() {
    let test = nightly("cache = '12h'");
    night(&test, "one");
    // What was executed at one is a day ahead of the clock now.
    test.alter("UPDATE task SET executed = executed + 86400000, started = started + 86400000");
    night(&test, "two").says("3 run, 2 reused");
    assert_eq!(done(&test), (4, 2));
    night(&test, "three").says("1 run, 4 reused");
}

#[test]
fn a_clock_that_jumps_changes_no_result() {
    let test = nightly("");
    let manifest = test.read("workflow.toml");
    for (nth, jump) in [0_i64, -100_000, 100_000, -1].into_iter().enumerate() {
        // Years ahead and back between two runs of one runset, while a step changes.
        shift(
            &test,
            &format!(
                "UPDATE task SET executed = executed + {jump} * 3600000, started = started + {jump} * 3600000"
            ),
        );
        test.manifest(&manifest.replace(
            "cat web $INPUT_FILE",
            &format!("(echo {nth}; cat web $INPUT_FILE)"),
        ));
        test.run(["-run", "-migrate-tainted"]).exits(0);
        let newest = format!("{nth}\nmonday\nu\n");
        assert!(results_of_all(&test).contains(&newest), "{nth}");
        test.runs().says("0 run, 0 reused");
    }
    test.run(["verify"]).exits(0);
    assert_eq!(test.rows("SELECT count(*) FROM runset"), ["1"]);
}

/// All live final outputs.
fn results_of_all(test: &Test) -> Vec<String> {
    let runset = test.rows("SELECT name FROM runset");
    results(test, &runset[0])
}

/// Changes the database, if there is one yet.
fn shift(test: &Test, statements: &str) {
    if test.path("db/db").exists() {
        test.alter(statements);
    }
}
