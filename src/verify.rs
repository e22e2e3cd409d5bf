//! Whether all is as it was recorded: every object against its name, every row against what it leads to.
//!
//! ```text
//! state::audit ─ rows ─▶ needs ─ lists ─▶ needs ─┬─▶ objects, folder by folder ─┬──────────────▶ judge ─▶ finding
//! store::audit ─ folders of the store ───────────┘                              └─▶ absent, once more ─┘
//! ```
//!
//! Little of it is in memory at a time: what is needed is sorted by the first byte of its hash, and
//! compared with the store's folders one by one. The rows are those of one moment, and were there before the
//! store is looked at: what a run adds meanwhile is none of them, and an object is there before its row. What
//! is not found is looked for among the rows of a later moment: bytes may have been dropped meanwhile, and what
//! needed them may be history or gone.

mod absent;
mod finding;
mod judge;
mod lists;
mod needs;
mod objects;
mod repair;

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub(crate) use finding::{Finding, Severity, Sum, What};
pub(crate) use judge::Manifest;
pub(crate) use repair::{Repaired, repair};

use crate::packages;
use crate::state::{self, Audited, Misfit, MisfitKind, Reader, Rows};
use crate::store::{self, Stray};
use crate::text::Shown as _;
use absent::Absent;
use judge::Judge;
use needs::{Need, Needs};

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Db<'a> {
    /// The rows.
    pub state: &'a Reader,
    /// The objects.
    pub store: &'a store::Reader,
    /// What else is at hand.
    pub manifest: Option<&'a Manifest>,
}

/// How it is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How<'a> {
    /// Without reading the bytes of objects.
    pub quick: bool,
    /// At once.
    pub threads: usize,
    /// Set: to end as soon as possible.
    pub stop: &'a AtomicBool,
    /// How far it is.
    pub progress: &'a Progress,
}

/// How far it is.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Of the 256 parts of the store.
    pub parts: AtomicU64,
    /// Objects looked at.
    pub objects: AtomicU64,
    /// Bytes of them that were read.
    pub read: AtomicU64,
}

/// Why it did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The database.
    #[error(transparent)]
    State(#[from] state::Error),
    /// What is to be kept meanwhile cannot be.
    #[error("cannot keep the list of what rows refer to in {}: {source}", std::env::temp_dir().shown())]
    Kept {
        /// Why.
        source: io::Error,
    },
}

impl From<io::Error> for Error {
    fn from(source: io::Error) -> Self {
        Self::Kept { source }
    }
}

/// Looks at all of it, and tells what is wrong.
pub(crate) fn look(db: Db, how: How, tell: &mut dyn FnMut(Finding)) -> Result<Sum, Error> {
    let mut told = Told::new(tell);
    let needed = needed(db, how, &mut told)?;
    compare(db, how, needed, &mut told)
}

/// What the rows of one moment need.
struct Needed {
    rows: Rows,
    /// What they have, what the lists among that name, and the lists in these.
    levels: [Needs; 3],
}

/// Who is told, and how much that was.
struct Told<'a> {
    tell: &'a mut dyn FnMut(Finding),
    wrong: [u64; 3],
    awaited: u64,
}

impl<'a> Told<'a> {
    fn new(tell: &'a mut dyn FnMut(Finding)) -> Self {
        Self {
            tell,
            wrong: [0; 3],
            awaited: 0,
        }
    }

    fn add(&mut self, finding: Finding) {
        let at = Severity::ALL
            .iter()
            .position(|one| *one == finding.severity);
        self.wrong[at.unwrap_or_default()] += 1;
        self.awaited += u64::from(finding.what == What::Awaited);
        (self.tell)(finding);
    }
}

/// Looks at the rows, as they are at one moment.
fn needed(db: Db, how: How, told: &mut Told) -> Result<Needed, Error> {
    let mut needs = Needs::new();
    // Rows of which several things are wrong are told once.
    let mut known = BTreeSet::new();
    let rows = db.state.audit(&mut |audited| match audited {
        Audited::Needs(reference) => needs.add(&reference.into()),
        Audited::Wrong(misfit) => {
            if misfit.kind != MisfitKind::Row || misfit.task.is_none_or(|task| known.insert(task)) {
                told.add(of_misfit(misfit));
            }
        }
    })?;
    let (levels, no_lists) = deeper(needs, db, how)?;
    for need in no_lists {
        let words = format!(
            "row #{}: the object {} is said to be a list, and is none",
            need.row, need.object
        );
        let task = Some(need.row);
        let finding = Finding::new(What::Row, Severity::Again, words);
        told.add(Finding { task, ..finding });
    }
    Ok(Needed { rows, levels })
}

/// The same of another moment, without a word of what is wrong with rows.
fn needed_by_now(db: Db, how: How) -> Result<Needed, Error> {
    let mut needs = Needs::new();
    let rows = db.state.needed_by_now(&mut |audited| match audited {
        Audited::Needs(reference) => needs.add(&reference.into()),
        Audited::Wrong(_) => {}
    })?;
    let (levels, _) = deeper(needs, db, how)?;
    Ok(Needed { rows, levels })
}

/// What the lists among these name as well; and those that are none.
fn deeper(mut needs: Needs, db: Db, how: How) -> Result<([Needs; 3], Vec<Need>), Error> {
    needs.end()?;
    let (within, mut others) = lists::within(&needs, db.store, how.threads, how.stop)?;
    let (deeper, more) = lists::within(&within, db.store, how.threads, how.stop)?;
    others.extend(more);
    Ok(([needs, within, deeper], others))
}

/// Looks at the objects, and at the links that hold packages.
fn compare(db: Db, how: How, needed: Needed, told: &mut Told) -> Result<Sum, Error> {
    let mut sum = Sum::default();
    let mut judge = Judge::new(db.state, db.store, db.manifest)?;
    let mut absent = Needs::new();
    objects::look(&needed.levels, db.store, how, &mut sum, &mut |event| {
        match event {
            objects::Event::Absent(need) => absent.add(&need),
            objects::Event::Trouble(trouble) => {
                if let Some(finding) = judge.of(&trouble)? {
                    told.add(finding);
                }
            }
            objects::Event::Mode(object, path, bits) => {
                let words = format!("object {object} has the mode {bits:04o}, not 0444");
                let finding = Finding::new(What::Mode, Severity::Leftover, words);
                told.add(Finding {
                    object: Some(object),
                    path: Some(path),
                    ..finding
                });
            }
            objects::Event::Stray(stray) => told.add(of_stray(stray)),
        }
        Ok(())
    })?;
    absent.end()?;
    let Needed { rows, levels } = needed;
    drop(levels);
    let mut roots = packages::look_at_roots(&db.state.layout().roots(), &rows.paths);
    if !absent.is_empty() || !roots.wrong.is_empty() {
        let by_now = needed_by_now(db, how)?;
        absent::look(&absent, &by_now.levels, db, how, &mut |found| {
            match found {
                Absent::Evicted => sum.evicted += 1,
                Absent::Trouble(trouble) => {
                    if let Some(finding) = judge.of(&trouble)? {
                        told.add(finding);
                    }
                }
            }
            Ok(())
        })?;
        if !roots.wrong.is_empty() {
            roots = packages::look_at_roots(&db.state.layout().roots(), &by_now.rows.paths);
        }
    }
    for wrong in roots.wrong {
        let finding = Finding::new(What::Root, Severity::Again, wrong.words);
        told.add(Finding {
            path: Some(wrong.path),
            ..finding
        });
    }
    Ok(Sum {
        tasks: rows.tasks,
        environments: rows.environments,
        roots: roots.links,
        read: how.progress.read.load(Ordering::Relaxed),
        wrong: told.wrong,
        awaited: told.awaited,
        ..sum
    })
}

fn of_stray(stray: Stray) -> Finding {
    let words = format!("{} is {}", stray.path.shown(), stray.what);
    let finding = if stray.unreadable {
        Finding::new(What::Unreadable, Severity::Lost, words)
    } else {
        Finding::new(What::Stray, Severity::Leftover, words)
    };
    Finding {
        path: Some(stray.path),
        ..finding
    }
}

fn of_misfit(misfit: Misfit) -> Finding {
    let (what, severity) = match misfit.kind {
        MisfitKind::Pages => (What::Database, Severity::Lost),
        MisfitKind::Index => (What::Index, Severity::Again),
        MisfitKind::Row => (What::Row, Severity::Again),
        MisfitKind::Note => (What::Record, Severity::Leftover),
        MisfitKind::Counts => (What::Counts, Severity::Again),
    };
    Finding {
        task: misfit.task,
        ..Finding::new(what, severity, misfit.words)
    }
}

/// Has so many threads do the same; the first failure.
fn in_threads(count: usize, work: &(impl Fn() -> io::Result<()> + Sync)) -> io::Result<()> {
    std::thread::scope(|scope| {
        let begin = |_| {
            let thread = std::thread::Builder::new().name("verify".to_owned());
            thread.spawn_scoped(scope, work).ok()
        };
        // This one does its share: without any other, all of it.
        let others: Vec<_> = (1..count).filter_map(begin).collect();
        let own = work();
        let panicked = |_| Err(io::Error::other("a thread panicked"));
        let all = others
            .into_iter()
            .map(|one| one.join().unwrap_or_else(panicked));
        all.fold(own, io::Result::and)
    })
}

#[cfg(test)]
mod tests;
