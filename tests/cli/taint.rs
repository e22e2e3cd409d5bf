//! Changed steps: what is tainted and why, and what migration does about it.

use std::collections::BTreeMap;

use crate::harness::{Running, Test};

/// Two tasks of `work`, whose keys and script are these, and the final step `last`.
fn pipeline(keys: &str, script: &str) -> String {
    format!(
        "[[step]]\nname = 'begin'\nstart = true\n\
         script = 'echo begin >> $COUNT; echo a > $OUTPUT_DIR/a_work; echo b > $OUTPUT_DIR/b_work'\n\
         [[step]]\nname = 'work'\n{keys}\nscript = '''echo work >> $COUNT; {script}'''\n\
         [[step]]\nname = 'last'\nscript = 'echo last >> $COUNT; cp $INPUT_FILE $OUTPUT_DIR/end'\n"
    )
}

const COPY: &str = "cp $INPUT_FILE $OUTPUT_DIR/x_last";
const DOUBLE: &str = "cat $INPUT_FILE $INPUT_FILE > $OUTPUT_DIR/x_last";

#[test]
fn each_cause_is_named() {
    for (keys, script, cause) in [
        ("", "cat $INPUT_FILE > $OUTPUT_DIR/x_last", "script"),
        ("shell = ['sh', '-eu', '-c']", COPY, "shell"),
        ("env = { MODE = 'fast' }", COPY, "variables (MODE)"),
        ("env = { OWN = 'other' }", COPY, "variables (OWN)"),
        (
            "env = { B = '1', A = '1' }",
            DOUBLE,
            "script, variables (A, B)",
        ),
        ("pure = true", COPY, "pure is on"),
        ("keep = ['TERM']", COPY, "kept variables (TERM)"),
    ] {
        let before = if keys.contains("OWN") {
            "env = { OWN = '1' }"
        } else {
            ""
        };
        let test = Test::with(&pipeline(before, COPY));
        test.runs();
        test.manifest(&pipeline(keys, script));
        let ran = test.runs();
        assert!(
            ran.stderr.contains(&format!("work: version 2, changed: {cause}\n"))
                && ran.stderr.contains(&format!(
                    "work: 2 finished tasks have another version ({cause}); -migrate-tainted does them again\n"
                ))
                && ran.stderr.contains(&format!("tainted: work 2 ({cause}); -migrate-tainted -run")),
            "{cause}\n{ran}"
        );
        // A run alone leaves them.
        assert_eq!(test.times("work"), 2);
        test.run([""; 0])
            .exits(0)
            .prints(&format!("2 tainted tasks: work 2 ({cause})"));
        test.run(["-migrate-tainted"])
            .exits(0)
            .says("work: 2 tasks to be done again by version 2");
    }
}

#[test]
fn what_does_not_change_results_taints_nothing() {
    let test = Test::with(&pipeline("", COPY));
    test.runs();
    for keys in [
        "parallel = 1",
        "timeout = '1h'",
        "retries = 3",
        "cache = false",
        "packages = []",
    ] {
        test.manifest(&pipeline(keys, COPY));
        test.runs().never_says("tainted").never_says("changed");
    }
    let named = pipeline("parallel = 3", COPY);
    test.manifest(&format!("# a comment\n\n{named}"));
    test.run(["-migrate-tainted"])
        .exits(0)
        .says("nothing is tainted");
    assert_eq!(
        test.rows("SELECT parallel FROM step WHERE name = 'work'"),
        ["3"]
    );
    assert_eq!(test.times("work"), 2);
}

#[test]
fn migration_keeps_the_old_rows_and_a_second_call_finds_nothing() {
    let test = Test::with(&pipeline("", COPY));
    test.runs();
    let before =
        test.rows("SELECT id, object_hash, step_id, processed, name FROM task ORDER BY id");
    test.manifest(&pipeline("", DOUBLE));
    let migrate = || test.run(["-migrate-tainted"]).exits(0);
    migrate()
        .says("work: 2 tasks to be done again by version 2")
        .never_says("nothing is tainted");
    let rows = "SELECT id, object_hash, step_id, processed, name FROM task ORDER BY id";
    let after = test.rows(rows);
    assert_eq!(after[..before.len()], before);
    // What followed from the superseded tasks is dead with them.
    let live = "SELECT live, count(*) FROM task GROUP BY live ORDER BY live";
    assert_eq!(test.rows(live), ["0|6", "1|3"]);
    migrate().says("nothing is tainted");
    assert_eq!(test.rows(rows), after);
    test.tally_is_right();
    test.runs().says("4 run, 0 reused").says("2 final outputs");
    assert_eq!(test.finals()["end"], [b"a\na\n", b"b\nb\n"]);
    assert_eq!(test.rows(live), ["0|6", "1|7"]);
    migrate().says("nothing is tainted");
    assert_eq!(
        (test.times("begin"), test.times("work"), test.times("last")),
        (1, 4, 4)
    );
    test.tally_is_right();
    assert_eq!(
        test.rows(
            "SELECT count(*) FROM task JOIN task AS old ON old.id = task.supersedes
                   WHERE old.live = 0 AND old.object_hash = task.object_hash
                   AND old.input_task_id = task.input_task_id AND old.name = task.name"
        ),
        ["2"]
    );
}

#[test]
fn only_the_topmost_of_several_changed_steps_is_migrated() {
    let test = Test::with(&pipeline("", COPY));
    test.runs();
    test.manifest(&pipeline("", DOUBLE).replace("echo last", "echo new"));
    let ran = test.run(["-migrate-tainted", "-run"]).exits(0);
    ran.says("work: 2 tasks to be done again")
        .never_says("last: 2 tasks")
        .says("4 run");
    assert_eq!((test.times("last"), test.times("new")), (2, 2));
    test.run(["-migrate-tainted"])
        .exits(0)
        .says("nothing is tainted");
    test.tally_is_right();
}

#[test]
fn a_changed_start_step_makes_everything_again() {
    let test = Test::with(&pipeline("", COPY));
    test.runs();
    test.manifest(&pipeline("", COPY).replace("echo b >", "echo c >"));
    test.run(["-migrate-tainted", "-run"])
        .exits(0)
        .says("begin: 1 task to be done again");
    assert_eq!(test.finals()["end"], [b"a\n", b"c\n"]);
    assert_eq!(
        (test.times("begin"), test.times("work"), test.times("last")),
        (2, 3, 3)
    );
    test.tally_is_right();
}

#[test]
fn unfinished_tasks_go_on_under_the_new_version_without_migration() {
    let test = Test::with(&pipeline(
        "",
        &format!("test $(cat $INPUT_FILE) = a; {COPY}"),
    ));
    test.run(["-run"]).exits(1);
    test.manifest(&pipeline("", DOUBLE));
    let ran = test.runs();
    ran.says("2 run")
        .says("1 finished task has another version (script); -migrate-tainted does it again");
    assert_eq!(test.finals()["end"], [b"a\n".to_vec(), b"b\nb\n".to_vec()]);
    assert_eq!(
        test.rows(
            "SELECT version, processed FROM task JOIN step ON step.id = step_id
                   WHERE step.name = 'work' ORDER BY 1"
        ),
        ["1|1", "2|1"]
    );
    test.tally_is_right();
    test.run(["-migrate-tainted", "-run"])
        .exits(0)
        .says("work: 1 task to be done again");
    assert_eq!(test.finals()["end"], [b"a\na\n", b"b\nb\n"]);
    test.tally_is_right();
}

#[test]
fn migration_acts_on_the_current_runset_alone_unless_told() {
    let test = Test::with(&pipeline("", COPY));
    test.run(["-run", "-runset", "one"]).exits(0);
    test.run(["-run", "-runset", "two"]).exits(0);
    test.manifest(&pipeline("", DOUBLE));
    test.run(["-migrate-tainted"]).exits(0).says("2 tasks");
    let dead = "SELECT runset, count(*) FROM task WHERE live = 0 GROUP BY 1";
    assert_eq!(test.rows(dead), ["two|6"]);
    let all = test
        .run(["-migrate-tainted", "-runset", "all", "-run"])
        .exits(0);
    all.says("runset one: ").says("runset two: ");
    assert_eq!(test.rows(dead), ["one|6", "two|6"]);
    test.tally_is_right();
}

#[test]
fn steps_that_left_the_manifest_stay_as_history() {
    let test = Test::with(&pipeline("", "exit 1"));
    test.run(["-run"]).exits(1);
    test.manifest(&pipeline("", COPY).replace("name = 'work'", "name = 'other'"));
    let ran = test.run(["-run"]).exits(0);
    ran.says("not run: 2 unfinished tasks are of steps that the manifest does not have: work 2");
    assert_eq!(test.times("work"), 2);
    test.manifest(&pipeline("", COPY));
    test.runs().says("4 run");
    assert_eq!(test.finals()["end"].len(), 2);
}

#[test]
fn packages_and_the_hosts_programs_in_their_place_are_versions_of_their_own() {
    let packages = "packages = ['hello']";
    let test = Test::with(&pipeline("", COPY));
    test.runs();
    test.manifest(&pipeline(packages, COPY));
    let command = test.command(["-run", "-host-env", "-migrate-tainted"]);
    let ran = Running::start(command).end().exits(0);
    ran.says("work: version 2, changed: the host's PATH in place of packages")
        .says("work: 2 tasks to be done again by version 2");
    assert_eq!(test.times("work"), 4);
    // The same results: what follows is taken over.
    assert_eq!(test.times("last"), 2);
}

/// Two steps, `begin` and `work`, of which the first has another name.
fn renamed(manifest: &str) -> String {
    manifest.replace("name = 'begin'", "name = 'fetch'")
}

#[test]
fn a_start_step_of_another_name_is_told_and_no_success() {
    let manifest = pipeline("", COPY);
    let test = Test::with(&manifest);
    test.runs();
    test.manifest(&renamed(&manifest));
    for words in [
        "-run",
        "-run -dry-run",
        "-migrate-tainted",
        "-run -runset all",
    ] {
        let ran = test.run(words.split(' ')).exits(2);
        ran.says("nothing to run: runset ")
            .says("began at step begin, which workflow.toml does not have")
            .says("hint: -run -fresh seeds a new runset at fetch");
    }
    for words in [&[][..], &["status"]] {
        test.run(words.iter().copied())
            .exits(0)
            .prints("next: runset ")
            .prints("began at step begin")
            .prints("-run -fresh");
    }
    // What the hint names helps, and so does the name that it had.
    test.run(["-run", "-fresh"]).exits(0);
    test.runs().says("0 run");
    test.manifest(&manifest);
    test.run(["-run"]).exits(2).says("began at step fetch");
    test.run(["-run", "-start", "begin"]).exits(0);
    test.runs().says("0 run");
}

#[test]
fn what_is_left_of_another_manifests_runset_is_told() {
    let manifest = pipeline("", "exit 1");
    let test = Test::with(&manifest);
    test.run(["-run"]).exits(1);
    // One step is still there and has something to do.
    test.manifest(&renamed(&pipeline("", COPY)));
    test.run(["-run"])
        .exits(0)
        .says("warning: runset ")
        .says("began at step begin, which workflow.toml does not have; -run -fresh seeds");
    // Nothing of this db.
    let test = Test::with(&manifest);
    test.run(["-run"]).exits(1);
    test.manifest("[[step]]\nname = 'other'\nstart = true\nscript = 'true'\n");
    test.run(["-run"])
        .exits(2)
        .says("2 unfinished tasks are of steps that the manifest does not have: work 2");
    test.run(["status"])
        .exits(0)
        .prints("not run: 2 unfinished tasks are of steps that the manifest does not have: work 2");
    assert_eq!(test.times("work"), 2);
}

#[test]
fn another_start_step_is_told() {
    let manifest = pipeline("", COPY);
    let test = Test::with(&manifest);
    test.runs();
    test.manifest(&format!(
        "{}\n[[step]]\nname = 'first'\nstart = true\nscript = 'true'\n",
        manifest.replace("start = true", "")
    ));
    test.runs()
        .says("began at step begin, and the start step first never ran in it")
        .says("-run -start first runs it there");
    test.run(["-run", "-start", "first"]).exits(0).says("1 run");
    // Both count now, which is told, until somebody decides.
    for _ in 0..2 {
        test.runs()
            .never_says("never ran")
            .says("results that began at begin, where workflow.toml does not start");
    }
    test.run(["status"])
        .prints("-migrate-tainted takes them out");
    test.run(["-run", "-dry-run"]).exits(0);
    assert_ne!(test.finals(), BTreeMap::new());
    test.run(["-run", "-migrate-tainted"])
        .exits(0)
        .says("results that began at begin are superseded");
    assert_eq!(test.finals(), BTreeMap::new());
    test.runs().never_says("began at");
    test.tally_is_right();
}

/// A step that starts, or takes in what is in `in`, and leaves its input and a line.
fn begins(how: &str) -> String {
    let copy = "cat $INPUT_FILE > $OUTPUT_DIR/o.txt; echo a >> $OUTPUT_DIR/o.txt";
    let (input, start) = match how {
        "start" => ("", "start = true\n"),
        "inputs" => ("[[input]]\nfiles = 'in/*'\nstep = 'a'\n", ""),
        "both" => (
            "[[input]]\nfiles = 'in/*'\nstep = 'a'\n[[step]]\nname = 'fetch'\nstart = true\n\
             script = 'echo f > $OUTPUT_DIR/f.txt'\n",
            "",
        ),
        other => panic!("{other}"),
    };
    format!("{input}[[step]]\nname = 'a'\n{start}script = '{copy}'\n")
}

#[test]
fn results_are_those_of_where_the_manifest_begins() {
    for before in ["start", "inputs", "both"] {
        for after in ["start", "inputs", "both"] {
            let anew = Test::with(&begins(after));
            anew.write("in/x", "X");
            anew.runs();
            let test = Test::with(&begins(before));
            test.write("in/x", "X");
            test.runs();
            test.manifest(&begins(after));
            let ran = test.run(["-run"]);
            if (before, after) == ("both", "start") {
                // Nothing that it begins at is there any more: it may be another pipeline's.
                ran.exits(2).says("-run -fresh seeds a new one at a");
                continue;
            }
            let ran = ran.exits(0);
            if test.finals() != anew.finals() {
                ran.says("-migrate-tainted");
                test.run(["-run"]).exits(0).says("-migrate-tainted");
            }
            test.run(["-run", "-migrate-tainted"]).exits(0);
            assert_eq!(test.finals(), anew.finals(), "{before} {after}");
            test.runs().never_says("warning");
            test.tally_is_right();
        }
    }
}

#[test]
fn what_begins_elsewhere_beside_the_rest_is_told() {
    let test = Test::with(&format!(
        "{}[[step]]\nname = 'later'\nscript = 'echo l > $OUTPUT_DIR/l.txt'\n",
        begins("start")
    ));
    test.runs();
    test.run(["-run", "-start", "later"])
        .exits(0)
        .says("step later had no task in runset ")
        .says("one begins there on an empty input, beside all else")
        .says("hint: `run -until later` runs all that leads to it");
    assert_eq!(test.finals().len(), 2);
    test.runs()
        .says("results that began at later, where workflow.toml does not start");
    test.run(["-run", "-migrate-tainted"]).exits(0);
    assert_eq!(test.finals().len(), 1);
    test.runs().never_says("warning");
}

#[test]
fn a_step_that_works_on_what_comes_begins_with_nothing_else() {
    let test = Test::with(&format!(
        "{}[[step]]\nname = 'later'\nscript = 'echo l > $OUTPUT_DIR/l.txt'\n",
        begins("inputs")
    ));
    test.write("in/x", "X");
    for _ in 0..2 {
        test.run(["-run", "-start", "later"])
            .exits(0)
            .says("step later has no task in runset ");
        assert_eq!(test.finals().len(), 1);
    }
}

#[test]
fn nothing_of_another_pipelines_db_is_changed() {
    let test = Test::with(&format!(
        "{}[[step]]\nname = 'b'\nscript = 'cp $INPUT_FILE $OUTPUT_DIR/e.txt'\n",
        begins("start").replace("o.txt", "x_b")
    ));
    test.runs();
    let before = test.rows("SELECT * FROM task");
    test.write("in/x", "X");
    for other in [
        "[[step]]\nname = 'other'\nstart = true\nscript = ':'\n",
        "[[input]]\nfiles = 'in/*'\nstep = 'k'\n[[step]]\nname = 'k'\nscript = ':'\n",
    ] {
        test.write("other.toml", other);
        for action in ["-run", "-migrate-tainted -run", "-migrate-tainted"] {
            let words = ["-manifest", "other.toml"]
                .into_iter()
                .chain(action.split(' '));
            test.run(words).exits(2).says("nothing to run: runset ");
            assert_eq!(test.rows("SELECT * FROM task"), before, "{action} {other}");
        }
    }
    test.runs().says("0 run").never_says("warning");
}

/// The numbers of the versions of `work`, the current one marked.
fn versions(test: &Test) -> Vec<String> {
    test.rows(
        "SELECT version || iif(current, '*', '') FROM step WHERE name = 'work' ORDER BY version",
    )
}

#[test]
fn a_version_that_comes_back_is_the_one_that_it_was() {
    let (a, b) = (pipeline("", COPY), pipeline("", DOUBLE));
    let test = Test::with(&a);
    test.runs();
    test.manifest(&b);
    test.run(["-run", "-migrate-tainted"]).exits(0);
    assert_eq!(versions(&test), ["1", "2*"]);
    let ran = test.times("work");

    test.manifest(&a);
    test.run(["why", "work"])
        .exits(0)
        .prints("work is v1 again with the next -run");
    test.run(["-run", "-dry-run"])
        .exits(0)
        .prints("2 tainted tasks would stay (script)");
    test.runs()
        .says("work is version 1 again, changed: script\n")
        .says("work: 2 finished tasks have another version (script)");
    assert_eq!(versions(&test), ["1*", "2"]);
    // It is told once.
    test.runs()
        .never_says("again, changed")
        .says("tainted: work 2 (script)");
    test.run([""; 0]).exits(0).prints("2 tainted tasks: work 2");
    let status = test.json(&["status", "-json"]);
    let work = &status["steps"][1];
    assert_eq!((&work["version"], &work["tainted"]), (&1.into(), &2.into()));
    test.run(["tasks", "-state", "tainted"])
        .exits(0)
        .prints("v2");
    let why = test.text(&["why", "work"]);
    assert!(why.starts_with("work is v1 again\n"), "{why}");
    assert!(why.contains("v2: 2 done\n  the finished ones are tainted: -migrate-tainted -run does them again as v1"), "{why}");
    let graph = test.text(&["graph"]);
    assert!(
        graph.contains("! work v1\n") && graph.contains("tainted: 2 of v2"),
        "{graph}"
    );
    assert_eq!(
        test.rows("SELECT DISTINCT step || version FROM live_task WHERE tainted"),
        ["work2"]
    );
    // What it did then is taken over; nothing runs.
    test.run(["-run", "-migrate-tainted"])
        .exits(0)
        .says("work: 2 tasks to be done again by version 1")
        .says("0 run, 4 reused");
    assert_eq!(test.finals()["end"], [b"a\n", b"b\n"]);

    // However often they alternate.
    for manifest in [&b, &a, &b] {
        test.manifest(manifest);
        let ran = test.run(["-run", "-migrate-tainted", "-log-format", "json"]);
        ran.exits(0).says("\"again\":true,\"changes\":[\"script\"]");
    }
    assert_eq!(versions(&test), ["1", "2*"]);
    assert_eq!(test.times("work"), ran);
    assert_eq!(test.finals()["end"], [b"a\na\n", b"b\nb\n"]);
    test.tally_is_right();
}

#[test]
fn what_is_pending_goes_to_a_version_that_comes_back() {
    let fails = pipeline("", "exit 1");
    let test = Test::with(&pipeline("", COPY));
    test.runs();
    test.manifest(&fails);
    test.run(["-run", "-fresh"]).exits(1);
    test.manifest(&pipeline("", COPY));
    test.runs().says("4 reused");
    assert_eq!(versions(&test), ["1*", "2"]);
    test.tally_is_right();
}

#[test]
fn old_results_are_told_to_who_hears_only_warnings_and_fail_a_strict_run() {
    let keep = "keep = ['COUNT']\n";
    let manifest =
        |script| pipeline("", script).replace("[[step]]\n", &format!("[[step]]\n{keep}"));
    let test = Test::with(&manifest(COPY));
    test.run(["-run", "-strict"]).exits(0);
    test.manifest(&manifest(DOUBLE));
    let told =
        "work: 2 finished tasks have another version (script); -migrate-tainted does them again\n";
    let ran = test.run(["-run", "-quiet"]).exits(0);
    assert_eq!(ran.stderr, told);
    for _ in 0..2 {
        let ran = test.run(["-run", "-quiet", "-strict"]).exits(1);
        assert_eq!(
            ran.stderr,
            format!(
                "{told}error: 2 results stay as they are, of another version or route than today's (-strict)\n\
                 hint: -migrate-tainted -run has them done again\n"
            )
        );
    }
    test.run(["-migrate-tainted", "-run", "-strict"]).exits(0);
    // The name of a step that comes now.
    let end = format!("[[step]]\n{keep}name = 'end'\nscript = 'true'\n");
    test.manifest(&(manifest(DOUBLE) + &end));
    test.run(["-run", "-quiet", "-strict"])
        .exits(1)
        .says("2 outputs that were final go to step end by today's steps")
        .says("error: 2 results stay as they are");
    test.run(["-migrate-tainted", "-run", "-strict"]).exits(0);
    test.run(["-run", "-strict"]).exits(0);
}
