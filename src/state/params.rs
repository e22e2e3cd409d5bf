//! The parameters that were given to a runset.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Row;

use super::cell::{Wrong, located};
use super::{Context, Error, Reader, Runset, State};

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
}
