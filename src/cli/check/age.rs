//! Results that grow old: of scripts that get something from elsewhere.

use crate::manifest::{Cache, Step};
use crate::script::{network, survey};

/// What to know of a step whose results are used again for ever, and that uses the network.
pub(super) fn of(step: &Step) -> Option<String> {
    // Start tasks are always executed.
    if step.start || step.cache != Cache::Always || !survey::is_shell(&step.shell) {
        return None;
    }
    let word = network::first_use(&step.script)?;
    Some(format!(
        "{word} uses the network, and the results are used again for ever: cache = \"12h\" limits that"
    ))
}
