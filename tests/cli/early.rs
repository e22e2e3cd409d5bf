//! A task that reads a large file starts while that file is still being hashed, and nobody can tell
//! but by the time.

use rustix::process::Signal;

use crate::harness::{Running, Test, hash, wait_for};

const SIZE: usize = 48 << 20;

/// A start step that leaves a large file of zeros, and a second one on it.
fn pair(second: &str) -> Test {
    let test = Test::in_memory();
    test.manifest(&manifest(second));
    test
}

fn manifest(second: &str) -> String {
    format!(
        "[[step]]\nname = 'begin'\nstart = true\n\
         script = 'echo begin >> $COUNT; head -c {SIZE} /dev/zero > $OUTPUT_DIR/x_work'\n\
         [[step]]\nname = 'work'\nscript = '''\necho work >> $COUNT\n{second}\n'''\n"
    )
}

/// All that was recorded is right, and the large file is as it was made.
fn is_right(test: &Test) {
    let large = test.object(&hash(&vec![0; SIZE]));
    assert!(large.exists());
    test.objects_are_whole();
    test.tally_is_right();
    test.nothing_temporary_is_left();
    test.run(["-run"]).exits(0).says("0 run, 0 reused");
}

#[test]
fn a_task_starts_before_its_input_is_an_object() {
    let test = Test::in_memory();
    test.manifest(
        r#"
        [[step]]
        name = "begin"
        start = true
        script = "head -c 200000000 /dev/zero > $OUTPUT_DIR/x_work; echo 1 > $OUTPUT_DIR/a; echo 2 > $OUTPUT_DIR/z"
        [[step]]
        name = "work"
        script = '''
        find db/objects -size +1000k | wc -l > $OUTPUT_DIR/stored
        echo $TASK_PIPELINE_TASK > $OUTPUT_DIR/task
        cp $INPUT_FILE $OUTPUT_DIR/x_last
        '''
        [[step]]
        name = "last"
        script = "wc -c < $INPUT_FILE > $OUTPUT_DIR/size"
        "#,
    );
    let ran = test.run(["-run", "-parallel", "2", "-log-format", "json"]);
    let ran = ran.exits(0);
    assert_eq!(test.output("stored").trim(), "0");
    assert_eq!(test.output("size").trim(), "200000000");
    let work = test
        .rows("SELECT task.id FROM task JOIN step ON step.id = step_id WHERE step.name = 'work'");
    assert_eq!(test.output("task").trim(), work[0]);
    // Each task is told to start behind the end of the one that made its input.
    let told: Vec<&str> = ran
        .stderr
        .lines()
        .filter_map(|line| {
            let event = line.split("\"event\":\"").nth(1)?.split('"').next()?;
            ["started", "done"].contains(&event).then_some(event)
        })
        .collect();
    assert_eq!(told, ["started", "done"].repeat(3));
    test.objects_are_whole();
    test.tally_is_right();
    test.nothing_temporary_is_left();
}

#[test]
fn what_a_task_does_to_its_input_is_done_to_that_alone() {
    for (script, end) in [
        ("echo more >> $INPUT_FILE", "more"),
        ("echo lost > $INPUT_FILE; echo gone >> $INPUT_FILE", "gone"),
        ("truncate -s 0 $INPUT_FILE; echo cut >> $INPUT_FILE", "cut"),
        (
            "echo less | dd of=$INPUT_FILE conv=notrunc oflag=append,nonblock",
            "less",
        ),
        ("echo new > x; mv x $INPUT_FILE", "new"),
        ("ln $INPUT_FILE $TMPDIR/y; echo y >> $TMPDIR/y", "y"),
        ("rm $INPUT_FILE; echo other > $INPUT_FILE", "other"),
        ("exec 3<$INPUT_FILE; echo proc >> /proc/self/fd/3", "proc"),
    ] {
        let test = pair(&format!(
            "{script}\ntail -n 1 $INPUT_FILE | tail -c 6 | tr -d '\\0' > $OUTPUT_DIR/end"
        ));
        test.run(["-run", "-parallel", "2"]).exits(0);
        assert_eq!(test.output("end").trim(), end, "{script}");
        is_right(&test);
    }
}

#[test]
fn the_input_may_be_passed_on_as_it_is() {
    for script in [
        "mv $INPUT_FILE $OUTPUT_DIR/same",
        "ln $INPUT_FILE $OUTPUT_DIR/same",
        "ln $INPUT_FILE kept; cp kept $OUTPUT_DIR/same",
    ] {
        let test = pair(script);
        test.run(["-run", "-parallel", "2"]).exits(0);
        assert_eq!(test.finals()["same"][0].len(), SIZE, "{script}");
        if test.path("kept").exists() {
            test.write("kept", "changed");
        }
        is_right(&test);
    }
}

#[test]
fn what_a_task_leaves_running_cannot_reach_the_object() {
    let test = pair(
        "setsid sh -c 'exec 3<$INPUT_FILE; touch open; until test -e $OBJECT; do sleep 0.01; done
         echo harm >> /proc/self/fd/3; touch through' &
         while ! [ -e open ]; do sleep 0.01; done; echo done > $OUTPUT_DIR/done",
    );
    let mut command = test.command(["-run", "-parallel", "2"]);
    command.env("OBJECT", test.object(&hash(&vec![0; SIZE])));
    Running::start(command).end().exits(0);
    wait_for("the process left behind", || test.path("through").exists());
    is_right(&test);
}

#[test]
fn an_equal_task_is_not_executed_twice() {
    let test = Test::in_memory();
    test.manifest(&format!(
        "[[step]]\nname = 'begin'\nstart = true\n\
         script = 'for i in a b c; do head -c {SIZE} /dev/zero > $OUTPUT_DIR/${{i}}_work; done'\n\
         [[step]]\nname = 'work'\nscript = 'echo work >> $COUNT; wc -c < $INPUT_FILE > $OUTPUT_DIR/size'\n",
    ));
    test.run(["-run", "-parallel", "3"])
        .exits(0)
        .says("2 run, 2 reused");
    assert_eq!(test.times("work"), 1);
    test.run(["-run", "-fresh", "-parallel", "3"])
        .exits(0)
        .says("1 run, 3 reused");
    assert_eq!(test.times("work"), 1);
    is_right(&test);
}

#[test]
fn a_task_that_fails_is_tried_again() {
    let test = pair(
        "test -e ready || { echo not yet >&2; exit 3; }; wc -c < $INPUT_FILE > $OUTPUT_DIR/size",
    );
    test.run(["-run", "-parallel", "2"])
        .exits(1)
        .says("not yet")
        .says("1 run, 0 reused, 1 failed");
    test.write("ready", "");
    test.run(["-run"]).exits(0);
    assert_eq!(test.output("size").trim(), SIZE.to_string());
    assert_eq!(test.count(), ["begin", "work", "work"]);
    is_right(&test);
    let test = pair("echo >> tries; test $(wc -l < tries) = 2; echo > $OUTPUT_DIR/end");
    let retries = manifest("echo >> tries; test $(wc -l < tries) = 2; echo > $OUTPUT_DIR/end");
    test.manifest(&format!("{retries}retries = 1\nretry_delay = '10ms'\n"));
    test.run(["-run", "-parallel", "2"]).exits(0);
    assert_eq!(test.times("work"), 2);
    is_right(&test);
}

#[test]
fn without_its_input_stored_nothing_of_it_is_recorded() {
    let test = pair("wc -c < $INPUT_FILE > $OUTPUT_DIR/size");
    let large = test.object(&hash(&vec![0; SIZE]));
    let folder = large.parent().unwrap().parent().unwrap();
    // In the way of the folder that the object is to lie in.
    let name = folder.strip_prefix(test.path("")).unwrap();
    test.write(name.to_str().unwrap(), "");
    // And of that for what is in the way.
    let aside = folder.with_file_name("aside");
    std::fs::write(&aside, "").unwrap();
    test.run(["-run", "-parallel", "2"])
        .exits(2)
        .says("task 1 of begin: cannot make the folder")
        .says("0 run, 0 reused, 0 failed");
    assert_eq!(test.rows("SELECT count(*) FROM task"), ["1"]);
    std::fs::remove_file(folder).unwrap();
    std::fs::remove_file(aside).unwrap();
    test.run(["-run", "-parallel", "2"]).exits(0);
    assert_eq!(test.output("size").trim(), SIZE.to_string());
    is_right(&test);
}

#[test]
fn one_worker_is_enough() {
    let test = pair("wc -c < $INPUT_FILE > $OUTPUT_DIR/size");
    test.run(["-run", "-parallel", "1"]).exits(0);
    assert_eq!(test.output("size").trim(), SIZE.to_string());
    is_right(&test);
}

#[test]
fn an_interrupt_ends_it_and_the_next_run_goes_on() {
    let test =
        pair("test -e ready || { touch runs; sleep 60; }; wc -c < $INPUT_FILE > $OUTPUT_DIR/size");
    let running = test.start(["-run", "-parallel", "2"]);
    wait_for("the second task", || test.path("runs").exists());
    running.signal(Signal::INT);
    running.end().exits(130);
    test.write("ready", "");
    test.run(["-run"]).exits(0);
    assert_eq!(test.count(), ["begin", "work", "work"]);
    is_right(&test);
}

#[test]
fn killed_in_between_it_goes_on() {
    let test = Test::in_memory();
    let mut pipeline = manifest("tr '\\0' a < $INPUT_FILE > $OUTPUT_DIR/x_third");
    pipeline += "[[step]]\nname = 'third'\nscript = 'echo third >> $COUNT; tr a b < $INPUT_FILE > $OUTPUT_DIR/x_end'\n\
             [[step]]\nname = 'end'\nscript = 'tr -d b < $INPUT_FILE | wc -c > $OUTPUT_DIR/rest'\n";
    test.manifest(&pipeline);
    for at in 1..12 {
        let running = test.start(["-run", "-parallel", "2"]);
        std::thread::sleep(std::time::Duration::from_millis(at * 25));
        running.signal(Signal::KILL);
        running.end();
        let done = test.path("db/db").exists()
            && test
                .rows("SELECT 1 FROM sqlite_master WHERE name = 'task'")
                .len()
                == 1;
        if done {
            // No row without its object.
            for hash in test.rows("SELECT object_hash FROM task WHERE input_task_id > 0") {
                assert!(test.object(&hash).exists());
            }
            test.objects_are_whole();
        }
    }
    test.run(["-run", "-parallel", "2"]).exits(0);
    assert_eq!(test.output("rest").trim(), "0");
    is_right(&test);
}
