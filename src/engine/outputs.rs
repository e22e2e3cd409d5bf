//! What a task left, however much that is.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

use crate::model::digest::Digest;
use crate::model::list::Form;

/// One output of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Output {
    /// Its file name.
    pub name: Box<str>,
    /// Its bytes.
    pub digest: Digest,
    /// What that is.
    pub form: Form,
}

/// All outputs of a task, in order. However many there are, few are in memory.
#[derive(Debug, Default)]
pub(crate) struct Outputs {
    first: std::vec::IntoIter<Output>,
    rest: Option<Box<BufReader<File>>>,
}

impl From<Vec<Output>> for Outputs {
    fn from(first: Vec<Output>) -> Self {
        Self {
            first: first.into_iter(),
            rest: None,
        }
    }
}

impl Outputs {
    /// Calls `each` with the names of all, and takes none.
    pub(super) fn each_name(&mut self, mut each: impl FnMut(&str)) -> io::Result<()> {
        self.first
            .as_slice()
            .iter()
            .for_each(|output| each(&output.name));
        if let Some(rest) = &mut self.rest {
            let at = rest.stream_position()?;
            while let Some(output) = Output::read(&mut **rest) {
                each(&output?.name);
            }
            rest.seek(io::SeekFrom::Start(at))?;
        }
        Ok(())
    }

    /// Whether none is left of those in memory.
    pub(super) fn is_read(&self) -> bool {
        self.first.len() == 0
    }
}

impl Iterator for Outputs {
    type Item = io::Result<Output>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.first.next() {
            Some(output) => Some(Ok(output)),
            None => self.rest.as_mut().and_then(Output::read),
        }
    }
}

/// Outputs while they are found.
#[derive(Debug)]
pub(crate) struct Collected<'a> {
    /// The folder for the file with a list that is too long for memory.
    spill: &'a Path,
    first: Vec<Output>,
    rest: Option<BufWriter<File>>,
}

impl<'a> Collected<'a> {
    /// Outputs held in memory; more go to a file.
    pub(crate) const STRETCH: usize = if cfg!(test) { 64 } else { 4096 };

    /// None yet. `spill` is the folder for the file with a list that is too long for memory.
    pub(crate) fn new(spill: &'a Path) -> Self {
        Self {
            spill,
            first: Vec::new(),
            rest: None,
        }
    }

    /// Adds one.
    pub(crate) fn push(&mut self, output: Output) -> io::Result<()> {
        if self.rest.is_none() && self.first.len() < Self::STRETCH {
            self.first.push(output);
            return Ok(());
        }
        let rest = match &mut self.rest {
            Some(rest) => rest,
            none => none.insert(BufWriter::new(tempfile::tempfile_in(self.spill)?)),
        };
        output.write(rest)
    }

    /// All of them.
    pub(crate) fn end(self) -> io::Result<Outputs> {
        let rest = match self.rest {
            None => None,
            Some(rest) => {
                let mut file = rest.into_inner().map_err(io::IntoInnerError::into_error)?;
                file.rewind()?;
                Some(file)
            }
        };
        Ok(Outputs {
            first: self.first.into_iter(),
            rest: rest.map(|file| Box::new(BufReader::new(file))),
        })
    }
}

impl Output {
    fn write(&self, to: &mut impl Write) -> io::Result<()> {
        // File names have at most 255 bytes on the systems that this runs on; two are plenty.
        let length = u16::try_from(self.name.len()).map_err(io::Error::other)?;
        to.write_all(&length.to_le_bytes())?;
        to.write_all(self.name.as_bytes())?;
        to.write_all(&self.digest.0)?;
        to.write_all(&[u8::from(self.form == Form::Folder)])
    }

    fn read(from: &mut impl Read) -> Option<io::Result<Self>> {
        let mut length = [0; 2];
        match from.read_exact(&mut length) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return None,
            Err(error) => return Some(Err(error)),
            Ok(()) => {}
        }
        let mut name = vec![0; usize::from(u16::from_le_bytes(length))];
        let mut digest = Digest([0; 32]);
        let mut folder = [0];
        Some(
            from.read_exact(&mut name)
                .and_then(|()| from.read_exact(&mut digest.0))
                .and_then(|()| from.read_exact(&mut folder))
                .and_then(|()| String::from_utf8(name).map_err(io::Error::other))
                .map(|name| Self {
                    name: name.into(),
                    digest,
                    form: match folder {
                        [0] => Form::File,
                        _ => Form::Folder,
                    },
                }),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_come_back_in_order_and_few_are_in_memory() {
        const STRETCH: usize = Collected::STRETCH;
        let dir = tempfile::tempdir().unwrap();
        for count in [0, 1, STRETCH - 1, STRETCH, STRETCH + 1, 2 * STRETCH + 3] {
            let output = |n: usize| Output {
                name: n.to_string().into(),
                digest: Digest::of(&n.to_le_bytes()),
                form: [Form::File, Form::Folder][n % 2],
            };
            let mut collected = Collected::new(dir.path());
            (0..count).for_each(|n| collected.push(output(n)).unwrap());
            let outputs = collected.end().unwrap();
            assert_eq!(outputs.first.len(), count.min(STRETCH));
            let mut outputs = outputs;
            for _ in 0..2 {
                let mut names = 0;
                outputs
                    .each_name(|name| {
                        assert_eq!(name, names.to_string());
                        names += 1;
                    })
                    .unwrap();
                assert_eq!(names, count);
            }
            let all: Vec<Output> = outputs.map(Result::unwrap).collect();
            assert_eq!(all, (0..count).map(output).collect::<Vec<_>>());
        }
    }
}
