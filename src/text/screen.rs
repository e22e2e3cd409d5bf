//! What a terminal may get of text that anybody wrote: characters and colours.

use super::{acts, push_visible};

/// How long colours last that somebody else's text sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colours {
    /// To the end of the line.
    Line,
    /// Until they are set otherwise, as on a terminal; at most to the end.
    Text,
}

/// Makes bytes safe for a terminal as they come, in pieces that end anywhere.
///
/// What is not shown as itself is written out, colours (SGR sequences) excepted; bytes that are no
/// UTF-8 become U+FFFD. A carriage return within a line overwrites nothing: where colours are those
/// of a whole text, it ends the line.
#[derive(Debug)]
pub(crate) struct Screen {
    colours: Colours,
    /// A colour is on.
    coloured: bool,
    /// The start of a character, of a line end or of a colour whose rest is still to come.
    part: Vec<u8>,
}

/// No colour needs more bytes.
const LONGEST: usize = 64;

/// What a byte sequence begins with.
enum Start {
    /// So many bytes of ASCII that are shown as they are.
    Plain(usize),
    Char(char),
    /// Not UTF-8: so many bytes.
    Bad(usize),
    /// A line end of so many bytes.
    Line(usize),
    /// Back to the start of the line.
    Return,
    /// A colour: so many bytes; whether it ends all colours.
    Colour(usize, bool),
    /// What this is, its end will tell.
    Part,
}

impl Screen {
    /// Nothing has come yet.
    pub(crate) fn new(colours: Colours) -> Self {
        Self {
            colours,
            coloured: false,
            part: Vec::new(),
        }
    }

    /// Adds to `out` what can be shown of `bytes`.
    pub(crate) fn add(&mut self, bytes: &[u8], out: &mut String) {
        if self.part.is_empty() {
            self.show(bytes, false, out);
        } else {
            let mut all = std::mem::take(&mut self.part);
            all.extend_from_slice(bytes);
            self.show(&all, false, out);
        }
    }

    /// Nothing more comes: shows what is left, and ends its colours.
    pub(crate) fn end(&mut self, out: &mut String) {
        let part = std::mem::take(&mut self.part);
        self.show(&part, true, out);
        self.reset(out);
    }

    fn show(&mut self, mut bytes: &[u8], last: bool, out: &mut String) {
        while !bytes.is_empty() {
            let length = match start(bytes, last) {
                Start::Return if self.colours == Colours::Line => {
                    out.push_str("\\r");
                    1
                }
                Start::Return => {
                    out.push('\n');
                    1
                }
                Start::Plain(length) => {
                    out.push_str(&String::from_utf8_lossy(&bytes[..length]));
                    length
                }
                Start::Char(c) => {
                    if acts(c) {
                        push_visible(out, c);
                    } else {
                        out.push(c);
                    }
                    c.len_utf8()
                }
                Start::Bad(length) => {
                    out.push(char::REPLACEMENT_CHARACTER);
                    length
                }
                Start::Line(length) => {
                    if self.colours == Colours::Line {
                        self.reset(out);
                    }
                    out.push('\n');
                    length
                }
                Start::Colour(length, ends) => {
                    out.push_str(&String::from_utf8_lossy(&bytes[..length]));
                    self.coloured = !ends;
                    length
                }
                Start::Part => {
                    self.part = bytes.to_vec();
                    return;
                }
            };
            bytes = &bytes[length..];
        }
    }

    fn reset(&mut self, out: &mut String) {
        if std::mem::take(&mut self.coloured) {
            out.push_str("\u{1b}[0m");
        }
    }
}

/// `last`: nothing comes after `bytes`.
fn start(bytes: &[u8], last: bool) -> Start {
    match bytes {
        [0x1b, rest @ ..] => colour(rest, last),
        [b'\n', ..] => Start::Line(1),
        [b'\r', b'\n', ..] => Start::Line(2),
        [b'\r'] if !last => Start::Part,
        [b'\r', ..] => Start::Return,
        [byte, ..] if is_plain(*byte) => {
            let end = bytes.iter().position(|byte| !is_plain(*byte));
            Start::Plain(end.unwrap_or(bytes.len()))
        }
        _ => character(bytes, last),
    }
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~')
}

/// Of what follows an escape character.
fn colour(rest: &[u8], last: bool) -> Start {
    let codes = match rest {
        [b'[', codes @ ..] => codes,
        [] if !last => return Start::Part,
        _ => return Start::Char('\u{1b}'),
    };
    let end = codes
        .iter()
        .take(LONGEST)
        .position(|byte| !matches!(byte, b'0'..=b'9' | b';' | b':'));
    match end {
        Some(end) if codes[end] == b'm' => {
            let ends = codes[..end].iter().all(|byte| *byte == b'0');
            Start::Colour(end + 3, ends)
        }
        None if codes.len() < LONGEST && !last => Start::Part,
        _ => Start::Char('\u{1b}'),
    }
}

/// Of what begins with a byte that is no plain ASCII.
fn character(bytes: &[u8], last: bool) -> Start {
    let front = &bytes[..bytes.len().min(4)];
    let (text, error) = match std::str::from_utf8(front) {
        Ok(text) => (text, None),
        Err(error) => {
            let text = std::str::from_utf8(&front[..error.valid_up_to()]);
            (text.unwrap_or_default(), Some(error))
        }
    };
    match (text.chars().next(), error.map(|error| error.error_len())) {
        (Some(c), _) => Start::Char(c),
        (None, Some(None)) if !last => Start::Part,
        (None, Some(Some(length))) => Start::Bad(length),
        (None, _) => Start::Bad(front.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown of pieces.
    fn shown(colours: Colours, pieces: &[&[u8]]) -> String {
        let mut out = String::new();
        let mut screen = Screen::new(colours);
        for piece in pieces {
            screen.add(piece, &mut out);
        }
        screen.end(&mut out);
        out
    }

    /// The same, whatever the pieces.
    fn of(bytes: &[u8]) -> String {
        let whole = shown(Colours::Text, &[bytes]);
        for at in 0..=bytes.len() {
            let (a, b) = bytes.split_at(at);
            assert_eq!(shown(Colours::Text, &[a, b]), whole, "{bytes:?} at {at}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(shown(Colours::Text, &single), whole, "{bytes:?}");
        whole
    }

    #[test]
    fn colours_pass_and_end() {
        assert_eq!(of(b"\x1b[1;31mred"), "\u{1b}[1;31mred\u{1b}[0m");
        assert_eq!(of(b"\x1b[38:5:9mx\x1b[my"), "\u{1b}[38:5:9mx\u{1b}[my");
        assert_eq!(of(b"\x1b[31ma\nb\x1b[0m"), "\u{1b}[31ma\nb\u{1b}[0m");
        assert_eq!(
            shown(Colours::Line, &[b"\x1b[31ma\r\nb\n"]),
            "\u{1b}[31ma\u{1b}[0m\nb\n"
        );
        assert_eq!(shown(Colours::Line, &[b"a\rb\r"]), "a\\rb\\r");
    }

    #[test]
    fn nothing_else_acts() {
        for (bytes, text) in [
            (&b"\x1b]52;c;eA==\x07"[..], "\\u{1b}]52;c;eA==\\u{7}"),
            (b"\x1b]0;t\x1b\\", "\\u{1b}]0;t\\u{1b}\\"),
            (b"\x1b[2J\x1b[H", "\\u{1b}[2J\\u{1b}[H"),
            (b"\x1b[>4;2m", "\\u{1b}[>4;2m"),
            (b"\x1b[?25l", "\\u{1b}[?25l"),
            (b"\x1b[31", "\\u{1b}[31"),
            (b"\x1b[\x1b[1m", "\\u{1b}[\u{1b}[1m\u{1b}[0m"),
            (b"\x1bc\x1b(0\x0e", "\\u{1b}c\\u{1b}(0\\u{e}"),
            (b"\x1b", "\\u{1b}"),
            (
                b"\xc2\x9b2J\xc2\x9d0;t\xc2\x9c",
                "\\u{9b}2J\\u{9d}0;t\\u{9c}",
            ),
            (b"a\x9b2J\xffb", "a\u{fffd}2J\u{fffd}b"),
            (b"\xe2\x80\xaex\xe2\x81\xa6", "\\u{202e}x\\u{2066}"),
            (b"\xe2\x80", "\u{fffd}"),
            (b"a\x00\x08\x7f", "a\\u{0}\\u{8}\\u{7f}"),
        ] {
            assert_eq!(of(bytes), text);
        }
        let endless = [b"\x1b[".as_slice(), &[b'1'; 100], b"m"].concat();
        assert!(of(&endless).starts_with("\\u{1b}[1"));
    }

    #[test]
    fn nothing_is_overwritten() {
        assert_eq!(of(b"10%\r20%\r\nb\r"), "10%\n20%\nb\n");
        assert_eq!(
            of("gr\u{f6}\u{df}e \u{65e5}\u{672c}\t\u{1f469}\u{200d}\u{1f467}\n".as_bytes()),
            "größe 日本\t👩‍👧\n"
        );
    }
}
