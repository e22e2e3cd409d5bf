//! Which variables of a task a text mentions, a program too, whatever its size.

use std::collections::BTreeSet;

use crate::model::task::{INPUT_DIR, WITH_DIR, WITH_FILE};

/// Beginnings of the variables that only some tasks have, or that differ from task to task.
const PREFIXES: [&[u8]; 5] = [
    b"TASK_PIPELINE_",
    PARAM.as_bytes(),
    INPUT_DIR.as_bytes(),
    WITH_DIR.as_bytes(),
    WITH_FILE.as_bytes(),
];
const PARAM: &str = "PARAM_";
/// Parameters of one file that are kept; a file that mentions more is a list of them, and no script.
const MOST: usize = 200;
/// Bytes of a name.
const LONGEST: usize = 128;

/// Gathers them, piece by piece.
#[derive(Debug, Default)]
pub struct Mentions {
    found: [BTreeSet<Box<str>>; PREFIXES.len()],
    /// The end of what came, in which a name may have begun.
    rest: Vec<u8>,
}

impl Mentions {
    /// The next piece of the text.
    pub fn add(&mut self, piece: &[u8]) {
        self.rest.extend(piece);
        let read = self.scan(false);
        self.rest.drain(..read);
    }

    /// That was all: the names, sorted, each once, with a space between them.
    pub fn end(mut self) -> String {
        self.scan(true);
        let mut all: Vec<Box<str>> = self.found.into_iter().flatten().collect();
        all.sort_unstable();
        all.join(" ")
    }

    /// How much of the rest is done with.
    fn scan(&mut self, last: bool) -> usize {
        let ahead = if last { 0 } else { LONGEST };
        let end = self.rest.len().saturating_sub(ahead);
        for at in 0..end {
            if !matches!(self.rest[at], b'T' | b'P' | b'I' | b'W') {
                continue;
            }
            let rest = &self.rest[at..];
            let Some(kind) = PREFIXES.iter().position(|word| rest.starts_with(word)) else {
                continue;
            };
            let letters = rest.iter().take(LONGEST);
            let length = letters
                .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
                .count();
            let found = &mut self.found[kind];
            if let Ok(name) = std::str::from_utf8(&rest[..length])
                && (found.len() < MOST || PREFIXES[kind] != PARAM.as_bytes())
                && !found.contains(name)
            {
                found.insert(name.into());
            }
        }
        end
    }
}

/// Those that a whole text mentions.
pub fn mentioned(text: &[u8]) -> String {
    let mut mentions = Mentions::default();
    mentions.add(text);
    mentions.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_a_task_are_found() {
        let text =
            b"PPARAM_x $INPUT_DIR/x $TASK_PIPELINE_KEY:${PARAM_y2}PARAM_\xff TASK_PIPELINE_KEY";
        let found = "INPUT_DIR PARAM_ PARAM_x PARAM_y2 TASK_PIPELINE_KEY";
        assert_eq!(mentioned(text), found);
        assert_eq!(mentioned(b"TASK_PIPELIN PARA"), "");
        // However it comes.
        for size in [1, 7, 64] {
            let mut mentions = Mentions::default();
            text.chunks(size).for_each(|piece| mentions.add(piece));
            assert_eq!(mentions.end(), found, "{size}");
        }
    }

    #[test]
    fn a_list_of_parameters_hides_no_other_variable() {
        let list = |word: &str| {
            let names = (0..300).map(|n| format!("{word}{n}"));
            names.collect::<Vec<_>>().join(" ")
        };
        let found = mentioned(format!("{} TASK_PIPELINE_INPUT_NAME", list("PARAM_")).as_bytes());
        assert!(found.ends_with(" TASK_PIPELINE_INPUT_NAME"), "{found}");
        // Nor a list of whatever begins like one.
        let names = list("TASK_PIPELINE_");
        let found = mentioned(format!("{names} TASK_PIPELINE_INPUT_NAME").as_bytes());
        assert!(found.ends_with(" TASK_PIPELINE_INPUT_NAME"), "{found}");
    }
}
