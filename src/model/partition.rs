//! A part of what comes in, of several that are as large as chance has it.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use crate::text::quoted;

/// One of some parts: `2/5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// Which one, from 1.
    which: u32,
    /// Of how many.
    of: u32,
}

impl Partition {
    /// Whether the entry with that identity is in it. Every entry is in one of the parts, whatever the
    /// others are, on every machine.
    pub fn has(self, identity: &str) -> bool {
        let hash = Sha256::digest(identity.as_bytes());
        let first = hash.iter().take(8);
        let number = first.fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        number % u64::from(self.of) == u64::from(self.which - 1)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.which, self.of)
    }
}

impl FromStr for Partition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORM: &str = "write K/N, as 2/5 for the second of five parts";
        let whole = quoted(text);
        let no_part = || format!("{whole} is no part: {FORM}");
        let (which, of) = text.split_once('/').ok_or_else(no_part)?;
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse::<u32>().ok()).flatten()
        };
        let (Some(which), Some(of)) = (number(which), number(of)) else {
            return Err(no_part());
        };
        match of {
            0 => Err(format!("{whole}: there is no part of none: {FORM}")),
            of if which == 0 => Err(format!("{whole}: parts count from 1, 1/{of} to {of}/{of}")),
            of if which > of => Err(format!(
                "{whole}: there are {of} parts, 1/{of} to {of}/{of}"
            )),
            of => Ok(Self { which, of }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_in_one_part() {
        for of in 1..=7_u32 {
            let parts: Vec<Partition> = (1..=of).map(|which| Partition { which, of }).collect();
            let mut sizes = vec![0; parts.len()];
            for entry in 0..700 {
                let identity = format!("file\tin/{entry}.txt");
                let at: Vec<usize> = (0..parts.len())
                    .filter(|at| parts[*at].has(&identity))
                    .collect();
                let [at] = at[..] else {
                    panic!("{identity} is in {at:?}");
                };
                sizes[at] += 1;
            }
            let least = 700 / parts.len() * 2 / 3;
            assert!(sizes.iter().all(|size| *size > least), "{sizes:?}");
        }
    }

    #[test]
    fn the_same_on_every_machine() {
        let part = |text: &str| text.parse::<Partition>().unwrap();
        // Its SHA-256 begins with 47d010695edfb6a5, which is 4 more than a multiple of 5.
        assert!(part("5/5").has("file\tin/a.txt"));
        assert_eq!(part("2/5").to_string(), "2/5");
    }

    #[test]
    fn what_is_no_part() {
        for (text, told) in [
            ("0/5", "parts count from 1, 1/5 to 5/5"),
            ("6/5", "there are 5 parts, 1/5 to 5/5"),
            ("1/0", "there is no part of none"),
            ("a/b", "write K/N"),
            ("", "write K/N"),
            ("2", "write K/N"),
            ("-1/5", "write K/N"),
            ("+1/5", "write K/N"),
            ("1/5/6", "write K/N"),
            ("1/5000000000", "write K/N"),
        ] {
            let error = text.parse::<Partition>().unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
