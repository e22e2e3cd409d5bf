//! What a call gives the pipeline's parameters.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::Command;

use super::error::Failure;
use super::fit::Fit;
use super::options::{Actions, ParamOptions, Places};
use super::select;
use crate::manifest::diagnostic::render;
use crate::manifest::{self, Form, Manifest, unknown_param};
use crate::model::param::{BadValue, GIVEN, Params};
use crate::out;
use crate::prepare::{BadParams, Given, Remember, Source, SourceError, Values};
use crate::state::{self, Awaited, Reader, Runset};
use crate::text::width::pad;
use crate::text::{Shown as _, quoted, visible, with_hints};

/// The parameters of a manifest, a line each; none if there are none.
pub(super) fn list(params: &Params) -> String {
    let width = params.keys().map(String::len).max().unwrap_or(0);
    let mut text = String::new();
    for (name, param) in params {
        if text.is_empty() {
            text.push_str("parameters\n");
        }
        let help = param.help.as_deref().map(|help| help.lines().map(visible));
        let help = help.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let help = match help.trim() {
            "" => String::new(),
            help => format!(": {help}"),
        };
        let words = visible(&param.in_words());
        let _ = writeln!(text, "  {}  {words}{help}", pad(name, width));
    }
    text
}

/// What there is to say of the parameters of the manifest at hand to who asks for the help of the run.
pub(super) fn help(root: &Command, words: &[OsString]) -> String {
    let mut manifest = PathBuf::from("workflow.toml");
    let mut words = words.iter().skip(1).filter_map(|word| word.to_str());
    while let Some(word) = words.next() {
        if let Some(path) = word.strip_prefix("--manifest=") {
            manifest = path.into();
        } else if word == "--manifest" {
            manifest = words.next().unwrap_or_default().into();
        } else if root.find_subcommand(word).is_some() {
            return String::new();
        }
    }
    let Ok(source) = Source::load(&manifest) else {
        return String::new();
    };
    match list(&source.manifest.params) {
        none if none.is_empty() => none,
        list => format!(
            "\nParameters of {}:{}",
            manifest.shown(),
            list.trim_start_matches("parameters")
        ),
    }
}

/// Bytes of a file of parameters: a device has no end.
const LONGEST: u64 = 64 << 20;

/// What the options give, and the environment; `warn` is told of variables that name no parameter.
pub(super) fn given(
    options: &ParamOptions,
    manifest: &Manifest,
    warn: &mut dyn FnMut(String),
) -> Result<Given, Failure> {
    let params = &manifest.params;
    let mut given = Given {
        values: of_environment(params, std::env::vars_os(), warn)?,
        ..Given::default()
    };
    if let Some(path) = &options.params {
        given.values.extend(of_file(params, path)?);
    }
    for (name, value) in of_options(params, &options.param)? {
        given.values.remove(&name);
        if let Some(value) = value {
            given.values.insert(name, value);
        } else {
            given.forgotten.insert(name);
        }
    }
    Ok(given)
}

/// Fails where the options give what the manifest does not declare, or a value that is none. A file that is not there
/// may be where the run is.
pub(super) fn check_given(options: &ParamOptions, manifest: &Manifest) -> Result<(), Failure> {
    if let Some(path) = options.params.as_deref().filter(|path| path.exists()) {
        of_file(&manifest.params, path)?;
    }
    of_options(&manifest.params, &options.param)?;
    Ok(())
}

/// The values that they have in the runsets that a run is about; in all of them the same.
pub(super) fn of_runsets(
    source: &Source,
    given: &Given,
    state: &Reader,
    actions: &Actions,
) -> Result<Values, Failure> {
    if source.manifest.params.is_empty() {
        return Ok(Values::default());
    }
    let mut all: Vec<(Runset, Values)> = Vec::new();
    let awaited = awaited(state, actions)?;
    for runset in about(state, actions)? {
        let values = in_runset(source, given, state, Some(&runset))?;
        all.push((runset, values));
    }
    let Some((one, values)) = all.pop() else {
        let params = &source.manifest.params;
        let name = awaited.name.unwrap_or_default();
        return Values::resolve(params, given, (&name, &awaited.params)).map_err(Failure::from);
    };
    for (other, others) in &all {
        if let Some((name, value, before)) = values.first_difference(others) {
            return Err(Failure::usage(format!(
                "parameter {} is {} in runset {} and {} in runset {}: they cannot run together",
                quoted(name),
                quoted(value),
                quoted(&one.name),
                quoted(before),
                quoted(&other.name)
            ))
            .hint(format!(
                "name one runset with -runset, or give all -param {name}=…"
            )));
        }
    }
    Ok(values)
}

/// The runsets that are there and that a run is about.
fn about(state: &Reader, actions: &Actions) -> Result<Vec<Runset>, state::Error> {
    Ok(match actions.runset.as_deref() {
        _ if actions.fresh => Vec::new(),
        None => state.newest_runset()?.into_iter().collect(),
        Some(select::ALL) => state.runsets()?,
        Some(name) => state.runset(name)?.into_iter().collect(),
    })
}

/// What a run that was killed gave the first runset, before it was there, if the present one is about that.
pub(super) fn awaited(state: &Reader, actions: &Actions) -> Result<Awaited, state::Error> {
    if actions.fresh {
        return Ok(Awaited::default());
    }
    let awaited = state.awaited()?;
    Ok(match wanted_name(actions) {
        Some(name) if awaited.name.as_deref() != Some(name) => Awaited::default(),
        _ => awaited,
    })
}

/// The name that a new runset is to have.
pub(super) fn wanted_name(actions: &Actions) -> Option<&str> {
    actions
        .runset
        .as_deref()
        .filter(|name| *name != select::ALL)
}

/// Who is to remember what is given now: no runset of another pipeline, and none for a sample.
pub(super) fn to_remember(
    source: &Source,
    state: &Reader,
    actions: &Actions,
) -> Result<Remember, Failure> {
    if actions.sample.is_some() {
        return Ok(Remember::Nobody);
    }
    if actions.run && state.newest_runset()?.is_none() {
        return Ok(Remember::First {
            name: wanted_name(actions).map(str::to_owned),
            anew: awaited(state, actions)? == Awaited::default(),
        });
    }
    if source.params.given.is_nothing() {
        return Ok(Remember::Nobody);
    }
    let mut runsets = Vec::new();
    for runset in about(state, actions)? {
        if Fit::of(source, state, &runset)?.check_kind().is_ok() {
            runsets.push(runset);
        }
    }
    Ok(Remember::These(runsets))
}

/// The values that they have in a runset, or in a new one.
pub(super) fn in_runset(
    source: &Source,
    given: &Given,
    state: &Reader,
    runset: Option<&Runset>,
) -> Result<Values, Failure> {
    let params = &source.manifest.params;
    if params.is_empty() {
        return Ok(Values::default());
    }
    let remembered = match runset {
        Some(runset) => state.params(runset)?,
        None => state.awaited()?.params,
    };
    let name = runset.map_or("", |runset| &runset.name);
    Values::resolve(params, given, (name, &remembered)).map_err(Failure::from)
}

/// The values for one task outside of any run: those of the newest runset, with what is given now.
pub(super) fn of_one_task(
    places: &Places,
    options: &ParamOptions,
    source: &Source,
) -> Result<Values, Failure> {
    let given = given(options, &source.manifest, &mut |words| {
        out::tell(&format!("warning: {}\n", with_hints(&words)));
    })?;
    if source.manifest.params.is_empty() {
        return Ok(Values::default());
    }
    let state = match Reader::open(&places.db) {
        Ok(state) => state,
        Err(state::Error::Absent(_)) => {
            let params = &source.manifest.params;
            return Values::resolve(params, &given, ("", &BTreeMap::new())).map_err(Failure::from);
        }
        Err(error) => return Err(error.into()),
    };
    let newest = state.newest_runset()?;
    in_runset(source, &given, &state, newest.as_ref())
}

impl From<BadParams> for Failure {
    fn from(bad: BadParams) -> Self {
        Self::usage(&bad).hint(bad.hint())
    }
}

/// What words such as `a=1` say, by name; none for a name alone.
fn of_options(
    params: &Params,
    words: &[OsString],
) -> Result<BTreeMap<String, Option<String>>, Failure> {
    let mut given = BTreeMap::new();
    for word in words {
        let text = word.to_str().ok_or_else(|| {
            let shown = word.to_string_lossy();
            Failure::usage(format!("-param {}: it is not UTF-8 text", quoted(&shown)))
                .hint("what has other bytes belongs in a file that the script reads")
        })?;
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let Some(param) = params.get(name) else {
            return Err(no_such(name, params));
        };
        let value = match value.map(|value| param.read(value)).transpose() {
            Ok(value) => value,
            Err(why) => return Err(wrong(&format!("-param {name}"), &why)),
        };
        if given.insert(name.to_owned(), value).is_some() {
            let message = format!("parameter {} is given twice with -param", quoted(name));
            return Err(Failure::usage(message).hint("leave one of them out"));
        }
    }
    Ok(given)
}

fn no_such(name: &str, params: &Params) -> Failure {
    if name.is_empty() {
        return Failure::usage("-param names no parameter").hint("write -param NAME=VALUE");
    }
    Failure::usage(format!("there is no parameter {}", quoted(name)))
        .hint(unknown_param(name, params))
}

fn wrong(place: &str, why: &BadValue) -> Failure {
    let failure = Failure::usage(format!("{place}: {why}"));
    match why.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// What variables of this process say.
fn of_environment(
    params: &Params,
    variables: impl Iterator<Item = (OsString, OsString)>,
    warn: &mut dyn FnMut(String),
) -> Result<BTreeMap<String, String>, Failure> {
    let mut given = BTreeMap::new();
    for (variable, value) in variables {
        let Some(variable) = variable.to_str() else {
            continue;
        };
        let Some(name) = variable.strip_prefix(GIVEN) else {
            continue;
        };
        let Some(param) = params.get(name) else {
            warn(format!(
                "{variable} is set, and there is no parameter {}\nhint: {}",
                quoted(name),
                unknown_param(name, params)
            ));
            continue;
        };
        let value = value.to_str().ok_or_else(|| {
            Failure::usage(format!("{variable} is not UTF-8 text"))
                .hint("what has other bytes belongs in a file that the script reads")
        })?;
        let value = param.read(value).map_err(|why| wrong(variable, &why))?;
        given.insert(name.to_owned(), value);
    }
    Ok(given)
}

/// What a file says.
fn of_file(params: &Params, path: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| {
        file.take(LONGEST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LONGEST {
            let words = format!("it has more than {LONGEST} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, words));
        }
        Ok(())
    });
    read.map_err(|error| {
        Failure::usage(format!(
            "cannot read the parameters in {}: {error}",
            path.shown()
        ))
        .hint("check the path given with -params")
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].split(|b| *b == b'\n').count();
        Failure::usage(format!(
            "the parameters in {} are not UTF-8 text (line {line})",
            path.shown()
        ))
        .hint("save the file as UTF-8")
    })?;
    let ending = path.extension().and_then(|ending| ending.to_str());
    let form = Form::of(ending, &text);
    manifest::given(&text, form, params).map_err(|mut errors| {
        if let (Some("yaml" | "yml"), Some(last)) = (ending, errors.last_mut()) {
            last.hint = Some(
                "a file of parameters is TOML (`name = 1`) or JSON; `yq -o json FILE.yaml` makes JSON of YAML"
                    .to_owned(),
            );
        }
        Failure::from(SourceError::Bad {
            path: path.to_owned(),
            rendered: render(&path.to_string_lossy(), &text, &errors),
            count: errors.len(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params() -> Params {
        let text = "[params]\nn = { type = 'int' }\nlabel = { type = 'string', default = '' }\n\
            [[step]]\nname = 'a'\nstart = true\nscript = ':'\n";
        Manifest::parse(text).unwrap().params
    }

    fn options(words: &[&str]) -> Result<Vec<String>, String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        match of_options(&params(), &words) {
            Ok(given) => Ok(given.into_iter().map(|one| format!("{one:?}")).collect()),
            Err(failure) => Err(format!("{failure:?}")),
        }
    }

    #[test]
    fn a_value_may_have_anything_in_it() {
        let given = options(&["label=a='$x'\n\"", "n=01"]).unwrap();
        assert_eq!(
            given,
            [r#"("label", Some("a='$x'\n\""))"#, r#"("n", Some("1"))"#]
        );
        assert_eq!(options(&["label="]).unwrap(), [r#"("label", Some(""))"#]);
        assert_eq!(options(&["label"]).unwrap(), [r#"("label", None)"#]);
    }

    #[test]
    fn what_is_no_value_is_told() {
        for (words, told) in [
            (&["lable=1"][..], "did you mean `label`?"),
            (&["n=1", "n=1"], "parameter `n` is given twice"),
            (&["n=", "x=1"], "-param n: \\\"\\\" is not a whole number"),
            (&["=1"], "write -param NAME=VALUE"),
        ] {
            let failure = options(words).unwrap_err();
            assert!(failure.contains(told), "{failure}");
        }
    }

    #[test]
    fn yaml_is_told_what_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.yaml");
        std::fs::write(&path, "n: 1\nlabel: x\n").unwrap();
        let failure = format!("{:?}", of_file(&params(), &path).unwrap_err());
        assert!(
            failure.contains("is TOML (`name = 1`) or JSON"),
            "{failure}"
        );
        // What is right is taken under any name.
        std::fs::write(&path, "{\"n\": 1}").unwrap();
        assert_eq!(
            of_file(&params(), &path).unwrap(),
            [("n".into(), "1".into())].into()
        );
    }

    #[test]
    fn they_are_listed_with_what_they_take() {
        let text = "[params]\nthreshold = { type = 'float', default = 0.5 }\n\
            mode = { type = 'string', help = '''how\nto''' }\n\
            [[step]]\nname = 'a'\nstart = true\nscript = ':'\n";
        assert_eq!(
            list(&Manifest::parse(text).unwrap().params),
            "parameters\n  mode       string, required: how to\n  threshold  float, default 0.5\n"
        );
        assert_eq!(list(&Params::new()), "");
    }

    #[test]
    fn variables_of_other_pipelines_are_told() {
        let variables = [
            ("TASK_PIPELINE_PARAM_n", "07"),
            ("TASK_PIPELINE_PARAM_lable", "x"),
            ("PARAM_label", "x"),
        ];
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        let mut warned = Vec::new();
        let given = of_environment(&params(), variables.into_iter(), &mut |words| {
            warned.push(words);
        });
        assert_eq!(given.unwrap(), [("n".to_owned(), "7".to_owned())].into());
        let told = "TASK_PIPELINE_PARAM_lable is set, and there is no parameter `lable`\n\
                    hint: did you mean `label`?";
        assert_eq!(warned, [told]);
    }
}
