//! Samples of tainted tasks, and what is taken over on them.

use rustix::process::Signal;

use crate::harness::{Test, hash, wait_for};

/// Ten tasks of `tr` with this script, on words and numbers, and what follows from them.
fn pipeline(script: &str) -> String {
    format!(
        "[[step]]\nname = 'begin'\nstart = true\nscript = '''\n\
         for i in 0 1 2 3 4 5 6 7 8 9; do echo word $i > $OUTPUT_DIR/${{i}}_tr; done'''\n\
         [[step]]\nname = 'tr'\nscript = '''\necho tr >> $COUNT\n{script}\n'''\n\
         [[step]]\nname = 'last'\nscript = 'echo last >> $COUNT; cp $INPUT_FILE $OUTPUT_DIR/end'\n"
    )
}

const RANGES: &str = "tr a-z A-Z < $INPUT_FILE > $OUTPUT_DIR/x_last";
const CLASSES: &str = "tr '[:lower:]' '[:upper:]' < $INPUT_FILE > $OUTPUT_DIR/x_last";
/// Another one of 0 to 4.
const NUMBERS: &str = "tr a-z0-4 A-ZA-E < $INPUT_FILE > $OUTPUT_DIR/x_last";

const ROWS: &str = "SELECT id, object_hash, step_id, input_task_id, processed, name, live, executed
    FROM task ORDER BY id";

fn ran(before: &str, now: &str) -> Test {
    let test = Test::with(&pipeline(before));
    test.runs();
    test.manifest(&pipeline(now));
    test
}

#[test]
fn an_equal_sample_is_accepted_and_nothing_is_left_to_do() {
    let test = ran(RANGES, CLASSES);
    let (rows, finals) = (test.rows(ROWS), test.finals());
    test.run(["-migrate-tainted", "-accept", "tr"])
        .exits(2)
        .says("nothing is accepted: no sample of the tasks of step tr of version 1 has been run under version 2")
        .says("hint: -migrate-tainted -sample 20");
    test.run(["-migrate-tainted", "-sample", "4"])
        .exits(0)
        .says("4 tainted tasks run to see what comes of it; nothing of that is recorded")
        .says("tr: 4 of 10 tainted tasks run under version 2: all outputs equal to those of version 1\n")
        .says("hint: -migrate-tainted -accept tr takes all 10 over");
    assert_eq!((test.times("tr"), test.times("last")), (14, 10));
    assert_eq!(test.rows(ROWS), rows);
    test.nothing_temporary_is_left();
    let why = test.text(&["why", "tr"]);
    assert!(
        why.contains("a sample of 4 of 10 on ") && why.contains("-accept tr takes them over"),
        "{why}"
    );

    test.run(["-migrate-tainted", "-accept", "tr"])
        .exits(0)
        .says("tr: 10 tasks of version 1 taken over by version 2, on a sample of 4 of 10 on 20");
    test.tally_is_right();
    let kept = "SELECT id, object_hash, input_task_id, processed, name, live, executed
        FROM task ORDER BY id";
    let without = |rows: &[String]| -> Vec<String> {
        let row = |row: &String| {
            let mut cells: Vec<&str> = row.split('|').collect();
            cells.remove(2);
            cells.join("|")
        };
        rows.iter().map(row).collect()
    };
    assert_eq!(test.rows(kept), without(&rows));
    test.runs().says("0 run, 0 reused").never_says("tainted");
    assert_eq!(test.finals(), finals);
    test.run(["-migrate-tainted", "-run"])
        .exits(0)
        .says("nothing is tainted")
        .says("0 run");

    let shown = test.text(&["status"]);
    assert!(
        shown.contains("tr: 10 tasks accepted for version 2 on a sample of 4 of 10 on 20")
            && shown.contains(", made by version 1\n"),
        "{shown}"
    );
    let status = test.json(&["status", "-json"]);
    let accepted = &status["steps"][1]["accepted"][0];
    assert_eq!(
        (
            &accepted["count"],
            &accepted["made_by_version"],
            &accepted["sample"]["tasks"]
        ),
        (&10.into(), &1.into(), &4.into())
    );
    assert_eq!(status["tainted"], 0);
    let task = test.rows("SELECT id FROM live_task WHERE step = 'tr' AND made_by = 1 LIMIT 1");
    let why = test.text(&["why", &task[0]]);
    assert!(
        why.contains("tr v2 on ")
            && why.contains("  accepted for version 2 on a sample of 4 of 10"),
        "{why}"
    );
    assert!(
        test.text(&["why", "tr"])
            .contains("10 of them accepted for version 2")
    );
    assert_eq!(
        test.rows("SELECT DISTINCT version, made_by, sampled, sampled_of FROM acceptance"),
        ["2|1|4|10"]
    );
    test.run(["report", "-o", "r.html"]).exits(0);
    assert!(
        test.read("r.html")
            .contains("tr: 10 tasks accepted for version 2 on a sample")
    );
}

#[test]
fn what_is_accepted_is_used_in_no_other_runset() {
    let test = ran(RANGES, CLASSES);
    test.run(["-migrate-tainted", "-sample", "2"]).exits(0);
    test.run(["-migrate-tainted", "-accept", "tr"]).exits(0);
    assert_eq!(test.times("tr"), 12);
    // All of `tr` again, and none of what follows.
    test.run(["-run", "-fresh"])
        .exits(0)
        .says("11 run, 10 reused");
    assert_eq!((test.times("tr"), test.times("last")), (22, 10));
    let newest = test.rows("SELECT max(id) FROM live_task WHERE step = 'tr'");
    let why = test.text(&["why", &newest[0]]);
    assert!(
        why.contains("was accepted for version 2 on a sample of 2 of 10"),
        "{why}"
    );
    // What was executed is used again.
    test.run(["-run", "-fresh"])
        .exits(0)
        .says("1 run, 20 reused");
    test.tally_is_right();
}

#[test]
fn what_is_accepted_is_given_back_to_the_version_that_made_it() {
    let test = ran(RANGES, CLASSES);
    test.run(["-migrate-tainted", "-sample", "2"]).exits(0);
    test.run(["-migrate-tainted", "-accept", "tr"]).exits(0);
    test.manifest(&pipeline(RANGES));
    test.runs().says("tainted: tr 10");
    test.run(["-migrate-tainted", "-run"])
        .exits(0)
        .says("tr: 10 accepted tasks again of version 1, which made them")
        .says("0 run");
    test.run(["-run", "-fresh"])
        .exits(0)
        .says("1 run, 20 reused");
    test.tally_is_right();
}

#[test]
fn a_sample_that_differs_says_where_and_is_not_accepted() {
    let test = ran(RANGES, NUMBERS);
    let rows = test.rows(ROWS);
    let told = test.run(["-migrate-tainted", "-sample", "10"]).exits(1);
    let (old, new) = (hash(b"WORD 3\n"), hash(b"WORD D\n"));
    told.says("tr: 10 of 10 tainted tasks run under version 2: 5 left other outputs than under version 1\n")
        .says(&format!(
            " on 3_tr: x_last differs ({}, was {})\n",
            &new[..12],
            &old[..12]
        ))
        .says("hint: -migrate-tainted -run does all of them again");
    assert_eq!(test.rows(ROWS), rows);
    // What it left can be looked at.
    assert_eq!(test.text(&["cat", &new[..12]]), "WORD D\n");
    test.run(["-migrate-tainted", "-accept", "tr"])
        .exits(2)
        .says("nothing is accepted: in a sample of 10 of 10")
        .says("5 tasks of step tr left something else under version 2 than under version 1")
        .says("hint: -migrate-tainted -run");
    assert_eq!(test.rows(ROWS), rows);
    let quiet = test.run(["-migrate-tainted", "-sample", "10", "-quiet"]);
    quiet.exits(1).says("5 left other outputs");
    // Another version is another question.
    test.manifest(&pipeline(CLASSES));
    test.run(["-migrate-tainted", "-accept", "tr"])
        .exits(2)
        .says("was run under another version than 3");
    test.run(["-migrate-tainted", "-run"]).exits(0);
    test.tally_is_right();
}

#[test]
fn missing_new_and_failing_ones_are_told_and_json_has_them() {
    let test = ran(RANGES, CLASSES);
    let script = "case $(cat $INPUT_FILE) in *1) echo oh no >&2; exit 3;; *2) exit 0;; \
         *3) echo new > $OUTPUT_DIR/more;; esac; tr a-z A-Z < $INPUT_FILE > $OUTPUT_DIR/x_last";
    test.manifest(&pipeline(script));
    let told = test.run(["-migrate-tainted", "-sample", "1000"]).exits(1);
    told.says("2 left other outputs than under version 1, 1 failed\n")
        .says(" on 1_tr: failed: exit status 3\n")
        .says(" on 2_tr: x_last is missing\n")
        .says(" on 3_tr: more is new\n");
    let told = test.run(["-migrate-tainted", "-sample", "10", "-log-format", "json"]);
    let lines = told.exits(1).stderr;
    let line = lines.lines().find(|line| line.contains("\"sampled\""));
    let told: serde_json::Value = serde_json::from_str(line.unwrap()).unwrap();
    assert_eq!(
        (
            &told["tasks"],
            &told["differing"],
            &told["failed"],
            &told["equal"]
        ),
        (&10.into(), &2.into(), &1.into(), &false.into())
    );
    let new = &told["differences"][2]["outputs"][0];
    assert_eq!(new["new"], hash(b"new\n"));
    assert_eq!(
        told["differences"][0]["error"]
            .as_str()
            .unwrap()
            .lines()
            .next(),
        Some("exit status 3")
    );
    assert_eq!(test.rows("SELECT count(*) FROM log"), ["0"]);
}

#[test]
fn tasks_below_tainted_ones_are_sampled_on_the_inputs_that_they_have() {
    let test = ran(RANGES, CLASSES);
    let both = pipeline(CLASSES).replace("cp $INPUT_FILE", "cat $INPUT_FILE |cat >");
    test.manifest(&both);
    test.run(["-migrate-tainted", "-sample", "3"])
        .exits(0)
        .says("tr: 3 of 10 tainted tasks")
        .says("last: 3 of 10 tainted tasks");
    test.run(["-migrate-tainted", "-accept", "last"]).exits(0);
    test.run([""; 0]).exits(0).prints("10 tainted tasks: tr 10");
    test.run(["-migrate-tainted", "-accept", "tr", "-accept", "last"])
        .exits(2)
        .says("step last has no tainted tasks");
    test.run(["-migrate-tainted", "-accept", "tr"]).exits(0);
    test.runs().says("0 run");
    // A later version finds them tainted like all others.
    test.manifest(&both.replace("A-Z", "A-Y").replace(":upper:", ":lower:"));
    test.run(["-migrate-tainted", "-run"])
        .exits(0)
        .says("tr: 10 tasks to be done again by version 3");
    assert_eq!(test.finals()["end"][0], b"word 0\n");
    test.tally_is_right();
}

#[test]
fn tasks_of_several_older_versions_are_sampled_and_accepted_each_for_itself() {
    let test = ran(RANGES, CLASSES);
    // Two versions with finished tasks: five each.
    let fresh = pipeline(CLASSES);
    test.run(["-run", "-start", "begin"]).exits(0);
    test.alter(
        "UPDATE task SET step_id = (SELECT id FROM step WHERE name = 'tr' AND version = 1)
         WHERE live AND name IN ('0_tr', '1_tr', '2_tr') AND
             step_id = (SELECT id FROM step WHERE name = 'tr' AND version = 2);
         UPDATE tally SET done = done + (step_id = 2) * 3 - (step_id = 4) * 3;",
    );
    test.manifest(&fresh.replace("echo tr", "echo tr #"));
    let told = test.run(["-migrate-tainted", "-sample", "2"]).exits(0);
    told.says(
        "tr: 2 of 3 tainted tasks run under version 3: all outputs equal to those of version 1",
    )
    .says("tr: 2 of 7 tainted tasks run under version 3: all outputs equal to those of version 2");
    test.alter("UPDATE sample SET unequal = 1 WHERE from_step = 2");
    test.run(["-migrate-tainted", "-accept", "tr"])
        .exits(0)
        .says("tr: 7 tasks of version 2 taken over by version 3")
        .says("warning: 3 tainted tasks stay: in a sample of 2 of 3");
}

#[test]
fn a_sample_speaks_for_no_task_that_was_executed_later() {
    let test = ran(RANGES, CLASSES);
    test.run(["-migrate-tainted", "-sample", "2"]).exits(0);
    test.manifest(&pipeline(RANGES));
    test.run(["-run", "-start", "tr"]).exits(0).says("10 run");
    test.manifest(&pipeline(CLASSES));
    test.run(["-migrate-tainted", "-accept", "tr"])
        .exits(2)
        .says("says nothing of tasks that ran later, and some of step tr of version 1 did")
        .says("hint: -migrate-tainted -sample 20");
    test.run(["-migrate-tainted", "-sample", "2"]).exits(0);
    test.run(["-migrate-tainted", "-accept", "tr"]).exits(0);
    test.runs().says("0 run");
}

#[test]
fn wrong_words_are_refused() {
    let test = ran(RANGES, RANGES);
    for (words, about) in [
        ("-migrate-tainted -sample 0", "-sample"),
        ("-migrate-tainted -sample few", "few"),
        ("-sample 3", "-migrate-tainted"),
        ("-accept tr", "-migrate-tainted"),
        ("-run -accept tr", "-run"),
        ("-migrate-tainted -run -sample 3", "-run"),
        ("-migrate-tainted -sample 3 -fresh", "-fresh"),
        ("-migrate-tainted -sample 3 -start tr", "-start"),
        ("-migrate-tainted -sample 3 -dry-run", "-dry-run"),
        ("-migrate-tainted -sample 3 -accept tr", "-accept"),
        ("-migrate-tainted -accept tt", "did you mean `tr`?"),
        (
            "-migrate-tainted -accept tr",
            "step tr has no tainted tasks",
        ),
        ("-migrate-tainted -sample 3 -runset other", "other"),
    ] {
        test.run(words.split(' '))
            .exits(2)
            .says("error: ")
            .says(about);
    }
    test.run("-migrate-tainted -sample 3 -parallel 2 -grace 1s".split(' '))
        .exits(0)
        .says("nothing is tainted");
    let new = Test::with(&pipeline(RANGES));
    new.run(["-migrate-tainted", "-sample", "3"])
        .exits(2)
        .says("nothing ever ran");
}

/// Waits for the file `go`, if there is a file `hold`.
const WAITS: &str = "if test -e hold; then : > started; until test -e go; do sleep 0.01; done; fi; \
     tr a-z A-Z < $INPUT_FILE > $OUTPUT_DIR/x_last";

#[test]
fn a_sample_that_is_killed_or_interrupted_says_nothing_and_another_one_works() {
    let test = ran(RANGES, WAITS);
    test.run(["-migrate-tainted", "-sample", "3"]).exits(0);
    let rows = test.rows(ROWS);
    test.write("hold", "");
    for (signal, status) in [(Signal::KILL, 137), (Signal::INT, 130)] {
        let running = test.start(["-migrate-tainted", "-sample", "4"]);
        // What a killed one left running may say that it started, too.
        running.says("to see what comes of it");
        wait_for("a task", || test.path("started").exists());
        if signal == Signal::INT {
            test.run(["-run"]).exits(2).says("is in use by");
        }
        running.signal(signal);
        running.end().exits(status);
        std::fs::remove_file(test.path("started")).unwrap();
        assert_eq!(test.rows(ROWS), rows);
        test.run(["-migrate-tainted", "-accept", "tr"])
            .exits(2)
            .says("no sample of the tasks");
    }
    test.nothing_temporary_is_left();
    std::fs::remove_file(test.path("hold")).unwrap();
    test.run(["-migrate-tainted", "-sample", "4"]).exits(0);
    test.run(["-migrate-tainted", "-accept", "tr"]).exits(0);
    test.tally_is_right();
    test.objects_are_whole();
}

#[test]
fn files_that_change_meanwhile_leave_no_evidence() {
    let files =
        |script: &str| pipeline(script).replace("name = 'tr'", "name = 'tr'\nfiles = ['data']");
    let test = Test::new();
    test.write("data", "1");
    test.manifest(&files(RANGES));
    test.runs();
    test.manifest(&files(WAITS));
    test.write("hold", "");
    let running = test.start(["-migrate-tainted", "-sample", "2", "-parallel", "1"]);
    wait_for("a task", || test.path("started").exists());
    test.write("data", "other");
    test.write("go", "");
    running
        .end()
        .exits(1)
        .says("2 failed")
        .says("changed while tr ran");
    test.run(["-migrate-tainted", "-accept", "tr"]).exits(2);
    test.tally_is_right();
}

#[test]
fn variables_of_the_task_are_those_that_it_had() {
    let script = "echo $TASK_PIPELINE_TASK $TASK_PIPELINE_RUNSET $TASK_PIPELINE_INPUT_NAME \
         > $OUTPUT_DIR/x_last";
    let test = ran(script, &format!("# a comment\n{script}"));
    test.run(["-migrate-tainted", "-sample", "10"])
        .exits(0)
        .says("all outputs equal");
    // Nor does it matter where tasks have their results from, or that they are not to be used again.
    let uncached = |text: &str| text.replace("name = 'tr'", "name = 'tr'\ncache = false");
    let test = Test::with(&uncached(&pipeline(RANGES)));
    test.runs();
    test.run(["-run", "-start", "begin"]).exits(0);
    test.manifest(&uncached(&pipeline(CLASSES)));
    test.run(["-migrate-tainted", "-sample", "10"]).exits(0);
    test.run(["-migrate-tainted", "-accept", "tr"]).exits(0);
    test.runs().says("0 run");
}

#[test]
fn each_runset_has_evidence_of_its_own() {
    let test = Test::with(&pipeline(RANGES));
    test.run(["-run", "-runset", "one"]).exits(0);
    test.run(["-run", "-fresh", "-runset", "two"]).exits(0);
    test.manifest(&pipeline(CLASSES));
    test.run(["-migrate-tainted", "-sample", "2", "-runset", "one"])
        .exits(0)
        .says("hint: -migrate-tainted -runset one -accept tr");
    test.run(["-migrate-tainted", "-accept", "tr"])
        .exits(2)
        .says("no sample");
    test.run(["-migrate-tainted", "-sample", "2", "-runset", "all"])
        .exits(0);
    test.run(["-migrate-tainted", "-accept", "tr", "-runset", "all"])
        .exits(0);
    assert_eq!(test.rows("SELECT count(*) FROM accepted"), ["20"]);
    test.tally_is_right();
}

#[test]
fn a_smaller_sample_does_not_undo_what_a_larger_one_found() {
    let test = ran(RANGES, NUMBERS);
    test.run(["-migrate-tainted", "-sample", "20"]).exits(1);
    for most in ["1", "2", "9"] {
        test.run(["-migrate-tainted", "-sample", most])
            .says("a larger sample of step tr found outputs that differ: that still stands");
        test.run(["-migrate-tainted", "-accept", "tr"])
            .exits(2)
            .says("left something else under version 2");
    }
}

/// A step that takes in files, with this script.
fn takes_in(script: &str) -> String {
    format!(
        "[[input]]\nfiles = 'in/*'\nstep = 'k'\n[[step]]\nname = 'k'\nscript = '''{script}'''\n"
    )
}

#[test]
fn a_sample_speaks_for_no_task_that_came_later() {
    let one = "tr a-z A-Z < $INPUT_FILE > $OUTPUT_DIR/o";
    let other = format!("grep -q bad $INPUT_FILE && echo other > $OUTPUT_DIR/o || {one}");
    let test = Test::with(&takes_in(one));
    test.write("in/1", "bad");
    test.runs();
    std::fs::remove_file(test.path("in/1")).unwrap();
    test.write("in/2", "good");
    test.runs();
    test.manifest(&takes_in(&other));
    test.run(["-migrate-tainted", "-sample", "5"])
        .exits(0)
        .says("1 of 1");
    // It was executed before the sample, and is taken over behind it.
    test.manifest(&takes_in(one));
    std::fs::remove_file(test.path("in/2")).unwrap();
    test.write("in/1", "bad");
    test.runs().says("1 reused");
    test.manifest(&takes_in(&other));
    test.run(["-migrate-tainted", "-accept", "k"])
        .exits(2)
        .says("says nothing of tasks that came later");
}

#[test]
fn what_gathers_in_one_version_alone_is_not_compared() {
    let script = "cat $INPUT_FILE > $OUTPUT_DIR/o.txt";
    let test = Test::with(&takes_in(script));
    test.write("in/1", "1");
    test.runs();
    test.manifest(&format!("{}gather = true\n", takes_in(script)));
    test.run(["-migrate-tainted", "-sample", "5"])
        .says("step k takes other things together in the versions 1 and 2");
    test.run(["-migrate-tainted", "-accept", "k"])
        .exits(2)
        .says("so their tasks cannot be compared");
}

#[test]
fn who_made_what_is_accepted_is_told_and_serves_that_version_again() {
    let test = ran(RANGES, CLASSES);
    test.run(["-migrate-tainted", "-sample", "2"]).exits(0);
    test.run(["-migrate-tainted", "-accept", "tr"]).exits(0);
    let accepted = test.rows("SELECT min(id) FROM live_task WHERE step = 'tr'");
    let told = test.text(&["trace", &accepted[0]]);
    assert!(told.contains("tr v2, done, accepted, made by v1"), "{told}");
    let told = test.text(&["tasks", "-step", "tr"]);
    assert!(told.contains("done, by v1"), "{told}");
    assert!(test.text(&["graph"]).contains("10 of them accepted"));
    test.manifest(&pipeline(NUMBERS));
    test.run(["-migrate-tainted", "-run"]).exits(0);
    let before = test.times("tr");
    test.manifest(&pipeline(RANGES));
    test.run(["-migrate-tainted", "-run"])
        .exits(0)
        .says("0 run");
    assert_eq!(test.times("tr"), before);
    test.tally_is_right();
}

#[test]
fn a_sample_of_nothing_that_can_be_tried_is_none() {
    let (before, now) = (pipeline(RANGES), pipeline(CLASSES));
    // What `tr` works on can be made again, and so it may be dropped.
    let below = |pipeline: &str| {
        let first =
            "[[step]]\nname = 'first'\nstart = true\nscript = 'echo > $OUTPUT_DIR/x_begin'\n";
        format!("{first}{}", pipeline.replace("start = true\n", ""))
    };
    let test = Test::with(&below(&before));
    test.runs();
    test.text(&["evict", "begin"]);
    test.manifest(&below(&now));
    test.run(["-migrate-tainted", "-sample", "4"])
        .exits(0)
        .says("step tr: none of its 10 tasks of version 1 can be tried: the bytes of what they read were evicted");
    test.run(["-migrate-tainted", "-accept", "tr"])
        .exits(2)
        .says("nothing is accepted");
}
