//! Nothing is typed for the user: a terminal takes input from those who have it (`TIOCSTI`), which a shell outside
//! would read as its own. Tasks have none; who looks around by hand has.

use std::io;

use rustix::stdio::{stderr, stdin, stdout};

/// How a filter sees a system call.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
/// The lower half of the second argument, which is first on all of these.
const SECOND: u32 = 16 + 8;

/// Architectures with the number of `ioctl`, from `linux/audit.h`: a program may be of any that its processor runs.
const IOCTL: [(u32, u32); 4] = [
    (0xC000_003E, 16),
    (0x4000_0003, 54),
    (0xC000_00B7, 29),
    (0x4000_0028, 54),
];
/// The bit of the numbers of the architecture x32.
const X32: u32 = 0x4000_0000;

/// Has the calls refused from here on, by this process and all that it starts, if it has a terminal.
#[allow(unsafe_code)]
pub(super) fn guard() -> io::Result<()> {
    let has_terminal = rustix::termios::isatty(stdin())
        || rustix::termios::isatty(stdout())
        || rustix::termios::isatty(stderr());
    if !has_terminal {
        return Ok(());
    }
    let mut filter = filter();
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

/// Refuses `TIOCSTI` and `TIOCLINUX`, and lets all else pass.
fn filter() -> Vec<libc::sock_filter> {
    let load = |at| line(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at, 0, 0);
    let equal = |value, yes, no| line(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value, yes, no);
    let end = |what| line(libc::BPF_RET | libc::BPF_K, what, 0, 0);
    let refused = libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned();
    let mut all = Vec::new();
    for (architecture, number) in IOCTL {
        all.extend([
            load(ARCHITECTURE),
            equal(architecture, 0, 7),
            load(NUMBER),
            line(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, !X32, 0, 0),
            equal(number, 0, 4),
            load(SECOND),
            equal(0x5412, 1, 0),
            equal(0x541C, 0, 1),
            end(refused),
        ]);
    }
    all.push(end(libc::SECCOMP_RET_ALLOW));
    all
}

fn line(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter {
        code: u16::try_from(code).unwrap_or_default(),
        jt,
        jf,
        k,
    }
}
