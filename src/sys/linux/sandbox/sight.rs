//! What is seen in a sandbox: files and folders of the host, and what is made in memory.

use std::ffi::CString;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};

use super::{Inner, Trouble, trouble};
use crate::sys::sandbox::{Covered, HOME, OWN, SEALED, Shown, TASK};

/// Where the host's files are while the sandbox is made.
const HOST: &str = "/.host";
/// Where programs write what they need for a while.
const TEMPORARY: &str = "/tmp";
/// Memory that processes share.
const SHARED: &str = "/dev/shm";
/// Devices that every program may use.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
/// Where terminals are.
const TERMINALS: &str = "/dev/pts";
/// Links among them.
const LINKS: [(&str, &str); 5] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
    ("/dev/ptmx", "pts/ptmx"),
];
impl Inner<'_> {
    /// Makes what is seen, and goes there.
    pub(super) fn make(&self) -> Result<(), Trouble> {
        enter()?;
        self.make_own_folders()?;
        self.make_lasting()?;
        self.make_below_own_folders()?;
        self.make_own()?;
        leave_host()?;
        fs::remove_dir(HOST).map_err(trouble("remove", HOST))?;
        restrict(Path::new("/"), RDONLY, 0)
    }

    /// Makes what is the same for all tasks of a step, of which nothing can be changed, and goes there.
    pub(super) fn make_base(&self) -> Result<(), Trouble> {
        enter()?;
        for folder in [HOME, SHARED] {
            fs::create_dir_all(folder).map_err(trouble("make", folder))?;
        }
        if self.sees_below(TEMPORARY) {
            fs::create_dir(TEMPORARY).map_err(trouble("make", TEMPORARY))?;
        } else {
            link_temporary()?;
        }
        self.make_lasting()?;
        restrict(Path::new("/"), RDONLY, 0)
    }

    /// Makes what is a task's own, on such a base.
    pub(super) fn make_on_base(&self) -> Result<(), Trouble> {
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        let temporary = self
            .sees_below(TEMPORARY)
            .then_some((TEMPORARY, c"mode=1777"));
        let own = [(HOME, c"mode=700"), (SHARED, c"mode=1777")];
        for (folder, how) in own.into_iter().chain(temporary) {
            rustix::mount::mount("tmpfs", folder, "tmpfs", flags, how)
                .map_err(trouble("mount memory at", folder))?;
        }
        self.make_below_own_folders()?;
        self.make_own()?;
        leave_host()
    }

    /// What is the same for all tasks of a step.
    fn make_lasting(&self) -> Result<(), Trouble> {
        self.make_seen(|at| !is_below_own(at))?;
        if !self.view.covered.is_empty() {
            cover(&self.view.covered)?;
        }
        for (at, text) in &self.view.texts {
            make_parents(at)?;
            fs::write(at, text.as_bytes()).map_err(trouble("write", at))?;
        }
        for (at, bytes) in self.copied {
            make_parents(at)?;
            let write = || {
                fs::write(at, bytes)?;
                fs::set_permissions(at, Permissions::from_mode(0o400))
            };
            write().map_err(trouble("write", *at))?;
        }
        place(Path::new(TASK), true)?;
        make_devices()?;
        place(Path::new("/proc"), true)
    }

    /// What is seen amid what a task can write to.
    fn make_below_own_folders(&self) -> Result<(), Trouble> {
        self.make_seen(is_below_own)
    }

    /// What is seen in the places that `here` takes.
    fn make_seen(&self, here: impl Fn(&Path) -> bool) -> Result<(), Trouble> {
        let shown = self.view.shown.iter().filter(|one| here(&one.at));
        for Shown { at, folder, .. } in shown.clone() {
            place(at, *folder)?;
        }
        let folder = &*self.view.folder;
        if here(folder) {
            place(folder, true)?;
            if is_below_own(folder) {
                // All around it can be written to.
                own(folder)?;
                restrict(folder, RDONLY, 0)?;
            }
        }
        for Shown { from, at, .. } in shown {
            show(from, at, RDONLY | NOSUID | NODEV)?;
        }
        for (at, target) in self.view.links.iter().filter(|(at, _)| here(at)) {
            make_parents(at)?;
            std::os::unix::fs::symlink(target, at).map_err(trouble("make the link", at))?;
        }
        Ok(())
    }

    /// What is a task's own.
    fn make_own(&self) -> Result<(), Trouble> {
        let task = Path::new(TASK);
        show(self.folder, task, NOSUID | NODEV)?;
        for sealed in SEALED.map(|name| task.join(name)) {
            if sealed.is_dir() {
                own(&sealed)?;
                restrict(&sealed, RDONLY, 0)?;
            }
        }
        make_terminals()?;
        make_processes()
    }

    /// Makes the folders that it can write to.
    fn make_own_folders(&self) -> Result<(), Trouble> {
        for (folder, mode) in [(HOME, 0o700), (SHARED, 0o1777), (TEMPORARY, 0o1777)] {
            if folder == TEMPORARY && !self.sees_below(folder) {
                return link_temporary();
            }
            fs::create_dir_all(folder).map_err(trouble("make", folder))?;
            fs::set_permissions(folder, Permissions::from_mode(mode))
                .map_err(trouble("change the mode of", folder))?;
            own(Path::new(folder))?;
        }
        Ok(())
    }

    /// Whether something of the host is seen below that folder.
    fn sees_below(&self, folder: &str) -> bool {
        let shown = self.view.shown.iter().map(|one| &one.at);
        let mut shown = shown.chain([&self.view.folder]);
        shown.any(|at| at.starts_with(folder))
    }
}

fn is_below_own(at: &Path) -> bool {
    OWN.iter().any(|own| at.starts_with(own))
}

/// Leaves the host's files, which are then in [`HOST`].
fn enter() -> Result<(), Trouble> {
    let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", flags).map_err(trouble("take the mounts of", "/"))?;
    // Any folder that is there for certain; nothing below it is shown.
    let root = Path::new("/proc");
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount("tmpfs", root, "tmpfs", flags, c"mode=755")
        .map_err(trouble("mount memory at", root))?;
    let host = root.join(&HOST[1..]);
    fs::create_dir(&host).map_err(trouble("make", &*host))?;
    rustix::process::pivot_root(root, &*host).map_err(trouble("change the root to", root))?;
    std::env::set_current_dir("/").map_err(trouble("go to", "/"))?;
    Ok(())
}

fn leave_host() -> Result<(), Trouble> {
    let gone = rustix::mount::unmount(HOST, UnmountFlags::DETACH);
    gone.map_err(trouble("take away", HOST))
}

/// On the disk, where there is room.
fn link_temporary() -> Result<(), Trouble> {
    let target = Path::new(TASK).join("tmp");
    std::os::unix::fs::symlink(target, TEMPORARY).map_err(trouble("make the link", TEMPORARY))
}

/// Makes the folder a mount of its own.
fn own(folder: &Path) -> Result<(), Trouble> {
    rustix::mount::mount_bind(folder, folder).map_err(trouble("mount", folder))
}

/// Makes an empty file or folder for what is to be seen there.
fn place(at: &Path, folder: bool) -> Result<(), Trouble> {
    let make = || {
        if folder {
            fs::create_dir(at)
        } else {
            File::create_new(at).map(drop)
        }
    };
    let placed = make().or_else(|error| {
        if error.kind() != io::ErrorKind::NotFound {
            return Err(error);
        }
        fs::create_dir_all(at.parent().unwrap_or(at))?;
        make()
    });
    match placed {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map_err(trouble("make", at)),
    }
}

fn make_parents(at: &Path) -> Result<(), Trouble> {
    let parent = at.parent().unwrap_or(at);
    fs::create_dir_all(parent).map_err(trouble("make", parent))
}

const RDONLY: u64 = libc::MOUNT_ATTR_RDONLY;
const NOSUID: u64 = libc::MOUNT_ATTR_NOSUID;
const NODEV: u64 = libc::MOUNT_ATTR_NODEV;
const NOEXEC: u64 = libc::MOUNT_ATTR_NOEXEC;

/// Shows a file or folder of the host there, with these restrictions.
fn show(from: &Path, at: &Path, attributes: u64) -> Result<(), Trouble> {
    let from = Path::new(HOST).join(from.strip_prefix("/").unwrap_or(from));
    rustix::mount::mount_bind_recursive(&*from, at).map_err(trouble("show", at))?;
    restrict(at, attributes, libc::AT_RECURSIVE)
}

/// Covers these, as far as they are there and are what they were.
fn cover(all: &[Covered]) -> Result<(), Trouble> {
    let nothing = Path::new("/.nothing");
    let empty = File::create_new(nothing)
        .and_then(|file| file.set_permissions(Permissions::from_mode(0o000)));
    empty.map_err(trouble("make", nothing))?;
    for Covered { at, folder } in all {
        let Ok(found) = fs::symlink_metadata(at) else {
            continue;
        };
        let covered = if found.is_dir() && *folder {
            let flags = MountFlags::NOSUID | MountFlags::NODEV;
            rustix::mount::mount("tmpfs", at, "tmpfs", flags, c"mode=0")
        } else if found.is_file() {
            rustix::mount::mount_bind(nothing, at)
        } else {
            continue;
        };
        match covered {
            // It has gone meanwhile.
            Err(rustix::io::Errno::NOENT) => continue,
            covered => covered.map_err(trouble("cover", &**at))?,
        }
        restrict(at, RDONLY | NOSUID | NODEV, 0)?;
    }
    fs::remove_file(nothing).map_err(trouble("remove", nothing))
}

/// Restricts what can be done in a mount, and in those below it if the flags say so.
#[allow(unsafe_code)]
fn restrict(at: &Path, attributes: u64, flags: libc::c_int) -> Result<(), Trouble> {
    let path = CString::new(at.as_os_str().as_bytes())
        .map_err(|error| trouble("restrict", at)(io::Error::from(error)))?;
    let wanted = libc::mount_attr {
        attr_set: attributes,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: the kernel reads the path, which ends with a NUL, and as many bytes of the numbers as are
    // there. No crate has the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            &raw const wanted,
            size_of::<libc::mount_attr>(),
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(trouble("restrict", at)(io::Error::last_os_error()))
    }
}

fn make_devices() -> Result<(), Trouble> {
    for name in DEVICES {
        let device = Path::new("/dev").join(name);
        place(&device, false)?;
        // They can be written to all the same, but their modes and times are the machine's.
        show(&device, &device, RDONLY | NOSUID | NOEXEC)?;
    }
    place(Path::new(TERMINALS), true)?;
    for (at, target) in LINKS {
        std::os::unix::fs::symlink(target, at).map_err(trouble("make the link", at))?;
    }
    Ok(())
}

/// No other task has them: their modes can be changed.
fn make_terminals() -> Result<(), Trouble> {
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    let how = c"newinstance,ptmxmode=0666,mode=620";
    rustix::mount::mount("devpts", TERMINALS, "devpts", flags, how)
        .map_err(trouble("mount", TERMINALS))
}

fn make_processes() -> Result<(), Trouble> {
    let processes = Path::new("/proc");
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("proc", processes, "proc", flags, None)
        .map_err(trouble("mount", processes))?;
    if rustix::process::geteuid().is_root() {
        // Much in there is of the whole machine, and root's, whatever rights it has.
        restrict(processes, RDONLY, 0)?;
    }
    Ok(())
}
