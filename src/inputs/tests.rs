use std::fs;

use super::*;
use crate::manifest::diagnostic::render;
use crate::model::entry::EntryName;
use crate::model::identity::Identity;
use crate::model::task::TaskId;
use crate::state::State;

const STEPS: &str = "[[step]]\nname = 'a'\nscript = ':'\n[[step]]\nname = 'b'\nscript = ':'\n";

struct World {
    folder: tempfile::TempDir,
    text: String,
}

impl World {
    fn new(inputs: &str) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            text: format!("{inputs}\n{STEPS}"),
        }
    }

    fn write(&self, name: &str, bytes: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn gather(&self) -> Result<Inputs, Error> {
        let manifest = Manifest::parse(&self.text).unwrap();
        let texts = Texts::new(Path::new("workflow.toml"), &self.text);
        let outside = Outside {
            tell: None,
            manifest: &manifest,
            texts: &texts,
            router: &manifest.routes(),
            folder: self.folder.path(),
            db: &self.folder.path().join("db"),
            programs: &vec![Some(Vec::new()); manifest.inputs.len()],
            params: &[],
            stop: &Arc::default(),
        };
        Inputs::gather(&outside, &mut Known::default(), None)
    }

    /// Each entry: what it is, its step, and its name.
    fn entries(&self) -> Vec<String> {
        let entries = self.gather().unwrap().entries;
        let words = |entry: &Entry| {
            let identity = EntryName::parse(&entry.identity).unwrap();
            format!("{identity} → {} {}", &*entry.step, entry.name)
        };
        entries.iter().map(words).collect()
    }

    fn errors(&self) -> String {
        match self.gather() {
            Err(Error::Bad(errors)) => render("workflow.toml", &self.text, &errors),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn all_that_comes_in_has_a_step() {
    let world = World::new(
        "[[input]]\nfiles = ['in/**/*.txt', 'x_a']\n\
         [[input]]\nrows = 's.csv'\nname = '{n}_b'\n\
         [[input]]\nlines = 'echo 1; echo /x'\nstep = 'b'\n",
    );
    world.write("in/1_a.txt", "1");
    world.write("in/deep/2_b.txt", "2");
    world.write("in/.hidden_a.txt", "2");
    world.write("x_a", "3");
    world.write("s.csv", "n,m\nrow,1\n");
    let digits = rows::digits("/x");
    assert_eq!(
        world.entries(),
        [
            "file `in/1_a.txt` → a 1_a.txt",
            "file `in/deep/2_b.txt` → b 2_b.txt",
            "file `x_a` → a x_a",
            &format!("line `/x` of a command's output → b {digits}"),
            "line `1` of a command's output → b 1",
            "row `row_b` of `s.csv` → b row_b",
        ]
    );
    let inputs = world.gather().unwrap();
    assert!(inputs.feed("a") && inputs.feed("b") && !inputs.feed("c"));
    let row = inputs.entries.last().unwrap();
    assert_eq!((row.object, row.size), (Digest::of(b"n,m\nrow,1\n"), 10));
    let line = &inputs.entries[4];
    assert_eq!((line.object, line.size), (Digest::of(b"1\n"), 2));
}

#[test]
fn what_is_wrong_is_told_at_once_with_its_place() {
    let world = World::new(
        "[[input]]\nfiles = ['none/*', 'x']\n\
         [[input]]\nfiles = 'x'\nstep = 'a'\n\
         [[input]]\nrows = 'gone.csv'\nstep = 'a'\n\
         [[input]]\nrows = 's.csv'\nname = '{x}'\nstep = 'a'\n",
    );
    world.write("x", "1");
    world.write("s.csv", "y\n1\n");
    let said = world.errors();
    for words in [
        "error: `none/*` matches no file\n --> workflow.toml:2:11",
        "cannot read `gone.csv`: No such file",
        "s.csv, line 1: the header has no column `x`",
        "workflow.toml:10:9",
    ] {
        assert!(said.contains(words), "{words}\n{said}");
    }
    let world = World::new(
        "[[input]]\nfiles = 'x*'\n[[input]]\nfiles = 'x'\nstep = 'a'\n\
         [[input]]\nlines = 'echo 1; exit 3'\nstep = 'a'",
    );
    world.write("x", "1");
    world.write("xx", "1");
    let said = world.errors();
    assert!(
        said.contains("x goes to no step: `x` ends in the name of none (and 1 more"),
        "{said}"
    );
    assert!(
        !said.contains("exit"),
        "commands run where all else is right: {said}"
    );
    let world =
        World::new("[[input]]\nfiles = 'x*'\nstep = 'b'\n[[input]]\nfiles = 'x'\nstep = 'a'\n");
    world.write("x", "1");
    assert_eq!(world.entries(), ["file `x` → a x", "file `x` → b x"]);
    let inputs = "[[input]]\nfiles = 'x*'\nstep = ['b', 'a']\n[[input]]\nfiles = 'x'\nstep = 'a'\n";
    let world = World::new(inputs);
    world.write("x", "1");
    let said = world.errors();
    assert!(
        said.contains("file `x` comes to a by the input on line 2 as well"),
        "{said}"
    );
    assert!(said.contains("workflow.toml:5:"), "{said}");
    let world = World::new("[[input]]\nlines = 'echo no >&2; exit 3'\nstep = 'a'");
    let said = world.errors();
    assert!(
        said.contains("the command of `lines` failed: exit status 3\nno"),
        "{said}"
    );
}

#[test]
fn nothing_is_an_error_where_there_was_something() {
    let inputs = "[[input]]\nfiles = ['in/*', 'x']\nstep = 'a'\nempty = true\n\
                  [[input]]\nrows = 's.csv'\nstep = 'a'\n";
    let world = World::new(inputs);
    world.write("s.csv", "y\n");
    assert_eq!(world.entries(), [""; 0], "neither ever had any");
    world.write("x", "1");
    assert_eq!(world.entries(), ["file `x` → a x"]);

    let mut state = State::in_memory();
    let runset = state.create_runset("r", 0).unwrap();
    let step = step(&mut state, "a");
    world.write("s.csv", "y\n1\n");
    take_in(&world, &mut state, &runset, step, "2 new");
    world.write("s.csv", "y\n");
    let refused = world.gather().unwrap().compare(&state, &runset);
    let Err(Error::Bad(errors)) = refused else {
        panic!("{refused:?}");
    };
    let said = render("workflow.toml", &world.text, &errors);
    assert!(said.contains("the results of 1 entry would go"), "{said}");
    fs::remove_file(world.folder.path().join("x")).unwrap();
    world.write("s.csv", "y\n2\n");
    take_in(&world, &mut state, &runset, step, "1 new, 2 gone");
}

fn step(state: &mut State, name: &str) -> StepId {
    let identity = Identity {
        script: name.into(),
        shell: vec!["sh".into()],
        ..Identity::default()
    };
    let known = state.known_steps().unwrap();
    let name = StepName::new(name).unwrap();
    state
        .register(&known, &name, &identity, false, None, 0)
        .unwrap()
        .id
}

/// Compares, and takes in what differs.
fn take_in(world: &World, state: &mut State, runset: &Runset, step: StepId, counts: &str) {
    let inputs = world.gather().unwrap();
    let difference = inputs.compare(state, runset).unwrap();
    assert_eq!(difference.counts().to_string(), counts);
    let changes = inputs.changes(&difference, |_| Some(step));
    state.change_entries(runset, &changes).unwrap();
    let again = inputs.compare(state, runset).unwrap();
    assert!(again.is_none());
    assert_eq!(again.counts().unchanged, inputs.entries.len() as u64);
}

fn entry(identity: &str, step: &str, bytes: &str) -> Entry {
    Entry {
        key: None,
        identity: identity.into(),
        name: identity.into(),
        step: StepName::new(step).unwrap(),
        object: Digest::of(bytes.as_bytes()),
        size: 0,
        input: 0,
        source: Source::Line(identity.into()),
    }
}

#[test]
fn entries_and_records_are_gone_through_at_once() {
    use crate::state::Recorded;
    let entries = [
        entry("a", "s", "1"),
        entry("b", "s", "1"),
        entry("d", "s", "1"),
        entry("e", "s", "1"),
        entry("f", "s", "1"),
        entry("h", "s", "1"),
        entry("i", "s", "1"),
    ];
    let name = |name| StepName::new(name).unwrap();
    let mut merge = Merge::new(&entries);
    for (task, identity, step, bytes, live) in [
        (1, "b", "s", "1", true),
        (2, "c", "s", "1", true),
        (3, "d", "s", "2", true),
        (4, "e", "t", "1", true),
        (5, "f", "s", "1", false),
        (6, "g", "s", "1", true),
        // Of the same bytes, but it was a list.
        (7, "i", "s", "1", true),
    ] {
        let recorded = Recorded {
            identity: identity.to_owned(),
            about: identity.into(),
            task: TaskId(task),
            object: Digest::of(bytes.as_bytes()),
            step: None,
            live,
            form: if identity == "i" {
                Form::List
            } else {
                Form::File
            },
        };
        merge.recorded(recorded, Some(&name(step)));
    }
    let difference = merge.finish();
    let old = |task| Some(TaskId(task));
    assert_eq!(
        difference.made,
        [
            (0, None),
            (2, old(3)),
            (3, old(4)),
            (4, old(5)),
            (5, None),
            (6, old(7))
        ]
    );
    let gone: Vec<&str> = difference.gone.iter().map(|(gone, _)| &**gone).collect();
    assert_eq!(gone, ["c", "g"]);
    let counts = difference.counts().to_string();
    assert_eq!(counts, "2 new, 4 changed, 2 gone, 1 unchanged");
}

/// What is recorded (task, step, bytes); the steps that take the entry with "1" in it; what is made, and gone.
type Case<'a> = (
    &'a [(i64, &'a str, &'a str)],
    &'a [&'a str],
    &'a [(usize, Option<i64>)],
    &'a [i64],
);

#[test]
fn an_entry_of_several_steps_is_compared_step_by_step() {
    use crate::state::Recorded;
    let name = |name| StepName::new(name).unwrap();
    let cases: [Case; 8] = [
        (&[(1, "a", "1"), (2, "b", "1")], &["a", "b"], &[], &[]),
        (&[(1, "b", "1")], &["a", "b"], &[(0, None)], &[]),
        (&[(1, "b", "1"), (2, "a", "1")], &["a"], &[], &[1]),
        (
            &[(1, "b", "1"), (2, "a", "1")],
            &["a", "c"],
            &[(1, Some(1))],
            &[],
        ),
        (
            &[(1, "b", "2"), (2, "a", "1")],
            &["a", "b"],
            &[(1, Some(1))],
            &[],
        ),
        (
            &[(3, "x", "1"), (4, "y", "1")],
            &["a", "b", "c"],
            &[(0, Some(3)), (1, Some(4)), (2, None)],
            &[],
        ),
        (
            &[(3, "x", "1"), (4, "y", "1")],
            &["a"],
            &[(0, Some(3))],
            &[4],
        ),
        (&[(1, "a", "1"), (2, "b", "1")], &[], &[], &[1, 2]),
    ];
    for (recorded, steps, made, gone) in cases {
        let entries: Vec<Entry> = steps.iter().map(|step| entry("k", step, "1")).collect();
        let mut merge = Merge::new(&entries);
        for (task, step, bytes) in recorded {
            let recorded = Recorded {
                identity: "k".to_owned(),
                about: "k".into(),
                task: TaskId(*task),
                object: Digest::of(bytes.as_bytes()),
                step: None,
                live: true,
                form: Form::File,
            };
            merge.recorded(recorded, Some(&name(step)));
        }
        let difference = merge.finish();
        let is: Vec<_> = difference
            .made
            .iter()
            .map(|(at, old)| (*at, old.map(|old| old.0)))
            .collect();
        assert_eq!(is, made, "{recorded:?} {steps:?}");
        let is: Vec<i64> = difference.gone.iter().map(|(_, task)| task.0).collect();
        assert_eq!(is, gone, "{recorded:?} {steps:?}");
        let unchanged = steps.len() - made.len();
        assert_eq!(difference.counts().unchanged, unchanged as u64);
    }
}
