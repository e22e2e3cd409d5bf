//! Everything that can stand on the command line, each wrong: the words, the error, the hint.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use super::{PIPELINE, says};
use crate::harness::Test;

/// Apart from each other by spaces; `\n` and the like are written out.
const WORDS: &[(&str, &str, &str)] = &[
    ("bogus", "there is no subcommand `bogus`", "`task-pipeline help` lists"),
    ("statsu", "there is no subcommand `statsu`", "did you mean `status`?"),
    ("check extra", "unexpected argument 'extra' found", "--help"),
    ("status nextt", "`status` takes no word more, and `nextt` is one", "next is a step: `tasks -step next` lists its tasks"),
    ("tasks next", "`tasks` takes no word more, and `next` is one", "hint: did you mean the step: -step next?"),
    ("check workflow.toml", "`check` takes no word more", "hint: workflow.toml is a file: -f workflow.toml names the manifest"),
    ("run workflow.toml", "there is no subcommand `workflow.toml`", "hint: workflow.toml is a file: `task-pipeline run -f workflow.toml`"),
    ("tasks -failed", "there is no option -failed for `tasks`", "hint: -state failed lists those"),
    ("run -tainted", "there is no option -tainted", "hint: -migrate-tainted does again"),
    ("init myproj", "there is no template myproj", "`init default myproj` makes that folder"),
    ("check -nothing", "there is no option -nothing for `check`", "`task-pipeline check -help` lists them"),
    ("lock extra", "unexpected argument 'extra' found", "--help"),
    ("lock -update nix", "no pin is called `nix`", ""),
    ("status -runset", "a value is required for '--runset <NAME>'", "--help"),
    ("status -runset=x", "there is no runset `x` in ./db", "hint: the newest are"),
    ("status -db nowhere", "there is no db at nowhere", "hint: name the pipeline's db folder with -db"),
    ("status -db=", "a value is required for '--db <DIR>'", "--help"),
    ("tasks -state wrong", "invalid value 'wrong' for '--state <STATE>'", "pending, failed, done, reused"),
    ("tasks -step nxt", "there is no step `nxt`", "hint: did you mean `next`?"),
    ("tasks -limit x", "'--limit <N>': `x` is no whole number from 0 on", "--help"),
    ("log", "<TASK|STEP>...", "Usage: "),
    ("log x", "`x` is no step in ./db, and no number of a task", "`tasks` lists the tasks"),
    ("log 0", "there is no task #0 in ./db", "hint: `tasks` lists"),
    ("log -1", "there is no option -1 for `log`", "`task-pipeline log -help` lists them"),
    ("log 99999999999999999999", "no object in ./db has a hash that starts with 9999", "hint: `tasks -json` and `trace` show hashes"),
    ("log 1 -stdout -stderr", "'--stdout' cannot be used with '--stderr'", "--help"),
    ("why", "<TASK|STEP>", "Usage: "),
    ("why 0", "there is no task #0 in ./db", "hint: `tasks` lists"),
    ("why 1 2", "unexpected argument '2' found", "--help"),
    ("why nxt", "there is no step `nxt` in ./db", "hint: did you mean `next`?"),
    ("why a\u{1b}[2J", "there is no step `a\\u{1b}[2J` in ./db", "hint: its steps are start, next"),
    ("trace", "<OUTPUT|HASH|TASK>", "Usage: "),
    ("trace nothing", "there is no final output `nothing`", "hint: name a final output, a task by its number"),
    ("trace ../x", "there is no final output `../x`", "hint: name a final output"),
    ("trace-files", "<STEP>", "Usage: "),
    ("trace-files nothing", "there is no step `nothing` in workflow.toml", "hint: its steps are start, next"),
    ("trace-files next 99", "there is no task #99", "hint: "),
    ("verify -sample x", "'--sample <N>': `x` is no whole number from 1 to 1000000", "--help"),
    ("verify -sample 0", "'--sample <N>': `0` is no whole number from 1 to 1000000", "--help"),
    ("verify -seed 1", "--sample <N>", "Usage: "),
    ("verify -sample 1 -repair", "'--sample <N>' cannot be used with '--repair'", "--help"),
    ("verify x", "unexpected argument 'x' found", "--help"),
    ("shell", "<STEP>", "Usage: "),
    ("shell 99", "there is no step `99` in workflow.toml", "hint: its steps are start, next"),
    ("shell next -- /no/such", "the step's environment has no program /no/such", "hint: `check` shows its packages"),
    ("cat", "<OUTPUT|HASH|TASK>", "Usage: "),
    ("cat zz", "`zz` is no number of a task, no start of a hash and no final output", "`tasks` lists"),
    ("cat 1 nothing", "task #1 left no output called `nothing`", "hint: `trace 1` shows what it left"),
    ("export x", "`x` is neither a final output of runset", "hint: `export -to x` writes all final outputs into that folder"),
    ("export -to", "a value is required for '--to <DIR>'", "--help"),
    ("export -to workflow.toml", "cannot write to workflow.toml: the manifest is there", "hint: nothing was written; name another folder"),
    ("export -to db", "db", "hint: nothing was written; name another folder"),
    ("export -runset x -to o", "there is no runset `x` in ./db", "hint: the newest are"),
    ("gc -keep-runsets 0", "'--keep-runsets <N>': `0` is no whole number from 1 on", "--help"),
    ("gc -keep-runsets many", "'--keep-runsets <N>': `many` is no whole number from 1 on", "--help"),
    ("gc -older-than x", "'--older-than <TIME>': is not a length of time", "as 90s or 1m30s"),
    ("gc -older-than 30", "'--older-than <TIME>': has no unit", "as 90s or 1m30s"),
    ("gc -max-size x", "'--max-size <SIZE>': `x` is no size: say 500M, 50G", "--help"),
    ("gc x", "unexpected argument 'x' found", "--help"),
    ("evict nothing", "there is no step `nothing` in workflow.toml", "hint: its steps are start, next"),
    ("evict -max-size 1X", "'--max-size <SIZE>': `1X` is no size", "--help"),
    ("schema x", "unexpected argument 'x' found", "--help"),
    ("graph -format x", "invalid value 'x' for '--format <FORMAT>'", "text, dot, mermaid, svg"),
    ("report", "<FILE>", "Usage: "),
    ("report -o /no/such/r.html", "cannot write /no/such/r.html: No such file or directory", "hint: name a file in a folder that is there"),
    ("report -o .", "cannot write .: it is a folder", "hint: name a file in it: -o ./report.html"),
    ("completions", "<SHELL>", "Usage: "),
    ("completions x", "invalid value 'x' for '<SHELL>'", "bash, elvish, fish"),
    ("man x", "unexpected argument 'x' found", "--help"),
    ("version x", "unexpected argument 'x' found", "--help"),
    ("help x", "there is no subcommand `x`", "`task-pipeline help` lists"),
    ("-run -only nothing", "there is no step `nothing` in workflow.toml", "hint: its steps are start, next"),
    ("-run -only=", "there is no step \"\" in workflow.toml", "hint: its steps are start, next"),
    ("-run -until nxt", "there is no step `nxt` in workflow.toml", "hint: did you mean `next`?"),
    ("-run -only next -until next", "'--only <STEP>...' cannot be used with '--until <STEP>'", "--help"),
    ("-run -input x", "-input chooses among what comes in, and the manifest has no [[input]]", "hint: -only and -until choose steps"),
    ("-run -partition 0/3", "'--partition <K/N>': parts count from 1: 1/3 to 3/3", "--help"),
    ("-run -partition 4/3", "'--partition <K/N>': there are 3 parts", "--help"),
    ("-run -partition x", "'--partition <K/N>': it is no part: write K/N", "--help"),
    ("-run -start nothing", "there is no step `nothing` in workflow.toml", "hint: its steps are start, next"),
    ("-run -grace x", "'--grace <DURATION>': is not a length of time", "as 90s or 1m30s"),
    ("-run -sync x", "invalid value 'x' for '--sync <WHEN>'", "lazy, end, commit"),
    ("-run -parallel x", "'--parallel <N>': `x` is no whole number from 1 to 65536", "--help"),
    ("-run -parallel 70000", "'--parallel <N>': `70000` is no whole number from 1 to 65536", "--help"),
    ("-run -cpus 0", "'--cpus <N>': `0` is no whole number from 1 to 65536", "--help"),
    ("-run -memory x", "'--memory <SIZE>': `x` is no size: say 500M", "--help"),
    ("-run -memory 0", "`0` is 0 B, less than any program needs", "--help"),
    ("-run -limit x", "-limit `x` has no `=`", "hint: write -limit NAME=N"),
    ("-run -limit x=1", "-limit: there is no limit `x`", "hint: the manifest has no [limits]"),
    ("-run -trace /no/such/t.json", "cannot write the trace /no/such/t.json", "hint: name a file in a folder that you can write to"),
    ("-run -trace .", "cannot write the trace .: is a directory", "hint: name a file in a folder"),
    ("-run -log-format xml", "invalid value 'xml' for '--log-format <FORMAT>'", "text, json"),
    ("-run -manifest /no/such.toml", "cannot read the manifest /no/such.toml: No such file", "hint: check the path given with -manifest"),
    ("-run -manifest .", "cannot read the manifest .: Is a directory", "hint: name the file in it"),
    ("-run -manifest /dev/null", "the manifest has no steps", "hint: the least that it needs: [[step]]"),
    ("-run -manifest a\n\u{1b}[2J", "cannot read the manifest a\\n\\u{1b}[2J: ", "hint: check the path"),
    ("-run -workdir /no/such", "scripts cannot start in /no/such: No such file", "hint: give -workdir a folder that exists"),
    ("-run -workdir workflow.toml", "scripts cannot start in workflow.toml: it is not a folder", "hint: give -workdir a folder"),
    ("-run -db workflow.toml", "the db workflow.toml is a file, not a folder", "hint: name a folder with -db"),
    ("-run -db /proc/nothing", "cannot make the db folder /proc/nothing: No such file", "hint: nothing can be made there: name another folder"),
    ("-run -db /dev/null/x", "cannot make the db folder /dev/null/x: Not a directory", "hint: check the path given with -db"),
    ("-run -param x=1", "there is no parameter `x`", "hint: the manifest declares none in [params]"),
    ("-run -params /no/such", "cannot read the parameters in /no/such: No such file", "hint: check the path given with -params"),
    ("-run -params workflow.toml", "there is no parameter `step`", "hint: the manifest declares none"),
    ("-run -secret x=y", "no step has a secret `x`", "hint: a step that is to have it lists it"),
    ("-run -run", "'--run' cannot be used multiple times", "--help"),
    ("-run extra", "there is no subcommand `extra`", "`task-pipeline help` lists"),
    ("-sample 1", "--migrate-tainted", "Usage: "),
    ("-migrate-tainted -sample 0", "`0` is no whole number from 1 to 1000000", "--help"),
    ("-migrate-tainted -accept nothing", "there is no step `nothing` in workflow.toml", "hint: its steps are"),
    ("-accept next", "--migrate-tainted", "Usage: "),
    ("-", "there is no subcommand `-`", "`task-pipeline help` lists"),
];

#[test]
fn words() {
    let test = Test::with(PIPELINE);
    test.runs();
    let before = test.rows("SELECT count(*), max(id) FROM task");
    for (words, error, hint) in WORDS {
        let ran = test.run(words.split(' '));
        says(&ran, words, 2, error, hint);
        assert_eq!(ran.stdout, "", "{words}");
    }
    assert_eq!(test.rows("SELECT count(*), max(id) FROM task"), before);
}

/// What is no text is refused where a text is meant, and is a path like others where a path is.
#[test]
fn words_that_are_no_text() {
    let test = Test::with(PIPELINE);
    test.runs();
    let bytes = OsStr::from_bytes(b"a\xff");
    for (words, status, error) in [
        (&["-run"][..], 2, "there is no subcommand `a\u{fffd}`"),
        (&["status", "-runset"], 2, "invalid UTF-8"),
        (&["cat"], 2, "invalid UTF-8"),
        (&["why"], 2, "invalid UTF-8"),
        (&["-run", "-only"], 2, "invalid UTF-8"),
        (&["-run", "-manifest"], 2, "cannot read the manifest a\u{fffd}: No such file"),
        (&["-run", "-param"], 2, "-param"),
        (&["status", "-db"], 2, "there is no db at a\u{fffd}"),
    ] {
        let all = words.iter().map(OsStr::new).chain([bytes]);
        says(&test.run(all), &words.join(" "), status, error, "");
    }
    let paths = [OsStr::new("-run"), OsStr::new("-db"), bytes];
    test.run(paths).exits(0).says("a\u{fffd}: new db");
}
