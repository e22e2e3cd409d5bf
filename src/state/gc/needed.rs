//! The objects that what is kept needs.

use std::fs::File;
use std::io;

use rusqlite::Row;

use super::super::needs::NEEDS;
use super::super::{Context, Error, State};
use super::{CHOOSING, DOING};
use crate::model::digest::Digest;
use crate::model::identity::Identity;
use crate::model::list::Form;

/// An object that names others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listing {
    /// Its place among all.
    pub at: i64,
    /// It.
    pub object: Digest,
    /// A list may name folders, which name others in turn; a folder names no other one.
    pub form: Form,
    /// That of the newest runset that needs it.
    pub rank: i64,
}

/// In place of the rank of a runset: of what the versions of steps need.
const ALWAYS: i64 = i64::MAX;

/// What rows that stay name, with the rank of the runset.
fn kept() -> String {
    // Each by itself, and rows first: else all would be written down, or put into an index by their objects.
    let arms = NEEDS.map(|needs| {
        format!(
            "SELECT unhex(n.object) AS object, n.form AS form, kept.rank AS rank FROM ({needs}) AS n
             CROSS JOIN kept ON kept.name = n.runset WHERE n.task NOT IN (SELECT id FROM doomed)"
        )
    });
    arms.join(" UNION ALL ")
}

impl State {
    /// Finds the lists and folders among what is needed.
    pub(crate) fn find_lists(&mut self) -> Result<(), Error> {
        let lists = format!(
            "INSERT INTO list (object, form, rank) SELECT object, form, max(rank) FROM ({})
             WHERE form <> 0 AND object IS NOT NULL GROUP BY object, form ORDER BY 3 DESC",
            kept()
        );
        self.reader.connection.write_all(CHOOSING, &lists)?;
        let records: Vec<String> = self
            .connection
            .prepare("SELECT identity FROM step WHERE id NOT IN (SELECT id FROM unused)")
            .and_then(|mut query| query.query_map([], |row| row.get(0))?.collect())
            .during(&self.reader.layout, DOING)?;
        for record in records {
            let files = Identity::from_json(&record).and_then(|identity| identity.files);
            if let Some(files) = files {
                self.name(ALWAYS, Form::File, &[(files.tree, Form::Folder)])?;
            }
        }
        Ok(())
    }

    /// Some of the lists behind that place.
    pub(crate) fn lists_behind(&self, at: i64) -> Result<Vec<Listing>, Error> {
        self.connection
            .prepare_cached(
                "SELECT at, object, form, rank FROM list WHERE at > ?1 ORDER BY at LIMIT 1000",
            )
            .and_then(|mut query| {
                let listing = |row: &Row| {
                    Ok(Listing {
                        at: row.get(0)?,
                        object: Digest(row.get(1)?),
                        form: Form::of(row.get(2)?).unwrap_or_default(),
                        rank: row.get(3)?,
                    })
                };
                query.query_map([at], listing)?.collect()
            })
            .during(&self.reader.layout, DOING)
    }

    /// Something of that rank and form names these.
    pub(crate) fn name(
        &mut self,
        rank: i64,
        by: Form,
        objects: &[(Digest, Form)],
    ) -> Result<(), Error> {
        for (object, form) in objects {
            let connection = &mut self.reader.connection;
            connection.write(
                CHOOSING,
                "INSERT INTO named VALUES (?1, ?2)",
                (object.0, rank),
            )?;
            if *form == Form::Folder && by != Form::Folder {
                connection.write(
                    CHOOSING,
                    "INSERT INTO list (object, form, rank) SELECT ?1, ?2, ?3
                     WHERE NOT EXISTS (SELECT 1 FROM list WHERE object = ?1 AND rank >= ?3)",
                    (object.0, form.number(), rank),
                )?;
            }
        }
        Ok(())
    }

    /// These are needed, whatever rows say.
    pub(crate) fn name_always(&mut self, objects: &[Digest]) -> Result<(), Error> {
        for object in objects {
            self.reader.connection.write(
                CHOOSING,
                "INSERT INTO named VALUES (?1, ?2)",
                (object.0, ALWAYS),
            )?;
        }
        Ok(())
    }

    /// So are those of which something is noted: what is noted of one that nothing needs has to go first.
    pub(crate) fn name_noted(&mut self) -> Result<(), Error> {
        self.reader.connection.write(
            CHOOSING,
            "INSERT INTO named SELECT object, ?1 FROM (
                 SELECT hash AS object FROM file UNION ALL SELECT hash FROM lent UNION ALL SELECT hash FROM evicted
                 UNION ALL SELECT unhex(substr(key, 6)) FROM meta WHERE key > 'gone ' AND key < 'gone!')
             WHERE object IS NOT NULL",
            [ALWAYS],
        )?;
        Ok(())
    }

    /// What was committed is on the disk.
    pub(crate) fn sync_log(&self) -> Result<(), Error> {
        let path = self.layout().log();
        match File::open(&path).and_then(|log| log.sync_all()) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::Io {
                action: "sync",
                path,
                source,
            }),
            _ => Ok(()),
        }
    }

    /// All is named that is needed.
    pub(crate) fn settle_needed(&mut self) -> Result<(), Error> {
        let needed = format!(
            "INSERT INTO needed SELECT object, max(rank) FROM (
                 SELECT object, rank FROM ({}) UNION ALL SELECT object, rank FROM named)
             WHERE object IS NOT NULL GROUP BY object ORDER BY object",
            kept()
        );
        self.reader.connection.write_all(CHOOSING, &needed)?;
        self.commit()
    }

    /// What is needed of the objects whose names begin with that byte, in the order of their names, each with the rank of
    /// the newest runset that needs it.
    pub(crate) fn needed_in(&self, first: u8) -> Result<Vec<(Digest, i64)>, Error> {
        self.connection
            .prepare_cached(
                "SELECT object, rank FROM needed WHERE object >= ?1 AND object <= ?2 ORDER BY object",
            )
            .and_then(|mut query| {
                let (mut from, mut to) = ([0; 32], [0xff; 32]);
                (from[0], to[0]) = (first, first);
                let needed = |row: &Row| Ok((Digest(row.get(0)?), row.get(1)?));
                query.query_map((from, to), needed)?.collect()
            })
            .during(&self.reader.layout, DOING)
    }
}
