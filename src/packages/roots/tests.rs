//! Links that are of this module, and links that somebody else put there.

use std::os::unix::fs::symlink;

use super::*;

const HASH: &str = "0c0n1xjwdkkzg5y0b9hmkvlkdbzjbfgw";

struct Db {
    dir: tempfile::TempDir,
    store: StoreDir,
}

impl Db {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            store: StoreDir::new("/nix/store").unwrap(),
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn link(&self, name: &str, target: &str) {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    fn is_there(&self, name: &str) -> bool {
        self.at(name).symlink_metadata().is_ok()
    }

    fn open(&self) -> Result<Roots, RootsError> {
        Roots::open(&self.at("gcroots"), &self.store)
    }

    #[track_caller]
    fn prune(&self, keep: &BTreeSet<String>) -> usize {
        let told = prune(&self.at("gcroots"), keep, &self.store, false).unwrap();
        let done = prune(&self.at("gcroots"), keep, &self.store, true).unwrap();
        assert_eq!(told, done);
        done
    }
}

fn stored(name: &str) -> String {
    format!("/nix/store/{HASH}-{name}")
}

#[test]
fn pruned_of_what_nothing_uses() {
    let db = Db::new();
    let (build, store) = ("build-0123456789abcdef", "store-0123456789abcdef");
    for (link, target) in [
        (format!("{build}/env"), "x"),
        (format!("{build}/env-1"), "y"),
        (format!("{store}/path"), "y"),
    ] {
        db.link(&format!("gcroots/{link}"), &stored(target));
    }
    let keep = BTreeSet::from([stored("x")]);
    assert_eq!(db.prune(&keep), 2);
    assert!(db.is_there(&format!("gcroots/{build}/env")));
    assert!(!db.is_there(&format!("gcroots/{build}/env-1")));
    assert!(!db.is_there(&format!("gcroots/{store}")));
    assert_eq!(Db::new().prune(&keep), 0);
}

#[test]
fn what_is_not_its_own_is_left_alone() {
    let db = Db::new();
    let call = "gcroots/build-0123456789abcdef";
    let others = [
        "gcroots/mine/env",
        "gcroots/build-0123/env",
        "gcroots/build-0123456789abcdeg/env",
        "gcroots/env",
        &format!("{call}/other"),
        &format!("{call}/envy"),
    ];
    for other in others {
        db.link(other, &stored("x"));
    }
    for (name, target) in [
        ("env-1", "/etc/passwd"),
        ("env-2", "relative"),
        ("env-3", "/nix/store/../x"),
        ("env-4", &format!("{}/bin", stored("x"))),
    ] {
        db.link(&format!("{call}/{name}"), target);
    }
    fs::write(db.at(&format!("{call}/env-5")), "a file").unwrap();
    db.open().unwrap();
    assert_eq!(db.prune(&BTreeSet::new()), 0);
    for other in others {
        assert!(db.is_there(other), "{other}");
    }
    for number in 1..6 {
        assert!(db.is_there(&format!("{call}/env-{number}")));
    }
}

/// A folder elsewhere that looks as the roots do.
fn elsewhere(db: &Db) {
    db.link("elsewhere/build-0123456789abcdef/env", &stored("x"));
    fs::create_dir_all(db.at("elsewhere/again-0123456789abcdef")).unwrap();
    fs::write(db.at("elsewhere/registered-at"), "/somewhere").unwrap();
}

fn is_untouched(db: &Db) -> bool {
    db.is_there("elsewhere/build-0123456789abcdef/env")
        && db.is_there("elsewhere/again-0123456789abcdef")
        && fs::read(db.at("elsewhere/registered-at")).unwrap() == b"/somewhere"
}

#[test]
fn a_link_in_place_of_the_folder() {
    let db = Db::new();
    elsewhere(&db);
    db.link("gcroots", "elsewhere");
    let error = db.open().unwrap_err();
    assert!(matches!(error, RootsError::Elsewhere { .. }), "{error}");
    prune(&db.at("gcroots"), &BTreeSet::new(), &db.store, true).unwrap_err();
    assert!(is_untouched(&db));
    fs::remove_file(db.at("gcroots")).unwrap();
    fs::write(db.at("gcroots"), "").unwrap();
    let error = db.open().unwrap_err();
    assert!(matches!(error, RootsError::Elsewhere { .. }), "{error}");
}

#[test]
fn a_link_in_place_of_a_folder_in_it() {
    let db = Db::new();
    elsewhere(&db);
    let target = db.at("elsewhere/build-0123456789abcdef");
    db.link("gcroots/build-0123456789abcdef", target.to_str().unwrap());
    let roots = db.open().unwrap();
    assert_eq!(db.prune(&BTreeSet::new()), 0);
    let error = roots.place("build-0123456789abcdef", "env").unwrap_err();
    assert!(matches!(error, RootsError::Elsewhere { .. }), "{error}");
    assert!(is_untouched(&db));
}

#[test]
fn a_link_in_place_of_a_file() {
    for hard in [false, true] {
        let db = Db::new();
        let private = db.at("private");
        fs::write(&private, "private").unwrap();
        fs::create_dir(db.at("gcroots")).unwrap();
        let place = db.at("gcroots/registered-at");
        if hard {
            fs::hard_link(&private, &place).unwrap();
        } else {
            symlink(&private, &place).unwrap();
        }
        db.open().unwrap();
        assert_eq!(fs::read(&private).unwrap(), b"private");
        let here = db.at("gcroots").canonicalize().unwrap();
        assert_eq!(
            fs::read(&place).unwrap(),
            here.as_os_str().as_encoded_bytes()
        );
        assert!(!place.is_symlink());
    }
}

#[test]
fn a_fifo_in_place_of_a_file_is_not_waited_for() {
    let db = Db::new();
    fs::create_dir(db.at("gcroots")).unwrap();
    let place = db.at("gcroots/registered-at");
    nix::unistd::mkfifo(&place, nix::sys::stat::Mode::S_IRWXU).unwrap();
    db.open().unwrap();
    assert!(place.is_file());
}

#[test]
fn the_db_folder_itself_may_be_reached_by_a_link() {
    let db = Db::new();
    fs::create_dir(db.at("real")).unwrap();
    db.link("db", "real");
    let roots = Roots::open(&db.at("db/gcroots"), &db.store).unwrap();
    let place = roots.place("build-0123456789abcdef", "env").unwrap();
    let real = db.at("real").canonicalize().unwrap();
    assert_eq!(place, real.join("gcroots/build-0123456789abcdef/env"));
}
