//! A cache is tried: whether it answers, what is there, whether it takes results, and who is believed.

use super::Settings;
use super::place::{BEGIN, NONE, Place};
use crate::model::shared::{Address, PublicKey, SecretKey};

/// Whom it tells what holds: in a word what it is about, and how it is.
pub(crate) type Tell<'t> = &'t mut dyn FnMut(&str, &str);

/// What does not work, and what to do.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The first.
    pub words: String,
    /// The second.
    pub hint: &'static str,
}

/// Tries all places that results are taken from or put in.
///
/// # Errors
///
/// The first place that does not do what is asked of it, and a key that is not the one that is trusted under its name.
pub(crate) fn trial(settings: &Settings, tell: Tell) -> Result<(), Refusal> {
    if let Some((_, key)) = &settings.to {
        signs(key, &settings.trusted, tell)?;
    }
    let names: Vec<&str> = settings.trusted.iter().map(PublicKey::name).collect();
    if !names.is_empty() {
        tell("trusted", &names.join(", "));
    }
    let to = settings.to.as_ref().map(|(address, _)| address);
    let rest = settings.from.iter().filter(|from| Some(*from) != to);
    let mut all: Vec<(&Address, bool)> = to.into_iter().map(|to| (to, true)).collect();
    all.extend(rest.map(|from| (from, false)));
    for (address, takes) in all {
        tell("cache", &address.to_string());
        let place = Place::open(address, takes).map_err(|no| Refusal {
            words: no.words,
            hint: no.hint,
        })?;
        let tried = place.try_out(tell);
        let is_there = tried.map_err(|fault| Refusal {
            words: format!("cache {address}: {fault}"),
            hint: place.hint(&fault),
        })?;
        if !is_there {
            return Err(Refusal {
                words: format!("cache {address}: {NONE}"),
                hint: BEGIN,
            });
        }
    }
    Ok(())
}

/// Who signs, and whether those who trust him know him by this key.
fn signs(key: &SecretKey, trusted: &[PublicKey], tell: Tell) -> Result<(), Refusal> {
    let public = key.public();
    let mut alike = trusted.iter().filter(|other| other.name() == key.name());
    let is_other = alike.clone().next().is_some() && alike.all(|other| *other != public);
    if is_other {
        return Err(Refusal {
            words: format!(
                "results would be signed by {public}, and another key is trusted under that name"
            ),
            hint: "one of them is an older one; a new key has a new name (`task-pipeline cache-key NAME-2 FILE`)",
        });
    }
    tell("signs", &format!("{public}, which others have to trust"));
    Ok(())
}
