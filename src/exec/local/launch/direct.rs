//! Simple commands and pipelines of them, started as a shell would have started them, without the shell.
//!
//! What a shell does to the environment of its children is done here too, and its death by a
//! signal is told as a shell tells it, so that a program cannot tell the difference but by its
//! parent. Where anything is in the way (no such program, a
//! file that cannot be opened), nothing has happened yet, and the shell gets the whole script: its
//! own messages are the ones that people know.

use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::process::{ExitSemantics, Opening, SignalMessages, Variables};
use crate::script::shell::Shell;
use crate::script::simple::{self, SimpleCommand, Target, Word};

/// A step whose script is plain commands.
#[derive(Debug)]
pub(crate) struct DirectPipeline {
    /// Whether the shell would wait for the programs, and not become the only one.
    pub waits: bool,
    /// What the shell would make of their ends.
    pub semantics: ExitSemantics,
    /// At least one.
    pub stages: Vec<Stage>,
}

/// One of these commands.
#[derive(Debug)]
pub(crate) struct Stage {
    /// Words and redirections.
    pub plain: SimpleCommand,
    /// The program; none if there is nothing to start.
    pub program: Option<PathBuf>,
    /// What the program gets as environment, variables of the single task aside.
    pub variables: Variables,
}

/// Variables that shells change, or do something about, before they start anything.
const TOUCHED: [&str; 12] = [
    "DIRSTACK",
    "EUID",
    "FUNCNAME",
    "GROUPS",
    "IFS",
    "LINENO",
    "OPTARG",
    "OPTIND",
    "PPID",
    "RANDOM",
    "SHELLOPTS",
    "UID",
];

impl DirectPipeline {
    /// For a script that `program` with `arguments`, the script last, would run in `folder`, which
    /// must be this process's own; none if that takes a shell.
    pub(crate) fn of(
        program: &Path,
        arguments: &[OsString],
        variables: &Variables,
        folder: &Path,
    ) -> Option<Self> {
        let arguments: Vec<&str> = arguments
            .iter()
            .map(|one| one.to_str())
            .collect::<Option<_>>()?;
        let (script, options) = arguments.split_last()?;
        let mut commands = simple::parse(script)?;
        let value = |name: &str| variables.get(OsStr::new(name))?.to_str();
        if !commands.iter_mut().all(|plain| plain.fill(value)) {
            return None;
        }
        let called = program.file_name()?;
        let canonical = program.canonicalize().ok()?;
        let (shell, pipefail) = simple::shell(canonical.file_name()?.to_str()?, options)?;
        let names = variables.keys().map(|name| name.to_str());
        let names: Vec<&str> = names.collect::<Option<_>>()?;
        if names
            .iter()
            .any(|name| name.starts_with("BASH") || TOUCHED.contains(name))
        {
            return None;
        }
        // bash becomes the program where no redirection is to be undone, dash never does.
        let waits = match commands.as_slice() {
            [only] => shell == Shell::Dash || !only.redirections.is_empty(),
            _ => true,
        };
        let stages = commands.into_iter().map(|plain| {
            let program = match plain.words.first() {
                None => None,
                Some(word) => Some(find(word, variables, folder)?),
            };
            Some(Stage {
                variables: given(variables, shell, waits, program.as_deref(), folder),
                plain,
                program,
            })
        });
        Some(Self {
            stages: stages.collect::<Option<_>>()?,
            waits,
            semantics: ExitSemantics {
                pipefail,
                tells: match shell {
                    Shell::Dash => SignalMessages::Each,
                    // It says nothing where it stands in for `sh`.
                    Shell::Bash if called == "sh" => SignalMessages::Nothing,
                    Shell::Bash => SignalMessages::WhatCounts,
                },
            },
        })
    }
}

/// The program as a shell finds it.
fn find(word: &Word, variables: &Variables, folder: &Path) -> Option<PathBuf> {
    let name = word.expand(|_| None)?;
    if name.contains('/') {
        return Path::new(&name).is_absolute().then(|| name.into());
    }
    let path = variables.get(OsStr::new("PATH"))?;
    if !std::env::split_paths(path).all(|entry| entry.is_absolute()) {
        return None;
    }
    which::which_in(name, Some(path), folder).ok()
}

/// What a shell makes of its own environment for the program that it starts.
fn given(
    variables: &Variables,
    shell: Shell,
    waits: bool,
    program: Option<&Path>,
    folder: &Path,
) -> Variables {
    let mut given = variables.clone();
    if shell == Shell::Dash {
        // What could be no variable of its own does not pass.
        given.retain(|name, _| is_name(name.as_bytes()));
    }
    let kept = variables
        .get(OsStr::new("PWD"))
        .filter(|pwd| is_name_of(Path::new(pwd), folder));
    let pwd = kept.map_or_else(|| folder.as_os_str().to_owned(), Clone::clone);
    given.insert("PWD".into(), pwd);
    if shell == Shell::Bash {
        let level = variables
            .get(OsStr::new("SHLVL"))
            .and_then(|l| l.to_str()?.parse().ok());
        let level = level.unwrap_or(0_u32) + u32::from(waits);
        given.insert("SHLVL".into(), level.to_string().into());
        given.remove(OsStr::new("_"));
        if let Some(program) = program {
            given.insert("_".into(), program.into());
        }
        if given
            .get(OsStr::new("OLDPWD"))
            .is_some_and(|old| !Path::new(old).is_dir())
        {
            given.remove(OsStr::new("OLDPWD"));
        }
    }
    given
}

/// Whether a variable of a shell can have the name.
fn is_name(name: &[u8]) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    name.iter().all(is_word) && !name.first().is_none_or(u8::is_ascii_digit)
}

/// Whether a shell that starts in `folder` believes a `PWD` that says so.
fn is_name_of(pwd: &Path, folder: &Path) -> bool {
    let same = |a: &fs::Metadata, b: &fs::Metadata| a.dev() == b.dev() && a.ino() == b.ino();
    pwd.is_absolute()
        && !pwd
            .as_os_str()
            .as_encoded_bytes()
            .windows(2)
            .any(|pair| pair == b"/.")
        && pwd.components().all(|part| part != Component::ParentDir)
        && matches!((fs::metadata(pwd), fs::metadata(folder)), (Ok(a), Ok(b)) if same(&a, &b))
}

/// A plain command for one task.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Expanded {
    /// The program's name and arguments.
    pub words: Vec<String>,
    /// What becomes of its descriptors.
    pub openings: Vec<Opening>,
}

impl DirectPipeline {
    /// All with the values of variables; none where a shell would do more with one.
    pub(crate) fn expand<'v>(
        &self,
        value: &impl Fn(&str) -> Option<&'v str>,
    ) -> Option<Vec<Expanded>> {
        self.stages
            .iter()
            .map(|stage| stage.expand(value))
            .collect()
    }
}

impl Stage {
    fn expand<'v>(&self, value: &impl Fn(&str) -> Option<&'v str>) -> Option<Expanded> {
        let words = self.plain.words.iter().map(|word| word.expand(value));
        let openings = self.plain.redirections.iter().map(|one| {
            let path = |word: &Word| CString::new(word.expand(value)?).ok();
            let descriptor = one.descriptor;
            Some(match &one.to {
                Target::Read(word) => Opening::Read(descriptor, path(word)?),
                Target::Write(word) => Opening::Write(descriptor, path(word)?),
                Target::Append(word) => Opening::Append(descriptor, path(word)?),
                Target::Same(other) => Opening::Same(descriptor, *other),
            })
        });
        Some(Expanded {
            words: words.collect::<Option<_>>()?,
            openings: openings.collect::<Option<_>>()?,
        })
    }
}

/// Opens files and closes them again, where there is no program to have them open.
pub(crate) fn touch(openings: &[Opening]) -> io::Result<()> {
    for opening in openings {
        let mut how = File::options();
        let path = match opening {
            Opening::Read(_, path) => {
                how.read(true);
                path
            }
            Opening::Write(_, path) => {
                how.write(true).create(true).truncate(true);
                path
            }
            Opening::Append(_, path) => {
                how.append(true).create(true);
                path
            }
            Opening::Same(..) => continue,
        };
        how.open(OsStr::from_bytes(path.to_bytes()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    fn direct(script: &str, more: &[(&str, &str)]) -> Option<DirectPipeline> {
        let mut all = variables(&[("PATH", "/usr/bin:/bin")]);
        all.extend(variables(more));
        let bash = which::which("bash").expect("bash is installed");
        DirectPipeline::of(
            &bash,
            &["-e".into(), "-c".into(), script.into()],
            &all,
            Path::new("/"),
        )
    }

    #[test]
    fn programs_are_found_as_a_shell_finds_them() {
        let found = direct("cat", &[])
            .unwrap()
            .stages
            .remove(0)
            .program
            .unwrap();
        assert!(found.ends_with("cat") && found.is_absolute());
        assert!(direct("no-such-program", &[]).is_none());
        assert!(direct("./cat", &[]).is_none());
        assert!(direct("cat", &[("PATH", "bin:/bin")]).is_none());
        assert_eq!(direct(":", &[]).unwrap().stages[0].program, None);
        assert!(direct("cat | no-such-program", &[]).is_none());
        assert_eq!(direct("cat | cat", &[]).unwrap().stages.len(), 2);
    }

    #[test]
    fn parameters_are_words_of_commands() {
        let words = |script: &str, value: &str| {
            let direct = direct(script, &[("PARAM_x", value)])?;
            let expanded = direct.expand(&|_| None)?;
            Some(expanded.into_iter().next()?.words)
        };
        let awkward = "a  $b\n'\"*`c`\\ ";
        let some = |words: &[&str]| {
            Some(
                words
                    .iter()
                    .map(|&word| word.to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(
            words("cat \"-$PARAM_x\"", awkward),
            some(&["cat", &format!("-{awkward}")])
        );
        assert_eq!(words("cat -n$PARAM_x", "0.5"), some(&["cat", "-n0.5"]));
        assert_eq!(words("cat \"${PARAM_x}\"", ""), some(&["cat", ""]));
        // A shell splits, matches or drops it.
        for value in ["a b", "", "*", "~"] {
            assert_eq!(words("cat $PARAM_x", value), None, "{value}");
        }
        // Neither a place that could be anybody's, nor a program, nor one that is not given.
        assert_eq!(words("cat < \"$PARAM_x\"", "/etc/passwd"), None);
        assert_eq!(words("cat > \"$OUTPUT_DIR/$PARAM_x\"", "../x"), None);
        assert_eq!(words("$PARAM_x a", "cat"), None);
        assert_eq!(words("cat $PARAM_y", "a"), None);
    }

    #[test]
    fn variables_that_a_shell_would_change_take_a_shell() {
        for name in ["IFS", "BASH_ENV", "BASH_FUNC_cat%%", "SHELLOPTS"] {
            assert!(direct("cat", &[(name, "1")]).is_none(), "{name}");
        }
    }

    #[test]
    fn the_environment_is_what_bash_gives() {
        let given = |more: &[(&str, &str)]| -> Vec<String> {
            let all = direct("/bin/cat", more).unwrap().stages.remove(0).variables;
            let pairs = all
                .iter()
                .map(|(n, v)| format!("{}={}", n.display(), v.display()));
            pairs.collect()
        };
        assert_eq!(
            given(&[]),
            ["PATH=/usr/bin:/bin", "PWD=/", "SHLVL=0", "_=/bin/cat"]
        );
        let host = [
            ("PWD", "/usr/.."),
            ("SHLVL", "3"),
            ("_", "x"),
            ("OLDPWD", "/nowhere"),
        ];
        assert_eq!(
            given(&host),
            ["PATH=/usr/bin:/bin", "PWD=/", "SHLVL=3", "_=/bin/cat"]
        );
    }
}
