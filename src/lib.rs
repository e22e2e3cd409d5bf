//! task-pipeline: a pipeline runner for people who live in Nix.
//!
//! The layers, from the top. A module uses only what stands below it:
//!
//! ```text
//! main            the exit status of the command line, nothing else
//! cli             options, subcommands, exit codes; the only place that prints errors
//! verify          whether objects, rows and links are as they were recorded
//! overview        what pages tell, gathered from state, store and manifest
//! export          final outputs as files in a folder
//! prepare         manifest, packages and host together: steps, registered and ready to run
//! inputs          what comes in from outside: found, and compared with what came before
//! exec            executors: threads and processes, here and elsewhere; they pull from the engine
//! cache           results of others: where they lie, who signed them; asked by the engine
//! report          events in; lines, progress bars or JSON out
//! engine          passive: task ends in, jobs and records out; whose turn it is
//! view            pure: graphs, trees, charts and pages of what is known
//! out             standard output and standard error; makes safe what goes there
//! packages        packages → store paths → PATH; lock file; GC roots; the only caller of `nix`
//! process         spawn, process group, output capture, time limit, ending; knows no steps
//! files           files of the host by pattern, with their hashes; whether they are as they were
//! store           objects: insert, lend, read, verify
//! state           SQLite: schema, queries, writes, migration of the format
//! staged          files and folders that appear when they are complete
//! folder          folders held open, where scripts can replace what a path leads to
//! sys             what is Linux here and something else elsewhere
//! wire            pure: what a run and its workers elsewhere say to each other
//! manifest        pure: parse, check, schema, errors with file and range
//! script          pure: what can be known of a script from its text
//! model           pure: names, digests, tasks, routes, identities, plan, events
//! text            pure: what is safe to show; widths, amounts, times, nearest words
//! ```
//!
//! The engine never prints and the reporters never decide: events go from one to the other.
//! What is pure touches no file, process, clock or thread, so that all planning is tested in memory.

// What only this crate uses says so, and what nobody uses shows.
#![warn(unreachable_pub)]
// A new variant is met wherever its enum is matched: nothing passes over it unseen.
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]
// Tests print, and name paths.
#![cfg_attr(test, allow(clippy::disallowed_methods, clippy::disallowed_macros))]

mod cache;
mod cli;
mod engine;
mod evict;
mod exec;
mod export;
mod files;
mod folder;
#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
pub mod fuzz;
mod gc;
mod inputs;
mod manifest;
pub mod model;
mod out;
mod overview;
mod packages;
mod prepare;
mod process;
mod report;
pub mod script;
mod staged;
mod state;
mod store;
mod sys;
mod text;
mod verify;
mod view;
mod wire;

pub use cli::main;
