//! What a file system may keep when the power goes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::record::{Deed, Recording};

/// Bytes that a disk writes at once, or not at all.
const SECTOR: usize = 512;

/// What is kept of that which was not synced.
#[derive(Debug, Clone, Copy)]
pub enum Luck {
    /// Nothing.
    Nothing,
    /// All.
    Everything,
    /// What the database wrote; of objects a part, or just their names.
    Rows,
    /// Objects only.
    Objects,
    /// Any of it, in parts, by this seed.
    Random(u64),
}

impl Luck {
    /// One after the other.
    pub fn nth(nth: usize) -> Self {
        match nth {
            0 => Self::Nothing,
            1 => Self::Everything,
            2 => Self::Rows,
            3 => Self::Objects,
            _ => Self::Random(nth as u64),
        }
    }
}

/// What is on the disk.
#[derive(Debug, Default)]
pub struct Remains {
    files: BTreeMap<String, Vec<u8>>,
}

/// Numbers that look random: the generator `SplitMix64` of Steele, Lea and Flood.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

impl Remains {
    /// What is left of a run whose objects are in a folder.
    pub fn at(recording: &Recording, moment: usize, luck: Luck, objects: &Path) -> Self {
        let mut remains = Self::default();
        // The first file of the folder: no file system keeps later ones without its name.
        remains.files.insert("db".to_owned(), Vec::new());
        let mut numbers = Numbers(match luck {
            Luck::Random(seed) => seed,
            _ => moment as u64,
        });
        for (deed, is_kept) in recording.until(moment) {
            if let Deed::Object { name } = deed {
                let whole = || fs::read(objects.join(name)).unwrap();
                let left = match luck {
                    _ if is_kept => Some(whole()),
                    Luck::Everything | Luck::Objects => Some(whole()),
                    Luck::Nothing => None,
                    Luck::Rows | Luck::Random(_) => part(whole(), &mut numbers),
                };
                let name = format!("objects/{name}");
                if let Some(bytes) = left {
                    remains.files.insert(name, bytes);
                }
                continue;
            }
            if let Deed::Gone { name } = deed {
                let goes = match luck {
                    Luck::Everything | Luck::Objects => true,
                    Luck::Nothing | Luck::Rows => is_kept,
                    Luck::Random(_) => is_kept || numbers.below(2) == 0,
                };
                if goes {
                    remains.files.remove(&format!("objects/{name}"));
                }
                continue;
            }
            match luck {
                _ if is_kept => remains.apply(deed),
                Luck::Everything | Luck::Rows => remains.apply(deed),
                Luck::Nothing | Luck::Objects => {}
                Luck::Random(_) => remains.apply_in_parts(deed, &mut numbers),
            }
        }
        remains
    }

    fn apply(&mut self, deed: &Deed) {
        match deed {
            Deed::Write { file, at, bytes } => {
                let content = self.files.entry(file.clone()).or_default();
                content.resize(content.len().max(at + bytes.len()), 0);
                content[*at..at + bytes.len()].copy_from_slice(bytes);
            }
            Deed::Cut { file, length } => {
                self.files
                    .entry(file.clone())
                    .or_default()
                    .resize(*length, 0);
            }
            Deed::Remove { file } => {
                self.files.remove(file);
            }
            Deed::Object { .. } | Deed::Gone { .. } => {}
        }
    }

    /// The same, or some sectors of it, or nothing.
    fn apply_in_parts(&mut self, deed: &Deed, numbers: &mut Numbers) {
        let Deed::Write { file, at, bytes } = deed else {
            if numbers.below(2) == 0 {
                self.apply(deed);
            }
            return;
        };
        match numbers.below(4) {
            0 => {}
            1 | 2 => self.apply(deed),
            _ => {
                let mut at = *at;
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let length = (SECTOR - at % SECTOR).min(rest.len());
                    if numbers.below(2) == 0 {
                        let bytes = rest[..length].to_vec();
                        let file = file.clone();
                        self.apply(&Deed::Write { file, at, bytes });
                    }
                    at += length;
                    rest = &rest[length..];
                }
            }
        }
    }

    /// Makes these files in a folder.
    pub fn lay_out(&self, folder: &Path) {
        for (name, bytes) in &self.files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, bytes).unwrap();
            if name.starts_with("objects/") {
                let mut mode = fs::metadata(&path).unwrap().permissions();
                mode.set_readonly(true);
                fs::set_permissions(&path, mode).unwrap();
            }
        }
    }
}

/// An object that was not synced: whole, gone, empty, zeros, or its beginning.
fn part(whole: Vec<u8>, numbers: &mut Numbers) -> Option<Vec<u8>> {
    match numbers.below(5) {
        0 => Some(whole),
        1 => None,
        2 => Some(Vec::new()),
        3 => Some(vec![0; whole.len()]),
        _ => Some(whole[..whole.len() / 2].to_vec()),
    }
}
