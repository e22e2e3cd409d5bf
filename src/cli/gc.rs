//! `gc`: what no runset that is kept needs goes.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::error::Failure;
use super::options::Places;
use super::output;
use crate::gc::{Collected, Collection, Wish};
use crate::manifest::length_of_time;
use crate::out;
use crate::state::{Reader, State};
use crate::store;
use crate::sys;
use crate::text::amount::{bytes, grouped, grouped_count, read_bytes};
use crate::text::visible;

/// Options of `gc`.
#[derive(Debug, Args)]
#[command(
    after_help = "Without options only that goes which nothing that is recorded needs: what failed or killed tasks\n\
    left, what an interrupted gc left. The newest runset and the one that ran last stay in any case."
)]
pub(super) struct Options {
    /// Keep the N runsets that ran last; all others go, with what they alone need
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keep_runsets: Option<u32>,
    /// Of the runsets that stay, superseded tasks go that ended longer ago than that, such as 30d
    #[arg(long, value_name = "TIME", value_parser = length_of_time)]
    older_than: Option<Duration>,
    /// As many of the runsets that ran first go as it takes for the objects to take no more than that, such as 50G
    #[arg(long, value_name = "SIZE", value_parser = read_bytes)]
    max_size: Option<u64>,
    /// Say what would go; change nothing
    #[arg(long)]
    dry_run: bool,
    /// One JSON object instead of lines
    #[arg(long)]
    json: bool,
}

/// How long to wait for whoever reads.
const PATIENCE: Duration = Duration::from_secs(10);

/// Removes it, and says what it was.
pub(super) fn main(places: &Places, options: &Options) -> Result<ExitCode, Failure> {
    // Where there is no db, none is made.
    drop(Reader::open(&places.db)?);
    let (mut state, _lock) = if options.dry_run {
        (State::private_copy(&places.db)?, None)
    } else {
        let (state, lock, _) = State::open(&places.db)?;
        (state, Some(lock))
    };
    let store = store::Reader::new(&state.layout().objects());
    let wish = Wish {
        keep: options
            .keep_runsets
            .map(|most| usize::try_from(most).unwrap_or(usize::MAX)),
        before: options.older_than.map(|age| {
            let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            sys::now().as_millisecond().saturating_sub(age)
        }),
        size: options.max_size,
    };
    let collected =
        Collection::new(&mut state, &store)?.collect(&wish, options.dry_run, PATIENCE)?;
    if options.json {
        output::print_json(format!("{:#}\n", to_json(&collected, options.dry_run)))?;
    } else {
        output::print(&text(&collected, options.dry_run))?;
    }
    for warning in warnings(&collected, &wish) {
        out::tell(&format!("warning: {warning}\n"));
    }
    Ok(ExitCode::from(u8::from(collected.swept.left > 0)))
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What goes, in one line; none if nothing does.
fn gone(collected: &Collected) -> Option<String> {
    let Collected { doomed, swept, .. } = collected;
    let mut parts = Vec::new();
    if !doomed.runsets.is_empty() {
        parts.push(grouped_count(number(doomed.runsets.len() as u64), "runset"));
    }
    let rows = doomed.rows + doomed.strays;
    if rows > 0 {
        parts.push(grouped_count(number(rows), "row"));
    }
    if doomed.superseded > 0 {
        parts.push(grouped_count(number(doomed.superseded), "superseded row"));
    }
    if doomed.versions > 0 {
        parts.push(format!(
            "{} of steps",
            grouped_count(number(doomed.versions), "version")
        ));
    }
    if swept.unneeded.objects > 0 {
        parts.push(format!(
            "{} with {}",
            grouped_count(number(swept.unneeded.objects), "object"),
            bytes(swept.unneeded.bytes)
        ));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn text(collected: &Collected, dry: bool) -> String {
    let verb = if dry { "would remove" } else { "removed" };
    let mut text = match gone(collected) {
        Some(gone) => format!("{verb} {gone}\n"),
        None => format!("{verb} nothing\n"),
    };
    if !collected.doomed.runsets.is_empty() {
        let names: Vec<_> = collected
            .doomed
            .runsets
            .iter()
            .map(|name| visible(name))
            .collect();
        let _ = writeln!(text, "  runsets: {}", names.join(", "));
    }
    let stays = collected.swept.stays();
    let _ = writeln!(
        text,
        "{} {}, {}",
        if dry { "would keep" } else { "kept" },
        grouped_count(number(stays.objects), "object"),
        bytes(stays.bytes)
    );
    if collected.older_runsets > 0 {
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
            "-older-than TIME can remove up to {} superseded rows",
            grouped(collected.superseded)
        );
    }
    text
}

fn warnings(collected: &Collected, wish: &Wish) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(error) = &collected.swept.error {
        warnings.push(format!(
            "{} could not be looked at or removed, and stay: {error}",
            grouped_count(number(collected.swept.left), "thing")
        ));
    }
    if collected.lists > 0 {
        warnings.push(format!(
            "{} gone from the store, and nobody knows what they name: a run makes them again",
            grouped_count(number(collected.lists), "list")
        ));
    }
    if let (true, Some(most)) = (collected.too_large, wish.size) {
        warnings.push(format!(
            "the objects take {}, more than {}: what stays is needed by the newest runset",
            bytes(collected.swept.stays().bytes),
            bytes(most)
        ));
    }
    warnings
}

fn to_json(collected: &Collected, dry: bool) -> Value {
    let Collected { doomed, swept, .. } = collected;
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
        },
        "kept": { "objects": stays.objects, "bytes": stays.bytes },
        "possible": {
            "runsets": collected.older_runsets,
            "bytes": collected.older.bytes,
            "superseded_rows": collected.superseded,
        },
        "left": swept.left,
    })
}
