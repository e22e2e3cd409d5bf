use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::*;
use crate::model::digest::Digest;

struct Fixture {
    dir: tempfile::TempDir,
    store: Store,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("objects"), dir.path()).unwrap();
        Self { dir, store }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn shared(&self, bytes: &[u8]) -> SharedOutput {
        fs::write(self.path("output"), bytes).unwrap();
        self.lend("output").unwrap()
    }

    fn lend(&self, name: &str) -> Option<SharedOutput> {
        let folder = Arc::new(Folder::open(self.dir.path()).unwrap());
        let candidate = self.store.candidate(folder.entry(name), true).unwrap();
        SharedOutput::of(candidate, &folder, name).ok()
    }

    /// The object is right, is nobody else's file, and nothing is left beside it.
    fn check(&self, inserted: Inserted, bytes: &[u8]) -> u64 {
        assert_eq!(inserted.digest, Digest::of(bytes));
        let path = self.store.path(&inserted.digest);
        assert!(fs::read(&path).unwrap() == bytes);
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(metadata.mode() & 0o7777, 0o444);
        assert_eq!(metadata.nlink(), 1);
        assert!(!self.path("output").exists());
        metadata.ino()
    }
}

fn bytes(fill: u8) -> Vec<u8> {
    let mut bytes = vec![fill; usize::try_from(LARGE).unwrap() + 4321];
    bytes[3] = 0;
    bytes
}

#[test]
fn what_nobody_borrows_becomes_the_object() {
    let all = Fixture::new();
    let bytes = bytes(1);
    let shared = all.shared(&bytes);
    let inode = fs::metadata(all.path("output")).unwrap().ino();
    assert_eq!(
        all.check(all.store.insert_shared(&shared).unwrap(), &bytes),
        inode
    );
    assert!(!shared.lend(&all.path("input")).unwrap(), "it is too late");
    assert!(!all.path("input").exists());
}

#[test]
fn what_was_returned_becomes_the_object_itself() {
    let all = Fixture::new();
    let bytes = bytes(2);
    let shared = all.shared(&bytes);
    let input = all.path("input");
    fs::write(&input, "of an earlier task").unwrap();
    assert!(shared.lend(&input).unwrap());
    assert!(
        !shared.lend(&all.path("other")).unwrap(),
        "to one task alone"
    );
    assert!(fs::read(&input).unwrap() == bytes);
    assert_eq!(fs::metadata(&input).unwrap().mode() & 0o7777, 0o644);
    let inode = fs::metadata(&input).unwrap().ino();
    shared.give_back(&input);
    assert!(!input.exists());
    assert_eq!(
        all.check(all.store.insert_shared(&shared).unwrap(), &bytes),
        inode
    );
    assert!(!shared.was_disturbed());
}

#[test]
fn what_is_still_being_read_is_copied_and_may_then_be_written_to() {
    let all = Fixture::new();
    let bytes = bytes(3);
    let shared = all.shared(&bytes);
    let input = all.path("input");
    assert!(shared.lend(&input).unwrap());
    let inserted = all.store.insert_shared(&shared).unwrap();
    let inode = all.check(inserted, &bytes);
    assert_ne!(fs::metadata(&input).unwrap().ino(), inode);
    fs::write(&input, "changed").unwrap();
    all.check(inserted, &bytes);
    assert!(!shared.was_disturbed(), "nobody had to wait");
    shared.give_back(&input);
    assert!(input.exists(), "it is the reader's own");
}

#[test]
fn a_reader_that_ends_soon_is_waited_for_and_no_copy_is_made() {
    let all = Fixture::new();
    let bytes = bytes(9);
    let shared = all.shared(&bytes);
    let input = all.path("input");
    assert!(shared.lend(&input).unwrap());
    let inode = fs::metadata(&input).unwrap().ino();
    std::thread::scope(|scope| {
        let settle = || all.store.settle(&shared, |_| Duration::from_mins(5));
        let inserted = scope.spawn(settle);
        while !shared.lock().awaited {
            std::thread::yield_now();
        }
        shared.give_back(&input);
        assert_eq!(all.check(inserted.join().unwrap().unwrap(), &bytes), inode);
    });
}

#[test]
fn nobody_waits_for_a_reader_that_gives_nothing_back_or_for_one_who_writes() {
    for writes in [false, true] {
        let all = Fixture::new();
        let bytes = bytes(10);
        let shared = all.shared(&bytes);
        let input = all.path("input");
        assert!(shared.lend(&input).unwrap());
        std::thread::scope(|scope| {
            let settle = || all.store.settle(&shared, |_| Duration::from_hours(1));
            let inserted = scope.spawn(settle);
            while !shared.lock().awaited {
                std::thread::yield_now();
            }
            if writes {
                fs::write(&input, "changed").unwrap();
            } else {
                shared.abandon();
            }
            all.check(inserted.join().unwrap().unwrap(), &bytes);
        });
        assert!(input.exists());
    }
}

#[test]
fn a_reader_that_writes_waits_and_harms_nothing() {
    for end in [false, true] {
        let all = Fixture::new();
        let bytes = bytes(4);
        let shared = all.shared(&bytes);
        let input = all.path("input");
        assert!(shared.lend(&input).unwrap());
        let writer = std::thread::spawn({
            let input = input.clone();
            move || {
                let mut file = OpenOptions::new().write(true).open(&input).unwrap();
                file.write_all(b"changed").unwrap();
            }
        });
        let began = Instant::now();
        while !shared.was_disturbed() {
            assert!(began.elapsed() < Duration::from_secs(20));
            std::thread::yield_now();
        }
        if end {
            // As if the reader had ended with an opening that never came about.
            shared.give_back(&input);
        }
        let inserted = all.store.insert_shared(&shared).unwrap();
        writer.join().unwrap();
        all.check(inserted, &bytes);
        if !end {
            assert!(fs::read(&input).unwrap().starts_with(b"changed"));
        }
        assert!(shared.was_disturbed());
    }
}

#[test]
fn a_reader_that_keeps_the_file_under_another_name_gets_it_for_itself() {
    let all = Fixture::new();
    let bytes = bytes(5);
    let shared = all.shared(&bytes);
    let (input, kept) = (all.path("input"), all.path("kept"));
    assert!(shared.lend(&input).unwrap());
    fs::hard_link(&input, &kept).unwrap();
    shared.give_back(&input);
    let inserted = all.store.insert_shared(&shared).unwrap();
    fs::write(&kept, "changed").unwrap();
    all.check(inserted, &bytes);
}

#[test]
fn a_reader_that_puts_another_file_in_its_place_keeps_that() {
    let all = Fixture::new();
    let bytes = bytes(6);
    let shared = all.shared(&bytes);
    let input = all.path("input");
    assert!(shared.lend(&input).unwrap());
    fs::write(all.path("new"), "new").unwrap();
    fs::rename(all.path("new"), &input).unwrap();
    shared.give_back(&input);
    assert_eq!(fs::read(&input).unwrap(), b"new");
    all.check(all.store.insert_shared(&shared).unwrap(), &bytes);
}

#[test]
fn not_everything_is_lent() {
    let all = Fixture::new();
    let path = all.path("output");
    fs::write(&path, "small").unwrap();
    assert!(all.lend("output").is_none());
    // It may no longer be written to, but by root.
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes(7)).unwrap();
    fs::hard_link(&path, all.path("other")).unwrap();
    assert!(all.lend("output").is_none());
}

#[test]
fn a_failure_gives_the_lease_up() {
    let all = Fixture::new();
    let bytes = bytes(8);
    let shared = all.shared(&bytes);
    let input = all.path("input");
    assert!(shared.lend(&input).unwrap());
    // In the way of the object's folder.
    let folder = all.store.path(&Digest::of(&bytes));
    let folder = folder.parent().unwrap().parent().unwrap();
    fs::write(folder, "").unwrap();
    fs::write(folder.with_file_name("aside"), "").unwrap();
    assert!(all.store.insert_shared(&shared).is_err());
    fs::write(&input, "does not wait").unwrap();
}
