//! Every option of the command line.

use std::time::Duration;

use crate::harness::{Running, Test, wait_for};

/// Two inputs for the step `work`, which leaves one final output for each.
const TWO: &str = r#"
[[step]]
name = "begin"
start = true
script = 'echo begin >> $COUNT; echo a > $OUTPUT_DIR/a_work; echo b > $OUTPUT_DIR/b_work'

[[step]]
name = "work"
script = 'echo work >> $COUNT; cp $INPUT_FILE $OUTPUT_DIR/done_$(cat $INPUT_FILE)'
"#;

/// A good task and a bad one, one after the other.
const ONE_BAD: &str = r#"
[[step]]
name = "begin"
start = true
script = 'for i in 1 2 3 4; do echo $i > $OUTPUT_DIR/${i}_work; done'

[[step]]
name = "work"
script = 'echo work >> $COUNT; test $(cat $INPUT_FILE) != 1; cat $INPUT_FILE > $OUTPUT_DIR/done'
"#;

#[test]
fn one_dash_and_two_and_values_after_an_equals_sign() {
    for words in [
        "-manifest pipes/w.toml -db state -run -parallel 2",
        "--manifest pipes/w.toml --db state --run --parallel 2",
        "-manifest=pipes/w.toml -db=state -run -parallel=2",
        "--run --db=state --parallel=2 --manifest=pipes/w.toml",
    ] {
        let test = Test::new();
        test.write("pipes/w.toml", TWO);
        test.run(words.split(' ')).exits(0);
        assert!(test.path("state/db").is_file(), "{words}");
        assert!(!test.path("db").exists(), "{words}");
    }
}

#[test]
fn the_manifest_falls_back_to_workflow_toml() {
    let test = Test::with(TWO);
    test.runs()
        .says("workflow.toml: 2 steps, starting at begin");
    assert_eq!(test.output("done_a"), "a\n");
}

#[test]
fn no_manifest_at_all_is_wrong_usage() {
    let test = Test::new();
    for arguments in [&["-run"][..], &[], &["check"]] {
        let ran = test.run(arguments.iter().copied()).exits(2);
        ran.says("no manifest")
            .says("workflow.toml")
            .says("hint: ")
            .says("-manifest FILE");
    }
    assert!(!test.path("db").exists());
}

#[test]
fn wrong_words_are_wrong_usage() {
    let test = Test::with(TWO);
    for (words, about) in [
        ("-run -parallel 0", "-parallel: `0` is no whole number"),
        ("-run -parallel -1", "-1"),
        ("-run -parallel many", "many"),
        ("-rum", "-rum"),
        ("-fresh", "-run is missing"),
        ("-start work", "hint: type `task-pipeline run -start work`"),
        ("-run -verbose -quiet", "-quiet"),
        ("-run -fail-fast -keep-going", "does not go with"),
        ("-run -log-format xml", "xml"),
        ("-run extra", "extra"),
        ("-db", "write -db DIR"),
        ("-run -runset all -fresh", "-runset all"),
        ("-run -runset all -start work", "-runset all"),
        ("-run -runset=", "-runset"),
        ("-runset other", "other"),
        ("-parallel 2", "-run or -sample N is missing"),
        ("-fail-fast", "-run is missing"),
        ("-keep-going", "-run is missing"),
        (
            "-migrate-tainted -parallel 2",
            "task-pipeline run -migrate-tainted -parallel 2",
        ),
        ("-run check", "-run does not go with `check`"),
        ("-run -fresh status", "-run does not go with `status`"),
        (
            "-db db -start work graph",
            "-start does not go with `graph`",
        ),
        ("check -run", "-run does not go with `check`"),
        ("-runset x check", "-runset does not go with `check`"),
        ("-db a status -db b", "-db is there twice"),
    ] {
        test.run(words.split(' '))
            .exits(2)
            .says("error: ")
            .says(about);
    }
    assert_eq!(test.count().len(), 0);
}

#[test]
fn places_and_forms_before_a_subcommand_are_handed_to_it() {
    let test = Test::new();
    test.write("pipes/w.toml", TWO);
    test.run("-manifest pipes/w.toml check".split(' '))
        .exits(0)
        .prints("pipes/w.toml: 2 steps");
    test.run("-manifest pipes/w.toml -db state -run".split(' '))
        .exits(0);
    test.run("-db state status".split(' '))
        .exits(0)
        .prints("work");
    test.run("-db state -runset twenty status".split(' '))
        .exits(2)
        .says("`twenty`");
    let ran = test.run("-log-format json -db nowhere status".split(' '));
    ran.exits(2).says("{\"schema\":1");
    let quiet = test.run("-quiet -db state export -to out".split(' '));
    assert_eq!(quiet.exits(0).stdout, "");
    assert_eq!(test.read("out/done_a"), "a\n");
    let told = test.run("-db state export -to other".split(' '));
    told.exits(0).prints("other: 2 files");
    let quiet = test.run("-quiet report -db state -o r.html".split(' '));
    assert_eq!(quiet.exits(0).stdout, "");
    for words in ["-db state help status", "-db state status -help"] {
        test.run(words.split(' ')).exits(0).prints("--json");
    }
}

#[test]
fn migrating_a_new_runset_says_that_nothing_is_tainted() {
    let test = Test::with(TWO);
    test.run("-run -migrate-tainted".split(' '))
        .exits(0)
        .says("nothing is tainted");
}

#[test]
fn help_and_version_are_data() {
    let test = Test::new();
    let help = test.run(["-help"]).exits(0);
    for option in [
        "manifest",
        "db",
        "run",
        "fresh",
        "start",
        "migrate-tainted",
        "runset",
        "parallel",
        "keep-going",
        "fail-fast",
        "verbose",
        "quiet",
        "log-format",
        "locked",
        "host-env",
    ] {
        assert!(help.stdout.contains(&format!("--{option}")), "{option}");
    }
    assert_eq!(help.stderr, "");
    for words in ["-version", "version"] {
        let ran = test.run([words]).exits(0);
        assert_eq!(
            ran.stdout,
            format!("task-pipeline {}\n", env!("CARGO_PKG_VERSION"))
        );
    }
}

#[test]
fn without_an_action_it_says_where_the_pipeline_stands() {
    let test = Test::with(TWO);
    test.run([""; 0])
        .exits(0)
        .prints("nothing has run yet")
        .prints("-run starts at begin");
    // Who asks makes nothing.
    assert!(!test.path("db").exists());
    assert_eq!(test.count().len(), 0);
    test.runs();
    let ran = test.run([""; 0]).exits(0);
    ran.prints("begin  1 done")
        .prints("work   2 done")
        .prints("2 final outputs")
        .prints("next: ");
    assert_eq!(test.count().len(), 3);
}

#[test]
fn run_goes_on_and_then_finds_nothing() {
    let test = Test::with(TWO);
    test.runs()
        .says("3 run, 0 reused, 0 failed, 0 pending, 2 final outputs");
    let again = test
        .runs()
        .says("0 run, 0 reused, 0 failed, 0 pending, 2 final outputs");
    assert_eq!(again.stdout, "");
    assert_eq!((test.times("begin"), test.times("work")), (1, 2));
    assert_eq!(test.rows("SELECT count(*) FROM runset"), ["1"]);
}

#[test]
fn fresh_seeds_a_new_runset() {
    let test = Test::with(TWO);
    test.runs();
    test.run(["-run", "-fresh"]).exits(0).says(": new");
    // The start task runs whatever ran before; equal work is taken over.
    assert_eq!((test.times("begin"), test.times("work")), (2, 2));
    let names = test.rows("SELECT name FROM runset ORDER BY id");
    assert_eq!(names.len(), 2);
    let stamp = |name: &str| name.len() >= 16 && name.as_bytes()[8] == b'T' && name.contains('Z');
    assert!(names.iter().all(|name| stamp(name)), "{names:?}");
    assert_eq!(
        test.rows("SELECT runset = (SELECT max(name) FROM runset), count(*) FROM task GROUP BY 1"),
        ["0|5", "1|5"]
    );
}

#[test]
fn runset_names_the_current_one() {
    let test = Test::with(ONE_BAD);
    test.run(["-run", "-runset", "one"]).exits(1);
    test.run(["-run", "-runset", "two", "-fresh"]).exits(1);
    let tries = |runset: &str| {
        let of = format!("SELECT count(*) FROM task WHERE runset = '{runset}'");
        (test.rows(&of), test.times("work"))
    };
    // Four in the first; in the second, only what failed is executed.
    assert_eq!(tries("one"), (vec!["8".to_owned()], 5));
    assert_eq!(
        test.rows("SELECT name FROM runset ORDER BY id"),
        ["one", "two"]
    );
    test.run(["-run", "-runset", "one"])
        .exits(1)
        .says("runset one: ");
    assert_eq!(test.times("work"), 6);
    let all = test.run(["-run", "-runset", "all"]).exits(1);
    all.says("runset one: ").says("runset two: ");
    assert_eq!(test.times("work"), 8);
    test.run(["-run"])
        .exits(1)
        .says("runset two: ")
        .never_says("runset one: ");
    assert_eq!(test.times("work"), 9);
    test.run(["-run", "-fresh", "-runset", "one"])
        .exits(2)
        .says("already")
        .says("hint: ");
    let unknown = test.run(["-migrate-tainted", "-runset", "twoo"]).exits(2);
    unknown.says("did you mean `two`?");
}

#[test]
fn start_does_a_step_and_all_that_follows_again() {
    let test = Test::with(TWO);
    test.runs();
    test.run(["-run", "-start", "work"])
        .exits(0)
        .says("2 run, 0 reused");
    assert_eq!((test.times("begin"), test.times("work")), (1, 4));
    // The old rows are history, under the same parent.
    assert_eq!(
        test.rows(
            "SELECT live, count(*) FROM task JOIN step ON step.id = step_id
             WHERE step.name = 'work' GROUP BY 1"
        ),
        ["0|2", "1|2"]
    );
    assert_eq!(test.finals().len(), 2);
    test.run(["-run", "-start", "begin"]).exits(0);
    assert_eq!((test.times("begin"), test.times("work")), (2, 4));
    assert_eq!(test.rows("SELECT count(*) FROM runset"), ["1"]);
    test.tally_is_right();
}

#[test]
fn start_at_an_unknown_step_names_a_close_one() {
    let test = Test::with(TWO);
    let ran = test.run(["-run", "-start", "wrok"]).exits(2);
    ran.says("there is no step `wrok` in workflow.toml")
        .says("hint: did you mean `work`?");
    let ran = test.run(["-run", "-start", "zzzzzz"]).exits(2);
    ran.says("hint: its steps are begin, work");
    assert!(!test.path("db").exists());
}

#[test]
fn start_at_a_step_without_tasks_seeds_it_with_the_empty_input() {
    let test = Test::with(&format!(
        "{TWO}\n[[step]]\nname = 'apart'\nscript = 'wc -c < $INPUT_FILE > $OUTPUT_DIR/size'"
    ));
    test.run(["-run", "-start", "apart"])
        .exits(0)
        .says("1 run")
        .says("step apart begins the new runset on an empty input")
        .says("hint: `run -until apart` runs all that leads to it\n");
    assert_eq!(test.output("size").trim(), "0");
    assert_eq!(test.times("begin"), 0);
    test.runs();
    assert_eq!(test.times("begin"), 0);
    test.run(["-run", "-start", "work"]).exits(0);
    assert_eq!(test.times("work"), 1);
    test.run(["-run", "-fresh", "-start", "work"])
        .exits(0)
        .says("step work begins the new runset on an empty input")
        .says("hint: `run -fresh -until work` runs all that leads to it; `run -start work` without -fresh runs");
    let whole = test.run(["-run", "-fresh", "-start", "begin"]).exits(0);
    assert!(!whole.stderr.contains("empty input"), "{whole:?}");
}

#[test]
fn keep_going_is_the_default_and_fail_fast_starts_nothing_more() {
    for (words, executed) in [
        ("-run -parallel 1", 4),
        ("-run -parallel 1 -keep-going", 4),
        ("-run -parallel 1 -fail-fast", 1),
    ] {
        let test = Test::with(ONE_BAD);
        test.run(words.split(' ')).exits(1);
        assert_eq!(test.times("work"), executed, "{words}");
        test.tally_is_right();
        // What was not started is pending, not failed.
        let pending = 4 - executed;
        let left = test.rows("SELECT count(*) FROM task WHERE processed = 0 AND error IS NULL");
        assert_eq!(left, [pending.to_string()], "{words}");
    }
}

#[test]
fn verbose_shows_what_tasks_write_while_they_run() {
    let manifest = "[[step]]\nname = 'talk'\nstart = true\n\
        script = 'echo early; until test -e go; do sleep 0.01; done; echo late >&2'";
    let test = Test::with(manifest);
    let running = Running::start(test.shell("exec $PROGRAM -run -verbose 2> said"));
    wait_for("the first line", || test.read("said").contains("early"));
    assert!(!test.read("said").contains("late"));
    test.write("go", "");
    running.end().exits(0);
    assert!(
        test.read("said").contains("talk #1| late"),
        "{}",
        test.read("said")
    );
    let plain = Test::with(manifest);
    plain.write("go", "");
    plain.runs().never_says("early").says("talk #1: done");
}

#[test]
fn with_json_each_line_is_an_object() {
    let test = Test::with(ONE_BAD);
    test.write("other.toml", TWO);
    for (words, status) in [
        ("-run", 1),
        ("-run -verbose", 1),
        ("-run -quiet", 1),
        ("-run -fresh -verbose -manifest other.toml", 0),
        ("-migrate-tainted -manifest other.toml", 0),
    ] {
        let ran = test
            .run(words.split(' ').chain(["-log-format", "json"]))
            .exits(status);
        assert_eq!(ran.stdout, "");
        assert!(!ran.stderr.is_empty(), "{words}");
        for line in ran.stderr.lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
            assert!(value.is_object(), "{words}: {line}");
        }
    }
}

#[test]
fn quiet_says_only_what_went_wrong() {
    let test = Test::with(&format!("{TWO}\n[defaults]\nkeep = ['COUNT']\n"));
    let ran = test.run(["-run", "-quiet"]).exits(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    let bad = Test::with(ONE_BAD);
    let ran = bad.run(["-run", "-quiet"]).exits(1).says("exit status 1");
    assert!(ran.stderr.lines().count() <= 3, "{}", ran.stderr);
}

#[test]
fn parallel_limits_tasks_at_once() {
    let test = Test::with(
        r#"
        [[step]]
        name = "begin"
        start = true
        script = 'for i in 1 2 3 4 5 6; do echo $i > $OUTPUT_DIR/${i}_work; done'
        [[step]]
        name = "work"
        script = 'echo + >> $COUNT; sleep 0.1; echo - >> $COUNT'
        "#,
    );
    test.run(["-run", "-parallel", "1"]).exits(0);
    assert_eq!(test.count().concat(), "+-".repeat(6));
    let wide = test
        .run(["-run", "-start", "work", "-parallel", "6"])
        .exits(0);
    assert!(wide.elapsed < Duration::from_secs(30));
    let marks = test.count().concat();
    assert_eq!(&marks[12..18], "++++++");
}

#[test]
fn check_shows_the_steps_and_touches_no_db() {
    let test = Test::with(
        r#"
        [[step]]
        name = "begin"
        start = true
        timeout = "90s"
        retries = 2
        parallel = 3
        cache = false
        env = { LEVEL = "high" }
        script = 'echo > $OUTPUT_DIR/a_work; echo > $OUTPUT_DIR/b_wokr; echo > $OUTPUT_DIR/out'
        [[step]]
        name = "work"
        script = 'true'
        "#,
    );
    let ran = test.run(["check"]).exits(0);
    ran.prints("begin (start)")
        .prints("LEVEL=\"high\"")
        .prints("a_work → work")
        .prints("b_wokr → final output (did you mean work?)")
        .prints("out → final output")
        .prints("3 at once, 1m30s each, 2 retries, never reused")
        .prints("workflow.toml: 2 steps, no errors");
    assert!(!test.path("db").exists());
    test.manifest("[[step]]\nname = 'a'\nscript = 'true'\n");
    test.run(["check"])
        .exits(2)
        .says("no step is the start step")
        .says("workflow.toml:2:");
    test.write("other.toml", TWO);
    test.run(["check", "-manifest", "other.toml"])
        .exits(0)
        .prints("other.toml: 2 steps");
}

#[test]
fn host_env_is_said_loudly_and_is_another_version() {
    let packages = TWO.replace("name = \"work\"", "name = \"work\"\npackages = [\"hello\"]");
    let test = Test::with(&packages);
    let mut command = test.command(["-run"]);
    command.env("PATH", test.path("nowhere"));
    let absent = Running::start(command).end().exits(3);
    absent.says("error: ").says("hint: ").says("-host-env");
    assert_eq!(test.count().len(), 0);
    test.run(["-run", "-host-env"])
        .exits(0)
        .says("warning: -host-env: step work");
    assert_eq!(test.times("work"), 2);
    test.run(["-run", "-host-env", "-locked"]).exits(2);
    test.manifest(TWO);
    let ran = test.runs();
    ran.says("no longer the host's PATH in place of packages")
        .says("2 finished tasks");
    assert_eq!(test.times("work"), 2);
    assert_eq!(
        test.rows("SELECT max(version) FROM step WHERE name = 'work'"),
        ["2"]
    );
}
