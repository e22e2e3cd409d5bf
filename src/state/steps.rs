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
    /// Whether it is the one that was registered last of its name.
    pub current: bool,
    /// Versions of a step with the same one compute the same.
    pub fingerprint: String,
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
    /// Whether it was registered just now, for the first time.
    pub new: bool,
    /// Whether the step had that version before, but another one until now.
    pub again: bool,
    /// All versions that compute the same, itself included, the last one first.
    pub equal: Vec<StepId>,
    /// What changed since the version that was current until now; empty if there was none.
    pub changes: Vec<Change>,
}

/// A version of a step, as far as registering looks at it.
#[derive(Debug, Clone)]
struct Recorded {
    id: StepId,
    version: i64,
    fingerprint: String,
    is_start: bool,
    parallel: Option<u32>,
}

/// The versions of a step: at least one.
#[derive(Debug, Default)]
struct Versions {
    /// Oldest first.
    all: Vec<Recorded>,
    /// The place of the one that is marked as current.
    current: Option<usize>,
}

impl Versions {
    /// The version with that fingerprint: the current one if it is that, else the last such one.
    fn with(&self, fingerprint: &str) -> Option<&Recorded> {
        let is_it = |version: &&Recorded| version.fingerprint == fingerprint;
        let current = self.current().filter(is_it);
        current.or_else(|| self.all.iter().rev().find(is_it))
    }

    fn current(&self) -> Option<&Recorded> {
        let marked = self.current.and_then(|at| self.all.get(at));
        marked.or(self.all.last())
    }

    fn equal(&self, fingerprint: &str) -> Vec<StepId> {
        let equal = self.all.iter().rev();
        let equal = equal.filter(|version| version.fingerprint == fingerprint);
        equal.map(|version| version.id).collect()
    }
}

/// The versions of every recorded step by name: one question for a manifest of many steps.
#[derive(Debug, Default)]
pub(crate) struct Known(HashMap<StepName, Versions>);

/// Under what it is noted which versions the last run registered.
const REGISTERED: &str = "registered";

const VERSION: &str = "SELECT id, version, current, fingerprint, identity, created FROM step";

impl Reader {
    /// What [`State::register`] compares with.
    pub(crate) fn known_steps(&self) -> Result<Known, Error> {
        self.connection
            .prepare_cached(
                "SELECT id, name, version, fingerprint, is_start, parallel, current FROM step
                 ORDER BY version, id",
            )
            .and_then(|mut query| {
                let mut known: HashMap<StepName, Versions> = HashMap::new();
                for row in query.query_map([], |row| located("step", row, known_version))? {
                    let (name, version, current) = row?;
                    let versions = known.entry(name).or_default();
                    if current {
                        versions.current = Some(versions.all.len());
                    }
                    versions.all.push(version);
                }
                Ok(Known(known))
            })
            .during(&self.layout, "read steps")
    }

    /// The version of the step that was registered last.
    pub(crate) fn current_version(&self, name: &str) -> Result<Option<StepVersion>, Error> {
        self.connection
            .prepare_cached(&format!(
                "{VERSION} WHERE name = ?1 ORDER BY current DESC, version DESC LIMIT 1"
            ))
            .and_then(|mut query| {
                let row = query.query_row([name], |row| located("step", row, version));
                row.optional()
            })
            .during(&self.layout, "read a step")
    }

    /// All versions of the step, oldest first.
    pub(crate) fn versions(&self, name: &str) -> Result<Vec<StepVersion>, Error> {
        self.connection
            .prepare_cached(&format!("{VERSION} WHERE name = ?1 ORDER BY version"))
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

    /// All resolved environments, as JSON, by their keys.
    pub(crate) fn environments(&self) -> Result<Vec<(String, String)>, Error> {
        self.connection
            .prepare_cached("SELECT key, value FROM environment")
            .and_then(|mut query| {
                let row = |row: &Row| Ok((row.get(0)?, row.get(1)?));
                query.query_map([], row)?.collect()
            })
            .during(&self.layout, "read an environment")
    }

    /// The rows of the versions that the last run registered, with commas between them; none where that was not noted.
    pub(super) fn registered(&self) -> Result<Option<String>, Error> {
        let noted = self.meta(REGISTERED)?;
        // What is none is taken for not noted.
        let is_id = |one: &str| one.parse::<u64>().is_ok();
        Ok(noted.filter(|noted| noted.split(',').all(is_id)))
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
    /// Records a step as it is now: as the version that it was before, if there is such a one in
    /// `known`, else as a new one. `known` must be of this state, and from before any step of that
    /// name was registered.
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
        let versions = known.0.get(name.as_str());
        let fingerprint = identity.fingerprint().to_string();
        if let Some(versions) = versions
            && let Some(found) = versions.with(&fingerprint)
        {
            if (found.is_start, found.parallel) != (is_start, parallel) {
                self.update_settings(found.id, is_start, parallel)?;
            }
            let again = versions.current().map(|now| now.id) != Some(found.id);
            return Ok(Registration {
                id: found.id,
                version: found.version,
                new: false,
                again,
                equal: versions.equal(&fingerprint),
                changes: if again {
                    let changes = self.changes_to(name, identity)?;
                    self.set_current(name, Some(found.id))?;
                    changes
                } else {
                    Vec::new()
                },
            });
        }
        let newest = versions.and_then(|versions| versions.all.last());
        let version = newest.map_or(1, |newest| newest.version + 1);
        let mut changes = Vec::new();
        if newest.is_some() {
            changes = self.changes_to(name, identity)?;
            self.set_current(name, None)?;
        }
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
        let id = StepId(self.reader.connection.last_insert_rowid());
        Ok(Registration {
            id,
            version,
            new: true,
            again: false,
            equal: vec![id],
            changes,
        })
    }

    /// Notes that the manifest of the run has these steps, and no others.
    pub(crate) fn set_registered(
        &mut self,
        steps: impl Iterator<Item = StepId>,
    ) -> Result<(), Error> {
        let ids: Vec<String> = steps.map(|step| step.0.to_string()).collect();
        let ids = ids.join(",");
        if self.registered()?.as_ref() == Some(&ids) {
            return Ok(());
        }
        self.put_meta(REGISTERED, &ids)
    }

    /// What makes a step other than the version of that name that is current.
    fn changes_to(&self, name: &StepName, identity: &Identity) -> Result<Vec<Change>, Error> {
        let before = self.current_version(name.as_str())?;
        Ok(match before.map(|before| before.identity) {
            None => Vec::new(),
            Some(None) => vec![Change::Unknown(Vec::new())],
            Some(Some(old)) => identity.changes_since(&old),
        })
    }

    /// Marks that version of the step as the current one, and no other.
    fn set_current(&mut self, name: &StepName, version: Option<StepId>) -> Result<(), Error> {
        self.reader
            .connection
            .write(
                "write a step",
                "UPDATE step SET current = (id IS ?2) WHERE name = ?1 AND current <> (id IS ?2)",
                (name.as_str(), version.map(|version| version.0)),
            )
            .map(drop)
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

    /// Forgets a resolved environment.
    pub(crate) fn drop_environment(&mut self, key: &str) -> Result<(), Error> {
        let delete = "DELETE FROM environment WHERE key = ?1";
        self.reader
            .connection
            .write("forget an environment", delete, [key])
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

fn known_version(row: &Row) -> rusqlite::Result<(StepName, Recorded, bool)> {
    let version = Recorded {
        id: StepId(row.get(0)?),
        version: number(row, 2)?,
        fingerprint: row.get(3)?,
        is_start: row.get::<_, Option<bool>>(4)?.unwrap_or(false),
        parallel: row.get(5)?,
    };
    Ok((row.get(1)?, version, row.get(6)?))
}

fn version(row: &Row) -> rusqlite::Result<StepVersion> {
    let identity: String = row.get(4)?;
    Ok(StepVersion {
        id: StepId(row.get(0)?),
        version: number(row, 1)?,
        current: row.get(2)?,
        fingerprint: row.get(3)?,
        identity: Identity::from_json(&identity),
        created: some_number(row, 5)?,
    })
}
