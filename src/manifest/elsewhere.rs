//! Keys of other tools that have no namesake here: what there is in place of them.

use super::field::{Field, Place};

type Words = &'static [(&'static [&'static str], &'static str)];

/// In the table of a step, or of all.
const STEP: Words = &[
    (
        &[
            "needs",
            "depends",
            "depends_on",
            "dependsOn",
            "requires",
            "deps",
            "dependencies",
            "after",
            "upstream",
            "prerequisites",
            "wait_for",
            "run_after",
        ],
        "a step runs on the files that others leave for it: `x_STEP.txt` goes to the step STEP; from = [\"a\"] takes what step `a` leaves, \
         with = [\"a\"] waits for all of it. Programs are listed in `packages`",
    ),
    (
        &["next", "then", "to", "downstream", "before", "triggers"],
        "where an output goes is said by its name: `x_STEP.txt` goes to that step",
    ),
    (
        &["inputs", "input", "in", "source", "sources", "src"],
        "a task works on \"$INPUT_FILE\": a file that another step leaves, called `x_STEP.txt` or taken by `from`, or one that an \
         [[input]] brings with step = \"…\"; what the script reads besides is listed in `files`",
    ),
    (
        &[
            "conda",
            "mamba",
            "pip",
            "apt",
            "brew",
            "module",
            "modules",
            "spack",
            "guix",
            "nix",
            "requirements",
        ],
        "programs are listed in `packages`, and Nix brings them: packages = [\"samtools\"]; without it scripts find the host's",
    ),
    (
        &[
            "image",
            "container",
            "docker",
            "singularity",
            "apptainer",
            "podman",
            "oci",
        ],
        "no container is needed: `packages` names the programs, and `sandbox = true` shows a task those and its input alone",
    ),
    (
        &["when", "if", "unless", "condition", "rules", "only"],
        "a step runs once for each file that comes to it: where it is not to run, let the step before leave no such file",
    ),
    (
        &[
            "matrix",
            "foreach",
            "for_each",
            "scatter",
            "wildcards",
            "expand",
            "map",
            "items",
            "zip",
        ],
        "a step runs once for each file that comes to it: leave one for each value, or take the values in with an [[input]] \
         (rows = \"values.csv\"); `each` makes pairs of files",
    ),
    (
        &["log", "logs", "stdout", "stderr", "log_file"],
        "what tasks write is kept, and `log STEP` shows it",
    ),
    (
        &[
            "workdir",
            "work_dir",
            "cwd",
            "chdir",
            "working_directory",
            "working-directory",
        ],
        "scripts start in the manifest's folder, or where -workdir says; `cd` is a matter of the script",
    ),
    (
        &[
            "description",
            "desc",
            "doc",
            "comment",
            "help",
            "message",
            "tags",
            "tag",
            "labels",
            "label",
        ],
        "say it in a comment: # …",
    ),
    (
        &["interpreter", "language", "lang"],
        "`shell` is what starts the script: shell = [\"python3\", \"-c\"]",
    ),
    (
        &["args", "arguments", "argv", "stdin"],
        "the script is the whole command; its input is in \"$INPUT_FILE\", variables are set by `env`, values of the call by [params]",
    ),
    (
        &[
            "ignore_errors",
            "continue_on_error",
            "continue-on-error",
            "allow_failure",
            "error_strategy",
            "errorStrategy",
            "ignore_failure",
        ],
        "a failed task holds up only what follows from it; `partial = true` gathers without what failed, and a script that ends in \
         `|| true` does not fail",
    ),
    (
        &["mem_mb", "mem_gb", "memory_mb", "memory_gb", "mem_mib"],
        "`memory` has a unit: memory = \"4G\"",
    ),
    (
        &[
            "time",
            "walltime",
            "runtime",
            "timeout_minutes",
            "timeout-minutes",
            "timeout_seconds",
            "timeout_sec",
            "max_runtime",
        ],
        "`timeout` has a unit: timeout = \"10m\"",
    ),
    (
        &[
            "artifacts",
            "artifact",
            "produces",
            "creates",
            "targets",
            "target",
        ],
        "what a task leaves in \"$OUTPUT_DIR\" is kept; `outputs` says which names that has, `publish` where it stands as a file",
    ),
    (
        &["schedule", "cron", "on"],
        "a run is started from outside: by a timer, as the modules for NixOS and home-manager make it, or by cron",
    ),
];

/// At the top of a manifest.
const TOP: Words = &[
    (
        &[
            "version",
            "pipeline",
            "workflow",
            "project",
            "meta",
            "metadata",
            "description",
        ],
        "what is to be said of the whole pipeline is said in a comment: # …",
    ),
    (
        &["config", "vars", "variables", "parameters", "args"],
        "values that a run can be given are declared in [params]; variables of all scripts are set by `env` in [defaults]",
    ),
    (
        &[
            "resources",
            "settings",
            "options",
            "global",
            "globals",
            "common",
        ],
        "what holds for all steps is said in [defaults]; what there is of something that tasks share, in [limits]",
    ),
    (
        &["output", "outputs", "results", "outdir"],
        "final outputs stand as files in a folder with [publish] and in it dir = \"results\"",
    ),
    (
        &["schedule", "cron", "on", "trigger"],
        "a run is started from outside: by a timer, as the modules for NixOS and home-manager make it, or by cron",
    ),
];

/// What is said about a key that `place` cannot hold.
pub(super) fn instead(place: Place, key: &str) -> Option<&'static str> {
    match place {
        Place::Step | Place::Defaults => found(STEP, key),
        Place::Nix | Place::Store | Place::Cache | Place::Publish | Place::Input => None,
    }
}

/// The same above all tables, of keys and tables.
pub(super) fn instead_at_top(key: &str) -> Option<&'static str> {
    found(TOP, key)
}

fn found(words: Words, key: &str) -> Option<&'static str> {
    let (_, hint) = words.iter().find(|(keys, _)| keys.contains(&key))?;
    Some(hint)
}

/// The key of an input that is meant.
pub(super) fn of_input(key: &str) -> Option<Field> {
    Some(match key {
        "glob" | "globs" | "pattern" | "path" | "folder" | "directory" | "dir" => Field::Files,
        "csv" | "tsv" | "jsonl" | "sheet" | "samplesheet" | "samples" | "table" => Field::Rows,
        "command" | "cmd" | "run" | "exec" => Field::Lines,
        "to" | "target" | "goes_to" | "for" | "task" => Field::Step,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_there_is_has_something_instead() {
        for (place, words) in [(Place::Step, STEP), (Place::Defaults, STEP)] {
            for key in words.iter().flat_map(|(keys, _)| *keys) {
                assert_eq!(Field::at(place, key), None, "{key}");
                assert!(instead(place, key).is_some());
            }
        }
        let mut seen = Vec::new();
        for key in STEP.iter().flat_map(|(keys, _)| *keys) {
            assert!(!seen.contains(&key), "{key} is there twice");
            seen.push(key);
        }
        for key in ["glob", "csv", "cmd", "to"] {
            assert_eq!(Field::at(Place::Input, key), None);
        }
    }
}
