use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use super::*;

impl Store {
    fn insert_file<'a>(
        &self,
        entry: impl Into<Entry<'a>>,
        quiet: bool,
    ) -> Result<Inserted, InsertError> {
        self.insert(self.candidate(entry, quiet)?)
    }
}

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("objects"), dir.path()).unwrap();
    (dir, store)
}

#[test]
fn a_file_becomes_an_object_by_rename() {
    let (dir, store) = store();
    let file = dir.path().join("f");
    fs::write(&file, "hello").unwrap();
    let inode = fs::metadata(&file).unwrap().ino();
    let inserted = store.insert_file(&file, true).unwrap();
    assert_eq!(inserted.digest, Digest::of(b"hello"));
    assert_eq!(inserted.size, 5);
    assert!(!file.exists());
    let path = dir
        .path()
        .join("objects/2c/f2/4dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    let metadata = fs::metadata(path).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o444);
    if cfg!(target_os = "linux") {
        assert_eq!(metadata.ino(), inode);
    }
}

#[test]
fn objects_are_found_by_the_beginning_of_their_hash() {
    let (_dir, store) = store();
    let mut all: Vec<Digest> = (0..200_u8)
        .map(|n| store.insert_bytes(&[n]).unwrap())
        .collect();
    all.sort_unstable();
    for object in &all {
        let hex = object.hex();
        for length in [4, 5, 9, 64] {
            let mut wanted = all.clone();
            wanted.retain(|object| object.hex().starts_with(&hex[..length]));
            assert_eq!(store.starting(&hex[..length]), wanted);
        }
    }
    assert!(store.starting("abc").is_empty());
    fs::remove_dir_all(&store.root).unwrap();
    assert!(store.starting(&all[0].hex()).is_empty());
}

#[test]
fn a_hard_linked_file_is_copied_and_stays_as_it_is() {
    let (dir, store) = store();
    let (file, link) = (dir.path().join("f"), dir.path().join("g"));
    for size in [5, 100_000, usize::try_from(LARGE).unwrap()] {
        fs::write(&link, vec![7; size]).unwrap();
        fs::set_permissions(&link, fs::Permissions::from_mode(0o640)).unwrap();
        fs::hard_link(&link, &file).unwrap();
        let inode = fs::metadata(&link).unwrap().ino();
        let digest = store.insert_file(&file, true).unwrap().digest;
        assert!(!file.exists());
        let left = fs::metadata(&link).unwrap();
        assert_eq!((left.mode() & 0o7777, left.ino()), (0o640, inode));
        assert_eq!((left.nlink(), left.len()), (1, size as u64));
        fs::write(&link, "other").unwrap();
        assert_eq!(fs::read(store.path(&digest)).unwrap(), vec![7; size]);
        store.copy_out(&digest, &dir.path().join("copy")).unwrap();
    }
}

#[test]
fn what_a_process_may_still_reach_is_copied() {
    let (dir, store) = store();
    let file = dir.path().join("f");
    fs::write(&file, "hello").unwrap();
    let inode = fs::metadata(&file).unwrap().ino();
    let digest = store.insert_file(&file, false).unwrap().digest;
    assert!(!file.exists());
    assert_ne!(fs::metadata(store.path(&digest)).unwrap().ino(), inode);
}

#[test]
fn a_file_of_another_user_is_copied_and_stays_as_it_is() {
    let (dir, store) = store();
    let file = dir.path().join("f");
    fs::write(&file, "hello").unwrap();
    if std::os::unix::fs::chown(&file, Some(12345), None).is_err() {
        // Only root can give files away.
        return;
    }
    let open = fs::File::open(&file).unwrap();
    let before = open.metadata().unwrap();
    let digest = store.insert_file(&file, true).unwrap().digest;
    assert!(!file.exists());
    assert_eq!(open.metadata().unwrap().mode(), before.mode());
    assert_ne!(
        fs::metadata(store.path(&digest)).unwrap().ino(),
        before.ino()
    );
}

#[test]
fn a_file_that_is_being_written_is_not_adopted() {
    let (dir, store) = store();
    let file = dir.path().join("f");
    let mut writer = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&file)
        .unwrap();
    writer.write_all(b"a").unwrap();
    if cfg!(target_os = "linux") {
        assert!(matches!(
            store.insert_file(&file, true),
            Err(InsertError::BeingWritten)
        ));
    } else {
        let digest = store.insert_file(&file, false).unwrap().digest;
        writer.write_all(b"b").unwrap();
        assert_eq!(fs::read(store.path(&digest)).unwrap(), b"a");
    }
}

#[test]
fn a_writer_that_is_about_to_go_is_waited_for() {
    let (dir, store) = store();
    let file = dir.path().join("f");
    let writer = fs::File::create(&file).unwrap();
    let going = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(20));
        drop(writer);
    });
    assert_eq!(
        store.insert_file(&file, true).unwrap().digest,
        Digest::EMPTY
    );
    going.join().unwrap();
}

#[test]
fn other_things_are_named() {
    let (dir, store) = store();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("dir")).unwrap();
    std::os::unix::fs::symlink("dir", at("link")).unwrap();
    nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    let _socket = UnixListener::bind(at("socket")).unwrap();
    for (name, kind) in [
        ("dir", "a folder"),
        ("link", "a symbolic link"),
        ("fifo", "a FIFO"),
        ("socket", "a socket"),
    ] {
        match store.insert_file(&at(name), true) {
            Err(InsertError::NotAFile(found)) => assert_eq!(found, kind),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn the_copy_is_private() {
    let (dir, store) = store();
    for size in [0, 10, 1_000_000] {
        let bytes = vec![7; size];
        let digest = store.insert_bytes(&bytes).unwrap();
        let copy = dir.path().join(format!("copy{size}"));
        assert_eq!(store.copy_out(&digest, &copy).unwrap(), size as u64);
        assert_eq!(fs::read(&copy).unwrap(), bytes);
        fs::write(&copy, "changed").unwrap();
        assert_eq!(fs::read(store.path(&digest)).unwrap(), bytes);
    }
}

#[test]
fn a_damaged_object_is_noticed_and_mended_by_the_next_equal_one() {
    let (dir, store) = store();
    for size in [10, 1_000_000] {
        let bytes = vec![7; size];
        let digest = store.insert_bytes(&bytes).unwrap();
        let copy = dir.path().join(format!("copy{size}"));
        store.copy_out(&digest, &copy).unwrap();
        fs::remove_file(&copy).unwrap();

        let path = store.path(&digest);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let mut changed = bytes.clone();
        changed[3] = 8;
        fs::write(&path, &changed).unwrap();
        assert!(matches!(
            store.copy_out(&digest, &copy),
            Err(Error::Damaged { .. })
        ));
        assert!(!copy.exists());

        store.insert_bytes(&bytes).unwrap();
        assert_eq!(store.copy_out(&digest, &copy).unwrap(), size as u64);
    }
}

#[test]
fn what_is_no_file_is_named_and_not_waited_for() {
    let (dir, store) = store();
    let digest = store.insert_bytes(b"hello").unwrap();
    let path = store.path(&digest);
    let copy = dir.path().join("copy");
    let error = || store.copy_out(&digest, &copy).unwrap_err().to_string();
    fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    store.read_ahead(&digest);
    assert!(error().ends_with(" is a FIFO, not a file"), "{}", error());
    store.insert_bytes(b"hello").unwrap();
    store.copy_out(&digest, &copy).unwrap();
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(error().ends_with(" is a folder, not a file"), "{}", error());
}

#[test]
fn a_missing_object_is_named_with_its_place() {
    let (dir, store) = store();
    let error = store
        .copy_out(&Digest::EMPTY, &dir.path().join("f"))
        .unwrap_err();
    assert!(
        error.to_string().contains("objects/e3/b0/c44298fc"),
        "{error}"
    );
}

#[test]
fn a_folder_that_was_removed_is_made_again() {
    let (dir, store) = store();
    let digest = store.insert_bytes(b"hello").unwrap();
    for folder in ["objects/2c/f2", "objects/2c", "objects"] {
        fs::remove_dir_all(dir.path().join(folder)).unwrap();
        assert_eq!(store.insert_bytes(b"hello").unwrap(), digest);
        assert!(store.contains(&digest));
    }
}

#[test]
fn an_equal_large_file_leaves_the_object_that_is_there() {
    let (dir, store) = store();
    let file = dir.path().join("f");
    let bytes = vec![7; usize::try_from(LARGE).unwrap()];
    let adopt = || {
        fs::write(&file, &bytes).unwrap();
        let digest = store.insert_file(&file, true).unwrap().digest;
        assert!(!file.exists());
        digest
    };
    let path = store.path(&adopt());
    let inode = || fs::metadata(&path).unwrap().ino();
    let first = inode();
    adopt();
    assert_eq!(inode(), first);
    // What was touched is mended.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, "changed").unwrap();
    adopt();
    assert_ne!(inode(), first);
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_failure_leaves_nothing_behind_and_says_where_it_was() {
    let (dir, store) = store();
    // In the way of the folder that the object needs.
    fs::write(dir.path().join("objects/2c"), "").unwrap();
    // And of that for what is in the way.
    fs::write(dir.path().join("objects/aside"), "").unwrap();
    let (file, link) = (dir.path().join("f"), dir.path().join("g"));
    fs::write(&file, "hello").unwrap();
    fs::hard_link(&file, &link).unwrap();
    for error in [
        store.insert_bytes(b"hello").unwrap_err().to_string(),
        store.insert_file(&file, true).unwrap_err().to_string(),
    ] {
        assert!(error.contains("objects/aside"), "{error}");
    }
    let mut left: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["f", "g", "objects"]);
}

#[test]
fn a_full_disk_is_said_with_what_to_do() {
    let full = io::Error::from(io::ErrorKind::StorageFull);
    let error = io_error("write", Path::new("/x/y"))(full);
    assert!(error.to_string().starts_with("cannot write /x/y: "));
    assert_eq!(error.hint(), Some("make room on that disk and run again"));
}

#[test]
fn files_that_are_objects_already_leave_them_alone() {
    let (dir, store) = store();
    let outside = dir.path().join("outside");
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let all: Vec<Digest> = (0..5).map(|n| store.insert_bytes(&[n]).unwrap()).collect();
    let evidence = |digest: &Digest| {
        let path = store.path(digest);
        let accessed = fs::metadata(&path).unwrap().accessed().unwrap();
        (Evidence::of(&fs::metadata(path).unwrap()), accessed)
    };
    let before: Vec<_> = all.iter().map(evidence).collect();
    for (n, digest) in (0..).zip(&all) {
        let path = file("f", &[n]);
        if n == 3 {
            fs::hard_link(&path, &outside).unwrap();
        }
        let inserted = store.insert_file(&path, true).unwrap();
        assert_eq!((inserted.digest, inserted.size), (*digest, 1));
        assert!(!path.exists());
    }
    let after: Vec<_> = all.iter().map(evidence).collect();
    assert_eq!(before, after);
    assert_eq!(fs::metadata(&outside).unwrap().nlink(), 1);

    // What is new among them, and what was damaged, becomes an object all the same.
    let new = store.insert_file(&file("f", b"new"), true).unwrap().digest;
    store.copy_out(&new, &dir.path().join("copy")).unwrap();
    store.insert_file(&file("f", &[0]), true).unwrap();
    for found in ["", "other bytes", "1"] {
        let path = store.path(&all[1]);
        fs::remove_file(&path).unwrap();
        fs::write(&path, found).unwrap();
        assert_eq!(
            store.insert_file(&file("f", &[1]), true).unwrap().digest,
            all[1]
        );
        assert_eq!(fs::read(&path).unwrap(), [1]);
        store.insert_file(&file("f", &[0]), true).unwrap();
    }
    let large = vec![7; usize::try_from(SMALL).unwrap() + 1];
    let digest = store.insert_file(&file("f", &large), true).unwrap().digest;
    assert_eq!(fs::read(store.path(&digest)).unwrap(), large);

    if cfg!(target_os = "linux") {
        store.insert_file(&file("f", &[0]), true).unwrap();
        let path = file("f", &[2]);
        let _writer = OpenOptions::new().append(true).open(&path).unwrap();
        let refused = store.insert_file(&path, false);
        assert!(matches!(refused, Err(InsertError::BeingWritten)));
        assert!(path.exists());
    }
}

#[test]
fn what_is_in_the_way_of_an_object_is_put_aside() {
    let (dir, store) = store();
    let object = |text: &str| {
        let file = dir.path().join("f");
        fs::write(&file, text).unwrap();
        store.insert_file(&file, true).unwrap().digest
    };
    let is_whole = |digest: &Digest| store.condition(digest, None) == Condition::Whole;
    let digest = object("one");
    let path = store.path(&digest);
    let aside = || {
        let found = fs::read_dir(store.root.join("aside")).into_iter().flatten();
        found.count()
    };
    // In its own place: a folder with something in it, a link.
    for round in 1..=2 {
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        fs::write(path.join("precious"), "").unwrap();
        assert!(!is_whole(&digest));
        assert_eq!(object("one"), digest);
        assert!(is_whole(&digest));
        assert_eq!(aside(), round);
    }
    let outside = dir.path().join("outside");
    fs::write(&outside, "one").unwrap();
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&outside, &path).unwrap();
    assert!(!is_whole(&digest), "a link can lead elsewhere tomorrow");
    assert_eq!(store.insert_bytes(b"one").unwrap(), digest);
    assert!(is_whole(&digest) && outside.is_file());
    // In that of a folder above it: a file, a link to nothing. What has a link to a folder stays.
    let folder = path.parent().unwrap();
    for above in [folder, folder.parent().unwrap()] {
        fs::remove_dir_all(above).unwrap();
        fs::write(above, "precious").unwrap();
        assert_eq!(object("one"), digest);
        assert!(is_whole(&digest));
        fs::remove_dir_all(above).unwrap();
        std::os::unix::fs::symlink("nowhere", above).unwrap();
        assert_eq!(object("one"), digest);
        assert!(is_whole(&digest));
    }
    assert_eq!(aside(), 6);
    let other = dir.path().join("other");
    fs::rename(folder, &other).unwrap();
    std::os::unix::fs::symlink(&other, folder).unwrap();
    assert_eq!(object("one"), digest);
    assert!(folder.is_symlink() && is_whole(&digest));
}

#[test]
fn a_large_object_is_read_once_something_was_done_to_it() {
    let (dir, store) = store();
    let file = dir.path().join("f");
    let bytes = vec![7; usize::try_from(SMALL).unwrap() + 1];
    fs::write(&file, &bytes).unwrap();
    let digest = store.insert_file(&file, true).unwrap().digest;
    let path = store.path(&digest);
    let changed = || {
        let metadata = fs::metadata(&path).unwrap();
        metadata.ctime() * 1_000_000 + metadata.ctime_nsec() / 1000
    };
    let again = |store: &Store| Store::open(&store.root, dir.path()).unwrap();
    assert_eq!(
        store.condition(&digest, None),
        Condition::Whole,
        "just read"
    );
    let made = changed();
    let store = again(&store);
    assert_eq!(store.condition(&digest, Some(made)), Condition::Whole);
    assert_eq!(store.condition(&digest, None), Condition::Unknown);
    // Same size, same time of the last change as far as a program can set that.
    std::thread::sleep(std::time::Duration::from_millis(20));
    let times = fs::FileTimes::new().set_modified(fs::metadata(&path).unwrap().modified().unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let mut altered = OpenOptions::new().write(true).open(&path).unwrap();
    altered.write_all(b"8").unwrap();
    altered.set_times(times).unwrap();
    assert_eq!(store.condition(&digest, Some(made)), Condition::Unknown);
    store.examine(&digest);
    assert_eq!(store.condition(&digest, Some(made)), Condition::Broken);
    fs::write(&file, &bytes).unwrap();
    store.insert_file(&file, true).unwrap();
    assert_eq!(store.condition(&digest, None), Condition::Whole);
}

#[test]
fn what_is_no_file_is_no_list_and_is_not_waited_for() {
    let (dir, store) = store();
    let named = Digest::of(b"named");
    let text = format!("{}f {}  x\n", crate::model::tree::HEADER, &*named.hex());
    let list = store.insert_bytes(text.as_bytes()).unwrap();
    let look = || {
        let mut found = Vec::new();
        let there = store.each_named(&list, |object, _| found.push(object));
        (store.is_list(&list).unwrap(), there.unwrap(), found)
    };
    assert_eq!(look(), (true, true, vec![named]));
    let path = store.path(&list);
    let nothing = (false, false, vec![]);
    let away = dir.path().join("away");
    fs::rename(&path, &away).unwrap();
    std::os::unix::fs::symlink(&away, &path).unwrap();
    assert_eq!(look(), nothing, "not even where a link leads to one");
    fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(look(), nothing);
}

#[test]
fn a_list_is_read_up_to_a_line_that_no_list_has() {
    let (_dir, store) = store();
    let [before, behind] = [b"before", b"behind"].map(|name| Digest::of(name));
    let line = |object: &Digest| format!("f {}  x\n", &*object.hex());
    let damaged = |between: &[u8]| {
        let text = [line(&before).as_bytes(), between, line(&behind).as_bytes()].concat();
        let list = store.insert_bytes(&text).unwrap();
        let mut found = Vec::new();
        let whole = store.each_named(&list, |object, _| found.push(object));
        (whole.unwrap(), found)
    };
    assert_eq!(damaged(b"what is that?\n"), (true, vec![before, behind]));
    let long = [vec![0; 1 << 20], b"\n".to_vec()].concat();
    assert_eq!(damaged(&long), (false, vec![before]));
}
