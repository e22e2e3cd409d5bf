//! What scripts in a sandbox see of the host.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::Source;
use super::declared::Taken;
use crate::exec::local::{Problem, Sandbox};
use crate::manifest::Step;
use crate::model::identity::{Identity, Tools};
use crate::packages::Closure;
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

/// The sandbox of a step, whose scripts are given to `program`; none if it has none.
pub(super) fn of_step(
    source: &Source,
    step: &Step,
    identity: &Identity,
    (files, closure): (Option<&Taken>, Option<&Closure>),
    program: &Result<PathBuf, String>,
) -> Option<Sandbox> {
    if !step.sandbox {
        return None;
    }
    let mut view = View {
        folder: source.folder.clone(),
        network: step.network,
        ..View::default()
    };
    let mut problem = None;
    match (&identity.tools, closure) {
        (Tools::Host | Tools::HostInstead, _) => system(&mut view),
        (Tools::Nix(_), None) => problem = Some(Problem::Unresolved),
        (Tools::Nix(environment), Some(closure)) => {
            match closure {
                Closure::Paths(paths) => {
                    let paths = paths.iter().map(Path::new);
                    paths.for_each(|path| show(&mut view, path, path));
                }
                Closure::Store(folder) => show(&mut view, folder, folder),
            }
            view.links.extend(well_known(&environment.path));
            view.texts.extend(users());
        }
    }
    if step.network {
        reach(&mut view);
    }
    for path in files.iter().flat_map(|files| files.watch.paths()) {
        let at = source.folder.join(&*path);
        if let Ok(from) = fs::canonicalize(&at) {
            show(&mut view, &from, &at);
        }
    }
    for (variable, path) in source.secrets.of_step(&step.secrets) {
        view.copied.push((path.into(), secret(&variable)));
    }
    if HIDDEN.iter().any(|at| view.folder.starts_with(at)) && !view.folder.starts_with(SHARED) {
        problem = Some(Problem::Hidden(view.folder.clone()));
    }
    if let Ok(program) = program
        && problem.is_none()
        && !sees(&view, program)
    {
        problem = Some(Problem::NoShell {
            program: program.clone(),
            packages: matches!(identity.tools, Tools::Nix(_)),
        });
    }
    Some(Sandbox::new(step.name.clone(), view, problem))
}

/// Where the secret of that variable is in a sandbox.
fn secret(variable: &str) -> PathBuf {
    Path::new(SECRETS).join(variable)
}

/// The variables of a step's secrets, with the paths that its scripts see.
pub(super) fn secrets_of(source: &Source, step: &Step) -> Vec<(String, OsString)> {
    let mut secrets = source.secrets.of_step(&step.secrets);
    if step.sandbox {
        for (variable, path) in &mut secrets {
            *path = secret(variable).into();
        }
    }
    secrets
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
