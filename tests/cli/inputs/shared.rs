//! What comes in and goes to several steps.

use crate::harness::Test;

/// A sheet whose rows two steps take; what they leave is named after them.
const SHEET: &str = r#"
[[input]]
rows = "samples.csv"
name = "{id}"
step = "align"
[[input]]
rows = "samples.csv"
name = "{id}"
step = "check"
[[step]]
name = "align"
script = '''
echo "align $TASK_PIPELINE_KEY" >> $COUNT; tail -n 1 "$INPUT_FILE" > "$OUTPUT_DIR/$TASK_PIPELINE_KEY.bam"
'''
[[step]]
name = "check"
script = '''
echo "check $TASK_PIPELINE_KEY" >> $COUNT; tail -n 1 "$INPUT_FILE" > "$OUTPUT_DIR/$TASK_PIPELINE_KEY.qc"
'''
"#;

/// The same by one table.
fn as_a_list(steps: &str) -> String {
    let begin = SHEET.find("[[step]]").unwrap();
    let input = format!("[[input]]\nrows = 'samples.csv'\nname = '{{id}}'\nstep = {steps}\n");
    input + &SHEET[begin..]
}

fn names(test: &Test) -> Vec<String> {
    test.finals().into_keys().collect()
}

#[test]
fn one_sheet_feeds_two_steps() {
    let test = Test::with(SHEET);
    test.write("samples.csv", "id,x\ns1,1\ns2,2\n");
    test.runs().says("inputs: 4 new").says("4 run, 0 reused");
    let all = ["s1.bam", "s1.qc", "s2.bam", "s2.qc"];
    assert_eq!(names(&test), all);
    assert_eq!(test.output("s2.qc"), "s2,2\n");
    // Said in the other way it is the same.
    test.manifest(&as_a_list("['align', 'check']"));
    test.runs().says("inputs: 4 unchanged").says("0 run");

    // A row that changes, comes or goes does so for both.
    test.write("samples.csv", "id,x\ns1,1\ns2,3\ns3,1\n");
    let told = test.text(&["-run", "-dry-run"]);
    assert!(
        told.contains("inputs: 2 new, 2 changed, 2 unchanged\n"),
        "{told}"
    );
    test.runs()
        .says("inputs: 2 new, 2 changed, 2 unchanged")
        .says("4 run, 0 reused");
    assert_eq!(test.output("s2.bam"), "s2,3\n");
    test.write("samples.csv", "id,x\ns1,1\ns3,1\n");
    test.runs()
        .says("inputs: 2 gone, 4 unchanged")
        .says("0 run");
    assert_eq!(names(&test), ["s1.bam", "s1.qc", "s3.bam", "s3.qc"]);
    assert_eq!(test.times("align s1"), 1);
    test.tally_is_right();
    test.text(&["verify"]);
}

#[test]
fn who_takes_it_besides_changes_nothing_for_the_others() {
    let test = Test::with(&as_a_list("'check'"));
    test.write("samples.csv", "id,x\ns1,1\ns2,2\n");
    test.runs().says("inputs: 2 new");
    // By name the new one comes before the old one.
    test.manifest(&as_a_list("['check', 'align']"));
    test.runs()
        .says("inputs: 2 new, 2 unchanged")
        .says("2 run, 0 reused");
    assert_eq!(test.times("check s1"), 1);
    let superseded = test.rows("SELECT count(*) FROM task WHERE live = 0");
    assert_eq!(superseded, ["0"]);
    test.manifest(&as_a_list("['align']"));
    test.runs()
        .says("inputs: 2 gone, 2 unchanged")
        .says("0 run");
    assert_eq!(names(&test), ["s1.bam", "s2.bam"]);
    // To another step: the old tasks make way.
    test.manifest(&as_a_list("'check'"));
    test.runs()
        .says("inputs: 2 changed")
        .says("0 run, 2 reused");
    assert_eq!(names(&test), ["s1.qc", "s2.qc"]);
    test.tally_is_right();
    test.text(&["verify"]);
}

#[test]
fn parts_names_and_migrations_know_both() {
    let test = Test::with(SHEET);
    test.write("samples.csv", "id,x\ns1,1\ns2,2\ns3,3\n");
    test.run(["-run", "-input", "s2"]).exits(0).says("2 run");
    assert_eq!(names(&test), ["s2.bam", "s2.qc"]);
    let mut ran = Vec::new();
    for part in ["1/2", "2/2"] {
        test.run(["-run", "-fresh", "-partition", part]).exits(0);
        let names = test.rows(
            "SELECT name FROM task WHERE step_id IS NULL AND live = 1
             AND runset = (SELECT name FROM runset ORDER BY id DESC LIMIT 1) ORDER BY name",
        );
        for name in &names {
            let other = match name.split_once('.').unwrap() {
                (id, "bam") => format!("{id}.qc"),
                (id, _) => format!("{id}.bam"),
            };
            assert!(names.contains(&other), "{name} without {other}");
        }
        ran.extend(names);
    }
    assert_eq!(ran.len(), 6, "{ran:?}");
    test.run(["-run"]).exits(0);
    let trace = test.text(&["trace", "s1.qc"]);
    assert!(trace.contains("row `s1` of `samples.csv`"), "{trace}");

    // One of the two has another script: its tasks alone are done again, and stay entries.
    test.manifest(&SHEET.replace("echo \"check", "true; echo \"check"));
    test.run(["-migrate-tainted", "-run"])
        .exits(0)
        .says("inputs: 6 unchanged")
        .says("3 run");
    test.runs().says("inputs: 6 unchanged").says("0 run");
    test.write("samples.csv", "id,x\ns1,1\ns2,2\n");
    test.runs().says("inputs: 2 gone, 4 unchanged");
    test.tally_is_right();
    test.text(&["verify"]);
    let told = test.text(&["check"]);
    assert!(
        told.contains("input rows of samples.csv → check\n"),
        "{told}"
    );
    let graph = test.text(&["graph"]);
    assert_eq!(graph.matches("← rows of samples.csv").count(), 2, "{graph}");
}

#[test]
fn lines_and_files_go_to_several_steps_too() {
    let test = Test::with(
        "[[input]]\nlines = 'echo line >> $COUNT; echo l1'\nstep = ['a', 'b']\n\
         [[input]]\nfiles = 'in/*'\nstep = 'a'\n\
         [[input]]\nfiles = 'in/x*'\nstep = 'b'\ncopy = false\n\
         [[step]]\nname = 'a'\nscript = 'cp $INPUT_FILE $OUTPUT_DIR/a-$TASK_PIPELINE_INPUT_NAME'\n\
         [[step]]\nname = 'b'\nscript = 'cp $INPUT_FILE $OUTPUT_DIR/b-$TASK_PIPELINE_INPUT_NAME'\n",
    );
    test.write("in/x1", "x");
    test.write("in/y", "y");
    test.runs().says("inputs: 5 new").says("5 run");
    assert_eq!(names(&test), ["a-l1", "a-x1", "a-y", "b-l1", "b-x1"]);
    assert_eq!(test.times("line"), 1, "one command, once");
    test.runs().says("inputs: 5 unchanged").says("0 run");
    // An input of which nothing is left is an error, whoever takes it; then for both.
    std::fs::remove_file(test.path("in/x1")).unwrap();
    let said = test.refusal(&["-run"]);
    assert!(said.contains("workflow.toml:8:"), "{said}");
    test.write("in/x1", "z");
    test.runs()
        .says("inputs: 2 changed, 3 unchanged")
        .says("2 run");
    test.tally_is_right();
}

#[test]
fn a_step_takes_an_entry_once() {
    let test = Test::with(&SHEET.replace("step = \"check\"", "step = ['check', 'align']"));
    test.write("samples.csv", "id,x\ns1,1\n");
    let said = test.refusal(&["-run"]);
    assert!(
        said.contains("row `s1` of `samples.csv` comes to align by the input on line 3 as well"),
        "{said}"
    );
    assert!(
        said.contains("to give it to another step, name that"),
        "{said}"
    );
}
