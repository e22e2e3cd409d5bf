//! What a task writes, told while it runs: in whole lines where it writes such.
//!
//! A stream comes in pieces that end anywhere. The end of a piece waits for its line's end, so that
//! nobody else's line comes between the parts of one. It waits no longer than until the task pauses:
//! who asks for something, or draws a progress bar, ends no line. A character is never told by
//! halves.

use std::time::{Duration, Instant};

/// Who writes nothing for so long has paused.
pub(super) const PAUSE: Duration = Duration::from_millis(100);
/// Nothing waits for longer, however busy its task is.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// A line's bytes that wait at most.
pub(super) const MOST: usize = 64 * 1024;

/// One stream of a task.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// No line end is in it.
    held: Vec<u8>,
    times: Option<Times>,
}

#[derive(Debug, Clone, Copy)]
struct Times {
    first: Instant,
    last: Instant,
}

impl Lines {
    /// Takes what came, and tells what is whole.
    pub(super) fn add(&mut self, bytes: &[u8], now: Instant, tell: &mut dyn FnMut(&[u8])) {
        let end = bytes.iter().rposition(|byte| *byte == b'\n');
        let (whole, rest) = bytes.split_at(end.map_or(0, |end| end + 1));
        if !whole.is_empty() {
            if self.held.is_empty() {
                tell(whole);
            } else {
                self.held.extend_from_slice(whole);
                tell(&self.held);
                self.held.clear();
            }
            self.times = None;
        }
        if !rest.is_empty() {
            self.hold(rest, now, tell);
        }
    }

    fn hold(&mut self, rest: &[u8], now: Instant, tell: &mut dyn FnMut(&[u8])) {
        self.held.extend_from_slice(rest);
        while self.held.len() > MOST {
            let cut = whole_characters(&self.held[..MOST]);
            tell(&self.held[..cut]);
            self.held.drain(..cut);
            self.times = None;
        }
        let first = self.times.map_or(now, |times| times.first);
        self.times = Some(Times { first, last: now });
    }

    /// When what is held is to be told although its line has not ended.
    pub(super) fn due(&self) -> Option<Instant> {
        let times = self.times?;
        Some((times.last + PAUSE).min(times.first + PATIENCE))
    }

    /// Tells what is due.
    pub(super) fn look(&mut self, now: Instant, tell: &mut dyn FnMut(&[u8])) {
        if self.due().is_some_and(|due| due <= now) {
            let cut = whole_characters(&self.held);
            if cut > 0 {
                tell(&self.held[..cut]);
                self.held.drain(..cut);
            }
            self.times = None;
        }
    }

    /// Nothing more comes: tells what is left.
    pub(super) fn end(&mut self, tell: &mut dyn FnMut(&[u8])) {
        if !self.held.is_empty() {
            tell(&self.held);
            self.held.clear();
        }
        self.times = None;
    }
}

/// How many of the bytes do not belong to a character whose end is missing.
fn whole_characters(bytes: &[u8]) -> usize {
    let length = bytes.len();
    for back in 1..=length.min(3) {
        let needed = match bytes[length - back] {
            0x80..=0xbf => continue,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        return if needed > back { length - back } else { length };
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "größe 日本語 👩‍👩‍👧\nsecond\r\n\n€€€";

    /// What is told of `pieces`, each followed by a pause or not.
    fn told(pieces: &[(&[u8], bool)]) -> Vec<Vec<u8>> {
        let mut told = Vec::new();
        let mut tell = |bytes: &[u8]| told.push(bytes.to_vec());
        let mut lines = Lines::default();
        let mut now = Instant::now();
        for (piece, pause) in pieces {
            lines.add(piece, now, &mut tell);
            now += if *pause { PAUSE } else { PAUSE / 4 };
            lines.look(now, &mut tell);
        }
        lines.end(&mut tell);
        assert!(lines.due().is_none());
        told
    }

    #[test]
    fn lines_stay_whole_wherever_they_are_cut() {
        let bytes = TEXT.as_bytes();
        for a in 0..=bytes.len() {
            for b in a..=bytes.len() {
                let pieces = [&bytes[..a], &bytes[a..b], &bytes[b..]];
                let told = told(&pieces.map(|piece| (piece, false)));
                assert_eq!(told.concat(), bytes);
                let (last, lines) = told.split_last().unwrap();
                assert!(lines.iter().all(|line| line.ends_with(b"\n")), "{a} {b}");
                assert_eq!(last, "€€€".as_bytes());
            }
        }
        let single: Vec<(&[u8], bool)> = bytes.chunks(1).map(|byte| (byte, false)).collect();
        assert_eq!(told(&single).len(), 4);
    }

    #[test]
    fn characters_stay_whole_even_where_the_task_pauses() {
        let bytes = TEXT.as_bytes();
        for a in 0..=bytes.len() {
            for b in a..=bytes.len() {
                let pieces = [&bytes[..a], &bytes[a..b], &bytes[b..]];
                let told = told(&pieces.map(|piece| (piece, true)));
                assert_eq!(told.concat(), bytes);
                for part in told {
                    assert!(std::str::from_utf8(&part).is_ok(), "{a} {b}: {part:?}");
                }
            }
        }
    }

    #[test]
    fn a_question_is_told_while_the_task_waits() {
        let mut told = Vec::new();
        let mut tell = |bytes: &[u8]| told.push(bytes.to_vec());
        let mut lines = Lines::default();
        let now = Instant::now();
        lines.add(b"one\nsure? ", now, &mut tell);
        assert_eq!(lines.due(), Some(now + PAUSE));
        lines.look(now + PAUSE / 2, &mut tell);
        lines.look(now + PAUSE, &mut tell);
        assert_eq!(lines.due(), None);
        assert_eq!(told, [&b"one\n"[..], b"sure? "]);
    }

    #[test]
    fn one_who_never_pauses_is_heard() {
        let mut count = 0;
        let mut tell = |_: &[u8]| count += 1;
        let mut lines = Lines::default();
        let mut now = Instant::now();
        let end = now + 2 * PATIENCE + PAUSE;
        while now < end {
            lines.add(b".", now, &mut tell);
            now += PAUSE / 2;
            lines.look(now, &mut tell);
        }
        assert_eq!(count, 2);
    }

    #[test]
    fn a_long_line_takes_little_memory() {
        let long = "日".repeat(1024 * 1024 / 3);
        for size in [1000, 4096, 65536] {
            let mut told = Vec::new();
            let mut tell = |bytes: &[u8]| told.push(bytes.to_vec());
            let mut lines = Lines::default();
            for piece in long.as_bytes().chunks(size) {
                lines.add(piece, Instant::now(), &mut tell);
                assert!(lines.held.len() <= MOST && lines.held.capacity() <= 4 * MOST);
            }
            lines.end(&mut tell);
            assert_eq!(told.concat(), long.as_bytes());
            assert!(told.iter().all(|part| std::str::from_utf8(part).is_ok()));
        }
    }

    #[test]
    fn bytes_that_are_no_characters_pass() {
        for bytes in [
            &b"\xff"[..],
            b"\x80\x80\x80\x80",
            b"a\xc3(",
            b"\xc0\xaf",
            b"\xf5\x80",
        ] {
            assert_eq!(whole_characters(bytes), bytes.len());
        }
        for (bytes, whole) in [(&b"a\xe2"[..], 1), (b"a\xe2\x82", 1), (b"\xf0\x9f\x91", 0)] {
            assert_eq!(whole_characters(bytes), whole);
            assert_eq!(told(&[(bytes, true)]).concat(), bytes);
        }
    }
}
