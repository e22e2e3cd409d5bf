//! What is known of files that look as they did when they were read.

use std::collections::HashMap;

use crate::model::file::{Content, Stat};

/// Contents by what one sees of the file.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// What was recorded, sorted by device and number: of very many files that is little work, and
    /// most of them are asked for once.
    recorded: Vec<Recorded>,
    /// Of that, how much was asked for.
    used: usize,
    /// What was read by this process.
    read: HashMap<(u64, u64), Read>,
}

#[derive(Debug)]
struct Recorded {
    stat: Stat,
    content: Content,
    asked: bool,
}

#[derive(Debug)]
struct Read {
    stat: Stat,
    content: Content,
    /// Whether another change of the file would be seen: it is to be recorded.
    settled: bool,
}

fn key(stat: &Stat) -> (u64, u64) {
    (stat.device, stat.inode)
}

impl Known {
    /// From what was recorded.
    pub(crate) fn new(recorded: impl IntoIterator<Item = (Stat, Content)>) -> Self {
        let recorded = recorded.into_iter().map(|(stat, content)| Recorded {
            stat,
            content,
            asked: false,
        });
        let mut recorded: Vec<_> = recorded.collect();
        if !recorded.is_sorted_by_key(|one| key(&one.stat)) {
            recorded.sort_unstable_by_key(|one| key(&one.stat));
        }
        Self {
            recorded,
            ..Self::default()
        }
    }

    /// What is in a file that looks like this.
    pub(crate) fn get(&mut self, stat: &Stat) -> Option<&Content> {
        // Whoever was read looks another way than it is recorded.
        if !self.read.is_empty()
            && let Some(read) = self.read.get(&key(stat))
        {
            return (read.stat == *stat).then_some(&read.content);
        }
        let find = |one: &Recorded| key(&one.stat).cmp(&key(stat));
        let at = self.recorded.binary_search_by(find).ok()?;
        let one = &mut self.recorded[at];
        if one.stat != *stat {
            return None;
        }
        if !one.asked {
            one.asked = true;
            self.used += 1;
        }
        Some(&one.content)
    }

    /// Whether another change of a file that was found to look like this would be seen.
    pub(crate) fn is_settled(&self, stat: &Stat) -> bool {
        // What is recorded was.
        self.read.get(&key(stat)).is_none_or(|read| read.settled)
    }

    /// A file was read, not before `began` (nanoseconds since 1970).
    pub(crate) fn put(&mut self, stat: Stat, content: Content, began: i64) {
        let read = Read {
            settled: stat.is_settled(began),
            stat,
            content,
        };
        self.read.insert(key(&stat), read);
    }

    /// What is to be recorded, and whether in the place of all that was: most of that is of files
    /// that are gone or belong to nobody any more.
    pub(crate) fn to_record(&self) -> (Vec<(&Stat, &Content)>, bool) {
        let anew = self.recorded.len() > 1000 && self.used < self.recorded.len() / 2;
        let read = self.read.values().filter(|read| read.settled);
        let mut all: Vec<_> = read.map(|read| (&read.stat, &read.content)).collect();
        if anew {
            let is_read = |one: &&Recorded| self.read.contains_key(&key(&one.stat));
            let kept = self.recorded.iter().filter(|one| one.asked);
            let kept = kept.filter(|one| !is_read(one));
            all.extend(kept.map(|one| (&one.stat, &one.content)));
        }
        (all, anew)
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
        let all = (0..3000).map(|n| (stat(n), content("a")));
        let mut known = Known::new(all);
        for n in 0..1000 {
            known.get(&stat(n));
        }
        let (kept, anew) = known.to_record();
        assert!(anew);
        assert_eq!(kept.len(), 1000);
    }
}
