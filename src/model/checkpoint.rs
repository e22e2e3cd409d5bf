//! What a task keeps from try to try.

use std::time::Duration;

/// The variable that names the folder of it.
pub(crate) const STATE_DIR: &str = "STATE_DIR";

/// Whether a step's tasks have such a folder, and when it is taken over into the store. Each try begins with
/// what was taken last; a success ends it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Checkpoint {
    /// They have none.
    #[default]
    No,
    /// It is taken when a try has ended without success.
    Ends,
    /// On another machine also so often while a try goes on, for that machine may be gone before the end.
    Every(Duration),
}

impl Checkpoint {
    /// Whether tasks have the folder.
    pub(crate) fn is_kept(self) -> bool {
        self != Self::No
    }
}
