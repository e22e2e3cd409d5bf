//! What the next run would begin with, for those who only look.

use std::sync::atomic::AtomicBool;

use super::error::Failure;
use super::options::{ParamOptions, Places};
use super::params;
use crate::model::event::Event;
use crate::model::identity::Change;
use crate::model::name::StepName;
use crate::prepare::{self, Known, PackageOptions, Source, SourceError, Steps};
use crate::state::State;

/// See the module.
pub(super) enum Planned {
    /// The steps as the manifest and its files have them now.
    Steps(Box<Plan>),
    /// There is no manifest.
    Nothing,
    /// What the manifest names is not as it has to be; the errors.
    Bad(String),
}

/// The steps, as they would be registered.
pub(super) struct Plan {
    /// A copy of the state without tasks, in which they are.
    pub state: State,
    pub steps: Steps,
    /// The manifest, from which they are.
    pub source: Source,
    /// Those that would get another version, with what changed; nothing of a new one.
    pub changed: Vec<(StepName, Vec<Change>)>,
}

/// Without Nix, and without writing anything. `host`: steps ran with the host's programs in the place
/// of their packages.
pub(super) fn planned(places: &Places, host: bool) -> Result<Planned, Failure> {
    let Ok(manifest) = places.manifest() else {
        return Ok(Planned::Nothing);
    };
    let mut source = Source::load(&manifest)?;
    if let Some(folder) = &places.workdir {
        source.folder.clone_from(folder);
    }
    let mut state = State::private_copy_of_steps(&places.db)?;
    let given = params::given(&ParamOptions::default(), &source.manifest, &mut |_| {})?;
    let newest = state.newest_runset()?;
    match params::in_runset(&source, &given, &state, newest.as_ref()) {
        Ok(values) => source.params = values,
        Err(failure) => return Ok(Planned::Bad(failure.to_lines())),
    }
    let supply = PackageOptions {
        host,
        locked: false,
        stop: &AtomicBool::new(false),
    };
    let known = Known::of(&source, &mut state, supply)?;
    let mut changed = Vec::new();
    let registered = Steps::without_registering(&source, &mut state, &known, &mut |event| {
        if let Event::Version { step, changes, .. } = event {
            changed.push(((*step).clone(), changes.to_vec()));
        }
    });
    match registered {
        Ok(steps) => Ok(Planned::Steps(Box::new(Plan {
            state,
            steps,
            source,
            changed,
        }))),
        Err(prepare::Error::Source(SourceError::Bad { rendered, .. })) => {
            Ok(Planned::Bad(rendered))
        }
        Err(error) => Err(error.into()),
    }
}
