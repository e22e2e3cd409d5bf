//! Routes, lists, and names in them.

use std::collections::{BTreeMap, HashSet};

use super::digest::Digest;
use super::list::{self, Form, List, Member};
use super::name::StepName;
use super::promise::Pattern;
use super::route::Router;
use super::tree::{self, Difference, Entry};

/// A line a step; the last one is the name of a file.
pub(crate) fn route(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (steps, file) = text.rsplit_once('\n').unwrap_or(("", text));
    let names: Vec<StepName> = steps
        .split('\n')
        .take(40)
        .filter_map(|name| StepName::new(name).ok())
        .collect();
    let router = Router::new(names.clone());
    let route = router.route(file);
    assert_eq!(route, specified(&names, file));
    let near = router.near(file);
    assert!(near.is_none() || route.is_none());
    let key = router.key(file);
    if let Some(key) = key {
        let step = route.expect("a key has a route");
        assert!(!key.is_empty() && file.starts_with(&format!("{key}_{step}")));
    }
    if let Some(step) = router.certain(file) {
        for before in [
            "",
            "a",
            "_",
            "a.",
            "x_y",
            ".",
            steps.lines().last().unwrap_or_default(),
        ] {
            assert_eq!(router.route(&format!("{before}{file}")), Some(step));
        }
    }
    // A pattern that stands for the name.
    let (front, back) = file.split_at(file.floor_char_boundary(file.len() / 2));
    for text in [
        file.to_owned(),
        format!("{front}*"),
        format!("*{back}"),
        format!("{front}*{back}"),
    ] {
        let Ok(pattern) = Pattern::parse(&text) else {
            continue;
        };
        assert!(pattern.meets(&pattern));
        if let Some(route) = route.filter(|_| pattern.matches(file)) {
            assert!(router.may_go(&pattern, route), "{text}");
        }
    }
}

/// The words of the specification: of the names that end the stem, the longest.
pub(crate) fn specified<'a>(names: &'a [StepName], file: &str) -> Option<&'a StepName> {
    let mut stem = file.to_owned();
    loop {
        let hit = names
            .iter()
            .filter(|name| stem == name.as_str() || stem.ends_with(&format!("_{name}")))
            .max_by_key(|name| name.as_str().len());
        if hit.is_some() {
            return hit;
        }
        let (front, _) = stem
            .rsplit_once('.')
            .filter(|(front, _)| !front.is_empty())?;
        stem = front.to_owned();
    }
}

/// One object, or two behind each other, that may be lists.
pub(crate) fn list(bytes: &[u8]) {
    let main = List::main_of(bytes);
    let Some(entries) = tree::read(bytes) else {
        assert_eq!(List::read(bytes), None);
        return;
    };
    // Each is there as it was written, and nothing is read that is never written.
    let mut sorted = entries.clone();
    let text = tree::write(&mut sorted);
    assert_eq!(tree::read(text.as_bytes()).as_ref(), Some(&sorted));
    assert_eq!(text.len(), bytes.len());
    if sorted == entries {
        assert_eq!(text.as_bytes(), bytes);
    }
    if let Some(list) = List::read(bytes) {
        assert_eq!(main, Some(list.main));
        assert_eq!(list.objects().count(), entries.len());
        assert!(
            list.files
                .iter()
                .all(|file| inside("/top", &file.name, b""))
        );
    }
    for entry in &entries {
        if tree::stays_inside(&entry.name, entry.name.as_bytes()) && tree::is_inner(&entry.name) {
            let folder = entry.name.rsplit_once('/').map_or("", |(folder, _)| folder);
            assert!(inside("/top", folder, entry.name.as_bytes()));
        }
    }
    differing(&sorted);
}

/// Whether what that leads to from the folder is below `top`, by names alone.
fn inside(top: &str, folder: &str, target: &[u8]) -> bool {
    let mut way: Vec<&[u8]> = top[1..].split('/').map(str::as_bytes).collect();
    let folder = folder.as_bytes().split(|byte| *byte == b'/');
    for name in folder.chain(target.split(|byte| *byte == b'/')) {
        match name {
            b"" | b"." => {}
            b".." => drop(way.pop()),
            name => way.push(name),
        }
        if way.first() != Some(&&b"top"[..]) {
            return false;
        }
    }
    target.first() != Some(&b'/')
}

/// Halves of a list, compared.
fn differing(entries: &[Entry]) {
    let mut names = HashSet::new();
    let mut halves = [Vec::new(), Vec::new()];
    for (at, entry) in entries.iter().enumerate() {
        if names.insert(&entry.name) {
            halves[at % 2].push(entry.clone());
            if at % 3 == 0 {
                let mut other = entry.clone();
                if at % 2 == 0 {
                    other.digest = Digest::of(b"other");
                }
                halves[(at + 1) % 2].push(other);
            }
        }
    }
    let by_name = |half: &[Entry]| -> BTreeMap<Box<str>, Entry> {
        let entries = half.iter();
        let entries = entries.map(|entry| (entry.name.clone(), entry.clone()));
        entries.collect()
    };
    let [new, old] = &halves;
    let (by_new, by_old) = (by_name(new), by_name(old));
    let found = tree::differing(new, old);
    for one in &found {
        assert_eq!(one.new, by_new.get(one.name));
        assert_eq!(one.old, by_old.get(one.name));
        let how = match (one.new, one.old) {
            (Some(_), None) => Difference::Added,
            (None, Some(_)) => Difference::Removed,
            (Some(new), Some(old)) if new.digest == old.digest => Difference::Mode,
            _ => Difference::Changed,
        };
        assert_eq!(one.how, how);
    }
    let all: HashSet<_> = by_new.keys().chain(by_old.keys()).collect();
    let differ = all
        .iter()
        .filter(|name| by_new.get(**name) != by_old.get(**name));
    assert_eq!(found.len(), differ.count());
}

/// A file on each line, by its key, a tab and its name: how they are called that are brought together.
pub(crate) fn names(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let member = |line: &str| {
        let (key, name) = line.split_once('\t').unwrap_or(("", line));
        let is_name = |name: &str| tree::is_inner(name) && !name.contains('/') && name.len() <= 255;
        // As `Router::key` gives them: a beginning of a name.
        (is_name(name) && (key.is_empty() || is_name(key))).then(|| Member {
            name: name.into(),
            key: key.into(),
            digest: Digest::of(&line.as_bytes()[..line.len() % 3]),
            form: if line.len().is_multiple_of(5) {
                Form::Folder
            } else {
                Form::File
            },
        })
    };
    let mut members: Vec<Member> = text.split('\n').take(100).filter_map(member).collect();
    let text = list::of(members.clone());
    let read = List::read(text.as_bytes()).expect("it is a list");
    assert_eq!(read.main, None);
    assert_eq!(read.files.len(), members.len());
    let own: HashSet<&str> = read.files.iter().map(|file| &*file.name).collect();
    assert_eq!(
        own.len(),
        members.len(),
        "each has a name of its own: {text}"
    );
    for file in &read.files {
        assert!(file.name.len() <= 255 && tree::is_inner(&file.name) && !file.name.contains('/'));
    }
    // Where each is, is where its bytes are.
    let paths = list::paths("step", members.clone());
    let context = list::context([("step", members.clone())]);
    let placed = List::read(context.as_bytes()).expect("it is a list");
    for (path, member) in paths.iter().zip(&members) {
        let at = placed.files.iter().find(|file| file.name == *path);
        assert_eq!(at.map(|file| file.digest), Some(member.digest));
    }
    members.reverse();
    assert_eq!(list::of(members), text, "the order is nothing");
}
