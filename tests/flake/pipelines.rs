//! `mkPipeline`, `fromManifest` and `runPipeline`: what they give and how they refuse.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{self, World, contains, succeeded, text, world};

/// A pipeline of two steps.
const WORDS: &str = r#"mkPipeline {
  name = "words";
  steps.split = {
    start = true;
    packages = [ pkgs.coreutils ];
    script = ''
      for n in 1 2 3; do echo "word $n" > "$OUTPUT_DIR/$n"_upper; done
    '';
  };
  steps.upper = {
    packages = [ "gnused" ];
    script = "sed 's/word/WORD/' \"$INPUT_FILE\" > \"$OUTPUT_DIR/$TASK_PIPELINE_TASK.txt\"";
  };
}"#;

/// What Nix says of a pipeline that it must refuse, at evaluation or when it is built.
fn refused(world: &World, name: &str, expression: &str) -> String {
    match world.build_expression(name, expression) {
        Ok(path) => panic!("built: {}", path.display()),
        Err(said) => said,
    }
}

#[test]
fn a_pipeline_in_nix_is_a_program() {
    let Some(world) = world() else { return };
    let package = world.build_expression("words", WORDS).unwrap();
    let program = package.join("bin/words");
    let folder = world.folder("words-run");

    // Without arguments it runs, with its state in ./db.
    let mut run = Command::new(&program);
    succeeded(&run.current_dir(&folder).output().unwrap());
    let mut export = Command::new(&program);
    export
        .current_dir(&folder)
        .args(["export", "-db", "db", "-to", "out"]);
    succeeded(&export.output().unwrap());
    // So do all subcommands, those that need no pipeline too.
    for (words, told) in [
        ("help", "task-pipeline"),
        ("help status", "--json"),
        ("status -help", "--json"),
        ("-help", "--manifest"),
        ("-version", env!("CARGO_PKG_VERSION")),
        ("version", env!("CARGO_PKG_VERSION")),
        ("man", ".TH"),
        ("completions bash", "task-pipeline"),
        ("schema", "$schema"),
        ("check", "upper"),
        ("-db db status", "upper"),
        ("graph", "upper"),
        ("-run -dry-run", "nothing would run"),
    ] {
        let mut call = Command::new(&program);
        call.current_dir(&folder).args(words.split(' '));
        contains(&succeeded(&call.output().unwrap()), &[told]);
    }
    let mut found: Vec<String> = fs::read_dir(folder.join("out"))
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    found.sort();
    assert_eq!(found, ["WORD 1\n", "WORD 2\n", "WORD 3\n"]);

    // The closure has the tools of every step: nothing is left to fetch.
    let mut closure = Command::new("nix-store");
    world.environment(closure.args(["--query", "--requisites"]).arg(&package));
    contains(
        &succeeded(&closure.output().unwrap()),
        &["-coreutils-", "-gnused-", "-task-pipeline-"],
    );
}

/// What the manifest's schema lists is an option here, and what is an option the program accepts.
#[test]
fn every_key_of_a_step_is_an_option() {
    let Some(world) = world() else { return };
    let schema = Command::new(support::PROGRAM)
        .arg("schema")
        .output()
        .unwrap();
    let schema: serde_json::Value = serde_json::from_str(&succeeded(&schema)).unwrap();
    // Names are those of the attributes, packages become store paths, and `from` names steps that are
    // there: other tests have these. What does not go with `gather` has a step of its own.
    let others = [
        "name", "packages", "script", "start", "from", "with", "each",
    ];
    let attributes = |table: &serde_json::Value| {
        let mut keys = serde_json::Map::new();
        for (key, property) in table["properties"].as_object().unwrap() {
            if !others.contains(&key.as_str()) {
                keys.insert(key.clone(), property["examples"][0].clone());
            }
        }
        assert!(keys.len() > 8, "{keys:?}");
        format!(
            "builtins.fromJSON ''{}''",
            serde_json::to_string(&keys).unwrap()
        )
    };
    let step = attributes(&schema["properties"]["step"]["items"]);
    let defaults = attributes(&schema["properties"]["defaults"]);
    let mut input = serde_json::Map::new();
    let properties = schema["properties"]["input"]["items"]["properties"].as_object();
    for (key, property) in properties.unwrap() {
        if !["files", "lines", "packages"].contains(&key.as_str()) {
            input.insert(key.clone(), property["examples"][0].clone());
        }
    }
    input.insert("step".into(), "pairs".into());
    let files = &properties.unwrap()["files"]["examples"][0];
    let lines = &properties.unwrap()["lines"]["examples"][0];
    let inputs = format!(
        "builtins.fromJSON ''{}''",
        serde_json::json!([input, { "files": files }, { "lines": lines, "packages": ["jq"] }])
    );
    world
        .build_expression(
            "every-key",
            &format!(
                "mkPipeline {{ name = \"every-key\"; defaults = {defaults}; inputs = {inputs};
                   params.threshold = {{ type = \"float\"; default = 0.5; min = 0; max = 1; help = \"…\"; volatile = true; }};
                   store.keep_runsets = 30; store.keep = \"finals\"; cache.urls = [ \"s3://bucket/p\" ]; publish.dir = \"results\"; limits.database = 2;
                   executors.cluster = {{ slurm = [ \"-p\" \"x\" ]; workers = 10; slots = 2; }};
                   params.mode = {{ type = \"string\"; values = [ \"fast\" \"exact\" ]; }};
                   steps.begin = {{ start = true; script = \":\"; }};
                   steps.all = {{ script = \":\"; from = [ \"begin\" ]; \"with\" = [ \"begin\" ]; }} // {step};
                   steps.pairs = {{ script = \":\"; \"with\" = [ \"begin\" ]; each = true; }}; }}"
            ),
        )
        .unwrap_or_else(|said| panic!("{said}"));
}

#[test]
fn scripts_start_in_the_folder_of_the_caller_or_in_src() {
    let Some(world) = world() else { return };
    let script = |src: &str| {
        format!(
            "mkPipeline {{ name = \"here\"; {src} steps.read = {{ start = true; files = [ \"data\" ]; script = \"cat data > $OUTPUT_DIR/data.txt\"; }}; }}"
        )
    };
    let read = |package: &Path, folder: &Path| {
        let program = package.join("bin/here");
        succeeded(&Command::new(&program).current_dir(folder).output().unwrap());
        let mut export = Command::new(&program);
        export
            .current_dir(folder)
            .args(["export", "-db", "db", "-to", "out"]);
        succeeded(&export.output().unwrap());
        fs::read_to_string(folder.join("out/data.txt")).unwrap()
    };

    let folder = world.folder("here-caller");
    fs::write(folder.join("data"), "of the caller").unwrap();
    let package = world.build_expression("here-package", &script("")).unwrap();
    assert_eq!(read(&package, &folder), "of the caller");

    let src = world.folder("here-src");
    fs::write(src.join("data"), "of the source").unwrap();
    let with_src = script(&format!("src = {};", src.display()));
    let package = world
        .build_expression("here-package-src", &with_src)
        .unwrap();
    assert_eq!(read(&package, &world.folder("here-other")), "of the source");
}

#[test]
fn a_pipeline_runs_inside_a_build() {
    let Some(world) = world() else { return };
    let src = world.folder("run-src");
    fs::write(src.join("data"), "a\nb\n").unwrap();
    let expression = format!(
        r#"runPipeline {{
          env.NIX_REMOTE = "unix:///no-daemon-inside-a-build";
          src = {};
          pipeline = mkPipeline {{
            name = "lines";
            defaults.packages = [ pkgs.coreutils ];
            steps.split = {{
              start = true;
              files = [ "data" ];
              script = "while read -r line; do echo $line > $OUTPUT_DIR/\${{line}}_twice; done < data";
            }};
            steps.twice.script = "cat $INPUT_FILE $INPUT_FILE > $OUTPUT_DIR/$(cat $INPUT_FILE).txt";
          }};
        }}"#,
        src.display()
    );
    let result = world.build_expression("run-twice", &expression);
    let result = result.unwrap_or_else(|said| panic!("{said}"));
    assert_eq!(fs::read_to_string(result.join("a.txt")).unwrap(), "a\na\n");
    assert_eq!(fs::read_to_string(result.join("b.txt")).unwrap(), "b\nb\n");
}

#[test]
fn what_no_version_knows_of_is_refused_unless_the_pipeline_lets_it_pass() {
    let Some(world) = world() else { return };
    let src = world.folder("strict-src");
    fs::write(src.join("data"), "x\n").unwrap();
    let pipeline = |more: &str| {
        format!(
            "mkPipeline {{ name = \"reads\"; src = {}; {more} steps.read = {{ start = true; script = \"cat data > $OUTPUT_DIR/x.txt\"; }}; }}",
            src.display()
        )
    };
    // In a build, and by the program that is called without arguments.
    let advice = "add `files = [\"data\"]` to the step";
    let strict = pipeline("");
    let said = refused(
        world,
        "strict-build",
        &format!("runPipeline {{ pipeline = {strict}; }}"),
    );
    contains(&said, &[advice, "-strict"]);
    let run = |name: &str, expression: &str, arguments: &[&str]| {
        let package = world.build_expression(name, expression);
        let package = package.unwrap_or_else(|said| panic!("{said}"));
        let mut program = Command::new(package.join("bin/reads"));
        let folder = world.folder(&format!("{name}-run"));
        program
            .args(arguments)
            .current_dir(folder)
            .output()
            .unwrap()
    };
    let output = run("strict-program", &strict, &[]);
    assert_eq!(output.status.code(), Some(1));
    contains(&text(&output.stderr), &[advice]);
    // Arguments are those of the caller.
    succeeded(&run("strict-arguments", &strict, &["-run"]));

    let lenient = pipeline("strict = false;");
    succeeded(&run("lenient-program", &lenient, &[]));
    for (name, expression) in [
        ("lenient", format!("{{ pipeline = {lenient}; }}")),
        (
            "lenient-build",
            format!("{{ strict = false; pipeline = {strict}; }}"),
        ),
    ] {
        let result = world.build_expression(name, &format!("runPipeline {expression}"));
        let result = result.unwrap_or_else(|said| panic!("{said}"));
        assert_eq!(fs::read_to_string(result.join("x.txt")).unwrap(), "x\n");
    }
}

#[test]
fn a_failing_step_fails_the_build_with_its_words() {
    let Some(world) = world() else { return };
    let said = refused(
        world,
        "run-failing",
        r#"runPipeline { pipeline = mkPipeline {
             name = "doomed";
             steps.only = { start = true; script = "echo 'the reason why' >&2; exit 3"; };
           }; }"#,
    );
    contains(&said, &["only", "the reason why"]);
}

#[test]
fn every_string_reaches_the_script_unharmed() {
    let Some(world) = world() else { return };
    let awkward = "\"'\"\"\" \\ \\n ''' ${x} $(y) `z`\t\u{1}\u{1b}\u{7f}\r\n\n é ☃ \"\"\"\"\n'''\\";
    let json = serde_json::to_string(awkward).unwrap();
    let folder = world.folder("strings-json");
    fs::write(folder.join("string.json"), json).unwrap();
    let result = world
        .build_expression(
            "strings",
            &format!(
                r#"let awkward = lib.importJSON {}; in runPipeline {{ pipeline = mkPipeline {{
                     name = "strings";
                     steps.only = {{
                       start = true;
                       env.VALUE = awkward;
                       script = ''
                         printf %s "$VALUE" > "$OUTPUT_DIR/env.txt"
                         printf %s ${{"'" + builtins.replaceStrings [ "'" ] [ "'\\''" ] awkward + "'"}} > "$OUTPUT_DIR/script.txt"
                       '';
                     }};
                   }}; }}"#,
                folder.join("string.json").display()
            ),
        )
        .unwrap_or_else(|said| panic!("{said}"));
    assert_eq!(fs::read_to_string(result.join("env.txt")).unwrap(), awkward);
    assert_eq!(
        fs::read_to_string(result.join("script.txt")).unwrap(),
        awkward
    );
}

#[test]
fn mistakes_name_pipeline_and_step() {
    let Some(world) = world() else { return };
    for (name, steps, says) in [
        (
            "unknown-option",
            "upper.scrpt = \"x\";",
            &["pipeline.words.steps.upper.scrpt", "does not exist"][..],
        ),
        (
            "wrong-type",
            "upper.retries = \"3\";",
            &["pipeline.words.steps.upper.retries", "is not of type"],
        ),
        (
            "negative",
            "upper.parallel = 0;",
            &["pipeline.words.steps.upper.parallel", "is not of type"],
        ),
        (
            "missing-package",
            "more = { packages = [ \"no-such-package\" ]; script = \":\"; };",
            &[
                "pipeline 'words', step 'more'",
                "nixpkgs has no package 'no-such-package'",
            ],
        ),
        (
            "missing-output",
            "more = { packages = [ \"jq^sbin\" ]; script = \":\"; };",
            &["pipeline 'words', step 'more'", "'jq' has no output 'sbin'"],
        ),
        (
            "flake-reference",
            "more = { packages = [ \"github:o/r#x\" ]; script = \":\"; };",
            &["pipeline 'words', step 'more'", "github:o/r#x"],
        ),
        (
            "no-script",
            "more = { };",
            &["pipeline.words.steps.more.script"],
        ),
        (
            "two-starts",
            "upper.start = true;",
            &["pipeline 'words'", "start"],
        ),
        (
            "bad-name",
            "\"a/b\" = { script = \":\"; };",
            &["pipeline 'words'", "a/b"],
        ),
        (
            "bad-time",
            "upper.timeout = \"soon\";",
            &["pipeline 'words'", "soon"],
        ),
    ] {
        let expression = format!(
            r#"mkPipeline {{
              name = "words";
              steps = lib.recursiveUpdate {{
                split = {{ start = true; script = ":"; }};
                upper.script = ":";
              }} {{ {steps} }};
            }}"#
        );
        let said = refused(world, &format!("mistake-{name}"), &expression);
        contains(&said, says);
    }
}

#[test]
fn a_pipeline_without_a_usable_name_is_refused() {
    let Some(world) = world() else { return };
    contains(
        &refused(world, "no-name", "mkPipeline { steps = { }; }"),
        &["mkPipeline", "name"],
    );
    contains(
        &refused(
            world,
            "bad-pipeline-name",
            "mkPipeline { name = \"a b\"; steps = { }; }",
        ),
        &["a b"],
    );
    let said = refused(
        world,
        "no-pkgs",
        "flake.lib.mkPipeline { name = \"a\"; steps = { }; }",
    );
    contains(&said, &["mkPipeline", "inherit pkgs"]);
}

#[test]
fn a_manifest_keeps_its_meaning_as_a_package() {
    let Some(world) = world() else { return };
    let folder = world.folder("manifest");
    let manifest = folder.join("workflow.toml");
    fs::write(
        &manifest,
        "[nix]\nnixpkgs = \"github:NixOS/nixpkgs/nixos-unstable\"\npure = true\n\n[defaults]\npackages = [\"coreutils\"]\n\n\
         [[step]]\nname = \"one\"\nstart = true\npackages = [\"nixpkgs#jq\", \".#mine\", \"curl^bin\"]\nscript = \"\"\"\njq -n '{a: \"b\"}'\n\"\"\"\n",
    )
    .unwrap();
    let of = |packages: &str| {
        format!(
            "(fromManifest {{ name = \"m\"; manifest = {}; packages = {{ {packages} }}; }}).manifest",
            manifest.display()
        )
    };
    let said = refused(world, "manifest-unknown", &of("\"curl^bin\" = pkgs.jq;"));
    contains(&said, &["pipeline 'm', step 'one'", ".#mine", "packages."]);

    let built = world
        .build_expression(
            "manifest-built",
            &of("\".#mine\" = pkgs.gawk; \"curl^bin\" = pkgs.jq;"),
        )
        .unwrap_or_else(|said| panic!("{said}"));
    let written = fs::read_to_string(built).unwrap();
    contains(
        &written,
        &[
            "pure = true",
            "-coreutils-",
            "-jq-",
            "-gawk-",
            "jq -n '{a: \\\"b\\\"}'\n",
        ],
    );
    assert!(!written.contains("nixos-unstable"), "{written}");
}

#[test]
fn evaluation_needs_no_build() {
    let Some(world) = world() else { return };
    let output = world.evaluate(&format!("({WORDS}).drvPath"));
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        !text(&output.stderr).contains("building '"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_pipeline_runs_with_values_of_its_parameters() {
    let Some(world) = world() else { return };
    let expression = |value: &str| {
        format!(
            "runPipeline {{ params = {{ label = {value}; n = null; }}; pipeline = mkPipeline {{ name = \"given\";
               params.label = {{ type = \"string\"; values = [ \"a b\" \"c\" ]; }};
               params.n = {{ type = \"int\"; default = 1; }};
               steps.one = {{ start = true; script = \"echo \\\"$PARAM_label\\\" $PARAM_n > $OUTPUT_DIR/x.txt\"; }}; }}; }}"
        )
    };
    let result = world.build_expression("given", &expression("\"a b\""));
    let result = result.unwrap_or_else(|said| panic!("{said}"));
    assert_eq!(fs::read_to_string(result.join("x.txt")).unwrap(), "a b 1\n");
    let said = world
        .build_expression("wrongly-given", &expression("\"b\""))
        .unwrap_err();
    contains(&said, &["`b` is not one of its values"]);
}
