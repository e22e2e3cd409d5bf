//! What `nix shell` calls an installable: one entry of a step's `packages`.
//!
//! The text is kept as it was written and only classified: rendering a flake reference anew from
//! its parts loses things (`^outputs`, `?dir=`), so nothing here ever does.

use std::ops::Range;

/// A package as the manifest names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Installable {
    text: String,
    kind: Kind,
    /// Length in bytes of the flake reference at the start of `text`; 0 for a bare name.
    reference: usize,
}

/// What the text of an [`Installable`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `jq`, `python3Packages.numpy`, `curl^bin`: looked up in the manifest's `[nix] nixpkgs`.
    Bare,
    /// A flake reference with a scheme, or a name of the flake registry: `github:o/r#x`,
    /// `nixpkgs#jq`, `path:./tools#x`. The lock file pins it.
    Flake,
    /// A plain folder or a path in the store: `.#x`, `./tools`, `/nix/store/…-jq-1.7`,
    /// `/nix/store/….drv^out`. Followed as it stands; the lock file does not pin it.
    Folder,
}

/// Why a text is no installable, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct BadInstallable {
    /// What is wrong.
    pub problem: Problem,
    /// The byte offset in the text at which it goes wrong.
    pub at: usize,
    /// The text that was most likely meant, whole.
    pub suggestion: Option<String>,
}

/// What can be wrong with the text of an installable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// No text at all.
    #[error("a package's name cannot be empty")]
    Empty,
    /// White space, a control character, or another that Nix gives no meaning there.
    #[error("{0:?} cannot be part of a package's name")]
    Char(char),
    /// A text that Nix would take for an option.
    #[error("a package's name cannot begin with `-`")]
    Dash,
    /// `#x`, with nothing before the `#`.
    #[error("the flake before `#` is missing")]
    NoReference,
    /// `a..b`, `.a` or `a.` where an attribute path is meant.
    #[error("an empty part in the attribute path")]
    EmptyPart,
    /// A quote that does not end.
    #[error("a `\"` that is not closed")]
    Quote,
    /// `x^`, `x^a,,b`.
    #[error("the output's name after `^` or `,` is missing")]
    NoOutput,
    /// `~/x`: it is the shell that knows `~`, and none reads this text.
    #[error("`~` has no meaning here; write the path in full")]
    Tilde,
    /// `guthub:o/r`.
    #[error("unknown kind of flake reference `{0}:`")]
    Scheme(String),
    /// `github:o`.
    #[error("`{0}:` needs an owner and a repository: `{0}:OWNER/REPO`")]
    OwnerRepo(String),
    /// `path:`.
    #[error("nothing after `{0}:`")]
    NoPath(String),
    /// `a/b/c`, which is neither a name with a branch nor clearly a folder.
    #[error("neither a flake's name nor a folder (a folder begins with `./` or `/`)")]
    Vague,
    /// `/nix/store/x`.
    #[error("not a store path: `/nix/store/` is followed by 32 characters, a `-` and a name")]
    StorePath,
}

const SCHEMES: [&str; 23] = [
    "file",
    "file+file",
    "file+http",
    "file+https",
    "flake",
    "git",
    "git+file",
    "git+git",
    "git+http",
    "git+https",
    "git+ssh",
    "github",
    "gitlab",
    "hg+file",
    "hg+http",
    "hg+https",
    "hg+ssh",
    "http",
    "https",
    "path",
    "sourcehut",
    "tarball+http",
    "tarball+https",
];

impl Installable {
    /// Checks `text` and makes an installable of it.
    pub fn parse(text: &str) -> Result<Self, BadInstallable> {
        check_characters(text)?;
        let hash = text.find('#');
        let selector = hash.or_else(|| text.rfind('^')).unwrap_or(text.len());
        check_selector(text, selector)?;
        let front = &text[..selector];
        let kind = classify(front, hash.is_some()).map_err(|mut bad| {
            // Suggestions are made for the reference; the rest of the text goes with them.
            if let Some(better) = &mut bad.suggestion {
                better.push_str(&text[selector..]);
            }
            bad
        })?;
        Ok(Self {
            text: text.to_owned(),
            kind,
            reference: if kind == Kind::Bare { 0 } else { selector },
        })
    }

    /// The text as it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the text is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The flake reference or path, without `#…` and `^…`; empty for a bare name.
    pub fn reference(&self) -> &str {
        &self.text[..self.reference]
    }

    /// What stands after the reference: empty, or `#attribute`, `#attribute^outputs`, `^outputs`.
    /// For a bare name, the whole text.
    pub fn selector(&self) -> &str {
        &self.text[self.reference..]
    }

    /// The chosen outputs (`^out,dev` → `out,dev`, `^*` → `*`), where the text chooses.
    pub fn outputs(&self) -> Option<&str> {
        Some(self.selector().rsplit_once('^')?.1)
    }

    /// `self` with the flake `nixpkgs` where it names none, or just `nixpkgs`: the manifest has one
    /// nixpkgs, however its packages are written.
    pub fn within(&self, nixpkgs: &str) -> Result<Self, BadInstallable> {
        match (self.kind, self.reference()) {
            (Kind::Bare, _) => Self::parse(&format!("{nixpkgs}#{}", self.text)),
            (Kind::Flake, "nixpkgs" | "flake:nixpkgs") => {
                Self::parse(&format!("{nixpkgs}{}", self.selector()))
            }
            (Kind::Flake | Kind::Folder, _) => Ok(self.clone()),
        }
    }

    /// Whether the reference itself fixes what it means: a revision and a `narHash`.
    pub fn is_fixed(&self) -> bool {
        let reference = self.reference();
        let (path, query) = reference.split_once('?').unwrap_or((reference, ""));
        let value = |key| {
            query.split('&').find_map(|pair| {
                pair.split_once('=')
                    .filter(|(name, _)| *name == key)
                    .map(|(_, value)| value)
            })
        };
        let rev = path
            .rsplit_once('/')
            .is_some_and(|(_, last)| is_revision(last))
            || value("rev").is_some_and(is_revision);
        self.kind == Kind::Flake && rev && value("narHash").is_some_and(|hash| !hash.is_empty())
    }
}

/// Checks a flake reference that stands alone: the value of `[nix] nixpkgs`.
pub fn check_reference(text: &str) -> Result<(), BadInstallable> {
    check_characters(text)?;
    if let Some(at) = text.find(['#', '^']) {
        let c = if text[at..].starts_with('#') {
            '#'
        } else {
            '^'
        };
        return Err(BadInstallable {
            problem: Problem::Char(c),
            at,
            suggestion: Some(text[..at].to_owned()).filter(|front| !front.is_empty()),
        });
    }
    classify(text, true).map(|_| ())
}

impl std::fmt::Display for Installable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.text)
    }
}

fn bad<T>(problem: Problem, at: usize) -> Result<T, BadInstallable> {
    Err(BadInstallable {
        problem,
        at,
        suggestion: None,
    })
}

fn suggest<T>(problem: Problem, at: usize, better: String) -> Result<T, BadInstallable> {
    Err(BadInstallable {
        problem,
        at,
        suggestion: Some(better),
    })
}

fn check_characters(text: &str) -> Result<(), BadInstallable> {
    if text.is_empty() {
        return bad(Problem::Empty, 0);
    }
    if text.starts_with('-') {
        return bad(Problem::Dash, 0);
    }
    let wrong = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '`' | '\\' | '$');
    let names = attributes_at(text);
    let mut quoted = false;
    let found = text.char_indices().find(|(at, c)| {
        quoted ^= *c == '"' && *at >= names;
        wrong(*c) && (!quoted || c.is_control())
    });
    match found {
        Some((at, c)) => {
            let trimmed = text.trim();
            Err(BadInstallable {
                problem: Problem::Char(c),
                at,
                suggestion: (!trimmed.is_empty() && !trimmed.contains(wrong))
                    .then(|| trimmed.to_owned()),
            })
        }
        None => Ok(()),
    }
}

/// Where attributes begin, whose names may have quotes around them, with any characters between.
fn attributes_at(text: &str) -> usize {
    match text.find('#') {
        Some(hash) => hash + 1,
        None if text.starts_with(['.', '/', '~']) || text.contains(':') => text.len(),
        None => 0,
    }
}

/// Checks `#attribute^outputs`, which starts at byte `start`.
fn check_selector(text: &str, start: usize) -> Result<(), BadInstallable> {
    let selector = &text[start..];
    if let Some(second) = selector.get(1..).and_then(|rest| rest.find('#')) {
        return bad(Problem::Char('#'), start + 1 + second);
    }
    if selector.starts_with('#') && selector.matches('"').count() % 2 == 1 {
        let quote = selector.rfind('"').unwrap_or_default();
        return bad(Problem::Quote, start + quote);
    }
    let Some(caret) = selector.rfind('^') else {
        return Ok(());
    };
    let mut at = start + caret + 1;
    for output in selector[caret + 1..].split(',') {
        if output.is_empty() {
            return bad(Problem::NoOutput, at);
        }
        at += output.len() + 1;
    }
    Ok(())
}

/// The kind of the text before `#` or `^`; `reference`: it can be nothing but a flake reference.
fn classify(front: &str, reference: bool) -> Result<Kind, BadInstallable> {
    if front.is_empty() {
        return suggest(Problem::NoReference, 0, ".".to_owned());
    }
    if front.starts_with('~') {
        return bad(Problem::Tilde, 0);
    }
    if let Some(rest) = front.strip_prefix("/nix/store/") {
        check_store_name(rest)?;
        return Ok(Kind::Folder);
    }
    if front.starts_with(['.', '/']) {
        return Ok(Kind::Folder);
    }
    if let Some((scheme, rest)) = front.split_once(':') {
        check_scheme(front, scheme, rest)?;
        return Ok(Kind::Flake);
    }
    if reference || front.contains('/') {
        check_registry_name(front)?;
        return Ok(Kind::Flake);
    }
    check_attributes(front)?;
    Ok(Kind::Bare)
}

fn check_store_name(rest: &str) -> Result<(), BadInstallable> {
    let name = rest.split('/').next().unwrap_or_default();
    let base32 = |c: &u8| b"0123456789abcdfghijklmnpqrsvwxyz".contains(c);
    let digits = name.bytes().take(32).take_while(base32).count();
    if digits < 32 || name.as_bytes().get(32) != Some(&b'-') || name.len() < 34 {
        return bad(Problem::StorePath, "/nix/store/".len() + digits);
    }
    Ok(())
}

fn check_scheme(front: &str, scheme: &str, rest: &str) -> Result<(), BadInstallable> {
    if !SCHEMES.contains(&scheme) {
        // One that is like none of these may be one that a newer Nix knows.
        if let Some(close) = closest(scheme) {
            return suggest(
                Problem::Scheme(scheme.to_owned()),
                0,
                format!("{close}:{rest}"),
            );
        }
        if scheme.is_empty()
            || !scheme
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || b"+-.".contains(&c))
        {
            return bad(Problem::Scheme(scheme.to_owned()), 0);
        }
        return Ok(());
    }
    let path = rest.split('?').next().unwrap_or_default();
    if matches!(scheme, "github" | "gitlab" | "sourcehut") {
        let mut parts = path.split('/');
        let named = |part: Option<&str>| part.is_some_and(|part| !part.is_empty());
        if !(named(parts.next()) && named(parts.next())) {
            return bad(Problem::OwnerRepo(scheme.to_owned()), front.len());
        }
    } else if path.is_empty() {
        return bad(Problem::NoPath(scheme.to_owned()), scheme.len() + 1);
    }
    Ok(())
}

/// `nixpkgs`, `nixpkgs/BRANCH`, `nixpkgs/REV`, `nixpkgs/BRANCH/REV`.
fn check_registry_name(front: &str) -> Result<(), BadInstallable> {
    let path = front.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.split('/').collect();
    let id = parts[0];
    let is_id = id.starts_with(|c: char| c.is_ascii_alphabetic())
        && id
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-');
    let full = parts.iter().all(|part| !part.is_empty());
    let shape = parts.len() <= 2 || parts.len() == 3 && is_revision(parts[2]);
    if is_id && full && shape {
        return Ok(());
    }
    suggest(Problem::Vague, 0, format!("./{front}"))
}

/// `a.b."c.d"`.
fn check_attributes(path: &str) -> Result<(), BadInstallable> {
    for part in parts(path)? {
        let text = &path[part.clone()];
        if text.is_empty() {
            return bad(Problem::EmptyPart, part.start);
        }
        let known = |c: char| c.is_ascii_alphanumeric() || "_-+'".contains(c);
        if !text.starts_with('"')
            && let Some((at, c)) = text.char_indices().find(|(_, c)| !known(*c))
        {
            return bad(Problem::Char(c), part.start + at);
        }
    }
    Ok(())
}

/// The parts between the dots outside quotes.
fn parts(path: &str) -> Result<Vec<Range<usize>>, BadInstallable> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut quote = None;
    for (at, c) in path.char_indices() {
        match (c, quote) {
            ('"', None) => quote = Some(at),
            ('"', Some(_)) => quote = None,
            ('.', None) => {
                parts.push(start..at);
                start = at + 1;
            }
            _ => {}
        }
    }
    if let Some(at) = quote {
        return bad(Problem::Quote, at);
    }
    parts.push(start..path.len());
    Ok(parts)
}

fn is_revision(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|c| c.is_ascii_hexdigit())
}

/// The scheme that is at most two edits from `word`.
fn closest(word: &str) -> Option<&'static str> {
    SCHEMES
        .into_iter()
        .map(|scheme| (edits(word, scheme), scheme))
        .filter(|(edits, scheme)| *edits <= 2 && *edits < scheme.len() / 2)
        .min()
        .map(|(_, scheme)| scheme)
}

/// Levenshtein's distance.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let cost = (diagonal + usize::from(x != y))
                .min(row[j] + 1)
                .min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], cost);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests;
