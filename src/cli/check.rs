//! `check`: is the manifest right, and what does it say?

mod again;
mod age;
mod cache;
mod describe;
mod executor;
mod files;
mod inputs;
mod lint;
mod params;
mod programs;
pub(super) mod reach;
mod routes;
mod secrets;
mod shells;
mod syntax;
mod unfilled;
mod variables;
mod written;

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;

use super::error::Failure;
use super::options::{Output, ParamOptions, Places};
use super::output::print;
use super::params as given;
use super::results;
use crate::model::event::Event;
use crate::out;
use crate::prepare::Source;
use crate::report::Reporter;
use crate::text::amount::count;
use crate::text::{Shown as _, visible, with_hints};
use describe::{gather, launch, limits, packages, sandbox, takes, variables, with};
pub(super) use lint::{strict, tell, unseen_files};
use routes::{COMPARED, Routes};
pub(super) use written::left_nothing;

/// Options of `check`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Fail if there is anything to warn of (for CI)
    #[arg(long)]
    strict: bool,
    /// Start one worker of this executor and say what works there: what its command is, who answers, and whether a
    /// task works
    #[arg(long, value_name = "NAME")]
    executor: Option<String>,
    #[command(flatten)]
    cache: cache::Tried,
    #[command(flatten)]
    params: ParamOptions,
}

/// Prints each step's environment, routes and limits.
pub(super) fn main(
    places: &Places,
    options: &Options,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let mut source = Source::load(&places.manifest()?)?;
    if let Some(folder) = &places.workdir {
        source.folder = super::place::working_folder(folder)?;
    }
    // Those that are not given may be by the run.
    given::given(&options.params, &source.manifest, &mut |words| {
        out::tell(&format!("warning: {}\n", with_hints(&words)));
    })?;
    let packages = packages(&source)?;
    let files = source.declared_files(&places.db)?;
    let mut text = String::new();
    let mut routes = Routes::new(&source.router);
    for ((step, packages), files) in source.manifest.steps.iter().zip(packages).zip(&files) {
        let start = if step.start { " (start)" } else { "" };
        let _ = writeln!(text, "{}{start}", step.name);
        for (what, words) in [
            ("packages", packages),
            ("files", paths(files)),
            ("variables", variables(step)),
            ("params", params::of(step, &source.manifest.params)),
            ("secrets", secrets::of(step)),
            ("takes", takes(step)),
            ("with", with(step)),
            ("gathers", gather(step, &source.manifest.steps)),
            ("routes", routes.of(step)),
            ("limits", limits(step)),
            ("age", age::of(step)),
            ("sandbox", sandbox(step)),
            ("shell", launch(step)),
        ] {
            if let Some(words) = words {
                let _ = writeln!(text, "  {what:<10}{words}");
            }
        }
    }
    if routes.finals > COMPARED {
        let _ = writeln!(
            text,
            "{} final outputs, the first {COMPARED} compared with the steps' names",
            routes.finals
        );
    }
    for input in &source.manifest.inputs {
        let _ = write!(text, "input {}", visible(&input.in_words()));
        for (at, step) in input.steps.iter().enumerate() {
            let _ = write!(text, "{} {step}", if at == 0 { " →" } else { "," });
        }
        text.push('\n');
    }
    text.push_str(&given::list(&source.manifest.params));
    if let Some(words) = super::resources::note(&source.manifest) {
        text.push_str(&words);
        text.push('\n');
    }
    results::check(places, &source)?;
    let mut found = lint::all(&source, places);
    inputs::look(&source, places, &mut found)?;
    if options.strict
        && let Some(failure) = lint::failure(&source, &found)
    {
        Failure::unless_gone(print(&text))?;
        return Err(failure);
    }
    let warnings = match found.len() {
        0 => String::new(),
        some => format!(", {}", count(some, "warning")),
    };
    let steps = count(source.manifest.steps.len(), "step");
    let _ = writeln!(
        text,
        "{}: {steps}, no errors{warnings}",
        source.path.shown()
    );
    Failure::unless_gone(print(&text))?;
    let style = output.style();
    if style.json {
        let mut reporter = Reporter::new(style);
        for one in &found {
            let hint = one.hint.iter().map(|hint| format!("\nhint: {hint}"));
            let words = one.message.clone() + &hint.collect::<String>();
            reporter.event(&Event::Warning(&words));
        }
    } else {
        out::tell(&source.texts.render_as("warning", &found));
    }
    if let Some(name) = &options.executor {
        executor::tried(name, &source, places)?;
    }
    cache::tried(&options.cache, &mut source)?;
    Ok(ExitCode::SUCCESS)
}

/// Paths of files, of many how many there are.
fn paths(files: &[Box<str>]) -> Option<String> {
    const NAMED: usize = 5;
    let named = files.iter().take(NAMED).map(|path| visible(path));
    let named = named.collect::<Vec<_>>().join(", ");
    match files.len() {
        0 => None,
        1..=NAMED => Some(named),
        all => Some(format!("{named} and {} more", all - NAMED)),
    }
}
