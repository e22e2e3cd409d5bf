//! Workers that were called and have not come: others are called where one takes long, and one that says nothing is ended.
//!
//! One that waits in a queue may take as long as it likes.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{Read as _, Seek as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::coming::Coming;
use super::station::call;
use super::{Remote, State};
use crate::exec::away::Whereabouts;

/// After which somebody who has not come is late: others are called.
const LATE: Duration = Duration::from_secs(3);
/// After which it is asked why somebody waits in a queue, and each time again.
const WAITS: Duration = Duration::from_secs(30);

impl Remote<'_> {
    /// Calls for others where somebody takes long to come, and ends who says nothing; when to look again.
    pub(super) fn look_for_who_comes(&self, state: &mut State, now: Instant) -> Duration {
        let silence = Duration::from_millis(self.terms.silence);
        let mut next = Duration::MAX;
        for (place, _) in self
            .crews
            .iter()
            .enumerate()
            .filter(|(_, crew)| !crew.queues)
        {
            let mut any_late = false;
            for station in &mut state.stations[place] {
                let Some(coming) = &mut station.coming else {
                    continue;
                };
                next = LATE;
                if now.duration_since(coming.began) >= LATE {
                    any_late |= !std::mem::replace(&mut coming.is_late, true);
                }
                if coming.is_silent(now, silence) {
                    coming.is_ended = true;
                    station.kill();
                }
            }
            let wanted = state.wanted[place].max(state.book.waiting(place) as u64);
            let missing = wanted.saturating_sub(state.book.free(place));
            if any_late && missing > 0 && call(&mut state.stations[place], missing) {
                next = Duration::ZERO;
            }
        }
        next
    }

    /// Places of which it is to be asked why their workers wait.
    pub(super) fn due_to_ask(&self, state: &mut State) -> Vec<usize> {
        let now = (self.clock)();
        let mut due = Vec::new();
        for (place, crew) in self.crews.iter().enumerate() {
            let waits = |coming: &Coming| now.duration_since(coming.began) >= WAITS;
            let mut coming = state.stations[place].iter().flat_map(|one| &one.coming);
            if crew.why.is_none() || !coming.any(waits) {
                continue;
            }
            let (asked, _) = state.asked[place].get_or_insert((now, String::new()));
            if *asked == now || now.duration_since(*asked) >= WAITS {
                *asked = now;
                due.push(place);
            }
        }
        due
    }

    /// Asks why workers of a place wait, and tells it where that is another reason than before; where there is more to it than
    /// that others are first, the user is warned.
    pub(super) fn ask_why(&self, place: usize) {
        // Of Slurm's reasons those that pass by themselves.
        const USUAL: [&str; 4] = ["None", "Priority", "Resources", "Prolog"];
        let crew = &self.crews[place];
        let Some(said) = crew.why.as_ref().and_then(|why| self.output(why)) else {
            return;
        };
        let reasons: BTreeSet<&str> = said.lines().map(str::trim).collect();
        let is_usual = |reason: &&str| USUAL.contains(reason);
        let (usual, others): (Vec<&str>, Vec<&str>) = reasons
            .into_iter()
            .filter(|reason| !reason.is_empty())
            .partition(is_usual);
        let why = if others.is_empty() {
            usual
        } else {
            others.clone()
        }
        .join(", ");
        let mut state = self.lock();
        let before = state.asked[place].as_mut().map(|(_, before)| before);
        if why.is_empty()
            || before.is_none_or(|before| std::mem::replace(before, why.clone()) == why)
        {
            return;
        }
        let waiting: Vec<_> = state.stations[place]
            .iter()
            .filter(|station| station.coming.is_some())
            .filter_map(|station| station.expects)
            .collect();
        for worker in waiting {
            self.tell_of(worker, place, Whereabouts::Waits(why.clone()));
        }
        let is_new = !others.is_empty() && state.warned.insert(format!("{} {why}", crew.name));
        drop(state);
        if is_new {
            self.warn(format!(
                "{}: a worker still waits for its place, and may wait for ever: {why}\nhint: {}",
                crew.name, crew.hint
            ));
        }
    }

    /// What a command says, which has a moment for it.
    fn output(&self, words: &[OsString]) -> Option<String> {
        const MOMENT: Duration = Duration::from_secs(5);
        let mut to = tempfile::tempfile_in(self.folder.path()).ok()?;
        let mut command = Command::new(words.first()?);
        command
            .args(&words[1..])
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        for variable in self.hidden {
            command.env_remove(variable);
        }
        command.stdout(to.try_clone().ok()?);
        let starting = crate::sys::starting_a_child();
        let child = command.spawn();
        drop(starting);
        let mut child = child.ok()?;
        let due = Instant::now() + MOMENT;
        while Instant::now() < due && !self.lock().over {
            if let Ok(Some(status)) = child.try_wait() {
                let mut said = String::new();
                to.rewind().ok()?;
                to.read_to_string(&mut said).ok()?;
                return status.success().then_some(said);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let _ = child.wait();
        None
    }

    /// Whether who was to come was ended for saying nothing.
    pub(super) fn was_silent(&self, place: usize, number: usize) -> bool {
        let coming = &self.lock().stations[place][number].coming;
        coming.as_ref().is_some_and(|coming| coming.is_ended)
    }
}

#[cfg(test)]
mod tests;
