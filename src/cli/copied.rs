//! What Nix copies: a folder with a flake that is in no Git repository goes into its store as it is.

use std::path::Path;

use crate::text::Shown as _;

/// What to say of a db that is in such a folder.
pub(super) fn words(db: &Path) -> Option<String> {
    let db = db.canonicalize().ok()?;
    let mut above = db.ancestors().skip(1);
    let folder = above.find(|folder| folder.join("flake.nix").is_file())?;
    if is_in_git(folder) {
        return None;
    }
    Some(format!(
        "{} has a flake.nix and is in no Git repository: `nix run`, `nix build` and the like copy all of it, the db too, into \
         Nix's store at each call; `git init` and `git add` there, or name a folder elsewhere with -db",
        folder.shown()
    ))
}

/// Whether it is in a Git repository, of whose files Nix takes those that are tracked.
pub(super) fn is_in_git(folder: &Path) -> bool {
    let folder = folder.canonicalize();
    let mut above = folder.iter().flat_map(|folder| folder.ancestors());
    above.any(|folder| folder.join(".git").exists())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_db_in_a_flake_that_is_in_no_repository_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        fs::create_dir_all(at("flake/below/db")).unwrap();
        fs::create_dir_all(at("db")).unwrap();
        let db = at("flake/below/db");
        assert_eq!(words(&db), None, "there is no flake");

        fs::write(at("flake/flake.nix"), "").unwrap();
        let said = words(&db).unwrap();
        assert!(said.contains("/flake has a flake.nix"), "{said}");
        assert_eq!(words(&at("db")), None, "beside it");
        assert_eq!(words(&at("none")), None, "not there");

        fs::create_dir(at("flake/.git")).unwrap();
        assert_eq!(words(&db), None, "in a repository");
    }
}
