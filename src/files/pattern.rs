//! What a pattern means to the names in a folder.

use crate::model::glob::Part;

/// What of a pattern is still to come in a folder.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rest {
    /// Nothing: all that is in it is meant.
    All,
    /// One of these parts of the pattern, by their numbers.
    Parts(u64),
}

/// What a name in a folder means to a pattern.
pub(super) struct Meaning {
    /// A file of that name is meant.
    pub file: bool,
    /// In a folder of that name, what is still to come.
    pub folder: Option<Rest>,
}

impl Meaning {
    /// A file is meant, and all that is in a folder.
    pub(super) const ALL: Self = Self {
        file: true,
        folder: Some(Rest::All),
    };

    /// Nothing is meant.
    const NONE: Self = Self {
        file: false,
        folder: None,
    };
}

/// Where Python puts what it makes of sources while it runs them: no dependency of anything, and to take
/// it for one would fail each task that makes it. Found where a pattern names it.
const MADE: &[u8] = b"__pycache__";

/// The parts of one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pattern<'a>(pub &'a [Part]);

impl<'a> Pattern<'a> {
    /// With `**` it may be over as well.
    pub(super) fn expand(&self, parts: u64) -> Rest {
        let mut all = parts;
        for (at, part) in self.0.iter().enumerate() {
            if matches!(part, Part::Deep) && all >> at & 1 == 1 {
                all |= 1 << (at + 1);
            }
        }
        Rest::Parts(all)
    }

    /// What a name means in a folder in which this is still to come.
    pub(super) fn meaning(&self, rest: Rest, name: &[u8]) -> Meaning {
        let Rest::Parts(rest) = rest else {
            return if name == MADE {
                Meaning::NONE
            } else {
                Meaning::ALL
            };
        };
        let (mut file, mut all, mut next) = (false, false, 0);
        let last = self.0.len() - 1;
        for (at, part) in self.0.iter().enumerate() {
            if rest >> at & 1 == 0 {
                continue;
            }
            let (matches, stays) = match part {
                Part::Deep => {
                    let shown = name.first() != Some(&b'.') && name != MADE;
                    (shown && at == last, shown)
                }
                Part::Name(known) => (known.as_bytes() == name, false),
                Part::Some(some) => (some.matches(name), false),
            };
            if stays {
                next |= 1 << at;
            }
            if matches && at == last {
                file = true;
                all |= matches!(part, Part::Name(_));
            } else if matches {
                next |= 1 << (at + 1);
            }
        }
        let folder = match (all, next) {
            (true, _) => Some(Rest::All),
            (false, 0) => None,
            (false, next) => Some(self.expand(next)),
        };
        Meaning { file, folder }
    }

    /// The names that are known, if nothing else is to be looked for.
    pub(super) fn names(&self, rest: Rest) -> Option<Vec<&'a str>> {
        let Rest::Parts(rest) = rest else {
            return None;
        };
        let parts = self.0.iter().enumerate();
        let wanted = parts.filter(|(at, _)| rest >> at & 1 == 1);
        wanted
            .map(|(_, part)| match part {
                Part::Name(name) => Some(&**name),
                Part::Some(_) | Part::Deep => None,
            })
            .collect()
    }
}
