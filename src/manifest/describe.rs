//! What can be known of a step without running it.

/// How scripts write the output folder.
const FOLDER: [&str; 2] = ["$OUTPUT_DIR", "${OUTPUT_DIR}"];

/// The names of files that `script` mentions literally in its output folder, in order, each once:
/// `$OUTPUT_DIR/NAME`, `${OUTPUT_DIR}/NAME`, `"$OUTPUT_DIR"/NAME` and the like.
///
/// Of a step that leaves `folders`, what is in one stands for the folder.
///
/// A best effort, not a shell: names with a `$`, a glob or a further `/` in them are left out, as
/// are lines that are comments; a script can write files that are not found here, and mention
/// files that it does not write.
pub(crate) fn literal_outputs(script: &str, folders: bool) -> Vec<String> {
    let mut found = named_outputs(script, folders);
    found.retain(|name| !name.contains(VALUE));
    found
}

/// In a name in place of the value of a variable.
pub(crate) const VALUE: char = '\0';

/// The same, and names with values of variables in them.
pub(crate) fn named_outputs(script: &str, folders: bool) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let lines = script.lines();
    for line in lines.filter(|line| !line.trim_start().starts_with('#')) {
        for (at, _) in line.match_indices('$') {
            let before = line[..at].chars().next_back();
            // Not expanded by the shell.
            if matches!(before, Some('\\' | '\'')) {
                continue;
            }
            let after = FOLDER.iter().find_map(|dir| line[at..].strip_prefix(dir));
            if let Some(name) = after.and_then(|after| literal(after, before == Some('"'), folders))
                && !found.contains(&name)
            {
                found.push(name);
            }
        }
    }
    found
}

/// The file name in `after`, which follows the output folder; `quoted`: within double quotes.
fn literal(after: &str, mut quoted: bool, folders: bool) -> Option<String> {
    let mut rest = after;
    if quoted && let Some(unquoted) = rest.strip_prefix('"') {
        quoted = false;
        rest = unquoted;
    }
    let mut name = String::new();
    let mut single = false;
    let mut rest = rest.strip_prefix('/')?;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\'' if single => single = false,
            _ if single && c != '/' => name.push(c),
            '"' => quoted = !quoted,
            '/' if folders && !name.is_empty() => return Some(name),
            '$' => {
                rest = behind_variable(rest)?;
                name.push(VALUE);
            }
            '/' | '`' | '\\' => return None,
            _ if quoted => name.push(c),
            '\'' => single = true,
            '*' | '?' | '[' | '{' => return None,
            c if c.is_whitespace() || ";&|<>()".contains(c) => break,
            c => name.push(c),
        }
    }
    (!name.is_empty() && !single && !quoted).then_some(name)
}

/// What follows the variable that `text` begins with.
fn behind_variable(text: &str) -> Option<&str> {
    let is_of_name = |c: char| c == '_' || c.is_ascii_alphanumeric();
    let (inner, behind) = match text.strip_prefix('{') {
        Some(inner) => inner.split_once('}')?,
        None => text.split_at(text.find(|c| !is_of_name(c)).unwrap_or(text.len())),
    };
    let is_name = inner.chars().all(is_of_name) && !inner.starts_with(|c: char| c.is_ascii_digit());
    (is_name && !inner.is_empty()).then_some(behind)
}

#[cfg(test)]
mod tests {
    use super::{literal_outputs, named_outputs};

    #[test]
    fn values_of_variables_have_their_place() {
        for (script, names) in [
            ("a > \"$OUTPUT_DIR/${KEY}_s.txt\"", &["\0_s.txt"] as &[_]),
            ("a > $OUTPUT_DIR/x_$KEY; b", &["x_\0"]),
            ("a > $OUTPUT_DIR/${KEY%.*}_s", &[]),
            ("a > $OUTPUT_DIR/$(b)_s", &[]),
            ("a > $OUTPUT_DIR/$1_s", &[]),
        ] {
            assert_eq!(named_outputs(script, false), names, "{script}");
        }
    }

    #[test]
    fn literal_names_are_found() {
        for (script, names) in [
            ("echo x > $OUTPUT_DIR/process", &["process"] as &[_]),
            ("echo x >${OUTPUT_DIR}/next; true", &["next"]),
            ("echo x > \"$OUTPUT_DIR\"/next", &["next"]),
            ("echo x > \"${OUTPUT_DIR}\"/next", &["next"]),
            ("echo x > \"$OUTPUT_DIR/a b.txt\" &", &["a b.txt"]),
            ("echo x > \"$OUTPUT_DIR\"/'a b'", &["a b"]),
            ("echo x > $OUTPUT_DIR/\"a $b\"", &[]),
            ("(tee $OUTPUT_DIR/a|tee $OUTPUT_DIR/b)", &["a", "b"]),
            (
                "a > ${OUTPUT_DIR}/z\nb > $OUTPUT_DIR/a\nc > $OUTPUT_DIR/z",
                &["z", "a"],
            ),
            ("echo 'größe' > $OUTPUT_DIR/größe.txt", &["größe.txt"]),
        ] {
            assert_eq!(literal_outputs(script, false), names, "{script}");
        }
    }

    #[test]
    fn what_is_not_literal_is_left_out() {
        for script in [
            "echo x > $OUTPUT_DIR/$name",
            "echo x > $OUTPUT_DIR/a_${name}_next",
            "echo x > \"$OUTPUT_DIR/$(date)\"",
            "echo x > \"$OUTPUT_DIR/`date`\"",
            "wc $OUTPUT_DIR/*.txt",
            "touch $OUTPUT_DIR/{a,b}",
            "mkdir $OUTPUT_DIR/folder/",
            "cp a $OUTPUT_DIR",
            "cp a $OUTPUT_DIR/",
            "cp a $OUTPUT_DIRECTORY/x",
            "echo \\$OUTPUT_DIR/x",
            "echo '$OUTPUT_DIR/x'",
            "  # writes $OUTPUT_DIR/x",
            "echo \"$OUTPUT_DIR/unclosed",
            "echo $OUTPUT_DIR/'unclosed",
            "",
        ] {
            assert_eq!(
                literal_outputs(script, false),
                Vec::<String>::new(),
                "{script}"
            );
        }
    }

    #[test]
    fn what_is_in_a_folder_stands_for_it() {
        for (script, names) in [
            (
                "mkdir -p $OUTPUT_DIR/a/b \"$OUTPUT_DIR/c d/e\"",
                &["a", "c d"] as &[_],
            ),
            ("mkdir $OUTPUT_DIR/a/; echo x > $OUTPUT_DIR/a/$x", &["a"]),
            ("echo x > $OUTPUT_DIR/$x/a; echo x > $OUTPUT_DIR/a$x/b", &[]),
            ("echo x > $OUTPUT_DIR//a", &[]),
        ] {
            assert_eq!(literal_outputs(script, true), names, "{script}");
        }
    }
}
