//! What users read holds: commands run, manifests are right, tables name what there is, links lead
//! somewhere.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_macros
)]

mod editors;
mod examples;
mod generated;
mod keys;
mod layers;
mod links;
mod pages;
mod promise;
