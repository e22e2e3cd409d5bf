//! Patterns of files below a folder.

use std::fmt;

use globset::{GlobBuilder, GlobMatcher};

use crate::text::quoted;

/// A pattern of paths below a folder. `*` stands for any characters of a name, `?` for any one,
/// `[…]` for one of several, `**` between two `/` for any folders or none.
///
/// One that begins with `!` takes out of the others what it stands for, and what lies in folders that it
/// stands for.
///
/// What a pattern does not name by its dot, it passes over if it is hidden, as a shell does. Only a
/// folder that is named in full is all that is in it.
#[derive(Clone)]
pub struct Glob {
    text: Box<str>,
    parts: Box<[Part]>,
    takes_out: bool,
}

/// What one name of a path must be.
#[derive(Debug, Clone)]
pub enum Part {
    /// This one.
    Name(Box<str>),
    /// One of several.
    Some(Names),
    /// Any number of folders: `**`.
    Deep,
}

/// Some of the names in a folder.
#[derive(Debug, Clone)]
pub struct Names {
    /// None: all of them.
    matcher: Option<GlobMatcher>,
    hidden: bool,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadGlob {
    /// There is nothing in it.
    #[error("an empty pattern names no file")]
    Empty,
    /// It begins at the root or at somebody's home.
    #[error("{} does not begin in the manifest's folder", quoted(.0))]
    Absolute(String),
    /// It leads out of the folder.
    #[error("{} leads out of the manifest's folder: it contains `..`", quoted(.0))]
    Up(String),
    /// No path has that character.
    #[error("{} contains a NUL character, which no path can", quoted(.0))]
    Nul(String),
    /// It has alternatives in braces.
    #[error("{} contains braces, which these patterns do not support", quoted(.0))]
    Braces(String),
    /// Folders of any depth stand for a part of a name.
    #[error("{} has `**` next to other characters", quoted(.0))]
    Mixed(String),
    /// Nobody needs so many folders.
    #[error("{} has more than {MOST} parts", quoted(.0))]
    Long(String),
    /// It does not come to an end, or says the impossible.
    #[error("{} is not a valid pattern: {}", quoted(.0), .1)]
    Syntax(String, String),
}

impl BadGlob {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Empty => {
                "`*` stands for all files of the folder, for instance [\"lib/*.sh\", \"template.html\"]"
            }
            Self::Absolute(_) | Self::Up(_) => {
                "name files below the manifest's folder; for a file elsewhere, put a link to it there"
            }
            Self::Nul(_) => "take it out",
            Self::Braces(_) => "write two patterns; `\\{` stands for the character itself",
            Self::Mixed(_) => {
                "`**` must be on its own between slashes, and stands for folders: `lib/**/*.sh`"
            }
            Self::Long(_) => "`**` stands for any number of folders",
            Self::Syntax(..) => {
                "`[abc]` stands for one of the characters; `\\[` for the character itself"
            }
        }
    }
}

/// Parts of one pattern.
const MOST: usize = 60;

impl Glob {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, BadGlob> {
        let own = || text.to_owned();
        let whole = text;
        let (takes_out, text) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if text.is_empty() {
            return Err(BadGlob::Empty);
        }
        if text.contains('\0') {
            return Err(BadGlob::Nul(own()));
        }
        if text.starts_with('/') || text == "~" || text.starts_with("~/") {
            return Err(BadGlob::Absolute(own()));
        }
        let mut parts = Vec::new();
        for name in text.split('/').filter(|name| !matches!(*name, "" | ".")) {
            if name == ".." {
                return Err(BadGlob::Up(own()));
            }
            if name == "**" {
                if !matches!(parts.last(), Some(Part::Deep)) {
                    parts.push(Part::Deep);
                }
                continue;
            }
            parts.push(part(name).map_err(|why| match why {
                Bad::Braces => BadGlob::Braces(own()),
                Bad::Mixed => BadGlob::Mixed(own()),
                Bad::Syntax(why) => BadGlob::Syntax(own(), why),
            })?);
        }
        if parts.len() > MOST {
            return Err(BadGlob::Long(own()));
        }
        Ok(Self {
            text: whole.into(),
            parts: parts.into(),
            takes_out,
        })
    }

    /// The same below a folder, whose name is no pattern; it ends with a `/`, or is empty.
    pub fn below(self, folder: &str) -> Result<Self, BadGlob> {
        if folder.is_empty() {
            return Ok(self);
        }
        let mut text = String::new();
        if self.takes_out {
            text.push('!');
        }
        for letter in folder.chars() {
            if matches!(letter, '*' | '?' | '[' | ']' | '{' | '}' | '\\') {
                text.push('\\');
            }
            text.push(letter);
        }
        Self::parse(&(text + self.pattern()))
    }

    /// The path that it stands for, if it names all of it.
    pub fn literal(&self) -> Option<String> {
        let names = self.parts.iter().map(|part| match part {
            Part::Name(name) => Some(&**name),
            Part::Some(_) | Part::Deep => None,
        });
        Some(names.collect::<Option<Vec<_>>>()?.join("/"))
    }

    /// The pattern as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The same without the `!` that it may begin with.
    pub fn pattern(&self) -> &str {
        if self.takes_out {
            &self.text[1..]
        } else {
            &self.text
        }
    }

    /// Whether it takes out of the others what it stands for.
    pub fn takes_out(&self) -> bool {
        self.takes_out
    }

    /// Whether it stands for the path, or for a folder that the path lies in: the whole folder, whatever
    /// its parts are.
    pub fn covers(&self, path: &str) -> bool {
        let ends = path.match_indices('/').map(|(at, _)| at);
        ends.chain([path.len()])
            .any(|end| self.matches(&path[..end]))
    }

    /// Whether it says of the path that it is a dependency, or that it is none.
    pub fn tells_of(&self, path: &str) -> bool {
        self.matches(path) || self.takes_out && self.covers(path)
    }

    /// What the names of a path must be; none for the folder itself.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Whether it stands for one path alone.
    pub fn is_literal(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Name(_)))
    }

    /// The folder below which all lies that it can stand for, with `/` at its end; empty for the one
    /// that patterns are looked up in.
    pub fn base(&self) -> String {
        let mut base = String::new();
        let above = self.parts.len().saturating_sub(1);
        for part in &self.parts[..above] {
            let Part::Name(name) = part else {
                break;
            };
            base.push_str(name);
            base.push('/');
        }
        base
    }

    /// Whether it looks for some of the names in that folder: whatever comes there may be one of them. A pattern that looks
    /// everywhere (`**` at its beginning) does so in no folder above others.
    pub fn looks_in(&self, folder: &str) -> bool {
        let Some((Part::Some(_), above)) = self.parts.split_last() else {
            return false;
        };
        let names: Vec<&str> = folder.split('/').filter(|name| !name.is_empty()).collect();
        match above.first() {
            None => names.is_empty(),
            Some(Part::Deep) => false,
            Some(_) => leads(above, &names),
        }
    }

    /// Whether it stands for the path, or for a folder that the path lies in: of paths of which no
    /// look at the files tells.
    pub fn matches(&self, path: &str) -> bool {
        let names: Vec<&str> = path.split('/').collect();
        matches(&self.parts, &names)
    }
}

fn matches(parts: &[Part], names: &[&str]) -> bool {
    match (parts, names) {
        ([], _) => true,
        ([Part::Deep], names) => !names.is_empty() && !names.iter().any(|name| is_hidden(name)),
        ([Part::Deep, rest @ ..], names) => {
            let shown = names.iter().take_while(|name| !is_hidden(name)).count();
            (0..=shown).any(|deep| matches(rest, &names[deep..]))
        }
        ([Part::Name(name), rest @ ..], [first, others @ ..]) => {
            **name == **first && matches(rest, others)
        }
        // What is in a folder of that name is not meant.
        ([Part::Some(some)], [only]) => some.matches(only.as_bytes()),
        ([Part::Some(_)], _) | (_, []) => false,
        ([Part::Some(some), rest @ ..], [first, others @ ..]) => {
            some.matches(first.as_bytes()) && matches(rest, others)
        }
    }
}

/// Whether the parts stand for just this folder.
fn leads(parts: &[Part], names: &[&str]) -> bool {
    match (parts, names) {
        ([], names) => names.is_empty(),
        ([Part::Deep, rest @ ..], names) => {
            let shown = names.iter().take_while(|name| !is_hidden(name)).count();
            (0..=shown).any(|deep| leads(rest, &names[deep..]))
        }
        (_, []) => false,
        ([Part::Name(name), rest @ ..], [first, others @ ..]) => {
            **name == **first && leads(rest, others)
        }
        ([Part::Some(some), rest @ ..], [first, others @ ..]) => {
            some.matches(first.as_bytes()) && leads(rest, others)
        }
    }
}

fn is_hidden(name: &str) -> bool {
    name.starts_with('.')
}

impl Names {
    /// Whether the name is one of them.
    pub fn matches(&self, name: &[u8]) -> bool {
        if name.first() == Some(&b'.') && !self.hidden {
            return false;
        }
        match &self.matcher {
            None => true,
            Some(matcher) => {
                use std::os::unix::ffi::OsStrExt;
                matcher.is_match(std::ffi::OsStr::from_bytes(name))
            }
        }
    }
}

/// Why a part of a pattern is none.
enum Bad {
    Braces,
    Mixed,
    Syntax(String),
}

fn part(name: &str) -> Result<Part, Bad> {
    let mut escaped = false;
    let mut is_literal = true;
    for c in name.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => {
                escaped = true;
                is_literal = false;
            }
            '{' | '}' => return Err(Bad::Braces),
            '*' | '?' | '[' => is_literal = false,
            _ => {}
        }
    }
    if is_literal {
        return Ok(Part::Name(name.into()));
    }
    if name.contains("**") {
        return Err(Bad::Mixed);
    }
    if name == "*" {
        return Ok(Part::Some(Names {
            matcher: None,
            hidden: false,
        }));
    }
    let glob = GlobBuilder::new(name)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .map_err(|error| Bad::Syntax(error.kind().to_string()))?;
    Ok(Part::Some(Names {
        matcher: Some(glob.compile_matcher()),
        hidden: name.starts_with('.') || name.starts_with("\\."),
    }))
}

impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Glob {}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(text: &str) -> Glob {
        Glob::parse(text).unwrap()
    }

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, yes, no) in [
            ("a.sh", &["a.sh", "a.sh/in/it"][..], &["b.sh", "x/a.sh"][..]),
            ("./lib/", &["lib/x", "lib/.x/y"], &["libs/x"]),
            ("*.sh", &["a.sh"], &[".a.sh", "x/a.sh", "a.shx"]),
            ("*", &["a"], &[".a", "a/b"]),
            (".*", &[".a"], &["a"]),
            (
                "l?b/[a-c].sh",
                &["lib/a.sh", "lob/c.sh"],
                &["lib/d.sh", "l/b/a.sh"],
            ),
            ("**", &["a", "a/b/c"], &[".a", "a/.b/c"]),
            ("**/*.md", &["a.md", "x/y/a.md"], &["x/.y/a.md", "a.mdx"]),
            ("x/**/y/*.md", &["x/y/a.md", "x/1/2/y/a.md"], &["x/a.md"]),
            ("**/.x", &["a/.x", ".x"], &["a/.y"]),
            (r"a\*b", &["a*b"], &["axb"]),
            (r"\!a", &["!a"], &["a"]),
        ] {
            let glob = glob(pattern);
            for path in yes {
                assert!(glob.matches(path), "{pattern} {path}");
            }
            for path in no {
                assert!(!glob.matches(path), "{pattern} {path}");
            }
        }
    }

    #[test]
    fn the_fixed_part_is_a_folder() {
        for (pattern, base) in [
            ("a.sh", ""),
            ("lib/*.sh", "lib/"),
            ("data/in/**/*.csv", "data/in/"),
            ("**/x", ""),
            (".", ""),
        ] {
            assert_eq!(glob(pattern).base(), base, "{pattern}");
        }
    }

    #[test]
    fn what_takes_out_takes_folders_with_all_that_is_in_them() {
        for (pattern, yes, no) in [
            ("!out", &["out", "out/x/.y"][..], &["about", "x/out"][..]),
            ("!lib/*.d", &["lib/a.d", "lib/a.d/x"], &["lib/a", "a.d"]),
            ("!**/tmp", &["tmp/x", "a/b/tmp/x"], &["a/tmpx"]),
        ] {
            let glob = glob(pattern);
            assert!(glob.takes_out() && glob.text() == pattern);
            assert!(yes.iter().all(|path| glob.covers(path)), "{pattern}");
            assert!(!no.iter().any(|path| glob.covers(path)), "{pattern}");
        }
        let below = glob("!x*").below("a*/").unwrap();
        assert!(below.takes_out() && below.covers("a*/xy/z") && !below.covers("ab/xy"));
        assert!(Glob::parse("!").is_err() && Glob::parse("!/etc").is_err());
    }

    #[test]
    fn the_name_of_a_folder_above_is_no_pattern() {
        let below = |pattern: &str, folder: &str| glob(pattern).below(folder).unwrap();
        let odd = r"a[b]*{c}\?/";
        assert!(below("*.sh", odd).matches(&format!("{odd}x.sh")));
        assert!(!below("*.sh", "a*/").matches("ab/x.sh"));
        assert_eq!(below("x", "").text(), "x");
        assert_eq!(below("./x/", "a/b/").literal().as_deref(), Some("a/b/x"));
        assert_eq!(glob("a/*").literal(), None);
        assert!(glob("x").below(&"y/".repeat(60)).is_err());
    }

    #[test]
    fn what_is_no_pattern_is_told() {
        for (text, words) in [
            ("", "an empty pattern names no file"),
            ("/etc/passwd", "does not begin in the manifest's folder"),
            ("~/x", "does not begin in the manifest's folder"),
            ("lib/../../x", "it contains `..`"),
            ("a\0b", "contains a NUL"),
            ("{a,b}.sh", "contains braces"),
            ("lib/**.sh", "has `**` next to other characters"),
            ("lib/[a.sh", "is not a valid pattern"),
            ("a\\", "is not a valid pattern"),
        ] {
            let error = Glob::parse(text).unwrap_err();
            assert!(error.to_string().contains(words), "{text}: {error}");
            assert!(!error.hint().is_empty());
        }
        assert!(glob(r"\{a,b\}").matches("{a,b}"));
        assert!(Glob::parse(&"x/".repeat(61)).is_err());
    }
}
