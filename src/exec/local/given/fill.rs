//! Folders that are filled with files of the store.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::standing::{Standing, WORTH};
use crate::exec::local::batch;
use crate::folder::{self, Folder, remove_all};
use crate::model::digest::Digest;
use crate::model::name::StepName;
use crate::model::tree::{Entry, Kind};
use crate::store::{self, GoOn, Held, Loan, Reader};

/// Entries of a list that are in memory at once.
const STRETCH: usize = if cfg!(test) { 5 } else { 1024 };

/// Bytes that are copied at once.
const PIECE: u64 = 64 << 20;

/// How files come to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// As links.
    Links,
    /// As copies, and as links to what is lent or large.
    Large,
    /// As copies, and as links to what is lent.
    Copies,
    /// As copies, whatever they are.
    OwnCopies,
}

/// Fills folders with files.
#[derive(Clone, Copy)]
pub(in crate::exec::local) struct Filler<'a> {
    store: &'a Reader,
    way: Way,
    go_on: GoOn<'a>,
}

/// What links lead to that a task is given.
#[derive(Debug, Default)]
pub(in crate::exec::local) struct Leads {
    /// Files outside that are lent.
    pub loans: Vec<Loan>,
    /// Objects, of which a sandbox must show each.
    objects: Vec<PathBuf>,
}

impl Leads {
    /// Whether there are no such links.
    pub(in crate::exec::local) fn is_empty(&self) -> bool {
        self.loans.is_empty() && self.objects.is_empty()
    }

    /// Where they lead.
    pub(in crate::exec::local) fn paths(&self) -> impl Iterator<Item = &Path> {
        let loans = self.loans.iter().map(Loan::path);
        loans.chain(self.objects.iter().map(PathBuf::as_path))
    }

    fn add(&mut self, lead: Lead) {
        match lead {
            Lead::Loan(loan) => self.loans.push(loan),
            Lead::Object(path) => self.objects.push(path),
        }
    }

    /// Adds these.
    pub(in crate::exec::local) fn append(&mut self, mut others: Self) {
        self.loans.append(&mut others.loans);
        self.objects.append(&mut others.objects);
    }
}

/// One of them.
enum Lead {
    Loan(Loan),
    Object(PathBuf),
}

/// What became of a folder that was filled.
#[derive(Debug)]
pub(in crate::exec::local) struct Filled {
    /// What its links lead to.
    pub leads: Leads,
    /// The path of the only file, if there is one.
    pub only: Option<Box<str>>,
    /// The folder, if it is worth keeping for whoever is to get the same.
    lasts: Option<Folder>,
}

impl Filled {
    /// That it was filled by this list, with what these steps left, for [`Filler::check`] to use it again; none
    /// where that is not worth it, or does not work.
    pub(in crate::exec::local) fn standing(
        &self,
        list: &Digest,
        steps: &[StepName],
    ) -> Option<Standing> {
        let folder = self.lasts.as_ref()?;
        Standing::of(folder, list, steps).ok()
    }
}

impl<'a> Filler<'a> {
    /// For a task. Files are links to the objects, which nobody may write to; root may, and gets copies. In a sandbox
    /// nobody can, but each link costs a mount and most sandboxes have none: there, only large files are links. Of
    /// folders everybody gets copies: what is in them can be executed and links lead from one to another.
    /// What is lent is a link in any case.
    pub(in crate::exec::local) fn for_task(
        store: &'a Reader,
        sandboxed: bool,
        go_on: GoOn<'a>,
    ) -> Self {
        let way = match sandboxed {
            true => Way::Large,
            false if rustix::process::geteuid().is_root() => Way::Copies,
            false => Way::Links,
        };
        Self { store, way, go_on }
    }

    /// For somebody who may do with them whatever comes to mind: all are copies.
    pub(super) fn for_anything(store: &'a Reader, go_on: GoOn<'a>) -> Self {
        Self {
            store,
            way: Way::OwnCopies,
            go_on,
        }
    }

    /// Makes the folder `name` with these files in it, of which few are in memory. What links in it lead to.
    pub(in crate::exec::local) fn fill(
        &self,
        parent: &Folder,
        name: &str,
        files: impl IntoIterator<Item = Result<Entry, store::Error>>,
    ) -> Result<Leads, store::Error> {
        let folder = make(parent, name)?;
        let (mut files, mut leads) = (files.into_iter(), Leads::default());
        loop {
            let some = files.by_ref().take(STRETCH);
            let some = some.collect::<Result<Vec<Entry>, _>>()?;
            self.add(&folder, &some, &mut leads)?;
            if some.len() < STRETCH {
                return Ok(leads);
            }
        }
    }

    /// The same of what is in a folder already, which is as it was filled: fails where that would.
    pub(in crate::exec::local) fn check(
        &self,
        files: impl IntoIterator<Item = Result<Entry, store::Error>>,
    ) -> Result<(), store::Error> {
        let mut files = files.into_iter();
        loop {
            let some = files.by_ref().take(STRETCH);
            let some = some.collect::<Result<Vec<Entry>, _>>()?;
            let held = self.store.hold(some.len());
            let checked = batch::all(some.len(), &|index, before| {
                before(0);
                let object = &some[index].digest;
                let place = self.store.path(object);
                (self.go_on)().map_err(store::io_error("look at", &place))?;
                held.check(object)
            });
            checked.map_err(|(_, error)| error)?;
            if some.len() < STRETCH {
                return Ok(());
            }
        }
    }

    /// Makes the folder `name` with one in it for each of these steps, in which is what the step left, of
    /// these files, which are in order.
    pub(in crate::exec::local) fn fill_by_steps(
        &self,
        parent: &Folder,
        name: &str,
        files: impl IntoIterator<Item = Result<Entry, store::Error>>,
        steps: &[StepName],
    ) -> Result<Filled, store::Error> {
        let folder = make(parent, name)?;
        for step in steps {
            make(&folder, step.as_str())?;
        }
        let mut files = files.into_iter().peekable();
        let (mut count, mut only, mut leads) = (0, None, Leads::default());
        let mut links = self.way == Way::Links;
        while let Some(first) = files.next().transpose()? {
            let step = step_of(&first).to_owned();
            only = (count == 0).then(|| first.name.clone());
            let mut some = vec![first];
            let is_next = |next: &Result<Entry, _>| match next {
                Ok(next) => step_of(next) == step,
                Err(_) => true,
            };
            while some.len() < STRETCH
                && let Some(next) = files.next_if(is_next)
            {
                only = None;
                some.push(next?);
            }
            count += some.len();
            if !steps.iter().any(|known| known.as_str() == step) {
                continue;
            }
            for file in &mut some {
                links &= file.kind != Kind::Folder;
                file.name = file.name[step.len() + 1..].into();
            }
            let own = folder.entry(&*step);
            let opened = own.open_folder();
            let opened = opened.map_err(store::io_error("open the folder", own))?;
            self.add(&opened, &some, &mut leads)?;
        }
        let lasts = links && leads.is_empty() && count >= WORTH;
        Ok(Filled {
            lasts: lasts.then_some(folder),
            leads,
            only,
        })
    }

    fn add(&self, folder: &Folder, files: &[Entry], leads: &mut Leads) -> Result<(), store::Error> {
        let held = self.store.hold(if self.way == Way::Links {
            files.len()
        } else {
            0
        });
        let added = batch::all(files.len(), &|index, before| {
            before(0);
            self.put(folder, &held, &files[index])
        });
        let added = added.map_err(|(_, error)| error)?;
        added.into_iter().flatten().for_each(|lead| leads.add(lead));
        Ok(())
    }

    fn put(
        &self,
        folder: &Folder,
        held: &Held,
        file: &Entry,
    ) -> Result<Option<Lead>, store::Error> {
        let Self { store, way, go_on } = *self;
        let entry = folder.entry(&*file.name);
        go_on().map_err(store::io_error("make", entry))?;
        if file.kind == Kind::Folder {
            store.unfold(&file.digest, folder, &file.name, go_on)?;
            return Ok(None);
        }
        if way == Way::OwnCopies {
            copy(store, &file.digest, entry, go_on)?;
            return Ok(None);
        }
        if let Some(loan) = store.borrow(&file.digest)? {
            let linked = entry.lead_to(loan.path());
            linked.map_err(store::io_error("make the link", entry))?;
            return Ok(Some(Lead::Loan(loan)));
        }
        let object = store.path(&file.digest);
        if way == Way::Copies || way == Way::Large && !is_large(&object) {
            store.copy_new(&file.digest, entry)?;
            return Ok(None);
        }
        held.check(&file.digest)?;
        // Scripts go to other folders.
        let object = if object.is_absolute() {
            Ok(object)
        } else {
            std::path::absolute(object)
        };
        let linked = object.and_then(|object| entry.lead_to(&object).map(|()| object));
        let object = linked.map_err(store::io_error("make the link", entry))?;
        Ok((way == Way::Large).then_some(Lead::Object(object)))
    }
}

/// Whether the object is rather shown than copied; what is in the way of a look is told by who copies it.
fn is_large(object: &Path) -> bool {
    fs::metadata(object).is_ok_and(|found| found.len() >= store::LARGE)
}

/// Makes a copy of an object, be it in the store or lent.
pub(super) fn copy(
    store: &Reader,
    file: &Digest,
    entry: folder::Entry,
    go_on: GoOn,
) -> Result<(), store::Error> {
    // Of no bytes, as a start step has it, nothing need be in the store.
    let object = (*file != Digest::EMPTY).then(|| store.open_verified(file));
    let object = object.transpose()?;
    let mut copy = entry.create().map_err(store::io_error("make", entry))?;
    let Some(mut object) = object else {
        return Ok(());
    };
    let mut piece = || {
        go_on()?;
        io::copy(&mut (&mut object).take(PIECE), &mut copy)
    };
    let wrong = store::io_error("copy an input to", entry);
    loop {
        match piece() {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(wrong(error)),
        }
    }
}

fn make(parent: &Folder, name: &str) -> Result<Folder, store::Error> {
    let made = parent.make(name).or_else(|error| {
        // A script of an earlier task may have made something of that name beside its own folders.
        if error.kind() == io::ErrorKind::AlreadyExists && remove_all(parent.entry(name)) {
            parent.make(name)
        } else {
            Err(error)
        }
    });
    made.map_err(store::io_error("make the folder", parent.entry(name)))
}

/// The step that left it, of what has its path in a context.
fn step_of(entry: &Entry) -> &str {
    entry.name.split_once('/').map_or("", |(step, _)| step)
}

#[cfg(test)]
mod tests;
