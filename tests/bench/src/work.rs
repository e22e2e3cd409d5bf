//! The works that are measured: what every contender has to do.
//!
//! A work is a source command, which leaves items, and stages, each of which is one command an
//! item. Every contender runs the very same commands in a shell each.

use sha2::{Digest, Sha256};

/// Where items come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// One task that leaves so many small files.
    Split(usize),
    /// One task that copies a file of so many bytes, made beforehand.
    Copy(u64),
}

/// What is done with an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Letters to upper case.
    Upper,
    /// The same by two programs and a pipe.
    Piped,
    /// The same by two commands, one of which is the shell's own: that takes a shell.
    Checked,
    /// Letters one further.
    Rotate,
    /// The same bytes.
    Cat,
    /// Nothing: no result.
    Nothing,
}

/// A work.
#[derive(Debug, Clone)]
pub struct Work {
    /// For `--only`.
    pub name: &'static str,
    /// For the table.
    pub title: String,
    /// Where items come from.
    pub source: Source,
    /// What is done with each.
    pub stages: Vec<Stage>,
    /// Whether a second call, with nothing to do, is measured too.
    pub second: bool,
    /// How many times, interleaved.
    pub rounds: usize,
}

/// The name of the big file, in the folder of the work.
pub const BIG: &str = "big";

impl Work {
    /// It, under that title.
    pub fn titled(mut self, title: &str) -> Self {
        title.clone_into(&mut self.title);
        self
    }

    /// Items.
    pub fn items(&self) -> usize {
        match self.source {
            Source::Split(items) => items,
            Source::Copy(_) => 1,
        }
    }

    /// Tasks, the source's included.
    pub fn tasks(&self) -> usize {
        1 + self.items() * self.stages.len()
    }

    /// Whether results are left.
    pub fn leaves_results(&self) -> bool {
        !self.stages.contains(&Stage::Nothing)
    }

    /// The source's command; items go to `folder` with `suffix` after their number.
    pub fn source_command(&self, folder: &str, suffix: &str, big: &str) -> String {
        match self.source {
            Source::Split(items) => {
                let suffix = match suffix {
                    "" => String::new(),
                    some => format!(" --additional-suffix={some}"),
                };
                format!("seq -f 'item %.0f' 1 {items} | split -l 1 -d -a 7{suffix} - \"{folder}/\"")
            }
            Source::Copy(_) => format!("cat {big} > \"{folder}/0000000{suffix}\""),
        }
    }

    /// The names that the source gives its items.
    pub fn names(&self) -> impl Iterator<Item = String> + use<> {
        (0..self.items()).map(|item| format!("{item:07}"))
    }

    /// Bytes on disk that a contender needs at most, and files.
    pub fn needs(&self) -> (u64, u64) {
        let stages = self.stages.len() as u64 + 1;
        let items = self.items() as u64;
        match self.source {
            // A small file takes a block; the record of a task some hundred bytes.
            Source::Split(_) => (items * stages * 6000 * 2, items * stages * 2),
            Source::Copy(bytes) => (bytes * (stages + 2), 100),
        }
    }

    /// What the results of a [`Source::Split`] must be, computed here.
    pub fn expected(&self) -> Option<Fingerprint> {
        let Source::Split(items) = self.source else {
            return None;
        };
        let mut all = Fingerprint::default();
        if self.leaves_results() {
            for item in 1..=items {
                let mut text = format!("item {item}\n").into_bytes();
                self.stages.iter().for_each(|stage| stage.apply(&mut text));
                all.add(&text);
            }
        }
        Some(all)
    }
}

impl Stage {
    /// Its command, from the file `input` to the file `output`: words of a shell.
    pub fn command(self, input: &str, output: &str) -> String {
        match self {
            Self::Upper => format!("tr a-z A-Z < {input} > {output}"),
            Self::Piped => format!("tr a-z A-Z < {input} | cat > {output}"),
            Self::Checked => format!("tr a-z A-Z < {input} > {output}; test -s {output}"),
            Self::Rotate => format!("tr a-z b-za < {input} > {output}"),
            Self::Cat => format!("cat {input} > {output}"),
            Self::Nothing => ":".to_owned(),
        }
    }

    fn apply(self, text: &mut [u8]) {
        match self {
            Self::Upper | Self::Piped | Self::Checked => text.make_ascii_uppercase(),
            Self::Rotate => {
                for byte in text.iter_mut().filter(|byte| byte.is_ascii_lowercase()) {
                    *byte = b'a' + (*byte - b'a' + 1) % 26;
                }
            }
            Self::Cat | Self::Nothing => {}
        }
    }
}

/// A number for a multiset of blobs, whatever their order: the sum of their hashes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// How many.
    pub count: u64,
    sum: [u64; 4],
}

impl Fingerprint {
    /// Adds a blob.
    pub fn add(&mut self, bytes: &[u8]) {
        self.add_hash(&Sha256::digest(bytes).into());
    }

    /// Adds a blob by its SHA-256.
    pub fn add_hash(&mut self, hash: &[u8; 32]) {
        self.count += 1;
        for (lane, bytes) in self.sum.iter_mut().zip(hash.chunks_exact(8)) {
            let mut word = [0; 8];
            word.copy_from_slice(bytes);
            *lane = lane.wrapping_add(u64::from_le_bytes(word));
        }
    }
}
