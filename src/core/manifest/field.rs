//! The table of the manifest's keys, which the reader and the schema share.

/// A table of the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// `[nix]`
    Nix,
    /// `[defaults]`
    Defaults,
    /// `[[step]]`
    Step,
}

impl Place {
    /// The table as it is written.
    pub fn header(self) -> &'static str {
        match self {
            Self::Nix => "[nix]",
            Self::Defaults => "[defaults]",
            Self::Step => "[[step]]",
        }
    }
}

/// A key that a table of the manifest can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Name,
    Start,
    Script,
    Packages,
    Env,
    Shell,
    Pure,
    Keep,
    Parallel,
    Timeout,
    Retries,
    Rounds,
    Cache,
    Warm,
    Nixpkgs,
}

use Place::{Defaults, Nix, Step};

impl Field {
    /// Every field, in the order in which they are documented.
    pub const ALL: [Self; 15] = [
        Self::Name,
        Self::Start,
        Self::Script,
        Self::Packages,
        Self::Env,
        Self::Shell,
        Self::Pure,
        Self::Keep,
        Self::Parallel,
        Self::Timeout,
        Self::Retries,
        Self::Rounds,
        Self::Cache,
        Self::Warm,
        Self::Nixpkgs,
    ];

    /// The key in the file.
    pub fn key(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Start => "start",
            Self::Script => "script",
            Self::Packages => "packages",
            Self::Env => "env",
            Self::Shell => "shell",
            Self::Pure => "pure",
            Self::Keep => "keep",
            Self::Parallel => "parallel",
            Self::Timeout => "timeout",
            Self::Retries => "retries",
            Self::Rounds => "rounds",
            Self::Cache => "cache",
            Self::Warm => "warm",
            Self::Nixpkgs => "nixpkgs",
        }
    }

    /// The tables that can hold it.
    pub fn places(self) -> &'static [Place] {
        match self {
            Self::Name | Self::Start | Self::Script => &[Step],
            Self::Pure | Self::Keep => &[Nix, Defaults, Step],
            Self::Nixpkgs => &[Nix],
            Self::Packages
            | Self::Env
            | Self::Shell
            | Self::Parallel
            | Self::Timeout
            | Self::Retries
            | Self::Rounds
            | Self::Cache
            | Self::Warm => &[Defaults, Step],
        }
    }

    /// The tables that can hold it, in words.
    pub fn headers(self) -> String {
        let headers: Vec<_> = self.places().iter().map(|place| place.header()).collect();
        headers.join(" or ")
    }

    /// The field with this key.
    pub fn named(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.key() == key)
    }

    /// The fields that `place` can hold.
    pub fn of(place: Place) -> impl Iterator<Item = Self> {
        Self::ALL
            .into_iter()
            .filter(move |field| field.places().contains(&place))
    }

    /// The field that users of other tools mean by `key`.
    pub fn alias(key: &str) -> Option<Self> {
        Some(match key {
            "command" | "commands" | "cmd" | "run" | "exec" => Self::Script,
            "environment" | "vars" | "variables" => Self::Env,
            "deps" | "dependencies" | "tools" | "pkgs" => Self::Packages,
            "jobs" | "concurrency" | "max_parallel" => Self::Parallel,
            "time_limit" | "max_time" => Self::Timeout,
            "attempts" | "retry" => Self::Retries,
            "max_rounds" | "iterations" | "max_iterations" => Self::Rounds,
            "memo" | "memoize" => Self::Cache,
            "id" | "title" => Self::Name,
            _ => return None,
        })
    }
}
