//! What steps say of each other.

use super::Draft;
use crate::manifest::circles::{self, Way};
use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::field::Field;
use crate::manifest::gather::{self, Said};
use crate::manifest::read::Fields;
use crate::manifest::value::Reader;
use crate::manifest::{Input, from, with};
use crate::model::gather::{Gather, Source};
use crate::model::name::StepName;
use crate::text::quoted;

/// What each step takes of others, and whose outputs its tasks get besides.
pub(super) fn sources(
    reader: &mut Reader<'_>,
    drafts: &[Draft],
) -> Vec<(Vec<Source>, Vec<StepName>)> {
    let names: Vec<&StepName> = drafts
        .iter()
        .filter_map(|draft| draft.fields.name.as_ref())
        .collect();
    // A step whose name is wrong may be the one that is meant.
    let complete = names.len() == drafts.len();
    let mut all = Vec::with_capacity(drafts.len());
    for Draft { fields, .. } in drafts {
        let from = from::sources(reader, from::of(fields), &names, complete);
        all.push((from, with::steps(reader, fields, &names, complete)));
    }
    all
}

/// What a step takes of another is something that the other one may leave.
pub(super) fn promised(
    reader: &mut Reader<'_>,
    drafts: &[Draft],
    sources: &[(Vec<Source>, Vec<StepName>)],
    defaults: &Fields,
) {
    for (draft, (from, _)) in drafts.iter().zip(sources) {
        for source in from {
            let of = |other: &&Draft| other.fields.name.as_ref() == Some(&source.step);
            let Some(other) = drafts.iter().find(of) else {
                continue;
            };
            let outputs = other.fields.outputs.as_ref().or(defaults.outputs.as_ref());
            let (Some(wanted), Some(outputs)) = (&source.pattern, outputs) else {
                continue;
            };
            if outputs.iter().any(|output| output.meets(wanted)) {
                continue;
            }
            let text = source.to_string();
            let mut texts = from::of(&draft.fields).iter();
            let at = texts.find(|one| one.value == text);
            let at = at.map_or_else(|| draft.place(), |one| one.at.clone());
            let message = format!(
                "{} can match nothing: according to its `outputs`, {} leaves no such name",
                quoted(&text),
                other.fields.label
            );
            let outputs: Vec<String> = outputs.iter().map(|one| quoted(one.text())).collect();
            let hint = match outputs.as_slice() {
                [] => "its `outputs` are empty: it leaves nothing".to_owned(),
                some => format!("its `outputs` are {}", some.join(", ")),
            };
            reader.error(Diagnostic::at(at, message).hint(hint));
        }
    }
}

/// What to do about rows that have files.
const ONE_BY_ONE: &str =
    "send them to a step that works on each row with its files, and gather what that leaves";

/// What each step gathers.
pub(super) fn gathered(
    reader: &mut Reader<'_>,
    drafts: &[Draft],
    inputs: &[Input],
) -> Vec<Option<Gather>> {
    let names: Vec<&StepName> = drafts
        .iter()
        .filter_map(|draft| draft.fields.name.as_ref())
        .collect();
    let complete = names.len() == drafts.len();
    let mut all = Vec::new();
    for draft in drafts {
        let Fields { gather, name, .. } = &draft.fields;
        let Some(said) = gather else {
            all.push(None);
            continue;
        };
        all.push(gather::resolve(
            reader,
            said,
            name.as_ref(),
            &names,
            complete,
        ));
        let takes = |input: &&Input| name.as_ref().is_some_and(|name| input.steps.contains(name));
        if let (Said::Below(step), Some(input)) = (said, inputs.iter().find(takes)) {
            let message = format!(
                "inputs go to {}, which gathers what descends from each task of {}; they descend from none",
                draft.fields.label,
                quoted(&step.value)
            );
            let error = Diagnostic::at(input.at.at.clone(), message);
            reader.error(error.hint("send them to another step, or use gather = true in this one"));
            continue;
        }
        let with_files = |input: &&Input| takes(input) && !input.paths.is_empty();
        for input in inputs.iter().filter(with_files) {
            let message = format!(
                "rows with files (`paths`) go to {}, which gathers: it could not tell whose files are whose",
                draft.fields.label
            );
            let error = Diagnostic::at(input.at.at.clone(), message);
            reader.error(error.hint(ONE_BY_ONE));
        }
    }
    all
}

/// No step waits for what comes of itself by name.
pub(super) fn circles(
    reader: &mut Reader<'_>,
    drafts: &[Draft],
    sources: &[(Vec<Source>, Vec<StepName>)],
) {
    let names: Vec<&StepName> = drafts
        .iter()
        .filter_map(|draft| draft.fields.name.as_ref())
        .collect();
    if names.len() < drafts.len() {
        return;
    }
    let all = drafts.iter().zip(sources);
    let ways: Vec<Vec<Way>> = all.map(|of_step| ways(of_step, &names)).collect();
    circles::note(reader, &names, &ways);
}

/// The steps that a step names in `from`, `with` and `gather`.
fn ways<'a>(
    (draft, (from, with)): (&'a Draft, &'a (Vec<Source>, Vec<StepName>)),
    names: &[&'a StepName],
) -> Vec<Way<'a>> {
    let way = |field: Field, to: &'a StepName| Way {
        key: field.key(),
        to,
        at: draft.fields.place(field).unwrap_or_else(|| draft.place()),
    };
    let from = from.iter().map(|source| way(Field::From, &source.step));
    let with = with.iter().map(|step| way(Field::With, step));
    let gathered = match &draft.fields.gather {
        Some(Said::Below(step)) => names.iter().find(|name| name.as_str() == step.value),
        Some(Said::All | Said::ByKey) | None => None,
    };
    // That it is none of its own is told elsewhere.
    let gathered = gathered.filter(|name| draft.fields.name.as_ref() != Some(**name));
    let gathered = gathered.map(|name| way(Field::Gather, name));
    from.chain(with).chain(gathered).collect()
}

/// What goes with `each`: one step in `with`, and one input at a time.
fn pairs(reader: &mut Reader<'_>, drafts: &[Draft]) {
    for draft in drafts {
        let Fields {
            each,
            with,
            gather,
            label,
            ..
        } = &draft.fields;
        let Some(place) = draft
            .fields
            .place(Field::Each)
            .filter(|_| *each == Some(true))
        else {
            continue;
        };
        let (message, hint) = match with.as_deref().unwrap_or_default() {
            [_] if gather.is_none() => continue,
            [_] => (
                format!("{label} gathers, and has `each`: it would have no single inputs to pair"),
                "leave out one of them",
            ),
            _ => (
                format!("`each` needs exactly one step in `with`, and {label} does not have that"),
                "for instance with = [\"index\"], for a task on each input with each output of that step",
            ),
        };
        reader.error(Diagnostic::at(place, message).hint(hint));
    }
}

/// Where the pipeline starts there is nothing to wait for, unless inputs lead to it.
pub(super) fn waits(reader: &mut Reader<'_>, drafts: &[Draft], inputs: bool) {
    pairs(reader, drafts);
    for draft in drafts.iter().filter(|_| !inputs) {
        let Fields {
            start, label, with, ..
        } = &draft.fields;
        if *start == Some(true)
            && with.as_ref().is_some_and(|with| !with.is_empty())
            && let Some(place) = draft.fields.place(Field::With)
        {
            let message = format!("{label} is the start step: all others come after it");
            let error = Diagnostic::at(place, message);
            reader.error(error.hint("leave `with` out, or let another step start"));
        }
    }
}
