//! The command line: options, subcommands, exit statuses. Errors are printed here and nowhere
//! else.

mod arguments;
mod cat;
mod check;
mod chosen;
mod columns;
mod describe;
mod dry_run;
mod error;
mod export;
mod graph;
mod html;
mod lock;
mod log;
mod run;
mod signals;
mod standing;
mod status;
mod tasks;
mod trace;
mod why;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Subcommand};
pub use error::{Failure, Kind};

/// Runs the program on the arguments of the process.
pub fn main() -> ExitCode {
    let words = arguments::two_dashes(std::env::args_os());
    let json = arguments::ask_for_json(&words);
    let arguments = match Arguments::try_parse_from(words) {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            if error.use_stderr() && json {
                let words = error.render().to_string();
                return Failure::usage(words.trim_start_matches("error: ").trim_end()).report(true);
            }
            // Nobody is there to read it if this fails.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let done = match &arguments.command {
        None => run::main(&arguments),
        Some(Subcommand::Check) => check::main(&arguments.places),
        Some(Subcommand::Lock(lock)) => lock::main(&arguments.places, lock, &arguments.output),
        Some(Subcommand::Status(options)) => status::main(&arguments.places, options),
        Some(Subcommand::Log(options)) => log::main(&arguments.places, options),
        Some(Subcommand::Tasks(options)) => tasks::main(&arguments.places, options),
        Some(Subcommand::Why(options)) => why::main(&arguments.places, options),
        Some(Subcommand::Trace(options)) => trace::main(&arguments.places, options),
        Some(Subcommand::Cat(options)) => cat::main(&arguments.places, options),
        Some(Subcommand::Schema) => describe::schema(),
        Some(Subcommand::Export(export)) => export::main(&arguments.places, export),
        Some(Subcommand::Graph(graph)) => graph::main(&arguments.places, graph),
        Some(Subcommand::Report(report)) => html::main(&arguments.places, report),
        Some(Subcommand::Completions(for_)) => describe::completions(for_.shell),
        Some(Subcommand::Man) => describe::manual(),
    };
    done.unwrap_or_else(|failure| failure.report(json))
}
