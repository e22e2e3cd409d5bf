//! Where a call takes results of others from, where it puts its own for them, and who is believed.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueHint};

use super::call::Call;
use super::error::Failure;
use crate::cache::{Cache, Settings};
use crate::exec::local::{Channel, Message};
use crate::model::event::Event;
use crate::model::shared::{Address, BadKey, PublicKey, SecretKey};
use crate::prepare::Source;
use crate::store::Store;
use crate::text::amount;
use crate::text::{Shown as _, quoted};

/// The variable with a secret key.
const KEY: &str = "TASK_PIPELINE_CACHE_KEY";
/// The variable with public keys of those who are trusted.
const TRUST: &str = "TASK_PIPELINE_CACHE_TRUST";
/// The variable with the folder of a service's credentials, and the names of these two there.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
const KEY_CREDENTIAL: &str = "cache-key";
const TRUST_CREDENTIAL: &str = "cache-trust";
/// Bytes of a file with keys.
const LONGEST: u64 = 1 << 20;

/// With whom results are shared.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Shared cache")]
pub(super) struct CacheOptions {
    /// With -run: take results of others from there too: `file:///FOLDER`, `s3://BUCKET/PREFIX`,
    /// `https://HOST/PATH`; repeatable
    #[arg(long, value_name = "URL", requires = "run")]
    pub cache: Vec<String>,
    /// With -run: put results there for others: `file:///FOLDER` or `s3://BUCKET/PREFIX`
    #[arg(long, value_name = "URL", requires = "run")]
    pub cache_push: Option<String>,
    /// The secret key to sign results with: FILE or env:VARIABLE; default: `TASK_PIPELINE_CACHE_KEY`, or the
    /// credential cache-key
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "run")]
    pub cache_key: Option<OsString>,
    /// Whose results to take: NAME:BASE64, or a FILE with such lines; in addition to those in
    /// `TASK_PIPELINE_CACHE_TRUST` and in the credential cache-trust; repeatable
    #[arg(long, value_name = "KEY", value_hint = ValueHint::FilePath, requires = "run")]
    pub cache_trust: Vec<OsString>,
    /// With -run: take no results of others and give none, whatever the manifest says
    #[arg(long, requires = "run", conflicts_with_all = ["cache", "cache_push"])]
    pub no_cache: bool,
}

/// Takes in what options, manifest, variables and credentials say.
pub(super) fn settings(options: &CacheOptions, source: &mut Source) -> Result<Settings, Failure> {
    // No script has it, whoever uses it.
    if std::env::var_os(KEY).is_some() {
        source.secrets.hide(KEY.into());
    }
    if options.no_cache {
        return Ok(Settings::default());
    }
    let (mut from, to) = addresses(options)?;
    from.extend(source.manifest.cache.urls.iter().cloned());
    let to = match to {
        None => None,
        Some(to) => Some((to, secret_key(options.cache_key.as_ref())?)),
    };
    if from.is_empty() && to.is_none() {
        return Ok(Settings::default());
    }
    let trusted = trusted(&options.cache_trust)?;
    let mut warning = None;
    if trusted.is_empty() && to.is_none() {
        let places: Vec<String> = from.iter().map(ToString::to_string).collect();
        warning = Some(format!(
            "nothing is taken from {}, as nobody is trusted\nhint: -cache-trust NAME:BASE64 with the public key of who \
             signs there, or {TRUST}; -no-cache says that nothing is to be taken",
            places.join(", ")
        ));
        from.clear();
    }
    Ok(Settings {
        from,
        to,
        trusted,
        warning,
    })
}

/// Fails where the options say what cannot be; looks at no key.
pub(super) fn check_given(options: &CacheOptions) -> Result<(), Failure> {
    addresses(options).map(drop)
}

/// Where results come from, and where they are put.
fn addresses(options: &CacheOptions) -> Result<(Vec<Address>, Option<Address>), Failure> {
    if options.cache_key.is_some() && options.cache_push.is_none() {
        return Err(
            Failure::usage("-cache-key signs nothing without -cache-push").hint(
                "-cache-push URL puts results there; to take some, -cache-trust says of whom",
            ),
        );
    }
    let from = options.cache.iter().map(|url| address("-cache", url));
    let from = from.collect::<Result<_, _>>()?;
    let to = options.cache_push.as_ref();
    let to = to.map(|url| address("-cache-push", url)).transpose()?;
    if let Some(to) = to.as_ref().filter(|to| !to.takes()) {
        let message = format!("-cache-push {to}: nothing can be put there, only read");
        return Err(
            Failure::usage(message).hint("push to the folder or the bucket that the server reads")
        );
    }
    Ok((from, to))
}

fn address(option: &str, text: &str) -> Result<Address, Failure> {
    let read = text.parse::<Address>();
    read.map_err(|bad| Failure::usage(format!("{option}: {bad}")).hint(bad.hint))
}

/// Where a key comes from.
enum Origin {
    File(PathBuf),
    Variable(OsString),
    Option,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.shown().fmt(f),
            Self::Variable(name) => write!(f, "variable {}", quoted(&name.to_string_lossy())),
            Self::Option => f.write_str("-cache-trust"),
        }
    }
}

impl Origin {
    /// FILE or env:VARIABLE.
    fn of(word: &OsString) -> Self {
        match word.as_bytes().strip_prefix(b"env:") {
            Some(name) => Self::Variable(std::ffi::OsStr::from_bytes(name).to_owned()),
            None => Self::File(word.into()),
        }
    }

    /// Whether it is not the path of a file, but perhaps the key that was to be in one, as that cannot be opened.
    fn may_be_a_key(&self, error: &io::Error) -> bool {
        let kinds = [io::ErrorKind::NotFound, io::ErrorKind::InvalidFilename];
        kinds.contains(&error.kind())
            && matches!(self, Self::File(path) if path.as_os_str().as_bytes().contains(&b':'))
    }

    fn read(&self) -> io::Result<String> {
        let invalid = |words: &str| io::Error::new(io::ErrorKind::InvalidData, words.to_owned());
        match self {
            Self::File(path) => {
                let mut text = String::new();
                File::open(path)?.take(LONGEST).read_to_string(&mut text)?;
                Ok(text)
            }
            Self::Variable(name) => match std::env::var_os(name) {
                None => Err(invalid("it is not set")),
                Some(value) => value.into_string().map_err(|_| invalid("it is not text")),
            },
            Self::Option => Ok(String::new()),
        }
    }
}

/// The credential of that name, if the service has it.
fn credential(name: &str) -> Option<Origin> {
    let folder = std::env::var_os(CREDENTIALS)?;
    let path = Path::new(&folder).join(name);
    path.exists().then_some(Origin::File(path))
}

/// The variable, if it is set and not empty.
fn variable(name: &str) -> Option<Origin> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty());
    value.map(|_| Origin::Variable(name.into()))
}

fn secret_key(option: Option<&OsString>) -> Result<SecretKey, Failure> {
    const HINT: &str = "`task-pipeline cache-key NAME FILE` makes one; then -cache-key FILE";
    let origin = option.map(Origin::of);
    let origin = origin.or_else(|| variable(KEY));
    let Some(origin) = origin.or_else(|| credential(KEY_CREDENTIAL)) else {
        return Err(Failure::usage("-cache-push needs a key to sign results with").hint(HINT));
    };
    let text = origin.read().map_err(|error| {
        if origin.may_be_a_key(&error) {
            let words = "what -cache-key was given is no file, and may be the secret key itself";
            return Failure::usage(words).hint(
                "put the key into a file that nobody else can read: -cache-key FILE, or give a variable that has it: \
                 -cache-key env:VARIABLE",
            );
        }
        Failure::usage(format!(
            "cannot read the key to sign with from {origin}: {error}"
        ))
        .hint(HINT)
    })?;
    text.parse().map_err(|bad: BadKey| {
        Failure::usage(format!("{origin} has no secret key: {bad}")).hint(HINT)
    })
}

fn trusted(options: &[OsString]) -> Result<Vec<PublicKey>, Failure> {
    let mut all = Vec::new();
    let mut add = |text: &str, origin: &Origin| -> Result<(), Failure> {
        let lines = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default());
        for word in lines.flat_map(str::split_whitespace) {
            let key: PublicKey = word.parse().map_err(|bad: BadKey| {
                Failure::usage(format!("{origin}: {bad}")).hint(
                    "a public key is what `task-pipeline cache-key` prints: NAME:BASE64, one a line",
                )
            })?;
            if !all.contains(&key) {
                all.push(key);
            }
        }
        Ok(())
    };
    let mut files: Vec<Origin> = Vec::new();
    for option in options {
        match option.to_str().filter(|text| !text.starts_with("env:")) {
            Some(text) if text.contains(':') && !Path::new(text).exists() => {
                add(text, &Origin::Option)?;
            }
            _ => files.push(Origin::of(option)),
        }
    }
    files.extend(variable(TRUST));
    files.extend(credential(TRUST_CREDENTIAL));
    for origin in &files {
        let text = origin.read().map_err(|error| {
            Failure::cannot(format_args!("read who is trusted from {origin}"), &error)
                .hint("write -cache-trust NAME:BASE64, or -cache-trust FILE with such lines")
        })?;
        add(&text, origin)?;
    }
    Ok(all)
}

impl Call<'_> {
    /// Begins to ask those who have results of others.
    pub(super) fn begin_cache(
        &mut self,
        store: &Arc<Store>,
        channel: &Channel,
    ) -> Result<Option<Cache>, Failure> {
        let mut settings = std::mem::take(&mut self.cache);
        self.warn(settings.warning.take());
        if settings.is_nothing() {
            return Ok(None);
        }
        let sender = channel.sender();
        let wake = move || {
            // If it is full, the engine listens anyway.
            let _ = sender.try_send(Message::Look);
        };
        let cache = Cache::begin(settings, Arc::clone(store), wake);
        let cache = cache.map_err(|error| Failure::usage(&error).hint(error.hint))?;
        Ok(Some(cache))
    }

    /// Waits for what is still to be put where others find it, and tells what came of that.
    pub(super) fn end_cache(&mut self, cache: Cache, went_well: bool) {
        let inbox = self.inbox;
        let (pushed, told) = cache.end(&|| !went_well || inbox.signal().is_some());
        for words in told {
            self.warn(Some(words));
        }
        let Some(pushed) = pushed else {
            return;
        };
        if pushed.results > 0 {
            self.reporter.event(&Event::Pushed {
                to: &pushed.to,
                results: pushed.results,
                bytes: pushed.bytes,
            });
        }
        if pushed.barred > 0 {
            let barred = amount::doing(pushed.barred, "result", ("was", "were"));
            self.reporter.event(&Event::Warning(&format!(
                "{barred} not put in {}: what is in the place of each is signed by nobody who is trusted here, or damaged\nhint: \
                 -cache-trust KEY if those who signed it are to be trusted; if not, remove the folder results/ there, which makes place",
                pushed.to
            )));
        }
        if pushed.left > 0 && went_well {
            let left = amount::doing(pushed.left, "result", ("is", "are"));
            self.reporter.event(&Event::Warning(&format!(
                "{left} not in {}, where others would find them\nhint: what is reused from this db later is not put there; \
                 a run with another -db executes it again, and does so",
                pushed.to
            )));
        }
    }
}
