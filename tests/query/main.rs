//! Questions to a pipeline, asked of the real program.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_macros
)]

mod answers;
mod bad_input;
mod beside_a_run;
mod interrupted;
mod read_only;
mod standard_output;
mod world;
