//! Files that a script writes into the folder in which all tasks start.

use std::num::NonZeroU32;

use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::{Manifest, Step, StepPlaces};
use crate::model::event::Summary;
use crate::model::gather::Gather;
use crate::model::name::StepName;
use crate::script::survey::{self, Role, Spot, Survey};
use crate::text::{quoted, visible};

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
                "step {} writes to {} in the folder where all tasks start: tasks that run at the same time write to \
                 the same file",
                quoted(step.name.as_str()),
                quoted(&spot.path)
            );
            let name = spot.path.rsplit('/').find(|part| !part.is_empty());
            let at = spot.at..spot.at + length(&step.script, spot.at);
            Diagnostic::at(places.in_script(text, at), message).hint(format!(
                "\"$TMPDIR/{}\" belongs to one task and goes with it; leave what is to stay in \"$OUTPUT_DIR\"",
                name.unwrap_or("x")
            ))
        })
        .collect()
}

/// A warning of a run of which nothing came, as its start step writes elsewhere what it should leave.
pub(in super::super) fn left_nothing(manifest: &Manifest, summary: &Summary) -> Option<String> {
    let mut all = summary.steps.iter();
    let is_start = |name: &StepName| {
        let mut steps = manifest.steps.iter();
        steps.any(|step| step.name == *name && step.start)
    };
    let went_on = all.any(|(name, tally)| tally.total() > 0 && !is_start(name));
    if summary.executed == 0 || summary.finals > 0 || went_on {
        return None;
    }
    manifest.steps.iter().find_map(|step| {
        let mut given = step.shell.iter().chain(step.env.values());
        let knows = step.script.contains("OUTPUT_DIR") || given.any(|text| text.contains("OUTPUT_DIR"));
        if !step.start || knows || !survey::is_shell(survey::started(&step.shell)) {
            return None;
        }
        let survey = survey::of(&step.script);
        let spot = survey.words.iter().find(|spot| is_shared(spot))?;
        let name = spot.path.rsplit('/').find(|part| !part.is_empty());
        Some(format!(
            "step {} left nothing: {} is in the folder where its script started, but only what is in $OUTPUT_DIR is \
             a result\n\
             hint: write to \"$OUTPUT_DIR/{}\"",
            quoted(step.name.as_str()),
            quoted(&spot.path),
            visible(name.unwrap_or("x"))
        ))
    })
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
    use crate::model::event::Summary;
    use crate::model::task::TaskCounts;
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
    fn a_start_step_that_writes_its_result_elsewhere_is_told_where_to() {
        let told = |script: &str, finals, more| {
            let text = format!(
                "[[step]]\nname = 'begin'\nstart = true\nscript = '''{script}'''\n\
                 [[step]]\nname = 'next'\nscript = 'true'\n"
            );
            let manifest = Manifest::parse(&text).unwrap();
            let tally = |done| TaskCounts {
                done,
                ..TaskCounts::default()
            };
            let steps = manifest.steps.iter().map(|step| step.name.clone());
            let summary = Summary {
                executed: 1,
                finals,
                steps: steps.zip([tally(1), tally(more)]).collect(),
                ..Summary::default()
            };
            super::left_nothing(&manifest, &summary)
        };
        let words = told("echo hi > ./result.txt", 0, 0).unwrap();
        assert!(words.starts_with("step `begin` left nothing: `./result.txt` is in the folder"));
        assert!(words.ends_with("hint: write to \"$OUTPUT_DIR/result.txt\""));
        for (script, finals, more) in [
            ("echo hi > result.txt", 1, 0),
            ("echo hi > result.txt", 0, 1),
            ("cd $OUTPUT_DIR; test -f x && echo hi > result.txt", 0, 0),
            ("echo hi > /dev/null", 0, 0),
            ("echo hi", 0, 0),
        ] {
            assert_eq!(told(script, finals, more), None, "{script}");
        }
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
