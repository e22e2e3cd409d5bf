//! `completions`, `man`, `schema`: command line and manifest described for others, from their own
//! definitions.

use std::io;
use std::process::ExitCode;

use clap::{Arg, Args, Command};

use super::error::Failure;
use super::{complete, output};
use crate::manifest;

/// What `completions` is for.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Prints a shell's completions.
pub(super) fn completions(mut command: Command, options: &Options) -> Result<ExitCode, Failure> {
    let shell = options.shell;
    if let Some(script) = complete::script(shell) {
        return print(script.as_bytes());
    }
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, "task-pipeline", &mut text);
    print(&text)
}

/// Prints the manual page, with all subcommands.
pub(super) fn manual(command: Command) -> Result<ExitCode, Failure> {
    let mut text = Vec::new();
    render(command, &mut text).map_err(|error| Failure::cannot("write the manual", &error))?;
    print(&text)
}

/// The call whose help is that of `run`: clap knows it as an option of the call without a subcommand.
pub(super) fn run_alone(root: Command) -> Command {
    let plain = |option: Arg| {
        let is_meant = option.get_id() == "run";
        let help = option.get_help().map(ToString::to_string);
        let help = help.unwrap_or_default();
        let with = ["With -run: ", "With -run or -sample: "];
        let rest = with.iter().find_map(|with| help.strip_prefix(with));
        let rest = rest.and_then(|rest| Some((rest.chars().next()?, rest)));
        let option = option.hide(is_meant);
        match rest {
            Some((first, rest)) => {
                let rest = &rest[first.len_utf8()..];
                option.help(format!("{}{rest}", first.to_uppercase()))
            }
            None => option,
        }
    };
    root.mut_args(plain)
        .mut_subcommands(|subcommand| subcommand.hide(true))
        .disable_help_subcommand(true)
        .override_usage("task-pipeline run [OPTIONS]")
        .about("Runs what is to be done, and goes on where the last run ended; the first one begins at the start step and the inputs")
        .after_help("`task-pipeline help` lists what there is besides `run`.")
}

/// Prints the version, as `-version` does.
pub(super) fn version(command: &Command) -> Result<ExitCode, Failure> {
    print(command.render_version().as_bytes())
}

/// Prints the manifest's JSON Schema.
pub(super) fn schema() -> Result<ExitCode, Failure> {
    print(format!("{:#}\n", manifest::schema()).as_bytes())
}

fn render(mut command: Command, text: &mut Vec<u8>) -> io::Result<()> {
    command.build();
    clap_mangen::Man::new(command.clone()).render(text)?;
    for subcommand in command
        .get_subcommands()
        .filter(|sub| sub.get_name() != "help" && !sub.is_hide_set())
    {
        let page = clap_mangen::Man::new(subcommand.clone());
        text.extend(format!(".SH {}\n", subcommand.get_name().to_uppercase()).into_bytes());
        page.render_synopsis_section(text)?;
        page.render_options_section(text)?;
    }
    Ok(())
}

fn print(text: &[u8]) -> Result<ExitCode, Failure> {
    output::print_as_it_is(&String::from_utf8_lossy(text))?;
    Ok(ExitCode::SUCCESS)
}
