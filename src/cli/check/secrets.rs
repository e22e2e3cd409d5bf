//! Secrets: what scripts read that they do not get, and what they get that none reads.

use std::collections::BTreeMap;

use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::{Manifest, Step, StepPlaces};
use crate::model::param::is_mentioned;
use crate::model::secret::{VARIABLE, variable};
use crate::script::survey::{Survey, Variable};
use crate::text::{quoted, suggest};

/// Those that a step gets.
pub(super) fn of(step: &Step) -> Option<String> {
    (!step.secrets.is_empty()).then(|| step.secrets.join(", "))
}

/// One warning per variable of a secret that the step does not list.
pub(super) fn unlisted(
    step: &Step,
    places: &StepPlaces,
    text: &str,
    survey: &Survey,
) -> Vec<Diagnostic> {
    let secret = |variable: &Variable| {
        let name = variable.name.strip_prefix(VARIABLE)?;
        let is_other = name.is_empty()
            || step.secrets.iter().any(|one| one == name)
            || step.keep.contains(&variable.name)
            || step.env.contains_key(&variable.name);
        (!is_other).then(|| name.to_owned())
    };
    let found = survey.variables.iter().filter_map(|variable| {
        let name = secret(variable)?;
        let message = format!(
            "step {} reads {}, but {} is not one of its secrets",
            quoted(step.name.as_str()),
            quoted(&variable.name),
            quoted(&name)
        );
        let span = super::variables::place(step, places, text, variable);
        let mut all = step.secrets.clone();
        let near = suggest::closest(&name, all.iter().map(String::as_str));
        let hint = if let Some(near) = near {
            format!("did you mean {}?", quoted(near))
        } else {
            all.push(name);
            format!("add `secrets = {all:?}`, so that the run provides it")
        };
        Some(Diagnostic::at(span, message).hint(hint))
    });
    found.collect()
}

/// One warning per secret that no step reads which lists it, as far as that can be told.
pub(super) fn unread(manifest: &Manifest) -> Vec<Diagnostic> {
    let mut unread: BTreeMap<&str, Option<&StepPlaces>> = BTreeMap::new();
    for (step, places) in manifest.steps.iter().zip(&manifest.places) {
        for name in &step.secrets {
            let place = unread.entry(name).or_insert(Some(places));
            if reads(step, name) {
                *place = None;
            }
        }
    }
    let unread = unread.into_iter().filter_map(|(name, place)| {
        let message = format!("no step reads secret {}", quoted(name));
        let hint = format!("a script finds the path of its file in ${}", variable(name));
        Some(Diagnostic::at(place?.step.clone(), message).hint(hint))
    });
    unread.collect()
}

fn reads(step: &Step, name: &str) -> bool {
    let variable = variable(name);
    let mentions = |text: &String| is_mentioned(text, &variable);
    // What its files read is not looked at.
    !step.files.is_empty()
        || mentions(&step.script)
        || step.shell.iter().any(mentions)
        || step.env.values().any(mentions)
}

#[cfg(test)]
mod tests {
    use crate::manifest::Manifest;
    use crate::script::survey;

    #[test]
    fn what_is_no_secret_of_the_step_is_told() {
        let text = "[[step]]\nname = 'a'\nstart = true\nsecrets = ['api_token']\n\
            script = 'cat $SECRET_api_tokn ${SECRET_api_token} $SECRET_key'\n";
        let manifest = Manifest::parse(text).unwrap();
        let step = &manifest.steps[0];
        let survey = survey::of(&step.script);
        let found = super::unlisted(step, &manifest.places[0], text, &survey);
        let told: Vec<_> = found
            .iter()
            .map(|one| {
                (
                    &text[one.span.clone().unwrap()],
                    one.hint.as_deref().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("$SECRET_api_tokn", "did you mean `api_token`?"),
                (
                    "$SECRET_key",
                    "add `secrets = [\"api_token\", \"key\"]`, so that the run provides it"
                ),
            ]
        );
        assert_eq!(super::of(step).as_deref(), Some("api_token"));
    }

    #[test]
    fn what_none_reads_is_told_once() {
        let unread = |text: &str| -> Vec<String> {
            let found = super::unread(&Manifest::parse(text).unwrap());
            found.into_iter().map(|one| one.message).collect()
        };
        let text = "[defaults]\nsecrets = ['a', 'b']\n\
            [[step]]\nname = 'x'\nstart = true\nscript = 'cat $SECRET_a $SECRET_bb'\n\
            [[step]]\nname = 'y'\nscript = ':'\n";
        assert_eq!(unread(text), ["no step reads secret `b`"]);
        assert!(
            unread(&text.replace(
                "[[step]]\nname = 'y'",
                "[[step]]\nname = 'y'\nfiles = ['lib']"
            ))
            .is_empty()
        );
    }
}
