//! `init`: a pipeline to begin with, from the templates that are in the program.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueHint};
use include_dir::{Dir, DirEntry, include_dir};

use super::copied::is_in_git;
use super::error::Failure;
use super::options::Places;
use super::{output, own};
use crate::state::Layout;
use crate::text::suggest::closest;
use crate::text::typed::value_for_shell;
use crate::text::{Shown as _, visible};

static TEMPLATES: Dir = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// What each is, in the order in which they are listed.
pub(super) const KNOWN: [(&str, &str); 9] = [
    (
        "default",
        "a small pipeline, explained: fan-out, routes, an environment for each step",
    ),
    (
        "data",
        "many input files, several environments, results as files",
    ),
    (
        "samples",
        "a sheet of samples with paired files, a reference, one report on all of them",
    ),
    ("words", "counts of many files, merged into one table"),
    (
        "matrix",
        "builds and tests in a matrix of modes and shells, with a summary",
    ),
    ("site", "a static site: pages, a list of them, a feed"),
    (
        "ci",
        "a pipeline as a CI job: flake check, GitHub workflow, locked",
    ),
    (
        "cluster",
        "the same pipeline on a laptop, over ssh and on Slurm",
    ),
    ("nixos", "a NixOS machine that runs a pipeline every night"),
];

/// Options of `init`.
#[derive(Debug, Args)]
#[command(after_help = help())]
pub(super) struct Options {
    /// The template
    #[arg(value_name = "TEMPLATE", default_value = "default")]
    template: String,
    /// The folder to write it to; made if missing
    #[arg(value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    folder: PathBuf,
}

fn help() -> String {
    let mut text = "Templates:\n".to_owned();
    for (name, what) in KNOWN {
        let _ = writeln!(text, "  {name:<8} {what}");
    }
    text.push_str("\nExisting files are not replaced. `nix flake init -t task-pipeline#TEMPLATE` does the same.");
    text
}

/// Writes the files.
pub(super) fn main(places: &Places, options: &Options) -> Result<ExitCode, Failure> {
    let name = options.template.as_str();
    let Some(template) = known(name) else {
        let names = KNOWN.map(|(name, _)| name);
        let failure = Failure::usage(format!("there is no template {}", visible(name)));
        return Err(match closest(name, names) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure.hint(format!(
                "there are {}; `init default{}` makes that folder, with a first pipeline",
                names.join(", "),
                value_for_shell(folder_of(name), "DIR")
            )),
        });
    };
    let files = files(template);
    let folder = options.folder.as_path();
    if Layout::new(&places.db).database().exists() {
        own::check_folder(&own::own(places), folder, "init TEMPLATE DIR")?;
    }
    let at = |path: &Path| folder.join(path);
    let there = files.iter().map(|(path, _)| at(path));
    let there: Vec<String> = there
        .filter(|path| fs::symlink_metadata(path).is_ok())
        .map(|path| path.shown().to_string())
        .collect();
    if !there.is_empty() {
        return Err(Failure::usage(format!(
            "{} {} there, and nothing is replaced; nothing was written",
            there.join(", "),
            if there.len() == 1 { "is" } else { "are" }
        ))
        .hint(format!("name another folder: `init {name} DIR`")));
    }
    let mut text = String::new();
    for (path, bytes) in &files {
        let to = at(path);
        if let Err(error) = write(&to, bytes) {
            // What was written would be in the way of the next `init`.
            for (path, _) in files.iter().take_while(|(other, _)| other != path) {
                let _ = fs::remove_file(at(path));
            }
            let failure = Failure::cannot(format_args!("write {}", to.shown()), &error);
            let kinds = [io::ErrorKind::AlreadyExists, io::ErrorKind::NotADirectory];
            return Err(if kinds.contains(&error.kind()) {
                failure.hint("a file is there: name a folder, or one that is not there yet")
            } else {
                failure
            });
        }
        let _ = writeln!(text, "{}", to.shown());
    }
    let _ = write!(text, "\n{}", next(name, folder));
    output::print_as_it_is(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The folder of one that there is.
fn known(name: &str) -> Option<&'static Dir<'static>> {
    KNOWN.iter().find(|(known, _)| *known == name)?;
    TEMPLATES.get_dir(name)
}

/// Its files, with their paths below it.
fn files(template: &'static Dir<'static>) -> Vec<(&'static Path, &'static [u8])> {
    let mut found = Vec::new();
    let mut folders = vec![template];
    while let Some(folder) = folders.pop() {
        for entry in folder.entries() {
            match entry {
                DirEntry::Dir(inner) => folders.push(inner),
                DirEntry::File(file) => {
                    let path = file.path().strip_prefix(template.path());
                    found.push((path.unwrap_or_else(|_| file.path()), file.contents()));
                }
            }
        }
    }
    found.sort_unstable();
    found
}

fn write(to: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    let made = fs::OpenOptions::new().write(true).create_new(true).open(to);
    made.and_then(|mut file| {
        let written = io::Write::write_all(&mut file, bytes);
        if written.is_err() {
            let _ = fs::remove_file(to);
        }
        written
    })
}

/// The folder as it can stand behind a command: a word with a dash is an option.
fn folder_of(path: impl AsRef<Path>) -> PathBuf {
    let path = path.as_ref();
    if path.as_os_str().is_empty() || path.as_os_str().as_bytes().starts_with(b"-") {
        return Path::new(".").join(path);
    }
    path.to_owned()
}

/// What to do now.
fn next(name: &str, folder: &Path) -> String {
    let mut text = String::new();
    if folder != Path::new(".") {
        let _ = writeln!(text, "cd{}", value_for_shell(folder_of(folder), "DIR"));
    }
    if name == "nixos" {
        text.push_str("nix flake check   # README.md says how to go on\n");
        return text;
    }
    text.push_str("task-pipeline run                 # with -host-env if there is no Nix\n");
    text.push_str("task-pipeline export -to results   # the results as files\n");
    if !is_in_git(folder) {
        text.push_str(
            "\nNix copies a folder that is not in a Git repository to its store as it is, db and all, at each call: use `git init` \
             and `git add` before `nix run`, or keep the db in a folder elsewhere with -db DIR.\n",
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_templates_are_known_and_whole() {
        let mut folders: Vec<&str> = TEMPLATES
            .dirs()
            .filter_map(|folder| folder.path().to_str())
            .collect();
        let mut names = KNOWN.map(|(name, _)| name).to_vec();
        folders.sort_unstable();
        names.sort_unstable();
        assert_eq!(names, folders);
        for (name, _) in KNOWN {
            let files = files(known(name).unwrap());
            let has = |wanted: &str| files.iter().any(|(path, _)| *path == Path::new(wanted));
            for wanted in ["workflow.toml", "flake.nix", "README.md", ".gitignore"] {
                assert!(has(wanted), "{name}: {wanted}");
            }
        }
    }
}
