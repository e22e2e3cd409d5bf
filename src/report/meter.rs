//! A line about what goes on, on a terminal.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::bars::terminal::Terminal;
use crate::out::{self, Stream};

/// Pictures a second.
const RATE: u32 = 10;

/// Drawn until it is dropped.
#[derive(Debug)]
pub(crate) struct Meter {
    /// Closed to end the thread.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Meter {
    /// Draws how far `done` of 1 is, with the words that come with it; none where standard error is no terminal
    /// to draw on.
    pub(crate) fn start(now: impl Fn() -> (f64, String) + Send + 'static) -> Option<Self> {
        if !Stream::Err.can_move() || out::is_for_github() {
            return None;
        }
        let (end, ended) = mpsc::channel();
        let draw = move || {
            const WHOLE: u64 = 1000;
            let terminal = Terminal::default();
            let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
            let bar = ProgressBar::with_draw_target(Some(WHOLE), target);
            if let Ok(style) = ProgressStyle::with_template("[{bar:24}] {percent:>3} % {msg}") {
                bar.set_style(style.progress_chars("=> "));
            }
            let pause = Duration::from_secs(1) / RATE;
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(pause) {
                let (done, words) = now();
                terminal.at_once(|| {
                    #[allow(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        clippy::cast_precision_loss
                    )] // From 0 to 1.
                    bar.set_position((done.clamp(0.0, 1.0) * WHOLE as f64) as u64);
                    bar.set_message(words);
                });
            }
            terminal.at_once(|| bar.finish_and_clear());
        };
        let thread = std::thread::Builder::new().name("progress".into());
        Some(Self {
            end: Some(end),
            thread: Some(thread.spawn(draw).ok()?),
        })
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
