//! What the lock file pins, and what it lacks.

use super::super::lock::{self, Lock};
use super::super::tools::Tools;
use super::super::update::{self, Pinned};
use super::super::wanted::All;
use super::super::{Error, Progress, Request};

/// The pins of all references; those that the lock file lacks are made and written to it, unless
/// that is not allowed.
pub(super) fn pins(
    request: &Request<'_>,
    all: &All,
    tools: &Tools<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Pinned, Error> {
    let file = lock::path_beside(request.manifest);
    let (read, missing) = recorded(request, all)?;
    let exists = read.is_some();
    let mut lock = read.unwrap_or_default();
    let references = all.references();
    if missing.is_empty() {
        return Ok(Pinned::of(&lock, references.keys().copied()));
    }
    if request.locked {
        return Err(not_locked(request, all, exists, &missing));
    }
    lock::check_place(&file, tools.store())?;
    let made = update::pin(all, tools, &missing, false, progress)?;
    let before = lock.clone();
    for (reference, pin) in &made.firm {
        lock.insert(reference, pin.clone());
    }
    update::drop_unused(&mut lock, all);
    if lock != before || !exists && !made.firm.is_empty() {
        lock.write(&file)?;
    }
    let mut pinned = Pinned::of(&lock, references.keys().copied());
    pinned.loose = made.loose;
    Ok(pinned)
}

/// The lock file, if there is one, and the references that it lacks.
pub(super) fn recorded<'a>(
    request: &Request<'_>,
    all: &'a All,
) -> Result<(Option<Lock>, Vec<&'a str>), Error> {
    let lock = Lock::read(&lock::path_beside(request.manifest))?;
    let pinned = |reference: &str| {
        lock.as_ref()
            .is_some_and(|lock| lock.get(reference).is_some())
    };
    let references = all.references().into_keys();
    let missing = references.filter(|reference| !pinned(reference)).collect();
    Ok((lock, missing))
}

/// The error for references that are `missing` in the lock file.
pub(super) fn not_locked(
    request: &Request<'_>,
    all: &All,
    exists: bool,
    missing: &[&str],
) -> Error {
    let references = all.references();
    let of = |reference: &&str| {
        let steps = all.steps_of(&references[reference]);
        ((*reference).to_owned(), steps)
    };
    Error::NotLocked {
        lock: lock::path_beside(request.manifest),
        exists,
        references: missing.iter().map(of).collect(),
    }
}
