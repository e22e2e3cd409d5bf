//! What GitLab, Forgejo and Gitea are told of failures: what is long can be folded away.

use std::process::Output;

use super::runner::hear;
use super::text;
use crate::harness::Test;

/// Two tasks that fail: one says much of it, and means to have GitLab and others believe things.
const FAILURES: &str = r#"
[[step]]
name = "split"
start = true
script = 'for i in short long; do echo $i > "$OUTPUT_DIR/${i}_work"; done'

[[step]]
name = "work"
parallel = 1
script = '''
[ "$(cat "$INPUT_FILE")" = short ] && exit 3
printf '\033[0Ksection_start:1:fake\r\033[0Kfake\n::group::fake\n::error::fake\nfourth 50%%25\n' >&2
exit 7
'''
"#;

fn run(variables: &[&str]) -> Output {
    let test = Test::with(FAILURES);
    let mut command = test.command(&["-run"]);
    command.envs(variables.iter().map(|name| (name, "true")));
    let done = command.output().unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert_eq!(text(&done.stdout), "");
    done
}

#[test]
fn on_gitlab_a_long_failure_is_a_section() {
    let done = run(&["GITLAB_CI"]);
    let told = text(&done.stderr);
    // As its log reads them: a marker has these four characters behind it.
    let markers: Vec<&str> = told
        .match_indices("\r\u{1b}[0K")
        .map(|(at, _)| told[..at].rsplit("\u{1b}[0K").next().unwrap())
        .collect();
    let [start, end] = markers.as_slice() else {
        panic!("{told:?}");
    };
    let name = start.strip_prefix("section_start:").unwrap();
    assert_eq!(end.strip_prefix("section_end:").unwrap(), name);
    let head = told.split_once("\r\u{1b}[0K").unwrap().1;
    let section = head.split_once("\u{1b}[0Ksection_end:").unwrap().0;
    assert!(section.starts_with("work #"), "{told}");
    assert!(
        section.lines().next().unwrap().ends_with("exit status 7"),
        "{told}"
    );
    assert!(section.ends_with("  fourth 50%25\n"), "{told}");
    assert!(told.contains(": exit status 3\n"), "{told}");
}

#[test]
fn on_forgejo_a_long_failure_is_a_group_and_no_annotation() {
    for forge in ["FORGEJO_ACTIONS", "GITEA_ACTIONS"] {
        let done = run(&["GITHUB_ACTIONS", forge]);
        let told = text(&done.stderr);
        let (heard, listens) = hear(told);
        let names: Vec<&str> = heard.iter().map(|command| command.name.as_str()).collect();
        assert_eq!(names, ["group", "endgroup"], "{told}");
        assert!(listens);
        assert!(heard[0].data.ends_with("exit status 7"), "{told}");
        let group = told.split_once("::group::work").unwrap().1;
        assert!(group.contains("  fourth 50%25\n"), "{told}");
    }
}
