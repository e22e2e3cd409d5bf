//! One place with results.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use super::Common;
use super::transport::folder::Folder;
use super::transport::remote::Remote;
use super::transport::{Fault, NoPlace, Transport};
use crate::model::shared::{Address, BadRecord};

/// What says that a place has results, and of which form all in it is.
const SIGN: &str = "task-pipeline-cache";
const FORM: &str = "task-pipeline cache 1\n";

/// What is told where there is none, and what to do.
pub(super) const NONE: &str = "there is no cache at that address (no file task-pipeline-cache)";
pub(super) const BEGIN: &str =
    "check the address; the first run with -cache-push begins a cache there";

/// See the module.
pub(super) struct Place {
    pub(super) address: Address,
    pub(super) transport: Box<dyn Transport>,
    /// Whether results are put there.
    takes: bool,
    /// Whether it has shown that it has results: whoever knows that does not take a refusal of one for a refusal of all.
    greeted: OnceLock<bool>,
    /// Not asked any more.
    gone: AtomicBool,
    /// Kinds of records that were told not to be used.
    told: AtomicU8,
}

impl Place {
    pub(super) fn open(address: &Address, takes: bool) -> Result<Self, NoPlace> {
        let transport: Box<dyn Transport> = match address {
            Address::Folder(path) => Box::new(Folder::new(path)),
            Address::Web(url) => Box::new(Remote::web(url)?),
            Address::Bucket(bucket, prefix) => Box::new(Remote::bucket(bucket, prefix)?),
        };
        Ok(Self::with(address, transport, takes))
    }

    /// A place to which that leads.
    pub(super) fn with(address: &Address, transport: Box<dyn Transport>, takes: bool) -> Self {
        Self {
            address: address.clone(),
            transport,
            takes,
            greeted: OnceLock::new(),
            gone: AtomicBool::new(false),
            told: AtomicU8::new(0),
        }
    }

    /// Whether it may have an answer.
    pub(super) fn is_asked(&self) -> bool {
        !self.gone.load(Ordering::Relaxed) && self.greeted.get() != Some(&false)
    }

    /// Whether it has results, or takes some. Asked once, by whoever needs it first; others wait for that.
    pub(super) fn greet(&self, common: &Common) -> bool {
        *self.greeted.get_or_init(|| match self.sign() {
            Ok(true) => true,
            Ok(false) => {
                common.warn(self.is_none());
                false
            }
            Err(fault) => {
                self.give_up(common, &fault);
                false
            }
        })
    }

    /// Whether there are results, or can be from now on.
    pub(super) fn sign(&self) -> Result<bool, Fault> {
        let sign = self.transport.read(SIGN, 1024)?;
        match sign.as_deref() {
            Some(sign) if sign == FORM.as_bytes() => Ok(true),
            Some(_) => Err(Fault::Refused(format!(
                "its file {SIGN} is of another form, perhaps of a newer task-pipeline"
            ))),
            None if self.takes => {
                let mut write = |to: &mut dyn std::io::Write| to.write_all(FORM.as_bytes());
                self.transport.put(SIGN, true, &mut write)?;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// What is told of an address at which there is no cache.
    pub(super) fn is_none(&self) -> String {
        format!(
            "cache {}: {NONE}; nothing is taken from it\nhint: {BEGIN}",
            self.address
        )
    }

    /// Says whether it answers, and whether it takes what it is to take; false if it is none.
    pub(super) fn try_out(&self, tell: &mut dyn FnMut(&str, &str)) -> Result<bool, Fault> {
        let was_there = self.transport.read(SIGN, 1024)?.is_some();
        // Where nothing is yet and something is to be put there, this begins it.
        let has_results = self.sign()?;
        let words = match (was_there, has_results) {
            (true, _) => "it answers, and results of this program's form are there",
            (false, true) => "it answers, and nothing was there yet",
            (false, false) => return Ok(false),
        };
        tell("read", words);
        if self.takes {
            let mut write = |to: &mut dyn std::io::Write| to.write_all(FORM.as_bytes());
            self.transport.put(SIGN, false, &mut write)?;
            if !self.sign()? {
                let words = format!("{SIGN} was put there, and is not there");
                return Err(Fault::Refused(words));
            }
            tell("write", "what is put there comes back");
        }
        Ok(true)
    }

    /// What to do about a fault.
    pub(super) fn hint(&self, fault: &Fault) -> &'static str {
        match (fault, &self.address) {
            (Fault::Refused(_), Address::Folder(_)) => "check owner and mode of the folder",
            (Fault::Refused(_), Address::Web(_)) => "check the address, and what the server allows",
            (Fault::Refused(_), Address::Bucket(..)) => {
                "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL, and what they may do there"
            }
            (Fault::Gone(_) | Fault::Here(_), Address::Folder(_)) => "check the folder",
            (Fault::Gone(_) | Fault::Here(_), Address::Web(_)) => {
                "check the address and the network"
            }
            (Fault::Gone(_) | Fault::Here(_), Address::Bucket(..)) => {
                "check AWS_ENDPOINT_URL, AWS_REGION and the network"
            }
        }
    }

    /// It is not asked again in this run, which is told once.
    pub(super) fn give_up(&self, common: &Common, fault: &Fault) {
        if self.gone.swap(true, Ordering::Relaxed) || common.is_over() {
            return;
        }
        let hint = self.hint(fault);
        common.warn(format!(
            "cache {} is not used any more in this run: {fault}\nhint: {hint}",
            self.address
        ));
    }

    /// Tells that a record there is not used; each kind once.
    pub(super) fn tell_bad(&self, common: &Common, bad: &BadRecord) {
        let (kind, hint) = match bad {
            BadRecord::Unknown(_) => (
                1,
                "-cache-trust NAME:BASE64 or FILE says who is trusted; his public key has this form",
            ),
            BadRecord::Forged(_) => (
                2,
                "compare the key in -cache-trust with the one that signs; if they are the same, somebody tampers with the \
                 cache",
            ),
            BadRecord::Form(_) => (4, "it may be cut off, or of a newer task-pipeline"),
            BadRecord::Other => (
                8,
                "it was copied by hand, or somebody tampers with the cache",
            ),
        };
        if self.told.fetch_or(kind, Ordering::Relaxed) & kind == 0 {
            common.warn(format!(
                "cache {}: a record there is not used, and no other one like it: {bad}\nhint: {hint}",
                self.address
            ));
        }
    }

    /// Tells once that objects there are not what they should be.
    pub(super) fn tell_broken(&self, common: &Common, words: &str) {
        const OBJECTS: u8 = 16;
        if self.told.fetch_or(OBJECTS, Ordering::Relaxed) & OBJECTS == 0 {
            common.warn(format!(
                "cache {}: a result there is not used, and no other one like it: {words}\nhint: what is executed \
                 instead is put in its place by a run with -cache-push",
                self.address
            ));
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.address, f)
    }
}
