//! What comes in from outside: files, rows and lines, compared at each run.

mod damaged;
mod errors;
mod kill;
mod lent;
mod log;
mod paths;
mod rows;
mod shared;

use crate::harness::Test;

/// Each file of `in` is counted; what is counted is joined with its name.
const FILES: &str = r#"
[[input]]
files = "in/**/*.txt"
step = "count"

[[step]]
name = "count"
script = '''
echo "count $TASK_PIPELINE_INPUT_NAME" >> $COUNT
wc -c < "$INPUT_FILE" > "$OUTPUT_DIR/${TASK_PIPELINE_INPUT_NAME}_mark"
'''

[[step]]
name = "mark"
script = '''
echo mark >> $COUNT
printf '%s ' marked > "$OUTPUT_DIR/of_${TASK_PIPELINE_INPUT_NAME%_mark}"
cat "$INPUT_FILE" >> "$OUTPUT_DIR/of_${TASK_PIPELINE_INPUT_NAME%_mark}"
'''
"#;

/// The live tasks of a step, by the names of their inputs.
fn live(test: &Test, step: &str) -> Vec<String> {
    test.rows(&format!(
        "SELECT task.name FROM task JOIN step ON step.id = step_id
         WHERE step.name = '{step}' AND live = 1 ORDER BY task.name"
    ))
}

fn names(test: &Test) -> Vec<String> {
    test.finals().into_keys().collect()
}

#[test]
fn new_changed_gone_and_touched_files() {
    let test = Test::with(FILES);
    test.write("in/a.txt", "1");
    test.write("in/deep/b.txt", "22");
    test.runs().says("inputs: 2 new").says("4 run, 0 reused");
    assert_eq!(test.output("of_a.txt"), "marked 1\n");
    assert_eq!(names(&test), ["of_a.txt", "of_b.txt"]);
    test.runs()
        .says("inputs: 2 unchanged")
        .says("0 run, 0 reused");

    // As it was, at another time.
    test.write("in/a.txt", "1");
    test.runs()
        .says("inputs: 2 unchanged")
        .says("0 run, 0 reused");

    test.write("in/a.txt", "4444");
    test.write("in/c.txt", "22");
    let told = test.text(&["-run", "-dry-run"]);
    assert!(
        told.contains("inputs: 1 new, 1 changed, 1 unchanged\n"),
        "{told}"
    );
    assert!(
        told.contains("count v1  would run 2 (2 without a result yet)"),
        "{told}"
    );
    test.runs()
        .says("inputs: 1 new, 1 changed, 1 unchanged")
        .says("4 run, 0 reused");
    assert_eq!(test.output("of_a.txt"), "marked 4\n");
    assert_eq!(test.times("count b.txt"), 1, "what is as it was runs once");

    std::fs::remove_file(test.path("in/deep/b.txt")).unwrap();
    test.runs()
        .says("inputs: 1 gone, 2 unchanged")
        .says("0 run");
    assert_eq!(names(&test), ["of_a.txt", "of_c.txt"]);
    assert_eq!(live(&test, "count"), ["a.txt", "c.txt"]);
    test.tally_is_right();

    // Back again: what was made of it is used again.
    test.write("in/deep/b.txt", "22");
    test.runs()
        .says("inputs: 1 new, 2 unchanged")
        .says("0 run, 2 reused");
    assert_eq!(names(&test), ["of_a.txt", "of_b.txt", "of_c.txt"]);
    test.tally_is_right();
    test.objects_are_whole();
}

#[test]
fn a_renamed_file_is_another_one() {
    let manifest = FILES.replace("${TASK_PIPELINE_INPUT_NAME}_mark", "n_mark");
    let manifest = manifest.replace("of_${TASK_PIPELINE_INPUT_NAME%_mark}", "of");
    let manifest = manifest.replace("$TASK_PIPELINE_INPUT_NAME", "one");
    let test = Test::with(&manifest);
    test.write("in/a.txt", "1");
    test.runs();
    std::fs::rename(test.path("in/a.txt"), test.path("in/b.txt")).unwrap();
    test.runs()
        .says("inputs: 1 new, 1 gone")
        .says("0 run, 2 reused");
    assert_eq!(live(&test, "count"), ["b.txt"]);
    assert_eq!(test.output("of"), "marked 1\n");
}

#[test]
fn fresh_takes_all_in_again_and_older_runsets_are_left_alone() {
    let test = Test::with(FILES);
    test.write("in/a.txt", "1");
    test.run(["-run", "-runset", "one"]).exits(0);
    test.run(["-run", "-fresh", "-runset", "two"])
        .exits(0)
        .says("inputs: 1 new")
        .says("0 run, 2 reused");
    test.write("in/a.txt", "22");
    let older = test.run(["-run", "-runset", "one"]).exits(0);
    assert!(!older.stderr.contains("inputs"), "{older}");
    let all = test.run(["-run", "-runset", "all"]).exits(0);
    assert!(!all.stderr.contains("inputs"), "{all}");
    test.run(["-run", "-runset", "two"])
        .exits(0)
        .says("inputs: 1 changed");
    test.run(["-run", "-runset", "three"])
        .exits(0)
        .says("inputs: 1 new");
    assert_eq!(test.rows("SELECT count(*) FROM entry"), ["3"]);
}

#[test]
fn a_pipeline_of_inputs_needs_no_start_step() {
    let test = Test::with(FILES);
    test.write("in/a.txt", "1");
    let told = test.text(&["check"]);
    assert!(told.contains("input in/**/*.txt → count\n"), "{told}");
    assert!(test.text(&[]).contains("next: -run takes in the inputs"));
    test.text(&["graph"]);
    let ran = test.runs();
    assert!(!ran.stderr.contains("starting at"), "{ran}");
    for question in ["status", "tasks"] {
        test.text(&[question]);
    }
    assert!(test.text(&[]).contains("nothing is left to do"));
    // A step that nothing but inputs feeds begins with nothing else.
    test.run(["-run", "-start", "count"])
        .exits(0)
        .says("1 run, 1 reused");
    assert_eq!(live(&test, "count"), ["a.txt"]);
    test.run(["-run", "-fresh", "-start", "count"])
        .exits(0)
        .says("1 run, 1 reused");
    assert_eq!(
        test.rows("SELECT count(*) FROM task WHERE name IS NULL"),
        ["0"]
    );
}

#[test]
fn a_start_step_beside_inputs_runs_too() {
    let test = Test::with(&format!(
        "{FILES}\n[[step]]\nname = 'begin'\nstart = true\nscript = 'echo x > $OUTPUT_DIR/b_mark'\n"
    ));
    test.write("in/a.txt", "1");
    test.runs().says("4 run");
    assert_eq!(names(&test), ["of_a.txt", "of_b"]);
    test.runs().says("inputs: 1 unchanged").says("0 run");
    test.write("in/a.txt", "22");
    test.runs().says("2 run");
    assert_eq!(
        test.rows("SELECT count(*) FROM task WHERE forced = 1"),
        ["1"]
    );
}

#[test]
fn a_new_version_of_a_step_takes_its_entries_along() {
    let test = Test::with(FILES);
    test.write("in/a.txt", "1");
    test.write("in/b.txt", "22");
    test.runs();
    test.manifest(&FILES.replace("wc -c", "wc -l"));
    test.run(["-run", "-migrate-tainted"])
        .exits(0)
        .says("inputs: 2 unchanged")
        .says("count: 2 tasks to be done again by version 2");
    test.runs().says("inputs: 2 unchanged").says("0 run");
    test.write("in/a.txt", "4444\n");
    test.runs().says("inputs: 1 changed, 1 unchanged");
    assert_eq!(test.output("of_a.txt"), "marked 1\n");
    test.tally_is_right();
}

#[test]
fn what_goes_to_another_step_now_is_done_by_that() {
    let manifest =
        "[[input]]\nfiles = '*_x'\n[[step]]\nname = 'x'\nscript = 'echo 1 > $OUTPUT_DIR/end'\n";
    let test = Test::with(manifest);
    test.write("a_y_x", "1");
    test.runs();
    test.manifest(&format!(
        "{manifest}[[step]]\nname = 'y_x'\nscript = 'echo 2 > $OUTPUT_DIR/end'\n"
    ));
    test.runs().says("inputs: 1 changed").says("1 run");
    assert_eq!(test.output("end"), "2\n");
    let why = test.text(&["why", "3"]);
    assert!(
        why.contains("its input went to another step before: it took the place of task #1"),
        "{why}"
    );
}

#[test]
fn it_is_told_where_a_task_comes_from() {
    let test = Test::with(FILES);
    test.write("in/deep/a.txt", "1");
    test.write("in/b.txt", "1");
    test.runs();
    test.write("in/deep/a.txt", "22");
    std::fs::remove_file(test.path("in/b.txt")).unwrap();
    test.runs();
    let task = |name: &str, live: &str| {
        let which = format!("SELECT id FROM task WHERE name = '{name}' AND live = {live}");
        test.rows(&which)[0].clone()
    };
    let (old, new) = (task("a.txt", "0"), task("a.txt", "1"));
    let why = test.text(&["why", &new]);
    assert!(why.contains("from outside: file `in/deep/a.txt`"), "{why}");
    assert!(
        why.contains(&format!(
            "its input changed: it took the place of task #{old}"
        )),
        "{why}"
    );
    let why = test.text(&["why", &old]);
    assert!(why.contains("from outside: file `in/deep/a.txt`"), "{why}");
    let why = test.text(&["why", &task("b.txt", "0")]);
    assert!(
        why.contains("superseded: what it comes from does not come in any more"),
        "{why}"
    );
    let trace = test.text(&["trace", "of_a.txt"]);
    assert!(trace.starts_with("file `in/deep/a.txt` "), "{trace}");
    let trace = test.json(&["trace", "-json", "of_a.txt"]);
    assert_eq!(trace["tasks"][0]["entry"]["file"], "in/deep/a.txt");
}

#[test]
fn lines_of_a_command() {
    let manifest = "[[input]]\nlines = 'echo asked >> $COUNT; cat list'\nstep = 'get'\n\
         [[step]]\nname = 'get'\nscript = 'cp \"$INPUT_FILE\" \"$OUTPUT_DIR/got-$TASK_PIPELINE_INPUT_NAME\"'\n";
    let test = Test::with(manifest);
    test.write("list", "one\ntwo words\n\n/path\n");
    test.runs().says("inputs: 3 new").says("3 run");
    assert_eq!(test.output("got-two words"), "two words\n");
    assert_eq!(test.times("asked"), 1);
    for question in [
        &["check"] as &[&str],
        &["status"],
        &[],
        &["trace", "got-one"],
    ] {
        test.text(question);
    }
    assert_eq!(test.times("asked"), 1, "no question starts it");
    test.text(&["-run", "-dry-run"]);
    assert_eq!(test.times("asked"), 2);
    test.write("list", "two words\nnew\none\n");
    test.runs()
        .says("inputs: 1 new, 1 gone, 2 unchanged")
        .says("1 run");
    let task = test.rows("SELECT id FROM task WHERE name = 'new'");
    let why = test.text(&["why", &task[0]]);
    let words = "from outside: line `new` of a command's output";
    assert!(why.contains(words), "{why}");
}

#[test]
fn nothing_in_place_of_something_is_no_success() {
    let test = Test::with(FILES);
    test.write("in/a.txt", "1");
    test.runs();
    std::fs::remove_file(test.path("in/a.txt")).unwrap();
    for arguments in [
        &["-run"] as &[&str],
        &["-run", "-dry-run"],
        &["-run", "-fresh"],
    ] {
        let said = test.run(arguments).exits(2).stderr;
        assert!(said.contains("`in/**/*.txt` matches no file"), "{said}");
    }
    assert_eq!(names(&test), ["of_a.txt"], "nothing has changed");
    test.manifest(&FILES.replace("step = \"count\"", "step = \"count\"\nempty = true"));
    test.runs().says("inputs: 1 gone");
    assert_eq!(names(&test), [""; 0]);
    test.runs().says("inputs: none");
    test.tally_is_right();
}

#[test]
fn an_input_that_leaves_the_manifest_takes_its_results_along() {
    let test = Test::with(FILES);
    test.write("in/a.txt", "1");
    test.runs();
    let (_, steps) = FILES.split_once("[[step]]").unwrap();
    test.manifest(&format!(
        "[[step]]\nname = 'other'\nstart = true\nscript = ':'\n[[step]]{steps}"
    ));
    test.runs().says("inputs: 1 gone");
    assert_eq!(names(&test), [""; 0]);

    // A manifest of another pipeline changes nothing.
    let test = Test::with(FILES);
    test.write("in/a.txt", "1");
    test.runs();
    test.manifest("[[step]]\nname = 'other'\nstart = true\nscript = ':'\n");
    let said = test.run(["-run"]).exits(2).stderr;
    assert!(said.contains("began at step count, which"), "{said}");
    test.manifest("[[input]]\nlines = 'echo 1'\nstep = 'x'\n[[step]]\nname = 'x'\nscript = ':'\n");
    let said = test.run(["-run"]).exits(2).stderr;
    assert!(said.contains("began at step count, which"), "{said}");
    assert_eq!(names(&test), ["of_a.txt"]);
    // A step that has another name now is no other pipeline.
    test.manifest(&FILES.replace("\"count\"", "\"counted\""));
    test.runs().says("inputs: 1 changed");
}

#[test]
fn what_is_gone_from_the_store_comes_in_again() {
    let test = Test::with(
        "[[input]]\nfiles = 'a.txt'\nstep = 's'\n[[input]]\nlines = 'echo b'\nstep = 's'\n\
         [[step]]\nname = 's'\nscript = 'test -e ready; cp $INPUT_FILE $OUTPUT_DIR/end'\n",
    );
    test.write("a.txt", "a\n");
    test.run(["-run"]).exits(1).says("2 failed");
    for bytes in ["a\n", "b\n"] {
        let object = test.object(&crate::harness::hash(bytes.as_bytes()));
        std::fs::remove_file(&object).unwrap();
        // As a power cut may leave it.
        std::fs::write(object, "").unwrap();
    }
    test.write("ready", "");
    test.runs()
        .says("inputs: 2 unchanged")
        .says("2 run, 0 reused");
    assert_eq!(test.finals()["end"], [b"a\n", b"b\n"]);
}
