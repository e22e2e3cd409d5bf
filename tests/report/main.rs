//! What a run tells, and to whom: JSON lines, traces, GitHub Actions, bars on a terminal.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_macros
)] // Tests end so.

mod bars;
mod github;
mod hostile;
mod json;
mod live;
mod runner;
mod stderr;
mod terminal;
mod trace;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A start step that leaves four inputs of `work`, of which one fails and three give a result.
const FAN_OUT: &str = r#"
[[step]]
name = "split"
start = true
script = 'for i in 1 2 3 4; do echo $i > "$OUTPUT_DIR/${i}_work"; done'

[[step]]
name = "work"
script = '''
if [ "$(cat "$INPUT_FILE")" = 3 ]; then echo "100%: no, three" >&2; exit 7; fi
cp "$INPUT_FILE" "$OUTPUT_DIR/result.txt"
'''
"#;

/// One task, which does not end by itself.
const ENDLESS: &str = "[[step]]\nname = 'wait'\nstart = true\nscript = 'exec sleep 600'\n";

/// A folder with a manifest, and no db yet.
struct Pipeline(TempDir);

impl Pipeline {
    fn new(manifest: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("workflow.toml"), manifest).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// The program with these arguments, in the folder.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_task-pipeline"));
        command.args(arguments);
        settle(&mut command, self.0.path());
        command
    }

    fn call(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }
}

/// The folder, and no variables that decide what is told.
fn settle(command: &mut Command, folder: &Path) {
    command.current_dir(folder);
    for name in ["GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "NO_COLOR"] {
        command.env_remove(name);
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}
