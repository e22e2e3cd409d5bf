//! Steps that feed themselves, directly or by way of others.

use crate::harness::Test;

/// A pipeline of steps with these names, other keys and scripts; the first starts.
fn pipeline(steps: &[(&str, &str, &str)]) -> Test {
    Test::with(&text(steps))
}

fn text(steps: &[(&str, &str, &str)]) -> String {
    let step = |(at, (name, keys, script)): (usize, &(&str, &str, &str))| {
        let start = if at == 0 { "start = true" } else { "" };
        format!("[[step]]\nname = '{name}'\n{start}\n{keys}\nscript = '''{script}'''\n")
    };
    steps.iter().enumerate().map(step).collect()
}

#[test]
fn a_step_may_feed_itself() {
    let test = Test::with(
        r#"
        [[step]]
        name = "begin"
        start = true
        script = 'echo 10 > $OUTPUT_DIR/down'
        [[step]]
        name = "down"
        script = '''
        n=$(cat $INPUT_FILE); echo $n >> $COUNT
        if test $n = 0; then echo over > $OUTPUT_DIR/end; else echo $((n - 1)) > $OUTPUT_DIR/down; fi
        '''
        "#,
    );
    test.runs().says("12 run").says("1 final output");
    assert_eq!(
        test.count(),
        ["10", "9", "8", "7", "6", "5", "4", "3", "2", "1", "0"]
    );
    assert_eq!(test.output("end"), "over\n");
}

#[test]
fn a_circle_that_changes_nothing_is_an_error() {
    let circle = r#"
        [[step]]
        name = "begin"
        start = true
        script = 'echo same > $OUTPUT_DIR/there'
        [[step]]
        name = "there"
        script = 'echo there >> $COUNT; cp $INPUT_FILE $OUTPUT_DIR/back'
        [[step]]
        name = "back"
        script = 'echo back >> $COUNT; cp $INPUT_FILE $OUTPUT_DIR/there'
        "#;
    let test = Test::with(circle);
    let ran = test.run(["-run"]).exits(1);
    ran.says("goes round in a circle, there → back → there: task #2 before it already ran there on the same input")
        .says("hint: let the script give its output another name once nothing changes");
    assert_eq!(test.count(), ["there", "back"]);
    test.run(["-run"]).exits(1).says("goes round in a circle");
    test.tally_is_right();
}

#[test]
fn an_equal_task_in_a_branch_beside_is_no_way_round() {
    let test = pipeline(&[
        (
            "a",
            "",
            "echo 1 > $OUTPUT_DIR/1_b; echo 1 > $OUTPUT_DIR/1_c",
        ),
        ("b", "", "echo b >> $COUNT; echo 1 > $OUTPUT_DIR/1_c"),
        ("c", "", "echo c >> $COUNT; echo 1 > $OUTPUT_DIR/1_b"),
    ]);
    let ran = test.run(["-run"]).exits(1);
    ran.says("b → c → b")
        .says("c → b → c")
        .says("2 failed, 0 pending");
    for _ in 0..2 {
        let ran = test.run(["-run", "-fresh"]).exits(1);
        ran.says("1 run, 4 reused, 2 failed, 0 pending");
    }
    test.run(["-run", "-start", "b"])
        .exits(1)
        .says("2 failed, 0 pending");
    assert!(
        test.times("b") <= 3 && test.times("c") == 1,
        "{:?}",
        test.count()
    );
    // Whoever asks what a run would do does not wait for ever either.
    test.run(["-run", "-fresh", "-dry-run"]).exits(0);
    let told = test.run(["-run", "-dry-run"]).exits(0);
    told.prints("would refuse 1 (it goes round for ever)");
    test.tally_is_right();
}

#[test]
fn a_step_that_leaves_itself_two_equal_inputs_ends() {
    let two = "echo 1 > $OUTPUT_DIR/1_s; echo 1 > $OUTPUT_DIR/2_s";
    let test = pipeline(&[("a", "", two), ("s", "", two)]);
    test.run(["-run"]).exits(1).says("4 failed, 0 pending");
    test.run(["-run", "-fresh"])
        .exits(1)
        .says("4 failed, 0 pending");
}

/// A counter that a step hands on to itself.
const TICK: &str = "read n < $INPUT_FILE; echo $n >> $COUNT; echo $((n + 1)) > $OUTPUT_DIR/tick";

#[test]
fn a_ring_whose_content_is_ever_new_ends_after_its_rounds() {
    fn manifest(keys: &str) -> String {
        text(&[
            ("begin", "", "echo 1 > $OUTPUT_DIR/tick"),
            ("tick", keys, TICK),
        ])
    }
    for keys in ["rounds = 5", "rounds = 5\ncache = false"] {
        let test = Test::with(&manifest(keys));
        let ran = test.run(["-run"]).exits(1);
        ran.says("goes round for ever, tick → tick: 5 tasks of tick stand above this one")
            .says("its input `tick` was routed to tick")
            .says("`rounds`");
        assert_eq!(test.count(), ["1", "2", "3", "4", "5"]);
        // The rounds before count when it goes on, with another version, too.
        test.run(["-run"])
            .exits(1)
            .says("0 run, 0 reused, 1 failed");
        test.manifest(&manifest(&keys.replace('5', "7")));
        test.run(["-run"])
            .exits(1)
            .says("2 run, 0 reused, 1 failed");
        test.manifest(&manifest(&keys.replace('5', "8\nenv = { A = 'b' }")));
        test.run(["-run"])
            .exits(1)
            .says("1 run, 0 reused, 1 failed");
        assert_eq!(test.count().len(), 8);
        test.run(["-run", "-fresh"]).exits(1);
        test.run(["-run", "-start", "tick"]).exits(1);
        test.tally_is_right();
    }
}

#[test]
fn rounds_are_no_part_of_a_version() {
    let steps = |keys| [("begin", keys, "echo 1 > $OUTPUT_DIR/end")];
    let test = pipeline(&steps(""));
    test.runs();
    test.manifest(&text(&steps("rounds = 7")));
    test.runs().never_says("version").says("0 run");
}

#[test]
fn an_output_that_is_named_after_its_input_comes_back_by_accident() {
    let test = pipeline(&[
        ("begin", "", "echo > $OUTPUT_DIR/x_work"),
        (
            "work",
            "rounds = 3",
            "echo more >> $INPUT_FILE; cp $INPUT_FILE $OUTPUT_DIR/$TASK_PIPELINE_INPUT_NAME.done",
        ),
    ]);
    test.run(["-run"])
        .exits(1)
        .says("work → work")
        .says("its input `x_work.done.done.done` was routed to work by its name");
}

#[test]
fn a_task_that_starts_early_is_in_the_ring_too() {
    // Large enough for the next task to start before this one is recorded.
    let grow = |name: &str, next: &str| {
        format!(
            "echo {name} >> $COUNT; cat $INPUT_FILE > $OUTPUT_DIR/{next}; echo >> $OUTPUT_DIR/{next}"
        )
    };
    let test = pipeline(&[
        ("begin", "", "head -c 50000000 /dev/zero > $OUTPUT_DIR/one"),
        ("one", "rounds = 2", &grow("one", "two")),
        ("two", "rounds = 2", &grow("two", "one")),
    ]);
    test.run(["-run", "-parallel", "2"])
        .exits(1)
        .says("one → two → one: 2 tasks of one stand above this one");
    assert_eq!(test.count(), ["one", "two", "one", "two"]);
    test.objects_are_whole();
    test.tally_is_right();
}

#[test]
fn a_ring_that_comes_to_rest_is_taken_over_whole() {
    let test = pipeline(&[
        ("begin", "", "echo 40 > $OUTPUT_DIR/half; echo 41 > $OUTPUT_DIR/half.other"),
        (
            "half",
            "",
            "read n < $INPUT_FILE; echo $n >> $COUNT
             if test $n = 0; then echo over > $OUTPUT_DIR/end; else echo $((n / 2)) > $OUTPUT_DIR/half; fi",
        ),
    ]);
    // Both halve to 20, 10, 5, 2, 1, 0.
    test.runs().says("9 run, 6 reused").says("2 final outputs");
    test.run(["-run", "-fresh"])
        .exits(0)
        .says("1 run, 14 reused");
    test.run(["-run", "-start", "half"])
        .exits(0)
        .says("2 run, 12 reused");
    test.run(["-run", "-fresh"])
        .exits(0)
        .says("1 run, 14 reused");
    test.tally_is_right();
}
