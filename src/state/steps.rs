//! Steps and their versions.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Row};

use super::cell::{located, number, some_number};
use super::{Context, Error, Reader, State};
use crate::model::digest::Digest;
use crate::model::identity::{Change, Identity};
use crate::model::name::StepName;

/// The row of a step version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub(crate) struct StepId(pub i64);

impl StepId {
    /// Stands for "no step" in counts: final outputs.
    pub(crate) const FINAL: Self = Self(0);
}

/// A recorded version of a step.
#[derive(Debug, Clone)]
pub(crate) struct StepVersion {
    /// Its row.
    pub id: StepId,
    /// Counts from 1 for each name.
    pub version: i64,
    /// What the version is; none if the record cannot be read.
    pub identity: Option<Identity>,
    /// When it was registered, in milliseconds since 1970; none in what the first implementation
    /// recorded.
    pub created: Option<i64>,
}

/// What [`State::register`] found or made.
#[derive(Debug, Clone)]
pub(crate) struct Registration {
    /// The row of the current version.
    pub id: StepId,
    /// Its number.
    pub version: i64,
    /// Whether it was registered just now.
    pub new: bool,
    /// What changed since the version before; empty for a first one.
    pub changes: Vec<Change>,
}

/// The newest version of a step, as far as registering looks at it.
#[derive(Debug, Clone)]
struct Newest {
    id: StepId,
    version: i64,
    fingerprint: String,
    is_start: bool,
    parallel: Option<u32>,
}

/// The newest version of every recorded step by name: one question for a manifest of many steps.
#[derive(Debug, Default)]
pub(crate) struct Known(HashMap<StepName, Newest>);

impl Reader {
    /// What [`State::register`] compares with.
    pub(crate) fn known_steps(&self) -> Result<Known, Error> {
        // The newer replaces the older.
        self.connection
            .prepare_cached(
                "SELECT id, name, version, fingerprint, is_start, parallel FROM step
                 ORDER BY version",
            )
            .and_then(|mut query| {
                let rows = query.query_map([], |row| located("step", row, newest))?;
                rows.collect::<Result<_, _>>().map(Known)
            })
            .during(&self.layout, "read steps")
    }

    /// The newest version of the step.
    pub(crate) fn newest_version(&self, name: &str) -> Result<Option<StepVersion>, Error> {
        self.connection
            .prepare_cached(
                "SELECT id, version, identity, created FROM step WHERE name = ?1
                 ORDER BY version DESC LIMIT 1",
            )
            .and_then(|mut query| {
                let row = query.query_row([name], |row| located("step", row, version));
                row.optional()
            })
            .during(&self.layout, "read a step")
    }

    /// All versions of the step, oldest first.
    pub(crate) fn versions(&self, name: &str) -> Result<Vec<StepVersion>, Error> {
        self.connection
            .prepare_cached(
                "SELECT id, version, identity, created FROM step WHERE name = ?1
                 ORDER BY version",
            )
            .and_then(|mut query| {
                let rows = query.query_map([name], |row| located("step", row, version))?;
                rows.collect()
            })
            .during(&self.layout, "read steps")
    }

    /// The name of the step that each version is of.
    pub(crate) fn names_of_versions(&self) -> Result<HashMap<StepId, StepName>, Error> {
        self.connection
            .prepare_cached("SELECT id, name FROM step")
            .and_then(|mut query| {
                let name = |row: &Row| Ok((StepId(row.get(0)?), row.get(1)?));
                let rows = query.query_map([], |row| located("step", row, name))?;
                rows.collect()
            })
            .during(&self.layout, "read steps")
    }

    /// The names of all steps that were ever registered.
    pub(crate) fn step_names(&self) -> Result<Vec<StepName>, Error> {
        self.connection
            .prepare_cached("SELECT min(id), name FROM step GROUP BY name ORDER BY 1")
            .and_then(|mut query| {
                let name = |row: &Row| row.get(1);
                let rows = query.query_map([], |row| located("step", row, name))?;
                rows.collect()
            })
            .during(&self.layout, "read steps")
    }

    /// A resolved environment, as JSON.
    pub(crate) fn environment(&self, key: &Digest) -> Result<Option<String>, Error> {
        self.connection
            .prepare_cached("SELECT value FROM environment WHERE key = ?1")
            .and_then(|mut query| query.query_row([&*key.hex()], |row| row.get(0)).optional())
            .during(&self.layout, "read an environment")
    }
}

impl State {
    /// Records a step as it is now: as a new version if it differs from the newest in `known`,
    /// which must be of this state and before any step of that name was registered.
    ///
    /// `created`: milliseconds since 1970.
    pub(crate) fn register(
        &mut self,
        known: &Known,
        name: &StepName,
        identity: &Identity,
        is_start: bool,
        parallel: Option<u32>,
        created: i64,
    ) -> Result<Registration, Error> {
        let newest = known.0.get(name.as_str());
        let fingerprint = identity.fingerprint().to_string();
        if let Some(newest) = newest
            && newest.fingerprint == fingerprint
        {
            if (newest.is_start, newest.parallel) != (is_start, parallel) {
                self.update_settings(newest.id, is_start, parallel)?;
            }
            return Ok(Registration {
                id: newest.id,
                version: newest.version,
                new: false,
                changes: Vec::new(),
            });
        }
        let version = newest.map_or(1, |newest| newest.version + 1);
        let before = match newest {
            Some(_) => self.newest_version(name.as_str())?,
            None => None,
        };
        self.reader.connection.write(
            "write a step",
            "UPDATE step SET current = 0 WHERE name = ?1",
            [name.as_str()],
        )?;
        self.reader.connection.write(
            "write a step",
            "INSERT INTO step
                 (name, script, version, is_start, parallel, fingerprint, identity, created, current)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1)",
            (
                name.as_str(),
                &identity.script,
                version,
                is_start,
                parallel,
                &fingerprint,
                identity.to_json(),
                created,
            ),
        )?;
        let changes = match before.map(|before| before.identity) {
            None => Vec::new(),
            Some(None) => vec![Change::Unknown(Vec::new())],
            Some(Some(old)) => identity.changes_since(&old),
        };
        Ok(Registration {
            id: StepId(self.reader.connection.last_insert_rowid()),
            version,
            new: true,
            changes,
        })
    }

    /// What may change without a new version.
    fn update_settings(
        &mut self,
        id: StepId,
        is_start: bool,
        parallel: Option<u32>,
    ) -> Result<(), Error> {
        self.reader
            .connection
            .write(
                "write a step",
                "UPDATE step SET is_start = ?2, parallel = ?3 WHERE id = ?1",
                (id.0, is_start, parallel),
            )
            .map(drop)
    }

    /// Records a resolved environment, as JSON, at once.
    pub(crate) fn put_environment(&mut self, key: &Digest, value: &str) -> Result<(), Error> {
        self.reader.connection.write(
            "write an environment",
            "INSERT OR REPLACE INTO environment (key, value) VALUES (?1, ?2)",
            (&*key.hex(), value),
        )?;
        self.commit()
    }
}

fn newest(row: &Row) -> rusqlite::Result<(StepName, Newest)> {
    let newest = Newest {
        id: StepId(row.get(0)?),
        version: number(row, 2)?,
        fingerprint: row.get(3)?,
        is_start: row.get::<_, Option<bool>>(4)?.unwrap_or(false),
        parallel: row.get(5)?,
    };
    Ok((row.get(1)?, newest))
}

fn version(row: &Row) -> rusqlite::Result<StepVersion> {
    let identity: String = row.get(2)?;
    Ok(StepVersion {
        id: StepId(row.get(0)?),
        version: number(row, 1)?,
        identity: Identity::from_json(&identity),
        created: some_number(row, 3)?,
    })
}
