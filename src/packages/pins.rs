//! Pins and Nix: a generated flake has one input for each flake reference; Nix locks it, and
//! `--inputs-from` lets an installable name a pinned input, found in the store without a network.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::pin::{Pin, Scalar};

/// A generated flake in a temporary folder, which goes with it.
pub(super) struct Generated {
    folder: TempDir,
    reference: String,
    /// By flake reference as the manifest has it: the name of the input.
    names: BTreeMap<String, String>,
}

impl Generated {
    /// A flake whose inputs are `references`, not locked. `base` is what relative ones are
    /// relative to.
    pub(super) fn unlocked<'r>(
        references: impl Iterator<Item = &'r str>,
        base: &Path,
    ) -> io::Result<Self> {
        let mut flake = Self::empty()?;
        let mut inputs = String::new();
        for reference in references {
            let name = flake.name(reference);
            let place = place(reference, base);
            // Not as a flake: its own inputs are locked in it, not here.
            let _ = writeln!(inputs, "  inputs.{name} = {{ {place} flake = false; }};");
        }
        flake.write(&inputs, None)?;
        Ok(flake)
    }

    /// A flake whose inputs are exactly `pins`. Nothing in it can move: the input itself is the
    /// pinned reference, and a lock file that says the same spares Nix the look at it.
    pub(super) fn locked<'r>(
        pins: impl Iterator<Item = (&'r str, &'r Pin)>,
        base: &Path,
    ) -> io::Result<Self> {
        let mut flake = Self::empty()?;
        let mut inputs = String::new();
        let mut nodes = Map::new();
        let mut root = Map::new();
        for (reference, pin) in pins {
            let name = flake.name(reference);
            let pin = with_path(pin, reference, base);
            let _ = writeln!(
                inputs,
                "  inputs.{name} = {{ {}flake = false; }};",
                attributes(&pin)
            );
            let locked = json!(pin.0);
            nodes.insert(
                name.clone(),
                json!({ "flake": false, "locked": locked, "original": locked }),
            );
            root.insert(name.clone(), Value::String(name));
        }
        nodes.insert("root".to_owned(), json!({ "inputs": root }));
        let lock = json!({ "nodes": nodes, "root": "root", "version": 7 });
        flake.write(&inputs, Some(&lock))?;
        Ok(flake)
    }

    /// The flake reference of the generated flake itself.
    pub(super) fn reference(&self) -> &str {
        &self.reference
    }

    /// An empty flake registry: what is pinned needs no other.
    pub(super) fn registry(&self) -> PathBuf {
        self.folder.path().join("registry.json")
    }

    /// What Nix says, with the references of the manifest in place of the inputs' names.
    pub(super) fn in_words(&self, words: &str) -> String {
        // From the last on: `…-1` is the beginning of `…-10`.
        let mut names: Vec<_> = self.names.iter().collect();
        names.sort_by_key(|(_, name)| std::cmp::Reverse(name.len()));
        names
            .into_iter()
            .fold(words.to_owned(), |words, (reference, name)| {
                words.replace(&format!("flake:{name}"), reference)
            })
    }

    /// The name of the input for `reference`.
    pub(super) fn input(&self, reference: &str) -> Option<&str> {
        self.names.get(reference).map(String::as_str)
    }

    /// What Nix locked the inputs to, after `nix flake lock`: by reference, as the lock file beside
    /// the manifest is to have it. A reference that is missing could not be read.
    pub(super) fn pins(&self) -> io::Result<BTreeMap<String, Pin>> {
        let text = fs::read_to_string(self.folder.path().join("flake.lock"))?;
        pins_of(&text, &self.names)
    }

    fn empty() -> io::Result<Self> {
        // Nix 2.8 does not decode `%20` after `path:`, so that its folder must need none.
        let usual = tempfile::env::temp_dir();
        let parent = if encoded(&usual) == usual.to_string_lossy() {
            usual
        } else {
            PathBuf::from("/tmp")
        };
        let folder = tempfile::Builder::new()
            .prefix("task-pipeline-")
            .tempdir_in(parent)?;
        // Nix refuses a flake behind a symlink, as /tmp is on macOS.
        let path = folder.path().canonicalize()?;
        Ok(Self {
            reference: format!("path:{}", encoded(&path)),
            folder,
            names: BTreeMap::new(),
        })
    }

    fn name(&mut self, reference: &str) -> String {
        let name = format!("task-pipeline-{}", self.names.len());
        self.names.insert(reference.to_owned(), name.clone());
        name
    }

    fn write(&self, inputs: &str, lock: Option<&Value>) -> io::Result<()> {
        let flake = format!("{{\n{inputs}  outputs = _: {{ }};\n}}\n");
        fs::write(self.folder.path().join("flake.nix"), flake)?;
        fs::write(self.registry(), r#"{"version":2,"flakes":[]}"#)?;
        if let Some(lock) = lock {
            fs::write(self.folder.path().join("flake.lock"), lock.to_string())?;
        }
        Ok(())
    }
}

/// Whether a pin fixes what it names. The lock of a git tree with changes that are not committed
/// has no revision: the next change would not be noticed, or break it.
pub(super) fn is_firm(pin: &Pin) -> bool {
    let versioned = matches!(
        pin.text("type"),
        Some("git" | "github" | "gitlab" | "sourcehut" | "hg")
    );
    pin.text("narHash").is_some() && (!versioned || pin.text("rev").is_some())
}

/// The schemes whose path may be relative to the manifest, and the value of a pin that holds it.
const RELATIVE: [(&str, &str); 3] = [("path:", "path"), ("git+file:", "url"), ("hg+file:", "url")];

/// For a reference with a relative path: scheme, the value that holds the path, path, query.
fn relative(reference: &str) -> Option<(&'static str, &'static str, &str, &str)> {
    let (scheme, value) = RELATIVE
        .into_iter()
        .find(|(scheme, _)| reference.starts_with(scheme))?;
    let rest = &reference[scheme.len()..];
    let end = rest.find('?').unwrap_or(rest.len());
    let (path, query) = rest.split_at(end);
    (!path.starts_with('/')).then_some((scheme, value, path, query))
}

/// `reference` with an absolute path.
pub(super) fn absolute(reference: &str, base: &Path) -> String {
    match relative(reference) {
        Some((scheme, _, path, query)) => {
            let slashes = if scheme == "path:" { "" } else { "//" };
            format!(
                "{scheme}{slashes}{}{query}",
                encoded(&clean(&base.join(path)))
            )
        }
        None => reference.to_owned(),
    }
}

/// Where `reference` points, as attributes of an input. Nix 2.8 does not decode `%20` in `path:`
/// references, so that relative ones are given in parts.
fn place(reference: &str, base: &Path) -> String {
    let Some(("path:", _, path, query)) = relative(reference) else {
        return format!("url = {};", quoted(&absolute(reference, base)));
    };
    let path = clean(&base.join(path));
    let mut text = format!(
        "type = \"path\"; path = {};",
        quoted(&path.to_string_lossy())
    );
    for (name, value) in query
        .trim_start_matches('?')
        .split('&')
        .filter_map(|pair| pair.split_once('='))
    {
        let _ = write!(text, " {} = {};", quoted(name), quoted(value));
    }
    text
}

fn with_path(pin: &Pin, reference: &str, base: &Path) -> Pin {
    let mut pin = pin.clone();
    if let Some((_, value, path, _)) = relative(reference) {
        let path = clean(&base.join(path));
        let text = if value == "path" {
            path.to_string_lossy().into_owned()
        } else {
            format!("file://{}", encoded(&path))
        };
        pin.0.insert(value.to_owned(), Scalar::Text(text));
    }
    pin
}

fn without_path(mut pin: Pin, reference: &str) -> Pin {
    if let Some((_, value, _, _)) = relative(reference) {
        pin.0.remove(value);
    }
    pin
}

/// `path` without `.` and, as far as names go, `..`: Nix wants neither in a flake reference.
pub(super) fn clean(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => {
                clean.push(component);
            }
        }
    }
    clean
}

/// A path as part of a URL.
fn encoded(path: &Path) -> String {
    let mut text = String::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~+=@,".contains(byte) {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// A text in the language of Nix.
fn quoted(text: &str) -> String {
    let text = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace("${", "\\${");
    format!("\"{text}\"")
}

fn attributes(pin: &Pin) -> String {
    let mut text = String::new();
    for (name, value) in &pin.0 {
        let value = match value {
            Scalar::Bool(value) => value.to_string(),
            Scalar::Number(value) => value.to_string(),
            Scalar::Text(value) => quoted(value),
        };
        let _ = write!(text, "{} = {value}; ", quoted(name));
    }
    text
}

/// The pins in Nix's lock file of a flake, of these references by the names of its inputs.
pub(super) fn pins_of(
    text: &str,
    names: &BTreeMap<String, String>,
) -> io::Result<BTreeMap<String, Pin>> {
    let lock: Value = serde_json::from_str(text)?;
    let mut pins = BTreeMap::new();
    for (reference, name) in names {
        let node = lock["nodes"]["root"]["inputs"][name]
            .as_str()
            .unwrap_or(name);
        let locked = lock["nodes"][node]["locked"].clone();
        if let Ok(pin) = serde_json::from_value::<Pin>(locked) {
            pins.insert(reference.clone(), without_path(pin, reference));
        }
    }
    Ok(pins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_references_become_absolute() {
        let base = Path::new("/home/a b");
        for (reference, expected) in [
            ("path:./x", "path:/home/a%20b/x"),
            ("path:../x?dir=d", "path:/home/x?dir=d"),
            ("path:/x", "path:/x"),
            ("git+file:./x?ref=main", "git+file:///home/a%20b/x?ref=main"),
            ("git+file:///x", "git+file:///x"),
            ("github:o/r", "github:o/r"),
        ] {
            assert_eq!(absolute(reference, base), expected);
        }
    }

    #[test]
    fn a_pin_of_a_relative_reference_has_no_path() {
        let pin = Pin(BTreeMap::from([
            ("narHash".into(), Scalar::Text("sha256-x".into())),
            ("path".into(), Scalar::Text("/a/x".into())),
        ]));
        let stored = without_path(pin.clone(), "path:./x");
        assert_eq!(stored.text("path"), None);
        let used = with_path(&stored, "path:./x", Path::new("/b"));
        assert_eq!(used.text("path"), Some("/b/x"));
        assert_eq!(without_path(pin.clone(), "path:/a/x"), pin);
    }

    #[test]
    fn texts_of_the_language() {
        assert_eq!(quoted("a\"b\\c${d}"), r#""a\"b\\c\${d}""#);
    }

    #[test]
    fn a_tree_without_revision_is_not_firm() {
        let pin = |kind: &str, rev: bool| {
            let mut values = BTreeMap::from([
                ("narHash".to_owned(), Scalar::Text("sha256-x".into())),
                ("type".to_owned(), Scalar::Text(kind.into())),
            ]);
            if rev {
                values.insert("rev".to_owned(), Scalar::Text("abc".into()));
            }
            Pin(values)
        };
        assert!(is_firm(&pin("git", true)) && is_firm(&pin("path", false)));
        assert!(is_firm(&pin("tarball", false)));
        assert!(!is_firm(&pin("git", false)));
    }
}
