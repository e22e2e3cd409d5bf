//! A run that is killed while it takes in what came: all of it is taken in, or nothing.

use std::time::Duration;

use rustix::process::Signal;

use super::FILES;
use crate::harness::{Test, wait_for};

#[test]
fn killed_at_any_moment_of_the_comparison() {
    const FILES_IN_ALL: usize = 300;
    let test = Test::with(FILES);
    for number in 0..FILES_IN_ALL {
        test.write(&format!("in/{number}.txt"), format!("{number}"));
    }
    let mut round = 0;
    for pause in [2, 5, 8, 12, 16, 20, 30, 45, 60, 90] {
        let running = test.start(["-run"]);
        std::thread::sleep(Duration::from_millis(pause));
        running.signal(Signal::KILL);
        running.end();
        // Killed while the database is made, there is nothing to read yet.
        if !test.path("db/db").exists()
            || test.path("db/db-journal").exists()
            || test.rows("SELECT count(*) FROM sqlite_master WHERE name = 'entry'") != ["1"]
        {
            continue;
        }
        let entries = test.rows("SELECT count(*) FROM entry");
        assert!(entries == ["0"] || entries == ["300"], "{entries:?}");
        let tasks =
            test.rows("SELECT count(*) FROM entry JOIN task ON task.id = task_id WHERE live = 1");
        assert_eq!(tasks, entries);
        // Before or after a change of half of them, too.
        if entries == ["300"] {
            round += 1;
            for number in 0..FILES_IN_ALL / 2 {
                test.write(&format!("in/{number}.txt"), format!("{number} {round}"));
            }
            let supersedes = "SELECT count(*) FROM task WHERE supersedes IS NOT NULL";
            let count: usize = test.rows(supersedes)[0].parse().unwrap();
            assert_eq!(count % (FILES_IN_ALL / 2), 0);
        }
    }
    test.runs();
    assert_eq!(test.finals().len(), FILES_IN_ALL);
    let last = if round == 0 {
        1
    } else {
        2 + round.to_string().len()
    };
    assert_eq!(test.output("of_0.txt"), format!("marked {last}\n"));
    test.tally_is_right();
    test.objects_are_whole();
}

#[test]
fn a_command_that_outlives_a_killed_run_is_ended_by_the_next() {
    let test = Test::with(
        "[[input]]\nlines = '[ -e go ] || { echo $$ > pid; sleep 600; }; echo a'\nstep = 'a'\n\
         [[step]]\nname = 'a'\nscript = ':'\n",
    );
    let running = test.start(["-run"]);
    wait_for("the command", || {
        std::fs::read_to_string(test.path("pid")).is_ok_and(|text| text.ends_with('\n'))
    });
    running.signal(Signal::KILL);
    running.end();
    let pid = test.read("pid");
    let lives = || {
        let words = std::fs::read(format!("/proc/{}/cmdline", pid.trim()));
        words.is_ok_and(|words| !words.is_empty())
    };
    assert!(lives());
    test.write("go", "");
    test.runs().says("1 run");
    assert!(!lives());
    test.nothing_temporary_is_left();
}
