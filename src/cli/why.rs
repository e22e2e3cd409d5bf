//! `why`: why a task ran, will run or was reused; what makes a step version differ from another.

mod case;
mod task;

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;

use super::error::Failure;
use super::options::Places;
use super::output;
use super::planned::{Plan, Planned, planned};
use super::select::{self, InRunset, Named};
use super::status::environment;
use crate::engine::{self, Stuck};
use crate::files::Texts;
use crate::model::identity::{Change, Tools};
use crate::report::table;
use crate::state::{Accepted, Evidence, Reader, Runset, StepVersion};
use crate::text::visible;
use crate::view::explain;
use task::task_text;

/// Options of `why`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// A step by its name, or a task by its number
    #[arg(value_name = "TASK|STEP")]
    what: String,
    #[command(flatten)]
    runset: InRunset,
}

/// Prints it.
pub(super) fn main(places: &Places, options: &Options) -> Result<ExitCode, Failure> {
    let recorded = Reader::open(&places.db)?;
    let step = recorded
        .step_names()?
        .iter()
        .any(|name| **name == *options.what);
    let text = if step {
        step_text(places, options, &recorded)?
    } else if options
        .what
        .starts_with(|c: char| c == '#' || c.is_ascii_hexdigit())
        && let Ok(Named::Task(row)) = select::named(&recorded, &options.what)
    {
        task_text(places, &recorded, &row)?
    } else if options
        .what
        .starts_with(|c: char| c == '#' || c.is_ascii_digit())
    {
        // Says what is wrong with it.
        task_text(places, &recorded, &select::task(&recorded, &options.what)?)?
    } else {
        select::known_step(&recorded, &options.what)?;
        String::new()
    };
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The words for what changed between two versions, and the lines that did, `indent` deep.
fn changes(new: &StepVersion, old: &StepVersion, texts: &Texts, indent: &str) -> String {
    let (Some(new), Some(old)) = (&new.identity, &old.identity) else {
        return format!("{indent}what changed is not recorded\n");
    };
    let details = explain::details(new, old, &|files| texts.lines(files));
    if details.is_empty() {
        return format!("{indent}nothing that counts: they compute the same\n");
    }
    let mut text = String::new();
    for detail in details {
        let _ = writeln!(text, "{indent}{}", visible(&detail.change.to_string()));
        for line in detail.lines {
            let _ = writeln!(text, "{indent}  {}", visible(&line));
        }
    }
    text
}

/// Whether two versions differ in kept variables alone.
fn only_kept(new: &StepVersion, old: &StepVersion) -> bool {
    let (Some(new), Some(old)) = (&new.identity, &old.identity) else {
        return false;
    };
    let changes = new.changes_since(old);
    new.keep == old.keep && matches!(changes.as_slice(), [Change::Keep(_)])
}

// ---- a step

fn step_text(places: &Places, options: &Options, recorded: &Reader) -> Result<String, Failure> {
    let name = &options.what;
    let before = recorded.current_version(name)?;
    let recorded_versions = recorded.versions(name)?;
    let known = recorded_versions.last().map_or(0, |newest| newest.version);
    let mut text = String::new();
    let mut texts = Texts::new(select::store(recorded)?);
    let identity = before.as_ref().and_then(|before| before.identity.as_ref());
    let host = identity.is_some_and(|identity| identity.tools == Tools::HostInstead);
    let planned = match planned(places, host)? {
        Planned::Steps(planned) => {
            texts.extend(&planned.steps.texts);
            Some(*planned)
        }
        Planned::Nothing => None,
        Planned::Bad(rendered) => {
            text.push_str("what the next -run would take cannot be told:\n");
            text.push_str(&rendered);
            None
        }
    };
    let state: &Reader = planned.as_ref().map_or(recorded, |planned| &planned.state);
    let versions = state.versions(name)?;
    let current = state.current_version(name)?;
    if let Some(current) = &current {
        let goes_back = before.is_some_and(|before| before.id != current.id);
        let is_last = versions.last().is_some_and(|last| last.id == current.id);
        let (name, version) = (visible(name), current.version);
        if goes_back && current.version <= known {
            let _ = writeln!(text, "{name} is v{version} again with the next -run");
        } else if !is_last {
            let _ = writeln!(text, "{name} is v{version} again");
        }
    }
    for pair in versions.windows(2).rev() {
        let (old, new) = (&pair[0], &pair[1]);
        let has_files = |version: &StepVersion| {
            let identity = version.identity.as_ref();
            identity.is_some_and(|identity| identity.files.is_some())
        };
        let when = if new.version > known {
            let what = if only_kept(new, old) {
                "a kept variable is another here"
            } else if has_files(new) {
                "the manifest, or a file that it names, has changed"
            } else {
                "the manifest has changed"
            };
            format!("not recorded yet: {what}")
        } else {
            since(new)
        };
        let _ = writeln!(
            text,
            "{} v{} ({when}) differs from v{}:",
            visible(name),
            new.version,
            old.version
        );
        text.push_str(&changes(new, old, &texts, "  "));
    }
    if let Some(first) = versions.first() {
        let tools = first
            .identity
            .as_ref()
            .map_or_else(String::new, environment);
        let _ = writeln!(text, "{} v1 ({}): {tools}", visible(name), since(first));
    }
    if let Some(current) = &current {
        text.push_str(&packages(current));
    }
    if let Some(runset) = options.runset.find(recorded)? {
        let mut stuck = match &planned {
            Some(Plan { steps, source, .. }) => {
                let store = select::store(recorded)?;
                engine::stuck(recorded, &store, &steps.all, &source.router, &runset)?
            }
            None => Vec::new(),
        };
        stuck.retain(|stuck| *stuck.step == **name);
        text.push_str(&in_runset(
            recorded,
            &runset,
            name,
            &versions,
            current.as_ref(),
            &stuck,
        )?);
    }
    Ok(text)
}

/// What the runset has of each version. `current`: the one that the step has now.
fn in_runset(
    recorded: &Reader,
    runset: &Runset,
    name: &str,
    versions: &[StepVersion],
    current: Option<&StepVersion>,
    stuck: &[Stuck],
) -> Result<String, Failure> {
    let mut text = String::new();
    let counts = recorded.tallies(runset.id)?;
    let accepted = recorded.accepted(Some(runset))?;
    let evidence = recorded.evidence(runset.id)?;
    let now_id = current.map(|current| current.id);
    let (now, fingerprint) = current.map_or_else(Default::default, |current| {
        (current.version, current.fingerprint.as_str())
    });
    for version in versions {
        let tally = counts.get(&version.id).copied().unwrap_or_default();
        if tally.is_zero() {
            continue;
        }
        let _ = writeln!(
            text,
            "runset {}, v{}: {}",
            visible(&runset.name),
            version.version,
            table::in_words(&tally)
        );
        for Accepted { why, count, .. } in accepted.iter().filter(|one| one.step == version.id) {
            let _ = writeln!(text, "  {count} of them {}", why.in_words(version.version));
        }
        if version.fingerprint != fingerprint && tally.finished() > 0 {
            let _ = writeln!(
                text,
                "  the finished ones are tainted: -migrate-tainted -run does them again as v{now}"
            );
            let found = evidence
                .iter()
                .find(|one| one.from == version.id && Some(one.to) == now_id);
            let _ = writeln!(text, "  {}", sampled(name, found));
        }
        let unfinished = tally.pending + tally.failed;
        let stay: u64 = stuck.iter().map(|stuck| stuck.tasks).sum();
        if unfinished > i64::try_from(stay).unwrap_or(i64::MAX) {
            let others = if stay > 0 { "other " } else { "" };
            let _ = writeln!(
                text,
                "  the {others}unfinished ones run as v{now} at the next -run"
            );
        }
    }
    for stuck in stuck {
        let _ = writeln!(text, "{}", stuck.in_words());
    }
    Ok(text)
}

/// What is known of tainted tasks of the step by a sample, and what to do with that.
fn sampled(step: &str, evidence: Option<&Evidence>) -> String {
    match evidence {
        None => "-migrate-tainted -sample 20 tells whether they would leave the same".to_owned(),
        Some(found) if found.unequal > 0 => format!(
            "of {}, {} left something else or failed",
            found.sample, found.unequal
        ),
        Some(found) => format!(
            "{} left the same: -migrate-tainted -accept {} takes them over",
            found.sample,
            visible(step)
        ),
    }
}

/// What the version's packages are, and where their pins lead.
fn packages(version: &StepVersion) -> String {
    let mut text = String::new();
    let tools = version.identity.as_ref().map(|identity| &identity.tools);
    if let Some(Tools::Nix(environment)) = tools {
        let _ = writeln!(text, "packages of v{}:", version.version);
        for package in &environment.packages {
            let _ = writeln!(text, "  {}", visible(&explain::package_line(package)));
        }
    }
    text
}

fn since(version: &StepVersion) -> String {
    version
        .created
        .and_then(|created| jiff::Timestamp::from_millisecond(created).ok())
        .map_or_else(
            || "of unknown age".to_owned(),
            |time| format!("since {}", time.strftime("%Y-%m-%d %H:%M:%S UTC")),
        )
}
