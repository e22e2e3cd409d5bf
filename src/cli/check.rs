//! `check`: is the manifest right, and what does it say?

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use super::error::Failure;
use super::options::Places;
use super::output::print;
use crate::manifest::{Step, literal_outputs};
use crate::model::promise::Pattern;
use crate::model::route::Router;
use crate::packages;
use crate::prepare::Source;
use crate::script::shell::Shell;
use crate::script::simple;
use crate::script::warm::{Obstacle, Script};
use crate::text::time::exact;
use crate::text::{Shown as _, visible};

/// Prints each step's environment, routes and limits.
pub(super) fn main(places: &Places) -> Result<ExitCode, Failure> {
    let source = Source::load(&places.manifest()?)?;
    let packages = packages(&source)?;
    let mut text = String::new();
    let mut routes = Routes::new(&source.router);
    for (step, packages) in source.manifest.steps.iter().zip(packages) {
        let start = if step.start { " (start)" } else { "" };
        let _ = writeln!(text, "{}{start}", step.name);
        for (what, words) in [
            ("packages", packages),
            ("variables", variables(step)),
            ("routes", routes.of(step)),
            ("limits", limits(step)),
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
        let to = input.step.as_ref().map(|step| format!(" → {step}"));
        let words = visible(&input.in_words());
        let _ = writeln!(text, "input {words}{}", to.unwrap_or_default());
    }
    let count = source.manifest.steps.len();
    let steps = if count == 1 {
        "1 step"
    } else {
        &format!("{count} steps")
    };
    let _ = writeln!(text, "{}: {steps}, no errors", source.path.shown());
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Per step, its packages and what they are pinned to.
fn packages(source: &Source) -> Result<Vec<Option<String>>, Failure> {
    let steps = source.manifest.steps.iter();
    let with: Vec<_> = steps
        .clone()
        .filter(|step| !step.packages.is_empty())
        .map(|step| (step.name.clone(), step.packages.as_slice()))
        .collect();
    let inspected = packages::inspect(&packages::Packages {
        steps: &with,
        nixpkgs: &source.manifest.nix.nixpkgs,
        manifest: &source.path,
    })?;
    let mut inspected = inspected.iter().peekable();
    Ok(steps
        .map(|step| {
            // In the order of the steps.
            let (_, packages) = inspected.next_if(|(name, _)| *name == step.name)?;
            let words: Vec<String> = packages
                .iter()
                .map(|package| {
                    let pin = match &package.pin {
                        packages::PinState::Pinned(words) => words.as_str(),
                        packages::PinState::Missing => "not pinned yet",
                        packages::PinState::Followed => "followed as it stands",
                        packages::PinState::Fixed => return package.installable.clone(),
                    };
                    format!("{} ({pin})", package.installable)
                })
                .collect();
            let pure = if step.pure {
                "; nothing else (pure)"
            } else {
                ""
            };
            Some(words.join(", ") + pure)
        })
        .collect())
}

fn variables(step: &Step) -> Option<String> {
    let mut words: Vec<String> = step
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    if step.pure && !step.keep.is_empty() {
        words.push(format!("kept: {}", step.keep.join(", ")));
    }
    (!words.is_empty()).then(|| words.join(", "))
}

/// Final outputs of which it is looked whether a step was meant.
const COMPARED: usize = 1000;

/// Where the outputs go whose names stand in scripts.
struct Routes<'a> {
    router: &'a Router,
    /// Those without a route, so far.
    finals: usize,
}

impl<'a> Routes<'a> {
    fn new(router: &'a Router) -> Self {
        Self { router, finals: 0 }
    }

    fn of(&mut self, step: &Step) -> Option<String> {
        let names = literal_outputs(&step.script);
        let promised = step.outputs.as_deref().unwrap_or_default();
        let mut words: Vec<String> = names
            .iter()
            .map(|name| {
                if step.outputs.is_some() && !promised.iter().any(|one| one.matches(name)) {
                    return format!("{name} → fails: none of its outputs");
                }
                self.route(name)
            })
            .collect();
        let others = promised
            .iter()
            .filter(|one| !one.is_literal() || !names.contains(&one.glob()));
        words.extend(others.map(|one| self.promised(one)));
        if step.outputs.is_some() && promised.is_empty() {
            words.push("no outputs".to_owned());
        }
        (!words.is_empty()).then(|| words.join(", "))
    }

    fn promised(&mut self, pattern: &Pattern) -> String {
        let glob = pattern.glob();
        if pattern.is_literal() {
            return self.route(&glob);
        }
        match self.router.route(&glob) {
            Some(step) => format!("{glob} may go to {step}"),
            None => format!("{glob} may go wherever its names lead"),
        }
    }

    fn route(&mut self, name: &str) -> String {
        if let Some(step) = self.router.route(name) {
            return format!("{name} → {step}");
        }
        self.finals += 1;
        let near = (self.finals <= COMPARED).then(|| self.router.near(name));
        match near.flatten() {
            Some(near) => format!("{name} → final output (did you mean {near}?)"),
            None => format!("{name} → final output"),
        }
    }
}

/// What runs the step's script, as far as its text tells.
fn launch(step: &Step) -> Option<String> {
    let name = Path::new(&step.shell[0]).file_name()?.to_str()?;
    let options: Vec<&str> = step.shell[1..].iter().map(String::as_str).collect();
    // Which shell it is depends on the machine, or on the step's packages.
    let shell = if name == "sh" { "dash" } else { name };
    if simple::parse(&step.script).is_some() && simple::shell(shell, &options).is_some() {
        return Some("none: its programs are started directly".to_owned());
    }
    let known = match Shell::named(name) {
        None if name != "sh" => Err(Obstacle::Shell),
        shell => Script::new(shell, &step.shell[1..], &step.script),
    };
    let certain = |script: Script| script.unnoticed().map(drop);
    let cold = match (step.warm, known) {
        (Some(false), _) => "`warm = false`".to_owned(),
        (_, Err(obstacle)) => obstacle.to_string(),
        (Some(true), Ok(_)) => return Some("warm".to_owned()),
        (None, Ok(script)) => match certain(script) {
            Ok(()) => return Some("warm, once many tasks wait".to_owned()),
            Err(obstacle) => format!("{obstacle} (`warm = true` accepts that)"),
        },
    };
    Some(format!("one a task: {cold}"))
}

fn limits(step: &Step) -> Option<String> {
    let mut words = Vec::new();
    if let Some(most) = step.parallel {
        words.push(format!("{most} at once"));
    }
    if let Some(time) = step.timeout {
        words.push(format!("{} each", exact(time)));
    }
    let after = match step.retry_delay {
        Step::RETRY_DELAY => String::new(),
        delay => format!(" after {}", exact(delay)),
    };
    match step.retries {
        0 => {}
        1 => words.push(format!("1 retry{after}")),
        many if after.is_empty() => words.push(format!("{many} retries")),
        many => words.push(format!("{many} retries, the first{after}")),
    }
    if step.rounds != Step::ROUNDS {
        words.push(match step.rounds {
            1 => "1 round".to_owned(),
            many => format!("{many} rounds"),
        });
    }
    if !step.cache {
        words.push("never reused".to_owned());
    }
    (!words.is_empty()).then(|| words.join(", "))
}
