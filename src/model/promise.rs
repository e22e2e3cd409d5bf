//! What a step promises to leave: patterns of the names of its outputs.

use std::fmt;

use crate::text::quoted;

/// What marks a pattern that nothing has to match.
const MAY_BE_MISSING: char = '?';
/// What other globs have, and these have not.
const OTHERS: [char; 5] = ['[', ']', '{', '}', '\\'];
/// Names told in an error.
const NAMED: usize = 5;

/// A pattern of names: `*` stands for any characters or none, `?` for any one; a `?` at the end says
/// that nothing has to match, and stands for no character.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    text: Box<str>,
    glob: Box<[char]>,
    optional: bool,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// There is nothing that a name could match.
    #[error("an empty pattern matches no name")]
    Empty,
    /// It names a folder.
    #[error("{} contains a `/`: outputs are files in OUTPUT_DIR itself", quoted(.0))]
    Folder(String),
    /// It is written as a glob of another kind.
    #[error("{} contains `{}`, which these patterns do not support", quoted(.0), .1)]
    Other(String, char),
}

impl BadPattern {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Empty | Self::Folder(_) => "for instance [\"*_merge.csv\", \"*.log?\"]",
            Self::Other(..) => {
                "`*` stands for any characters, `?` for any one, and at the end for \"may be missing\""
            }
        }
    }
}

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let (glob, optional) = match text.strip_suffix(MAY_BE_MISSING) {
            Some(glob) => (glob, true),
            None => (text, false),
        };
        if glob.is_empty() {
            return Err(BadPattern::Empty);
        }
        if glob.contains('/') {
            return Err(BadPattern::Folder(text.to_owned()));
        }
        if let Some(other) = glob.chars().find(|c| OTHERS.contains(c)) {
            return Err(BadPattern::Other(text.to_owned(), other));
        }
        Ok(Self {
            text: text.into(),
            glob: glob.chars().collect(),
            optional,
        })
    }

    /// The pattern as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The pattern without the mark.
    pub fn glob(&self) -> String {
        self.glob.iter().collect()
    }

    /// Whether it says that nothing has to match.
    pub fn is_optional(&self) -> bool {
        self.optional
    }

    /// Whether it stands for one name alone.
    pub fn is_literal(&self) -> bool {
        !self.glob.iter().any(|c| matches!(c, '*' | '?'))
    }

    /// Whether two patterns say the same but for the mark.
    pub fn is_same(&self, other: &Self) -> bool {
        self.glob == other.glob
    }

    /// Whether the name is one of those that it stands for.
    pub fn matches(&self, name: &str) -> bool {
        matches(&self.glob, &name.chars().collect::<Vec<_>>())
    }

    /// Whether there is a name that both stand for.
    pub fn meets(&self, other: &Self) -> bool {
        // Which beginnings of the other one stand for a name that this beginning stands for, too.
        let star = |glob: &[char], at: usize| at > 0 && glob[at - 1] == '*';
        let (one, two) = (&self.glob, &other.glob);
        let mut before: Vec<bool> = Vec::new();
        for at in 0..=one.len() {
            let mut row = vec![false; two.len() + 1];
            for to in 0..=two.len() {
                let both = || {
                    let (a, b) = (one[at - 1], two[to - 1]);
                    before[to - 1] && (a == b || a == '?' || b == '?')
                };
                row[to] = (at == 0 && to == 0)
                    || (star(one, at) && (before[to] || (to > 0 && row[to - 1])))
                    || (star(two, to) && (row[to - 1] || (at > 0 && before[to])))
                    || (at > 0 && to > 0 && !star(one, at) && !star(two, to) && both());
            }
            before = row;
        }
        before[two.len()]
    }

    /// What the first star stands for in a name that matches; the least, should there be a choice.
    pub fn star(&self, name: &str) -> Option<String> {
        let star = self.glob.iter().position(|c| *c == '*')?;
        let name: Vec<char> = name.chars().collect();
        if name.len() < star || !matches(&self.glob[..star], &name[..star]) {
            return None;
        }
        let (rest, behind) = (&name[star..], &self.glob[star + 1..]);
        let length = (0..=rest.len()).find(|length| matches(behind, &rest[*length..]))?;
        Some(rest[..length].iter().collect())
    }
}

/// Whether the name is one of those that the pattern stands for.
fn matches(glob: &[char], name: &[char]) -> bool {
    let (mut at, mut seen) = (0, 0);
    // The last star, and up to where it reaches.
    let mut star: Option<(usize, usize)> = None;
    while seen < name.len() {
        match glob.get(at) {
            Some('*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(c) if *c == '?' || *c == name[seen] => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((back, reach)) = &mut star else {
                    return false;
                };
                *reach += 1;
                (at, seen) = (*back + 1, *reach);
            }
        }
    }
    glob[at..].iter().all(|c| *c == '*')
}

/// How names that were left are compared with a step's patterns.
#[derive(Debug, Clone)]
pub struct Comparison {
    patterns: std::sync::Arc<[Pattern]>,
    matched: Box<[bool]>,
    strays: Vec<String>,
    more: usize,
}

impl Comparison {
    /// With these; no name was seen yet.
    pub fn new(patterns: &std::sync::Arc<[Pattern]>) -> Self {
        Self {
            patterns: std::sync::Arc::clone(patterns),
            matched: patterns.iter().map(|_| false).collect(),
            strays: Vec::new(),
            more: 0,
        }
    }

    /// This was left.
    pub fn saw(&mut self, name: &str) {
        let mut known = false;
        for (pattern, matched) in self.patterns.iter().zip(&mut self.matched) {
            if pattern.matches(name) {
                (known, *matched) = (true, true);
            }
        }
        if known {
            return;
        }
        if self.strays.len() < NAMED {
            self.strays.push(name.to_owned());
        } else {
            self.more += 1;
        }
    }

    /// That was all: whether it is what was promised.
    pub fn end(self) -> Result<(), Broken> {
        let missing = self.patterns.iter().zip(&self.matched);
        let missing: Vec<String> = missing
            .filter(|(pattern, matched)| !pattern.optional && !**matched)
            .map(|(pattern, _)| pattern.text().to_owned())
            .collect();
        if self.strays.is_empty() && missing.is_empty() {
            return Ok(());
        }
        let mut strays = self.strays;
        strays.sort();
        Err(Broken {
            promised: self.patterns.iter().map(|p| p.text().to_owned()).collect(),
            strays,
            more: self.more,
            missing,
        })
    }
}

/// What was left is not what was promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    promised: Vec<String>,
    strays: Vec<String>,
    more: usize,
    missing: Vec<String>,
}

impl std::error::Error for Broken {}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |names: &[String]| {
            let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
            names.join(", ")
        };
        let mut between = "";
        if !self.strays.is_empty() {
            write!(f, "left {}", list(&self.strays))?;
            if self.more > 0 {
                write!(f, " and {} more", self.more)?;
            }
            match (self.strays.len(), self.promised.is_empty()) {
                (_, true) => f.write_str(", and its `outputs` are empty")?,
                (1, false) => write!(
                    f,
                    ", which is not in its `outputs`: {}",
                    list(&self.promised)
                )?,
                _ => write!(
                    f,
                    ", which are not in its `outputs`: {}",
                    list(&self.promised)
                )?,
            }
            between = "\n";
        }
        if !self.missing.is_empty() {
            write!(
                f,
                "{between}left nothing that matches {}",
                list(&self.missing)
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str]) -> std::sync::Arc<[Pattern]> {
        texts
            .iter()
            .map(|text| Pattern::parse(text).unwrap())
            .collect()
    }

    fn left(promised: &[&str], names: &[&str]) -> Result<(), String> {
        let mut comparison = Comparison::new(&patterns(promised));
        names.iter().for_each(|name| comparison.saw(name));
        comparison.end().map_err(|broken| broken.to_string())
    }

    #[test]
    fn patterns_meet_where_there_is_a_name_for_both() {
        let texts = [
            "a", "ab", "*", "a*", "*b", "?b", "a?c", "*.csv", "x*.csv", "*a*b", "b*a",
        ];
        let letters = ['a', 'b', 'c', 'x', '.', 's', 'v'];
        let mut names: Vec<String> = vec![String::new()];
        for length in 0..3 {
            let shorter: Vec<String> = names
                .iter()
                .filter(|name| name.len() == length)
                .cloned()
                .collect();
            names.extend(
                shorter
                    .iter()
                    .flat_map(|name| letters.map(|letter| format!("{name}{letter}"))),
            );
        }
        let tails: Vec<String> = ["", "a", "x", "xa", "b"]
            .map(|name| format!("{name}.csv"))
            .into();
        names.extend(tails);
        names.extend(["abab".to_owned(), "bab.csv".to_owned()]);
        for one in patterns(&texts).iter() {
            for other in patterns(&texts).iter() {
                let both = names
                    .iter()
                    .any(|name| one.matches(name) && other.matches(name));
                assert_eq!(one.meets(other), both, "{} {}", one.text(), other.text());
            }
        }
    }

    #[test]
    fn names_that_patterns_stand_for() {
        for (pattern, name, matches) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("*", ".x", true),
            ("*_merge.csv", "a_merge.csv", true),
            ("*_merge.csv", "_merge.csv", true),
            ("*_merge.csv", "a_merge.csv.gz", false),
            ("a*b*c", "a_b_b_c", true),
            ("a*b*c", "a_c_b", false),
            ("a?c", "aöc", true),
            ("a?c", "ac", false),
            ("*.log?", "x.log", true),
            ("*.log?", "x.logs", false),
            ("x??", "xy", true),
            ("x??", "x", false),
        ] {
            assert_eq!(
                Pattern::parse(pattern).unwrap().matches(name),
                matches,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn what_the_first_star_stands_for() {
        for (pattern, name, star) in [
            ("*.tsv", "a.b.tsv", Some("a.b")),
            ("x_*_*.tsv", "x_a_b_c.tsv", Some("a")),
            ("?*", "äb", Some("b")),
            ("*", "", Some("")),
            ("a", "a", None),
            ("*.tsv", "a.csv", None),
        ] {
            let found = Pattern::parse(pattern).unwrap().star(name);
            assert_eq!(found.as_deref(), star, "{pattern} {name}");
        }
    }

    #[test]
    fn what_is_no_pattern() {
        for (text, error) in [
            ("", "an empty pattern matches no name"),
            ("?", "an empty pattern matches no name"),
            (
                "a/b",
                "`a/b` contains a `/`: outputs are files in OUTPUT_DIR itself",
            ),
            (
                "[ab]",
                "`[ab]` contains `[`, which these patterns do not support",
            ),
        ] {
            assert_eq!(Pattern::parse(text).unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn what_was_left_is_what_was_promised() {
        let both = ["*_merge.csv", "*.log?"];
        assert_eq!(left(&both, &["a_merge.csv", "x.log"]), Ok(()));
        assert_eq!(left(&both, &["a_merge.csv", "b_merge.csv"]), Ok(()));
        assert_eq!(left(&["*?"], &[]), Ok(()));
        assert_eq!(left(&[], &[]), Ok(()));
        assert_eq!(
            left(&both, &["x.log"]).unwrap_err(),
            "left nothing that matches `*_merge.csv`"
        );
        assert_eq!(
            left(&both, &["a_merge.csv", "x"]).unwrap_err(),
            "left `x`, which is not in its `outputs`: `*_merge.csv`, `*.log?`"
        );
        assert_eq!(
            left(&["a"], &["6", "5", "4", "3", "2", "1"]).unwrap_err(),
            "left `2`, `3`, `4`, `5`, `6` and 1 more, which are not in its `outputs`: `a`\n\
             left nothing that matches `a`"
        );
        assert_eq!(
            left(&[], &["x"]).unwrap_err(),
            "left `x`, and its `outputs` are empty"
        );
    }
}
