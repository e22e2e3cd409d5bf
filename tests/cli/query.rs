//! Questions to a pipeline, asked of the real program.

mod answers;
mod bad_input;
mod beside_a_run;
mod interrupted;
mod read_only;
mod standard_output;
mod world;
