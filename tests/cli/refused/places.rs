//! What can lie in the place of the db and of the lock file: how it came there, the words, the status, the
//! error, the hint.

use super::{PIPELINE, says};
use crate::harness::{Running, Test};

/// Behind a run, what a shell does to its db.
const DB: &[(&str, &str, i32, &str, &str)] = &[
    ("rm -r db; echo x > db", "-run", 2, "the db ./db is a file, not a folder", "name a folder with -db"),
    ("rm -r db; echo x > db", "status", 2, "the db ./db is a file, not a folder", "name a folder with -db"),
    ("rm -r db; ln -s nowhere db", "-run", 2, "the db ./db is a link to nowhere, which is not there", "make that folder, or mount the disk"),
    ("rm -r db; ln -s nowhere db", "status", 2, "there is no db at ./db", "name the pipeline's db folder"),
    ("rm -r db; mkdir db; echo x > db/README", "-run", 2, "./db is no db and not empty: it holds README", "a db has a folder of its own"),
    ("rm -r db; mkdir db; echo x > db/README", "gc", 2, "there is no db at ./db", "name the pipeline's db folder"),
    ("rm -r db; mkdir db db/objects; echo x > db/mine", "-run", 2, "./db is no db and not empty: it holds mine", "a db has a folder of its own"),
    ("rm -r db; mkdir db; : > db/db", "status", 2, "nothing ever ran in ./db", "run the pipeline first: -run"),
    ("rm -r db; mkdir db; : > db/db", "-run", 0, "", ""),
    ("rm -r db; mkdir db; head -c 5000 /dev/zero | tr '\\0' x > db/db", "-run", 2, "./db/db is not a usable database: file is not a database", "restore the file from a backup"),
    ("rm -r db; mkdir db; head -c 5000 /dev/zero | tr '\\0' x > db/db", "verify", 2, "./db/db is not a usable database: file is not a database", "restore the file from a backup"),
    ("rm -r db; mkdir -p db/db", "-run", 2, "./db is no db and not empty: it holds db", "a db has a folder of its own"),
    ("head -c 4096 db/db > x; rm -f db/db-wal db/db-shm; mv x db/db", "-run", 2, "./db/db is not a usable database: database disk image is malformed", "restore the file from a backup"),
    ("head -c 4096 db/db > x; rm -f db/db-wal db/db-shm; mv x db/db", "gc", 2, "./db/db is not a usable database", "restore the file from a backup"),
    ("printf '\\3' | dd of=db/db bs=1 seek=18 conv=notrunc 2>/dev/null", "-run", 2, "bytes 18 and 19 of its head are 3 and 2, and SQLite writes 1 or 2 there", "restore the file from a backup"),
    ("printf '\\3' | dd of=db/db bs=1 seek=18 conv=notrunc 2>/dev/null", "verify", 2, "bytes 18 and 19 of its head are 3 and 2", "restore the file from a backup"),
    ("printf '\\377' | dd of=db/db bs=1 seek=19 conv=notrunc 2>/dev/null", "gc", 2, "bytes 18 and 19 of its head are 2 and 255", "restore the file from a backup"),
    ("rm -f db/db-wal; mkdir db/db-wal", "-run", 2, "./db/db-wal is a folder, not a file", "put the file itself there"),
    ("printf garbage > db/db-wal", "-run", 0, "", ""),
    ("rm -r db/objects; : > db/objects", "-run", 2, "db/objects is a file, not a folder", "move it away: a folder is made in its place"),
    ("rm -r db/objects; : > db/objects", "gc", 2, "db/objects is a file, not a folder", "move it away"),
    ("rm -rf db/tmp; : > db/tmp", "-run -fresh", 2, "db/tmp is a file, not a folder", "move it away: a folder is made in its place"),
    ("rm -f db/lock; mkdir db/lock", "-run", 2, "db/lock is a folder", "move that folder away"),
    ("rm db/db", "status", 2, "there is no db at ./db", "name the pipeline's db folder"),
];

/// The same, what a statement does to its database.
const DATABASE: &[(&str, &str, &str, &str)] = &[
    ("PRAGMA user_version = 999", "-run", "./db/db has format 999, and this program knows formats up to", "use the newer task-pipeline"),
    ("PRAGMA user_version = 999", "status", "./db/db has format 999", "use the newer task-pipeline"),
    ("PRAGMA user_version = 999", "gc", "./db/db has format 999", "use the newer task-pipeline"),
    ("PRAGMA user_version = -1", "verify", "it has format -1", ""),
    ("PRAGMA foreign_keys = OFF; DROP TABLE task", "-run", "./db/db is not a usable database: its table task is not there", "restore the file from a backup"),
    ("PRAGMA foreign_keys = OFF; DROP TABLE task", "export", "its table task is not there", "restore the file from a backup"),
];

fn world() -> Test {
    let test = Test::with(PIPELINE);
    test.runs();
    test
}

#[test]
fn dbs() {
    for (setting, words, status, error, hint) in DB {
        let test = world();
        Running::start(test.shell(setting)).end().exits(0);
        let ran = test.run(words.split(' '));
        says(&ran, &format!("{setting} # {words}"), *status, error, hint);
    }
    for (statements, words, error, hint) in DATABASE {
        let test = world();
        test.alter(statements);
        let ran = test.run(words.split(' '));
        says(&ran, &format!("{statements} # {words}"), 2, error, hint);
    }
    let test = Test::with(PIPELINE);
    std::fs::create_dir(test.path("db")).unwrap();
    test.alter("CREATE TABLE mine (x)");
    for words in ["-run", "status", "gc", "verify"] {
        let error = "./db/db is the database of another program";
        says(&test.run([words]), words, 2, error, "name another folder with -db");
    }
}

const HASH: &str = "sha256-KMAknNQgQcVvj9grEHSfLmmz6+TmjqNYIoh6NUsr4uE=";

/// A lock file of the package that the manifest names, with a change; how else it may be there; the error, the
/// hint.
const LOCK: &[(&str, &str, &str, &str)] = &[
    ("version = 1", "version = 2", "the lock file workflow.lock has format 2; this task-pipeline knows up to 1", "use a newer task-pipeline, or delete the file"),
    ("version = 1", "version = -1", "line 1: `version` is no whole number from 1 on", "restore it from version control"),
    ("version = 1", "version = 'x'", "line 1: `version` is no whole number from 1 on", "restore it from version control"),
    ("version = 1", "", "the lock file workflow.lock is damaged: it has no `version`", "restore it from version control"),
    ("version = 1", "{\"nodes\": {}}", "the lock file workflow.lock is damaged: line 1: ", "delete it and pin anew: `task-pipeline lock`"),
    ("version = 1", "version = 1\n<<<<<<< HEAD", "the lock file workflow.lock is damaged: line 2: ", "restore it from version control"),
    ("lastModified = 1\n", "lastModified = ", "the lock file workflow.lock is damaged: line 4: ", "restore it from version control"),
    ("sha256-KM", "sha256-*", "line 5: the pin of `github:o/r` has no hash there", "restore it from version control"),
    ("11111111", "main", "line 8: the pin of `github:o/r` has no revision there", "restore it from version control"),
    ("type = ", "kind = ", "line 3: the pin of `github:o/r` is not whole", "restore it from version control"),
    ("repo = \"r\"", "repo = \"evil\"", "line 7: `github:o/r` is pinned to github:o/evil, and `repo` is \"evil\" in place of \"r\"", "a pin has to lead where the manifest says"),
];

/// The same, made by a shell.
const LOCK_PLACE: &[(&str, &str, &str)] = &[
    ("mkdir workflow.lock", "cannot read the lock file workflow.lock: it is not a regular file", "move away what is there"),
    ("mkfifo workflow.lock", "cannot read the lock file workflow.lock: it is not a regular file", "move away what is there"),
    ("ln -s /dev/zero workflow.lock", "cannot read the lock file workflow.lock: it is not a regular file", "move away what is there"),
    ("printf '\\377' > workflow.lock", "cannot read the lock file workflow.lock: it is not UTF-8 text", "move away what is there; restore the file"),
];

#[test]
fn lock_files() {
    let package = PIPELINE.replace("name = 'next'", "name = 'next'\npackages = ['github:o/r#jq']");
    let good = format!(
        "version = 1\n[[pin]]\nreference = \"github:o/r\"\nlastModified = 1\nnarHash = \"{HASH}\"\n\
         owner = \"o\"\nrepo = \"r\"\nrev = \"{}\"\ntype = \"github\"\n",
        "1".repeat(40)
    );
    let test = Test::with(&package);
    let refuses = |case: &str, error: &str, hint: &str| {
        for words in ["check", "-run", "-run -locked", "lock"] {
            let ran = test.run(words.split(' '));
            says(&ran, &format!("{case} # {words}"), 3, error, hint);
        }
    };
    for (from, to, error, hint) in LOCK {
        assert!(good.contains(from), "{from}");
        test.write("workflow.lock", good.replace(from, to));
        refuses(to, error, hint);
    }
    for (setting, error, hint) in LOCK_PLACE {
        let place = format!("rm -rf workflow.lock; {setting}");
        Running::start(test.shell(&place)).end().exits(0);
        refuses(setting, error, hint);
    }
    assert_eq!(test.rows("SELECT count(*) FROM task"), ["0"]);
}
