//! Which objects the rows need.

use std::collections::BTreeSet;

use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::{Listener, Misfit, Reference, Rows, Told, Use};
use crate::model::digest::Digest;
use crate::model::gather::Role;
use crate::model::identity::{Identity, Tools};
use crate::model::list::Form;
use crate::model::task::TaskId;
use crate::state::Reader;
use crate::state::checkpoint::of_use;

impl Reader {
    /// Tells of all of them.
    pub(super) fn needed(&self, tell: &mut Listener) -> rusqlite::Result<Rows> {
        let mut found = Rows::default();
        self.each_row(
            "SELECT id, object_hash, kind, live, context, role, processed FROM task",
            |row| {
                found.tasks += 1;
                task(row, tell)
            },
        )?;
        self.each_row("SELECT task_id, stdout, stderr FROM log", |row| {
            let number: i64 = row.get(0)?;
            for at in [1, 2] {
                needs(row, at, number, ("log", Form::File, Use::Log), tell)?;
            }
            Ok(())
        })?;
        self.each_row(concat!("SELECT task_id, tree FROM ", of_use!()), |row| {
            let by = ("checkpoint", Form::Folder, Use::Checkpoint);
            needs(row, 1, row.get(0)?, by, tell)
        })?;
        let mut paths = BTreeSet::new();
        self.each_row(
            "SELECT id, identity, fingerprint, current OR EXISTS
                 (SELECT 1 FROM tally WHERE step_id = step.id AND pending + failed > 0)
             FROM step",
            |row| version(row, &mut paths, tell),
        )?;
        found.paths = paths.into_iter().collect();
        self.each_row("SELECT key, value FROM environment", |row| {
            found.environments += 1;
            let text = |at| Ok::<_, rusqlite::Error>(row.get_ref(at)?.as_str().ok());
            let is_json = |text: &str| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
            if text(0)?.is_none() || !text(1)?.is_some_and(is_json) {
                let what = "what packages were resolved to cannot be read";
                tell(Told::Wrong(Misfit::of_row("environment", 0, what)));
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn each_row(
        &self,
        sql: &str,
        mut each: impl FnMut(&Row) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let mut query = self.connection.prepare(sql)?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            each(row)?;
        }
        Ok(())
    }
}

/// What a task or a final output needs.
fn task(row: &Row, tell: &mut Listener) -> rusqlite::Result<()> {
    let id: i64 = row.get(0)?;
    let number = |at| Ok::<_, rusqlite::Error>(row.get_ref(at)?.as_i64().unwrap_or(-1));
    let (form, live, role, processed) = (
        Form::of(number(2)?),
        number(3)?,
        Role::of(number(5)?),
        number(6)?,
    );
    let is_flag = |number| (0..=1).contains(&number);
    if form.is_none() || role.is_none() || !is_flag(live) || !is_flag(processed) {
        let what = "its kind, role or state is none that there is";
        tell(Told::Wrong(Misfit::of_row("task", id, what)));
    }
    let by = if live == 1 { Use::Live } else { Use::Past };
    let form = form.unwrap_or_default();
    needs(row, 1, id, ("task", form, by), tell)?;
    if row.get_ref(1)? == ValueRef::Null {
        let what = "what it names for its object is no hash";
        tell(Told::Wrong(Misfit::of_row("task", id, what)));
    }
    // Of one that is to be done the list says what it gets.
    let of_context = if processed == 0 && live == 1 {
        Use::Live
    } else {
        Use::Context
    };
    needs(row, 4, id, ("task", Form::List, of_context), tell)
}

/// The record of a step version, and the files that it names.
fn version(row: &Row, paths: &mut BTreeSet<String>, tell: &mut Listener) -> rusqlite::Result<()> {
    let id: i64 = row.get(0)?;
    let fingerprint = row.get_ref(2)?.as_str()?;
    let identity = Identity::from_json(row.get_ref(1)?.as_str()?);
    // What a newer program recorded besides is a part of its fingerprint.
    let is_right = identity.as_ref().is_some_and(|identity| {
        !identity.rest.is_empty() || identity.fingerprint().to_string() == fingerprint
    });
    if !is_right {
        let what = "its record is not that of its fingerprint";
        tell(Told::Wrong(Misfit::of_row("step", id, what)));
    }
    let Some(identity) = identity else {
        return Ok(());
    };
    if let Some(files) = identity.files {
        tell(Told::Needs(Reference {
            object: files.tree,
            form: Form::Folder,
            by: Use::Files,
            row: TaskId(id),
        }));
    }
    let in_use: bool = row.get(3)?;
    if let (true, Tools::Nix(environment)) = (in_use, identity.tools) {
        let packages = environment.packages.into_iter();
        paths.extend(packages.flat_map(|package| package.store_paths));
    }
    Ok(())
}

/// Tells of the object that a column names, if it names any.
fn needs(
    row: &Row,
    column: usize,
    number: i64,
    (table, form, by): (&str, Form, Use),
    tell: &mut Listener,
) -> rusqlite::Result<()> {
    let value = row.get_ref(column)?;
    if value == ValueRef::Null {
        return Ok(());
    }
    let object: Option<Digest> = value.as_str().ok().and_then(|text| text.parse().ok());
    if let Some(object) = object {
        tell(Told::Needs(Reference {
            object,
            form,
            by,
            row: TaskId(number),
        }));
    } else {
        let what = "what it names for an object is no hash";
        tell(Told::Wrong(Misfit::of_row(table, number, what)));
    }
    Ok(())
}
