//! Files that a script writes into the folder in which all tasks start.

use std::num::NonZeroU32;

use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::{Step, StepPlaces};
use crate::model::gather::Gather;
use crate::script::survey::{Role, Spot, Survey};
use crate::text::quoted;

use super::files::length;

/// One warning per file that tasks which run at the same time would write to.
pub(super) fn of(step: &Step, places: &StepPlaces, text: &str, survey: &Survey) -> Vec<Diagnostic> {
    // No other task of it is under way.
    if step.start || step.gather == Some(Gather::All) || step.parallel == Some(NonZeroU32::MIN) {
        return Vec::new();
    }
    let mut found: Vec<&Spot> = Vec::new();
    for spot in &survey.words {
        if is_shared(spot) && !found.iter().any(|other| other.path == spot.path) {
            found.push(spot);
        }
    }
    found
        .into_iter()
        .map(|spot| {
            let message = format!(
                "step {} writes to {} in the folder where all tasks start: those that run at the same \
                 time write to the same file",
                quoted(step.name.as_str()),
                quoted(&spot.path)
            );
            let name = spot.path.rsplit('/').find(|part| !part.is_empty());
            let at = spot.at..spot.at + length(&step.script, spot.at);
            Diagnostic::at(places.in_script(text, at), message).hint(format!(
                "\"$TMPDIR/{}\" is a task's own and goes with it; what is to stay is left in \"$OUTPUT_DIR\"",
                name.unwrap_or("x")
            ))
        })
        .collect()
}

/// Whether it is certainly a file of that folder.
fn is_shared(spot: &Spot) -> bool {
    let path = spot.path.as_str();
    let is_name = |part: &str| !matches!(part, "" | "." | "..");
    spot.role == Role::Written
        && !spot.glob
        // Not what `chmod` is to do.
        && !path.starts_with(['/', '~', '-', '+'])
        && !path.chars().all(|c| c.is_ascii_digit())
        && path.split('/').next_back().is_some_and(is_name)
}

#[cfg(test)]
mod tests {
    use crate::manifest::Manifest;
    use crate::script::survey;

    fn written(script: &str) -> Vec<String> {
        let text = format!(
            "[[input]]\nlines = 'ls'\nstep = 'a'\n[[step]]\nname = 'a'\nscript = '''\n{script}'''\n"
        );
        let manifest = Manifest::parse(&text).unwrap();
        let step = &manifest.steps[0];
        let survey = survey::of(&step.script);
        let found = super::of(step, &manifest.places[0], &text, &survey);
        found
            .into_iter()
            .map(|one| text[one.span.unwrap()].to_owned())
            .collect()
    }

    #[test]
    fn what_tasks_would_share() {
        for (script, names) in [
            (
                "sort < $INPUT_FILE > sorted\ncut -f 1 sorted > sorted",
                vec!["sorted"],
            ),
            (
                "cp $INPUT_FILE ./x/copy; tee log < x >> \"a b\"",
                vec!["./x/copy", "log", "\"a b\""],
            ),
            ("chmod a+x x; chmod 644 y", vec!["x", "y"]),
            ("sort -o out $INPUT_FILE", vec!["out"]),
        ] {
            assert_eq!(written(script), names, "{script}");
        }
    }

    #[test]
    fn what_is_a_tasks_own_or_elsewhere() {
        for script in [
            "sort > $OUTPUT_DIR/x 2> /dev/null",
            "cd $TMPDIR\nsort > x",
            "cd \"$OUTPUT_DIR\" && sort > x",
            "sort > \"$TMPDIR/x\" 2>&1",
            "chmod 755 $OUTPUT_DIR/x; chmod +x $OUTPUT_DIR/x",
            "chmod a+x \"$INPUT_FILE\"; chmod u=rw,go= $TMPDIR/x; chmod -R -w $TMPDIR",
            "cp x /var/lib/x",
            "x=$(mktemp); sort > $x",
            "awk '{ print > \"x\" }'",
        ] {
            assert_eq!(written(script), Vec::<String>::new(), "{script}");
        }
    }
}
