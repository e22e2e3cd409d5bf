//! When files that were just written can be executed.
//!
//! Between its start and its first program a child has all files open that its parent has, those that other
//! threads write with them; and a file that somebody could write to cannot be executed (`ETXTBSY`). So whoever has
//! written a program and closed it waits until the children have begun that were being started then.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};

static STARTING: RwLock<()> = RwLock::new(());

/// To be held while a child is started.
pub(crate) fn starting_a_child() -> RwLockReadGuard<'static, ()> {
    STARTING.read().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until all children have begun that are being started: what was closed before is open in none.
pub(crate) fn let_children_begin() {
    drop(STARTING.write().unwrap_or_else(PoisonError::into_inner));
}
