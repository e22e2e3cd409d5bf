//! Folders that are filled with files of the store.

use std::io::{self, Read as _};

use super::standing::{Standing, WORTH};
use crate::exec::local::batch;
use crate::folder::{self, Folder};
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

/// What became of a folder that was filled.
#[derive(Debug)]
pub(in crate::exec::local) struct Filled {
    /// What is lent for that.
    pub loans: Vec<Loan>,
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
    /// For a task. Files are links to the objects, which nobody may write to; root may, and gets copies. Of
    /// folders everybody gets copies: what is in them can be executed and links lead from one to another.
    /// What is lent is a link in any case.
    pub(in crate::exec::local) fn for_task(store: &'a Reader, go_on: GoOn<'a>) -> Self {
        let root = rustix::process::geteuid().is_root();
        Self {
            store,
            way: if root { Way::Copies } else { Way::Links },
            go_on,
        }
    }

    /// For somebody who may do with them whatever comes to mind: all are copies.
    pub(super) fn for_anything(store: &'a Reader, go_on: GoOn<'a>) -> Self {
        Self {
            store,
            way: Way::OwnCopies,
            go_on,
        }
    }

    /// Makes the folder `name` with these files in it, of which few are in memory. What is lent for that.
    pub(in crate::exec::local) fn fill(
        &self,
        parent: &Folder,
        name: &str,
        files: impl IntoIterator<Item = Result<Entry, store::Error>>,
    ) -> Result<Vec<Loan>, store::Error> {
        let folder = make(parent, name)?;
        let (mut files, mut loans) = (files.into_iter(), Vec::new());
        loop {
            let some = files.by_ref().take(STRETCH);
            let some = some.collect::<Result<Vec<Entry>, _>>()?;
            self.add(&folder, &some, &mut loans)?;
            if some.len() < STRETCH {
                return Ok(loans);
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
        let (mut count, mut only, mut loans) = (0, None, Vec::new());
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
            self.add(&opened, &some, &mut loans)?;
        }
        let lasts = links && loans.is_empty() && count >= WORTH;
        Ok(Filled {
            lasts: lasts.then_some(folder),
            loans,
            only,
        })
    }

    fn add(
        &self,
        folder: &Folder,
        files: &[Entry],
        loans: &mut Vec<Loan>,
    ) -> Result<(), store::Error> {
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
        loans.extend(added.into_iter().flatten());
        Ok(())
    }

    fn put(
        &self,
        folder: &Folder,
        held: &Held,
        file: &Entry,
    ) -> Result<Option<Loan>, store::Error> {
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
            return Ok(Some(loan));
        }
        if way == Way::Copies {
            store.copy_new(&file.digest, entry)?;
            return Ok(None);
        }
        held.check(&file.digest)?;
        // Scripts go to other folders.
        let object = store.path(&file.digest);
        let object = if object.is_absolute() {
            Ok(object)
        } else {
            std::path::absolute(object)
        };
        let linked = object.and_then(|object| entry.lead_to(&object));
        linked.map_err(store::io_error("make the link", entry))?;
        Ok(None)
    }
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
    let made = parent.make(name);
    made.map_err(store::io_error("make the folder", parent.entry(name)))
}

/// The step that left it, of what has its path in a context.
fn step_of(entry: &Entry) -> &str {
    entry.name.split_once('/').map_or("", |(step, _)| step)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::model::list::{self, Form, Member};
    use crate::store::Store;
    use crate::store::TO_THE_END;

    fn fixture() -> (tempfile::TempDir, Store, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("objects"), dir.path()).unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        (dir, store, folder)
    }

    fn member(store: &Store, name: &str, text: &str) -> Member {
        Member {
            name: name.into(),
            key: text.into(),
            digest: store.insert_bytes(text.as_bytes()).unwrap(),
            form: Form::File,
        }
    }

    fn with<'a>(way: Way, store: &'a Store, go_on: GoOn<'a>) -> Filler<'a> {
        Filler { store, way, go_on }
    }

    const WAYS: [Way; 3] = [Way::Links, Way::Copies, Way::OwnCopies];

    fn count(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn all_that_is_listed_is_there() {
        let (dir, store, folder) = fixture();
        for number in [0, 1, STRETCH - 1, STRETCH, STRETCH + 1, 100] {
            let members = (0..number).map(|n| member(&store, &format!("n{n}"), &n.to_string()));
            let text = list::of(members.collect());
            let list = store.insert_bytes(text.as_bytes()).unwrap();
            for way in WAYS {
                let name = &format!("{way:?} {number}");
                let files = store.list(&list).unwrap();
                with(way, &store, TO_THE_END)
                    .fill(&folder, name, files)
                    .unwrap();
                let made = dir.path().join(name);
                assert_eq!(count(&made), number);
                for n in 0..number {
                    let path = made.join(format!("n{n}"));
                    assert_eq!(fs::read_to_string(&path).unwrap(), n.to_string());
                    assert_eq!(path.is_symlink(), way == Way::Links);
                }
                if way != Way::Links && number > 0 {
                    fs::write(made.join("n0"), "other").unwrap();
                }
            }
        }
        let zero = store.path(&Digest::of(b"0"));
        assert_eq!(fs::read(zero).unwrap(), b"0");
    }

    #[test]
    fn what_steps_left_is_in_folders_of_theirs() {
        let (dir, store, folder) = fixture();
        let many = (0..12).map(|n| member(&store, "y", &n.to_string()));
        let index = vec![member(&store, "x", "1"), member(&store, "x", "2")];
        let left = [
            ("index", index),
            ("index 2", vec![member(&store, "x", "3")]),
            ("many", many.collect()),
            ("unknown", vec![member(&store, "x", "4")]),
        ];
        let list = store.insert_bytes(list::context(left).as_bytes()).unwrap();
        let steps = ["index", "index 2", "none", "many"].map(|name| StepName::new(name).unwrap());
        let filler = with(Way::Links, &store, TO_THE_END);
        let files = store.list(&list).unwrap();
        let outcome = filler.fill_by_steps(&folder, "with", files, &steps);
        assert_eq!(outcome.unwrap().only, None);
        let made = dir.path().join("with");
        let read = |path: &str| fs::read(made.join(path)).unwrap();
        assert_eq!(
            [read("index/1_x"), read("index/2_x"), read("index 2/x")],
            [b"1", b"2", b"3"]
        );
        assert_eq!(read("many/11_y"), b"11");
        assert_eq!(
            [count(&made.join("many")), count(&made.join("none"))],
            [12, 0]
        );
        assert_eq!(count(&made), 4);
    }

    /// A folder for two steps, of which one left many files, by this way; and what is kept of it.
    fn stand(dir: &Path, store: &Store, way: Way, folders: bool) -> Option<Standing> {
        let _ = fs::remove_dir_all(dir.join("with"));
        let mut many: Vec<Member> = (0..WORTH)
            .map(|n| member(store, &format!("m{n:02}"), &n.to_string()))
            .collect();
        if folders {
            let tree = crate::model::tree::write::<&str>(&mut []);
            many[0].digest = store.insert_bytes(tree.as_bytes()).unwrap();
            many[0].form = Form::Folder;
        }
        let text = list::context([("many", many), ("one", vec![member(store, "x", "1")])]);
        let list = store.insert_bytes(text.as_bytes()).unwrap();
        let steps = ["many", "one"].map(|name| StepName::new(name).unwrap());
        let filler = with(way, store, TO_THE_END);
        let parent = Folder::open(dir).unwrap();
        let files = store.list(&list).unwrap();
        let left = filler
            .fill_by_steps(&parent, "with", files, &steps)
            .unwrap();
        let standing = left.standing(&list, &steps);
        if let Some(standing) = &standing {
            assert!(standing.has(&list, &steps));
            assert!(!standing.has(&list, &steps[..1]) && !standing.has(&Digest::EMPTY, &steps));
            assert!(standing.is_as_it_was(parent.entry("with")));
        }
        standing
    }

    #[test]
    fn a_folder_of_links_stays_until_something_is_done_to_it() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let (dir, store, parent) = fixture();
        let made = dir.path().join("with");
        let file = made.join("many/m03");
        let again = |folder: &Path| {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
        };
        let deeds: [(&str, &dyn Fn()); 7] = [
            ("a file is gone", &|| fs::remove_file(&file).unwrap()),
            ("a file is another one", &|| {
                let target = fs::read_link(made.join("many/m04")).unwrap();
                fs::remove_file(&file).unwrap();
                symlink(target, &file).unwrap();
            }),
            ("a file more", &|| {
                fs::write(made.join("one/y"), "").unwrap();
            }),
            ("a file beside", &|| fs::write(made.join("y"), "").unwrap()),
            ("another mode", &|| again(&made.join("many"))),
            ("another folder", &|| {
                let one = made.join("one");
                fs::rename(&one, dir.path().join("away")).unwrap();
                fs::create_dir(&one).unwrap();
            }),
            ("no folder", &|| fs::remove_dir_all(&made).unwrap()),
        ];
        for (what, deed) in deeds {
            let standing = stand(dir.path(), &store, Way::Links, false).unwrap();
            deed();
            assert!(!standing.is_as_it_was(parent.entry("with")), "{what}");
            let _ = fs::remove_dir_all(dir.path().join("away"));
        }
    }

    #[test]
    fn what_scripts_can_write_to_serves_nobody_else() {
        let (dir, store, _) = fixture();
        for way in [Way::Copies, Way::OwnCopies] {
            assert!(stand(dir.path(), &store, way, false).is_none());
        }
        assert!(stand(dir.path(), &store, Way::Links, true).is_none());
    }

    #[test]
    fn what_a_folder_leads_to_is_looked_at_again() {
        let (_dir, store, _) = fixture();
        let members = (0..10).map(|n| member(&store, &n.to_string(), &n.to_string()));
        let text = list::of(members.collect());
        let list = store.insert_bytes(text.as_bytes()).unwrap();
        let check = || with(Way::Links, &store, TO_THE_END).check(store.list(&list).unwrap());
        check().unwrap();
        let place = store.path(&Digest::of(b"7"));
        fs::remove_file(&place).unwrap();
        let error = check().unwrap_err();
        assert!(matches!(error, store::Error::Missing { .. }), "{error}");
        fs::write(&place, "8").unwrap();
        let error = check().unwrap_err();
        assert!(matches!(error, store::Error::Damaged { .. }), "{error}");
    }

    #[test]
    fn one_file_alone_is_told() {
        let (_dir, store, folder) = fixture();
        let steps = [StepName::new("one").unwrap()];
        let filler = with(Way::Links, &store, TO_THE_END);
        for number in 0..3 {
            let members = (0..number).map(|n| member(&store, &n.to_string(), ""));
            let text = list::context([("one", members.collect())]);
            let list = store.insert_bytes(text.as_bytes()).unwrap();
            let files = store.list(&list).unwrap();
            let outcome = filler.fill_by_steps(&folder, &number.to_string(), files, &steps);
            let wanted = (number == 1).then_some("one/0");
            assert_eq!(outcome.unwrap().only.as_deref(), wanted);
        }
    }

    #[test]
    fn what_is_gone_or_no_list_is_told() {
        let (_dir, store, folder) = fixture();
        let file = Entry {
            kind: Kind::File,
            digest: Digest::of(b"gone"),
            name: "x".into(),
        };
        for way in WAYS {
            let filler = with(way, &store, TO_THE_END);
            let outcome = filler.fill(&folder, &format!("{way:?}"), [Ok(file.clone())]);
            let error = outcome.unwrap_err();
            assert!(matches!(error, store::Error::Missing { .. }), "{error}");
        }
        let no_list = store.insert_bytes(b"x").unwrap();
        let error = store.list(&no_list).unwrap_err();
        assert!(error.to_string().contains("list of files"), "{error}");
    }

    #[test]
    fn among_many_one_that_is_gone_or_another_is_told() {
        let (_dir, store, folder) = fixture();
        let members = (0..10).map(|n| member(&store, &n.to_string(), &n.to_string()));
        let text = list::of(members.collect());
        let list = store.insert_bytes(text.as_bytes()).unwrap();
        let place = store.path(&Digest::of(b"7"));
        fs::remove_file(&place).unwrap();
        let filler = with(Way::Links, &store, TO_THE_END);
        let fill = |name: &str| filler.fill(&folder, name, store.list(&list).unwrap());
        let error = fill("gone").unwrap_err();
        assert!(matches!(error, store::Error::Missing { .. }), "{error}");
        for (name, other) in [("other", "8"), ("none", ""), ("more", "77")] {
            fs::write(&place, other).unwrap();
            let error = fill(name).unwrap_err();
            assert!(matches!(error, store::Error::Damaged { .. }), "{error}");
        }
        fs::remove_file(&place).unwrap();
        fs::create_dir(&place).unwrap();
        let error = fill("folder").unwrap_err();
        assert!(matches!(error, store::Error::NotAFile { .. }), "{error}");
    }

    #[test]
    fn it_ends_if_it_is_not_wanted_any_more() {
        let (dir, store, folder) = fixture();
        let members = (0..100).map(|n| member(&store, &n.to_string(), &n.to_string()));
        let text = list::of(members.collect());
        let list = store.insert_bytes(text.as_bytes()).unwrap();
        let asked = AtomicUsize::new(0);
        let go_on = || {
            if asked.fetch_add(1, Ordering::Relaxed) < 7 {
                return Ok(());
            }
            Err(io::ErrorKind::Interrupted.into())
        };
        let filler = with(Way::Links, &store, &go_on);
        let outcome = filler.fill(&folder, "in", store.list(&list).unwrap());
        assert!(
            matches!(outcome, Err(store::Error::Io { .. })),
            "{outcome:?}"
        );
        assert_eq!(count(&dir.path().join("in")), 7);
    }
}
