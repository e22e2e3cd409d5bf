//! Words of other tools, and what is here in their place.

/// What is said where a subcommand is expected that this program has under another name, or not at all.
pub(super) const SUBCOMMANDS: &[(&[&str], &str)] = &[
    (
        &[
            "migrate",
            "migrate-tainted",
            "update",
            "upgrade",
            "rerun",
            "redo",
        ],
        "`task-pipeline run -migrate-tainted` does again what changed steps have done; `run -start STEP` does any step again",
    ),
    (
        &[
            "clean", "clear", "prune", "rm", "delete", "reset", "destroy",
        ],
        "`gc` frees what no runset that is kept needs, `evict` drops what can be made again, `run -fresh` starts over beside what is \
         there; to have nothing left, remove the db folder",
    ),
    (
        &[
            "resume", "continue", "start", "build", "make", "execute", "go", "up", "retry",
        ],
        "`task-pipeline run` runs what is to be done, and goes on where the last run ended",
    ),
    (
        &["watch"],
        "`run -watch` runs again when something changes that the pipeline is made of",
    ),
    (
        &["follow", "attach", "monitor"],
        "`status -follow` shows a run of another terminal",
    ),
    (
        &["plan", "dry-run", "preview"],
        "`task-pipeline run -dry-run` says what would run, and why",
    ),
    (
        &[
            "list", "ls", "ps", "jobs", "runs", "history", "show", "info", "summary", "stat",
        ],
        "`status` says where the newest runset stands, `tasks` lists its tasks",
    ),
    (
        &["logs", "output", "tail", "stdout", "stderr"],
        "`log STEP` or `log TASK` shows what tasks wrote",
    ),
    (
        &["validate", "lint", "test", "verify-manifest", "doctor"],
        "`check` looks at the manifest; `verify` at what is stored",
    ),
    (
        &["dag", "dot", "viz", "draw", "plot"],
        "`graph` shows the steps: `graph svg`, `graph dot`, `graph mermaid`",
    ),
    (
        &["ui", "html", "web", "dashboard", "serve", "server"],
        "`report FILE` writes a page for the browser",
    ),
    (
        &["exec", "sh", "bash", "debug", "develop", "env"],
        "`shell STEP` is a shell where a task of the step would run",
    ),
    (
        &["new", "template", "create", "scaffold"],
        "`init` makes a first pipeline here",
    ),
    (
        &["diff", "explain", "blame"],
        "`why STEP` and `why TASK` say what changed, and why something runs",
    ),
    (
        &["lineage", "provenance", "origin"],
        "`trace` says where an output comes from, and what came of it",
    ),
    (
        &[
            "get", "fetch", "download", "results", "outputs", "publish", "copy",
        ],
        "`export -to DIR` writes the results as files",
    ),
    (
        &["stop", "kill", "cancel", "unlock"],
        "Ctrl-C, or SIGTERM, ends a run; nothing is lost, and no lock stays",
    ),
    (&["completion"], "`completions SHELL` prints them"),
    (
        &["step", "steps", "task"],
        "`status` says where each step stands, `tasks -step STEP` lists its tasks",
    ),
    (
        &["runset", "runsets"],
        "`status -runset all` shows every runset; -runset NAME is the one that `run` and others are to work on",
    ),
    (&["pin", "flake"], "`lock` pins what package names mean"),
    (
        &["key", "keygen"],
        "`cache-key NAME FILE` makes a key to share results with",
    ),
];

/// The same for options, by the name behind the dashes.
pub(super) const OPTIONS: &[(&[&str], &str)] = &[
    (
        &["resume", "continue", "rerun-incomplete"],
        "a run goes on where the last one ended, without an option",
    ),
    (
        &[
            "force",
            "forceall",
            "force-all",
            "forcerun",
            "always-make",
            "B",
        ],
        "-start STEP does a step again with all that follows; -fresh starts over",
    ),
    (
        &["cores", "jobs", "threads", "workers", "max-parallel"],
        "-parallel N, or -j N: most tasks at once",
    ),
    (
        &["file", "snakefile", "makefile", "pipeline", "workflow"],
        "-manifest FILE, or -f FILE",
    ),
    (
        &["directory", "C", "cwd", "chdir"],
        "-workdir DIR is where scripts start, and where the manifest's files, inputs and [publish] begin; -manifest and -db are found \
         from here: `cd DIR` first moves all",
    ),
    (&["debug", "trace-level", "log-level"], "-verbose, or -v"),
    (
        &["database", "state-dir", "cache-dir", "store"],
        "-db DIR is where the database and the objects are",
    ),
    (
        &["fix", "heal"],
        "-repair puts aside what is damaged, and has the next run make it again",
    ),
    (&["silent", "s"], "-quiet, or -q"),
    (
        &["profile", "cluster", "slurm"],
        "-executor NAME: who carries out the tasks",
    ),
    (&["target", "targets"], "-until STEP, or -only STEP"),
    (&["rerun", "redo"], "-start STEP"),
    (
        &["list", "ls", "summary"],
        "`status` and `tasks` say what there is",
    ),
    (
        &["what-if", "just-print", "plan", "dryrun"],
        "-dry-run, or -n",
    ),
    (
        &["k", "ignore-errors", "no-fail-fast"],
        "-keep-going, which is the default",
    ),
    (
        &["config", "configfile", "params-file"],
        "-param NAME=VALUE, or -params FILE, a TOML or JSON file; -manifest FILE is the manifest",
    ),
    (
        &["unlock"],
        "a run that is over leaves no lock: the next one takes its place by itself",
    ),
    (
        &["json"],
        "-log-format json tells in JSON what happens, a line for each event; with `status` and others that answer, -json is their answer \
         in JSON",
    ),
    (
        &["migrate", "tainted", "retry-tainted", "rerun-tainted"],
        "-migrate-tainted does again what changed steps have done; -accept takes it over as it is",
    ),
    (
        &["no-color", "nocolor", "no-colour", "monochrome"],
        "-color never, or NO_COLOR=1 in the environment",
    ),
    (
        &["o", "out", "output", "outdir"],
        "-to DIR writes the results to a folder",
    ),
    (
        &["o", "out", "output", "outdir"],
        "-publish DIR keeps the results as files in a folder; `export -to DIR` writes those of older runs, too",
    ),
    (
        &["o", "out", "output"],
        "`task-pipeline … > FILE` writes what it prints to a file",
    ),
    (&["with-report"], "`report FILE` writes a page"),
    (&["with-dag"], "`graph svg` draws the steps"),
];

/// The words of a table that others can be near to.
pub(super) fn long_words<'t>(
    table: &'t [(&'t [&'t str], &'t str)],
) -> impl Iterator<Item = &'t str> {
    let words = table.iter().flat_map(|(words, _)| *words).copied();
    words.filter(|word| word.len() > 3)
}

pub(super) fn answer(table: &[(&[&str], &'static str)], word: &str) -> Option<&'static str> {
    answer_of(table, word, |_| true)
}

/// The first that begins with an option that there is, or with none.
pub(super) fn answer_of(
    table: &[(&[&str], &'static str)],
    word: &str,
    has: impl Fn(&str) -> bool,
) -> Option<&'static str> {
    let fits = |words: &str| {
        let first = words.split([' ', ',', ':']).next().unwrap_or_default();
        first.strip_prefix('-').is_none_or(&has)
    };
    let mut rows = table.iter();
    let (_, words) = rows.find(|(names, words)| names.contains(&word) && fits(words))?;
    Some(words)
}
