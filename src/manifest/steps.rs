//! The manifest as a whole: its tables, and what must hold between the steps.

mod between;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::amounts::{self, Uses};
use super::describe::literal_outputs;
use super::field::{Field, Place};
use super::gather::Said;
use super::read::Fields;
use super::texts::{Texts, moved};
use super::unknown::{self, INCLUDE, TABLES};
use super::value::{Item, Reader};
use super::{
    CacheSettings, Input, Manifest, NixSettings, Placed, PublishSettings, Step, StepPlaces,
    StoreSettings, executors, input, params, read, resources, sandbox, secrets,
};
use crate::manifest::diagnostic::Diagnostic;
use crate::model::glob::Glob;
use crate::model::param::Params;
use crate::model::route::Router;
use crate::text::quoted;
use crate::text::suggest;

/// What a part can hold of these.
const OF_PARTS: [&str; 4] = ["include", "params", "step", "input"];

/// A `[[step]]` table: its place, and what it sets.
struct Draft {
    header: Range<usize>,
    fields: Fields,
}

impl Draft {
    /// Where to point for the step as a whole.
    fn place(&self) -> Range<usize> {
        self.fields
            .place(Field::Name)
            .unwrap_or_else(|| self.header.clone())
    }
}

/// The parts that a file names, as far as that can be read: what is wrong with it is told when all are
/// read.
pub(crate) fn includes(texts: &Texts, number: usize) -> Vec<Placed<Glob>> {
    let (text, folder, start) = texts.file(number);
    let (root, _) = DeTable::parse_recoverable(text);
    let root = moved(root.into_inner(), start);
    let Some(item) = root.get(INCLUDE) else {
        return Vec::new();
    };
    let mut reader = Reader::new(texts);
    reader.folder = folder;
    read::globs(&mut reader, "`include`", item)
}

/// Reads all of the manifest, `roots` being its file and those of its parts. The result counts only if
/// `reader` found no error.
pub(super) fn manifest<'i>(
    reader: &mut Reader<'i>,
    texts: &'i Texts,
    roots: &[DeTable<'_>],
) -> Option<Manifest> {
    let [mut nix, mut store, mut cache, mut publish, mut defaults] = <[Fields; 5]>::default();
    let mut limits = Uses::new();
    let mut all_executors = BTreeMap::new();
    let mut drafts = Vec::new();
    let mut inputs = Vec::new();
    let mut params = Params::new();
    let mut declared = Vec::new();
    let has_steps = roots.iter().any(|root| root.contains_key("step"));
    let all = roots.iter().enumerate();
    let all = all.flat_map(|(number, root)| root.iter().map(move |entry| (number, entry)));
    for (number, (key, item)) in all {
        (_, reader.folder, _) = texts.file(number);
        match key.get_ref().as_ref() {
            INCLUDE => drop(read::globs(reader, "`include`", item)),
            name if number > 0 && TABLES.contains(&name) && !OF_PARTS.contains(&name) => {
                let message =
                    format!("[{name}] belongs in the manifest, and this is only a part of it");
                let hint = "move it there; it applies to the steps of all parts";
                reader.error(Diagnostic::at(key.span(), message).hint(hint));
            }
            "nix" => nix = table(reader, Place::Nix, item),
            "store" => store = table(reader, Place::Store, item),
            "cache" => cache = table(reader, Place::Cache, item),
            "publish" => publish = table(reader, Place::Publish, item),
            "limits" => limits = amounts::limits(reader, item),
            "executors" => all_executors = executors::read(reader, item),
            "params" => params::read(reader, item, &mut params, &mut declared),
            "defaults" => defaults = table(reader, Place::Defaults, item),
            "step" => drafts.extend(steps(reader, key.span(), item)),
            "input" => inputs.extend(tables_of_inputs(reader, key.span(), item)),
            name => {
                let meant = unknown::at_top(reader, name, key.span(), item);
                // Read as what it was meant to be, so that its errors are told as well.
                if meant == Some("step") && !has_steps {
                    drafts.extend(steps(reader, key.span(), item));
                }
            }
        }
    }
    if drafts.is_empty() {
        if !has_steps || !reader.has_errors() {
            none(reader);
        }
        return None;
    }
    together(reader, &drafts, !inputs.is_empty());
    for draft in &drafts {
        each(reader, draft, &defaults, &limits);
        params::uses(reader, &declared, &draft.fields);
        executors::check(reader, &draft.fields, &all_executors);
    }
    let sources = between::sources(reader, &drafts);
    between::promised(reader, &drafts, &sources, &defaults);
    let inputs = finish_inputs(reader, inputs, &drafts);
    let gathered = between::gathered(reader, &drafts, &inputs);
    between::circles(reader, &drafts, &sources);
    params::uses(reader, &declared, &defaults);
    resources::check_pauses(reader, &defaults);
    resources::check_uses(reader, &defaults, &limits);
    executors::check(reader, &defaults, &all_executors);
    defaults.over(&nix);
    let mut steps = Vec::with_capacity(drafts.len());
    let mut places = Vec::with_capacity(drafts.len());
    let taken = sources.into_iter().zip(gathered);
    for (mut draft, ((from, with), gather)) in drafts.into_iter().zip(taken) {
        places.push(places_of(&draft, &defaults)?);
        draft.fields.over(&defaults);
        steps.push(Step {
            gather,
            from,
            with,
            ..draft.fields.step()?
        });
    }
    Some(Manifest {
        nix: NixSettings {
            nixpkgs: nix
                .nixpkgs
                .unwrap_or_else(|| NixSettings::NIXPKGS.to_owned()),
        },
        store: StoreSettings {
            keep_runsets: store.keep_runsets,
            keep: store.keep_bytes.unwrap_or_default(),
        },
        cache: CacheSettings {
            urls: cache.urls.unwrap_or_default(),
        },
        publish: PublishSettings { dir: publish.dir },
        limits: read::counts(limits),
        executors: all_executors,
        start: steps.iter().position(|step| step.start),
        inputs,
        params,
        by_name: steps
            .iter()
            .enumerate()
            .map(|(at, step)| (step.name.clone(), at))
            .collect(),
        places,
        steps,
    })
}

/// What is wrong with the steps as they stand beside each other.
fn together(reader: &mut Reader<'_>, drafts: &[Draft], inputs: bool) {
    needed(reader, drafts);
    names(reader, drafts);
    starts(reader, drafts, inputs);
    gathers(reader, drafts);
    between::waits(reader, drafts, inputs);
}

/// Where what is told of a step stands; none of one without a script.
fn places_of(draft: &Draft, defaults: &Fields) -> Option<StepPlaces> {
    let place = |field| {
        let own = draft.fields.place(field);
        own.or_else(|| defaults.place(field))
    };
    Some(StepPlaces {
        step: draft.place(),
        script: place(Field::Script)?,
        shell: place(Field::Shell),
        env: place(Field::Env),
        packages: place(Field::Packages),
        sandbox: place(Field::Sandbox),
    })
}

/// What is wrong with a step by itself, or with what it has of `[defaults]` and `[limits]`.
fn each(reader: &mut Reader<'_>, draft: &Draft, defaults: &Fields, limits: &Uses) {
    sandbox::check(reader, &draft.fields, defaults, draft.place());
    secrets::check(reader, &draft.fields, draft.place());
    resources::check_pauses(reader, &draft.fields);
    resources::check_variables(reader, &draft.fields, defaults, draft.place());
    resources::check_uses(reader, &draft.fields, limits);
}

fn table(reader: &mut Reader<'_>, place: Place, item: &Item<'_>) -> Fields {
    if let DeValue::Table(table) = item.get_ref() {
        return Fields::read(reader, place, table);
    }
    let name = place.header().trim_matches(['[', ']']);
    let written = format!("is written [{name}], with one pair of brackets");
    let belongs = Field::belongs(name, item.get_ref()).filter(|_| !item.get_ref().is_array());
    let hint = match belongs {
        Some(belongs) => format!("{belongs}; the table of that name {written}"),
        None => format!("its table {written}"),
    };
    reader.wrong_type(&format!("`{name}`"), "one table", item, Some(hint));
    Fields::default()
}

#[allow(clippy::wildcard_enum_match_arm)] // TOML's kinds of values are another's.
fn steps(reader: &mut Reader<'_>, key: Range<usize>, item: &Item<'_>) -> Vec<Draft> {
    let hint = "a step's table is written [[step]], with two pairs of brackets";
    match item.get_ref() {
        DeValue::Array(items) => items
            .iter()
            .filter_map(|item| draft(reader, item.span(), item))
            .collect(),
        DeValue::Table(table) => {
            let error = Diagnostic::at(key, "`step` must be a list of tables, not one table");
            if table.keys().any(|key| Field::is_key(key.get_ref())) {
                reader.error(error.hint(hint));
                return draft(reader, item.span(), item).into_iter().collect();
            }
            // `[step.fetch]`: a step by name.
            let hint = match table.keys().next() {
                Some(name) => format!("write [[step]], and in it name = \"{}\"", name.get_ref()),
                None => hint.to_owned(),
            };
            reader.error(error.hint(hint));
            Vec::new()
        }
        _ => {
            reader.wrong_type("`step`", "a list of tables", item, Some(hint.to_owned()));
            Vec::new()
        }
    }
}

fn draft(reader: &mut Reader<'_>, header: Range<usize>, item: &Item<'_>) -> Option<Draft> {
    let DeValue::Table(table) = item.get_ref() else {
        reader.wrong_type("an entry of `step`", "a table", item, None);
        return None;
    };
    let fields = Fields::read(reader, Place::Step, table);
    Some(Draft { header, fields })
}

#[allow(clippy::wildcard_enum_match_arm)] // TOML's kinds of values are another's.
fn tables_of_inputs(
    reader: &mut Reader<'_>,
    key: Range<usize>,
    item: &Item<'_>,
) -> Vec<input::Draft> {
    let hint = "an input's table is written [[input]], with two pairs of brackets";
    let mut tables = Vec::new();
    match item.get_ref() {
        DeValue::Array(items) => {
            for item in items {
                let DeValue::Table(table) = item.get_ref() else {
                    reader.wrong_type("an entry of `input`", "a table", item, None);
                    continue;
                };
                tables.push(input::Draft::read(reader, item.span(), table));
            }
        }
        DeValue::Table(table) => {
            let error = Diagnostic::at(key, "`input` must be a list of tables, not one table");
            reader.error(error.hint(hint));
            tables.push(input::Draft::read(reader, item.span(), table));
        }
        _ => reader.wrong_type("`input`", "a list of tables", item, Some(hint.to_owned())),
    }
    tables
}

fn finish_inputs(
    reader: &mut Reader<'_>,
    inputs: Vec<input::Draft>,
    drafts: &[Draft],
) -> Vec<Input> {
    let names: Vec<&str> = drafts
        .iter()
        .filter_map(|draft| Some(draft.fields.name.as_ref()?.as_str()))
        .collect();
    // A step whose name is wrong may be the one that is meant.
    let complete = names.len() == drafts.len();
    let known = |name: &str| {
        if names.contains(&name) || !complete {
            return Ok(());
        }
        Err(suggest::closest(name, names.iter().copied()).map(str::to_owned))
    };
    inputs
        .into_iter()
        .map(|input| input.finish(reader, &known))
        .collect()
}

fn none(reader: &mut Reader<'_>) {
    reader.missing(Diagnostic::whole("the manifest has no steps").hint(
        "it needs at least one [[step]] with name = \"…\", start = true and script = '''…'''",
    ));
}

/// Every step has a name and a script.
fn needed(reader: &mut Reader<'_>, drafts: &[Draft]) {
    for draft in drafts {
        if draft.fields.place(Field::Name).is_none() {
            let error = Diagnostic::at(draft.header.clone(), "a step has no name");
            reader.missing(error.hint("add name = \"…\""));
        }
        if draft.fields.place(Field::Script).is_none() {
            let error = Diagnostic::at(
                draft.place(),
                format!("{} has no script", draft.fields.label),
            );
            reader.missing(error.hint("add script = '''…'''"));
        }
    }
}

/// No name is used twice.
fn names(reader: &mut Reader<'_>, drafts: &[Draft]) {
    let mut first = HashMap::new();
    for draft in drafts {
        let Some(name) = &draft.fields.name else {
            continue;
        };
        if let Some(other) = first.get(name) {
            let other = reader.line_words(*other);
            let error = Diagnostic::at(
                draft.place(),
                format!("{} is already defined {other}", draft.fields.label),
            );
            reader.error(error.hint("each step needs a name of its own"));
        } else {
            first.insert(name, draft.place().start);
        }
    }
}

/// One step starts; with inputs, one at most.
fn starts(reader: &mut Reader<'_>, drafts: &[Draft], inputs: bool) {
    let starts: Vec<_> = drafts
        .iter()
        .filter(|draft| draft.fields.start == Some(true))
        .collect();
    if let Some((first, more)) = starts.split_first() {
        let line = reader.line_words(place_of_start(first).start);
        for draft in more {
            let message = format!(
                "{} is a second start step; {} is one already, {line}",
                draft.fields.label, first.fields.label
            );
            let error = Diagnostic::at(place_of_start(draft), message);
            reader.error(error.hint("exactly one step has start = true"));
        }
        return;
    }
    // A `start` that could not be read may have been meant as the one.
    if inputs {
        return;
    }
    if drafts
        .iter()
        .any(|draft| draft.fields.place(Field::Start).is_some() && draft.fields.start.is_none())
    {
        return;
    }
    let likely = likely_start(drafts);
    let perhaps = match &likely.fields.name {
        Some(name) => format!(", perhaps {}", quoted(name.as_str())),
        None => String::new(),
    };
    let hint = format!(
        "exactly one step has start = true{perhaps}; if files, rows or lines come in from outside, use an [[input]] \
         instead"
    );
    reader.missing(Diagnostic::at(likely.place(), "no step is the start step").hint(hint));
}

/// What goes with `gather`, and what does not.
fn gathers(reader: &mut Reader<'_>, drafts: &[Draft]) {
    for draft in drafts {
        let Fields {
            ref gather,
            partial,
            empty,
            start,
            ref label,
            ..
        } = draft.fields;
        let place = |field| draft.fields.place(field).unwrap_or_else(|| draft.place());
        let said = draft.fields.place(Field::Gather).is_some();
        if gather.is_some() && start == Some(true) {
            let message = format!("{label} is the start step and gathers: nothing comes to it");
            let error = Diagnostic::at(place(Field::Gather), message);
            reader.error(error.hint("let another step gather, or another one start"));
        }
        for (field, set) in [(Field::Partial, partial), (Field::Empty, empty)] {
            if set == Some(true) && gather.is_none() && !said {
                let message = format!("`{}` is for steps that gather", field.key());
                let error = Diagnostic::at(place(field), message);
                reader.error(error.hint("add gather = true, or leave it out"));
            }
        }
        if empty == Some(true) && matches!(gather, Some(Said::ByKey)) {
            let message =
                "`empty` does not go with gather = \"name\": there is no key without a member";
            let error = Diagnostic::at(place(Field::Empty), message);
            reader.error(error.hint("leave `empty` out"));
        }
    }
}

fn place_of_start(draft: &Draft) -> Range<usize> {
    draft
        .fields
        .place(Field::Start)
        .unwrap_or_else(|| draft.place())
}

/// The step that was most likely meant to start: one called `start`, else the first to which no
/// other step's script is seen to write, else the first.
fn likely_start(drafts: &[Draft]) -> &Draft {
    let named = |draft: &Draft| draft.fields.name.clone();
    if let Some(draft) = drafts
        .iter()
        .find(|draft| named(draft).is_some_and(|name| name.as_str() == "start"))
    {
        return draft;
    }
    let router = Router::new(drafts.iter().filter_map(named));
    let reached: Vec<_> = drafts
        .iter()
        .filter_map(|draft| Some((draft.fields.script.as_deref()?, draft.fields.folders)))
        .flat_map(|(script, folders)| literal_outputs(script, folders == Some(true)))
        .filter_map(|output| router.route(&output).cloned())
        .collect();
    drafts
        .iter()
        .find(|draft| named(draft).is_some_and(|name| !reached.contains(&name)))
        .unwrap_or(&drafts[0])
}
