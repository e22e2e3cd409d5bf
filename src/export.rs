//! Outputs as files in a folder, or in one tar.
//!
//! A file has the name under which the task left it. Where outputs of one name differ in their
//! bytes, the first eight digits of each one's hash stand before the extension
//! (`result-1a2b3c4d.txt`), whatever order they came in; equal ones are one file.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::folder::Folder;
use crate::model::digest::Digest;
use crate::staged::{Own, Staged};
use crate::state::{self, Final, Reader, Selection};
use crate::store;
use crate::sys::Identity;
use crate::text::{Shown as _, quoted};

/// Why nothing was exported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The destination is there and is no folder.
    #[error("{} is not a folder", .0.shown())]
    NotAFolder(PathBuf),
    /// A file of that name is there already.
    #[error("{} exists already", .0.shown())]
    Taken(PathBuf),
    /// What the program keeps for itself is there.
    #[error("cannot write to {}: {what} is there, which the program keeps for itself", path.shown())]
    Own {
        /// The place.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// A folder stands where a file is to be.
    #[error("{} is a folder, and an output has that name", .0.shown())]
    Folder(PathBuf),
    /// What tells two outputs apart makes a name that a third one has.
    #[error("two outputs would be called {}", quoted(.0))]
    Twice(String),
    /// The file system says no.
    #[error("cannot {doing} {}: {source}", path.shown())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The archive could not be written.
    #[error("cannot write the archive: {0}")]
    Archive(io::Error),
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] state::Error),
    /// An object cannot be read, or a file not written.
    #[error(transparent)]
    Store(#[from] store::Error),
}

fn io_error<'p>(doing: &'static str, path: &'p Path) -> impl FnOnce(io::Error) -> Error + 'p {
    move |source| Error::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}

/// What was written into a folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Exported {
    /// How many files.
    pub count: usize,
    /// Other files that were there and stay, by name: an earlier export may have left them.
    pub others: Vec<String>,
}

/// Writes the selected outputs into the folder `to`, which is made if it is not there. A folder that is not there yet appears when it is complete. In one that is,
/// files appear one after the other, each complete, once all have been written beside them; with
/// `force` they take the place of files of the same name, without it nothing is written if there
/// is one.
pub(crate) fn export(
    state: &Reader,
    store: &store::Reader,
    selection: &Selection,
    to: &Path,
    force: bool,
    own: &Own,
) -> Result<Exported, Error> {
    let exists = to.is_dir();
    if !exists && to.symlink_metadata().is_ok() {
        return Err(Error::NotAFolder(to.to_owned()));
    }
    let beside = match to.parent() {
        _ if exists => to,
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if exists {
        state.each_final(selection, |output| room(to, &file_name(output), force, own))?;
    }
    fs::create_dir_all(beside).map_err(io_error("make the folder", beside))?;
    let making = Staged::folder(beside, "export").map_err(io_error("make a folder in", beside))?;
    // Not that folder itself, which only its owner may enter.
    let complete = making.path().join("files");
    let folder = Folder::open(making.path())
        .and_then(|folder| folder.make("files"))
        .map_err(io_error("make the folder", &complete))?;
    let mut names = Vec::new();
    state.each_final(selection, |output| {
        let object = output.object;
        let name = file_name(output);
        match store.copy_new(&object, folder.entry(&name)) {
            Err(error) if error.is_taken() => return Err(Error::Twice(name)),
            // Where it is made is nothing to the user.
            Err(store::Error::Io { path, source, .. }) if path.starts_with(making.path()) => {
                return Err(io_error("write", &to.join(name))(source));
            }
            other => other?,
        };
        names.push(name);
        Ok::<(), Error>(())
    })?;
    let mut others = Vec::new();
    if exists {
        for name in &names {
            let place = to.join(name);
            room(to, name, force, own)?;
            making
                .release(&complete.join(name), &place)
                .map_err(io_error("write", &place))?;
        }
        others = files_beside(to, &names);
    } else {
        making
            .release(&complete, to)
            .map_err(io_error("rename the finished folder to", to))?;
    }
    Ok(Exported {
        count: names.len(),
        others,
    })
}

/// Files in the folder of other names, sorted; hidden ones and what cannot be read count for nothing.
fn files_beside(folder: &Path, names: &[String]) -> Vec<String> {
    let known: HashSet<&str> = names.iter().map(String::as_str).collect();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let mut others: Vec<String> = files
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && !known.contains(name.as_str()))
        .collect();
    others.sort_unstable();
    others
}

/// Whether a file may be put there.
fn room(to: &Path, name: &str, force: bool, own: &Own) -> Result<(), Error> {
    let path = &to.join(name);
    let found = path.symlink_metadata();
    let identity = found.as_ref().ok().map(Identity::of);
    if let Some(what) = own.in_folder(to, name.as_ref(), identity) {
        let path = path.to_owned();
        return Err(Error::Own { path, what });
    }
    match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io_error("look at", path)(error)),
        Ok(metadata) if metadata.is_dir() => Err(Error::Folder(path.to_owned())),
        Ok(_) if force => Ok(()),
        Ok(_) => Err(Error::Taken(path.to_owned())),
    }
}

/// Writes the selected outputs as a tar; gives the number of files. The same outputs give the same
/// bytes: no times, no owners.
pub(crate) fn archive(
    state: &Reader,
    store: &store::Reader,
    selection: &Selection,
    out: &mut dyn Write,
) -> Result<usize, Error> {
    // What was written cannot be taken back: all objects must be there before it begins.
    state.each_final(selection, |output| {
        Ok::<(), Error>(store.find(&output.object)?)
    })?;
    let mut archive = tar::Builder::new(out);
    let mut count = 0;
    state.each_final(selection, |output| {
        let file = store.open_verified(&output.object)?;
        let path = store.path(&output.object);
        let metadata = file.metadata().map_err(io_error("look at", &path))?;
        let mut header = tar::Header::new_gnu();
        header.set_size(metadata.len());
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        archive
            .append_data(&mut header, file_name(output), file)
            .map_err(Error::Archive)?;
        count += 1;
        Ok::<(), Error>(())
    })?;
    let out = archive.into_inner().map_err(Error::Archive)?;
    out.flush().map_err(Error::Archive)?;
    Ok(count)
}

/// The name that an output gets.
fn file_name(output: Final) -> String {
    if output.clashes {
        apart(&output.name, &output.object)
    } else {
        output.name.into()
    }
}

/// The longest name of a file, in bytes.
const LONGEST: usize = 255;

/// `result.txt` → `result-1a2b3c4d.txt`.
fn apart(name: &str, object: &Digest) -> String {
    let hex = object.hex();
    let (stem, extension) = match name.rfind('.') {
        Some(dot) if dot > 0 => name.split_at(dot),
        _ => (name, ""),
    };
    let mark = &hex[..8];
    // A file system has no room for a longer name.
    let room = LONGEST.saturating_sub(mark.len() + 1);
    let extension = &extension[..extension.floor_char_boundary(room)];
    let stem = &stem[..stem.floor_char_boundary(room - extension.len())];
    format!("{stem}-{mark}{extension}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::State;
    use crate::store::Store;

    /// A db with these final outputs in one runset each: runset, name, bytes.
    fn db(folder: &Path, finals: &[(&str, &str, &str)]) -> (State, Store) {
        let (mut state, _lock, _) = State::open(folder).unwrap();
        let layout = state::Layout::new(folder);
        fs::create_dir_all(layout.scratch()).unwrap();
        let store = Store::open(&layout.objects(), &layout.scratch()).unwrap();
        for (name, file, bytes) in finals {
            let runset = match state.runset(name).unwrap() {
                Some(runset) => runset,
                None => state.create_runset(name, 0).unwrap(),
            };
            let task = state::NewTask {
                object: store.insert_bytes(bytes.as_bytes()).unwrap(),
                step: None,
                parent: None,
                name: Some(file),
                forced: false,
            };
            state.insert_task(&runset, &task).unwrap();
        }
        state.commit().unwrap();
        (state, store)
    }

    fn files(folder: &Path) -> Vec<(String, String)> {
        let mut files: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let bytes = fs::read_to_string(entry.path()).unwrap();
                (entry.file_name().into_string().unwrap(), bytes)
            })
            .collect();
        files.sort();
        files
    }

    #[test]
    fn equal_outputs_are_one_file_and_different_ones_of_a_name_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let finals = [
            ("one", "same.txt", "s"),
            ("one", "same.txt", "s"),
            ("one", "other.txt", "1"),
            ("one", "other.txt", "2"),
            ("two", "same.txt", "later"),
        ];
        let (state, store) = db(&dir.path().join("db"), &finals);
        let one = Selection {
            runset: state.runset("one").unwrap(),
            ..Selection::default()
        };
        let to = dir.path().join("new/out");
        assert_eq!(
            export(&state, &store, &one, &to, false, &Own::default())
                .unwrap()
                .count,
            3
        );
        let name = |bytes: &str| format!("other-{}.txt", &Digest::of(bytes.as_bytes()).hex()[..8]);
        let mut expected = vec![
            (name("1"), "1".to_owned()),
            (name("2"), "2".to_owned()),
            ("same.txt".to_owned(), "s".to_owned()),
        ];
        expected.sort();
        assert_eq!(files(&to), expected);

        let all = dir.path().join("all");
        assert_eq!(
            export(
                &state,
                &store,
                &Selection::default(),
                &all,
                false,
                &Own::default()
            )
            .unwrap()
            .count,
            4
        );
    }

    #[test]
    fn no_output_takes_the_place_of_another() {
        let dir = tempfile::tempdir().unwrap();
        let third = format!("a-{}.txt", &Digest::of(b"1").hex()[..8]);
        let finals = [("r", "a.txt", "1"), ("r", "a.txt", "2"), ("r", &third, "3")];
        let (state, store) = db(&dir.path().join("db"), &finals);
        let to = dir.path().join("out");
        let refused = export(
            &state,
            &store,
            &Selection::default(),
            &to,
            false,
            &Own::default(),
        );
        assert!(matches!(refused, Err(Error::Twice(name)) if name == third));
        assert!(!to.exists());
    }

    #[test]
    fn nothing_is_overwritten_and_nothing_left_half_written() {
        let dir = tempfile::tempdir().unwrap();
        let (state, store) = db(&dir.path().join("db"), &[("r", "a", "x"), ("r", "b", "y")]);
        let export = |to: &Path, force| {
            export(
                &state,
                &store,
                &Selection::default(),
                to,
                force,
                &Own::default(),
            )
        };
        let to = dir.path().join("out");
        fs::create_dir(&to).unwrap();
        fs::write(to.join("mine"), "kept").unwrap();
        assert_eq!(export(&to, false).unwrap().count, 2);
        fs::remove_file(to.join("a")).unwrap();
        fs::write(to.join("b"), "changed").unwrap();
        assert!(matches!(export(&to, false), Err(Error::Taken(path)) if path == to.join("b")));
        let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        assert_eq!(files(&to), [file("b", "changed"), file("mine", "kept")]);
        fs::write(to.join("other"), "").unwrap();
        fs::write(to.join(".hidden"), "").unwrap();
        let again = export(&to, true).unwrap();
        assert_eq!(
            (again.count, again.others),
            (2, vec!["mine".to_owned(), "other".to_owned()])
        );
        fs::remove_file(to.join("other")).unwrap();
        fs::remove_file(to.join(".hidden")).unwrap();
        let all = [file("a", "x"), file("b", "y"), file("mine", "kept")];
        assert_eq!(files(&to), all);
        assert!(matches!(
            export(&to.join("a"), true),
            Err(Error::NotAFolder(_))
        ));

        fs::remove_file(store.path(&Digest::of(b"y"))).unwrap();
        let broken = dir.path().join("broken");
        assert!(matches!(export(&broken, false), Err(Error::Store(_))));
        assert!(matches!(export(&to, true), Err(Error::Store(_))));
        assert_eq!(files(&to), all);
        let mut left: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["db", "out"]);
        let mut archived = Vec::new();
        assert!(archive(&state, &store, &Selection::default(), &mut archived).is_err());
        assert!(archived.is_empty());
    }

    #[test]
    fn an_archive_has_each_file_with_its_name_and_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let long = "é".repeat(127);
        let finals = [
            ("r", "a", "x"),
            ("r", "c", "1"),
            ("r", "c", "2"),
            ("r", &long, "l"),
        ];
        let (state, store) = db(&dir.path().join("db"), &finals);
        let mut bytes = Vec::new();
        let selection = Selection {
            names: vec!["a".to_owned(), long.clone()],
            ..Selection::default()
        };
        assert_eq!(archive(&state, &store, &selection, &mut bytes).unwrap(), 2);
        let mut read = tar::Archive::new(bytes.as_slice());
        let entries: Vec<(String, String)> = read
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let name = entry.path().unwrap().to_str().unwrap().to_owned();
                (name, io::read_to_string(&mut entry).unwrap())
            })
            .collect();
        assert_eq!(
            entries,
            [("a".to_owned(), "x".to_owned()), (long, "l".to_owned())]
        );
    }

    #[test]
    fn a_name_that_clashes_keeps_its_extension() {
        let hex = &Digest::EMPTY.hex()[..8];
        assert_eq!(apart("a.txt", &Digest::EMPTY), format!("a-{hex}.txt"));
        assert_eq!(apart("a.tar.gz", &Digest::EMPTY), format!("a.tar-{hex}.gz"));
        assert_eq!(apart("a", &Digest::EMPTY), format!("a-{hex}"));
        assert_eq!(apart(".a", &Digest::EMPTY), format!(".a-{hex}"));
        let long = format!("{}.txt", "é".repeat(125));
        let short = format!("{}-{hex}.txt", "é".repeat(121));
        assert_eq!(apart(&long, &Digest::EMPTY), short);
        let extension = format!("a.{}", "x".repeat(253));
        assert!(apart(&extension, &Digest::EMPTY).len() == LONGEST);
    }
}
