//! Secrets of steps: asked of the run when a task of the step is about to start, and kept in memory alone.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::line::Line;
use crate::sys;
use crate::text::mask::Mask;
use crate::wire::message::ToOwner;

/// See the module.
pub(super) struct Secrets<'a> {
    line: Line<'a>,
    state: Mutex<State>,
    came: Condvar,
}

#[derive(Default)]
struct State {
    /// By step, what came of each of its secrets, and whether that is all.
    coming: HashMap<u32, Vec<(Vec<u8>, bool)>>,
    over: bool,
}

/// Those of a step, for its scripts.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// Their variables, with the paths of their files.
    pub variables: Vec<(String, OsString)>,
    /// What is kept out of what the scripts write; none where they have no secret.
    pub mask: Option<Arc<Mask>>,
    /// Closed, the files are gone.
    files: Vec<OwnedFd>,
}

impl<'a> Secrets<'a> {
    pub(super) fn new(line: Line<'a>) -> Self {
        Self {
            line,
            state: Mutex::default(),
            came: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A piece of the secret in that place came.
    pub(super) fn piece(&self, step: u32, place: usize, bytes: &[u8], last: bool) {
        let mut state = self.lock();
        // What nobody waits for is not kept.
        let coming = state.coming.get_mut(&step);
        if let Some((secret, is_whole)) = coming.and_then(|coming| coming.get_mut(place)) {
            secret.extend_from_slice(bytes);
            *is_whole |= last;
            self.came.notify_all();
        }
    }

    /// Nobody waits any more.
    pub(super) fn end(&self) {
        self.lock().over = true;
        self.came.notify_all();
    }

    /// Has those of a step here, with these variables; or says why that cannot be. One at a time asks for a step.
    pub(super) fn of(&self, step: u32, variables: &[String]) -> Result<Given, String> {
        let mut given = Given::default();
        if variables.is_empty() {
            return Ok(given);
        }
        let mut state = self.lock();
        let none = variables.iter().map(|_| (Vec::new(), false)).collect();
        state.coming.insert(step, none);
        self.line.say(&ToOwner::Secrets(step));
        while !state.over && state.coming[&step].iter().any(|(_, is_whole)| !is_whole) {
            let waited = self.came.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        let came = state.coming.remove(&step).unwrap_or_default();
        if state.over {
            return Err("the run is over".to_owned());
        }
        drop(state);
        let mut mask = Mask::default();
        for (variable, (bytes, _)) in variables.iter().zip(came) {
            let kept = sys::in_memory(&bytes).map_err(|error| error.to_string());
            let kept = kept.and_then(|kept| kept.ok_or("there are no files in memory".to_owned()));
            let (file, path) =
                kept.map_err(|why| format!("its secrets cannot be kept in memory: {why}"))?;
            mask.add(&bytes);
            given.variables.push((variable.clone(), path.into()));
            given.files.push(file);
        }
        given.mask = Some(Arc::new(mask));
        Ok(given)
    }
}
