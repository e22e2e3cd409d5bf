//! Variables of the host that a script reads and that its version does not know of.

use std::ops::Range;

use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::{Step, StepPlaces};
use crate::model::param::VARIABLE;
use crate::model::secret;
use crate::script::survey::{self, Survey, Variable};
use crate::text::quoted;

/// One warning per variable that a script has from the host. `is_set`: whether the host has it now.
pub(super) fn unseen(
    step: &Step,
    places: &StepPlaces,
    text: &str,
    survey: &Survey,
    is_set: &dyn Fn(&str) -> bool,
) -> Vec<Diagnostic> {
    // A pure step does not have it.
    if step.pure {
        return Vec::new();
    }
    let given = step.resources();
    let counts = |variable: &Variable| {
        let name = &variable.name;
        !survey::is_usual(name)
            // Told as what it is.
            && !name.starts_with(VARIABLE)
            && !name.starts_with(secret::VARIABLE)
            && !given.sets(name)
            && !step.keep.contains(name)
            && !step.env.contains_key(name)
            && (!variable.perhaps_set || is_set(name))
    };
    let found = survey.variables.iter().filter(|variable| counts(variable));
    found
        .map(|variable| {
            let name = &variable.name;
            let mut keep = step.keep.clone();
            keep.push(name.clone());
            let message = format!(
                "step {} reads the host variable {}, but another value of it does not make a new version",
                quoted(step.name.as_str()),
                quoted(name)
            );
            let span = place(step, places, text, variable);
            Diagnostic::at(span, message).hint(format!(
                "add `keep = {keep:?}` so that it does, or set it: `env = {{ {name} = \"…\" }}`"
            ))
        })
        .collect()
}

/// Where the variable stands in the manifest's text, with the dollar.
pub(super) fn place(
    step: &Step,
    places: &StepPlaces,
    text: &str,
    variable: &Variable,
) -> Range<usize> {
    let length = text_length(step, variable.at, &variable.name);
    places.in_script(text, variable.at..variable.at + length)
}

/// Bytes from the `$` to the end of the name.
fn text_length(step: &Step, at: usize, name: &str) -> usize {
    let rest = step.script.get(at..).unwrap_or_default();
    rest.find(name)
        .map_or(name.len(), |start| start + name.len())
}

#[cfg(test)]
mod tests {
    use crate::manifest::Manifest;
    use crate::script::survey;

    #[test]
    fn what_a_task_takes_is_told_to_it() {
        assert_eq!(warnings("cpus = 2", "echo $CPUS").len(), 0);
        assert_eq!(warnings("gpus = 1", "echo $CPUS").len(), 1);
        assert_eq!(warnings("gpus = 1", "echo $HIP_VISIBLE_DEVICES").len(), 0);
    }

    fn warnings(keys: &str, script: &str) -> Vec<(String, String)> {
        let text =
            format!("[[step]]\nname = 'a'\nstart = true\n{keys}\nscript = '''\n{script}'''\n");
        let manifest = Manifest::parse(&text).unwrap();
        let found = super::unseen(
            &manifest.steps[0],
            &manifest.places[0],
            &text,
            &survey::of(&manifest.steps[0].script),
            &|name| name == "SET",
        );
        found
            .into_iter()
            .map(|one| (text[one.span.unwrap()].to_owned(), one.hint.unwrap()))
            .collect()
    }

    #[test]
    fn they_are_told_with_the_line_to_add() {
        let script = "echo ${FOO:-x} \"$BAR\" $FOO $PATH $LC_ALL $TASK_PIPELINE_KEY";
        assert_eq!(
            warnings("keep = ['A']", script),
            [
                (
                    "${FOO".to_owned(),
                    "add `keep = [\"A\", \"FOO\"]` so that it does, or set it: `env = { FOO = \"…\" }`"
                        .to_owned()
                ),
                (
                    "$BAR".to_owned(),
                    "add `keep = [\"A\", \"BAR\"]` so that it does, or set it: `env = { BAR = \"…\" }`"
                        .to_owned()
                ),
            ]
        );
    }

    #[test]
    fn what_is_kept_set_or_hidden_is_not() {
        for keys in ["keep = ['FOO']", "env = { FOO = '1' }", "pure = true"] {
            assert_eq!(warnings(keys, "echo $FOO"), []);
        }
        assert_eq!(warnings("", ". ./env.sh; echo $FOO").len(), 0);
        assert_eq!(warnings("", ". ./env.sh; echo $SET").len(), 1);
    }
}
