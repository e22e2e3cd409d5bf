//! Outputs that certainly lead back to the step that leaves them.

use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::{Manifest, Step, StepPlaces, VALUE, named_outputs};
use crate::model::gather::Gather;
use crate::model::name::StepName;
use crate::model::route::Router;
use crate::prepare::Source;
use crate::script::{simple, survey};
use crate::text::quoted;

/// One warning per step whose tasks go round without an end, or gather what they leave.
pub(super) fn of(source: &Source) -> Vec<Diagnostic> {
    found(&source.manifest, &source.router, source.texts.all())
}

fn found(manifest: &Manifest, router: &Router, text: &str) -> Vec<Diagnostic> {
    let ways: Vec<_> = manifest
        .steps
        .iter()
        .map(|step| ways(step, router, manifest))
        .collect();
    let mut told = vec![false; ways.len()];
    let mut found = Vec::new();
    for (at, step) in manifest.steps.iter().enumerate() {
        if told[at] || step.rounds != Step::ROUNDS {
            continue;
        }
        let Some(ring) = ring(&ways, at) else {
            continue;
        };
        for &(at, _) in &ring {
            told[at] = true;
        }
        let output = ring[0].1.as_str();
        let round = ring
            .iter()
            .map(|(at, _)| manifest.steps[*at].name.as_str())
            .chain([step.name.as_str()])
            .collect::<Vec<_>>()
            .join(" → ");
        let ends = ring.iter().skip(1).chain(&ring[..1]);
        let mut hops = ring
            .iter()
            .zip(ends.map(|(to, _)| &manifest.steps[*to].name));
        let by_from = hops.any(|((_, output), to)| router.route(output) != Some(to));
        let message = format!(
            "step {} leaves {}, {} back to it ({round})",
            quoted(step.name.as_str()),
            quoted(output),
            if by_from {
                "which leads"
            } else {
                "whose name leads"
            }
        );
        let hint = if by_from {
            "let `from` name only steps before it, or add a colon and a pattern that does not match this; if the \
             rounds are intended, set `rounds`"
        } else if step.gather.is_some() {
            "a task cannot gather what comes of itself and will fail: give the output a name without the step's \
             name in it"
        } else {
            "it would go round for ever: give the output a name without the step's name in it, or set `rounds` if \
             the rounds are intended"
        };
        let place = place(step, &manifest.places[at], text, output);
        found.push(Diagnostic::at(place, message).hint(hint.to_owned()));
    }
    found.extend(too_late(manifest, &ways, text));
    found
}

/// What steps that gather leave for one that gathered before.
fn too_late(manifest: &Manifest, ways: &[Vec<(usize, String)>], text: &str) -> Vec<Diagnostic> {
    let mut order = Vec::new();
    for at in 0..manifest.steps.len() {
        add_in_order(manifest, at, &mut order);
    }
    let turn = |at: usize| order.iter().position(|one| *one == at);
    let waits = |step: &Step| step.gather.is_some_and(Gather::is_barrier);
    let mut found = Vec::new();
    for (at, step) in manifest.steps.iter().enumerate() {
        let before = |to: usize| turn(to) < turn(at) && waits(&manifest.steps[to]);
        let left = ways[at].iter().filter(|_| waits(step));
        let late = left.into_iter().find(|(to, _)| before(*to));
        let Some((to, output)) = late else {
            continue;
        };
        let (own, other) = (quoted(step.name.as_str()), &manifest.steps[*to].name);
        let message = format!(
            "step {own} gathers after {}, and leaves {} for it: its task will fail",
            quoted(other.as_str()),
            quoted(output)
        );
        let hint = format!(
            "steps gather in the order of the manifest: move {own} up, before {}, or give the output another name",
            quoted(other.as_str())
        );
        let place = place(step, &manifest.places[at], text, output);
        found.push(Diagnostic::at(place, message).hint(hint));
    }
    found
}

/// In which order steps gather: that of the manifest, and those that one names before it.
fn add_in_order(manifest: &Manifest, at: usize, order: &mut Vec<usize>) {
    if order.contains(&at) {
        return;
    }
    let step = &manifest.steps[at];
    let named = step.from.iter().map(|from| &from.step).chain(&step.with);
    let place = |name: &StepName| manifest.steps.iter().position(|other| other.name == *name);
    for other in named.filter_map(place) {
        add_in_order(manifest, other, order);
    }
    if let Some(Gather::Below(owner)) = step.gather {
        add_in_order(manifest, owner, order);
    }
    order.push(at);
}

/// Where each output goes that the step leaves whatever happens, with its name.
fn ways(step: &Step, router: &Router, manifest: &Manifest) -> Vec<(usize, String)> {
    if !survey::is_shell(&step.shell) || (step.gather.is_none() && !is_plain(&step.script)) {
        return Vec::new();
    }
    let mut ways = Vec::new();
    for name in named_outputs(&step.script, step.folders) {
        let end = name.rsplit_once(VALUE).map(|(_, end)| end);
        let to = match end {
            Some(end) => router.certain(end),
            None => router.route(&name),
        };
        let takes = |other: &Step| {
            let mut from = other.from.iter().filter(|from| from.step == step.name);
            Some(&other.name) == to
                || from.any(|from| match &from.pattern {
                    None => true,
                    Some(pattern) => end.is_none() && pattern.matches(&name),
                })
        };
        let steps = manifest.steps.iter().enumerate();
        let takes = steps.filter(|(_, other)| takes(other));
        ways.extend(takes.map(|(at, _)| (at, name.replace(VALUE, ANY))));
    }
    ways
}

/// In messages, for the value of a variable.
const ANY: &str = "*";

/// Whether all of the script is done each time, as far as its words tell: what it leaves under some
/// condition may be what ends a ring.
fn is_plain(script: &str) -> bool {
    const PERHAPS: [&str; 9] = [
        "if", "case", "while", "until", "for", "test", "[", "exit", "trap",
    ];
    let words = || script.split(|c: char| c.is_whitespace() || ";(){}'\"".contains(c));
    simple::parse(script).is_some()
        || !(script.contains("&&")
            || script.contains("||")
            || words().any(|word| PERHAPS.contains(&word)))
}

/// The shortest way back to the step, as steps with what each leaves for the next.
fn ring(ways: &[Vec<(usize, String)>], start: usize) -> Option<Vec<(usize, String)>> {
    let mut from: Vec<Option<(usize, &str)>> = vec![None; ways.len()];
    let mut next = std::collections::VecDeque::from([start]);
    while let Some(at) = next.pop_front() {
        for (to, name) in &ways[at] {
            if *to == start {
                let mut ring = vec![(at, name.clone())];
                let mut at = at;
                while at != start {
                    let (before, name) = from[at]?;
                    ring.push((before, name.to_owned()));
                    at = before;
                }
                ring.reverse();
                return Some(ring);
            }
            if from[*to].is_none() {
                from[*to] = Some((at, name));
                next.push_back(*to);
            }
        }
    }
    None
}

/// Where the output's name stands in the manifest, else the script.
fn place(step: &Step, places: &StepPlaces, text: &str, output: &str) -> std::ops::Range<usize> {
    let folder = step.script.find("OUTPUT_DIR");
    let output = output.rsplit(ANY).next().unwrap_or(output);
    let at = folder.and_then(|from| {
        let behind = step.script[from..].find(output)?;
        Some(from + behind)
    });
    match at {
        Some(at) => places.in_script(text, at..at + output.len()),
        None => places.script.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// The messages on steps with these keys and scripts.
    fn messages(steps: &[(&str, &str, &str)]) -> Vec<String> {
        let mut text = "[[step]]\nname = 'begin'\nstart = true\nscript = 'true'\n".to_owned();
        for (name, keys, script) in steps {
            let _ = writeln!(
                text,
                "[[step]]\nname = '{name}'\n{keys}\nscript = '''\n{script}'''"
            );
        }
        let manifest = Manifest::parse(&text).unwrap();
        let found = found(&manifest, &manifest.routes(), &text);
        for one in &found {
            let place = one.span.clone().unwrap();
            assert!(one.message.contains(&text[place]), "{}", one.message);
        }
        found.into_iter().map(|one| one.message).collect()
    }

    #[test]
    fn an_output_with_the_name_of_its_own_step() {
        let chart = "sort \"$INPUT_FILE\" > \"$OUTPUT_DIR/chart.txt\"";
        assert_eq!(
            messages(&[("chart", "", chart)]),
            ["step `chart` leaves `chart.txt`, whose name leads back to it (chart → chart)"]
        );
        assert_eq!(
            messages(&[(
                "a",
                "gather = true",
                "if x; then y; fi > $OUTPUT_DIR/all_a.txt"
            )]),
            ["step `a` leaves `all_a.txt`, whose name leads back to it (a → a)"]
        );
    }

    #[test]
    fn names_with_values_in_them_and_what_is_taken_wherever_it_is_routed() {
        let by_key = "cp $INPUT_FILE \"$OUTPUT_DIR/${TASK_PIPELINE_KEY}_s.txt\"";
        assert_eq!(
            messages(&[("s", "", by_key)]),
            ["step `s` leaves `*_s.txt`, whose name leads back to it (s → s)"]
        );
        // Of some keys another step has it.
        let none: [&str; 0] = [];
        assert_eq!(messages(&[("s", "", by_key), ("b_s", "", ":")]), none);
        let other = "cp $INPUT_FILE $OUTPUT_DIR/other";
        assert_eq!(
            messages(&[
                ("a", "from = ['b']", "cp x $OUTPUT_DIR/x_b"),
                ("b", "", other)
            ]),
            ["step `a` leaves `x_b`, which leads back to it (a → b → a)"]
        );
    }

    #[test]
    fn what_is_left_for_a_step_that_gathered_before() {
        let (h, g) = (("h", "gather = true", ":"), "ls > $OUTPUT_DIR/l_h");
        let told = ["step `g` gathers after `h`, and leaves `l_h` for it: its task will fail"];
        assert_eq!(messages(&[h, ("g", "gather = true", g)]), told);
        assert_eq!(messages(&[h, ("g", "gather = 'name'", g)]), told);
        let none: [&str; 0] = [];
        assert_eq!(messages(&[("g", "gather = true", g), h]), none);
        assert_eq!(messages(&[h, ("g", "", g)]), none);
        let named = ("first", "with = ['g']", ":");
        assert_eq!(messages(&[named, h, ("g", "gather = true", g)]), none);
        assert_eq!(messages(&[("h", "", ":"), ("g", "gather = true", g)]), none);
    }

    #[test]
    fn the_hint_is_about_the_name_where_that_is_the_cause() {
        let by = |keys: &str| messages(&[("feed", keys, "ls > $OUTPUT_DIR/feed.xml")]);
        for keys in ["gather = true\nfrom = ['begin']", "from = ['begin']"] {
            assert_eq!(
                by(keys),
                ["step `feed` leaves `feed.xml`, whose name leads back to it (feed → feed)"]
            );
        }
    }

    #[test]
    fn a_ring_of_several_is_told_once() {
        let left = |name: &str| format!("cp $INPUT_FILE $OUTPUT_DIR/x_{name}\necho done");
        let (one, two, three) = (left("two"), left("three"), left("one"));
        assert_eq!(
            messages(&[("one", "", &one), ("two", "", &two), ("three", "", &three)]),
            ["step `one` leaves `x_two`, whose name leads back to it (one → two → three → one)"]
        );
    }

    #[test]
    fn what_may_end_is_not_told() {
        for (keys, script) in [
            ("rounds = 7", "cp $INPUT_FILE $OUTPUT_DIR/again"),
            ("", "[ -s $INPUT_FILE ] && cp $INPUT_FILE $OUTPUT_DIR/again"),
            ("", "if true; then cp $INPUT_FILE $OUTPUT_DIR/again; fi"),
            ("", "cp $INPUT_FILE $OUTPUT_DIR/$x.again"),
            ("", "cp $INPUT_FILE $OUTPUT_DIR/${x}again"),
            ("from = ['begin']", "cp $INPUT_FILE $OUTPUT_DIR/other"),
            ("", "cp $INPUT_FILE $OUTPUT_DIR/other"),
            ("shell = ['python3', '-c']", "open('$OUTPUT_DIR/again')"),
        ] {
            assert_eq!(
                messages(&[("again", keys, script)]),
                Vec::<String>::new(),
                "{script}"
            );
        }
    }
}
