//! From a result that is here to one that others have.

use std::io::{self, Read as _, Write};
use std::sync::atomic::Ordering;

use sha2::{Digest as _, Sha256};

use super::place::Place;
use super::transport::Fault;
use super::{Common, object_name, record_name};
use crate::engine::Success;
use crate::model::digest::Digest;
use crate::model::list::Form;
use crate::model::name::FileName;
use crate::model::shared::{Record, SecretKey, SharedOutput};
use crate::model::tree::Kind;

/// How well it is compressed: quickly.
const LEVEL: i32 = 3;
/// What is read at once (bytes).
const PIECE: usize = 128 * 1024;

/// What came of putting a result somewhere.
enum Put {
    /// It is there.
    There,
    /// One of somebody who is trusted was there before.
    WasThere,
    /// So was one that this run would not use.
    InTheWay,
}

impl Common {
    /// Puts a result where others find it: first its objects, then its record.
    pub(super) fn push(&self, success: &Success) {
        let Some((place, key)) = &self.to else {
            return;
        };
        if self.is_over() || !place.is_asked() || !place.greet(self) {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        match self.push_to(place, key, success) {
            Ok(Put::There) => {
                self.pushed.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Put::WasThere) => {}
            Ok(Put::InTheWay) => {
                self.barred.fetch_add(1, Ordering::Relaxed);
            }
            Err(fault) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
                match fault {
                    // What is gone here others cannot have; that is no fault of the place.
                    Fault::Here(_) => {}
                    Fault::Refused(_) | Fault::Gone(_) => place.give_up(self, &fault),
                }
            }
        }
    }

    fn push_to(&self, place: &Place, key: &SecretKey, success: &Success) -> Result<Put, Fault> {
        let mut outputs = Vec::with_capacity(success.outputs.len());
        for output in &success.outputs {
            let mut size = self.push_object(place, &output.digest)?;
            if output.form == Form::Folder {
                let tree = self.store.tree(&output.digest).map_err(here)?;
                for entry in tree {
                    let entry = entry.map_err(here)?;
                    match entry.kind {
                        Kind::Folder => {}
                        Kind::File | Kind::Executable | Kind::Link => {
                            size += self.push_object(place, &entry.digest)?;
                        }
                    }
                }
            }
            outputs.push(SharedOutput {
                name: FileName::new(&output.name).map_err(here)?,
                digest: output.digest,
                form: output.form,
                size,
            });
        }
        let record = Record {
            key: success.key,
            executed: success.executed,
            outputs,
        };
        let Some(text) = record.sign(key) else {
            return Ok(Put::WasThere);
        };
        let replaces = self.stale().records.remove(&success.key);
        let name = record_name(&success.key);
        let mut write = |to: &mut dyn Write| to.write_all(text.as_bytes());
        if place.transport.put(&name, !replaces, &mut write)? {
            return Ok(Put::There);
        }
        // Somebody else was first: others who trust this run take that only if they trust him, too.
        let found = place.transport.read(&name, Record::LONGEST)?;
        let is_good =
            found.is_some_and(|found| Record::read(&found, success.key, &self.trusted).is_ok());
        Ok(if is_good {
            Put::WasThere
        } else {
            Put::InTheWay
        })
    }

    /// Has the object be there; how many bytes it has.
    fn push_object(&self, place: &Place, digest: &Digest) -> Result<u64, Fault> {
        let name = object_name(digest);
        let damaged = self.stale().objects.remove(digest);
        if !damaged && place.transport.has(&name)? {
            let size = self.store.size(digest);
            return size.ok_or_else(|| Fault::Here(io::ErrorKind::NotFound.into()));
        }
        let mut size = 0;
        let mut sent = 0;
        let mut write = |to: &mut dyn Write| {
            let mut file = self.store.open_verified(digest).map_err(io::Error::other)?;
            let counted = Counted {
                to,
                count: &mut sent,
            };
            let mut encoder = zstd::stream::write::Encoder::new(counted, LEVEL)?;
            let mut hasher = Sha256::new();
            let mut piece = vec![0; PIECE];
            size = 0;
            loop {
                if self.is_over() {
                    return Err(io::Error::other("nobody waits for it any more"));
                }
                let length = file.read(&mut piece)?;
                if length == 0 {
                    break;
                }
                size += length as u64;
                hasher.update(&piece[..length]);
                encoder.write_all(&piece[..length])?;
            }
            encoder.finish()?;
            // Nothing is put there under a name that is not its own.
            if Digest(hasher.finalize().into()) != *digest {
                return Err(io::Error::other("it changed while it was read"));
            }
            Ok(())
        };
        place.transport.put(&name, false, &mut write)?;
        self.pushed_bytes.fetch_add(sent, Ordering::Relaxed);
        Ok(size)
    }
}

/// For `map_err`: what is wrong here.
fn here<E: std::error::Error + Send + Sync + 'static>(error: E) -> Fault {
    Fault::Here(io::Error::other(error))
}

/// Counts what goes through.
struct Counted<'w> {
    to: &'w mut dyn Write,
    count: &'w mut u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        *self.count += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
