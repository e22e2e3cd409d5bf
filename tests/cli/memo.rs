//! Work that was done is not done again.

use crate::harness::Test;

/// Leaves what the file `data` has, a line a task, for the step `work` with these keys and this
/// script, which hands on to `last`.
fn pipeline(keys: &str, script: &str) -> String {
    format!(
        "[[step]]\nname = 'begin'\nstart = true\nscript = '''
        while read line; do echo $line > $OUTPUT_DIR/$(echo $line | tr -dc a-z)_work; done < data\n'''\n\
         [[step]]\nname = 'work'\n{keys}\nscript = '''echo work >> $COUNT; {script}'''\n\
         [[step]]\nname = 'last'\nscript = 'echo last >> $COUNT; cp $INPUT_FILE $OUTPUT_DIR/end'\n"
    )
}

const UPPER: &str = "tr a-z A-Z < $INPUT_FILE > $OUTPUT_DIR/x_last";

fn with(data: &str, keys: &str, script: &str) -> Test {
    let test = Test::with(&pipeline(keys, script));
    test.write("data", data);
    test
}

fn done(test: &Test) -> (usize, usize) {
    (test.times("work"), test.times("last"))
}

#[test]
fn a_new_runset_executes_only_what_is_new() {
    let test = with("a\nb\n", "", UPPER);
    test.runs();
    test.write("data", "a\nb\nc\n");
    let ran = test.run(["-run", "-fresh", "-verbose"]).exits(0);
    ran.says("3 run, 4 reused")
        .says("3 final outputs")
        .says("reused from #");
    assert_eq!(done(&test), (3, 3));
    assert_eq!(test.finals()["end"].len(), 5);
    assert_eq!(
        test.rows("SELECT count(*) FROM task WHERE reused_from IS NOT NULL AND processed = 1"),
        ["4"]
    );
    test.tally_is_right();
}

#[test]
fn cache_false_turns_it_off_for_that_step_alone() {
    let test = with("a\nb\n", "cache = false", UPPER);
    test.runs();
    test.run(["-run", "-fresh"])
        .exits(0)
        .says("3 run, 2 reused");
    assert_eq!(done(&test), (4, 2));
}

#[test]
fn equal_inputs_of_one_run_execute_once() {
    let manifest = |keys: &str| {
        format!(
            "[[step]]\nname = 'begin'\nstart = true\n\
             script = 'for i in 1 2 3 4 5 6; do echo same > $OUTPUT_DIR/${{i}}_work; done'\n\
             [[step]]\nname = 'work'\n{keys}\n\
             script = 'echo work >> $COUNT; sleep 0.05; cp $INPUT_FILE $OUTPUT_DIR/end'\n"
        )
    };
    let test = Test::with(&manifest(""));
    test.run(["-run", "-parallel", "6"])
        .exits(0)
        .says("2 run, 5 reused")
        .says("6 final outputs");
    assert_eq!(test.times("work"), 1);
    test.tally_is_right();
    let test = Test::with(&manifest("cache = false"));
    test.run(["-run", "-parallel", "6"])
        .exits(0)
        .says("7 run, 0 reused");
    assert_eq!(test.times("work"), 6);
}

#[test]
fn of_equal_tasks_that_fail_each_is_tried() {
    let test = Test::with(
        r#"
        [[step]]
        name = "begin"
        start = true
        script = 'echo same > $OUTPUT_DIR/1_work; echo same > $OUTPUT_DIR/2_work'
        [[step]]
        name = "work"
        script = 'echo work >> $COUNT; test $(wc -l < $COUNT) != 1; echo > $OUTPUT_DIR/end'
        "#,
    );
    test.run(["-run", "-parallel", "2"])
        .exits(1)
        .says("2 run, 0 reused, 1 failed");
    test.runs().says("0 run, 1 reused, 0 failed");
    assert_eq!(test.times("work"), 2);
}

#[test]
fn a_name_that_the_script_reads_is_part_of_the_input() {
    let name = "echo $TASK_PIPELINE_INPUT_NAME > $OUTPUT_DIR/end";
    let begin = |names: &str| {
        format!(
            "[[step]]\nname = 'begin'\nstart = true\n\
             script = 'for i in {names}; do echo same > $OUTPUT_DIR/${{i}}_work; done'\n\
             [[step]]\nname = 'work'\nscript = 'echo work >> $COUNT; {name}'\n"
        )
    };
    let test = Test::with(&begin("1 2"));
    test.runs();
    assert_eq!(test.finals()["end"], [b"1_work\n", b"2_work\n"]);
    test.manifest(&begin("2 3"));
    let ran = test.run(["-run", "-fresh"]).exits(0);
    ran.says("2 run, 1 reused");
    assert_eq!(test.times("work"), 3);
    let newest = "SELECT count(DISTINCT object_hash) FROM task WHERE step_id IS NULL
                  AND runset = (SELECT name FROM runset ORDER BY id DESC)";
    assert_eq!(test.rows(newest), ["2"]);
}

#[test]
fn a_script_that_reads_its_task_or_runset_is_never_reused() {
    for variable in ["TASK_PIPELINE_TASK", "TASK_PIPELINE_RUNSET"] {
        let test = with("a\n", "", &format!("echo ${variable} > $OUTPUT_DIR/end"));
        test.runs();
        test.run(["-run", "-fresh"])
            .exits(0)
            .says("2 run, 0 reused");
        assert_eq!(test.finals()["end"].len(), 2);
    }
}

#[test]
fn after_a_change_without_effect_the_steps_behind_it_are_not_executed() {
    let test = with("a\nb\n", "", UPPER);
    test.runs();
    test.manifest(&pipeline("", &format!(": faster; {UPPER}")));
    test.run(["-migrate-tainted", "-run"])
        .exits(0)
        .says("2 run, 2 reused");
    assert_eq!(done(&test), (4, 2));
    assert_eq!(test.finals()["end"], [b"A\n", b"B\n"]);
    test.tally_is_right();
}

#[test]
fn going_back_to_an_old_version_takes_its_results() {
    let test = with("a\n", "", UPPER);
    test.runs();
    test.manifest(&pipeline("", "tr a x < $INPUT_FILE > $OUTPUT_DIR/x_last"));
    test.run(["-migrate-tainted", "-run"]).exits(0);
    assert_eq!((test.output("end").as_str(), done(&test)), ("x\n", (2, 2)));
    test.manifest(&pipeline("", UPPER));
    test.run(["-migrate-tainted", "-run"])
        .exits(0)
        .says("0 run, 2 reused");
    assert_eq!((test.output("end").as_str(), done(&test)), ("A\n", (2, 2)));
    assert_eq!(
        test.rows("SELECT version, current FROM step WHERE name = 'work' ORDER BY 1"),
        ["1|1", "2|0"]
    );
}

#[test]
fn a_result_whose_object_is_gone_is_made_again() {
    let test = with("a\n", "", UPPER);
    test.runs();
    let hash = test
        .rows("SELECT object_hash FROM task WHERE name = 'end'")
        .remove(0);
    std::fs::remove_file(test.object(&hash)).unwrap();
    test.run(["-run", "-fresh"])
        .exits(0)
        .says("2 run, 1 reused");
    assert_eq!(done(&test), (2, 1));
    test.objects_are_whole();
}
