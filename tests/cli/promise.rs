//! What a step says that it leaves (`outputs`), where there is much of it or somebody is early.

use crate::harness::Test;

/// A step that leaves 1300 files, more than are looked at in one go.
fn many(outputs: &str) -> String {
    format!(
        "[[step]]\nname = 'begin'\nstart = true\nscript = 'seq 1 1300 > $OUTPUT_DIR/x_split'\n\
         [[step]]\nname = 'split'\noutputs = [{outputs}]\n\
         script = 'echo split >> $COUNT; split -l 1 -a 4 $INPUT_FILE $OUTPUT_DIR/part.'\n"
    )
}

#[test]
fn of_many_outputs_all_are_compared_before_they_are_used_again() {
    let test = Test::in_memory();
    test.manifest(&many("'part.*'"));
    test.runs().says("2 run, 0 reused");
    test.run(["-run", "-fresh"])
        .exits(0)
        .says("1 run, 1 reused");
    assert_eq!(test.finals().len(), 1300);
    // An older result that breaks what is promised today is not used again.
    for (outputs, error) in [
        (
            "'part.*', 'sum'",
            "left nothing that matches `sum`".to_owned(),
        ),
        ("'part.aa*', 'part.aba*'", "part.".to_owned()),
    ] {
        let before = test.count().len();
        test.manifest(&many(outputs));
        let ran = test.run(["-run", "-fresh"]).exits(1);
        assert!(ran.stderr.contains(&error), "{ran}");
        assert_eq!(test.count().len(), before + 1, "{outputs}");
    }
    // What is only missing in the last slice of them is missed.
    test.manifest(&many("'part.*', 'part.abzz'"));
    test.run(["-run", "-fresh"]).exits(1).says("`part.abzz`");
    test.manifest(&many("'part.*', 'part.abxz'"));
    test.run(["-run", "-fresh"])
        .exits(0)
        .says("1 run, 1 reused");
    test.tally_is_right();
}

#[test]
fn who_reads_early_what_breaks_a_promise_has_read_nothing() {
    const SIZE: usize = 48 << 20;
    let manifest = |outputs: &str| {
        format!(
            "[[step]]\nname = 'begin'\nstart = true\noutputs = [{outputs}]\n\
             script = 'head -c {SIZE} /dev/zero > $OUTPUT_DIR/x_work; : > $OUTPUT_DIR/more'\n\
             [[step]]\nname = 'work'\nscript = 'wc -c < $INPUT_FILE > $OUTPUT_DIR/size'\n"
        )
    };
    let test = Test::in_memory();
    for outputs in ["'x_work'", "'x_work', 'more', 'most'"] {
        test.manifest(&manifest(outputs));
        test.run(["-run", "-parallel", "2"]).exits(1);
        assert_eq!(test.rows("SELECT count(*) FROM task"), ["1"], "{outputs}");
        test.tally_is_right();
        test.nothing_temporary_is_left();
    }
    test.manifest(&manifest("'x_*', 'more'"));
    test.run(["-run", "-parallel", "2"]).exits(0).says("2 run");
    assert_eq!(test.output("size").trim(), SIZE.to_string());
    test.objects_are_whole();
}
