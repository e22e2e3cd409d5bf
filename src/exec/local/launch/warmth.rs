//! Whether the tasks of a step can share a shell.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::sync::OnceLock;

use crate::script::shell;
use crate::script::warm::{self, Script};

/// A step's script for warm shells.
#[derive(Debug)]
pub(crate) struct Warmth {
    pub script: Script,
    /// Whether the manifest asks for it. Otherwise it has to pay, and nobody may notice.
    pub wanted: bool,
    /// What the script calls, if that matters: programs, and no scripts of their names.
    pub programs: Vec<String>,
    /// Whether the shell itself finds no fault with it; asked before the first task.
    pub works: OnceLock<bool>,
}

/// What warm shells run where `program` with `arguments`, the script last, is a step's shell, if
/// nothing is in the way. `wanted`: what the manifest says.
pub(crate) fn warmth(
    wanted: Option<bool>,
    program: &Path,
    arguments: &[OsString],
    variables: &BTreeMap<OsString, OsString>,
) -> Option<Warmth> {
    let wanted = match wanted {
        Some(false) => return None,
        wanted => wanted == Some(true),
    };
    let mut options: Vec<String> = arguments
        .iter()
        .map(|argument| argument.to_str().map(str::to_owned))
        .collect::<Option<_>>()?;
    let text = options.pop()?;
    let path = program.canonicalize().ok()?;
    let shell = shell::Shell::named(path.file_name()?.to_str()?)?;
    let free = variables
        .keys()
        .all(|name| warm::variable(&name.to_string_lossy()).is_none());
    let script = Script::new(Some(shell), &options, &text).ok()?;
    let programs = if wanted {
        Vec::new()
    } else {
        script.unnoticed().ok()?
    };
    free.then(|| Warmth {
        script,
        wanted,
        programs,
        works: OnceLock::new(),
    })
}
