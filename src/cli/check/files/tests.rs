use super::*;
use crate::manifest::Manifest;
use crate::script::survey;

/// With what they say and the text that they mark.
fn found(keys: &str, declared: &[&str], script: &str) -> Vec<(Diagnostic, String)> {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().canonicalize().unwrap().join("m");
    for path in [
        "tool.sh",
        "t.html",
        "lib/a.py",
        "lib/b.py",
        "db/db",
        "a b",
        "x/.h",
        "conf",
        "../elsewhere/ref",
    ] {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let script = script.replace("FOLDER", folder.to_str().unwrap());
    let text = format!("[[step]]\nname = 'a'\nstart = true\n{keys}\nscript = '''\n{script}'''\n");
    let manifest = Manifest::parse(&text).unwrap();
    let step = &manifest.steps[0];
    let globs: Vec<Glob> = declared
        .iter()
        .map(|glob| Glob::parse(glob).unwrap())
        .collect();
    let survey = if survey::is_shell(survey::started(&step.shell)) {
        survey::of(&step.script)
    } else {
        survey::of_text(&step.script)
    };
    let found = unseen(
        step,
        &globs.iter().collect::<Vec<_>>(),
        &manifest.places[0],
        &text,
        &survey,
        &Folder {
            path: &folder,
            db: Some(folder.join("db")),
        },
    );
    let marked = |one: &Diagnostic| text[one.span.clone().unwrap()].to_owned();
    found
        .into_iter()
        .map(|one| (one.clone(), marked(&one)))
        .collect()
}

fn messages(keys: &str, declared: &[&str], script: &str) -> Vec<String> {
    let found = found(keys, declared, script).into_iter();
    found.map(|(one, _)| one.message).collect()
}

fn warnings(declared: &[&str], script: &str) -> (Vec<String>, String) {
    let found = found("", declared, script);
    let hint = found.first().and_then(|(one, _)| one.hint.clone());
    let marked = found.into_iter().map(|(_, marked)| marked).collect();
    (marked, hint.unwrap_or_default())
}

#[test]
fn they_are_told_with_the_line_to_add() {
    let (marked, hint) = warnings(&[], "./tool.sh < \"t.html\"; cat lib/../lib/a.py 'a b' lib");
    assert_eq!(
        marked,
        ["./tool.sh", "\"t.html\"", "lib/../lib/a.py", "'a b'", "lib"]
    );
    assert_eq!(
        hint,
        "add `files = [\"tool.sh\", \"t.html\", \"lib/a.py\", \"a b\", \"lib\"]` to the step; put `!` before a name if no result depends on it"
    );
    let (marked, hint) = warnings(&["t.html"], "cat t.html tool.sh lib/*.py");
    assert_eq!(marked, ["tool.sh", "lib/*.py"]);
    assert_eq!(
        hint,
        "add \"tool.sh\", \"lib/*.py\" to the step's `files`; put `!` before a name if no result depends on it"
    );
    assert_eq!(warnings(&["lib/a*"], "cat lib/*.py").0, ["lib/*.py"]);
}

#[test]
fn what_is_not_a_word_of_its_own_is_found() {
    for (script, found) in [
        ("cat \"$(pwd)/t.html\"", "`t.html`"),
        ("sh -c 'cat t.html'", "`t.html`"),
        ("eval \"cat conf\"", "`conf`"),
        ("python3 -c \"open('t.html')\"", "`t.html`"),
        ("sed -ft.html", "`t.html`"),
        ("cat {t,u}.html", "`t.html`"),
        ("F=t; cat $F.html", "`t.html`"),
        ("cat ${F:-t.html}", "`t.html`"),
        ("echo t.html | xargs cat", "`t.html`"),
        ("cat lib/$x.py", "`lib/*.py`"),
        ("cat t$x.html", "`t*.html`"),
        ("cat $(cat lib/$x/y)", "`lib`"),
        ("cat */conf.toml; cat */a.py", "`*/a.py`"),
        ("dd if=t.html", "`t.html`"),
        ("x --in=\"lib/$x.py\"", "`lib/*.py`"),
        ("cat ../elsewhere/ref", "elsewhere/ref`"),
        ("cat ../elsewhere/$x", "elsewhere`"),
    ] {
        let told = messages("", &[], script);
        assert_eq!(told.len(), 1, "{script} {told:?}");
        assert!(told[0].contains(found), "{script} {told:?}");
    }
}

#[test]
fn what_a_declared_file_takes_from_beside_it_is_found() {
    let outer = tempfile::tempdir().unwrap();
    let path = outer.path().canonicalize().unwrap();
    for (name, text) in [
        ("lib/main.py", "import os\nimport util\n"),
        ("lib/util.py", ""),
        ("lib/run.sh", "cat \"$(dirname \"$0\")\"/list\n"),
        ("lib/list", ""),
    ] {
        fs::create_dir_all(path.join("lib")).unwrap();
        fs::write(path.join(name), text).unwrap();
    }
    let folder = Folder {
        path: &path,
        db: None,
    };
    for (script, uses) in [("lib/main.py", "lib/util.py"), ("lib/run.sh", "lib/list")] {
        let found = folder.script(script).unwrap().words;
        let leads = found.iter().filter_map(|spot| folder.lead(spot, &[]));
        let leads: Vec<Lead> = leads.collect();
        assert_eq!(leads, [Lead::Beside(uses.to_owned())], "{script}");
    }
}

#[test]
fn files_that_shell_and_variables_name_are_found() {
    for (keys, script, found) in [
        ("shell = ['./tool.sh']", "nothing", "`tool.sh` in `shell`"),
        (
            "shell = ['awk', '-f', 't.html']",
            "nothing",
            "`t.html` in `shell`",
        ),
        ("shell = ['python3']", "conf", "`conf`,"),
        (
            "shell = ['python3', '-c']",
            "print(open('t.html').read(), lib)",
            "`t.html`,",
        ),
        ("shell = ['python3', '-c']", "os.listdir('lib')", "`lib`,"),
        (
            "shell = ['env', 'A=b', 'bash', '-c']",
            "cat t.html; echo lib",
            "`t.html`,",
        ),
        (
            "env = { CONF = 't.html', MODE = 'fast' }",
            "cat $CONF",
            "`t.html` in `env`",
        ),
        (
            "env = { PYTHONPATH = 'nothing:lib' }",
            "nothing",
            "`lib` in `env`",
        ),
    ] {
        let told = messages(keys, &[], script);
        assert_eq!(told.len(), 1, "{keys} {script} {told:?}");
        assert!(told[0].contains(found), "{keys} {script} {told:?}");
        assert!(messages(keys, &["t.html", "tool.sh", "conf", "lib"], script).is_empty());
    }
}

#[test]
fn what_is_declared_or_elsewhere_is_not() {
    for (declared, script) in [
        (&["tool.sh", "lib"] as &[_], "./tool.sh lib/a.py lib"),
        (&["lib/*.py"], "cat lib/*.py; cat lib/a.py; ls lib"),
        (&["**/*.py"], "cat lib/a.py"),
        (
            &[],
            "tool.sh; cat ../x /etc/passwd nothing . ./ db/db db; echo t.html",
        ),
        (&[], "cat *.none x/* > t.html; cd $TMPDIR; cat t.html"),
        (
            &[],
            "rm -rf lib; cp $x t.html; tee conf; sort -o conf; ls / /tmp FOLDER",
        ),
        (
            &[],
            "awk '{ lib }'; echo lib | cat; echo t.html; sed s/$a/$b/",
        ),
        (&["lib/*"], "cat lib/$x lib/$x/y"),
        (
            &[],
            "awk -v conf=\"$INPUT_DIR/a\" none; dd if=\"$INPUT_FILE\" of=\"$OUTPUT_DIR/y\"",
        ),
        (&[], "cat */conf.toml"),
        (
            &["!lib", "!*.html", "!tool.sh"],
            "cat lib/a.py lib; ls lib/*; cat t$x.html t.html; ./tool.sh",
        ),
        (&["lib/a.py", "!lib/b.py"], "cat lib/*.py"),
        (
            &[],
            "[ $x = lib ]; test conf != t.html; [[ $x == lib && -z conf && lib =~ $y ]]",
        ),
        (&[], "case $x in lib) ;; t.html | conf) ;; esac"),
    ] {
        assert_eq!(
            warnings(declared, script).0,
            Vec::<String>::new(),
            "{script}"
        );
    }
}
