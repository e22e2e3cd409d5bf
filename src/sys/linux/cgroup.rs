//! A control group (v2) that is this process's to divide: each of its parts can have a limit of its memory.
//!
//! A group with processes of its own cannot be divided, so that this process moves into a part of its own
//! first, and back in the end. What it starts is moved by a shell in front of it, before it does anything.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use crate::sys::{Fate, Obstacle};

/// Where all of them are.
const ROOT: &str = "/sys/fs/cgroup";
/// For whom: systemd marks what it does not manage itself.
const MARKS: [&str; 2] = ["user.delegate", "trusted.delegate"];
/// The part that this process moves into.
const OWN: &str = "task-pipeline.run";
/// How the names of all parts begin; the number of the process that made one follows, unless it is that.
const PARTS: &str = "task-pipeline.";
/// How long the last processes of a part have to be gone after they were killed.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same for those in the part of a run that was killed, whose processes were ended already.
const MOMENT: Duration = Duration::from_millis(300);

/// The group of this process, divided.
#[derive(Debug)]
pub(crate) struct Divided {
    folder: PathBuf,
    /// Whether this process was moved into a part of its own.
    moved: bool,
}

/// The group of this process, if it is its to divide. Changes nothing.
fn own(root: &Path, groups: &str) -> Result<PathBuf, Obstacle> {
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"));
    let path = path.ok_or(Obstacle::NoGroups)?.trim_start_matches('/');
    let folder = root.join(path);
    let controllers = fs::read_to_string(folder.join("cgroup.controllers"));
    let controllers = controllers.map_err(|_| Obstacle::NoGroups)?;
    if !controllers.split_whitespace().any(|one| one == "memory") {
        return Err(Obstacle::NoMemory);
    }
    let is_writable = |file: &str| {
        let path = folder.join(file);
        accessat(CWD, &path, Access::WRITE_OK, AtFlags::EACCESS).is_ok()
    };
    if !["", "cgroup.procs", "cgroup.subtree_control"]
        .into_iter()
        .all(is_writable)
    {
        return Err(Obstacle::NotDelegated);
    }
    // Root may write everywhere, also where systemd wants to be the only one. Below what it has given away it is not.
    let is_marked = || {
        let value = |folder: &Path, mark: &str| {
            let mut value = [0; 8];
            let length = rustix::fs::getxattr(folder, mark, &mut value[..]);
            length.is_ok_and(|length| value[..length] == *b"1")
        };
        let above = folder.ancestors().take_while(|above| *above != root);
        let mut all = above.flat_map(|folder| MARKS.map(|mark| (folder, mark)));
        all.any(|(folder, mark)| value(folder, mark))
    };
    let is_managed = rustix::process::geteuid().is_root()
        && Path::new("/run/systemd/system").is_dir()
        && root == Path::new(ROOT);
    if is_managed && !is_marked() {
        return Err(Obstacle::NotDelegated);
    }
    Ok(folder)
}

/// Whether the group of this process could be divided. Changes nothing.
pub(crate) fn can_divide() -> Result<(), Obstacle> {
    let groups = fs::read_to_string("/proc/self/cgroup").map_err(|_| Obstacle::NoGroups)?;
    own(Path::new(ROOT), &groups).map(drop)
}

impl Divided {
    /// Divides the group of this process.
    pub(crate) fn here() -> Result<Self, Obstacle> {
        let groups = fs::read_to_string("/proc/self/cgroup").map_err(|_| Obstacle::NoGroups)?;
        Self::of(Path::new(ROOT), &groups)
    }

    fn of(root: &Path, groups: &str) -> Result<Self, Obstacle> {
        let mut divided = Self {
            folder: own(root, groups)?,
            moved: false,
        };
        let control = divided.folder.join("cgroup.subtree_control");
        if fs::write(&control, "+memory").is_ok() {
            sweep(&divided.folder);
            return Ok(divided);
        }
        // There are processes in it: this one, and perhaps others.
        let failed = |error: io::Error| Obstacle::Failed(error.to_string());
        let leaf = divided.folder.join(OWN);
        make(&leaf).map_err(failed)?;
        fs::write(leaf.join("cgroup.procs"), "0").map_err(failed)?;
        divided.moved = true;
        match fs::write(&control, "+memory") {
            Ok(()) => {
                sweep(&divided.folder);
                Ok(divided)
            }
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => Err(Obstacle::Shared),
            Err(error) => Err(failed(error)),
        }
    }

    /// A part of it by this name.
    pub(crate) fn part(&self, name: &str) -> Part {
        // In the root of all groups, other runs may have parts beside those of this one.
        let name = format!("{PARTS}{}-{name}", std::process::id());
        Part {
            folder: self.folder.join(name),
        }
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Removes the parts that processes have left that are no more, and ends what is in them.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_str().and_then(|name| name.strip_prefix(PARTS));
        let maker = name.and_then(|name| name.split_once('-'));
        let maker = maker.and_then(|(maker, _)| Pid::from_raw(maker.parse().ok()?));
        if maker.is_some_and(|maker| test_kill_process(maker) == Err(Errno::SRCH)) {
            let _ = clear(&entry.path(), PATIENCE);
        }
    }
}

/// Leaves a group as it was before a run divided it that was killed; it may have been another one than that of
/// this process, and nobody else can enter it before that.
pub(crate) fn give_back(folder: &Path) {
    give_back_in(Path::new(ROOT), folder);
}

fn give_back_in(root: &Path, folder: &Path) {
    let is_plain = |part| matches!(part, Component::RootDir | Component::Normal(_));
    if folder == root || !folder.starts_with(root) || !folder.components().all(is_plain) {
        return;
    }
    sweep(folder);
    // A run that goes on is in it, and nothing of the killed one.
    let own = folder.join(OWN);
    let began = Instant::now();
    while let Err(error) = fs::remove_dir(&own) {
        if error.raw_os_error() != Some(libc::EBUSY) || began.elapsed() > MOMENT {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = fs::write(folder.join("cgroup.subtree_control"), "-memory");
}

impl Drop for Divided {
    fn drop(&mut self) {
        // As it was, should somebody else want to use it; systemd removes what is left with the group. In the root of
        // all groups, which holds its own processes beside others, the limits of others may hang on the controller.
        if self.moved {
            let _ = fs::write(self.folder.join("cgroup.subtree_control"), "-memory");
            let _ = fs::write(self.folder.join("cgroup.procs"), "0");
            let _ = fs::remove_dir(self.folder.join(OWN));
        }
    }
}

/// A part of a group, for one task after the other.
#[derive(Debug)]
pub(crate) struct Part {
    folder: PathBuf,
}

impl Part {
    /// The file that a process writes 0 to, to be in it with all that it starts.
    pub(crate) fn door(&self) -> PathBuf {
        self.folder.join("cgroup.procs")
    }

    /// Makes it anew, empty, without a limit.
    pub(crate) fn open(&self) -> io::Result<()> {
        clear(&self.folder, PATIENCE)?;
        make(&self.folder)
    }

    /// Makes it anew, empty, with so many bytes of memory and no room elsewhere.
    pub(crate) fn begin(&self, bytes: u64) -> io::Result<()> {
        self.open()?;
        fs::write(self.folder.join("memory.max"), bytes.to_string())?;
        // Where there is no swap, there is no such file. All of a task ends, and not whichever process asked last.
        for (file, value) in [("memory.swap.max", "0"), ("memory.oom.group", "1")] {
            match fs::write(self.folder.join(file), value) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// What came of those in it, none of which is to be there any more.
    pub(crate) fn end(&self) -> Fate {
        let read = |file: &str| fs::read_to_string(self.folder.join(file)).ok();
        let events = read("memory.events").unwrap_or_default();
        let peak = read("memory.peak").and_then(|peak| peak.trim().parse().ok());
        // It is there without the controller, too.
        let cpu = read("cpu.stat").and_then(|text| number(&text, "usage_usec"));
        // What cannot be removed is when it is needed again, or in the end.
        let _ = clear(&self.folder, PATIENCE);
        Fate {
            killed: number(&events, "oom_kill").unwrap_or(0),
            // The kernel counts here what this limit or one below it was too little for, and no limit above it.
            over: number(&events, "oom").is_some_and(|count| count > 0),
            cpu: cpu.map(Duration::from_micros),
            peak,
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = clear(&self.folder, PATIENCE);
    }
}

/// Kills what is in a part, and removes it with the groups that scripts have made in it.
fn clear(folder: &Path, patience: Duration) -> io::Result<()> {
    let began = Instant::now();
    loop {
        match remove(folder) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if began.elapsed() > patience => return Err(error),
            Err(_) => {
                let _ = fs::write(folder.join("cgroup.kill"), "1");
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
}

/// Removes a group that no process is in.
fn remove(folder: &Path) -> io::Result<()> {
    let removed = fs::remove_dir(folder);
    // What has groups in it is busy, and nothing is listed of what has none.
    if removed
        .as_ref()
        .is_err_and(|error| error.kind() != io::ErrorKind::NotFound)
    {
        let mut any = false;
        for entry in fs::read_dir(folder)?.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                any = true;
                remove(&entry.path())?;
            }
        }
        if any {
            return fs::remove_dir(folder);
        }
    }
    removed
}

fn make(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Processes that the kernel has killed for want of memory since the machine was started.
pub(crate) fn kills() -> Option<u64> {
    number(&fs::read_to_string("/proc/vmstat").ok()?, "oom_kill")
}

/// The number behind a name, in a file that has one name a line.
fn number(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    let (_, value) = lines.find(|(found, _)| *found == name)?;
    value.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that looks as the group `a/b` does to this process.
    fn fake(controllers: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("cgroup.controllers"), controllers).unwrap();
        for file in ["cgroup.procs", "cgroup.subtree_control"] {
            fs::write(folder.join(file), "").unwrap();
        }
        root
    }

    #[test]
    fn why_a_group_cannot_be_divided_is_told() {
        let root = fake("cpu memory pids\n");
        assert!(own(root.path(), "0::/a/b\n").is_ok());
        assert!(own(root.path(), "1:name=systemd:/x\n0::/a/b\n").is_ok());
        for groups in ["", "1:memory:/a/b\n", "0::/elsewhere\n"] {
            assert_eq!(
                own(root.path(), groups),
                Err(Obstacle::NoGroups),
                "{groups}"
            );
        }
        let root = fake("cpu pids\n");
        assert_eq!(own(root.path(), "0::/a/b\n"), Err(Obstacle::NoMemory));
        let root = fake("memory\n");
        fs::remove_file(root.path().join("a/b/cgroup.procs")).unwrap();
        assert_eq!(own(root.path(), "0::/a/b\n"), Err(Obstacle::NotDelegated));
    }

    /// What is told of a task that ends with these events in its group.
    fn told(events: &str) -> Fate {
        let root = fake("memory\n");
        let divided = Divided::of(root.path(), "0::/a/b\n").unwrap();
        let read = |path: &str| fs::read_to_string(root.path().join("a/b").join(path)).unwrap();
        assert_eq!(read("cgroup.subtree_control"), "+memory");
        let part = divided.part("0");
        part.begin(2 << 30).unwrap();
        let name = format!("task-pipeline.{}-0", std::process::id());
        assert_eq!(read(&format!("{name}/memory.max")), "2147483648");
        assert_eq!(read(&format!("{name}/memory.oom.group")), "1");
        let folder = root.path().join("a/b").join(name);
        fs::write(folder.join("memory.events"), events).unwrap();
        fs::write(folder.join("memory.peak"), "4096\n").unwrap();
        fs::write(folder.join("cpu.stat"), "usage_usec 1500\nuser_usec 7\n").unwrap();
        // The real one has no files that have to go before the folder can.
        let ended = std::thread::scope(|scope| {
            let ended = scope.spawn(|| part.end());
            while folder.join("cgroup.kill").metadata().is_err() {
                std::thread::yield_now();
            }
            fs::remove_dir_all(&folder).unwrap();
            ended.join().unwrap()
        });
        drop(divided);
        // Others may have limits by it.
        assert_eq!(read("cgroup.subtree_control"), "+memory");
        ended
    }

    #[test]
    fn a_part_has_its_limit_and_tells_of_kills() {
        let fate = |killed, over| Fate {
            killed,
            over,
            cpu: Some(Duration::from_micros(1500)),
            peak: Some(4096),
        };
        let own = "low 0\nhigh 0\nmax 31\noom 1\noom_kill 3\noom_group_kill 1\n";
        assert_eq!(told(own), fate(3, true));
        // For want of memory of the machine, or of a group above.
        let other = "low 0\nhigh 0\nmax 9\noom 0\noom_kill 2\noom_group_kill 1\n";
        assert_eq!(told(other), fate(2, false));
        assert_eq!(told("max 9\noom 0\noom_kill 0\n"), fate(0, false));
    }

    #[test]
    fn groups_that_a_script_made_go_with_its_part() {
        let root = fake("memory\n");
        let divided = Divided::of(root.path(), "0::/a/b\n").unwrap();
        let part = divided.part("0");
        fs::create_dir_all(part.folder.join("of a script/inner")).unwrap();
        fs::create_dir_all(part.folder.join("another")).unwrap();
        part.open().unwrap();
        assert_eq!(fs::read_dir(&part.folder).unwrap().count(), 0);
    }

    #[test]
    fn what_a_killed_run_left_of_a_group_goes() {
        let root = fake("memory\n");
        let group = root.path().join("a/b");
        let mut ended = std::process::Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        let (dead, alive) = (ended.id(), std::process::id());
        let begin = || {
            for name in [
                format!("task-pipeline.{dead}-0"),
                format!("task-pipeline.{dead}-worker 1/task-pipeline.run"),
                format!("task-pipeline.{alive}-0"),
                "task-pipeline.run".to_owned(),
                "another".to_owned(),
            ] {
                fs::create_dir_all(group.join(name)).unwrap();
            }
            fs::write(group.join("cgroup.subtree_control"), "memory").unwrap();
        };
        let left = || {
            let entries = fs::read_dir(&group).unwrap().flatten();
            let names = entries.filter(|entry| entry.path().is_dir());
            let mut names: Vec<_> = names
                .filter_map(|entry| entry.file_name().into_string().ok())
                .collect();
            names.sort();
            let control = fs::read_to_string(group.join("cgroup.subtree_control")).unwrap();
            (names.join(" "), control)
        };
        let living = format!("another task-pipeline.{alive}-0");
        begin();
        give_back_in(root.path(), &group);
        assert_eq!(left(), (living.clone(), "-memory".to_owned()));
        // The next run in the same group does so itself.
        begin();
        let divided = Divided::of(root.path(), "0::/a/b\n").unwrap();
        assert_eq!(
            left(),
            (format!("{living} task-pipeline.run"), "+memory".to_owned())
        );
        drop(divided);
        // A run that goes on is in the part.
        begin();
        fs::write(group.join("task-pipeline.run/cgroup.procs"), "1").unwrap();
        give_back_in(root.path(), &group);
        assert_eq!(left().1, "memory");
        // What is noted may be anything.
        for other in ["/", "/proc", "a/b", ""] {
            give_back_in(root.path(), Path::new(other));
        }
        give_back_in(root.path(), &root.path().join("x/../a/b"));
        give_back_in(&group, &group);
        assert_eq!(left().1, "memory");
    }
}
