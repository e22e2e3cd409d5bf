use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

fn fixture() -> (tempfile::TempDir, Store, Workspace) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("objects"), dir.path()).unwrap();
    let scratch = Arc::new(Folder::open(dir.path()).unwrap());
    let mut workspace = Workspace::new(scratch, 0);
    workspace
        .begin(&store, (&Digest::EMPTY, Form::File), false, TO_THE_END)
        .unwrap();
    (dir, store, workspace)
}

/// Ends the task and begins the next; whether it got the same folders, which must be empty.
fn next(store: &Store, workspace: &mut Workspace, quiet: bool) -> bool {
    let before = workspace.output().to_owned();
    workspace.finish(quiet, false);
    workspace
        .begin(store, (&Digest::EMPTY, Form::File), false, TO_THE_END)
        .unwrap();
    for folder in [workspace.output(), workspace.temporary()] {
        assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
    }
    assert_eq!(fs::read(workspace.input()).unwrap(), b"");
    before == workspace.output()
}

#[test]
fn folders_are_kept_only_while_nothing_can_reach_them() {
    let (_dir, store, mut workspace) = fixture();
    assert!(next(&store, &mut workspace, true));
    assert!(!next(&store, &mut workspace, false));
}

#[test]
fn folders_are_kept_only_as_they_were_made() {
    let (_dir, store, mut workspace) = fixture();
    fs::write(workspace.temporary().join("x"), "").unwrap();
    assert!(!next(&store, &mut workspace, true));
    fs::write(workspace.output().join("x"), "").unwrap();
    assert!(!next(&store, &mut workspace, true));
    fs::set_permissions(workspace.output(), Permissions::from_mode(0o500)).unwrap();
    assert!(!next(&store, &mut workspace, true));
    fs::remove_file(workspace.input()).unwrap();
    assert!(!next(&store, &mut workspace, true));
    fs::remove_dir(workspace.output()).unwrap();
    assert!(!next(&store, &mut workspace, true));
}

#[test]
fn outputs_are_taken_from_what_lies_in_the_folders_place_alone() {
    let (dir, store, mut workspace) = fixture();
    let mut found = |replace: &dyn Fn(&Path)| {
        let output = workspace.output().to_owned();
        replace(&output);
        let found = workspace.collect().unwrap();
        let found = found.map(|folder| folder.is_empty().unwrap());
        workspace.finish(true, true);
        workspace
            .begin(&store, (&Digest::EMPTY, Form::File), false, TO_THE_END)
            .unwrap();
        (found, workspace.output() == output)
    };
    assert_eq!(found(&|_| ()), (Ok(true), true));
    let file = |out: &Path| fs::write(out.join("x"), "").unwrap();
    assert_eq!(found(&file).0, Ok(false));
    let anew = |out: &Path| {
        fs::remove_dir_all(out).unwrap();
        fs::create_dir(out).unwrap();
        file(out);
    };
    assert_eq!(found(&anew), (Ok(false), false));
    let link = |out: &Path| {
        fs::remove_dir(out).unwrap();
        symlink(dir.path(), out).unwrap();
    };
    assert_eq!(found(&link), (Err("a symbolic link"), false));
    let above = |out: &Path| {
        let folder = out.parent().unwrap();
        fs::rename(folder, dir.path().join("away")).unwrap();
        fs::create_dir(folder).unwrap();
        fs::create_dir(out).unwrap();
    };
    assert_eq!(found(&above), (Err("another folder"), false));
    let none = |out: &Path| fs::remove_dir(out).unwrap();
    assert_eq!(found(&none), (Err("nothing"), false));
    let closed = |out: &Path| {
        file(out);
        fs::set_permissions(out, Permissions::from_mode(0o0)).unwrap();
    };
    assert_eq!(found(&closed), (Ok(false), false));
}

#[test]
fn a_large_input_goes_early_and_nothing_may_come_in_its_place() {
    let (_dir, store, mut workspace) = fixture();
    workspace.release_input();
    assert!(workspace.input().exists());
    for fake in [false, true] {
        let large = fs::File::create(workspace.input()).unwrap();
        large.set_len(store::LARGE).unwrap();
        workspace.release_input();
        assert!(!workspace.input().exists());
        if fake {
            symlink("elsewhere", workspace.input()).unwrap();
        }
        assert_eq!(next(&store, &mut workspace, true), !fake);
    }
}

#[test]
fn nothing_is_left_in_the_end() {
    let (dir, _store, workspace) = fixture();
    let inner = workspace.temporary().join("a/b");
    fs::create_dir_all(&inner).unwrap();
    fs::set_permissions(inner.parent().unwrap(), Permissions::from_mode(0o0)).unwrap();
    drop(workspace);
    assert!(!dir.path().join("w0").exists());
}
