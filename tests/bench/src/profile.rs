//! Where a task's time goes: system calls by name, instructions by part of the program.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use super::contender::Contender;
use super::cost::{Counted, Counts, SHELL, Subject};
use super::failure::{Failure, Fallible, on};
use super::interrupt;
use super::measure::{self, Call};

/// Rows below are summed up.
const ROWS: usize = 12;

/// Both tables.
pub fn markdown(own: &Contender, scratch: &Path) -> Fallible<String> {
    for tool in ["strace", "valgrind"] {
        if which::which(tool).is_err() {
            return Err(Failure::new(
                format!("{tool} is missing, which --profile needs"),
                format!("install it (Debian: apt-get install {tool}), or leave --profile out"),
            ));
        }
    }
    let folder = scratch.join("profile");
    std::fs::create_dir(&folder).map_err(on("make the folder", &folder))?;
    let log = scratch.join("profile.log");
    let run = |command: &mut Command| match measure::run(command, &log) {
        Ok(Call::Done(_)) => Ok(()),
        Ok(Call::Failed(why)) => Err(why),
        Err(failure) => Err(failure.to_string()),
    };
    let subject = Subject {
        program: &own.program,
        folder: &folder,
        runner: &run,
    };
    let counted = |counted: Counted| -> Fallible<Counts> {
        interrupt::check()?;
        counted.map_err(|why| Failure::of_call(format!("cannot look into a task: {why}"), &why))
    };
    eprintln!("peers: system calls a task");
    let calls = counted(subject.system_calls(SHELL, 100, 1100))?;
    eprintln!("peers: instructions a task");
    let instructions = counted(subject.instructions(100, 1100))?;
    let mut text = String::from(
        "\nWhat a task that does nothing takes beyond its shell (differences of runs of 100 and 1100 tasks):\n",
    );
    table(&mut text, "system call", &calls, 1);
    table(
        &mut text,
        "instructions of the program, by part",
        &instructions,
        0,
    );
    Ok(text)
}

fn table(text: &mut String, what: &str, counts: &Counts, digits: usize) {
    let total: f64 = counts.values().sum();
    let mut rows: Vec<(&String, &f64)> = counts.iter().collect();
    rows.sort_by(|a, b| b.1.total_cmp(a.1));
    let _ = writeln!(text, "\n| {what} | a task | share |\n|---|---|---|");
    let mut rest = total;
    for (name, count) in rows.iter().take(ROWS) {
        rest -= **count;
        row(text, name, **count, total, digits);
    }
    if rows.len() > ROWS {
        row(text, "others", rest, total, digits);
    }
    row(text, "all", total, total, digits);
}

fn row(text: &mut String, name: &str, count: f64, total: f64, digits: usize) {
    let share = 100.0 * count / total;
    let _ = writeln!(text, "| {name} | {count:.digits$} | {share:.0} % |");
}
