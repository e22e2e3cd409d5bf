//! What was dropped, in words.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::super::gc::with_hint;
use crate::evict::Evicted;
use crate::store::Amount;
use crate::text::amount::{bytes, grouped_count};
use crate::text::visible;

/// What was dropped, or would be.
pub(super) struct Told {
    /// It.
    pub(super) evicted: Evicted,
    /// How many objects are without their bytes by now, and how many bytes these had.
    pub(super) all: (u64, u64),
    /// What the objects were to take at most.
    pub(super) most: Option<u64>,
}

fn objects(amount: &Amount) -> String {
    let count = i64::try_from(amount.objects).unwrap_or(i64::MAX);
    format!(
        "{}, {}",
        grouped_count(count, "object"),
        bytes(amount.bytes)
    )
}

fn json_of(amount: &Amount) -> Value {
    json!({ "objects": amount.objects, "bytes": amount.bytes })
}

impl Told {
    /// What went, in one line.
    pub(super) fn line(&self) -> String {
        format!("evicted {}", objects(&self.evicted.all))
    }

    /// What went, by step, and what stays.
    pub(super) fn text(&self, dry: bool) -> String {
        let (dropped, kept) = if dry {
            ("would evict", "would keep")
        } else {
            ("evicted", "kept")
        };
        let evicted = &self.evicted;
        let mut text = if evicted.all.objects == 0 {
            format!("{dropped} nothing\n")
        } else {
            format!("{dropped} {}\n", objects(&evicted.all))
        };
        for (step, amount) in &evicted.steps {
            let _ = writeln!(text, "  {}: {}", visible(step.as_str()), objects(amount));
        }
        let _ = writeln!(text, "{kept} {}", objects(&evicted.stays));
        let mut rest = evicted.stays;
        for (why, amount) in &evicted.why {
            let _ = writeln!(text, "  {}: {}", objects(amount), why.words());
            rest.objects = rest.objects.saturating_sub(amount.objects);
            rest.bytes = rest.bytes.saturating_sub(amount.bytes);
        }
        if rest.objects > 0 {
            let _ = writeln!(
                text,
                "  {}: superseded tasks alone need them, or nothing; `gc` removes what nothing needs",
                objects(&rest)
            );
        }
        text
    }

    /// What is not as it was wished for.
    pub(super) fn warnings(&self) -> Vec<String> {
        let evicted = &self.evicted;
        let mut warnings = Vec::new();
        if let Some(error) = &evicted.error {
            let count = i64::try_from(evicted.left).unwrap_or(i64::MAX);
            warnings.push(with_hint(
                format!(
                    "the bytes of {} were to go, and stay: {error}",
                    grouped_count(count, "object")
                ),
                error.hint(),
            ));
        }
        if let (true, Some(most)) = (evicted.too_large, self.most) {
            warnings.push(format!(
                "the objects take {}, more than {}: the rest is needed, or cannot be made again for certain",
                bytes(evicted.stays.bytes),
                bytes(most)
            ));
        }
        warnings
    }

    /// The same as [`Told::text`] for programs.
    pub(super) fn to_json(&self, dry: bool) -> Value {
        let evicted = &self.evicted;
        let steps: Map<String, Value> = evicted
            .steps
            .iter()
            .map(|(step, amount)| (step.to_string(), json_of(amount)))
            .collect();
        let mut kept = json_of(&evicted.stays);
        let why = evicted.why.iter();
        let why: Map<String, Value> = why
            .map(|(why, amount)| (why.name().to_owned(), json_of(amount)))
            .collect();
        kept["why"] = why.into();
        let (count, size) = self.all;
        json!({
            "schema": 1,
            "dry_run": dry,
            "evicted": {
                "objects": evicted.all.objects,
                "bytes": evicted.all.bytes,
                "steps": steps,
            },
            "kept": kept,
            "without_bytes": { "objects": count, "bytes": size },
            "left": evicted.left,
        })
    }
}
