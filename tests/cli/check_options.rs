//! `-run -check-options`: whether options fit the manifest, on a machine that has nothing else of the run.

use crate::harness::Test;

const PIPELINE: &str = r#"
[limits]
db = 1

[params]
size = { type = "int", default = 3 }

[executors.far]
ssh = ["nobody@nowhere.invalid"]

[[step]]
name = "begin"
start = true
gpus = 2
memory = "900T"
uses = { db = 1 }
secrets = ["token"]
files = ["nowhere/*"]
script = "echo ran >> $COUNT"

[[step]]
name = "away"
executor = "far"
cpus = 9999
script = ":"
"#;

#[test]
fn what_does_not_fit_is_refused() {
    let test = Test::with(PIPELINE);
    for (words, says) in [
        ("-limit dc=2", "-limit: there is no limit `dc`"),
        (
            "-executor nowhere",
            "-executor nowhere: there is no such executor",
        ),
        ("-start nosuch", "there is no step `nosuch`"),
        ("-only begin nosuch", "there is no step `nosuch`"),
        ("-until nosuch", "there is no step `nosuch`"),
        ("-input x", "the manifest has no [[input]]"),
        ("-param nosuch=3", "there is no parameter `nosuch`"),
        ("-param size=wide", "-param size"),
        ("-secret key=file", "no step has a secret `key`"),
        ("-gpus 1", "takes 2 GPUs, and the run has 1"),
        ("-secret token=env:", "has not the form NAME=FILE"),
        ("-cache nonsense://x", "-cache: "),
        ("-cache-push http://x", "nothing can be put there"),
        (
            "-cache-key k",
            "-cache-key signs nothing without -cache-push",
        ),
        ("-memory 1G", "and the run has 1.0 GiB"),
        ("-runset all -fresh", "-runset all does not go with -fresh"),
    ] {
        let all = ["-run", "-check-options", "-watch"].into_iter();
        test.run(all.chain(words.split(' '))).exits(2).says(says);
    }
    test.run(["-check-options"]).exits(2).says("-run");
    assert!(!test.path("db").exists());
}

/// What only the machine of the run has is not asked for, and nothing is run or made.
#[test]
fn what_fits_is_taken_without_the_rest() {
    let test = Test::with(PIPELINE);
    for words in [
        "-watch -fresh -locked -strict -workdir /srv/nowhere",
        "-limit db=2 -gpus 2 -memory 1P -cpus 1",
        "-executor far -gpus 1 -param size=4 -params nowhere.toml",
        "-executor local -start begin -only begin away",
        "-secret token=nowhere/token -cache-push file:///nowhere/cache -cache-key nowhere/key",
    ] {
        let all = ["-run", "-check-options"].into_iter();
        let ran = test.run(all.chain(words.split(' '))).exits(0);
        assert_eq!(ran.stdout, "workflow.toml: the options fit\n", "{words}");
    }
    assert!(!test.path("db").exists() && !test.path("workflow.lock").exists());
    assert_eq!(test.count(), [""; 0]);
}

#[test]
fn a_dry_run_too_knows_executors() {
    let test = Test::with(PIPELINE);
    let all = [
        "-run",
        "-dry-run",
        "-gpus",
        "2",
        "-memory",
        "1P",
        "-secret",
        "token=env:HOME",
    ];
    let all = all.into_iter();
    test.run(all.chain(["-executor", "nowhere"]))
        .exits(2)
        .says("there is no such executor");
}
