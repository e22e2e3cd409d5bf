//! Calls by which a program would get at something that no namespace keeps from it:
//!
//! - a terminal takes input from those who have it (`TIOCSTI`), which a shell outside would read as its own. Tasks
//!   have none; who looks around by hand has;
//! - sockets of some kinds know no namespaces: those to a virtual machine's host are one;
//! - keys belong to a user, and stay when a task has ended.

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
}

/// A program may be of any architecture that its processor runs.
const CALLS: [Calls; 7] = [
    // The second is that of the architecture x32.
    calls(0xC000_003E, &[16, 514], 41, None, 248),
    calls(0x4000_0003, &[54], 359, Some(102), 286),
    calls(0xC000_00B7, &[29], 198, None, 217),
    calls(0x4000_0028, &[54], 281, Some(102), 309),
    calls(0xC000_00F3, &[29], 198, None, 217),
    calls(0xC000_0102, &[29], 198, None, 217),
    calls(0xC000_0015, &[54], 326, Some(102), 269),
];
/// The same everywhere: it makes sockets that no filter sees.
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
const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541C;

const fn calls(
    architecture: u32,
    ioctl: &'static [u32],
    socket: u32,
    socketcall: Option<u32>,
    key: u32,
) -> Calls {
    Calls {
        architecture,
        ioctl,
        socket,
        socketcall,
        keys: [key, key + 1, key + 2],
    }
}

/// Has the calls refused from here on, by this process and all that it starts. `network`: whether it has the host's.
#[allow(unsafe_code)]
pub(super) fn guard(network: bool) -> io::Result<()> {
    let mut filter = filter(network);
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
fn filter(network: bool) -> Vec<libc::sock_filter> {
    let mut all = Vec::new();
    for calls in CALLS {
        let own = calls.filter(network);
        all.extend([load(ARCHITECTURE), equal(calls.architecture, 0, own.len())]);
        all.extend(own);
    }
    all.push(end(libc::SECCOMP_RET_ALLOW));
    all
}

impl Calls {
    fn filter(&self, network: bool) -> Vec<libc::sock_filter> {
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
            let then = [
                load(SECOND),
                equal(TIOCSTI, 1, 0),
                equal(TIOCLINUX, 0, 1),
                refused(libc::EPERM),
                allowed,
            ];
            on(*number, &then);
        }
        for number in self.keys {
            on(number, &[refused(libc::ENOSYS)]);
        }
        if !network {
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
            on(IO_URING_SETUP, &[refused(libc::ENOSYS)]);
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
