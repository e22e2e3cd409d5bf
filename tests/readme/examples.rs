//! Commands, manifests and queries of the pages, run in their order.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::pages::{Block, Page, ROOT, of_users, page};

const PROGRAM: &str = env!("CARGO_BIN_EXE_task-pipeline");

/// Commands that these tests do not run, and who does.
const ELSEWHERE: [(&str, &str); 8] = [
    (
        "nix profile install ",
        "tests/flake/package.rs, with the flake here",
    ),
    ("nix run .#task-pipeline -- ", "tests/flake/package.rs"),
    (
        "nix run github:danhab99/task-pipeline -- -run",
        "the same, with the flake here",
    ),
    (
        "nix flake init -t github:danhab99/task-pipeline#data",
        "tests/flake/templates.rs",
    ),
    (
        "cargo install --locked --path .",
        "it compiles what is tested, for minutes",
    ),
    ("cargo run --release -p bench -- ", "tests/bench/tests"),
    ("tests/run", "it runs this"),
    (
        "task-pipeline -run -executor 'ssh:",
        "tests/cli/executors/others.rs, with an sshd",
    ),
];

/// Where the commands of a page run: folders with `templates`, and a PATH with the program.
struct Place {
    root: TempDir,
    /// The folder at hand.
    folder: PathBuf,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let bin = root.path().join("bin");
        fs::create_dir(&bin).unwrap();
        symlink(PROGRAM, bin.join("task-pipeline")).unwrap();
        // What is built is the program already.
        let cargo = "#!/bin/sh\ntest \"$1 $2 $3\" = 'run --release --' && shift 3 && exec task-pipeline \"$@\"\nexit 99\n";
        fs::write(bin.join("cargo"), cargo).unwrap();
        fs::set_permissions(bin.join("cargo"), fs::Permissions::from_mode(0o755)).unwrap();
        let folder = root.path().join("clone");
        fs::create_dir(&folder).unwrap();
        symlink(Path::new(ROOT).join("templates"), folder.join("templates")).unwrap();
        Self { root, folder }
    }

    /// Begins anew in an empty folder with this manifest.
    fn begin(&mut self, manifest: &str) {
        let count = fs::read_dir(self.root.path()).unwrap().count();
        self.folder = self.root.path().join(format!("empty {count}"));
        fs::create_dir(&self.folder).unwrap();
        fs::write(self.folder.join("workflow.toml"), manifest).unwrap();
        // What manifests name.
        fs::create_dir(self.folder.join("lib")).unwrap();
        for name in ["template.html", "lib/tags.sh", "lib/prices.py"] {
            fs::write(self.folder.join(name), "").unwrap();
        }
        fs::create_dir(self.folder.join("steps")).unwrap();
        fs::create_dir(self.folder.join("data")).unwrap();
        fs::write(self.folder.join("data/2026-01.csv"), "a\n").unwrap();
        let part = "[[step]]\nname = 'end'\nscript = ':'\n";
        fs::write(self.folder.join("steps/end.toml"), part).unwrap();
        self.runs("task-pipeline check");
    }

    fn run(&self, script: &str) -> Output {
        let own = self.root.path().join("bin");
        let path = std::env::var("PATH").unwrap();
        Command::new("bash")
            .args(["-eu", "-o", "pipefail", "-c", script])
            .current_dir(&self.folder)
            .env("PATH", format!("{}:{path}", own.display()))
            .env_remove("GITHUB_ACTIONS")
            .output()
            .unwrap()
    }

    /// What it said, on both.
    fn runs(&self, script: &str) -> String {
        let output = self.run(script);
        let said =
            String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{script}\n{said}");
        said.into_owned()
    }

    fn query(&self, queries: &str) {
        let database = rusqlite::Connection::open(self.folder.join("db/db")).unwrap();
        for query in queries
            .split_inclusive(';')
            .filter(|query| query.contains(';'))
        {
            let mut statement = database.prepare(query).unwrap();
            let rows = statement.query([]).unwrap().mapped(|_| Ok(())).count();
            // Nothing fails there, and all runs at home.
            let none = ["FROM failure", "FROM elsewhere"];
            let is_empty = none.iter().any(|view| query.contains(view));
            assert_eq!(rows == 0, is_empty, "{query}");
        }
    }

    /// What was run had something to do for each of its steps.
    fn leaves_no_step_idle(&self, page: &Page) {
        let path = self.folder.join("db/db");
        if !path.exists() {
            return;
        }
        let database = rusqlite::Connection::open(path).unwrap();
        let idle = "SELECT DISTINCT name FROM step WHERE name NOT IN
            (SELECT step.name FROM task JOIN step ON step.id = step_id)";
        let mut statement = database.prepare(idle).unwrap();
        let names = statement.query_map([], |row| row.get(0)).unwrap();
        let names: Vec<String> = names.map(Result::unwrap).collect();
        let page = page.path.display();
        assert!(
            names.is_empty(),
            "{page}: no task came to the steps {names:?} of an example"
        );
    }

    fn files(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.folder.join(folder)).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// Goes through a page; how many commands ran.
fn follow(page: &Page, place: &mut Place) -> usize {
    let mut count = 0;
    for Block { language, text } in page.blocks() {
        match language.as_str() {
            "toml" => {
                place.leaves_no_step_idle(page);
                place.begin(&text);
            }
            "sql" => place.query(&text),
            "bash" => {
                for line in text.lines() {
                    if !ELSEWHERE.iter().any(|(begin, _)| line.starts_with(begin)) {
                        place.runs(line);
                        count += 1;
                    }
                }
            }
            // Expressions of Nix, what is said, which `examples_of_what_is_said` has, and what is only to be
            // looked at; and what is of other tools.
            "nix" | "console" | "text" | "yaml" | "python" | "groovy" | "makefile" | "just" => {}
            other => panic!("{}: {other:?} is not tested", page.path.display()),
        }
    }
    place.leaves_no_step_idle(page);
    count
}

#[test]
fn the_readme_can_be_followed() {
    let mut place = Place::new();
    let clone = place.folder.clone();
    assert!(follow(&page("README.md"), &mut place) >= 10);
    assert_eq!(place.files("results"), ["sorted.txt", "upper.txt"]);
    let sorted = fs::read_to_string(place.folder.join("results/sorted.txt")).unwrap();
    assert_eq!(sorted, "more\ndata\n", "as after the change");
    place.folder = clone;
    assert!(
        place.files("tables").len() > 10,
        "the export has the tables"
    );
}

#[test]
fn what_others_run_is_still_written() {
    let lines: String = of_users()
        .iter()
        .flat_map(|page| page.blocks_of("bash"))
        .collect();
    for (begin, who) in ELSEWHERE {
        let is_there = lines.lines().any(|line| line.starts_with(begin));
        assert!(is_there, "{begin} ({who}) is on no page");
    }
}

#[test]
fn the_other_pages_can_be_followed() {
    let pages = of_users();
    let count: usize = std::thread::scope(|scope| {
        let pages = pages.iter().skip(1);
        let threads: Vec<_> = pages
            .map(|page| scope.spawn(|| follow(page, &mut Place::new())))
            .collect();
        threads.into_iter().map(|page| page.join().unwrap()).sum()
    });
    assert!(count >= 40, "{count}");
}

/// The pipeline that indented lines speak of.
const SPOKEN_OF: &str = r#"
[[input]]
files = "data/*.csv"
step = "parse"
[[step]]
name = "parse"
script = 'cat "$INPUT_FILE" > "$OUTPUT_DIR/x_tr"'
[[step]]
name = "tr"
script = 'tr a b < "$INPUT_FILE" > "$OUTPUT_DIR/x_page"'
[[step]]
name = "page"
script = 'cat template.html "$INPUT_FILE" > "$OUTPUT_DIR/index.html"'
"#;

#[test]
fn indented_lines_are_run_too() {
    let of_templates = crate::pages::all().into_iter();
    let of_templates = of_templates.filter(|page| page.path.starts_with("templates"));
    let mut count = 0;
    for page in of_users().into_iter().chain(of_templates) {
        let mut place = Place::new();
        place.begin(SPOKEN_OF);
        for line in page.indented() {
            count += 1;
            if line.starts_with("nix ") {
                let verbs = ["nix run", "nix build", "nix flake check"];
                assert!(
                    verbs.iter().any(|verb| line.starts_with(verb)),
                    "tests/flake/templates.rs has no {line}"
                );
                continue;
            }
            // What a job of CI puts in, and what would go on for ever.
            let mut line = line.replace("${{ matrix.part }}", "1");
            if line.ends_with(" -watch") {
                line += " -check-options";
            }
            if line.contains(" -sample ") {
                place.runs("task-pipeline -run");
                let other = SPOKEN_OF.replace("tr a b", "tr -- a b");
                fs::write(place.folder.join("workflow.toml"), other).unwrap();
            }
            place.runs(&line);
        }
    }
    assert!(count >= 30, "{count}");
}

/// Folders have spaces in their names on some machines.
#[test]
fn the_first_manifest_runs_wherever_the_db_is() {
    let mut place = Place::new();
    place.begin(&page("README.md").blocks_of("toml")[0]);
    let said = place.runs("task-pipeline -db 'two words * /db' -run");
    assert!(said.contains("3 run"), "{said}");
}

/// A line with what changes from run to run left out.
fn lasting(line: &str) -> String {
    line.chars().filter(|c| !c.is_ascii_digit()).collect()
}

#[test]
fn examples_of_what_is_said() {
    let examples: Vec<String> = of_users()
        .iter()
        .flat_map(|page| page.blocks_of("console"))
        .collect();
    assert_eq!(examples.len(), 2);
    let manifest = |sort: &str| {
        format!(
            "[[step]]\nname = 'start'\nstart = true\n\
             script = 'for n in 1 2 3; do echo $n > $OUTPUT_DIR/${{n}}_sort; done'\n\
             [[step]]\nname = 'next'\nscript = ':'\n\
             [[step]]\nname = 'sort'\n\
             script = '''cat \"$INPUT_FILE\" | {sort} > \"$OUTPUT_DIR/next\"'''\n"
        )
    };
    for example in examples {
        let mut place = Place::new();
        place.begin(&manifest("sort"));
        place.runs("task-pipeline -run");
        fs::write(place.folder.join("workflow.toml"), manifest("sort -r")).unwrap();
        let (command, said) = example.split_once('\n').unwrap();
        let command = command.strip_prefix("$ ").unwrap();
        if command != "task-pipeline -run" {
            place.runs("task-pipeline -run");
        }
        let really = place.runs(command);
        let really: Vec<String> = really.lines().map(lasting).collect();
        for line in said.lines() {
            assert!(really.contains(&lasting(line)), "{line}\n{really:#?}");
        }
    }
}
