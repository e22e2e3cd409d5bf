//! The parameters that were given to a runset.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Row;

use super::cell::{Wrong, located};
use super::{Context, Error, Reader, Runset, RunsetId, State};

impl Reader {
    /// What was given to the runset, by name, in its text form.
    pub(crate) fn params(&self, runset: &Runset) -> Result<BTreeMap<String, String>, Error> {
        let one = |row: &Row| {
            let value: String = row.get(1)?;
            // Scripts get it as a variable.
            if value.contains('\0') {
                return Err(Wrong::Misfit("there is a NUL in its value".to_owned()).into_error());
            }
            Ok((row.get(0)?, value))
        };
        self.connection
            .prepare_cached("SELECT name, value FROM param WHERE runset_id = ?1")
            .and_then(|mut query| {
                let rows = query.query_map([runset.id.0], |row| located("param", row, one))?;
                rows.collect()
            })
            .during(&self.layout, "read parameters")
    }

    /// What the first runset was given by a run that did not come so far as to make it; nothing once there
    /// are runsets.
    pub(crate) fn awaited(&self) -> Result<Awaited, Error> {
        if self.newest_runset()?.is_some() {
            return Ok(Awaited::default());
        }
        let mut params = self.params(&first())?;
        let name = params.remove(NAME);
        Ok(Awaited { name, params })
    }
}

/// The first runset, before it is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Awaited {
    /// Its name, if it was given one.
    pub name: Option<String>,
    /// What it was given, by name, in its text form.
    pub params: BTreeMap<String, String>,
}

/// Where its name stands: no parameter has none.
const NAME: &str = "";

/// What stands for it: rows of runsets count from 1.
fn first() -> Runset {
    Runset {
        id: RunsetId(0),
        name: String::new(),
    }
}

impl State {
    /// Records what is given to the runset, beside what was given before, less what is `forgotten`.
    pub(crate) fn give_params(
        &mut self,
        runset: &Runset,
        given: &BTreeMap<String, String>,
        forgotten: &BTreeSet<String>,
    ) -> Result<(), Error> {
        const DOING: &str = "write parameters";
        for name in forgotten {
            self.reader.connection.write(
                DOING,
                "DELETE FROM param WHERE runset_id = ?1 AND name = ?2",
                (runset.id.0, name),
            )?;
        }
        for (name, value) in given {
            self.reader.connection.write(
                DOING,
                "INSERT INTO param (runset_id, name, value) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET value = excluded.value",
                (runset.id.0, name, value),
            )?;
        }
        Ok(())
    }
}

impl State {
    /// Records what the first runset is to be called and what it is given, as long as it is not there.
    pub(crate) fn await_first(
        &mut self,
        name: Option<&str>,
        given: &BTreeMap<String, String>,
        forgotten: &BTreeSet<String>,
    ) -> Result<(), Error> {
        let mut given = given.clone();
        given.extend(name.map(|name| (NAME.to_owned(), name.to_owned())));
        self.give_params(&first(), &given, forgotten)
    }

    /// It is there, or another one than was meant: nothing is kept for it any more.
    pub(crate) fn await_no_more(&mut self) -> Result<(), Error> {
        self.reader.connection.write(
            "write parameters",
            "DELETE FROM param WHERE runset_id = ?1",
            [first().id.0],
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(own).collect()
    }

    #[test]
    fn a_runset_has_what_it_was_given_last() {
        let mut state = State::in_memory();
        let one = state.create_runset("one", 0).unwrap();
        let other = state.create_runset("other", 0).unwrap();
        let nothing = BTreeSet::new();
        state
            .give_params(&one, &map(&[("a", "1"), ("b", "ä\n")]), &nothing)
            .unwrap();
        state
            .give_params(&one, &map(&[("a", "2")]), &["c".to_owned()].into())
            .unwrap();
        assert_eq!(
            state.params(&one).unwrap(),
            map(&[("a", "2"), ("b", "ä\n")])
        );
        assert_eq!(state.params(&other).unwrap(), map(&[]));
        state
            .give_params(&one, &map(&[]), &["b".to_owned()].into())
            .unwrap();
        assert_eq!(state.params(&one).unwrap(), map(&[("a", "2")]));
    }

    #[test]
    fn the_first_one_has_it_before_it_is_there() {
        let mut state = State::in_memory();
        let (a, nothing) = (map(&[("a", "1")]), BTreeSet::new());
        state.await_first(Some("one"), &a, &nothing).unwrap();
        state
            .await_first(None, &map(&[("b", "2")]), &["a".to_owned()].into())
            .unwrap();
        let awaited = Awaited {
            name: Some("one".to_owned()),
            params: map(&[("b", "2")]),
        };
        assert_eq!(state.awaited().unwrap(), awaited);
        let one = state.create_runset("one", 0).unwrap();
        assert_eq!(state.awaited().unwrap(), Awaited::default());
        state.await_no_more().unwrap();
        assert_eq!(state.params(&first()).unwrap(), map(&[]));
        assert_eq!(state.params(&one).unwrap(), map(&[]));
    }
}
