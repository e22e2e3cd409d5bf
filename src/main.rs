//! The `task-pipeline` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    task_pipeline::main()
}
