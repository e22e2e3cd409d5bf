//! Mistakes in pipelines of every shape: each is told at its place, with what to do, before anything runs. The
//! tables of all that can be handed in are in the modules; those of the manifest's keys are unit tests.

#[rustfmt::skip]
mod environment;
#[rustfmt::skip]
mod places;
#[rustfmt::skip]
mod words;

use crate::harness::{Ran, Test};

/// Two steps, the second with two tasks.
const PIPELINE: &str = "[[step]]\nname = 'start'\nstart = true\n\
    script = 'echo x > $OUTPUT_DIR/a_next; echo y > $OUTPUT_DIR/b_next'\n\
    [[step]]\nname = 'next'\nscript = 'cp $INPUT_FILE $OUTPUT_DIR/end'\n";

/// It ended so, with that error in words that anybody can read, and with that besides. Nothing where it is \"\".
#[track_caller]
fn says(ran: &Ran, case: &str, status: i32, error: &str, more: &str) {
    assert_eq!(ran.status, status, "{case}: {ran}");
    let said = &ran.stderr;
    assert_eq!(said.contains("error: "), status > 1, "{case}: {ran}");
    let at = said.find("error: ").map_or("", |at| &said[at..]);
    assert!(at.contains(error), "{case}: no {error:?} in {ran}");
    assert!(said.contains(more), "{case}: no {more:?} in {ran}");
    let acts = |c: char| c.is_control() && c != '\n';
    assert!(!said.contains(acts), "{case}: {said:?}");
    for jargon in [
        "panicked",
        "RUST_BACKTRACE",
        "Utf8Error",
        "Some(",
        "invalid digit",
        "u32",
    ] {
        assert!(!said.contains(jargon), "{case}: {ran}");
    }
}

/// A step that starts, and `bb`, whose table is open.
const STEPS: &str = "[[step]]\nname = 'a'\nstart = true\nscript = 'echo x > $OUTPUT_DIR/x_bb'\n\
    [[step]]\nname = 'bb'\nscript = ':'\n";

/// What stands behind these steps; and what is said of it: the error, its line in the manifest, the hint.
const SHAPES: &[(&str, &str, usize, &str)] = &[
    (
        "from = ['aa']",
        "there is no step `aa`",
        8,
        "did you mean `a`?",
    ),
    (
        "with = ['aaa']",
        "there is no step `aaa`",
        8,
        "for instance [\"index\"]",
    ),
    (
        "gather = 'ab'",
        "`gather`: `ab` is neither \"name\" nor a step",
        8,
        "did you mean `a`?",
    ),
    (
        "gather = 'bb'",
        "`bb` gathers what comes of its own tasks",
        8,
        "name the step whose tasks each make a group",
    ),
    (
        "from = ['bb']",
        "`from` goes in a circle: bb → bb",
        8,
        "what goes round is routed by its name",
    ),
    (
        "from = ['c']\n[[step]]\nname = 'c'\nscript = ':'\ngather = 'bb'",
        "`from` and `gather` go in a circle: bb → c → bb",
        12,
        "a step waits for those that it names here",
    ),
    (
        "with = ['c']\n[[step]]\nname = 'c'\nscript = ':'\nwith = ['bb']",
        "`with` goes in a circle: bb → c → bb",
        12,
        "a step waits for those that it names here",
    ),
    (
        "[[step]]\nname = 'bb'\nscript = ':'",
        "step `bb` is already defined on line 6",
        9,
        "each step needs a name of its own",
    ),
    (
        "each = true",
        "`each` needs exactly one step in `with`, and step `bb` does not have that",
        8,
        "for instance with = [\"index\"]",
    ),
    (
        "each = true\nwith = ['a', 'a']",
        "`a` is listed twice",
        9,
        "leave one of them out",
    ),
    (
        "gather = true\npartial = 1",
        "`partial` must be true or false",
        9,
        "",
    ),
    (
        "partial = true",
        "`partial` is for steps that gather",
        8,
        "add gather = true, or leave it out",
    ),
    (
        "[[input]]\nfiles = 'x'\nstep = ['bb', 'b']",
        "there is no step `b`",
        10,
        "name a step of this manifest",
    ),
];

#[test]
fn shapes() {
    for (more, error, line, hint) in SHAPES {
        let test = Test::with(&format!("{STEPS}{more}\n"));
        for words in [&["check"][..], &["-run"]] {
            let said = test.refusal(words);
            assert!(said.contains(&format!("error: {error}")), "{more}: {said}");
            assert!(said.contains(hint), "{more}: {said}");
            assert!(
                said.contains(&format!("workflow.toml:{line}:")),
                "{more}: {said}"
            );
        }
        assert!(!test.path("db").exists(), "{more}");
    }
}

#[test]
fn a_start_step_gathers_nothing() {
    for (key, error) in [
        (
            "gather = true",
            "step `a` is the start step and gathers: nothing comes to it",
        ),
        (
            "with = ['bb']",
            "step `a` is the start step: all others come after it",
        ),
    ] {
        let test = Test::with(&STEPS.replace("start = true", &format!("start = true\n{key}")));
        let said = test.refusal(&["check"]);
        assert!(said.contains(error), "{said}");
        assert!(said.contains("workflow.toml:4:"), "{said}");
    }
}

#[test]
fn parts() {
    for (include, files, error, place) in [
        (
            "workflow.toml",
            &[][..],
            "workflow.toml includes itself",
            "workflow.toml:1:",
        ),
        (
            "no.toml",
            &[],
            "`no.toml` matches no file",
            "workflow.toml:1:",
        ),
        (
            "p/a.toml",
            &[("p/a.toml", "[[step]]\nname = 'a'\nscript = ':'\n")],
            "step `a` is already defined on line 3 of workflow.toml",
            "p/a.toml:2:",
        ),
        (
            "p/*.toml",
            &[
                ("p/a.toml", "include = ['b.toml']\n"),
                ("p/b.toml", "include = ['a.toml']\n"),
            ],
            "parts include each other in a circle: p/a.toml → p/b.toml → p/a.toml",
            "p/b.toml:1:",
        ),
        (
            "p/a.toml",
            &[("p/a.toml", "[params]\nx = { type = 'int' }\n\n[params.x]\n")],
            "`x` is defined twice",
            "p/a.toml:4:",
        ),
    ] {
        let test = Test::with(&format!("include = ['{include}']\n{STEPS}"));
        for (name, text) in files {
            test.write(name, text);
        }
        let said = test.refusal(&["check"]);
        assert!(
            said.contains(&format!("error: {error}")),
            "{include}: {said}"
        );
        assert!(said.contains(place), "{include}: {said}");
    }
}

#[test]
fn values_of_parameters() {
    let test = Test::with(
        "[params]\nnumber = { type = 'int' }\ntext = { type = 'string', default = '' }\n\
         [[step]]\nname = 'a'\nstart = true\nscript = 'printf %s \"$PARAM_text\" > $OUTPUT_DIR/end'\n",
    );
    test.write(
        "long.json",
        format!("{{\"text\": \"{}\"}}", "x".repeat(1 << 20)),
    );
    for (words, error, hint) in [
        (
            &["-param", "number=x"][..],
            "-param number: `x` is not a whole number",
            "",
        ),
        (
            &["-param", "numbr=1"],
            "there is no parameter `numbr`",
            "did you mean `number`?",
        ),
        (
            &["-param", "number=1", "-param", "number=2"],
            "parameter `number` is given twice with -param",
            "leave one of them out",
        ),
        (
            &[],
            "parameter `number` has no default and is not given",
            "-param number=…",
        ),
        (
            &["-param", "=1"],
            "-param names no parameter",
            "write -param NAME=VALUE",
        ),
        (
            &["-param", "number=1", "-params", "no.toml"],
            "cannot read the parameters in no.toml",
            "check the path given with -params",
        ),
        (
            &["-param", "number=1", "-params", "long.json"],
            "with its name the parameter text has 1048587 bytes, and this system passes at most 131071 to a program",
            "keep the text in a file",
        ),
    ] {
        let said = test.refusal(&[&["-run"], words].concat());
        assert!(said.contains(error), "{words:?}: {said}");
        assert!(said.contains(hint), "{words:?}: {said}");
        // Nor did it make anything.
        assert!(!test.path("db/db").exists() || test.rows("SELECT count(*) FROM task") == ["0"]);
    }
    let odd = "it's \"$HOME\" `id` \\ $(id)\nline 2\n\t*";
    test.run([
        "-run",
        "-param",
        "number=1",
        "-param",
        &format!("text={odd}"),
    ])
    .exits(0);
    assert_eq!(test.output("end"), odd);
}

/// What a folder cannot have is told with its path, and a folder of very many files is one output.
#[test]
fn folders() {
    for (script, error) in [
        (
            "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"s\")'",
            "output \"d/s\" is a socket, which cannot be stored",
        ),
        (
            "ln -s /etc/passwd l",
            "output \"d/l\" is a link to \"/etc/passwd\", which may lie outside",
        ),
        (
            "touch \"$(printf 'a\\377b')\"",
            "output \"d/a\\xFFb\" has a name that is not UTF-8",
        ),
        ("seq 20000 | xargs touch", ""),
    ] {
        let test = Test::with(&format!(
            "[[step]]\nname = 'a'\nstart = true\nfolders = true\nscript = '''\n\
             mkdir $OUTPUT_DIR/d; cd $OUTPUT_DIR/d; {script}\n'''\n"
        ));
        if error.is_empty() {
            test.run(["-run"]).exits(0).says("1 final output");
            test.run(["export", "-to", "out"]).exits(0);
            assert_eq!(
                std::fs::read_dir(test.path("out/d")).unwrap().count(),
                20_000
            );
        } else {
            test.run(["-run"]).exits(1).says(error);
            test.nothing_temporary_is_left();
        }
    }
}
