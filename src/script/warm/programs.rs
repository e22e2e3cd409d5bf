//! Commands of which it is known that they cannot tell in whose process group they run: they look
//! at files and arguments alone, and start nothing else but what their arguments name.

use super::calls::Calls;

/// What dash and bash do themselves, and do the same in a subshell.
const BUILTINS: [&str; 23] = [
    ":", "[", "break", "cd", "continue", "echo", "exit", "export", "false", "getopts", "hash",
    "local", "printf", "pwd", "read", "readonly", "set", "shift", "test", "true", "umask", "unset",
    "wait",
];

/// Programs whose arguments need no look.
const PROGRAMS: &[&str] = &[
    "arch",
    "b2sum",
    "base32",
    "base64",
    "basename",
    "basenc",
    "bunzip2",
    "bzcat",
    "bzip2",
    "cat",
    "chmod",
    "cksum",
    "cmp",
    "comm",
    "cp",
    "csplit",
    "cut",
    "date",
    "dd",
    "diff",
    "dirname",
    "du",
    "egrep",
    "expand",
    "expr",
    "factor",
    "fgrep",
    "file",
    "fmt",
    "fold",
    "grep",
    "gunzip",
    "gzip",
    "head",
    "hexdump",
    "hostname",
    "iconv",
    "id",
    "join",
    "jq",
    "ln",
    "logname",
    "ls",
    "lz4",
    "md5sum",
    "mkdir",
    "mktemp",
    "mv",
    "nl",
    "nproc",
    "numfmt",
    "od",
    "paste",
    "pathchk",
    "pr",
    "printenv",
    "ptx",
    "readlink",
    "realpath",
    "rev",
    "rm",
    "rmdir",
    "seq",
    "sha1sum",
    "sha224sum",
    "sha256sum",
    "sha384sum",
    "sha512sum",
    "shuf",
    "sleep",
    "stat",
    "strings",
    "sum",
    "tac",
    "tail",
    "tee",
    "touch",
    "tr",
    "truncate",
    "tsort",
    "uname",
    "unexpand",
    "uniq",
    "unlink",
    "unxz",
    "unzstd",
    "wc",
    "whoami",
    "xxd",
    "xz",
    "xzcat",
    "yes",
    "zcat",
    "zstd",
    "zstdcat",
];

/// Variables that decide what a name stands for.
const DECISIVE: [&str; 4] = ["PATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "ENV"];

/// The programs that are called, if nothing else is; an error is what else there is.
pub(super) fn of(calls: &Calls) -> Result<Vec<String>, String> {
    for name in DECISIVE {
        if calls.assigned.contains(name) {
            return Err(name.to_owned());
        }
    }
    let mut programs = Vec::new();
    for call in &calls.commands {
        one(call, calls, &mut programs)?;
    }
    programs.sort();
    programs.dedup();
    Ok(programs)
}

fn one(call: &[Option<String>], calls: &Calls, programs: &mut Vec<String>) -> Result<(), String> {
    let Some((name, arguments)) = call.split_first() else {
        return Ok(());
    };
    let Some(name) = name else {
        return Err("$".to_owned());
    };
    let word = |at: usize| arguments.get(at).and_then(Option::as_deref);
    if calls.functions.contains(name) || BUILTINS.contains(&name.as_str()) {
        // What these name could be what decides.
        let names = matches!(
            name.as_str(),
            "export" | "local" | "read" | "readonly" | "unset" | "getopts"
        );
        let decides = |word: &Option<String>| match word {
            None => name != "export" && name != "local",
            Some(word) => {
                let variable = word.split('=').next().unwrap_or_default();
                word.contains('=') && DECISIVE.contains(&variable)
                    || name != "export" && DECISIVE.contains(&variable)
            }
        };
        return match arguments.iter().find(|word| names && decides(word)) {
            Some(word) => Err(word.clone().unwrap_or_else(|| name.clone())),
            None => Ok(()),
        };
    }
    if name == "command" {
        return match word(0) {
            Some("-v") => Ok(()),
            Some(other) if !other.starts_with('-') => one(arguments, calls, programs),
            _ => Err(name.clone()),
        };
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-+/".contains(c);
    let known = name.rsplit('/').next().unwrap_or_default();
    if !name.chars().all(plain) || name.contains('/') && !name.starts_with('/') {
        return Err(name.clone());
    }
    let harmless = match known {
        "xargs" => return inner(xargs(arguments)?, name, calls, programs),
        "find" => {
            for (at, word) in arguments.iter().enumerate() {
                match word.as_deref() {
                    Some("-exec" | "-execdir" | "-ok" | "-okdir") => {
                        inner(&arguments[at + 1..], name, calls, programs)?;
                    }
                    // It could be one of these.
                    None if at > 0 && word_before_is_open(arguments, at) => {
                        return Err(name.clone());
                    }
                    _ => {}
                }
            }
            true
        }
        "env" => arguments.is_empty(),
        "sort" => !mentions(arguments, "--co"),
        "split" => !mentions(arguments, "--f"),
        "awk" | "gawk" | "mawk" | "nawk" => is_plain_awk(arguments),
        "sed" => is_plain_sed(arguments),
        known => PROGRAMS.contains(&known),
    };
    if !harmless {
        return Err(name.clone());
    }
    programs.push(name.clone());
    Ok(())
}

/// A call within another's arguments.
fn inner(
    call: &[Option<String>],
    by: &str,
    calls: &Calls,
    programs: &mut Vec<String>,
) -> Result<(), String> {
    programs.push(by.to_owned());
    // Functions and what shells do themselves cannot be called from there.
    let outside = Calls::default();
    let name = call.first().and_then(Option::as_deref);
    match name {
        None if call.is_empty() => Ok(()),
        Some("echo" | "printf" | "test" | "true" | "false" | "[") => Ok(()),
        Some(name) if BUILTINS.contains(&name) || calls.functions.contains(name) => {
            Err(by.to_owned())
        }
        _ => one(call, &outside, programs),
    }
}

/// Whether a word of `find` stands where an action can.
fn word_before_is_open(arguments: &[Option<String>], at: usize) -> bool {
    let before = arguments[at - 1].as_deref().unwrap_or_default();
    // These take a value.
    !before.starts_with('-') || before == "-print" || before == "-o" || before == "-a"
}

/// Whether an option begins so.
fn mentions(arguments: &[Option<String>], start: &str) -> bool {
    let mut words = arguments.iter().flatten();
    words.any(|word| word.starts_with(start))
}

/// The command that `xargs` runs.
fn xargs(arguments: &[Option<String>]) -> Result<&[Option<String>], String> {
    let mut at = 0;
    while let Some(word) = arguments.get(at) {
        match word.as_deref() {
            Some("-n" | "-I" | "-P" | "-L" | "-d" | "-s" | "-E" | "-a") => at += 2,
            Some(option) if option.starts_with("--") => return Err("xargs".to_owned()),
            Some(option) if option.starts_with('-') => at += 1,
            _ => break,
        }
    }
    Ok(arguments.get(at..).unwrap_or_default())
}

/// Whether an awk program is known and starts nothing.
fn is_plain_awk(arguments: &[Option<String>]) -> bool {
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        match word.as_deref() {
            None => return false,
            Some("-F" | "-v") => drop(rest.next()),
            Some(option) if option.starts_with("-F") || option.starts_with("-v") => {}
            Some(option) if option.starts_with('-') => return false,
            Some(script) => {
                let script = script.replace("||", "");
                return ["|", "system", "PROCINFO", "@"]
                    .iter()
                    .all(|bad| !script.contains(bad));
            }
        }
    }
    false
}

/// Whether a script of sed's is known and has nothing executed.
fn is_plain_sed(arguments: &[Option<String>]) -> bool {
    let mut rest = arguments.iter();
    let mut any = false;
    while let Some(word) = rest.next() {
        match word.as_deref() {
            // A file.
            None if any => {}
            None => return false,
            Some("-e" | "--expression") => {
                any = true;
                if !rest
                    .next()
                    .and_then(Option::as_deref)
                    .is_some_and(executes_nothing)
                {
                    return false;
                }
            }
            Some(option) if option.starts_with('-') => {
                if !option[1..].chars().all(|c| "nErsuzi".contains(c)) {
                    return false;
                }
            }
            Some(_) if any => {}
            Some(script) => {
                any = true;
                if !executes_nothing(script) {
                    return false;
                }
            }
        }
    }
    any
}

/// Whether no `e` in it can be a command or a flag of `s`.
fn executes_nothing(script: &str) -> bool {
    const FLAGS: &[char] = &['g', 'p', 'i', 'I', 'm', 'M', 'w'];
    script.match_indices('e').all(|(at, _)| {
        let is_flag = |c: char| c.is_ascii_digit() || FLAGS.contains(&c);
        let before = script[..at].trim_end_matches(is_flag);
        let after = script[at + 1..].trim_start_matches(is_flag);
        before.ends_with(char::is_alphanumeric) || after.starts_with(char::is_alphanumeric)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::warm::calls;

    fn programs(script: &str) -> Result<String, String> {
        of(&calls::of(script)?).map(|all| all.join(" "))
    }

    #[test]
    fn known_programs_are_named() {
        for (script, wanted) in [
            (
                "if test -s $x; then tr a-z A-Z < $y > $z; else : > $z; fi",
                "tr",
            ),
            (
                "cat a | sort -u | /usr/bin/head -n 1",
                "/usr/bin/head cat sort",
            ),
            ("f() { grep x \"$1\"; }; f a", "grep"),
            (
                "find . -name '*.c' -exec cat {} + | xargs -n 1 wc -l",
                "cat find wc xargs",
            ),
            ("printf 'a b' | xargs", "xargs"),
            ("awk -F: -v x=1 '{ print $1 || $2 }' \"$x\"", "awk"),
            (
                "sed -n -e 's/hello/you/gp' -e '$p' $x; sed 's/a/b/' y",
                "sed",
            ),
            ("command cat x; command -v python3", "cat"),
            ("export LANG=C; env | sort", "env sort"),
        ] {
            assert_eq!(programs(script).as_deref(), Ok(wanted), "{script}");
        }
    }

    #[test]
    fn what_is_not_known_is_named() {
        for (script, wanted) in [
            ("python3 x", "python3"),
            ("./cat x", "./cat"),
            ("$x", "$"),
            ("command $x", "command"),
            ("xargs -n 1 $x", "$"),
            ("xargs sh -c x", "sh"),
            ("find . -exec ./x {} +", "./x"),
            ("find . $x", "find"),
            ("env python3", "env"),
            ("sort --compress-program=x", "sort"),
            ("split --filter=x", "split"),
            ("awk 'BEGIN { system(\"x\") }'", "awk"),
            ("awk 'BEGIN { \"x\" | getline }'", "awk"),
            ("awk 'BEGIN { print PROCINFO[\"ppid\"] }'", "awk"),
            ("awk \"$x\"", "awk"),
            ("awk -f x", "awk"),
            ("sed 1e", "sed"),
            ("sed s/a/b/ge", "sed"),
            ("sed \"s/a/$x/\"", "sed"),
            ("sed -f x", "sed"),
            ("PATH=/x:$PATH; cat y", "PATH"),
            ("export PATH=/x; cat y", "PATH=/x"),
            ("read PATH < x; cat y", "PATH"),
            ("read $x; cat y", "read"),
            ("ulimit -t 1; cat x", "ulimit"),
            ("mkfifo x", "mkfifo"),
        ] {
            assert_eq!(programs(script), Err(wanted.to_owned()), "{script}");
        }
    }
}
