//! What is known of files that look as they did when they were read.

use std::collections::HashMap;

use crate::model::file::{Content, Stat};

/// Contents by what one sees of the file.
#[derive(Debug, Default)]
pub(crate) struct Known {
    contents: HashMap<(u64, u64), Entry>,
    /// Of those that came from the record, how many were asked for.
    used: usize,
    recorded: usize,
}

#[derive(Debug)]
struct Entry {
    stat: Stat,
    content: Content,
    from: From,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    /// What was recorded, and nobody asked for.
    Record,
    /// What was recorded, and somebody asked for.
    Asked,
    /// What was read by this process, and is to be recorded.
    Read,
    /// The same, so soon after a change that the next one may not be seen.
    TooSoon,
}

impl Known {
    /// From what was recorded.
    pub(crate) fn new(recorded: Vec<(Stat, Content)>) -> Self {
        let entry = |(stat, content): (Stat, Content)| {
            let from = From::Record;
            let entry = Entry {
                stat,
                content,
                from,
            };
            ((stat.device, stat.inode), entry)
        };
        let contents: HashMap<_, _> = recorded.into_iter().map(entry).collect();
        Self {
            recorded: contents.len(),
            contents,
            used: 0,
        }
    }

    /// What is in a file that looks like this.
    pub(crate) fn get(&mut self, stat: &Stat) -> Option<&Content> {
        let entry = self.contents.get_mut(&(stat.device, stat.inode))?;
        if entry.stat != *stat {
            return None;
        }
        if entry.from == From::Record {
            entry.from = From::Asked;
            self.used += 1;
        }
        Some(&entry.content)
    }

    /// A file was read, not before `began` (nanoseconds since 1970).
    pub(crate) fn put(&mut self, stat: Stat, content: Content, began: i64) {
        let from = if stat.is_settled(began) {
            From::Read
        } else {
            From::TooSoon
        };
        let entry = Entry {
            stat,
            content,
            from,
        };
        self.contents.insert((stat.device, stat.inode), entry);
    }

    /// What is to be recorded, and whether in the place of all that was: most of that is of files
    /// that are gone or belong to nobody any more.
    pub(crate) fn to_record(&self) -> (Vec<(&Stat, &Content)>, bool) {
        let anew = self.recorded > 1000 && self.used < self.recorded / 2;
        let wanted = |from| match from {
            From::Read => true,
            From::Asked => anew,
            From::Record | From::TooSoon => false,
        };
        let entries = self.contents.values();
        let entries = entries.filter(|entry| wanted(entry.from));
        (
            entries.map(|entry| (&entry.stat, &entry.content)).collect(),
            anew,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;

    const NOW: i64 = 1_000_000_000_000;

    fn stat(inode: u64) -> Stat {
        Stat {
            device: 1,
            inode,
            size: 3,
            modified: 0,
            changed: 0,
            executable: false,
        }
    }

    fn content(text: &str) -> Content {
        Content {
            digest: Digest::of(text.as_bytes()),
            mentions: "".into(),
        }
    }

    #[test]
    fn what_looks_another_way_is_not_known() {
        let mut known = Known::new(vec![(stat(1), content("a"))]);
        assert_eq!(known.get(&stat(1)), Some(&content("a")));
        for other in [
            Stat { size: 4, ..stat(1) },
            Stat {
                executable: true,
                ..stat(1)
            },
            Stat {
                changed: 1,
                ..stat(1)
            },
            stat(2),
        ] {
            assert_eq!(known.get(&other), None);
        }
        assert_eq!(known.to_record(), (Vec::new(), false));
    }

    #[test]
    fn what_was_read_too_soon_is_known_now_and_not_recorded() {
        let mut known = Known::default();
        known.put(stat(1), content("a"), NOW);
        let soon = Stat {
            changed: NOW - 1_000_000_000,
            ..stat(2)
        };
        known.put(soon, content("b"), NOW);
        assert!(known.get(&soon).is_some());
        assert_eq!(known.to_record().0, [(&stat(1), &content("a"))]);
    }

    #[test]
    fn what_nobody_asks_for_goes_once_it_is_most() {
        let all = (0..3000).map(|n| (stat(n), content("a"))).collect();
        let mut known = Known::new(all);
        for n in 0..1000 {
            known.get(&stat(n));
        }
        let (kept, anew) = known.to_record();
        assert!(anew);
        assert_eq!(kept.len(), 1000);
    }
}
