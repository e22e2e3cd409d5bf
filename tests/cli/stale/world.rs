//! A pipeline over files, inputs and variables, as text and in memory.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::harness::Test;
use crate::random::Random;

/// Every name that a step can have; an earlier one never gets what a later one leaves.
pub const NAMES: [&str; 6] = ["s1", "s2", "s3", "s4", "s5", "s6"];
/// Files that scripts read by name.
pub const READ: [&str; 4] = ["lib/a.txt", "lib/b.txt", "lib/sub/c.txt", "page.tmpl"];
/// Folders that the link `lib/linked` can lead to.
pub const LINKED: [&str; 2] = ["shared1", "shared2"];
/// Files that rows name.
pub const NAMED: [&str; 3] = ["reads/a.txt", "reads/b.txt", "reads/c.txt"];
/// Scripts that scripts call.
pub const CALLED: [&str; 2] = ["lib/tool.sh", "check.sh"];

/// A file beside the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub text: String,
    pub executable: bool,
}

/// What a step does.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)] // Each is drawn for itself.
pub struct Step {
    pub name: &'static str,
    pub start: bool,
    /// A number in its script.
    pub salt: u32,
    /// Files that it reads by name.
    pub reads: Vec<&'static str>,
    /// Whether it reads whatever is in `lib`, whose names it sees too.
    pub all: bool,
    /// A script that it calls.
    pub calls: Option<&'static str>,
    /// Whether it reads what is in `INPUT_DIR`.
    pub dir: bool,
    /// Whether it says what it leaves.
    pub promises: bool,
    /// Whether it sees `FOO`.
    pub keeps: bool,
    /// Where its outputs go by name, whether there is such a step or not.
    pub routes: Vec<Route>,
    /// Whether it fails on some inputs.
    pub fails: bool,
    /// `cache`, if it is said.
    pub cache: &'static str,
}

/// An output.
#[derive(Debug, Clone)]
pub enum Route {
    /// Always.
    To(&'static str),
    /// This or that, as the bytes are.
    Either(&'static str, &'static str),
    /// As many as the bytes say, of this name.
    Some(&'static str),
    /// To no step.
    Final,
}

/// What an `[[input]]` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Files(&'static str),
    Rows,
    /// Rows that name a file.
    Paths,
    Lines,
}

/// An `[[input]]`.
#[derive(Debug, Clone)]
pub struct Input {
    pub kind: Kind,
    /// Without it, the names decide, where all of them lead to a step.
    pub step: Option<&'static str>,
}

/// All that a run can depend on.
#[derive(Debug, Clone)]
pub struct World {
    pub files: BTreeMap<String, File>,
    pub rows: Vec<(String, String)>,
    /// Names, and of `NAMED` which.
    pub named: Vec<(String, usize)>,
    /// Files of all steps.
    pub defaults: Vec<&'static str>,
    /// Of `LINKED` the one that the link leads to.
    pub linked: Option<usize>,
    pub lines: Vec<String>,
    pub steps: Vec<Step>,
    pub inputs: Vec<Input>,
    pub foo: Option<String>,
}

impl World {
    pub fn random(random: &mut Random) -> Self {
        let mut world = Self {
            files: BTreeMap::new(),
            rows: Vec::new(),
            named: Vec::new(),
            defaults: Vec::new(),
            linked: (random.below(2) == 0).then(|| random.below(LINKED.len())),
            lines: Vec::new(),
            steps: Vec::new(),
            inputs: Vec::new(),
            foo: Some("one".to_owned()),
        };
        for path in READ {
            let text = format!("{path} {}\n", random.below(100));
            world.put(path, text, false);
        }
        for path in CALLED {
            world.put(path, tool(random), random.below(2) == 0);
        }
        for path in NAMED {
            world.put(path, format!("reads {}\n", random.below(3)), false);
        }
        for folder in LINKED {
            world.put(&format!("{folder}/in.txt"), format!("{folder}\n"), false);
        }
        if random.below(3) == 0 {
            world.defaults.push(*random.of(&READ));
        }
        for at in 0..=random.below(4) {
            let path = data_path(random, at);
            let text = format!("data {}\n", random.below(100));
            world.put(&path, text, false);
        }
        for at in 0..=random.below(4) {
            world
                .rows
                .push((format!("r{at}"), random.below(100).to_string()));
            world.lines.push(format!("line {at}"));
            let which = random.below(NAMED.len());
            world.named.push((format!("p{at}"), which));
        }
        for name in NAMES {
            if name == "s1" || random.below(4) > 0 {
                let step = Step::random(name, random);
                world.steps.push(step);
            }
        }
        if random.below(3) > 0 {
            world.steps[0].start = true;
        }
        let kinds = [
            Kind::Files("data/*.txt"),
            Kind::Files("data/**/*.txt"),
            Kind::Rows,
            Kind::Paths,
            Kind::Lines,
        ];
        for _ in 0..random.below(5) {
            let kind = random.of(&kinds).clone();
            world.add_input(kind, random);
        }
        if world.inputs.is_empty() {
            world.steps[0].start = true;
        }
        world
    }

    /// An input of that kind, if there is none that names the same.
    pub fn add_input(&mut self, kind: Kind, random: &mut Random) -> bool {
        let same = |other: &Input| {
            other.kind == kind || matches!((&other.kind, &kind), (Kind::Files(_), Kind::Files(_)))
        };
        if self.inputs.iter().any(same) {
            return false;
        }
        let by_name = matches!(kind, Kind::Files(_)) && random.below(2) == 0;
        let step = (!by_name).then(|| self.steps[random.below(self.steps.len())].name);
        self.inputs.push(Input { kind, step });
        true
    }

    pub fn put(&mut self, path: &str, text: String, executable: bool) {
        self.files
            .insert(path.to_owned(), File { text, executable });
    }

    /// The data that input globs can match.
    pub fn data(&self) -> Vec<String> {
        let files = self.files.keys();
        files
            .filter(|path| path.starts_with("data/"))
            .cloned()
            .collect()
    }

    /// What the program is given besides.
    pub fn variables(&self, command: &mut Command) {
        if let Some(value) = &self.foo {
            command.env("FOO", value);
        }
    }

    /// Makes the folder what it is to be; what is as it should be is not touched.
    pub fn write(&self, test: &Test) {
        let link = test.path("lib/linked");
        let leads = fs::read_link(&link).ok();
        let target = self.linked.map(|at| Path::new("..").join(LINKED[at]));
        if leads != target {
            let _ = fs::remove_file(&link);
            if let Some(target) = target {
                fs::create_dir_all(test.path("lib")).unwrap();
                symlink(target, &link).unwrap();
            }
        }
        for folder in ["lib", "data"] {
            for path in crate::harness::files(&test.path(folder)) {
                let path = path.strip_prefix(test.path("")).unwrap();
                let linked = path.starts_with("lib/linked");
                if !linked && !self.files.contains_key(path.to_str().unwrap()) {
                    fs::remove_file(test.path(path.to_str().unwrap())).unwrap();
                }
            }
        }
        for (path, file) in &self.files {
            if !test.path(path).exists() || test.read(path) != file.text {
                test.write(path, &file.text);
            }
            let mode = if file.executable { 0o755 } else { 0o644 };
            let permissions = fs::Permissions::from_mode(mode);
            if fs::metadata(test.path(path)).unwrap().permissions() != permissions {
                fs::set_permissions(test.path(path), permissions).unwrap();
            }
        }
        let mut sheet = "name,value\n".to_owned();
        for (name, value) in &self.rows {
            writeln!(sheet, "{name},{value}").unwrap();
        }
        let mut named = "name,one\n".to_owned();
        for (name, which) in &self.named {
            writeln!(named, "{name},{}", NAMED[*which]).unwrap();
        }
        let lines = self.lines.join("\n") + "\n";
        for (path, text) in [
            ("sheet.csv", sheet),
            ("named.csv", named),
            ("list", lines),
            ("workflow.toml", self.manifest()),
        ] {
            if test.read(path) != text || !Path::new(&test.path(path)).exists() {
                test.write(path, text);
            }
        }
    }

    /// Whether every file's name leads to a step.
    fn routes_all_data(&self) -> bool {
        let leads = |path: &String| {
            let mut steps = self.steps.iter();
            steps.any(|step| path.ends_with(&format!("_{}.txt", step.name)))
        };
        self.data().iter().all(leads)
    }

    fn manifest(&self) -> String {
        let mut text = String::new();
        if !self.defaults.is_empty() {
            writeln!(text, "[defaults]\nfiles = {:?}", self.defaults).unwrap();
        }
        for input in &self.inputs {
            text.push_str("[[input]]\n");
            match input.kind {
                Kind::Files(glob) => writeln!(text, "files = \"{glob}\"\nempty = true").unwrap(),
                Kind::Rows => {
                    text.push_str("rows = \"sheet.csv\"\nname = \"{name}\"\nempty = true\n");
                }
                Kind::Paths => text.push_str(
                    "rows = \"named.csv\"\nname = \"{name}\"\npaths = [\"one\"]\nempty = true\n",
                ),
                Kind::Lines => text.push_str("lines = \"cat list\"\nempty = true\n"),
            }
            let step = input
                .step
                .or_else(|| (!self.routes_all_data()).then_some(self.steps[0].name));
            if let Some(step) = step {
                writeln!(text, "step = \"{step}\"").unwrap();
            }
        }
        for step in &self.steps {
            text.push_str(&step.manifest());
        }
        text
    }
}

/// A path that an input can match, with a name that routes or with none.
pub fn data_path(random: &mut Random, at: usize) -> String {
    let folder = *random.of(&["data", "data", "data/deep"]);
    let step = *random.of(&["_s1", "_s3", "_s6", ""]);
    format!("{folder}/f{at}{step}.txt")
}

/// The text of a script that is called.
pub fn tool(random: &mut Random) -> String {
    format!("echo tool {}\n", random.below(100))
}

impl Step {
    pub fn random(name: &'static str, random: &mut Random) -> Self {
        let mut step = Self {
            name,
            start: false,
            salt: 0,
            reads: Vec::new(),
            all: random.below(4) == 0,
            calls: (random.below(3) == 0).then(|| *random.of(&CALLED)),
            dir: random.below(3) == 0,
            promises: random.below(3) == 0,
            keeps: random.below(4) == 0,
            routes: Vec::new(),
            fails: random.below(8) == 0,
            cache: *random.of(&[
                "",
                "",
                "",
                "cache = \"1h\"",
                "cache = \"runset\"",
                "cache = false",
            ]),
        };
        for path in READ {
            if random.below(4) == 0 {
                step.reads.push(path);
            }
        }
        for _ in 0..=random.below(2) {
            step.routes.push(Route::random(name, random));
        }
        step
    }

    fn manifest(&self) -> String {
        let mut text = format!("[[step]]\nname = \"{}\"\n", self.name);
        if self.start {
            text.push_str("start = true\n");
        }
        let mut files: Vec<&str> = self.reads.clone();
        files.extend(self.calls);
        if self.all {
            files.push("lib/**/*.txt");
        }
        if !files.is_empty() {
            writeln!(text, "files = {files:?}").unwrap();
        }
        if self.keeps {
            text.push_str("keep = [\"FOO\"]\n");
        }
        if self.promises {
            writeln!(text, "outputs = {:?}", self.promise()).unwrap();
        }
        writeln!(text, "{}", self.cache).unwrap();
        writeln!(text, "script = '''\n{}'''", self.script()).unwrap();
        text
    }

    /// All that it may leave.
    fn promise(&self) -> Vec<String> {
        let mut names = Vec::new();
        for (at, route) in self.routes.iter().enumerate() {
            match route {
                Route::To(to) => names.push(format!("{}{at}_{to}", self.name)),
                Route::Either(one, other) if one == other => {
                    names.push(format!("{}{at}_{one}", self.name));
                }
                Route::Either(one, other) => {
                    names.extend([one, other].map(|to| format!("{}{at}_{to}?", self.name)));
                }
                Route::Some(to) => {
                    names.extend([1, 2, 3].map(|number| format!("{number}{at}_{to}?")));
                }
                Route::Final => names.push(format!("{}{at}_done", self.name)),
            }
        }
        names
    }

    fn script(&self) -> String {
        let mut read = format!(
            "echo {}; cat \"$INPUT_FILE\" {};",
            self.salt,
            self.reads.join(" ")
        );
        if self.all {
            read.push_str(" find -L lib -name '*.txt' | sort | xargs cksum;");
        }
        if self.dir {
            read.push_str(" cat \"$INPUT_DIR\"/* 2> /dev/null || true;");
        }
        if let Some(tool) = self.calls {
            write!(read, " sh {tool}; if test -x {tool}; then echo x; fi;").unwrap();
        }
        if self.keeps {
            read.push_str(" echo \"${FOO-none}\";");
        }
        let mut script = format!("h=$({{ {read} }} | cksum | cut -d' ' -f1)\n");
        if self.fails {
            script.push_str("if test $((h % 5)) = 0; then exit 1; fi\n");
        }
        for (at, route) in self.routes.iter().enumerate() {
            let out =
                |to: &str| format!("echo \"$h {at}\" > \"$OUTPUT_DIR/{}{at}_{to}\"", self.name);
            match route {
                Route::To(to) => writeln!(script, "{}", out(to)).unwrap(),
                Route::Either(one, other) => writeln!(
                    script,
                    "if test $((h % 2)) = 0; then {}; else {}; fi",
                    out(one),
                    out(other)
                )
                .unwrap(),
                Route::Some(to) => writeln!(
                    script,
                    "for i in 1 2 3; do if test $((h % 4)) -ge $i; then echo \"$h $i\" > \"$OUTPUT_DIR/$i{at}_{to}\"; fi; done"
                )
                .unwrap(),
                Route::Final => writeln!(script, "{}", out("done")).unwrap(),
            }
        }
        script
    }
}

impl Route {
    pub fn random(name: &str, random: &mut Random) -> Self {
        let later: Vec<&'static str> = NAMES.into_iter().filter(|other| *other > name).collect();
        if later.is_empty() {
            return Self::Final;
        }
        let kind = random.below(5);
        let mut draw = || later[random.below(later.len())];
        match kind {
            0 => Self::Final,
            1 => Self::Either(draw(), draw()),
            2 => Self::Some(draw()),
            _ => Self::To(draw()),
        }
    }
}
