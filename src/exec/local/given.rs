//! What a task gets for its input: `INPUT_FILE`, and where it is a list of files, those in
//! `INPUT_DIR`; and what other steps left, in `WITH_DIR`.

mod fill;
mod standing;

use std::io::{self, Read as _};
use std::path::Path;

pub(super) use fill::{Filler, Leads};
pub(super) use standing::Standing;

use crate::folder::Folder;
use crate::model::digest::Digest;
use crate::model::list::{Form, List};
use crate::model::name::StepName;
use crate::model::tree::Entry;
use crate::store::{self, GoOn, Reader};

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

    /// The same without what is in `INPUT_DIR`: a list may be long, and is not read.
    pub(in crate::exec) fn without_files(
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
/// files; all in a folder that nobody else knows of yet.
pub(crate) fn fill_with_steps_in(
    store: &Reader,
    parent: &Path,
    name: &str,
    files: Vec<Entry>,
    steps: &[StepName],
    go_on: GoOn,
) -> Result<(), store::Error> {
    let filler = Filler::for_anything(store, go_on);
    let files = files.into_iter().map(Ok);
    filler.fill_by_steps(&open(parent)?, name, files, steps)?;
    Ok(())
}

/// The same with these files themselves, for somebody who may do with them whatever comes to mind.
pub(crate) fn fill_in(
    store: &Reader,
    parent: &Path,
    name: &str,
    files: Vec<Entry>,
    go_on: GoOn,
) -> Result<(), store::Error> {
    let files = files.into_iter().map(Ok);
    Filler::for_anything(store, go_on).fill(&open(parent)?, name, files)?;
    Ok(())
}

/// Makes a copy, in a folder that nobody else knows of yet; of what is lent, too.
pub(crate) fn copy_in(
    store: &Reader,
    parent: &Path,
    name: &str,
    file: &Digest,
    go_on: GoOn,
) -> Result<(), store::Error> {
    fill::copy(store, file, open(parent)?.entry(name), go_on)
}

/// Makes the folder that an object stands for in one that nobody else knows of yet.
pub(crate) fn unfold_in(
    store: &Reader,
    parent: &Path,
    name: &str,
    tree: &Digest,
    go_on: GoOn,
) -> Result<(), store::Error> {
    store.unfold(tree, &open(parent)?, name, go_on).map(drop)
}

fn open(folder: &Path) -> Result<Folder, store::Error> {
    Folder::open(folder).map_err(store::io_error("open the folder", folder))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::model::list;
    use crate::store::{Store, TO_THE_END};

    fn fixture() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("objects"), dir.path()).unwrap();
        (dir, store)
    }

    #[test]
    fn a_row_comes_with_its_files() {
        let (dir, store) = fixture();
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
        let listed: Result<Vec<Entry>, _> = store.list(&input).unwrap().collect();
        assert_eq!(listed.unwrap(), given.files);
        fill_in(&store, dir.path(), "in", given.files, TO_THE_END).unwrap();
        assert_eq!(fs::read(dir.path().join("in/fastq_1")).unwrap(), b"one");
        assert_eq!(fs::read_dir(dir.path().join("in")).unwrap().count(), 1);
        copy_in(&store, dir.path(), "row", &given.main, TO_THE_END).unwrap();
        assert_eq!(fs::read(dir.path().join("row")).unwrap(), b"row");
    }

    #[test]
    fn what_was_brought_together_is_told_by_its_list() {
        let (_dir, store) = fixture();
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
    fn what_is_no_list_is_told() {
        let (_dir, store) = fixture();
        let no_list = store.insert_bytes(b"x").unwrap();
        let error = Given::of(&store, &no_list, Form::List).unwrap_err();
        assert!(error.to_string().contains("list of files"), "{error}");
        let error = Given::without_files(&store, &no_list, Form::List).unwrap_err();
        assert!(error.to_string().contains("list of files"), "{error}");
    }
}
