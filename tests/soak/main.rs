//! Tests that take minutes: `cargo test --test soak`. Their short forms are among those of `cli`.

#![allow(clippy::unwrap_used)]

#[cfg(target_os = "linux")]
mod executors;
#[path = "../cli/faults.rs"]
mod faults;
mod gc;
#[path = "../cli/warm/generate.rs"]
mod generate;
#[expect(dead_code, reason = "shared with the tests that use the rest")]
#[path = "../cli/harness.rs"]
mod harness;
#[path = "../cli/injection.rs"]
mod injection;
#[path = "../cli/kills.rs"]
mod kills;
#[path = "../cli/last_member.rs"]
mod last_member;
#[path = "../cli/power.rs"]
mod power;
#[expect(dead_code, reason = "shared with the tests that use the rest")]
#[path = "../cli/privileges.rs"]
mod privileges;
#[path = "../cli/random.rs"]
mod random;
mod received;
#[path = "../cli/recorded.rs"]
mod recorded;
#[path = "../cli/warm/same.rs"]
mod same;
#[path = "../cli/stale.rs"]
mod stale;
#[path = "../cli/storm.rs"]
mod storm;

use injection::{FEW, Injection, count, is_possible, run, undisturbed};
use power::{Luck, Story};

/// Every call of a run that changes a file fails once, with either error.
fn every(calls: &[&'static str], errors: &[&'static str], arguments: &str) {
    if !is_possible() {
        return;
    }
    let undisturbed = undisturbed(FEW);
    for &call in calls {
        let last = count(call, arguments);
        let mut noticed = 0;
        for when in 1..=last {
            for &error in errors {
                let injection = Injection { call, error, when };
                noticed += usize::from(run(injection, arguments, &undisturbed));
            }
        }
        println!("{call}: {last} calls, {noticed} failures noticed");
    }
}

#[test]
fn every_write_of_the_database_fails_once() {
    let calls = ["pwrite64", "ftruncate", "fallocate", "fsync", "fdatasync"];
    every(&calls, &["ENOSPC", "EIO"], "-run -parallel 4");
}

#[test]
fn every_write_and_sync_of_a_run_that_syncs_fails_once() {
    let calls = ["pwrite64", "fsync", "fdatasync", "syncfs"];
    every(&calls, &["ENOSPC", "EIO"], "-run -parallel 2 -sync commit");
}

#[test]
fn every_read_of_the_database_fails_once() {
    every(&["pread64"], &["EIO"], "-run -parallel 4");
}

#[test]
fn every_other_write_fails_once() {
    let calls = ["write", "mkdir", "rename", "unlink", "linkat", "renameat2"];
    every(&calls, &["ENOSPC", "EIO"], "-run -parallel 4 -quiet");
}

/// Each moment, with each fate and some at random.
#[test]
fn the_power_goes_at_every_moment_of_a_run() {
    if !is_possible() {
        return;
    }
    for sync in ["lazy", "end", "commit"] {
        let story = Story::of(sync);
        for moment in 1..=story.moments() {
            for nth in 0..8 {
                story.ends(moment, Luck::nth(nth + usize::from(nth > 4) * moment * 40));
            }
        }
        println!("{sync}: {} ends", story.moments() * 8);
    }
}

#[test]
fn the_power_goes_at_every_moment_of_evict() {
    power::amid_evict(usize::MAX);
}

/// 200 runs with 1, 2 and 6 workers each.
#[test]
fn a_disk_that_others_fill_and_empty_loses_nothing_for_long() {
    let kinds = [
        ["1-lazy", "1-end", "1-commit"],
        ["2-lazy", "2-end", "2-commit"],
        ["6-lazy", "6-end", "6-commit"],
    ];
    for (nth, kinds) in (0_u64..).zip(kinds) {
        for part in 0..10 {
            let rounds: Vec<&str> = kinds.into_iter().cycle().take(20).collect();
            storm::storm(&rounds, 0x5eed_0000_1111_2222 + 100 * nth + part);
        }
    }
}

/// Random scripts in warm shells and in shells of their own: for an hour, or as many seconds as
/// `TASK_PIPELINE_SOAK_SECONDS` says; or those of one number that was told, `TASK_PIPELINE_SOAK_SEED`.
#[test]
fn random_scripts_cannot_tell_a_warm_shell() {
    let seconds = std::env::var("TASK_PIPELINE_SOAK_SECONDS");
    let seconds = seconds.map_or(3600, |seconds| seconds.parse().unwrap());
    let began = std::time::Instant::now();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let mut seed = now.unwrap().as_secs() * 1000;
    const SHELLS: [&str; 5] = [
        "'dash', '-e', '-c'",
        "'dash', '-c'",
        "'dash', '-euf', '-c'",
        "'bash', '-e', '-c'",
        "'bash', '-euo', 'pipefail', '-c'",
    ];
    let run = |seed: u64| same::random(SHELLS[usize::try_from(seed % 5).unwrap()], seed, 100);
    if let Ok(seed) = std::env::var("TASK_PIPELINE_SOAK_SEED") {
        return run(seed.parse().unwrap());
    }
    while began.elapsed().as_secs() < seconds {
        run(seed);
        seed += 1;
    }
}

/// Random pipelines and edits of them: for ten minutes, or as many seconds as
/// `TASK_PIPELINE_SOAK_SECONDS` says.
#[test]
fn results_are_those_of_a_run_from_nothing() {
    let seconds = std::env::var("TASK_PIPELINE_SOAK_SECONDS");
    let seconds = seconds.map_or(600, |seconds| seconds.parse().unwrap());
    let began = std::time::Instant::now();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let mut seed = now.unwrap().as_secs() * 1000;
    let first = seed;
    while began.elapsed().as_secs() < seconds {
        stale::holds(seed);
        seed += 1;
    }
    println!("{} pipelines", seed - first);
}

#[test]
fn killed_fifty_times_while_the_last_member_comes_in() {
    last_member::killed_as_it_is_recorded(50);
}

/// As many as `TASK_PIPELINE_SOAK_KILLS` says, or 500.
#[test]
fn killed_five_hundred_times_all_comes_to_what_it_would_have() {
    let kills = std::env::var("TASK_PIPELINE_SOAK_KILLS");
    let kills = kills.map_or(500, |kills| kills.parse().unwrap());
    kills::come_to_the_same(1000, kills);
}

/// Every call, or those of one name that was told, `TASK_PIPELINE_SOAK_CALL`; or of each as many, evenly spread, as
/// `TASK_PIPELINE_SOAK_MOST` says.
fn every_call_fails(what: faults::What) {
    let only = std::env::var("TASK_PIPELINE_SOAK_CALL").ok();
    let most = std::env::var("TASK_PIPELINE_SOAK_MOST");
    let most = most.map_or(usize::MAX, |most| most.parse().unwrap());
    let calls = faults::CALLS.into_iter();
    for call in calls.filter(|call| only.as_deref().is_none_or(|only| call.0 == only)) {
        faults::fails(what, call, most);
    }
}

#[test]
fn every_call_of_a_collection_fails() {
    every_call_fails(faults::What::Collects);
}

#[test]
fn every_call_of_a_repair_fails() {
    every_call_fails(faults::What::Repairs);
}

#[test]
fn every_call_of_evict_fails() {
    every_call_fails(faults::What::Evicts);
}

#[test]
fn every_call_of_an_export_fails() {
    every_call_fails(faults::What::Exports);
}

#[test]
fn collections_repairs_and_the_like_are_killed_at_any_moment() {
    for what in faults::ALL {
        faults::killed(what, 250);
    }
}

#[test]
fn a_thousand_interleavings_of_collections_with_runs_and_readers() {
    gc::beside::interleavings(1000..2000);
}

#[test]
fn twenty_nights_take_no_more_than_three() {
    gc::nights::pass(&harness::Test::in_memory(), 20, 2000);
}

/// 3 GB of memory, as three runsets are there for a moment. `TASK_PIPELINE_SOAK_TASKS` says how many there are a night.
#[test]
fn a_million_tasks_in_five_nights_take_no_more_than_those_of_three() {
    let tasks = std::env::var("TASK_PIPELINE_SOAK_TASKS");
    let tasks = tasks.map_or(200_000, |tasks| tasks.parse().unwrap());
    gc::nights::pass(&harness::Test::in_memory(), 5, tasks);
}

/// See `src/exec/remote/model.rs`.
#[test]
fn whatever_happens_to_workers_each_task_ends_once_as_it_has_to() {
    let histories = std::env::var("TASK_PIPELINE_TESTS_HISTORIES");
    let histories = histories.unwrap_or_else(|_| "300000".to_owned());
    let status = std::process::Command::new(env!("CARGO"))
        .args([
            "test",
            "--release",
            "--lib",
            "exec::remote::model",
            "--",
            "--nocapture",
        ])
        .env("TASK_PIPELINE_TESTS_HISTORIES", histories)
        .status();
    assert!(status.unwrap().success());
}
