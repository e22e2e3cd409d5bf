//! What Nix and git wrote, and the lock file, which anybody may have changed.

use std::path::Path;

use super::Progress;
use super::command::{derivation, outputs, parse_version, realised};
use super::failure::Failure;
use super::git::fuzz_index;
use super::lock::Lock;
use super::pins::pins_of;
use super::progress::{Listener, strip_ansi};
use super::store_path::{StoreDir, short_name};

/// A lock file.
pub(crate) fn lock(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let lines = text.split('\n').count();
    match Lock::parse(text, Path::new("workflow.lock")) {
        Ok(lock) => {
            let written = lock.render().expect("what was read can be written");
            let again = Lock::parse(&written, Path::new("workflow.lock"));
            assert_eq!(again.expect("what was written can be read"), lock);
            for reference in lock.references() {
                let pin = lock.get(reference).expect("it is there");
                let told = pin.words_for(reference) + &pin.words();
                assert!(!told.contains(crate::text::acts), "{told:?}");
            }
        }
        Err(error) => {
            assert!(!error.hint().is_empty());
            let told = error.to_string();
            let number = told.split("line ").nth(1).and_then(|rest| {
                let end = rest.find(|c: char| !c.is_ascii_digit())?;
                rest[..end].parse::<usize>().ok()
            });
            assert!(
                number.is_none_or(|number| (1..=lines).contains(&number)),
                "{told}"
            );
        }
    }
}

/// What programs of Nix write, on standard error and as an answer.
pub(crate) fn nix(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let acts = |text: &str| text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t'));
    let mut said = Vec::new();
    let mut progress = |one| said.push(one);
    let mut listener = Listener::new(&mut progress);
    text.split('\n').for_each(|line| listener.line(line));
    let heard = listener.finish();
    assert!(heard.plain.len() <= 60 && heard.outside.len() <= 1000);
    assert!(heard.logs.values().all(|log| log.len() <= 12));
    let failure = Failure::of(&heard);
    assert!(!failure.words.is_empty());
    assert!(
        failure.words.lines().count() <= 14 + 1 + 8,
        "{}",
        failure.words
    );
    assert!(!acts(&failure.to_string()), "{failure}");
    assert!(failure.hint().is_none_or(|hint| !hint.is_empty()));
    for derivation in failure.builds.keys() {
        assert!(failure.of_build(derivation).builds.contains_key(derivation));
    }
    for one in said {
        match one {
            Progress::Log { line, .. } => assert!(!acts(&line)),
            Progress::Line(_) | Progress::Warning(_) => {}
        }
    }
    assert!(!acts(&strip_ansi(&text)));
    answers(bytes, &text);
}

fn answers(bytes: &[u8], text: &str) {
    let Ok(store) = StoreDir::new("/nix/store") else {
        return;
    };
    let is_there = |path: &str| {
        let parsed = store.parse(path).expect("a path in the store");
        assert_eq!(parsed.as_str(), path);
        assert_eq!(Path::new(path).parent(), Some(Path::new("/nix/store")));
        assert!(!short_name(path).contains('/'));
    };
    if let Ok(all) = outputs(&store, "call", bytes) {
        assert!(!all.is_empty() && all.iter().all(|paths| !paths.is_empty()));
        all.iter().flatten().for_each(|path| is_there(path));
    }
    if let Ok(paths) = realised(&store, bytes) {
        assert!(!paths.is_empty());
        paths.iter().for_each(|path| is_there(path));
    }
    let _ = derivation(bytes);
    let _ = parse_version(bytes);
    for line in text.split('\n') {
        if let Ok(path) = store.parse(line) {
            is_there(path.as_str());
            // It is that path, or one above it.
            let is_in = Path::new(line).starts_with(path.as_str());
            assert!(is_in || !line.contains('/'), "{line} is not in {path:?}");
        }
    }
    let names = [("github:o/r".to_owned(), "input-1".to_owned())].into();
    if let Ok(pins) = pins_of(text, &names) {
        assert!(pins.len() <= 1);
    }
}

/// The index of a git repository.
pub(crate) fn index(bytes: &[u8]) {
    fuzz_index(bytes);
}
