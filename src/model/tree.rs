//! Lists of files as objects: one form for all of them.
//!
//! ```text
//! task-pipeline tree 1
//! f e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  lib/a.sh
//! x 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881  tool.sh
//! ```
//!
//! `f` is a file, `x` one that can be executed, `l` a link with where it leads to, `d` an empty
//! folder; among things that were brought together `d` is any folder, with the list of what is in it. A name with a backslash or a line end in it is written as `sha256sum` does: `\\`, `\n`,
//! `\r`, and a backslash at the beginning of the line. Sorted by name, then by hash, as bytes.

use crate::model::digest::Digest;

/// The first line.
pub const HEADER: &str = "task-pipeline tree 1\n";

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A file.
    File,
    /// A file that can be executed.
    Executable,
    /// A symbolic link; its hash is of where it leads to.
    Link,
    /// An empty folder, whose hash is that of nothing; or a folder with the list of what is in it.
    Folder,
}

impl Kind {
    const ALL: [(u8, Self); 4] = [
        (b'f', Self::File),
        (b'x', Self::Executable),
        (b'l', Self::Link),
        (b'd', Self::Folder),
    ];

    fn letter(self) -> char {
        match self {
            Self::File => 'f',
            Self::Executable => 'x',
            Self::Link => 'l',
            Self::Folder => 'd',
        }
    }

    fn of(letter: u8) -> Option<Self> {
        let (_, kind) = Self::ALL.iter().find(|(known, _)| *known == letter)?;
        Some(*kind)
    }
}

/// One of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<N = Box<str>> {
    /// What it is.
    pub kind: Kind,
    /// Of its bytes.
    pub digest: Digest,
    /// Its path.
    pub name: N,
}

/// The object of a list, in whatever order it is given.
pub fn write<N: AsRef<str>>(entries: &mut [Entry<N>]) -> String {
    let before = |a: &Entry<N>, b: &Entry<N>| {
        let names = a.name.as_ref().cmp(b.name.as_ref());
        names
            .then(a.digest.cmp(&b.digest))
            .then(a.kind.cmp(&b.kind))
    };
    if !entries.is_sorted_by(|a, b| before(a, b).is_le()) {
        entries.sort_unstable_by(before);
    }
    let names: usize = entries.iter().map(|entry| entry.name.as_ref().len()).sum();
    let mut text = String::with_capacity(HEADER.len() + entries.len() * 70 + names);
    text.push_str(HEADER);
    for entry in entries {
        add(&mut text, entry.kind, &entry.digest, entry.name.as_ref());
    }
    text
}

/// Adds the line of an entry, which is to come in order.
pub fn add(text: &mut String, kind: Kind, digest: &Digest, name: &str) {
    let escaped = name.contains(['\\', '\n', '\r']);
    if escaped {
        text.push('\\');
    }
    text.push(kind.letter());
    text.push(' ');
    text.push_str(&digest.hex());
    text.push_str("  ");
    if escaped {
        for c in name.chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                c => text.push(c),
            }
        }
    } else {
        text.push_str(name);
    }
    text.push('\n');
}

/// What [`write`] gave; none for what it never gives.
pub fn read(bytes: &[u8]) -> Option<Vec<Entry>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let lines = text.strip_prefix(HEADER)?;
    if !lines.is_empty() && !lines.ends_with('\n') {
        return None;
    }
    lines.split_terminator('\n').map(line).collect()
}

/// An entry of its line, without the end of that.
pub fn line(line: &str) -> Option<Entry> {
    let (escaped, line) = match line.strip_prefix('\\') {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    let (head, name) = line.split_once("  ")?;
    let (kind, digest) = head.split_once(' ')?;
    let &[kind] = kind.as_bytes() else {
        return None;
    };
    Some(Entry {
        kind: Kind::of(kind)?,
        digest: digest.parse().ok()?,
        name: if escaped {
            unescape(name)?.into()
        } else if name.contains(['\\', '\r']) {
            return None;
        } else {
            name.into()
        },
    })
}

/// None where nothing had to be written so, or something had to and was not.
fn unescape(name: &str) -> Option<String> {
    if !name.contains('\\') || name.contains('\r') {
        return None;
    }
    let mut text = String::with_capacity(name.len());
    let mut chars = name.chars();
    while let Some(c) = chars.next() {
        text.push(match c {
            '\\' => match chars.next()? {
                '\\' => '\\',
                'n' => '\n',
                'r' => '\r',
                _ => return None,
            },
            c => c,
        });
    }
    Some(text)
}

/// The longest path in a folder, in bytes: no program could name what has a longer one.
pub const LONGEST: usize = 4095;

/// Whether the path leads from a folder to something in it, by names alone.
pub fn is_inner(path: &str) -> bool {
    path.len() <= LONGEST
        && !path.contains('\0')
        && path.split('/').all(|name| !matches!(name, "" | "." | ".."))
}

/// Whether a link of that path in a folder stays in it, whatever other links there are that do: it goes
/// up first and then down, not up behind a name, which may be that of a link.
pub fn stays_inside(path: &str, target: &[u8]) -> bool {
    if target.is_empty() || target[0] == b'/' {
        return false;
    }
    let mut room = path.matches('/').count();
    let mut down = false;
    for name in target.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." if down || room == 0 => return false,
            b".." => room -= 1,
            _ => down = true,
        }
    }
    true
}

/// How an entry differs between two lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// It is in the newer alone.
    Added,
    /// It is in the older alone.
    Removed,
    /// It has other bytes.
    Changed,
    /// It has the same bytes, and can be executed now, or no longer.
    Mode,
}

/// An entry that is not the same in two lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differing<'a> {
    /// Its path.
    pub name: &'a str,
    /// How it differs.
    pub how: Difference,
    /// As it was.
    pub old: Option<&'a Entry>,
    /// As it is.
    pub new: Option<&'a Entry>,
}

/// In what two lists differ in which each name is there once.
pub fn differing<'a>(new: &'a [Entry], old: &'a [Entry]) -> Vec<Differing<'a>> {
    let (mut new, mut old) = (new.iter().peekable(), old.iter().peekable());
    let mut found = Vec::new();
    loop {
        let order = match (new.peek(), old.peek()) {
            (None, None) => return found,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(new), Some(old)) => new.name.cmp(&old.name),
        };
        let now = if order.is_le() { new.next() } else { None };
        let before = if order.is_ge() { old.next() } else { None };
        let (how, name) = match (now, before) {
            (None, None) => return found,
            (Some(now), None) => (Difference::Added, &now.name),
            (None, Some(before)) => (Difference::Removed, &before.name),
            (Some(now), Some(before)) if now == before => continue,
            (Some(now), Some(before)) if now.digest == before.digest => {
                (Difference::Mode, &now.name)
            }
            (Some(now), Some(_)) => (Difference::Changed, &now.name),
        };
        found.push(Differing {
            name,
            how,
            old: before,
            new: now,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: Kind, bytes: &[u8], name: &str) -> Entry {
        Entry {
            kind,
            digest: Digest::of(bytes),
            name: name.into(),
        }
    }

    #[test]
    fn the_form_is_that_of_sha256sum_with_a_kind() {
        let mut entries = [
            entry(Kind::Executable, b"b", "tool.sh"),
            entry(Kind::File, b"a", "lib/a\\b\n"),
            entry(Kind::Folder, b"", "empty  folder"),
            entry(Kind::Link, b"there", "ä"),
        ];
        let text = write(&mut entries);
        let [a, b, there] = [b"a".as_slice(), b"b", b"there"].map(|b| Digest::of(b).to_string());
        let nothing = Digest::EMPTY;
        assert_eq!(
            text,
            format!(
                "task-pipeline tree 1\nd {nothing}  empty  folder\n\\f {a}  lib/a\\\\b\\n\n\
                 x {b}  tool.sh\nl {there}  ä\n"
            )
        );
        assert_eq!(read(text.as_bytes()).unwrap(), entries);
        assert_eq!(read(write::<&str>(&mut []).as_bytes()), Some(Vec::new()));
    }

    #[test]
    fn what_leads_out_of_a_folder_is_seen() {
        for path in ["a", "a/b", ".x", "..x/a b\n", "ä/…"] {
            assert!(is_inner(path), "{path}");
        }
        let long = "a/".repeat(2050);
        for path in ["", "/a", "a/", "a//b", ".", "a/../b", "a\0", &long] {
            assert!(!is_inner(path), "{path}");
        }
        for (path, target) in [
            ("l", "a"),
            ("l", "."),
            ("l", "./a/b"),
            ("l", "not there"),
            ("d/l", "../a"),
            ("d/e/l", "../..//a"),
            ("d/l", ".."),
        ] {
            assert!(stays_inside(path, target.as_bytes()), "{path} {target}");
        }
        for (path, target) in [
            ("l", ""),
            ("l", "/a"),
            ("l", ".."),
            ("d/l", "../../a"),
            // `a` may lead to any place in there.
            ("l", "a/../b"),
            ("d/l", "./../.."),
        ] {
            assert!(!stays_inside(path, target.as_bytes()), "{path} {target}");
        }
        assert!(stays_inside("l", b"\xff"));
    }

    #[test]
    fn what_is_no_list_is_none() {
        let text = write(&mut [entry(Kind::File, b"a", "x")]);
        for wrong in [
            text.trim_end().to_owned(),
            text.replace("\nf ", "\nq "),
            text.replace("  x", " x"),
            text.replace("\nf", "\n\\f").replace("  x", "  \\x"),
            String::new(),
        ] {
            assert_eq!(read(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_never_written_so_is_no_list() {
        let digest = Digest::of(b"");
        for (name, is_one) in [
            ("a", true),
            ("\\a\\nb", false),
            ("a\\b", false),
            ("a\rb", false),
        ] {
            let plain = format!("{HEADER}f {digest}  {name}\n");
            assert_eq!(read(plain.as_bytes()).is_some(), is_one, "{plain}");
        }
        for (name, is_one) in [
            ("a\\nb", true),
            ("a", false),
            ("a\\n\r", false),
            ("\\x", false),
        ] {
            let escaped = format!("{HEADER}\\f {digest}  {name}\n");
            assert_eq!(read(escaped.as_bytes()).is_some(), is_one, "{escaped}");
        }
    }

    #[test]
    fn equal_names_are_sorted_by_hash() {
        let mut one = [entry(Kind::File, b"1", "x"), entry(Kind::File, b"2", "x")];
        let mut other = [one[1].clone(), one[0].clone()];
        assert_eq!(write(&mut one), write(&mut other));
    }

    #[test]
    fn what_differs_is_named() {
        let old = [
            entry(Kind::File, b"1", "a"),
            entry(Kind::File, b"1", "b"),
            entry(Kind::File, b"1", "c"),
            entry(Kind::File, b"1", "e"),
        ];
        let new = [
            entry(Kind::File, b"1", "a"),
            entry(Kind::File, b"2", "b"),
            entry(Kind::Executable, b"1", "c"),
            entry(Kind::File, b"1", "d"),
        ];
        let found: Vec<_> = differing(&new, &old)
            .iter()
            .map(|one| (one.name, one.how))
            .collect();
        assert_eq!(
            found,
            [
                ("b", Difference::Changed),
                ("c", Difference::Mode),
                ("d", Difference::Added),
                ("e", Difference::Removed),
            ]
        );
    }
}
