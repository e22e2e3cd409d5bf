//! Runs of a part: `-only`, `-until`, `-input`, `-partition`.

use crate::harness::Test;

/// From each file of `in` to a table of all, with what comes from no file beside it.
const PIPELINE: &str = r#"
[[input]]
files = "in/**/*.txt"
step = "count"

[[step]]
name = "begin"
start = true
outputs = ["*_other"]
script = 'echo begin >> $COUNT; echo 1 > $OUTPUT_DIR/x_other'

[[step]]
name = "other"
outputs = ["x.done"]
script = 'echo other >> $COUNT; cp $INPUT_FILE $OUTPUT_DIR/x.done'

[[step]]
name = "count"
outputs = ["*_table"]
script = '''
echo "count $TASK_PIPELINE_KEY" >> $COUNT
test ! -e broken
wc -c < $INPUT_FILE > $OUTPUT_DIR/${TASK_PIPELINE_KEY}_table
'''

[[step]]
name = "table"
gather = true
outputs = ["all_report"]
script = 'echo table >> $COUNT; cat $INPUT_DIR/* > $OUTPUT_DIR/all_report'

[[step]]
name = "report"
outputs = ["end.txt"]
script = 'echo report >> $COUNT; cp $INPUT_FILE $OUTPUT_DIR/end.txt'
"#;

fn pipeline(files: usize) -> Test {
    let test = Test::with(PIPELINE);
    for at in 1..=files {
        test.write(&format!("in/{at}.txt"), "x".repeat(at));
    }
    test
}

#[test]
fn only_some_steps() {
    let test = pipeline(3);
    test.run(["-run", "-only", "count", "other"])
        .exits(0)
        .says("table: 3 outputs gathered")
        .says("3 run, 0 reused, 0 failed, 2 pending")
        .says("2 tasks left out by -only");
    assert_eq!(test.times("begin"), 0);
    test.run(["-run", "-only", "table"])
        .exits(0)
        .says("1 run, 0 reused, 0 failed, 2 pending")
        .says("2 tasks left out by -only");
    let dry = test.text(&["-run", "-dry-run", "-only", "report"]);
    assert!(dry.contains("begin v1   1 left out"), "{dry}");
    assert!(dry.contains("report v1  would run 1"), "{dry}");
    test.run(["-run"])
        .exits(0)
        .says("3 run")
        .never_says("left out");
    assert_eq!(test.output("end.txt"), "1\n2\n3\n");
    test.run(["-run", "-only", "count"])
        .exits(0)
        .says("no task left out by -only");
    test.tally_is_right();
}

#[test]
fn nothing_gathers_what_is_not_all_there() {
    let test = pipeline(3);
    test.run(["-run", "-input", "in/1.txt"]).exits(0);
    test.run(["-run", "-only", "table", "report"])
        .exits(0)
        .says("0 run")
        .says("table: 1 gathered, waits for 2 pending")
        .says("2 tasks left out by -only");
    let dry = test.text(&["-run", "-dry-run", "-only", "table"]);
    assert!(dry.contains("count v1   2 left out"), "{dry}");
    assert!(
        dry.contains("table v1   gathers once what is left out is done, too"),
        "{dry}"
    );
}

#[test]
fn until_a_step_and_what_leads_to_it() {
    let test = pipeline(2);
    let dry = test.text(&["-run", "-dry-run", "-until", "table"]);
    assert!(dry.contains("begin v1   1 left out"), "{dry}");
    assert!(dry.contains("count v1   would run 2"), "{dry}");
    test.run(["-run", "-until", "table"])
        .exits(0)
        .says("3 run, 0 reused, 0 failed, 2 pending")
        .says("2 tasks left out by -until");
    assert_eq!(test.times("report") + test.times("begin"), 0);
    test.run(["-run", "-until", "other"]).exits(0).says("2 run");
    test.run(["-run", "-until", "report"])
        .exits(0)
        .says("1 run");
    // A part that is done again.
    test.run(["-run", "-start", "count", "-input", "1.txt"])
        .exits(0)
        .says("1 run, 0 reused, 0 failed, 1 pending");
    test.run(["-run", "-start", "count", "-until", "count"])
        .exits(0)
        .says("2 run");
    assert_eq!(test.times("table"), 1);
    test.run(["-run"]).exits(0).says("reused");
    test.tally_is_right();
}

#[test]
fn a_step_that_does_not_say_what_it_leaves_may_lead_to_those_behind_it() {
    let script = |name: &str, start: &str, leaves: &str| {
        format!(
            "[[step]]\nname = '{name}'\n{start}script = 'n={leaves}; echo {name} >> $COUNT; : > $OUTPUT_DIR/$n'\n"
        )
    };
    let manifest = [
        script("a", "start = true\n", "x_b"),
        script("b", "", "x_c"),
        script("c", "", "done.txt"),
    ]
    .concat();
    let test = Test::with(&manifest);
    test.run(["-run", "-until", "b"])
        .exits(0)
        .says("2 run, 0 reused, 0 failed, 1 pending");
    assert_eq!(test.count(), ["a", "b"]);
    // Those that take what it leaves, wherever it is routed.
    let test = Test::with(
        &(manifest + "[[step]]\nname = 'd'\nfrom = ['a']\nscript = 'echo d >> $COUNT'\n"),
    );
    test.run(["-run"]).exits(0).says("4 run");
    let test = {
        test.run(["-run", "-start", "a", "-until", "d"])
            .exits(0)
            .says("left out by -until");
        test
    };
    // By now it is known that b leads to c alone, and c to none.
    assert_eq!(
        (test.times("a"), test.times("b"), test.times("d")),
        (2, 1, 1)
    );
}

#[test]
fn some_inputs() {
    let test = pipeline(4);
    test.write("in/deep/5.txt", "55555");
    test.run(["-run", "-input", "in/1.txt", "./in/2.txt", "-only", "count"])
        .exits(0)
        .says("inputs: 5 new")
        .says("2 run, 0 reused, 0 failed, 4 pending")
        .says("4 tasks left out by -only, -input");
    // What comes from no input is no part that is left out.
    test.run(["-run", "-input", "in/deep/*"])
        .exits(0)
        .says("3 run, 0 reused, 0 failed, 2 pending")
        .says("2 tasks left out by -input");
    assert_eq!((test.times("begin"), test.times("count deep_5")), (1, 1));
    let dry = test.text(&["-run", "-dry-run", "-input", "3.txt"]);
    assert!(
        dry.contains("count v1   would run 1 (1 without a result yet), 1 left out"),
        "{dry}"
    );
    // What all inputs are gathered for comes from all of them.
    test.run(["-run", "-input", "[34].txt"])
        .exits(0)
        .says("2 run, 0 reused, 0 failed, 1 pending")
        .says("table: 5 outputs gathered")
        .says("1 task left out by -input");
    test.run(["-run", "-input", "*.txt"]).exits(0).says("2 run");
    assert_eq!(test.output("end.txt").lines().count(), 5);

    // An input that changed, and one that is gone, whatever runs.
    test.write("in/1.txt", "changed");
    std::fs::remove_file(test.path("in/2.txt")).unwrap();
    test.run(["-run", "-input", "3.txt"])
        .exits(0)
        .says("inputs: 1 changed, 1 gone, 3 unchanged")
        .says("1 task left out by -input");
    test.tally_is_right();
}

#[test]
fn parts_of_the_inputs_are_all_of_them() {
    let test = pipeline(20);
    let mut ran = 0;
    for part in ["1/3", "2/3", "3/3"] {
        let before = test.count().len();
        test.run(["-run", "-partition", part]).exits(0);
        ran += test.count().len() - before;
    }
    // What comes from no input ran in the first one.
    assert_eq!(ran, 22);
    test.run(["-run", "-partition", "3/3"])
        .exits(0)
        .says("0 run");
    test.run(["-run"])
        .exits(0)
        .says("2 run, 0 reused, 0 failed, 0 pending");
    assert_eq!(test.output("end.txt").lines().count(), 20);

    // Elsewhere they are the same.
    let other = pipeline(20);
    other
        .run(["-run", "-partition", "2/3", "-db", "part"])
        .exits(0);
    let names = other.count();
    let first = test.count();
    let in_order: Vec<_> = first.iter().filter(|line| names.contains(line)).collect();
    assert!(
        names.len() > 2 && in_order.len() == names.len(),
        "{names:?}"
    );
    other
        .run(["-run", "-partition", "1/1", "-db", "whole"])
        .exits(0)
        .says("no task left out by -partition");
}

#[test]
fn a_part_that_fails() {
    let test = pipeline(2);
    test.write("broken", "");
    test.run(["-run", "-input", "1.txt"]).exits(1);
    // What failed elsewhere is not this part's failure.
    test.run(["-run", "-only", "begin"])
        .exits(0)
        .says("left out by -only");
    std::fs::remove_file(test.path("broken")).unwrap();
    test.run(["-run", "-input", "1.txt"]).exits(0);
}

#[test]
fn what_is_told() {
    let test = pipeline(3);
    let told = test
        .run(["-run", "-only", "count", "-log-format", "json"])
        .exits(0);
    told.says(r#""left_out":{"count":2,"options":["-only"]}"#);
    let words = test.text(&["complete", "--", "-run", "-only", "count", ""]);
    assert!(words.contains("table\tstep"), "{words}");
    let words = test.text(&["complete", "--", "-run", "-input", "in/"]);
    assert_eq!(words, "in/1.txt\tinput\nin/2.txt\tinput\nin/3.txt\tinput\n");
}

#[test]
fn what_cannot_be_chosen() {
    let test = pipeline(3);
    for (arguments, told) in [
        (&["-only", "cuont"][..], "hint: did you mean `count`?"),
        (&["-until", "x"], "there is no step `x`"),
        (&["-only", "count", "nothing"], "there is no step `nothing`"),
        (&["-input", "in/4.txt"], "there is no input `in/4.txt`"),
        (
            &["-input", "in/1.txt", "in/1.tx"],
            "did you mean `in/1.txt`?",
        ),
        (
            &["-input", "zzz"],
            "hint: the inputs are `in/1.txt`, `in/2.txt`, `in/3.txt`",
        ),
        (
            &["-partition", "0/5"],
            "`0/5`: parts count from 1, 1/5 to 5/5",
        ),
        (&["-partition", "6/5"], "there are 5 parts, 1/5 to 5/5"),
        (&["-partition", "a/b"], "write K/N, as 2/5"),
        (
            &["-only", "count", "-until", "count"],
            "-only does not go with -until",
        ),
    ] {
        let arguments: Vec<&str> = ["-run"].iter().chain(arguments).copied().collect();
        test.run(&arguments).exits(2).says(told);
    }
    test.run(["-only", "count"])
        .exits(2)
        .says("-run is missing");
    assert!(
        test.rows("SELECT 1 FROM runset").is_empty(),
        "nothing was done"
    );

    let test = Test::with("[[step]]\nname = 'a'\nstart = true\nscript = ':'\n");
    for option in [["-input", "a"], ["-partition", "1/2"]] {
        test.run(["-run", option[0], option[1]])
            .exits(2)
            .says("the manifest has no [[input]]");
    }
}

/// Groups in groups, what all of them leave, and pairs with that.
const NESTED: &str = r#"
[[step]]
name = "begin"
start = true
outputs = ["*_split", "*_pair"]
script = 'echo begin >> $COUNT; echo a > $OUTPUT_DIR/a_split; echo b > $OUTPUT_DIR/b_split; echo p > $OUTPUT_DIR/p_pair'
[[step]]
name = "split"
outputs = ["*_cut"]
script = 'echo split >> $COUNT; for i in 1 2; do echo $i > $OUTPUT_DIR/${TASK_PIPELINE_KEY}${i}_cut; done'
[[step]]
name = "cut"
outputs = ["*_inner"]
script = 'echo cut >> $COUNT; for i in 1 2; do echo $i > $OUTPUT_DIR/${TASK_PIPELINE_KEY}${i}_inner; done'
[[step]]
name = "inner"
gather = "cut"
outputs = ["*_outer"]
script = 'echo inner >> $COUNT; cat $INPUT_DIR/* > $OUTPUT_DIR/${TASK_PIPELINE_KEY}_outer'
[[step]]
name = "outer"
gather = "split"
outputs = ["*.txt"]
script = 'echo outer >> $COUNT; cat $INPUT_DIR/* > $OUTPUT_DIR/$TASK_PIPELINE_KEY.txt'
[[step]]
name = "pair"
with = ["outer"]
each = true
outputs = ["*.out"]
script = 'echo pair >> $COUNT; cat $INPUT_FILE $WITH_FILE > $OUTPUT_DIR/$TASK_PIPELINE_KEY.out'
"#;

#[test]
fn a_part_of_nested_groups_and_pairs() {
    let test = Test::with(NESTED);
    let times = || {
        let steps = ["begin", "split", "cut", "inner", "outer", "pair"];
        steps.map(|step| test.times(step))
    };
    // What a later step leaves under any name leads back to none of those before it.
    test.run(["-run", "-until", "split"])
        .exits(0)
        .says("left out by -until");
    assert_eq!(times(), [1, 2, 0, 0, 0, 0]);
    test.run(["-run", "-only", "outer", "inner", "pair"])
        .exits(0)
        .says("0 run");
    test.run(["-run", "-only", "cut"]).exits(0).says("4 run");
    assert_eq!(times(), [1, 2, 4, 0, 0, 0]);
    // No group of groups is gathered in part, and no pair begins.
    test.run(["-run", "-only", "outer", "pair"])
        .exits(0)
        .says("0 run");
    test.run(["-run", "-until", "inner"]).exits(0).says("4 run");
    test.run(["-run", "-only", "pair"]).exits(0).says("0 run");
    test.run(["-run", "-until", "outer"]).exits(0).says("2 run");
    assert_eq!(times(), [1, 2, 4, 4, 2, 0]);
    test.run(["-run", "-until", "pair"]).exits(0).says("2 run");
    test.run(["-run"]).exits(0).says("0 run");
    assert_eq!(test.output("p_a.out"), "p\n1\n2\n1\n2\n");
    // Done again from the middle, as far as what is gathered.
    test.run(["-run", "-start", "cut", "-until", "inner"])
        .exits(0)
        .says("left out by -until");
    assert_eq!(times(), [1, 2, 8, 4, 2, 2], "what is gathered is the same");
    test.run(["-run"]).exits(0).says("0 failed, 0 pending");
    test.tally_is_right();

    let whole = Test::with(NESTED);
    whole
        .run(["-run", "-until", "pair"])
        .exits(0)
        .says("15 run");
    whole.run(["-run"]).exits(0).says("0 run");
    assert_eq!(whole.finals(), test.finals());
}
