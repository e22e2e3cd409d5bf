//! Final outputs as files in a folder.
//!
//! A file has the name under which the task left it. Where final outputs of one name differ in
//! their bytes, the first eight digits of each one's hash stand before the extension
//! (`result-1a2b3c4d.txt`), whatever order they came in; equal ones are one file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::core::digest::Digest;
use crate::state::{self, Runset, State};
use crate::store::{self, Store};

/// Why nothing was exported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The destination has something in it, or is no folder.
    #[error("{} exists and is not an empty folder", .0.display())]
    Taken(PathBuf),
    /// The file system says no.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] state::Error),
    /// An object cannot be read, or a file not written.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Writes the final outputs of `runset` (none: of all) into the folder `to`, which is made; gives
/// the number of files. All or nothing: the folder appears when it is complete.
pub fn export(
    state: &State,
    store: &Store,
    runset: Option<&Runset>,
    to: &Path,
) -> Result<usize, Error> {
    let io = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io {
            doing,
            path,
            source,
        }
    };
    if to.symlink_metadata().is_ok() && !is_empty_folder(to) {
        return Err(Error::Taken(to.to_owned()));
    }
    let parent = match to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).map_err(io("make the folder", parent))?;
    let making = tempfile::Builder::new()
        .prefix(".export-")
        .tempdir_in(parent)
        .map_err(io("make a folder in", parent))?;
    // Not the temporary folder itself, which only its owner may enter.
    let complete = making.path().join("files");
    fs::create_dir(&complete).map_err(io("make the folder", &complete))?;
    let mut count = 0;
    state.each_final(runset, |output| {
        let name = if output.clashes {
            apart(&output.name, &output.object)
        } else {
            output.name
        };
        store.copy_out(&output.object, &complete.join(name))?;
        count += 1;
        Ok::<(), Error>(())
    })?;
    fs::rename(&complete, to).map_err(io("rename the finished folder to", to))?;
    Ok(count)
}

fn is_empty_folder(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

/// `result.txt` → `result-1a2b3c4d.txt`.
fn apart(name: &str, object: &Digest) -> String {
    let hex = object.hex();
    let (stem, extension) = match name.rfind('.') {
        Some(dot) if dot > 0 => name.split_at(dot),
        _ => (name, ""),
    };
    format!("{stem}-{}{extension}", &hex[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A db with these final outputs in one runset each: runset, name, bytes.
    fn db(folder: &Path, finals: &[(&str, &str, &str)]) -> (State, Store) {
        let (mut state, _lock, _) = State::open(folder).unwrap();
        let layout = state::Layout::new(folder);
        let store = Store::open(&layout.objects(), &layout.scratch()).unwrap();
        fs::create_dir_all(layout.scratch()).unwrap();
        for (name, file, bytes) in finals {
            let runset = match state.runset(name).unwrap() {
                Some(runset) => runset,
                None => state.create_runset(name, 0).unwrap(),
            };
            let task = state::NewTask {
                object: store.put(bytes.as_bytes()).unwrap(),
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
        let runset = state.runset("one").unwrap().unwrap();
        let to = dir.path().join("new/out");
        assert_eq!(export(&state, &store, Some(&runset), &to).unwrap(), 3);
        let name = |bytes: &str| format!("other-{}.txt", &Digest::of(bytes.as_bytes()).hex()[..8]);
        let mut expected = vec![
            (name("1"), "1".to_owned()),
            (name("2"), "2".to_owned()),
            ("same.txt".to_owned(), "s".to_owned()),
        ];
        expected.sort();
        assert_eq!(files(&to), expected);

        let all = dir.path().join("all");
        assert_eq!(export(&state, &store, None, &all).unwrap(), 4);
    }

    #[test]
    fn nothing_is_overwritten_and_nothing_left_half_written() {
        let dir = tempfile::tempdir().unwrap();
        let (state, store) = db(&dir.path().join("db"), &[("r", "a", "x"), ("r", "b", "y")]);
        let to = dir.path().join("out");
        fs::create_dir(&to).unwrap();
        assert_eq!(export(&state, &store, None, &to).unwrap(), 2);
        assert!(matches!(
            export(&state, &store, None, &to),
            Err(Error::Taken(_))
        ));

        fs::remove_file(store.path(&Digest::of(b"y"))).unwrap();
        let broken = dir.path().join("broken");
        assert!(matches!(
            export(&state, &store, None, &broken),
            Err(Error::Store(_))
        ));
        let mut left: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["db", "out"]);
    }

    #[test]
    fn a_name_that_clashes_keeps_its_extension() {
        let hex = &Digest::EMPTY.hex()[..8];
        assert_eq!(apart("a.txt", &Digest::EMPTY), format!("a-{hex}.txt"));
        assert_eq!(apart("a.tar.gz", &Digest::EMPTY), format!("a.tar-{hex}.gz"));
        assert_eq!(apart("a", &Digest::EMPTY), format!("a-{hex}"));
        assert_eq!(apart(".a", &Digest::EMPTY), format!(".a-{hex}"));
    }
}
