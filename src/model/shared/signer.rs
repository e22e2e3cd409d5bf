//! Keys to sign records with, and to know them by: of the kind and in the form of those of Nix's caches.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};

use crate::text::quoted;

/// The longest name of a key, in bytes.
const LONGEST: usize = 128;

/// What a text is that should have been a key. It never says what the text was, which may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// It has no colon.
    #[error("it has not the form NAME:BASE64")]
    Form,
    /// The name is not fit to be one.
    #[error("{} cannot be the name of a key: it has 1 to 128 letters, digits, `.`, `_` or `-`", quoted(.0))]
    Name(String),
    /// What stands before the colon cannot be a name.
    #[error(
        "what stands before the colon is not the name of a key, of 1 to 128 letters, digits, `.`, `_` or `-`"
    )]
    Beginning,
    /// What follows the colon is no base64.
    #[error("what follows the colon is not base64")]
    Base64,
    /// What follows is a secret key where a public one was wanted.
    #[error("key {0} is a secret one, which nobody else should have: the public one is wanted")]
    Secret(String),
    /// What follows is a public key where a secret one was wanted.
    #[error("key {0} is a public one: to sign, the secret one is wanted")]
    Public(String),
    /// What follows has another length, or is no key.
    #[error("what follows the colon is no key of ed25519")]
    Key,
}

/// Signs. Its text form is that of a secret key of Nix: `NAME:` and the base64 of 64 bytes.
#[derive(Clone)]
pub struct SecretKey {
    name: Box<str>,
    key: SigningKey,
}

/// Tells what that key signed. Its text form is `NAME:` and the base64 of 32 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: Box<str>,
    key: VerifyingKey,
}

fn check_name(name: &str) -> Result<(), BadKey> {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > LONGEST || !name.chars().all(is_fit) {
        let shown = name.chars().take(LONGEST).collect();
        return Err(BadKey::Name(shown));
    }
    Ok(())
}

/// The parts of `NAME:BASE64`.
fn parts(text: &str) -> Result<(&str, Vec<u8>), BadKey> {
    let (name, key) = text.split_once(':').ok_or(BadKey::Form)?;
    check_name(name).map_err(|_| BadKey::Beginning)?;
    let bytes = STANDARD.decode(key).map_err(|_| BadKey::Base64)?;
    Ok((name, bytes))
}

impl SecretKey {
    /// Of 32 bytes that nobody can guess.
    pub fn new(name: &str, seed: &[u8; 32]) -> Result<Self, BadKey> {
        check_name(name)?;
        Ok(Self {
            name: name.into(),
            key: SigningKey::from_bytes(seed),
        })
    }

    /// What others know it by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key to tell by what this one signed.
    pub fn public(&self) -> PublicKey {
        PublicKey {
            name: self.name.clone(),
            key: self.key.verifying_key(),
        }
    }

    /// The text form, which is a secret.
    pub fn to_secret_text(&self) -> String {
        format!(
            "{}:{}",
            self.name,
            STANDARD.encode(self.key.to_keypair_bytes())
        )
    }

    /// The signature of these bytes: `NAME:BASE64`.
    pub fn sign(&self, bytes: &[u8]) -> String {
        let signature = self.key.sign(bytes).to_bytes();
        format!("{}:{}", self.name, STANDARD.encode(signature))
    }
}

impl FromStr for SecretKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let (name, bytes) = parts(text.trim())?;
        let bad = || BadKey::Key;
        let key = match <[u8; 64]>::try_from(bytes.as_slice()) {
            Ok(both) => SigningKey::from_keypair_bytes(&both).map_err(|_| bad())?,
            Err(_) if bytes.len() == 32 => return Err(BadKey::Public(name.to_owned())),
            Err(_) => return Err(bad()),
        };
        Ok(Self {
            name: name.into(),
            key,
        })
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.name)
    }
}

impl PublicKey {
    /// What it is known by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether its secret key gave this signature of these bytes.
    pub fn has_signed(&self, bytes: &[u8], signature: &str) -> bool {
        let Ok((name, signature)) = parts(signature) else {
            return false;
        };
        let signature = ed25519_dalek::Signature::from_slice(&signature);
        name == &*self.name
            // The strict way: each signature has one form alone.
            && signature.is_ok_and(|signature| self.key.verify_strict(bytes, &signature).is_ok())
    }
}

impl FromStr for PublicKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let (name, bytes) = parts(text.trim())?;
        let bad = || BadKey::Key;
        let key = match <[u8; 32]>::try_from(bytes.as_slice()) {
            Ok(key) => VerifyingKey::from_bytes(&key).map_err(|_| bad())?,
            Err(_) if bytes.len() == 64 => return Err(BadKey::Secret(name.to_owned())),
            Err(_) => return Err(bad()),
        };
        if key.is_weak() {
            return Err(bad());
        }
        Ok(Self {
            name: name.into(),
            key,
        })
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, STANDARD.encode(self.key.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, seed: u8) -> SecretKey {
        SecretKey::new(name, &[seed; 32]).unwrap()
    }

    #[test]
    fn keys_come_back_from_their_text() {
        let secret = key("lab-1", 7);
        let text = secret.to_secret_text();
        let again: SecretKey = format!("{text}\n").parse().unwrap();
        assert_eq!(again.to_secret_text(), text);
        let public: PublicKey = secret.public().to_string().parse().unwrap();
        assert_eq!(public, again.public());
        assert!(public.has_signed(b"bytes", &again.sign(b"bytes")));
    }

    /// RFC 8032, 7.1, test 2, in the form of Nix.
    #[test]
    fn a_known_signature() {
        let bytes = |hex: &str| hex.parse::<crate::model::digest::Digest>().unwrap().0;
        let seed = bytes("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
        let public = bytes("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
        let signature = [
            bytes("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"),
            bytes("085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
        ];
        let key = SecretKey::new("rfc", &seed).unwrap();
        let text = |bytes: &[u8]| format!("rfc:{}", STANDARD.encode(bytes));
        assert_eq!(key.public().to_string(), text(&public));
        assert_eq!(key.to_secret_text(), text(&[seed, public].concat()));
        assert_eq!(key.sign(&[0x72]), text(signature.as_flattened()));
    }

    #[test]
    fn nothing_else_was_signed() {
        let signed = key("a", 1).sign(b"bytes");
        let public = key("a", 1).public();
        assert!(!public.has_signed(b"byteS", &signed));
        assert!(!key("a", 2).public().has_signed(b"bytes", &signed));
        assert!(!key("b", 1).public().has_signed(b"bytes", &signed));
        for at in 0..signed.len() {
            for bit in 0..7 {
                let mut bytes = signed.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let other = String::from_utf8(bytes).unwrap();
                assert!(!public.has_signed(b"bytes", &other), "{other}");
            }
        }
    }

    #[test]
    fn what_is_no_key_says_why_and_not_what_it_is() {
        let secret = key("lab", 3).to_secret_text();
        let public = key("lab", 3).public().to_string();
        let of_secret = |text: &str| text.parse::<SecretKey>().map(drop).unwrap_err();
        let of_public = |text: &str| text.parse::<PublicKey>().map(drop).unwrap_err();
        assert_eq!(of_secret(&public), BadKey::Public("lab".into()));
        assert_eq!(of_public(&secret), BadKey::Secret("lab".into()));
        assert_eq!(of_public(""), BadKey::Form);
        assert_eq!(of_public("lab"), BadKey::Form);
        assert_eq!(of_public(":AAAA"), BadKey::Beginning);
        assert_eq!(of_public("a b:AAAA"), BadKey::Beginning);
        assert_eq!(of_public("lab:%%"), BadKey::Base64);
        assert_eq!(of_public("lab:AAAA"), BadKey::Key);
        let zeros = format!("lab:{}", STANDARD.encode([0; 32]));
        assert_eq!(of_public(&zeros), BadKey::Key);
        // Halves that do not belong together.
        let mut halves = key("lab", 3).key.to_keypair_bytes();
        halves[40] ^= 1;
        let halves = format!("lab:{}", STANDARD.encode(halves));
        assert_eq!(of_secret(&halves), BadKey::Key);
        let hidden = &secret[4..20];
        for bad in [of_secret(&secret[..30]), of_public(&secret)] {
            assert!(!bad.to_string().contains(hidden), "{bad}");
        }
        assert!(!format!("{:?}", key("lab", 3)).contains(hidden));
    }
}
