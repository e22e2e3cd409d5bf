//! The files that tell each contender of a work.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::contender::Kind;
use super::failure::{Fallible, on};
use super::work::{Stage, Work};
use super::{generate_python, interrupt};

/// The big file as seen from a contender's folder.
pub const BIG: &str = "../big";

/// Makes `folder` with all that the contender needs for the work.
pub fn generate(kind: Kind, work: &Work, folder: &Path, parallel: usize) -> Fallible<()> {
    fs::create_dir(folder).map_err(on("make the folder", folder))?;
    if !kind.is_own() {
        for stage in 0..=work.stages.len() {
            let path = folder.join(format!("s{stage}"));
            fs::create_dir(&path).map_err(on("make the folder", &path))?;
        }
    }
    let (file, write): (&str, Writer) = match kind {
        Kind::Own => ("workflow.toml", manifest),
        Kind::Warm => ("workflow.toml", warm_manifest),
        Kind::Ninja | Kind::N2 => ("build.ninja", ninja),
        Kind::Make => ("Makefile", make),
        Kind::Xargs => ("work.sh", xargs),
        Kind::Snakemake => ("Snakefile", generate_python::snakemake),
        Kind::Redun => ("work.py", generate_python::redun),
        Kind::Nextflow => ("work.nf", generate_python::nextflow),
        Kind::Floor => return Ok(()),
    };
    if kind == Kind::Redun {
        let settings = folder.join(".redun");
        fs::create_dir(&settings)
            .and_then(|()| {
                let text = generate_python::redun_settings(parallel);
                fs::write(settings.join("redun.ini"), text)
            })
            .map_err(on("write", &settings))?;
    }
    let path = folder.join(file);
    File::create(&path)
        .and_then(|file| {
            let mut out = BufWriter::new(file);
            write(work, parallel, &mut out)?;
            out.flush()
        })
        .map_err(on("write", &path))?;
    interrupt::check()
}

/// Where a file is written.
pub type Out = BufWriter<File>;

/// Writes the file that tells of a work, and of how many tasks may run at once.
type Writer = fn(&Work, usize, &mut Out) -> io::Result<()>;

fn warm_manifest(work: &Work, parallel: usize, out: &mut Out) -> io::Result<()> {
    writeln!(out, "[defaults]\nwarm = true\n")?;
    manifest(work, parallel, out)
}

fn manifest(work: &Work, _: usize, out: &mut Out) -> io::Result<()> {
    let last = work.stages.len();
    let suffix = if last > 0 { "_s1" } else { "" };
    let script = work.source_command("$OUTPUT_DIR", suffix, BIG);
    writeln!(
        out,
        "[[step]]\nname = \"source\"\nstart = true\nscript = '''{script}'''"
    )?;
    for (stage, n) in work.stages.iter().zip(1..) {
        let to = if n == last {
            "result".to_owned()
        } else {
            format!("s{}", n + 1)
        };
        let script = stage.command("\"$INPUT_FILE\"", &format!("\"$OUTPUT_DIR/{to}\""));
        writeln!(out, "\n[[step]]\nname = \"s{n}\"\nscript = '''{script}'''")?;
    }
    Ok(())
}

fn ninja(work: &Work, _: usize, out: &mut Out) -> io::Result<()> {
    // A dollar is the only thing that ninja reads in a command.
    let source = work.source_command("s0", "", BIG).replace('$', "$$");
    writeln!(out, "rule source\n  command = {source}")?;
    for (stage, n) in work.stages.iter().zip(1..) {
        writeln!(
            out,
            "rule s{n}\n  command = {}",
            stage.command("$in", "$out")
        )?;
    }
    write!(out, "build")?;
    for name in work.names() {
        write!(out, " s0/{name}")?;
    }
    writeln!(out, ": source")?;
    for n in 1..=work.stages.len() {
        for name in work.names() {
            writeln!(out, "build s{n}/{name}: s{n} s{}/{name}", n - 1)?;
        }
    }
    Ok(())
}

fn make(work: &Work, _: usize, out: &mut Out) -> io::Result<()> {
    let last = work.stages.len();
    let source = work.source_command("s0", "", BIG).replace('$', "$$");
    writeln!(out, ".SUFFIXES:\nMAKEFLAGS += -r")?;
    write!(out, "all: s0.made")?;
    if last > 0 {
        for name in work.names() {
            write!(out, " s{last}/{name}")?;
        }
    }
    writeln!(out, "\ns0.made:\n\t@{source}\n\t@: > s0.made")?;
    for (stage, n) in work.stages.iter().zip(1..) {
        for name in work.names() {
            let input = format!("s{}/{name}", n - 1);
            let output = format!("s{n}/{name}");
            let after = if n == 1 { "s0.made" } else { &input };
            let command = stage.command(&input, &output);
            writeln!(out, "{output}: {after}\n\t@{command}")?;
        }
    }
    Ok(())
}

fn xargs(work: &Work, parallel: usize, out: &mut Out) -> io::Result<()> {
    writeln!(out, "set -e\n{}", work.source_command("s0", "", BIG))?;
    for (stage, n) in work.stages.iter().zip(1..) {
        let from = if *stage == Stage::Nothing { 0 } else { n - 1 };
        let command = stage.command(&format!("\"s{from}/$0\""), &format!("\"s{n}/$0\""));
        writeln!(
            out,
            "ls s{from} | xargs -P {parallel} -n 1 sh -c '{command}'"
        )?;
    }
    Ok(())
}
