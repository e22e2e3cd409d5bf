//! Where a command line has got to, and what can stand there.

use clap::builder::{PossibleValue, StyledStr};
use clap::{Arg, ArgAction, Command, ValueHint};

use super::known::{Kind, Known};
use super::{Offer, known};
use crate::cli::words::takes_several;

/// What can stand in the place of the last word.
pub(super) fn offers(root: &Command, known: &mut Known, words: &[String]) -> Vec<Offer> {
    let Some((last, before)) = words.split_last() else {
        return Vec::new();
    };
    let mut cursor = Cursor::new(root);
    before.iter().for_each(|word| cursor.pass(word, known));
    let mut offers = cursor.at(last, known);
    let start = match last.split_once('=') {
        Some((_, value)) if last.starts_with('-') && cursor.dashes.is_none() => value,
        _ => last,
    };
    offers.retain(|offer| match offer {
        Offer::Word(word, _) => word.starts_with(start),
        Offer::Files | Offer::Folders | Offer::Commands | Offer::FilesBehind => true,
    });
    offers
}

struct Cursor<'c> {
    root: &'c Command,
    command: &'c Command,
    /// The option whose value comes next.
    option: Option<&'c Arg>,
    /// The option that can have more values than it has.
    more: Option<&'c Arg>,
    /// Those that stand before.
    given: Vec<&'c Arg>,
    /// Words that stand before and are neither options nor their values.
    positionals: Vec<String>,
    /// Whether `run` does, which is `-run`.
    run: bool,
    /// How many of them stand before `--`, if that does.
    dashes: Option<usize>,
}

impl<'c> Cursor<'c> {
    fn new(root: &'c Command) -> Self {
        Self {
            root,
            command: root,
            option: None,
            more: None,
            given: Vec::new(),
            positionals: Vec::new(),
            run: false,
            dashes: None,
        }
    }

    fn pass(&mut self, word: &str, known: &mut Known) {
        let is_option = self.dashes.is_none() && word.len() > 1 && word.starts_with('-');
        if let Some(option) = self.option.take()
            && !(is_option && can_go_without(option))
        {
            known.told(option, word);
            self.more = takes_several(option).then_some(option);
        } else if is_option {
            self.dashes = (word == "--").then_some(self.positionals.len());
            self.more = None;
            let (name, value) = word
                .split_once('=')
                .map_or((word, None), |(name, value)| (name, Some(value)));
            let Some(option) = self.named(name) else {
                return;
            };
            self.given.push(option);
            if takes_value(option) {
                self.option = Some(option);
                if let Some(value) = value {
                    self.pass(value, known);
                }
            }
        } else if self.more.is_some() {
            // One more of its values.
        } else if self.command.get_name() == "help"
            || std::ptr::eq(self.command, self.root) && self.positionals.is_empty()
        {
            self.run |= word == "run";
            match self.command.find_subcommand(word) {
                Some(subcommand) => self.command = subcommand,
                None => self.positionals.push(word.to_owned()),
            }
        } else {
            self.positionals.push(word.to_owned());
        }
    }

    /// The option called `-name` or `--name`.
    fn named(&self, name: &str) -> Option<&'c Arg> {
        let name = name.trim_start_matches('-');
        let own = |command: &'c Command| {
            let mut options = command.get_arguments().filter(|arg| !arg.is_positional());
            options.find(|option| {
                option.get_long() == Some(name)
                    || option
                        .get_short()
                        .is_some_and(|short| name.chars().eq([short]))
            })
        };
        own(self.command)
    }

    /// What `word` can become.
    fn at(&self, word: &str, known: &Known) -> Vec<Offer> {
        let is_option = self.dashes.is_none() && word.starts_with('-');
        if let Some(option) = self.option
            && !(is_option && can_go_without(option))
        {
            return self.values(option, word, known);
        }
        if is_option && let Some((name, value)) = word.split_once('=') {
            let option = self.named(name).filter(|option| takes_value(option));
            return option.map_or_else(Vec::new, |option| self.values(option, value, known));
        }
        if is_option {
            return self.options(if word.starts_with("--") { "--" } else { "-" });
        }
        if let Some(option) = self.option.or(self.more) {
            return self.values(option, word, known);
        }
        let mut offers = self.subcommands();
        if let Some(positional) = self.positional() {
            offers.extend(self.values(positional, word, known));
        }
        offers
    }

    /// Where the next word stands that is neither an option nor a value of one.
    fn positional(&self) -> Option<&'c Arg> {
        let behind_dashes = |arg: &&Arg| arg.is_last_set();
        if self.dashes.is_some()
            && let Some(last) = self.command.get_positionals().find(behind_dashes)
        {
            return Some(last);
        }
        let before = || {
            self.command
                .get_positionals()
                .filter(|arg| !arg.is_last_set())
        };
        let last = || before().last().filter(|last| takes_several(last));
        before().nth(self.positionals.len()).or_else(last)
    }

    /// Those with which what is given goes.
    fn subcommands(&self) -> Vec<Offer> {
        let is_root = std::ptr::eq(self.command, self.root);
        if is_root && (self.run || !self.positionals.is_empty() || self.dashes.is_some()) {
            return Vec::new();
        }
        let own = |command: &Command| -> Vec<String> {
            let options = command.get_arguments().filter_map(Arg::get_long);
            options.map(str::to_owned).collect()
        };
        let fits = |command: &&Command| {
            let has = own(command);
            let of_root = |option: &&&Arg| !option.is_global_set();
            let given = self.given.iter().filter(of_root);
            let mut given = given.filter_map(|option| option.get_long());
            !is_root || given.all(|option| has.iter().any(|own| own == option))
        };
        let others = self.command.get_subcommands();
        let others = others.filter(|one| !one.is_hide_set()).filter(fits);
        let others = others.map(|one| Offer::word(one.get_name(), line(one.get_about())));
        let run = self.root.get_arguments().find(|one| one.get_id() == "run");
        let run = run.filter(|_| is_root && !self.given.iter().any(|one| one.get_id() == "run"));
        let run = run.map(|run| Offer::word("run", line(run.get_help())));
        run.into_iter().chain(others).collect()
    }

    /// Those that can stand beside what is given.
    fn options(&self, dashes: &str) -> Vec<Offer> {
        let is_given = |option: &Arg| {
            let again = matches!(option.get_action(), ArgAction::Append | ArgAction::Count);
            let run = self.run && option.get_id() == "run";
            !again && (run || self.given.iter().any(|one| one.get_id() == option.get_id()))
        };
        let excludes = |one: &Arg, other: &Arg| {
            let others = self.command.get_arg_conflicts_with(one);
            others.iter().any(|one| one.get_id() == other.get_id())
        };
        let goes = |option: &&Arg| {
            let mut given = self.given.iter();
            !is_given(option) && !given.any(|one| excludes(one, option) || excludes(option, one))
        };
        let options = self.command.get_arguments();
        options
            .filter(|option| !option.is_hide_set())
            .filter(goes)
            .filter_map(|option| {
                let word = format!("{dashes}{}", option.get_long()?);
                Some(Offer::Word(word, line(option.get_help())))
            })
            .collect()
    }

    /// What can stand behind the option, or in that place, where `begun` stands already.
    fn values(&self, option: &Arg, begun: &str, known: &Known) -> Vec<Offer> {
        if known::takes_pair(option) {
            return match begun.split_once('=') {
                Some((name, _)) => known.values_of(option, name),
                None => known.names(option),
            };
        }
        let values = option.get_possible_values();
        if !values.is_empty() {
            let word = |value: PossibleValue| Offer::word(value.get_name(), line(value.get_help()));
            return values.into_iter().map(word).collect();
        }
        if option.is_last_set() {
            let first = self.dashes == Some(self.positionals.len());
            return vec![if first { Offer::Commands } else { Offer::Files }];
        }
        #[allow(clippy::wildcard_enum_match_arm)] // Another's.
        match option.get_value_hint() {
            ValueHint::DirPath => return vec![Offer::Folders],
            ValueHint::AnyPath | ValueHint::FilePath => return vec![Offer::Files],
            ValueHint::CommandString => return vec![Offer::Commands],
            _ => {}
        }
        let kinds = Kind::of(self.command.get_name(), option);
        known.offers(&kinds, begun, &self.positionals)
    }
}

fn takes_value(option: &Arg) -> bool {
    option.get_action().takes_values()
}

/// Whether the option needs no value: what looks like another one is another one.
fn can_go_without(option: &Arg) -> bool {
    option
        .get_num_args()
        .is_some_and(|number| number.min_values() == 0)
}

/// A help text's first line.
fn line(help: Option<&StyledStr>) -> String {
    let text = help.map(ToString::to_string).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}
