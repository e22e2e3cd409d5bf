//! Scripts that get something from elsewhere: results that grow old, and what a sandbox denies.

use crate::manifest::{Cache, Step};
use crate::script::{network, survey};

/// What to know of a step that uses the network: it has none, or its results are used again for ever.
pub(super) fn of(step: &Step) -> Option<String> {
    if step.sandbox && !step.network && survey::is_shell(&step.shell) {
        let word = network::first_use(&step.script)?;
        return Some(format!(
            "{word} uses the network, and the sandbox has none: network = true gives it"
        ));
    }
    // Start tasks are always executed.
    if step.start || step.cache != Cache::Always || !survey::is_shell(&step.shell) {
        return None;
    }
    let word = network::first_use(&step.script)?;
    Some(format!(
        "{word} uses the network, and the results are used again for ever: cache = \"12h\" limits that"
    ))
}
