//! Pure logic: no file system, process, clock or thread in here or below.

pub mod diagnostic;
pub mod diff;
pub mod digest;
pub mod environment;
pub mod event;
pub mod explain;
pub mod graph;
pub mod identity;
pub mod installable;
pub mod lineage;
pub mod manifest;
pub mod name;
pub mod plan;
pub mod reference;
pub mod route;
pub mod spread;
pub mod suggest;
pub mod task;
pub mod timeline;
