//! Variables that the program gives, and that have nothing for this step.

use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::{Manifest, Step};
use crate::prepare::Source;
use crate::script::survey;
use crate::text::quoted;

use super::variables;

/// One warning per step that looks for files where none can be: in `INPUT_DIR` of a step that works on single files.
pub(super) fn of(source: &Source, asked: &dyn Fn(&Step) -> bool) -> Vec<Diagnostic> {
    let manifest = &source.manifest;
    if may_get_several(manifest) {
        return Vec::new();
    }
    let steps = manifest.steps.iter().zip(&manifest.places);
    steps
        .filter_map(|(step, places)| {
            if !asked(step) || step.gather.is_some() || !survey::is_shell(survey::started(&step.shell)) {
                return None;
            }
            let found = survey::of(&step.script);
            let variable = found.variables.iter().find(|one| one.name == "INPUT_DIR")?;
            let message = format!(
                "step {} looks into $INPUT_DIR, which is empty for a step that does not gather",
                quoted(step.name.as_str())
            );
            let at = variables::place(step, places, source.texts.all(), variable);
            Some(Diagnostic::at(at, message).hint(
                "a task works on one file, \"$INPUT_FILE\"; with gather = true one task gets all of them, in \"$INPUT_DIR\"",
            ))
        })
        .collect()
}

/// Whether some task of any step may have a folder or several files as its input.
fn may_get_several(manifest: &Manifest) -> bool {
    let mut inputs = manifest.inputs.iter();
    inputs.any(|input| !input.paths.is_empty()) || manifest.steps.iter().any(|step| step.folders)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::prepare::Source;

    fn told(more: &str, keys: &str) -> usize {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("workflow.toml");
        let text = format!(
            "{more}\n[[step]]\nname = 'a'\nstart = true\n{keys}\nscript = 'cat \"$INPUT_DIR\"/* > $OUTPUT_DIR/x'\n"
        );
        std::fs::write(&path, text).unwrap();
        let source = Source::load(Path::new(&path)).unwrap();
        super::of(&source, &|_| true).len()
    }

    #[test]
    fn only_who_can_have_nothing_there_is_told() {
        assert_eq!(told("", ""), 1);
        assert_eq!(told("", "shell = ['python3', '-c']"), 0);
        assert_eq!(
            told("[[step]]\nname = 'b'\nfolders = true\nscript = 'true'", ""),
            0
        );
        let input = "[[input]]\nrows = 'x.csv'\npaths = ['f']\nname = '{f}'\nstep = 'a'";
        assert_eq!(told(input, ""), 0);
    }
}
