//! What the folder of a run tells the next one, should this one be killed: which processes are its
//! own. Their variables name files in it, and they write to pipes whose inodes are noted in it. So is the
//! control group that it divided.
//!
//! Nothing is noted for a single task.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use crate::folder::{Folder, shown};
use crate::process::Pipes;
use crate::store::is_of_run;
use crate::sys::{self, Marks};

/// Variables of a task that name something in the folder.
const VARIABLES: &[&str] = &["INPUT_FILE", "OUTPUT_DIR", "TMPDIR"];

/// Begins the notes of a folder.
pub(crate) fn begin(folder: &Folder) -> io::Result<()> {
    let mut file = folder.entry(SIGNATURE).create()?;
    file.write_all(signature(folder)?.as_bytes())
}

/// Notes pipes that tasks are to write to.
pub(crate) fn add(folder: &Folder, pipes: &Pipes) -> io::Result<()> {
    let [out, err] = pipes.inodes()?;
    folder.entry(&format!("{PIPES}{out}-{err}")).create()?;
    Ok(())
}

/// Notes the control group that this run divides.
pub(super) fn add_group(folder: &Folder, group: &Path) -> io::Result<()> {
    let mut file = folder.entry(GROUP).create()?;
    file.write_all(group.as_os_str().as_bytes())
}

/// The control groups that runs divided which have a folder in one of these.
pub(super) fn groups(parents: &[&Path]) -> Vec<PathBuf> {
    let mut groups = Vec::new();
    of_each_run(parents, |folder| {
        let mut path = Vec::new();
        if is_signed(folder).unwrap_or_default()
            && let Ok(file) = folder.entry(GROUP).open()
            && file.take(LONGEST).read_to_end(&mut path).is_ok()
        {
            groups.push(OsString::from_vec(path).into());
        }
    });
    groups
}

/// By what the processes are known of all runs that have a folder in one of these; none if no run
/// has.
pub(crate) fn read(parents: &[&Path]) -> Option<Marks> {
    let mut marks = Marks {
        variables: VARIABLES,
        ..Marks::default()
    };
    of_each_run(parents, |folder| {
        marks.pipes.extend(pipes(folder).unwrap_or_default());
        marks.folders.push(folder.path().to_owned());
    });
    (!marks.folders.is_empty()).then_some(marks)
}

/// Calls this with the folder of each run in these.
fn of_each_run(parents: &[&Path], mut each: impl FnMut(&Folder)) {
    // A link could lead to the runs of another db.
    for parent in parents.iter().filter_map(|path| Folder::open(path).ok()) {
        let names = parent.names().into_iter().flatten().flatten();
        for name in names.filter(|name| is_of_run(shown(name.file_name()))) {
            if let Ok(folder) = parent.entry(shown(name.file_name())).open_folder() {
                each(&folder);
            }
        }
    }
}

/// By what the processes of one run are known while it goes on.
pub(crate) fn of(folder: &Folder) -> Marks {
    Marks {
        variables: VARIABLES,
        folders: vec![folder.path().to_owned()],
        pipes: pipes(folder).unwrap_or_default(),
    }
}

const SIGNATURE: &str = "run";
const PIPES: &str = "pipes-";
const GROUP: &str = "group";
/// The most bytes that are read of what a script may have put anything in the place of.
const LONGEST: u64 = 4096;

/// By what a folder is known to be this one and no copy, and its notes to be of this boot.
fn signature(folder: &Folder) -> io::Result<String> {
    let identity = folder.look()?.identity;
    let boot = sys::boot_id().unwrap_or_default();
    Ok(format!("{boot} {identity:?}"))
}

/// Whether the notes were made in this folder, since the machine was started.
fn is_signed(folder: &Folder) -> io::Result<bool> {
    let mut signed = String::new();
    let file = folder.entry(SIGNATURE).open()?;
    file.take(LONGEST).read_to_string(&mut signed)?;
    Ok(signed == signature(folder)?)
}

fn pipes(folder: &Folder) -> io::Result<Vec<u64>> {
    if !is_signed(folder)? {
        return Ok(Vec::new());
    }
    let mut inodes = Vec::new();
    for entry in folder.names()? {
        let entry = entry?;
        let name = entry.file_name().to_str().unwrap_or_default();
        let numbers = name.strip_prefix(PIPES).unwrap_or_default().split('-');
        inodes.extend(numbers.filter_map(|word| word.parse::<u64>().ok()));
    }
    Ok(inodes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn notes_are_of_this_folder_and_no_copy() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(&[dir.path()]).is_none());
        let folder = Folder::open(dir.path())
            .unwrap()
            .make("run-00000a")
            .unwrap();
        begin(&folder).unwrap();
        let pipes = Pipes::new().unwrap();
        add(&folder, &pipes).unwrap();
        add_group(&folder, Path::new("/sys/fs/cgroup/a")).unwrap();
        let mut expected = pipes.inodes().unwrap();
        expected.sort_unstable();
        let noted = |parent: &Path| {
            let mut marks = read(&[Path::new("/no/such/folder"), parent]).unwrap();
            marks.pipes.sort_unstable();
            (marks.folders, marks.pipes)
        };
        assert_eq!(
            noted(dir.path()),
            (vec![dir.path().join("run-00000a")], expected.to_vec())
        );

        assert_eq!(groups(&[dir.path()]), [Path::new("/sys/fs/cgroup/a")]);

        let copy = tempfile::tempdir().unwrap();
        fs::create_dir(copy.path().join("run-00000a")).unwrap();
        for entry in fs::read_dir(dir.path().join("run-00000a")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(
                entry.path(),
                copy.path().join("run-00000a").join(entry.file_name()),
            )
            .unwrap();
        }
        assert_eq!(
            noted(copy.path()),
            (vec![copy.path().join("run-00000a")], Vec::new())
        );
        assert!(groups(&[copy.path()]).is_empty());
    }
}
