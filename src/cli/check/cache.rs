//! `check -cache …`: the places with results of others are tried.

use std::ffi::OsString;

use clap::{Args, ValueHint};

use crate::cache;
use crate::cli::cache::{CacheOptions, settings};
use crate::cli::error::Failure;
use crate::cli::output::print;
use crate::prepare::Source;
use crate::text::{visible, with_hints};

/// What a run would be given.
#[derive(Debug, Args)]
pub(super) struct Tried {
    /// Ask this shared cache, and those of the manifest, and say what works there; URL as with -run
    #[arg(long, value_name = "URL")]
    cache: Vec<String>,
    /// The same for a cache to put results in: whether it takes them, and who signs
    #[arg(long, value_name = "URL")]
    cache_push: Option<String>,
    /// The secret key to sign with, as with -run
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    cache_key: Option<OsString>,
    /// Whose results to take, as with -run
    #[arg(long, value_name = "KEY", value_hint = ValueHint::FilePath)]
    cache_trust: Vec<OsString>,
}

/// Says of each thing how it is, as soon as that is known, if anything of a cache is asked for.
pub(super) fn tried(options: &Tried, source: &mut Source) -> Result<(), Failure> {
    let Tried {
        cache,
        cache_push,
        cache_key,
        cache_trust,
    } = options;
    let places = cache.len() + usize::from(cache_push.is_some());
    if places + cache_trust.len() + usize::from(cache_key.is_some()) == 0 {
        return Ok(());
    }
    let asked = CacheOptions {
        cache: cache.clone(),
        cache_push: cache_push.clone(),
        cache_key: cache_key.clone(),
        cache_trust: cache_trust.clone(),
        no_cache: false,
    };
    let settings = settings(&asked, source)?;
    if let Some(words) = &settings.warning {
        crate::out::tell(&format!("warning: {}\n", with_hints(words)));
    }
    let mut failed = None;
    let tried = cache::trial(&settings, &mut |what, words| {
        let line = format!("  {what:<10}{}\n", visible(words));
        failed = failed.take().or(print(&line).err());
    });
    if let Some(failure) = failed {
        return Err(failure);
    }
    tried.map_err(|refusal| Failure::usage(refusal.words).hint(refusal.hint))?;
    print("shared cache: everything works\n")
}
