//! What scripts find around them: variables and the shell. Worked out once for all steps that have
//! the same, of which there may be thousands.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::exec::local::{self, Parameters};
use crate::model::digest::Digest;
use crate::model::identity::Identity;

/// All variables of a step's scripts but those of the single task.
type Variables = Arc<BTreeMap<OsString, OsString>>;

/// The host's environment, and what came of it so far.
#[derive(Debug)]
pub(super) struct HostEnvironment<'a> {
    host: Vec<(OsString, OsString)>,
    host_path: Option<OsString>,
    folder: &'a Path,
    variables: HashMap<String, Variables>,
    programs: HashMap<(String, Option<OsString>), Result<PathBuf, String>>,
}

impl<'a> HostEnvironment<'a> {
    /// Those of this process without `hidden`; scripts run in `folder`.
    pub(super) fn of_host(folder: &'a Path, hidden: &BTreeSet<OsString>) -> Self {
        let host = std::env::vars_os().filter(|(name, _)| !hidden.contains(name));
        Self {
            host: host.collect(),
            host_path: local::host_path(),
            folder,
            variables: HashMap::new(),
            programs: HashMap::new(),
        }
    }

    /// The host's variables.
    pub(super) fn host(&self) -> &[(OsString, OsString)] {
        &self.host
    }

    /// The digest of what a variable is set to.
    pub(super) fn digest(&self, name: &str) -> Option<Digest> {
        let (_, value) = self.host.iter().find(|(other, _)| other == name)?;
        Some(Digest::of(value.as_bytes()))
    }

    /// The variables of a step that is given these parameters.
    pub(super) fn variables(&mut self, identity: &Identity, parameters: Parameters) -> Variables {
        // All of the identity that they depend on.
        let decisive = (
            (identity.pure, identity.sandbox),
            &identity.keep,
            &identity.env,
            &identity.tools,
            (parameters.given, parameters.resources),
            parameters
                .secrets
                .iter()
                .map(|(name, _)| name)
                .collect::<Vec<_>>(),
        );
        // Strings, lists and maps with text keys always have a JSON form.
        let key = serde_json::to_string(&decisive).unwrap_or_default();
        let new = || {
            Arc::new(local::variables(
                identity,
                parameters,
                self.host.iter().cloned(),
            ))
        };
        Arc::clone(self.variables.entry(key).or_insert_with(new))
    }

    /// Where the shell is, or why it is nowhere.
    pub(super) fn program(
        &mut self,
        shell: &str,
        variables: &Variables,
    ) -> Result<PathBuf, String> {
        let path = variables.get(OsStr::new("PATH")).cloned();
        let find = || local::program(shell, variables, self.host_path.as_deref(), self.folder);
        self.programs
            .entry((shell.to_owned(), path))
            .or_insert_with(find)
            .clone()
    }
}
