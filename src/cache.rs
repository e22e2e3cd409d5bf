//! Results that are shared with others: what somebody has executed and signed is taken from where it lies, and put there
//! for others once it was executed here.
//!
//! The engine asks ([`Elsewhere`]) and never waits. A place is asked by a thread of [`Pool`], which gets the record of a
//! result, looks who has signed it, brings the objects that are not here yet, and puts the answer where the engine finds it.
//! A place that does not answer within [`PATIENCE`], or refuses, is not asked again in this run.
//!
//! In a place there are, under its address,
//!
//! - `task-pipeline-cache`: what says that it is one, and of which form;
//! - `results/AB/…`: the record of a result, under its key ([`crate::model::shared`]);
//! - `objects/AB/….zst`: an object, compressed, under the hash of its bytes.

mod fetch;
mod place;
mod pool;
mod preview;
mod push;
mod transport;
mod trial;

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::engine::{Elsewhere, News, Question, Success};
use crate::model::digest::Digest;
use crate::model::shared::{Address, PublicKey, ResultKey, SecretKey};
use crate::store::Store;
use place::Place;
use pool::Pool;
pub(crate) use preview::Preview;
pub(crate) use transport::NoPlace;
pub(crate) use trial::trial;

/// How long somebody has for an answer, and for the next piece of something large.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same for all that is still to be put somewhere when a run is over.
const LAST: Duration = Duration::from_mins(10);
/// How long those who are asking have to notice that nobody wants it any more.
const NOTICE: Duration = Duration::from_millis(200);
/// Most that is asked for or brought at a time.
const ASKING: usize = 32;
/// Most results that are put somewhere at a time.
const PUSHING: usize = 4;
/// Most tasks that wait for an answer.
const WAITING: usize = 8192;
/// Most outputs of results that wait until they are put somewhere.
const HELD: usize = 100_000;

/// Where results are shared, and with whom.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// Where they are looked for, in this order.
    pub from: Vec<Address>,
    /// Where they are put, and who vouches for them.
    pub to: Option<(Address, SecretKey)>,
    /// Who is believed.
    pub trusted: Vec<PublicKey>,
    /// What the user should know of that.
    pub warning: Option<String>,
}

impl Settings {
    /// Whether there is nothing to be done.
    pub(crate) fn is_nothing(&self) -> bool {
        self.from.is_empty() && self.to.is_none()
    }
}

/// What came of putting results somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pushed {
    /// Where.
    pub to: String,
    /// Results that are there now and were not before.
    pub results: u64,
    /// Bytes that went there, compressed.
    pub bytes: u64,
    /// Results that are not there, though they should be.
    pub left: u64,
    /// Results that are not there, as a record that this run would not use is in their place.
    pub barred: u64,
}

/// Places with results of others, for one run.
pub(crate) struct Cache {
    common: Arc<Common>,
    asking: Arc<Pool>,
    pushing: Arc<Pool>,
}

/// What all threads know.
struct Common {
    store: Arc<Store>,
    /// Those that are asked, in order.
    places: Vec<Arc<Place>>,
    /// The place that results are put in.
    to: Option<(Arc<Place>, SecretKey)>,
    trusted: Vec<PublicKey>,
    news: Mutex<VecDeque<News>>,
    /// Has the engine listen.
    wake: Box<dyn Fn() + Send + Sync>,
    /// Questions without an answer.
    waiting: AtomicUsize,
    /// Nobody wants any of it any more.
    over: AtomicBool,
    /// What is to be put in its place again, as what is there was found to be no longer of use.
    stale: Mutex<Stale>,
    /// Outputs of results that wait.
    held: AtomicUsize,
    pushed: AtomicU64,
    pushed_bytes: AtomicU64,
    lost: AtomicU64,
    barred: AtomicU64,
}

#[derive(Default)]
struct Stale {
    /// Too old for who asked.
    records: HashSet<ResultKey>,
    /// Damaged.
    objects: HashSet<Digest>,
}

impl Cache {
    /// Begins to ask. `wake` has the engine listen to what has come in.
    pub(crate) fn begin(
        settings: Settings,
        store: Arc<Store>,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, NoPlace> {
        let mut places: Vec<Arc<Place>> = Vec::new();
        let mut open = |address: &Address, takes: bool| {
            let known = places.iter().find(|place| place.address == *address);
            if let Some(known) = known {
                return Ok(Arc::clone(known));
            }
            let place = Arc::new(Place::open(address, takes)?);
            places.push(Arc::clone(&place));
            Ok(place)
        };
        // What this run has put somewhere the next one finds first.
        let to = match settings.to {
            Some((address, key)) => Some((open(&address, true)?, key)),
            None => None,
        };
        for address in &settings.from {
            open(address, false)?;
        }
        Ok(Self::of(places, to, settings.trusted, store, wake))
    }

    /// Begins to ask at these places.
    fn of(
        places: Vec<Arc<Place>>,
        to: Option<(Arc<Place>, SecretKey)>,
        mut trusted: Vec<PublicKey>,
        store: Arc<Store>,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        trusted.extend(to.as_ref().map(|(_, key)| key.public()));
        let cache = Self {
            asking: Pool::new("cache", ASKING),
            pushing: Pool::new("cache push", PUSHING),
            common: Arc::new(Common {
                store,
                places,
                to,
                trusted,
                news: Mutex::default(),
                wake: Box::new(wake),
                waiting: AtomicUsize::new(0),
                over: AtomicBool::new(false),
                stale: Mutex::default(),
                held: AtomicUsize::new(0),
                pushed: AtomicU64::new(0),
                pushed_bytes: AtomicU64::new(0),
                lost: AtomicU64::new(0),
                barred: AtomicU64::new(0),
            }),
        };
        for place in &cache.common.places {
            let (place, common) = (Arc::clone(place), Arc::clone(&cache.common));
            cache.asking.add(Box::new(move || {
                place.greet(&common);
            }));
        }
        cache
    }

    /// Nothing is asked for any more. What is still to be put somewhere is, as long as that goes on and nobody wants it to
    /// end. What came of it, and what is still to be told besides.
    pub(crate) fn end(self, is_over: &dyn Fn() -> bool) -> (Option<Pushed>, Vec<String>) {
        let common = Arc::clone(&self.common);
        let pushed = self.finish(is_over);
        let news = std::mem::take(&mut *common.news());
        let told = news.into_iter().filter_map(|news| match news {
            News::Warning(words) => Some(words),
            News::Answer(..) => None,
        });
        (pushed, told.collect())
    }

    fn finish(self, is_over: &dyn Fn() -> bool) -> Option<Pushed> {
        let common = &self.common;
        let left = self.pushing.finish(3 * PATIENCE, LAST, is_over);
        common.over.store(true, Ordering::Relaxed);
        // Those that bring something notice; nobody waits for one who waits for an answer.
        self.asking.finish(NOTICE, NOTICE, &|| false);
        let (to, _) = common.to.as_ref()?;
        Some(Pushed {
            to: to.address.to_string(),
            results: common.pushed.load(Ordering::Relaxed),
            bytes: common.pushed_bytes.load(Ordering::Relaxed),
            left: common.lost.load(Ordering::Relaxed) + left as u64,
            barred: common.barred.load(Ordering::Relaxed),
        })
    }
}

impl Elsewhere for Cache {
    fn ask(&mut self, question: Question) -> bool {
        let common = &self.common;
        let asked = common.places.iter().any(|place| place.is_asked());
        if !asked || common.waiting.load(Ordering::Relaxed) >= WAITING {
            return false;
        }
        common.waiting.fetch_add(1, Ordering::Relaxed);
        let own = Arc::clone(common);
        let added = self.asking.add(Box::new(move || {
            // Also if it panics.
            let mut answer = Answer {
                common: &own,
                task: question.task,
                found: None,
            };
            answer.found = own.look_up(&question).map(Box::new);
        }));
        if !added {
            common.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        added
    }

    fn news(&mut self, most: usize) -> Vec<News> {
        let mut news = self.common.news();
        let count = news.len().min(most);
        news.drain(..count).collect()
    }

    fn has_news(&self) -> bool {
        !self.common.news().is_empty()
    }

    fn gives(&self) -> bool {
        self.common.to.is_some()
    }

    fn give(&mut self, success: Success) {
        let common = &self.common;
        let outputs = success.outputs.len() + 1;
        let held = common.held.fetch_add(outputs, Ordering::Relaxed);
        let own = Arc::clone(common);
        let added = held < HELD
            && self.pushing.add(Box::new(move || {
                own.push(&success);
                own.held.fetch_sub(outputs, Ordering::Relaxed);
            }));
        if !added {
            common.held.fetch_sub(outputs, Ordering::Relaxed);
            common.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What is to be told when it is dropped.
struct Answer<'c> {
    common: &'c Common,
    task: crate::model::task::TaskId,
    found: Option<Box<crate::engine::Found>>,
}

impl Drop for Answer<'_> {
    fn drop(&mut self) {
        self.common.waiting.fetch_sub(1, Ordering::Relaxed);
        let found = self.found.take();
        self.common.tell(News::Answer(self.task, found));
    }
}

impl Common {
    fn news(&self) -> MutexGuard<'_, VecDeque<News>> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stale(&self) -> MutexGuard<'_, Stale> {
        self.stale.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts it where the engine finds it.
    fn tell(&self, news: News) {
        self.news().push_back(news);
        (self.wake)();
    }

    fn warn(&self, words: String) {
        self.tell(News::Warning(words));
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.common.places).finish()
    }
}

/// Where the record of a result is.
fn record_name(key: &ResultKey) -> String {
    let hex = key.0.hex();
    format!("results/{}/{}", &hex[..2], &*hex)
}

/// Where an object is.
fn object_name(digest: &Digest) -> String {
    let hex = digest.hex();
    format!("objects/{}/{}.zst", &hex[..2], &*hex)
}

#[cfg(test)]
mod tests;
