//! Manifests that cannot be used: each error with its place, all at once, and nothing touched.

use crate::harness::Test;

/// Runs on a manifest that must be refused with this text, by `-run` as by `check`.
#[track_caller]
fn refused(manifest: impl AsRef<[u8]>, texts: &[&str]) {
    let test = Test::new();
    test.write("workflow.toml", manifest);
    for words in ["-run", "check", "-migrate-tainted"] {
        let mut ran = test.run([words]).exits(2);
        for text in texts {
            ran = ran.says(text);
        }
        assert_eq!(ran.stdout, "");
        assert!(!test.path("db").exists());
    }
}

#[test]
fn a_file_that_is_not_there() {
    let test = Test::new();
    let ran = test.run(["-run", "-manifest", "no/such.toml"]).exits(2);
    ran.says("error: cannot read the manifest no/such.toml: ")
        .says("hint: check the path");
    assert!(!test.path("db").exists());
}

#[test]
fn a_folder() {
    let test = Test::new();
    std::fs::create_dir(test.path("pipes")).unwrap();
    let ran = test.run(["-run", "-manifest", "pipes"]).exits(2);
    ran.says("cannot read the manifest pipes: ")
        .says("hint: name the file in it");
}

#[test]
fn a_file_without_rights() {
    use std::os::unix::fs::PermissionsExt;
    let test = Test::with("");
    let path = test.path("workflow.toml");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    let ran = test.run(["-run"]).exits(2);
    // Nothing can be hidden from root, for whom it is a manifest without steps.
    if rustix::process::geteuid().is_root() {
        ran.says("the manifest has no steps");
    } else {
        ran.says("cannot read the manifest workflow.toml")
            .says("hint: check the file's owner");
    }
}

#[test]
fn bytes_that_are_no_text() {
    refused(
        b"[[step]]\nname = '\xff'\n",
        &[
            "it is not UTF-8 text (line 2)",
            "hint: save the manifest as UTF-8",
        ],
    );
}

#[test]
fn no_toml() {
    refused(
        "[[step]\nname = 'a'\n",
        &["error: ", " --> workflow.toml:1:8", "1 | [[step]"],
    );
    refused(
        "#!/bin/sh\necho hello\n",
        &["error: ", " --> workflow.toml:2:"],
    );
    refused("{\"step\": []}", &["error: ", " --> workflow.toml:1:"]);
}

#[test]
fn nothing_in_it() {
    for nothing in ["", "\n\n", "# later\n"] {
        refused(nothing, &["the manifest has no steps", "hint: "]);
    }
}

#[test]
fn wrong_types() {
    refused(
        "[[step]]\nname = 'a'\nstart = 'yes'\nscript = ['x']\nparallel = 'many'\nretries = -1\n\
         timeout = 10\nenv = ['A']\npackages = 'curl'\n",
        &[
            "workflow.toml:3:9",
            "workflow.toml:4:10",
            "workflow.toml:5:12",
            "workflow.toml:6:11",
            "workflow.toml:7:11",
            "workflow.toml:8:7",
            "workflow.toml:9:12",
            "must be",
            "workflow.toml: 7 errors; nothing was run",
        ],
    );
}

#[test]
fn characters_that_no_script_can_have() {
    refused(
        "[[step]]\nname = 'a'\nstart = true\nscript = \"echo \\u0000\"\nenv = { A = \"\\u0000\" }\n",
        &[
            "contains a NUL character",
            "workflow.toml:4:",
            "workflow.toml:5:",
            "2 errors",
        ],
    );
    refused(
        b"[[step]]\nname = 'a\0b'\nstart = true\nscript = ':'\n",
        &["error: ", "workflow.toml:2:"],
    );
}

#[test]
fn everything_wrong_is_said_at_once_with_a_suggestion() {
    refused(
        r#"
[[step]]
name = "fetch"
scirpt = "curl"
start = true
script = "  "

[[step]]
name = "fetch"
start = true
script = "true"

[[step]]
name = "a/b"
script = "true"
packages = ["two words"]
"#,
        &[
            "unknown key `scirpt` in step `fetch`",
            " --> workflow.toml:4:1\n  |\n4 | scirpt = \"curl\"\n  | ^^^^^^\nhint: did you mean `script`?",
            "workflow.toml:6:10",
            "workflow.toml:9:8",
            "workflow.toml:10:9",
            "workflow.toml:14:9",
            "bad package `two words`",
            "6 errors; nothing was run",
        ],
    );
}

#[test]
fn an_error_does_no_harm_to_a_pipeline_that_ran() {
    let good = "[[step]]\nname = 'a'\nstart = true\nscript = 'echo a > $OUTPUT_DIR/out'\n";
    let test = Test::with(good);
    test.runs();
    let rows = "SELECT * FROM task";
    let before = test.rows(rows);
    test.manifest(&good.replace("script", "scrip"));
    test.run(["-migrate-tainted", "-run"])
        .exits(2)
        .says("did you mean `script`?");
    assert_eq!(test.rows(rows), before);
    assert_eq!(test.rows("SELECT count(*) FROM step"), ["1"]);
    test.manifest(good);
    test.runs().says("0 run");
}
