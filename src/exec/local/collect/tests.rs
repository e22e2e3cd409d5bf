use std::fs;
use std::os::unix::ffi::OsStrExt;

use super::*;
use crate::exec::tests::world::in_memory;
use crate::model::digest::Digest;
use crate::store::{Store, TO_THE_END};

fn collect(dir: &Path, store: &Store, folder: &Path) -> Result<Outputs, OutputError> {
    let folder = Arc::new(Folder::open(folder).unwrap());
    let source = Source {
        store,
        folder: &folder,
        quiet: true,
        offer: &|_, _, _| (),
    };
    let terms = Terms {
        promised: None,
        folders: false,
        spill: dir,
    };
    super::collect(source, terms)
}

fn fixture() -> (tempfile::TempDir, Store, std::path::PathBuf) {
    let dir = in_memory();
    let store = Store::open(&dir.path().join("objects"), dir.path()).unwrap();
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    (dir, store, out)
}

#[test]
fn every_file_once_however_many() {
    for count in [0, 1, STRETCH - 1, STRETCH, STRETCH + 1, 2 * STRETCH + 3] {
        let (dir, store, out) = fixture();
        for n in 0..count {
            fs::write(out.join(format!("{n:05}")), n.to_string()).unwrap();
        }
        let outputs = collect(dir.path(), &store, &out).unwrap();
        let mut all: Vec<Output> = outputs.map(Result::unwrap).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(all.len(), count);
        for (n, output) in all.iter().enumerate() {
            assert_eq!(*output.name, format!("{n:05}"));
            assert_eq!(output.digest, Digest::of(n.to_string().as_bytes()));
        }
        assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
    }
}

#[test]
fn bad_ones_are_all_named_and_nothing_is_adopted() {
    let (dir, store, out) = fixture();
    fs::write(out.join("good"), "good").unwrap();
    fs::create_dir(out.join("dir")).unwrap();
    fs::write(out.join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
    let error = collect(dir.path(), &store, &out).unwrap_err();
    assert_eq!(
        error.to_string(),
        "output \"\\xFF\" has a name that is not UTF-8\n\
         output \"dir\" is a folder, not a regular file\nhint: with `folders = true` on the step it is \
         an output, with all that is in it"
    );
    assert!(out.join("good").exists());
}

/// Makes objects of all that is in the folder, folders too.
fn with_folders(dir: &Path, store: &Store, folder: &Path) -> Result<Vec<Output>, OutputError> {
    let folder = Arc::new(Folder::open(folder).unwrap());
    let source = Source {
        store,
        folder: &folder,
        quiet: true,
        offer: &|_, _, _| panic!("a folder is among them"),
    };
    let terms = Terms {
        promised: None,
        folders: true,
        spill: dir,
    };
    let outputs = super::collect(source, terms)?;
    Ok(outputs.map(Result::unwrap).collect())
}

fn run(folder: &Path, script: &str) {
    let mut shell = std::process::Command::new("sh");
    let ran = shell
        .args(["-e", "-c", script])
        .current_dir(folder)
        .status();
    assert!(ran.unwrap().success(), "{script}");
}

/// The lists of the folders that the script leaves.
fn lists(script: &str) -> Result<Vec<String>, String> {
    let (dir, store, out) = fixture();
    run(&out, script);
    let outputs = with_folders(dir.path(), &store, &out).map_err(|error| error.to_string())?;
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
    let folders = outputs.iter().filter(|one| one.form == Form::Folder);
    Ok(folders
        .map(|one| fs::read_to_string(store.path(&one.digest)).unwrap())
        .collect())
}

#[test]
fn the_list_of_a_folder_is_canonical() {
    let [e, x, l] = ["", "x\n", "../b"].map(|text| Digest::of(text.as_bytes()).to_string());
    let list = format!(
        "task-pipeline tree 1\nd {e}  a\nf {e}  a-\nf {x}  b/-\nl {l}  b/c/l\n\\f {e}  b/c/n\\nl\n\
         x {x}  b/c0\nf {e}  b0\n"
    );
    let made = lists(
        "mkdir -p d/a d/b/c; : > d/a-; echo x > d/b/-; ln -s ../b d/b/c/l; : > \"d/b/c/n\nl\"; echo x > d/b/c0
         chmod +x d/b/c0; : > d/b0",
    );
    assert_eq!(made.unwrap(), std::slice::from_ref(&list));
    let otherwise = "mkdir -p d/b/c; : > \"d/b/c/n\nl\"; ln -s ../b d/b/c/l; : > d/b0; echo x > d/b/c0; mkdir d/a
         chmod 711 d/b/c0; cp d/b/c0 d/b/-; chmod 640 d/b/-; : > d/a-; touch -d 2001-01-01 d/a- d/b; chmod 500 d/b";
    assert_eq!(lists(otherwise).unwrap(), std::slice::from_ref(&list));
    let executable = format!("{otherwise}; chmod +x d/b0");
    assert_ne!(lists(&executable).unwrap(), std::slice::from_ref(&list));
    assert_eq!(lists("mkdir d").unwrap(), ["task-pipeline tree 1\n"]);
}

#[test]
fn files_and_folders_are_outputs_in_the_order_of_their_names() {
    let (dir, store, out) = fixture();
    run(&out, "mkdir b d; echo 1 > a; echo 2 > c; echo 3 > b/x");
    let outputs = with_folders(dir.path(), &store, &out).unwrap();
    let names: Vec<_> = outputs.iter().map(|one| (&*one.name, one.form)).collect();
    let wanted = [
        ("a", Form::File),
        ("b", Form::Folder),
        ("c", Form::File),
        ("d", Form::Folder),
    ];
    assert_eq!(names, wanted);
}

#[test]
fn more_folders_and_files_than_a_stretch_has() {
    let (dir, store, out) = fixture();
    run(
        &out,
        "for i in $(seq 100); do mkdir d$i f$i; : > file$i; for j in 1 2 3; do : > f$i/$j; done; done
         mkdir -p many; for i in $(seq 200); do mkdir many/$i; echo $i > many/$i/x; done",
    );
    let outputs = with_folders(dir.path(), &store, &out).unwrap();
    assert_eq!(outputs.len(), 301);
    let many = outputs.iter().find(|one| &*one.name == "many").unwrap();
    assert_eq!(store.tree(&many.digest).unwrap().count(), 200);
    assert!(store.is_whole_as(&many.digest, Form::Folder, None));
}

#[test]
fn what_cannot_be_in_a_folder_is_named_and_nothing_is_adopted() {
    for (script, error) in [
        (
            "mkfifo d/e/f",
            "output \"d/e/f\" is a FIFO, which cannot be stored",
        ),
        (
            "perl -MSocket -e 'socket(S, AF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un(\"d/s\"))'",
            "output \"d/s\" is a socket, which cannot be stored",
        ),
        (
            "ln -s /etc d/l",
            "output \"d/l\" is a link to \"/etc\", which may lie outside",
        ),
        (
            "ln -s ../x d/l",
            "output \"d/l\" is a link to \"../x\", which may lie outside",
        ),
        (
            "ln -s e/../x d/l",
            "output \"d/l\" is a link to \"e/../x\", which may lie outside",
        ),
        (
            "ln -s ../../x d/e/l",
            "output \"d/e/l\" is a link to \"../../x\", which may lie outside",
        ),
        (
            "> d/e/$(printf 'a\\377')",
            "output \"d/e/a\\xFF\" has a name that is not UTF-8",
        ),
        (
            "mkdir d/$(printf 'a\\377')",
            "output \"d/a\\xFF\" has a name that is not UTF-8",
        ),
        (
            "mkdir $(printf 'a\\377')",
            "output \"a\\xFF\" has a name that is not UTF-8",
        ),
        (
            "ln -s d l",
            "output \"l\" is a symbolic link, not a regular file",
        ),
    ] {
        let (dir, store, out) = fixture();
        run(
            &out,
            &format!("mkdir -p d/e; echo good > d/good; echo good > good\n{script}"),
        );
        let told = with_folders(dir.path(), &store, &out)
            .unwrap_err()
            .to_string();
        assert!(told.starts_with(error), "{script}: {told}");
        assert!(
            out.join("d/good").exists() && out.join("good").exists(),
            "{script}"
        );
    }
    for good in [
        "ln -s ../x d/e/l",
        "ln -s e d/l",
        "ln -s . d/e/l",
        "ln -s none d/l",
    ] {
        lists(&format!("mkdir -p d/e; {good}")).unwrap();
    }
}

#[test]
fn a_folder_may_be_as_deep_as_a_path_can_tell() {
    let deep = |depth: usize| {
        let (dir, store, out) = fixture();
        let mut folder = Arc::new(Folder::open(&out).unwrap());
        folder = Arc::new(folder.make("d").unwrap());
        for _ in 0..depth {
            folder.entry("z").create().unwrap();
            folder = Arc::new(folder.make("a").unwrap());
        }
        let outputs = with_folders(dir.path(), &store, &out).map_err(|error| error.to_string());
        let outputs = outputs.map(|outputs| {
            let parent = Folder::open(dir.path()).unwrap();
            let tree = outputs[0].digest;
            let files = store.unfold(&tree, &parent, "again", TO_THE_END).unwrap();
            assert_eq!(files, depth as u64);
        });
        assert!(folder::remove_all(&dir.path().join("again")));
        assert!(folder::remove_all(&out));
        outputs
    };
    deep(500).unwrap();
    let error = deep(2100).unwrap_err();
    assert!(error.contains("lies too deep"), "{error}");
}

/// What a path in a folder is to be: a file with those bytes, executable or not, a link, a folder.
#[derive(Debug, Clone)]
enum Thing {
    File(u8, bool),
    Link(&'static str),
    Folder,
}

fn thing() -> impl proptest::strategy::Strategy<Value = (Vec<&'static str>, Thing)> {
    use proptest::prelude::*;
    const NAMES: [&str; 8] = ["a", "b", "a-", "a.b", "a b", "ä\n", "\\", "0"];
    let kind = prop_oneof![
        (0_u8..4, any::<bool>()).prop_map(|(bytes, executable)| Thing::File(bytes, executable)),
        prop::sample::select(&["a", ".", "nowhere", "a/b"][..]).prop_map(Thing::Link),
        Just(Thing::Folder),
    ];
    (
        prop::collection::vec(prop::sample::select(&NAMES[..]), 1..5),
        kind,
    )
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// Whatever is in a folder is in the one that is made of its object, and the object of that is the same.
    #[test]
    fn a_folder_comes_back_as_it_was(things in proptest::collection::vec(thing(), 0..30)) {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let (dir, store, out) = fixture();
        let top = out.join("d");
        fs::create_dir(&top).unwrap();
        for (path, thing) in &things {
            let path = top.join(path.join("/"));
            // What another one made a file or a link stays that.
            if fs::create_dir_all(path.parent().unwrap()).is_err() {
                continue;
            }
            let canonical = fs::canonicalize(path.parent().unwrap()).unwrap();
            if canonical != path.parent().unwrap() || path.symlink_metadata().is_ok() {
                continue;
            }
            match thing {
                Thing::File(bytes, executable) => {
                    fs::write(&path, [*bytes]).unwrap();
                    let mode = if *executable { 0o755 } else { 0o644 };
                    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
                }
                Thing::Link(target) => symlink(target, &path).unwrap(),
                Thing::Folder => fs::create_dir(&path).unwrap(),
            }
        }
        run(dir.path(), "cp -a out/d before");
        let first = with_folders(dir.path(), &store, &out).unwrap();
        let parent = Folder::open(&out).unwrap();
        store.unfold(&first[0].digest, &parent, "d", TO_THE_END).unwrap();
        run(dir.path(), "diff -r --no-dereference out/d before
            list() { (cd \"$1\" && find . -printf '%P %y %l ' '(' -type f -executable -printf x -o -true ')' -printf '\\n'); }
            [ \"$(list out/d | sort)\" = \"$(list before | sort)\" ]");
        let second = with_folders(dir.path(), &store, &out).unwrap();
        proptest::prop_assert_eq!(first, second);
    }
}
