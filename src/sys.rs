//! What one kind of system offers and another does not, behind the same functions.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as system;

#[cfg(not(target_os = "linux"))]
mod other;
#[cfg(not(target_os = "linux"))]
use other as system;

use std::fs::File;

/// What is known of other openings of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writers {
    /// Nothing has it open for writing.
    None,
    /// Something has it open for writing.
    Some,
    /// This system or file system cannot tell.
    Unknown,
}

/// Whether any process, this one included, has `file` open for writing, or mapped so.
///
/// `file` must be open for reading only.
pub fn writers(file: &File) -> Writers {
    system::writers(file)
}

/// What tells one boot of the machine from the next, where the system has such a thing.
pub fn boot_id() -> Option<String> {
    system::boot_id()
}

/// Makes this process the parent of every process that its children leave behind, so that
/// [`strays`] can tell whether there are any.
pub fn adopt_orphans() {
    system::adopt_orphans();
}

/// A look at what finished tasks left running.
#[derive(Debug)]
pub struct Strays(system::Strays);

impl Strays {
    /// Prepares the look. Only the thread that started the process gets orphans, and it must
    /// start no child itself.
    pub fn watch() -> Self {
        Self(system::Strays::watch())
    }

    /// True if it is certain that no process descends from a finished task.
    pub fn certainly_none(&self) -> bool {
        self.0.certainly_none()
    }
}
