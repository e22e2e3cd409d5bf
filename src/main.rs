//! The `task-pipeline` program.

fn main() {}
