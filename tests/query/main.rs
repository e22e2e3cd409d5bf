//! Questions to a pipeline, asked of the real program.

#![allow(clippy::unwrap_used)]

mod answers;
mod bad_input;
mod beside_a_run;
mod world;
