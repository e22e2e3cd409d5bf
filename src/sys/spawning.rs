//! When files that were just written can be executed.
//!
//! Between its start and its first program a child has all files open that its parent has, those that other
//! threads write with them; and a file that somebody could write to cannot be executed (`ETXTBSY`). So whoever has
//! written a program and closed it waits until the children have begun that were being started then.
//!
//! Linux lets the parent go on a moment before the child closes what it does not keep; there the file itself is
//! asked whether anybody could write to it.

use std::fs::File;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use super::Writers;

static STARTING: RwLock<()> = RwLock::new(());

/// For how long somebody else may have a file open that nobody but this process knows of.
const PATIENCE: Duration = Duration::from_secs(2);

/// To be held while a child is started.
pub(crate) fn starting_a_child() -> RwLockReadGuard<'static, ()> {
    STARTING.read().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until `program`, which this process has written and closed, is open for writing in none of the children
/// that were being started meanwhile.
pub(crate) fn until_it_can_be_executed(program: &File) {
    let began = Instant::now();
    loop {
        match super::writers(program) {
            Writers::None => return,
            Writers::Some if began.elapsed() < PATIENCE => std::thread::yield_now(),
            Writers::Some | Writers::Unknown => return let_children_begin(),
        }
    }
}

fn let_children_begin() {
    drop(STARTING.write().unwrap_or_else(PoisonError::into_inner));
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;
    use std::fs::{self, File};
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;
    use std::sync::atomic::{AtomicBool, Ordering};

    use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, posix_spawn};

    #[test]
    fn what_was_just_written_can_be_executed_while_others_start_children() {
        let dir = tempfile::tempdir().unwrap();
        let done = AtomicBool::new(false);
        let mut busy = 0;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let attributes = PosixSpawnAttr::init().unwrap();
                    let files = PosixSpawnFileActions::init().unwrap();
                    while !done.load(Ordering::Relaxed) {
                        let child = {
                            let _starting = super::starting_a_child();
                            posix_spawn(
                                c"/bin/true",
                                &files,
                                &attributes,
                                &[c"true"],
                                &[] as &[&CStr],
                            )
                            .unwrap()
                        };
                        nix::sys::wait::waitpid(child, None).unwrap();
                    }
                });
            }
            for number in 0..500 {
                let path = dir.path().join(number.to_string());
                let mut file = File::create(&path).unwrap();
                file.write_all(b"#!/bin/sh\n").unwrap();
                file.set_permissions(fs::Permissions::from_mode(0o700))
                    .unwrap();
                drop(file);
                super::until_it_can_be_executed(&File::open(&path).unwrap());
                busy += usize::from(Command::new(&path).status().is_err());
            }
            done.store(true, Ordering::Relaxed);
        });
        assert_eq!(busy, 0);
    }
}
