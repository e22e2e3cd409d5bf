//! What a flake reference is pinned to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::store_path::is_hash;
use crate::text::visible;

/// What one reference is pinned to: the values of a `locked` node of Nix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Pin(pub BTreeMap<String, Scalar>);

/// One value of a pin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Scalar {
    /// true or false.
    Bool(bool),
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
}

impl Pin {
    /// The text of one value.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match self.0.get(key) {
            Some(Scalar::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Where it leads and what it fixes there, for people: `github:NixOS/nixpkgs at 61b7c44c4073 of
    /// 2026-07-18`; a hash where there is no revision.
    pub(super) fn words(&self) -> String {
        match self.place() {
            Some(place) => format!("{} at {}", visible(&place), self.revision()),
            None => self.revision(),
        }
    }

    /// The same beside `reference`, which may say itself where it leads.
    pub(super) fn words_for(&self, reference: &str) -> String {
        match self.place() {
            Some(place) if reference.starts_with(&place) => self.revision(),
            _ => self.words(),
        }
    }

    /// What it fixes: `61b7c44c4073 of 2026-07-18`.
    fn revision(&self) -> String {
        let what: String = match (self.text("rev"), self.text("narHash")) {
            (Some(rev), _) => rev.chars().take(12).collect(),
            (None, Some(hash)) => hash.chars().take(19).collect(),
            (None, None) => "nothing".to_owned(),
        };
        match self.date() {
            Some(date) => format!("{} of {date}", visible(&what)),
            None => visible(&what),
        }
    }

    /// Where it leads, as a flake reference is written; none if it is told by the reference alone.
    pub(super) fn place(&self) -> Option<String> {
        let kind = self.text("type")?;
        if let (Some(owner), Some(repo)) = (self.text("owner"), self.text("repo")) {
            let host = self.text("host");
            let host = host.map_or_else(String::new, |host| format!("?host={host}"));
            return Some(format!("{kind}:{owner}/{repo}{host}"));
        }
        let place = self.text("url").or(self.text("path"))?;
        Some(match kind {
            "git" | "hg" if !place.starts_with("git:") => format!("{kind}+{place}"),
            "path" => format!("path:{place}"),
            _ => place.to_owned(),
        })
    }

    /// What is wrong with it, by itself: the value, and in which way.
    pub(super) fn flaw(&self) -> Option<(&'static str, &'static str)> {
        let revision = |text: &str| {
            matches!(text.len(), 40 | 64) && text.bytes().all(|c| c.is_ascii_hexdigit())
        };
        if self.text("type").is_none() || self.text("narHash").is_none() {
            Some(("reference", "is not whole"))
        } else if !self.text("narHash").is_some_and(is_hash) {
            Some(("narHash", "has no hash there"))
        } else if self.0.contains_key("rev") && !self.text("rev").is_some_and(revision) {
            Some(("rev", "has no revision there"))
        } else {
            None
        }
    }

    fn date(&self) -> Option<String> {
        let Some(Scalar::Number(seconds)) = self.0.get("lastModified") else {
            return None;
        };
        let time = jiff::Timestamp::from_second(*seconds).ok()?;
        Some(time.strftime("%Y-%m-%d").to_string())
    }

    /// One text that is different for each different pin.
    pub(super) fn canonical(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_default()
    }
}
