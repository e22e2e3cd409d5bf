//! What was found in files of the host when they were read, so that they are not read again.

use rusqlite::Row;

use super::{Context, Error, Reader, State};
use crate::model::digest::Digest;
use crate::model::file::{Content, Stat};

impl Reader {
    /// All that is known: one question, however many files there are. What cannot be read of it is
    /// left out, and its file read again.
    pub(crate) fn contents(&self) -> Result<Vec<(Stat, Content)>, Error> {
        self.connection
            .prepare_cached("SELECT stat, hash, mentions FROM file")
            .and_then(|mut query| {
                let mut rows = query.query([])?;
                let mut contents = Vec::new();
                while let Some(row) = rows.next()? {
                    contents.extend(content(row));
                }
                Ok(contents)
            })
            .during(&self.layout, "read what is known of files")
    }
}

impl State {
    /// Records what was found, in the open group of writes or in a new one; in the place of all that
    /// was known before, if that is to go.
    pub(crate) fn put_contents<'a>(
        &mut self,
        found: impl IntoIterator<Item = (&'a Stat, &'a Content)>,
        anew: bool,
    ) -> Result<(), Error> {
        if anew {
            self.reader
                .connection
                .write("forget files", "DELETE FROM file", [])?;
        }
        for (stat, content) in found {
            self.reader.connection.write(
                "write what is known of a file",
                "INSERT OR REPLACE INTO file (device, inode, stat, hash, mentions)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                (
                    stat.device.cast_signed(),
                    stat.inode.cast_signed(),
                    stat.to_bytes(),
                    content.digest.0,
                    &*content.mentions,
                ),
            )?;
        }
        Ok(())
    }
}

fn content(row: &Row) -> Option<(Stat, Content)> {
    let stat = Stat::from_bytes(row.get_ref(0).ok()?.as_blob().ok()?)?;
    let digest = row.get_ref(1).ok()?.as_blob().ok()?;
    let content = Content {
        digest: Digest(digest.try_into().ok()?),
        mentions: row.get_ref(2).ok()?.as_str().ok()?.into(),
    };
    Some((stat, content))
}
