//! Whether a pin leads where its reference says.
//!
//! A lock file is made by a program and read by few: one that comes with somebody else's change
//! must not bring sources from elsewhere. Which revision it fixes cannot be judged here; that is
//! shown by `check`, `lock` and `why`.

use std::borrow::Cow;

use super::pin::Pin;

/// A value of a pin that is not what the reference says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Disagreement {
    /// The value's name.
    pub key: &'static str,
    /// What the reference says; nothing: there is to be no such value.
    pub expected: Option<String>,
}

impl Disagreement {
    /// The words for it; `pin` has it.
    pub(super) fn in_words(&self, pin: &Pin) -> String {
        let key = self.key;
        match (&pin.text(key), &self.expected) {
            (Some(found), Some(expected)) => {
                format!("and `{key}` is {found:?} in place of {expected:?}")
            }
            (Some(found), None) => format!("and it has `{key}` = {found:?}"),
            (None, Some(expected)) => format!("and `{key}` is not {expected:?}"),
            (None, None) => format!("and it has a `{key}`"),
        }
    }
}

/// The values of a pin that say where it leads, but for `type`.
const PLACES: [&str; 6] = ["owner", "repo", "host", "url", "path", "id"];

/// Hosts whose addresses are pinned to those of another, which keeps each version.
const KEEPERS: [(&str, &str); 2] = [
    ("nixos.org", "releases.nixos.org"),
    ("channels.nixos.org", "releases.nixos.org"),
];

/// What follows `?` and is no part of an address: Nix takes it for itself.
const SETTINGS: [&str; 14] = [
    "allRefs",
    "dir",
    "exportIgnore",
    "keytype",
    "lastModified",
    "lfs",
    "narHash",
    "publicKey",
    "publicKeys",
    "ref",
    "rev",
    "revCount",
    "shallow",
    "submodules",
];

/// The first value of `pin` that leads elsewhere than `reference`. A name of a flake registry may
/// stand for anything.
pub(super) fn disagreement(reference: &str, pin: &Pin) -> Option<Disagreement> {
    let reference = Reference::of(reference);
    let (path, query) = (reference.path, &reference.query);
    let found = match reference.scheme {
        "flake" | "" => return reference.revision(pin),
        "github" | "gitlab" | "sourcehut" => {
            let mut parts = path.splitn(3, '/');
            let mut part = || parts.next().filter(|part| !part.is_empty());
            let (owner, repo) = (part(), part());
            let places = [
                ("owner", owner),
                ("repo", repo),
                ("host", query.get("host")),
            ];
            kind(pin, &[reference.scheme]).or_else(|| just(pin, &places))
        }
        "path" => {
            // The path of a relative reference is not in the pin.
            let place = path.starts_with('/').then_some(path);
            kind(pin, &["path"]).or_else(|| just(pin, &[("path", place)]))
        }
        "git" => kind(pin, &["git"]).or_else(|| address(pin, &reference)),
        "file" | "http" | "https" => {
            kind(pin, &["tarball", "file"]).or_else(|| archive(pin, &reference))
        }
        other => match other.split_once('+') {
            Some((kind_of @ ("git" | "hg"), "file")) if !path.starts_with('/') => {
                kind(pin, &[kind_of]).or_else(|| just(pin, &[]))
            }
            Some((kind_of @ ("git" | "hg"), _)) => {
                kind(pin, &[kind_of]).or_else(|| address(pin, &reference))
            }
            Some((kind_of @ ("tarball" | "file"), _)) => {
                kind(pin, &[kind_of]).or_else(|| archive(pin, &reference))
            }
            // What a newer Nix knows.
            _ => return None,
        },
    };
    found
        .or_else(|| {
            let folder = pin.text("dir")?;
            (query.get("dir") != Some(folder)).then(|| differs("dir", query.get("dir")))
        })
        .or_else(|| reference.revision(pin))
}

fn differs(key: &'static str, expected: Option<&str>) -> Disagreement {
    Disagreement {
        key,
        expected: expected.map(ToOwned::to_owned),
    }
}

fn kind(pin: &Pin, kinds: &[&str]) -> Option<Disagreement> {
    let right = pin.text("type").is_some_and(|kind| kinds.contains(&kind));
    (!right).then(|| differs("type", kinds.first().copied()))
}

/// Of the values that say where it leads, the pin has just these.
fn just(pin: &Pin, places: &[(&'static str, Option<&str>)]) -> Option<Disagreement> {
    PLACES.into_iter().find_map(|key| {
        let expected = places.iter().find(|(of, _)| *of == key);
        let expected = expected.and_then(|(_, value)| *value);
        let same = match (pin.0.get(key), expected) {
            (None, None) => true,
            (Some(_), Some(expected)) => pin
                .text(key)
                .is_some_and(|found| decoded(found) == decoded(expected)),
            _ => false,
        };
        (!same).then(|| differs(key, expected))
    })
}

/// Its address is that of the reference.
fn address(pin: &Pin, reference: &Reference<'_>) -> Option<Disagreement> {
    let found = pin.text("url").map(Reference::of);
    if found.is_some_and(|found| reference.is_at(&found)) {
        return just(pin, &[("url", pin.text("url"))]);
    }
    Some(differs("url", Some(&reference.url())))
}

/// Its address is that of the reference, or one that its server gives for the version that is
/// there now.
fn archive(pin: &Pin, reference: &Reference<'_>) -> Option<Disagreement> {
    let found = pin.text("url").map(Reference::of);
    if found.is_some_and(|found| reference.is_at(&found) || reference.is_kept_at(&found)) {
        return just(pin, &[("url", pin.text("url"))]);
    }
    Some(differs("url", Some(&reference.url())))
}

/// The parts of a reference or an address.
struct Reference<'a> {
    /// What stands before `:`; nothing for a name.
    scheme: &'a str,
    /// What stands after it, without the query.
    path: &'a str,
    query: Query<'a>,
}

struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    fn pairs(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let pairs = self.0.split('&').filter(|pair| !pair.is_empty());
        pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
    }

    fn get(&self, key: &str) -> Option<&'a str> {
        self.pairs()
            .find_map(|(name, value)| (name == key).then_some(value))
    }

    /// What belongs to the address.
    fn own(&self) -> Vec<(&'a str, &'a str)> {
        let mut own: Vec<_> = self
            .pairs()
            .filter(|(name, _)| !SETTINGS.contains(name))
            .collect();
        own.sort_unstable();
        own
    }
}

impl<'a> Reference<'a> {
    fn of(text: &'a str) -> Self {
        let (front, query) = text.split_once('?').unwrap_or((text, ""));
        let (scheme, path) = front.split_once(':').unwrap_or(("", front));
        Self {
            scheme,
            path,
            query: Query(query),
        }
    }

    /// How its bytes are had: `https` of `git+https`.
    fn transport(&self) -> &'a str {
        let parts = self.scheme.rsplit_once('+');
        parts.map_or(self.scheme, |(_, transport)| transport)
    }

    fn url(&self) -> String {
        format!("{}:{}", self.transport(), self.path)
    }

    fn host(&self) -> &'a str {
        let rest = self.path.strip_prefix("//").unwrap_or_default();
        rest.split('/').next().unwrap_or_default()
    }

    /// The parts of the path below the host.
    fn parts(&self) -> Vec<Cow<'a, str>> {
        let rest = self.path.strip_prefix("//");
        let rest = rest.and_then(|rest| Some(rest.split_once('/')?.1));
        let parts = rest.unwrap_or(self.path).split('/');
        parts.filter(|part| !part.is_empty()).map(decoded).collect()
    }

    /// Whether `found` is the same address.
    fn is_at(&self, found: &Reference<'_>) -> bool {
        self.transport() == found.transport()
            && self.host() == found.host()
            && self.parts() == found.parts()
            && self.query.own() == found.query.own()
    }

    /// Whether `found` can be what the server gives to be pinned: on the same host (or `api.` of
    /// it), of the same owner and repository.
    fn is_kept_at(&self, found: &Reference<'_>) -> bool {
        let (host, parts) = (self.host(), self.parts());
        if self.transport() != found.transport() || host.is_empty() {
            return false;
        }
        if KEEPERS.contains(&(host, found.host())) {
            return true;
        }
        let same = found.host() == host || found.host().strip_prefix("api.") == Some(host);
        let project = match &parts[..] {
            // FlakeHub: `/f/OWNER/REPO/VERSION`.
            [f, owner, repo, _, ..] if f == "f" => [owner, repo],
            [owner, repo, _, ..] => [owner, repo],
            _ => return false,
        };
        let found = found.parts();
        let mut pairs = found.windows(2);
        let stays = found.iter().all(|part| part != "..");
        same && stays && pairs.any(|pair| [&pair[0], &pair[1]] == project)
    }

    /// A revision in the reference is the pin's.
    fn revision(&self, pin: &Pin) -> Option<Disagreement> {
        let hex = |text: &str| {
            matches!(text.len(), 40 | 64) && text.bytes().all(|c| c.is_ascii_hexdigit())
        };
        let in_path = match self.scheme {
            "" | "flake" | "github" | "gitlab" | "sourcehut" => self.path.rsplit('/').next(),
            _ => None,
        };
        let revision = self.query.get("rev").or(in_path.filter(|part| hex(part)))?;
        (pin.text("rev") != Some(revision)).then(|| differs("rev", Some(revision)))
    }
}

/// Without `%20` and the like.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let digit = |at: usize| char::from(*bytes.get(at)?).to_digit(16);
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                plain.push(u8::try_from(high * 16 + low).unwrap_or(b'%'));
                at += 3;
            }
            (byte, ..) => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(plain).map_or(Cow::Borrowed(text), Cow::Owned)
}

#[cfg(test)]
mod tests;
