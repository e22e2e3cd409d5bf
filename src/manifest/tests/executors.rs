//! `[executors]`, and steps that name one.

use super::errors::messages;
use crate::manifest::{Executor, Manifest, Way};
use crate::model::executor::Host;

#[test]
fn executors_are_read_and_steps_name_them() {
    let manifest = Manifest::parse(
        r#"
        [executors.lab]
        ssh = ["one", "me@two*8"]
        [executors.cluster]
        slurm = ["-p", "gpu"]
        workers = 3
        slots = 4
        program = "/opt/tp"
        nix_cache = "file:///shared/cache"
        [executors.pods]
        start = ["kubectl", "exec"]
        [defaults]
        executor = "cluster"
        [[step]]
        name = "a"
        start = true
        script = ":"
        [[step]]
        name = "b"
        script = ":"
        executor = "local"
        [[step]]
        name = "c"
        script = ":"
        executor = "lab"
        "#,
    )
    .unwrap();
    let used: Vec<_> = manifest
        .steps
        .iter()
        .map(|step| step.executor.as_deref())
        .collect();
    assert_eq!(used, [Some("cluster"), None, Some("lab")]);
    let host = |name: &str, slots| Host {
        name: name.to_owned(),
        slots,
    };
    let plain = |way| Executor {
        way,
        workers: None,
        slots: None,
        program: None,
        nix_cache: None,
    };
    let words = |words: [&str; 2]| words.map(str::to_owned).to_vec();
    let lab = plain(Way::Ssh(vec![host("one", None), host("me@two", Some(8))]));
    assert_eq!(manifest.executors["lab"], lab);
    assert_eq!(
        manifest.executors["pods"],
        plain(Way::Start(words(["kubectl", "exec"])))
    );
    let cluster = Executor {
        way: Way::Slurm(words(["-p", "gpu"])),
        workers: Some(3),
        slots: Some(4),
        program: Some("/opt/tp".to_owned()),
        nix_cache: Some("file:///shared/cache".to_owned()),
    };
    assert_eq!(manifest.executors["cluster"], cluster);
}

#[test]
fn what_is_wrong_with_one_is_told() {
    for (text, told) in [
        (
            "[executors.lab]\nssh = ['one']\nnix_cache = '/shared/cache'",
            "`nix_cache` is not a URL | '/shared/cache' | for instance \"https://cache.example.org\" or \"file:///shared/cache\"",
        ),
        (
            "[executors]\nlab = 1",
            "executor `lab` must be a table, not a whole number | 1 |",
        ),
        (
            "[executors.ssh]\nslurm = []",
            "executor `ssh` cannot be called that | ssh | an executor of that name always exists",
        ),
        ("[executors.x]\nslots = 0", "| 0 |"),
        (
            "[executors.x]\nssh = ['a']\nslots = 1000000000",
            "`slots` must be at most 4096 |",
        ),
        (
            "[executors.x]\nssh = ['a']\nworkers = 4097",
            "`workers` must be at most 4096 |",
        ),
        (
            "[executors.x]\nssh = ['a']\nprogram = ''",
            "`program` is empty | '' | it is the path of task-pipeline on these machines",
        ),
        (
            "[executors.x]\nssh = ['a*2*3']",
            "`a*2*3` is not a host | a*2*3 |",
        ),
        (
            "executor = 'slurm'",
            "there is no executor `slurm` | slurm | a step names one of [executors]: for instance `slurm = []` in",
        ),
        (
            "executor = 'ssh:a'",
            "there is no executor `ssh:a` | ssh:a | a step names one of [executors]: for instance `ssh = [\"HOST\"]` in",
        ),
        (
            "executor = 'child:2'",
            "there is no executor `child:2` | child:2 | a step names one of [executors]; `-executor child:N`",
        ),
        (
            "[executors.x]\nslots = 1",
            "`x` does not say how to start workers |",
        ),
        (
            "[executors.x]\nssh = ['a']\nslurm = []",
            "`x` says twice how to start workers |",
        ),
        ("[executors.x]\nssh = ['-oX']", "is not a host | -oX |"),
        ("[executors.x]\nssh = ['a,b']", "is not a host | a,b |"),
        ("[executors.x]\nssh = []", "`ssh` names no host | [] |"),
        (
            "[executors.x]\nstart = []",
            "`start` names no program to start | [] |",
        ),
        (
            "[executors.x]\nssh = ['a']\nprogram = '~/tp'",
            "is not an absolute path | '~/tp' |",
        ),
        (
            "[executors.x]\nstart = ['env']\nprogram = 'bin/tp'",
            "`program` of executor `x` is not an absolute path | 'bin/tp' | begin it with `/`",
        ),
        (
            "[executors.x]\nstart = ['']",
            "`start` names no program to start | [''] | for instance [\"kubectl\"",
        ),
        (
            "[executors.x]\nslurm = ['-p', 'main', '-n4']",
            "in `slurm`, `-n4` does not fit a worker, which is one process on one machine | -n4 | leave it out: `workers = 4` says",
        ),
        (
            "[executors.x]\nslurm = ['--output', 'f']",
            "in `slurm`, `--output` takes away the worker's output, through which it talks to the run | --output | leave it out",
        ),
        (
            "[executors.x]\nslurm = ['-p main']",
            "in `slurm`, `-p main` is a single word to srun, with the space in it | -p main | write two words: \"-p\", \"main\"",
        ),
        (
            "[executors.x]\nstart = ['a']\nworker = 3",
            "executor `x` has no key `worker` | worker | did you mean `workers`?",
        ),
        (
            "[executors.cluster]\nslurm = []\n[defaults]\nexecutor = 'clutser'",
            "there is no executor `clutser` | clutser | did you mean `cluster`?",
        ),
        (
            "executor = 'far'",
            "there is no executor `far` | far | add [executors.far], or say \"local\" for this machine",
        ),
    ] {
        let messages = messages(text);
        assert!(messages.contains(told), "{text}: {messages}");
    }
}

#[test]
fn a_step_that_names_one_with_an_error_is_no_second_error() {
    for wrong in ["slurm = ['-n4']", "start = ['']", "ssh = []", "slots = 0"] {
        let text = format!("[executors.x]\n{wrong}\n[defaults]\nexecutor = 'x'");
        let messages = messages(&text);
        assert!(!messages.contains("there is no executor"), "{messages}");
        assert!(!messages.is_empty(), "{wrong}");
    }
}
