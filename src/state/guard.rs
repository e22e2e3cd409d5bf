//! What a file from somebody else may not do to the one who opens it.
//!
//! A database brings its schema along: triggers that fire on our writes, views in the place of our
//! tables, columns that are computed as they are read. None of this is needed by this program, and
//! all of it is put out of force before the first question. Tables, views and indexes that somebody
//! has added for own questions do no harm and stay.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;

use super::{Context, Error, Layout};

/// Bytes of the largest value. Those of this program have less than three million: what is passed to
/// a program, and twice in a row.
const LARGEST: i32 = 16 << 20;

/// Takes a new connection what the file could use. Nothing was asked of it yet.
pub(super) fn restrict(connection: &mut Connection, layout: &Layout) -> rusqlite::Result<()> {
    // For all that is asked at the opening.
    Effort::limit(connection, layout)?;
    for (what, allowed) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
    ] {
        connection.set_db_config(what, allowed)?;
    }
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, LARGEST)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.pragma_update(None, "cell_size_check", true)
}

/// What a statement costs so far. A file can have so many rows in it that no question would come to
/// an end: each page of a tree has the same page below it many times.
#[derive(Debug, Clone, Default)]
pub(super) struct Effort {
    spent: Arc<AtomicU64>,
    /// Rows that this process wrote, which may be in no file yet.
    written: Arc<AtomicU64>,
}

/// Steps of `SQLite` between two looks at the effort; they take some hundredths of a second.
const STRETCH: i32 = 1_000_000;
/// Steps that each byte of the file is worth: some thousands for a row.
const STEPS: u64 = 64;
/// How much smaller on the disk than what is in it a file may be, by compression.
const PACKED: u64 = 16;

impl Effort {
    /// Has the connection break off what goes through more than is in the files.
    pub(super) fn limit(connection: &mut Connection, layout: &Layout) -> rusqlite::Result<Self> {
        let effort = Self::default();
        // The process may go to another folder.
        let whole = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        let files = [whole(layout.database()), whole(layout.log())];
        let own = effort.clone();
        let is_over = move || {
            let stretches = own.spent.fetch_add(1, Ordering::Relaxed) + 1;
            let written = own.written.load(Ordering::Relaxed);
            stretches.saturating_mul(u64::from(STRETCH.unsigned_abs()))
                > files.iter().map(|file| size(file) * STEPS).sum::<u64>()
                    + written.saturating_mul(ROW)
                    + FREE
        };
        connection.progress_handler(STRETCH, Some(is_over))?;
        Ok(effort)
    }

    /// Has the connection break off each statement that takes more steps than these.
    pub(super) fn of_statement(connection: &mut Connection, steps: u64) -> rusqlite::Result<Self> {
        const FINER: i32 = 20_000;
        let effort = Self::default();
        let own = effort.clone();
        let is_over = move || {
            let stretches = own.spent.fetch_add(1, Ordering::Relaxed) + 1;
            stretches.saturating_mul(u64::from(FINER.unsigned_abs())) > steps
        };
        connection.progress_handler(FINER, Some(is_over))?;
        Ok(effort)
    }

    /// Another statement begins.
    pub(super) fn begin(&self) {
        self.spent.store(0, Ordering::Relaxed);
    }

    /// A row was written, or some.
    pub(super) fn wrote(&self) {
        self.written.fetch_add(1, Ordering::Relaxed);
    }
}

/// Steps that each row is worth that was written.
const ROW: u64 = 16_384;
/// Steps for a file of any size.
const FREE: u64 = 5_000_000;

/// The bytes of a file, as far as there is something in them.
fn size(file: &Path) -> u64 {
    let data = fs::symlink_metadata(file);
    data.map_or(0, |data| data.len().min(data.blocks() * 512 * PACKED))
}

/// The tables of this program: those of the first implementation, those that came next, and those
/// of format 4.
const TABLES: [&str; 19] = [
    "step",
    "task",
    "runset",
    "tally",
    "log",
    "environment",
    "meta",
    "file",
    "entry",
    "lent",
    "param",
    "accepted",
    "sample",
    "gathering",
    "shared",
    "flaky",
    "checkpoint",
    "worker",
    "attempt",
];
const FIRST: usize = 2;
const BEFORE_4: usize = 7;

/// Refuses a database in which our tables are not there, or are something else. `format`: what it
/// says that it is of.
pub(super) fn check(connection: &Connection, layout: &Layout, format: i64) -> Result<(), Error> {
    let mut found = [false; TABLES.len()];
    let mut others = false;
    let mut wrong = None;
    let mut look = |name: &str, kind: &str, sql: &str| {
        let Some(at) = TABLES.iter().position(|own| own.eq_ignore_ascii_case(name)) else {
            others |= kind == "table" && !name.starts_with("sqlite_");
            return;
        };
        found[at] = true;
        let own = TABLES[at];
        wrong = wrong.take().or_else(|| match kind {
            "table" => surprise(sql).map(|what| format!("its table {own} {what}")),
            _ => Some(format!("in place of its table {own} there is a {kind}")),
        });
    };
    connection
        .prepare("SELECT name, type, coalesce(sql, '') FROM sqlite_schema WHERE type <> 'index' AND type <> 'trigger'")
        .and_then(|mut query| {
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                let text = |column| Ok::<_, rusqlite::Error>(row.get_ref(column)?.as_str()?);
                look(text(0)?, text(1)?, text(2)?);
            }
            Ok(())
        })
        .during(layout, "read the schema")?;
    let expected = match format {
        0 => FIRST,
        1..=3 => BEFORE_4,
        _ => TABLES.len(),
    };
    let missing = found[..expected].iter().position(|found| !found);
    let none = found.iter().all(|found| !found);
    let wrong = match (wrong, missing) {
        (None, None) => return Ok(()),
        // Nothing is in it yet.
        (None, Some(_)) if format == 0 && none && !others => return Ok(()),
        (None, Some(_)) if none => return Err(Error::Foreign(layout.database())),
        (None, Some(missing)) => format!("its table {} is not there", TABLES[missing]),
        (Some(wrong), _) => wrong,
    };
    Err(Error::Corrupt {
        path: layout.database(),
        reason: wrong,
    })
}

/// Refuses a database in which rows of ours may not be equal where this program makes equal ones: to
/// look at it does no harm, but a run would end in the middle.
pub(super) fn check_conditions(connection: &Connection, layout: &Layout) -> Result<(), Error> {
    let found = connection
        .prepare(
            "SELECT t.name, i.name, i.origin = 'c'
             FROM sqlite_schema AS t, pragma_index_list(t.name) AS i
             WHERE t.type = 'table' AND i.\"unique\" = 1
                 AND (i.origin = 'c' OR i.origin = 'u' AND t.name <> 'runset')",
        )
        .and_then(|mut query| {
            let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            rows.collect::<Result<Vec<(String, String, bool)>, _>>()
        })
        .during(layout, "read the schema")?;
    for (table, index, removable) in found {
        // What somebody has added besides is nobody else's business.
        if let Some(table) = TABLES.iter().find(|own| own.eq_ignore_ascii_case(&table)) {
            return Err(Error::Condition {
                path: layout.database(),
                table,
                index,
                removable,
            });
        }
    }
    Ok(())
}

/// What is in the declaration of a table that no table of ours has: it would decide what is read from it or
/// written to it.
fn surprise(sql: &str) -> Option<&'static str> {
    let mut words = Words(sql);
    let mut before = "";
    for place in 0.. {
        let word = words.next()?;
        let is = |other: &str| word.eq_ignore_ascii_case(other);
        match place {
            1 if !is("TABLE") => return Some("is no plain table"),
            _ if is("AS") => return Some("has a column that is computed"),
            _ if is("CHECK") => return Some("sets a condition"),
            _ if is("ON") => return Some("has a rule for conflicts or for rows that go"),
            _ if is("COLLATE") => return Some("has an order of its own"),
            _ if before.eq_ignore_ascii_case("DEFAULT") && word == "(" => {
                return Some("has a default that is computed");
            }
            _ => before = word,
        }
    }
    None
}

/// The words of a statement: names and numbers, quoted texts, single characters. No comments.
struct Words<'a>(&'a str);

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            self.0 = self.0.trim_start();
            let comment = match self.0.as_bytes() {
                [b'-', b'-', ..] => ("--", "\n"),
                [b'/', b'*', ..] => ("/*", "*/"),
                _ => break,
            };
            let inside = &self.0[comment.0.len()..];
            self.0 = inside.split_once(comment.1).map_or("", |(_, rest)| rest);
        }
        let first = self.0.chars().next()?;
        let quote = match first {
            '\'' | '"' | '`' => Some(first),
            '[' => Some(']'),
            _ => None,
        };
        let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$') || !c.is_ascii();
        let end = match quote {
            // A quote that is doubled goes on as another text: that makes no difference here.
            Some(quote) => self.0[1..].find(quote).map(|at| at + 2),
            None if part(first) => self.0.find(|c| !part(c)),
            None => Some(first.len_utf8()),
        };
        let (word, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest;
        Some(word)
    }
}

/// Has whoever meets a lock of another process wait for it, for a while.
pub(super) fn wait_when_busy(connection: &Connection, layout: &Layout) -> Result<(), Error> {
    connection
        .busy_timeout(Duration::from_secs(10))
        .during(layout, "set a time limit")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decides_about_values_is_seen_wherever_it_stands() {
        for (sql, harmless) in [
            (
                "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, n TEXT NOT NULL DEFAULT '')",
                true,
            ),
            (
                "CREATE TABLE t (a REFERENCES step(id), \"as\" TEXT, [check] INT, `on` INT) STRICT",
                true,
            ),
            (
                "create table \"t\" (a, -- AS it should be\n b /* CHECK */ DEFAULT -1, c DEFAULT 'it''s ON')",
                true,
            ),
            ("CREATE TABLE t (a, b AS (a))", false),
            ("CREATE TABLE t (a, b GENERATED ALWAYS as(a) STORED)", false),
            ("CREATE TABLE t (a, b/**/AS/**/(a))", false),
            ("CREATE TABLE t (a CHECK(a > 1))", false),
            ("CREATE TABLE t (a DEFAULT -- x\n (random()))", false),
            ("CREATE TABLE t (a UNIQUE ON CONFLICT REPLACE)", false),
            ("CREATE TABLE t (a REFERENCES t ON DELETE CASCADE)", false),
            ("CREATE TABLE t (a COLLATE NOCASE)", false),
            ("CREATE VIRTUAL TABLE t USING fts5(a)", false),
            ("CREATE VIEW t (a) AS SELECT 1", false),
            ("CREATE TABLE t (a '", true),
        ] {
            assert_eq!(surprise(sql).is_none(), harmless, "{sql}");
        }
    }
}
