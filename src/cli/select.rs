//! What the words of a question mean: runsets, steps, tasks, objects.

use std::path::Path;

use clap::Args;

use super::error::Failure;
use crate::cli::reference::{BadReference, Reference, tell_apart};
use crate::model::digest::Digest;
use crate::model::file::Lent;
use crate::model::name::StepName;
use crate::model::task::TaskId;
use crate::state::{self, Layout, Reader, Runset, TaskRow};
use crate::store;
use crate::text::typed::value_for_shell;
use crate::text::{Shown as _, quoted, suggest, visible};

/// Stands for every runset.
pub(super) const ALL: &str = "all";

/// Which runset is asked about.
#[derive(Debug, Args)]
pub(super) struct InRunset {
    /// The runset, or `all` of them; default: the newest
    #[arg(long, value_name = "NAME")]
    pub runset: Option<String>,
}

/// What a word names.
#[derive(Debug)]
pub(super) enum Named {
    /// A task, or a final output's row.
    Task(Box<TaskRow>),
    /// An object.
    Object(Digest),
}

/// The object store beside the state, as a reader uses it. Files outside that are objects where they
/// lie are read before they are shown: the db may be from somebody else.
pub(super) fn store(state: &Reader) -> Result<store::Reader, state::Error> {
    let store = store::Reader::new(&state.layout().objects());
    let lent = state.lent()?.into_iter();
    store.lend(lent.map(|(digest, lent)| {
        let settled = false;
        (digest, Lent { settled, ..lent })
    }));
    store.set_evicted(state.evicted()?);
    Ok(store)
}

impl InRunset {
    /// The runset; none for every one.
    pub(super) fn find(&self, state: &Reader) -> Result<Option<Runset>, Failure> {
        match self.runset.as_deref() {
            Some(ALL) => Ok(None),
            Some(name) => match state.runset(name)? {
                Some(runset) => Ok(Some(runset)),
                None => Err(unknown_runset(state, name)?),
            },
            None => state
                .newest_runset()?
                .map(Some)
                .ok_or_else(|| nothing_ran(state.layout())),
        }
    }
}

/// There is no runset at all.
pub(super) fn nothing_ran(layout: &Layout) -> Failure {
    Failure::usage(format!("nothing ever ran in {}", layout.root().shown()))
        .hint("run the pipeline first: -run")
}

/// There is no such runset.
pub(super) fn unknown_runset(state: &Reader, name: &str) -> Result<Failure, Failure> {
    let names: Vec<String> = state
        .runsets()?
        .into_iter()
        .map(|runset| runset.name)
        .collect();
    let failure = Failure::usage(format!(
        "there is no runset `{name}` in {}",
        db(state).shown()
    ));
    Ok(
        match suggest::closest(name, names.iter().map(String::as_str))
            .or_else(|| longer(name, names.iter().map(String::as_str)))
        {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None if names.is_empty() => failure.hint("there is none yet: -run makes the first"),
            None => {
                let newest = names[names.len().saturating_sub(5)..].join(", ");
                failure.hint(format!("the newest are {newest}"))
            }
        },
    )
}

/// Whether somebody counts with these names: `night-1` and `night-2`, `trial-a` and `trial-b`.
fn are_a_series(one: &str, other: &str) -> bool {
    let alike = one.chars().zip(other.chars());
    let alike = alike.take_while(|(one, other)| one == other);
    let alike: usize = alike.map(|(one, _)| one.len_utf8()).sum();
    let same = &one[..alike];
    let tails = |start: usize| [&one[start..], &other[start..]];
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let number = same.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let word = same.trim_end_matches(char::is_alphanumeric).len();
    tails(number).iter().all(|tail| digits(tail))
        || word > 0 && tails(word).iter().all(|tail| tail.chars().count() <= 2)
}

/// The last of the names of which `name` is the first part, cut within a word or a number: `2026` of `20261127T014312Z`.
fn longer<'n>(name: &str, names: impl DoubleEndedIterator<Item = &'n str>) -> Option<&'n str> {
    names.rev().find(|longer| {
        longer.strip_prefix(name).is_some_and(|rest| {
            let within = rest.starts_with(char::is_alphanumeric);
            let date = name.ends_with(|c: char| c.is_ascii_digit()) && rest.starts_with('-');
            !name.is_empty() && (within || date) && !are_a_series(longer, name)
        })
    })
}

/// Fails for the name of a new runset that looks like that of another one.
pub(super) fn not_misspelt(state: &Reader, name: &str) -> Result<(), Failure> {
    let runsets = state.runsets()?;
    let names = runsets.iter().map(|runset| runset.name.as_str());
    let misspelt = suggest::closest(name, names.clone()).filter(|near| !are_a_series(near, name));
    match misspelt.or_else(|| longer(name, names)) {
        Some(near) => Err(Failure::usage(format!(
            "there is no runset `{}` in {}; nothing was run",
            visible(name),
            db(state).shown()
        ))
        .hint(format!(
            "did you mean `{}`? `run -fresh -runset{}` makes a new one",
            visible(near),
            value_for_shell(name, "NAME")
        ))),
        None => Ok(()),
    }
}

/// There is no such step in `place`, which has the steps `names`.
pub(super) fn unknown_step<'n>(
    name: &str,
    place: &str,
    names: impl Iterator<Item = &'n str> + Clone,
) -> Failure {
    let failure = Failure::usage(format!("there is no step {} in {place}", quoted(name)));
    failure.hint(match near_step(name, names.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => match some_of(names) {
            Some(names) => format!("its steps are {names}"),
            None => "it has no steps yet: a call with -manifest registers them".to_owned(),
        },
    })
}

/// The step that was most likely meant: the nearest one, or the only one that begins so.
fn near_step<'n>(name: &str, names: impl Iterator<Item = &'n str> + Clone) -> Option<&'n str> {
    let mut longer = names.clone().filter(|step| step.starts_with(name));
    let longer = longer.next().filter(|_| longer.next().is_none());
    suggest::closest(name, names).or(longer.filter(|_| !name.is_empty()))
}

/// The word is no step in `place`, which has the steps `names`, and cannot be a task's.
pub(super) fn no_task_or_step<'n>(
    word: &str,
    why: &BadReference,
    place: &str,
    names: impl Iterator<Item = &'n str> + Clone,
) -> Failure {
    let failure = Failure::usage(match why {
        BadReference::Short(_) => why.to_string(),
        BadReference::Neither(_) => format!(
            "{} is no step in {place}, and no number of a task",
            quoted(word)
        ),
    });
    failure.hint(match (near_step(word, names.clone()), some_of(names)) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, Some(names)) => format!("its steps are {names}; `tasks` lists the tasks"),
        (None, None) => "nothing ran there yet; `tasks` lists the tasks of a run".to_owned(),
    })
}

/// The first few of the names, and how many more there are; none without names.
pub(super) fn some_of<'n>(mut names: impl Iterator<Item = &'n str>) -> Option<String> {
    const SHOWN: usize = 12;
    let mut shown: Vec<String> = names.by_ref().take(SHOWN).map(str::to_owned).collect();
    match names.count() {
        0 => {}
        more => shown.push(format!("and {more} more")),
    }
    (!shown.is_empty()).then(|| shown.join(", "))
}

/// Fails unless a step of that name was ever registered.
pub(super) fn known_step(state: &Reader, name: &str) -> Result<(), Failure> {
    let names = state.step_names()?;
    if names.iter().any(|known| **known == *name) {
        return Ok(());
    }
    let place = db(state).to_string_lossy().into_owned();
    Err(unknown_step(
        name,
        &place,
        names.iter().map(StepName::as_str),
    ))
}

fn db(state: &Reader) -> &Path {
    state.layout().root()
}

/// The task or the object that `word` names.
pub(super) fn named(state: &Reader, word: &str) -> Result<Named, Failure> {
    let reference = Reference::parse(word).map_err(|error| {
        Failure::usage(error).hint(
            "name a task by its number (`tasks` lists them) or an object by four or more digits \
             of its hash",
        )
    })?;
    let (task, hash) = match reference {
        Reference::Task(task) => (Some(task), None),
        Reference::TaskOrHash(task, hash) => (Some(task), Some(hash)),
        Reference::Hash(hash) => (None, Some(hash)),
    };
    if let Some(task) = task
        && let Some(row) = state.task(task)?
    {
        return Ok(Named::Task(Box::new(row)));
    }
    match (task, hash) {
        (Some(task), None) => Err(no_task(state, task)),
        (Some(task), Some(hash)) if objects(state, &hash, 1)?.is_empty() => {
            Err(no_task(state, task))
        }
        (_, hash) => object(state, &hash.unwrap_or_default()).map(Named::Object),
    }
}

/// The task that `word` names.
pub(super) fn task(state: &Reader, word: &str) -> Result<TaskRow, Failure> {
    match named(state, word)? {
        Named::Task(row) => Ok(*row),
        Named::Object(_) => Err(Failure::usage(format!(
            "`{word}` is the start of an object's hash, and a task is wanted"
        ))
        .hint("`trace` tells which tasks an object comes from and goes to")),
    }
}

fn no_task(state: &Reader, task: TaskId) -> Failure {
    Failure::usage(format!("there is no task #{task} in {}", db(state).shown()))
        .hint("`tasks` lists those of the newest runset, `tasks -runset all` all")
}

/// The objects whose hash starts with `prefix`; at most `most`. What is in the store is known to
/// it; of what is gone, there are records.
fn objects(state: &Reader, prefix: &str, most: u32) -> Result<Vec<Digest>, Failure> {
    let mut stored = store(state)?.starting(prefix);
    if stored.is_empty() {
        return Ok(state.objects_starting(prefix, most)?);
    }
    stored.truncate(most as usize);
    Ok(stored)
}

fn object(state: &Reader, prefix: &str) -> Result<Digest, Failure> {
    /// Of several objects, how many are told.
    const SHOWN: u32 = 5;
    let found = objects(state, prefix, SHOWN + 1)?;
    match found.as_slice() {
        [] => Err(Failure::usage(format!(
            "no object in {} has a hash that starts with {prefix}",
            db(state).shown()
        ))
        .hint("`tasks -json` and `trace` show hashes; -db names another db")),
        [one] => Ok(*one),
        several => {
            let mut starts = tell_apart(several);
            let more = if starts.len() > SHOWN as usize {
                starts.truncate(SHOWN as usize);
                " and more"
            } else {
                ""
            };
            Err(Failure::usage(format!(
                "{prefix} is the start of several hashes: {}{more}",
                starts.join(", ")
            ))
            .hint("give more digits"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{are_a_series, longer};

    #[test]
    fn the_first_part_of_a_name_is_hardly_a_new_one() {
        let names = [
            "20261126T101112Z",
            "20261127T014312Z",
            "night-10",
            "release-1",
            "2026-11-27",
        ];
        for (name, meant) in [
            ("2026", Some("2026-11-27")),
            ("20261126", Some("20261126T101112Z")),
            ("20261127T01", Some("20261127T014312Z")),
            ("2026-11", Some("2026-11-27")),
            ("rel", Some("release-1")),
            // A new series, or the next of one.
            ("release", None),
            ("night-1", None),
            ("20261128T", None),
            ("", None),
        ] {
            assert_eq!(longer(name, names.into_iter()), meant, "{name}");
        }
    }

    #[test]
    fn who_counts_has_not_misspelt() {
        for (one, other, expected) in [
            ("night-1", "night-2", true),
            ("night9", "night10", true),
            ("trial-a", "trial-b", true),
            ("nightly", "nihgtly", false),
            ("nightly", "nightl", false),
            ("20261127T0143", "20261127T0144", true),
            ("release-candidate", "release-candidat", false),
        ] {
            assert_eq!(are_a_series(one, other), expected, "{one} {other}");
            assert_eq!(are_a_series(other, one), expected, "{other} {one}");
        }
    }
}
