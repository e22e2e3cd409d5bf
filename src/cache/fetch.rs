//! From a question to a result that is here.

use std::io::{self, Read};

use zstd::stream::read::Decoder;

use super::place::Place;
use super::transport::Fault;
use super::{Common, object_name, record_name};
use crate::engine::{Found, Output, Question};
use crate::model::digest::Digest;
use crate::model::list::Form;
use crate::model::shared::{Record, SharedOutput};
use crate::model::tree::Kind;
use crate::store::ReceiveError;

/// Logarithm of the bytes that a decoder may look back: of what this program compresses, none needs more.
const WINDOW: u32 = 23;

/// Why a result is not taken that has a record.
enum Wrong {
    /// Somebody does not answer.
    Fault(Fault),
    /// An object is not what it should be; in words.
    Broken(Digest, String),
    /// It cannot be kept here, which whoever executes the task will meet, too.
    Here,
}

impl From<Fault> for Wrong {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Common {
    /// Looks for a result in all places, one after the other.
    pub(super) fn look_up(&self, question: &Question) -> Option<Found> {
        self.places.iter().find_map(|place| {
            if self.is_over() || !place.is_asked() || !place.greet(self) {
                return None;
            }
            match self.look_at(place, question) {
                Ok(found) => found,
                Err(Wrong::Fault(fault)) => {
                    place.give_up(self, &fault);
                    None
                }
                Err(Wrong::Broken(digest, words)) => {
                    self.stale().objects.insert(digest);
                    place.tell_broken(self, &words);
                    None
                }
                Err(Wrong::Here) => None,
            }
        })
    }

    fn look_at(&self, place: &Place, question: &Question) -> Result<Option<Found>, Wrong> {
        let name = record_name(&question.key);
        let Some(bytes) = place.transport.read(&name, Record::LONGEST)? else {
            return Ok(None);
        };
        let (record, signer) = match Record::read(&bytes, question.key, &self.trusted) {
            Ok(read) => read,
            Err(bad) => {
                place.tell_bad(self, &bad);
                return Ok(None);
            }
        };
        let (since, until) = question.within;
        if !(since..=until).contains(&record.executed) {
            self.stale().records.insert(question.key);
            return Ok(None);
        }
        let session = self.store.session();
        for output in &record.outputs {
            self.bring(place, output)?;
        }
        let outputs = record.outputs.into_iter().map(|output| Output {
            name: output.name.into(),
            digest: output.digest,
            form: output.form,
        });
        Ok(Some(Found {
            outputs: outputs.collect(),
            executed: record.executed,
            origin: format!("{} ({})", signer.name(), place.address).into(),
            _session: session,
        }))
    }

    /// Has all objects of an output be here.
    fn bring(&self, place: &Place, output: &SharedOutput) -> Result<(), Wrong> {
        // Of a folder: of all that is in it.
        let mut left = output.size;
        self.bring_object(place, &output.digest, &mut left)?;
        if output.form != Form::Folder {
            return Ok(());
        }
        let broken = |_| {
            let words = format!("folder {} has a list that is none", output.digest);
            Wrong::Broken(output.digest, words)
        };
        for entry in self.store.tree(&output.digest).map_err(broken)? {
            let entry = entry.map_err(broken)?;
            match entry.kind {
                Kind::Folder => {}
                Kind::File | Kind::Executable | Kind::Link => {
                    self.bring_object(place, &entry.digest, &mut left)?;
                }
            }
        }
        Ok(())
    }

    fn bring_object(&self, place: &Place, digest: &Digest, left: &mut u64) -> Result<(), Wrong> {
        if self.store.has(digest) {
            return Ok(());
        }
        let broken = |words: String| {
            let words = format!("object {digest} {words}");
            Wrong::Broken(*digest, words)
        };
        let Some(compressed) = place.transport.open(&object_name(digest))? else {
            return Err(broken("is not there".to_owned()));
        };
        let source = Wanted {
            common: self,
            from: compressed,
            fault: None,
        };
        let mut decoder = Decoder::new(source).map_err(|_| Wrong::Here)?;
        decoder.window_log_max(WINDOW).map_err(|_| Wrong::Here)?;
        let received = self.store.receive(digest, &mut decoder, *left);
        let fault = decoder.finish().into_inner().fault;
        match received {
            Ok(size) => {
                *left -= size;
                Ok(())
            }
            Err(ReceiveError::Source(_)) if fault.is_some() => {
                Err(Wrong::Fault(Fault::Gone(fault.unwrap_or_default())))
            }
            Err(ReceiveError::Source(error)) => Err(broken(format!("cannot be read: {error}"))),
            Err(ReceiveError::Other) => Err(broken(
                "is cut off, or has other bytes than its name says".to_owned(),
            )),
            Err(ReceiveError::Store(_)) => Err(Wrong::Here),
        }
    }
}

/// Tells failures of whoever sends from what is wrong with what he sent, and ends once nobody wants it any more.
struct Wanted<'c> {
    common: &'c Common,
    from: Box<dyn Read + Send>,
    fault: Option<String>,
}

impl Read for Wanted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.common.is_over() {
            return Err(io::Error::other("nobody wants it any more"));
        }
        self.from.read(buffer).inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                self.fault = Some(error.to_string());
            }
        })
    }
}
