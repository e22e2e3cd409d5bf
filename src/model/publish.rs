//! What a step's final outputs are called in the folder of results.

use crate::text::quoted;

/// Whether and under which path the final outputs of a step are published.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Publish {
    /// Under their own names.
    #[default]
    Named,
    /// Not at all.
    Never,
    /// Under paths of this form.
    At(Template),
}

/// A path below the folder of results, with places for what differs between outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Key,
    Name,
    Step,
}

/// What stands for the parts of a template: the output's name, the key and the step of the task that left it.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    /// `{name}`
    pub name: &'a str,
    /// `{key}`
    pub key: &'a str,
    /// `{step}`
    pub step: &'a str,
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    /// It names no file.
    #[error("{} names no file: one of its parts is empty", quoted(.0))]
    Empty(String),
    /// It begins at the root.
    #[error("{} does not begin in the folder of results", quoted(.0))]
    Absolute(String),
    /// It leads elsewhere.
    #[error("{} contains `.` or `..`", quoted(.0))]
    Up(String),
    /// Nothing stands for that.
    #[error("{} is not one of {{key}}, {{name}} and {{step}}", quoted(.0))]
    Unknown(String),
    /// A brace has no other one.
    #[error("{} has a brace without its counterpart", quoted(.0))]
    Brace(String),
    /// No path has that.
    #[error("{} contains a NUL character, which no path can", quoted(.0))]
    Nul(String),
}

impl BadTemplate {
    /// What to write.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Empty(_) => {
                "for all in a folder of their own: publish = \"qc/{name}\"; for none of them: publish = false"
            }
            Self::Absolute(_) | Self::Up(_) | Self::Nul(_) => {
                "a path below the folder of results, as \"qc/{key}/{name}\""
            }
            Self::Unknown(_) | Self::Brace(_) => {
                "{name} is the output's name, {key} and {step} are of the task that left it: \"qc/{key}/{name}\""
            }
        }
    }
}

impl Template {
    /// Reads `qc/{key}/{name}`.
    ///
    /// # Errors
    ///
    /// For what is no path below a folder, whatever is put in.
    pub fn parse(text: &str) -> Result<Self, BadTemplate> {
        let own = || text.to_owned();
        if text.contains('\0') {
            return Err(BadTemplate::Nul(own()));
        }
        if text.starts_with('/') {
            return Err(BadTemplate::Absolute(own()));
        }
        for component in text.split('/') {
            match component {
                "" => return Err(BadTemplate::Empty(own())),
                "." | ".." => return Err(BadTemplate::Up(own())),
                _ => {}
            }
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            if !before.is_empty() {
                parts.push(Part::Literal(before.to_owned()));
            }
            let inner = brace
                .strip_prefix('{')
                .and_then(|inner| inner.split_once('}'));
            let Some((word, after)) = inner else {
                return Err(BadTemplate::Brace(own()));
            };
            parts.push(match word {
                "key" => Part::Key,
                "name" => Part::Name,
                "step" => Part::Step,
                other => return Err(BadTemplate::Unknown(format!("{{{other}}}"))),
            });
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    /// Whether a task's key stands in it.
    pub fn wants_key(&self) -> bool {
        self.parts.contains(&Part::Key)
    }

    /// The path of one output. What is put in is one name each: a `/` in it is `_`.
    pub fn fill(&self, values: Values) -> String {
        let mut path = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => path.push_str(text),
                Part::Key => path.push_str(&one_name(values.key)),
                Part::Name => path.push_str(&one_name(values.name)),
                Part::Step => path.push_str(&one_name(values.step)),
            }
        }
        let names: Vec<&str> = path
            .split('/')
            // A key can be empty, and can be dots.
            .map(|name| {
                if matches!(name, "" | "." | "..") {
                    "_"
                } else {
                    name
                }
            })
            .collect();
        names.join("/")
    }
}

/// What can be a part of one name.
pub fn one_name(text: &str) -> String {
    text.replace(['/', '\0'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(template: &str, key: &str) -> String {
        let values = Values {
            name: "a.txt",
            key,
            step: "merge",
        };
        Template::parse(template).unwrap().fill(values)
    }

    #[test]
    fn a_path_of_its_parts() {
        assert_eq!(fill("qc/{key}/{name}", "x"), "qc/x/a.txt");
        assert_eq!(fill("{step}-{key}.{name}", "x"), "merge-x.a.txt");
        assert_eq!(fill("all.txt", "x"), "all.txt");
        assert!(Template::parse("{key}").unwrap().wants_key());
        assert!(!Template::parse("{name}").unwrap().wants_key());
    }

    #[test]
    fn what_is_put_in_leads_nowhere_else() {
        assert_eq!(fill("{key}/{name}", "../x"), ".._x/a.txt");
        assert_eq!(fill("{key}/{name}", ".."), "_/a.txt");
        assert_eq!(fill("{key}/{name}", ""), "_/a.txt");
        assert_eq!(fill("{key}", "/etc/passwd"), "_etc_passwd");
    }

    #[test]
    fn no_templates() {
        let bad = |text: &str| Template::parse(text).unwrap_err();
        for text in ["", "qc/", "/", "a//b"] {
            assert!(
                matches!(bad(text), BadTemplate::Empty(_) | BadTemplate::Absolute(_)),
                "{text}"
            );
        }
        assert!(matches!(bad("/etc/{name}"), BadTemplate::Absolute(_)));
        assert!(matches!(bad("../{name}"), BadTemplate::Up(_)));
        assert!(matches!(bad("./{name}"), BadTemplate::Up(_)));
        assert!(matches!(bad("{nme}"), BadTemplate::Unknown(_)));
        assert!(matches!(bad("{name"), BadTemplate::Brace(_)));
        assert!(matches!(bad("name}"), BadTemplate::Brace(_)));
        assert!(matches!(bad("a\0"), BadTemplate::Nul(_)));
    }
}
