//! `verify -sample N`: finished tasks run again, to see whether they leave what they left.

use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::sync::Arc;

use serde_json::{Value, json};

use super::Options;
use crate::cli::error::{Failure, signal_status};
use crate::cli::options::Places;
use crate::cli::sample::{is_there, unequal};
use crate::cli::{output, params, place, resources, secrets, select, signals};
use crate::engine::{Scheduler, Settings, StepPlan};
use crate::exec::Executor as _;
use crate::exec::local::{Channel, Local, Scratch, rescue};
use crate::model::digest::Digest;
use crate::model::event::{Event, Summary};
use crate::model::resources::Supply;
use crate::model::route::Router;
use crate::model::sample::{Difference, Unequal};
use crate::model::task::TaskId;
use crate::out;
use crate::prepare::{Known, PackageOptions, Source, Steps};
use crate::state::{Drawn, Reader, Runset, State};
use crate::store::{self, Store};
use crate::sys;
use crate::text::{amount, diff, quoted, visible};

/// Lines of a difference that are shown.
const LINES: usize = 12;
/// Bytes of texts that are compared line by line.
const TEXT: u64 = 1 << 20;
/// Tasks of a step that are told.
const TOLD: usize = 3;
/// How long scripts that are asked to end have for it.
const GRACE: std::time::Duration = std::time::Duration::from_secs(5);

/// Runs at most `most` tasks; the exit status: 1 if one did not leave what it left before.
pub(super) fn main(places: &Places, options: &Options, most: usize) -> Result<u8, Failure> {
    let mut source = Source::load(&places.manifest()?)?;
    if let Some(folder) = &places.workdir {
        source.folder = place::working_folder(folder)?;
    }
    let has = resources::of_machine(&source.manifest)?;
    source.params = params::of_one_task(places, &options.params, &source)?;
    secrets::give(&options.secrets, &mut source)?;
    let channel = Channel::default();
    let inbox = signals::listen(&channel)?;
    source.stop = Arc::clone(&inbox.stop);
    // As a run does: nobody else runs anything of the db meanwhile.
    let (mut state, _lock, _) = State::open(&places.db)?;
    let mut copy = State::private_copy(&places.db)?;
    let Some(runset) = copy.newest_runset()? else {
        return Err(select::nothing_ran(state.layout()));
    };
    let supply = PackageOptions {
        host: options.host_env,
        locked: false,
        stop: &inbox.stop,
    };
    let known = Known::of(&source, &mut copy, supply)?;
    let steps = Steps::without_registering(&source, &mut copy, &known, &mut |_| {})?;
    sys::adopt_orphans();
    state
        .find_from_everywhere()
        .and_then(|()| std::env::set_current_dir(&source.folder))
        .map_err(|error| place::no_start_in(&source.folder, &error))?;
    let layout = state.layout().clone();
    let scratch = Scratch::new(&layout.scratch(), &layout.objects(), GRACE)?;
    channel.emergency().is_in(&scratch);
    let store = Store::open(&layout.objects(), scratch.folder().path())?;
    store.lend(state.lent()?);
    store.set_evicted(state.evicted()?);
    for words in rescue(&scratch, &store, &mut state)? {
        out::tell(&format!("warning: {words}\n"));
    }
    let groups = draw(
        &copy,
        &store,
        (&runset, &steps, &known),
        (most, options.seed),
    )?;
    let drawn: Vec<Drawn> = groups
        .iter()
        .flat_map(|group| {
            let step = group.step.id;
            group
                .tasks
                .iter()
                .map(move |task| Drawn { task: *task, step })
        })
        .collect();
    let mut apart = copy.apart(&runset, &drawn)?;
    let mut local = Local {
        away: None,
        runsets: 0,
        channel: &channel,
        store: &store,
        steps: Arc::clone(&steps.runnable),
        scratch: Arc::clone(scratch.folder()),
        live: false,
        grace: GRACE,
        // It is counted, and not held to.
        fence: None,
        keep: None,
    };
    let ran = run(&mut apart, &runset, &steps, has, &mut local);
    let done = ran.and_then(|summary| {
        if let Some(signal) = summary.signal {
            return Ok(signal_status(signal));
        }
        if let Some(short) = summary.shortage {
            return Err(Failure::usage(short.error).lined().hint(short.hint));
        }
        let mut equal = true;
        for group in &groups {
            equal &= tell(&copy, &apart, &store, group, options)?;
        }
        Ok(u8::from(!equal))
    });
    drop(local);
    scratch.close();
    done
}

/// Tasks of one step.
struct Group {
    step: Arc<StepPlan>,
    /// How many there are.
    of: i64,
    tasks: Vec<TaskId>,
}

/// Chooses tasks of all steps that have some, as many of each as of the others.
fn draw(
    copy: &Reader,
    store: &Store,
    (runset, steps, known): (&Runset, &Steps, &Known),
    (most, seed): (usize, u64),
) -> Result<Vec<Group>, Failure> {
    let finished = copy.finished(runset.id)?;
    let mut groups = Vec::new();
    for step in &steps.all {
        let of_step = finished.iter().filter(|one| step.equal.contains(&one.step));
        let of: i64 = of_step.clone().map(|one| one.count).sum();
        let skipped = match &step.lacks[..] {
            _ if of == 0 => continue,
            [secret, ..] => Some(format!("it is not given {secret}")),
            [] if known.unresolved.contains(&step.name) => {
                Some("its packages are not resolved".to_owned())
            }
            [] => None,
        };
        if let Some(why) = skipped {
            out::tell(&format!(
                "step {}: none of its tasks run again: {why}\n",
                step.name
            ));
            continue;
        }
        let mut tasks = Vec::new();
        for one in of_step {
            tasks.extend(copy.draw_by(runset, one.step, (most, seed), &is_there(store))?);
        }
        if tasks.is_empty() {
            out::tell(&format!(
                "step {}: none of its tasks run again: the bytes of what they read were evicted\n",
                step.name
            ));
            continue;
        }
        let step = Arc::clone(step);
        groups.push(Group { step, of, tasks });
    }
    // A task of each in turn, until there are enough.
    let mut wanted = vec![0; groups.len()];
    let mut left = most;
    while left > 0 {
        let before = left;
        for (count, group) in wanted.iter_mut().zip(&groups) {
            if left > 0 && *count < group.tasks.len() {
                *count += 1;
                left -= 1;
            }
        }
        if left == before {
            break;
        }
    }
    for (group, count) in groups.iter_mut().zip(wanted) {
        group.tasks.truncate(count);
    }
    groups.retain(|group| !group.tasks.is_empty());
    Ok(groups)
}

fn run(
    apart: &mut State,
    runset: &Runset,
    steps: &Steps,
    supply: Supply,
    local: &mut Local,
) -> Result<Summary, Failure> {
    let settings = Settings {
        parallel: sys::cores(),
        fail_fast: false,
        supply,
        places: 0,
    };
    // Whatever they leave goes no further.
    let nowhere = Router::new([]);
    let mut listener = |_: &Event| {};
    let scheduler = Scheduler::new(
        apart,
        local.store,
        &steps.all,
        &nowhere,
        runset,
        settings,
        &mut listener,
    )?;
    Ok(local.run(scheduler)?)
}

/// Tells what came of the tasks of a step; whether all left what they left before.
fn tell(
    copy: &Reader,
    apart: &Reader,
    store: &Store,
    group: &Group,
    options: &Options,
) -> Result<bool, Failure> {
    let mut differing = Vec::new();
    for task in &group.tasks {
        differing.extend(unequal(copy, apart, *task)?);
    }
    let failed = differing.iter().filter(|one| one.error.is_some()).count();
    let name = visible(group.step.name.as_str());
    let ran = group.tasks.len();
    if options.json {
        let told = json!({
            "schema": 1,
            "sampled": name,
            "tasks": group.tasks,
            "of": group.of,
            "seed": options.seed,
            "failed": failed,
            "differing": differing.len() - failed,
            "differences": differing.iter().map(|one| to_json(store, one)).collect::<Vec<_>>(),
        });
        Failure::unless_gone(output::print_json(format!("{told}\n")))?;
        return Ok(differing.is_empty());
    }
    let numbers: Vec<String> = group
        .tasks
        .iter()
        .take(8)
        .map(|task| format!("#{task}"))
        .collect();
    let more = if ran > numbers.len() { ", …" } else { "" };
    let head = format!(
        "{name}: {} of {} run again ({}{more}; seed {})",
        ran,
        amount::count(group.of, "task"),
        numbers.join(", "),
        options.seed
    );
    if differing.is_empty() {
        Failure::unless_gone(output::print(&format!("{head}: the same as before\n")))?;
        return Ok(true);
    }
    let mut lines = vec![match differing.len() - failed {
        0 => format!("{head}: {failed} failed"),
        count => format!("{head}: not deterministic, {count} left something else"),
    }];
    for one in differing.iter().take(TOLD) {
        let input = one.input_name.as_ref();
        let input = input.map_or_else(String::new, |name| {
            quoted(&format!("{name}{}", one.form.slash()))
        });
        if let Some(error) = &one.error {
            let error = error.lines().next().unwrap_or_default();
            lines.push(format!("  task #{} {input}: {error}", one.task));
        }
        let names: Vec<String> = one
            .outputs
            .iter()
            .map(|output| quoted(&output.name))
            .collect();
        if !names.is_empty() {
            let more = if one.more > 0 { ", …" } else { "" };
            lines.push(format!(
                "  task #{} {input}: {}{more}",
                one.task,
                names.join(", ")
            ));
        }
    }
    let first = differing.iter().flat_map(|one| &one.outputs).next();
    if let Some(first) = first {
        lines.push(format!("  {}:", quoted(&first.name)));
        lines.extend(
            how(store, first)
                .into_iter()
                .map(|line| format!("    {}", visible(&line))),
        );
    }
    lines.push(String::new());
    Failure::unless_gone(output::print(&lines.join("\n")))?;
    Ok(false)
}

fn to_json(store: &Store, one: &Unequal) -> Value {
    json!({
        "task": one.task,
        "input_name": one.input_name,
        "kind": one.form.word(),
        "error": one.error,
        "outputs": one.outputs.iter().map(|output| json!({
            "name": output.name,
            "old": output.old.map(|old| old.to_string()),
            "new": output.new.map(|new| new.to_string()),
        })).collect::<Vec<_>>(),
        "more": one.more,
        "diff": one.outputs.first().map(|first| how(store, first)),
    })
}

/// In what an output differs: lines of texts, else where other bytes begin.
fn how(store: &store::Reader, output: &Difference) -> Vec<String> {
    let (old, new) = match (&output.old, &output.new) {
        (Some(old), Some(new)) => (old, new),
        (Some(_), None) => return vec!["it was left before, and is not now".to_owned()],
        (None, _) => return vec!["it was not left before".to_owned()],
    };
    let text = |object: &Digest| -> Option<String> {
        let size = store.size_of(object).filter(|size| *size <= TEXT)?;
        let mut bytes = Vec::with_capacity(usize::try_from(size).ok()?);
        store
            .open_verified(object)
            .ok()?
            .read_to_end(&mut bytes)
            .ok()?;
        String::from_utf8(bytes)
            .ok()
            .filter(|text| !text.contains('\0'))
    };
    if let (Some(old), Some(new)) = (text(old), text(new)) {
        let mut lines = diff::unified(&old, &new);
        if lines.len() > LINES {
            let more = lines.len() - LINES;
            lines.truncate(LINES);
            lines.push(format!("… and {} more", amount::count(more, "line")));
        }
        return lines;
    }
    let size = |object| {
        store
            .size_of(object)
            .map_or("? B".to_owned(), |size| format!("{size} B"))
    };
    let sizes = format!("{} before, {} now", size(old), size(new));
    let open = |object| store.open_verified(object).map_err(io::Error::other);
    let first = open(old).and_then(|old| first_other(old, open(new)?));
    vec![match first {
        Ok(at) => format!("{sizes}; the bytes differ from offset {at} on"),
        Err(error) => format!("{sizes}; {error}"),
    }]
}

/// The offset of the first byte that is not the same in both.
fn first_other(one: File, other: File) -> io::Result<u64> {
    let (mut one, mut other) = (BufReader::new(one).bytes(), BufReader::new(other).bytes());
    let mut at = 0;
    loop {
        match (one.next().transpose()?, other.next().transpose()?) {
            (Some(one), Some(other)) if one == other => at += 1,
            _ => return Ok(at),
        }
    }
}
