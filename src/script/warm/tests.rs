use super::*;

fn words(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(|word| (*word).to_owned()).collect()
}

fn why(shell: Shell, script: &str) -> Option<String> {
    let arguments = words(&["-e", "-c"]);
    Script::new(Some(shell), &arguments, script)
        .err()
        .map(|obstacle| obstacle.to_string())
}

#[test]
fn plain_scripts_are_warm_in_both() {
    for script in [
        ":",
        "tr a-z A-Z < $INPUT_FILE > $OUTPUT_DIR/x",
        "find . -name '*.c' -exec cat {} + | sort -u > \"$OUTPUT_DIR/all\"",
        "set -eu\nset -o pipefail; set -eo pipefail -x\nset -- a b; set -f",
        "for f in *; do [ -f $f ] || continue; grep -q x $f && break; done",
        "while read -r l; do echo \"$l\"; done < $INPUT_FILE",
        "export LANG=C; local_x=1; my_kill=2; cp -r . $TMPDIR",
        "f() { local x=1; echo $1 $# \"$@\" ${x:-2} ${#x} ${x%.*}; }; f a; exit 3",
        "sleep 1 & wait $!; awk '{ print $1 }' $INPUT_FILE",
        "case $TASK_PIPELINE_INPUT_NAME in *.c) cc -c $INPUT_FILE ;; esac",
        "cat <<E\nan offset of $HOME/.config\nE",
        "for x in . ..; do du -s . $x; done",
        "curl -sSf https://example.org/set | jq . > $OUTPUT_DIR/set.json",
        "$_x ${_y} $__",
        "if [[ -n $x && $x -gt 3 ]]; then :; fi",
    ] {
        for shell in [Shell::Dash, Shell::Bash] {
            assert_eq!(why(shell, script), None, "{script}");
        }
    }
}

#[test]
fn what_could_tell_needs_a_shell_of_its_own() {
    for (script, word) in [
        ("echo $$", "$$"),
        ("echo ${$}", "$$"),
        ("echo \"x$$.tmp\"", "$$"),
        ("case $- in *e*) ;; esac", "$-"),
        ("echo ${-}", "$-"),
        ("echo $_", "$_"),
        ("echo ${_}/", "$_"),
        ("echo ${#_}", "$_"),
        ("trap 'rm x' EXIT", "trap"),
        ("true;trap - TERM", "trap"),
        ("exec 3>x", "exec"),
        ("eval \"$x\"", "eval"),
        (". ./lib.sh", "."),
        ("true && . lib.sh", "."),
        ("if . lib.sh; then :; fi", "."),
        ("X=1 . lib.sh", "."),
        ("command . lib.sh", "."),
        ("$nothing . lib.sh", "."),
        (">x . lib.sh", "."),
        ("source lib.sh", "source"),
        ("kill -9 0", "kill"),
        ("/bin/kill -9 0", "/bin/kill"),
        ("sh -c 'kill 0'", "kill"),
        ("k\\ill 0", "kill"),
        ("k'i'll 0", "kill"),
        ("ki\\\nll 0", "kill"),
        ("x=kill; $x 0", "kill"),
        ("return 3", "return"),
        ("break", "break"),
        ("for i in 1 2; do :; done; break", "break"),
        ("for i in 1 2; do break 2; done", "break"),
        ("for i in 1 2; do continue $n; done", "continue"),
        ("set", "set"),
        ("set | grep x", "set"),
        ("set -m", "set"),
        ("set -v", "set"),
        ("set -o", "set"),
        ("set -o posix", "set"),
        ("set +o", "set"),
        ("set $x", "set"),
        ("set -e $x", "set"),
        ("export", "export"),
        ("export -p > x", "export"),
        ("export $x", "export"),
        ("readonly -p", "readonly"),
        ("jobs", "jobs"),
        ("sleep 1 & fg", "fg"),
        ("sleep 1 & disown", "disown"),
        ("times", "times"),
        ("alias l=ls", "alias"),
        ("setsid sleep 1", "setsid"),
        ("timeout 5 x", "timeout"),
        ("ps", "ps"),
        ("echo $PPID", "PPID"),
        ("echo ${RANDOM}", "RANDOM"),
        ("echo $LINENO", "LINENO"),
        ("echo $BASHPID", "BASHPID"),
        ("echo $BASH_SUBSHELL", "BASH_SUBSHELL"),
        ("echo $SECONDS", "SECONDS"),
        ("true | x; echo ${PIPESTATUS[0]}", "PIPESTATUS"),
    ] {
        for shell in [Shell::Dash, Shell::Bash] {
            let why = why(shell, script);
            let told = format!("the script mentions `{word}`");
            assert_eq!(why.as_deref(), Some(&*told), "{script}");
        }
    }
    for shell in [Shell::Dash, Shell::Bash] {
        let told = "the script ends with a backslash";
        assert_eq!(why(shell, "echo \\").as_deref(), Some(told));
    }
}

#[test]
fn what_only_bash_does_otherwise() {
    for (script, word) in [
        ("echo $((1 / n))", "(("),
        ("(( n++ ))", "(("),
        ("echo $[1 / n]", "$["),
        ("echo ${x:1}", "${x:"),
        ("echo ${x[1]: -1}", "${x[1]:"),
        ("echo ${!x}", "${!"),
        ("readonly x=1", "readonly"),
        ("declare x=1", "declare"),
        ("let x=1", "let"),
    ] {
        assert_eq!(why(Shell::Dash, script), None, "{script}");
        let told = format!("the script mentions `{word}`");
        assert_eq!(why(Shell::Bash, script).as_deref(), Some(&*told));
    }
    let new = |shell| Script::new(Some(shell), &words(&["-u", "-c"]), ":");
    assert!(new(Shell::Dash).is_ok());
    assert!(new(Shell::Bash).is_err());
}

#[test]
fn arguments_become_options() {
    for (arguments, told) in [
        (&["-c"] as &[_], Some("")),
        (&["-e", "-c"], Some("set -e;")),
        (&["-ec"], Some("set -e;")),
        (&["-euo", "pipefail", "-c"], Some("set -e -u -o pipefail;")),
        (
            &["-eux", "-o", "noglob", "-c"],
            Some("set -e -u -x -o noglob;"),
        ),
        (&[], None),
        (&["-e"], None),
        (&["-c", "-e"], None),
        (&["-l", "-c"], None),
        (&["-i", "-c"], None),
        (&["--posix", "-c"], None),
        (&["+e", "-c"], None),
        (&["-o", "posix", "-c"], None),
        (&["-o"], None),
        (&["file"], None),
        (&["-c", "--"], None),
    ] {
        let got = options(&words(arguments));
        assert_eq!(got.ok().as_deref(), told, "{arguments:?}");
    }
}

#[test]
fn variables_of_the_environment() {
    for name in ["BASH_ENV", "BASH_FUNC_x%%", "SHELLOPTS", "TMOUT"] {
        let told = format!("the variable `{name}` is set");
        assert_eq!(variable(name).unwrap().to_string(), told);
    }
    assert_eq!(variable("PATH"), None);
}

#[test]
fn the_script_stands_on_the_first_line_and_is_not_changed() {
    let script = "echo 'a\nb' # c";
    let looped = Script::new(None, &words(&["-c"]), script)
        .unwrap()
        .looped("/x y/it's");
    assert!(looped.starts_with(r"exec 7>&1 1<>'/x y/it'\''s';"));
    let before = looped.split(script).next().unwrap();
    assert!(!before.contains('\n'));
    assert!(looped.contains(&format!("{script}\n)")));
}

#[test]
fn a_path_in_a_folder_of_the_task_is_no_path_of_processes() {
    let of = |text: &str| {
        let script = Script::new(Some(Shell::Dash), &words(&["-e", "-c"]), text).unwrap();
        script.unnoticed().map(drop)
    };
    for text in [
        "cp \"$INPUT_FILE\" \"$OUTPUT_DIR/process\"",
        "cp \"$INPUT_FILE\" \"$OUTPUT_DIR\"/proc",
        "cp \"$INPUT_FILE\" ${OUTPUT_DIR}/proc/x",
        "cat $TMPDIR/proc-1 /processed > $OUTPUT_DIR/x",
    ] {
        assert_eq!(of(text), Ok(()), "{text}");
    }
    for text in [
        "cat /proc/self/stat",
        "cat /'proc'/self/stat",
        "cat \"/proc\"/self/stat",
        "cat $x/proc",
        "cat proc/self/stat",
        "cat $OUTPUT_DIR/../proc/x",
        "OUTPUT_DIR=\ncat $OUTPUT_DIR/proc/x",
        "printf '/proc\\n'",
    ] {
        assert_eq!(of(text), Err(Obstacle::Processes), "{text}");
    }
}
