//! Words as they can be typed, in bash, zsh and fish.

use std::ffi::OsStr;

use super::visible;

/// The word as bash, zsh and fish read it back.
pub(crate) fn quoted_for_shell(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,@%+#".contains(c);
    // At the beginning these are a comment, a program's path in zsh, and a process in old fish.
    let special = word.starts_with(['#', '=', '%']);
    if !word.is_empty() && !special && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut quoted = String::from("'");
    for c in word.chars() {
        match c {
            '\'' => quoted.push_str(r"'\''"),
            // Within single quotes it means itself in bash, but not in fish.
            '\\' => quoted.push_str(r#"'"\\"'"#),
            c => quoted.push(c),
        }
    }
    quoted + "'"
}

/// A word as it can be typed where a name of a step is expected, with the blank before it; see [`value_for_shell`].
pub(crate) fn operand_for_shell(word: &str) -> String {
    if visible(word) != word {
        return " STEP".to_owned();
    }
    let dashes = if word.starts_with('-') { " --" } else { "" };
    format!("{dashes} {}", quoted_for_shell(word))
}

/// The value of an option as it can be typed behind it, with what stands between; what cannot be typed as it is shown
/// is only called by its kind.
pub(crate) fn value_for_shell(value: impl AsRef<OsStr>, kind: &str) -> String {
    let value = value.as_ref().to_str();
    let Some(value) = value.filter(|value| visible(value) == *value) else {
        return format!(" {kind}");
    };
    let space = if value.starts_with('-') { '=' } else { ' ' };
    format!("{space}{}", quoted_for_shell(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_can_be_typed_in_each_shell() {
        for (value, typed) in [
            ("db", " db"),
            ("my db", " 'my db'"),
            ("#d", " '#d'"),
            ("=ls", " '=ls'"),
            ("%self", " '%self'"),
            ("a#b=c%", " a#b=c%"),
            ("-dash", "=-dash"),
            ("- $x", "='- $x'"),
            (r"a\b", r#" 'a'"\\"'b'"#),
            (r"end\", r#" 'end'"\\"''"#),
            ("a\nb", " DIR"),
            ("\u{1f469}\u{200d}\u{1f4bb}", " DIR"),
        ] {
            assert_eq!(value_for_shell(value, "DIR"), typed, "{value}");
        }
    }

    #[test]
    fn a_step_can_be_typed_where_its_name_is_expected() {
        for (step, typed) in [
            ("page", " page"),
            ("my page", " 'my page'"),
            ("-1s", " -- -1s"),
            ("\u{200d}", " STEP"),
        ] {
            assert_eq!(operand_for_shell(step), typed, "{step}");
        }
    }
}
