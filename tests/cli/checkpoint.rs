//! What a task keeps from try to try, in `STATE_DIR`.

use rustix::process::{Signal, kill_process};

use crate::executors::workers;
use crate::harness::{Running, Test, files, wait_for};

/// A step that counts its tries in its folder and ends well in the one with that number. What it found is its output.
fn counts(keys: &str, good: u32) -> String {
    format!(
        r#"
        [[step]]
        name = "begin"
        start = true
        script = 'echo one > "$OUTPUT_DIR/a_train"'

        [[step]]
        name = "train"
        {keys}
        script = '''
        test -z "$(ls "$OUTPUT_DIR")"
        cd "$STATE_DIR"
        n=$(($(cat tries 2>/dev/null || echo 0) + 1))
        echo $n > tries
        mkdir -p deep/er empty
        echo "$n" >> deep/er/all
        ln -sf deep/er/all latest
        test -e program || {{ printf '#!/bin/sh\necho ran\n' > program; chmod +x program; }}
        if [ $n -lt {good} ]; then exit 3; fi
        test "$(./program)" = ran
        cat latest > "$OUTPUT_DIR/all.txt"
        test -d empty
        '''
        "#
    )
}

/// How many tasks keep something.
fn kept(test: &Test) -> String {
    test.rows("SELECT count(*) FROM checkpoint").remove(0)
}

/// Whether a task has got so far.
fn has_half(test: &Test) -> bool {
    let files = files(&test.path("db"));
    let mut states = files.iter().filter(|file| file.ends_with("x"));
    states.any(|file| std::fs::read(file).is_ok_and(|bytes| bytes == b"half\n"))
}

#[test]
fn each_try_begins_with_what_the_one_before_left() {
    let keys = "checkpoint = true\nretries = 2\nretry_delay = '1ms'";
    let test = Test::with(&counts(keys, 3));
    test.runs();
    assert_eq!(test.output("all.txt"), "1\n2\n3\n");
    assert_eq!(kept(&test), "0");
    // Nothing of it is needed.
    test.text(&["verify"]);
    test.text(&["gc"]);
    test.objects_are_whole();
    test.nothing_temporary_is_left();
}

#[test]
fn a_run_goes_on_with_what_another_one_left() {
    let test = Test::with(&counts("checkpoint = true", 3));
    test.run(["-run"]).exits(1).says("exit status 3");
    assert_eq!(kept(&test), "1");
    test.text(&["verify"]);
    // It is needed.
    test.text(&["gc"]);
    test.text(&["evict"]);
    test.run(["-run"]).exits(1);
    test.runs();
    assert_eq!(test.output("all.txt"), "1\n2\n3\n");
}

#[test]
fn another_version_and_another_start_begin_with_nothing() {
    let test = Test::with(&counts("checkpoint = true", 9));
    test.run(["-run"]).exits(1);
    test.run(["-run"]).exits(1);
    test.manifest(&counts("checkpoint = true", 1));
    test.runs();
    assert_eq!(test.output("all.txt"), "1\n");

    let test = Test::with(&counts("checkpoint = true", 2));
    test.run(["-run"]).exits(1);
    test.run(["-run", "-start", "begin"]).exits(1);
    test.text(&["gc"]);
    test.text(&["verify"]);
    test.runs();
    assert_eq!(test.output("all.txt"), "1\n2\n");
}

#[test]
fn without_the_key_there_is_no_such_folder() {
    let test = Test::with(
        "[[step]]\nname = 'a'\nstart = true\nscript = 'echo ${STATE_DIR-none} > $OUTPUT_DIR/x'\n",
    );
    let mut command = test.command(["-run"]);
    command.env("STATE_DIR", "/tmp");
    assert!(command.status().unwrap().success());
    assert_eq!(test.output("x"), "none\n");
}

#[test]
fn it_outlives_a_time_limit_and_an_interrupt() {
    let script = |wait: &str| {
        format!(
            "[[step]]\nname = 'a'\nstart = true\ncheckpoint = true\ntimeout = '60s'\n\
             script = '''\nif [ -e \"$STATE_DIR/x\" ]; then cp \"$STATE_DIR/x\" \"$OUTPUT_DIR\"; exit 0; fi\n\
             echo half > \"$STATE_DIR/x\"\necho ready\n{wait}\n'''\n"
        )
    };
    let test = Test::with(&script("sleep 60").replace("60s", "300ms"));
    test.run(["-run"]).exits(1).says("timed out");
    test.runs();
    assert_eq!(test.output("x"), "half\n");

    // What a script still does when it is asked to end counts.
    let test = Test::with(&script(
        "trap 'echo more >> \"$STATE_DIR/x\"; exit 1' TERM\nwhile :; do sleep 0.05; done",
    ));
    let running = test.start(["-run"]);
    wait_for("the first half", || has_half(&test));
    running.signal(Signal::INT);
    running.end();
    test.runs();
    assert_eq!(test.output("x"), "half\nmore\n");
}

#[test]
fn it_outlives_a_run_that_is_killed() {
    for between in [&["-run"][..], &["gc"], &["verify", "-repair"]] {
        let test = Test::with(
            "[[step]]\nname = 'a'\nstart = true\ncheckpoint = true\n\
             script = '''\nif [ -e \"$STATE_DIR/x\" ]; then cp \"$STATE_DIR/x\" \"$OUTPUT_DIR\"; exit 0; fi\n\
             echo half > \"$STATE_DIR/x\"\nsleep 600\n'''\n",
        );
        let running = test.start(["-run"]);
        wait_for("the first half", || has_half(&test));
        running.signal(Signal::KILL);
        running.end();
        test.run(between.iter().copied()).exits(0);
        test.runs();
        assert_eq!(test.output("x"), "half\n", "{between:?}");
        test.nothing_temporary_is_left();
        test.text(&["verify"]);
    }
}

/// A task that runs again only because its outputs were evicted needs as many tries as before.
#[test]
fn what_is_made_again_goes_on_too() {
    for (keys, tries) in [
        ("checkpoint = true\nretries = 2\nretry_delay = '1ms'", 1),
        ("checkpoint = true", 3),
    ] {
        let show = |what: &str| {
            counts(keys, 3).replace("all.txt", "all_show")
                + "\n[[step]]\nname = 'show'\nscript = '"
                + what
                + "; tr 123 abc < $INPUT_FILE > $OUTPUT_DIR/all.txt'\n"
        };
        let test = Test::with(&show("true"));
        let runs = |options: &[&str]| {
            for number in 1..=tries {
                let ran = test.run(options);
                ran.exits(i32::from(number < tries));
            }
        };
        runs(&["-run"]);
        test.run(["evict"]).exits(0).prints("evicted");
        test.manifest(&show(":"));
        runs(&["-migrate-tainted", "-run"]);
        assert_eq!(test.output("all.txt"), "a\nb\nc\n");
        assert_eq!(kept(&test), "0");
        test.text(&["verify"]);
    }
}

/// The row of a task that runs again says that it has ended: what a killed run leaves of it counts all the same.
#[test]
fn what_is_made_again_outlives_a_run_that_is_killed() {
    for between in [&["-run"][..], &["gc"], &["verify", "-repair"]] {
        let show = |what: &str| {
            format!(
                "[[step]]\nname = 'begin'\nstart = true\nscript = 'echo 1 > \"$OUTPUT_DIR/a_train\"'\n\
                 [[step]]\nname = 'train'\ncheckpoint = true\nscript = '''\necho full > \"$OUTPUT_DIR/a_show\"\n\
                 if [ -e \"$STATE_DIR/x\" ]; then echo on >> \"$COUNT\"; exit 0; fi\n\
                 echo half > \"$STATE_DIR/x\"\nif [ -e \"$COUNT.slow\" ]; then sleep 600; fi\n'''\n\
                 [[step]]\nname = 'show'\nscript = '{what}; tr f F < \"$INPUT_FILE\" > \"$OUTPUT_DIR/all\"'\n"
            )
        };
        let test = Test::with(&show("true"));
        test.runs();
        assert_eq!(kept(&test), "0");
        test.run(["evict"]).exits(0).prints("evicted");
        test.manifest(&show(":"));
        test.write("count.slow", "");
        let running = test.start(["-migrate-tainted", "-run"]);
        wait_for("the first half", || has_half(&test));
        running.signal(Signal::KILL);
        running.end();
        std::fs::remove_file(test.path("count.slow")).unwrap();
        test.run(between.iter().copied()).exits(0);
        test.run(["gc"]).exits(0);
        test.runs();
        assert_eq!(test.count(), ["on"], "{between:?}");
        assert_eq!(test.output("all"), "Full\n");
        assert_eq!(kept(&test), "0");
        test.nothing_temporary_is_left();
        test.text(&["verify"]);
    }
}

#[test]
fn what_cannot_be_kept_is_told_and_the_rest_is_kept() {
    let test = Test::with(
        "[[step]]\nname = 'a'\nstart = true\ncheckpoint = true\nscript = '''\ncd $STATE_DIR\n\
         if [ -e x ]; then ls > $OUTPUT_DIR/found; exit 0; fi\n\
         echo half > x\nmkfifo pipe\nln -s /etc/passwd out\nmkdir -p d\nmkfifo d/pipe\nexit 1\n'''\n",
    );
    test.run(["-run"]).exits(1).says(
        "warning: task 1 of a keeps its STATE_DIR without some of it: \"d/pipe\" is a FIFO, which cannot be \
         stored; \"out\" is a link to \"/etc/passwd\"",
    );
    test.runs();
    assert_eq!(test.output("found"), "x\n");
}

#[test]
fn what_is_gone_is_told_and_the_task_begins_anew() {
    for repair in [false, true] {
        let test = Test::with(&counts("checkpoint = true", 2));
        test.run(["-run"]).exits(1);
        let tree = test.rows("SELECT tree FROM checkpoint").remove(0);
        std::fs::remove_file(test.object(&tree)).unwrap();
        test.run(["verify"])
            .exits(1)
            .prints("what a task kept for its next try, #2");
        if repair {
            test.run(["verify", "-repair"])
                .exits(0)
                .prints("1 lost STATE_DIR forgotten: its task begins with an empty one");
            test.text(&["verify"]);
            test.run(["-run"]).exits(1);
        } else {
            test.run(["-run"])
                .exits(1)
                .says("warning: task 2 of train begins with an empty STATE_DIR: ");
        }
        test.runs();
        assert_eq!(test.output("all.txt"), "1\n2\n");
    }
}

#[test]
fn a_sandbox_has_it_too() {
    if crate::sandbox::is_left_out() {
        return;
    }
    let test = Test::with(&counts(
        "checkpoint = true\nsandbox = true\nretries = 1\nretry_delay = '1ms'",
        2,
    ));
    test.runs();
    assert_eq!(test.output("all.txt"), "1\n2\n");
}

/// A task that stops half-way, unless it finds the first half.
fn halves(checkpoint: &str, wait: &str) -> Test {
    Test::with(&format!(
        "[[step]]\nname = 'a'\nstart = true\ncheckpoint = {checkpoint}\n\
         script = '''\nif [ -e \"$STATE_DIR/deep/x\" ]; then cp \"$STATE_DIR/deep/x\" \"$OUTPUT_DIR\"; exit 0; fi\n\
         mkdir \"$STATE_DIR/deep\"\necho half > \"$STATE_DIR/new\"\nmv \"$STATE_DIR/new\" \"$STATE_DIR/deep/x\"\n\
         touch \"$OUT/half\"\n{wait}\n'''\n"
    ))
}

/// Runs it elsewhere.
fn away(test: &Test) -> Running {
    let mut command = test.command(["-run", "-executor", "child:1"]);
    command.env("OUT", test.path(""));
    Running::start(command)
}

#[test]
fn it_follows_a_task_from_machine_to_machine() {
    for checkpoint in ["true", "'1h'"] {
        let keys = format!("checkpoint = {checkpoint}\nretries = 1\nretry_delay = '1ms'");
        let test = Test::with(&counts(&keys, 4));
        let run = |executor: &str| test.run(["-run", "-executor", executor]);
        run("child:2").exits(1).says("exit status 3");
        assert_eq!(kept(&test), "1");
        run("child:1").exits(0);
        assert_eq!(test.output("all.txt"), "1\n2\n3\n4\n");
        assert_eq!(kept(&test), "0");
    }
    // And back.
    let test = Test::with(&counts("checkpoint = true", 2));
    test.run(["-run", "-executor", "child:2"]).exits(1);
    test.runs();
    assert_eq!(test.output("all.txt"), "1\n2\n");
}

#[test]
fn a_worker_that_dies_has_told_what_was_kept_so_far() {
    let test = halves("'20ms'", "sleep 600");
    let run = away(&test);
    // The database is there once something is recorded.
    let told = || {
        let is_there = test.path("half").exists();
        let trees = is_there.then(|| test.rows("SELECT tree FROM checkpoint"));
        let mut trees = trees.into_iter().flatten();
        trees.any(|tree| {
            let tree = std::fs::read_to_string(test.object(&tree)).unwrap();
            tree.contains("deep/x")
        })
    };
    wait_for("what the task keeps", told);
    for worker in workers(&run) {
        kill_process(worker, Signal::KILL).unwrap();
    }
    run.end().exits(0).says("lost");
    assert_eq!(test.output("x"), "half\n");
    test.text(&["verify"]);
}

#[test]
fn a_worker_that_is_asked_to_end_tells_what_its_tasks_keep() {
    let test = halves(
        "true",
        "trap 'echo more >> \"$STATE_DIR/deep/x\"; exit 1' TERM\nwhile :; do sleep 0.05; done",
    );
    let run = away(&test);
    wait_for("the half", || test.path("half").exists());
    std::thread::sleep(std::time::Duration::from_millis(100));
    for worker in workers(&run) {
        kill_process(worker, Signal::TERM).unwrap();
    }
    run.end().exits(0);
    assert_eq!(test.output("x"), "half\nmore\n");
}
