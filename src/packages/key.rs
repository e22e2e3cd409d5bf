//! The key of a resolved environment: everything that decides what it resolves to.

use sha2::{Digest as _, Sha256};

use crate::model::digest::Digest;

/// Changes when the way of resolving does.
const FORMAT: &str = "task-pipeline environment 1";

/// Feeds a hash with tagged, length-prefixed texts, so that no two different sequences of them
/// give the same bytes.
pub(super) struct Key(Sha256);

impl Key {
    /// A key for this system and the store in `store`.
    pub(super) fn new(store: &str) -> Self {
        let mut key = Self(Sha256::new());
        key.text(b'F', FORMAT);
        key.text(b's', std::env::consts::ARCH);
        key.text(b'o', std::env::consts::OS);
        key.text(b'd', store);
        key
    }

    /// Adds one text under a tag.
    pub(super) fn text(&mut self, tag: u8, text: &str) {
        self.0.update([tag]);
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text);
    }

    /// The key.
    pub(super) fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(texts: &[(u8, &str)]) -> Digest {
        let mut key = Key::new("/nix/store");
        for (tag, text) in texts {
            key.text(*tag, text);
        }
        key.finish()
    }

    #[test]
    fn no_two_sequences_agree() {
        let keys = [
            key(&[]),
            key(&[(b'a', "")]),
            key(&[(b'b', "")]),
            key(&[(b'a', "xy")]),
            key(&[(b'a', "x"), (b'a', "y")]),
            key(&[(b'a', "y"), (b'a', "x")]),
            Key::new("/other").finish(),
        ];
        for (i, a) in keys.iter().enumerate() {
            assert!(keys[i + 1..].iter().all(|b| a != b));
        }
    }
}
