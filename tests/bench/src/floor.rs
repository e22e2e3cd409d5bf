//! The least that some works cost: this program's own helper processes.
//!
//! `copies`: the same `cat`s one after the other, the result of each hashed while the next runs.
//! `outputs`: the same command, then each file hashed and renamed into two levels of folders.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::check::hash;
use super::failure::{Failure, Fallible, on};
use super::generate::BIG;
use super::work::{Source, Work};

/// Does what the arguments after `floor` say.
pub fn main(arguments: &[String]) -> Fallible<()> {
    let number = |text: &String| text.parse::<usize>().ok();
    match arguments {
        [which, n] if which == "copies" => copies(number(n).unwrap_or(0)),
        [which, n] if which == "outputs" => outputs(number(n).unwrap_or(0)),
        _ => Err(Failure::new(
            "no such helper",
            "it is for the measurement itself",
        )),
    }
}

fn copies(stages: usize) -> Fallible<()> {
    let mut input = BIG.to_owned();
    let mut hashes = Vec::new();
    for stage in 0..=stages {
        let output = format!("s{stage}/0000000");
        shell(&format!("cat {input} > {output}"))?;
        input.clone_from(&output);
        hashes.push(std::thread::spawn(move || hash(Path::new(&output))));
    }
    for hash in hashes {
        hash.join()
            .map_err(|_| Failure::new("a thread panicked", "report it"))??;
    }
    Ok(())
}

fn outputs(files: usize) -> Fallible<()> {
    let work = Work {
        name: "",
        title: String::new(),
        source: Source::Split(files),
        stages: Vec::new(),
        second: false,
        rounds: 1,
    };
    fs::create_dir("new").map_err(on("make the folder", Path::new("new")))?;
    shell(&work.source_command("new", "", BIG))?;
    for name in work.names() {
        let from = Path::new("new").join(&name);
        let digest = hash(&from)?;
        let folder = format!("s0/{:02x}/{:02x}", digest[0], digest[1]);
        let to = Path::new(&folder).join(&name);
        if fs::rename(&from, &to).is_err() {
            fs::create_dir_all(&folder).map_err(on("make the folder", Path::new(&folder)))?;
            fs::rename(&from, &to).map_err(on("rename to", &to))?;
        }
    }
    Ok(())
}

fn shell(command: &str) -> Fallible<()> {
    let status = Command::new("sh")
        .args(["-e", "-c", command])
        .status()
        .map_err(on("start", Path::new("sh")))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!("{command}: {status}"), "see above"))
    }
}
