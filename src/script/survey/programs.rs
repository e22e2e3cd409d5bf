//! What some programs do with their words: modules that are found by their names, and texts that are no files.

use super::Role;
use super::mention::{modules, required};
use super::scan::Scan;
use super::word::Word;

impl Scan<'_> {
    /// The files of modules that an interpreter is told to take.
    pub(super) fn modules(&mut self, program: &str, arguments: &[Word]) {
        let is = |names: &[&str]| names.iter().any(|name| program.starts_with(name));
        let (is_python, is_node) = (is(&["python", "pypy"]), is(&["node", "bun", "deno"]));
        if !is_python && !is_node {
            return;
        }
        for pair in arguments.windows(2) {
            let (Some(option), Some(value)) = (pair[0].text(), pair[1].text()) else {
                continue;
            };
            let found = match option {
                "-m" if is_python => {
                    let module = value.replace('.', "/");
                    vec![format!("{module}.py"), format!("{module}/__main__.py")]
                }
                "-c" if is_python => value.split(['\n', ';']).flat_map(modules).collect(),
                "-e" | "-p" | "--eval" | "--print" if is_node => {
                    value.lines().flat_map(required).collect()
                }
                _ => continue,
            };
            for path in found {
                self.note(path, pair[1].at, Role::Argument, false);
            }
        }
    }
}

/// The words that can be files: without what is a pattern, a separator or a number.
pub(super) fn without_texts(program: &str, arguments: &[Word]) -> Vec<Word> {
    // Letters of options with a text behind them, and of those with the pattern.
    let (texts, patterns) = match program {
        "grep" | "egrep" | "fgrep" | "zgrep" | "rg" => ("ABCmdDe", Some("ef")),
        "sort" => ("tkS", None),
        "head" | "tail" => ("nc", None),
        "cut" => ("dfbc", None),
        "paste" => ("d", None),
        "uniq" => ("fsw", None),
        _ => return arguments.to_vec(),
    };
    let mut files = Vec::new();
    let mut pattern = patterns.is_some();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let option = word.text().and_then(|text| text.strip_prefix('-'));
        let option = option.filter(|option| !option.is_empty());
        let Some(option) = option else {
            if std::mem::take(&mut pattern) {
                continue;
            }
            files.push(word.clone());
            continue;
        };
        files.push(word.clone());
        if let Some(long) = option.strip_prefix('-') {
            pattern &= !(long.starts_with("regexp") || long.starts_with("file"));
            continue;
        }
        let last = option.chars().next_back().unwrap_or_default();
        if patterns.is_some_and(|letters| option.contains(|c| letters.contains(c))) {
            pattern = false;
        }
        if texts.contains(last) {
            words.next();
        } else if last == 'f' && patterns.is_some() {
            files.extend(words.next().cloned());
        }
    }
    files
}
