//! The kinds of trouble: by which words each is known, and what to do about it.

use super::Failure;

/// The kinds of trouble that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The flake has no such attribute.
    UnknownAttribute,
    /// The name is in no registry, or the repository or folder is not there.
    UnknownFlake,
    /// A download failed.
    Network,
    /// Nixpkgs refuses.
    Refused(Refusal),
    /// Nixpkgs had it and has it no more, or under another name.
    Removed,
    /// A builder failed.
    Build,
    /// What was downloaded or built is not what its hash says.
    HashMismatch,
    /// The store path is neither in the store nor to be had.
    NoSuchPath,
    /// The repository is not there, or not to be read.
    Repository,
    /// The repository asks who we are.
    Access,
    /// The repository has no such branch or revision.
    Revision,
    /// The repository is another user's.
    Owner,
    /// A program that Nix needs is not on PATH.
    Program,
    /// No daemon answers.
    Daemon,
    /// The daemon's socket is not for this user.
    DaemonDenied,
    /// The daemon ends the connection.
    DaemonRefuses,
    /// A folder of Nix's own cannot be made.
    Home,
    /// No room on the disk.
    NoSpace,
    /// `^outputs` with a Nix that does not know it.
    OutputsUnsupported,
    /// Nix was interrupted.
    Interrupted,
    /// Anything else.
    Other,
}

/// Why nixpkgs refuses to evaluate a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Its license is not free.
    Unfree,
    /// The settings of nixpkgs exclude its license.
    Blocklisted,
    /// Parts of it are not built from source.
    NonSource,
    /// It has known vulnerabilities.
    Insecure,
    /// It is known not to build or not to work.
    Broken,
    /// It is not for this system.
    Unsupported,
    /// Its description has a fault.
    Faulty,
    /// Anything else.
    Other,
}

const SIGNS: [(&str, Kind); 42] = [
    ("interrupted by the user", Kind::Interrupted),
    ("cannot connect to socket at", Kind::Daemon),
    (
        "cannot open connection to remote store",
        Kind::DaemonRefuses,
    ),
    ("opening a connection to remote store", Kind::DaemonRefuses),
    ("No space left on device", Kind::NoSpace),
    ("dubious ownership", Kind::Owner),
    ("is not owned by current user", Kind::Owner),
    ("Not a git repository. Use --no-index", Kind::Owner),
    ("Permission denied (publickey", Kind::Access),
    ("Authentication failed", Kind::Access),
    ("could not read Username", Kind::Access),
    ("Host key verification failed", Kind::Access),
    ("Could not resolve host", Kind::Network),
    ("Couldn't resolve host", Kind::Network),
    ("Failed to connect", Kind::Network),
    ("Connection refused", Kind::Network),
    ("Connection timed out", Kind::Network),
    ("Network is unreachable", Kind::Network),
    ("unable to download", Kind::Network),
    ("unknown revision or path", Kind::Revision),
    ("couldn't find remote ref", Kind::Revision),
    ("Cannot find Git revision", Kind::Revision),
    ("does not appear to be a git repository", Kind::Repository),
    ("Repository not found", Kind::Repository),
    ("Could not read from remote repository", Kind::Repository),
    ("Failed to fetch git repository", Kind::Repository),
    ("executing '", Kind::Program),
    ("does not provide attribute", Kind::UnknownAttribute),
    ("in the flake registries", Kind::UnknownFlake),
    ("does not contain a '/flake.nix'", Kind::UnknownFlake),
    ("does not contain a 'flake.nix'", Kind::UnknownFlake),
    ("is not a flake", Kind::UnknownFlake),
    ("hash mismatch", Kind::HashMismatch),
    ("NAR hash mismatch", Kind::HashMismatch),
    ("don't know how to build these paths", Kind::NoSuchPath),
    ("is not valid", Kind::NoSuchPath),
    ("creating directory '", Kind::Home),
    ("' is not a directory", Kind::Home),
    ("No such file or directory", Kind::UnknownFlake),
    ("does not exist", Kind::UnknownFlake),
    ("has been removed", Kind::Removed),
    ("has been renamed", Kind::Removed),
];

/// Words of nixpkgs, the more telling first: the advice that follows a refusal may mention others.
const REFUSALS: [(&str, Refusal); 11] = [
    ("requested hostPlatform", Refusal::Unsupported),
    ("is not supported on", Refusal::Unsupported),
    ("has an unfree license", Refusal::Unfree),
    ("has a blocklisted license", Refusal::Blocklisted),
    ("has a blacklisted license", Refusal::Blocklisted),
    ("not built from source", Refusal::NonSource),
    ("is marked as insecure", Refusal::Insecure),
    ("is marked as broken", Refusal::Broken),
    ("broken", Refusal::Broken),
    ("has an invalid meta", Refusal::Faulty),
    ("invalid meta.outputsToInstall", Refusal::Faulty),
];

impl Kind {
    /// By the first of `texts` that has a sign; in it, the earliest sign counts.
    pub(crate) fn of(texts: &[&str]) -> Self {
        texts
            .iter()
            .find_map(|text| Self::of_text(text))
            .unwrap_or(Self::Other)
    }

    fn of_text(text: &str) -> Option<Self> {
        if text.contains("efusing to evaluate") || text.contains("is marked as broken") {
            let mut refusals = REFUSALS.iter();
            let refusal = refusals.find(|(sign, _)| text.contains(sign));
            return Some(Self::Refused(
                refusal.map_or(Refusal::Other, |(_, refusal)| *refusal),
            ));
        }
        let (at, kind) = SIGNS
            .iter()
            .filter_map(|(sign, kind)| Some((text.find(sign)?, *kind)))
            .min_by_key(|(at, _)| *at)?;
        let denied = text[at..].lines().next().unwrap_or_default();
        if kind == Self::Daemon && denied.contains("Permission denied") {
            return Some(Self::DaemonDenied);
        }
        Some(kind)
    }

    /// Whether Nix cannot be asked at all, whatever is asked.
    pub(crate) fn is_of_daemon(self) -> bool {
        matches!(
            self,
            Self::Daemon | Self::DaemonDenied | Self::DaemonRefuses
        )
    }

    /// The next step, where there is one to name.
    pub(crate) fn hint(self, failure: &Failure) -> Option<String> {
        let text = match self {
            Self::Build => {
                let derivation = failure.builds.keys().next()?;
                return Some(format!("the whole log: nix log {derivation}"));
            }
            Self::Refused(refusal) => return refusal.hint(failure),
            Self::UnknownAttribute => {
                "look the name up: `nix search FLAKE WORD`, or https://search.nixos.org/packages"
            }
            Self::UnknownFlake => {
                "check the part before `#`; a repository is written `github:OWNER/REPO`, a folder \
                 begins with `./` or `/`, and its files must be known to git (`git add`)"
            }
            Self::Network => {
                "is there a network? What was downloaded once is found again without one; `task-pipeline run -host-env` \
                 runs the steps with the programs of this machine"
            }
            Self::Removed => {
                "take the new name, or an older nixpkgs for this package: \
                 `github:NixOS/nixpkgs/nixos-24.05#NAME`"
            }
            Self::HashMismatch => {
                "what the pin names has changed; `task-pipeline lock --update` moves pins"
            }
            Self::NoSuchPath => {
                "a store path must be in this machine's store or in a binary cache that it uses"
            }
            Self::Repository => {
                "is the address right, and may you read it? `git ls-remote URL` tells without Nix"
            }
            Self::Access => {
                "git needs a key or a token, without asking for it: try `git ls-remote URL`"
            }
            Self::Revision => {
                "the branch, tag or revision is not there; `git ls-remote URL` lists what is"
            }
            Self::Owner => {
                "git does not use a repository of another user: \
                 `git config --global --add safe.directory FOLDER` allows it, or make it yours (`chown`)"
            }
            Self::Program => "install the program that Nix calls there, or put it on PATH",
            Self::Daemon => {
                "start Nix's daemon (`systemctl start nix-daemon`), or unset NIX_REMOTE"
            }
            Self::DaemonDenied => {
                "the daemon's socket is not for this user: look at its folder (`ls -ld`), and join \
                 the group that it is for (Debian: `adduser USER nix-users`)"
            }
            Self::DaemonRefuses => {
                "the daemon ends the connection: is this user among `allowed-users` in its nix.conf? \
                 `journalctl -u nix-daemon` tells why"
            }
            Self::Home => {
                "Nix keeps a cache in the home folder: set HOME, or XDG_CACHE_HOME, to a folder that \
                 can be written"
            }
            Self::NoSpace => "make room: `nix-store --gc` removes what nothing uses",
            Self::OutputsUnsupported => "leave out `^…`, or use a newer Nix (2.13 or later)",
            Self::Interrupted | Self::Other => return None,
        };
        Some(text.to_owned())
    }
}

impl Refusal {
    fn hint(self, failure: &Failure) -> Option<String> {
        let (why, setting) = match self {
            Self::Unfree => ("its license is not free", "allowUnfree = true"),
            Self::NonSource => ("it is not built from source", "allowNonSource = true"),
            Self::Broken => (
                "it is known to be broken in this nixpkgs, another may have it whole \
                 (`lock --update nixpkgs`)",
                "allowBroken = true",
            ),
            Self::Unsupported => (
                "it is not made for this system",
                "allowUnsupportedSystem = true",
            ),
            Self::Insecure => {
                let name = name(&failure.words).unwrap_or("NAME-VERSION");
                return Some(format!(
                    "it has known vulnerabilities: choose another version, or name a flake that \
                     accepts them: `import nixpkgs {{ config.permittedInsecurePackages = [ \"{name}\" ]; }}`"
                ));
            }
            Self::Blocklisted => {
                return Some(
                    "the flake that it comes from excludes this license (`blocklistedLicenses` in its \
                     nixpkgs configuration)"
                        .to_owned(),
                );
            }
            Self::Faulty => {
                return Some(
                    "its description has a fault in this nixpkgs: try another \
                     (`lock --update nixpkgs`)"
                        .to_owned(),
                );
            }
            Self::Other => return None,
        };
        Some(format!(
            "{why}: choose another package, or name a flake that takes it: \
             `import nixpkgs {{ config.{setting}; }}`"
        ))
    }
}

/// The name in `Package ‘openssl-1.1.1w’ in …` or `package 'openssl-1.1.1w' in …`.
fn name(words: &str) -> Option<&str> {
    let (_, rest) = words.split_once("ackage ")?;
    let open = rest.chars().next().filter(|c| matches!(c, '‘' | '\''))?;
    let rest = &rest[open.len_utf8()..];
    Some(&rest[..rest.find(['’', '\''])?])
}
