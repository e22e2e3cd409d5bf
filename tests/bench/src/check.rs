//! Whether a contender's results are right, and what its state takes.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use sha2::{Digest, Sha256};

use super::contender::Kind;
use super::failure::{Failure, Fallible, on};
use super::interrupt;
use super::work::{Fingerprint, Work};

/// The fingerprint of all results that are in a contender's folder.
pub fn results(kind: Kind, work: &Work, folder: &Path) -> Fallible<Fingerprint> {
    if !work.leaves_results() {
        return Ok(Fingerprint::default());
    }
    if kind.is_own() {
        return own_results(folder);
    }
    let mut all = Fingerprint::default();
    walk(&folder.join(format!("s{}", work.stages.len())), &mut all)?;
    Ok(all)
}

fn walk(folder: &Path, all: &mut Fingerprint) -> Fallible<()> {
    let entries = fs::read_dir(folder).map_err(on("read the folder", folder))?;
    for entry in entries {
        interrupt::check()?;
        let path = entry.map_err(on("read the folder", folder))?.path();
        if path.is_dir() {
            walk(&path, all)?;
        } else {
            all.add_hash(&hash(&path)?);
        }
    }
    Ok(())
}

/// Final outputs, by the tables that the program keeps and the objects' own bytes.
fn own_results(folder: &Path) -> Fallible<Fingerprint> {
    let mut all = Fingerprint::default();
    let objects = folder.join("db/objects");
    each_row(
        folder,
        "SELECT object_hash FROM task WHERE step_id IS NULL",
        &mut |name| {
            interrupt::check()?;
            let wrong = || Failure::new(format!("odd object name {name:?}"), "report it");
            let (a, rest) = name.split_at_checked(2).ok_or_else(wrong)?;
            let (b, rest) = rest.split_at_checked(2).ok_or_else(wrong)?;
            all.add_hash(&hash(&objects.join(a).join(b).join(rest))?);
            Ok(())
        },
    )?;
    Ok(all)
}

/// Tasks that this program has as done, final outputs aside.
pub fn own_done(folder: &Path) -> Fallible<usize> {
    let mut count = 0;
    each_row(
        folder,
        "SELECT CAST(count(*) AS TEXT) FROM task WHERE step_id IS NOT NULL AND processed = 1",
        &mut |text| {
            count = text.parse().unwrap_or(0);
            Ok(())
        },
    )?;
    Ok(count)
}

/// Tasks of the second step that are done, by the program's own count, which is quick to read.
pub fn own_counted(folder: &Path) -> Option<usize> {
    let db = Connection::open_with_flags(folder.join("db/db"), OpenFlags::SQLITE_OPEN_READ_WRITE);
    let query = "SELECT done FROM tally WHERE step_id = 2";
    let done: i64 = db.ok()?.query_row(query, [], |row| row.get(0)).ok()?;
    usize::try_from(done).ok()
}

/// Seconds a task, of the second step's tasks that started at that time (milliseconds since 1970)
/// or later: from the first start to the last end, by their number.
pub fn own_pace(folder: &Path, began: i64) -> Fallible<Option<f64>> {
    let mut pace = None;
    // The plus: all rows in their order are read sooner than a million of them by an index.
    each_row(
        folder,
        &format!(
            "SELECT CAST((max(started * 1000 + elapsed) - min(started * 1000)) / 1e6 / count(*) AS TEXT)
             FROM task WHERE +step_id = 2 AND processed = 1 AND started >= {began}
             HAVING count(*) > 0"
        ),
        &mut |text| {
            pace = text.parse().ok();
            Ok(())
        },
    )?;
    Ok(pace)
}

fn each_row(
    folder: &Path,
    query: &str,
    with: &mut dyn FnMut(&str) -> Fallible<()>,
) -> Fallible<()> {
    let path = folder.join("db/db");
    let failure = |error: rusqlite::Error| {
        let message = format!("cannot read {}: {error}", path.display());
        Failure::of_call(message, &error.to_string())
    };
    let db =
        Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failure)?;
    let mut statement = db.prepare(query).map_err(failure)?;
    let mut rows = statement.query([]).map_err(failure)?;
    while let Some(row) = rows.next().map_err(failure)? {
        let text: String = row.get(0).map_err(failure)?;
        with(&text)?;
    }
    Ok(())
}

/// The SHA-256 of a file.
pub fn hash(path: &Path) -> Fallible<[u8; 32]> {
    let mut file = File::open(path).map_err(on("open", path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer).map_err(on("read", path))? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    Ok(hasher.finalize().into())
}

/// Bytes of this program's state, objects aside.
pub fn own_state(folder: &Path) -> Fallible<u64> {
    let db = folder.join("db");
    let mut total = 0;
    for entry in fs::read_dir(&db).map_err(on("read the folder", &db))? {
        let entry = entry.map_err(on("read the folder", &db))?;
        let metadata = entry.metadata().map_err(on("look at", &db))?;
        if metadata.is_file() {
            total += metadata.len();
        }
    }
    Ok(total)
}
