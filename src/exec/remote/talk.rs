//! What is said to one worker: one thread says it, so that nobody else waits for who does not listen.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use crate::exec::transfer;
use crate::model::digest::Digest;
use crate::store::Reader;
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
    let mut to = BufWriter::with_capacity(frame::PIECE * 2, to);
    // Objects wait for messages, which are short.
    let mut objects: VecDeque<Digest> = VecDeque::new();
    loop {
        let next = if objects.is_empty() {
            match says.try_recv() {
                Err(TryRecvError::Empty) => {
                    to.flush()?;
                    says.recv_timeout(pause)
                }
                Err(TryRecvError::Disconnected) => Err(RecvTimeoutError::Disconnected),
                Ok(say) => Ok(say),
            }
        } else {
            says.try_recv().map_err(|error| match error {
                TryRecvError::Empty => RecvTimeoutError::Timeout,
                TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
            })
        };
        match next {
            Ok(Say::Message(message)) => frame::write(&mut to, &message, &[])?,
            Ok(Say::Objects(more)) => objects.extend(more),
            Ok(Say::Secrets(step, files)) => {
                for (place, file) in files.iter().enumerate() {
                    let bytes = fs::read(file)?;
                    let mut pieces = bytes.chunks(frame::PIECE).peekable();
                    while let Some(piece) = pieces.next() {
                        let last = pieces.peek().is_none();
                        frame::write(&mut to, &ToWorker::Secret { step, place, last }, piece)?;
                    }
                }
            }
            Ok(Say::End) | Err(RecvTimeoutError::Disconnected) => return to.flush(),
            Err(RecvTimeoutError::Timeout) => match objects.pop_front() {
                Some(digest) => object(store, &mut to, digest)?,
                None => frame::write(&mut to, &ToWorker::Ping, &[])?,
            },
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
            let absent = ToWorker::Absent(digest, error.to_string());
            frame::write(to, &absent, &[])
        }
        (Ok(()), None) => Ok(()),
    }
}
