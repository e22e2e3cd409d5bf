//! What tasks take of what a machine, or the world, has only so much of.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use crate::text::amount::{self, read_bytes};
use crate::text::quoted;

/// The variable with the number of CPUs that a task may use.
pub const CPUS: &str = "CPUS";
/// The variables with the GPUs that are a task's: NVIDIA's programs read the first, AMD's the second.
pub const GPUS: [&str; 2] = ["CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"];

/// What each task of a step takes. What a step does not name is not counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources {
    /// CPUs.
    pub cpus: Option<NonZeroU32>,
    /// Memory.
    pub memory: Option<Memory>,
    /// GPUs, each for itself alone.
    pub gpus: u32,
    /// Of what the manifest limits, by name.
    pub uses: BTreeMap<String, u32>,
}

impl Resources {
    /// Whether it takes nothing that is counted.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// What is asked for beside what was used, in words: CPUs on average, bytes at most; none where neither is
    /// asked for.
    pub fn beside(&self, cpus: Option<f64>, peak: Option<u64>) -> Option<String> {
        let mut words = Vec::new();
        if let Some(asked) = self.cpus {
            let used = cpus.map(|used| format!(", used {used:.1} on average"));
            let asked = amount::count(asked.get(), "CPU");
            words.push(format!("{asked} a task{}", used.unwrap_or_default()));
        }
        if let Some(asked) = self.memory {
            let used = peak.map(|peak| format!(", used {} at most", amount::bytes(peak)));
            let asked = asked.in_words();
            words.push(format!(
                "{asked} of memory a task{}",
                used.unwrap_or_default()
            ));
        }
        (!words.is_empty()).then(|| words.join("; "))
    }

    /// Whether a script finds this variable set, as it has them.
    pub fn sets(&self, variable: &str) -> bool {
        self.cpus.is_some() && variable == CPUS || self.gpus > 0 && GPUS.contains(&variable)
    }
}

/// Where the tasks of a step run, if not on the machine of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Counts from 0.
    pub number: usize,
    /// How much of the room there one of them takes.
    pub units: u64,
}

/// The memory of a task, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// What it has at first.
    pub least: u64,
    /// What it has at most, having been killed for less.
    pub most: u64,
}

/// Why a text names no memory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadMemory {
    /// Not of the form.
    #[error("{0}")]
    Form(String),
    /// Less than any program needs: mostly a unit is missing.
    #[error("{} is {}, less than any program needs", quoted(.0), amount::bytes(*.1))]
    Little(String, u64),
    /// The end is less than the beginning.
    #[error("{} ends with less than it begins with", quoted(.0))]
    Down(String),
}

impl BadMemory {
    /// What to do.
    pub fn hint(&self) -> String {
        match self {
            Self::Form(_) => {
                "for instance \"2G\", or \"2G..16G\" to retry with twice as much whenever it was not enough"
                    .to_owned()
            }
            Self::Little(text, _) if text.bytes().all(|b| b.is_ascii_digit()) => {
                format!("with a unit: \"{text}G\", \"{text}M\"")
            }
            Self::Little(..) => "at least 1M".to_owned(),
            Self::Down(text) => match text.split_once("..") {
                Some((least, most)) => format!("the other way round: \"{most}..{least}\""),
                None => String::new(),
            },
        }
    }
}

/// The least memory that can be asked for.
const LEAST: u64 = 1 << 20;

/// Reads one amount of memory, as `16G`.
pub fn read_memory(text: &str) -> Result<u64, BadMemory> {
    let bytes = read_bytes(text).map_err(BadMemory::Form)?;
    if bytes < LEAST {
        return Err(BadMemory::Little(text.to_owned(), bytes));
    }
    Ok(bytes)
}

impl Memory {
    /// Reads `2G`, `2G..16G`.
    pub fn parse(text: &str) -> Result<Self, BadMemory> {
        let Some((least, most)) = text.split_once("..") else {
            let bytes = read_memory(text)?;
            return Ok(Self {
                least: bytes,
                most: bytes,
            });
        };
        let (least, most) = (read_memory(least)?, read_memory(most)?);
        if most < least {
            return Err(BadMemory::Down(text.to_owned()));
        }
        Ok(Self { least, most })
    }

    /// What it has at the first try, and at each one after it was killed for having too little: twice
    /// as much, up to the most that there is.
    pub fn rungs(self, has: Option<u64>) -> Vec<u64> {
        let most = has.map_or(self.most, |has| has.min(self.most));
        let mut rungs = vec![self.least];
        let mut last = self.least;
        while last < most {
            last = last.saturating_mul(2).min(most);
            rungs.push(last);
        }
        rungs
    }

    /// In words: `2 GiB`, `2 GiB to 16 GiB`.
    pub fn in_words(self) -> String {
        let least = amount::bytes(self.least);
        if self.least == self.most {
            return least;
        }
        format!("{least} to {}", amount::bytes(self.most))
    }
}

/// What a run has for its tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Supply {
    /// CPUs.
    pub cpus: u32,
    /// Memory in bytes, where that is known.
    pub memory: Option<u64>,
    /// GPUs, each by what the variables call it.
    pub gpus: Vec<String>,
    /// What the manifest limits, by name.
    pub limits: BTreeMap<String, u32>,
}

/// What a task takes more of than there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// CPUs: asked, and there.
    Cpus(u32, u32),
    /// Bytes of memory.
    Memory(u64, u64),
    /// GPUs.
    Gpus(u32, usize),
    /// Of what the manifest limits.
    Limit(String, u32, u32),
}

/// What a task takes: of each kind, by its number, how much. In order; nothing of which it takes nothing.
pub type Demand = Box<[(usize, u64)]>;

impl Supply {
    /// What a task with these resources could never get.
    pub fn lacks(&self, asked: &Resources) -> Vec<Lack> {
        let mut lacks = Vec::new();
        if let Some(cpus) = asked.cpus.filter(|cpus| cpus.get() > self.cpus) {
            lacks.push(Lack::Cpus(cpus.get(), self.cpus));
        }
        if let (Some(memory), Some(has)) = (asked.memory, self.memory)
            && memory.least > has
        {
            lacks.push(Lack::Memory(memory.least, has));
        }
        if usize::try_from(asked.gpus).is_ok_and(|gpus| gpus > self.gpus.len()) {
            lacks.push(Lack::Gpus(asked.gpus, self.gpus.len()));
        }
        for (name, count) in &asked.uses {
            let has = self.limits.get(name).copied().unwrap_or(0);
            if *count > has {
                lacks.push(Lack::Limit(name.clone(), *count, has));
            }
        }
        lacks
    }

    /// How much there is of each kind.
    pub fn amounts(&self) -> Vec<u64> {
        let gpus = u64::try_from(self.gpus.len()).unwrap_or(u64::MAX);
        let mut amounts = vec![u64::from(self.cpus), self.memory.unwrap_or(u64::MAX), gpus];
        amounts.extend(self.limits.values().copied().map(u64::from));
        amounts
    }

    /// The same of one that runs elsewhere: all that counts wherever it runs.
    pub fn demands_elsewhere(&self, asked: &Resources) -> Vec<Demand> {
        let unbound = Self {
            memory: None,
            ..self.clone()
        };
        let here = 0..3;
        let elsewhere = |demand: Demand| {
            let kinds = demand.into_iter();
            kinds.filter(|(kind, _)| !here.contains(kind)).collect()
        };
        let demands = unbound.demands(asked).into_iter();
        demands.map(elsewhere).collect()
    }

    /// What a task with these resources takes at its first try, and after each time that it was killed for
    /// memory.
    pub fn demands(&self, asked: &Resources) -> Vec<Demand> {
        let named = self.limits.keys().zip(3..);
        let named =
            named.filter_map(|(name, kind)| Some((kind, u64::from(*asked.uses.get(name)?))));
        let named: Vec<(usize, u64)> = named.collect();
        let demand = |memory: Option<u64>| {
            let cpus = asked.cpus.map(|cpus| (0, u64::from(cpus.get())));
            let memory = memory.map(|bytes| (1, bytes));
            let gpus = (2, u64::from(asked.gpus));
            let all = cpus.into_iter().chain(memory).chain([gpus]);
            let all = all.chain(named.iter().copied());
            all.filter(|(_, amount)| *amount > 0).collect()
        };
        match asked.memory {
            None => vec![demand(None)],
            Some(memory) => {
                let rungs = memory.rungs(self.memory).into_iter();
                rungs.map(|bytes| demand(Some(bytes))).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_an_amount_or_goes_from_one_to_another() {
        let read = |text: &str| Memory::parse(text).map(|memory| (memory.least, memory.most));
        assert_eq!(read("2G"), Ok((2 << 30, 2 << 30)));
        assert_eq!(read("512M..1.5GiB"), Ok((512 << 20, 3 << 29)));
        for (text, told) in [
            ("", "no size"),
            ("2X", "no size"),
            ("-2G", "no size"),
            ("2G..", "no size"),
            ("..2G", "no size"),
            ("2G...4G", "no size"),
            ("2G..4G..8G", "no size"),
            ("0", "less than any program needs"),
            ("2", "less than any program needs"),
            ("1G..2", "less than any program needs"),
            ("16G..2G", "ends with less"),
            ("99999999E", "more than can be"),
        ] {
            let why = read(text).unwrap_err();
            assert!(why.to_string().contains(told), "{text}: {why}");
            assert!(!why.hint().is_empty(), "{text}");
        }
        assert_eq!(
            Memory::parse("2").unwrap_err().hint(),
            "with a unit: \"2G\", \"2M\""
        );
        let hint = Memory::parse("16G..2G").unwrap_err().hint();
        assert_eq!(hint, "the other way round: \"2G..16G\"");
    }

    #[test]
    fn each_try_after_a_kill_has_twice_as_much_up_to_the_end() {
        let memory = |text: &str, has: Option<u64>| Memory::parse(text).unwrap().rungs(has);
        let gib = |sizes: &[u64]| sizes.iter().map(|size| size << 30).collect::<Vec<_>>();
        assert_eq!(memory("2G", None), gib(&[2]));
        assert_eq!(memory("2G..16G", None), gib(&[2, 4, 8, 16]));
        assert_eq!(memory("2G..5G", None), gib(&[2, 4, 5]));
        assert_eq!(memory("2G..16G", Some(6 << 30)), gib(&[2, 4, 6]));
        assert_eq!(memory("2G..16G", Some(2 << 30)), gib(&[2]));
        assert_eq!(memory("1M..15E", None).last(), Some(&(15 << 60)));
    }

    #[test]
    fn what_is_asked_for_stands_beside_what_is_used() {
        let asked = Resources {
            cpus: NonZeroU32::new(2),
            memory: Some(Memory::parse("2G..4G").unwrap()),
            ..Resources::default()
        };
        assert_eq!(
            asked.beside(Some(1.26), Some(3 << 29)).unwrap(),
            "2 CPUs a task, used 1.3 on average; 2.0 GiB to 4.0 GiB of memory a task, used 1.5 GiB at most"
        );
        let unknown = "2 CPUs a task; 2.0 GiB to 4.0 GiB of memory a task";
        assert_eq!(asked.beside(None, None).unwrap(), unknown);
        assert_eq!(Resources::default().beside(Some(1.0), Some(1)), None);
    }

    #[test]
    fn what_can_never_be_had_is_named() {
        let supply = Supply {
            cpus: 2,
            memory: Some(4 << 30),
            gpus: vec!["0".to_owned()],
            limits: [("database".to_owned(), 2)].into(),
        };
        let asked = Resources {
            cpus: NonZeroU32::new(2),
            memory: Some(Memory::parse("4G..8G").unwrap()),
            gpus: 1,
            uses: [("database".to_owned(), 2)].into(),
        };
        assert_eq!(supply.lacks(&asked), []);
        let more = Resources {
            cpus: NonZeroU32::new(3),
            memory: Some(Memory::parse("5G").unwrap()),
            gpus: 2,
            uses: [("database".to_owned(), 3)].into(),
        };
        let lacks = [
            Lack::Cpus(3, 2),
            Lack::Memory(5 << 30, 4 << 30),
            Lack::Gpus(2, 1),
            Lack::Limit("database".to_owned(), 3, 2),
        ];
        assert_eq!(supply.lacks(&more), lacks);
        assert_eq!(supply.amounts(), [2, 4 << 30, 1, 2]);
        let demands = supply.demands(&asked);
        assert_eq!(demands, [vec![(0, 2), (1, 4 << 30), (2, 1), (3, 2)].into()]);
        assert_eq!(supply.demands(&Resources::default()), [Demand::default()]);
    }
}
