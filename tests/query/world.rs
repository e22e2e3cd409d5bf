//! A folder with a pipeline, and the program in it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// The program under test, as cargo built it.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_task-pipeline");

/// Three inputs; `count` fails on the third.
pub const PIPELINE: &str = r#"
[[step]]
name = "fetch"
start = true
script = '''
printf 'one two\n' > "$OUTPUT_DIR/a_count.txt"
printf 'three\n' > "$OUTPUT_DIR/b_count.txt"
printf 'bad\n' > "$OUTPUT_DIR/c_count.txt"
'''

[[step]]
name = "count"
env = { UNIT = "words" }
script = '''
printf '\033[31mcounting\033[0m\n'
if grep -q bad "$INPUT_FILE"; then echo 'bad input' >&2; exit 3; fi
wc -w < "$INPUT_FILE" | tr -d ' ' > "$OUTPUT_DIR/$UNIT.txt"
'''
"#;

/// A folder of one test.
pub struct World {
    folder: tempfile::TempDir,
}

impl World {
    /// With `manifest`.
    pub fn new(manifest: &str) -> Self {
        let world = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        world.manifest(manifest);
        world
    }

    /// With [`PIPELINE`], run once: task 1 is the start, one of the others failed.
    pub fn after_a_run() -> Self {
        let world = Self::new(PIPELINE);
        assert_eq!(
            world.call(&["-run", "-parallel", "1"]).status.code(),
            Some(1)
        );
        world
    }

    /// Replaces the manifest.
    pub fn manifest(&self, text: &str) {
        fs::write(self.path("workflow.toml"), text).unwrap();
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A call of the program, to be started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_remove("GITHUB_ACTIONS")
            .stdin(Stdio::null());
        command
    }

    /// A call of the program.
    pub fn call(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What a call that must succeed gives on standard output.
    pub fn text(&self, arguments: &[&str]) -> String {
        let output = self.call(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a call that must fail with status 2 says; it must give no data.
    pub fn refusal(&self, arguments: &[&str]) -> String {
        let output = self.call(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert_eq!(output.stdout, b"", "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// The JSON that a call gives.
    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.text(arguments)).unwrap()
    }

    /// The number of the one task in `state`.
    pub fn one(&self, state: &str) -> String {
        let line = self.text(&["tasks", "-state", state, "-json"]);
        let task: serde_json::Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
        task["task"].to_string()
    }
}

/// Names and bytes of the files in a folder.
pub fn files(folder: &std::path::Path) -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read_to_string(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}
