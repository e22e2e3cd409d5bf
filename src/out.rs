//! Standard output and standard error. Nothing else writes to them.
//!
//! What is for people ([`print`], [`tell`]) is made safe here, wherever it goes, so that no message
//! can forget it; [`Data`] goes out as it is, but on a terminal.
//!
//! Both may be set not to block, by whoever shares them with this process: then they are waited
//! for.

mod stream;

use std::io::{self, Write};

use crate::core::text;
pub use stream::Stream;

/// Prints text for people on standard output.
pub fn print(text: &str) -> io::Result<()> {
    Stream::Out.write(text::lines(text).as_bytes())
}

/// Tells something on standard error: whole lines.
pub fn tell(text: &str) {
    draw(&text::lines(text));
}

/// Writes to standard error what is safe already, and what moves the cursor by intention.
pub fn draw(text: &str) {
    if !text.is_empty() {
        // Nobody can be told that standard error is gone.
        let _ = Stream::Err.write(text.as_bytes());
    }
}

/// Bytes for standard output.
#[derive(Debug, Default)]
pub struct Data;

impl Write for Data {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Stream::Out.write(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
