//! What is done to a folder.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::random::Random;

/// The pipeline's folder, and one that is none of its business.
pub struct Place {
    pub work: PathBuf,
    pub home: PathBuf,
}

/// Damages the folder; what was done, in words.
pub fn damage(place: &Place, random: &mut Random) -> Vec<String> {
    let mut done = Vec::new();
    for _ in 0..=random.below(4) {
        let one = match random.below(10) {
            0..=3 => rows(place, random),
            4 | 5 => schema(place, random),
            6 | 7 => bytes(place, random),
            8 => entry(place, random),
            _ => lock(place, random),
        };
        done.push(one);
    }
    done
}

fn sql(place: &Place, statements: &str) -> String {
    let path = place.work.join("db/db");
    if !path.symlink_metadata().is_ok_and(|data| data.is_file()) {
        return "-- there is no database any more".to_owned();
    }
    // SQLite would wait for ever at a FIFO.
    for beside in ["db-wal", "db-shm", "db-journal"] {
        let beside = path.with_file_name(beside).symlink_metadata();
        if beside.is_ok_and(|data| !data.is_file()) {
            return "-- something else is in the place of a file of the database".to_owned();
        }
    }
    let result = Connection::open(path).and_then(|db| {
        db.execute_batch(
            "PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF; PRAGMA busy_timeout = 0;",
        )?;
        db.execute_batch(statements)
    });
    match result {
        Ok(()) => statements.to_owned(),
        Err(error) => format!("-- {error}\n{statements}"),
    }
}

const COLUMNS: [(&str, &[&str]); 7] = [
    (
        "step",
        &[
            "id",
            "name",
            "script",
            "version",
            "is_start",
            "parallel",
            "fingerprint",
            "identity",
            "created",
        ],
    ),
    (
        "task",
        &[
            "id",
            "object_hash",
            "step_id",
            "input_task_id",
            "processed",
            "error",
            "runset",
            "name",
            "live",
            "supersedes",
            "forced",
            "reused_from",
            "started",
            "elapsed",
            "worker",
            "room",
        ],
    ),
    ("runset", &["id", "name", "created"]),
    (
        "tally",
        &[
            "runset_id",
            "step_id",
            "pending",
            "failed",
            "done",
            "reused",
            "spent",
        ],
    ),
    ("log", &["task_id", "stdout", "stderr"]),
    ("environment", &["key", "value"]),
    ("meta", &["key", "value"]),
];

/// Puts each kind of value in each column, once; calls `look` with what was done.
pub fn each_value(mut look: impl FnMut(&dyn Fn(&Place, &mut Random) -> Vec<String>)) {
    for (table, columns) in COLUMNS {
        for column in columns {
            for kind in 0..KINDS {
                look(&|place, random| {
                    let value = value_of(place, random, kind);
                    // Some rows, of which there are many in one table alone.
                    let which = match random.below(3) {
                        0 => "1".to_owned(),
                        _ => format!("{} % 3 = {}", columns[0], random.below(3)),
                    };
                    let change =
                        format!("UPDATE OR REPLACE {table} SET {column} = {value} WHERE {which}");
                    vec![sql(place, &change)]
                });
            }
        }
    }
}

/// How many kinds of values there are.
const KINDS: usize = 24;

/// A value, as SQL.
fn value(place: &Place, random: &mut Random) -> String {
    let kind = random.below(KINDS);
    value_of(place, random, kind)
}

fn value_of(place: &Place, random: &mut Random, kind: usize) -> String {
    let private = place.home.join("private");
    let private = private.to_str().unwrap();
    match kind {
        0 => "NULL".to_owned(),
        1 => (*random.of(&["0", "1", "-1", "2", "3", "7"])).to_owned(),
        2 => (*random.of(&[
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775806",
            "4611686018427387904",
            "253402300800000",
            "-377705116800001",
            "4294967296",
        ]))
        .to_owned(),
        3 => (*random.of(&["1e308", "-1e308", "1e999", "0.5", "-0.0"])).to_owned(),
        4 => "''".to_owned(),
        5 => format!("'{private}'"),
        6 => format!("'../../../home/{}'", random.of(&["private", "folder", "new"])),
        7 => "printf('%.*c', 100000, 'x')".to_owned(),
        8 => "printf('%.*c', 3000000, 'é')".to_owned(),
        9 => "CAST(x'61ff00c3' AS TEXT)".to_owned(),
        10 => "CAST(x'00' AS TEXT)".to_owned(),
        11 => "zeroblob(1000)".to_owned(),
        12 => "'a' || char(0) || 'b' || char(27) || '[31m' || char(10) || char(8238)".to_owned(),
        13 => "'[[[[[[' || printf('%.*c', 100000, '[')".to_owned(),
        14 => "'{\"script\":\"x\",\"shell\":[],\"env\":{},\"pure\":true,\"keep\":[\"A=\\u0000\"],\"tools\":\"Host\"}'".to_owned(),
        15 => format!("(SELECT object_hash FROM task LIMIT 1 OFFSET {})", random.below(20)),
        16 => "'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'".to_owned(),
        17 => "printf('%064d', 7)".to_owned(),
        18 => format!("(SELECT name FROM task LIMIT 1 OFFSET {})", random.below(20)),
        19 => format!("(SELECT name FROM step LIMIT 1 OFFSET {})", random.below(4)),
        20 => "'[\"--plugin-files\",\"/tmp/x.so\"]'".to_owned(),
        21 => "'split'".to_owned(),
        _ => random.below(40).to_string(),
    }
}

fn rows(place: &Place, random: &mut Random) -> String {
    // Most is in this one.
    let table = if random.below(2) == 0 {
        1
    } else {
        random.below(COLUMNS.len())
    };
    let (table, columns) = COLUMNS[table];
    let mut statements = String::new();
    for _ in 0..=random.below(3) {
        let column = random.of(columns);
        let value = value(place, random);
        let which = match random.below(4) {
            0 => "1".to_owned(),
            1 => format!("{} % 3 = {}", columns[0], random.below(3)),
            _ => format!(
                "{0} IN (SELECT {0} FROM {table} LIMIT 1 OFFSET {1})",
                columns[0],
                random.below(30)
            ),
        };
        statements += &match random.below(12) {
            0 => format!("DELETE FROM {table} WHERE {which};"),
            1 => {
                let others: Vec<&str> = columns
                    .iter()
                    .copied()
                    .filter(|other| other != column)
                    .collect();
                let others = others.join(", ");
                format!(
                    "INSERT OR REPLACE INTO {table} ({column}, {others})
                     SELECT {value}, {others} FROM {table} WHERE {which};"
                )
            }
            2 => format!(
                "INSERT OR REPLACE INTO meta (key, value)
                 VALUES ('{}', {value});",
                random.of(&[
                    "boot",
                    "durable",
                    "writing",
                    "looked at",
                    "objects of 1",
                    "held:/x"
                ])
            ),
            3 => format!(
                "UPDATE task SET processed = 0, error = NULL WHERE id % 2 = {};",
                random.below(2)
            ),
            4 => format!(
                "UPDATE task SET input_task_id = id + {} WHERE id % {} = 0;",
                random.of(&["0", "1", "-1", "5", "-5"]),
                1 + random.below(4)
            ),
            _ => format!("UPDATE OR REPLACE {table} SET {column} = {value} WHERE {which};"),
        };
    }
    sql(place, &statements)
}

fn schema(place: &Place, random: &mut Random) -> String {
    let (table, columns) = *random.of(&COLUMNS);
    let column = *random.of(columns);
    let body = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)";
    let statements = match random.below(16) {
        0 => format!("ALTER TABLE {table} DROP COLUMN {column}"),
        1 => format!("ALTER TABLE {table} RENAME COLUMN {column} TO other"),
        2 => format!("ALTER TABLE {table} RENAME TO other"),
        3 => format!(
            "ALTER TABLE {table} RENAME TO other;
             CREATE VIEW {table} AS {body} SELECT other.*, i FROM other, n"
        ),
        4 => format!(
            "CREATE TRIGGER t AFTER {} ON {table} BEGIN
             UPDATE task SET name = '../../home/private'; UPDATE step SET script = 'x'; END",
            random.of(&["INSERT", "UPDATE", "DELETE"])
        ),
        5 => format!("ALTER TABLE {table} ADD COLUMN more TEXT AS (hex(zeroblob(1000000000)))"),
        6 => format!("PRAGMA user_version = {}", random.of(&["0", "1", "2", "3", "4", "-1"])),
        7 => format!(
            "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET {} = {} WHERE name = '{table}'",
            random.of(&["sql", "rootpage", "type", "tbl_name", "name"]),
            value(place, random)
        ),
        8 => format!(
            "PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema
                WHERE rootpage > 0 LIMIT 1 OFFSET {}) WHERE name = '{table}'",
            random.below(12)
        ),
        9 => format!("CREATE UNIQUE INDEX own ON {table} ({column})"),
        10 => format!("CREATE INDEX own ON {table} (hex(zeroblob(10000000)) || {column})"),
        11 => "DROP INDEX idx_task_step; DROP INDEX idx_task_input; DROP INDEX idx_task_final".to_owned(),
        12 => format!("DROP TABLE {table}"),
        13 => "PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = FULL; PRAGMA page_size = 65536; VACUUM".to_owned(),
        14 => "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE".to_owned(),
        _ => format!(
            "ALTER TABLE {table} RENAME TO other; CREATE TABLE {table} AS SELECT * FROM other;"
        ),
    };
    sql(place, &statements)
}

fn bytes(place: &Place, random: &mut Random) -> String {
    let name = *random.of(&[
        "db",
        "db",
        "db",
        "db",
        "db-wal",
        "db-shm",
        "db-journal",
        "lock",
    ]);
    let path = place.work.join("db").join(name);
    if name == "db" && random.below(2) == 0 {
        // All of it, so that it is not in the log.
        sql(place, "PRAGMA wal_checkpoint(TRUNCATE)");
    }
    let Ok(file) = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
    else {
        return format!("{name} cannot be opened");
    };
    let length = file.metadata().map_or(0, |data| data.len());
    let place_in = |random: &mut Random| match random.below(4) {
        0 => random.next() % 100,
        _ => random.next() % length.max(1),
    };
    match random.below(8) {
        0 => {
            let to = random.next() % (length + 1);
            let _ = file.set_len(to);
            format!("{name} cut to {to}")
        }
        1 => {
            let _ = file.set_len(length + random.next() % 9000);
            format!("{name} made longer")
        }
        2 => {
            // One page in the place of another.
            let page = 4096;
            let mut bytes = vec![0; 4096];
            let pages = (length / page).max(1);
            let (from, to) = (random.next() % pages, random.next() % pages);
            let _ = file.read_exact_at(&mut bytes, from * page);
            let _ = file.write_all_at(&bytes, to * page);
            format!("{name}: page {from} over {to}")
        }
        3 => {
            let at = place_in(random);
            let garbage: Vec<u8> = (0..random.below(600)).map(|_| random.byte()).collect();
            let _ = file.write_all_at(&garbage, at);
            format!("{name}: {} bytes at {at}", garbage.len())
        }
        _ => {
            let mut at = Vec::new();
            for _ in 0..=random.below(12) {
                let one = place_in(random);
                let any = random.byte();
                let byte = *random.of(&[0, 1, 0x7f, 0x80, 0xff, any]);
                let _ = file.write_all_at(&[byte], one);
                at.push(one);
            }
            format!("{name}: bytes at {at:?}")
        }
    }
}

/// Something else in the place of an entry of the folder, or one more.
fn entry(place: &Place, random: &mut Random) -> String {
    let db = place.work.join("db");
    let mut entries = vec![
        "db",
        "db-wal",
        "db-shm",
        "db-journal",
        "lock",
        "objects",
        "gcroots",
        "gcroots/registered-at",
        "gcroots/x",
        "tmp",
        "tmp/x",
        "tmp/1",
        "objects/ab",
        "objects/ab/cd",
    ]
    .into_iter()
    .map(|name| db.join(name))
    .collect::<Vec<_>>();
    entries.extend(crate::harness::files(&db.join("objects")));
    let path = random.of(&entries).clone();
    let home = |name: &str| place.home.join(name);
    if path.is_dir() && !path.is_symlink() {
        let _ = fs::remove_dir_all(&path);
    } else if random.below(8) > 0 {
        let _ = fs::remove_file(&path);
    }
    let _ = path.parent().map(fs::create_dir_all);
    // The objects may be elsewhere: where a link of that name leads, they are written.
    let kinds = if path.ends_with("objects") { 3 } else { 0 };
    let done = match kinds + random.below(8 - kinds) {
        0 => symlink(home("private"), &path).map(|()| "link to a file"),
        1 => symlink(home("folder"), &path).map(|()| "link to a folder"),
        2 => symlink(home("new"), &path).map(|()| "link to nothing"),
        3 => symlink(path.file_name().unwrap(), &path).map(|()| "link to itself"),
        4 => fs::create_dir_all(path.join("x")).map(|()| "folder"),
        5 => fs::write(&path, "other bytes").map(|()| "other bytes"),
        6 => fifo(&path).map(|()| "FIFO"),
        _ => fs::write(&path, "")
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o000)))
            .map(|()| "closed file"),
    };
    format!(
        "{}: {done:?}",
        path.strip_prefix(&place.work).unwrap().display()
    )
}

fn fifo(path: &Path) -> std::io::Result<()> {
    let mode = rustix::fs::Mode::from_bits_truncate(0o600);
    let fifo = rustix::fs::FileType::Fifo;
    Ok(rustix::fs::mknodat(rustix::fs::CWD, path, fifo, mode, 0)?)
}

fn lock(place: &Place, random: &mut Random) -> String {
    let path = place.work.join("packaged.lock");
    let mut text = fs::read(&path).unwrap_or_default();
    match random.below(6) {
        0 => text.truncate(random.below(text.len() + 1)),
        1 => {
            let _ = fs::remove_file(&path);
            let _ = symlink(place.home.join("private"), &path);
            return "packaged.lock is a link".to_owned();
        }
        2 => {
            let whole = String::from_utf8_lossy(&text).into_owned();
            let (from, to) = *random.of(&[
                ("\"github\"", "\"path\""),
                ("\"NixOS\"", "\"..\""),
                ("type = \"github\"", "type = \"path\"\npath = \"/\""),
                ("version = 1", "version = 99999999999999999999"),
                ("[[pin]]", "[[[[pin]]"),
                ("rev =", "url ="),
                ("0123456789", "--option a"),
            ]);
            text = whole.replace(from, to).into_bytes();
        }
        3 => text = "[".repeat(200_000).into_bytes(),
        _ => {
            for _ in 0..=random.below(6) {
                let at = random.below(text.len());
                if let Some(byte) = text.get_mut(at) {
                    *byte = random.byte();
                }
            }
        }
    }
    let written = fs::write(&path, &text);
    format!(
        "packaged.lock {written:?}: {}",
        String::from_utf8_lossy(&text[..text.len().min(900)])
    )
}
