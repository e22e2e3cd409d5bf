//! Parameters: what there are, and what scripts read that is none.

use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::{Step, StepPlaces, unknown_param};
use crate::model::param::{Params, VARIABLE, is_mentioned, variable};
use crate::script::survey::{Survey, Variable};
use crate::text::quoted;

/// Those that a step gets, as far as the manifest tells: its files may mention more.
pub(super) fn of(step: &Step, params: &Params) -> Option<String> {
    let texts = [&step.script].into_iter();
    let texts: Vec<&String> = texts.chain(&step.shell).chain(step.env.values()).collect();
    let is_used = |name: &&String| {
        let variable = variable(name);
        step.params.contains(name) || texts.iter().any(|text| is_mentioned(text, &variable))
    };
    let used: Vec<&str> = params.keys().filter(is_used).map(String::as_str).collect();
    (!used.is_empty()).then(|| used.join(", "))
}

/// One warning per variable of a parameter that is none. The script has what the host has under that name,
/// or nothing.
pub(super) fn unknown(
    step: &Step,
    places: &StepPlaces,
    text: &str,
    survey: &Survey,
    params: &Params,
) -> Vec<Diagnostic> {
    let parameter = |variable: &Variable| {
        let name = variable.name.strip_prefix(VARIABLE)?;
        let is_other = name.is_empty()
            || params.contains_key(name)
            || step.keep.contains(&variable.name)
            || step.env.contains_key(&variable.name);
        (!is_other).then(|| name.to_owned())
    };
    let found = survey.variables.iter().filter_map(|variable| {
        let name = parameter(variable)?;
        let message = format!(
            "step {} reads {}, but there is no parameter {}",
            quoted(step.name.as_str()),
            quoted(&variable.name),
            quoted(&name)
        );
        let span = super::variables::place(step, places, text, variable);
        Some(Diagnostic::at(span, message).hint(unknown_param(&name, params)))
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use crate::manifest::Manifest;
    use crate::script::survey;

    #[test]
    fn what_is_no_parameter_is_told() {
        let text = "[params]\nthreshold = { type = 'float', default = 0.5 }\n\
            mode = { type = 'string' }\n\
            [[step]]\nname = 'a'\nstart = true\npure = true\nkeep = ['PARAM_kept']\n\
            script = 'echo $PARAM_treshold ${PARAM_threshold} $PARAM_kept $PARAM_zzz'\n";
        let manifest = Manifest::parse(text).unwrap();
        let step = &manifest.steps[0];
        let found = super::unknown(
            step,
            &manifest.places[0],
            text,
            &survey::of(&step.script),
            &manifest.params,
        );
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
                ("$PARAM_treshold", "did you mean `threshold`?"),
                ("$PARAM_zzz", "the manifest declares: mode, threshold"),
            ]
        );
        assert_eq!(
            super::of(step, &manifest.params).as_deref(),
            Some("threshold")
        );
    }
}
