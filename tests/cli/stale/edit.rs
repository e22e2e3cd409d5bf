//! What somebody may do between two runs.

use std::fs::{self, FileTimes};
use std::time::{Duration, SystemTime};

use super::world::{self, CALLED, Kind, LINKED, NAMED, NAMES, READ, Route, Step, World};
use crate::harness::Test;
use crate::random::Random;

/// Does one thing; what it was. Some are impossible at times: then nothing is done.
pub fn edit(world: &mut World, test: &Test, random: &mut Random) -> String {
    let told = match random.below(23) {
        0 | 1 => content(world, random),
        2 => touch(world, test, random),
        3 => permission(world, random),
        4 => exchange(world, random),
        5 => more_in_lib(world, random),
        6 => rename_in_lib(world, random),
        7 | 8 => data(world, random),
        9 | 10 => rows(world, random),
        11 => lines(world, random),
        12 => script(world, random),
        13 => what_it_reads(world, random),
        14 => routes(world, random),
        15 => remove_step(world, random),
        16 => add_step(world, random),
        17 => inputs(world, random),
        18 => link(world, random),
        19 | 20 => named(world, random),
        21 => defaults(world, random),
        _ => variable(world, random),
    };
    world.write(test);
    told
}

fn step<'w>(world: &'w mut World, random: &mut Random) -> &'w mut Step {
    let at = random.below(world.steps.len());
    &mut world.steps[at]
}

/// Few values, so that some come back.
fn content(world: &mut World, random: &mut Random) -> String {
    let paths: Vec<String> = world.files.keys().cloned().collect();
    let path = random.of(&paths).clone();
    let called = CALLED.contains(&path.as_str());
    let file = world.files.get_mut(&path).unwrap();
    file.text = if called {
        format!(
            "echo tool {}
",
            random.below(3)
        )
    } else {
        format!(
            "text {}
",
            random.below(3)
        )
    };
    format!("{path} is {:?}", file.text)
}

/// Other times, the same bytes; or the same times for other bytes.
fn touch(world: &mut World, test: &Test, random: &mut Random) -> String {
    let paths: Vec<String> = world.files.keys().cloned().collect();
    let path = random.of(&paths).clone();
    let open = fs::File::options()
        .append(true)
        .open(test.path(&path))
        .unwrap();
    if random.below(2) == 0 {
        let past = SystemTime::now() - Duration::from_secs(random.below(1000) as u64);
        open.set_times(FileTimes::new().set_modified(past)).unwrap();
        return format!("{path} is touched");
    }
    let before = open.metadata().unwrap().modified().unwrap();
    let file = world.files.get_mut(&path).unwrap();
    let Some(last) = file.text.trim_end().chars().last() else {
        return "nothing".to_owned();
    };
    let other = if last == '7' { "8\n" } else { "7\n" };
    file.text
        .truncate(file.text.trim_end().len() - last.len_utf8());
    file.text.push_str(other);
    test.write(&path, &file.text);
    open.set_times(FileTimes::new().set_modified(before))
        .unwrap();
    format!("{path} is {:?} and as old as before", file.text)
}

fn permission(world: &mut World, random: &mut Random) -> String {
    let path = *random.of(&CALLED);
    let file = world.files.get_mut(path).unwrap();
    file.executable = !file.executable;
    format!("{path} is executable: {}", file.executable)
}

/// Two files change places.
fn exchange(world: &mut World, random: &mut Random) -> String {
    let (one, other) = (*random.of(&READ), *random.of(&READ));
    let (a, b) = (world.files[one].clone(), world.files[other].clone());
    world.files.insert(one.to_owned(), b);
    world.files.insert(other.to_owned(), a);
    format!("{one} and {other} change places")
}

fn more_in_lib(world: &mut World, random: &mut Random) -> String {
    let path = format!("lib/more{}.txt", random.below(3));
    if world.files.remove(&path).is_some() {
        return format!("{path} is gone");
    }
    let text = format!("more {}\n", random.below(3));
    world.put(&path, text, false);
    format!("{path} is new")
}

fn rename_in_lib(world: &mut World, random: &mut Random) -> String {
    let (from, to) = (random.below(3), random.below(3));
    match world.files.remove(&format!("lib/more{from}.txt")) {
        Some(file) => {
            world.files.insert(format!("lib/more{to}.txt"), file);
            format!("lib/more{from}.txt is lib/more{to}.txt")
        }
        None => "nothing".to_owned(),
    }
}

fn data(world: &mut World, random: &mut Random) -> String {
    let all = world.data();
    match random.below(4) {
        0 if !all.is_empty() => {
            let path = random.of(&all);
            world.files.remove(path);
            format!("{path} is gone")
        }
        1 if !all.is_empty() => {
            let path = random.of(&all);
            let file = world.files.remove(path).unwrap();
            let at = random.below(6);
            let new = world::data_path(random, at);
            world.files.insert(new.clone(), file);
            format!("{path} is {new}")
        }
        2 if !all.is_empty() => {
            let path = random.of(&all);
            let file = world.files.get_mut(path).unwrap();
            file.text.push_str("one more line\n");
            format!("{path} grows")
        }
        _ => {
            let at = random.below(6);
            let path = world::data_path(random, at);
            let text = format!("data {}\n", random.below(3));
            world.put(&path, text, false);
            format!("{path} is there")
        }
    }
}

fn rows(world: &mut World, random: &mut Random) -> String {
    let at = random.below(world.rows.len() + 1);
    match random.below(4) {
        0 if at < world.rows.len() => {
            let (name, _) = world.rows.remove(at);
            format!("row {name} is gone")
        }
        1 if at < world.rows.len() => {
            world.rows[at].1 = random.below(3).to_string();
            format!("row {} is another", world.rows[at].0)
        }
        2 => {
            world.rows.reverse();
            "rows are the other way round".to_owned()
        }
        _ => {
            let name = format!("n{}", random.below(5));
            if world.rows.iter().all(|(other, _)| *other != name) {
                let value = random.below(3).to_string();
                world.rows.insert(at, (name.clone(), value));
            }
            format!("row {name} is there")
        }
    }
}

fn lines(world: &mut World, random: &mut Random) -> String {
    let at = random.below(world.lines.len() + 1);
    if at < world.lines.len() && random.below(2) == 0 {
        return format!("{:?} is gone", world.lines.remove(at));
    }
    let line = format!("new {}", random.below(4));
    if !world.lines.contains(&line) {
        world.lines.insert(at, line.clone());
    }
    format!("{line:?} is there")
}

fn script(world: &mut World, random: &mut Random) -> String {
    let salt = u32::try_from(random.below(3)).unwrap();
    let step = step(world, random);
    step.salt = salt;
    format!("{} has {salt}", step.name)
}

fn what_it_reads(world: &mut World, random: &mut Random) -> String {
    let path = *random.of(&READ);
    let tool = *random.of(&CALLED);
    let choice = random.below(7);
    let step = step(world, random);
    match choice {
        0 => step.all = !step.all,
        1 => {
            step.calls = if step.calls.is_some() {
                None
            } else {
                Some(tool)
            }
        }
        2 => step.keeps = !step.keeps,
        3 => step.dir = !step.dir,
        4 => step.promises = !step.promises,
        _ if step.reads.contains(&path) => step.reads.retain(|other| *other != path),
        _ => step.reads.push(path),
    }
    format!(
        "{} reads {:?}, all: {}, calls {:?}",
        step.name, step.reads, step.all, step.calls
    )
}

fn routes(world: &mut World, random: &mut Random) -> String {
    let at = random.below(world.steps.len());
    let route = Route::random(world.steps[at].name, random);
    let step = &mut world.steps[at];
    let told = format!("{} leaves {route:?}", step.name);
    if step.routes.len() > 1 {
        step.routes[0] = route;
    } else {
        step.routes.push(route);
    }
    told
}

fn remove_step(world: &mut World, random: &mut Random) -> String {
    let at = random.below(world.steps.len());
    let step = &world.steps[at];
    let name = step.name;
    let needed = |input: &world::Input| input.step == Some(name);
    if world.steps.len() == 1 || step.start || world.inputs.iter().any(needed) {
        return "nothing".to_owned();
    }
    world.steps.remove(at);
    format!("no step {name}")
}

fn add_step(world: &mut World, random: &mut Random) -> String {
    let name = *random.of(&NAMES);
    if world.steps.iter().any(|step| step.name == name) {
        return "nothing".to_owned();
    }
    let at = world.steps.partition_point(|step| step.name < name);
    world.steps.insert(at, Step::random(name, random));
    format!("step {name} is new")
}

fn inputs(world: &mut World, random: &mut Random) -> String {
    if world.inputs.is_empty() || random.below(2) == 0 {
        let kind = random
            .of(&[
                Kind::Files("data/*.txt"),
                Kind::Rows,
                Kind::Paths,
                Kind::Lines,
            ])
            .clone();
        let told = format!("input {kind:?}");
        let added = world.add_input(kind, random);
        return if added { told } else { "nothing".to_owned() };
    }
    let at = random.below(world.inputs.len());
    let starts = world.steps.iter().any(|step| step.start);
    match random.below(3) {
        0 if starts || world.inputs.len() > 1 => {
            format!("no input {:?}", world.inputs.remove(at).kind)
        }
        1 => {
            let name = world.steps[random.below(world.steps.len())].name;
            world.inputs[at].step = Some(name);
            format!("input {:?} goes to {name}", world.inputs[at].kind)
        }
        _ if matches!(world.inputs[at].kind, Kind::Files(_)) => {
            let glob = *random.of(&["data/*.txt", "data/**/*.txt", "data/f*.txt"]);
            world.inputs[at].kind = Kind::Files(glob);
            format!("input {glob}")
        }
        _ => "nothing".to_owned(),
    }
}

fn link(world: &mut World, random: &mut Random) -> String {
    world.linked = match random.below(LINKED.len() + 1) {
        0 => None,
        number => Some(number - 1),
    };
    format!("lib/linked leads to {:?}", world.linked)
}

fn named(world: &mut World, random: &mut Random) -> String {
    let at = random.below(world.named.len() + 1);
    let which = random.below(NAMED.len());
    match random.below(3) {
        0 if at < world.named.len() => {
            let (name, _) = world.named.remove(at);
            format!("row {name} of named.csv is gone")
        }
        1 if at < world.named.len() => {
            world.named[at].1 = which;
            format!("row {} names {}", world.named[at].0, NAMED[which])
        }
        _ => {
            let name = format!("q{}", random.below(4));
            if world.named.iter().all(|(other, _)| *other != name) {
                world.named.insert(at, (name.clone(), which));
            }
            format!("row {name} of named.csv is there")
        }
    }
}

fn defaults(world: &mut World, random: &mut Random) -> String {
    let path = *random.of(&["lib/a.txt", "lib/**/*.txt", "check.sh"]);
    if world.defaults.contains(&path) {
        world.defaults.retain(|other| *other != path);
    } else {
        world.defaults.push(path);
    }
    format!("files of all steps: {:?}", world.defaults)
}

fn variable(world: &mut World, random: &mut Random) -> String {
    world.foo = match random.below(3) {
        0 => None,
        number => Some(number.to_string()),
    };
    format!("FOO is {:?}", world.foo)
}
