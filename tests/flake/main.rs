//! The flake as its users meet it: package, app, shell, checks, templates, modules and pipelines
//! written in Nix, all through the real `nix`, with a stand-in for nixpkgs and no network.
//!
//! `TASK_PIPELINE_TESTS_NIXPKGS_LIB` names a copy of nixpkgs' `lib/` folder; with it, the modules
//! and the pipelines are evaluated by nixpkgs' own library and module system.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_macros
)]

mod checked;
mod docs;
mod modules;
mod options;
mod package;
mod pipelines;
mod support;
mod templates;
