//! A folder with a manifest, and the program run in it.

use std::path::PathBuf;
use std::process::{Command, Output};

/// A pipeline in a folder of its own.
pub struct Pipeline(tempfile::TempDir);

impl Pipeline {
    /// With this manifest.
    pub fn new(manifest: &str) -> Self {
        let pipeline = Self(tempfile::tempdir().unwrap());
        pipeline.manifest(manifest);
        pipeline
    }

    /// Replaces the manifest.
    pub fn manifest(&self, text: &str) {
        std::fs::write(self.path("workflow.toml"), text).unwrap();
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn output(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_task-pipeline"))
            .args(arguments)
            .current_dir(self.0.path())
            .output()
            .unwrap()
    }

    /// Runs the program, which must end with `status`; what it wrote to standard output.
    pub fn run(&self, arguments: &[&str], status: i32) -> String {
        let output = self.output(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs the program, which must end with status 2; what it wrote to standard error.
    pub fn fail(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        error
    }
}
