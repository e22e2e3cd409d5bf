//! What comes to a run from outside: signals, and an end that does not wait for the engine.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, OnceLock};

use super::Scratch;
use crate::folder::remove_all;
use crate::process::Roll;

/// What the thread that started the run hears.
#[derive(Debug)]
pub(crate) enum Message {
    /// A signal came in.
    Signal(i32),
    /// Something is due earlier than expected, or the run is over.
    Look,
    /// A worker panicked.
    Broken,
    /// Somebody asks the run to hold still.
    Asked,
}

/// Messages come in here, from any thread.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(super) sender: SyncSender<Message>,
    pub(super) receiver: Receiver<Message>,
    pub(super) emergency: Emergency,
    /// Whether a question is on its way: one is enough.
    pub(super) bell: Bell,
}

/// Has a run look whether somebody asks it to hold still.
#[derive(Debug, Clone)]
pub(crate) struct Bell {
    rung: Arc<AtomicBool>,
    sender: SyncSender<Message>,
}

impl Bell {
    /// Does so, once until it is heard.
    pub(crate) fn ring(&self) {
        if !self.rung.swap(true, Ordering::Relaxed) && self.sender.try_send(Message::Asked).is_err()
        {
            self.rung.store(false, Ordering::Relaxed);
        }
    }
}

impl Bell {
    /// It was heard.
    pub(super) fn heard(&self) {
        self.rung.store(false, Ordering::Relaxed);
    }
}

impl Default for Channel {
    fn default() -> Self {
        let (sender, receiver) = mpsc::sync_channel(64);
        Self {
            bell: Bell {
                rung: Arc::default(),
                sender: sender.clone(),
            },
            sender,
            receiver,
            emergency: Emergency::default(),
        }
    }
}

impl Channel {
    /// For the thread that gets the signals.
    pub(crate) fn sender(&self) -> SyncSender<Message> {
        self.sender.clone()
    }

    /// For the same thread.
    pub(crate) fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// What comes next, which is waited for; none if nobody is left who could say something.
    pub(crate) fn next(&self) -> Option<Message> {
        self.receiver.recv().ok()
    }

    /// For the same thread.
    pub(crate) fn emergency(&self) -> &Emergency {
        &self.emergency
    }
}

/// What a thread can do to a run, whatever the others are at.
#[derive(Debug, Clone, Default)]
pub(crate) struct Emergency {
    tasks: Roll,
    made: Arc<OnceLock<Made>>,
}

/// A folder that must not be left, and one that goes with it if nothing else is in it.
#[derive(Debug)]
struct Made {
    folder: PathBuf,
    parent: Option<PathBuf>,
}

impl Emergency {
    /// What runs.
    pub(crate) fn tasks(&self) -> &Roll {
        &self.tasks
    }

    /// The run has this folder.
    pub(crate) fn is_in(&self, scratch: &Scratch) {
        let folder = scratch.folder().path();
        self.set(folder, folder.parent());
    }

    /// What runs has this folder, in one that is everybody's.
    pub(crate) fn has(&self, folder: &Path) {
        self.set(folder, None);
    }

    fn set(&self, folder: &Path, parent: Option<&Path>) {
        // The program makes no other one.
        let _ = self.made.set(Made {
            folder: folder.to_owned(),
            parent: parent.map(Path::to_owned),
        });
    }

    /// Removes what must not be left when the program ends.
    pub(crate) fn clear(&self) {
        if let Some(Made { folder, parent }) = self.made.get() {
            remove_all(folder);
            // Unless something else is there.
            let _ = parent.as_ref().map(std::fs::remove_dir);
        }
    }
}
