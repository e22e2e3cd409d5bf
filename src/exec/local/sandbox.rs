//! Scripts in a sandbox: how they are started, what keeps them from it, and what they may have missed.

mod closed;
mod seen;

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::model::name::StepName;
use crate::process::Invocation;
use crate::sys::sandbox::{self, Covered, SETTINGS, Shown, View};
use crate::text::{Shown as _, quoted, visible};

pub(crate) use seen::{Scene, secret};

/// This program, as processes that it starts find it.
pub(super) const OWN: &str = "/proc/self/exe";

/// The sandbox of a step's scripts.
#[derive(Debug)]
pub(crate) struct Sandbox {
    step: StepName,
    view: View,
    problem: Option<Problem>,
    /// Files that the script names and that are there outside alone; known once somebody has looked.
    unseen: OnceLock<Vec<String>>,
}

/// Why no script can run in a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    /// What the step's packages need is not known yet.
    Unresolved,
    /// What the script is given to is not seen in there.
    NoShell {
        /// Where it is.
        program: PathBuf,
        /// Whether the step has packages.
        packages: bool,
    },
    /// The manifest's folder is where a sandbox has something of its own.
    Hidden(PathBuf),
    /// This folder, of which nothing may be seen, is in one that a sandbox of a step without packages shows.
    Shown(PathBuf),
    /// The system makes none: in its words.
    Refused(String),
    /// This system has none.
    NotHere,
}

impl Problem {
    /// In words that follow the step's name.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Unresolved => "what its packages need is not known yet".to_owned(),
            Self::NoShell { program, .. } => format!(
                "its shell would be {}, which no sandbox of it shows",
                program.shown()
            ),
            Self::Hidden(folder) => format!(
                "its scripts would start in {}, where a sandbox has something of its own",
                folder.shown()
            ),
            Self::Shown(folder) => format!(
                "its scripts would see all that is in {}, as they see the programs of the host there",
                folder.shown()
            ),
            Self::Refused(words) => visible(words),
            Self::NotHere => "this system has no namespaces to make it of".to_owned(),
        }
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Unresolved => "-run resolves them",
            Self::NoShell { packages: true, .. } => {
                "add a package with that shell, for instance \"bash\", which has `sh`, too"
            }
            Self::NoShell { .. } => {
                "a step without packages sees /usr, /bin, /lib and /etc alone; give it packages"
            }
            Self::Hidden(_) => "have the manifest in another folder",
            Self::Shown(_) => {
                "have the manifest and the db outside of /usr, /bin, /sbin, /lib and /etc, or give the step packages"
            }
            Self::Refused(_) => {
                "it takes Linux 5.12 and user namespaces: see the sysctls user.max_user_namespaces, kernel.unprivileged_userns_clone and \
                 kernel.apparmor_restrict_unprivileged_userns, and what a container allows; sandbox = false runs the script without"
            }
            Self::NotHere => "run it on Linux, or without `sandbox`",
        }
    }
}

impl Sandbox {
    /// One with that view, of a step; `problem`: what is known to be in its way.
    pub(crate) fn new(step: StepName, view: View, problem: Option<Problem>) -> Self {
        Self {
            step,
            view,
            problem,
            unseen: OnceLock::new(),
        }
    }

    /// The step.
    pub(crate) fn step(&self) -> &StepName {
        &self.step
    }

    /// What is known to be in its way.
    pub(crate) fn problem(&self) -> Option<&Problem> {
        self.problem.as_ref()
    }

    /// Makes one, in the folder `place`, and lets go of it again: whether that can be done.
    pub(crate) fn probe(&self, place: &Path) -> Result<(), Problem> {
        if !cfg!(target_os = "linux") {
            return Err(Problem::NotHere);
        }
        let failed = |error: io::Error| Problem::Refused(error.to_string());
        let file = place.join("view");
        self.write(&file, []).map_err(failed)?;
        let output = Command::new(OWN)
            .arg(sandbox::ENTRY)
            .args([&file, place])
            // It has no use for any, and a secret may be among them.
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .map_err(failed)?;
        fs::remove_file(&file).map_err(failed)?;
        if output.status.success() {
            return Ok(());
        }
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(Problem::Refused(if words.is_empty() {
            crate::process::describe(output.status)
        } else {
            words
        }))
    }

    /// Writes down what is seen in it. `leads`: files of the host to which links lead that its task is given.
    pub(crate) fn write<'p>(
        &self,
        file: &Path,
        leads: impl IntoIterator<Item = &'p Path>,
    ) -> io::Result<()> {
        let leads = leads.into_iter().map(|path| Shown {
            // There are no mounts over links.
            from: fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
            at: path.to_owned(),
            folder: false,
        });
        let leads: Vec<Shown> = leads.collect();
        fs::write(file, self.view.to_bytes(&leads, &self.covered()))
    }

    /// What of that which is seen is covered.
    fn covered(&self) -> Vec<Covered> {
        let settings = Path::new(SETTINGS);
        let mut shown = self.view.shown.iter();
        if rustix::process::geteuid().is_root() && shown.any(|one| one.at == settings) {
            closed::closed(settings)
        } else {
            Vec::new()
        }
    }

    /// What starts the same in the sandbox, for the task in `folder`. `view`: where [`Self::write`] wrote.
    pub(super) fn around(
        invocation: Invocation,
        view: &Path,
        folder: &Path,
    ) -> io::Result<Invocation> {
        let words = [
            OsStr::new(sandbox::ENTRY),
            view.as_os_str(),
            folder.as_os_str(),
        ];
        invocation.within(Path::new(OWN), &words)
    }

    /// What starts the same in one sandbox after the other: its server, which tells by the FIFO.
    pub(super) fn server(
        invocation: Invocation,
        view: &Path,
        fifo: &Path,
    ) -> io::Result<Invocation> {
        let [entry, server] = [sandbox::ENTRY, sandbox::SERVER].map(OsStr::new);
        let words = [entry, server, view.as_os_str(), fifo.as_os_str()];
        invocation.within(Path::new(OWN), &words)
    }

    /// The same as a command.
    pub(crate) fn command(view: &Path, folder: &Path, program: &Path) -> Command {
        let mut command = Command::new(OWN);
        command.arg(sandbox::ENTRY).args([view, folder, program]);
        command
    }

    /// Remembers which files the script names that are not seen in there.
    pub(crate) fn lacks(&self, files: Vec<String>) {
        // Who looks again finds the same.
        let _ = self.unseen.set(files);
    }

    /// What a script may have failed for: something that is there outside, and not seen in there. It had these
    /// last words.
    pub(super) fn hint(&self, words: &str) -> Option<String> {
        let named = self.unseen.get().into_iter().flatten().cloned();
        let named = named.filter(|path| self.is_one(path));
        let missed = words.lines().filter(|line| line.contains("No such file"));
        let missed = missed.flat_map(|line| {
            let parts = line.split([':', '\'', '"', '`', '‘', '’', ' ']);
            parts.filter(|part| self.is_outside_alone(part))
        });
        let mut all: Vec<String> = named.chain(missed.map(str::to_owned)).collect();
        all.sort();
        all.dedup();
        all.truncate(5);
        let (outside, beside): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|path| path.starts_with('/'));
        let list = |paths: &[String]| {
            let quoted: Vec<String> = paths.iter().map(|path| quoted(path)).collect();
            quoted.join(", ")
        };
        let mut hints = Vec::new();
        if !beside.is_empty() {
            let globs: Vec<String> = beside.iter().map(|path| format!("{path:?}")).collect();
            hints.push(format!(
                "hint: {} is there, and the sandbox does not show it: add {} to the step's `files`",
                list(&beside),
                globs.join(", ")
            ));
        }
        if !outside.is_empty() {
            hints.push(format!(
                "hint: {} is there, and no sandbox shows it: a link in the manifest's folder that leads to it can be one of the step's `files`",
                list(&outside)
            ));
        }
        (!hints.is_empty()).then(|| hints.join("\n"))
    }

    /// Whether that is a file, or a pattern of files in some folder. A pattern without one may be about any folder,
    /// wherever the script has gone.
    fn is_one(&self, path: &str) -> bool {
        let full = self.view.folder.join(path);
        let folder = path.rfind('/').map_or("", |end| &path[..end]);
        fs::symlink_metadata(full).is_ok() || !folder.is_empty()
    }

    /// Whether one of these folders, as the host calls them, lies where a sandbox shows the host's programs.
    pub(crate) fn shows(&self, folders: &[&Path]) -> Option<PathBuf> {
        let mut folders = folders.iter().filter_map(|at| fs::canonicalize(at).ok());
        folders.find(|folder| {
            let mut shown = self.view.shown.iter().filter(|one| one.folder);
            shown.any(|one| one.from == one.at && folder.starts_with(&one.from))
        })
    }

    /// Whether there is something of that path outside, and nothing of it in the sandbox.
    fn is_outside_alone(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        if path.is_empty() || path == "." || path == ".." {
            return false;
        }
        let full = self.view.folder.join(path);
        let is_seen = |at: &PathBuf| full.starts_with(at) || at.starts_with(&full);
        fs::symlink_metadata(&full).is_ok()
            && full != Path::new("/")
            && !self.view.shown.iter().any(|one| is_seen(&one.at))
            && !self.view.links.iter().any(|(at, _)| is_seen(at))
    }
}
