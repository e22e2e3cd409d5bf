//! Packages with the real Nix of this machine: every test has a store, a state and flakes of its
//! own, so that one can collect garbage while another builds. No network.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_macros
)]

mod daemon;
mod errors;
mod fake;
mod lock;
#[cfg(target_os = "linux")]
mod nodes;
mod path;
mod received;
mod restore;
mod roots;
#[cfg(target_os = "linux")]
mod sandbox;
mod warnings;
mod world;
