//! Which tasks run, and at which time: limits, chains, fan-outs.

use std::fmt::Write;

use crate::harness::Test;

#[test]
fn a_steps_limit_holds_while_other_steps_use_the_other_workers() {
    // The slow tasks wait for all of the fast ones, and say how many of their kind there are.
    let test = Test::with(
        r#"
        [[step]]
        name = "begin"
        start = true
        script = '''
        for i in 1 2 3 4 5; do echo $i > $OUTPUT_DIR/${i}_slow; done
        for i in $(seq 1 40); do echo $i > $OUTPUT_DIR/${i}_fast; done
        '''
        [[step]]
        name = "slow"
        parallel = 2
        timeout = '1m'
        script = '''
        mkdir -p $HOME/busy; echo > $HOME/busy/$TASK_PIPELINE_TASK
        until test $(grep -c fast $COUNT) = 40; do sleep 0.02; done
        echo "busy $(ls $HOME/busy | wc -l)" >> $COUNT; sleep 0.2; rm $HOME/busy/$TASK_PIPELINE_TASK
        '''
        [[step]]
        name = "fast"
        script = 'echo fast >> $COUNT'
        "#,
    );
    test.run(["-run", "-parallel", "4"]).exits(0);
    assert_eq!(
        test.times("busy 1") + test.times("busy 2"),
        5,
        "{:?}",
        test.count()
    );
    assert!(test.times("busy 2") >= 2, "{:?}", test.count());
}

#[test]
fn two_limits_of_one() {
    let test = Test::with(
        r#"
        [[step]]
        name = "begin"
        start = true
        script = 'for i in 1 2 3; do echo $i > $OUTPUT_DIR/${i}_a; echo $i > $OUTPUT_DIR/${i}_b; done'
        [[step]]
        name = "a"
        parallel = 1
        script = 'echo "[" >> $HOME/a; sleep 0.1; echo "]" >> $HOME/a'
        [[step]]
        name = "b"
        parallel = 1
        script = 'echo "[" >> $HOME/b; sleep 0.1; echo "]" >> $HOME/b'
        "#,
    );
    test.run(["-run", "-parallel", "8"]).exits(0);
    for file in ["a", "b"] {
        assert_eq!(test.read(file).replace('\n', ""), "[][][]");
    }
}

#[test]
fn a_chain_of_many_steps() {
    let mut manifest =
        String::from("[[step]]\nname = 's0'\nstart = true\nscript = 'echo 0 > $OUTPUT_DIR/s1'\n");
    for at in 1..40 {
        let _ = write!(
            manifest,
            "[[step]]\nname = 's{at}'\nscript = 'echo $(($(cat $INPUT_FILE) + 1)) > $OUTPUT_DIR/s{}'\n",
            at + 1
        );
    }
    let test = Test::with(&manifest);
    test.runs().says("40 run").says("1 final output");
    assert_eq!(test.output("s40"), "39\n");
    // Each under the task before it.
    assert_eq!(
        test.rows(
            "SELECT count(*) FROM task JOIN task AS up ON up.id = task.input_task_id
                   WHERE task.step_id IS NULL OR task.step_id = up.step_id + 1"
        ),
        ["40"]
    );
}

#[test]
fn a_fan_out_in_two_stages() {
    let test = Test::with(
        r#"
        [[step]]
        name = "begin"
        start = true
        script = 'for i in $(seq 1 15); do echo $i > $OUTPUT_DIR/${i}_split; done'
        [[step]]
        name = "split"
        script = 'for i in $(seq 1 $(cat $INPUT_FILE)); do echo "$(cat $INPUT_FILE) $i" > $OUTPUT_DIR/${i}_leaf; done'
        [[step]]
        name = "leaf"
        script = 'cp $INPUT_FILE $OUTPUT_DIR/pair'
        "#,
    );
    // 1 + 2 + … + 15 leaves.
    test.run(["-run", "-parallel", "4"])
        .exits(0)
        .says("136 run")
        .says("120 final outputs");
    let pairs = &test.finals()["pair"];
    assert_eq!(pairs.len(), 120);
    assert!(pairs.windows(2).all(|pair| pair[0] != pair[1]));
    test.tally_is_right();
    test.objects_are_whole();
}
