//! A run is followed from another terminal.

use rustix::process::Signal;
use serde_json::Value;

use super::ENDLESS;
use crate::harness::{Running, Test, wait_for};

#[test]
fn a_run_is_followed_from_before_its_begin_to_its_end() {
    let test = Test::with(ENDLESS);
    let lines = test.start(["status", "-follow"]);
    lines.says("no run is on in ./db: waiting for one (Ctrl-C ends)");
    let objects = test.start(["status", "-follow", "-json"]);
    let run = test.start(["-run"]);
    wait_for("what the run tells", || test.path("db/now").exists());
    let status = test.json(&["status", "-json"]);
    assert_eq!(status["running_tasks"]["count"], 1);
    assert_eq!(status["running_tasks"]["tasks"][0]["step"], "wait");
    let told = test.text(&["status"]);
    assert!(
        told.contains("running now: 1 task; the longest for "),
        "{told}"
    );
    // Both have seen it once they look, which they do more often than it is written.
    std::thread::sleep(std::time::Duration::from_millis(400));
    run.signal(Signal::INT);
    run.end();
    let lines = lines.end().exits(0);
    assert!(
        lines.stdout.contains("0 of 1 task finished, 1 run\n"),
        "{lines}"
    );
    assert!(lines.stdout.contains("next: -run carries on"), "{lines}");
    let objects = objects.end().exits(0);
    let objects: Vec<Value> = objects
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(objects[0]["state"], "running");
    assert_eq!(objects[0]["running_tasks"]["tasks"][0]["task"], 1);
    assert_eq!(objects.last().unwrap()["state"], "pending");
    assert!(!test.path("db/now").exists());
}

#[test]
fn what_changes_makes_it_run_again() {
    let manifest = "[[step]]\nname = 'a'\nstart = true\nfiles = ['tool.sh']\n\
                    script = 'sh tool.sh; echo ran >> $COUNT'\n";
    let test = Test::with(manifest);
    test.write("tool.sh", "true\n");
    let watch = test.start(["-migrate-tainted", "-run", "-watch"]);
    watch.says("watching the manifest and 1 file: runs again when one changes (Ctrl-C ends)");
    test.write("tool.sh", "true true\n");
    watch.says("changed: tool.sh; running again");
    wait_for("the second run", || test.times("ran") == 2);
    test.manifest("[[step]\n");
    watch.says("changed: the manifest");
    watch.says("waiting for a change of the manifest");
    test.manifest(&manifest.replace("ran", "again"));
    wait_for("the third run", || test.times("again") == 1);
    end(watch, Signal::TERM, 143);
    // What runs is ended with it.
    test.manifest(ENDLESS);
    let watch = test.start(["-run", "-watch", "-fresh"]);
    wait_for("the run", || test.path("begun").exists());
    end(watch, Signal::INT, 130);
    assert!(test.text(&["status"]).contains(": pending, "));
}

fn end(watch: Running, signal: Signal, status: i32) {
    watch.signal(signal);
    watch.end().exits(status);
}
