//! What changed in files: from their lists, and from their bytes as far as these are at hand.

use std::collections::HashMap;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use super::Root;
use crate::model::digest::Digest;
use crate::model::file::KEPT;
use crate::model::identity::{Change, FileChanges};
use crate::model::tree::{self, Difference, Entry, differing};
use crate::store::Reader;
use crate::text::amount::count;
use crate::text::diff;

/// Lists of files and their bytes.
#[derive(Debug)]
pub(crate) struct Texts {
    store: Reader,
    /// Where files are that may not be in the store yet.
    root: Option<Arc<Root>>,
    /// Lists that may not be there.
    trees: HashMap<Digest, String>,
}

/// Lines that are shown of one file, and of all.
const SHOWN: usize = 200;

impl Texts {
    /// Those in the store.
    pub(crate) fn new(store: Reader) -> Self {
        Self {
            store,
            root: None,
            trees: HashMap::new(),
        }
    }

    /// Also these files as they are now.
    pub(crate) fn add(&mut self, root: &Arc<Root>, digest: Digest, tree: String) {
        self.root = Some(Arc::clone(root));
        self.trees.insert(digest, tree);
    }

    /// Also the lists and files of another.
    pub(crate) fn extend(&mut self, other: &Self) {
        self.root = self.root.take().or_else(|| other.root.clone());
        let trees = other.trees.iter();
        self.trees
            .extend(trees.map(|(digest, tree)| (*digest, tree.clone())));
    }

    /// Names the files that changed, in the words for a change.
    pub(crate) fn name(&self, changes: &mut [Change]) {
        for change in changes {
            if let Change::Files(changes) = change {
                self.name_files(changes);
            }
        }
    }

    /// What changed in the files, which are named as well.
    pub(crate) fn lines(&self, changes: &mut FileChanges) -> Vec<String> {
        self.name_files(changes);
        let Some((new, old)) = self.lists(changes) else {
            return vec!["what their list was is not stored any more".to_owned()];
        };
        let differing = differing(&new, &old);
        let mut lines = Vec::new();
        for one in &differing {
            if lines.len() >= SHOWN {
                lines.push("…".to_owned());
                break;
            }
            lines.push(format!("{}:", told(one.name, one.how)));
            let text = |entry: Option<&Entry>| match entry {
                None => Ok(String::new()),
                Some(entry) => self.text(entry),
            };
            if one.how == Difference::Mode {
                continue;
            }
            match (text(one.old), text(one.new)) {
                (Ok(old), Ok(new)) => {
                    let mut all = diff::unified(&old, &new);
                    if all.len() > SHOWN {
                        let more = all.len() - SHOWN;
                        all.truncate(SHOWN);
                        all.push(format!("… and {}", count(more, "more line")));
                    }
                    lines.extend(all.into_iter().map(|line| format!("  {line}")));
                }
                (Err(why), _) | (_, Err(why)) => {
                    let hash = |entry: Option<&Entry>| {
                        entry.map(|entry| entry.digest.hex()[..8].to_owned())
                    };
                    let old = hash(one.old).map(|hash| format!("  - {hash} ({why})"));
                    let new = hash(one.new).map(|hash| format!("  + {hash} ({why})"));
                    lines.extend(old.into_iter().chain(new));
                }
            }
        }
        lines
    }

    fn name_files(&self, changes: &mut FileChanges) {
        let Some((new, old)) = self.lists(changes) else {
            return;
        };
        let differing = differing(&new, &old);
        changes.names = differing
            .iter()
            .map(|one| told(one.name, one.how))
            .collect();
    }

    fn lists(&self, changes: &FileChanges) -> Option<(Vec<Entry>, Vec<Entry>)> {
        let list = |digest: Option<Digest>| match digest {
            None => Some(Vec::new()),
            Some(digest) => self.tree(&digest),
        };
        Some((list(changes.new)?, list(changes.old)?))
    }

    fn tree(&self, digest: &Digest) -> Option<Vec<Entry>> {
        match self.trees.get(digest) {
            Some(tree) => tree::read(tree.as_bytes()),
            None => tree::read(&self.stored(digest)?),
        }
    }

    /// The text of a file, or why it is not to be had.
    fn text(&self, entry: &Entry) -> Result<String, &'static str> {
        let stored = match self.store.size_of(&entry.digest) {
            Some(size) if size <= KEPT => self.stored(&entry.digest),
            Some(_) | None => None,
        };
        let bytes = stored.or_else(|| self.on_host(entry));
        let bytes = bytes.ok_or("not stored: larger than 1 MiB, or removed")?;
        String::from_utf8(bytes).map_err(|_| "no text")
    }

    fn stored(&self, digest: &Digest) -> Option<Vec<u8>> {
        use std::io::Read as _;
        let mut bytes = Vec::new();
        let mut file = self.store.open_verified(digest).ok()?;
        file.read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// The bytes of a file that is as it is in the list.
    fn on_host(&self, entry: &Entry) -> Option<Vec<u8>> {
        use std::io::Read as _;
        let root = self.root.as_ref()?;
        let how = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(root.fd(), &*entry.name, how, Mode::empty());
        let file = std::fs::File::from(opened.ok()?);
        let mut bytes = Vec::new();
        file.take(KEPT + 1).read_to_end(&mut bytes).ok()?;
        (Digest::of(&bytes) == entry.digest).then_some(bytes)
    }
}

/// A file and what happened to it.
pub(super) fn told(name: &str, how: Difference) -> String {
    match how {
        Difference::Changed => name.to_owned(),
        Difference::Added => format!("{name} added"),
        Difference::Removed => format!("{name} removed"),
        Difference::Mode => format!("{name} can be executed now, or no longer"),
    }
}
