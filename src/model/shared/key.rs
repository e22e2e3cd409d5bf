//! What a shared result depends on.

use sha2::{Digest as _, Sha256};

use crate::model::digest::Digest;
use crate::model::identity::Identity;
use crate::model::list::Form;
use crate::model::name::StepName;

/// SHA-256 of all that a result depends on, wherever and whenever it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ResultKey(pub Digest);

/// What all keys of a step's results have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The kind of machine, as Nix calls it: `x86_64-linux`.
    pub system: Box<str>,
    /// What the step computes.
    pub fingerprint: Digest,
    /// The step's name, where its script can tell it.
    pub step: Option<StepName>,
}

impl Terms {
    /// Those of a step; none where what its script can tell makes each result one of its own.
    pub fn of(identity: &Identity, step: &StepName, system: &str) -> Option<Self> {
        if identity.reads_task() || identity.mentions("TASK_PIPELINE_VERSION") {
            return None;
        }
        Some(Self {
            system: system.into(),
            fingerprint: identity.fingerprint(),
            step: identity
                .mentions("TASK_PIPELINE_STEP")
                .then(|| step.clone()),
        })
    }

    /// The key of the result on that input. `context`: the list of what the task gets besides it; `name` and `about`: what
    /// its input is called and what it is about, where the script can tell.
    pub fn key(
        &self,
        (input, form): (&Digest, Form),
        context: Option<&Digest>,
        name: Option<&str>,
        about: Option<&str>,
    ) -> ResultKey {
        let mut feed = Feed(Sha256::new());
        feed.part(b'F', b"task-pipeline result 1");
        feed.part(b's', self.system.as_bytes());
        feed.part(b'v', &self.fingerprint.0);
        feed.part(b'i', &input.0);
        feed.part(b'k', form.word().as_bytes());
        let others = [
            (b'c', context.map(|context| &context.0[..])),
            (b'n', name.map(str::as_bytes)),
            (b'a', about.map(str::as_bytes)),
            (
                b't',
                self.step.as_ref().map(|step| step.as_str().as_bytes()),
            ),
        ];
        for (tag, part) in others {
            if let Some(part) = part {
                feed.part(tag, part);
            }
        }
        ResultKey(Digest(feed.0.finalize().into()))
    }
}

/// Feeds a hash so that no two different sequences of parts give the same bytes: each is preceded by a tag and its length.
struct Feed(Sha256);

impl Feed {
    fn part(&mut self, tag: u8, bytes: &[u8]) {
        self.0.update([tag]);
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn terms(script: &str) -> Option<Terms> {
        let identity = Identity {
            script: script.to_owned(),
            ..Identity::default()
        };
        Terms::of(&identity, &StepName::new("count").unwrap(), "x86_64-linux")
    }

    /// Results are found by it: it stays as it is for ever. The digest is that of these bytes, put together by hand.
    #[test]
    fn the_key_is_that_of_its_parts() {
        let terms = Terms {
            system: "x86_64-linux".into(),
            fingerprint: Digest::of(b"fingerprint"),
            step: Some(StepName::new("count").unwrap()),
        };
        let mut bytes = Vec::new();
        let mut part = |tag: u8, part: &[u8]| {
            bytes.push(tag);
            bytes.extend(u64::try_from(part.len()).unwrap().to_le_bytes());
            bytes.extend(part);
        };
        part(b'F', b"task-pipeline result 1");
        part(b's', b"x86_64-linux");
        part(b'v', &Digest::of(b"fingerprint").0);
        part(b'i', &Digest::of(b"input").0);
        part(b'k', b"folder");
        part(b'c', &Digest::of(b"context").0);
        part(b'n', b"name");
        part(b'a', b"about");
        part(b't', b"count");
        let input = (&Digest::of(b"input"), Form::Folder);
        let context = Digest::of(b"context");
        let key = terms.key(input, Some(&context), Some("name"), Some("about"));
        assert_eq!(key.0, Digest::of(&bytes));
    }

    #[test]
    fn whatever_differs_gives_another_key() {
        let plain = terms("cat").unwrap();
        let mut other_system = plain.clone();
        other_system.system = "aarch64-linux".into();
        let all = [plain, other_system, terms("tac").unwrap()];
        let inputs = [Digest::of(b"a"), Digest::of(b"b")];
        let words = [None, Some("x"), Some("y")];
        let mut seen = HashSet::new();
        let mut count = 0;
        for terms in &all {
            for input in &inputs {
                for form in [Form::File, Form::Folder, Form::List] {
                    for context in [None, Some(&inputs[0]), Some(&inputs[1])] {
                        for name in words {
                            for about in words {
                                seen.insert(terms.key((input, form), context, name, about));
                                count += 1;
                            }
                        }
                    }
                }
            }
        }
        assert_eq!(seen.len(), count);
    }

    #[test]
    fn the_step_counts_where_the_script_can_tell_it_and_what_is_of_one_task_alone_is_not_shared() {
        assert_eq!(terms("cat").unwrap().step, None);
        assert!(
            terms("echo $TASK_PIPELINE_STEP")
                .unwrap()
                .step
                .is_some_and(|step| step.as_str() == "count")
        );
        for word in ["TASK", "RUNSET", "VERSION"] {
            assert_eq!(terms(&format!("echo $TASK_PIPELINE_{word}")), None);
        }
    }
}
