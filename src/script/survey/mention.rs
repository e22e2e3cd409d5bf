//! Words of texts that are no shell's: of other languages, of a string that a command is given, of a
//! here-document. Only what is there counts in the end: to name too much costs next to nothing.

use super::{Role, Spot, Survey};

/// Bytes of a quoted string that could be a path.
const LONGEST: usize = 1000;

/// What could be paths in a script of another language.
pub fn of_text(script: &str) -> Survey {
    let mut words = Vec::new();
    // As for `shell = ["python3"]`, which takes the name of a file.
    let role = if script.trim().contains(char::is_whitespace) {
        Role::Mentioned
    } else {
        Role::Argument
    };
    for (at, line) in lines(script) {
        if line.trim_start().starts_with("# ") {
            continue;
        }
        for (inner, quoted) in strings(line) {
            words.push(spot(quoted, at + inner, Role::Argument));
        }
        for (inner, word) in pieces(line) {
            words.push(spot(word, at + inner, role));
        }
        for path in modules(line).into_iter().chain(required(line)) {
            words.push(spot(&path, at, Role::Argument));
        }
    }
    words.retain(|word| !word.path.is_empty());
    Survey {
        words,
        ..Survey::default()
    }
}

/// What could be paths in a value that a program is given: all of it, or parts of it.
pub fn of_value(value: &str) -> Survey {
    let whole = [value];
    let parts = value.split([':', '=', ' ', ',']);
    // `-ft.txt`, `-Ilib`.
    let glued = value
        .strip_prefix('-')
        .and_then(|rest| rest.get(1..))
        .filter(|rest| rest.contains(['.', '/']));
    let more = parts.filter(|part| *part != value).chain(glued);
    let words = whole
        .into_iter()
        .chain(more)
        .filter(|word| !word.is_empty() && !word.starts_with('-'))
        .map(|word| spot(word, 0, Role::Argument));
    Survey {
        words: words.collect(),
        ..Survey::default()
    }
}

fn spot(path: &str, at: usize, role: Role) -> Spot {
    Spot {
        path: path.to_owned(),
        at,
        role,
        glob: path.contains('*'),
    }
}

/// Lines, each with the byte at which it begins.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split_inclusive('\n').map(move |line| {
        let begin = at;
        at += line.len();
        (begin, line.trim_end_matches('\n'))
    })
}

/// What stands between two quotes of a kind, and where the first one is.
fn strings(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let quotes = line
        .char_indices()
        .filter(|(_, letter)| matches!(letter, '"' | '\'' | '`'));
    quotes.filter_map(|(at, quote)| {
        let rest = &line[at + 1..];
        let inner = &rest[..rest.find(quote)?];
        (!inner.is_empty() && inner.len() <= LONGEST).then_some((at, inner))
    })
}

/// The words between whatever is unusual in paths.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let begin = text.as_ptr() as usize;
    text.split(|c: char| c.is_whitespace() || "\"'`()[]{}<>|;&,:=$!\\".contains(c))
        .map(|word| word.trim_end_matches('.'))
        .filter(|word| !word.is_empty())
        .map(move |word| (word.as_ptr() as usize - begin, word))
}

/// The modules that a file of Python imports which lies in `folder` (it ends with a `/`, or is empty): they are
/// found beside it.
pub fn imports(text: &str, folder: &str) -> Survey {
    let found = lines(text).flat_map(|(at, line)| {
        let paths = modules(line).into_iter();
        paths.map(move |path| spot(&format!("{folder}{path}"), at, Role::Argument))
    });
    Survey {
        words: found.collect(),
        ..Survey::default()
    }
}

/// What a line of JavaScript names without the end of its name.
pub(super) fn required(line: &str) -> Vec<String> {
    let strings = strings(line).map(|(_, text)| text);
    let without_end = strings.filter(|text| {
        let name = text.rsplit('/').next().unwrap_or_default();
        text.starts_with(['.']) && text.contains('/') && !name.is_empty() && !name.contains('.')
    });
    without_end
        .flat_map(|text| [format!("{text}.js"), format!("{text}/index.js")])
        .collect()
}

/// The files of the modules of Python that a line imports, as far as one sees.
pub(super) fn modules(line: &str) -> Vec<String> {
    let mut words = line.split_whitespace();
    let (Some("import" | "from"), Some(names)) = (words.next(), words.next()) else {
        return Vec::new();
    };
    let names = names.trim_matches([',', ';', '.']).split(',');
    names
        .filter(|name| !name.is_empty())
        .map(|name| name.replace('.', "/"))
        .flat_map(|name| [format!("{name}.py"), format!("{name}/__init__.py")])
        .collect()
}
