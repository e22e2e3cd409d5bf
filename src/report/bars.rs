//! Progress bars: one a step, on a terminal.
//!
//! An event changes a few numbers; a thread draws them, at most [`RATE`] times a second and only
//! if the picture changed. What is to stay is told above the bars.

mod layout;
pub(super) mod model;
pub(super) mod terminal;

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::plain;
use crate::model::event::Event;
use crate::out;
use model::{Earlier, Model};
use terminal::Terminal;

/// Pictures a second.
const RATE: u32 = 10;
/// Bytes of lines that may wait for the next picture.
const BACKLOG: usize = 64 * 1024;

/// Tells events by bars and lines above them.
pub(super) struct Bars {
    verbose: bool,
    colours: bool,
    /// What earlier runs tell.
    earlier: Earlier,
    /// While a run is on.
    running: Option<Running>,
}

impl Bars {
    /// Ready to tell.
    pub(super) fn new(verbose: bool, colours: bool) -> Self {
        Self {
            verbose,
            colours,
            earlier: Earlier::new(),
            running: None,
        }
    }

    /// Takes note of how long tasks took in earlier runs.
    pub(super) fn expect(&mut self, earlier: Earlier) {
        self.earlier = earlier;
    }

    /// Tells one event.
    pub(super) fn event(&mut self, event: &Event) {
        if let Event::Summary(_) | Event::Sampled(_) = event {
            self.clear();
        }
        let text = if matches!(event, Event::Done { .. }) && !self.verbose {
            String::new()
        } else {
            plain::in_words(event, self.verbose)
        };
        match &self.running {
            Some(running) => running.tell(event, &text),
            None => out::tell(&text),
        }
        if let Event::Runset { steps, .. } | Event::Sampling { steps, .. } = event {
            self.clear();
            self.running = Running::start(Model::new(steps, &self.earlier), self.colours);
        }
    }

    /// Takes the bars away.
    pub(super) fn clear(&mut self) {
        self.running = None;
    }
}

/// The bars of one run; gone when dropped.
pub(super) struct Running {
    picture: Arc<Picture>,
    /// Closed to end the thread.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// None if no thread can be had: lines are told all the same.
    fn start(model: Model, colours: bool) -> Option<Self> {
        Self::since(model, colours, Instant::now())
    }

    /// Of a run that began then.
    pub(super) fn since(model: Model, colours: bool, began: Instant) -> Option<Self> {
        let picture = Arc::new(Picture::new(model, colours, began));
        let (end, ended) = mpsc::channel();
        let drawn = Arc::clone(&picture);
        let thread = std::thread::Builder::new()
            .name("progress".into())
            .spawn(move || {
                // A run that is over at once shows no bars.
                while let Err(RecvTimeoutError::Timeout) =
                    ended.recv_timeout(Duration::from_secs(1) / RATE)
                {
                    drawn.draw();
                }
            })
            .ok()?;
        Some(Self {
            picture,
            end: Some(end),
            thread: Some(thread),
        })
    }

    /// Shows that from now on.
    pub(super) fn set(&self, model: Model) {
        self.picture.told().model = model;
    }

    fn tell(&self, event: &Event, text: &str) {
        let mut told = self.picture.told();
        told.model.is_at(self.picture.clock.elapsed());
        told.model.event(event);
        told.lines.push_str(text);
        if told.lines.len() > BACKLOG {
            drop(told);
            self.picture.draw();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.picture.clear();
    }
}

/// What is on the terminal, and what is to be.
struct Picture {
    told: Mutex<JsonEvent>,
    /// Locked before `told`, and held while the terminal is written to: `told` is not.
    shown: Mutex<Shown>,
    clock: Instant,
    colours: bool,
}

struct JsonEvent {
    model: Model,
    /// Not on the terminal yet.
    lines: String,
}

struct Shown {
    bar: ProgressBar,
    terminal: Terminal,
    text: String,
    size: layout::Size,
}

impl Picture {
    fn new(model: Model, colours: bool, clock: Instant) -> Self {
        let terminal = Terminal::default();
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            bar.set_style(style);
        }
        Self {
            told: Mutex::new(JsonEvent {
                model,
                lines: String::new(),
            }),
            shown: Mutex::new(Shown {
                bar,
                terminal,
                text: String::new(),
                size: terminal::size(),
            }),
            clock,
            colours,
        }
    }

    fn told(&self) -> MutexGuard<'_, JsonEvent> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the terminal up to date.
    fn draw(&self) {
        let mut shown = self.shown();
        let size = terminal::size();
        let elapsed = self.clock.elapsed();
        let mut told = self.told();
        told.model.advance(elapsed);
        let text = layout::lines(&told.model, elapsed, size, self.colours).join("\n");
        let lines = std::mem::take(&mut told.lines);
        drop(told);
        if lines.is_empty() && text == shown.text && size == shown.size {
            return;
        }
        let broken = layout::rows(&shown.text, size.width);
        shown.terminal.at_once(|| {
            if size.width < shown.size.width {
                shown.terminal.take_back(broken, shown.text.lines().count());
            }
            if !lines.is_empty() {
                let terminal = &shown.terminal;
                shown.bar.suspend(|| terminal.lines(&lines));
            }
            shown.bar.set_message(text.clone());
        });
        shown.text = text;
        shown.size = size;
    }

    /// Takes the bars away; lines that were not shown yet remain.
    fn clear(&self) {
        let shown = self.shown();
        let lines = std::mem::take(&mut self.told().lines);
        shown.terminal.at_once(|| {
            shown.bar.finish_and_clear();
            shown.terminal.lines(&lines);
        });
    }
}
