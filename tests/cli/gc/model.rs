//! Random pipelines, runs and collections, against what is needed as a few loops in memory find it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use rusqlite::types::Value;
use rustix::process::Signal;

use super::common::objects;
use super::world::World;
use crate::harness::{Running, Test};

/// What a row says, as far as it counts here.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    id: i64,
    object: String,
    kind: i64,
    step: Option<i64>,
    parent: Option<i64>,
    runset: String,
    name: Option<String>,
    live: bool,
    supersedes: Option<i64>,
    output: Option<i64>,
    reused_from: Option<i64>,
    context: Option<String>,
    gathering: Option<i64>,
    processed: bool,
    rest: String,
}

/// All that is recorded.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Db {
    rows: BTreeMap<i64, Row>,
    /// From the last one that ran to the first.
    runsets: Vec<(i64, String)>,
    owners: BTreeMap<i64, i64>,
    entries: BTreeSet<i64>,
    logs: BTreeMap<i64, (Option<String>, Option<String>)>,
    /// The trees of the files of each version.
    files: BTreeMap<i64, Option<String>>,
}

pub(super) fn read(test: &Test) -> Db {
    let db = test.db();
    let mut read = Db::default();
    let mut query = db
        .prepare(
            "SELECT id, object_hash, kind, step_id, input_task_id, runset, name, live, supersedes, output,
                 reused_from, context, gathering, processed,
                 json_array(role, key, error, executed, started, forced) FROM task",
        )
        .unwrap();
    let row = |row: &rusqlite::Row| {
        Ok(Row {
            id: row.get(0)?,
            object: row.get(1)?,
            kind: row.get(2)?,
            step: row.get(3)?,
            parent: row.get(4)?,
            runset: row.get(5)?,
            name: row.get(6)?,
            live: row.get(7)?,
            supersedes: row.get(8)?,
            output: row.get(9)?,
            reused_from: row.get(10)?,
            context: row.get(11)?,
            gathering: row.get(12)?,
            processed: row.get(13)?,
            rest: row.get(14)?,
        })
    };
    for row in query.query_map([], row).unwrap() {
        let row = row.unwrap();
        read.rows.insert(row.id, row);
    }
    let pairs = |sql: &str| -> Vec<(i64, Value, Value)> {
        let mut query = db.prepare(sql).unwrap();
        let pair = |row: &rusqlite::Row| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        query
            .query_map([], pair)
            .unwrap()
            .map(Result::unwrap)
            .collect()
    };
    let words = |value: Value| match value {
        Value::Text(words) => Some(words),
        _ => None,
    };
    for (id, name, _) in
        pairs("SELECT id, name, 0 FROM runset ORDER BY coalesce(ran, 0) DESC, id DESC")
    {
        read.runsets.push((id, words(name).unwrap()));
    }
    for (id, owner, _) in pairs("SELECT id, owner, 0 FROM gathering WHERE owner > 0") {
        let Value::Integer(owner) = owner else {
            panic!()
        };
        read.owners.insert(id, owner);
    }
    for (task, ..) in pairs("SELECT task_id, 0, 0 FROM entry") {
        read.entries.insert(task);
    }
    for (task, stdout, stderr) in pairs("SELECT task_id, stdout, stderr FROM log") {
        read.logs.insert(task, (words(stdout), words(stderr)));
    }
    for (step, tree, _) in pairs("SELECT id, json_extract(identity, '$.files.tree'), 0 FROM step") {
        read.files.insert(step, words(tree));
    }
    read
}

impl Db {
    /// The runsets that stay if so many are to.
    fn kept(&self, most: usize) -> BTreeSet<String> {
        let newest = self.runsets.iter().max().map(|(_, name)| name.clone());
        let last = self.rows.values().next_back().map(|row| row.runset.clone());
        let first = self.runsets.iter().take(most).map(|(_, name)| name.clone());
        first.chain(newest).chain(last).collect()
    }

    /// The rows that stay.
    fn staying(&self, runsets: &BTreeSet<String>, superseded: bool) -> BTreeSet<i64> {
        let last = self.rows.keys().next_back().copied();
        let of_runset = |row: &&Row| runsets.contains(&row.runset);
        let mut stay: BTreeSet<i64> = self
            .rows
            .values()
            .filter(of_runset)
            .filter(|row| {
                row.live || superseded || Some(row.id) == last || self.entries.contains(&row.id)
            })
            .map(|row| row.id)
            .collect();
        loop {
            let before = stay.len();
            for row in self.rows.values().filter(of_runset) {
                if stay.contains(&row.id) {
                    let owner = row
                        .gathering
                        .and_then(|group| self.owners.get(&group).copied());
                    stay.extend([row.parent, row.output, owner].into_iter().flatten());
                } else if row.output.is_none()
                    && row.parent.is_some_and(|parent| stay.contains(&parent))
                {
                    // An output that nothing took the place of.
                    let next = self
                        .rows
                        .values()
                        .any(|next| next.supersedes == Some(row.id));
                    if !next {
                        stay.insert(row.id);
                    }
                }
            }
            if stay.len() == before {
                return stay;
            }
        }
    }

    /// Name and bytes of what each finished task left.
    fn outputs(
        &self,
        of: &BTreeSet<i64>,
    ) -> BTreeMap<i64, BTreeSet<(Option<String>, String, usize)>> {
        let mut outputs: BTreeMap<i64, BTreeMap<(Option<String>, String), usize>> = BTreeMap::new();
        for row in self.rows.values() {
            let own = row.supersedes.is_none() && row.output.is_none();
            if let Some(parent) = row.parent.filter(|parent| own && of.contains(parent)) {
                let of_parent = outputs.entry(parent).or_default();
                *of_parent
                    .entry((row.name.clone(), row.object.clone()))
                    .or_default() += 1;
            }
        }
        let counted = outputs.into_iter().map(|(task, outputs)| {
            let outputs = outputs.into_iter();
            (
                task,
                outputs
                    .map(|((name, object), count)| (name, object, count))
                    .collect(),
            )
        });
        counted.collect()
    }

    /// All that rows need.
    pub(super) fn needed_by_all(&self, test: &Test) -> BTreeSet<String> {
        self.needed(test, &self.rows.keys().copied().collect())
    }

    /// What has to have its bytes, whatever can be made again: final outputs, inputs, lists, and what is to be worked on.
    fn kept_whole(&self, test: &Test) -> BTreeSet<String> {
        let mut kept = BTreeSet::new();
        let all_of = |object: &String| -> Vec<String> {
            let list = fs::read_to_string(test.object(object)).unwrap();
            let lines = list.lines().skip(1);
            lines
                .map(|line| line.trim_start_matches('\\')[2..66].to_owned())
                .collect()
        };
        for row in self.rows.values() {
            let waits = row.live && !row.processed;
            if row.step.is_none() || self.entries.contains(&row.id) || waits {
                kept.insert(row.object.clone());
                if row.kind == 1 {
                    kept.extend(all_of(&row.object));
                }
            }
            if waits && row.kind == 2 {
                kept.extend(all_of(&row.object));
            }
            if row.kind > 0 {
                kept.insert(row.object.clone());
            }
            kept.extend(row.context.iter().cloned());
        }
        for (stdout, stderr) in self.logs.values() {
            kept.extend(stdout.iter().chain(stderr).cloned());
        }
        for tree in self.files.values().flatten() {
            kept.extend(all_of(tree));
            kept.insert(tree.clone());
        }
        kept
    }

    fn needed(&self, test: &Test, stay: &BTreeSet<i64>) -> BTreeSet<String> {
        let mut needed = BTreeSet::new();
        let mut lists: Vec<(String, bool)> = self
            .files
            .values()
            .flatten()
            .map(|tree| (tree.clone(), false))
            .collect();
        for id in stay {
            let row = &self.rows[id];
            needed.insert(row.object.clone());
            if row.kind > 0 {
                lists.push((row.object.clone(), row.kind == 2));
            }
            lists.extend(row.context.iter().map(|context| (context.clone(), true)));
            let log = self.logs.get(&row.reused_from.unwrap_or(row.id)).cloned();
            let (stdout, stderr) = log.unwrap_or_default();
            needed.extend(stdout);
            needed.extend(stderr);
        }
        while let Some((list, nests)) = lists.pop() {
            let lines = fs::read_to_string(test.object(&list)).unwrap();
            for line in lines.lines().skip(1) {
                let (kind, object) = line.trim_start_matches('\\').split_at(2);
                let object = object[..64].to_owned();
                if nests && kind == "d " {
                    lists.push((object.clone(), false));
                }
                needed.insert(object);
            }
            needed.insert(list);
        }
        needed
    }
}

impl World {
    /// Drops bytes; killed meanwhile, some times, if that is asked for.
    pub(super) fn evict(&mut self, kills: usize) {
        let param = self.param();
        let test = &self.test;
        let before = read(test);
        let mut words = vec!["evict"];
        words.extend(param.iter().map(String::as_str));
        if self.random.below(2) == 0 {
            words.push(self.random.of::<&str>(&["split", "fold"]));
        }
        for _ in 0..kills {
            let evict = Running::start(test.command(&words));
            std::thread::sleep(Duration::from_micros(self.random.next() % 60_000));
            evict.signal(Signal::KILL);
            drop(evict);
            whole_without_bytes(test, &before);
        }
        words.push("-json");
        test.json(&words);
        whole_without_bytes(test, &before);
        let again = test.json(&words);
        assert_eq!(again["evicted"]["objects"], 0, "{again}");
    }

    /// Collects, and compares; killed meanwhile, some times, if that is asked for.
    pub(super) fn collect(&mut self, kills: usize) {
        let test = &self.test;
        let before = read(test);
        let keep = [None, Some(1), Some(2), Some(3)][self.random.below(4)];
        let superseded = self.random.below(2) == 0;
        let number = keep.map(|keep: usize| keep.to_string());
        let mut words = vec!["gc"];
        if let Some(number) = &number {
            words.extend(["-keep-runsets", number]);
        }
        if !superseded {
            words.extend(["-older-than", "1ms"]);
        }
        let runsets = before.kept(keep.unwrap_or(usize::MAX));
        let stay = before.staying(&runsets, superseded);
        let dry: Vec<&str> = words.iter().copied().chain(["-dry-run", "-json"]).collect();
        let told = test.json(&dry);
        assert_eq!(read(test), before);
        let mut killed = 0;
        for _ in 0..kills {
            let gc = Running::start(test.command(&words));
            std::thread::sleep(Duration::from_micros(self.random.next() % 60_000));
            gc.signal(Signal::KILL);
            killed += 1;
            drop(gc);
            is_whole(test, &before, &stay);
            test.text(&["status", "-runset", "all"]);
        }
        words.push("-json");
        let done = test.json(&words);
        if killed == 0 {
            assert_eq!(
                (&done["removed"], &done["kept"]),
                (&told["removed"], &told["kept"])
            );
        }
        let after = read(test);
        is_whole(test, &before, &stay);
        assert_eq!(
            after.rows.keys().copied().collect::<BTreeSet<_>>(),
            stay,
            "{words:?}"
        );
        let names: BTreeSet<String> = after.runsets.iter().map(|(_, name)| name.clone()).collect();
        assert_eq!(names, runsets);
        let needed = after.needed(test, &stay);
        let (stored, evicted) = (objects(test), evicted(test));
        let known = stored.union(&evicted).cloned().collect();
        assert_eq!(missing(&needed, &known), Vec::<&String>::new());
        let extra: Vec<_> = known.difference(&needed).collect();
        assert!(extra.is_empty(), "{extra:?}");
        let again = test.json(&words);
        assert_eq!(again["removed"]["objects"], 0, "{again}");
        assert_eq!(again["removed"]["rows"], 0, "{again}");
        assert_eq!(again["removed"]["superseded_rows"], 0, "{again}");
        test.tally_is_right();
        assert_eq!(test.rows("PRAGMA integrity_check"), ["ok"]);
        assert_eq!(test.rows("PRAGMA foreign_key_check"), Vec::<String>::new());
        self.runsets = test.rows("SELECT name FROM runset ORDER BY id");
    }
}

/// Objects that count as there without their bytes.
pub fn evicted(test: &Test) -> BTreeSet<String> {
    test.rows("SELECT lower(hex(hash)) FROM evicted")
        .into_iter()
        .collect()
}

/// What is needed and is not there.
pub(super) fn missing<'a>(
    needed: &'a BTreeSet<String>,
    stored: &'a BTreeSet<String>,
) -> Vec<&'a String> {
    // Of no byte.
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let missing = needed.difference(stored);
    missing.filter(|object| *object != empty).collect()
}

/// Nothing is gone but bytes of what can be made again.
fn whole_without_bytes(test: &Test, before: &Db) {
    assert_eq!(read(test), *before);
    let stored = objects(test);
    let known = &stored | &evicted(test);
    assert_eq!(
        missing(&before.needed_by_all(test), &known),
        Vec::<&String>::new()
    );
    assert_eq!(
        missing(&before.kept_whole(test), &stored),
        Vec::<&String>::new()
    );
}

/// What stays is as it was.
fn is_whole(test: &Test, before: &Db, stay: &BTreeSet<i64>) {
    let now = read(test);
    for id in stay {
        let then = Row {
            supersedes: None,
            ..before.rows[id].clone()
        };
        let row = Row {
            supersedes: None,
            ..now.rows[id].clone()
        };
        assert_eq!(row, then);
        let log = then.reused_from.unwrap_or(*id);
        assert_eq!(now.logs.get(&log), before.logs.get(&log));
    }
    let (then, left) = (before.outputs(stay), now.outputs(stay));
    for id in stay.iter().filter(|id| before.rows[id].processed) {
        assert_eq!(left.get(id), then.get(id), "what #{id} left");
    }
}

fn plays(seeds: std::ops::Range<u64>, kills: usize) {
    for seed in seeds {
        let mut world = World::new(seed);
        for _ in 0..3 {
            for _ in 0..4 {
                world.change();
                if world.random.below(3) == 0 {
                    world.evict(kills);
                }
            }
            world.collect(kills);
        }
        // All goes on as if nothing had been.
        world.change();
        world.run(&["-run", "-migrate-tainted"]).exits(0);
        world.run(&["-run"]).exits(0);
        world.test.objects_are_whole();
    }
}

#[test]
fn random_collections_remove_what_nothing_needs_and_nothing_else() {
    plays(0..8, 0);
}

#[test]
fn killed_collections_leave_a_db_that_is_whole() {
    plays(100..104, 3);
}
