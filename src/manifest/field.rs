//! The table of the manifest's keys, which the reader and the schema share.

use toml::de::DeValue;

/// A table of the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// `[nix]`
    Nix,
    /// `[store]`
    Store,
    /// `[cache]`
    Cache,
    /// `[publish]`
    Publish,
    /// `[defaults]`
    Defaults,
    /// `[[step]]`
    Step,
    /// `[[input]]`
    Input,
}

impl Place {
    /// The table as it is written.
    pub(super) fn header(self) -> &'static str {
        match self {
            Self::Nix => "[nix]",
            Self::Store => "[store]",
            Self::Cache => "[cache]",
            Self::Publish => "[publish]",
            Self::Defaults => "[defaults]",
            Self::Step => "[[step]]",
            Self::Input => "[[input]]",
        }
    }
}

/// Makes [`Field`] of rows: variant, key, and the tables that can hold it.
macro_rules! fields {
    ($($field:ident $key:literal $($place:ident)+;)+) => {
        /// A key that a table of the manifest can hold.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Field {
            $($field,)+
        }

        impl Field {
            /// Every field, in the order in which they are documented.
            pub(super) const ALL: &[Self] = &[$(Self::$field),+];

            /// The key in the file.
            pub(super) fn key(self) -> &'static str {
                match self {
                    $(Self::$field => $key,)+
                }
            }

            /// The tables that can hold it.
            pub(super) fn places(self) -> &'static [Place] {
                match self {
                    $(Self::$field => &[$(Place::$place),+],)+
                }
            }
        }
    };
}

fields! {
    Name "name" Step Input;
    Start "start" Step;
    Script "script" Step;
    Packages "packages" Defaults Step Input;
    Files "files" Defaults Step Input;
    Env "env" Defaults Step;
    Shell "shell" Defaults Step;
    Pure "pure" Nix Defaults Step;
    Keep "keep" Nix Defaults Step;
    Params "params" Defaults Step;
    Secrets "secrets" Defaults Step;
    Outputs "outputs" Defaults Step;
    Folders "folders" Defaults Step;
    Parallel "parallel" Defaults Step;
    Cpus "cpus" Defaults Step;
    Memory "memory" Defaults Step;
    Gpus "gpus" Defaults Step;
    Uses "uses" Defaults Step;
    Timeout "timeout" Defaults Step;
    Retries "retries" Defaults Step;
    RetryDelay "retry_delay" Defaults Step;
    Rounds "rounds" Defaults Step;
    Cache "cache" Defaults Step;
    Checkpoint "checkpoint" Defaults Step;
    ExecutorSecrets "executor_secrets" Defaults Step;
    Share "share" Defaults Step;
    Publish "publish" Defaults Step;
    Warm "warm" Defaults Step;
    Executor "executor" Defaults Step;
    Sandbox "sandbox" Defaults Step;
    Network "network" Defaults Step;
    Gather "gather" Step;
    From "from" Step;
    With "with" Step;
    Each "each" Step;
    Partial "partial" Step;
    Nixpkgs "nixpkgs" Nix;
    KeepRunsets "keep_runsets" Store;
    KeepBytes "keep" Store;
    Urls "urls" Cache;
    Dir "dir" Publish;
    Rows "rows" Input;
    Paths "paths" Input;
    Lines "lines" Input;
    Step "step" Input;
    Copy "copy" Input;
    Empty "empty" Step Input;
}

impl Field {
    /// Where the key belongs, if it is one: the tables that can hold it, in words. If tables have keys of that name that
    /// are not the same, the value's form says which.
    pub(super) fn belongs(key: &str, value: &DeValue<'_>) -> Option<String> {
        let mut called = Self::ALL.to_vec();
        called.retain(|field| field.key() == key);
        let mut meant = called.clone();
        meant.retain(|field| match called.len() {
            1 => true,
            _ if *field == Self::KeepBytes => value.is_str(),
            _ => value.is_array(),
        });
        if meant.is_empty() {
            meant = called;
        }
        let places = meant.iter().flat_map(|field| field.places());
        let headers: Vec<_> = places.map(|place| place.header()).collect();
        (!headers.is_empty()).then(|| format!("`{key}` belongs in {}", headers.join(" or ")))
    }

    /// The field with this key that `place` can hold.
    pub(super) fn at(place: Place, key: &str) -> Option<Self> {
        Self::of(place).find(|field| field.key() == key)
    }

    /// Whether it is a key of some table.
    pub(super) fn is_key(key: &str) -> bool {
        Self::ALL.iter().any(|field| field.key() == key)
    }

    /// The fields that `place` can hold.
    pub(super) fn of(place: Place) -> impl Iterator<Item = Self> {
        Self::ALL
            .iter()
            .copied()
            .filter(move |field| field.places().contains(&place))
    }

    /// The field that users of other tools mean by `key`.
    pub(super) fn alias(key: &str) -> Option<Self> {
        Some(match key {
            "command" | "commands" | "cmd" | "run" | "exec" => Self::Script,
            "environment" | "vars" | "variables" => Self::Env,
            "tools" | "pkgs" | "programs" => Self::Packages,
            "jobs" | "concurrency" | "max_parallel" => Self::Parallel,
            "cpu" | "cores" | "threads" | "ncpus" | "nproc" => Self::Cpus,
            "mem" | "ram" | "max_memory" | "memory_limit" => Self::Memory,
            "gpu" | "accelerator" | "accelerators" => Self::Gpus,
            "limits" | "resources" | "limit" => Self::Uses,
            "time_limit" | "max_time" => Self::Timeout,
            "attempts" | "retry" => Self::Retries,
            "backoff" | "delay" | "retry_after" | "retry_wait" => Self::RetryDelay,
            "max_rounds" | "iterations" | "max_iterations" => Self::Rounds,
            "memo" | "memoize" => Self::Cache,
            "url" | "substituters" => Self::Urls,
            "publish_dir" | "publishDir" | "results" | "outdir" => Self::Publish,
            "folder" | "directory" | "path" => Self::Dir,
            "isolated" | "isolate" | "hermetic" => Self::Sandbox,
            "secret" | "credentials" | "credential" => Self::Secrets,
            "collect" | "merge" | "group" | "group_by" => Self::Gather,
            "id" | "title" => Self::Name,
            _ => return None,
        })
    }
}
