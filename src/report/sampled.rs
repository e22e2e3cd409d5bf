//! What came of a sample of tainted tasks, in words.

use std::fmt::Write as _;

use crate::model::sample::{Difference, Sampled, Unequal};
use crate::text::colour::count_of;
use crate::text::{amount, said, visible};

/// Digits of a hash: enough for `cat`.
const DIGITS: usize = 12;

/// `tr: 20 of 1000 tainted tasks run under version 3: all outputs equal to those of version 2`, or
/// which differ; and what to do next.
pub(super) fn in_words(told: &Sampled) -> String {
    let Sampled {
        runset: _,
        step,
        version,
        from,
        tasks,
        tainted,
        differing,
        failed,
        shown,
        next,
    } = told;
    let mut text = format!(
        "{step}: {tasks} of {} run under version {version}: ",
        amount::count(*tainted, "tainted task")
    );
    if told.is_equal() {
        let _ = writeln!(text, "all outputs equal to those of version {from}");
    } else {
        let mut words = Vec::new();
        if *differing > 0 {
            words.push(format!(
                "{differing} left other outputs than under version {from}"
            ));
        }
        if *failed > 0 {
            words.push(count_of(*failed, "failed"));
        }
        let _ = writeln!(text, "{}", words.join(", "));
        shown.iter().for_each(|one| text.push_str(&unequal(one)));
        let all = usize::try_from(differing + failed).unwrap_or(usize::MAX);
        if all > shown.len() {
            let _ = writeln!(text, "  and {} more", all - shown.len());
        }
    }
    let _ = writeln!(text, "hint: {}", visible(next));
    text
}

fn unequal(one: &Unequal) -> String {
    let on = match &one.input_name {
        Some(name) => format!(" on {}{}", visible(name), one.form.slash()),
        None => String::new(),
    };
    let what = if let Some(error) = &one.error {
        let lines = said(error.as_bytes());
        format!("failed: {}", lines.first().map_or("", |line| line))
    } else {
        let mut all: Vec<String> = one.outputs.iter().map(difference).collect();
        if one.more > 0 {
            all.push(format!("and {} more", one.more));
        }
        all.join(", ")
    };
    format!("  #{}{on}: {what}\n", one.task)
}

fn difference(one: &Difference) -> String {
    let name = visible(&one.name);
    match (&one.old, &one.new) {
        (Some(old), Some(new)) => format!(
            "{name} differs ({}, was {})",
            &new.hex()[..DIGITS],
            &old.hex()[..DIGITS]
        ),
        (Some(_), None) => format!("{name} is missing"),
        (None, _) => format!("{name} is new"),
    }
}
