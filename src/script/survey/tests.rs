use proptest::prelude::*;

use super::*;

fn variables(script: &str) -> Vec<String> {
    let found = of(script).variables;
    for variable in &found {
        assert!(script.is_char_boundary(variable.at), "{script}");
    }
    found.into_iter().map(|variable| variable.name).collect()
}

fn paths(script: &str) -> Vec<String> {
    let found = of(script).words.into_iter();
    let found = found.filter(|word| word.role != Role::Mentioned);
    found.map(|word| word.path).collect()
}

fn mentioned(survey: Survey) -> Vec<String> {
    let found = survey.words.into_iter();
    let found = found.filter(|word| word.role == Role::Mentioned);
    found.map(|word| word.path).collect()
}

#[test]
fn variables_that_a_script_reads() {
    for (script, names) in [
        (
            "echo $FOO ${BAR} \"$BAZ x ${QUX}\"",
            &["FOO", "BAR", "BAZ", "QUX"] as &[_],
        ),
        ("echo '$FOO' \\$BAR \"\\$BAZ\"", &[]),
        (
            "echo ${FOO:-x} ${BAR-$BAZ} ${#LEN} ${CUT%.*} ${!REF}",
            &["FOO", "BAR", "BAZ", "LEN", "CUT", "REF"],
        ),
        (
            "echo $(cat $FOO) `cat $BAR` $((BAZ + 1))",
            &["FOO", "BAR", "BAZ"],
        ),
        (
            "cat <<EOF\n$FOO \\$BAR '$BAZ'\nEOF\necho $QUX",
            &["FOO", "BAZ", "QUX"],
        ),
        ("cat <<'EOF'\n$FOO\nEOF\n", &[]),
        ("cat <<-\\EOF\n\t$FOO\n\tEOF\necho $BAR", &["BAR"]),
        ("cat <<EOF | tr $FOO x\n$BAR\nEOF\n", &["FOO", "BAR"]),
        ("# $FOO\necho a#$BAR # $BAZ", &["BAR"]),
        ("echo $1 $@ $# $? $$ $! $- $0 $* $", &[]),
        (
            "if [ -n \"$FOO\" ]; then echo ${BAR[0]}; fi",
            &["FOO", "BAR"],
        ),
        ("[[ -v FOO ]] && test -v BAR", &["FOO", "BAR"]),
        ("printenv FOO", &["FOO"]),
        (
            "case $FOO in $BAR) echo $BAZ ;; (x|y) : $QUX;; esac; echo $END",
            &["FOO", "BAR", "BAZ", "QUX", "END"],
        ),
        (
            "x=$(case a in a) echo $FOO;; esac); echo $BAR",
            &["FOO", "BAR"],
        ),
        ("echo ${FOO:=$BAR} $FOO", &["FOO", "BAR"]),
        ("((i = FOO + 16#ff + 0x1f)); echo $i", &["FOO"]),
        ("((echo $FOO); echo $BAR)", &["FOO", "BAR"]),
        ("diff <(sort $FOO) >(cat $BAR)", &["FOO", "BAR"]),
        ("echo $'a\\tb' $\"$FOO\"", &["FOO"]),
        ("FOO=1 sh -c : $FOO", &["FOO"]),
        ("export FOO; echo $BAR", &["BAR"]),
        ("echo ${FOO/\"}\"/$BAR}", &["FOO", "BAR"]),
    ] {
        assert_eq!(variables(script), names, "{script}");
    }
}

#[test]
fn variables_that_it_sets_before() {
    for script in [
        "FOO=1; echo $FOO",
        "FOO=1\necho $FOO",
        "FOO=(a b); echo ${FOO[1]}",
        "FOO[1]=x; echo $FOO",
        "FOO+=x; echo $FOO",
        "export FOO=1 && echo $FOO",
        "declare -a FOO=(a b); echo $FOO",
        "f() { local FOO; echo $FOO; }; f",
        "read -r FOO BAR < x; echo $FOO $BAR",
        "while IFS=, read -r -d '' FOO; do echo $FOO; done",
        "read -a FOO; mapfile -t BAR; readarray -n 3 BAZ; echo $FOO $BAR $BAZ",
        "for FOO in a b; do echo $FOO; done",
        "for FOO\ndo echo $FOO; done",
        "for ((FOO=0; FOO<3; FOO++)); do echo $FOO; done",
        "select FOO in a; do echo $FOO; done",
        "while getopts ab: FOO; do echo $FOO $OPTARG; done",
        "printf -v FOO %s x; echo $FOO",
        "let FOO=1; echo $FOO",
        "unset FOO; echo ${FOO:-}",
        "f() { echo $FOO; }\nFOO=1\nf",
        "function f { echo $FOO; }\nFOO=1\nf",
        "f() ( echo $FOO )\nFOO=1; f",
        "echo $((FOO = 1)) $FOO",
        ": ${OPTARG} $PATH; if x; then FOO=1; fi; echo $FOO",
        "if FOO=$(date); then echo $FOO; fi",
        "{ FOO=1; }; echo $FOO",
        "! FOO=1; echo $FOO",
    ] {
        let left = variables(script);
        let left: Vec<_> = left.iter().filter(|name| !is_usual(name)).collect();
        assert_eq!(left, Vec::<&String>::new(), "{script}");
    }
}

#[test]
fn what_is_read_before_it_is_set() {
    for script in [
        "FOO=${FOO:-1}",
        "export FOO=$FOO",
        "echo $FOO; FOO=1",
        "((FOO += 1))",
        "FOO=1 true; echo $FOO",
    ] {
        assert_eq!(variables(script), ["FOO"], "{script}");
    }
    let found = of("echo $A; . ./env.sh; echo $B").variables;
    assert_eq!(
        found.iter().map(|one| one.perhaps_set).collect::<Vec<_>>(),
        [false, true]
    );
    assert_eq!(of("a\nb \"$FOO\"").variables[0].at, 5);
}

#[test]
fn words_that_could_be_paths() {
    for (script, found) in [
        (
            "./tool.sh < template.html",
            &["./tool.sh", "template.html"] as &[_],
        ),
        ("tool.sh 'a b' \"lib/x.py\"", &["a b", "lib/x.py"]),
        ("cat \"$PWD/x\" $(pwd)/y `pwd`/z", &["./x", "./y", "./z"]),
        ("cat $(dirname $0)/x $DIR/y ${DIR}z ~/a $A$B", &[]),
        ("cat in/$x 't-'$(y).html x$y $x.txt", &["in/*", "t-*.html"]),
        (
            "cat {t,u}.txt lib/{1..3} {a,b}{c,d}",
            &["t.txt", "u.txt", "lib/*", "ac", "ad", "bc", "bd"],
        ),
        ("F=t; cat $F.txt \"lib/$F\"", &["t", "t.txt", "lib/t"]),
        ("for f in a b; do cat $f.x; done", &["a", "b", "a.x", "b.x"]),
        ("cat ${F:-t.txt} \"${G=lib/u}\"", &["t.txt", "lib/u"]),
        ("sed -ft.txt -n; grep -rn z x.y", &["t.txt", "x.y"]),
        (
            "python3 script.py --template=t.html -Ilib -f a.awk",
            &["script.py", "t.html", "lib", "a.awk"],
        ),
        ("awk -v t=table.txt -f p.awk", &["table.txt", "p.awk"]),
        (
            "PYTHONPATH=lib:$PWD/more:$X/y python3 -m tool",
            &["lib", "./more", "tool.py", "tool/__main__.py", "tool"],
        ),
        ("export PATH=$PWD/bin:$PATH", &["./bin"]),
        (
            "curl -d @body.json https://example.org/x",
            &["@body.json", "body.json"],
        ),
        ("echo data; printf '%s' x", &[]),
        ("cd lib && cat x", &["lib", "lib/x"]),
        ("(cd lib; ./x) && cat y", &["lib", "lib/./x", "y"]),
        ("cd \"$TMPDIR\"; cat x /etc/y", &["/etc/y"]),
        ("cd ..; cat x", &[".."]),
        ("cat *.txt lib/{a,b}", &["*.txt", "lib/a", "lib/b"]),
        (
            "T=template.html; cat \"$T\"",
            &["template.html", "template.html"],
        ),
        (". ./env.sh; source lib.sh", &["./env.sh", "lib.sh"]),
        ("exec ./tool.sh x", &["./tool.sh", "x"]),
        ("env A=b ./tool.sh", &["b", "./tool.sh"]),
        ("[ -f x ] && [[ -e y ]]", &["x", "y"]),
        ("x=$(cat a) `cat b` <(cat c)", &["a", "b", "c"]),
        ("cat <<EOF\na $(cat b)\nEOF", &["b"]),
        ("f() { cat a; }; f b", &["a", "b"]),
        ("a | b && c || d", &[]),
    ] {
        let mut words = paths(script);
        words.retain(|word| !word.starts_with('-'));
        assert_eq!(words, found, "{script}");
    }
}

#[test]
fn texts_with_words_in_them_that_could_be_paths() {
    for (script, found) in [
        ("sh -c 'cat t.txt; ./x'", &["cat", "t.txt", "./x"] as &[_]),
        ("eval \"cat $A/b lib/c\"", &["cat", "lib/c"]),
        ("python3 -c \"open('t.txt')\"", &["open", "t.txt"]),
        ("echo t.txt u | xargs cat", &["t.txt", "u"]),
        ("echo t.txt || true; echo see t.txt", &[]),
        ("python3 - <<'E'\nopen(\"t.txt\")\nE", &["open", "t.txt"]),
        ("cat <<E > x\nsee t.txt\nE", &[]),
    ] {
        assert_eq!(mentioned(of(script)), found, "{script}");
    }
}

#[test]
fn scripts_of_other_languages() {
    let found =
        of_text("# see x.txt\nimport a.b\nf = open('t.txt'); g(\"my file\", lib/u.h)\n").words;
    let of_role = |role| {
        let words = found.iter().filter(|word| word.role == role);
        words.map(|word| word.path.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(
        of_role(Role::Argument),
        ["a/b.py", "a/b/__init__.py", "t.txt", "my file"]
    );
    assert_eq!(
        of_role(Role::Mentioned),
        [
            "import", "a.b", "f", "open", "t.txt", "g", "my", "file", "lib/u.h"
        ]
    );
    assert_eq!(of_text("tool\n").words[0].role, Role::Argument);
    let words = of_value("-ft.txt").words;
    assert_eq!(
        words.iter().map(|word| &word.path).collect::<Vec<_>>(),
        ["t.txt"]
    );
}

#[test]
fn what_is_written_is_told_from_what_is_read() {
    let found = of("sort < a > b 2>> c 3>&1 &> d >&2 2>&-").words;
    let roles: Vec<_> = found
        .iter()
        .map(|word| (word.path.as_str(), word.role))
        .collect();
    assert_eq!(
        roles,
        [
            ("a", Role::Argument),
            ("b", Role::Written),
            ("c", Role::Written),
            ("d", Role::Written),
        ]
    );
    for script in [
        "flock a sort b",
        "flock -w 5 -x a sort b",
        "(flock 9; sort b) 9>a",
        "exec 9<a; flock -n 9; sort b",
    ] {
        let words: Vec<_> = of(script).words.into_iter().map(|word| word.path).collect();
        assert!(
            !words.contains(&"a".to_owned()) && words.contains(&"b".to_owned()),
            "{script}: {words:?}"
        );
    }
    for script in [
        "cp $x a",
        "mv -f x/* a",
        "tee -a a",
        "rm -rf a",
        "sort -o a",
        "ln -s \"$x\" a",
    ] {
        let written = of(script).words.into_iter();
        let written = written.filter(|word| word.role == Role::Written && word.path == "a");
        assert_eq!(written.count(), 1, "{script}");
    }
}

#[test]
fn names_that_begin_with_something() {
    let prefix = |name: &str, suffix: &str| Prefix {
        name: name.into(),
        suffix: suffix.into(),
    };
    for (script, found) in [
        (
            "split -l 3 --additional-suffix=_next - \"$OUTPUT_DIR/part_\"",
            vec![prefix("part_", "_next")],
        ),
        (
            "split --additional-suffix .csv $INPUT_FILE ${OUTPUT_DIR}/",
            vec![prefix("", ".csv")],
        ),
        ("csplit -f \"$OUTPUT_DIR\"/x y", vec![prefix("x", "")]),
        ("cat > $OUTPUT_DIR/x", vec![]),
    ] {
        assert_eq!(of(script).prefixes, found, "{script}");
    }
}

#[test]
fn shells() {
    let is = |words: &[&str]| is_shell(&words.iter().map(ToString::to_string).collect::<Vec<_>>());
    for words in [
        &["sh", "-e", "-c"] as &[_],
        &["/bin/bash", "-euo", "pipefail", "-c"],
        &["busybox", "sh", "-c"],
        &["zsh", "-ec"],
    ] {
        assert!(is(words), "{words:?}");
    }
    for words in [
        &[] as &[_],
        &["python3", "-c"],
        &["sh"],
        &["busybox", "awk", "-c"],
        &["bash", "--c"],
    ] {
        assert!(!is(words), "{words:?}");
    }
}

proptest! {
    #[test]
    fn it_never_fails(script in "[-a-zA$(){}\"'`\\\\ \n;&|<>=#*\\[\\]!@:/+ö1]{0,60}") {
        of(&script);
    }

    #[test]
    fn it_never_fails_on_pieces_of_scripts(parts in prop::collection::vec(prop_oneof![
        Just("case x in "), Just("esac"), Just("a) "), Just(";; "), Just("f() { "), Just("}"), Just("$(("), Just("))"),
        Just("$("), Just(")"), Just("<<EOF\n"), Just("\nEOF\n"), Just("`"), Just("\""), Just("'"), Just("${A:-"), Just("for x in "),
        Just("do "), Just("done "), Just("[[ "), Just("]] "), Just("x=("), Just("<("), Just("$A "), Just("\\"), Just("ö"), Just("function "),
    ], 0..20)) {
        of(&parts.concat());
    }
}

#[test]
fn deep_nesting_and_length_are_bearable() {
    of(&"$(".repeat(100_000));
    of(&"(".repeat(100_000));
    of(&"`$(".repeat(10_000));
    of(&"${a:-".repeat(20_000));
    of(&"\"$(".repeat(20_000));
    of(&"cat <<E\n".repeat(2_000));
    of(&"{ ".repeat(100_000));
    of(&"((".repeat(20_000));
    of(&"a[${]$(".repeat(90));
    of(&"a[${]`".repeat(90));
    of(&format!("x=abc\n{}", "x=$x$x\n".repeat(60)));
}

#[test]
fn a_word_with_brackets_is_no_assignment() {
    assert_eq!(paths("a[$i]=b/c; cat d/e"), ["b/c", "d/e"]);
    assert_eq!(paths("a[12].sh d/e"), ["d/e"]);
    let variables = |script: &str| -> Vec<String> {
        let variables = of(script).variables.into_iter();
        variables.map(|variable| variable.name).collect()
    };
    assert_eq!(variables("a[$I]x $B"), ["I", "B"]);
    assert_eq!(variables("a[$I]=x$B"), ["I", "B"]);
}

#[test]
fn modules_are_found_by_their_names() {
    for (script, found) in [
        ("python3 -m mod.sub \"$INPUT_FILE\"", "mod/sub.py"),
        ("python3 -m mod", "mod/__main__.py"),
        ("python3 -c 'import sys; import mod'", "mod.py"),
        ("python3 -c 'from pkg.mod import f'", "pkg/mod.py"),
        ("node -e 'require(\"./m\")'", "./m.js"),
    ] {
        let paths = paths(script);
        assert!(paths.iter().any(|path| path == found), "{script} {paths:?}");
    }
    let of_file = imports("import os, util\nfrom .more import x\n", "lib/").words;
    assert!(of_file.iter().any(|word| word.path == "lib/more.py"));
}

#[test]
fn patterns_and_numbers_are_no_files() {
    for (script, files) in [
        ("grep data $INPUT_FILE", &[] as &[&str]),
        ("grep -rn -A 2 data lib", &["lib"]),
        ("grep -e data -f list lib", &["list", "lib"]),
        ("grep -f list lib", &["list", "lib"]),
        ("grep --file=list lib", &["list", "lib"]),
        ("sort -t a -k 1 b", &["b"]),
        ("head -n 1 b; tail -c 1 b", &["b", "b"]),
        ("cut -d a -f 1 b", &["b"]),
    ] {
        assert_eq!(paths(script), files, "{script}");
    }
}
