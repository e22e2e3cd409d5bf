//! Paths, files and clocks out of the ordinary.

use std::fs;
use std::path::Path;

use crate::harness::{Running, Test};

const TWO: &str = r#"
[[step]]
name = "begin"
start = true
script = 'printf "%s\n" "$OUTPUT_DIR" "$TMPDIR" "$INPUT_FILE" > "$OUTPUT_DIR/a_work"'

[[step]]
name = "work"
script = 'cp "$INPUT_FILE" "$OUTPUT_DIR/done"'
"#;

#[test]
fn a_db_may_have_any_name() {
    for db in [
        "file:x",
        "file:x?mode=ro",
        "file::memory:",
        ":memory:",
        "a b%20?c#d",
        "-x",
        "é\u{1b}[31m",
    ] {
        let test = Test::with(TWO);
        let db_is = format!("-db={db}");
        test.run([&db_is, "-run"]).exits(0).says("2 run");
        assert!(test.path(db).join("db").is_file(), "{db}");
        test.run([&db_is, "status"]).exits(0).prints("2 of 2 tasks");
        test.run([&db_is, "-run", "-dry-run"]).exits(0);
        test.run([&db_is, "export", "-to", "out"]).exits(0);
        assert!(test.path("out/done").is_file(), "{db}");
    }
}

#[test]
fn a_folder_of_other_things_is_no_db_and_stays_as_it_is() {
    let test = Test::with(TWO);
    let files = [
        "x/tmp/mine",
        "x/tmp/run-mine/mine",
        "x/notes",
        "x/objects/a",
    ];
    for file in files {
        test.write(file, "mine");
    }
    for options in [&["-run"][..], &["-run", "-dry-run"]] {
        test.run([&["-db", "x"], options].concat())
            .exits(2)
            .says("x is no db and not empty: it holds notes\nhint: a db has a folder of its own");
    }
    for name in ["lock", "db-wal", "db-journal"] {
        let folder = format!("of_{name}");
        test.write(&format!("{folder}/{name}"), "mine");
        for options in [&["-run"][..], &[]] {
            let says = format!("{folder} is no db and not empty: it holds {name}\n");
            test.run([&["-db", &*folder], options].concat())
                .exits(2)
                .says(&says);
        }
        assert_eq!(test.read(&format!("{folder}/{name}")), "mine");
    }
    // The folder of the manifest, and a deeper one.
    test.run(["-db", ".", "-run"]).exits(2).says("is no db");
    assert!(!test.path("x/lock").exists() && !test.path("lock").exists());
    // Where the db is in it, that is said, and nothing is left there either.
    test.run(["-run"]).exits(0);
    for call in [&["-run"][..], &["status"], &["gc"]] {
        test.run([&["-db", "."], call].concat())
            .exits(2)
            .says(". is no db, but has one in it: ./db\nhint: name that folder with -db");
    }
    assert!(!test.path("lock").exists());
    for file in files {
        assert_eq!(test.read(file), "mine");
    }
}

#[test]
fn what_is_put_into_a_db_stays() {
    let test = Test::with(TWO);
    test.run(["-run"]).exits(0).says("2 run");
    let files = [
        "db/tmp/mine",
        "db/tmp/run-mine/mine",
        "db/notes",
        "db/objects/.tmp/mine",
    ];
    for file in files {
        test.write(file, "mine");
    }
    // As a run that was killed leaves it.
    fs::create_dir_all(test.path("db/tmp/run-0a1b2c/w0-0/out")).unwrap();
    test.run(["-run", "-fresh"]).exits(0).says("2 run");
    for file in files {
        assert_eq!(test.read(file), "mine");
    }
    assert!(!test.path("db/tmp/run-0a1b2c").exists());
}

#[test]
fn a_db_too_deep_for_sqlite_is_told() {
    let test = Test::with(TWO);
    let here = fs::canonicalize(test.path("")).unwrap().as_os_str().len();
    // With `/db` at its end: as long as it may be, and a byte longer.
    for (length, fits) in [(504, true), (505, false), (1500, false)] {
        let mut db = String::new();
        let room = length - here - "/".len() - "/db".len();
        while db.len() + 101 < room {
            db.push_str(&"d".repeat(100));
            db.push('/');
        }
        db.push_str(&"e".repeat(room - db.len()));
        let ran = test.run(["-db", &db, "-run"]);
        if fits {
            ran.exits(0);
            test.run(["-db", &db, "status"]).exits(0);
        } else {
            let ran = ran
                .exits(2)
                .says("more than 504 bytes")
                .says("hint: name a db folder nearer");
            assert_eq!(ran.stderr.matches(&db).count(), 1, "{ran}");
        }
    }
}

#[test]
fn scripts_see_plain_paths() {
    let test = Test::with(TWO);
    test.run(["-db", "./x/./db", "-run"]).exits(0);
    test.run(["-db", "x/db", "export", "-to", "out"]).exits(0);
    let paths = test.read("out/done");
    assert_eq!(paths.lines().count(), 3);
    for path in paths.lines() {
        assert!(
            Path::new(path).is_absolute() && !path.contains("/./"),
            "{path}"
        );
    }
}

#[test]
fn an_emptied_database_is_told() {
    let test = Test::with(TWO);
    test.runs();
    test.write("db/db", "");
    for words in ["status", "graph", "-run -dry-run", "export -to out"] {
        test.run(words.split(' '))
            .exits(2)
            .says("db/db is empty, although there are objects beside it")
            .says("hint: ");
    }
    test.runs()
        .says("warning: the file of the database was empty")
        .says("2 run");
    test.runs().never_says("was empty").says("0 run");
}

#[test]
fn a_database_whose_log_was_lost_is_told() {
    let test = Test::with(TWO);
    test.runs();
    // As a first run leaves it that was killed before anything came from its log to the file.
    for file in ["db/db", "db/db-wal", "db/db-shm"] {
        let _ = fs::remove_file(test.path(file));
    }
    rusqlite::Connection::open(test.path("db/db"))
        .and_then(|db| db.execute_batch("CREATE TABLE t (a); DROP TABLE t"))
        .unwrap();
    assert!(fs::metadata(test.path("db/db")).unwrap().len() > 0);
    test.run(["status"])
        .exits(2)
        .says("db/db is empty, although there are objects beside it");
    test.runs()
        .says("warning: the file of the database was empty")
        .says("2 run");
    test.runs().never_says("was empty").says("0 run");
}

#[test]
fn no_more_mistakes_are_told_than_anybody_reads() {
    let test = Test::new();
    let odd = (0..5000).map(|number| format!("odd{number} = 1\n"));
    let odd: String = odd.collect();
    test.write("workflow.toml", TWO.to_owned() + &odd);
    let ran = test.run(["check"]).exits(2).says("and 4900 more errors");
    assert!(ran.elapsed < std::time::Duration::from_mins(1), "{ran}");
    // It has no end.
    test.run(["-manifest", "/dev/zero", "check"])
        .exits(2)
        .says("it has more than 64 MiB");
}

#[test]
fn errors_name_a_path_once() {
    let test = Test::with(TWO);
    test.runs();
    for (words, path) in [
        ("report -o nowhere/report.html", "nowhere"),
        ("-run -trace nowhere/trace", "nowhere"),
        ("-manifest nowhere/w.toml", "nowhere"),
        ("-run -workdir nowhere", "nowhere"),
        ("-db workflow.toml status", "workflow.toml"),
        ("-db nowhere/db status", "nowhere"),
        ("export -to workflow.toml", "workflow.toml"),
        ("export -to workflow.toml/x", "workflow.toml"),
    ] {
        let ran = test.run(words.split(' ')).exits(2);
        let error = ran.stderr.lines().find(|line| line.starts_with("error: "));
        let error = error.unwrap_or_else(|| panic!("{words}: {ran}"));
        assert_eq!(error.matches(path).count(), 1, "{words}: {error}");
        assert!(!error.contains("entity not found"), "{words}: {error}");
    }
}

#[test]
fn hints_have_something_to_say() {
    let test = Test::with(TWO);
    test.runs();
    test.run(["why", "zzzzzz"])
        .exits(2)
        .says("hint: its steps are begin, work\n");
    // Of very many steps some are named.
    let many: Vec<String> = (0..200)
        .map(|n| format!("[[step]]\nname='s{n}'\nscript=':'\n"))
        .collect();
    let many = many.concat();
    test.manifest(&format!("{TWO}{many}"));
    test.run(["-run", "-start", "zzzzzz"])
        .exits(2)
        .says("s9, and 190 more\n");
    let empty = Test::with(TWO);
    empty.runs();
    empty.alter("PRAGMA foreign_keys = OFF; DELETE FROM step");
    empty
        .run(["why", "zzzzzz"])
        .exits(2)
        .says("hint: it has no steps yet");
}

#[test]
fn without_packages_no_lock_file_is_made() {
    let test = Test::with("[[step]]\nname = 'a'\nstart = true\nscript = ':'\n");
    for arguments in [&["lock"][..], &["lock", "-update"]] {
        test.run(arguments.iter().copied())
            .exits(0)
            .prints("workflow.lock: not needed, no step has packages");
        assert!(!test.path("workflow.lock").exists());
    }
}

#[test]
fn an_unknown_pin_is_wrong_usage() {
    let test = Test::with(TWO);
    test.run(["lock", "-update", "nope"])
        .exits(2)
        .says("no pin is called `nope`: the manifest has no package that is pinned");
}

#[test]
fn json_says_in_words_where_programs_come_from() {
    let test = Test::with(&TWO.replace("name = \"work\"", "name = \"work\"\npackages = ['x']"));
    test.run(["-run", "-host-env"]).exits(0);
    for words in ["status -json", "trace 2 -json"] {
        let ran = test.run(words.split(' ')).exits(0);
        let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let all = json["steps"]
            .as_array()
            .or(json["tasks"].as_array())
            .unwrap();
        let kinds: Vec<_> = all.iter().map(|one| &one["environment"]["kind"]).collect();
        assert!(kinds.contains(&&"host".into()), "{ran}");
        assert!(kinds.contains(&&"host-instead-of-packages".into()), "{ran}");
    }
}

#[test]
fn a_db_folder_with_a_space_is_no_trouble_for_quoted_names() {
    let test = Test::with(TWO);
    let running = Running::start(test.command(["-db", "two words/db", "-run"]));
    running.end().exits(0).says("2 run");
}
