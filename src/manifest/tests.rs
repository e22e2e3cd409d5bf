mod errors;
mod executors;
mod inputs;
#[rustfmt::skip]
mod kinds;
mod params;
mod syntax;

use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::{any, proptest};

use super::{Installable, Manifest, NixSettings, Step};

fn manifest(text: &str) -> Manifest {
    match Manifest::parse(text) {
        Ok(manifest) => manifest,
        Err(errors) => panic!(
            "{}",
            crate::manifest::diagnostic::render("workflow.toml", text, &errors)
        ),
    }
}

fn start(manifest: &Manifest) -> &Step {
    manifest.start().unwrap()
}

fn packages(step: &Step) -> Vec<&str> {
    step.packages.iter().map(Installable::text).collect()
}

#[test]
fn all_that_a_manifest_can_say() {
    let manifest = manifest(
        r#"
        [nix]
        nixpkgs = "github:NixOS/nixpkgs/nixos-25.11"

        [defaults]
        retries = 1
        retry_delay = "10s"
        rounds = 7
        packages = ["coreutils"]
        env = { LANG = "C", A = "default" }

        [[step]]
        name = "extract"
        start = true
        packages = ["curl", "nixpkgs#ripgrep", ".#my-tool", "github:o/r#x"]
        env = { LANG = "C.UTF-8", "B" = "" }
        shell = ["bash", "-euo", "pipefail", "-c"]
        pure = true
        keep = ["SSH_AUTH_SOCK"]
        parallel = 4
        timeout = "1h30m"
        retries = 0
        retry_delay = "1m500ms"
        rounds = 50
        cache = false
        warm = true
        script = '''
echo \n'''

        [[step]]
        name = "next"
        script = "cat"
        "#,
    );
    assert_eq!(manifest.nix.nixpkgs, "github:NixOS/nixpkgs/nixos-25.11");
    let [extract, next] = &manifest.steps[..] else {
        panic!("{manifest:?}");
    };
    assert_eq!(manifest.start(), Some(extract));
    assert_eq!(manifest.step("next"), Some(next));
    assert_eq!(manifest.step("other"), None);

    assert_eq!(
        packages(extract),
        ["curl", "nixpkgs#ripgrep", ".#my-tool", "github:o/r#x"]
    );
    let env: Vec<_> = extract.env.iter().map(|(k, v)| (&k[..], &v[..])).collect();
    assert_eq!(env, [("A", "default"), ("B", ""), ("LANG", "C.UTF-8")]);
    assert_eq!(extract.shell, ["bash", "-euo", "pipefail", "-c"]);
    assert_eq!(extract.keep, ["SSH_AUTH_SOCK"]);
    assert_eq!(extract.parallel, NonZeroU32::new(4));
    assert_eq!(extract.timeout, Some(Duration::from_mins(90)));
    assert_eq!((extract.retries.count, extract.rounds), (0, 50));
    assert_eq!(extract.retry_delay, Duration::from_millis(60_500));
    assert_eq!(extract.script, "echo \\n");
    assert!(extract.pure && extract.cache == super::Cache::Never && extract.warm == Some(true));

    assert_eq!(packages(next), ["coreutils"]);
    assert_eq!((next.retries.count, next.rounds), (1, 7));
    assert_eq!(next.retry_delay, Duration::from_secs(10));
    assert_eq!(next.shell, Step::SHELL);
    assert_eq!((next.parallel, next.timeout), (None, None));
    assert!(!next.pure && next.cache == super::Cache::Always && !next.start && next.warm.is_none());
}

#[test]
fn a_step_wins_over_the_defaults_and_these_over_nix() {
    let text = |nix: &str, defaults: &str, step: &str| {
        format!(
            "[nix]\n{nix}\n[defaults]\n{defaults}\n[[step]]\nname='a'\nscript=':'\nstart=true\n{step}"
        )
    };
    for (nix, defaults, step, pure, keep) in [
        ("", "", "", false, &[] as &[&str]),
        ("pure=true\nkeep=['A']", "", "", true, &["A"]),
        (
            "pure=true\nkeep=['A']",
            "pure=false\nkeep=['B']",
            "",
            false,
            &["B"],
        ),
        ("pure=false", "pure=true\nkeep=['B']", "keep=[]", true, &[]),
        ("pure=true", "pure=true", "pure=false", false, &[]),
    ] {
        let manifest = manifest(&text(nix, defaults, step));
        assert_eq!(start(&manifest).pure, pure);
        assert_eq!(start(&manifest).keep, keep);
    }
}

#[test]
fn the_least_manifest() {
    let manifest = manifest("step = [{ name = 'a', start = true, script = ':' }]");
    assert_eq!(manifest.nix.nixpkgs, NixSettings::NIXPKGS);
    assert_eq!(start(&manifest).env.len(), 0);
}

#[test]
fn a_step_that_nothing_routes_to_is_no_error() {
    let manifest =
        manifest("[[step]]\nname='a'\nstart=true\nscript=':'\n[[step]]\nname='lonely'\nscript=':'");
    assert_eq!(manifest.steps.len(), 2);
}

#[test]
fn three_steps_with_routes_by_name() {
    let manifest = manifest(
        r#"
[[step]]
name = "start"
start = true
script = '''
echo "Input data" > $OUTPUT_DIR/process
echo "More data" > $OUTPUT_DIR/transform
'''

[[step]]
name = "process"
script = '''
cat $INPUT_FILE | tr '[:lower:]' '[:upper:]' > $OUTPUT_DIR/next
'''

[[step]]
name = "transform"
script = '''
cat $INPUT_FILE | sort > $OUTPUT_DIR/next
'''
"#,
    );
    let router = manifest.routes();
    let outputs_of = |step: &str| -> Vec<_> {
        super::literal_outputs(&manifest.step(step).unwrap().script, false)
            .iter()
            .map(|output| router.route(output).map(ToString::to_string))
            .collect()
    };
    assert_eq!(
        outputs_of("start"),
        [Some("process".to_owned()), Some("transform".to_owned())]
    );
    assert_eq!(outputs_of("process"), [None]);
    assert_eq!(
        start(&manifest).script,
        "echo \"Input data\" > $OUTPUT_DIR/process\necho \"More data\" > $OUTPUT_DIR/transform\n"
    );
}

#[test]
fn line_ends_and_a_byte_order_mark_change_nothing() {
    let unix = "[[step]]\nname = \"a\"\nstart = true\nscript = \"\"\"\none\ntwo \\\n  three \\r\\n\"\"\"\n\
                [step.env]\nX = '''\na\nb'''\n";
    let windows = format!("\u{feff}{}", unix.replace('\n', "\r\n"));
    let said = |text| Manifest {
        places: Vec::new(),
        ..manifest(text)
    };
    assert_eq!(said(&windows), said(unix));
    assert_eq!(start(&manifest(unix)).script, "one\ntwo three \r\n");
    assert_eq!(start(&manifest(&windows)).env["X"], "a\nb");
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in any::<String>()) {
        if let Err(errors) = Manifest::parse(&text) {
            crate::manifest::diagnostic::render("m", &text, &errors);
        }
    }

    // Pieces of manifests meet in ways that random characters never do.
    #[test]
    fn any_mixture_is_read_without_a_panic(pieces in proptest::collection::vec(
        proptest::sample::select(vec![
            "[[step]]", "[step]", "[step.env]", "[nix]", "[defaults]", "[[", "]", "\n", "\r\n", " ",
            "name", "script", "env", "packages", "timeout", "retries", "start", "step", " = ", ".",
            "\"a\"", "'ä'", "'''", "\"\"\"", "\\u0000", "[", "{", "}", ",", "true", "1", "-1", "1.5",
            "\u{feff}", "# ", "\t", "größe", "\"github:o\"", "[\"jq\", \"a b\"]", "{ PATH = 'x' }",
        ]), 0..40)) {
        let text = pieces.concat();
        if let Err(errors) = Manifest::parse(&text) {
            assert!(!errors.is_empty());
            crate::manifest::diagnostic::render("m", &text, &errors);
        }
    }
}

#[test]
fn a_step_can_do_without_the_sandbox_of_all() {
    let text = "
        [defaults]
        sandbox = true
        network = true
        [[step]]
        name = 'a'
        start = true
        script = ':'
        [[step]]
        name = 'b'
        script = ':'
        sandbox = false
        pure = false
        warm = true
    ";
    let manifest = Manifest::parse(text).unwrap();
    let of = |step: &Step| (step.sandbox, step.pure);
    let all: Vec<_> = manifest.steps.iter().map(of).collect();
    assert_eq!(all, [(true, true), (false, false)]);
}
