//! A step as the scheduler needs it.

use crate::model::retry::Pauses;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::manifest::{self, Cache};
use crate::model::checkpoint::Checkpoint;
use crate::model::digest::Digest;
use crate::model::gather::{Gather, Source};
use crate::model::identity::{Identity, Tools};
use crate::model::list::Form;
use crate::model::name::StepName;
use crate::model::plan::QueueId;
use crate::model::promise::Pattern;
use crate::model::resources::{Place, Resources};
use crate::model::shared::Terms;
use crate::model::task::VARIABLES;
use crate::state::{StepId, Usable};
use crate::sys;

/// When outputs of an equal task may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReuseRule {
    /// Never: the step forbids it, or its script can tell one task from another.
    Never,
    /// For an equal input.
    Content,
    /// For an equal input with an equal name, which the script reads.
    ContentAndName,
}

/// Which results may be used again, by when and where they were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReuseScope {
    /// Any.
    Any,
    /// Those whose execution ended then or later: milliseconds since 1970.
    Since(i64),
    /// Those of the same runset.
    Runset,
}

impl ReuseScope {
    /// What `cache` says to a run that begins at `now`, in milliseconds since 1970.
    pub(crate) fn of(cache: Cache, now: i64) -> Self {
        match cache {
            Cache::Always | Cache::Never => Self::Any,
            Cache::Within(age) => {
                let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
                Self::Since(now.saturating_sub(age))
            }
            Cache::Runset => Self::Runset,
        }
    }

    /// Looks for an equal task that may be used in `runset`.
    pub(crate) fn look(self, runset: &str) -> Usable<'_> {
        Usable {
            within: match self {
                // What the clock had ahead would be young for ever.
                Self::Since(since) => Some((since, sys::now().as_millisecond())),
                Self::Any | Self::Runset => None,
            },
            runset,
            elsewhere: self != Self::Runset,
        }
    }
}

/// One step of a run: what decides about its tasks.
#[derive(Debug)]
// Each is a key of its own, none excludes another.
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct StepPlan {
    /// Its place in the manifest.
    pub queue: QueueId,
    /// Its name.
    pub name: StepName,
    /// The row of its current version.
    pub id: StepId,
    /// All versions that compute the same.
    pub equal: Vec<StepId>,
    /// The number of its current version.
    pub version: i64,
    /// Whether it leaves the same for the same input whenever it runs, as far as the manifest says.
    pub steady: bool,
    /// When outputs of an equal task may be taken.
    pub reuse_rule: ReuseRule,
    /// And of which those that may.
    pub scope: ReuseScope,
    /// What it promises to leave, if it promises anything.
    pub outputs: Option<Arc<[Pattern]>>,
    /// Whether folders are outputs.
    pub folders: bool,
    /// Whether its tasks keep something from try to try.
    pub checkpoint: Checkpoint,
    /// Most tasks at once.
    pub parallel: Option<usize>,
    /// What each of them takes.
    pub resources: Resources,
    /// Where they run, if not here.
    pub place: Option<Place>,
    /// Further executions after a failed one.
    pub retries: u32,
    /// The pauses before them.
    pub pauses: Pauses,
    /// How often it may occur in one line of descent.
    pub rounds: u32,
    /// What it gathers into one task, if it does.
    pub gather: Option<Gather>,
    /// Whether it gathers although something failed for good.
    pub partial: bool,
    /// Whether it runs although nothing came to it.
    pub empty: bool,
    /// What it takes of other steps, wherever that is routed.
    pub from: Vec<Source>,
    /// The steps whose outputs its tasks get besides their inputs; sorted.
    pub with: Vec<StepName>,
    /// Whether each task gets one of these alone.
    pub each: bool,
    /// Whether its script may know what its task is about.
    pub reads_key: bool,
    /// Its secrets that the run is not given: it executes nothing.
    pub lacks: Box<[String]>,
    /// What the keys of its results have in common, if these are shared with others.
    pub share: Option<Arc<Terms>>,
}

impl StepPlan {
    /// Whether the step may leave what has this form today. It is no part of its version: a script that
    /// leaves a folder fails without it, and another result it cannot have.
    pub(super) fn takes(&self, form: Form) -> bool {
        self.folders || form != Form::Folder
    }
}

/// What a step is, for its fingerprint; `host` gives the digest of the value that a variable has
/// there, if it is set.
pub(crate) fn identity(
    step: &manifest::Step,
    tools: Tools,
    host: &dyn Fn(&str) -> Option<Digest>,
) -> Identity {
    let mut keep = step.keep.clone();
    keep.sort();
    keep.dedup();
    // In place of others the script has values of its own.
    let packages_alone = step.pure && matches!(tools, Tools::Nix(_));
    let is_seen = |name: &&String| {
        let is_own = step.env.contains_key(*name) || VARIABLES.contains(&name.as_str());
        !is_own && (*name != "PATH" || !packages_alone)
    };
    let value = |name: &String| host(name).map(|digest| digest.to_string());
    let kept = keep.iter().filter(is_seen);
    let kept = kept.map(|name| (name.clone(), value(name))).collect();
    Identity {
        script: step.script.clone(),
        shell: step.shell.clone(),
        env: step.env.clone(),
        pure: step.pure,
        keep,
        tools,
        kept,
        files: None,
        params: BTreeMap::new(),
        gather: step.gather.is_some(),
        with: step.with.iter().map(ToString::to_string).collect(),
        each: step.each,
        secrets: step.secrets.clone(),
        sandbox: step.sandbox,
        network: step.sandbox && step.network,
        rest: BTreeMap::new(),
    }
}

/// When outputs of an equal task may be taken for tasks of this step. `lent`: whether inputs may be links, which
/// tell any program the name.
pub(crate) fn reuse_rule(step: &manifest::Step, identity: &Identity, lent: bool) -> ReuseRule {
    if step.cache == Cache::Never || identity.reads_task() {
        ReuseRule::Never
    } else if lent || identity.reads_input_name() {
        ReuseRule::ContentAndName
    } else {
        ReuseRule::Content
    }
}

/// What the keys of the results of this step have in common, if others are given these, and it takes theirs.
///
/// Others have to come to the same: by itself a step is shared whose programs are its packages, and who sees nothing of the
/// host besides them. `share` says otherwise.
pub(crate) fn share_terms(
    step: &manifest::Step,
    identity: &Identity,
    rule: ReuseRule,
) -> Option<Terms> {
    let closed = matches!(identity.tools, Tools::Nix(_)) && (step.pure || step.sandbox);
    let wanted = step.share.unwrap_or(closed && step.secrets.is_empty());
    let is_kept = matches!(step.cache, Cache::Always | Cache::Within(_));
    let may_be = rule != ReuseRule::Never
        && is_kept
        && identity.tools != Tools::HostInstead
        && !(step.gather.is_some() && step.partial);
    if !wanted || !may_be {
        return None;
    }
    Terms::of(identity, &step.name, &sys::kind_of_machine())
}
