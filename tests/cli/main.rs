//! The program as its users meet it: every test runs the built binary in a folder of its own, with
//! a clean environment, and looks at what it says, what it records and what it leaves.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_macros
)]

mod action;
mod age;
mod cache;
mod check_options;
#[cfg(target_os = "linux")]
mod checkpoint;
mod completions;
mod early;
mod evict;
#[cfg(target_os = "linux")]
mod executors;
mod exported;
mod failure;
mod faults;
mod file_systems;
mod files;
mod finish;
mod first;
mod folders;
mod from;
mod gather;
mod gc;
mod harness;
mod include;
mod injection;
mod inputs;
mod interrupt;
mod keep;
mod keys;
mod kills;
mod last_member;
mod leftover;
mod limits;
mod links;
mod lint;
mod manifest;
mod many;
mod memo;
mod modes;
mod obstacles;
mod options;
mod outputs;
mod outside;
mod own;
mod page;
mod pairs;
mod params;
mod part;
mod paths;
mod plain;
mod power;
mod privileges;
mod promise;
mod publish;
mod query;
#[expect(dead_code, reason = "shared with the tests that use the rest")]
mod random;
mod received;
mod recorded;
mod refused;
mod report;
mod reroute;
mod resources;
mod rings;
mod sample;
#[cfg(target_os = "linux")]
mod sandbox;
mod schedule;
mod script;
mod secrets;
mod seed;
mod shell;
#[cfg(target_os = "linux")]
mod shortage;
mod sigkill;
mod signals;
mod stale;
mod state;
mod store;
mod storm;
mod taint;
mod templates;
mod terminal;
mod trace_files;
mod verify;
mod warm;
mod with;
mod words;
