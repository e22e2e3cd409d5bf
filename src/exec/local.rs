//! The executor of this machine: threads, each of which runs one task after the other.

mod batch;
mod channel;
mod collect;
mod early;
mod execution;
mod given;
mod hints;
mod kept;
mod launch;
mod listener;
mod live;
mod oom;
mod pool;
mod rescue;
mod sandbox;
mod scratch;
mod state_dir;
#[cfg(test)]
mod tests;
mod transcript;
mod worker;
mod workspace;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use channel::{Bell, Channel, Emergency, Message};
pub(crate) use given::{Given, copy_in, fill_in, fill_with_steps_in, unfold_in};
pub(crate) use kept::{Kept, prune_kept};
pub(crate) use launch::step::{Parameters, Runnable, TaskLaunch, With, program, variables};
pub(in crate::exec) use oom::Kills;
pub(crate) use rescue::rescue;
pub(crate) use sandbox::{Problem, Sandbox, Scene, secret as secret_in_a_sandbox};
pub(crate) use scratch::{Scratch, clear_runs, count_runs};
pub(in crate::exec) use state_dir::LiveState;
pub(in crate::exec) use worker::{Site, Worker};
pub(crate) use worker::{host_path, need};

use super::Executor;
use super::away::Away;
use crate::engine::{Error, Scheduler};
use crate::folder::Folder;
use crate::store::Store;
use crate::sys::Divided;

pub(crate) struct Local<'c> {
    /// What comes from outside.
    pub channel: &'c Channel,
    /// Where outputs go.
    pub store: &'c Store,
    /// How the scripts of all steps are run, in the order of the manifest.
    pub steps: Arc<[Arc<Runnable>]>,
    /// A folder of this run alone, on the store's file system.
    pub scratch: Arc<Folder>,
    /// Whether what tasks write is told while they run.
    pub live: bool,
    /// How long scripts that are asked to end have for it.
    pub grace: Duration,
    /// By what tasks have no more memory than they are given, if by anything.
    pub fence: Option<Arc<Divided>>,
    /// Where folders of failed tasks go, if they are kept.
    pub keep: Option<Arc<Kept>>,
    /// On how many runsets the run works, which were the last to run. None: nobody removes anything beside it.
    pub runsets: usize,
    /// Who carries out the jobs of some steps elsewhere, if anybody does.
    pub away: Option<&'c dyn Away>,
}

impl Executor for Local<'_> {
    fn drive<'a>(&mut self, scheduler: Scheduler<'a>) -> Result<Scheduler<'a>, Error> {
        pool::drive(self, scheduler)
    }
}
