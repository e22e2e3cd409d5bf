//! Steps that gather what descends from each task of another one (`gather = "split"`).

use crate::harness::{Test, wait_for};
use rustix::process::Signal;

/// Each file is split into its words, each word worked on, and what came of a file is merged.
fn pipeline(more: &str) -> String {
    format!(
        r#"
[[input]]
files = "in/*.txt"
step = "split"
[[step]]
name = "split"
script = 'echo split >> $COUNT; for w in $(cat $INPUT_FILE); do echo $w > $OUTPUT_DIR/${{w}}_work; done'
[[step]]
name = "work"
script = 'echo work >> $COUNT; if test -e broken && grep -q "$(cat broken)" $INPUT_FILE; then exit 1; fi; cp $INPUT_FILE $OUTPUT_DIR/merge'
[[step]]
name = "merge"
gather = "split"
{more}
script = 'echo merge >> $COUNT; cat $INPUT_DIR/* /dev/null | sort | tr "\n" " " > $OUTPUT_DIR/$TASK_PIPELINE_KEY.txt'
"#
    )
}

fn with(more: &str, files: &[(&str, &str)]) -> Test {
    let test = Test::with(&pipeline(more));
    std::fs::create_dir_all(test.path("in")).unwrap();
    for (name, text) in files {
        test.write(&format!("in/{name}.txt"), text);
    }
    test
}

#[test]
fn each_file_is_merged_by_itself() {
    let test = with("", &[("a", "3 1 2"), ("b", "5 4"), ("none", "")]);
    test.runs().says("10 run, 0 reused");
    assert_eq!(test.output("a.txt"), "1 2 3 ");
    assert_eq!(test.output("b.txt"), "4 5 ");
    assert_eq!(test.finals().len(), 2);
    // A change is followed in its own group alone.
    test.write("in/b.txt", "6 4");
    test.runs().says("1 changed").says("3 run, 1 reused");
    assert_eq!(test.output("b.txt"), "4 6 ");
    assert_eq!(test.times("merge"), 3);
    std::fs::remove_file(test.path("in/a.txt")).unwrap();
    test.runs().says("1 gone").says("0 run, 0 reused");
    assert_eq!(test.finals().len(), 1);
    test.run(["-run", "-start", "work"])
        .exits(0)
        .says("2 run, 1 reused");
    test.run(["-run", "-start", "merge"])
        .exits(0)
        .says("1 run, 0 reused");
    test.manifest(&pipeline("").replace("sort |", "sort -r |"));
    test.runs().says("tainted");
    test.run(["-migrate-tainted", "-run"])
        .exits(0)
        .says("1 run, 0 reused");
    assert_eq!(test.output("b.txt"), "6 4 ");
    test.run(["-run", "-fresh"])
        .exits(0)
        .says("0 run, 5 reused");
    test.tally_is_right();
    test.objects_are_whole();
    let tree = test.text(&["trace", "b.txt"]);
    assert!(tree.contains(" merge v2, reused"), "{tree}");
    assert!(tree.contains(", of 2 outputs"), "{tree}");
    assert!(
        tree.lines()
            .any(|line| line.contains("from merge ") && line.contains(" split ← file `in/b.txt`")),
        "{tree}"
    );
    let graph = test.text(&["graph"]);
    assert!(
        graph.contains("← what descends from each task of split, together"),
        "{graph}"
    );
    let check = test.text(&["check"]);
    assert!(
        check.contains("gathers   what descends from each task of split, once all of it is there"),
        "{check}"
    );
}

#[test]
fn a_failed_one_holds_up_its_own_group() {
    let test = with("", &[("a", "3 1 2"), ("b", "5 4")]);
    test.write("broken", "1");
    let told = "merge: 1 of 2 groups gathered, waits for 1 failed";
    test.run(["-run"]).exits(1).says(told);
    assert_eq!(test.output("b.txt"), "4 5 ");
    let status = test.text(&["status"]);
    assert!(status.contains(told), "{status}");
    let json = test.json(&["status", "-json"]);
    assert_eq!(json["waiting"][0]["groups"], 2, "{json}");
    let dry = test.text(&["-run", "-dry-run"]);
    assert!(
        dry.contains("one more task would gather what the tasks before it leave"),
        "{dry}"
    );
    test.manifest(&pipeline("partial = true"));
    test.run(["-run"])
        .exits(1)
        .says("merge: 2 of 2 groups gathered, without what 1 failed would leave");
    assert_eq!(test.output("a.txt"), "2 3 ");
    std::fs::remove_file(test.path("broken")).unwrap();
    test.runs()
        .says("2 run, 0 reused")
        .never_says("groups gathered");
    assert_eq!(test.output("a.txt"), "1 2 3 ");
    assert_eq!(test.times("merge"), 3);
    test.tally_is_right();
}

#[test]
fn nothing_is_merged_where_that_is_asked_for_and_no_longer() {
    let test = with("empty = true", &[("a", "1"), ("none", "")]);
    test.runs().says("5 run, 0 reused");
    assert_eq!(test.output("none.txt"), "");
    test.manifest(&pipeline(""));
    test.runs().says("0 run");
    assert_eq!(test.finals().len(), 1);
    test.manifest(&pipeline("empty = true"));
    test.runs().says("0 run, 1 reused");
    assert_eq!(test.finals().len(), 2);
    std::fs::remove_file(test.path("in/none.txt")).unwrap();
    test.runs();
    assert_eq!(test.finals().len(), 1);
    test.tally_is_right();
}

#[test]
fn another_way_to_gather_is_followed() {
    let test = with("", &[("a", "3 1 2"), ("b", "5 4")]);
    test.runs();
    let all = pipeline("").replace("gather = \"split\"", "gather = true");
    test.manifest(&all);
    test.runs().says("1 run, 0 reused").never_says("tainted");
    assert_eq!(test.finals().len(), 1);
    test.manifest(&pipeline(""));
    test.runs().says("0 run, 2 reused");
    assert_eq!(test.finals().len(), 2);
    // With what comes from elsewhere, which no task of split stands above.
    let other = format!(
        "{all}\n[[input]]\nfiles = 'also/*'\nstep = 'other'\n[[step]]\nname = 'other'\nscript = 'echo 9 > $OUTPUT_DIR/merge'",
    );
    std::fs::create_dir(test.path("also")).unwrap();
    test.write("also/c", "");
    test.manifest(&other);
    test.runs();
    assert_eq!(test.finals().len(), 1);
    test.manifest(&other.replace("gather = true", "gather = \"split\""));
    test.run(["-run"])
        .exits(1)
        .says("1 output came to merge, which gathers what descends from each task of split")
        .says("merge: 2 of 2 groups gathered, 1 in no group");
    test.run(["-run", "-start", "other"]).exits(1).says(
        "left `merge`, which goes to merge; but merge gathers what descends from each task of split, \
         and other works on what came from none",
    );
    test.tally_is_right();
}

#[test]
fn killed_at_any_moment() {
    let files = [("a", "3 1 2"), ("b", "5 4"), ("c", "6 7 8")];
    let test = with("", &files);
    let whole = test.run(["-run", "-parallel", "3"]).exits(0).elapsed;
    let rows = "SELECT step, count(*) FROM live_task GROUP BY 1 ORDER BY 1";
    let expected = test.rows(rows);
    for part in 1..=8_u32 {
        let test = with("", &files);
        let running = test.start(["-run", "-parallel", "3"]);
        let moment = whole * part / 8;
        let began = std::time::Instant::now();
        wait_for("the moment", || began.elapsed() >= moment);
        running.signal(Signal::KILL);
        running.end();
        test.runs();
        assert_eq!(test.rows(rows), expected);
        assert_eq!(test.output("a.txt"), "1 2 3 ");
        test.tally_is_right();
    }
}

/// What each of `merge`, `all` and `other` waits for is below the same tasks, and nothing says that it
/// cannot lead to each other but what they do.
fn with_an_index(of_merge: &str, of_other: &str) -> String {
    format!(
        r#"
[[step]]
name = "index"
start = true
script = 'echo i > $OUTPUT_DIR/idx'
[[input]]
files = "in/*"
step = "split"
[[step]]
name = "split"
script = 'for to in merge other; do cat $INPUT_FILE > $OUTPUT_DIR/${{TASK_PIPELINE_KEY}}_$to; done'
[[step]]
name = "all"
gather = true
script = 'cat $INPUT_DIR/* > $OUTPUT_DIR/sum.txt'
[[step]]
name = "other"
with = ["index"]
script = '{of_other} cat $INPUT_FILE $WITH_DIR/index/* > $OUTPUT_DIR/other-$TASK_PIPELINE_KEY.txt'
[[step]]
name = "merge"
gather = "split"
script = '{of_merge} cat $INPUT_DIR/* > $OUTPUT_DIR/${{TASK_PIPELINE_KEY}}_all'
"#
    )
}

#[test]
fn steps_that_wait_for_each_other_by_names_alone_go_on() {
    let test = Test::with(&with_an_index(":;", ":;"));
    for number in 1..4 {
        test.write(&format!("in/{number}"), format!("{number}\n"));
    }
    test.runs().says("11 run, 0 reused, 0 failed, 0 pending");
    test.runs().says("0 run, 0 reused");
    assert_eq!(test.output("sum.txt"), "1\n2\n3\n");
    for (merge, other) in [("true;", ":;"), ("true;", "true;"), (":;", "true;")] {
        test.manifest(&with_an_index(merge, other));
        test.run(["-run", "-migrate-tainted"])
            .exits(0)
            .says("0 failed, 0 pending");
        test.runs().says("0 run, 0 reused");
        assert_eq!(test.output("sum.txt"), "1\n2\n3\n");
    }
}
