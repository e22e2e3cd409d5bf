//! A run that is killed leaves nothing running in its sandboxes.

use std::fs;
use std::path::Path;

use super::{is_left_out, pipeline};
use crate::harness::{Test, wait_for};

/// Whether a process has this word among those that it was started with.
fn runs(word: &str) -> bool {
    let has = |process: &Path| {
        fs::read(process.join("cmdline")).is_ok_and(|words| {
            words
                .split(|byte| *byte == 0)
                .any(|one| one == word.as_bytes())
        })
    };
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes.map(|one| one.path()).any(|process| has(&process))
}

#[test]
fn what_runs_in_a_sandbox_ends_with_a_run_that_is_killed() {
    if is_left_out() {
        return;
    }
    for served in [false, true] {
        let test = Test::new();
        let word = format!("{}.{}", 40_000 + std::process::id(), u8::from(served));
        let manifest = pipeline("", &format!("setsid sleep {word} & sleep {word}"));
        test.manifest(&if served {
            let inputs = "[[input]]\nlines = 'seq 3'\nstep = 'a'\n\n";
            inputs.to_owned() + &manifest.replace("start = true\n", "")
        } else {
            manifest
        });
        let running = test.start(["-run", "-parallel", "1"]);
        wait_for("the task", || runs(&word));
        running.signal(rustix::process::Signal::KILL);
        drop(running.end());
        // No other run is there to end it.
        wait_for("its end", || !runs(&word));
    }
}
