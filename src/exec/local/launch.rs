//! The ways to start a task's script: as plain commands, in a warm shell, in a shell of its own.

pub(super) mod cache;
pub(super) mod direct;
pub(super) mod served;
pub(super) mod step;
pub(super) mod warm;
pub(super) mod warmth;
