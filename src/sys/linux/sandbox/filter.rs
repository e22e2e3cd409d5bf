//! Calls by which a program would get at something that no namespace keeps from it:
//!
//! - a terminal takes input from those who have it (`TIOCSTI`), which a shell outside would read as its own. Tasks
//!   have none; who looks around by hand has;
//! - sockets of some kinds know no namespaces: those to a virtual machine's host are one;
//! - in a user namespace of its own a program has rights again, by which it mounts the host's control groups, and there
//!   the run can be killed;
//! - keys belong to a user, and stay when a task has ended;
//! - marks of files and folders, such as encrypted or written at once, stay on the folders that the next task has, and
//!   subvolumes are not removed as folders are;
//! - what a script leaves lies on the host's disk. A program there that takes its owner's rights, or has some of its
//!   own, would give them to whoever else starts it there.

use std::io;

/// How a filter sees a system call.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
/// The lower halves of the arguments, which are first on all of these.
const FIRST: u32 = 16;
const SECOND: u32 = 16 + 8;

/// Numbers of calls on an architecture.
struct Calls {
    /// From `linux/audit.h`.
    architecture: u32,
    ioctl: &'static [u32],
    socket: u32,
    /// The one of which `socket` is a part, in an older form.
    socketcall: Option<u32>,
    /// `add_key`, `request_key`, `keyctl`.
    keys: [u32; 3],
    /// `setxattr`, `lsetxattr`, `fsetxattr`.
    attributes: [u32; 3],
    /// `clone`, `unshare`.
    namespaces: [u32; 2],
    /// Those that give a file a mode.
    modes: &'static [Mode],
}

/// A call that gives a file a mode.
struct Mode {
    number: u32,
    /// Which argument it is, from 0.
    argument: u32,
    /// Whether it is one only if the flags, the argument before it, say that a file is made.
    flags: bool,
}

/// A program may be of any architecture that its processor runs.
const CALLS: [Calls; 7] = [
    // The second is that of the architecture x32.
    calls(
        0xC000_003E,
        &[16, 514],
        (41, None),
        248,
        188,
        [56, 272],
        &X86_64,
    ),
    calls(
        0x4000_0003,
        &[54],
        (359, Some(102)),
        286,
        226,
        [120, 310],
        &X86,
    ),
    calls(0xC000_00B7, &[29], (198, None), 217, 5, [220, 97], &COMMON),
    calls(
        0x4000_0028,
        &[54],
        (281, Some(102)),
        309,
        226,
        [120, 337],
        &ARM,
    ),
    calls(0xC000_00F3, &[29], (198, None), 217, 5, [220, 97], &COMMON),
    calls(0xC000_0102, &[29], (198, None), 217, 5, [220, 97], &COMMON),
    calls(
        0xC000_0015,
        &[54],
        (326, Some(102)),
        269,
        209,
        [120, 282],
        &POWER,
    ),
];
const X86_64: [Mode; 10] = with_older([2, 85, 83, 90, 91, 133], [257, 258, 259, 268]);
const X86: [Mode; 10] = with_older([5, 8, 39, 15, 94, 14], [295, 296, 297, 306]);
const ARM: [Mode; 10] = with_older([5, 8, 39, 15, 94, 14], [322, 323, 324, 333]);
const POWER: [Mode; 10] = with_older([5, 8, 39, 15, 94, 14], [286, 287, 288, 297]);
/// Of architectures that have no others.
const COMMON: [Mode; 5] = [
    opens(56, 3),
    mode(34, 2),
    mode(33, 2),
    mode(53, 2),
    mode(52, 1),
];
/// `fchmodat2`, the same everywhere.
const FCHMODAT2: Mode = mode(452, 2);
/// It has the mode where no filter can read it; who does not have it calls `openat`.
const OPENAT2: u32 = 437;
/// It has the flags where no filter can read them; who does not have it calls `clone`.
const CLONE3: u32 = 435;
/// What gives files attributes, on all.
const SETXATTRAT: u32 = 463;
/// Flags with which a file is made: `O_CREAT`, `O_TMPFILE` without `O_DIRECTORY`.
const MAKES: u32 = 0o100 | 0o20_000_000;
const SETUID: u32 = 0o4000;
const SETGID: u32 = 0o2000;
/// The same everywhere: it makes sockets and files that no filter sees.
const IO_URING_SETUP: u32 = 425;
/// The bit of the numbers of the architecture x32.
const X32: u32 = 0x4000_0000;
/// Kinds of sockets that are in the namespace of a network.
const FAMILIES: [libc::c_int; 4] = [
    libc::AF_UNIX,
    libc::AF_INET,
    libc::AF_INET6,
    libc::AF_NETLINK,
];
/// `TIOCSTI` and `TIOCLINUX`.
const TERMINAL: [u32; 2] = [0x5412, 0x541C];
/// What marks files and folders beyond their modes, as it is numbered on all of these: `FS_IOC_SETFLAGS` in both sizes,
/// `FS_IOC_FSSETXATTR`, `FS_IOC_SET_ENCRYPTION_POLICY`, `FS_IOC_ADD_ENCRYPTION_KEY`, `FS_IOC_ENABLE_VERITY`; and of btrfs
/// `SUBVOL_CREATE`, `SNAP_CREATE`, both in the second form as well, and `SUBVOL_SETFLAGS`.
const MARKS: [u32; 11] = [
    0x4008_6602,
    0x4004_6602,
    0x401C_5820,
    0x800C_6613,
    0xC050_6617,
    0x4080_6685,
    0x5000_940E,
    0x5000_9418,
    0x5000_9401,
    0x5000_9417,
    0x4008_941A,
];

const fn calls(
    architecture: u32,
    ioctl: &'static [u32],
    (socket, socketcall): (u32, Option<u32>),
    key: u32,
    attribute: u32,
    namespaces: [u32; 2],
    modes: &'static [Mode],
) -> Calls {
    Calls {
        architecture,
        ioctl,
        socket,
        socketcall,
        keys: [key, key + 1, key + 2],
        attributes: [attribute, attribute + 1, attribute + 2],
        namespaces,
        modes,
    }
}

const fn mode(number: u32, argument: u32) -> Mode {
    Mode {
        number,
        argument,
        flags: false,
    }
}

const fn opens(number: u32, argument: u32) -> Mode {
    Mode {
        number,
        argument,
        flags: true,
    }
}

/// `open`, `creat`, `mkdir`, `chmod`, `fchmod`, `mknod`; `openat`, `mkdirat`, `mknodat`, `fchmodat`.
const fn with_older(older: [u32; 6], newer: [u32; 4]) -> [Mode; 10] {
    let [open, creat, mkdir, chmod, fchmod, mknod] = older;
    let [openat, mkdirat, mknodat, fchmodat] = newer;
    [
        opens(open, 2),
        mode(creat, 1),
        mode(mkdir, 1),
        mode(chmod, 1),
        mode(fchmod, 1),
        mode(mknod, 1),
        opens(openat, 3),
        mode(mkdirat, 2),
        mode(mknodat, 2),
        mode(fchmodat, 2),
    ]
}

/// What a sandbox lets pass.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lets {
    /// Whether it has the host's network.
    pub network: bool,
    /// Whether files may take the rights of their group. All folders do that which are made in one that does, and
    /// whoever changes the mode of one says it again.
    pub setgid: bool,
}

/// Has all other calls of the kinds above refused from here on, by this process and all that it starts.
#[allow(unsafe_code)]
pub(super) fn guard(lets: Lets) -> io::Result<()> {
    let mut filter = filter(lets);
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).unwrap_or_default(),
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the kernel reads the filter, which stays where it is meanwhile. No crate here has the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW,
            &raw const program,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Lets all else pass.
fn filter(lets: Lets) -> Vec<libc::sock_filter> {
    let mut all = Vec::new();
    for calls in CALLS {
        let own = calls.filter(lets);
        all.extend([load(ARCHITECTURE), equal(calls.architecture, 0, own.len())]);
        all.extend(own);
    }
    all.push(end(libc::SECCOMP_RET_ALLOW));
    all
}

impl Calls {
    fn filter(&self, lets: Lets) -> Vec<libc::sock_filter> {
        let number = [
            load(NUMBER),
            line(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, !X32, 0, 0),
        ];
        let mut own = Vec::from(number);
        let mut on = |number: u32, then: &[libc::sock_filter]| {
            own.push(equal(number, 0, then.len()));
            own.extend_from_slice(then);
        };
        let allowed = end(libc::SECCOMP_RET_ALLOW);
        for number in self.ioctl {
            let mut then = vec![load(SECOND)];
            for (requests, errno) in [(&TERMINAL[..], libc::EPERM), (&MARKS, libc::EOPNOTSUPP)] {
                let last = requests.len() - 1;
                for (at, request) in requests.iter().enumerate() {
                    then.push(equal(*request, last - at, usize::from(at == last)));
                }
                then.push(refused(errno));
            }
            then.push(allowed);
            on(*number, &then);
        }
        for number in self.keys {
            on(number, &[refused(libc::ENOSYS)]);
        }
        for number in self.attributes.into_iter().chain([SETXATTRAT]) {
            // Objects have none. Programs that copy files go on without where there can be none.
            on(number, &[refused(libc::EOPNOTSUPP)]);
        }
        for number in self.namespaces {
            let then = [
                load(FIRST),
                any(libc::CLONE_NEWUSER.cast_unsigned(), 0, 1),
                refused(libc::EPERM),
                allowed,
            ];
            on(number, &then);
        }
        on(CLONE3, &[refused(libc::ENOSYS)]);
        on(OPENAT2, &[refused(libc::ENOSYS)]);
        // It opens files, too.
        on(IO_URING_SETUP, &[refused(libc::ENOSYS)]);
        let rights = if lets.setgid { SETUID } else { SETUID | SETGID };
        for call in self.modes.iter().chain([&FCHMODAT2]) {
            let mode = [
                load(FIRST + 8 * call.argument),
                any(rights, 1, 0),
                allowed,
                refused(libc::EPERM),
            ];
            let mut then = Vec::new();
            if call.flags {
                then.extend([load(FIRST + 8 * (call.argument - 1)), any(MAKES, 0, 2)]);
            }
            then.extend(mode);
            on(call.number, &then);
        }
        if !lets.network {
            let mut then = vec![load(FIRST)];
            for (at, family) in FAMILIES.iter().enumerate() {
                then.push(equal(family.cast_unsigned(), FAMILIES.len() - at, 0));
            }
            then.extend([refused(libc::EAFNOSUPPORT), allowed]);
            on(self.socket, &then);
            if let Some(number) = self.socketcall {
                // The kind is where no filter can read it.
                let then = [
                    load(FIRST),
                    equal(1, 0, 1),
                    refused(libc::EAFNOSUPPORT),
                    allowed,
                ];
                on(number, &then);
            }
        }
        own.push(allowed);
        own
    }
}

fn load(at: u32) -> libc::sock_filter {
    line(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at, 0, 0)
}

/// Passes over so many lines if what was loaded is the value, and if it is not.
fn equal(value: u32, yes: usize, no: usize) -> libc::sock_filter {
    line(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value, yes, no)
}

/// Passes over so many lines if what was loaded has any of the bits, and if it has none.
fn any(bits: u32, yes: usize, no: usize) -> libc::sock_filter {
    line(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, bits, yes, no)
}

fn end(what: u32) -> libc::sock_filter {
    line(libc::BPF_RET | libc::BPF_K, what, 0, 0)
}

fn refused(error: libc::c_int) -> libc::sock_filter {
    end(libc::SECCOMP_RET_ERRNO | error.cast_unsigned())
}

fn line(code: u32, k: u32, yes: usize, no: usize) -> libc::sock_filter {
    libc::sock_filter {
        code: u16::try_from(code).unwrap_or_default(),
        jt: u8::try_from(yes).unwrap_or_default(),
        jf: u8::try_from(no).unwrap_or_default(),
        k,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long a jump can be.
    #[test]
    fn no_architecture_has_more_lines_than_can_be_passed_over() {
        for calls in CALLS {
            let lets = Lets {
                network: false,
                setgid: false,
            };
            let length = calls.filter(lets).len();
            assert!(length <= 255, "{:x}: {length}", calls.architecture);
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_numbers_are_those_of_the_system() {
        let known = [
            libc::SYS_open,
            libc::SYS_creat,
            libc::SYS_mkdir,
            libc::SYS_chmod,
            libc::SYS_fchmod,
            libc::SYS_mknod,
            libc::SYS_openat,
            libc::SYS_mkdirat,
            libc::SYS_mknodat,
            libc::SYS_fchmodat,
        ];
        assert_eq!(X86_64.map(|call| i64::from(call.number)), known);
        let attributes = CALLS[0].attributes.map(i64::from);
        let known = [libc::SYS_setxattr, libc::SYS_lsetxattr, libc::SYS_fsetxattr];
        assert_eq!(attributes, known);
        let namespaces = CALLS[0].namespaces.map(i64::from);
        assert_eq!(namespaces, [libc::SYS_clone, libc::SYS_unshare]);
        let others = [OPENAT2, FCHMODAT2.number, CLONE3].map(i64::from);
        let known = [libc::SYS_openat2, libc::SYS_fchmodat2, libc::SYS_clone3];
        assert_eq!(others, known);
    }
}
