//! Whether colours are wanted.

use std::ffi::OsString;
use std::sync::{Mutex, MutexGuard, PoisonError};

use clap::ValueEnum;

/// When there are colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal that has them, unless the environment says otherwise.
    #[default]
    Auto,
    /// In files and pipes too.
    Always,
    /// Nowhere.
    Never,
}

/// What was asked for.
static ASKED: Mutex<When> = Mutex::new(When::Auto);

fn asked() -> MutexGuard<'static, When> {
    ASKED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on there are colours then.
pub(crate) fn ask(when: When) {
    *asked() = when;
}

/// Whether a stream of this process gets colours.
pub(super) fn wanted(has_them: bool) -> bool {
    decided(*asked(), &|name| std::env::var_os(name), has_them)
}

/// `has_them`: whether it is a terminal that shows them.
fn decided(asked: When, variable: &dyn Fn(&str) -> Option<OsString>, has_them: bool) -> bool {
    let value = |name| variable(name).filter(|value| !value.is_empty());
    match asked {
        When::Always => true,
        When::Never => false,
        // <https://no-color.org>, and what <https://bixense.com/clicolors> adds to it.
        When::Auto if value("NO_COLOR").is_some() => false,
        When::Auto if value("CLICOLOR_FORCE").is_some_and(|value| value != "0") => true,
        When::Auto if value("CLICOLOR").is_some_and(|value| value == "0") => false,
        When::Auto => has_them,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_wins_over_the_environment_and_that_over_the_terminal() {
        let decided = |asked, set: &str, has_them| {
            let variable = |name: &str| {
                let mut all = set.split(' ').filter_map(|one| one.split_once('='));
                all.find(|(one, _)| *one == name)
                    .map(|(_, value)| value.into())
            };
            decided(asked, &variable, has_them)
        };
        for (asked, set, has_them, wanted) in [
            (When::Auto, "", true, true),
            (When::Auto, "", false, false),
            (When::Auto, "NO_COLOR=1", true, false),
            (When::Auto, "NO_COLOR=", true, true),
            (When::Auto, "CLICOLOR_FORCE=1", false, true),
            (When::Auto, "CLICOLOR_FORCE=0", false, false),
            (When::Auto, "CLICOLOR_FORCE=", false, false),
            (When::Auto, "CLICOLOR=0", true, false),
            (When::Auto, "CLICOLOR=1", true, true),
            (When::Auto, "NO_COLOR=1 CLICOLOR_FORCE=1", true, false),
            (When::Always, "NO_COLOR=1", false, true),
            (When::Never, "CLICOLOR_FORCE=1", true, false),
        ] {
            assert_eq!(decided(asked, set, has_them), wanted, "{asked:?} {set:?}");
        }
    }
}
