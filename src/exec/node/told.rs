//! What came of a task, on its way to the run: objects, names, then the end.

use std::io;

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
    };
    ToOwner::Done(lease, Box::new(end))
}

/// Says what a task keeps that goes on.
pub(super) fn kept(
    line: Line,
    store: &Store,
    used: &Use,
    lease: Lease,
    tree: &Digest,
) -> Result<(), store::Error> {
    let send = |digest: &Digest| {
        used.of(store, digest);
        transfer::send(store, digest, |bytes, last| {
            let last = last.then_some(*digest);
            line.say_soon(&ToOwner::Piece { lease, last }, bytes)
        })
    };
    send(tree)?;
    each_within(store, tree, Form::Folder, &mut |digest| send(digest))?;
    line.say(&ToOwner::Kept(lease, *tree));
    Ok(())
}

/// Says all of it.
pub(super) fn tell(
    line: Line,
    store: &Store,
    used: &Use,
    lease: Lease,
    ended: Ended,
) -> Result<(), store::Error> {
    let said = |error: io::Error| store::Error::Io {
        action: "send what a task left from",
        path: store.scratch().to_owned(),
        source: error,
    };
    let send = |digest: &Digest| {
        used.of(store, digest);
        transfer::send(store, digest, |bytes, last| {
            let last = last.then_some(*digest);
            line.say_soon(&ToOwner::Piece { lease, last }, bytes)
        })
    };
    let outcome = match ended.outcome {
        engine::Outcome::Success(outputs) => {
            for output in outputs {
                let output = output.map_err(said)?;
                send(&output.digest)?;
                each_within(store, &output.digest, output.form, &mut |digest| {
                    send(digest)
                })?;
                let told = ToOwner::Output {
                    lease,
                    name: output.name.into(),
                    digest: output.digest,
                    form: output.form.number(),
                };
                line.say_soon(&told, &[]).map_err(said)?;
            }
            Outcome::Success
        }
        engine::Outcome::Failure(error) => Outcome::Failure(error),
        engine::Outcome::OutOfMemory(error) => Outcome::OutOfMemory(error),
        engine::Outcome::Cancelled => Outcome::Cancelled,
        engine::Outcome::Stale(error) => Outcome::Unable(error),
        engine::Outcome::Short(short) => Outcome::Unable(short.error),
    };
    if let Some(tree) = &ended.checkpoint {
        send(tree)?;
        each_within(store, tree, Form::Folder, &mut |digest| send(digest))?;
    }
    let logs = ended.logs;
    for log in logs.stdout.iter().chain(&logs.stderr) {
        send(log)?;
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
    };
    line.say(&ToOwner::Done(lease, Box::new(end)));
    Ok(())
}
