//! What a step is, in words.

use std::path::Path;

use super::super::error::Failure;
use crate::manifest::{Cache, Step};
use crate::model::gather::Gather;
use crate::packages;
use crate::prepare::Source;
use crate::script::shell::Shell;
use crate::script::simple;
use crate::script::warm::{Obstacle, Script};
use crate::text::amount::count;
use crate::text::time::exact;

/// Per step, its packages and what they are pinned to.
pub(super) fn packages(source: &Source) -> Result<Vec<Option<String>>, Failure> {
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
            let pure = if step.sandbox {
                ""
            } else if step.pure {
                "; nothing else (pure)"
            } else {
                ""
            };
            Some(words.join(", ") + pure)
        })
        .collect())
}

/// The variables that a step sets and keeps.
pub(super) fn variables(step: &Step) -> Option<String> {
    let mut words: Vec<String> = step
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    if !step.keep.is_empty() {
        words.push(format!("kept: {}", step.keep.join(", ")));
    }
    (!words.is_empty()).then(|| words.join(", "))
}

/// What runs the step's script, as far as its text tells.
pub(super) fn launch(step: &Step) -> Option<String> {
    if step.sandbox {
        return Some("one for each task, in a sandbox of its own".to_owned());
    }
    if step.gpus > 0 {
        return Some("one for each task: each has its own GPUs".to_owned());
    }
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
    Some(format!("one for each task: {cold}"))
}

/// What a step sees, if it runs in a sandbox.
pub(super) fn sandbox(step: &Step) -> Option<String> {
    let programs = match step.packages.as_slice() {
        [] => "the host's programs",
        _ => "its packages",
    };
    let files = match step.files.as_slice() {
        [] => "",
        _ => ", its files",
    };
    let network = if step.network {
        "and the network"
    } else {
        "and no network"
    };
    step.sandbox
        .then(|| format!("sees {programs}, its input{files} {network}"))
}

/// What a step takes of others, wherever that is routed.
pub(super) fn takes(step: &Step) -> Option<String> {
    let words: Vec<String> = step.from.iter().map(ToString::to_string).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// Whose outputs the step's tasks get besides their inputs.
pub(super) fn with(step: &Step) -> Option<String> {
    let words: Vec<String> = step.with.iter().map(ToString::to_string).collect();
    let words = words.join(", ");
    (!words.is_empty()).then(|| {
        if step.each {
            format!("each output of {words} separately, once all are there")
        } else {
            format!("everything from {words}, once all of it is there")
        }
    })
}

/// What a step gathers, and when.
pub(super) fn gather(step: &Step, steps: &[Step]) -> Option<String> {
    let mut words = match step.gather? {
        Gather::All => "everything in the runset, once all of it is there".to_owned(),
        Gather::ByKey => "everything with the same key, once all of it is there".to_owned(),
        Gather::Below(owner) => format!(
            "what descends from each task of {}, once all of it is there",
            steps[owner].name
        ),
    };
    if step.partial {
        words.push_str("; without what failed");
    }
    if step.empty {
        words.push_str("; nothing, too");
    }
    Some(words)
}

/// A step's limits.
pub(super) fn limits(step: &Step) -> Option<String> {
    let mut words = Vec::new();
    if let Some(most) = step.parallel {
        words.push(format!("{most} at once"));
    }
    if let Some(cpus) = step.cpus {
        words.push(count(cpus.get(), "CPU"));
    }
    if let Some(memory) = step.memory {
        words.push(format!("{} of memory", memory.in_words()));
    }
    if step.gpus > 0 {
        words.push(count(step.gpus, "GPU"));
    }
    for (name, amount) in &step.uses {
        words.push(format!("{amount} of {name}"));
    }
    if let Some(time) = step.timeout {
        words.push(format!("{} each", exact(time)));
    }
    let after = match step.retries.delay.unwrap_or(step.retry_delay) {
        Step::RETRY_DELAY => String::new(),
        delay => format!(" after {}", exact(delay)),
    };
    match step.retries.count {
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
    match step.cache {
        Cache::Always => {}
        Cache::Never => words.push("never reused".to_owned()),
        Cache::Within(age) => words.push(format!("reused up to an age of {}", exact(age))),
        Cache::Runset => words.push("reused only in its runset".to_owned()),
    }
    (!words.is_empty()).then(|| words.join(", "))
}
