//! Random pipelines and what is done to them, the same for the same seed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use crate::harness::{Ran, Test};
use crate::random::Random;

pub struct World {
    pub test: Test,
    pub random: Random,
    kinds: Kinds,
    salts: [usize; 6],
    /// What the parameter is.
    param: usize,
    inputs: BTreeMap<usize, usize>,
    /// What the sheet says, if there is one.
    sheet: BTreeMap<usize, usize>,
    pub runsets: Vec<String>,
}

/// What there is besides files, a folder and steps that follow from one another.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // Each is drawn for itself.
struct Kinds {
    gather: bool,
    with: bool,
    each: bool,
    from: bool,
    rows: bool,
    param: bool,
    /// Whether what can be made again goes after each run.
    finals: bool,
}

impl Kinds {
    fn of(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut one_of = |most: usize| random.below(most) == 0;
        Self {
            gather: seed.is_multiple_of(2),
            with: seed.is_multiple_of(3),
            each: one_of(3),
            from: one_of(2),
            rows: one_of(3),
            param: one_of(2),
            finals: one_of(4),
        }
    }
}

impl World {
    /// One that has run once.
    pub fn new(seed: u64) -> Self {
        let mut world = Self::begin(seed);
        world.run(&["-run"]);
        world
    }

    /// One in which nothing has run.
    pub fn begin(seed: u64) -> Self {
        let world = Self {
            test: Test::in_memory(),
            random: Random::new(seed),
            kinds: Kinds::of(seed),
            salts: [0; 6],
            param: 0,
            inputs: BTreeMap::from([(0, 0), (1, 0)]),
            sheet: BTreeMap::from([(0, 1)]),
            runsets: Vec::new(),
        };
        world.write();
        world
    }

    fn write(&self) {
        let [.., lib, _] = self.salts;
        for (input, content) in &self.inputs {
            self.test
                .write(&format!("in/{input}_split.txt"), format!("{content}\n"));
        }
        for gone in (0..4).filter(|input| !self.inputs.contains_key(input)) {
            let _ = fs::remove_file(self.test.path(&format!("in/{gone}_split.txt")));
        }
        let mut sheet = "name,value\n".to_owned();
        for (row, value) in &self.sheet {
            writeln!(sheet, "r{row},{value}").unwrap();
        }
        self.test.write("sheet.csv", sheet);
        self.test.write("lib.txt", format!("lib {lib}\n"));
        self.test.manifest(&self.manifest());
    }

    fn manifest(&self) -> String {
        let [one, fold, join, shape, _, watch] = self.salts;
        let kinds = &self.kinds;
        let mut text = String::new();
        if kinds.finals {
            text.push_str("[store]\nkeep = 'finals'\n");
        }
        text.push_str("[[input]]\nfiles = 'in/*'\nempty = true\nstep = 'split'\n");
        if kinds.rows {
            text.push_str(
                "[[input]]\nrows = 'sheet.csv'\nname = '{name}'\nempty = true\nstep = 'split'\n",
            );
        }
        let gather = match (kinds.gather, shape % 3) {
            (false, _) => "",
            (true, 0) => "gather = true\n",
            (true, 1) => "gather = 'name'\n",
            (true, _) => "gather = 'split'\n",
        };
        let with = if kinds.with { "with = ['split']\n" } else { "" };
        let at = "\"$OUTPUT_DIR\"";
        let param = if kinds.param {
            text.push_str("[params]\np = { type = 'int', default = 0 }\n");
            "$PARAM_p"
        } else {
            "0"
        };
        let pair = if kinds.each {
            format!("\necho $x {one} > {at}/four_pair.txt")
        } else {
            String::new()
        };
        // Of a row the last word, of a file the only one.
        let _ = write!(
            text,
            "[[step]]\nname = 'split'\nscript = '''\n: {one}\necho split {one} >&2\n\
             x=$(tail -n 1 \"$INPUT_FILE\" | sed 's/.*,//')\n\
             echo $((x / 2 + {param} % 2)) {one} > {at}/one_fold.txt\necho $x > {at}/two_join.txt\necho {one} > {at}/three_plain.txt{pair}'''\n\
             [[step]]\nname = 'fold'\nfolders = true\nfiles = ['lib.txt']\nscript = '''\n: {fold}\necho fold\nmkdir {at}/f_join\n\
             cp \"$INPUT_FILE\" {at}/f_join/x\nln -s x {at}/f_join/l\n[ {fold} = 1 ] || cp lib.txt {at}/f_join/lib\n\
             mkdir {at}/f_join/none'''\n\
             [[step]]\nname = 'join'\n{gather}script = '''\n: {join}\n\
             cd \"$INPUT_DIR\"; {{ ls -R; cat * 2> /dev/null || :; }} > {at}/final'''\n\
             [[step]]\nname = 'plain'\n{with}script = '''\n: {join}\ncat \"$INPUT_FILE\" > {at}/other-{join}'''\n",
        );
        if kinds.from {
            let _ = write!(
                text,
                "[[step]]\nname = 'watch'\nfrom = ['split:*.txt']\nscript = '''\n: {watch}\n\
                 cksum < \"$INPUT_FILE\" > {at}/seen_note.txt\ncat \"$INPUT_FILE\" > {at}/watched-$TASK_PIPELINE_KEY'''\n\
                 [[step]]\nname = 'note'\nscript = 'cp \"$INPUT_FILE\" {at}/noted'\n",
            );
        }
        if kinds.each {
            let _ = write!(
                text,
                "[[step]]\nname = 'index'\nfrom = ['split:one_*']\nscript = '''\necho index $(cat \"$INPUT_FILE\") > {at}/words'''\n\
                 [[step]]\nname = 'pair'\nwith = ['index']\neach = true\nscript = '''\n: {watch}\n\
                 cat \"$INPUT_FILE\" \"$WITH_FILE\" > {at}/paired'''\n",
            );
        }
        text
    }

    pub fn run(&mut self, words: &[&str]) -> Ran {
        let ran = self.test.run(words.iter().copied().chain(["-quiet"]));
        self.runsets = self.test.rows("SELECT name FROM runset ORDER BY id");
        ran
    }

    pub fn change(&mut self) {
        let words = self.alter();
        self.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// Changes something in what a run begins with.
    pub fn edit(&mut self) {
        match self.random.below(9) {
            0..3 => {
                let which = self.random.below(6);
                self.salts[which] = self.random.below(3);
            }
            3..5 => {
                let input = self.random.below(4);
                let content = self.random.below(3);
                self.inputs.insert(input, content);
            }
            5 => {
                let input = self.random.below(4);
                self.inputs.remove(&input);
            }
            6 => {
                let row = self.random.below(3);
                if self.sheet.remove(&row).is_none() {
                    let value = self.random.below(4);
                    self.sheet.insert(row, value);
                }
            }
            7 => self.param = self.random.below(3),
            _ => {}
        }
        self.write();
    }

    /// The parameter as it is by now, for a run.
    pub fn param(&self) -> Vec<String> {
        if self.kinds.param {
            vec!["-param".to_owned(), format!("p={}", self.param)]
        } else {
            Vec::new()
        }
    }

    /// Changes something; what to run next.
    pub fn alter(&mut self) -> Vec<String> {
        self.edit();
        let old = self.runsets[self.random.below(self.runsets.len())].clone();
        let words: &[&str] = match self.random.below(8) {
            0..3 => &["-run"],
            3 => &["-run", "-fresh"],
            4..6 => &["-run", "-migrate-tainted"],
            6 => &["-run", "-start", "split"],
            _ => &["-run", "-runset", &old],
        };
        let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        if self.random.below(2) == 0 {
            words.extend(self.param());
        }
        words
    }
}
