//! The key of a task: what it is about, where its name does not say.

use crate::model::route::{Router, first_part};
use crate::model::task::TaskId;
use crate::state::{self, Reader};

/// The key of a task: that of its row; else what stands before the route in the name of its input;
/// else that of the task which made it. What came in from outside is known by its name.
pub(crate) fn key_of(
    state: &Reader,
    router: &Router,
    task: TaskId,
) -> Result<String, state::Error> {
    let mut next = Some(task);
    while let Some(at) = next {
        let Some(origin) = state.origin(at)? else {
            break;
        };
        if let Some(key) = origin.key {
            return Ok(key);
        }
        if let Some(name) = &origin.name {
            if origin.parent.is_none() {
                return Ok(name.to_string());
            }
            if router.route(name).is_none() {
                return Ok(first_part(name).to_owned());
            }
            if let Some(key) = router.key(name) {
                return Ok(key.to_owned());
            }
        }
        next = origin.parent;
    }
    Ok(String::new())
}
