//! Rows of sheets.

use crate::harness::Test;

const SHEET: &str = r#"
[[input]]
rows = "samples.csv"
name = "{sample}.csv"
step = "align"

[[step]]
name = "align"
script = '''
echo "$TASK_PIPELINE_INPUT_NAME" >> $COUNT
tail -n 1 "$INPUT_FILE" > "$OUTPUT_DIR/aligned-$TASK_PIPELINE_INPUT_NAME"
head -n 1 "$INPUT_FILE" > "$OUTPUT_DIR/header-$TASK_PIPELINE_INPUT_NAME"
'''
"#;

#[test]
fn a_row_that_is_edited_is_the_only_one_to_be_done_again() {
    let test = Test::with(SHEET);
    test.write("samples.csv", "sample,reads\na,1\nb,2\n");
    test.runs().says("inputs: 2 new").says("2 run");
    assert_eq!(test.output("aligned-a.csv"), "a,1\n");
    assert_eq!(test.output("header-a.csv"), "sample,reads\n");
    // In the middle, with other line ends, a byte order mark and an empty line.
    test.write(
        "samples.csv",
        "\u{feff}sample,reads\r\na,1\r\n\r\nnew,3\r\nb,2\r\n",
    );
    test.runs().says("inputs: 1 new, 2 unchanged").says("1 run");
    test.write("samples.csv", "sample,reads\nb,2\na,9\nnew,3\n");
    test.runs()
        .says("inputs: 1 changed, 2 unchanged")
        .says("1 run");
    assert_eq!(test.output("aligned-a.csv"), "a,9\n");
    test.write("samples.csv", "sample,reads\nb,2\n");
    test.runs()
        .says("inputs: 2 gone, 1 unchanged")
        .says("0 run");
    let mut count = test.count();
    count.sort();
    assert_eq!(count, ["a.csv", "a.csv", "b.csv", "new.csv"]);
    // Another header is another input for each row.
    test.write("samples.csv", "sample,reads,more\nb,2,1\n");
    test.runs().says("inputs: 1 changed").says("1 run");
    test.tally_is_right();
}

#[test]
fn rows_of_json_route_by_their_names() {
    let test = Test::with(
        "[[input]]\nrows = 's.jsonl'\nname = '{id}_get'\n\
         [[step]]\nname = 'get'\nscript = 'cp $INPUT_FILE $OUTPUT_DIR/got'\n",
    );
    test.write("s.jsonl", "{\"id\": 7, \"x\": [1]}\n");
    test.runs().says("inputs: 1 new");
    assert_eq!(test.output("got"), "{\"id\": 7, \"x\": [1]}\n");
    let why = test.text(&["why", "#1"]);
    assert!(
        why.contains("from outside: row `7_get` of `s.jsonl`"),
        "{why}"
    );
}

#[test]
fn an_emptied_sheet_deletes_nothing_unless_that_is_meant() {
    let test = Test::with(SHEET);
    test.write("samples.csv", "sample,reads\na,1\n");
    test.runs();
    test.write("samples.csv", "sample,reads\n");
    for arguments in [
        &["-run"] as &[&str],
        &["-run", "-fresh"],
        &["-run", "-dry-run"],
    ] {
        let said = test.run(arguments).exits(2).stderr;
        assert!(said.contains("the results of 1 entry would go"), "{said}");
        assert!(said.contains("--> workflow.toml:3:9"), "{said}");
        assert!(said.contains("empty = true"), "{said}");
    }
    assert_eq!(test.output("aligned-a.csv"), "a,1\n");
    assert_eq!(test.rows("SELECT count(*) FROM runset"), ["1"]);
}
