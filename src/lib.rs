//! task-pipeline: a pipeline runner for people who live in Nix.
//!
//! The layers, from the top. A module uses only what stands below it:
//!
//! ```text
//! main            the exit status of the command line, nothing else
//! cli             options, subcommands, exit codes; the only place that prints errors
//! overview        what pages tell, gathered from state, store and manifest
//! page            pure: SVG, HTML and other text from what is known
//! report          events in; lines, progress bars or JSON out
//! out             standard output and standard error; makes safe what goes there
//! exec            executors: threads and processes of this machine; they pull from the engine
//! engine          passive: task ends in, jobs and records out; whose turn it is
//! export          final outputs as files in a folder
//! staged          files and folders that appear when they are complete
//! nix             packages → store paths → PATH; lock file; GC roots; the only caller of `nix`
//! process         spawn, process group, output capture, time limit, ending; knows no steps
//! store           objects: adopt, lend, read, verify
//! state           SQLite: schema, queries, writes, migration of the format
//! folder          folders held open, where scripts can replace what a path leads to
//! sys             what is Linux here and something else elsewhere
//! core            pure: manifest, routing, fingerprints, plan, names, digests, events
//! ```
//!
//! The engine never prints and the reporters never decide: events go from one to the other.
//! `core` touches no file, process, clock or thread, so that all planning is tested in memory.

// A new variant is met wherever its enum is matched: nothing passes over it unseen.
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]
// Tests print, and name paths.
#![cfg_attr(test, allow(clippy::disallowed_methods, clippy::disallowed_macros))]

pub mod cli;
pub mod core;
pub mod engine;
pub mod exec;
pub mod export;
pub mod folder;
pub mod nix;
pub mod out;
pub mod overview;
pub mod page;
pub mod pipeline;
pub mod process;
pub mod report;
pub mod staged;
pub mod state;
pub mod store;
pub mod sys;
