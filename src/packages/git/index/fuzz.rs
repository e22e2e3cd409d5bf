//! Whatever lies in a repository as its index.

use super::super::Format;
use super::parse;

/// What is read of it is in it, and takes no more memory than it has bytes.
pub(crate) fn index(bytes: &[u8]) {
    for format in [Format::Sha1, Format::Sha256] {
        let Some(entries) = parse(bytes, format) else {
            continue;
        };
        assert!(entries.len() * (40 + format.bytes()) <= bytes.len());
        for entry in entries {
            assert_eq!(entry.hash.len(), format.bytes());
            assert!(entry.stage < 4 && !entry.name.contains(&0));
            let _ = (entry.is_submodule(), entry.is_folder());
        }
    }
}
