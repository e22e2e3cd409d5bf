//! Frames: a message, and bytes that go with it.
//!
//! ```text
//! u32 length of the message, big endian │ u32 length of the bytes │ the message, as JSON │ the bytes
//! ```
//!
//! Before the first one the worker says [`GREETING`]: what stands before that is of the shells on the way there,
//! which greet their users.

use std::io::{self, BufRead, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A worker's first line. The number is that of the protocol: who speaks another one cannot be understood.
pub(crate) const GREETING: &str = "task-pipeline-worker 1\n";

/// Bytes of noise before the greeting that are passed over.
pub(crate) const NOISE: usize = 64 * 1024;

/// Bytes of such a line that are shown.
const SHOWN: usize = 200;

/// The most bytes that go with a message: so others come through between those of a long file.
pub(crate) const PIECE: usize = 64 * 1024;

/// The most bytes of a message.
const LONGEST: usize = 16 << 20;

/// Why nothing can be read any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The stream could not be read, or ended within a frame.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// There was no greeting: what was there instead, its last line.
    #[error("no worker answers")]
    NoGreeting(String),
    /// So much was there before one that nobody looks further: the first line.
    #[error("no worker answers among too many words")]
    Noise(String),
    /// It was, but of another protocol.
    #[error("the worker there speaks protocol {0}, this program speaks 1")]
    Protocol(String),
    /// A frame longer than any that is sent.
    #[error("a frame of {0} bytes came, more than any has")]
    TooLong(usize),
    /// A message that makes no sense.
    #[error("a message came that makes no sense: {0}")]
    Message(#[from] serde_json::Error),
}

/// Writes a frame.
///
/// # Errors
///
/// Where the stream cannot be written to.
pub(crate) fn write(to: &mut impl Write, message: &impl Serialize, bytes: &[u8]) -> io::Result<()> {
    let message = serde_json::to_vec(message)?;
    let lengths = [message.len(), bytes.len()].map(u32::try_from);
    let [Ok(first), Ok(second)] = lengths else {
        return Err(io::Error::other("too long for a frame"));
    };
    // One write, so that a reader is woken once.
    let mut frame = Vec::with_capacity(8 + message.len() + bytes.len());
    frame.extend_from_slice(&first.to_be_bytes());
    frame.extend_from_slice(&second.to_be_bytes());
    frame.extend_from_slice(&message);
    frame.extend_from_slice(bytes);
    to.write_all(&frame)
}

/// Reads a frame; none where the stream ends before one.
///
/// # Errors
///
/// Where the stream ends within one, and where it makes no sense.
pub(crate) fn read<M: DeserializeOwned>(
    from: &mut impl BufRead,
) -> Result<Option<(M, Vec<u8>)>, Error> {
    if from.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let mut length = || {
        let mut bytes = [0; 4];
        from.read_exact(&mut bytes)?;
        Ok::<_, io::Error>(u32::from_be_bytes(bytes) as usize)
    };
    let (message, bytes) = (length()?, length()?);
    if message > LONGEST || bytes > PIECE {
        return Err(Error::TooLong(message.max(bytes)));
    }
    let message = serde_json::from_slice(&read_exactly(from, message)?)?;
    Ok(Some((message, read_exactly(from, bytes)?)))
}

fn read_exactly(from: &mut impl BufRead, length: usize) -> io::Result<Vec<u8>> {
    // As they come: who says that many come may send none.
    let mut bytes = Vec::new();
    from.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

/// Reads up to the end of the greeting.
///
/// # Errors
///
/// Where there is none, with the last line that there was.
pub(crate) fn read_greeting(from: &mut impl BufRead) -> Result<(), Error> {
    let mut before = 0;
    let mut last = Vec::new();
    let mut first = None;
    let shown = |line: &[u8]| String::from_utf8_lossy(line).trim().to_owned();
    loop {
        let mut line = Vec::new();
        let most = (NOISE - before) as u64;
        from.take(most).read_until(b'\n', &mut line)?;
        // What was printed without a line end stands before it.
        if line.ends_with(GREETING.as_bytes()) {
            return Ok(());
        }
        before += line.len();
        if before >= NOISE {
            let first = first.unwrap_or_else(|| shown(&line[..line.len().min(SHOWN)]));
            return Err(Error::Noise(first));
        }
        if !line.ends_with(b"\n") {
            let line = if line.is_empty() { last } else { line };
            return Err(Error::NoGreeting(shown(&line)));
        }
        first.get_or_insert_with(|| shown(&line[..line.len().min(SHOWN)]));
        let text = String::from_utf8_lossy(&line);
        let kind = GREETING.rsplit_once(' ').map_or(GREETING, |(kind, _)| kind);
        if let Some(other) = text.trim_end().strip_prefix(kind) {
            return Err(Error::Protocol(other.trim().to_owned()));
        }
        last = line;
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor};

    use super::*;

    /// Gives one byte at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let some = to.len().min(1);
            Read::read(&mut self.0, &mut to[..some])
        }
    }

    /// A message, and bytes with it.
    type Frame = (Vec<String>, Vec<u8>);

    fn frames() -> (Vec<u8>, Vec<Frame>) {
        let all: Vec<Frame> = vec![
            (vec![], vec![]),
            (vec!["a\nb".into()], b"\n\0x".to_vec()),
            (vec!["ä".repeat(500)], vec![7; PIECE]),
        ];
        let mut bytes = Vec::new();
        for (message, with) in &all {
            write(&mut bytes, message, with).unwrap();
        }
        (bytes, all)
    }

    fn read_all(from: &mut impl BufRead) -> (Vec<Frame>, Option<Error>) {
        let mut all = Vec::new();
        loop {
            match read(from) {
                Ok(Some(frame)) => all.push(frame),
                Ok(None) => return (all, None),
                Err(error) => return (all, Some(error)),
            }
        }
    }

    #[test]
    fn frames_come_back_however_they_are_cut() {
        let (bytes, all) = frames();
        let (read, error) = read_all(&mut BufReader::with_capacity(1, Slow(&bytes)));
        assert!(error.is_none() && read == all);
        let (read, error) = read_all(&mut Cursor::new(&bytes));
        assert!(error.is_none() && read == all);
    }

    #[test]
    fn a_stream_that_ends_within_a_frame_is_told_from_one_that_ends_between_two() {
        let (bytes, all) = frames();
        let mut ends = vec![0];
        for frame in &all {
            let mut bytes = Vec::new();
            write(&mut bytes, &frame.0, &frame.1).unwrap();
            ends.push(ends.last().unwrap() + bytes.len());
        }
        // All of the short ones, and some of the long one.
        for end in (0..ends[2] + 600).chain([bytes.len() - 1]) {
            let (read, error) = read_all(&mut &bytes[..end]);
            let whole = ends[1..].iter().filter(|at| **at <= end).count();
            assert_eq!(read, all[..whole], "{end}");
            assert_eq!(error.is_none(), ends.contains(&end), "{end}: {error:?}");
        }
    }

    #[test]
    fn no_more_is_read_than_a_frame_may_have() {
        for head in [[255, 255, 255, 255, 0, 0, 0, 0], [0, 0, 0, 2, 0, 1, 0, 1]] {
            let read = read::<Vec<String>>(&mut &head[..]);
            assert!(matches!(read, Err(Error::TooLong(_))), "{read:?}");
        }
        let nonsense = [&[0, 0, 0, 2, 0, 0, 0, 0], &b"{]"[..]].concat();
        let read = read::<Vec<String>>(&mut &nonsense[..]);
        assert!(matches!(read, Err(Error::Message(_))), "{read:?}");
    }

    #[test]
    fn what_shells_print_before_the_greeting_is_passed_over() {
        for noise in ["", "Welcome!\n", "a\r\nb\n", "no end"] {
            let text = format!("{noise}{GREETING}rest");
            let mut from = text.as_bytes();
            read_greeting(&mut from).unwrap();
            assert_eq!(from, b"rest");
        }
        let told = |text: &str| match read_greeting(&mut text.as_bytes()) {
            Err(Error::NoGreeting(last)) => last,
            other => panic!("{other:?}"),
        };
        assert_eq!(told(""), "");
        assert_eq!(told("a\ncommand not found\n"), "command not found");
        assert_eq!(told("a\ncommand not found"), "command not found");
        assert_eq!(told("task-pipeline-worker"), "task-pipeline-worker");
        for noise in ["x\n".repeat(NOISE), "x".repeat(NOISE + 1)] {
            match read_greeting(&mut noise.as_bytes()) {
                Err(Error::Noise(first)) => assert!(first.starts_with('x') && first.len() <= SHOWN),
                other => panic!("{other:?}"),
            }
        }
        let other = read_greeting(&mut &b"task-pipeline-worker 27\n"[..]);
        assert!(matches!(other, Err(Error::Protocol(of)) if of == "27"));
    }
}
