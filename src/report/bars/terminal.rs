//! Standard error as a terminal that is drawn on: one write for a whole picture.

use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indicatif::TermLike;

use super::layout::Size;
use crate::out::{self, Stream};
use crate::text;
use crate::text::colour::paint;

/// What is to be written next. Clones share it.
#[derive(Debug, Clone, Default)]
pub(in crate::report) struct Terminal(Arc<Mutex<Pending>>);

#[derive(Debug, Default)]
struct Pending {
    text: String,
    /// The cursor is behind a line whose end is still to be written.
    behind: bool,
    /// Nothing is written for now.
    held: bool,
}

/// The size of the terminal on standard error, 80 by 24 if it does not know.
pub(super) fn size() -> Size {
    let (width, height) = Stream::Err.size().unwrap_or_default();
    Size {
        width: if width == 0 { 80 } else { width.into() },
        height: if height == 0 { 24 } else { height.into() },
    }
}

impl Terminal {
    /// Writes all that `draw` draws in one call.
    pub(in crate::report) fn at_once(&self, draw: impl FnOnce()) {
        self.pending().held = true;
        draw();
        self.pending().held = false;
        self.write_out();
    }

    /// Adds lines, which stay.
    pub(super) fn lines(&self, text: &str) {
        let mut pending = self.pending();
        let text = text::message(text);
        for line in paint(&text, Stream::Err.has_colours()).lines() {
            pending.text.push('\r');
            pending.text.push_str(line);
            pending.text.push_str("\u{1b}[K\r\n");
        }
    }

    /// A terminal that became narrower broke lines: clears the `broken` rows that they take now,
    /// and leaves the cursor where it is expected behind `lines` of them.
    pub(super) fn take_back(&self, broken: usize, lines: usize) {
        let mut pending = self.pending();
        if let up @ 1.. = broken.saturating_sub(1) {
            let _ = write!(pending.text, "\u{1b}[{up}A");
        }
        pending.text.push_str("\r\u{1b}[J");
        let down = lines.saturating_sub(1);
        pending.text.extend(std::iter::repeat_n('\n', down));
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_out(&self) {
        let mut pending = self.pending();
        pending.behind = false;
        if !pending.held {
            out::draw(&pending.text);
            pending.text.clear();
        }
    }

    fn push(&self, text: &str) {
        self.pending().text.push_str(text);
    }

    fn go(&self, steps: usize, letter: char) {
        if steps > 0 {
            self.push(&format!("\u{1b}[{steps}{letter}"));
        }
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        u16::try_from(size().width).unwrap_or(u16::MAX)
    }

    fn height(&self) -> u16 {
        u16::try_from(size().height).unwrap_or(u16::MAX)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.go(n, 'A');
        Ok(())
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.go(n, 'B');
        Ok(())
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.go(n, 'C');
        Ok(())
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.go(n, 'D');
        Ok(())
    }

    fn write_line(&self, s: &str) -> io::Result<()> {
        self.push(s);
        self.push("\r\n");
        Ok(())
    }

    /// Lines come filled up with blanks to the terminal's width, without an end. A terminal that
    /// becomes narrower would break such lines: they are given an end in place of the blanks.
    fn write_str(&self, s: &str) -> io::Result<()> {
        let mut pending = self.pending();
        if s.bytes().all(|byte| byte == b' ') {
            pending.behind = true;
            return Ok(());
        }
        if std::mem::take(&mut pending.behind) {
            pending.text.push_str("\r\n");
        }
        pending.text.push_str(s);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.push("\r\u{1b}[2K");
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        self.write_out();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filled_lines_end_where_their_text_ends() {
        let terminal = Terminal::default();
        terminal.pending().held = true;
        for part in ["one", "     ", "two", " "] {
            terminal.write_str(part).unwrap();
        }
        assert_eq!(terminal.pending().text, "one\r\ntwo");
    }
}
