//! The command line: options, subcommands, exit statuses. Errors are printed here and nowhere
//! else.

mod accept;
mod arguments;
mod beside;
mod cache;
mod cache_key;
mod call;
mod cat;
mod caveats;
mod check;
mod check_options;
mod columns;
mod complete;
mod copied;
mod counts;
mod covered;
mod describe;
mod dry_run;
mod error;
mod evict;
mod evicted;
mod execute;
mod executor;
mod export;
mod finish;
mod fit;
mod gc;
mod graph;
mod init;
mod inputs;
mod junit;
mod kept;
mod leftover;
mod lock;
mod log;
mod meant;
mod mended;
mod one_task;
mod options;
mod output;
mod own;
mod params;
mod part;
mod pasted;
mod place;
mod planned;
mod programs;
mod publish;
mod reference;
mod report;
mod resources;
mod results;
mod run;
mod sample;
mod sandbox;
mod secrets;
mod select;
mod shell;
mod signals;
mod status;
mod summary;
mod tasks;
mod trace;
mod trace_files;
mod usage;
mod verify;
mod watch;
mod why;
mod words;
mod worker;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::builder::StyledStr;
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};

use crate::out::{self, Stream};
use crate::sys;
use crate::text::visible;
use arguments::{Arguments, Subcommand};
pub(crate) use error::Failure;

/// Runs the program on the arguments of the process.
pub fn main() -> ExitCode {
    if let Some(status) = sys::sandbox::become_parent() {
        return status;
    }
    let status = answer();
    out::finish();
    status
}

fn answer() -> ExitCode {
    signals::settle();
    sys::keep_rights_of_owner();
    if std::env::var_os("TMPDIR").is_some_and(|folder| folder.is_empty()) {
        // As if it was not set, which is what shells and SQLite take it for.
        let _ = tempfile::env::override_temp_dir(Path::new("/tmp"));
    }
    let words = words::two_dashes(std::env::args_os());
    let json = words::ask_for_json(&words);
    out::ask_for_colours(words::ask_for_colours(&words));
    let arguments = match parse(words.clone()) {
        Ok(arguments) => arguments,
        Err(ended) => return ended.report(json),
    };
    out::ask_for_colours(arguments.output.color);
    if json && Stream::Err.is_closed() {
        return Failure::usage("standard error is closed, and -log-format json writes there")
            .report(json);
    }
    let done = match &arguments.command {
        None if arguments.actions.check_options => check_options::main(&arguments),
        None if arguments.actions.watch => watch::main(&arguments, &words),
        None => run::main(&arguments),
        Some(Subcommand::Check(options)) => {
            check::main(&arguments.places, options, &arguments.output)
        }
        Some(Subcommand::Lock(lock)) => lock::main(&arguments.places, lock, &arguments.output),
        Some(Subcommand::Status(options)) => status::main(&arguments.places, options),
        Some(Subcommand::Log(options)) => log::main(&arguments.places, options),
        Some(Subcommand::Tasks(options)) => tasks::main(&arguments.places, options),
        Some(Subcommand::Why(options)) => why::main(&arguments.places, options),
        Some(Subcommand::Trace(options)) => trace::main(&arguments.places, options),
        Some(Subcommand::TraceFiles(options)) => trace_files::main(&arguments.places, options),
        Some(Subcommand::Verify(options)) => verify::main(&arguments.places, options),
        Some(Subcommand::Shell(options)) => shell::main(&arguments.places, options),
        Some(Subcommand::Cat(options)) => cat::main(&arguments.places, options),
        Some(Subcommand::Init(options)) => init::main(&arguments.places, options),
        Some(Subcommand::Schema) => describe::schema(),
        Some(Subcommand::CacheKey(options)) => cache_key::main(options),
        Some(Subcommand::Export(export)) => {
            export::main(&arguments.places, export, &arguments.output)
        }
        Some(Subcommand::Graph(graph)) => graph::main(&arguments.places, graph),
        Some(Subcommand::Gc(options)) => gc::main(&arguments.places, options),
        Some(Subcommand::Evict(options)) => evict::main(&arguments.places, options),
        Some(Subcommand::Report(report)) => {
            report::main(&arguments.places, report, &arguments.output)
        }
        Some(Subcommand::Completions(for_)) => describe::completions(Arguments::command(), for_),
        Some(Subcommand::Worker(options)) => worker::main(options),
        Some(Subcommand::Man) => describe::manual(Arguments::command()),
        Some(Subcommand::Version) => describe::version(&Arguments::command()),
        Some(Subcommand::Complete(options)) => {
            complete::main(Arguments::command(), &arguments.places, options)
        }
    };
    done.and_then(complete)
        .unwrap_or_else(|failure| of_typed(failure, &words).report(json))
}

/// The failure, where it is about a word with dashes or quotes that no keyboard has with that hint.
fn of_typed(failure: Failure, words: &[OsString]) -> Failure {
    match pasted::hint(words.iter().skip(1), failure.message()) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// All that was printed has arrived.
fn complete(status: ExitCode) -> Result<ExitCode, Failure> {
    match out::complete() {
        Ok(()) => Ok(status),
        Err(error) => Err(Failure::output(&error)),
    }
}

/// Why there is nothing to do.
enum Ended {
    /// The words are wrong.
    Failure(Failure),
    /// They ask for this page.
    Shown(String),
}

/// What the words say.
fn parse(words: Vec<OsString>) -> Result<Arguments, Ended> {
    let mut command = wide_enough(arguments::with_numbers(Arguments::command()));
    let is_run = words::ask_for_run(&command, &words);
    words::check_homes(&command, &words).map_err(Ended::Failure)?;
    let words = words::behind_subcommand(&command, words).map_err(Ended::Failure)?;
    let mut parse = |words: Vec<OsString>| {
        command
            .try_get_matches_from_mut(words)
            .and_then(|mut matches| Arguments::from_arg_matches_mut(&mut matches))
            .map_err(|error| error.format(&mut command))
    };
    let shown: Vec<OsString> = words
        .iter()
        .map(|word| visible(&word.to_string_lossy()).into())
        .collect();
    parse(words).map_err(|error| {
        // Clap repeats what is wrong: so it says it of the words as they can be shown.
        let error = parse(shown.clone()).err().unwrap_or(error);
        let root = Arguments::command();
        let subcommand = words::subcommand_of(&root, &shown);
        let manifest = || place::manifest_at_hand(&shown);
        if error.use_stderr() {
            let subcommand = subcommand.as_deref();
            let told =
                meant::told(&root, &error, subcommand, &shown, manifest).unwrap_or_else(|| {
                    usage::told(&error, &usage::Call::of(&root, subcommand, &shown))
                });
            return Ended::Failure(of_typed(told, &shown));
        }
        let mut page = styled(&error.render());
        if error.kind() == ErrorKind::DisplayHelp {
            if is_run {
                page = styled(&wide_enough(describe::run_alone(root)).render_long_help());
            }
            page += &params::help(&Arguments::command(), &shown);
        }
        Ended::Shown(page)
    })
}

/// The same, where a terminal or a variable says that lines have hardly any room: nobody has such a
/// terminal, and a word a line is of no use.
fn wide_enough(command: clap::Command) -> clap::Command {
    const LEAST: u16 = 20;
    const USUAL: usize = 80;
    let terminal = Stream::Out.size().or_else(|| Stream::Err.size());
    let known = terminal
        .map(|(columns, _)| columns)
        .filter(|columns| *columns > 0);
    let width = known.or_else(|| {
        let columns = std::env::var("COLUMNS").ok()?;
        columns.parse().ok()
    });
    if width.is_some_and(|width| width < LEAST) {
        command.term_width(USUAL)
    } else {
        command
    }
}

impl Ended {
    fn report(self, json: bool) -> ExitCode {
        match self {
            Self::Failure(failure) => failure.report(json),
            Self::Shown(page) => output::print_as_it_is(&page)
                .and_then(|()| complete(ExitCode::SUCCESS))
                .unwrap_or_else(|failure| failure.report(json)),
        }
    }
}

/// Clap's text for standard output.
fn styled(text: &StyledStr) -> String {
    if Stream::Out.has_colours() {
        text.ansi().to_string()
    } else {
        text.to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::{Arg, Command, CommandFactory};

    use super::arguments::Arguments;
    use super::parse;

    /// What is parsed of the words; none where they are wrong.
    fn parsed(words: &[&[String]]) -> Option<String> {
        let words = [vec!["x".to_owned()], words.concat()].concat();
        let words = words.into_iter().map(OsString::from).collect();
        parse(words).ok().map(|found| format!("{found:?}"))
    }

    /// `--option`, with a value that is not its default where it takes one.
    fn written(option: &Arg) -> Vec<String> {
        let mut words = Vec::from_iter(option.get_long().map(|long| format!("--{long}")));
        if option.get_action().takes_values() {
            words.push(value(option));
        }
        words
    }

    fn value(option: &Arg) -> String {
        let default = option.get_default_values().first();
        let values = option.get_possible_values();
        let mut names = values.iter().map(clap::builder::PossibleValue::get_name);
        let other = names.find(|name| default.is_none_or(|default| *default != **name));
        let hint = option.get_value_names().map(|names| names[0].as_str());
        let typical = match hint {
            Some("DURATION") => "1s",
            Some("SIZE") => "1G",
            Some("NAME=N") => "x=1",
            Some("K/N") => "1/1",
            _ => "1",
        };
        other.unwrap_or(typical).to_owned()
    }

    /// What a subcommand cannot do without; some want a word unless there is an option.
    fn needed(subcommand: &Command) -> Vec<String> {
        let words = subcommand
            .get_positionals()
            .filter(|word| !word.is_last_set());
        let wanted = words.enumerate();
        let wanted = wanted.filter(|(at, word)| *at == 0 || word.is_required_set());
        let words = wanted.map(|(_, word)| value(word));
        let options = subcommand.get_opts().filter(|arg| arg.is_required_set());
        words.chain(options.flat_map(written)).collect()
    }

    /// The options of the call without a subcommand, less those that ask for help.
    fn options(root: &Command) -> Vec<Vec<String>> {
        root.get_arguments().map(written).collect()
    }

    #[test]
    fn no_option_before_a_subcommand_is_passed_over() {
        let root = Arguments::command();
        let (mut taken, mut refused) = (0, 0);
        for subcommand in root.get_subcommands() {
            let name = [vec![subcommand.get_name().to_owned()], needed(subcommand)].concat();
            let without = parsed(&[&name]).unwrap_or_else(|| panic!("{name:?}"));
            for option in options(&root) {
                if subcommand.get_name() == "cat" && option[0] == "--input" {
                    // Another option of that name, without a value.
                    continue;
                }
                let before = parsed(&[&option, &name]);
                assert_eq!(before, parsed(&[&name, &option]), "{option:?} {name:?}");
                assert_ne!(before.as_ref(), Some(&without), "{option:?} {name:?}");
                match before {
                    Some(_) => taken += 1,
                    None => refused += 1,
                }
            }
        }
        assert!(taken > 50 && refused > 50, "{taken} {refused}");
    }

    #[test]
    fn no_option_is_passed_over() {
        let root = Arguments::command();
        let (nothing, run) = (parsed(&[]), vec!["--run".to_owned()]);
        let migrate = vec!["--migrate-tainted".to_owned()];
        for option in options(&root) {
            assert_ne!(parsed(&[&option]), nothing, "{option:?}");
            // What goes with it.
            let other = match option[0].as_str() {
                "--sample" | "--accept" => &migrate,
                _ => &run,
            };
            if option != run {
                let with = parsed(&[other, &option]);
                assert!(with.is_some(), "{option:?}");
                assert_ne!(with, parsed(&[other]), "{option:?}");
            }
        }
    }
}
