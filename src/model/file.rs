//! What one can see of a file without reading it, and what was found when it was read.

use crate::model::digest::Digest;

/// What a look at a file or folder tells: as long as this is the same, so is what is in it, unless
/// the look was too soon after a change ([`Stat::is_settled`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stat {
    /// The device that it is on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// In bytes.
    pub size: u64,
    /// When its bytes last changed, or what a program has set: nanoseconds since 1970.
    pub modified: i64,
    /// When it last changed in any way, which no program can set: nanoseconds since 1970.
    pub changed: i64,
    /// Whether it can be executed.
    pub executable: bool,
}

/// The nanoseconds in which a second change may leave a file's times as they were: some file systems
/// count in two seconds.
const GRAIN: i64 = 2_000_000_000;

/// Bytes of the recorded form.
const LENGTH: usize = 41;

impl Stat {
    /// Whether whatever is done to the file after `now` (nanoseconds since 1970) shows in its times.
    pub fn is_settled(&self, now: i64) -> bool {
        let soon = now.saturating_sub(GRAIN)..now.saturating_add(GRAIN);
        // What was set to lie far ahead says nothing.
        self.changed < soon.start && !soon.contains(&self.modified)
    }

    /// Whether a folder that looked like `old` is another one, or was moved away and back: that changes its
    /// change time alone. What comes and goes in it changes that of its content, too.
    pub fn was_moved(&self, old: &Self) -> bool {
        (self.device, self.inode) != (old.device, old.inode)
            || self.changed != old.changed && self.modified == old.modified
    }

    /// The recorded form.
    pub fn to_bytes(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        let numbers = [
            self.device,
            self.inode,
            self.size,
            self.modified.cast_unsigned(),
            self.changed.cast_unsigned(),
        ];
        for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes[LENGTH - 1] = u8::from(self.executable);
        bytes
    }

    /// What [`Stat::to_bytes`] gave.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; LENGTH] = bytes.try_into().ok()?;
        let number = |at: usize| {
            let mut number = [0; 8];
            number.copy_from_slice(&bytes[at * 8..][..8]);
            u64::from_le_bytes(number)
        };
        Some(Self {
            device: number(0),
            inode: number(1),
            size: number(2),
            modified: number(3).cast_signed(),
            changed: number(4).cast_signed(),
            executable: bytes[LENGTH - 1] != 0,
        })
    }
}

/// What was found in a file when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Of its bytes.
    pub digest: Digest,
    /// The variables of a task that it mentions ([`super::mention`]), with a space between them.
    pub mentions: Box<str>,
}

/// A file that is an object where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lent {
    /// From the top.
    pub path: std::path::PathBuf,
    /// How it looked when it was read.
    pub stat: Stat,
    /// Whether another change of the file would be seen by that ([`Stat::is_settled`]).
    pub settled: bool,
}

/// Of files up to this size (bytes) the object store has the bytes.
pub const KEPT: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: Stat = Stat {
        device: 7,
        inode: u64::MAX,
        size: 12,
        modified: -5,
        changed: 100 * 1_000_000_000,
        executable: true,
    };

    #[test]
    fn the_recorded_form_goes_both_ways() {
        assert_eq!(Stat::from_bytes(&STAT.to_bytes()), Some(STAT));
        assert_eq!(Stat::from_bytes(&STAT.to_bytes()[1..]), None);
    }

    #[test]
    fn a_file_that_changed_just_now_may_change_unseen() {
        let seconds = |n: i64| n * 1_000_000_000;
        assert!(!STAT.is_settled(seconds(101)));
        assert!(STAT.is_settled(seconds(103)));
        // Somebody has set the clock back since.
        assert!(!STAT.is_settled(seconds(50)));
        let ahead = Stat {
            modified: seconds(5000),
            ..STAT
        };
        assert!(ahead.is_settled(seconds(103)));
        assert!(!ahead.is_settled(seconds(4999)));
    }
}
