//! The layers of the program are those of the table in `CONTRIBUTING.md`, and no two modules use each
//! other, in whatever folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::pages::{ROOT, page};

/// A module: `["state", "open"]`.
type Module = Vec<String>;

/// All modules, with the text of each that is no test.
fn modules() -> BTreeMap<Module, String> {
    let mut all = BTreeMap::new();
    let mut folders = vec![Path::new(ROOT).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let module = module(&path);
                let is_test = module
                    .iter()
                    .any(|part| ["tests", "fake", "fuzz"].contains(&&**part));
                if !is_test && module != ["main"] && module != ["lib"] {
                    all.insert(module, program(&fs::read_to_string(&path).unwrap()));
                }
            }
        }
    }
    all
}

fn module(path: &Path) -> Module {
    let path: PathBuf = path
        .strip_prefix(Path::new(ROOT).join("src"))
        .unwrap()
        .with_extension("");
    let parts = path.iter().map(|part| part.to_str().unwrap().to_owned());
    parts.collect()
}

/// Without comments and tests.
fn program(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let lines = text[..end].lines();
    let lines = lines.filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The modules that a text names, by `crate::` or `super::`.
fn used(own: &Module, text: &str, all: &BTreeMap<Module, String>) -> BTreeSet<Module> {
    let mut used = BTreeSet::new();
    for (at, start) in [("crate::", true), ("super::", false)]
        .into_iter()
        .flat_map(|(word, is_crate)| text.match_indices(word).map(move |(at, _)| (at, is_crate)))
    {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let (mut from, mut rest) = if start {
            (Module::new(), &text[at + "crate::".len()..])
        } else {
            (own[..own.len() - 1].to_vec(), &text[at + "super::".len()..])
        };
        while let Some(further) = rest.strip_prefix("super::") {
            from.pop();
            rest = further;
        }
        let ways: Vec<&str> = match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap().split(',').collect(),
            None => vec![rest],
        };
        for way in ways {
            let mut module = from.clone();
            for part in way.trim().split("::") {
                let end = part.find(|c: char| !c.is_alphanumeric() && c != '_');
                module.push(part[..end.unwrap_or(part.len())].to_owned());
                if !all.contains_key(&module) {
                    module.pop();
                    break;
                }
                if end.is_some() {
                    break;
                }
            }
            if !module.is_empty() && module != *own {
                used.insert(module);
            }
        }
    }
    used
}

/// Of each layer in the table, from the top: what it may use.
fn table() -> Vec<(String, BTreeSet<String>)> {
    let names = |cell: &str| -> BTreeSet<String> {
        cell.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    };
    let rows = page("CONTRIBUTING.md").rows("## Layers");
    rows.iter()
        .filter_map(|row| Some((names(row.first()?).pop_first()?, names(row.get(2)?))))
        .collect()
}

#[test]
fn each_layer_uses_what_the_table_says() {
    let all = modules();
    let mut uses: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (module, text) in &all {
        let own = uses.entry(&module[0]).or_default();
        let layers = used(module, text, &all).into_iter();
        own.extend(
            layers
                .map(|module| module[0].clone())
                .filter(|used| *used != module[0]),
        );
    }
    let table = table();
    let layers: Vec<&str> = table.iter().map(|(layer, _)| &**layer).collect();
    let mut modules: Vec<&str> = uses.keys().copied().collect();
    modules.sort_unstable();
    let mut listed = layers.clone();
    listed.sort_unstable();
    assert_eq!(listed, modules, "the table has every module");
    for (place, (layer, allowed)) in table.iter().enumerate() {
        assert_eq!(&uses[&**layer], allowed, "what `{layer}` uses");
        for one in allowed {
            assert!(
                layers[place..].contains(&&**one),
                "`{one}` stands below `{layer}`"
            );
        }
    }
}

#[test]
fn no_modules_use_each_other() {
    let all = modules();
    let mut circles = Vec::new();
    let folders: BTreeSet<Module> = all.keys().map(|m| m[..m.len() - 1].to_vec()).collect();
    for folder in folders {
        // What stands in the folder, with what it uses of the others there, deeper ones included.
        let mut uses: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        let depth = folder.len();
        for (module, text) in all
            .iter()
            .filter(|(m, _)| m.len() > depth && m.starts_with(&folder))
        {
            let others = used(module, text, &all).into_iter();
            let others = others.filter(|m| m.len() > depth && m.starts_with(&folder));
            let others = others.map(|m| m[depth].clone());
            uses.entry(&module[depth])
                .or_default()
                .extend(others.filter(|other| *other != module[depth]));
        }
        for module in uses.keys() {
            let mut reached = BTreeSet::new();
            let mut todo = vec![*module];
            while let Some(next) = todo.pop() {
                for other in &uses[next] {
                    if reached.insert(&**other) {
                        todo.push(other);
                    }
                }
            }
            if reached.contains(module) {
                circles.push(format!("{}/{module}", folder.join("/")));
            }
        }
    }
    assert_eq!(
        circles, [""; 0],
        "each of these uses itself by way of others"
    );
}

/// What a pure module has no use for.
const IMPURE: [&str; 11] = [
    "std::fs",
    "std::process",
    "std::thread",
    "std::env",
    "std::net",
    "std::sync::mpsc",
    "Instant::now",
    "SystemTime",
    "Timestamp::now",
    "rustix::",
    "rusqlite::",
];

#[test]
fn what_is_pure_touches_nothing() {
    let rows = page("CONTRIBUTING.md").rows("## Layers");
    let pure = rows.iter().filter(|row| row[1].starts_with("pure:"));
    let pure: BTreeSet<&str> = pure.map(|row| row[0].trim_matches('`')).collect();
    assert!(pure.len() >= 5, "{pure:?}");
    for (module, text) in modules() {
        for word in IMPURE {
            let is_clean = !pure.contains(&*module[0]) || !text.contains(word);
            assert!(is_clean, "{}: {word}", module.join("/"));
        }
    }
}
