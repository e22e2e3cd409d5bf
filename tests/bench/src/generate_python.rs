//! The files of the contenders that are programs in Python or Groovy.

use std::io::{self, Write};

use super::generate::{BIG, Out};
use super::work::Work;

/// A Snakefile.
pub fn snakemake(work: &Work, _: usize, out: &mut Out) -> io::Result<()> {
    let last = work.stages.len();
    let items = work.items();
    let source = work.source_command("s0", "", BIG);
    writeln!(
        out,
        "NAMES = [f\"{{i:07}}\" for i in range({items})]\n\
         rule all:\n    input: expand(\"s{last}/{{name}}\", name=NAMES)\n\
         rule source:\n    output: expand(\"s0/{{name}}\", name=NAMES)\n    shell: '''{source}'''"
    )?;
    for (stage, n) in work.stages.iter().zip(1..) {
        let command = stage.command("{input}", "{output}");
        writeln!(
            out,
            "rule s{n}:\n    input: \"s{}/{{name}}\"\n    output: \"s{n}/{{name}}\"\n    \
             shell: '''{command}'''",
            n - 1
        )?;
    }
    Ok(())
}

/// What redun reads from its folder: by itself it runs twenty at once.
pub fn redun_settings(parallel: usize) -> String {
    format!(
        "[backend]\ndb_uri = sqlite:///redun.db\n\n\
         [executors.default]\ntype = local\nmax_workers = {parallel}\n"
    )
}

/// A module of redun tasks. Each stage calls the next one: redun cannot store an expression of
/// two hundred calls in each other.
pub fn redun(work: &Work, _: usize, out: &mut Out) -> io::Result<()> {
    let last = work.stages.len();
    let source = work.source_command("s0", "", BIG);
    let items = work.items();
    writeln!(
        out,
        "import subprocess\nfrom redun import File, task\nredun_namespace = \"peers\"\n\
         def sh(command):\n    subprocess.run([\"sh\", \"-c\", command], check=True)\n\
         @task()\ndef source():\n    sh('''{source}''')\n    \
         return [File(f\"s0/{{i:07}}\") for i in range({items})]"
    )?;
    for (stage, n) in work.stages.iter().zip(1..) {
        let command = stage.command("{input.path}", "{output}");
        let next = if n == last {
            String::new()
        } else {
            format!("s{}", n + 1)
        };
        writeln!(
            out,
            "@task()\ndef s{n}(input):\n    output = \"s{n}/\" + input.path.split(\"/\")[-1]\n    \
             sh(f'''{command}''')\n    return {next}(File(output))"
        )?;
    }
    writeln!(
        out,
        "@task()\ndef each(files):\n    return [s1(file) for file in files]\n\
         @task()\ndef main():\n    return each(source())"
    )
}

/// A Nextflow script.
pub fn nextflow(work: &Work, parallel: usize, out: &mut Out) -> io::Result<()> {
    let last = work.stages.len();
    let source = work
        .source_command("s0", "", &format!("$launchDir/{BIG}"))
        .replace('\\', "\\\\");
    writeln!(
        out,
        "nextflow.enable.dsl = 2\n// at once: {parallel}\n\
         process source {{\n  maxForks {parallel}\n  output: path 's0/*'\n  \
         script: \"\"\"\n  mkdir s0\n  {source}\n  \"\"\"\n}}"
    )?;
    for (stage, n) in work.stages.iter().zip(1..) {
        let publish = if n == last {
            format!("  publishDir \"$launchDir/s{n}\", mode: 'move'\n")
        } else {
            String::new()
        };
        let command = stage.command("${x}", "out_${x.name}");
        writeln!(
            out,
            "process s{n} {{\n{publish}  maxForks {parallel}\n  input: path x\n  \
             output: path \"out_*\"\n  script: \"\"\"\n  {command}\n  \"\"\"\n}}"
        )?;
    }
    write!(out, "workflow {{\n  source().flatten()")?;
    for n in 1..=last {
        write!(out, " | s{n}")?;
    }
    writeln!(out, "\n}}")
}
