use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::model::list::{self, Form, Member};
use crate::store::Store;
use crate::store::TO_THE_END;

fn fixture() -> (tempfile::TempDir, Store, Folder) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("objects"), dir.path()).unwrap();
    let folder = Folder::open(dir.path()).unwrap();
    (dir, store, folder)
}

fn member(store: &Store, name: &str, text: &str) -> Member {
    Member {
        name: name.into(),
        key: text.into(),
        digest: store.insert_bytes(text.as_bytes()).unwrap(),
        form: Form::File,
    }
}

fn with<'a>(way: Way, store: &'a Store, go_on: GoOn<'a>) -> Filler<'a> {
    Filler { store, way, go_on }
}

const WAYS: [Way; 4] = [Way::Links, Way::Large, Way::Copies, Way::OwnCopies];

fn count(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[test]
fn all_that_is_listed_is_there() {
    let (dir, store, folder) = fixture();
    for number in [0, 1, STRETCH - 1, STRETCH, STRETCH + 1, 100] {
        let members = (0..number).map(|n| member(&store, &format!("n{n}"), &n.to_string()));
        let text = list::of(members.collect());
        let list = store.insert_bytes(text.as_bytes()).unwrap();
        for way in WAYS {
            let name = &format!("{way:?} {number}");
            let files = store.list(&list).unwrap();
            with(way, &store, TO_THE_END)
                .fill(&folder, name, files)
                .unwrap();
            let made = dir.path().join(name);
            assert_eq!(count(&made), number);
            for n in 0..number {
                let path = made.join(format!("n{n}"));
                assert_eq!(fs::read_to_string(&path).unwrap(), n.to_string());
                assert_eq!(path.is_symlink(), way == Way::Links);
            }
            if way != Way::Links && number > 0 {
                fs::write(made.join("n0"), "other").unwrap();
            }
        }
    }
    let zero = store.path(&Digest::of(b"0"));
    assert_eq!(fs::read(zero).unwrap(), b"0");
}

#[test]
fn what_steps_left_is_in_folders_of_theirs() {
    let (dir, store, folder) = fixture();
    let many = (0..12).map(|n| member(&store, "y", &n.to_string()));
    let index = vec![member(&store, "x", "1"), member(&store, "x", "2")];
    let left = [
        ("index", index),
        ("index 2", vec![member(&store, "x", "3")]),
        ("many", many.collect()),
        ("unknown", vec![member(&store, "x", "4")]),
    ];
    let list = store.insert_bytes(list::context(left).as_bytes()).unwrap();
    let steps = ["index", "index 2", "none", "many"].map(|name| StepName::new(name).unwrap());
    let filler = with(Way::Links, &store, TO_THE_END);
    let files = store.list(&list).unwrap();
    let outcome = filler.fill_by_steps(&folder, "with", files, &steps);
    assert_eq!(outcome.unwrap().only, None);
    let made = dir.path().join("with");
    let read = |path: &str| fs::read(made.join(path)).unwrap();
    assert_eq!(
        [read("index/1_x"), read("index/2_x"), read("index 2/x")],
        [b"1", b"2", b"3"]
    );
    assert_eq!(read("many/11_y"), b"11");
    assert_eq!(
        [count(&made.join("many")), count(&made.join("none"))],
        [12, 0]
    );
    assert_eq!(count(&made), 4);
}

/// A folder for two steps, of which one left many files, by this way; and what is kept of it.
fn stand(dir: &Path, store: &Store, way: Way, folders: bool) -> Option<Standing> {
    let _ = fs::remove_dir_all(dir.join("with"));
    let mut many: Vec<Member> = (0..WORTH)
        .map(|n| member(store, &format!("m{n:02}"), &n.to_string()))
        .collect();
    if folders {
        let tree = crate::model::tree::write::<&str>(&mut []);
        many[0].digest = store.insert_bytes(tree.as_bytes()).unwrap();
        many[0].form = Form::Folder;
    }
    let text = list::context([("many", many), ("one", vec![member(store, "x", "1")])]);
    let list = store.insert_bytes(text.as_bytes()).unwrap();
    let steps = ["many", "one"].map(|name| StepName::new(name).unwrap());
    let filler = with(way, store, TO_THE_END);
    let parent = Folder::open(dir).unwrap();
    let files = store.list(&list).unwrap();
    let left = filler
        .fill_by_steps(&parent, "with", files, &steps)
        .unwrap();
    let standing = left.standing(&list, &steps);
    if let Some(standing) = &standing {
        assert!(standing.has(&list, &steps));
        assert!(!standing.has(&list, &steps[..1]) && !standing.has(&Digest::EMPTY, &steps));
        assert!(standing.is_as_it_was(parent.entry("with")));
    }
    standing
}

#[test]
fn a_folder_of_links_stays_until_something_is_done_to_it() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let (dir, store, parent) = fixture();
    let made = dir.path().join("with");
    let file = made.join("many/m03");
    let again = |folder: &Path| {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
    };
    let deeds: [(&str, &dyn Fn()); 7] = [
        ("a file is gone", &|| fs::remove_file(&file).unwrap()),
        ("a file is another one", &|| {
            let target = fs::read_link(made.join("many/m04")).unwrap();
            fs::remove_file(&file).unwrap();
            symlink(target, &file).unwrap();
        }),
        ("a file more", &|| {
            fs::write(made.join("one/y"), "").unwrap();
        }),
        ("a file beside", &|| fs::write(made.join("y"), "").unwrap()),
        ("another mode", &|| again(&made.join("many"))),
        ("another folder", &|| {
            let one = made.join("one");
            fs::rename(&one, dir.path().join("away")).unwrap();
            fs::create_dir(&one).unwrap();
        }),
        ("no folder", &|| fs::remove_dir_all(&made).unwrap()),
    ];
    for (what, deed) in deeds {
        let standing = stand(dir.path(), &store, Way::Links, false).unwrap();
        deed();
        assert!(!standing.is_as_it_was(parent.entry("with")), "{what}");
        let _ = fs::remove_dir_all(dir.path().join("away"));
    }
}

#[test]
fn what_scripts_can_write_to_serves_nobody_else() {
    let (dir, store, _) = fixture();
    for way in [Way::Copies, Way::OwnCopies] {
        assert!(stand(dir.path(), &store, way, false).is_none());
    }
    assert!(stand(dir.path(), &store, Way::Links, true).is_none());
}

#[test]
fn what_a_folder_leads_to_is_looked_at_again() {
    let (_dir, store, _) = fixture();
    let members = (0..10).map(|n| member(&store, &n.to_string(), &n.to_string()));
    let text = list::of(members.collect());
    let list = store.insert_bytes(text.as_bytes()).unwrap();
    let check = || with(Way::Links, &store, TO_THE_END).check(store.list(&list).unwrap());
    check().unwrap();
    let place = store.path(&Digest::of(b"7"));
    fs::remove_file(&place).unwrap();
    let error = check().unwrap_err();
    assert!(matches!(error, store::Error::Missing { .. }), "{error}");
    fs::write(&place, "8").unwrap();
    let error = check().unwrap_err();
    assert!(matches!(error, store::Error::Damaged { .. }), "{error}");
}

/// A sandbox shows what each link leads to, and is told so.
#[test]
fn for_a_sandbox_only_what_is_large_is_a_link() {
    let (dir, store, folder) = fixture();
    let large = usize::try_from(store::LARGE).unwrap();
    let texts = ["x".repeat(large - 1), "x".repeat(large)];
    let members = texts
        .iter()
        .map(|text| member(&store, &text.len().to_string(), text));
    let text = list::of(
        members
            .map(|one| Member {
                key: "k".into(),
                ..one
            })
            .collect(),
    );
    let list = store.insert_bytes(text.as_bytes()).unwrap();
    let filler = Filler::for_task(&store, true, TO_THE_END);
    let leads = filler.fill(&folder, "in", store.list(&list).unwrap());
    let leads = leads.unwrap();
    let object = store.path(&Digest::of(texts[1].as_bytes()));
    assert_eq!(leads.paths().collect::<Vec<_>>(), [object]);
    for text in texts {
        let path = dir.path().join("in").join(text.len().to_string());
        assert_eq!(path.is_symlink(), text.len() == large);
        assert!(fs::read_to_string(path).unwrap() == text);
    }
}

#[test]
fn one_file_alone_is_told() {
    let (_dir, store, folder) = fixture();
    let steps = [StepName::new("one").unwrap()];
    let filler = with(Way::Links, &store, TO_THE_END);
    for number in 0..3 {
        let members = (0..number).map(|n| member(&store, &n.to_string(), ""));
        let text = list::context([("one", members.collect())]);
        let list = store.insert_bytes(text.as_bytes()).unwrap();
        let files = store.list(&list).unwrap();
        let outcome = filler.fill_by_steps(&folder, &number.to_string(), files, &steps);
        let wanted = (number == 1).then_some("one/0");
        assert_eq!(outcome.unwrap().only.as_deref(), wanted);
    }
}

#[test]
fn what_is_gone_or_no_list_is_told() {
    let (_dir, store, folder) = fixture();
    let file = Entry {
        kind: Kind::File,
        digest: Digest::of(b"gone"),
        name: "x".into(),
    };
    for way in WAYS {
        let filler = with(way, &store, TO_THE_END);
        let outcome = filler.fill(&folder, &format!("{way:?}"), [Ok(file.clone())]);
        let error = outcome.unwrap_err();
        assert!(matches!(error, store::Error::Missing { .. }), "{error}");
    }
    let no_list = store.insert_bytes(b"x").unwrap();
    let error = store.list(&no_list).unwrap_err();
    assert!(error.to_string().contains("list of files"), "{error}");
}

#[test]
fn among_many_one_that_is_gone_or_another_is_told() {
    let (_dir, store, folder) = fixture();
    let members = (0..10).map(|n| member(&store, &n.to_string(), &n.to_string()));
    let text = list::of(members.collect());
    let list = store.insert_bytes(text.as_bytes()).unwrap();
    let place = store.path(&Digest::of(b"7"));
    fs::remove_file(&place).unwrap();
    let filler = with(Way::Links, &store, TO_THE_END);
    let fill = |name: &str| filler.fill(&folder, name, store.list(&list).unwrap());
    let error = fill("gone").unwrap_err();
    assert!(matches!(error, store::Error::Missing { .. }), "{error}");
    for (name, other) in [("other", "8"), ("none", ""), ("more", "77")] {
        fs::write(&place, other).unwrap();
        let error = fill(name).unwrap_err();
        assert!(matches!(error, store::Error::Damaged { .. }), "{error}");
    }
    fs::remove_file(&place).unwrap();
    fs::create_dir(&place).unwrap();
    let error = fill("folder").unwrap_err();
    assert!(matches!(error, store::Error::NotAFile { .. }), "{error}");
}

#[test]
fn it_ends_if_it_is_not_wanted_any_more() {
    let (dir, store, folder) = fixture();
    let members = (0..100).map(|n| member(&store, &n.to_string(), &n.to_string()));
    let text = list::of(members.collect());
    let list = store.insert_bytes(text.as_bytes()).unwrap();
    let asked = AtomicUsize::new(0);
    let go_on = || {
        if asked.fetch_add(1, Ordering::Relaxed) < 7 {
            return Ok(());
        }
        Err(io::ErrorKind::Interrupted.into())
    };
    let filler = with(Way::Links, &store, &go_on);
    let outcome = filler.fill(&folder, "in", store.list(&list).unwrap());
    assert!(
        matches!(outcome, Err(store::Error::Io { .. })),
        "{outcome:?}"
    );
    assert_eq!(count(&dir.path().join("in")), 7);
}
