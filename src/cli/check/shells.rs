//! Shells that would not run the script: a program that is not there, and one that takes the script for a file.

use std::path::Path;

use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::{Step, StepPlaces};
use crate::prepare::Source;
use crate::script::survey;
use crate::text::quoted;
use crate::text::suggest::closest;

/// Programs that run a file unless an option says that the text is there itself: the options that do, and how such a
/// `shell` is written.
const OF_FILES: &[(&[&str], &[&str], &str)] = &[
    (
        &["bash", "zsh"],
        &["c"],
        "[\"PROGRAM\", \"-euo\", \"pipefail\", \"-c\"]",
    ),
    (
        &["sh", "dash", "ash", "ksh", "mksh"],
        &["c"],
        "[\"PROGRAM\", \"-e\", \"-c\"]",
    ),
    (
        &["python", "python2", "python3", "pypy3"],
        &["c", "m"],
        "[\"PROGRAM\", \"-c\"]",
    ),
    (&["perl", "ruby"], &["e", "E"], "[\"PROGRAM\", \"-e\"]"),
    (
        &["node", "nodejs", "bun"],
        &["e", "p", "eval", "print"],
        "[\"PROGRAM\", \"-e\"]",
    ),
    (
        &["Rscript", "julia", "lua"],
        &["e", "E", "eval", "print"],
        "[\"PROGRAM\", \"-e\"]",
    ),
    (&["php"], &["r"], "[\"PROGRAM\", \"-r\"]"),
];

/// One warning per step, of those that are asked for, whose `shell` cannot be meant so.
pub(super) fn of(source: &Source, asked: &dyn Fn(&Step) -> bool) -> Vec<Diagnostic> {
    let on_path = |program: &str| which::which(program).is_ok();
    let steps = source.manifest.steps.iter().zip(&source.manifest.places);
    steps
        .filter(|(step, _)| asked(step))
        .filter_map(|(step, places)| wrong(step, places, &on_path))
        .collect()
}

fn wrong(step: &Step, places: &StepPlaces, on_path: &dyn Fn(&str) -> bool) -> Option<Diagnostic> {
    let program = step.shell.first()?;
    let name = quoted(step.name.as_str());
    let at = places.shell.clone().unwrap_or_else(|| places.step.clone());
    // Where packages come first, or the tasks run elsewhere, other programs are there than here.
    let is_of_here = step.packages.is_empty() && step.executor.is_none() && !step.sandbox;
    let is_there = if Path::new(program).is_absolute() {
        Path::new(program).exists()
    } else {
        program.contains('/') || on_path(program)
    };
    if is_of_here && !is_there {
        let known = OF_FILES
            .iter()
            .flat_map(|(names, ..)| names.iter().copied());
        let hint = match closest(program, known) {
            Some(near) if near != program => format!("did you mean \"{near}\"?"),
            Some(_) | None => {
                "add the package that has it to the step's `packages`, or install it".to_owned()
            }
        };
        let message = format!(
            "step {name}: its `shell` starts {}, and there is no such program on this machine",
            quoted(program)
        );
        return Some(Diagnostic::at(at, message).hint(hint));
    }
    let words = survey::started(&step.shell);
    let (program, arguments) = words.split_first()?;
    let base = program.rsplit('/').next().unwrap_or_default();
    let (_, options, form) = OF_FILES.iter().find(|(names, ..)| names.contains(&base))?;
    takes_a_file(arguments, options).then(|| {
        let message = format!(
            "step {name}: {} takes the script for the name of a file",
            quoted(&step.shell.join(" "))
        );
        let form = form.replace("PROGRAM", program);
        Diagnostic::at(at, message).hint(format!("write shell = {form}"))
    })
}

/// Whether none of the arguments says that the next word is the text, or names a file that is to have it.
fn takes_a_file(arguments: &[String], options: &[&str]) -> bool {
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let Some(option) = argument.strip_prefix(['-', '+']) else {
            return false;
        };
        if let Some(long) = option.strip_prefix('-') {
            if options.contains(&long) {
                return false;
            }
            continue;
        }
        if options.iter().any(|letter| option.ends_with(letter)) {
            return false;
        }
        // `-euo pipefail`: its value is no file.
        if option.ends_with(['o', 'O', 'W', 'X', 'I', 'M', 'r']) {
            arguments.next();
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use crate::manifest::Manifest;

    fn told(keys: &str) -> Option<(String, String)> {
        let text = format!("[[step]]\nname = 'a'\nstart = true\n{keys}\nscript = 'echo'\n");
        let manifest = Manifest::parse(&text).unwrap();
        let on_path = |program: &str| program != "bahs" && program != "frobnicate";
        let found = super::wrong(&manifest.steps[0], &manifest.places[0], &on_path)?;
        Some((found.message, found.hint.unwrap()))
    }

    #[test]
    fn a_shell_that_takes_the_script_for_a_file_is_told() {
        for (shell, form) in [
            ("['bash']", r#"["bash", "-euo", "pipefail", "-c"]"#),
            (
                "['bash', '-euo', 'pipefail']",
                r#"["bash", "-euo", "pipefail", "-c"]"#,
            ),
            ("['/bin/sh', '-e']", r#"["/bin/sh", "-e", "-c"]"#),
            ("['env', 'bash']", r#"["bash", "-euo", "pipefail", "-c"]"#),
            ("['python3']", r#"["python3", "-c"]"#),
            ("['python3', '-W', 'error']", r#"["python3", "-c"]"#),
            ("['Rscript', '--vanilla']", r#"["Rscript", "-e"]"#),
        ] {
            let (message, hint) = told(&format!("shell = {shell}")).expect(shell);
            assert!(
                message.ends_with("takes the script for the name of a file"),
                "{message}"
            );
            assert_eq!(hint, format!("write shell = {form}"));
        }
        for shell in [
            "['bash', '-c']",
            "['bash', '-euo', 'pipefail', '-c']",
            "['sh', '-ec']",
            "['bash', 'run.sh']",
            "['python3', '-c']",
            "['python3', '-u', 'tool.py']",
            "['python3', '-m', 'tool']",
            "['perl', '-ne']",
            "['node', '--eval']",
            "['julia', '--startup-file=no', '-e']",
            "['Rscript', '-e']",
            "['duckdb', '-bail', '-c']",
            "['busybox', 'sh', '-c']",
            "['./run.sh']",
        ] {
            assert_eq!(told(&format!("shell = {shell}")), None, "{shell}");
        }
    }

    #[test]
    fn a_shell_that_is_not_there_is_told() {
        let (message, hint) = told("shell = ['bahs', '-c']").unwrap();
        assert_eq!(
            message,
            "step `a`: its `shell` starts `bahs`, and there is no such program on this machine"
        );
        assert_eq!(hint, "did you mean \"bash\"?");
        let (_, hint) = told("shell = ['frobnicate']").unwrap();
        assert!(hint.starts_with("add the package"), "{hint}");
        // What there is is not known of what comes with packages, or is elsewhere.
        let packages = "shell = ['bahs', '-c']\npackages = ['x']";
        assert_eq!(told(packages), None);
        assert!(told("shell = ['/no/such/bash', '-c']").is_some());
    }
}
