//! The folder of one run, for what its tasks need while they run.

pub(super) mod notes;

use std::ffi::OsStr;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;

use super::state_dir::noted;
use crate::folder::{Folder, is_self, remove_all, shown};
use crate::process::{Leftover, end_marked};
use crate::store::{self, AMONG, PROBE, is_of_run, name_of_run};
use crate::sys::{self, Orphans};

/// See the module. Dropped, the folder is gone.
#[derive(Debug)]
pub(crate) struct Scratch {
    parent: Folder,
    name: String,
    folder: Arc<Folder>,
    leftover: Leftover,
    grace: Duration,
    /// In which are what tasks of killed runs would have kept for their next try.
    rescued: Vec<Scratch>,
}

/// The most that processes of a run that is over get to end when they are asked to: nobody waits for
/// what they still do.
const GRACE: Duration = Duration::from_secs(2);

impl Scratch {
    /// Makes one, ends what killed runs left running, and removes what they left. It lies in
    /// `parent`; or, where nothing can be renamed from there to `objects`, as these are on another
    /// disk, in a folder among them. Who is asked to end has `grace` for it, or less.
    ///
    /// The caller must hold the state's lock: nothing of another run may be alive.
    pub(crate) fn new(
        parent: &Path,
        objects: &Path,
        grace: Duration,
    ) -> Result<Self, store::Error> {
        store::make(objects)?;
        // Scripts may go elsewhere with `cd`, and links are followed here once and for all.
        let objects = &fs::canonicalize(objects).map_err(store::io_error("find", objects))?;
        let parent = &std::path::absolute(parent).map_err(store::io_error("find", parent))?;
        let among = &objects.join(AMONG);
        let marks = notes::read(&[parent, among]);
        let grace = grace.min(GRACE);
        let leftover = marks.map(|marks| end_marked(&marks, grace));
        for group in notes::groups(&[parent, among]) {
            sys::give_back(&group);
        }
        let leftover = leftover.unwrap_or_default();
        let rescued: Vec<Self> = [parent, among]
            .into_iter()
            .filter_map(|parent| set_aside(parent))
            .collect();
        remove_runs(parent, &rescued);
        remove_runs(among, &rescued);
        let scratch = Self::within(parent)?;
        let objects = Folder::open(objects).map_err(store::io_error("open the folder", objects))?;
        let mut scratch = if scratch.is_beside(&objects)? {
            scratch
        } else {
            drop(scratch);
            Self::within(among)?
        };
        // Without it, the next run knows processes by their variables alone.
        let _ = notes::begin(&scratch.folder);
        scratch.leftover = leftover;
        scratch.grace = grace;
        scratch.rescued = rescued;
        Ok(scratch)
    }

    fn within(parent: &Path) -> Result<Self, store::Error> {
        store::make_folder(parent)?;
        let opened = Folder::open(parent).map_err(store::io_error("open the folder", parent))?;
        loop {
            // A name that no script of an earlier run has heard of.
            let name = name_of_run(RandomState::new().build_hasher().finish());
            // Scripts leave programs in it that may take their user's rights.
            match opened.make_closed(&name) {
                Ok(folder) => {
                    return Ok(Self {
                        parent: opened,
                        name,
                        folder: Arc::new(folder),
                        leftover: Leftover::default(),
                        grace: GRACE,
                        rescued: Vec::new(),
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(store::io_error("make a folder in", parent)(error)),
            }
        }
    }

    /// Whether files can be renamed from here to there, which is tried: disks are not all that
    /// stands between folders, but also mounts, subvolumes and quotas. That modes can be changed is
    /// tried, too, before a task fails for it.
    fn is_beside(&self, there: &Folder) -> Result<bool, store::Error> {
        let (from, to) = (self.folder.entry(PROBE), there.entry(PROBE));
        let file = from.create().map_err(store::io_error("make", from))?;
        file.set_permissions(fs::Permissions::from_mode(0o444))
            .map_err(store::io_error("change the mode of", from))?;
        match from.rename(to, false) {
            Ok(()) => to.remove().map(|()| true),
            Err(Errno::XDEV) => from.remove().map(|()| false),
            Err(error) => {
                return Err(store::Error::Place {
                    action: "write to the folder",
                    path: there.path().to_owned(),
                    source: error.into(),
                });
            }
        }
        .map_err(store::io_error("remove", to))
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Arc<Folder> {
        &self.folder
    }

    /// Notes the control group that this run divides, for the next one, should this one be killed.
    pub(crate) fn note_group(&self, group: &Path) {
        // Without it, whoever began the group has to tidy it up.
        let _ = notes::add_group(&self.folder, group);
    }

    /// Folders with what tasks of killed runs would have kept for their next try; they are gone with this.
    pub(super) fn rescued(&self) -> impl Iterator<Item = &Arc<Folder>> {
        self.rescued.iter().map(|scratch| &scratch.folder)
    }

    /// What killed runs had left running.
    pub(crate) fn leftover(&self) -> &Leftover {
        &self.leftover
    }

    /// Removes it. Processes that outlive their tasks and go on writing to it are ended.
    pub(crate) fn close(self) -> Leftover {
        let marks = notes::of(&self.folder);
        if self.is_gone() {
            return Leftover::default();
        }
        end_marked(&marks, self.grace)
    }

    /// Removes it; whether it is gone for good: what is being written to may take another go, or
    /// come again.
    fn is_gone(&self) -> bool {
        const TRIES: u32 = 4;
        const PAUSE: Duration = Duration::from_millis(50);
        let exists = || self.folder.path().exists();
        let mut gone = self.remove();
        if gone && Orphans::watch().certainly_none() {
            return true;
        }
        (0..TRIES).any(|_| {
            std::thread::sleep(PAUSE);
            let was_gone = gone && !exists();
            gone = was_gone || self.remove();
            was_gone
        })
    }

    fn remove(&self) -> bool {
        remove_all(self.parent.entry(&self.name))
    }
}

/// Ends what killed runs left running, and removes what they left, but what their tasks would have kept for their next try.
/// Makes nothing: there may be no room to.
///
/// The caller must hold the state's lock: nothing of another run may be alive.
pub(crate) fn clear_runs(parent: &Path, objects: &Path, grace: Duration) -> Leftover {
    let among = objects.join(AMONG);
    let marks = notes::read(&[parent, &among]);
    let leftover = marks.map(|marks| end_marked(&marks, grace.min(GRACE)));
    for parent in [parent, &among] {
        each_worker(parent, |worker, states| {
            for name in inner(worker).filter(|name| !states.contains(name)) {
                remove_all(worker.entry(&name));
            }
        });
    }
    leftover.unwrap_or_default()
}

/// Calls `each` with the folders of the workers of all runs in `parent`, and with the names of those in there that are what
/// a task keeps, as notes say.
fn each_worker(parent: &Path, mut each: impl FnMut(&Folder, &[String])) {
    if fs::symlink_metadata(parent).is_ok_and(|found| found.is_symlink()) {
        return;
    }
    let Ok(opened) = Folder::open(parent) else {
        return;
    };
    for run in inner(&opened).filter(|name| is_of_run(name.as_ref())) {
        let Ok(run) = opened.entry(&run).open_folder() else {
            continue;
        };
        let names: Vec<String> = inner(&run).collect();
        for worker in &names {
            if let Ok(opened) = run.entry(worker).open_folder() {
                let notes = names.iter().filter_map(|name| noted(name));
                let own = notes.filter(|(of, _)| of == worker);
                let states: Vec<String> = own.map(|(_, name)| name.to_owned()).collect();
                each(&opened, &states);
            }
        }
    }
}

/// How many folders of runs are in `parent`, and among `objects`.
pub(crate) fn count_runs(parent: &Path, objects: &Path) -> usize {
    let in_one = |parent: &Path| {
        let opened = Folder::open(parent);
        let names = opened.and_then(|folder| folder.names()).into_iter();
        let names = names.flatten().flatten();
        names
            .filter(|name| is_of_run(shown(name.file_name())))
            .count()
    };
    in_one(parent) + in_one(&objects.join(AMONG))
}

/// Moves what tasks of runs in `parent` would have kept for their next try into a folder of its own there, if there is
/// anything: the runs' own folders are about to go.
fn set_aside(parent: &Path) -> Option<Scratch> {
    let mut aside: Option<Scratch> = None;
    each_worker(parent, |worker, states| {
        for name in states {
            if aside.is_none() {
                aside = Scratch::within(parent).ok();
            }
            if let Some(aside) = &aside {
                let _ = worker.entry(name).rename(aside.folder.entry(name), false);
            }
        }
    });
    aside
}

/// The names of what is in a folder, as far as they are text.
fn inner(folder: &Folder) -> impl Iterator<Item = String> {
    let names = folder.names().into_iter().flatten().flatten();
    let names = names.filter(|name| !is_self(name.file_name()));
    let names = names.filter_map(|name| shown(name.file_name()).to_str().map(str::to_owned));
    names.collect::<Vec<_>>().into_iter()
}

/// Removes the folders of runs from `parent`, and it too if it is empty then. Other things there are
/// not this program's, whose folder ever that is. A link in its place goes, for what it leads to
/// may be anybody's.
fn remove_runs(parent: &Path, but: &[Scratch]) {
    if fs::symlink_metadata(parent).is_ok_and(|found| found.is_symlink()) {
        let _ = fs::remove_file(parent);
        return;
    }
    let Ok(opened) = Folder::open(parent) else {
        return;
    };
    let names = opened.names().into_iter().flatten().flatten();
    for name in names.filter(|name| !is_self(name.file_name())) {
        let name = shown(name.file_name());
        let stays = but.iter().any(|one| OsStr::new(&one.name) == name);
        if is_of_run(name) && !stays {
            remove_all(opened.entry(name));
        }
    }
    let _ = fs::remove_dir(parent);
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.remove();
        // Unless something else is there.
        let _ = fs::remove_dir(self.parent.path());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lies_where_objects_can_be_renamed_from() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (parent, objects) = (here.path().join("tmp"), here.path().join("objects"));
        fs::create_dir_all(parent.join("run-00beef/w0-0")).unwrap();
        let scratch = Scratch::new(&parent, &objects, GRACE).unwrap();
        assert!(scratch.folder().path().starts_with(&parent));
        assert_eq!(fs::read_dir(&parent).unwrap().count(), 1);
        drop(scratch);
        // As is tried where there are two disks: see the tests of the program.
        std::os::unix::fs::symlink(there.path(), here.path().join("link")).unwrap();
        let scratch = Scratch::new(&parent, &here.path().join("link"), GRACE).unwrap();
        assert!(scratch.folder().path().starts_with(&parent));
        drop(scratch);
        let left = |folder: &Path| fs::read_dir(folder).unwrap().count();
        // But for whose objects those behind the link are.
        assert_eq!([left(&objects), left(there.path())], [0, 1]);
        assert!(!parent.exists());
    }

    #[test]
    fn what_no_run_made_stays() {
        let dir = tempfile::tempdir().unwrap();
        let objects = dir.path().join("objects");
        let among = objects.join(AMONG);
        let parents = [dir.path().join("tmp"), among];
        let others = [
            "file",
            "folder",
            "run-of-mine",
            "run-00beef.txt",
            "run-00BEEF",
        ];
        for parent in &parents {
            fs::create_dir_all(parent.join("run-00beef/w0-0")).unwrap();
            for other in others {
                fs::create_dir_all(parent.join(other)).unwrap();
                fs::write(parent.join(other).join("mine"), "").unwrap();
            }
        }
        drop(Scratch::new(&parents[0], &objects, GRACE).unwrap());
        for parent in &parents {
            assert!(!parent.join("run-00beef").exists());
            for other in others {
                assert!(parent.join(other).join("mine").exists(), "{other}");
            }
        }
    }

    #[test]
    fn a_link_to_nothing_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let objects = dir.path().join("objects");
        std::os::unix::fs::symlink("/no/such/disk", &objects).unwrap();
        let error = Scratch::new(&dir.path().join("tmp"), &objects, GRACE).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("is a link to /no/such/disk"), "{text}");
        assert!(error.hint().is_some());
    }
}
