//! Tells what a task writes while it runs.

mod lines;

use std::time::Instant;

use crate::model::event::Event;
use crate::model::name::StepName;
use crate::model::task::TaskId;
use crate::process::Stream;
use lines::Lines;

/// Told what a task writes, as it does.
pub(super) type Tell<'a> = &'a dyn Fn(&Event);

/// Both streams of one task, on the way to whoever listens.
pub(super) struct Live<'a> {
    tell: Tell<'a>,
    task: TaskId,
    step: &'a StepName,
    stdout: Lines,
    stderr: Lines,
}

impl<'a> Live<'a> {
    /// For a task that is about to run.
    pub(super) fn new(tell: Tell<'a>, task: TaskId, step: &'a StepName) -> Self {
        Self {
            tell,
            task,
            step,
            stdout: Lines::default(),
            stderr: Lines::default(),
        }
    }

    /// It has written this.
    pub(super) fn wrote(&mut self, stream: Stream, bytes: &[u8]) {
        self.on(stream, |lines, tell| lines.add(bytes, Instant::now(), tell));
    }

    /// When to look again though nothing is written.
    pub(super) fn due(&self) -> Option<Instant> {
        self.stdout.due().into_iter().chain(self.stderr.due()).min()
    }

    /// Tells what has waited for its line's end long enough.
    pub(super) fn look(&mut self) {
        let now = Instant::now();
        for stream in [Stream::Stdout, Stream::Stderr] {
            self.on(stream, |lines, tell| lines.look(now, tell));
        }
    }

    /// It has ended.
    pub(super) fn end(&mut self) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            self.on(stream, Lines::end);
        }
    }

    fn on(&mut self, stream: Stream, act: impl FnOnce(&mut Lines, &mut dyn FnMut(&[u8]))) {
        let lines = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let (tell, task, step) = (self.tell, self.task, self.step);
        act(lines, &mut |bytes| {
            tell(&Event::Output {
                task,
                step,
                stderr: stream == Stream::Stderr,
                bytes,
            });
        });
    }
}
