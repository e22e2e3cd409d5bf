//! What packages resolved to.

use serde::{Deserialize, Serialize};

/// The resolved packages of one step version: they decide PATH and are part of the fingerprint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// One entry per entry of `packages` in the manifest, in that order.
    pub packages: Vec<Package>,
    /// The folders that go in front of PATH, in the order in which `nix shell` puts them.
    pub path: Vec<String>,
}

/// One entry of `packages`, resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// The text in the manifest.
    pub installable: String,
    /// The store paths that it stands for.
    pub store_paths: Vec<String>,
    /// The pinned reference, where the text alone does not fix what it means.
    pub pin: Option<String>,
}
