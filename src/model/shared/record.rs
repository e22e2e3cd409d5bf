//! What a task left, as others can have it.
//!
//! ```text
//! task-pipeline result 1
//! key 64 digits
//! executed 1764190000000
//! output 1048576 f 64 digits  name
//! signature name:base64
//! ```
//!
//! All lines before the last are signed, to the byte. An output's line ends as in the list of a folder
//! ([`crate::model::tree`]).

use std::collections::HashSet;

use super::key::ResultKey;
use super::signer::{PublicKey, SecretKey};
use crate::model::digest::Digest;
use crate::model::list::Form;
use crate::model::name::FileName;
use crate::model::tree::{self, Kind};

const HEADER: &str = "task-pipeline result 1";
const SIGNATURE: &str = "\nsignature ";

/// The most outputs of a result that is shared: with more, its record would be too large to be read whole.
pub const MOST_OUTPUTS: usize = 4096;

/// One output of a shared result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedOutput {
    /// Its file name.
    pub name: FileName,
    /// The object: of a folder, the list of what is in it.
    pub digest: Digest,
    /// A file or a folder.
    pub form: Form,
    /// Bytes of the object.
    pub size: u64,
}

/// A shared result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What it is the result of.
    pub key: ResultKey,
    /// When its execution ended: milliseconds since 1970, UTC.
    pub executed: i64,
    /// What was left, in the order in which it was recorded.
    pub outputs: Vec<SharedOutput>,
}

/// Why a record is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// It is no record of this form; why.
    #[error("it is no record of a result ({0})")]
    Form(&'static str),
    /// It belongs elsewhere.
    #[error("it is the record of another result")]
    Other,
    /// Whoever signed it is not trusted, by this name.
    #[error("it is signed by {0}, who is not trusted")]
    Unknown(String),
    /// Its signature is none of the key that it names.
    #[error("it was not signed by {0}, as it says: somebody changed it, or made it up")]
    Forged(String),
}

impl Record {
    /// The longest one that is read, in bytes.
    pub const LONGEST: usize = 8 << 20;

    /// The record, signed; none where there are more outputs than [`MOST_OUTPUTS`].
    pub fn sign(&self, key: &SecretKey) -> Option<String> {
        if self.outputs.len() > MOST_OUTPUTS {
            return None;
        }
        let mut text = format!("{HEADER}\nkey {}\nexecuted {}\n", self.key.0, self.executed);
        for output in &self.outputs {
            text.push_str("output ");
            text.push_str(&output.size.to_string());
            text.push(' ');
            tree::add(
                &mut text,
                output.form.in_list(),
                &output.digest,
                &output.name,
            );
        }
        let signature = key.sign(text.as_bytes());
        text.push_str("signature ");
        text.push_str(&signature);
        text.push('\n');
        Some(text)
    }

    /// The record of `key` that somebody of `trusted` signed, and who that was.
    pub fn read<'t>(
        bytes: &[u8],
        key: ResultKey,
        trusted: &'t [PublicKey],
    ) -> Result<(Self, &'t PublicKey), BadRecord> {
        let form = BadRecord::Form;
        let text = std::str::from_utf8(bytes).map_err(|_| form("it is not text"))?;
        if !text.starts_with(HEADER) {
            return Err(form("it does not begin as one"));
        }
        // Nothing is read but that which is signed.
        let at = text.rfind(SIGNATURE).ok_or(form("it has no signature"))?;
        let (lines, signature) = (&text[..=at], &text[at + SIGNATURE.len()..]);
        let signature = signature
            .strip_suffix('\n')
            .filter(|line| !line.contains('\n'))
            .ok_or(form("it is cut off"))?;
        let name = signature.split(':').next().unwrap_or_default();
        let mut of_name = trusted.iter().filter(|key| key.name() == name).peekable();
        if of_name.peek().is_none() {
            return Err(BadRecord::Unknown(name.chars().take(128).collect()));
        }
        let signer = of_name
            .find(|key| key.has_signed(lines.as_bytes(), signature))
            .ok_or_else(|| BadRecord::Forged(name.to_owned()))?;
        let record = Self::parse(lines)?;
        if record.key != key {
            return Err(BadRecord::Other);
        }
        Ok((record, signer))
    }

    fn parse(text: &str) -> Result<Self, BadRecord> {
        let form = BadRecord::Form;
        let mut lines = text.split_terminator('\n');
        if lines.next() != Some(HEADER) {
            return Err(form("it has another form"));
        }
        let key = lines.next().and_then(|line| line.strip_prefix("key "));
        let key = key
            .and_then(|key| key.parse().ok())
            .ok_or(form("its key"))?;
        let executed = lines.next().and_then(|line| line.strip_prefix("executed "));
        let executed: i64 = executed
            .and_then(|executed| executed.parse().ok())
            .filter(|executed| *executed >= 0)
            .ok_or(form("when it was executed"))?;
        let mut outputs = Vec::new();
        let mut names = HashSet::new();
        for line in lines {
            let output = output(line).ok_or(form("an output"))?;
            if outputs.len() == MOST_OUTPUTS {
                return Err(form("it has too many outputs"));
            }
            if !names.insert(output.name.clone()) {
                return Err(form("two outputs have one name"));
            }
            outputs.push(output);
        }
        Ok(Self {
            key: ResultKey(key),
            executed,
            outputs,
        })
    }
}

fn output(line: &str) -> Option<SharedOutput> {
    let (size, rest) = line.strip_prefix("output ")?.split_once(' ')?;
    let entry = tree::line(rest)?;
    let form = match entry.kind {
        Kind::File => Form::File,
        Kind::Folder => Form::Folder,
        Kind::Executable | Kind::Link => return None,
    };
    Some(SharedOutput {
        name: FileName::new(&entry.name).ok()?,
        digest: entry.digest,
        form,
        size: size.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> SecretKey {
        SecretKey::new("lab", &[5; 32]).unwrap()
    }

    fn output(name: &str, form: Form) -> SharedOutput {
        SharedOutput {
            name: FileName::new(name).unwrap(),
            digest: Digest::of(name.as_bytes()),
            form,
            size: 1 << 20,
        }
    }

    fn record() -> Record {
        Record {
            key: ResultKey(Digest::of(b"key")),
            executed: 1_764_190_000_000,
            outputs: vec![
                output("a.txt", Form::File),
                output("new\nline\\ x", Form::Folder),
            ],
        }
    }

    fn read(bytes: &[u8]) -> Result<Record, BadRecord> {
        Record::read(bytes, record().key, &[key().public()]).map(|(record, signer)| {
            assert_eq!(signer, &key().public());
            record
        })
    }

    #[test]
    fn it_comes_back() {
        let text = record().sign(&key()).unwrap();
        assert_eq!(read(text.as_bytes()), Ok(record()));
        assert!(text.starts_with(&format!(
            "task-pipeline result 1\nkey {}\nexecuted 1764190000000\noutput 1048576 f {}  a.txt\n\
             output 1048576 \\d {}  new\\nline\\\\ x\nsignature lab:",
            Digest::of(b"key"),
            Digest::of(b"a.txt"),
            Digest::of(b"new\nline\\ x"),
        )));
        let nothing = Record {
            outputs: Vec::new(),
            ..record()
        };
        let text = nothing.sign(&key()).unwrap();
        assert_eq!(read(text.as_bytes()), Ok(nothing));
    }

    #[test]
    fn whatever_is_changed_of_it_is_noticed() {
        let text = record().sign(&key()).unwrap();
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                assert!(read(&bytes).is_err(), "byte {at}, bit {bit}");
            }
            assert!(read(&text.as_bytes()[..at]).is_err(), "cut at {at}");
            let mut bytes = text.clone().into_bytes();
            bytes.remove(at);
            assert!(read(&bytes).is_err(), "without byte {at}");
            for more in [b'\n', b'a', b' '] {
                let mut bytes = text.clone().into_bytes();
                bytes.insert(at, more);
                assert!(read(&bytes).is_err(), "more at {at}");
            }
        }
        assert!(read(format!("{text}\n").as_bytes()).is_err());
        // Lines that somebody signed, with others.
        let (lines, signature) = text.split_once("signature ").unwrap();
        let more = format!(
            "{lines}output 1 f {}  b\nsignature {signature}",
            Digest::EMPTY
        );
        assert_eq!(read(more.as_bytes()), Err(BadRecord::Forged("lab".into())));
        assert!(read(format!("{text}{more}").as_bytes()).is_err());
    }

    #[test]
    fn nobody_else_is_believed() {
        let other = SecretKey::new("other", &[6; 32]).unwrap();
        let text = record().sign(&other).unwrap();
        let read = |text: &str, trusted: &[PublicKey]| {
            Record::read(text.as_bytes(), record().key, trusted).map(drop)
        };
        let unknown = Err(BadRecord::Unknown("other".into()));
        assert_eq!(read(&text, &[key().public()]), unknown);
        assert_eq!(read(&text, &[]), unknown);
        assert_eq!(read(&text, &[key().public(), other.public()]), Ok(()));
        // The same name, another key: a new one beside an old one is right.
        let newer = SecretKey::new("other", &[7; 32]).unwrap();
        let forged = Err(BadRecord::Forged("other".into()));
        assert_eq!(read(&text, &[newer.public()]), forged);
        assert_eq!(read(&text, &[newer.public(), other.public()]), Ok(()));
    }

    #[test]
    fn it_is_that_of_its_key() {
        let text = record().sign(&key()).unwrap();
        let other = ResultKey(Digest::of(b"another"));
        let trusted = [key().public()];
        let read = Record::read(text.as_bytes(), other, &trusted);
        assert_eq!(read.map(drop), Err(BadRecord::Other));
    }

    /// What a signer signs may be wrong, too.
    #[test]
    fn signed_nonsense_is_refused() {
        let refused = |lines: &str| {
            let signature = key().sign(lines.as_bytes());
            let text = format!("{lines}signature {signature}\n");
            match read(text.as_bytes()) {
                Err(BadRecord::Form(why)) => why,
                other => panic!("{lines}: {other:?}"),
            }
        };
        let head = format!("{HEADER}\nkey {}\nexecuted 1\n", record().key.0);
        let hash = Digest::EMPTY;
        for line in [
            "output 1 f x  name",
            &format!("output -1 f {hash}  name"),
            &format!("output 1 f {hash}  ../name"),
            &format!("output 1 f {hash}  .."),
            &format!("output 1 l {hash}  name"),
            &format!("output 1 x {hash}  name"),
            &format!("output 1 f {hash}  "),
            "other 1",
            "",
        ] {
            assert_eq!(refused(&format!("{head}{line}\n")), "an output", "{line}");
        }
        let line = format!("output 1 f {hash}  name\n");
        assert_eq!(
            refused(&format!("{head}{line}{line}")),
            "two outputs have one name"
        );
        let other = head.replace("result 1\n", "result 12\n");
        assert_eq!(refused(&other), "it has another form");
        let early = head.replace("executed 1", "executed -1");
        assert_eq!(refused(&early), "when it was executed");
        let many = |count: usize| {
            let lines = (0..count).map(|n| format!("output 1 f {hash}  {n}\n"));
            head.clone() + &lines.collect::<String>()
        };
        assert_eq!(refused(&many(MOST_OUTPUTS + 1)), "it has too many outputs");
        let most = Record {
            outputs: (0..MOST_OUTPUTS)
                .map(|n| output(&format!("{n:0>1000}"), Form::File))
                .collect(),
            ..record()
        };
        let text = most.sign(&key()).unwrap();
        assert!(text.len() <= Record::LONGEST, "{}", text.len());
        assert_eq!(read(text.as_bytes()), Ok(most.clone()));
        let mut more = most;
        more.outputs.push(output("one more", Form::File));
        assert_eq!(more.sign(&key()), None);
    }

    proptest! {
        #[test]
        fn any_names_come_back(names in prop::collection::hash_set("[^/\0]{1,30}", 0..10)) {
            let names = names.iter().filter(|name| *name != "." && *name != "..");
            let outputs = names.map(|name| output(name, Form::File)).collect();
            let record = Record { outputs, ..record() };
            let text = record.sign(&key()).unwrap();
            prop_assert_eq!(read(text.as_bytes()), Ok(record));
        }

        #[test]
        fn no_bytes_are_too_much(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
            let mut text = HEADER.as_bytes().to_vec();
            text.extend(bytes);
            prop_assert!(read(&text).is_err());
        }
    }
}
