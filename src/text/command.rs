//! Lines that a CI would take for commands.
//!
//! Those who run a job read what it prints, and do what some lines say: GitHub Actions what begins
//! with `::name::`, be it indented, or has `##[name]` anywhere; others `##vso[…]`, `##teamcity[…]`.
//! Messages lose that by a backslash ([`calm`]). Bytes that must stay as they are stand where
//! nobody listens ([`Fence`]).

use std::borrow::Cow;

use super::{acts, hides};

/// Whether some reader passes over the character when it looks for a command.
fn is_passed_over(c: char) -> bool {
    acts(c) || hides(c) || c == '\u{ad}'
}

/// Where in the line the first command begins, before any white space.
fn leading(line: &str) -> Option<usize> {
    let mut at = line.trim_start_matches(|c: char| c.is_whitespace() || is_passed_over(c));
    let place = line.len() - at.len();
    for _ in 0..2 {
        at = at.strip_prefix(':')?.trim_start_matches(is_passed_over);
    }
    at.contains(':').then_some(place)
}

/// Whether a `[` behind this text opens a command.
pub(super) fn opens(before: &str) -> bool {
    let hash = |text: &str| text.ends_with('#');
    let name = |c: char| c.is_ascii_alphabetic() || is_passed_over(c);
    let hashes = before.trim_end_matches(name);
    let first = hashes.strip_suffix('#').unwrap_or_default();
    hash(hashes) && hash(first.trim_end_matches(is_passed_over))
}

/// Whether the line is one.
fn is_command(line: &str) -> bool {
    let bracket = |(at, _): (usize, &str)| opens(&line[..at]);
    leading(line).is_some() || line.match_indices('[').any(bracket)
}

/// Lines of a message with a backslash where they would be commands.
pub(crate) fn calm(text: &str) -> Cow<'_, str> {
    if !text.split('\n').any(is_command) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for line in text.split_inclusive('\n') {
        let (space, rest) = line.split_at(leading(line).unwrap_or(0));
        out.push_str(space);
        if leading(line).is_some() {
            out.push('\\');
        }
        for c in rest.chars() {
            if c == '[' && opens(&out) {
                out.push('\\');
            }
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// The command that stops GitHub Actions from listening until `token` comes.
pub(crate) fn stop(token: &str) -> String {
    format!("::stop-commands::{token}\n")
}

/// The command that ends [`stop`].
pub(crate) fn resume(token: &str) -> String {
    format!("::{token}::\n")
}

/// Lets bytes through as they are, as long as there is no command in them. The first one and all
/// that follows stands between [`stop`] and [`resume`].
#[derive(Debug)]
pub(crate) struct Fence {
    token: String,
    /// A line without an end, or its end.
    held: Vec<u8>,
    /// The start of the line is gone already.
    within: bool,
    stopped: bool,
    /// The last byte that went out.
    last: u8,
}

/// Bytes of a line that are held at most.
const MOST: usize = 64 * 1024;
/// Of what is looked at once more when the rest of a line comes.
const OVERLAP: usize = 64;

impl Fence {
    /// With a token that nobody can guess.
    pub(crate) fn new(token: String) -> Self {
        Self {
            token,
            held: Vec::new(),
            within: false,
            stopped: false,
            last: b'\n',
        }
    }

    /// Adds to `out` what is to be written of the next bytes.
    pub(crate) fn add(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.stopped {
            self.pass(bytes, out);
            return;
        }
        self.held.extend_from_slice(bytes);
        let held = std::mem::take(&mut self.held);
        let mut rest = held.as_slice();
        while !self.stopped
            && let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'))
        {
            let (line, after) = rest.split_at(end + 1);
            self.look(line, out);
            self.pass(line, out);
            self.within = false;
            rest = after;
        }
        if self.stopped {
            self.pass(rest, out);
            return;
        }
        if rest.len() > MOST {
            self.look(rest, out);
            let (gone, kept) = rest.split_at(rest.len() - OVERLAP);
            self.pass(gone, out);
            self.within = true;
            rest = kept;
        }
        if self.stopped {
            self.pass(rest, out);
        } else {
            self.held = rest.to_vec();
        }
    }

    /// Nothing more comes.
    pub(crate) fn end(&mut self, out: &mut Vec<u8>) {
        let rest = std::mem::take(&mut self.held);
        if !self.stopped {
            self.look(&rest, out);
        }
        self.pass(&rest, out);
        if std::mem::take(&mut self.stopped) {
            self.end_line(out);
            out.extend_from_slice(resume(&self.token).as_bytes());
        }
    }

    /// Stops the listener before a line that it would hear.
    fn look(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let text = String::from_utf8_lossy(line);
        let command = if self.within {
            // Whatever it begins with is not at the start of the line.
            is_command(&format!("x{text}"))
        } else {
            is_command(&text)
        };
        if command {
            self.end_line(out);
            out.extend_from_slice(stop(&self.token).as_bytes());
            self.stopped = true;
        }
    }

    fn end_line(&mut self, out: &mut Vec<u8>) {
        if !matches!(self.last, b'\n' | b'\r') {
            out.push(b'\n');
        }
    }

    fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(bytes);
        self.last = bytes.last().copied().unwrap_or(self.last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_no_commands() {
        for (text, calmed) in [
            ("::error::x", "\\::error::x"),
            (
                "a\n  ::set-env name=A::b\nc",
                "a\n  \\::set-env name=A::b\nc",
            ),
            ("\u{a0}\u{feff}::error::", "\u{a0}\u{feff}\\::error::"),
            (
                "x ##[error]y ##[add-path]z",
                "x ##\\[error]y ##\\[add-path]z",
            ),
            ("##vso[task.setvariable]", "##vso\\[task.setvariable]"),
            ("##\u{200b}[error]", "##\u{200b}\\[error]"),
        ] {
            assert_eq!(calm(text), calmed);
            assert!(!calmed.lines().any(is_command), "{calmed}");
        }
        for text in [
            "step #1| ::error::x",
            "std::vec::Vec",
            ":: a",
            "#[a] ##[".trim_end_matches('['),
            "::\n",
        ] {
            assert!(matches!(calm(text), Cow::Borrowed(_)), "{text}");
        }
    }

    fn fenced(pieces: &[&[u8]]) -> String {
        let mut fence = Fence::new("T".to_owned());
        let mut out = Vec::new();
        for piece in pieces {
            fence.add(piece, &mut out);
        }
        fence.end(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn bytes_without_commands_pass_as_they_are() {
        for text in ["", "a", "a\nb\r\n\nstd::x\n", "::\n", "no end"] {
            for at in 0..=text.len() {
                let (a, b) = text.as_bytes().split_at(at);
                assert_eq!(fenced(&[a, b]), text);
            }
        }
    }

    #[test]
    fn commands_stand_where_nobody_listens() {
        for (text, wanted) in [
            (
                "a\n::error::b\nc",
                "a\n::stop-commands::T\n::error::b\nc\n::T::\n",
            ),
            (
                "  ::error::b\n",
                "::stop-commands::T\n  ::error::b\n::T::\n",
            ),
            (
                "a\r::error::b\n",
                "a\r::stop-commands::T\n::error::b\n::T::\n",
            ),
            (
                "a ##[error]b\n",
                "::stop-commands::T\na ##[error]b\n::T::\n",
            ),
        ] {
            for at in 0..=text.len() {
                let (a, b) = text.as_bytes().split_at(at);
                assert_eq!(fenced(&[a, b]), wanted, "{at}");
            }
            let single: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            assert_eq!(fenced(&single), wanted);
        }
    }

    #[test]
    fn a_long_line_is_looked_through_in_little_memory() {
        let long = vec![b'x'; 3 * MOST];
        let all = fenced(&[&long, b"##[err", b"or]a\n"]);
        let (before, after) = all.split_once("\n::stop-commands::T\n").unwrap();
        assert!(before.bytes().all(|byte| byte == b'x'));
        assert!(after.ends_with("x##[error]a\n::T::\n"), "{after}");
        let mut fence = Fence::new(String::new());
        let mut out = Vec::new();
        for piece in long.chunks(1000) {
            fence.add(piece, &mut out);
            assert!(fence.held.len() <= MOST);
        }
    }
}
