//! Paths in the Nix store: the one place that knows the crate they are parsed with.

use std::path::{Path, PathBuf};

use nix_derivation::{CAHash, NixHash, StoreDir as Dir, StorePath as Parsed};

/// The folder of the store: `NIX_STORE_DIR` where it is set, else `/nix/store`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoreDir(Dir);

/// A text that is no path in the store, or a folder that can be no store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a path in the store: {why}")]
pub(crate) struct BadStorePath {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

/// A path directly in the store, as an absolute path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct StorePath(String);

fn bad(text: &str, why: &impl std::fmt::Display) -> BadStorePath {
    BadStorePath {
        text: text.to_owned(),
        why: why.to_string(),
    }
}

impl StoreDir {
    /// The store that the programs of Nix use in this environment.
    pub(super) fn of_environment() -> Result<Self, BadStorePath> {
        let set = ["NIX_STORE_DIR", "NIX_STORE"]
            .into_iter()
            .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
        Self::new(set.as_deref().unwrap_or("/nix/store"))
    }

    /// The store in the folder `path`.
    pub(super) fn new(path: &str) -> Result<Self, BadStorePath> {
        let trimmed = path.trim_end_matches('/');
        Dir::new(trimmed).map(Self).map_err(|why| bad(path, &why))
    }

    /// The folder.
    pub(super) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether `path` is the store's folder or lies in it.
    pub(super) fn contains(&self, path: &Path) -> bool {
        path.starts_with(self.as_str())
    }

    /// The store path that `path` is or lies in; a name alone is one in this store.
    pub(super) fn parse(&self, path: &str) -> Result<StorePath, BadStorePath> {
        let name = match path.strip_prefix(self.as_str()) {
            Some(rest) if rest.starts_with('/') => rest.trim_start_matches('/'),
            Some(_) => return Err(bad(path, &"it lies elsewhere")),
            None if path.contains('/') => return Err(bad(path, &"it lies elsewhere")),
            None => path,
        };
        let name = name.split('/').next().unwrap_or_default();
        Parsed::from_basename(name.as_bytes())
            .map(|parsed| StorePath(self.0.render_path(&parsed)))
            .map_err(|why| bad(path, &why))
    }

    /// Where a flake's source with this `narHash` lies in the store.
    pub(super) fn source(&self, nar_hash: &str) -> Option<StorePath> {
        let hash = NixHash::parse(nar_hash).ok()?;
        let path = self
            .0
            .build_ca_path("source", &CAHash::Nar(hash), [], false)
            .ok()?;
        Some(StorePath(self.0.render_path(&path)))
    }
}

impl StorePath {
    /// The absolute path.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it names a derivation.
    pub(super) fn is_derivation(&self) -> bool {
        Path::new(&self.0)
            .extension()
            .is_some_and(|extension| extension == "drv")
    }

    /// Whether something is there.
    pub(super) fn exists(&self) -> bool {
        PathBuf::from(&self.0).symlink_metadata().is_ok()
    }
}

/// Whether `text` is a hash as flakes are pinned by: `sha256-…`.
pub(super) fn is_hash(text: &str) -> bool {
    text.contains('-') && NixHash::parse(text).is_ok()
}

/// The name in a store path, without the folder, the hash and `.drv`: `jq-1.7`.
pub(super) fn short_name(path: &str) -> &str {
    let base = path.rsplit('/').next().unwrap_or(path);
    let name = base
        .get(33..)
        .filter(|_| base.as_bytes().get(32) == Some(&b'-'));
    let name = name.unwrap_or(base);
    name.strip_suffix(".drv").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "0c0n1xjwdkkzg5y0b9hmkvlkdbzjbfgw-jq-1.7";

    #[test]
    fn paths_below_a_store_path_are_in_it() {
        let store = StoreDir::new("/nix/store").unwrap();
        let whole = format!("/nix/store/{NAME}");
        for text in [whole.clone(), format!("{whole}/bin/jq"), NAME.to_owned()] {
            assert_eq!(store.parse(&text).unwrap().as_str(), whole);
        }
        for text in ["/nix/store/jq", "/nix/storage/x", "/nix/store", "/tmp", ""] {
            assert!(store.parse(text).is_err(), "{text}");
        }
        // Beside the store, in a folder whose name begins as its does.
        assert!(store.parse(&format!("/nix/store{NAME}")).is_err());
    }

    #[test]
    fn the_source_of_a_locked_flake() {
        // As `nix-store --print-fixed-path` gives it.
        let store = StoreDir::new("/nix/store").unwrap();
        let path = store.source("sha256-KMAknNQgQcVvj9grEHSfLmmz6+TmjqNYIoh6NUsr4uE=");
        assert_eq!(
            path.unwrap().as_str(),
            "/nix/store/44zgz0vg9ilcdky72mfc0bwh79lycx64-source"
        );
        assert_eq!(store.source("sha256-x"), None);
    }

    #[test]
    fn short_names() {
        assert_eq!(short_name(&format!("/nix/store/{NAME}")), "jq-1.7");
        assert_eq!(short_name(&format!("/nix/store/{NAME}.drv")), "jq-1.7");
        assert_eq!(short_name("/x/y"), "y");
    }
}
