//! What was freed, in words.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::gc::Collected;
use crate::model::event::Event;
use crate::text::amount::{self, bytes, grouped_count};
use crate::text::visible;

/// What was freed, or would be.
#[derive(Debug, Default)]
pub(in super::super) struct Freed {
    /// Rows and objects.
    pub(super) collected: Collected,
    /// Folders of runs that were killed, and of tasks that failed.
    pub(super) folders: usize,
    /// Links to packages.
    pub(super) roots: usize,
    /// Records of what packages are.
    pub(super) environments: usize,
    /// How many objects are without their bytes, as these can be made again, and how many bytes that were.
    pub(super) evicted: (u64, u64),
    /// What the objects were to take at most.
    pub(super) most: Option<u64>,
    /// What else there is to say.
    pub(super) warnings: Vec<String>,
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A warning, and what to do about it.
pub(in super::super) fn with_hint(words: String, hint: Option<&str>) -> String {
    match hint {
        Some(hint) => format!("{words}\nhint: {hint}"),
        None => words,
    }
}

impl Freed {
    /// The same for those who are told of a run; `words`: what it is in one line.
    pub(in super::super) fn event<'a>(&self, words: &'a str) -> Event<'a> {
        let Collected { doomed, swept, .. } = &self.collected;
        Event::Freed {
            runsets: doomed.runsets.len() as u64,
            rows: doomed.all_rows(),
            objects: swept.unneeded.objects,
            bytes: swept.unneeded.bytes,
            words,
        }
    }

    /// What it is, in one line; none if it is nothing.
    pub(in super::super) fn line(&self) -> Option<String> {
        let doomed = &self.collected.doomed;
        let objects = self.collected.swept.unneeded;
        let mut parts = Vec::new();
        for (count, what) in [
            (doomed.runsets.len() as u64, "runset"),
            (doomed.rows + doomed.strays, "row"),
            (doomed.superseded, "superseded row"),
            (doomed.versions, "step version"),
        ] {
            if count > 0 {
                parts.push(grouped_count(number(count), what));
            }
        }
        if objects.objects > 0 {
            let count = grouped_count(number(objects.objects), "object");
            parts.push(format!("{count} with {}", bytes(objects.bytes)));
        }
        for (count, what) in [
            (self.folders, "leftover folder"),
            (self.roots, "package link"),
            (self.environments, "package record"),
        ] {
            if count > 0 {
                parts.push(amount::count(count, what));
            }
        }
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// What it is, what stays, and what more could go.
    pub(super) fn text(&self, dry: bool) -> String {
        let collected = &self.collected;
        let (removed, kept) = if dry {
            ("would remove", "would keep")
        } else {
            ("removed", "kept")
        };
        let line = self.line().unwrap_or_else(|| "nothing".to_owned());
        let mut text = format!("{removed} {line}\n");
        if !collected.doomed.runsets.is_empty() {
            let names = collected.doomed.runsets.iter();
            let names: Vec<_> = names.map(|name| visible(name)).collect();
            let _ = writeln!(text, "  runsets: {}", names.join(", "));
        }
        let stays = collected.swept.stays();
        let count = grouped_count(number(stays.objects), "object");
        let _ = writeln!(text, "{kept} {count}, {}", bytes(stays.bytes));
        text.push_str(&self.possible());
        text
    }

    /// What more could go.
    fn possible(&self) -> String {
        let collected = &self.collected;
        let mut text = String::new();
        if collected.older_runsets > 0 && collected.older.bytes > 0 {
            let _ = writeln!(
                text,
                "-keep-runsets N can free up to {}: what {} older than the last one {} alone",
                bytes(collected.older.bytes),
                grouped_count(number(collected.older_runsets), "runset"),
                if collected.older_runsets == 1 {
                    "needs"
                } else {
                    "need"
                },
            );
        }
        if collected.superseded > 0 {
            let _ = writeln!(
                text,
                "-older-than TIME can remove up to {}",
                grouped_count(number(collected.superseded), "superseded row")
            );
        }
        text
    }

    /// How it stands while nothing goes.
    pub(in super::super) fn standing(&self) -> String {
        let swept = &self.collected.swept;
        let mut all = swept.stays();
        all += swept.unneeded;
        let line = self.line().unwrap_or_else(|| "nothing".to_owned());
        let evicted = match self.evicted {
            (0, _) => String::new(),
            (count, size) => format!(
                "evicted: the bytes of {}, {}\n",
                grouped_count(number(count), "object"),
                bytes(size)
            ),
        };
        format!(
            "store: {}, {}; gc frees {line}\n{evicted}{}",
            grouped_count(number(all.objects), "object"),
            bytes(all.bytes),
            self.possible()
        )
    }

    /// What is not as it should be.
    pub(in super::super) fn warnings(&self) -> Vec<String> {
        let collected = &self.collected;
        let mut warnings = self.warnings.clone();
        if let Some(error) = &collected.swept.error {
            warnings.push(with_hint(
                format!(
                    "{} among the objects could not be looked at or removed, and stay: {error}",
                    grouped_count(number(collected.swept.left), "thing")
                ),
                error.hint(),
            ));
        }
        if collected.lists > 0 {
            warnings.push(format!(
                "{} gone from the store, and nobody knows what {}\nhint: `verify` says which, and what can be done",
                grouped_count(number(collected.lists), "list"),
                if collected.lists == 1 { "it names" } else { "they name" }
            ));
        }
        if collected.read {
            warnings.push(
                "runsets and superseded tasks stay: somebody reads from the db, and goes on doing so\n\
                 hint: end what reads there (a report, an export, a shell of a task), and call it again"
                    .to_owned(),
            );
        }
        if let (true, Some(most)) = (collected.too_large, self.most) {
            warnings.push(format!(
                "the objects take {}, more than {}: what stays is needed by the newest runset",
                bytes(collected.swept.stays().bytes),
                bytes(most)
            ));
        }
        warnings
    }

    /// The same as [`Freed::text`] for programs.
    pub(in super::super) fn to_json(&self, dry: bool) -> Value {
        let collected = &self.collected;
        let (doomed, swept) = (&collected.doomed, &collected.swept);
        let stays = swept.stays();
        json!({
            "schema": 1,
            "dry_run": dry,
            "removed": {
                "runsets": doomed.runsets,
                "rows": doomed.rows + doomed.strays,
                "superseded_rows": doomed.superseded,
                "versions": doomed.versions,
                "objects": swept.unneeded.objects,
                "bytes": swept.unneeded.bytes,
                "folders": self.folders,
                "roots": self.roots,
                "environments": self.environments,
            },
            "kept": { "objects": stays.objects, "bytes": stays.bytes },
            "possible": {
                "runsets": collected.older_runsets,
                "bytes": collected.older.bytes,
                "superseded_rows": collected.superseded,
            },
            "evicted": { "objects": self.evicted.0, "bytes": self.evicted.1 },
            "left": swept.left,
        })
    }
}
