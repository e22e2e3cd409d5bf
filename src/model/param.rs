//! Parameters: what a pipeline can be given from outside, with its type and bounds.
//!
//! Every value has one text form, which scripts get, versions know and messages show, however it was
//! written: whole numbers in decimal digits (`007` is `7`), decimal numbers as the shortest text that
//! stands for the same number, with a point or an exponent (`0.50` is `0.5`, `1` is `1.0`).

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use crate::text::quoted;
use crate::text::suggest;

/// The parameters of a pipeline, by name.
pub type Params = BTreeMap<String, Param>;

/// In front of its name, the variable in which scripts get a parameter.
pub const VARIABLE: &str = "PARAM_";

/// In front of its name, the variable in which a run is given one.
pub const GIVEN: &str = "TASK_PIPELINE_PARAM_";

/// What a value can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamType {
    /// Any text without NUL.
    Text,
    /// A whole number of 64 bits.
    Whole,
    /// A decimal number of 64 bits that is finite.
    Decimal,
    /// `true` or `false`.
    Flag,
}

impl ParamType {
    /// Each, as a manifest names it.
    pub const ALL: [(&str, Self); 4] = [
        ("string", Self::Text),
        ("int", Self::Whole),
        ("float", Self::Decimal),
        ("bool", Self::Flag),
    ];

    /// As a manifest names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Whole => "int",
            Self::Decimal => "float",
            Self::Flag => "bool",
        }
    }

    /// The type called `name`; otherwise the one that was meant, if that is clear.
    pub fn named(name: &str) -> Result<Self, Option<&'static str>> {
        if let Some((_, found)) = Self::ALL.iter().find(|(known, _)| *known == name) {
            return Ok(*found);
        }
        Err(match name {
            "str" | "text" | "path" | "file" => Some("string"),
            "integer" | "long" | "i64" => Some("int"),
            "double" | "decimal" | "real" | "f64" => Some("float"),
            "boolean" | "flag" | "switch" => Some("bool"),
            _ => suggest::closest(name, Self::ALL.map(|(known, _)| known)),
        })
    }

    /// A value of it, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Whole => "a whole number",
            Self::Decimal => "a decimal number",
            Self::Flag => "true or false",
        }
    }

    /// Whether its values have an order, so that bounds mean something.
    pub fn has_order(self) -> bool {
        match self {
            Self::Whole | Self::Decimal => true,
            Self::Text | Self::Flag => false,
        }
    }

    /// The text form of what `text` stands for.
    pub fn read(self, text: &str) -> Result<String, BadValue> {
        let wrong = || BadValue::Form(text.to_owned(), self);
        match self {
            Self::Text if text.contains('\0') => Err(BadValue::Nul),
            Self::Text => Ok(text.to_owned()),
            Self::Whole => {
                let number: i64 = text.parse().map_err(|_| wrong())?;
                Ok(number.to_string())
            }
            Self::Decimal => {
                let number: f64 = text.parse().map_err(|_| wrong())?;
                if !number.is_finite() {
                    return Err(wrong());
                }
                // There is no second zero.
                let number = if number == 0.0 { 0.0 } else { number };
                Ok(format!("{number:?}"))
            }
            Self::Flag => match text {
                "true" | "false" => Ok(text.to_owned()),
                _ => Err(wrong()),
            },
        }
    }

    /// The text form of a value that says of what type it is.
    pub fn take(self, value: &Scalar) -> Result<String, BadValue> {
        match (self, value) {
            (Self::Text, Scalar::Text(text))
            | (Self::Whole, Scalar::Whole(text))
            | (Self::Decimal, Scalar::Whole(text) | Scalar::Decimal(text)) => self.read(text),
            (Self::Flag, Scalar::Flag(flag)) => Ok(flag.to_string()),
            (_, other) => Err(BadValue::Type(other.words(), self)),
        }
    }

    /// How two values compare, in their text form.
    fn compare(self, one: &str, other: &str) -> Option<Ordering> {
        match self {
            Self::Whole => {
                let number = |text: &str| text.parse::<i64>().ok();
                Some(number(one)?.cmp(&number(other)?))
            }
            Self::Decimal => {
                let number = |text: &str| text.parse::<f64>().ok();
                number(one)?.partial_cmp(&number(other)?)
            }
            Self::Text | Self::Flag => None,
        }
    }
}

/// A value in a file, where each says of what type it is; numbers as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scalar {
    /// A string.
    Text(String),
    /// A whole number.
    Whole(String),
    /// A decimal number.
    Decimal(String),
    /// `true` or `false`.
    Flag(bool),
}

impl Scalar {
    fn words(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Whole(_) => "a whole number",
            Self::Decimal(_) => "a decimal number",
            Self::Flag(_) => "true or false",
        }
    }
}

/// A parameter as the manifest declares it. Values have their text form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// What it takes.
    pub kind: ParamType,
    /// What it is where nobody gives it; none if somebody has to.
    pub default: Option<String>,
    /// What it is for.
    pub help: Option<String>,
    /// All that it can be; empty if that is not restricted.
    pub values: Vec<String>,
    /// The least that it can be.
    pub min: Option<String>,
    /// The most.
    pub max: Option<String>,
    /// Whether it is no part of versions.
    pub volatile: bool,
}

impl Param {
    /// The text form of a value that is written as text, if it can be one of this parameter's.
    pub fn read(&self, text: &str) -> Result<String, BadValue> {
        self.check(self.kind.read(text)?)
    }

    /// The same of a value that says of what type it is.
    pub fn take(&self, value: &Scalar) -> Result<String, BadValue> {
        self.check(self.kind.take(value)?)
    }

    /// The value, if it is within the bounds.
    pub fn check(&self, value: String) -> Result<String, BadValue> {
        let beyond = |bound: &Option<String>, how| {
            let bound = bound.as_deref()?;
            (self.kind.compare(&value, bound) == Some(how)).then(|| bound.to_owned())
        };
        if let Some(min) = beyond(&self.min, Ordering::Less) {
            return Err(BadValue::Less(value, min));
        }
        if let Some(max) = beyond(&self.max, Ordering::Greater) {
            return Err(BadValue::More(value, max));
        }
        if !self.values.is_empty() && !self.values.contains(&value) {
            return Err(BadValue::Other(value, self.values.clone()));
        }
        Ok(value)
    }

    /// What it takes, in words: `float, default 0.5, at least 0, at most 1`.
    pub fn in_words(&self) -> String {
        let mut words = vec![self.kind.name().to_owned()];
        words.push(match &self.default {
            Some(default) => format!("default {}", shown(default)),
            None => "required".to_owned(),
        });
        if !self.values.is_empty() {
            let values: Vec<String> = self.values.iter().map(|value| shown(value)).collect();
            words.push(format!("one of {}", values.join(" ")));
        }
        words.extend(self.min.iter().map(|min| format!("at least {min}")));
        words.extend(self.max.iter().map(|max| format!("at most {max}")));
        if self.volatile {
            words.push("volatile".to_owned());
        }
        words.join(", ")
    }
}

/// Why something is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadValue {
    /// The text stands for nothing of that type.
    Form(String, ParamType),
    /// It is something, in words, and not of that type.
    Type(&'static str, ParamType),
    /// It has a NUL in it.
    Nul,
    /// It is less than the least.
    Less(String, String),
    /// It is more than the most.
    More(String, String),
    /// It is none of these.
    Other(String, Vec<String>),
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(text, kind) => {
                let wanted = match kind {
                    ParamType::Text => "a string",
                    ParamType::Whole => "a whole number of 64 bits",
                    ParamType::Decimal => "a decimal number",
                    ParamType::Flag => "true or false",
                };
                write!(f, "{} is not {wanted}", quoted(text))
            }
            Self::Type(found, kind) => write!(f, "it must be {}, not {found}", kind.words()),
            Self::Nul => f.write_str("it contains a NUL character"),
            Self::Less(value, min) => write!(f, "{value} is less than {min}"),
            Self::More(value, max) => write!(f, "{value} is more than {max}"),
            Self::Other(value, _) => write!(f, "{} is not one of its values", quoted(value)),
        }
    }
}

impl BadValue {
    /// What to do about it, if there is more to say.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Form(text, ParamType::Flag) if matches!(&**text, "yes" | "on" | "1") => {
                "write true".to_owned()
            }
            Self::Form(text, ParamType::Flag) if matches!(&**text, "no" | "off" | "0") => {
                "write false".to_owned()
            }
            Self::Form(text, ParamType::Whole) if text.parse::<i128>().is_ok() => {
                format!("from {} to {}", i64::MIN, i64::MAX)
            }
            Self::Form(text, ParamType::Decimal) if text.contains(',') => {
                "the decimal point is a `.`".to_owned()
            }
            Self::Type("a string", kind) => format!("{} is written without quotes", kind.words()),
            Self::Type(_, ParamType::Text) => "in quotes it is a string".to_owned(),
            Self::Nul => "no variable can hold one".to_owned(),
            Self::Other(value, values) => {
                match suggest::closest(value, values.iter().map(String::as_str)) {
                    Some(close) => format!("did you mean {}?", quoted(close)),
                    None => format!("it can be: {}", values.join(", ")),
                }
            }
            Self::Form(..) | Self::Type(..) | Self::Less(..) | Self::More(..) => return None,
        })
    }
}

/// A value for a message, in one word where it can be: in quotes where it could not be told from what
/// stands around it, cut where it is long.
pub fn shown(value: &str) -> String {
    const MOST: usize = 40;
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-+./:@%~^".contains(c);
    if !value.is_empty() && value.len() <= MOST && value.chars().all(plain) {
        return value.to_owned();
    }
    let mut letters = value.chars();
    let mut text = format!("{:?}", letters.by_ref().take(MOST).collect::<String>());
    if letters.next().is_some() {
        text.push('…');
    }
    text
}

/// Whether a variable for a parameter can be called so.
pub fn is_name(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(word) && !name.as_bytes()[0].is_ascii_digit()
}

/// The variable in which scripts get the parameter.
pub fn variable(name: &str) -> String {
    format!("{VARIABLE}{name}")
}

/// Whether the text mentions the variable, and not only a longer one.
pub fn is_mentioned(text: &str, variable: &str) -> bool {
    text.match_indices(variable).any(|(at, _)| {
        let behind = text.as_bytes().get(at + variable.len());
        !behind.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn param(kind: ParamType) -> Param {
        Param {
            kind,
            default: None,
            help: None,
            values: Vec::new(),
            min: None,
            max: None,
            volatile: false,
        }
    }

    #[test]
    fn one_text_stands_for_a_value() {
        for (kind, text, form) in [
            (ParamType::Whole, "007", "7"),
            (ParamType::Whole, "-0", "0"),
            (ParamType::Whole, "+5", "5"),
            (ParamType::Decimal, "0.50", "0.5"),
            (ParamType::Decimal, "1", "1.0"),
            (ParamType::Decimal, "-0.0", "0.0"),
            (ParamType::Decimal, "1e3", "1000.0"),
            (ParamType::Decimal, "1e300", "1e300"),
            (ParamType::Decimal, "0.1", "0.1"),
            (ParamType::Flag, "true", "true"),
            (ParamType::Text, " a\n'$x=\"", " a\n'$x=\""),
            (ParamType::Text, "", ""),
        ] {
            assert_eq!(kind.read(text).as_deref(), Ok(form), "{text}");
            // It stands for itself.
            assert_eq!(kind.read(form).as_deref(), Ok(form));
        }
        for (kind, text) in [
            (ParamType::Whole, "1.0"),
            (ParamType::Whole, ""),
            (ParamType::Whole, " 1"),
            (ParamType::Whole, "9223372036854775808"),
            (ParamType::Decimal, "inf"),
            (ParamType::Decimal, "nan"),
            (ParamType::Decimal, "1e400"),
            (ParamType::Decimal, "0,5"),
            (ParamType::Flag, "yes"),
            (ParamType::Flag, "TRUE"),
            (ParamType::Text, "a\0"),
        ] {
            assert!(kind.read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn values_of_files_say_of_what_type_they_are() {
        let whole = Scalar::Whole("1".into());
        assert_eq!(ParamType::Decimal.take(&whole).as_deref(), Ok("1.0"));
        let text = Scalar::Text("1".into());
        for kind in [ParamType::Whole, ParamType::Decimal, ParamType::Flag] {
            assert!(kind.take(&text).is_err());
        }
        let why = ParamType::Text.take(&whole).unwrap_err();
        assert_eq!(why.to_string(), "it must be a string, not a whole number");
        assert_eq!(why.hint().as_deref(), Some("in quotes it is a string"));
    }

    #[test]
    fn bounds() {
        let threshold = Param {
            min: Some("0.0".into()),
            max: Some("1.0".into()),
            ..param(ParamType::Decimal)
        };
        assert_eq!(threshold.read("0").as_deref(), Ok("0.0"));
        let told = |text: &str| threshold.read(text).unwrap_err().to_string();
        assert_eq!(told("-0.1"), "-0.1 is less than 0.0");
        assert_eq!(told("1.5"), "1.5 is more than 1.0");
        let mode = Param {
            values: vec!["fast".into(), "exact".into()],
            default: Some("fast".into()),
            ..param(ParamType::Text)
        };
        let why = mode.read("exakt").unwrap_err();
        assert_eq!(why.to_string(), "`exakt` is not one of its values");
        assert_eq!(why.hint().as_deref(), Some("did you mean `exact`?"));
        let words = "string, default fast, one of fast exact";
        assert_eq!(mode.in_words(), words);
    }

    #[test]
    fn only_whole_names_are_mentions() {
        for text in [
            "$PARAM_x",
            "${PARAM_x:-1}",
            "os.environ['PARAM_x']",
            "PARAM_xy PARAM_x",
        ] {
            assert!(is_mentioned(text, "PARAM_x"), "{text}");
        }
        for text in ["$PARAM_xy", "PARAM_x_", "PARAM_", "param_x"] {
            assert!(!is_mentioned(text, "PARAM_x"), "{text}");
        }
    }
}
