//! What came of a task, on its way to the run: objects, names, then the end.

use std::io;

use super::beside::Beside;
use super::line::Line;
use super::shelf::Use;
use crate::engine::{self, Ended};
use crate::exec::transfer::{self, each_within};
use crate::model::digest::Digest;
use crate::model::list::Form;
use crate::store::{self, Store};
use crate::wire::message::{End, Lease, Outcome, ToOwner};

/// Of one that this worker cannot carry out.
pub(super) fn unable(lease: Lease, why: String) -> ToOwner {
    let end = End {
        outcome: Outcome::Unable(why),
        started: 0,
        elapsed: 0,
        cpu: None,
        peak: None,
        launch: None,
        stdout: None,
        stderr: None,
        warning: None,
        checkpoint: None,
        kept: None,
    };
    ToOwner::Done(lease, Box::new(end))
}

/// Tells what comes of one task.
pub(super) struct Teller<'a> {
    pub line: Line<'a>,
    pub store: &'a Store,
    pub beside: &'a Beside,
    pub used: &'a Use<'a>,
    pub lease: Lease,
}

impl Teller<'_> {
    /// Gives the run an object.
    fn send(&self, digest: &Digest) -> Result<(), store::Error> {
        let lease = self.lease;
        self.used.of(digest);
        if let Some(name) = self.beside.put(self.store, digest) {
            let placed = ToOwner::Placed {
                lease,
                digest: *digest,
                name,
            };
            return self
                .line
                .say_soon(&placed, &[])
                .map_err(|error| self.said(error));
        }
        transfer::send(self.store, digest, |bytes, last| {
            let last = last.then_some(*digest);
            self.line.say_soon(&ToOwner::Piece { lease, last }, bytes)
        })
    }

    fn said(&self, error: io::Error) -> store::Error {
        store::Error::Io {
            action: "send what a task left from",
            path: self.store.scratch().to_owned(),
            source: error,
        }
    }

    fn send_within(&self, digest: &Digest, form: Form) -> Result<(), store::Error> {
        each_within(self.store, digest, form, &mut |digest| self.send(digest))
    }

    /// Says what a task keeps that goes on.
    pub(super) fn keeps(&self, tree: &Digest) -> Result<(), store::Error> {
        self.send(tree)?;
        self.send_within(tree, Form::Folder)?;
        self.line.say(&ToOwner::Kept(self.lease, *tree));
        Ok(())
    }

    /// Says all of how it ended. `kept`: the tree of its folder, or why there is none, if that is kept.
    pub(super) fn end(
        &self,
        ended: Ended,
        kept: Option<Result<Digest, String>>,
    ) -> Result<(), store::Error> {
        let outcome = match ended.outcome {
            engine::Outcome::Success(outputs) => {
                for output in outputs {
                    let output = output.map_err(|error| self.said(error))?;
                    self.send(&output.digest)?;
                    self.send_within(&output.digest, output.form)?;
                    let told = ToOwner::Output {
                        lease: self.lease,
                        name: output.name.into(),
                        digest: output.digest,
                        form: output.form.number(),
                    };
                    let said = self.line.say_soon(&told, &[]);
                    said.map_err(|error| self.said(error))?;
                }
                Outcome::Success
            }
            engine::Outcome::Failure(error) => Outcome::Failure(error),
            engine::Outcome::OutOfMemory(error) => Outcome::OutOfMemory(error),
            engine::Outcome::Cancelled => Outcome::Cancelled,
            engine::Outcome::Stale(error) => Outcome::Unable(format!(
                "the step's files there are not as they were: {error}"
            )),
            engine::Outcome::Short(short) => Outcome::Unable(short.error),
        };
        if let Some(tree) = &ended.checkpoint {
            self.send(tree)?;
            self.send_within(tree, Form::Folder)?;
        }
        if let Some(Ok(tree)) = &kept {
            self.send(tree)?;
            self.send_within(tree, Form::Folder)?;
        }
        let logs = ended.logs;
        for log in logs.stdout.iter().chain(&logs.stderr) {
            self.send(log)?;
        }
        let end = End {
            outcome,
            started: ended.finished.started,
            elapsed: ended.finished.elapsed,
            cpu: ended.finished.cpu,
            peak: ended.finished.peak,
            launch: ended.launch.map(|launch| launch.word().to_owned()),
            stdout: logs.stdout,
            stderr: logs.stderr,
            warning: ended.warning,
            checkpoint: ended.checkpoint,
            kept,
        };
        self.line.say(&ToOwner::Done(self.lease, Box::new(end)));
        Ok(())
    }
}
