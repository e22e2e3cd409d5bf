//! `-migrate-tainted -accept STEP`: tainted tasks are taken over as they are, where a sample of them
//! left the same under the version that the step has now.

use super::call::Call;
use super::error::Failure;
use super::sample::Older;
use super::select;
use crate::model::event::Event;
use crate::model::name::StepName;
use crate::model::task::TaskId;
use crate::state::Evidence;
use crate::text::amount;

/// What stands against taking tasks over.
struct Refusal {
    why: String,
    /// Whether another sample may help.
    again: bool,
}

impl Call<'_> {
    /// Takes over what may be of these steps: all in one group of writes, or nothing.
    pub(super) fn accept(&mut self, steps: &[String]) -> Result<(), Failure> {
        let runsets = self.selected()?;
        if runsets.is_empty() {
            return Err(select::nothing_ran(self.state.layout()));
        }
        self.check_fit(&runsets)?;
        let mut taken = Vec::new();
        let mut left = Vec::new();
        let mut named: Vec<&String> = Vec::new();
        for name in steps {
            if named.contains(&name) {
                continue;
            }
            named.push(name);
            let mut refused = None;
            let mut tainted = false;
            let before = taken.len();
            for runset in &runsets {
                let evidence = self.state.evidence(runset.id)?;
                let older = self.older(runset)?;
                for older in older
                    .into_iter()
                    .filter(|one| one.step.name.as_str() == name)
                {
                    tainted = true;
                    let newest = self.state.newest_finished(runset, older.from)?;
                    match look(&older, &evidence, newest) {
                        Ok(evidence) => taken.push((runset.clone(), older, evidence)),
                        Err(refusal) => {
                            left.push((older.tainted, refusal.why.clone()));
                            refused = refused.or(Some(refusal));
                        }
                    }
                }
            }
            if taken.len() > before {
                continue;
            }
            if let Some(refusal) = refused {
                return Err(self.refuse(name, &refusal));
            }
            if !tainted {
                return Err(Failure::usage(format!("step {name} has no tainted tasks"))
                    .hint("`tasks -state tainted` lists what is tainted"));
            }
        }
        let mut counts = Vec::new();
        for (runset, _, evidence) in &taken {
            counts.push(self.state.accept(runset, evidence)?);
        }
        self.state.end()?;
        for ((runset, older, evidence), count) in taken.into_iter().zip(counts) {
            self.reporter.event(&Event::Accepted {
                runset: &runset.name,
                step: &older.step.name,
                count,
                version: older.step.version,
                from: older.version,
                sample: evidence.sample,
            });
        }
        for (count, why) in left {
            let tasks = amount::count(count, "tainted task");
            let stay = if count == 1 { "stays" } else { "stay" };
            self.reporter
                .event(&Event::Warning(&format!("{tasks} {stay}: {why}")));
        }
        Ok(())
    }

    fn refuse(&self, step: &str, refusal: &Refusal) -> Failure {
        let runset = self.of_runset();
        let hint = if refusal.again {
            format!(
                "-migrate-tainted{runset} -sample 20 runs some of them under the version that the step has now"
            )
        } else {
            format!("-migrate-tainted{runset} -run does the tasks of {step} again")
        };
        Failure::usage(format!("nothing is accepted: {}", refusal.why)).hint(hint)
    }
}

/// What speaks for taking these tasks over, or what stands against it. `newest`: the newest of
/// them, and when the last was executed.
fn look(
    older: &Older,
    evidence: &[Evidence],
    (newest, last): (TaskId, Option<i64>),
) -> Result<Evidence, Refusal> {
    let (name, now, from) = (&older.step.name, older.step.version, older.version);
    let again = |why: String| Refusal { why, again: true };
    if older.regrouped {
        return Err(Refusal {
            why: older.regrouped_in_words(),
            again: false,
        });
    }
    let is_of = |one: &&Evidence| one.from == older.from;
    let Some(found) = evidence
        .iter()
        .filter(is_of)
        .find(|one| one.to == older.step.id)
    else {
        let other = evidence.iter().any(|one| is_of(&one));
        return Err(again(no_sample(name, from, now, other)));
    };
    let sample = found.sample;
    if found.unequal > 0 {
        return Err(Refusal {
            why: format!(
                "in {sample}, {} of step {name} left something else under version {now} than under \
                 version {from}, or failed",
                amount::count(found.unequal, "task")
            ),
            again: false,
        });
    }
    if last.is_some_and(|last| last > sample.made) {
        return Err(again(format!(
            "{sample} says nothing of tasks that ran later, and some of step {name} of version {from} did"
        )));
    }
    if newest > found.newest {
        return Err(again(format!(
            "{sample} says nothing of tasks that came later, and some of step {name} of version {from} did"
        )));
    }
    if older.tainted > sample.tainted {
        return Err(again(format!(
            "step {name} has {} tasks of version {from} by now, and {sample} says nothing of so many",
            older.tainted
        )));
    }
    Ok(*found)
}

fn no_sample(name: &StepName, from: i64, now: i64, other: bool) -> String {
    if other {
        format!(
            "the sample of the tasks of step {name} of version {from} was run under another version \
             than {now}, which the step has now"
        )
    } else {
        format!(
            "no sample of the tasks of step {name} of version {from} has been run under version {now}"
        )
    }
}
