//! Files outside that are objects where they lie.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rusqlite::Row;

use super::{Context, Error, Reader, State};
use crate::model::digest::Digest;
use crate::model::file::{Lent, Stat};

impl Reader {
    /// All that are recorded. What cannot be read of it is left out: the next run that compares inputs
    /// records it again.
    pub(crate) fn lent(&self) -> Result<Vec<(Digest, Lent)>, Error> {
        self.connection
            .prepare_cached("SELECT hash, path, stat, settled FROM lent")
            .and_then(|mut query| {
                let mut rows = query.query([])?;
                let mut all = Vec::new();
                while let Some(row) = rows.next()? {
                    all.extend(lent(row));
                }
                Ok(all)
            })
            .during(&self.layout, "read which files are inputs where they lie")
    }
}

impl State {
    /// Records these, in the open group of writes or in a new one.
    pub(crate) fn put_lent<'a>(
        &mut self,
        found: impl IntoIterator<Item = (&'a Digest, &'a Lent)>,
    ) -> Result<(), Error> {
        for (digest, lent) in found {
            self.reader.connection.write(
                "write where an input lies",
                "INSERT OR REPLACE INTO lent (hash, path, stat, settled) VALUES (?1, ?2, ?3, ?4)",
                (
                    digest.0,
                    lent.path.as_os_str().as_bytes(),
                    lent.stat.to_bytes(),
                    lent.settled,
                ),
            )?;
        }
        Ok(())
    }
}

fn lent(row: &Row) -> Option<(Digest, Lent)> {
    let digest = row.get_ref(0).ok()?.as_blob().ok()?;
    let path = row.get_ref(1).ok()?.as_blob().ok()?;
    let lent = Lent {
        path: Path::new(OsStr::from_bytes(path)).to_owned(),
        stat: Stat::from_bytes(row.get_ref(2).ok()?.as_blob().ok()?)?,
        settled: row.get(3).ok()?,
    };
    Some((Digest(digest.try_into().ok()?), lent))
}
