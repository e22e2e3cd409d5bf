//! Manifests of several files.

use crate::harness::Test;

const MAIN: &str = "include = ['steps/*.toml']\n[defaults]\nretries = 1\n\
     [[step]]\nname = 'begin'\nstart = true\nscript = 'echo a > $OUTPUT_DIR/a_work'\n";

#[test]
fn parts_are_as_if_they_stood_in_the_manifest() {
    let test = Test::with(MAIN);
    test.write(
        "steps/work/work.toml",
        "[params]\nlabel = { type = 'string', default = 'x' }\n[[input]]\nfiles = 'in/*'\nstep = 'work'\n\
         [[step]]\nname = 'work'\nfiles = ['lib/*.sh']\n\
         script = '. ./steps/work/lib/a.sh; cat $INPUT_FILE; f > $OUTPUT_DIR/$PARAM_label.txt'\n",
    );
    test.write(
        "steps/work.toml",
        "include = ['work/work.toml', 'w*/*.toml']\n",
    );
    test.write("steps/work/lib/a.sh", "f() { echo one; }\n");
    test.write("steps/work/in/entry", "e\n");
    test.run(["check"])
        .exits(0)
        .prints("work\n  files     steps/work/lib/a.sh\n  params    label\n")
        .prints("1 retry")
        .prints("input steps/work/in/* → work\n")
        .prints("workflow.toml: 2 steps, no errors\n");
    test.runs();
    assert_eq!(
        test.rows("SELECT count(*) FROM task WHERE step_id IS NULL"),
        ["2"]
    );
    assert_eq!(test.finals()["x.txt"], [b"one\n", b"one\n"]);
    // Its files are those of the step.
    test.write("steps/work/lib/a.sh", "f() { echo two; }\n");
    test.run(["-run", "-migrate-tainted"])
        .exits(0)
        .says("work: version 2, changed: files (steps/work/lib/a.sh)\n");
    // A step that moves to another file is the step that it was.
    let part = test.read("steps/work/work.toml");
    std::fs::remove_file(test.path("steps/work.toml")).unwrap();
    test.manifest(&MAIN.replace("steps/*.toml", "steps/work/*.toml"));
    test.write("steps/work/zz.toml", part);
    std::fs::remove_file(test.path("steps/work/work.toml")).unwrap();
    test.runs().never_says("version");
    assert_eq!(
        test.text(&["complete", "--", "-start", ""]).lines().count(),
        2
    );
}

#[test]
fn errors_have_their_file() {
    let test = Test::with(&format!("{MAIN}[[step]]\nname = 'b'\nscript = ' '\n"));
    test.write(
        "steps/a.toml",
        "[[step]]\nname = 'b'\nscript = ':'\nstart = true\n",
    );
    test.write(
        "steps/c.toml",
        "\n# c\n[defaults]\nretries = 1\n[[step]]\nnaem = 'c'\nscript = ':'\nfiles = ['../x']\n",
    );
    test.write("steps/d.toml", "[[step]]\nname = 'd'\nscript = \n");
    test.run(["check"])
        .exits(2)
        .says("error: `script` is empty\n  --> workflow.toml:10:10\n")
        .says("error: step `b` is already defined on line 9 of workflow.toml\n --> steps/a.toml:2:8\n  |\n2 | name = 'b'\n")
        .says("error: step `b` is a second start step; step `begin` is one already, on line 6 of workflow.toml\n --> steps/a.toml:4:9\n")
        .says("error: [defaults] belongs in the manifest, and this is only a part of it\n --> steps/c.toml:3:2\n")
        .says("error: unknown key `naem` in a step\n --> steps/c.toml:6:1\n  |\n6 | naem = 'c'\n  | ^^^^\n")
        .says("error: `../x` leads out of the manifest's folder: it contains `..`\n --> steps/c.toml:8:11\n")
        .says("error: a value is missing after `=`\n --> steps/d.toml:3:")
        .says("workflow.toml: 7 errors; nothing was run\n");
}

#[test]
fn lints_have_their_file() {
    let test = Test::with(MAIN);
    test.write(
        "steps/work.toml",
        "# ä\n[[step]]\nname = 'work'\nscript = '''\necho $FOO\nfi\n'''\nfiles = ['none']\n",
    );
    test.run(["check"])
        .exits(2)
        .says("error: `steps/none` matches no file in ")
        .says(" --> steps/work.toml:8:11\n  |\n8 | files = ['none']\n");
    test.write("steps/none", "");
    test.run(["check"])
        .exits(0)
        .says("warning: step `work` reads the host variable `FOO`")
        .says(" --> steps/work.toml:5:6\n  |\n5 | echo $FOO\n  |      ^^^^\n")
        .says(" --> steps/work.toml:6:1\n");
    test.run(["-run"])
        .exits(1)
        .says("warning: steps/work.toml:5: step `work` reads the host variable `FOO`");
    test.run(["-run", "-strict"])
        .exits(1)
        .says(" --> steps/work.toml:5:6\n");
}

#[test]
fn what_cannot_be_included() {
    let test = Test::new();
    let refused = |include: &str, told: &[&str]| {
        test.manifest(&MAIN.replace("['steps/*.toml']", include));
        let ran = told
            .iter()
            .fold(test.run(["check"]).exits(2), |ran, told| ran.says(told));
        assert!(ran.stderr.contains(" --> "), "{ran}");
    };
    test.write("steps/a.toml", "include = ['b.toml']\n");
    test.write("steps/b.toml", "include = ['a.toml']\n");
    test.write("own.toml", "include = ['own.toml']\n");
    test.write("latin.toml", b"# \xe4\n");
    test.write("up/up.toml", "include = ['../own.toml']\n");
    refused(
        "['none.toml']",
        &["error: `none.toml` matches no file\n --> workflow.toml:1:13\n"],
    );
    refused("['none/*.toml']", &["matches no file"]);
    refused(
        "['steps']",
        &[
            "error: `steps` is a folder, no part of a manifest\n",
            "hint: name the files in it: \"steps/*.toml\"\n",
        ],
    );
    refused(
        "['own.toml']",
        &["error: own.toml includes itself\n --> own.toml:1:13\n"],
    );
    refused("['*.toml']", &["error: own.toml includes itself\n"]);
    refused(
        "['workflow.toml']",
        &["error: workflow.toml includes itself\n --> workflow.toml:1:13\n"],
    );
    refused(
        "['steps/a.toml']",
        &[
            "error: parts include each other in a circle: steps/a.toml → steps/b.toml → steps/a.toml\n --> steps/b.toml:1:13\n",
        ],
    );
    for part in 0..3000 {
        let next = format!("include = ['{}.toml']\n", part + 1);
        test.write(&format!("deep/{part}.toml"), next);
    }
    refused(
        "['deep/0.toml']",
        &[
            "error: parts include one another more than 100 deep\n --> deep/99.toml:1:13\n",
            "hint: name them from fewer places\n",
        ],
    );
    refused(
        "['latin.toml']",
        &[
            "error: cannot read latin.toml: it is not UTF-8 text (line 1)\n --> workflow.toml:1:13\n",
        ],
    );
    refused(
        "['up/up.toml']",
        &[
            "leads out of the manifest's folder",
            " --> up/up.toml:1:13\n",
        ],
    );
    refused(
        "'own.toml'",
        &["hint: in brackets it is an array: ['own.toml']"],
    );
    refused("[1]", &["an entry of `include` must be a string"]);
    refused(
        "['/etc/passwd']",
        &["does not begin in the manifest's folder"],
    );
    std::os::unix::fs::symlink("own.toml", test.path("link.toml")).unwrap();
    std::fs::write(
        test.path("own.toml"),
        "[[step]]\nname = 'own'\nscript = ':'\n",
    )
    .unwrap();
    // One that two lead to is in once.
    test.manifest(&MAIN.replace("['steps/*.toml']", "['link.toml', 'own.toml']"));
    test.run(["check"]).exits(0).prints("2 steps");
    test.manifest(&format!(
        "{}include = ['own.toml']\n",
        MAIN.replace("['steps/*.toml']", "[]")
    ));
    test.run(["check"])
        .exits(2)
        .says("hint: `include` belongs above the first table of the file\n");
    test.manifest("includ = ['own.toml']\n");
    test.run(["check"])
        .exits(2)
        .says("hint: did you mean include = [\"steps/*.toml\"], above all tables?\n");
    #[cfg(target_os = "linux")]
    {
        rustix::fs::mknodat(
            rustix::fs::CWD,
            test.path("fifo.toml"),
            rustix::fs::FileType::Fifo,
            0o644.into(),
            0,
        )
        .unwrap();
        refused(
            "['fifo.toml']",
            &["error: `fifo.toml` is a FIFO, not a file\n"],
        );
    }
}

#[test]
fn parts_are_not_written_over() {
    let test = Test::with(MAIN);
    test.write("steps/work.toml", "[[step]]\nname = 'work'\nscript = ':'\n");
    test.runs();
    test.run(["report", "-o", "steps/work.toml"])
        .exits(2)
        .says("a part of the manifest is there");
    assert!(test.read("steps/work.toml").contains("work"));
}
