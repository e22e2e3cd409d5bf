//! The analysis of a log that grows: the case that inputs were made for.

use crate::harness::Test;

const LOGS: &str = r#"
[[input]]
files = "logs/*.log"
step = "split"

[[step]]
name = "split"
script = '''
while read -r host path; do
    echo "$path" >> "$OUTPUT_DIR/$host-hits"
done < "$INPUT_FILE"
'''

[[step]]
name = "split-hits"
script = ":"

[[step]]
name = "hits"
script = 'sort "$INPUT_FILE" | uniq -c | tr -s " " > "$OUTPUT_DIR/report-${TASK_PIPELINE_INPUT_NAME%-hits}.txt"'
"#;

#[test]
fn what_was_appended_is_in_the_report() {
    let test = Test::with(
        &LOGS
            .replace("$host-hits", "${host}_hits")
            .replace("%-hits", "%_hits"),
    );
    test.write("logs/access.log", "a /x\na /x\nb /y\n");
    test.runs().says("inputs: 1 new");
    assert_eq!(test.output("report-a.txt"), " 2 /x\n");
    test.runs().says("0 run");

    test.write("logs/access.log", "a /x\na /x\nb /y\na /z\nc /new\n");
    test.runs()
        .says("inputs: 1 changed")
        // The log, and of its hosts the one with more and the new one; the third is as it was.
        .says("3 run, 1 reused");
    assert_eq!(test.output("report-a.txt"), " 2 /x\n 1 /z\n");
    assert_eq!(test.output("report-b.txt"), " 1 /y\n");
    assert_eq!(test.output("report-c.txt"), " 1 /new\n");

    // Rotated: a new log, and an old one under another name.
    std::fs::rename(test.path("logs/access.log"), test.path("logs/access.1.log")).unwrap();
    test.write("logs/access.log", "d /x\n");
    test.runs()
        .says("inputs: 1 new, 1 changed")
        .says("2 run, 4 reused");
    let names: Vec<String> = test.finals().into_keys().collect();
    assert_eq!(
        names,
        [
            "report-a.txt",
            "report-b.txt",
            "report-c.txt",
            "report-d.txt"
        ]
    );
    test.tally_is_right();
}
