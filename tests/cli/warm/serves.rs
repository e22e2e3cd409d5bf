//! Which tasks a warm shell serves.

use std::fmt::Write as _;

use super::{GROUP, distinct, folder, groups, is_alive, several};
use crate::harness::Test;

const ONE: [&str; 3] = ["-run", "-parallel", "1"];

#[test]
fn one_shell_serves_all_tasks_of_a_step_and_ends_with_the_run() {
    for shell in ["dash", "bash"] {
        let test = folder();
        test.manifest(&several(
            5,
            &format!("shell = ['{shell}', '-e', '-c']"),
            GROUP,
        ));
        test.run(ONE).exits(0);
        let groups = groups(&test);
        assert_eq!((groups.len(), distinct(&groups)), (5, 1), "{shell}");
        assert!(!is_alive(&groups[0]));
        test.nothing_temporary_is_left();
    }
}

#[test]
fn without_the_field_each_task_has_a_shell_of_its_own() {
    let test = folder();
    test.manifest(&several(3, "", GROUP).replace("warm = true\n", ""));
    test.run(ONE).exits(0);
    assert_eq!(distinct(&groups(&test)), 3);
}

#[test]
fn the_field_can_be_a_default_and_makes_no_new_version() {
    let test = folder();
    let cold = several(3, "", GROUP).replace("warm = true\n", "");
    test.manifest(&cold);
    test.run(ONE).exits(0);
    test.manifest(&format!("[defaults]\nwarm = true\n{cold}"));
    let ran = test.run(ONE).exits(0);
    ran.never_says("version").says("0 run");
    test.run(["-run", "-parallel", "1", "-start", "begin"])
        .exits(0);
    assert_eq!(test.rows("SELECT count(*) FROM step"), ["2"]);
}

#[test]
fn what_could_tell_runs_cold() {
    for (keys, words) in [
        ("", "trap : EXIT"),
        ("", "true $$"),
        ("", "for i in 1; do break 2; done"),
        ("", "true kill"),
        ("", "eval :"),
        ("", "true <<E\nunended"),
        ("shell = ['bash', '-e', '-c']", "true $((1 + 1))"),
        ("shell = ['bash', '-c']", "true"),
        ("shell = ['bash', '-l', '-e', '-c']", "true"),
        (
            "shell = ['bash', '-e', '-c']\nenv = { BASH_ENV = '/dev/null' }",
            "true",
        ),
    ] {
        let test = folder();
        // The unended here-document must be the last.
        test.manifest(&several(3, keys, &format!("{GROUP}; {words}")));
        test.run(ONE).exits(0);
        assert_eq!(distinct(&groups(&test)), 3, "{keys} {words}");
    }
}

#[test]
fn an_unknown_shell_runs_cold() {
    let test = folder();
    test.write("mine", "");
    std::fs::copy(which::which("dash").unwrap(), test.path("mine")).unwrap();
    let shell = test.path("mine");
    test.manifest(&several(
        3,
        &format!("shell = ['{}', '-e', '-c']", shell.display()),
        GROUP,
    ));
    test.run(ONE).exits(0);
    assert_eq!(distinct(&groups(&test)), 3);
}

#[test]
fn a_failure_and_files_left_behind_renew_the_folders_and_not_the_shell() {
    let test = folder();
    test.manifest(&several(
        6,
        "",
        &format!(
            "{GROUP}; echo > $TMPDIR/x; cp $INPUT_FILE $OUTPUT_DIR/copy\n\
             test \"$(ls $TMPDIR)\" = x; test \"$(ls $OUTPUT_DIR | wc -l)\" -eq 2\n\
             grep -q 3 $INPUT_FILE && rm $INPUT_FILE && exit 7; true"
        ),
    ));
    test.run(ONE).exits(1).says("exit status 7");
    let groups = groups(&test);
    assert_eq!((groups.len(), distinct(&groups)), (5, 1));
    let copies: Vec<Vec<u8>> = test.finals().remove("copy").unwrap();
    assert_eq!(copies, [b"1\n", b"2\n", b"4\n", b"5\n", b"6\n"]);
}

#[test]
fn what_is_left_in_the_background_ends_the_shell_too() {
    let test = folder();
    test.manifest(&several(
        4,
        "",
        &format!("{GROUP}; if grep -q 2 $INPUT_FILE; then sleep 60 & echo $! >> $COUNT; fi"),
    ));
    let ran = test.run(ONE).exits(0);
    let ran = ran.says("left processes running in the background; they were ended");
    assert!(ran.elapsed.as_secs() < 30);
    assert_eq!(ran.stderr.matches("left processes").count(), 1, "{ran}");
    assert_eq!(distinct(&groups(&test)), 2);
    assert!(!is_alive(&test.count()[0]));
}

#[test]
fn few_shells_are_kept() {
    let mut manifest = "[[step]]\nname = 'begin'\nstart = true\n\
        script = 'for i in $(seq 12); do for j in 1 2; do echo $i$j > $OUTPUT_DIR/${j}_s$i; done; done'\n"
        .to_owned();
    for step in 1..=12 {
        // The warm shells of the moment: those whose text names a FIFO of this worker.
        let _ = write!(
            manifest,
            "[[step]]\nname = 's{step}'\nwarm = true\nscript = '''
            cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' |
            grep -c \"^exec 7>&1 1<>.*${{TMPDIR%/*/tmp}}/\" > $OUTPUT_DIR/alive || true'''\n"
        );
    }
    let test = folder();
    test.manifest(&manifest);
    test.run(ONE).exits(0);
    let alive = test.finals().remove("alive").unwrap();
    assert_eq!(alive.len(), 24);
    for count in alive {
        let count: u32 = String::from_utf8(count).unwrap().trim().parse().unwrap();
        // Four that wait, the task's own, and what it forks.
        assert!((2..=8).contains(&count), "{count}");
    }
}

#[test]
fn names_of_inputs_arrive_to_the_byte() {
    let mut names: Vec<String> = [
        " lead",
        "trail ",
        "two  blanks",
        "tab\there",
        "a'b",
        "a\"b",
        "back\\slash",
        "\\n",
        "\\",
        "$HOME",
        "$(true)",
        "`true`",
        "*",
        "-n",
        "+",
        "ünï",
        "日本語",
        "a\u{301}",
        "\u{a0}",
        "%s",
        "new\nline",
        "cr\rx",
        "\u{1b}[0m",
        "#",
        "~",
        "a=b",
        "&",
        ";",
        "!",
        "\u{7f}",
        "\u{1}",
    ]
    .iter()
    .map(|name| format!("{name}_work"))
    .collect();
    // Every byte that UTF-8 has after the first of a character.
    names.push(
        (0x80_u32..0x100)
            .filter_map(char::from_u32)
            .take(60)
            .collect::<String>()
            + "_work",
    );
    names.push(
        (0xc0_u32..0x100)
            .filter_map(char::from_u32)
            .collect::<String>()
            + "_work",
    );
    for (shell, locale) in [("dash", "C.UTF-8"), ("bash", "C.UTF-8"), ("bash", "C")] {
        let test = folder();
        for name in &names {
            test.write(&format!("names/{name}"), name);
        }
        test.manifest(&format!(
            "[[step]]\nname = 'begin'\nstart = true\nscript = 'cp names/* $OUTPUT_DIR'\n\
             [[step]]\nname = 'work'\nwarm = true\nshell = ['{shell}', '-e', '-c']\n\
             env = {{ LC_ALL = '{locale}' }}\nscript = '''
             printf %s \"$TASK_PIPELINE_INPUT_NAME\" > $OUTPUT_DIR/name; {GROUP}
             printf %s \"$TASK_PIPELINE_INPUT_NAME\" | cmp - $INPUT_FILE'''\n"
        ));
        test.run(ONE).exits(0);
        let mut given = test.finals().remove("name").unwrap();
        given.sort();
        let mut names: Vec<Vec<u8>> = names.iter().map(|name| name.clone().into_bytes()).collect();
        names.sort();
        assert!(given == names, "{shell}");
        // The one with a line end alone has a shell of its own.
        assert_eq!(distinct(&groups(&test)), 2, "{shell}");
    }
}

#[test]
fn check_says_what_is_in_the_way() {
    let test = folder();
    test.manifest(
        "[defaults]\nwarm = true\n[[step]]\nname = 'a'\nstart = true\nscript = 'trap : EXIT'\n\
         [[step]]\nname = 'b'\nscript = ':'\n[[step]]\nname = 'c'\nwarm = false\nscript = 'trap : EXIT'\n",
    );
    let ran = test.run(["check"]).exits(0);
    assert_eq!(ran.stdout.matches("trap").count(), 1, "{ran}");
    ran.prints("one for each task: the script mentions `trap`");
}

/// One that takes its shell, and whose commands are known.
const KNOWN: &str = "if test -s $INPUT_FILE; then tr a-z A-Z < $INPUT_FILE > $OUTPUT_DIR/x; else : > $OUTPUT_DIR/x; fi";

/// What launched ten tasks of a step with this script that does not say whether it is to be warm.
fn launches(test: &Test, keys: &str, script: &str) -> Vec<String> {
    test.manifest(&several(10, keys, script).replace("warm = true\n", ""));
    let arguments = ["-run", "-parallel", "1", "-trace", "trace"];
    test.run(arguments).exits(0);
    test.launches("trace", |step| step == "work")
}

#[test]
fn many_tasks_are_warm_by_default_where_nobody_can_tell() {
    let warm = [vec!["shell"; 4], vec!["warm"; 6]].concat();
    let cold = vec!["shell"; 10];
    for shell in ["dash", "bash"] {
        let keys = format!("shell = ['{shell}', '-e', '-c']\n");
        assert_eq!(launches(&folder(), &keys, KNOWN), warm, "{shell}");
        let off = format!("{keys}warm = false");
        assert_eq!(launches(&folder(), &off, KNOWN), cold, "{shell}");
    }
    for script in [
        "sh ./helper; :",
        "cat /proc/self/stat; :",
        "x=tr; $x a b < $INPUT_FILE",
    ] {
        let test = folder();
        test.write("helper", "");
        assert_eq!(launches(&test, "", script), cold, "{script}");
    }
}

#[test]
fn a_script_under_a_well_known_name_is_not_known() {
    let test = folder();
    test.write("bin/tr", "#!/bin/sh\n/usr/bin/tr \"$@\"\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(test.path("bin/tr"), mode).unwrap();
    test.manifest(&several(10, "", KNOWN).replace("warm = true\n", ""));
    let mut command = test.command(["-run", "-parallel", "1", "-trace", "trace"]);
    let path = format!("{}:/usr/bin:/bin", test.path("bin").display());
    command.env("PATH", path);
    crate::harness::Running::start(command).end().exits(0);
    let launches = test.launches("trace", |step| step == "work");
    assert_eq!(launches, vec!["shell"; 10]);
}

#[test]
fn check_says_which_way_each_step_goes() {
    let test = folder();
    let mut manifest = String::new();
    for (number, (script, keys)) in [
        (KNOWN, ""),
        (KNOWN, "warm = false"),
        ("tr a b < $INPUT_FILE > $OUTPUT_DIR/x", ""),
        ("python3 x; :", ""),
        ("python3 x; :", "warm = true"),
    ]
    .into_iter()
    .enumerate()
    {
        let start = number == 0;
        let _ = write!(
            manifest,
            "[[step]]\nname = 's{number}'\nstart = {start}\n{keys}\nscript = '''{script}'''\n"
        );
    }
    test.manifest(&manifest);
    let ran = test.run(["check"]).exits(0);
    let told = ran.stdout.lines();
    let told = told.filter_map(|line| line.strip_prefix("  shell     "));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            "warm, once many tasks wait",
            "one for each task: `warm = false`",
            "none: its programs are started directly",
            "one for each task: `python3` in the script is not known (`warm = true` accepts that)",
            "warm",
        ]
    );
}
