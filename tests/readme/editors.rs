//! What editors and checkers of others make of the schema: taplo, which VS Code has too, and
//! check-jsonschema.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::keys::said;
use crate::pages::ROOT;

/// A tool of the Python package index, as `tests/run` has it; `None` where it is not wanted.
fn tool(name: &str) -> Option<PathBuf> {
    if std::env::var_os("TASK_PIPELINE_TESTS_WITHOUT_EDITORS").is_some_and(|v| v == "1") {
        return None;
    }
    let own = Path::new(ROOT).join("target/tools/editors/bin").join(name);
    let path = if own.exists() { own } else { name.into() };
    assert!(
        Command::new(&path).arg("--version").output().is_ok(),
        "this test needs {name}: tests/run installs it, or TASK_PIPELINE_TESTS_WITHOUT_EDITORS=1 leaves it out"
    );
    Some(path)
}

fn manifests() -> Vec<PathBuf> {
    let templates = fs::read_dir(Path::new(ROOT).join("templates")).unwrap();
    let manifests = templates.map(|entry| entry.unwrap().path().join("workflow.toml"));
    let mut manifests: Vec<_> = manifests.filter(|path| path.exists()).collect();
    manifests.sort();
    assert!(manifests.len() >= 9, "{manifests:?}");
    manifests
}

/// Manifests that the program refuses, and a word of what others say of them.
const WRONG: [(&str, &str); 4] = [
    (
        "[[step]]\nname = 'a'\nstart = true\nscirpt = ':'\n",
        "scirpt",
    ),
    (
        "[[step]]\nname = 'a'\nstart = true\nscript = ':'\nparallel = 0\n",
        "minimum",
    ),
    ("[[step]]\nname = 'a'\nscript = ':'\n", ""),
    (
        "[[step]]\nname = 'a'\nstart = true\nscript = ':'\n[nix]\npure = 1\n",
        "boolean",
    ),
];

fn everything(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    said + &String::from_utf8_lossy(&output.stdout)
}

/// They take every template and refuse what is wrong.
fn judges(check: &dyn Fn(&[PathBuf]) -> Output, folder: &Path) {
    let right = check(&manifests());
    assert!(right.status.success(), "{}", everything(&right));
    let wrong = folder.join("wrong.toml");
    for (text, word) in WRONG {
        fs::write(&wrong, text).unwrap();
        let output = check(std::slice::from_ref(&wrong));
        assert!(!output.status.success(), "{text}");
        let said = everything(&output);
        assert!(said.contains(word), "{text}\n{said}");
    }
}

fn schema(folder: &Path) -> PathBuf {
    let schema = folder.join("schema.json");
    fs::write(&schema, said(&["schema"])).unwrap();
    schema
}

#[test]
fn taplo_takes_the_templates_and_refuses_what_is_wrong() {
    let Some(taplo) = tool("taplo") else { return };
    let folder = tempfile::tempdir().unwrap();
    let schema = format!("file://{}", schema(folder.path()).display());
    let check = |files: &[PathBuf]| {
        let mut taplo = Command::new(&taplo);
        taplo.args(["lint", "--no-auto-config", "--schema", &schema]);
        taplo.args(files).output().unwrap()
    };
    judges(&check, folder.path());
}

#[test]
fn check_jsonschema_takes_the_templates_and_refuses_what_is_wrong() {
    let Some(checker) = tool("check-jsonschema") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let schema = schema(folder.path());
    let check = |files: &[PathBuf]| {
        let mut checker = Command::new(&checker);
        checker.arg("--schemafile").arg(&schema).args(files);
        checker.output().unwrap()
    };
    judges(&check, folder.path());
    // What taplo, with an older draft, lets pass.
    let twice = folder.path().join("twice.toml");
    let step = |name| format!("[[step]]\nname = '{name}'\nstart = true\nscript = ':'\n");
    fs::write(&twice, step("a") + &step("b")).unwrap();
    let output = check(&[twice]);
    assert!(!output.status.success(), "two start steps");
}

/// The action that GitHub's workflows use.
#[test]
fn check_jsonschema_takes_the_action() {
    let Some(checker) = tool("check-jsonschema") else {
        return;
    };
    let mut checker = Command::new(checker);
    checker.args(["--builtin-schema", "vendor.github-actions"]);
    let output = checker
        .arg(Path::new(ROOT).join("action.yml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", everything(&output));
}

/// Each manifest that somebody begins with says where its schema is, and the release has it there.
#[test]
fn templates_name_the_schema_of_the_release() {
    let schema: serde_json::Value = serde_json::from_str(&said(&["schema"])).unwrap();
    let address = schema["$id"].as_str().unwrap();
    let first = format!("#:schema {address}\n");
    for manifest in manifests() {
        let text = fs::read_to_string(&manifest).unwrap();
        assert!(text.starts_with(&first), "{}", manifest.display());
    }
    let page = fs::read_to_string(Path::new(ROOT).join("docs/editors.md")).unwrap();
    assert!(page.contains(&first), "docs/editors.md");
    // Inside a Nix build the sources are those of the package alone.
    let release = Path::new(ROOT).join(".github/workflows/release.yml");
    let Ok(release) = fs::read_to_string(release) else {
        return;
    };
    let (_, name) = address.rsplit_once('/').unwrap();
    assert!(
        release.contains(name) && release.contains("-- schema >"),
        "{name}"
    );
}
