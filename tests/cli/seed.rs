//! The pipelines by which the system is first described, to the letter.

use crate::harness::Test;

const QUICK_START: &str = r#"[[step]]
name = "start"
start = true
script = '''
echo "Input data" > $OUTPUT_DIR/process
echo "More data" > $OUTPUT_DIR/transform
'''

[[step]]
name = "process"
script = '''
cat $INPUT_FILE | tr '[:lower:]' '[:upper:]' > $OUTPUT_DIR/next
'''

[[step]]
name = "transform"
script = '''
cat $INPUT_FILE | sort > $OUTPUT_DIR/next
'''
"#;

#[test]
fn quick_start() {
    let test = Test::new();
    test.write("manifest.toml", QUICK_START);
    let call =
        |words: &str| test.run(format!("-manifest manifest.toml --db ./db {words}").split(' '));
    call("-run").exits(0).says("3 run").says("2 final outputs");
    let next = test.finals().remove("next").unwrap();
    assert_eq!(next, [b"INPUT DATA\n".to_vec(), b"More data\n".to_vec()]);
    call("-migrate-tainted").exits(0).says("nothing is tainted");
    call("-run -parallel 4").exits(0).says("0 run");
    call("-run -start process").exits(0).says("1 run");
}

const FETCH: &str = r#"[[step]]
name = "fetch"
start = true
script = "echo 'sample data' > $OUTPUT_DIR/process"
"#;

#[test]
fn example_workflow() {
    let before = format!(
        "{FETCH}
[[step]]
name = \"process\"
script = \"tr '[:lower:]' '[:upper:]' < $INPUT_FILE > $OUTPUT_DIR/done\"
"
    );
    let test = Test::with(&before);
    let call = |words: &str| {
        test.run(format!("-manifest workflow.toml -db ./my-db {words}").split(' '))
            .exits(0)
    };
    call("-run").says("2 run").says("1 final output in");
    test.manifest(&before.replace("$INPUT_FILE >", "$INPUT_FILE | sort >"));
    call("-migrate-tainted")
        .says("process: version 2, changed: script")
        .says("1 task");
    call("-run").says("1 run, 0 reused, 0 failed, 0 pending, 1 final output");
    // The tables, columns and meanings that queries of old rely on.
    let db = rusqlite::Connection::open(test.path("my-db/db")).unwrap();
    let ask = |query: &str| {
        db.query_row(query, [], |row| row.get::<_, String>(0))
            .unwrap()
    };
    assert_eq!(
        ask(
            "SELECT group_concat(step.name || step.version || task.processed, ' ')
             FROM (SELECT * FROM task ORDER BY id) AS task JOIN step ON step.id = task.step_id"
        ),
        "fetch11 process11 process21"
    );
    assert_eq!(
        ask("SELECT group_concat(id || name || version || is_start, ' ') FROM step WHERE script <> ''
             AND parallel IS NULL"),
        "1fetch11 2process10 3process20"
    );
    let old = ask(
        "SELECT object_hash FROM task WHERE step_id IS NULL AND processed = 1 AND error IS NULL
         AND input_task_id = (SELECT id FROM task WHERE step_id = 3)",
    );
    let (a, rest) = old.split_at(2);
    let (b, rest) = rest.split_at(2);
    let bytes = std::fs::read(test.path("my-db/objects").join(a).join(b).join(rest)).unwrap();
    assert_eq!(bytes, b"SAMPLE DATA\n");
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(ask("SELECT object_hash FROM task WHERE step_id = 1"), empty);
    assert_eq!(ask("PRAGMA journal_mode"), "wal");
    assert_eq!(
        ask(
            "SELECT group_concat(name, ' ') FROM (SELECT name FROM sqlite_master
             WHERE type = 'index' AND name IN
                 ('idx_step_name', 'idx_task_input', 'idx_task_processed', 'idx_task_step') ORDER BY 1)"
        ),
        "idx_step_name idx_task_input idx_task_processed idx_task_step"
    );
}

#[test]
fn manifest_format_with_basic_strings_of_several_lines() {
    let test = Test::with(
        r#"
[[step]]
name = "extract"
start = true
script = """
# Initial step - generates output files
echo raw > $OUTPUT_DIR/process
"""

[[step]]
name = "process"
script = """
# Process the data and generate output
cat < $INPUT_FILE > $OUTPUT_DIR/result_transform.csv
"""

[[step]]
name = "transform"
script = """
sed s/raw/final/ < $INPUT_FILE > $OUTPUT_DIR/final
"""
"#,
    );
    test.runs();
    assert_eq!(test.output("final"), "final\n");
}

#[test]
fn routing_by_file_name() {
    let test = Test::with(
        r#"
[[step]]
name = "begin"
start = true
script = '''
cd $OUTPUT_DIR
for name in result_next.txt final_transform.txt done.txt next x_y_next.tar.gz a_next.b_c \
    x_transform_next .next nextx next_ NEXT a_y_next next.txt_transform; do
  echo $name > $name
done
'''
[[step]]
name = "next"
script = 'echo next $TASK_PIPELINE_INPUT_NAME >> $COUNT'
[[step]]
name = "y_next"
script = 'echo y_next $TASK_PIPELINE_INPUT_NAME >> $COUNT'
[[step]]
name = "transform"
script = 'echo transform $TASK_PIPELINE_INPUT_NAME >> $COUNT'
"#,
    );
    let ran = test.runs();
    let mut routes = test.count();
    routes.sort();
    assert_eq!(
        routes,
        [
            "next a_next.b_c",
            "next next",
            "next result_next.txt",
            "next x_transform_next",
            "transform final_transform.txt",
            "transform next.txt_transform",
            "y_next a_y_next",
            "y_next x_y_next.tar.gz",
        ]
    );
    let finals: Vec<String> = test.finals().into_keys().collect();
    assert_eq!(finals, [".next", "NEXT", "done.txt", "next_", "nextx"]);
    ran.says("final output NEXT: did you mean the step next?")
        .says("final output nextx: did you mean the step next?")
        .never_says("done.txt: did you")
        .never_says("more final output");
}

#[test]
fn of_many_names_close_to_a_step_the_rest_is_counted() {
    let test = Test::with(
        "[[step]]\nname = 'begin'\nstart = true\nscript = 'for i in 1 2 3 4 5 6 7 8 9; do touch $OUTPUT_DIR/next$i; done'\n\
         [[step]]\nname = 'next'\nscript = 'true'\n",
    );
    let ran = test.run(["-run"]).exits(0);
    assert_eq!(ran.stderr.matches("did you mean the step next?").count(), 5);
    ran.says("and 4 more final outputs with names close to a step's\n");
}
