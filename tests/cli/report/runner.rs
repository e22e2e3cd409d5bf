//! What the runner of GitHub Actions hears in what a step prints.
//!
//! As in its `ActionCommand.cs` and `ActionCommandManager.cs`: lines end by a line feed, by a carriage return or
//! by both; white space before a command does not count; `##[name]` is one anywhere in a line;
//! while commands are stopped none is heard but the token.

/// A command that was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    pub name: String,
    pub properties: String,
    pub data: String,
}

const KNOWN: [&str; 17] = [
    "add-mask",
    "add-matcher",
    "add-path",
    "debug",
    "echo",
    "endgroup",
    "error",
    "group",
    "notice",
    "remove-matcher",
    "save-state",
    "set-env",
    "set-output",
    "set-secret",
    "warning",
    "stop-commands",
    "internal-set-repo-path",
];

/// All commands that act, stops and their ends left out; and whether the runner still listens.
pub fn hear(output: &str) -> (Vec<Heard>, bool) {
    let mut heard = Vec::new();
    let mut stopped: Option<String> = None;
    for line in output.split(['\n', '\r']) {
        let known = |name: &str| {
            let is = |one: &str| one.eq_ignore_ascii_case(name);
            KNOWN.iter().any(|one| is(one)) || stopped.as_deref().is_some_and(is)
        };
        let Some(command) = command(line, "::", "::", true, &known)
            .or_else(|| command(line, "##[", "]", false, &known))
        else {
            continue;
        };
        match &stopped {
            Some(token) if command.name.eq_ignore_ascii_case(token) => stopped = None,
            Some(_) => {}
            None if command.name == "stop-commands" => stopped = Some(command.data),
            None => heard.push(command),
        }
    }
    (heard, stopped.is_none())
}

fn command(
    line: &str,
    begin: &str,
    end: &str,
    at_start: bool,
    known: &dyn Fn(&str) -> bool,
) -> Option<Heard> {
    let rest = if at_start {
        let line = line.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        line.strip_prefix(begin)?
    } else {
        line.split_once(begin)?.1
    };
    let (info, data) = rest.split_once(end)?;
    let (name, properties) = info.split_once(' ').unwrap_or((info, ""));
    known(name).then(|| Heard {
        name: name.to_owned(),
        properties: properties.to_owned(),
        data: data.to_owned(),
    })
}

#[test]
fn it_hears_what_the_runner_does() {
    let names =
        |output: &str| -> Vec<String> { hear(output).0.into_iter().map(|one| one.name).collect() };
    assert_eq!(names("a ::error::x\n::no::x\n::errors::x"), [""; 0]);
    assert_eq!(
        names("::error::x\r  ::warning file=a::y\nz ##[add-path]b"),
        ["error", "warning", "add-path"]
    );
    assert_eq!(
        names("::stop-commands::T\n::error::x\n::t::\n::notice::y"),
        ["notice"]
    );
    assert!(!hear("::stop-commands::T\n").1);
}
