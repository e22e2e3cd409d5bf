//! Steps that gather what comes to them (`gather`).

mod below;

use rustix::process::Signal;

use crate::harness::Test;

/// So many parts, each worked on, merged, and reported on.
fn pipeline(parts: usize) -> String {
    format!(
        r#"
[[step]]
name = "begin"
start = true
script = 'for i in $(seq 1 {parts}); do echo $i > $OUTPUT_DIR/${{i}}_part; done'
[[step]]
name = "part"
script = 'echo part >> $COUNT; test ! -e broken || test $(cat $INPUT_FILE) != 2; cp $INPUT_FILE $OUTPUT_DIR/merge'
[[step]]
name = "merge"
gather = true
script = 'echo merge >> $COUNT; cat $INPUT_DIR/* | sort -n > $OUTPUT_DIR/all_report.txt'
[[step]]
name = "report"
gather = true
script = 'echo report >> $COUNT; cat $INPUT_DIR/* | grep -c . > $OUTPUT_DIR/lines; cp $INPUT_FILE $OUTPUT_DIR/list'
"#
    )
}

#[test]
fn what_steps_of_the_manifest_do_not_do_is_told_and_not_waited_for() {
    let test = Test::with(&pipeline(3));
    test.write("broken", "");
    test.run(["-run"])
        .exits(1)
        .says("merge: 2 gathered, waits for 1 failed");
    // By another name now: what failed is nobody's.
    let renamed = pipeline(3).replace("\"part\"", "\"piece\"");
    test.manifest(&renamed);
    let told = "not run: 1 unfinished task is of steps that the manifest does not have: part 1; merge, report do \
                not wait for that";
    assert!(test.text(&["status"]).contains(told));
    test.run(["-run"])
        .exits(0)
        .says(told)
        .says("merge: 2 outputs gathered");
    assert!(test.text(&["status"]).contains(told));
    assert_eq!(test.output("lines"), "2\n");
    test.tally_is_right();
}

#[test]
fn twenty_of_one_name_are_merged_and_reported_on() {
    let test = Test::with(&pipeline(20));
    test.run(["-run", "-parallel", "4"])
        .exits(0)
        .says("23 run, 0 reused, 0 failed, 0 pending");
    assert_eq!(test.output("lines"), "20\n");
    let list = test.output("list");
    assert!(list.starts_with("task-pipeline tree 1\nf "), "{list}");
    assert!(list.ends_with("  all_report.txt\n"), "{list}");
    test.run(["-run"]).exits(0).says("0 run");
    test.run(["-run", "-fresh"])
        .exits(0)
        .says("1 run, 22 reused");
    assert_eq!((test.times("merge"), test.times("report")), (1, 1));
    test.tally_is_right();
    test.objects_are_whole();
    test.nothing_temporary_is_left();

    let tree = test.text(&["trace", "lines"]);
    assert!(tree.contains("from all_report.txt"), "{tree}");
    let merge = test.rows("SELECT id FROM live_task WHERE step = 'merge'");
    let tree = test.text(&["trace", &merge[0]]);
    assert!(tree.contains("from merge"), "{tree}");
    assert_eq!(tree.matches("from merge").count(), 20, "{tree}");
    let why = test.text(&["why", &merge[0]]);
    assert!(why.contains("gathered: 20 outputs"), "{why}");
    let tasks = test.text(&["tasks", "-step", "merge"]);
    assert_eq!(tasks.lines().count(), 2, "{tasks}");
    let exported = test.text(&["export", "-to", "out"]);
    assert!(!exported.contains("merge"), "{exported}");
    assert_eq!(test.read("out/lines"), "20\n");
    let check = test.text(&["check"]);
    assert!(
        check.contains("gathers   everything in the runset"),
        "{check}"
    );
}

#[test]
fn a_failed_member_is_told_and_waited_for() {
    let test = Test::with(&pipeline(3));
    test.write("broken", "");
    test.run(["-run"])
        .exits(1)
        .says("merge: 2 gathered, waits for 1 failed")
        .says("report: 0 gathered, waits for 1 failed");
    let status = test.text(&["status"]);
    assert!(
        status.contains("merge: 2 gathered, waits for 1 failed"),
        "{status}"
    );
    let json = test.json(&["status", "-json"]);
    assert_eq!(json["waiting"][0]["waits_for"]["failed"], 1, "{json}");
    let standing = test.text(&[]);
    assert!(
        standing.contains("merge: 2 gathered, waits for 1 failed"),
        "{standing}"
    );
    let dry = test.text(&["-run", "-dry-run"]);
    assert!(
        dry.contains("one more task would gather what the tasks before it leave"),
        "{dry}"
    );
    std::fs::remove_file(test.path("broken")).unwrap();
    test.run(["-run"]).exits(0).says("3 run");
    assert_eq!(test.output("lines"), "3\n");
    test.tally_is_right();
}

#[test]
fn inputs_that_change_or_go_are_gathered_anew() {
    let test = Test::with(
        r#"
[[input]]
files = "in/*.txt"
step = "part"
[[input]]
files = "also/*.txt"
step = "merge"
[[step]]
name = "part"
script = 'cp $INPUT_FILE $OUTPUT_DIR/merge.txt'
[[step]]
name = "merge"
gather = true
script = 'echo merge >> $COUNT; cat $INPUT_DIR/* | sort > $OUTPUT_DIR/all'
"#,
    );
    for (name, text) in [
        ("in/a.txt", "1\n"),
        ("in/b.txt", "2\n"),
        ("also/c.txt", "3\n"),
    ] {
        std::fs::create_dir_all(test.path(name).parent().unwrap()).unwrap();
        test.write(name, text);
    }
    test.runs();
    assert_eq!(test.output("all"), "1\n2\n3\n");
    test.write("in/b.txt", "5\n");
    test.write("also/c.txt", "4\n");
    test.runs();
    assert_eq!(test.output("all"), "1\n4\n5\n");
    std::fs::remove_file(test.path("in/a.txt")).unwrap();
    test.runs();
    assert_eq!(test.output("all"), "4\n5\n");
    test.write("in/a.txt", "1\n");
    test.runs().says("0 run, 2 reused");
    assert_eq!(test.output("all"), "1\n4\n5\n");
    assert_eq!(test.times("merge"), 3, "once for each change");
    assert_eq!(test.finals().len(), 1);
    test.tally_is_right();
}

#[test]
fn a_key_makes_a_group_and_is_told_to_the_script() {
    let test = Test::with(
        r#"
[[step]]
name = "begin"
start = true
script = 'for f in a_pair.1 a_pair.2 b_pair.1 x.y_pair.1.gz; do echo $f > $OUTPUT_DIR/$f; done'
[[step]]
name = "pair"
gather = "name"
script = 'echo "$TASK_PIPELINE_KEY:" $(ls $INPUT_DIR) > $OUTPUT_DIR/$TASK_PIPELINE_KEY.told'
"#,
    );
    test.runs().says("4 run");
    assert_eq!(test.output("a.told"), "a: a_pair.1 a_pair.2\n");
    assert_eq!(test.output("b.told"), "b: b_pair.1\n");
    assert_eq!(test.output("x.y.told"), "x.y: x.y_pair.1.gz\n");
    test.run(["-run", "-fresh"])
        .exits(0)
        .says("1 run, 3 reused");
    test.tally_is_right();
}

#[test]
fn what_comes_back_below_itself_names_both_steps() {
    let test = Test::with(
        r#"
[[step]]
name = "begin"
start = true
script = 'echo 1 > $OUTPUT_DIR/merge'
[[step]]
name = "report"
gather = true
script = 'echo 1 > $OUTPUT_DIR/late_merge'
[[step]]
name = "merge"
gather = true
script = 'cp $INPUT_FILE $OUTPUT_DIR/x_report'
"#,
    );
    test.run(["-run"])
        .exits(1)
        .says("left `x_report`, which goes to report; but merge itself gathers after report")
        .says("move merge up, before report");
    assert_eq!(
        test.rows("SELECT count(*) FROM task WHERE role = 1 AND live = 1"),
        ["1"]
    );
    test.tally_is_right();
}

#[test]
fn a_step_that_begins_to_gather_takes_what_waits_and_what_is_migrated() {
    let plain = pipeline(3).replace("name = \"merge\"\ngather = true", "name = \"merge\"");
    let plain = plain.replace("$INPUT_DIR/*", "$INPUT_FILE");
    let test = Test::with(&plain);
    test.runs();
    assert_eq!(test.times("merge"), 3);
    test.manifest(&pipeline(3));
    test.run(["-run"]).exits(0).says(
        "merge gathers nothing: what came to it before it had `gather` was worked on one by one",
    );
    assert_eq!(test.times("merge"), 3);
    test.run(["-migrate-tainted", "-run"]).exits(0);
    assert_eq!(test.times("merge"), 4);
    assert_eq!(test.output("lines"), "3\n");
    test.tally_is_right();
    // And back.
    test.manifest(&plain);
    test.run(["-migrate-tainted", "-run"]).exits(0);
    assert_eq!(
        test.rows("SELECT count(*) FROM live_task WHERE step = 'merge'"),
        ["3"]
    );
    test.tally_is_right();
}

#[test]
fn another_script_and_a_start_further_up_are_followed() {
    let test = Test::with(&pipeline(4));
    test.runs();
    test.manifest(&pipeline(4).replace("sort -n", "sort -rn"));
    test.run(["-run"]).exits(0).says("tainted");
    test.run(["-migrate-tainted", "-run"])
        .exits(0)
        .says("2 run, 0 reused");
    test.run(["-run", "-start", "part"])
        .exits(0)
        .says("4 run, 2 reused");
    test.run(["-run", "-start", "merge"])
        .exits(0)
        .says("1 run, 1 reused");
    assert_eq!(test.times("merge"), 3);
    assert_eq!(test.output("lines"), "4\n");
    test.tally_is_right();
}

#[test]
fn killed_while_the_last_ones_end() {
    let test = Test::with(&pipeline(6));
    let whole = test.run(["-run", "-parallel", "3"]).exits(0).elapsed;
    let expected = (test.output("lines"), test.output("list"));
    for part in 1..=12_u32 {
        let test = Test::with(&pipeline(6));
        let running = test.start(["-run", "-parallel", "3"]);
        let moment = whole * part / 12;
        let began = std::time::Instant::now();
        crate::harness::wait_for("the moment", || began.elapsed() >= moment);
        running.signal(Signal::KILL);
        running.end();
        test.run(["-run", "-parallel", "3"]).exits(0);
        assert_eq!((test.output("lines"), test.output("list")), expected);
        assert_eq!(
            test.rows("SELECT step, count(*) FROM live_task GROUP BY 1 ORDER BY 1"),
            ["begin|1", "merge|1", "part|6", "report|1"]
        );
        test.tally_is_right();
    }
}

#[test]
fn what_cannot_be_meant_is_refused_where_it_stands() {
    let step = |keys: &str| {
        format!(
            "[[step]]\nname = 'begin'\nstart = true\nscript = ':'\n[[step]]\nname = 'x'\nscript = ':'\n{keys}\n"
        )
    };
    let start = "[[step]]\nname = 'begin'\nstart = true\ngather = true\nscript = ':'\n";
    for (text, says) in [
        (
            start.to_owned(),
            "step `begin` is the start step and gathers",
        ),
        (
            step("gather = 'nam'"),
            "`gather`: `nam` is neither \"name\" nor a step",
        ),
        (step("gather = 'begni'"), "hint: did you mean `begin`?"),
        (
            step("gather = 'x'"),
            "`x` gathers what comes of its own tasks",
        ),
        (
            step("gather = 'y'\n[[step]]\nname = 'y'\nfrom = ['x']\nscript = ':'"),
            "`from` and `gather` go in a circle: x → y → x",
        ),
        (
            step("gather = 'begin'\n[[input]]\nfiles = 'in/*'\nstep = 'x'"),
            "inputs go to step `x`, which gathers what descends from each task of `begin`",
        ),
        (
            step("gather = 1"),
            "`gather` must be true, false, \"name\" or a step's name",
        ),
        (step("partial = true"), "`partial` is for steps that gather"),
        (step("empty = true"), "`empty` is for steps that gather"),
        (
            step("gather = 'name'\nempty = true"),
            "`empty` does not go with gather = \"name\"",
        ),
        (
            format!("[defaults]\ngather = true\n{}", step("")),
            "unknown key `gather` in [defaults]",
        ),
    ] {
        let test = Test::with(&text);
        let told = test.run(["check"]).exits(2).says(says);
        assert!(told.stderr.contains("workflow.toml:"), "{told}");
    }
}

#[test]
fn what_waits_below_a_step_that_gathers_by_now_is_no_success() {
    let manifest = |more: &str| {
        format!(
            "[[step]]\nname = 'a'\nstart = true\n\
             script = 'for i in 1 2; do echo $i > $OUTPUT_DIR/${{i}}_b; done'\n\
             [[step]]\nname = 'b'\n{more}\nscript = 'cat $INPUT_FILE > $OUTPUT_DIR/x_c'\n\
             [[step]]\nname = 'c'\nscript = 'cat $INPUT_FILE > $OUTPUT_DIR/o'\n"
        )
    };
    let test = Test::with(&manifest(""));
    test.runs();
    test.manifest(&manifest("gather = true"));
    test.run(["-run", "-start", "c"])
        .exits(1)
        .says("2 tasks to be done could not start")
        .says("hint: -migrate-tainted -run");
    test.run(["-run"]).exits(1).says("could not start");
    test.run(["-run", "-migrate-tainted"]).exits(0);
    test.runs().never_says("could not start");
}

#[test]
fn what_is_gone_below_a_gather_is_made_again_in_one_run() {
    let test = Test::with(
        r#"
[[input]]
files = "in/*"
step = "b"
[[step]]
name = "b"
script = 'sed s/^/b/ $INPUT_FILE > $OUTPUT_DIR/x_m'
[[step]]
name = "m"
gather = true
script = 'cat $INPUT_DIR/* > $OUTPUT_DIR/x_r'
[[step]]
name = "r"
script = 'sort $INPUT_FILE > $OUTPUT_DIR/fin'
"#,
    );
    std::fs::create_dir(test.path("in")).unwrap();
    for name in ["1", "2", "3"] {
        test.write(&format!("in/{name}"), format!("{name}\n"));
    }
    test.runs();
    for entry in std::fs::read_dir(test.path("db/objects")).unwrap() {
        std::fs::remove_dir_all(entry.unwrap().path()).unwrap();
    }
    test.runs()
        .says("3 tasks run again")
        .says("5 run, 0 reused");
    assert_eq!(test.output("fin"), "b1\nb2\nb3\n");
    test.objects_are_whole();
    test.tally_is_right();
}

#[test]
fn what_is_asked_to_execute_does_so_on_what_there_is_then() {
    let test = Test::with(
        r#"
[[input]]
files = "in/*"
step = "b"
[[step]]
name = "b"
script = 'test "$(cat $INPUT_FILE)" != bad; cp $INPUT_FILE $OUTPUT_DIR/x_m'
[[step]]
name = "m"
gather = true
script = 'echo m >> $COUNT; env | grep -c "^INPUT_D" > $OUTPUT_DIR/x_n || true'
[[step]]
name = "n"
script = 'cp $INPUT_FILE $OUTPUT_DIR/fin'
"#,
    );
    std::fs::create_dir(test.path("in")).unwrap();
    test.write("in/1", "1");
    test.write("in/2", "bad");
    test.run(["-run", "-start", "n"])
        .exits(1)
        .says("step n has no task in runset")
        .says("m: 1 gathered, waits for 1 failed");
    test.run(["-run", "-start", "n"])
        .exits(1)
        .says("step n has no task");
    assert!(test.finals().is_empty());
    std::fs::remove_file(test.path("in/2")).unwrap();
    test.runs();
    assert_eq!(
        test.output("fin"),
        "0\n",
        "no folder for who does not mention it"
    );
    test.write("in/2", "2");
    test.runs();
    std::fs::remove_file(test.path("in/2")).unwrap();
    test.run(["-run", "-start", "m"])
        .exits(0)
        .says("1 gone")
        .says("1 run, 1 reused");
    assert_eq!(test.times("m"), 3);
    test.tally_is_right();
}

#[test]
fn killed_while_the_last_member_comes_in() {
    crate::last_member::killed_as_it_is_recorded(3);
}

#[test]
fn the_group_of_what_fails_is_told_wherever_it_is() {
    let test = Test::with(
        "[[step]]\nname = 'begin'\nstart = true\n\
         script = 'for key in ann bob; do echo > $OUTPUT_DIR/${key}_merge; done'\n\
         [[step]]\nname = 'merge'\ngather = 'name'\nscript = '! grep -q bob \"$INPUT_FILE\"'\n",
    );
    let ran = test.run(["-run"]).exits(1);
    let ran = ran.says(" (bob): failed after").never_says("ann");
    let task = ran.stderr.split_once("failed: merge #").unwrap().1;
    let (number, rest) = task.split_once(' ').unwrap();
    assert!(rest.starts_with("(bob)\n"), "{ran}");
    test.run(["tasks"]).prints("  (bob) ").prints("  (ann)");
    test.run(["log", number]).exits(0);
    test.run(["log", "merge"])
        .prints("merge v1 (bob): exit status 1");
    test.run(["why", number]).prints("merge v1 (bob): failed");
    let json = test.run(["-run", "-log-format", "json"]).exits(1).stderr;
    assert_eq!(json.matches("\"key\":\"bob\"").count(), 2, "{json}");
    test.run(["report", "page.html"]).exits(0);
    assert!(test.read("page.html").contains("(bob)"));
}
