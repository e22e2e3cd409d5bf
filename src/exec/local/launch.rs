//! The ways to start a task's script: as plain commands, in a warm shell, in a shell of its own.

pub mod cache;
pub mod direct;
pub mod step;
pub mod warm;
pub mod warmth;
