//! Steps that take what others leave, wherever it is routed (`from`).

use crate::harness::Test;

/// One output, worked on by three steps, and all of it brought together.
const DIAMOND: &str = r#"
[[step]]
name = "begin"
start = true
script = 'for i in 1 2 3; do echo $i > $OUTPUT_DIR/$i.txt; done; echo x > $OUTPUT_DIR/a_log; echo l > $OUTPUT_DIR/x_left'
[[step]]
name = "left"
from = ["begin:*.txt"]
script = 'echo left >> $COUNT; echo "l$TASK_PIPELINE_KEY" > $OUTPUT_DIR/merge'
[[step]]
name = "right"
from = ["begin:*.txt", "begin:1.*"]
script = 'echo right >> $COUNT; echo "r$(cat $INPUT_FILE)" > $OUTPUT_DIR/merge'
[[step]]
name = "merge"
gather = true
from = ["begin:*_log"]
script = 'echo merge >> $COUNT; cat $INPUT_DIR/* | sort | tr "\n" " " > $OUTPUT_DIR/all'
"#;

#[test]
fn one_output_has_several_consumers_and_is_there_once() {
    let test = Test::with(DIAMOND);
    test.runs().says("9 run, 0 reused");
    assert_eq!(test.output("all"), "l1 l2 l3 lx r1 r2 r3 x ");
    // Final outputs stay final; each output has one own row, however often it is reused.
    let own = "SELECT count(*) FROM lineage JOIN runset ON runset.name = lineage.runset
        WHERE live = 1 GROUP BY runset.id";
    for round in 1..4 {
        assert_eq!(
            test.rows(own),
            vec!["13"; round],
            "5 of begin, 7 merged, 1 in the end"
        );
        test.run(["-run", "-fresh"])
            .exits(0)
            .says("1 run, 8 reused");
    }
    assert_eq!(test.finals().len(), 5, "{:?}", test.finals().keys());
    test.run(["-run", "-dry-run", "-fresh"]).exits(0);
    test.tally_is_right();
    let check = test.text(&["check"]);
    assert!(
        check.contains("takes     begin:*.txt, begin:1.*"),
        "{check}"
    );
}

#[test]
fn what_is_asked_for_otherwise_is_there_with_the_next_run() {
    let test = Test::with(DIAMOND);
    test.runs();
    // What the pattern's star stands for is another key, which the script does not read.
    test.manifest(&DIAMOND.replace("[\"begin:*.txt\", \"begin:1.*\"]", "[\"begin:1.*\"]"));
    test.runs().says("1 run, 1 reused");
    assert_eq!(test.output("all"), "l1 l2 l3 lx r1 x ");
    test.manifest(DIAMOND);
    test.runs().says("0 run, 4 reused");
    assert_eq!(test.output("all"), "l1 l2 l3 lx r1 r2 r3 x ");
    test.manifest(&DIAMOND.replace("from = [\"begin:*_log\"]\n", ""));
    test.runs().says("1 run, 0 reused");
    assert_eq!(test.output("all"), "l1 l2 l3 lx r1 r2 r3 ");
    test.tally_is_right();
}

#[test]
fn a_script_that_changes_and_a_start_are_followed() {
    let test = Test::with(DIAMOND);
    test.runs();
    test.manifest(&DIAMOND.replace("echo \"r$", "echo \"s$"));
    test.run(["-migrate-tainted", "-run"])
        .exits(0)
        .says("4 run, 0 reused");
    assert_eq!(test.output("all"), "l1 l2 l3 lx s1 s2 s3 x ");
    test.run(["-run", "-start", "right"])
        .exits(0)
        .says("3 run, 1 reused");
    test.run(["-run", "-start", "begin"])
        .exits(0)
        .says("1 run, 8 reused");
    assert_eq!(test.finals().len(), 5);
    test.tally_is_right();
}

#[test]
fn the_trace_of_a_final_output_has_the_steps_that_take_it() {
    let test = Test::with(
        "[[step]]\nname = 'begin'\nstart = true\n\
         script = 'echo 1 > $OUTPUT_DIR/a.csv; echo 2 > $OUTPUT_DIR/b.csv'\n\
         [[step]]\nname = 'plain'\nfrom = ['begin:a.csv']\nscript = 'cp $INPUT_FILE $OUTPUT_DIR/one.txt'\n\
         [[step]]\nname = 'all'\ngather = true\nfrom = ['begin:*.csv']\nscript = 'ls > $OUTPUT_DIR/two.txt'\n",
    );
    test.runs();
    let trace = test.text(&["trace", "a.csv"]);
    for part in ["plain", "one.txt", "all", "two.txt", "gathered by"] {
        assert!(trace.contains(part), "{part} in {trace}");
    }
    let trace = test.text(&["trace", "b.csv"]);
    assert!(
        !trace.contains("plain") && trace.contains("two.txt"),
        "{trace}"
    );
    assert_eq!(trace.matches('◀').count(), 1, "{trace}");
}

#[test]
fn a_pattern_that_can_match_nothing_is_refused() {
    let manifest = |outputs: &str, from: &str| {
        format!(
            "[[step]]\nname = 'begin'\nstart = true\nscript = ':'\noutputs = [{outputs}]\n\
             [[step]]\nname = 'all'\ngather = true\nscript = ':'\nfrom = ['{from}']\n"
        )
    };
    let test = Test::with(&manifest("'a.txt', '*.log'", "begin:*.csv"));
    let told = test.run(["check"]).exits(2).says(
        "`begin:*.csv` can match nothing: according to its `outputs`, step `begin` leaves no such name",
    );
    assert!(told.stderr.contains("workflow.toml:10:"), "{told}");
    let told = told.says("hint: its `outputs` are `a.txt`, `*.log`");
    drop(told);
    for (outputs, from) in [
        ("'a.txt'", "begin:a*"),
        ("'*.gz'", "begin:x.*"),
        ("", "begin"),
    ] {
        test.manifest(&manifest(outputs, from));
        test.run(["check"]).exits(0);
    }
}

#[test]
fn a_pattern_that_nothing_matched_is_told_when_all_is_done() {
    let manifest = |from: &str, rest: &str| {
        format!(
            "[[step]]\nname = 'begin'\nstart = true\n{rest}\n\
             [[step]]\nname = 'table'\nfrom = ['begin:*.csv']\nscript = 'cp $INPUT_FILE $OUTPUT_DIR/x'\n\
             [[step]]\nname = 'all'\ngather = true\nfrom = [{from}]\nscript = 'ls $INPUT_DIR > $OUTPUT_DIR/y'\n"
        )
    };
    let leaves = "script = 'for i in 1 2 3 4; do echo $i > $OUTPUT_DIR/$i.tsv; done; echo > $OUTPUT_DIR/a.csv'";
    let told = "all takes nothing by `from` `begin:*.txt`: step begin left 5 outputs, none of that name \
                (`1.tsv`, `2.tsv`, `3.tsv`, …); mend the pattern, or write `begin:*.txt?` if there may be none";
    let test = Test::with(&manifest("'begin:*.txt', 'begin:1.*'", leaves));
    let run = test.run(["-run"]).exits(0).says(told);
    assert!(!run.stderr.contains("table takes"), "{run}");
    assert!(test.text(&["status"]).contains(told));
    let status = test.json(&["status", "--json"]);
    assert_eq!(status["untaken"][0]["from"], "begin:*.txt", "{status}");
    // Where it is said that there may be none, and where each matches something.
    for from in ["'begin:*.txt?'", "'begin:?.tsv'", "'begin'"] {
        test.manifest(&manifest(from, leaves));
        let run = test.run(["-run"]).exits(0);
        assert!(!run.stderr.contains("takes nothing"), "{from}: {run}");
        assert!(!test.text(&["status"]).contains("takes nothing"), "{from}");
    }
    // Something may come still.
    let fails = "parallel = 1\nscript = 'echo > $OUTPUT_DIR/1.tsv; echo > $OUTPUT_DIR/b_bad'\n\
                 [[step]]\nname = 'bad'\nscript = 'false'";
    let test = Test::with(&manifest("'begin:*.txt'", fails));
    let run = test.run(["-run"]).exits(1);
    assert!(!run.stderr.contains("takes nothing"), "{run}");
    assert!(!test.text(&["status"]).contains("takes nothing"));
    // What a step leaves that says so is none of this: it may be a file that may be missing.
    let closed = "outputs = ['1.tsv', 'a.csv', '*.txt?']\nscript = 'cd $OUTPUT_DIR; echo > 1.tsv; echo > a.csv'";
    let test = Test::with(&manifest("'begin:*.txt'", closed));
    let run = test.run(["-run"]).exits(0);
    assert!(!run.stderr.contains("takes nothing"), "{run}");
}

#[test]
fn what_cannot_be_meant_is_refused_where_it_stands() {
    let manifest = |a: &str, b: &str| {
        format!(
            "[[step]]\nname = 'begin'\nstart = true\nscript = ':'\n[[step]]\nname = 'one'\nscript = ':'\n\
             from = [{a}]\n[[step]]\nname = 'two'\nscript = ':'\nfrom = [{b}]\n"
        )
    };
    for (a, b, says) in [
        ("'begn'", "", "there is no step `begn`"),
        ("'begn:*.x'", "", "did you mean `begin`?"),
        ("'begin:[a]'", "", "`begin:[a]`: "),
        ("'begin', 'begin'", "", "`begin` is listed twice"),
        ("'one'", "", "`from` goes in a circle: one → one"),
        ("'two'", "'one:*.x'", "`from` goes in a circle: "),
    ] {
        let test = Test::with(&manifest(a, b));
        let told = test.run(["check"]).exits(2).says(says);
        assert!(told.stderr.contains("workflow.toml:"), "{told}");
    }
}

/// The output that three read is its first reader's business, which has another version by now.
#[test]
fn who_reads_an_output_besides_is_led_to_the_row_that_takes_the_place_of_its_own() {
    let manifest = "
[[step]]
name = 'begin'
start = true
script = 'echo 1 > $OUTPUT_DIR/1_work; echo 2 > $OUTPUT_DIR/2_work'
[[step]]
name = 'work'
script = 'cp $INPUT_FILE $OUTPUT_DIR/x_last'
[[step]]
name = 'look'
from = ['begin:*', 'work:*']
script = 'echo look >> $COUNT; cp $INPUT_FILE $OUTPUT_DIR/seen'
[[step]]
name = 'last'
with = ['begin']
script = 'cp $INPUT_FILE $OUTPUT_DIR/end'
";
    let test = Test::with(manifest);
    test.runs();
    for (edit, looks) in [("work", 4 + 2), ("last", 4 + 2), ("look", 4 + 2 + 4)] {
        let name = format!("name = '{edit}'");
        let other = format!("{name}\nenv = {{ OTHER = '1' }}");
        test.manifest(&manifest.replace(&name, &other));
        test.run(["-run", "-migrate-tainted"]).exits(0);
        assert!(test.times("look") <= looks, "{edit}");
        test.text(&["verify"]);
        let astray = "SELECT r.id FROM task AS r LEFT JOIN task AS own ON own.id = r.output
            WHERE r.live = 1 AND r.output IS NOT NULL AND (own.live = 0 OR own.object_hash <> r.object_hash)";
        assert_eq!(test.rows(astray), Vec::<String>::new(), "{edit}");
        // The row whose place was taken goes, though somebody reads that output.
        test.text(&["gc", "-older-than", "1ms"]);
        test.text(&["verify"]);
    }
    test.tally_is_right();
}
