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
        "the name of an output says where it goes: `x_STEP.txt` goes to that step",
    ),
    (
        &["inputs", "input", "in", "source", "sources", "src"],
        "a task works on \"$INPUT_FILE\": a file that another step leaves, called `x_STEP.txt` or taken by `from`, or one that an \
         [[input]] brings with step = \"…\"; list whatever else the script reads in `files`",
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
        "list programs in `packages`, and Nix provides them: packages = [\"samtools\"]; without it, scripts use the \
         host's",
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
        "no container is needed: `packages` names the programs, and with `sandbox = true` a task sees only those \
         and its input",
    ),
    (
        &["when", "if", "unless", "condition", "rules", "only"],
        "a step runs once for each file that comes to it: to keep it from running, let the step before it leave no \
         such file",
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
        "a step runs once for each file that comes to it: leave one for each value, or read the values with an \
         [[input]] \
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
        "scripts start in the manifest's folder, or where -workdir says; use `cd` in the script for another folder",
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
        "the script is the whole command; its input is in \"$INPUT_FILE\", set variables with `env`, and declare \
         values that come from the command line in [params]",
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
        "`memory` needs a unit: memory = \"4G\"",
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
        "`timeout` needs a unit: timeout = \"10m\"",
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
        "what a task leaves in \"$OUTPUT_DIR\" is kept; `outputs` says which names it may have, `publish` where to \
         put it as a file",
    ),
    (
        &["schedule", "cron", "on"],
        "runs are started from outside: by cron, or by a timer, which the modules for NixOS and home-manager set up",
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
        "describe the whole pipeline in a comment: # …",
    ),
    (
        &["config", "vars", "variables", "parameters", "args"],
        "declare values that a run can be given in [params]; set variables for all scripts with `env` in [defaults]",
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
        "put what applies to all steps in [defaults], and how much there is of something that tasks share in [limits]",
    ),
    (
        &["output", "outputs", "results", "outdir"],
        "to have final outputs as files in a folder, add [publish] with dir = \"results\"",
    ),
    (
        &["schedule", "cron", "on", "trigger"],
        "runs are started from outside: by cron, or by a timer, which the modules for NixOS and home-manager set up",
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
