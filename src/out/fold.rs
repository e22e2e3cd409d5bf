//! What a CI shows of a message that can be folded away.

use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::text;

/// Lines behind the first from which on a message is folded.
pub(super) const LONG: usize = 3;

/// A message as a section of GitLab's job log: its first line is the section's head. `time`: seconds since 1970.
pub(super) fn section(first: &str, rest: &str, time: u64) -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    // Another one for each, also of the other processes of the job.
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("failed_{}_{number}", process::id());
    format!(
        "\u{1b}[0Ksection_start:{time}:{name}\r\u{1b}[0K{first}{rest}\u{1b}[0Ksection_end:{time}:{name}\r\u{1b}[0K\n"
    )
}

/// The command that begins a group with that title.
pub(super) fn group(title: &str) -> String {
    let title = text::plain(title);
    let title = text::visible(title.trim_end());
    let mut data = String::new();
    for (at, character) in title.char_indices() {
        data.push(character);
        // Some runners take escapes back, and others do not: so there are only those that there have to be.
        let escape = ["%25", "%0A", "%0D"];
        let rest = title.get(at..at + 3).unwrap_or_default();
        if escape.iter().any(|one| one.eq_ignore_ascii_case(rest)) {
            data.push_str("25");
        }
    }
    format!("::group::{data}\n")
}

/// The command that ends it.
pub(super) const END_OF_GROUP: &str = "::endgroup::\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_a_title_of_one_line() {
        assert_eq!(
            group("\u{1b}[31ma #1: 50% of 7%0aB\u{1b}[0m\n"),
            "::group::a #1: 50% of 7%250aB\n"
        );
    }

    #[test]
    fn each_section_has_a_name_of_its_own() {
        let name = || {
            let text = section("head\n", "1\n2\n", 7);
            let mut parts = text.split(':');
            assert_eq!(parts.next(), Some("\u{1b}[0Ksection_start"));
            assert_eq!(parts.next(), Some("7"));
            let name = parts.next().unwrap().split('\r').next().unwrap().to_owned();
            let end = format!("1\n2\n\u{1b}[0Ksection_end:7:{name}\r\u{1b}[0K\n");
            assert!(text.ends_with(&end), "{text:?}");
            assert!(text.contains("\r\u{1b}[0Khead\n"), "{text:?}");
            name
        };
        let names = [name(), name()];
        assert_ne!(names[0], names[1]);
        let passes = |c: char| c.is_ascii_alphanumeric() || c == '_';
        assert!(names.iter().all(|name| name.chars().all(passes)));
    }
}
