//! Which output gets which path: pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::model::digest::Digest;
use crate::model::list::Form;
use crate::model::name::StepName;
use crate::model::publish::{Publish, Values, one_name};
use crate::state::Left;

/// What is to stand at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Its bytes.
    pub object: Digest,
    /// What that is.
    pub form: Form,
    /// The step that left it, if one did.
    pub step: Option<StepName>,
    /// The number of that step's version.
    pub version: Option<i64>,
}

/// Two outputs cannot be told apart by anything: the path that both would have.
#[derive(Debug)]
pub(crate) struct Twice(pub String);

/// An output with the path that it would like, and where that is not its own, others.
struct Candidate<'a> {
    output: &'a Left,
    path: String,
    liked: String,
    /// Whether a key would tell it apart from others.
    keyed: bool,
}

/// Gives each output its path. What is equal in name and bytes is one file; where outputs of one name differ, the
/// key of the task that left each stands before the extension, and where that does not tell them apart, the first
/// digits of its hash.
pub(super) fn resolve<E: From<Twice>>(
    outputs: &[Left],
    publish: impl Fn(&str) -> Publish,
    mut key: impl FnMut(&Left) -> Result<String, E>,
) -> Result<BTreeMap<String, Wanted>, E> {
    let mut all = Vec::new();
    let mut rules: HashMap<&str, Publish> = HashMap::new();
    for output in outputs {
        let step = output.maker.as_ref().map_or("", |(_, step, _)| step);
        let rule = rules.entry(step).or_insert_with(|| publish(step));
        let path = match rule {
            Publish::Never => continue,
            Publish::Named => one_name(&output.name),
            Publish::At(template) => template.fill(Values {
                name: &output.name,
                key: &if template.wants_key() {
                    key(output)?
                } else {
                    String::new()
                },
                step,
            }),
        };
        let liked = path.clone();
        let keyed = !matches!(rule, Publish::At(template) if template.wants_key());
        all.push(Candidate {
            output,
            path,
            liked,
            keyed,
        });
    }
    for clashing in clashing(&all) {
        let one = &mut all[clashing];
        if one.keyed {
            let mark = one_name(&key(one.output)?);
            if !mark.is_empty() {
                one.path = beside(&one.liked, &mark);
            }
        }
    }
    for clashing in clashing(&all) {
        let one = &mut all[clashing];
        one.path = beside(&one.liked, &one.output.object.hex()[..8]);
    }
    if let Some(first) = clashing(&all).first() {
        return Err(Twice(all[*first].path.clone()).into());
    }
    let mut wanted: BTreeMap<String, Wanted> = BTreeMap::new();
    for Candidate { output, path, .. } in all {
        let (step, version) = match &output.maker {
            Some((_, step, version)) => (Some(step.clone()), Some(*version)),
            None => (None, None),
        };
        wanted.entry(path).or_insert(Wanted {
            object: output.object,
            form: output.form,
            step,
            version,
        });
    }
    Ok(wanted)
}

/// Those whose path another one has with other bytes.
fn clashing(all: &[Candidate]) -> Vec<usize> {
    let mut first: HashMap<&str, (Digest, Form)> = HashMap::new();
    let mut twice: HashSet<&str> = HashSet::new();
    for one in all {
        let own = (one.output.object, one.output.form);
        if *first.entry(&one.path).or_insert(own) != own {
            twice.insert(&one.path);
        }
    }
    let is_so = |(at, one): (usize, &Candidate)| twice.contains(&*one.path).then_some(at);
    all.iter().enumerate().filter_map(is_so).collect()
}

/// `qc/result.txt` → `qc/result-MARK.txt`.
fn beside(path: &str, mark: &str) -> String {
    match path.rsplit_once('/') {
        Some((folder, name)) => format!("{folder}/{}", apart(name, mark)),
        None => apart(path, mark),
    }
}

/// The longest name of a file, in bytes.
pub(super) const LONGEST: usize = 255;

/// `result.txt` → `result-MARK.txt`.
pub(super) fn apart(name: &str, mark: &str) -> String {
    let (stem, extension) = match name.rfind('.') {
        Some(dot) if dot > 0 => name.split_at(dot),
        _ => (name, ""),
    };
    // A file system has no room for a longer name.
    let mark = &mark[..mark.floor_char_boundary(LONGEST / 2)];
    let room = LONGEST.saturating_sub(mark.len() + 1);
    let extension = &extension[..extension.floor_char_boundary(room)];
    let stem = &stem[..stem.floor_char_boundary(room - extension.len())];
    format!("{stem}-{mark}{extension}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::publish::{self, Error};
    use crate::model::name::FileName;
    use crate::model::publish::Template;
    use crate::model::task::TaskId;

    /// Outputs: name, key, bytes, step.
    fn paths(outputs: &[[&str; 4]], rules: &[(&str, &str)]) -> Result<Vec<String>, Error> {
        let lefts: Vec<Left> = outputs
            .iter()
            .zip(1..)
            .map(|([name, _, bytes, step], task)| Left {
                name: FileName::new(name).unwrap(),
                object: Digest::of(bytes.as_bytes()),
                form: Form::File,
                maker: Some((TaskId(task), StepName::new(step).unwrap(), 1)),
            })
            .collect();
        let rule = |step: &str| match rules.iter().find(|(name, _)| *name == step) {
            Some((_, "-")) => Publish::Never,
            Some((_, text)) => Publish::At(Template::parse(text).unwrap()),
            None => Publish::Named,
        };
        let key = |left: &Left| {
            let task = usize::try_from(left.maker.as_ref().unwrap().0.0).unwrap();
            Ok::<_, Error>(outputs[task - 1][1].to_owned())
        };
        publish::paths(&lefts, rule, key).map(|wanted| wanted.into_keys().collect())
    }

    #[test]
    fn outputs_have_their_own_names_and_equal_ones_are_one() {
        let outputs = [
            ["b.txt", "x", "1", "s"],
            ["a.txt", "x", "1", "s"],
            ["a.txt", "y", "1", "s"],
        ];
        assert_eq!(paths(&outputs, &[]).unwrap(), ["a.txt", "b.txt"]);
    }

    #[test]
    fn those_of_one_name_are_told_apart_by_their_keys_and_then_by_their_bytes() {
        let outputs = [
            ["a.txt", "x", "1", "s"],
            ["a.txt", "y", "2", "s"],
            ["b.txt", "x", "1", "s"],
        ];
        assert_eq!(
            paths(&outputs, &[]).unwrap(),
            ["a-x.txt", "a-y.txt", "b.txt"]
        );
        let same_key = [["a.txt", "x", "1", "s"], ["a.txt", "x", "2", "t"]];
        let hex = |bytes: &str| Digest::of(bytes.as_bytes()).hex()[..8].to_owned();
        let mut by_hash = [format!("a-{}.txt", hex("1")), format!("a-{}.txt", hex("2"))];
        by_hash.sort();
        assert_eq!(paths(&same_key, &[]).unwrap(), by_hash);
        // What one is called so is the name of another.
        let taken = [
            ["a.txt", "x", "1", "s"],
            ["a.txt", "y", "2", "s"],
            ["a-x.txt", "z", "3", "s"],
        ];
        let found = paths(&taken, &[]).unwrap();
        assert!(found.contains(&"a-y.txt".to_owned()), "{found:?}");
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn a_step_says_where_or_not_at_all() {
        let outputs = [
            ["a.txt", "x", "1", "s"],
            ["a.txt", "y", "2", "s"],
            ["log", "y", "2", "t"],
        ];
        let rules = [("s", "qc/{key}/{name}"), ("t", "-")];
        assert_eq!(
            paths(&outputs, &rules).unwrap(),
            ["qc/x/a.txt", "qc/y/a.txt"]
        );
        let rules = [("s", "{step}.txt"), ("t", "-")];
        assert_eq!(paths(&outputs, &rules).unwrap(), ["s-x.txt", "s-y.txt"]);
    }

    #[test]
    fn names_of_the_program_are_refused() {
        for (name, rule) in [
            (".task-pipeline.json", ""),
            (".task-pipeline-publish-Ab3dE9", ""),
            ("x", ".task-pipeline.json/{name}"),
        ] {
            let rules = [("s", rule)];
            let rules = if rule.is_empty() { &[][..] } else { &rules };
            let refused = paths(&[[name, "k", "1", "s"]], rules).unwrap_err();
            assert!(matches!(refused, Error::Reserved(_)), "{name}");
        }
    }

    #[test]
    fn a_file_is_no_folder_for_others() {
        let outputs = [["a", "x", "1", "s"], ["b", "x", "2", "t"]];
        let refused = paths(&outputs, &[("t", "a/{name}")]).unwrap_err();
        assert!(matches!(refused, Error::Within(path, above) if path == "a/b" && above == "a"));
    }
}
