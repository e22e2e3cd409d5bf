//! The folder in which final outputs stand as files.

use super::{Error, State};

const KEY: &str = "results";

impl State {
    /// Notes that they are in this folder; the one in which they were before, if that was another one.
    pub(crate) fn set_results(&mut self, folder: &str) -> Result<Option<String>, Error> {
        let before = self.meta(KEY)?;
        if before.as_deref() == Some(folder) {
            return Ok(None);
        }
        self.put_meta(KEY, folder)?;
        self.end()?;
        Ok(before)
    }
}
