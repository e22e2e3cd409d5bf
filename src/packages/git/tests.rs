//! With real repositories, in the forms that git gives them.

use std::process::Command;

use super::*;

struct Repo {
    dir: tempfile::TempDir,
}

impl Repo {
    fn new(arguments: &[&str]) -> Self {
        let repo = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        repo.git(&[&["init", "-q", "-b", "main"], arguments].concat());
        repo
    }

    fn top(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap()
    }

    #[track_caller]
    fn git(&self, arguments: &[&str]) -> String {
        git_in(&self.top(), arguments)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.top().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn commit(&self) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "change"]);
    }

    fn state(&self) -> Option<Vec<u8>> {
        state(&self.top())
    }
}

fn state(top: &Path) -> Option<Vec<u8>> {
    let mut hash = Sha256::new();
    feed(top, &mut hash)?;
    Some(hash.finalize().to_vec())
}

#[track_caller]
fn git_in(folder: &Path, arguments: &[&str]) -> String {
    let set = [
        "user.name=a",
        "user.email=a@localhost",
        "protocol.file.allow=always",
    ];
    let mut command = Command::new("git");
    command.current_dir(folder);
    for one in set {
        command.args(["-c", one]);
    }
    let out = command.args(arguments).output().unwrap();
    assert!(
        out.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

/// With some files, of which one is executable and one a link.
fn filled(arguments: &[&str]) -> Repo {
    use std::os::unix::fs::PermissionsExt;
    let repo = Repo::new(arguments);
    repo.write("flake.nix", "{ }");
    repo.write("a/long/folder/name/first", "1");
    repo.write("a/long/folder/name/second", "2");
    repo.write("run", "#!/bin/sh\n");
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(repo.top().join("run"), executable).unwrap();
    std::os::unix::fs::symlink("run", repo.top().join("link")).unwrap();
    repo.commit();
    repo
}

#[test]
fn a_repository_without_a_commit_cannot_be_told() {
    let repo = Repo::new(&[]);
    assert_eq!(repo.state(), None);
    assert_eq!(state(Path::new("/")), None);
}

/// The hashes that are fed for files which git saw and for those that are read are the same.
#[test]
fn what_git_saw_and_what_is_read_agree() {
    for arguments in [&[][..], &["--object-format=sha256"]] {
        let repo = filled(arguments);
        let before = repo.state();
        assert!(before.is_some());
        let all = ["run", "flake.nix", "a/long/folder/name/first"];
        // Times that agree with nothing in the index.
        for name in all {
            let file = fs::File::options().write(true).open(repo.top().join(name));
            let past = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1);
            file.unwrap().set_modified(past).unwrap();
        }
        assert_eq!(repo.state(), before, "read");
        repo.git(&["update-index", "--refresh"]);
        assert_eq!(repo.state(), before, "seen by git");
    }
}

#[test]
fn it_changes_with_tracked_files_alone() {
    use std::os::unix::fs::PermissionsExt;
    let repo = filled(&[]);
    let clean = repo.state();
    repo.write("untracked", "");
    assert_eq!(repo.state(), clean);
    let seen = std::cell::RefCell::new(vec![clean.clone()]);
    let changed = |what: &str| {
        let state = repo.state();
        assert!(state.is_some(), "{what}");
        assert!(!seen.borrow().contains(&state), "{what}");
        seen.borrow_mut().push(state);
    };
    repo.write("flake.nix", "{  }");
    changed("content");
    fs::remove_file(repo.top().join("flake.nix")).unwrap();
    changed("removed");
    fs::create_dir(repo.top().join("flake.nix")).unwrap();
    changed("a folder in its place");
    fs::remove_dir(repo.top().join("flake.nix")).unwrap();
    repo.git(&["reset", "-q", "--hard"]);
    assert_eq!(repo.state(), clean);
    fs::set_permissions(
        repo.top().join("flake.nix"),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    changed("executable");
    repo.git(&["reset", "-q", "--hard"]);
    fs::remove_file(repo.top().join("link")).unwrap();
    std::os::unix::fs::symlink("untracked", repo.top().join("link")).unwrap();
    changed("a link");
    repo.git(&["reset", "-q", "--hard"]);
    repo.git(&["add", "-N", "untracked"]);
    changed("known to git, not added yet");
    repo.git(&["add", "untracked"]);
    assert_eq!(Some(&repo.state()), seen.borrow().last(), "the same files");
    repo.git(&["reset", "-q", "--hard"]);
    assert_eq!(repo.state(), clean);
    repo.git(&["commit", "-q", "--allow-empty", "-m", "two"]);
    changed("another commit");
}

#[test]
fn a_change_of_the_same_length_in_the_same_moment() {
    let repo = filled(&[]);
    for round in 0..20 {
        repo.write("flake.nix", &format!("{{{}}}", round % 10));
        repo.git(&["add", "-A"]);
        let before = repo.state();
        repo.write("flake.nix", "{a}");
        assert_ne!(repo.state(), before);
    }
}

#[test]
fn all_versions_of_the_index() {
    let repo = filled(&[]);
    let state = repo.state();
    for version in ["4", "3", "2"] {
        repo.git(&["update-index", "--index-version", version]);
        assert_eq!(repo.state(), state, "version {version}");
    }
    // An entry with more flags makes it version 3.
    repo.git(&["update-index", "--skip-worktree", "flake.nix"]);
    assert_eq!(repo.state(), state);
    // Forms that are not known.
    repo.git(&["update-index", "--split-index"]);
    assert_eq!(repo.state(), None);
    repo.git(&["update-index", "--no-split-index"]);
    assert_eq!(repo.state(), state);
    let index = repo.top().join(".git/index");
    let whole = fs::read(&index).unwrap();
    for end in [0, 3, 11, 60, whole.len() / 2] {
        fs::write(&index, &whole[..end]).unwrap();
        assert_eq!(repo.state(), None, "cut at {end}");
    }
}

#[test]
fn commits_in_all_places() {
    let repo = filled(&[]);
    let head = repo.git(&["rev-parse", "HEAD"]);
    assert_eq!(commit(&repo.top()), Some(head.clone()));
    repo.git(&["pack-refs", "--all"]);
    assert_eq!(commit(&repo.top()), Some(head.clone()), "packed");
    repo.git(&["checkout", "-q", "--detach"]);
    assert_eq!(commit(&repo.top()), Some(head.clone()), "detached");
    let other = repo.top().join("other");
    repo.git(&["worktree", "add", "-q", "-b", "topic", "other"]);
    assert_eq!(commit(&other), Some(head), "a further work tree");
    git_in(&other, &["commit", "-q", "--allow-empty", "-m", "x"]);
    assert_ne!(commit(&other), commit(&repo.top()));
    assert!(state(&other).is_some());
    let head = repo.top().join(".git/HEAD");
    for text in ["ref: refs/heads/none", "ref: refs/../HEAD", "ref: /x", "x"] {
        fs::write(&head, text).unwrap();
        assert_eq!(commit(&repo.top()), None, "{text}");
    }
    fs::write(&head, "ref: refs/heads/ring").unwrap();
    repo.write(".git/refs/heads/ring", "ref: refs/heads/ring");
    assert_eq!(commit(&repo.top()), None);
}

#[test]
fn submodules_count_as_they_are() {
    let part = filled(&[]);
    let repo = filled(&[]);
    let url = part.top().display().to_string();
    repo.git(&["submodule", "add", "-q", &url, "part"]);
    repo.commit();
    let before = repo.state();
    assert!(before.is_some());
    repo.write("part/flake.nix", "{ changed }");
    assert_ne!(repo.state(), before);
    // One that leads to itself.
    fs::remove_dir_all(repo.top().join("part")).unwrap();
    std::os::unix::fs::symlink(".", repo.top().join("part")).unwrap();
    assert_eq!(repo.state(), None);
}

#[test]
fn a_fifo_is_not_waited_for() {
    let repo = filled(&[]);
    let fifo = |name: &str| {
        let path = repo.top().join(name);
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    };
    fifo("flake.nix");
    assert!(repo.state().is_some());
    fifo(".git/index");
    assert_eq!(repo.state(), None);
}
