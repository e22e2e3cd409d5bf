//! Everything that can stand on the command line, each wrong: the words, the error, the hint.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use super::{PIPELINE, says};
use crate::harness::Test;

/// Apart from each other by spaces; `\n` and the like are written out.
const WORDS: &[(&str, &str, &str)] = &[
    ("bogus", "there is no subcommand `bogus`", "`task-pipeline help` lists"),
    ("statsu", "there is no subcommand `statsu`", "did you mean `status`?"),
    ("check extra", "`task-pipeline check` takes no word more, and `extra` is one", "hint: `task-pipeline check -help` shows what it takes"),
    ("status nextt", "`status` takes no word more, and `nextt` is one", "next is a step: `tasks -step next` lists its tasks"),
    ("tasks next", "`tasks` takes no word more, and `next` is one", "hint: did you mean the step: -step next?"),
    ("check workflow.toml", "`check` takes no word more", "hint: workflow.toml is a file: -f workflow.toml names the manifest"),
    ("run workflow.toml", "there is no subcommand `workflow.toml`", "hint: workflow.toml is a file: `task-pipeline run -f workflow.toml`"),
    ("tasks -failed", "there is no option -failed for `tasks`", "hint: -state failed lists those"),
    ("run -tainted", "there is no option -tainted", "hint: -migrate-tainted does again"),
    ("init myproj", "there is no template myproj", "`init default myproj` makes that folder"),
    ("check -nothing", "there is no option -nothing for `check`", "`task-pipeline check -help` lists them"),
    ("lock extra", "`task-pipeline lock` takes no word more, and `extra` is one", "hint: `task-pipeline lock -help` shows what it takes"),
    ("lock -update nix", "no pin is called `nix`", ""),
    ("status -runset", "-runset needs a value, and has none", "hint: write -runset NAME"),
    ("status -runset=x", "there is no runset `x` in ./db", "hint: the newest are"),
    ("status -db nowhere", "there is no db at nowhere", "hint: name the pipeline's db folder with -db"),
    ("status -db=", "-db needs a value, and has none", "hint: write -db DIR"),
    ("tasks -state wrong", "-state has no value `wrong`", "hint: it is one of pending, failed, done, reused"),
    ("tasks -step nxt", "there is no step `nxt`", "hint: did you mean `next`?"),
    ("tasks -limit x", "-limit: `x` is no whole number from 0 on", "-help` explains -"),
    ("log", "`task-pipeline log` needs TASK or STEP, and there is none", "hint: type `task-pipeline log TASK` or `task-pipeline log STEP`"),
    ("log x", "`x` is no step in ./db, and no number of a task", "`tasks` lists the tasks"),
    ("log 0", "there is no task #0 in ./db", "hint: `tasks` lists"),
    ("log -1", "there is no option -1 for `log`", "`task-pipeline log -help` lists them"),
    ("log 99999999999999999999", "no object in ./db has a hash that starts with 9999", "hint: `tasks -json` and `trace` show hashes"),
    ("log 1 -stdout -stderr", "-stdout does not go with -stderr", "hint: leave one of them out"),
    ("why", "`task-pipeline why` needs TASK or STEP, and there is none", "hint: type `task-pipeline why TASK`"),
    ("why 0", "there is no task #0 in ./db", "hint: `tasks` lists"),
    ("why 1 2", "`task-pipeline why` takes no word more, and `2` is one", "hint: `task-pipeline why -help`"),
    ("why nxt", "there is no step `nxt` in ./db", "hint: did you mean `next`?"),
    ("why a\u{1b}[2J", "there is no step `a\\u{1b}[2J` in ./db", "hint: its steps are start, next"),
    ("trace", "needs OUTPUT or HASH or TASK", "hint: type `task-pipeline trace OUTPUT`"),
    ("trace nothing", "there is no final output `nothing`", "hint: name a final output, a task by its number"),
    ("trace ../x", "there is no final output `../x`", "hint: name a final output"),
    ("trace-files", "needs STEP, and there is none", "hint: type `task-pipeline trace-files STEP`"),
    ("trace-files nothing", "there is no step `nothing` in workflow.toml", "hint: its steps are start, next"),
    ("trace-files next 99", "there is no task #99", "hint: "),
    ("verify -sample x", "-sample: `x` is no whole number from 1 to 1000000", "-help` explains -"),
    ("verify -sample 0", "-sample: `0` is no whole number from 1 to 1000000", "-help` explains -"),
    ("verify -seed 1", "-sample N is missing: -seed does nothing without it", "hint: type `task-pipeline verify -sample N -seed 1`"),
    ("verify -sample 1 -repair", "-sample does not go with -repair", "hint: leave one of them out"),
    ("verify x", "`task-pipeline verify` takes no word more, and `x` is one", "hint: `task-pipeline verify -help` shows what it takes"),
    ("shell", "needs STEP, and there is none", "hint: type `task-pipeline shell STEP`"),
    ("shell 99", "there is no step `99` in workflow.toml", "hint: its steps are start, next"),
    ("shell next -- /no/such", "the step's environment has no program /no/such", "hint: `check` shows its packages"),
    ("cat", "needs OUTPUT or HASH or TASK", "hint: type `task-pipeline cat OUTPUT`"),
    ("cat zz", "`zz` is no number of a task, no start of a hash and no final output", "`tasks` lists"),
    ("cat 1 nothing", "task #1 left no output called `nothing`", "hint: `trace 1` shows what it left"),
    ("export x", "`x` is neither a final output of runset", "hint: `export -to x` writes all final outputs into that folder"),
    ("export -to", "-to needs a value, and has none", "hint: write -to DIR"),
    ("export -to=~/there", "-to: the shell has left the `~` of `~/there` as it is", "hint: write a blank for the `=`: -to ~/there"),
    ("export -to workflow.toml", "cannot write to workflow.toml: the manifest is there", "hint: nothing was written; name another folder"),
    ("export -to db", "db", "hint: nothing was written; name another folder"),
    ("export -runset x -to o", "there is no runset `x` in ./db", "hint: the newest are"),
    ("gc -keep-runsets 0", "-keep-runsets: `0` is no whole number from 1 on", "-help` explains -"),
    ("gc -keep-runsets many", "-keep-runsets: `many` is no whole number from 1 on", "-help` explains -"),
    ("gc -older-than x", "-older-than: `x` is not a length of time", "as 90s or 1m30s"),
    ("gc -older-than 30", "-older-than: `30` has no unit", "as 90s or 1m30s"),
    ("gc -max-size x", "-max-size: `x` is no size: say 500M, 50G", "-help` explains -"),
    ("gc x", "`task-pipeline gc` takes no word more, and `x` is one", "hint: `task-pipeline gc -help` shows what it takes"),
    ("evict nothing", "there is no step `nothing` in workflow.toml", "hint: its steps are start, next"),
    ("evict -max-size 1X", "-max-size: `1X` is no size", "-help` explains -"),
    ("schema x", "`task-pipeline schema` takes no word more, and `x` is one", "hint: `task-pipeline schema -help` shows what it takes"),
    ("graph -format x", "-format has no value `x`", "hint: it is one of text, dot, mermaid, svg"),
    ("report", "needs FILE, and there is none", "hint: type `task-pipeline report FILE`"),
    ("report -o /no/such/r.html", "cannot write /no/such/r.html: No such file or directory", "hint: name a file in a folder that is there"),
    ("report -o .", "cannot write .: it is a folder", "hint: name a file in it: -o ./report.html"),
    ("completions", "needs SHELL, and there is none", "hint: type `task-pipeline completions SHELL`"),
    ("completions x", "`x` is no SHELL", "hint: it is one of bash, elvish, fish"),
    ("man x", "`task-pipeline man` takes no word more, and `x` is one", "hint: `task-pipeline man -help` shows what it takes"),
    ("version x", "`task-pipeline version` takes no word more, and `x` is one", "hint: `task-pipeline version -help` shows what it takes"),
    ("help x", "there is no subcommand `x`", "`task-pipeline help` lists"),
    ("-run -only nothing", "there is no step `nothing` in workflow.toml", "hint: its steps are start, next"),
    ("-run -only=", "there is no step \"\" in workflow.toml", "hint: its steps are start, next"),
    ("-run -until nxt", "there is no step `nxt` in workflow.toml", "hint: did you mean `next`?"),
    ("-run -only next -until next", "-only does not go with -until", "hint: leave one of them out"),
    ("-run -input x", "-input chooses among what comes in, and the manifest has no [[input]]", "hint: -only and -until choose steps"),
    ("-run -partition 0/3", "-partition: `0/3`: parts count from 1, 1/3 to 3/3", "-help` explains -"),
    ("-run -partition 4/3", "-partition: `4/3`: there are 3 parts", "-help` explains -"),
    ("-run -partition x", "-partition: `x` is no part: write K/N", "-help` explains -"),
    ("-run -start nothing", "there is no step `nothing` in workflow.toml", "hint: its steps are start, next"),
    ("-run -grace x", "-grace: `x` is not a length of time", "as 90s or 1m30s"),
    ("-run -sync x", "-sync has no value `x`", "hint: it is one of lazy, end, commit"),
    ("-run -parallel x", "-parallel: `x` is no whole number from 1 to 65536", "-help` explains -"),
    ("-run -parallel 70000", "-parallel: `70000` is no whole number from 1 to 65536", "-help` explains -"),
    ("-run -cpus 0", "-cpus: `0` is no whole number from 1 to 65536", "-help` explains -"),
    ("-run -memory x", "-memory: `x` is no size: say 500M", "-help` explains -"),
    ("-run -memory 0", "`0` is 0 B, less than any program needs", "-help` explains -"),
    ("-run -limit x", "-limit `x` has no `=`", "hint: write -limit NAME=N"),
    ("-run -limit x=1", "-limit: there is no limit `x`", "hint: the manifest has no [limits]"),
    ("-run -trace /no/such/t.json", "cannot write the trace /no/such/t.json", "hint: name a file in a folder that you can write to"),
    ("-run -trace .", "cannot write the trace .: is a directory", "hint: name a file in a folder"),
    ("-run -log-format xml", "-log-format has no value `xml`", "hint: it is one of text, json"),
    ("-run -manifest /no/such.toml", "cannot read the manifest /no/such.toml: No such file", "hint: check the path given with -manifest"),
    ("-run -manifest .", "cannot read the manifest .: Is a directory", "hint: name the file in it"),
    ("-run -manifest /dev/null", "the manifest has no steps", "hint: it needs at least one [[step]]"),
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
    ("-run -run", "-run is there twice", "hint: leave one of them out"),
    ("-run extra", "there is no subcommand `extra`", "`task-pipeline help` lists"),
    ("-sample 1", "-migrate-tainted is missing: -sample does nothing without it", "hint: type `task-pipeline -migrate-tainted -sample 1`"),
    ("-migrate-tainted -sample 0", "`0` is no whole number from 1 to 1000000", "-help` explains -sample N"),
    ("-migrate-tainted -accept nothing", "there is no step `nothing` in workflow.toml", "hint: its steps are"),
    ("-accept next", "-migrate-tainted is missing", "hint: type `task-pipeline -migrate-tainted -accept next`"),
    ("", "an empty word is no subcommand", "hint: leave it out"),
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
