//! What scripts in a sandbox see of the machine that they are on.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Problem, Sandbox};
use crate::model::identity::Tools;
use crate::model::name::StepName;
use crate::sys::sandbox::{HOME, SECRETS, Shown, TASK, View};

/// Folders in which a system has its programs, and what they need.
const SYSTEM: [&str; 7] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc"];
/// Programs whose paths others have in them, and their names.
const WELL_KNOWN: [(&str, &str); 2] = [("/bin/sh", "sh"), ("/usr/bin/env", "env")];
/// Folders in which a sandbox has something of its own, of which nothing of the host is seen.
const HIDDEN: [&str; 4] = [TASK, "/proc", "/dev", "/.host"];
/// Among these, one in which things of the host can be seen.
const SHARED: &str = "/dev/shm";
/// What tells programs how to reach others, and whom to trust.
const NETWORK: [&str; 8] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/certs/ca-bundle.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
];

/// What a step's scripts are to see.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    /// The step.
    pub step: &'a StepName,
    /// Where its programs come from.
    pub tools: &'a Tools,
    /// All that its packages need, where that is known.
    pub closure: Option<Vec<PathBuf>>,
    /// Whether it has the network.
    pub network: bool,
    /// Where its scripts start.
    pub folder: PathBuf,
    /// Where the files are that it declares, and their paths below that folder.
    pub files: Vec<(PathBuf, PathBuf)>,
    /// The variables of its secrets, with the paths of their files.
    pub secrets: Vec<(String, OsString)>,
}

impl Scene<'_> {
    /// Whether the path lies in a folder that a sandbox shows for the programs in it.
    pub(crate) fn is_of_a_system(path: &Path) -> bool {
        SYSTEM.iter().any(|folder| path.starts_with(folder))
    }

    /// The sandbox of scripts that are given to `program`.
    pub(crate) fn sandbox(self, program: &Result<PathBuf, String>) -> Sandbox {
        let mut view = View {
            folder: self.folder,
            network: self.network,
            ..View::default()
        };
        let mut problem = None;
        match (self.tools, self.closure) {
            (Tools::Host | Tools::HostInstead, _) => system(&mut view),
            (Tools::Nix(_), None) => problem = Some(Problem::Unresolved),
            (Tools::Nix(environment), Some(paths)) => {
                paths.iter().for_each(|path| show(&mut view, path, path));
                view.links.extend(well_known(&environment.path));
                view.texts.extend(users());
            }
        }
        if self.network {
            reach(&mut view);
        }
        for (from, at) in self.files {
            let at = view.folder.join(at);
            if let Ok(from) = fs::canonicalize(&from) {
                show(&mut view, &from, &at);
            }
        }
        for (variable, path) in self.secrets {
            view.copied.push((path.into(), secret(&variable)));
        }
        if HIDDEN.iter().any(|at| view.folder.starts_with(at)) && !view.folder.starts_with(SHARED) {
            problem = Some(Problem::Hidden(view.folder.clone()));
        }
        let of_host = matches!(self.tools, Tools::Host | Tools::HostInstead);
        if of_host
            && let Ok(folder) = fs::canonicalize(&view.folder)
            && Self::is_of_a_system(&folder)
        {
            problem = Some(Problem::Shown(view.folder.clone()));
        }
        if let Ok(program) = program
            && problem.is_none()
            && !sees(&view, program)
        {
            problem = Some(Problem::NoShell {
                program: program.clone(),
                packages: matches!(self.tools, Tools::Nix(_)),
            });
        }
        Sandbox::new(self.step.clone(), view, problem)
    }
}

/// Where the secret of that variable is in a sandbox.
pub(crate) fn secret(variable: &str) -> PathBuf {
    Path::new(SECRETS).join(variable)
}

/// Shows a file or a folder, if it is there.
fn show(view: &mut View, from: &Path, at: &Path) {
    match fs::symlink_metadata(from) {
        Ok(found) if found.is_symlink() => {
            if let Ok(target) = fs::read_link(from) {
                view.links.push((at.to_owned(), target));
            }
        }
        Ok(found) => view.shown.push(Shown {
            from: from.to_owned(),
            at: at.to_owned(),
            folder: found.is_dir(),
        }),
        Err(_) => {}
    }
}

fn system(view: &mut View) {
    let folders = SYSTEM.map(Path::new);
    folders.iter().for_each(|folder| show(view, folder, folder));
}

/// Links to the packages' own programs in the places where scripts look for them.
fn well_known(folders: &[String]) -> impl Iterator<Item = (PathBuf, PathBuf)> {
    WELL_KNOWN.iter().filter_map(move |(at, name)| {
        let programs = folders.iter().map(|folder| Path::new(folder).join(name));
        let found = programs.into_iter().find(|program| program.exists())?;
        Some((PathBuf::from(at), found))
    })
}

/// Who the user is, for programs that ask.
fn users() -> [(PathBuf, OsString); 3] {
    let user = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    let users = format!(
        "task:x:{user}:{group}::{HOME}:/bin/sh\nnobody:x:65534:65534::/nonexistent:/bin/false\n"
    );
    [
        ("/etc/passwd", users),
        ("/etc/group", format!("task:x:{group}:\nnogroup:x:65534:\n")),
        (
            "/etc/hosts",
            "127.0.0.1 localhost\n::1 localhost\n".to_owned(),
        ),
    ]
    .map(|(at, text)| (at.into(), text.into()))
}

/// Shows what it takes to reach other machines.
fn reach(view: &mut View) {
    for at in NETWORK.map(Path::new) {
        let Ok(from) = fs::canonicalize(at) else {
            continue;
        };
        view.texts.retain(|(text, _)| text != at);
        let etc = Path::new("/etc");
        if view.shown.iter().any(|one| one.at == etc) {
            // What links there lead to.
            if !from.starts_with(etc) && !from.starts_with("/usr") {
                show(view, &from, &from);
            }
        } else {
            show(view, &from, at);
        }
    }
}

/// Whether the program is seen, under that path.
fn sees(view: &View, program: &Path) -> bool {
    let Ok(file) = fs::canonicalize(program) else {
        return false;
    };
    let places = view.shown.iter().map(|one| &one.at);
    let mut places = places.chain(view.links.iter().map(|(at, _)| at));
    places.any(|at| program.starts_with(at))
        && view.shown.iter().any(|one| file.starts_with(&one.from))
}
