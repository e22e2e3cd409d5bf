//! Names made of a row's columns.

/// A text with columns in braces: `{plate}_{well}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Column(String),
}

/// What is wrong with a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadTemplate {
    /// A brace that is not closed, or was not opened.
    #[error("a brace has no counterpart")]
    Brace,
    /// Braces with nothing in them.
    #[error("there is no column between the braces")]
    Empty,
    /// Every row would have the same name.
    #[error("it names no column, so all rows would have the same name")]
    Constant,
}

impl Template {
    /// Reads one.
    pub(crate) fn parse(text: &str) -> Result<Self, BadTemplate> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let (column, after) = brace
                .strip_prefix('{')
                .and_then(|inside| inside.split_once('}'))
                .filter(|(column, _)| !column.contains('{'))
                .ok_or(BadTemplate::Brace)?;
            if column.is_empty() {
                return Err(BadTemplate::Empty);
            }
            parts.push(Part::Column(column.to_owned()));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        let template = Self { parts };
        if template.columns().next().is_none() {
            return Err(BadTemplate::Constant);
        }
        Ok(template)
    }

    /// The columns that it names.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Column(column) => Some(column.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The name of a row with these values; fails with the column that has none.
    pub(crate) fn fill<V: AsRef<str>>(
        &self,
        value: impl Fn(&str) -> Option<V>,
    ) -> Result<String, &str> {
        let mut name = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Column(column) => {
                    name.push_str(value(column).ok_or(column.as_str())?.as_ref());
                }
            }
        }
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_in_braces() {
        let name = |text: &str| {
            let template = Template::parse(text).unwrap();
            let value = |column: &str| (column != "none").then(|| column.to_uppercase());
            template.fill(value).map_err(str::to_owned)
        };
        assert_eq!(name("{a}"), Ok("A".to_owned()));
        assert_eq!(name("x{a b}_{c}.txt"), Ok("xA B_C.txt".to_owned()));
        assert_eq!(name("{a}{none}"), Err("none".to_owned()));
        for (text, why) in [
            ("", BadTemplate::Constant),
            ("a", BadTemplate::Constant),
            ("{}", BadTemplate::Empty),
            ("{a", BadTemplate::Brace),
            ("a}", BadTemplate::Brace),
            ("{a{b}}", BadTemplate::Brace),
        ] {
            assert_eq!(Template::parse(text), Err(why), "{text}");
        }
    }
}
