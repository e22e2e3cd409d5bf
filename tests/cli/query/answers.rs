//! What the answers say.

use std::fs;
use std::process::Command;

use super::world::{PIPELINE, after_a_run, files, one};
use crate::harness::Test;

#[test]
fn status_counts_by_step_and_says_what_to_do() {
    let world = after_a_run();
    let status = world.json(&["status", "-json"]);
    assert_eq!(status["state"], "failed");
    assert_eq!(status["final_outputs"], 2);
    assert_eq!(status["running"], serde_json::Value::Null);
    let count = &status["steps"][1];
    assert_eq!(count["step"], "count");
    assert_eq!(count["done"], 2);
    assert_eq!(count["failed"], 1);
    assert!(count["seconds"].as_f64().unwrap() > 0.0);
    let text = world.text(&["status"]);
    assert!(
        text.contains("failed, 3 of 4 tasks finished, 2 final outputs"),
        "{text}"
    );
    assert!(text.ends_with("next: -run carries on\n"), "{text}");

    world.manifest(&PIPELINE.replace("exit 3", "exit 0"));
    world.call(&["-run", "-quiet"]);
    let status = world.json(&["status", "-json"]);
    assert_eq!(status["state"], "tainted");
    assert_eq!(status["tainted"], 2);
    assert_eq!(status["steps"][1]["version"], 2);
}

#[test]
fn tasks_are_listed_by_step_and_state() {
    let world = after_a_run();
    assert_eq!(world.text(&["tasks", "-json"]).lines().count(), 4);
    assert_eq!(
        world
            .text(&["tasks", "-step", "count", "-json"])
            .lines()
            .count(),
        3
    );
    let failed = world.text(&["tasks", "-state", "failed"]);
    assert_eq!(failed.lines().count(), 2, "{failed}");
    assert!(failed.contains("c_count.txt  exit status 3"), "{failed}");
    assert_eq!(
        world.text(&["tasks", "-state", "pending"]),
        "no such tasks\n"
    );
    world.manifest(&PIPELINE.replace("words", "lines"));
    world.call(&["-run", "-migrate-tainted", "-quiet"]);
    assert_eq!(
        world
            .text(&["tasks", "-state", "superseded", "-json"])
            .lines()
            .count(),
        2
    );
}

#[test]
fn a_log_is_what_was_written_to_the_byte() {
    let world = after_a_run();
    let failed = one(&world, "failed");
    assert_eq!(
        world.text(&["log", &failed]),
        "\u{1b}[31mcounting\u{1b}[0m\nbad input\n"
    );
    assert_eq!(world.text(&["log", "-stderr", &failed]), "bad input\n");
    let all = world.text(&["log", "-failed"]);
    let title = format!("── #{failed} count v1 on c_count.txt: exit status 3\n");
    assert!(all.starts_with(&title), "{all}");
    // A reused task has the log of the one that ran.
    world.call(&["-run", "-fresh", "-quiet"]);
    let reused = one(&world, "reused");
    assert_eq!(
        world.text(&["log", &reused]),
        "\u{1b}[31mcounting\u{1b}[0m\n"
    );
}

#[test]
fn cat_gives_outputs_inputs_and_objects_by_a_prefix() {
    let world = after_a_run();
    assert_eq!(world.text(&["cat", "1", "a_count.txt"]), "one two\n");
    let failed = one(&world, "failed");
    assert_eq!(world.text(&["cat", "-input", &failed]), "bad\n");
    let line = world.text(&["tasks", "-state", "failed", "-json"]);
    let task: serde_json::Value = serde_json::from_str(&line).unwrap();
    let hash = task["object"].as_str().unwrap();
    for word in [&hash[..6], &hash[..6].to_uppercase(), hash] {
        assert_eq!(world.text(&["cat", word]), "bad\n");
    }
    // The input of start tasks, which nobody stored.
    assert_eq!(world.text(&["cat", "e3b0c442"]), "");
}

#[test]
fn why_names_the_reason_of_each_kind() {
    let world = after_a_run();
    let why = |what: &str| world.text(&["why", what]);
    assert!(why("#1").contains("a start task always runs"));
    let failed = one(&world, "failed");
    assert!(why(&failed).contains("count never ran on this input before"));
    assert!(why(&failed).contains("failed: exit status 3"));
    world.call(&["-run", "-fresh", "-quiet"]);
    assert!(why(&one(&world, "reused")).contains("reused: task #"));
    world.call(&["-run", "-start", "count", "-quiet"]);
    assert!(why(&one(&world, "done")).contains("a start task always runs"));
    let again = world.text(&["tasks", "-step", "count", "-state", "done", "-json"]);
    let again: serde_json::Value = serde_json::from_str(again.lines().next().unwrap()).unwrap();
    assert!(why(&again["task"].to_string()).contains("it was asked for: -start count"));

    let changed = PIPELINE
        .replace("exit 3", "exit 4")
        .replace("\"words\"", "\"lines\"");
    world.manifest(&changed);
    let lines = [
        "    - if grep -q bad \"$INPUT_FILE\"; then echo 'bad input' >&2; exit 3; fi\n",
        "    + if grep -q bad \"$INPUT_FILE\"; then echo 'bad input' >&2; exit 4; fi\n",
        "  variables (UNIT)\n    - UNIT=words\n    + UNIT=lines\n",
    ];
    // Before the change is recorded, and after.
    let text = why("count");
    assert!(
        text.contains("count v2 (not recorded yet: the manifest has changed)"),
        "{text}"
    );
    assert!(lines.iter().all(|line| text.contains(line)), "{text}");
    world.call(&["-quiet"]);
    assert!(why(&one(&world, "tainted")).contains("-migrate-tainted -run does it again"));
    world.call(&["-run", "-migrate-tainted", "-quiet"]);
    let text = why(&one(&world, "superseded"));
    assert!(
        text.contains("took its place") || text.contains("further up"),
        "{text}"
    );
    let migrated = world.text(&["tasks", "-step", "count", "-state", "done", "-json"]);
    let migrated: serde_json::Value =
        serde_json::from_str(migrated.lines().last().unwrap()).unwrap();
    let text = why(&migrated["task"].to_string());
    assert!(text.contains("which ran v1; v2 differs from it:"), "{text}");
    assert!(text.contains("- UNIT=words"), "{text}");
}

#[test]
fn a_trace_goes_up_to_the_start_and_down_to_final_outputs() {
    let world = after_a_run();
    let tree = world.text(&["trace", "1"]);
    assert!(tree.starts_with("#1 fetch v1, done"), "{tree}");
    assert_eq!(tree.matches("final output #").count(), 2, "{tree}");
    assert!(
        tree.contains("└─ c_count.txt") && tree.contains("│  └─ words.txt"),
        "{tree}"
    );
    let task = world.text(&["tasks", "-step", "count", "-state", "done", "-json"]);
    let task: serde_json::Value = serde_json::from_str(task.lines().next().unwrap()).unwrap();
    let json = world.json(&["trace", task["object"].as_str().unwrap(), "-json"]);
    let rows = json["tasks"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0]["task"], 1);
    assert_eq!(rows[1]["asked"], true);
    assert_eq!(rows[2]["final_output"], true);
    let named = world.text(&["trace", "words.txt"]);
    assert_eq!(named.matches('◀').count(), 2, "{named}");
}

#[test]
fn exports_go_into_folders_and_archives() {
    let world = after_a_run();
    let out = world.path("out");
    let to = out.to_str().unwrap();
    world.text(&["export", "-to", to, "fetch"]);
    let names: Vec<String> = files(&out).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["a_count.txt", "b_count.txt", "c_count.txt"]);
    // Two outputs of one name: told apart by their hashes.
    world.text(&["export", "-to", to, "words.txt"]);
    assert_eq!(files(&out).len(), 5);

    let archive = world.call(&["export", "fetch"]);
    let tar = world.path("fetch.tar");
    fs::write(&tar, &archive.stdout).unwrap();
    let listed = Command::new("tar").arg("-tf").arg(&tar).output().unwrap();
    assert_eq!(
        String::from_utf8(listed.stdout).unwrap(),
        "a_count.txt\nb_count.txt\nc_count.txt\n"
    );
    assert_eq!(world.call(&["export", "fetch"]).stdout, archive.stdout);
}

#[test]
fn a_dry_run_tells_what_a_run_then_does_and_changes_nothing() {
    let world = Test::with(PIPELINE);
    let text = world.text(&["-run", "-dry-run"]);
    assert!(text.contains("fetch v1  would run 1"), "{text}");
    assert!(!world.path("db").exists());
    world.call(&["-run", "-quiet"]);
    let before = fs::read(world.path("db/db")).unwrap();

    let text = world.text(&["-run", "-dry-run"]);
    assert!(
        text.contains("count v1  would run 1 (1 failed last time)"),
        "{text}"
    );
    assert!(!text.contains("fetch"), "{text}");
    world.manifest(&PIPELINE.replace("exit 3", "exit 4"));
    let text = world.text(&["-run", "-dry-run", "-migrate-tainted"]);
    assert!(
        text.contains("count v2  would run 3 (1 failed last time, 2 without a result yet)"),
        "{text}"
    );
    world.manifest(PIPELINE);
    assert_eq!(fs::read(world.path("db/db")).unwrap(), before);
    assert!(world.text(&["status"]).contains("count  v1"));

    // An older version's results are as good as new once it is back.
    world.manifest(&PIPELINE.replace("exit 3", "exit 4"));
    world.call(&["-run", "-quiet", "-migrate-tainted"]);
    world.manifest(PIPELINE);
    let text = world.text(&["-run", "-dry-run", "-migrate-tainted"]);
    assert!(
        text.contains("would run 1 (1 failed last time), would reuse 2"),
        "{text}"
    );
    let stderr = world.call(&["-run", "-migrate-tainted"]).stderr;
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(stderr.contains("2 reused, 1 failed"), "{stderr}");
}

#[test]
fn views_answer_in_sql() {
    let world = after_a_run();
    let connection = rusqlite::Connection::open(world.path("db/db")).unwrap();
    let count = |sql: &str| -> i64 { connection.query_row(sql, [], |row| row.get(0)).unwrap() };
    assert_eq!(count("SELECT count(*) FROM live_task"), 4);
    assert_eq!(
        count("SELECT count(*) FROM live_task WHERE state = 'done' AND started > '2020'"),
        3
    );
    assert_eq!(
        count("SELECT count(*) FROM failure WHERE error LIKE 'exit status 3%'"),
        1
    );
    assert_eq!(count("SELECT count(*) FROM lineage WHERE is_final"), 2);
    assert_eq!(
        count("SELECT tasks FROM step_history WHERE step = 'count'"),
        3
    );
}

#[test]
fn the_command_line_describes_itself() {
    let world = Test::with(PIPELINE);
    let schema = world.json(&["schema"]);
    assert!(schema["properties"]["step"].is_object());
    // Those of bash, zsh and fish are tried in these shells (tests/cli/completions.rs).
    for shell in ["elvish", "powershell"] {
        assert!(
            world.text(&["completions", shell]).contains("trace"),
            "{shell}"
        );
    }
    let manual = world.text(&["man"]);
    assert!(manual.contains(".SH WHY") && manual.contains("dry\\-run"));
}
