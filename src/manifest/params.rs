//! `[params]`: what the pipeline can be given from outside.

use std::ops::Range;

use serde_json::{Value, json};
use toml::de::{DeTable, DeValue};

use super::VARIABLE;
use super::field::Field;
use super::value::{Item, Reader};
use crate::manifest::diagnostic::Diagnostic;
use crate::model::param::{self, BadValue, Param, ParamType, Params, Scalar, is_name};
use crate::text::quoted;
use crate::text::suggest;

/// What a parameter's table can hold.
const KEYS: [&str; 7] = [
    "type", "default", "help", "values", "min", "max", "volatile",
];

/// Reads the table into `params`; the place of each is that of its name.
pub(super) fn read(
    reader: &mut Reader<'_>,
    item: &Item<'_>,
    params: &mut Params,
    places: &mut Vec<(String, Range<usize>)>,
) {
    let DeValue::Table(table) = item.get_ref() else {
        let hint = "for instance [params] with threshold = { type = \"float\", default = 0.5 }";
        reader.wrong_type("`params`", "one table", item, Some(hint.to_owned()));
        return;
    };
    for (key, item) in table {
        let name = key.get_ref().as_ref();
        if !is_name(name) {
            let message = format!("{} cannot be a parameter's name", quoted(name));
            let hint = "use letters, digits and underscores, but no digit first: scripts read it as a variable";
            reader.error(Diagnostic::at(key.span(), message).hint(hint));
            continue;
        }
        if let Some((_, first)) = places.iter().find(|(other, _)| other == name) {
            let message = format!(
                "parameter {} is already defined {}",
                quoted(name),
                reader.line_words(first.start)
            );
            let hint = "each parameter needs a name of its own";
            reader.error(Diagnostic::at(key.span(), message).hint(hint));
            continue;
        }
        places.push((name.to_owned(), key.span()));
        if let Some(param) = one(reader, name, key.span(), item) {
            params.insert(name.to_owned(), param);
        }
    }
}

fn one(reader: &mut Reader<'_>, name: &str, key: Range<usize>, item: &Item<'_>) -> Option<Param> {
    let what = format!("parameter {}", quoted(name));
    let DeValue::Table(table) = item.get_ref() else {
        let hint = scalar(item).map(|found| {
            let kind = match found {
                Scalar::Text(_) => ParamType::Text,
                Scalar::Whole(_) => ParamType::Whole,
                Scalar::Decimal(_) => ParamType::Decimal,
                Scalar::Flag(_) => ParamType::Flag,
            };
            let (kind, default) = (kind.name(), reader.raw(item.span()));
            format!("write {name} = {{ type = \"{kind}\", default = {default} }}")
        });
        reader.wrong_type(&what, "a table", item, hint);
        return None;
    };
    let before = reader.count_errors();
    for (key, _) in table {
        if !KEYS.contains(&key.get_ref().as_ref()) {
            let message = format!("unknown key {} in {what}", quoted(key.get_ref()));
            let hint = match alias(key.get_ref()) {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("a parameter can have: {}", KEYS.join(", ")),
            };
            reader.error(Diagnostic::at(key.span(), message).hint(hint));
        }
    }
    let kind = kind(reader, &what, key, table)?;
    let mut param = Param {
        kind,
        default: None,
        help: None,
        values: Vec::new(),
        min: None,
        max: None,
        volatile: false,
    };
    if let Some(item) = table.get("help") {
        param.help = reader.string("`help`", item);
    }
    if let Some(item) = table.get("volatile") {
        param.volatile = reader.flag("`volatile`", item).unwrap_or(false);
    }
    for (key, bound) in [("min", &mut param.min), ("max", &mut param.max)] {
        let Some(item) = table.get(key) else {
            continue;
        };
        if !kind.has_order() {
            let message = format!("`{key}` is for int and float, not for {}", kind.name());
            reader.error(Diagnostic::at(item.span(), message).hint("leave it out"));
            continue;
        }
        *bound = value(reader, &format!("`{key}`"), kind, item);
    }
    if let Some(item) = table.get("values") {
        param.values = values(reader, &param, item);
    }
    if let (Some(min), Some(max), Some(item)) = (&param.min, &param.max, table.get("max")) {
        let bounds = Param {
            max: None,
            values: Vec::new(),
            ..param.clone()
        };
        if bounds.check(max.clone()).is_err() {
            let message = format!("`max` is less than `min`, which is {min}");
            reader.error(Diagnostic::at(item.span(), message));
        }
    }
    if let Some(item) = table.get("default") {
        let default = value(reader, "`default`", kind, item);
        match default.map(|default| param.check(default)) {
            Some(Err(why)) => refuse(reader, "`default`", item, &why),
            default => param.default = default.and_then(Result::ok),
        }
    }
    (reader.count_errors() == before).then_some(param)
}

fn kind(
    reader: &mut Reader<'_>,
    what: &str,
    key: Range<usize>,
    table: &DeTable<'_>,
) -> Option<ParamType> {
    let names = ParamType::ALL
        .map(|(name, _)| format!("\"{name}\""))
        .join(", ");
    let Some(item) = table.get("type") else {
        let error = Diagnostic::at(key, format!("{what} has no type"));
        reader.missing(error.hint(format!("add type = one of {names}")));
        return None;
    };
    let name = reader.string("`type`", item)?;
    match ParamType::named(&name) {
        Ok(kind) => Some(kind),
        Err(close) => {
            let message = format!("there is no type {}", quoted(&name));
            let hint = match close {
                Some(close) => format!("did you mean \"{close}\"?"),
                None => match name.as_str() {
                    "number" | "numeric" | "num" => {
                        "use \"int\" for a whole number, \"float\" for any number".to_owned()
                    }
                    "enum" | "choice" | "choices" | "select" => {
                        "for a choice of texts, use type = \"string\", values = [\"a\", \"b\"]"
                            .to_owned()
                    }
                    "list" | "array" | "strings" => format!(
                        "one of {names}: a parameter is one value; for several, use an [[input]], or a string with \
                         commas"
                    ),
                    _ => format!("one of {names}"),
                },
            };
            reader.error(Diagnostic::at(reader.inside(item), message).hint(hint));
            None
        }
    }
}

fn values(reader: &mut Reader<'_>, param: &Param, item: &Item<'_>) -> Vec<String> {
    let Some(items) = reader.array("`values`", "an array", item) else {
        return Vec::new();
    };
    if items.is_empty() {
        let error = Diagnostic::at(item.span(), "`values` is empty");
        reader.error(error.hint("if any value will do, leave the key out"));
    }
    let mut values: Vec<String> = Vec::new();
    for item in items {
        let Some(value) = value(reader, "an entry of `values`", param.kind, item) else {
            continue;
        };
        if values.contains(&value) {
            let message = format!("{} is already listed", quoted(&value));
            reader.error(Diagnostic::at(item.span(), message).hint("leave it out"));
            continue;
        }
        match param.check(value) {
            Ok(value) => values.push(value),
            Err(why) => refuse(reader, "an entry of `values`", item, &why),
        }
    }
    values
}

fn value(reader: &mut Reader<'_>, what: &str, kind: ParamType, item: &Item<'_>) -> Option<String> {
    let Some(found) = scalar(item) else {
        reader.wrong_type(what, kind.words(), item, None);
        return None;
    };
    match kind.take(&found) {
        Ok(value) => Some(value),
        Err(why @ BadValue::Type(..)) => {
            reader.wrong_type(what, kind.words(), item, why.hint());
            None
        }
        Err(why) => {
            refuse(reader, what, item, &why);
            None
        }
    }
}

fn refuse(reader: &mut Reader<'_>, what: &str, item: &Item<'_>, why: &BadValue) {
    let mut error = Diagnostic::at(item.span(), format!("{what}: {why}"));
    error.hint = why.hint();
    reader.error(error);
}

/// A value that a parameter can have, as far as its kind tells.
pub(super) fn scalar(item: &Item<'_>) -> Option<Scalar> {
    match item.get_ref() {
        DeValue::String(text) => Some(Scalar::Text(text.clone().into_owned())),
        DeValue::Integer(number) => {
            let value = i128::from_str_radix(number.as_str(), number.radix());
            // One that is too large for all types is told as it stands.
            let text = value.map_or_else(|_| number.as_str().to_owned(), |value| value.to_string());
            Some(Scalar::Whole(text))
        }
        DeValue::Float(number) => Some(Scalar::Decimal(number.as_str().to_owned())),
        DeValue::Boolean(flag) => Some(Scalar::Flag(*flag)),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

/// What a step, or `[defaults]`, says of parameters: those that it lists are there, and it sets none of
/// their variables itself.
pub(super) fn uses(
    reader: &mut Reader<'_>,
    declared: &[(String, Range<usize>)],
    fields: &super::read::Fields,
) {
    let is_there = |name: &str| declared.iter().any(|(known, _)| known == name);
    for one in fields.params.iter().flatten() {
        if is_there(&one.value) {
            continue;
        }
        let known = declared.iter().map(|(name, _)| name.as_str());
        let message = format!("there is no parameter {}", quoted(&one.value));
        let hint = match suggest::closest(&one.value, known) {
            Some(close) => format!("did you mean {}?", quoted(close)),
            None => "name one that [params] declares".to_owned(),
        };
        reader.error(Diagnostic::at(one.at.clone(), message).hint(hint));
    }
    let kept = fields.keep.iter().flatten();
    for (field, name) in (fields.env.keys().map(|name| (Field::Env, name)))
        .chain(kept.map(|name| (Field::Keep, name)))
    {
        let parameter = name.strip_prefix(param::VARIABLE);
        if let (Some(parameter), Some(at)) =
            (parameter.filter(|one| is_there(one)), fields.place(field))
        {
            let message = format!(
                "`{}` cannot have {}: that is the parameter {}",
                field.key(),
                quoted(name),
                quoted(parameter)
            );
            reader.error(Diagnostic::at(at, message).hint("give one of the two another name"));
        }
    }
}

/// The key that is meant.
fn alias(key: &str) -> Option<&'static str> {
    suggest::closest(key, KEYS).or(match key {
        "description" | "doc" | "title" => Some("help"),
        "enum" | "choices" | "one_of" | "allowed" | "options" => Some("values"),
        "minimum" | "least" => Some("min"),
        "maximum" | "most" => Some("max"),
        "value" => Some("default"),
        "kind" => Some("type"),
        _ => None,
    })
}

/// The JSON Schema of the table.
pub(super) fn schema() -> Value {
    let one = |what: &str| json!({ "description": what, "type": ["string", "number", "boolean"] });
    json!({
        "description": "What the pipeline can be given with -param; scripts read it as $PARAM_NAME.",
        "type": "object",
        "propertyNames": { "pattern": VARIABLE },
        "additionalProperties": {
            "type": "object",
            "properties": {
                "type": { "description": "The type of its values.", "enum": ParamType::ALL.map(|(name, _)| name) },
                "default": one("Its value if none is given; without a default, a value has to be given."),
                "help": { "description": "What it is for.", "type": "string" },
                "values": {
                    "description": "The values it may have.",
                    "type": "array",
                    "items": one("A value."),
                    "minItems": 1,
                    "uniqueItems": true,
                },
                "min": { "description": "The smallest value it may have.", "type": "number" },
                "max": { "description": "The largest value it may have.", "type": "number" },
                "volatile": {
                    "description": "Whether it is left out of versions: another value does not make anything run again.",
                    "type": "boolean",
                    "default": false,
                },
            },
            "required": ["type"],
            "additionalProperties": false,
        },
    })
}
