//! Outputs that go elsewhere once a step came or left.

use crate::harness::Test;

const BEGIN: &str = "[[step]]\nname = 'begin'\nstart = true\n\
    script = 'echo begin >> $COUNT; echo a > $OUTPUT_DIR/a_report; echo b > $OUTPUT_DIR/b_report; \
              echo c > $OUTPUT_DIR/c_old.txt'\n";
const REPORT: &str = "[[step]]\nname = 'report'\n\
    script = 'echo report >> $COUNT; tr a-z A-Z < $INPUT_FILE > $OUTPUT_DIR/page.html'\n";
const OLD: &str = "[[step]]\nname = 'old'\n\
    script = 'echo old >> $COUNT; cp $INPUT_FILE $OUTPUT_DIR/kept.txt'\n";

fn live(test: &Test) -> Vec<String> {
    test.rows(
        "SELECT task.name, step.name FROM task LEFT JOIN step ON step.id = step_id
         WHERE live AND input_task_id IS NOT NULL ORDER BY 1, 2",
    )
}

#[test]
fn a_step_that_comes_later_gets_what_was_final() {
    let test = Test::with(BEGIN);
    test.runs().says("3 final outputs");
    test.manifest(&format!("{BEGIN}{REPORT}"));
    let told = "2 outputs that were final go to step report by today's steps: -migrate-tainted acts on that\n";
    let status = test.text(&["status"]);
    assert!(
        status.contains(told)
            && status.ends_with("next: -migrate-tainted -run acts on what has changed\n"),
        "{status}"
    );
    let status = test.json(&["status", "-json"]);
    assert_eq!(
        status["rerouted"],
        serde_json::json!([{ "from": null, "to": "report", "count": 2 }])
    );
    for _ in 0..2 {
        test.runs().says(told).says("0 run");
    }
    test.run([""; 0]).exits(0).says(told);
    test.run(["-run", "-dry-run", "-migrate-tainted"])
        .exits(0)
        .prints("report v1  would run 2");
    assert_eq!(test.times("report"), 0);
    let ran = test.run(["-run", "-migrate-tainted", "-log-format", "json"]);
    ran.exits(0)
        .says("\"event\":\"rerouted\",\"to\":\"report\",\"count\":2,\"done\":true");
    assert_eq!((test.times("begin"), test.times("report")), (1, 2));
    assert_eq!(
        test.finals().keys().collect::<Vec<_>>(),
        ["c_old.txt", "page.html"]
    );
    test.tally_is_right();
    test.runs().never_says("today's steps");
    let status = test.json(&["status", "-json"]);
    assert_eq!(status["rerouted"], serde_json::json!([]));
    test.run(["-migrate-tainted"])
        .exits(0)
        .says("nothing is tainted");

    // In a new runset the parent's outputs are each there once.
    test.run(["-run", "-fresh"])
        .exits(0)
        .says("1 run, 2 reused")
        .says("3 final outputs");
    let trace = test.text(&["trace", "page.html"]);
    assert!(trace.contains("a_report"), "{trace}");
    let why = test.rows(
        "SELECT task.id FROM task JOIN step ON step.id = step_id
         WHERE step.name = 'report' AND supersedes IS NOT NULL ORDER BY 1",
    );
    let said = test.text(&["why", &why[0]]);
    assert!(
        said.contains("its input goes here by its name; it was a final output before, #2"),
        "{said}"
    );
    let said = test.text(&["why", "2"]);
    assert!(
        said.contains("#2 was the final output a_report")
            && said.contains(&format!("superseded: task #{} took its place", why[0])),
        "{said}"
    );
}

#[test]
fn what_went_to_a_step_that_left_is_final() {
    let all = format!("{BEGIN}{REPORT}{OLD}");
    let test = Test::with(&all);
    test.runs().says("4 run");
    let before = live(&test);
    test.manifest(&format!("{BEGIN}{REPORT}"));
    test.runs()
        .says("1 output that went to step old is final by today's steps");
    test.run(["-migrate-tainted"])
        .exits(0)
        .says("1 output that went to step old is final now\n");
    test.tally_is_right();
    assert_eq!(
        live(&test),
        [
            "a_report|report",
            "b_report|report",
            "c_old.txt|",
            "page.html|",
            "page.html|"
        ]
    );
    test.run(["export", "-to", "out"]).exits(0);
    assert_eq!(test.read("out/c_old.txt"), "c\n");
    let id = test
        .rows("SELECT id FROM task WHERE name = 'c_old.txt' AND live")
        .remove(0);
    let said = test.text(&["why", &id]);
    assert!(
        said.contains("it went to step old before, as task #4"),
        "{said}"
    );
    // It comes back, and nothing has to run.
    test.manifest(&all);
    test.runs()
        .says("1 output that was final goes to step old by today's steps");
    test.run(["-run", "-migrate-tainted"])
        .exits(0)
        .says("1 output that was final goes to step old now")
        .says("0 run, 1 reused");
    assert_eq!(live(&test), before);
    test.tally_is_right();
}

#[test]
fn a_longer_name_takes_what_went_to_a_shorter_one() {
    let test = Test::with(&format!("{BEGIN}{REPORT}"));
    test.runs();
    let longer = REPORT
        .replace("'report'", "'a_report'")
        .replace("tr a-z A-Z", "tr a-z x-z");
    test.manifest(&format!("{BEGIN}{REPORT}{longer}").replace("echo b >", "echo B >"));
    // Also a tainted one above: what is below comes again by today's names.
    test.runs()
        .says("1 output that went to step report goes to step a_report by today's steps")
        .says("begin: 1 finished task has another version");
    test.run(["-run", "-migrate-tainted"])
        .exits(0)
        .says("begin: 1 task to be done again");
    assert_eq!(live(&test)[0], "a_report|a_report");
    test.tally_is_right();
    test.runs().never_says("today's steps").says("0 run");
}

#[test]
fn a_run_under_other_names_is_noticed_when_the_first_ones_are_back() {
    let test = Test::with(&format!("{BEGIN}{OLD}"));
    test.runs();
    // What runs now is routed by other names than the rest.
    let more = OLD.replace("kept.txt", "more_report");
    test.manifest(&format!("{BEGIN}{more}{REPORT}"));
    test.run(["-run", "-start", "old"])
        .exits(0)
        .says("2 outputs that were final");
    test.manifest(&format!("{BEGIN}{more}"));
    test.runs()
        .says("1 output that went to step report is final by today's steps");
    test.run(["-migrate-tainted", "-run"])
        .exits(0)
        .says("1 output that went to step report is final now");
    test.tally_is_right();
    test.runs().never_says("today's steps");
}
