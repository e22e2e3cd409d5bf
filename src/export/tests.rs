use super::names::{LONGEST, apart};
use super::*;
use crate::state::{Selection, State};
use crate::store::Store;

/// A db with these final outputs in one runset each: runset, name, bytes.
fn db(folder: &Path, finals: &[(&str, &str, &str)]) -> (State, Store) {
    let (mut state, _lock, _) = State::open(folder).unwrap();
    let layout = state::Layout::new(folder);
    fs::create_dir_all(layout.scratch()).unwrap();
    let store = Store::open(&layout.objects(), &layout.scratch()).unwrap();
    for (name, file, bytes) in finals {
        let runset = match state.runset(name).unwrap() {
            Some(runset) => runset,
            None => state.create_runset(name, 0).unwrap(),
        };
        let task = state::NewTask {
            object: store.insert_bytes(bytes.as_bytes()).unwrap(),
            form: Form::File,
            step: None,
            parent: None,
            name: Some(file),
            forced: false,
        };
        state.insert_task(&runset, &task).unwrap();
    }
    state.commit().unwrap();
    (state, store)
}

/// What is selected, by name.
fn all(state: &State, selection: &Selection) -> Result<BTreeMap<String, Wanted>, Error> {
    named(&state.outputs(selection)?, |_| Ok(String::new()))
}

fn files(folder: &Path) -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let bytes = fs::read_to_string(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), bytes)
        })
        .collect();
    files.sort();
    files
}

#[test]
fn equal_outputs_are_one_file_and_different_ones_of_a_name_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let finals = [
        ("one", "same.txt", "s"),
        ("one", "same.txt", "s"),
        ("one", "other.txt", "1"),
        ("one", "other.txt", "2"),
        ("two", "same.txt", "later"),
    ];
    let (state, store) = db(&dir.path().join("db"), &finals);
    let one = Selection {
        runset: state.runset("one").unwrap(),
        ..Selection::default()
    };
    let to = dir.path().join("new/out");
    assert_eq!(
        export(
            &store,
            &all(&state, &one).unwrap(),
            &to,
            false,
            &Own::default()
        )
        .unwrap()
        .count,
        3
    );
    let name = |bytes: &str| format!("other-{}.txt", &Digest::of(bytes.as_bytes()).hex()[..8]);
    let mut expected = vec![
        (name("1"), "1".to_owned()),
        (name("2"), "2".to_owned()),
        ("same.txt".to_owned(), "s".to_owned()),
    ];
    expected.sort();
    assert_eq!(files(&to), expected);

    let whole = dir.path().join("all");
    assert_eq!(
        export(
            &store,
            &all(&state, &Selection::default()).unwrap(),
            &whole,
            false,
            &Own::default()
        )
        .unwrap()
        .count,
        4
    );
}

#[test]
fn no_output_takes_the_place_of_another() {
    let dir = tempfile::tempdir().unwrap();
    let third = format!("a-{}.txt", &Digest::of(b"1").hex()[..8]);
    let finals = [("r", "a.txt", "1"), ("r", "a.txt", "2"), ("r", &third, "3")];
    let (state, _) = db(&dir.path().join("db"), &finals);
    let refused = all(&state, &Selection::default());
    assert!(matches!(refused, Err(Error::Twice(name)) if name == third));
}

#[test]
fn nothing_is_overwritten_and_nothing_left_half_written() {
    let dir = tempfile::tempdir().unwrap();
    let (state, store) = db(&dir.path().join("db"), &[("r", "a", "x"), ("r", "b", "y")]);
    let outputs = all(&state, &Selection::default()).unwrap();
    let export = |to: &Path, force| export(&store, &outputs, to, force, &Own::default());
    let to = dir.path().join("out");
    fs::create_dir(&to).unwrap();
    fs::write(to.join("mine"), "kept").unwrap();
    assert_eq!(export(&to, false).unwrap().count, 2);
    fs::remove_file(to.join("a")).unwrap();
    fs::write(to.join("b"), "changed").unwrap();
    assert!(matches!(export(&to, false), Err(Error::Taken(path)) if path == to.join("b")));
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    assert_eq!(files(&to), [file("b", "changed"), file("mine", "kept")]);
    fs::write(to.join("other"), "").unwrap();
    fs::write(to.join(".hidden"), "").unwrap();
    let again = export(&to, true).unwrap();
    assert_eq!(
        (again.count, again.others),
        (2, vec!["mine".to_owned(), "other".to_owned()])
    );
    fs::remove_file(to.join("other")).unwrap();
    fs::remove_file(to.join(".hidden")).unwrap();
    let all = [file("a", "x"), file("b", "y"), file("mine", "kept")];
    assert_eq!(files(&to), all);
    assert!(matches!(
        export(&to.join("a"), true),
        Err(Error::NotAFolder(_))
    ));

    fs::remove_file(store.path(&Digest::of(b"y"))).unwrap();
    let broken = dir.path().join("broken");
    assert!(matches!(export(&broken, false), Err(Error::Store(_))));
    assert!(matches!(export(&to, true), Err(Error::Store(_))));
    assert_eq!(files(&to), all);
    let mut left: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["db", "out"]);
    let mut archived = Vec::new();
    assert!(archive(&store, &outputs, &mut archived).is_err());
    assert!(archived.is_empty());
}

#[test]
fn an_archive_has_each_file_with_its_name_and_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let long = "é".repeat(127);
    let finals = [
        ("r", "a", "x"),
        ("r", "c", "1"),
        ("r", "c", "2"),
        ("r", &long, "l"),
    ];
    let (state, store) = db(&dir.path().join("db"), &finals);
    let mut bytes = Vec::new();
    let selection = Selection {
        names: vec!["a".to_owned(), long.clone()],
        ..Selection::default()
    };
    assert_eq!(
        archive(&store, &all(&state, &selection).unwrap(), &mut bytes).unwrap(),
        2
    );
    let mut read = tar::Archive::new(bytes.as_slice());
    let entries: Vec<(String, String)> = read
        .entries()
        .unwrap()
        .map(|entry| {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().to_str().unwrap().to_owned();
            (name, io::read_to_string(&mut entry).unwrap())
        })
        .collect();
    assert_eq!(
        entries,
        [("a".to_owned(), "x".to_owned()), (long, "l".to_owned())]
    );
}

#[test]
fn a_name_that_clashes_keeps_its_extension() {
    let hex = &Digest::EMPTY.hex()[..8];
    assert_eq!(apart("a.txt", hex), format!("a-{hex}.txt"));
    assert_eq!(apart("a.tar.gz", hex), format!("a.tar-{hex}.gz"));
    assert_eq!(apart("a", hex), format!("a-{hex}"));
    assert_eq!(apart(".a", hex), format!(".a-{hex}"));
    let long = format!("{}.txt", "é".repeat(125));
    let short = format!("{}-{hex}.txt", "é".repeat(121));
    assert_eq!(apart(&long, hex), short);
    let extension = format!("a.{}", "x".repeat(253));
    assert!(apart(&extension, hex).len() == LONGEST);
}
