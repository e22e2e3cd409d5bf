//! Pure logic: no file system, process, clock or thread in here or below.

pub mod diagnostic;
pub mod diff;
pub mod digest;
pub mod environment;
pub mod event;
pub mod explain;
pub mod graph;
pub mod identity;
pub mod installable;
pub mod lineage;
pub mod manifest;
pub mod name;
pub mod plain;
pub mod plan;
pub mod reference;
pub mod route;
pub mod shell;
pub mod spread;
pub mod suggest;
pub mod task;
pub mod text;
pub mod timeline;
pub mod trail;
pub mod warm;

#[cfg(test)]
mod tests {
    use std::path::Path;

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
    const ABOVE: [&str; 11] = [
        "sys", "folder", "state", "store", "process", "nix", "engine", "pipeline", "report", "cli",
        "page",
    ];

    fn look(folder: &Path, files: &mut usize) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                look(&path, files);
                continue;
            }
            *files += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            for word in IMPURE {
                assert!(!text.contains(word), "{}: {word}", path.display());
            }
            for module in ABOVE {
                let import = format!("crate::{module}");
                assert!(!text.contains(&import), "{}: {import}", path.display());
            }
        }
    }

    #[test]
    fn nothing_in_here_is_impure() {
        let mut files = 0;
        look(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("src/core"),
            &mut files,
        );
        assert!(files > 10);
    }
}
