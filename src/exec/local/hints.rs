//! What the end of a script says that people new to shells may not know.

use std::process::ExitStatus;

/// What a shell exits with where it does not find a program, and where it cannot execute what it found.
const NOT_FOUND: i32 = 127;
const NO_PROGRAM: i32 = 126;

/// Of bash, and of no plain `sh`.
const BASH: [&str; 10] = [
    "[[",
    "source",
    "declare",
    "shopt",
    "mapfile",
    "readarray",
    "pushd",
    "popd",
    "let",
    "typeset",
];

/// What can be done about a script that ended so, with these last words; begins with a line end. `instead`: whether the
/// programs of the machine stand in for the step's packages.
pub(super) fn of(status: ExitStatus, words: &str, instead: bool) -> Option<String> {
    let how = if instead {
        "with -host-env programs are those of the machine: install it there, or run without -host-env"
    } else {
        "add the package that has it to the step's `packages`"
    };
    match status.code()? {
        NOT_FOUND => Some(match missing(words) {
            Some(program) if BASH.contains(&program) => format!(
                "\nhint: `{program}` is of bash: `shell = [\"bash\", \"-euo\", \"pipefail\", \"-c\"]` in the step has bash read the script"
            ),
            Some(program)
                if words.contains("No such file or directory")
                    && program.contains([' ', '$', '>', '|', ';']) =>
            {
                "\nhint: the shell took the script for the name of a file: the step's `shell` has to end in \"-c\", as in \
                 [\"bash\", \"-euo\", \"pipefail\", \"-c\"]"
                    .to_owned()
            }
            // The shell says so, too, of a program that begins with `#!` and a program that is not there.
            Some(path) if path.contains('/') => format!(
                "\nhint: there is no file {path:?}, or its first line names a program that is not there: scripts start in the \
                 manifest's folder"
            ),
            Some(program) => {
                format!("\nhint: {program:?} is no program that the script finds: {how}")
            }
            None => format!(
                "\nhint: 127 is what shells say of a program that they do not find: {how}"
            ),
        }),
        NO_PROGRAM => Some(
            "\nhint: 126 is what shells say of a file that cannot be executed: give it the mode (`chmod +x`) and a first line, or have a \
             shell read it"
                .to_owned(),
        ),
        _ => None,
    }
}

/// The program that a shell did not find, in the words of dash, bash, zsh or fish.
fn missing(words: &str) -> Option<&str> {
    let mut lines = words.lines().rev().map(str::trim_end);
    lines.find_map(|line| {
        let before = line
            .strip_suffix(": command not found")
            .or_else(|| line.strip_suffix(": not found"))
            .or_else(|| line.strip_suffix(": No such file or directory"));
        let name = match before {
            Some(before) => before.rsplit(": ").next(),
            None => line.split_once("ommand not found: ").map(|(_, name)| name),
        };
        let quotes = ['\'', '"', '`', '‘', '’'];
        name.map(|name| name.trim().trim_matches(quotes))
            .filter(|name| !name.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn the_program_is_named_as_each_shell_says_it() {
        for (words, program) in [
            ("sh: 1: jqq: not found", Some("jqq")),
            ("bash: line 3: jqq: command not found", Some("jqq")),
            (
                "first\n/nix/store/x/bin/bash: line 1: a b: command not found\n",
                Some("a b"),
            ),
            ("zsh:1: command not found: jqq", Some("jqq")),
            ("fish: Unknown command: jqq", None),
            ("env: 'jqq': No such file or directory", Some("jqq")),
            ("env: ‘jqq’: No such file or directory", Some("jqq")),
            ("sh: 1: ./local.sh: not found", Some("./local.sh")),
            ("", None),
        ] {
            assert_eq!(missing(words), program, "{words}");
        }
        let ended = |code: i32| ExitStatus::from_raw(code << 8);
        assert!(of(ended(127), "", false).is_some_and(|hint| hint.contains("packages")));
        let on_host = of(ended(127), "sh: 1: jqq: not found", true).unwrap();
        assert!(on_host.contains("\"jqq\" is no program") && on_host.contains("install it there"));
        assert!(!on_host.contains("`packages`"));
        let of_bash = of(ended(127), "sh: 1: [[: not found", true).unwrap();
        assert!(
            of_bash
                .contains("`[[` is of bash: `shell = [\"bash\", \"-euo\", \"pipefail\", \"-c\"]`")
        );
        let file = "bash: cat \"$INPUT_FILE\" > x: No such file or directory";
        let of_file = of(ended(127), file, false).unwrap();
        assert!(
            of_file.contains("took the script for the name of a file"),
            "{of_file}"
        );
        let link = of(ended(127), "sh: ./run.sh: No such file or directory", false).unwrap();
        assert!(link.contains("there is no file \"./run.sh\""), "{link}");
        let of_path = of(ended(127), "sh: 1: ./local.sh: not found", false).unwrap();
        assert!(of_path.contains("no file \"./local.sh\"") && !of_path.contains("packages"));
        assert!(of(ended(126), "", false).is_some());
        assert_eq!(of(ended(1), "sh: 1: jqq: not found", false), None);
        assert_eq!(of(ExitStatus::from_raw(9), "", false), None);
    }
}
