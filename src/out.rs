//! Standard output and standard error. Nothing else writes to them, so that what is decided here
//! holds for every message there is and will be.
//!
//! Whatever is shown may come from a script, a file's name, another program. No byte of it acts on
//! who reads it:
//!
//! | what | where | is |
//! |---|---|---|
//! | for people ([`tell`], [`print`]) | anywhere, files too | text: all that acts is written out ([`text`]); of colours those of quoted scripts stay, to the end of their line; words of ours have colours where they are wanted |
//! | bytes of logs and objects ([`Data`]) | a terminal | text with the colours that are in it |
//! | | a pipe or a file | the bytes |
//! | JSON, pages, graphs | anywhere | safe by their own escapes |
//!
//! A CI also takes lines for commands. Text for people has none, whichever CI it is. Bytes in a
//! pipe to GitHub Actions stand between `::stop-commands::` and its end from the first command in
//! them on, as nobody can tell that pipe from another; a file gets the bytes there too. So does all
//! that a run tells, but for what it says to GitHub itself ([`annotate`]).
//!
//! Both may be set not to block, by whoever shares them with this process: then they are waited
//! for.

mod colours;
mod fold;
mod reader;
mod stream;

use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

use crate::text::colour::paint;
use crate::text::command::{self, Fence};
use crate::text::{self, Colours, Screen};
pub(crate) use colours::{When as WhenColours, ask as ask_for_colours};
use reader::Reader;
pub(crate) use stream::Stream;

/// Prints text for people on standard output.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let text = text::lines(text);
    let text = paint(&text, Stream::Out.has_colours());
    Stream::Out.write(Reader::of_this().calm(&text).as_bytes())
}

/// The end of what is printed: fails if some of it is lost all the same.
pub(crate) fn complete() -> io::Result<()> {
    Stream::Out.complete()
}

/// Tells people something on standard error: whole lines.
pub(crate) fn tell(text: &str) {
    let text = text::message(text);
    let text = paint(&text, Stream::Err.has_colours());
    lines(&Reader::of_this().calm(&text));
}

/// The same for a message whose first line says what there is to know: where who reads it can fold the others
/// away and they are many, it is told so.
pub(crate) fn tell_in_length(text: &str) {
    let (first, rest) = text.split_at(text.find('\n').map_or(text.len(), |at| at + 1));
    if rest.lines().count() < fold::LONG || Stream::Err.is_file() {
        return tell(text);
    }
    match Reader::of_this() {
        Reader::GitLab => {
            let painted =
                |text: &str| paint(&text::message(text), Stream::Err.has_colours()).into_owned();
            let time = UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
            lines(&fold::section(&painted(first), &painted(rest), time));
        }
        Reader::Forgejo => {
            annotate(&fold::group(&paint(first, false)));
            tell(rest);
            annotate(fold::END_OF_GROUP);
        }
        Reader::GitHub | Reader::Ci | Reader::Anyone => tell(text),
    }
}

/// Writes to standard error what is safe already: whole lines.
fn lines(text: &str) {
    if !text.is_empty() {
        // Nobody can be told that standard error is gone.
        let _ = Stream::Err.write_lines(text.as_bytes());
    }
}

/// Writes to standard error what is safe already, and moves the cursor by intention.
pub(crate) fn draw(text: &str) {
    if !text.is_empty() {
        let _ = Stream::Err.write(text.as_bytes());
    }
}

/// Why something is missing in what was told, where that is not because nobody reads it: a full disk
/// under a file. Once.
pub(crate) fn lost() -> Option<io::Error> {
    Stream::Err.failure()
}

/// The token that ends what GitHub Actions does not listen to on standard error.
static FENCE: Mutex<Option<String>> = Mutex::new(None);

fn fence() -> MutexGuard<'static, Option<String>> {
    FENCE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether GitHub Actions reads this, or a runner that hears its commands.
pub(crate) fn is_for_github() -> bool {
    matches!(Reader::of_this(), Reader::GitHub | Reader::Forgejo)
}

/// Whether who reads this shows annotations.
pub(crate) fn shows_annotations() -> bool {
    Reader::of_this() == Reader::GitHub
}

/// From now on GitHub Actions, if it reads standard error, does not listen to it, until
/// [`finish`].
pub(crate) fn begin() {
    let mut fence = fence();
    if is_for_github() && !Stream::Err.is_file() && fence.is_none() {
        let token = reader::token();
        lines(&command::stop(&token));
        *fence = Some(token);
    }
}

/// The end of what this process says.
pub(crate) fn finish() {
    if let Some(token) = fence().take() {
        lines(&command::resume(&token));
    }
}

/// Gives GitHub Actions a command, a whole line. It goes where all else is told, because commands on
/// the other stream would be heard at a time of their own; but not into a file.
pub(crate) fn annotate(line: &str) {
    let mut fence = fence();
    match fence.take() {
        Some(token) => {
            let next = reader::token();
            lines(&(command::resume(&token) + line + &command::stop(&next)));
            *fence = Some(next);
        }
        None => {
            // Nobody reads it if standard output is gone.
            let _ = Stream::Out.write(line.as_bytes());
        }
    }
}

/// Bytes for standard output.
#[derive(Debug)]
pub(crate) struct Data(Way);

#[derive(Debug)]
enum Way {
    Raw,
    Screen(Screen),
    Fence(Fence),
}

impl Data {
    /// For bytes that anybody wrote.
    pub(crate) fn begin() -> Self {
        Self(if Stream::Out.is_terminal() {
            Way::Screen(Screen::new(Colours::Text))
        } else if is_for_github() && !Stream::Out.is_file() {
            Way::Fence(Fence::new(reader::token()))
        } else {
            Way::Raw
        })
    }

    /// For bytes that only a program can read.
    pub(crate) fn raw() -> Self {
        Self(Way::Raw)
    }

    /// A part is over: what comes next is not in its colours.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Way::Raw => Ok(()),
            Way::Screen(screen) => {
                let mut safe = String::new();
                screen.end(&mut safe);
                Stream::Out.write(safe.as_bytes())
            }
            Way::Fence(fence) => {
                let mut safe = Vec::new();
                fence.end(&mut safe);
                Stream::Out.write(&safe)
            }
        }
    }
}

impl Write for Data {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Way::Raw => Stream::Out.write(bytes)?,
            Way::Screen(screen) => {
                let mut safe = String::with_capacity(bytes.len() + 16);
                screen.add(bytes, &mut safe);
                Stream::Out.write(safe.as_bytes())?;
            }
            Way::Fence(fence) => {
                let mut safe = Vec::with_capacity(bytes.len());
                fence.add(bytes, &mut safe);
                Stream::Out.write(&safe)?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        // Who wants to know ends it.
        let _ = self.end();
    }
}
