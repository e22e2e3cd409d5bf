//! What a task gets for its input: `INPUT_FILE`, and where it is a list of files, those in
//! `INPUT_DIR`; and what other steps left, in `WITH_DIR`.

use std::io::{self, Read as _};
use std::path::Path;

use crate::folder::{self, Folder};
use crate::model::digest::Digest;
use crate::model::list::{Form, List};
use crate::model::name::StepName;
use crate::model::tree::{Entry, Kind};
use crate::store::{self, Loan, Reader};

/// An input, taken apart.
#[derive(Debug)]
pub(crate) struct Given {
    /// What is `INPUT_FILE`.
    pub main: Digest,
    /// Whether that is a folder.
    pub folder: bool,
    /// What is in `INPUT_DIR`.
    pub files: Vec<Entry>,
}

impl Given {
    /// Of the object `input`; a list is read.
    pub(crate) fn of(store: &Reader, input: &Digest, form: Form) -> Result<Self, store::Error> {
        match form {
            Form::File | Form::Folder => Ok(Self {
                main: *input,
                folder: form == Form::Folder,
                files: Vec::new(),
            }),
            Form::List => {
                let (bytes, none) = read_list(store, input, u64::MAX)?;
                let list = List::read(&bytes).ok_or(none)?;
                Ok(Self {
                    main: list.main.unwrap_or(*input),
                    folder: false,
                    files: list.files,
                })
            }
        }
    }

    /// The same for one who does not ask for `INPUT_DIR`: a list may be long, and is not read.
    pub(super) fn without_files(
        store: &Reader,
        input: &Digest,
        form: Form,
    ) -> Result<Self, store::Error> {
        match form {
            Form::File | Form::Folder => Self::of(store, input, form),
            Form::List => {
                let (bytes, none) = read_list(store, input, BEGINNING)?;
                let main = List::main_of(&bytes).ok_or(none)?;
                Ok(Self {
                    main: main.unwrap_or(*input),
                    folder: false,
                    files: Vec::new(),
                })
            }
        }
    }
}

/// Bytes of a list that have its first entry in them, if the name of that is empty.
const BEGINNING: u64 = 256;

/// What is in a list, `most` bytes of it, and the error to be told if that is none.
fn read_list(
    store: &Reader,
    list: &Digest,
    most: u64,
) -> Result<(Vec<u8>, store::Error), store::Error> {
    let failed = |source| store::Error::Io {
        action: "read the list of files",
        path: store.path(list),
        source,
    };
    let mut bytes = Vec::new();
    let object = store.open_verified(list)?;
    let read = object.take(most).read_to_end(&mut bytes);
    read.map_err(failed)?;
    let none = io::Error::new(io::ErrorKind::InvalidData, "it is none");
    Ok((bytes, failed(none)))
}

/// Makes the folder `name` with one in it for each of these steps, in which is what the step left, of these
/// files.
pub(super) fn fill_with_steps(
    store: &Reader,
    parent: &Folder,
    name: &str,
    mut files: Vec<Entry>,
    steps: &[StepName],
) -> Result<Vec<Loan>, store::Error> {
    let place = parent.entry(name);
    let folder = parent.make(name);
    let folder = folder.map_err(store::io_error("make the folder", place))?;
    let mut loans = Vec::new();
    for step in steps {
        let of_step = |file: &Entry| {
            let rest = file.name.strip_prefix(step.as_str());
            rest.and_then(|rest| rest.strip_prefix('/')).map(Box::from)
        };
        let own: Vec<Entry> = files
            .extract_if(.., |file| of_step(file).is_some())
            .collect();
        let own = own.into_iter().map(|file| Entry {
            name: of_step(&file).unwrap_or_default(),
            ..file
        });
        let own: Vec<Entry> = own.collect();
        loans.extend(fill(store, &folder, step.as_str(), &own)?);
    }
    Ok(loans)
}

/// The same in a folder that nobody else knows of yet.
pub(crate) fn fill_with_steps_in(
    store: &Reader,
    parent: &Path,
    name: &str,
    files: Vec<Entry>,
    steps: &[StepName],
) -> Result<(), store::Error> {
    let opened = Folder::open(parent);
    let opened = opened.map_err(store::io_error("open the folder", parent))?;
    fill_with_steps(store, &opened, name, files, steps).map(drop)
}

/// Makes the folder `name` with these files in it. They are links to the objects, which nobody may
/// write to; root may, and gets copies. Of folders everybody gets copies: what is in them can be executed
/// and links lead from one to another. What is lent is
/// a link in any case.
pub(super) fn fill(
    store: &Reader,
    parent: &Folder,
    name: &str,
    files: &[Entry],
) -> Result<Vec<Loan>, store::Error> {
    let root = rustix::process::geteuid().is_root();
    let way = if root { Way::Copies } else { Way::Links };
    fill_with(store, parent, name, files, way)
}

/// The same in a folder that nobody else knows of yet, for somebody who may do with them whatever comes to
/// mind: all are copies.
pub(crate) fn fill_in(
    store: &Reader,
    parent: &Path,
    name: &str,
    files: &[Entry],
) -> Result<(), store::Error> {
    let opened = Folder::open(parent);
    let opened = opened.map_err(store::io_error("open the folder", parent))?;
    fill_with(store, &opened, name, files, Way::OwnCopies).map(drop)
}

/// Makes a copy, in a folder that nobody else knows of yet; of what is lent, too.
pub(crate) fn copy_in(
    store: &Reader,
    parent: &Path,
    name: &str,
    file: &Digest,
) -> Result<(), store::Error> {
    let opened = Folder::open(parent);
    let opened = opened.map_err(store::io_error("open the folder", parent))?;
    copy(store, file, opened.entry(name))
}

fn copy(store: &Reader, file: &Digest, entry: folder::Entry) -> Result<(), store::Error> {
    let mut object = store.open_verified(file)?;
    let mut copy = entry.create().map_err(store::io_error("make", entry))?;
    let copied = io::copy(&mut object, &mut copy);
    copied
        .map(drop)
        .map_err(store::io_error("copy an input to", entry))
}

/// Makes the folder that an object stands for in one that nobody else knows of yet.
pub(crate) fn unfold_in(
    store: &Reader,
    parent: &Path,
    name: &str,
    tree: &Digest,
) -> Result<(), store::Error> {
    let opened = Folder::open(parent);
    let opened = opened.map_err(store::io_error("open the folder", parent))?;
    store.unfold(tree, &opened, name).map(drop)
}

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

fn fill_with(
    store: &Reader,
    parent: &Folder,
    name: &str,
    files: &[Entry],
    way: Way,
) -> Result<Vec<Loan>, store::Error> {
    let place = parent.entry(name);
    let folder = parent.make(name);
    let folder = folder.map_err(store::io_error("make the folder", place))?;
    let mut loans = Vec::new();
    for file in files {
        let entry = folder.entry(&*file.name);
        if file.kind == Kind::Folder {
            store.unfold(&file.digest, &folder, &file.name)?;
            continue;
        }
        if way == Way::OwnCopies {
            copy(store, &file.digest, entry)?;
            continue;
        }
        if let Some(loan) = store.borrow(&file.digest)? {
            let linked = entry.lead_to(loan.path());
            linked.map_err(store::io_error("make the link", entry))?;
            loans.push(loan);
            continue;
        }
        if way == Way::Copies {
            store.copy_new(&file.digest, entry)?;
            continue;
        }
        store.open_verified(&file.digest)?;
        // Scripts go to other folders.
        let object = std::path::absolute(store.path(&file.digest));
        let linked = object.and_then(|object| entry.lead_to(&object));
        linked.map_err(store::io_error("make the link", entry))?;
    }
    Ok(loans)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::model::list;
    use crate::store::Store;

    fn fixture() -> (tempfile::TempDir, Store, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("objects"), dir.path()).unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        (dir, store, folder)
    }

    #[test]
    fn a_row_comes_with_its_files() {
        let (dir, store, folder) = fixture();
        let [row, one] = ["row", "one"].map(|text| store.insert_bytes(text.as_bytes()).unwrap());
        let text = list::with_main(row, [("fastq_1".into(), one)]);
        let input = store.insert_bytes(text.as_bytes()).unwrap();
        let given = Given::of(&store, &input, Form::List).unwrap();
        assert_eq!(given.main, row);
        let without = Given::without_files(&store, &input, Form::List).unwrap();
        assert_eq!((without.main, without.files.len()), (row, 0));
        // The same bytes as a file are nothing but a file.
        let file = Given::of(&store, &input, Form::File).unwrap();
        assert_eq!((file.main, file.files.len()), (input, 0));
        for way in [Way::Links, Way::Copies, Way::OwnCopies] {
            let name = &format!("{way:?}");
            fill_with(&store, &folder, name, &given.files, way).unwrap();
            let path = dir.path().join(name).join("fastq_1");
            assert_eq!(fs::read(&path).unwrap(), b"one");
            assert_eq!(path.is_symlink(), way == Way::Links);
            assert_eq!(fs::read_dir(dir.path().join(name)).unwrap().count(), 1);
        }
        for name in ["Copies/fastq_1", "OwnCopies/fastq_1"] {
            fs::write(dir.path().join(name), "other").unwrap();
        }
        assert_eq!(fs::read(store.path(&one)).unwrap(), b"one");
    }

    #[test]
    fn what_steps_left_is_in_folders_of_theirs() {
        let (dir, store, folder) = fixture();
        let member = |text: &str| list::Member {
            name: "x".into(),
            key: text.into(),
            digest: store.insert_bytes(text.as_bytes()).unwrap(),
            form: Form::File,
        };
        let left = [
            ("index", vec![member("1"), member("2")]),
            ("index 2", vec![member("3")]),
        ];
        let list = store.insert_bytes(list::context(left).as_bytes()).unwrap();
        let steps = ["index", "index 2", "none"].map(|name| StepName::new(name).unwrap());
        let given = Given::of(&store, &list, Form::List).unwrap();
        fill_with_steps(&store, &folder, "with", given.files, &steps).unwrap();
        let read = |path: &str| fs::read(dir.path().join("with").join(path)).unwrap();
        assert_eq!(
            [read("index/1_x"), read("index/2_x"), read("index 2/x")],
            [b"1", b"2", b"3"]
        );
        let none = fs::read_dir(dir.path().join("with/none")).unwrap();
        assert_eq!(none.count(), 0);
    }

    #[test]
    fn what_was_brought_together_is_told_by_its_list() {
        let (_dir, store, _) = fixture();
        let member = list::Member {
            name: "x".into(),
            key: "".into(),
            digest: Digest::of(b"x"),
            form: Form::File,
        };
        let input = store
            .insert_bytes(list::of(vec![member]).as_bytes())
            .unwrap();
        let given = Given::of(&store, &input, Form::List).unwrap();
        assert_eq!((given.main, given.files.len()), (input, 1));
        let without = Given::without_files(&store, &input, Form::List).unwrap();
        assert_eq!((without.main, without.files.len()), (input, 0));
    }

    #[test]
    fn what_is_gone_or_no_list_is_told() {
        let (_dir, store, folder) = fixture();
        let file = Entry {
            kind: Kind::File,
            digest: Digest::of(b"gone"),
            name: "x".into(),
        };
        for way in [Way::Links, Way::Copies, Way::OwnCopies] {
            let name = &format!("{way:?}");
            let files = std::slice::from_ref(&file);
            let error = fill_with(&store, &folder, name, files, way).unwrap_err();
            assert!(matches!(error, store::Error::Missing { .. }), "{error}");
        }
        let no_list = store.insert_bytes(b"x").unwrap();
        let error = Given::of(&store, &no_list, Form::List).unwrap_err();
        assert!(error.to_string().contains("list of files"), "{error}");
    }
}
