//! The programs of Nix, for who may need them.

use std::cell::OnceCell;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::Error;
use super::command::Nix;
use super::store_path::StoreDir;
use crate::model::name::StepName;

/// The programs of Nix, looked for when the first of them is needed.
pub(super) struct Tools<'a> {
    base: &'a Path,
    store: &'a StoreDir,
    stop: &'a AtomicBool,
    nix: OnceCell<Nix<'a>>,
}

impl<'a> Tools<'a> {
    /// None is looked for yet.
    pub(super) fn new(base: &'a Path, store: &'a StoreDir, stop: &'a AtomicBool) -> Self {
        Self {
            base,
            store,
            stop,
            nix: OnceCell::new(),
        }
    }

    /// What relative references are relative to.
    pub(super) fn base(&self) -> &Path {
        self.base
    }

    /// The store.
    pub(super) fn store(&self) -> &StoreDir {
        self.store
    }

    /// The programs; `steps` are those that need them.
    pub(super) fn nix(&self, steps: &[StepName]) -> Result<&Nix<'a>, Error> {
        if let Some(nix) = self.nix.get() {
            return Ok(nix);
        }
        let nix = Nix::find(self.base, self.store, self.stop)
            .map_err(|call| Error::of_call(call, steps))?;
        Ok(self.nix.get_or_init(|| nix))
    }
}
