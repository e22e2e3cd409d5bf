//! Files of parameters: values by name, in TOML or JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::Path;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use toml::de::DeTable;

use super::params::scalar;
use super::syntax::Broken;
use super::texts::Texts;
use super::value::{Reader, kind};
use crate::manifest::diagnostic::Diagnostic;
use crate::model::param::{BadValue, Params, Scalar};
use crate::text::quoted;
use crate::text::suggest;

/// The form of a file of parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Toml,
    Json,
}

impl Form {
    /// That of a file with this ending; otherwise of what this text looks like.
    pub(crate) fn of(ending: Option<&str>, text: &str) -> Self {
        match ending {
            Some("json") => Self::Json,
            Some("toml") => Self::Toml,
            _ if text
                .trim_start_matches('\u{feff}')
                .trim_start()
                .starts_with('{') =>
            {
                Self::Json
            }
            _ => Self::Toml,
        }
    }
}

/// What such a file gives: values of `params` in their text form; or all that is wrong with it.
pub(crate) fn given(
    text: &str,
    form: Form,
    params: &Params,
) -> Result<BTreeMap<String, String>, Vec<Diagnostic>> {
    let mut taken = Taken {
        params,
        values: BTreeMap::new(),
        wrong: Vec::new(),
    };
    match form {
        Form::Toml => taken.toml(text)?,
        Form::Json => taken.json(text)?,
    }
    let Taken {
        values, mut wrong, ..
    } = taken;
    if wrong.is_empty() {
        return Ok(values);
    }
    wrong.sort_by_key(|one| one.span.as_ref().map(|span| span.start));
    Err(wrong)
}

/// What was found so far.
struct Taken<'p> {
    params: &'p Params,
    values: BTreeMap<String, String>,
    wrong: Vec<Diagnostic>,
}

impl Taken<'_> {
    fn toml(&mut self, text: &str) -> Result<(), Vec<Diagnostic>> {
        let (root, errors) = DeTable::parse_recoverable(text);
        let broken = Broken::new(text, root.get_ref(), &errors);
        let texts = Texts::new(Path::new(""), text);
        let mut errors = Reader::new(&texts).finish(vec![broken]);
        if !errors.is_empty() {
            // What a text is told that is nothing like a manifest.
            errors.iter_mut().for_each(|error| error.hint = None);
            return Err(errors);
        }
        for (key, item) in root.get_ref() {
            let value = scalar(item).ok_or_else(|| kind(item.get_ref()));
            self.one(key.get_ref(), key.span(), item.span(), value);
        }
        Ok(())
    }

    fn json(&mut self, text: &str) -> Result<(), Vec<Diagnostic>> {
        // The mark that some editors put at the start of a file.
        let whole = text;
        let text = text.trim_start_matches('\u{feff}');
        let mark = whole.len() - text.len();
        let mut parser = serde_json::Deserializer::from_str(text);
        let members = parser.deserialize_map(Members).and_then(|members| {
            parser.end()?;
            Ok(members)
        });
        let members = members.map_err(|error| vec![syntax(whole, mark, &error)])?;
        let mut before = 0;
        for (name, raw) in members {
            let at = raw.get().as_ptr() as usize - text.as_ptr() as usize;
            let key = mark + key(text, before..at).start..mark + key(text, before..at).end;
            before = at + raw.get().len();
            if self.values.contains_key(&*name) {
                let message = format!("{} is given twice", quoted(&name));
                self.wrong
                    .push(Diagnostic::at(key, message).hint("leave one of them out"));
                continue;
            }
            self.one(&name, key, mark + at..mark + before, of_json(raw.get()));
        }
        Ok(())
    }

    /// A value, or what it is in words if no parameter can have one of that kind.
    fn one(
        &mut self,
        name: &str,
        key: Range<usize>,
        at: Range<usize>,
        value: Result<Scalar, &'static str>,
    ) {
        let Some(param) = self.params.get(name) else {
            let message = format!("there is no parameter {}", quoted(name));
            let error = Diagnostic::at(key, message);
            self.wrong.push(error.hint(unknown(name, self.params)));
            return;
        };
        let told = match value {
            Err(found) => {
                let words = param.kind.words();
                let message = format!("parameter {} must be {words}, not {found}", quoted(name));
                Diagnostic::at(at, message).hint("a parameter is one value")
            }
            Ok(value) => match param.take(&value) {
                Ok(value) => {
                    self.values.insert(name.to_owned(), value);
                    return;
                }
                Err(why) => {
                    let mut error = Diagnostic::at(at, of_parameter(name, &why));
                    error.hint = why.hint();
                    error
                }
            },
        };
        self.wrong.push(told);
    }
}

/// Why something is no value of the parameter.
fn of_parameter(name: &str, why: &BadValue) -> String {
    match why {
        BadValue::Type(found, kind) => {
            let words = kind.words();
            format!("parameter {} must be {words}, not {found}", quoted(name))
        }
        BadValue::Form(..)
        | BadValue::Nul
        | BadValue::Less(..)
        | BadValue::More(..)
        | BadValue::Other(..) => format!("parameter {}: {why}", quoted(name)),
    }
}

/// What to do about a name that no parameter has.
pub(crate) fn unknown(name: &str, params: &Params) -> String {
    let known = || params.keys().map(String::as_str);
    match suggest::closest(name, known()) {
        Some(close) => format!("did you mean {}?", quoted(close)),
        None if params.is_empty() => "the manifest declares none in [params]".to_owned(),
        None => format!(
            "the manifest declares: {}",
            known().collect::<Vec<_>>().join(", ")
        ),
    }
}

/// The members of an object, in their order.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object with a member for each parameter")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry::<Cow<'de, str>, &'de RawValue>()? {
            members.push(member);
        }
        Ok(members)
    }
}

/// The place of the key in the text between the value before and its own.
fn key(text: &str, between: Range<usize>) -> Range<usize> {
    let start = between.start;
    let between = &text[between];
    match (between.find('"'), between.rfind('"')) {
        (Some(first), Some(last)) => start + first..start + last + 1,
        _ => start..start,
    }
}

fn of_json(raw: &str) -> Result<Scalar, &'static str> {
    Ok(match raw.as_bytes().first() {
        Some(b'"') => Scalar::Text(serde_json::from_str(raw).map_err(|_| "a broken string")?),
        Some(b't') => Scalar::Flag(true),
        Some(b'f') => Scalar::Flag(false),
        Some(b'n') => return Err("null"),
        Some(b'[') => return Err("an array"),
        Some(b'{') => return Err("an object"),
        _ if raw.contains(['.', 'e', 'E']) => Scalar::Decimal(raw.to_owned()),
        _ => Scalar::Whole(raw.to_owned()),
    })
}

/// An error of JSON itself, with its place; `mark`: bytes before the text that was read.
fn syntax(whole: &str, mark: usize, error: &serde_json::Error) -> Diagnostic {
    let words = error.to_string();
    let words = words
        .rsplit_once(" at line ")
        .map_or(&*words, |(words, _)| words);
    let line = error.line().saturating_sub(1);
    let begin = match line {
        0 => mark,
        _ => whole
            .match_indices('\n')
            .nth(line - 1)
            .map_or(whole.len(), |(at, _)| at + 1),
    };
    let at = (begin + error.column().saturating_sub(1)).min(whole.len());
    Diagnostic::at(at..at + 1, format!("this is no JSON: {words}"))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::manifest::Manifest;
    use crate::manifest::diagnostic::render;

    fn params() -> Params {
        let text = "[params]\n\
            threshold = { type = 'float', default = 0.5, min = 0, max = 1 }\n\
            n = { type = 'int' }\nmode = { type = 'string', values = ['fast', 'exact'] }\n\
            on = { type = 'bool' }\nlabel = { type = 'string', default = '' }\n\
            [[step]]\nname = 'a'\nstart = true\nscript = ':'\n";
        Manifest::parse(text).unwrap().params
    }

    fn values(text: &str) -> Vec<String> {
        let form = Form::of(None, text);
        let found = given(text, form, &params()).unwrap_or_else(|errors| panic!("{errors:?}"));
        let pairs = found.iter();
        pairs
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    }

    fn errors(text: &str) -> String {
        let form = Form::of(None, text);
        let errors = given(text, form, &params()).unwrap_err();
        render("p", text, &errors)
    }

    #[test]
    fn both_forms_say_the_same() {
        let all = [
            "label=a \"$x\"=\n'b'",
            "mode=exact",
            "n=-7",
            "on=true",
            "threshold=1.0",
        ];
        assert_eq!(
            values(
                "threshold = 1\nn = -7\nmode = 'exact'\non = true\nlabel = \"a \\\"$x\\\"=\\n'b'\""
            ),
            all
        );
        let json = r#" {"threshold": 1, "n": -7, "mode": "exact", "on": true, "label": "a \"$x\"=\n'b'"} "#;
        assert_eq!(values(json), all);
        assert_eq!(values(&format!("\u{feff}{json}")), all);
        assert_eq!(values("{}"), [""; 0]);
        assert_eq!(values(""), [""; 0]);
        assert_eq!(Form::of(Some("json"), "a = 1"), Form::Json);
        assert_eq!(Form::of(Some("toml"), "{"), Form::Toml);
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        assert_snapshot!(errors(
            "treshold = 1\nthreshold = 2\nn = 1.5\nmode = 'exakt'\non = 'true'\nlabel = [1]\n"
        ), @r#"
        error: there is no parameter `treshold`
         --> p:1:1
          |
        1 | treshold = 1
          | ^^^^^^^^
        hint: did you mean `threshold`?

        error: parameter `threshold`: 2.0 is more than 1.0
         --> p:2:13
          |
        2 | threshold = 2
          |             ^

        error: parameter `n` must be a whole number, not a decimal number
         --> p:3:5
          |
        3 | n = 1.5
          |     ^^^

        error: parameter `mode`: `exakt` is not one of its values
         --> p:4:8
          |
        4 | mode = 'exakt'
          |        ^^^^^^^
        hint: did you mean `exact`?

        error: parameter `on` must be true or false, not a string
         --> p:5:6
          |
        5 | on = 'true'
          |      ^^^^^^
        hint: true or false is written without quotes

        error: parameter `label` must be a string, not an array
         --> p:6:9
          |
        6 | label = [1]
          |         ^^^
        hint: a parameter is one value
        "#);
    }

    #[test]
    fn what_is_wrong_with_json_has_its_place_too() {
        assert_snapshot!(errors(
            "{\"treshold\": 1, \"threshold\": \"0.5\",\n \"n\": 1e3, \"mode\": null,\n \"on\": {\"a\": 1}, \"label\": \"a\", \"label\": \"b\"}"
        ), @r#"
        error: there is no parameter `treshold`
         --> p:1:2
          |
        1 | {"treshold": 1, "threshold": "0.5",
          |  ^^^^^^^^^^
        hint: did you mean `threshold`?

        error: parameter `threshold` must be a decimal number, not a string
         --> p:1:30
          |
        1 | {"treshold": 1, "threshold": "0.5",
          |                              ^^^^^
        hint: a decimal number is written without quotes

        error: parameter `n` must be a whole number, not a decimal number
         --> p:2:7
          |
        2 |  "n": 1e3, "mode": null,
          |       ^^^

        error: parameter `mode` must be a string, not null
         --> p:2:20
          |
        2 |  "n": 1e3, "mode": null,
          |                    ^^^^
        hint: a parameter is one value

        error: parameter `on` must be true or false, not an object
         --> p:3:8
          |
        3 |  "on": {"a": 1}, "label": "a", "label": "b"}
          |        ^^^^^^^^
        hint: a parameter is one value

        error: `label` is given twice
         --> p:3:32
          |
        3 |  "on": {"a": 1}, "label": "a", "label": "b"}
          |                                ^^^^^^^
        hint: leave one of them out
        "#);
        assert_snapshot!(errors("n = 1\nn = 2"), @r#"
        error: `n` is defined twice
         --> p:2:1
          |
        2 | n = 2
          | ^
        "#);
        assert_snapshot!(errors("n = "), @r#"
        error: a value is missing after `=`
         --> p:1:5
          |
        1 | n = 
          |     ^
        "#);
        for text in ["{\"n\": 1,\n}", "{\"n\": ", "{} x"] {
            assert!(errors(text).contains("this is no JSON: "), "{text}");
        }
        assert_snapshot!(errors("{\"n\": 1,\n \"on\" true}"), @r#"
        error: this is no JSON: expected `:`
         --> p:2:7
          |
        2 |  "on" true}
          |       ^
        "#);
    }
}
