//! What a run has for its tasks, and whether each of them can ever get what it takes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

use super::error::Failure;
use super::options::ResourceOptions;
use crate::manifest::{Manifest, Step};
use crate::model::event::Event;
use crate::model::resources::{GPUS, Lack, Supply};
use crate::prepare::Source;
use crate::sys::{self, Divided, Obstacle};
use crate::text::amount::{bytes, count};
use crate::text::{quoted, suggest};

/// More GPUs than any machine has.
const MANY: usize = 1024;

/// What the options say, and the machine has besides. It is not asked where no step counts anything.
pub(super) fn supply(options: &ResourceOptions, manifest: &Manifest) -> Result<Supply, Failure> {
    let mut limits = manifest.limits.clone();
    limits.extend(given_limits(&options.limit, &manifest.limits)?);
    let all = || manifest.steps.iter();
    let memory = match options.memory {
        None if all().any(|step| step.memory.is_some()) => sys::memory(),
        given => given,
    };
    let gpus = match &options.gpus {
        Some(given) => given_gpus(given)?,
        None if all().any(|step| step.gpus > 0) => gpus_here(std::env::var_os(GPUS[0])),
        None => Vec::new(),
    };
    Ok(Supply {
        cpus: options.cpus.unwrap_or_else(cpus),
        memory,
        gpus,
        limits,
    })
}

/// Fails where options name limits or GPUs that are none, or give less than a task of these steps takes. What no option
/// says is a matter of the machine, and is taken for enough.
pub(super) fn check_given(
    options: &ResourceOptions,
    manifest: &Manifest,
    steps: Vec<&Step>,
) -> Result<(), Failure> {
    let mut limits = manifest.limits.clone();
    limits.extend(given_limits(&options.limit, &manifest.limits)?);
    let gpus = options.gpus.as_deref().map(given_gpus).transpose()?;
    let supply = Supply {
        cpus: options.cpus.unwrap_or(u32::MAX),
        memory: options.memory,
        gpus: gpus.unwrap_or_else(|| numbered(MANY)),
        limits,
    };
    check_all(&supply, steps.into_iter())
}

/// What a run without options has.
pub(super) fn of_machine(manifest: &Manifest) -> Result<Supply, Failure> {
    let supply = supply(&ResourceOptions::default(), manifest)?;
    check(&supply, manifest)?;
    Ok(supply)
}

/// The same for a run, of those steps whose tasks it carries out here.
pub(super) fn check_here(supply: &Supply, source: &Source) -> Result<(), Failure> {
    let steps = source.manifest.steps.iter().enumerate();
    let here = steps.filter(|(queue, _)| source.executors.place(*queue).is_none());
    check_all(supply, here.map(|(_, step)| step))
}

fn cpus() -> u32 {
    u32::try_from(sys::cores()).unwrap_or(u32::MAX)
}

/// Fails where a step's tasks take more than there is.
pub(super) fn check(supply: &Supply, manifest: &Manifest) -> Result<(), Failure> {
    check_all(supply, manifest.steps.iter())
}

fn check_all<'s>(supply: &Supply, steps: impl Iterator<Item = &'s Step>) -> Result<(), Failure> {
    let mut lines = Vec::new();
    let mut hints = Vec::new();
    for step in steps {
        for lack in supply.lacks(&step.resources()) {
            let (words, hint) = words(&lack);
            lines.push(format!("a task of step {} {words}", step.name));
            if !hints.contains(&hint) {
                hints.push(hint);
            }
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    Err(Failure::usage(lines.join("\n")).hint(hints.join("; ")))
}

fn words(lack: &Lack) -> (String, &'static str) {
    match lack {
        Lack::Cpus(asked, has) => (
            format!("takes {asked} CPUs, and the run has {has}"),
            "-cpus N says how many the run has",
        ),
        Lack::Memory(asked, has) => (
            format!(
                "takes {} of memory, and the run has {}",
                bytes(*asked),
                bytes(*has)
            ),
            "-memory SIZE says how much the run has",
        ),
        Lack::Gpus(asked, 0) => (
            format!("takes {}, and the run has none", count(*asked, "GPU")),
            "-gpus N says how many there are, and -gpus 0,2 which; without it they are looked for on this machine",
        ),
        Lack::Gpus(asked, has) => (
            format!("takes {}, and the run has {has}", count(*asked, "GPU")),
            "-gpus N says how many there are, and -gpus 0,2 which",
        ),
        Lack::Limit(name, asked, has) => (
            format!("uses {asked} of {}, and its limit is {has}", quoted(name)),
            "-limit NAME=N says how many the run has",
        ),
    }
}

/// Tells of steps whose tasks cannot have all the memory that they may grow to.
pub(super) fn tell_capped(supply: &Supply, manifest: &Manifest, tell: &mut dyn FnMut(&Event)) {
    let Some(has) = supply.memory else {
        return;
    };
    for step in &manifest.steps {
        if let Some(memory) = step.memory.filter(|memory| memory.most > has) {
            tell(&Event::Warning(&format!(
                "step {}: its tasks have {} of memory at most, and not {}: that is what the run has",
                step.name,
                bytes(has),
                bytes(memory.most)
            )));
        }
    }
}

/// What holds tasks to the memory that they are given, also those of workers that this machine has; where there is no
/// such thing, and some are given any, that is told.
pub(super) fn fence(source: &Source, tell: &mut dyn FnMut(&Event)) -> Option<Arc<Divided>> {
    let in_workers = || {
        let mut crews = source.executors.crews.iter();
        limits_memory(source, true) && crews.any(|crew| crew.here)
    };
    let own = limits_memory(source, false);
    if !own && !in_workers() {
        return None;
    }
    match Divided::here() {
        Ok(divided) => Some(Arc::new(divided)),
        // Each worker says so of itself.
        Err(_) if !own => None,
        Err(why) => {
            tell(&Event::Warning(&format!(
                "{}\nhint: {}",
                unenforced(&why),
                Obstacle::hint()
            )));
            None
        }
    }
}

/// A line about it for who checks the manifest; none where there is nothing to say.
pub(super) fn note(manifest: &Manifest) -> Option<String> {
    if manifest.steps.iter().all(|step| step.memory.is_none()) {
        return None;
    }
    Some(match sys::can_divide() {
        Ok(()) => "memory: no task gets more than it asks for".to_owned(),
        Err(why) => unenforced(&why),
    })
}

/// Whether tasks of some step have so much memory alone: of those that run here, or of those that run `elsewhere`.
pub(super) fn limits_memory(source: &Source, elsewhere: bool) -> bool {
    let mut steps = source.manifest.steps.iter().enumerate();
    let is_there = |queue| source.executors.place(queue).is_some() == elsewhere;
    steps.any(|(queue, step)| step.memory.is_some() && is_there(queue))
}

fn unenforced(why: &Obstacle) -> String {
    format!("memory is counted, and nothing keeps a task from taking more: {why}")
}

/// `database=2`.
fn given_limits(
    words: &[String],
    known: &BTreeMap<String, u32>,
) -> Result<BTreeMap<String, u32>, Failure> {
    let mut given = BTreeMap::new();
    for word in words {
        let Some((name, number)) = word.split_once('=') else {
            let message = format!("-limit {} has no `=`", quoted(word));
            return Err(Failure::usage(message).hint("write -limit NAME=N"));
        };
        if !known.contains_key(name) {
            let hint = match suggest::closest(name, known.keys().map(String::as_str)) {
                Some(close) => format!("did you mean `{close}`?"),
                None if known.is_empty() => "the manifest has no [limits]".to_owned(),
                None => {
                    let names: Vec<&str> = known.keys().map(String::as_str).collect();
                    format!("[limits] has: {}", names.join(", "))
                }
            };
            let message = format!("-limit: there is no limit {}", quoted(name));
            return Err(Failure::usage(message).hint(hint));
        }
        let Some(number) = number.parse().ok().filter(|number| *number > 0) else {
            let message = format!(
                "-limit {name}: {} is no whole number from 1 to {}",
                quoted(number),
                u32::MAX
            );
            return Err(Failure::usage(message).hint("write -limit NAME=N"));
        };
        if given.insert(name.to_owned(), number).is_some() {
            let message = format!("limit {} is given twice with -limit", quoted(name));
            return Err(Failure::usage(message).hint("leave one of them out"));
        }
    }
    Ok(given)
}

/// `2` is how many there are, `0,2` which.
fn given_gpus(text: &str) -> Result<Vec<String>, Failure> {
    let hint = "write how many, -gpus 2, or which, -gpus 0,2 (or as GPU-8f2a…)";
    if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        return match text.parse() {
            Ok(number) if number <= MANY => Ok(numbered(number)),
            _ => Err(Failure::usage(format!("-gpus {text}: at most {MANY}")).hint(hint)),
        };
    }
    let listed = match text.strip_suffix(',') {
        Some(one) if !one.contains(',') => one,
        _ => text,
    };
    let names: Vec<String> = listed
        .split(',')
        .map(|name| name.trim().to_owned())
        .collect();
    for (at, name) in names.iter().enumerate() {
        if !is_gpu(name) {
            let number = match names.as_slice() {
                [_] => ", and no number of them",
                _ => "",
            };
            let message = format!("-gpus: {} is no GPU{number}", quoted(name));
            return Err(Failure::usage(message).hint(hint));
        }
        if names[..at].contains(name) {
            let message = format!("-gpus: {} is there twice", quoted(name));
            return Err(Failure::usage(message).hint("leave one of them out"));
        }
    }
    Ok(names)
}

/// Whether the drivers of CUDA or HIP could take it for one: a number, or an identity such as `GPU-8f2a` and `MIG-1/2`.
fn is_gpu(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_identity = |text: &str| {
        let mut chars = text.chars();
        text.len() > 4 && chars.all(|c| c.is_ascii_alphanumeric() || "-_:/.".contains(c))
    };
    is_number(name) || (name.starts_with("GPU-") || name.starts_with("MIG-")) && is_identity(name)
}

fn numbered(number: usize) -> Vec<String> {
    (0..number).map(|number| number.to_string()).collect()
}

/// Those that the machine has, or that whoever started this process lets it use.
pub(super) fn gpus_here(visible: Option<OsString>) -> Vec<String> {
    let Some(visible) = visible else {
        return numbered(sys::gpus());
    };
    let text = visible.to_string_lossy();
    let names = text.split(',').map(str::trim);
    // What cannot be used hides those behind it.
    let names = names.take_while(|name| !name.is_empty() && !name.starts_with('-'));
    let mut all: Vec<String> = Vec::new();
    for name in names {
        if !all.iter().any(|one| one == name) {
            all.push(name.to_owned());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_are_a_number_or_names() {
        assert_eq!(given_gpus("2").unwrap(), ["0", "1"]);
        // Their number, as everywhere; the first one alone has a comma or a name.
        assert_eq!(given_gpus("0").unwrap(), [""; 0]);
        assert_eq!(given_gpus("0,").unwrap(), ["0"]);
        assert_eq!(given_gpus("3,1").unwrap(), ["3", "1"]);
        assert_eq!(
            given_gpus("GPU-8f2a, MIG-1/2").unwrap(),
            ["GPU-8f2a", "MIG-1/2"]
        );
        for text in [
            "",
            "-1",
            "1,2,",
            ",",
            "1,1",
            "a b",
            "1.5x y",
            "1.5",
            "many",
            "0,many",
            "GPU-",
            "9999",
            "99999999999999999999",
        ] {
            assert!(given_gpus(text).is_err(), "{text}");
        }
    }

    #[test]
    fn gpus_that_are_not_to_be_used_are_not_there() {
        let here = |text: &str| gpus_here(Some(text.into()));
        assert_eq!(here("2,GPU-x"), ["2", "GPU-x"]);
        assert_eq!(here("0,-1,2"), ["0"]);
        assert_eq!(here(""), [""; 0]);
        assert_eq!(here("-1"), [""; 0]);
    }

    #[test]
    fn limits_are_those_of_the_manifest() {
        let known = [("database".to_owned(), 2)].into();
        let given = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            given_limits(&words, &known).map_err(|failure| format!("{failure:?}"))
        };
        assert_eq!(
            given(&["database=4"]),
            Ok([("database".to_owned(), 4)].into())
        );
        for (words, told) in [
            (&["database"][..], "has no `=`"),
            (&["databse=1"], "did you mean `database`?"),
            (&["x=1"], "[limits] has: database"),
            (&["database=0"], "is no whole number from 1"),
            (&["database=-1"], "is no whole number from 1"),
            (&["database=1.5"], "is no whole number from 1"),
            (&["database="], "is no whole number from 1"),
            (&["database=4294967296"], "is no whole number from 1"),
            (&["database=1", "database=2"], "given twice"),
        ] {
            let failure = given(words).unwrap_err();
            assert!(failure.contains(told), "{failure}");
        }
    }
}
