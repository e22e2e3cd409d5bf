//! Every object, in several threads.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use super::judge::Trouble;
use super::needs::{Need, Needs, together};
use super::{Error, How, Sum, in_threads};
use crate::model::digest::Digest;
use crate::state::Use;
use crate::store::{Depth, Found, Reader, Stray};

/// Something that is not as it should be.
#[derive(Debug)]
pub(super) enum Event {
    /// An object that is needed was not found, or a file that is to be it is another one. That may have changed since the
    /// rows were read.
    Absent(Need),
    /// An object.
    Trouble(Trouble),
    /// An object's mode.
    Mode(Digest, PathBuf, u32),
    /// Something that is none.
    Stray(Stray),
}

/// Events that may wait for somebody to judge them.
const WAITING: usize = 256;

/// Looks at all that is there, and at all that is needed.
pub(super) fn look(
    levels: &[Needs; 3],
    store: &Reader,
    how: How,
    sum: &mut Sum,
    tell: &mut dyn FnMut(Event) -> Result<(), Error>,
) -> Result<(), Error> {
    let ended = AtomicBool::new(false);
    let unused = [AtomicU64::new(0), AtomicU64::new(0)];
    let evicted = AtomicU64::new(0);
    let (send, receive) = sync_channel(WAITING);
    for stray in store.strays() {
        tell(Event::Stray(stray))?;
    }
    let work = Work {
        levels,
        store,
        how,
        unused: &unused,
        evicted: &evicted,
        ended: &ended,
    };
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let (work, next) = (&work, &next);
        let all = move || in_threads(how.threads, &|| work.all(next, &send));
        let beside = std::thread::Builder::new().name("verify".to_owned());
        let looking = beside.spawn_scoped(scope, all)?;
        let mut told = Ok(());
        for event in receive {
            if told.is_ok() {
                told = tell(event);
                ended.store(told.is_err(), Ordering::Relaxed);
            }
        }
        let panicked = |_| Err(io::Error::other("a thread panicked"));
        looking.join().unwrap_or_else(panicked)?;
        told
    })?;
    let [count, bytes] = unused.map(AtomicU64::into_inner);
    (sum.unused, sum.unused_bytes) = (count, bytes);
    sum.evicted = evicted.into_inner();
    sum.objects = how.progress.objects.load(Ordering::Relaxed);
    Ok(())
}

struct Work<'a> {
    levels: &'a [Needs; 3],
    store: &'a Reader,
    how: How<'a>,
    unused: &'a [AtomicU64; 2],
    evicted: &'a AtomicU64,
    ended: &'a AtomicBool,
}

impl Work<'_> {
    fn is_over(&self) -> bool {
        self.how.stop.load(Ordering::Relaxed) || self.ended.load(Ordering::Relaxed)
    }

    fn all(&self, next: &AtomicU64, send: &SyncSender<Event>) -> io::Result<()> {
        while let Ok(first) = u8::try_from(next.fetch_add(1, Ordering::Relaxed))
            && !self.is_over()
        {
            self.beginning(first, send)?;
            self.how.progress.parts.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Those whose hash begins with that byte: both what is there and what is needed come in order.
    fn beginning(&self, first: u8, send: &SyncSender<Event>) -> io::Result<()> {
        let needs = together(self.levels, first)?;
        let mut needs = needs.into_iter().peekable();
        let strays = self.store.each_beginning(first, |object| {
            while let Some(need) = needs.next_if(|need| need.object < object) {
                self.absent(&need, send);
            }
            let need = needs.next_if(|need| need.object == object);
            self.present(object, need, send);
            !self.is_over()
        });
        if self.is_over() {
            return Ok(());
        }
        for need in needs {
            self.absent(&need, send);
        }
        for stray in strays {
            // Nobody listens any more only where that is over.
            let _ = send.send(Event::Stray(stray));
        }
        Ok(())
    }

    fn depth(&self) -> Depth<'_> {
        Depth {
            quick: self.how.quick,
            read: &self.how.progress.read,
            stop: self.how.stop,
        }
    }

    fn present(&self, object: Digest, need: Option<Need>, send: &SyncSender<Event>) {
        let audit = self.store.audit(&object, &self.depth());
        if self.is_over() {
            return;
        }
        self.how.progress.objects.fetch_add(1, Ordering::Relaxed);
        if need.is_none() {
            self.unused[0].fetch_add(1, Ordering::Relaxed);
            self.unused[1].fetch_add(audit.size, Ordering::Relaxed);
        }
        match (audit.found, need) {
            (Found::Whole, _) | (Found::Missing, None) => {}
            (Found::Missing, Some(need)) => {
                let _ = send.send(Event::Absent(need));
            }
            (
                found @ (Found::Other(_) | Found::Empty | Found::Altered(_) | Found::Unreadable(_)),
                need,
            ) => {
                let _ = send.send(Event::Trouble(Trouble {
                    object,
                    need,
                    found,
                    outside: None,
                }));
            }
        }
        if let Some(mode) = audit.mode {
            let _ = send.send(Event::Mode(object, self.store.path(&object), mode));
        }
    }

    /// What is needed and was not found in its folder.
    fn absent(&self, need: &Need, send: &SyncSender<Event>) {
        // A start task does without; and large files of steps are not kept.
        if need.object == Digest::EMPTY || need.by == Use::File || self.is_over() {
            return;
        }
        let trouble = look_for(self.store, need, &self.depth());
        match trouble.filter(|_| !self.is_over()) {
            None => {}
            Some(trouble) if trouble.is_gone() && self.store.is_evicted(&need.object) => {
                self.evicted.fetch_add(1, Ordering::Relaxed);
            }
            Some(trouble) if trouble.is_gone() || trouble.outside.is_some() => {
                let _ = send.send(Event::Absent(*need));
            }
            Some(trouble) => {
                let _ = send.send(Event::Trouble(trouble));
            }
        }
    }
}

/// What is wrong with an object that was not found in its folder.
pub(super) fn look_for(store: &Reader, need: &Need, depth: &Depth) -> Option<Trouble> {
    let outside = match store.lent_as_it_was(&need.object, depth.quick) {
        Some(Ok(())) => return None,
        Some(Err(error)) => Some(error.to_string()),
        None => None,
    };
    // It may have come by now, or be behind a link.
    let audit = store.audit(&need.object, depth);
    let trouble = Trouble {
        object: need.object,
        need: Some(*need),
        found: audit.found,
        outside,
    };
    (trouble.found != Found::Whole).then_some(trouble)
}
