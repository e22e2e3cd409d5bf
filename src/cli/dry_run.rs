//! `-run -dry-run`: what a run would do.

use crate::text::amount;
use crate::text::width::pad;
use std::fmt::Write as _;
use std::process::ExitCode;

use super::call::Call;
use super::error::Failure;
use super::{output, select, summary};
use crate::cache::Preview;
use crate::engine::{self, DryRun, Earlier, Reason};
use crate::model::name::StepName;
use crate::report::table;
use crate::text::visible;

/// Tells it. `call` has a copy of the state.
pub(super) fn main(mut call: Call) -> Result<ExitCode, Failure> {
    let (runsets, seeded, _) = call.runsets_to_run(None)?;
    call.check_fit(&runsets)?;
    let store = select::store(&call.state)?;
    let mut selections = call.selections(&runsets)?.into_iter();
    if !seeded {
        call.restore(&runsets, &store, None)?;
    }
    let settings = std::mem::take(&mut call.cache);
    let preview = Preview::new(&settings);
    let mut preview = preview.map_err(|error| Failure::usage(&error).hint(error.hint))?;
    let mut text = "dry run: nothing is run, nothing is changed\n".to_owned();
    text.push_str(&summary::unresolved(&call.unresolved));
    if let Some(compared) = &call.compared {
        let _ = writeln!(text, "inputs: {compared}");
    }
    let mut earlier = Earlier::default();
    for runset in &runsets {
        let new = if seeded { " (new)" } else { "" };
        let _ = writeln!(text, "runset {}{new}", visible(&runset.name));
        let router = &call.source.router;
        let told = engine::dry_run(
            &mut call.state,
            &store,
            &call.steps.all,
            router,
            (runset, selections.next().flatten()),
            &mut earlier,
            &mut |question| preview.has(question),
        )?;
        let names = call.steps.all.iter().map(|step| {
            let name = visible(step.name.as_str());
            format!("{name} v{}", step.version)
        });
        let names: Vec<String> = names.collect();
        let (mut runs, mut takes, mut remakes) = (false, false, false);
        let partly = told.iter().any(|told| told.left_out > 0);
        for (name, told) in names.iter().zip(&told) {
            let Some(words) = in_words(told, partly) else {
                continue;
            };
            runs |= !told.run.is_empty() || told.anew > 0;
            remakes |= told.again > 0;
            takes |= told.shared > 0;
            let _ = writeln!(text, "  {}  {words}", pad(name, longest(&names)));
        }
        text.push_str(match (runs, takes) {
            (true, false) => "  and what comes of the outputs of those that run\n",
            (_, true) => "  and what comes of the outputs of those that run, or are taken\n",
            (false, false) if remakes => "",
            (false, false) => "  nothing would run\n",
        });
        for (step, count, changes) in call.steps.tainted(&call.state, runset)? {
            let _ = writeln!(
                text,
                "  {step}: {} would stay ({}); with -migrate-tainted done again",
                amount::count(count, "tainted task"),
                table::changes(&changes)
            );
        }
    }
    for words in preview.warnings {
        call.warn(Some(words));
    }
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn longest(names: &[String]) -> usize {
    use unicode_width::UnicodeWidthStr as _;
    names.iter().map(|name| name.width()).max().unwrap_or(0)
}

/// `partly`: something else stays to be done.
fn in_words(told: &DryRun, partly: bool) -> Option<String> {
    let mut words = Vec::new();
    let total: u64 = told.run.iter().map(|(_, count)| count).sum();
    if total > 0 {
        let reasons: Vec<String> = told
            .run
            .iter()
            .map(|(reason, count)| format!("{count} {}", reason_in_words(*reason)))
            .collect();
        words.push(format!("would run {total} ({})", reasons.join(", ")));
    }
    if told.reuse > 0 {
        words.push(format!("would reuse {} (an equal task ran)", told.reuse));
    }
    if told.shared > 0 {
        words.push(format!("would take {} from a shared cache", told.shared));
    }
    if told.wait > 0 {
        words.push(format!(
            "would reuse {} after an equal task of this run",
            told.wait
        ));
    }
    if told.again > 0 {
        words.push(format!(
            "would run {} again, as what {} left was evicted and is needed",
            told.again,
            if told.again == 1 { "it" } else { "they" }
        ));
    }
    if told.anew > 0 {
        words.push(format!(
            "would do {} of an older version again with all that follows, as what {} left was evicted and is needed",
            told.anew,
            if told.anew == 1 { "it" } else { "they" }
        ));
    }
    for (gone, count) in &told.stay {
        words.push(stay(gone.as_ref(), *count));
    }
    if told.refused > 0 {
        words.push(format!(
            "would refuse {} ({} round for ever)",
            told.refused,
            if told.refused == 1 {
                "it goes"
            } else {
                "they go"
            }
        ));
    }
    if told.held > 0 {
        let come = if told.held == 1 {
            "it comes"
        } else {
            "they come"
        };
        words.push(format!(
            "{} would wait for older tasks that {come} from, as those may leave something else this time",
            told.held
        ));
    }
    if told.lacking > 0 {
        words.push(format!("{} would wait for secrets", told.lacking));
    }
    if told.left_out > 0 {
        words.push(format!("{} left out", told.left_out));
    }
    if told.gathers && partly {
        words.push("gathers once what is left out is done, too".to_owned());
    } else if told.gathers {
        words.push("one more task would gather what the tasks before it leave".to_owned());
    }
    (!words.is_empty()).then(|| words.join(", "))
}

fn stay(gone: Option<&StepName>, count: u64) -> String {
    let they = if count == 1 { "it works" } else { "they work" };
    match gone {
        Some(gone) => format!(
            "{count} would stay, as what {they} on was evicted, and the manifest no longer has step {} that left it: \
             put it back",
            visible(gone.as_str())
        ),
        None => {
            format!("{count} would stay, as what {they} on was evicted and cannot be made again")
        }
    }
}

fn reason_in_words(reason: Reason) -> &'static str {
    match reason {
        Reason::Forced => "in any case: at the start, or asked for",
        Reason::NeverReused => "of a step whose results are not reused",
        Reason::Failed => "failed last time",
        Reason::New => "without a result yet",
        Reason::OutOfScope => "whose results are not used any more, as `cache` says",
        Reason::Lost => "whose results are gone from the store, or are no `outputs` of the step",
    }
}
