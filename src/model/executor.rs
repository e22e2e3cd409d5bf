//! Who carries out tasks, in words: `local`, `child:2`, `ssh:one,two*8`, or the name of an executor.

/// What a text names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// This machine.
    Local,
    /// So many workers on this machine, each with so much room.
    Child {
        /// How many.
        workers: u32,
        /// The room of each.
        slots: u32,
    },
    /// A worker on each of these machines.
    Ssh(Vec<Host>),
    /// Workers that Slurm finds nodes for.
    Slurm,
    /// One that the manifest has.
    Other(String),
}

/// A machine that is reached by `ssh`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// As `ssh` is told it.
    pub name: String,
    /// How much room there is for tasks; as many as it has CPUs if that is not said.
    pub slots: Option<u32>,
}

/// Why a text names nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    /// A number is none.
    #[error("{0:?} is not a number from 1 to 4096")]
    Number(String),
    /// A host is missing, or would be taken for an option of `ssh`.
    #[error("{0:?} is not a host")]
    Host(String),
    /// No executor is called like that.
    #[error("{0:?} is not an executor")]
    Name(String),
}

/// The one that is always there: this machine.
pub const LOCAL: &str = "local";

/// Forms of the text.
pub const FORMS: &str =
    "local, child:N, ssh:HOST[*SLOTS],…, slurm, or the name of one in [executors]";

/// The most workers, and the most room of one.
pub const MOST: u32 = 4096;

impl Named {
    /// Reads `local`, `child:N[*SLOTS]`, `ssh:HOST[*SLOTS],…`, `slurm`, or a name.
    ///
    /// # Errors
    ///
    /// What of it cannot be meant.
    pub fn parse(text: &str) -> Result<Self, Bad> {
        match text.split_once(':') {
            None if text == LOCAL => Ok(Self::Local),
            None if text == "slurm" => Ok(Self::Slurm),
            None if text == "child" || text == "ssh" || text.is_empty() => {
                Err(Bad::Name(text.to_owned()))
            }
            None => Ok(Self::Other(text.to_owned())),
            Some(("child", rest)) => {
                let (workers, slots) = rest.split_once('*').unwrap_or((rest, "1"));
                Ok(Self::Child {
                    workers: number(workers)?,
                    slots: number(slots)?,
                })
            }
            Some(("ssh", rest)) => rest
                .split(',')
                .map(host)
                .collect::<Result<_, _>>()
                .map(Self::Ssh),
            Some(_) => Err(Bad::Name(text.to_owned())),
        }
    }
}

fn host(text: &str) -> Result<Host, Bad> {
    let (name, slots) = match text.rsplit_once('*') {
        Some((name, slots)) => (name, Some(number(slots)?)),
        None => (text, None),
    };
    let is_host = !name.is_empty()
        && !name.starts_with('-')
        && !name.contains(|c: char| c.is_whitespace() || c == '*');
    if !is_host {
        return Err(Bad::Host(text.to_owned()));
    }
    Ok(Host {
        name: name.to_owned(),
        slots,
    })
}

fn number(text: &str) -> Result<u32, Bad> {
    let number = text.parse().ok();
    let number = number.filter(|number| (1..=MOST).contains(number));
    number.ok_or_else(|| Bad::Number(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_names_an_executor_or_says_what_is_wrong_with_it() {
        let ssh = |hosts: &[(&str, Option<u32>)]| {
            let host = |(name, slots): &(&str, Option<u32>)| Host {
                name: (*name).to_owned(),
                slots: *slots,
            };
            Ok(Named::Ssh(hosts.iter().map(host).collect()))
        };
        let child = |workers, slots| Ok(Named::Child { workers, slots });
        for (text, read) in [
            ("local", Ok(Named::Local)),
            ("slurm", Ok(Named::Slurm)),
            ("big", Ok(Named::Other("big".into()))),
            ("child:2", child(2, 1)),
            ("child:2*8", child(2, 8)),
            ("ssh:a", ssh(&[("a", None)])),
            ("ssh:me@a*4,b", ssh(&[("me@a", Some(4)), ("b", None)])),
            ("child", Err(Bad::Name("child".into()))),
            ("", Err(Bad::Name(String::new()))),
            ("pbs:x", Err(Bad::Name("pbs:x".into()))),
            ("child:", Err(Bad::Number(String::new()))),
            ("child:0", Err(Bad::Number("0".into()))),
            ("child:-1", Err(Bad::Number("-1".into()))),
            ("child:99999", Err(Bad::Number("99999".into()))),
            ("ssh:", Err(Bad::Host(String::new()))),
            ("ssh:a,,b", Err(Bad::Host(String::new()))),
            (
                "ssh:-oProxyCommand=x",
                Err(Bad::Host("-oProxyCommand=x".into())),
            ),
            ("ssh:a*x", Err(Bad::Number("x".into()))),
            ("ssh:a*2*3", Err(Bad::Host("a*2*3".into()))),
        ] {
            assert_eq!(Named::parse(text), read, "{text}");
        }
    }
}
