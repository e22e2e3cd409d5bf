//! Scripts that their own shell cannot read.

use std::collections::HashMap;
use std::ops::Range;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::manifest::diagnostic::Diagnostic;
use crate::prepare::Source;
use crate::script::survey;
use crate::sys;
use crate::text::{quoted, said};

/// What is wrong with a script.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mistake {
    /// The line of the script, from 1, if the shell names one.
    line: Option<usize>,
    words: String,
}

/// One error per script that its shell does not read to the end.
pub(super) fn of(source: &Source) -> Vec<Diagnostic> {
    let steps = &source.manifest.steps;
    let mut works: HashMap<(&[String], &str), Vec<usize>> = HashMap::new();
    for (at, step) in steps.iter().enumerate() {
        if is_harmless(&step.shell) {
            let work = (step.shell.as_slice(), step.script.as_str());
            works.entry(work).or_default().push(at);
        }
    }
    let works: Vec<_> = works.into_iter().collect();
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    let look = || {
        while let Some(((shell, script), at)) = works.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let (Some(mistake), Ok(mut found)) = (mistake(shell, script), found.lock()) {
                found.extend(at.iter().map(|at| (*at, mistake.clone())));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..sys::cores().min(works.len()) {
            scope.spawn(look);
        }
    });
    let mut found = found.into_inner().unwrap_or_default();
    found.sort_by_key(|(at, _)| *at);
    found
        .into_iter()
        .map(|(at, mistake)| {
            let (step, places) = (&steps[at], &source.manifest.places[at]);
            let program = step.shell[0].rsplit('/').next().unwrap_or_default();
            let message = format!(
                "step {}: {} cannot read the script: {}",
                quoted(step.name.as_str()),
                quoted(program),
                mistake.words
            );
            let span = line(&step.script, mistake.line.unwrap_or(1));
            Diagnostic::at(places.in_script(source.texts.all(), span), message)
        })
        .collect()
}

/// Whether the shell, with `-n` in front of its arguments, reads a script and does nothing else:
/// one that is interactive, or logs in, does.
fn is_harmless(shell: &[String]) -> bool {
    if !survey::is_shell(shell) {
        return false;
    }
    let mut arguments = shell[1..].iter();
    if shell[0].ends_with("busybox") {
        arguments.next();
    }
    while let Some(argument) = arguments.next() {
        let Some(letters) = argument.strip_prefix(['-', '+']) else {
            return false;
        };
        if !letters.chars().all(|letter| "euxfCaocO".contains(letter)) {
            return false;
        }
        if letters.contains(['o', 'O']) && arguments.next().is_none() {
            return false;
        }
    }
    true
}

/// What the shell says of the script; none where it says nothing, or is not here.
fn mistake(shell: &[String], script: &str) -> Option<Mistake> {
    let program = which::which(&shell[0]).ok()?;
    let mut command = Command::new(program);
    let mut arguments = shell[1..].iter();
    if shell[0].ends_with("busybox") {
        command.args(arguments.next());
    }
    if shell[0].ends_with("zsh") {
        // No files of the user's.
        command.arg("-f");
    }
    command.arg("-n").args(arguments).arg(script);
    for name in [
        "BASH_ENV",
        "ENV",
        "SHELLOPTS",
        "BASHOPTS",
        "POSIXLY_CORRECT",
    ] {
        command.env_remove(name);
    }
    let output = command
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    if output.status.success() {
        return None;
    }
    said(&output.stderr).iter().find_map(|line| read(line))
}

/// A line that a shell said: `sh: 3: Syntax error: …`, `bash: -c: line 3: syntax error …`,
/// `ksh: syntax error at line 3: …`, `zsh:3: parse error …`.
fn read(said: &str) -> Option<Mistake> {
    let lower = said.to_lowercase();
    if ![
        "syntax",
        "parse error",
        "unmatched",
        "unexpected",
        "unterminated",
        "bad substitution",
    ]
    .iter()
    .any(|word| lower.contains(word))
    {
        return None;
    }
    let number = |text: &str| -> Option<(usize, usize)> {
        let digits = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        Some((text[..digits].parse().ok()?, digits))
    };
    let mut places = said
        .match_indices("line ")
        .map(|(at, word)| at + word.len());
    let named = places.find_map(|at| Some((at, number(&said[at..])?)));
    let mut colons = said
        .match_indices(':')
        .map(|(at, _)| at + 1 + said[at + 1..].len() - said[at + 1..].trim_start().len());
    let counted = || colons.find_map(|at| Some((at, number(&said[at..])?)));
    let Some((at, (line, digits))) = named.or_else(counted) else {
        let words = said.split_once(':').map_or(said, |(_, words)| words);
        return Some(Mistake {
            line: None,
            words: words.trim().to_owned(),
        });
    };
    let words = said[at + digits..].trim_start_matches(':').trim();
    Some(Mistake {
        line: Some(line),
        words: if words.is_empty() {
            "syntax error"
        } else {
            words
        }
        .to_owned(),
    })
}

/// The text of that line of the script, or of the last one that it has.
fn line(script: &str, number: usize) -> Range<usize> {
    let mut at = 0;
    let mut last = 0..script.len().min(1);
    for (count, line) in script.split_inclusive('\n').enumerate() {
        let text = line.trim();
        if !text.is_empty() {
            let start = at + line.len() - line.trim_start().len();
            last = start..start + text.len();
        }
        at += line.len();
        if count + 1 >= number {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn what_shells_say_is_understood() {
        for (said, line, words) in [
            (
                "sh: 3: Syntax error: \"fi\" unexpected",
                Some(3),
                "Syntax error: \"fi\" unexpected",
            ),
            (
                "bash: -c: line 12: syntax error near unexpected token `fi'",
                Some(12),
                "syntax error near unexpected token `fi'",
            ),
            (
                "zsh:3: parse error near `fi'",
                Some(3),
                "parse error near `fi'",
            ),
            (
                "ksh: syntax error at line 3: `fi' unexpected",
                Some(3),
                "`fi' unexpected",
            ),
            (
                "sh: syntax error: unexpected \"fi\"",
                None,
                "syntax error: unexpected \"fi\"",
            ),
        ] {
            let mistake = Mistake {
                line,
                words: words.to_owned(),
            };
            assert_eq!(read(said), Some(mistake), "{said}");
        }
        assert_eq!(read("bash: warning: setlocale: LC_ALL"), None);
    }

    #[test]
    fn shells_that_would_do_something_are_not_asked() {
        assert!(is_harmless(&words(&["bash", "-euo", "pipefail", "-c"])));
        assert!(is_harmless(&words(&["busybox", "sh", "-ec"])));
        for shell in [
            &["bash", "-ic"] as &[_],
            &["bash", "-l", "-c"],
            &["bash", "--login", "-c"],
            &["bash", "x", "-c"],
            &["python3", "-c"],
        ] {
            assert!(!is_harmless(&words(shell)), "{shell:?}");
        }
    }

    #[test]
    fn the_shells_at_hand_find_mistakes() {
        for shell in [
            &["sh", "-c"] as &[_],
            &["dash", "-e", "-c"],
            &["bash", "-euo", "pipefail", "-c"],
            &["zsh", "-c"],
            &["ksh", "-c"],
            &["busybox", "sh", "-c"],
        ] {
            if which::which(shell[0]).is_err() {
                continue;
            }
            let shell = words(shell);
            let mistake = super::mistake;
            assert_eq!(mistake(&shell, "echo a\nfalse; exit 3\n"), None);
            let found = mistake(&shell, "echo a\nfi\necho b\n").unwrap();
            assert!(matches!(found.line, None | Some(2)), "{shell:?} {found:?}");
            assert!(
                mistake(&shell, "if true; then\necho b\n").is_some(),
                "{shell:?}"
            );
        }
    }

    #[test]
    fn lines_of_a_script() {
        let script = "a\n  b c \n\n";
        for (number, text) in [(1, "a"), (2, "b c"), (3, "b c"), (9, "b c")] {
            assert_eq!(&script[line(script, number)], text);
        }
    }
}
