//! With real stores, folders, and those who keep results badly.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use super::transport::folder::Folder;
use super::transport::{Body, Fault, Transport};
use super::*;
use crate::engine::{Found, Output};
use crate::model::list::Form;
use crate::model::task::TaskId;
use crate::model::tree::{self, Entry, Kind};

struct World {
    dir: tempfile::TempDir,
}

fn secret(name: &str, seed: u8) -> SecretKey {
    SecretKey::new(name, &[seed; 32]).unwrap()
}

impl World {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    fn address(&self) -> Address {
        Address::Folder(self.folder().to_str().unwrap().into())
    }

    fn store(&self, name: &str) -> Arc<Store> {
        let scratch = self.dir.path().join(format!("{name}.scratch"));
        fs::create_dir_all(&scratch).unwrap();
        let objects = self.dir.path().join(name);
        Arc::new(Store::open(&objects, &scratch).unwrap())
    }

    fn reader(&self, store: &Arc<Store>, trusted: &[PublicKey]) -> Cache {
        let settings = Settings {
            from: vec![self.address()],
            to: None,
            trusted: trusted.to_vec(),
            warning: None,
        };
        Cache::begin(settings, Arc::clone(store), || ()).unwrap()
    }

    fn push(&self, store: &Arc<Store>, key: SecretKey, successes: Vec<Success>) -> Pushed {
        let settings = Settings {
            from: Vec::new(),
            to: Some((self.address(), key)),
            trusted: Vec::new(),
            warning: None,
        };
        let mut cache = Cache::begin(settings, Arc::clone(store), || ()).unwrap();
        assert!(cache.gives());
        successes
            .into_iter()
            .for_each(|success| cache.give(success));
        cache.end(&|| false).0.unwrap()
    }

    /// All files of the cache below `folder`.
    fn files(&self, folder: &str) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.folder().join(folder)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push(path);
                }
            }
        }
        files.sort();
        files
    }
}

fn key(text: &str) -> ResultKey {
    ResultKey(Digest::of(text.as_bytes()))
}

fn output(name: &str, digest: Digest, form: Form) -> Output {
    Output {
        name: name.into(),
        digest,
        form,
    }
}

/// A result with a file, a large one, and a folder with a file and a link in it.
fn success(store: &Store, name: &str) -> Success {
    let small = store.insert_bytes(name.as_bytes()).unwrap();
    let large: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let large = store.insert_bytes(&large).unwrap();
    let entry = |kind, bytes: &[u8], name: &str| Entry {
        kind,
        digest: store.insert_bytes(bytes).unwrap(),
        name: Box::from(name),
    };
    let list = tree::write(&mut [
        entry(Kind::Executable, b"in a folder", "a/run"),
        entry(Kind::Link, b"run", "a/to"),
    ]);
    let folder = store.insert_bytes(list.as_bytes()).unwrap();
    Success {
        key: key(name),
        outputs: vec![
            output("x.txt", small, Form::File),
            output("large", large, Form::File),
            output("dir", folder, Form::Folder),
        ],
        executed: 1234,
    }
}

/// Asks, and waits for the answer; with what else was told.
fn ask(cache: &mut Cache, key: ResultKey, within: (i64, i64)) -> (Option<Box<Found>>, Vec<String>) {
    let question = Question {
        task: TaskId(7),
        key,
        within,
    };
    if !cache.ask(question) {
        return (None, vec!["nobody is asked".to_owned()]);
    }
    let mut told = Vec::new();
    loop {
        for news in cache.news(100) {
            match news {
                News::Warning(words) => told.push(words),
                News::Answer(task, found) => {
                    assert_eq!(task, TaskId(7));
                    return (found, told);
                }
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

const ANY: (i64, i64) = (0, i64::MAX);

#[test]
fn what_one_has_put_there_another_finds() {
    let world = World::new();
    let (one, two) = (world.store("one"), world.store("two"));
    let given = success(&one, "a");
    let outputs = given.outputs.clone();
    let pushed = world.push(&one, secret("lab", 1), vec![given]);
    assert_eq!((pushed.results, pushed.left), (1, 0));
    assert!(
        pushed.bytes > 1000 && pushed.bytes < 4_000_000,
        "{pushed:?}"
    );
    let mut cache = world.reader(&two, &[secret("lab", 1).public()]);
    let (found, told) = ask(&mut cache, key("a"), ANY);
    let found = found.unwrap_or_else(|| panic!("{told:?}"));
    assert_eq!(found.outputs, outputs);
    assert_eq!(found.executed, 1234);
    let origin = format!("lab ({})", world.address());
    assert_eq!(&*found.origin, origin);
    for output in &outputs {
        assert!(
            two.is_whole_as(&output.digest, output.form, None),
            "{output:?}"
        );
    }
    let (none, told) = ask(&mut cache, key("b"), ANY);
    assert!(none.is_none() && told.is_empty(), "{told:?}");
    assert_eq!(cache.end(&|| false), (None, Vec::new()));
}

#[test]
fn a_record_that_is_there_stays_unless_it_was_too_old() {
    let world = World::new();
    let store = world.store("one");
    world.push(&store, secret("lab", 1), vec![success(&store, "a")]);
    let record = world.files("results").remove(0);
    let before = fs::read(&record).unwrap();
    let other = Success {
        executed: 5678,
        ..success(&store, "a")
    };
    let pushed = world.push(&store, secret("lab", 1), vec![other]);
    assert_eq!((pushed.results, pushed.left), (0, 0));
    assert_eq!(fs::read(&record).unwrap(), before);
    let settings = Settings {
        from: Vec::new(),
        to: Some((world.address(), secret("lab", 1))),
        trusted: Vec::new(),
        warning: None,
    };
    let mut cache = Cache::begin(settings, Arc::clone(&store), || ()).unwrap();
    assert!(ask(&mut cache, key("a"), (2000, i64::MAX)).0.is_none());
    cache.give(Success {
        executed: 5678,
        ..success(&store, "a")
    });
    assert_eq!(cache.end(&|| false).0.unwrap().results, 1);
    assert_ne!(fs::read(&record).unwrap(), before);
}

#[test]
fn nobody_is_believed_who_is_not_trusted_and_that_is_told_once() {
    let world = World::new();
    let (one, two) = (world.store("one"), world.store("two"));
    let both = ["a", "b"].map(|name| success(&one, name));
    world.push(&one, secret("lab", 1), both.into());
    for (trusted, words) in [
        (secret("other", 1), "signed by lab, who is not trusted"),
        (secret("lab", 2), "was not signed by lab"),
    ] {
        let mut cache = world.reader(&two, &[trusted.public()]);
        let (found, told) = ask(&mut cache, key("a"), ANY);
        assert!(found.is_none());
        assert!(told.len() == 1 && told[0].contains(words), "{told:?}");
        let (found, told) = ask(&mut cache, key("b"), ANY);
        assert!(found.is_none() && told.is_empty(), "{told:?}");
    }
    assert!(!two.contains(&Digest::of(b"a")), "nothing was fetched");
}

#[test]
fn results_whose_place_is_taken_by_one_who_is_not_trusted_are_counted() {
    let world = World::new();
    let store = world.store("one");
    let both = || ["a", "b"].map(|name| success(&store, name)).into();
    world.push(&store, secret("old", 1), both());
    fs::write(world.files("results").remove(0), "no record").unwrap();
    for (key, barred) in [(secret("new", 2), 2), (secret("old", 1), 1)] {
        let pushed = world.push(&store, key, both());
        assert_eq!((pushed.results, pushed.left), (0, 0));
        assert_eq!(pushed.barred, barred);
    }
    fs::remove_dir_all(world.folder().join("results")).unwrap();
    let pushed = world.push(&store, secret("new", 2), both());
    assert_eq!((pushed.results, pushed.barred), (2, 0));
}

#[test]
fn a_record_in_the_place_of_another_is_not_used() {
    let world = World::new();
    let (one, two) = (world.store("one"), world.store("two"));
    world.push(&one, secret("lab", 1), vec![success(&one, "a")]);
    let from = world.files("results").remove(0);
    let to = world.folder().join(record_name(&key("b")));
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, to).unwrap();
    let mut cache = world.reader(&two, &[secret("lab", 1).public()]);
    let (found, told) = ask(&mut cache, key("b"), ANY);
    assert!(found.is_none());
    assert!(told[0].contains("the record of another result"), "{told:?}");
}

/// Spoils each object in each way; then it is told, not used, and put right by whoever executes the task and pushes.
#[test]
fn objects_that_are_not_what_they_should_be_are_told_and_put_right() {
    let world = World::new();
    let one = world.store("one");
    world.push(&one, secret("lab", 1), vec![success(&one, "a")]);
    let spoil: [fn(&Path); 5] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::write(path, "no zstd").unwrap(),
        |path| fs::write(path, "").unwrap(),
        |path| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
        },
        |path| fs::write(path, zstd::encode_all(&b"something else"[..], 3).unwrap()).unwrap(),
    ];
    let files = world.files("objects");
    assert_eq!(files.len(), 5);
    for (number, path) in files.iter().enumerate() {
        for (way, spoil) in spoil.iter().enumerate() {
            spoil(path);
            let two = world.store(&format!("two {number} {way}"));
            let settings = Settings {
                from: Vec::new(),
                to: Some((world.address(), secret("lab", 1))),
                trusted: Vec::new(),
                warning: None,
            };
            let mut cache = Cache::begin(settings, Arc::clone(&two), || ()).unwrap();
            let (found, told) = ask(&mut cache, key("a"), ANY);
            assert!(found.is_none(), "{number} {way}");
            assert!(told.len() == 1 && told[0].contains("not used"), "{told:?}");
            cache.give(success(&two, "a"));
            assert_eq!(cache.end(&|| false).0.unwrap().left, 0);
            let three = world.store(&format!("three {number} {way}"));
            let mut cache = world.reader(&three, &[secret("lab", 1).public()]);
            let (found, told) = ask(&mut cache, key("a"), ANY);
            assert!(found.is_some(), "{number} {way}: {told:?}");
        }
    }
}

#[test]
fn more_bytes_than_were_signed_for_are_not_taken() {
    let world = World::new();
    let (one, two) = (world.store("one"), world.store("two"));
    let given = success(&one, "a");
    let object = given.outputs[0].digest;
    world.push(&one, secret("lab", 1), vec![given]);
    let zeros = vec![0; 100 << 20];
    let bomb = zstd::encode_all(&zeros[..], 3).unwrap();
    fs::write(world.folder().join(object_name(&object)), bomb).unwrap();
    let mut cache = world.reader(&two, &[secret("lab", 1).public()]);
    let (found, told) = ask(&mut cache, key("a"), ANY);
    assert!(
        found.is_none() && told[0].contains("cut off, or has other bytes"),
        "{told:?}"
    );
}

#[test]
fn where_nothing_was_ever_put_nobody_is_asked() {
    let world = World::new();
    let store = world.store("one");
    let mut cache = world.reader(&store, &[secret("lab", 1).public()]);
    let mut told = ask(&mut cache, key("a"), ANY).1;
    told.extend(ask(&mut cache, key("a"), ANY).1);
    assert_eq!(told.pop().unwrap(), "nobody is asked");
    told.extend(cache.end(&|| false).1);
    assert!(
        told.len() == 1 && told[0].contains("there is no cache at that address"),
        "{told:?}"
    );
    assert!(!world.folder().exists());
}

#[test]
fn a_place_of_another_form_is_told() {
    let world = World::new();
    let store = world.store("one");
    fs::create_dir(world.folder()).unwrap();
    fs::write(
        world.folder().join("task-pipeline-cache"),
        "task-pipeline cache 2\n",
    )
    .unwrap();
    let mut cache = world.reader(&store, &[secret("lab", 1).public()]);
    let mut told = Vec::new();
    while told.is_empty() {
        told.extend(cache.news(10));
    }
    let News::Warning(words) = &told[0] else {
        panic!("{told:?}");
    };
    assert!(words.contains("of a newer task-pipeline"), "{words}");
}

/// Whoever keeps results, and does not give them.
struct Bad {
    good: Folder,
    /// What becomes of a look at a record.
    of_record: fn() -> Result<Option<Vec<u8>>, Fault>,
    looks: Arc<AtomicUsize>,
}

impl Transport for Bad {
    fn read(&self, name: &str, most: usize) -> Result<Option<Vec<u8>>, Fault> {
        if name.starts_with("results") {
            self.looks.fetch_add(1, Ordering::Relaxed);
            return (self.of_record)();
        }
        self.good.read(name, most)
    }

    fn open(&self, name: &str) -> Result<Option<Box<dyn Read + Send>>, Fault> {
        self.good.open(name)
    }

    fn has(&self, name: &str) -> Result<bool, Fault> {
        self.good.has(name)
    }

    fn put(&self, name: &str, new: bool, body: Body) -> Result<bool, Fault> {
        if name.starts_with("objects") {
            return Err(Fault::Refused("it is full".to_owned()));
        }
        self.good.put(name, new, body)
    }
}

fn bad(
    world: &World,
    of_record: fn() -> Result<Option<Vec<u8>>, Fault>,
) -> (Cache, Arc<AtomicUsize>) {
    let looks = Arc::new(AtomicUsize::new(0));
    let transport = Box::new(Bad {
        good: Folder::new(world.folder().to_str().unwrap()),
        of_record,
        looks: Arc::clone(&looks),
    });
    let place = Arc::new(Place::with(&world.address(), transport, true));
    let to = Some((Arc::clone(&place), secret("lab", 1)));
    let cache = Cache::of(vec![place], to, Vec::new(), world.store("one"), || ());
    (cache, looks)
}

#[test]
fn a_thousand_in_flight_each_have_an_answer_and_a_dead_place_is_told_once() {
    let world = World::new();
    let (mut cache, looks) = bad(&world, || {
        std::thread::sleep(Duration::from_millis(100));
        Err(Fault::Gone("no answer".to_owned()))
    });
    let question = |n: i64| Question {
        task: TaskId(n),
        key: key(&n.to_string()),
        within: ANY,
    };
    let began = Instant::now();
    let asked = (0..1000).filter(|n| cache.ask(question(*n))).count();
    let (mut answers, mut warnings) = (0, 0);
    while answers < asked {
        for news in cache.news(10) {
            match news {
                News::Answer(_, found) => {
                    assert!(found.is_none());
                    answers += 1;
                }
                News::Warning(_) => warnings += 1,
            }
        }
        std::thread::yield_now();
    }
    assert_eq!(warnings, 1);
    assert!(looks.load(Ordering::Relaxed) <= ASKING);
    assert!(
        !cache.ask(question(0)),
        "it is gone, after {:?}",
        began.elapsed()
    );
    assert!(!cache.has_news());
}

#[test]
fn a_place_that_takes_nothing_is_told_and_nothing_is_said_to_be_there() {
    let world = World::new();
    let (mut cache, _) = bad(&world, || Ok(None));
    let store = world.store("one");
    for name in ["a", "b", "c"] {
        cache.give(success(&store, name));
    }
    let (pushed, told) = cache.end(&|| false);
    let pushed = pushed.unwrap();
    assert_eq!((pushed.results, pushed.left), (0, 3));
    assert!(
        told.len() == 1 && told[0].contains("it is full"),
        "{told:?}"
    );
    assert!(!world.folder().join("results").exists());
}

#[test]
fn what_is_not_here_any_more_is_not_put_there() {
    let world = World::new();
    let store = world.store("one");
    let given = success(&store, "a");
    fs::remove_file(store.path(&given.outputs[1].digest)).unwrap();
    let pushed = world.push(&store, secret("lab", 1), vec![given]);
    assert_eq!((pushed.results, pushed.left), (0, 1));
    assert!(!world.folder().join("results").exists());
}

#[test]
fn a_run_that_is_to_end_waits_for_nothing() {
    let world = World::new();
    let store = world.store("one");
    let (mut cache, _) = bad(&world, || Ok(None));
    (0..50).for_each(|n| cache.give(success(&store, &n.to_string())));
    let pushed = cache.end(&|| true).0.unwrap();
    assert_eq!(pushed.results, 0);
}
