//! What a word on the command line names: a task by its number, or an object by its hash.

use crate::model::digest::Digest;
use crate::model::task::TaskId;

/// The fewest digits of a hash that may stand for it.
pub(super) const SHORTEST: usize = 4;

/// A word that names a task or an object, or could name either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reference {
    /// `#7`, or a number too short for a hash.
    Task(TaskId),
    /// A number that can be the start of a hash too; a task comes first.
    TaskOrHash(TaskId, String),
    /// The start of a hash, in lower case, or all of it.
    Hash(String),
}

/// Why a word names neither.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadReference {
    /// Hexadecimal, but too short.
    #[error("`{0}` is too short for a hash: {SHORTEST} digits are the fewest")]
    Short(String),
    /// Something else.
    #[error("`{0}` is neither the number of a task nor the start of a hash")]
    Neither(String),
}

impl Reference {
    /// Reads a word.
    pub(super) fn parse(word: &str) -> Result<Self, BadReference> {
        if let Some(number) = word.strip_prefix('#') {
            return number
                .parse()
                .map(|id| Self::Task(TaskId(id)))
                .map_err(|_| BadReference::Neither(word.to_owned()));
        }
        let hex = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let hash = (hex && (SHORTEST..=64).contains(&word.len())).then(|| word.to_lowercase());
        let number = word
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| word.parse().ok())
            .flatten()
            .map(TaskId);
        match (number, hash) {
            (Some(task), Some(hash)) => Ok(Self::TaskOrHash(task, hash)),
            (Some(task), None) => Ok(Self::Task(task)),
            (None, Some(hash)) => Ok(Self::Hash(hash)),
            (None, None) if hex && word.len() < SHORTEST => {
                Err(BadReference::Short(word.to_owned()))
            }
            (None, None) => Err(BadReference::Neither(word.to_owned())),
        }
    }
}

/// The shortest starts of `digests` (sorted) that tell them apart, of eight digits or more.
pub(super) fn tell_apart(digests: &[Digest]) -> Vec<String> {
    let texts: Vec<String> = digests.iter().map(ToString::to_string).collect();
    let common = |a: &str, b: &str| a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let longest = texts
        .windows(2)
        .map(|pair| common(&pair[0], &pair[1]) + 1)
        .max()
        .unwrap_or(0);
    let length = longest.clamp(8, 64);
    texts.iter().map(|text| text[..length].to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let parse = Reference::parse;
        let task = |id| Ok(Reference::Task(TaskId(id)));
        assert_eq!(parse("#12345"), task(12345));
        assert_eq!(parse("7"), task(7));
        assert_eq!(
            parse("1234"),
            Ok(Reference::TaskOrHash(TaskId(1234), "1234".into()))
        );
        assert_eq!(parse("ABcd"), Ok(Reference::Hash("abcd".into())));
        // More digits than a number has.
        let long = "1".repeat(64);
        assert_eq!(parse(&long), Ok(Reference::Hash(long.clone())));
        assert_eq!(parse("abc"), Err(BadReference::Short("abc".into())));
        for word in ["", "#", "#x", "-1", "report.txt", &"a".repeat(65)] {
            assert_eq!(parse(word), Err(BadReference::Neither(word.into())));
        }
    }

    #[test]
    fn starts_that_tell_apart() {
        let mut one = [0; 32];
        let mut two = [0; 32];
        (one[5], two[5]) = (0x10, 0x20);
        assert_eq!(
            tell_apart(&[Digest(one), Digest(two)]),
            ["00000000001", "00000000002"]
        );
        assert_eq!(tell_apart(&[Digest::EMPTY]), ["e3b0c442"]);
    }
}
