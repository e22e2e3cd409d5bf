//! What a worker says, from many threads.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use crate::wire::frame;
use crate::wire::message::ToOwner;

/// Where it says it.
pub(crate) type Output = Arc<Mutex<Box<dyn Write + Send>>>;

/// See the module. Where nobody reads any more nothing is said, and the end of the other stream ends all.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    output: &'a Output,
}

impl<'a> Line<'a> {
    pub(super) fn new(output: &'a Output) -> Self {
        Self { output }
    }

    fn with(
        self,
        say: impl FnOnce(&mut Box<dyn Write + Send>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        say(&mut output)
    }

    /// Its first words.
    pub(super) fn greet(self) {
        let _ = self.with(|output| {
            output.write_all(frame::GREETING.as_bytes())?;
            output.flush()
        });
    }

    /// Says something.
    pub(super) fn say(self, message: &ToOwner) {
        self.say_with(message, &[]);
    }

    /// The same, with bytes.
    pub(super) fn say_with(self, message: &ToOwner, bytes: &[u8]) {
        let _ = self.with(|output| {
            frame::write(output, message, bytes)?;
            output.flush()
        });
    }

    /// The same, together with what comes next.
    pub(super) fn say_soon(self, message: &ToOwner, bytes: &[u8]) -> io::Result<()> {
        self.with(|output| frame::write(output, message, bytes))
    }
}
