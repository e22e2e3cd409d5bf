//! What is said to one worker: one thread says it, so that nobody else waits for who does not listen.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use crate::exec::transfer;
use crate::model::digest::Digest;
use crate::packages::copy::{self, CopyError};
use crate::store::{Error, Reader};
use crate::text::Shown as _;
use crate::wire::frame;
use crate::wire::message::ToWorker;

/// What a worker is to hear.
#[derive(Debug)]
pub(super) enum Say {
    /// A message.
    Message(ToWorker),
    /// These objects, which it asked for.
    Objects(Vec<Digest>),
    /// The secrets of the step with this number, which are in these files.
    Secrets(u32, Vec<PathBuf>),
    /// What the packages of a step need: of these store paths.
    Needs(u32, Vec<String>),
    /// The bytes of these, which are among what they need.
    Packages(u32, Vec<String>),
    /// Nothing more.
    End,
}

/// Says all that comes, and something at each `pause`, until that ends or nobody listens.
pub(super) fn talk(
    store: &Reader,
    to: impl Write,
    says: &Receiver<Say>,
    pause: Duration,
) -> io::Result<()> {
    let mut talker = Talker::new(store, BufWriter::with_capacity(frame::PIECE * 2, to));
    loop {
        let next = match says.try_recv() {
            Ok(say) => Ok(say),
            Err(TryRecvError::Disconnected) => Err(RecvTimeoutError::Disconnected),
            Err(TryRecvError::Empty) if talker.has_objects() => Err(RecvTimeoutError::Timeout),
            Err(TryRecvError::Empty) => {
                talker.to.flush()?;
                says.recv_timeout(pause)
            }
        };
        let say = match next {
            Ok(say) => Some(say),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Say::End),
        };
        if !talker.say(say)? {
            return Ok(());
        }
    }
}

/// Says one thing after the other.
pub(super) struct Talker<'s, W> {
    store: &'s Reader,
    pub(super) to: W,
    /// Objects wait for messages, which are short.
    objects: VecDeque<Digest>,
    /// What was said of packages, by step: nothing else of this machine's store goes there.
    needs: HashMap<u32, Vec<String>>,
}

impl<'s, W: Write> Talker<'s, W> {
    pub(super) fn new(store: &'s Reader, to: W) -> Self {
        Self {
            store,
            to,
            objects: VecDeque::new(),
            needs: HashMap::new(),
        }
    }

    /// Whether objects are to be sent, when nothing else is.
    pub(super) fn has_objects(&self) -> bool {
        !self.objects.is_empty()
    }

    /// Says that, or where there is nothing else an object that was asked for, or that this is there; whether
    /// anything more is to be said.
    pub(super) fn say(&mut self, say: Option<Say>) -> io::Result<bool> {
        let to = &mut self.to;
        match say {
            Some(Say::Message(message)) => frame::write(to, &message, &[])?,
            Some(Say::Objects(more)) => self.objects.extend(more),
            Some(Say::Secrets(step, files)) => {
                for (place, file) in files.iter().enumerate() {
                    let bytes = fs::read(file)?;
                    let mut pieces = bytes.chunks(frame::PIECE).peekable();
                    while let Some(piece) = pieces.next() {
                        let last = pieces.peek().is_none();
                        frame::write(to, &ToWorker::Secret { step, place, last }, piece)?;
                    }
                }
            }
            Some(Say::Needs(step, packages)) => {
                let told = match copy::needs(&packages) {
                    Ok(all) => {
                        self.needs.insert(step, all.clone());
                        ToWorker::Needs(step, all)
                    }
                    Err(error) => ToWorker::NoPackages(step, error.to_string()),
                };
                frame::write(to, &told, &[])?;
            }
            Some(Say::Packages(step, paths)) => {
                let all = self.needs.get(&step).map_or(&[][..], Vec::as_slice);
                match paths.iter().find(|path| all.binary_search(path).is_err()) {
                    None => packages(to, step, &paths)?,
                    Some(other) => {
                        let why = format!("the step does not need {other:?}");
                        frame::write(to, &ToWorker::NoPackages(step, why), &[])?;
                    }
                }
            }
            Some(Say::End) => return to.flush().map(|()| false),
            None => match self.objects.pop_front() {
                Some(digest) => object(self.store, to, digest)?,
                None => frame::write(to, &ToWorker::Ping, &[])?,
            },
        }
        Ok(true)
    }
}

/// Sends packages, or says why they cannot be had. All else waits for them: a worker has them once.
fn packages(to: &mut impl Write, step: u32, paths: &[String]) -> io::Result<()> {
    let sent = copy::export(paths, &mut |bytes| {
        let piece = ToWorker::Packages { step, last: false };
        frame::write(to, &piece, bytes)
    });
    match sent {
        Ok(()) => frame::write(to, &ToWorker::Packages { step, last: true }, &[]),
        Err(CopyError::To(error)) => Err(error),
        Err(error) => {
            let told = ToWorker::NoPackages(step, error.to_string());
            frame::write(to, &told, &[])
        }
    }
}

/// Sends an object, or says why it cannot be had.
fn object(store: &Reader, to: &mut impl Write, digest: Digest) -> io::Result<()> {
    let mut broken = None;
    let sent = transfer::send(store, &digest, |bytes, last| {
        let piece = ToWorker::Piece { digest, last };
        frame::write(to, &piece, bytes).map_err(|error| {
            let kind = error.kind();
            broken = Some(error);
            kind.into()
        })
    });
    match (sent, broken) {
        (_, Some(error)) => Err(error),
        (Err(error), None) => {
            let absent = ToWorker::Absent(digest, absent(&error));
            frame::write(to, &absent, &[])
        }
        (Ok(()), None) => Ok(()),
    }
}

/// What is said of a file at home that others cannot have any more.
pub(super) const OTHER: &str = " is not as it was when the run took it in";

/// Why an object cannot be had.
fn absent(error: &Error) -> String {
    match error {
        Error::Outside { path, .. } => format!(
            "{}{OTHER}, and cannot be sent\nhint: run again, which takes it as it is then; leave it alone while a run needs it",
            path.shown()
        ),
        Error::Missing { .. }
        | Error::NotAFile { .. }
        | Error::Damaged { .. }
        | Error::Io { .. }
        | Error::Place { .. }
        | Error::NotAFolder { .. }
        | Error::Replaced(_)
        | Error::Evicted(_)
        | Error::LinkToNothing { .. }
        | Error::LinkToOther { .. }
        | Error::OfAnother { .. } => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::store::Store;

    #[test]
    fn nothing_of_the_store_goes_to_a_worker_but_what_its_steps_need() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("objects"), dir.path()).unwrap();
        let (say, says) = mpsc::channel();
        let path = "/nix/store/00000000000000000000000000000000-other".to_owned();
        say.send(Say::Packages(3, vec![path])).unwrap();
        say.send(Say::End).unwrap();
        let mut said = Vec::new();
        talk(&store, &mut said, &says, Duration::from_secs(1)).unwrap();
        let heard = frame::read::<ToWorker>(&mut &said[..]).unwrap();
        let Some((ToWorker::NoPackages(3, why), _)) = heard else {
            panic!("{heard:?}");
        };
        assert!(why.starts_with("the step does not need "), "{why}");
    }
}
