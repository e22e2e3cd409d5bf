//! What `export` tells of what it writes.

use crate::harness::Test;

#[test]
fn what_is_not_the_present_result_is_told_by_export() {
    let manifest = |script: &str| {
        format!(
            "[[step]]\nname = 'begin'\nstart = true\nfiles = ['t']\n\
             script = 'cp t $OUTPUT_DIR/a_work; echo > $OUTPUT_DIR/b.txt'\n\
             [[step]]\nname = 'work'\nscript = '''{script}'''\n"
        )
    };
    let test = Test::with(&manifest("exit 1"));
    test.write("t", "1");
    test.run(["-run"]).exits(1);
    test.run(["export", "-to", "r1"])
        .exits(0)
        .says("is not finished (1 failed, 0 pending): these are not all of its results");
    test.manifest(&manifest("cp $INPUT_FILE $OUTPUT_DIR/c.txt"));
    test.runs();
    test.run(["export", "-to", "r2"])
        .exits(0)
        .never_says("warning");
    test.write("t", "2");
    test.run(["export", "-to", "r3"])
        .exits(0)
        .says("changed since the last run: begin (files (t))");
    test.runs();
    test.run(["export", "-to", "r4"])
        .exits(0)
        .says("1 task of runset ")
        .says("is of older versions (begin 1)");
    test.write("r1/mine.txt", "");
    test.run(["export", "-to", "r1", "-force"])
        .exits(0)
        .says("r1 has 1 other file that is none of these: mine.txt");
    test.run(["export", "-to", "r1", "-force", "b.txt"])
        .exits(0)
        .never_says("mine.txt");
}
