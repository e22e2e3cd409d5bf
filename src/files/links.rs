//! Links on the way to files: whoever swaps one changes what a path leads to, and no file.

use rustix::fs::FileType;

use super::target::{Found, FoundFolder};
use super::{Root, stat};
use crate::model::file::Stat;
use crate::sys;

/// A link, as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    /// Below the root, or from the top.
    pub path: Box<[u8]>,
    /// How it looked itself.
    pub stat: Stat,
}

/// More than the system follows.
const MOST: usize = 40;

/// Notes the links that are followed on the way to `path`, those behind others too, and the folders. Of
/// its first `known` bytes that was done already.
pub(super) fn note(
    root: &Root,
    path: &[u8],
    known: usize,
    (links, ways): (&mut Vec<Link>, &mut Vec<FoundFolder>),
) {
    let mut at = path[..known].to_vec();
    let mut ahead = names(&path[known..]);
    let mut followed = 0;
    while let Some(name) = ahead.pop() {
        let length = at.len();
        if !at.is_empty() && !at.ends_with(b"/") {
            at.push(b'/');
        }
        at.extend(name);
        let Ok((kind, seen)) = sys::seen_itself_at(root.fd(), &*at) else {
            return;
        };
        if kind == FileType::Directory && ways.last().is_none_or(|way| *way.path != *at) {
            ways.push(Found {
                path: at.as_slice().into(),
                stat: stat(&seen),
            });
        }
        if kind != FileType::Symlink {
            continue;
        }
        followed += 1;
        let target = rustix::fs::readlinkat(root.fd(), &*at, Vec::new());
        links.push(Link {
            path: at.as_slice().into(),
            stat: stat(&seen),
        });
        let Ok(target) = target else {
            return;
        };
        if followed > MOST {
            return;
        }
        let target = target.as_bytes();
        at.truncate(length);
        if target.starts_with(b"/") {
            at = b"/".to_vec();
        }
        ahead.extend(names(target));
    }
}

/// Those in a path, the first one last.
fn names(path: &[u8]) -> Vec<Vec<u8>> {
    let names = path.split(|byte| *byte == b'/').rev();
    let names = names.filter(|name| !name.is_empty() && *name != b".");
    names.map(<[u8]>::to_vec).collect()
}
