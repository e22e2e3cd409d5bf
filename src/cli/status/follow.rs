//! `status -follow`: a run of another terminal, until it ends.

use std::path::Path;
use std::time::Duration;

use super::{Failure, output};
use crate::out;
use crate::report::board::Told;
use crate::report::follow::{Following, told_json};
use crate::state::{Layout, Lock};
use crate::text::Shown as _;

/// How often it is looked.
const PAUSE: Duration = Duration::from_millis(250);

/// Shows what the run on that db tells of itself, which is written by it anyway: the database is not touched. Where none is
/// on, one is waited for.
pub(super) fn until_it_ends(db: &Path, json: bool) -> Result<(), Failure> {
    let layout = Layout::new(db);
    let draws = !json && Following::draws();
    let mut following = Following::default();
    let mut seen = false;
    let mut last = None;
    let mut is_waiting = false;
    loop {
        let holder = Lock::holder(&layout).filter(|holder| !holder.removes);
        if holder.is_none() && seen {
            following.clear();
            return Ok(());
        }
        let told = holder.and_then(|holder| Told::read(&layout.now(), holder.pid?));
        match told {
            Some(told) if draws => following.show(&told),
            Some(told) => {
                let is_new = last.as_ref() != Some(&told);
                if is_new && json {
                    output::print_json(format!("{}\n", told_json(&told)))?;
                } else if is_new && let Some(line) = following.line(&told) {
                    output::print(&line)?;
                }
                last = Some(told);
            }
            None if holder.is_none() && !is_waiting => {
                is_waiting = true;
                out::tell(&format!(
                    "no run is on in {}: waiting for one (Ctrl-C ends)\n",
                    db.shown()
                ));
            }
            None => {}
        }
        seen |= holder.is_some();
        std::thread::sleep(PAUSE);
    }
}
