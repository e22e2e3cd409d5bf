use std::time::Duration;

use super::*;
use crate::model;
use crate::model::digest::Digest;

use crate::model::event::{Launch, LeftOut, Presence, Routed, Span};
use crate::model::gather::Source;
use crate::model::identity::Change;
use crate::model::list::Form;
use crate::model::promise::Pattern;
use crate::model::task::{TaskCounts, TaskId};
use crate::model::untaken::Untaken;

fn told(event: &Event) -> String {
    let now = jiff::Timestamp::from_millisecond(1_700_000_000_005).unwrap();
    let line = line(event, now);
    let rest = line
        .strip_prefix("{\"schema\":1,\"time\":\"2023-11-14T22:13:20.005Z\",\"event\":")
        .unwrap_or_else(|| panic!("{line}"));
    is_documented(&serde_json::from_str(&line).unwrap());
    rest.strip_suffix("}\n").unwrap().to_owned()
}

/// Each member is in the event's row of the table that users have.
fn is_documented(event: &serde_json::Value) {
    let name = event["event"].as_str().unwrap();
    let page = include_str!("../../../docs/json-and-sql.md");
    let row = page
        .lines()
        .find(|line| line.starts_with(&format!("| `{name}` |")));
    let row = row.unwrap_or_else(|| panic!("docs/json-and-sql.md lacks the event {name}"));
    for member in event.as_object().unwrap().keys() {
        assert!(
            ["schema", "time", "event"].contains(&&**member)
                || row.contains(&format!("`{member}`")),
            "{member} is not in the row of docs/json-and-sql.md: {row}"
        );
    }
}

#[test]
fn workers_elsewhere() {
    let worker = |presence| Event::Worker {
        executor: "slurm",
        place: 3,
        most: 4,
        worker: 9,
        presence,
    };
    let of = "\"worker\",\"executor\":\"slurm\",\"most\":4,\"worker\":9";
    assert_eq!(
        told(&worker(Presence::Called)),
        format!("{of},\"state\":\"called\"")
    );
    let why = "PartitionDown";
    assert_eq!(
        told(&worker(Presence::Waits { why })),
        format!("{of},\"state\":\"waits\",\"why\":\"PartitionDown\"")
    );
    let here = Presence::Here {
        node: "n7",
        slots: 2,
        waited: Duration::from_millis(35_500),
    };
    assert_eq!(
        told(&worker(here)),
        format!("{of},\"state\":\"here\",\"node\":\"n7\",\"slots\":2,\"waited_seconds\":35.5")
    );
    let gone = Presence::Gone {
        node: Some("n7"),
        why: "it ended",
    };
    assert_eq!(
        told(&worker(gone)),
        format!("{of},\"state\":\"gone\",\"node\":\"n7\",\"why\":\"it ended\"")
    );
    assert_eq!(
        told(&Event::Given {
            task: TaskId(7),
            step: &StepName::new("a").unwrap(),
            node: Some("n7"),
        }),
        "\"given\",\"task\":7,\"step\":\"a\",\"node\":\"n7\""
    );
    assert_eq!(
        told(&Event::Lost {
            task: TaskId(7),
            step: &StepName::new("a").unwrap(),
            executor: "slurm",
            node: Some("n7"),
            elapsed: Duration::from_secs(3),
            why: "it ended",
        }),
        "\"lost\",\"task\":7,\"step\":\"a\",\"executor\":\"slurm\",\"node\":\"n7\",\"elapsed_seconds\":3.0,\
         \"why\":\"it ended\""
    );
}

#[test]
fn tasks() {
    let step = StepName::new("größe").unwrap();
    let mut outputs = Routed::default();
    outputs.add("a_größe", Form::Folder, Some(&step));
    outputs.add("end\n\u{1f}", Form::File, None);
    let task = TaskId(7);
    let span = Span {
        started: 1_699_999_999_999,
        elapsed: Duration::from_micros(1_234_567),
        worker: Some(3),
        launch: Some(Launch::Warm),
        cpu: Some(Duration::from_millis(500)),
        peak: Some(4096),
    };
    let ran = r#""started":"2023-11-14T22:13:19.999Z","elapsed_seconds":1.234567,"worker":3,"launch":"warm","cpu_seconds":0.5,"peak_memory":4096"#;
    let done = |reused, span| Event::Done {
        task,
        step: &step,
        reused,
        shared: None,
        span,
        node: span.worker.map(|_| "n7"),
        outputs: &outputs,
    };
    let left = "\"outputs\":{\"total\":2,\"final\":1,\"steps\":[{\"step\":\"größe\",\"count\":1}],\
        \"names\":[{\"name\":\"a_größe\",\"kind\":\"folder\",\"step\":\"größe\"},{\"name\":\"end\\n\\u001f\",\"kind\":\"file\"}]}";
    assert_eq!(
        told(&done(None, span)),
        format!("\"done\",\"task\":7,\"step\":\"größe\",{ran},\"node\":\"n7\",{left}")
    );
    let nowhere = Span {
        worker: None,
        launch: None,
        ..span
    };
    assert_eq!(
        told(&done(Some(TaskId(2)), nowhere)),
        format!(
            "\"done\",\"task\":7,\"step\":\"größe\",\"reused_from\":2,\"launch\":\"reused\",{left}"
        )
    );
    assert_eq!(
        told(&Event::Failed {
            task,
            step: &step,
            key: None,
            error: "exit status 1\nno",
            span,
            node: None,
            retry: Some(Duration::from_secs(2)),
        }),
        format!(
            "\"failed\",\"task\":7,\"step\":\"größe\",\"cause\":\"exit\",\"error\":\"exit status 1\\nno\",{ran},\
             \"retry_in_seconds\":2.0"
        )
    );
    assert_eq!(
        told(&Event::Remade {
            task,
            step: &step,
            span,
            node: None,
            same: false,
        }),
        format!("\"remade\",\"task\":7,\"step\":\"größe\",{ran},\"same\":false")
    );
    assert_eq!(
        told(&Event::Cancelled {
            task,
            step: &step,
            span: None,
        }),
        "\"cancelled\",\"task\":7,\"step\":\"größe\""
    );
    assert_eq!(
        told(&Event::Output {
            task,
            step: &step,
            stderr: true,
            bytes: b"a\xff\n",
        }),
        "\"output\",\"task\":7,\"step\":\"größe\",\"stream\":\"stderr\",\"text\":\"a\u{fffd}\\n\""
    );
    assert_eq!(
        told(&Event::Started {
            task,
            step: &step,
            version: 1,
            input_name: None,
            input: Digest::of(b""),
            form: Form::List,
            attempt: 0,
        }),
        format!(
            "\"started\",\"task\":7,\"step\":\"größe\",\"version\":1,\"input\":\"{}\",\"kind\":\"list\",\"attempt\":0",
            Digest::of(b"")
        )
    );
}

#[test]
fn the_pipeline() {
    let step = StepName::new("s").unwrap();
    let tally = TaskCounts {
        pending: 1,
        ..TaskCounts::default()
    };
    assert_eq!(
        told(&Event::Runset {
            name: "r",
            seeded: true,
            params: &[("x", "0.5")],
            steps: &[(step.clone(), tally)],
        }),
        "\"runset\",\"name\":\"r\",\"seeded\":true,\"params\":{\"x\":\"0.5\"},\"steps\":[{\"step\":\"s\",\"pending\":1,\
         \"failed\":0,\"done\":0,\"reused\":0}]"
    );
    assert_eq!(
        told(&Event::Tainted {
            step: &step,
            count: 2,
            changes: &[Change::Script],
        }),
        "\"tainted\",\"step\":\"s\",\"count\":2,\"changes\":[\"script\"]"
    );
    let compared = Compared {
        new: 1,
        changed: 2,
        gone: 3,
        unchanged: 4,
    };
    assert_eq!(
        told(&Event::Gathered {
            step: &StepName::new("s").unwrap(),
            tasks: 2,
            outputs: 5,
        }),
        "\"gathered\",\"step\":\"s\",\"tasks\":2,\"outputs\":5"
    );
    assert_eq!(
        told(&Event::Paired {
            task: TaskId(7),
            step: &StepName::new("s").unwrap(),
            tasks: 3,
        }),
        "\"paired\",\"task\":7,\"step\":\"s\",\"tasks\":3"
    );
    assert_eq!(
        told(&Event::Inputs(&compared)),
        "\"inputs\",\"new\":1,\"changed\":2,\"gone\":3,\"unchanged\":4"
    );
    let manifest = |start| Event::Manifest {
        path: "m",
        steps: 1,
        start,
    };
    assert_eq!(
        told(&manifest(Some(&step))),
        "\"manifest\",\"path\":\"m\",\"steps\":1,\"start\":\"s\""
    );
    assert_eq!(
        told(&manifest(None)),
        "\"manifest\",\"path\":\"m\",\"steps\":1"
    );
    assert_eq!(
        told(&Event::Rerouted {
            from: None,
            to: Some(&step),
            count: 2,
            done: false,
        }),
        "\"rerouted\",\"to\":\"s\",\"count\":2,\"done\":false"
    );
    let source = Source {
        step: StepName::new("split").unwrap(),
        pattern: Some(Pattern::parse("*.csv").unwrap()),
    };
    let mut untaken = Untaken::new(&StepName::new("merge").unwrap(), &source);
    for name in ["a.tsv", "a.tsv"] {
        assert!(!untaken.is_it(name));
    }
    let summary = Summary {
        runset: "r".into(),
        signal: Some(2),
        orphaned: vec![("gone".into(), 1)],
        untaken: vec![untaken],
        left_out: Some(LeftOut {
            tasks: 3,
            options: vec!["-only"],
        }),
        ..Summary::default()
    };
    assert_eq!(
        told(&Event::Summary(&summary)),
        "\"summary\",\"runset\":\"r\",\"executed\":0,\"reused\":0,\"failed\":0,\"pending\":0,\
         \"final_outputs\":0,\"elapsed_seconds\":0.0,\"steps\":[],\"tainted\":[],\"near\":[],\
         \"untaken\":[{\"step\":\"merge\",\"from\":\"split:*.csv\",\"outputs\":2,\"names\":[\"a.tsv\"]}],\
         \"orphaned\":[{\"step\":\"gone\",\"count\":1}],\"failures\":[],\"left_out\":{\"count\":3,\"options\":[\"-only\"]},\"signal\":2"
    );
}

#[test]
fn errors() {
    let line: serde_json::Value =
        serde_json::from_str(&error("usage", "no `x`", Some("try y"), 2)).unwrap();
    assert_eq!(line["event"], "error");
    assert_eq!(line["kind"], "usage");
    assert_eq!(line["exit_status"], 2);
    assert_eq!(line["hint"], "try y");
}

#[test]
fn samples() {
    let step = StepName::new("tr").unwrap();
    let tally = TaskCounts {
        pending: 2,
        ..TaskCounts::default()
    };
    assert_eq!(
        told(&Event::Sampling {
            runset: "r",
            steps: &[(step.clone(), tally)],
        }),
        r#""sampling","runset":"r","steps":[{"step":"tr","pending":2,"failed":0,"done":0,"reused":0}]"#
    );
    let (old, new) = (Digest::of(b"1"), Digest::of(b"2"));
    let sampled = model::sample::Sampled {
        runset: "r".into(),
        step: step.clone(),
        version: 3,
        from: 2,
        tasks: 2,
        tainted: 9,
        differing: 1,
        failed: 1,
        shown: vec![
            model::sample::Unequal {
                task: TaskId(4),
                input_name: Some("a_tr".into()),
                form: Form::Folder,
                error: None,
                outputs: vec![model::sample::Difference {
                    name: "x".into(),
                    old: Some(old),
                    new: Some(new),
                }],
                more: 0,
            },
            model::sample::Unequal {
                task: TaskId(5),
                input_name: None,
                form: Form::File,
                error: Some("exit 1".into()),
                outputs: Vec::new(),
                more: 0,
            },
        ],
        next: "-run".into(),
    };
    assert_eq!(
        told(&Event::Sampled(&sampled)),
        format!(
            r#""sampled","runset":"r","step":"tr","version":3,"from":2,"tasks":2,"tainted":9,"differing":1,"failed":1,"equal":false,"differences":[{{"task":4,"input_name":"a_tr","kind":"folder","outputs":[{{"name":"x","old":"{old}","new":"{new}"}}]}},{{"task":5,"kind":"file","error":"exit 1","outputs":[]}}],"next":"-run""#
        )
    );
    let sample = model::sample::Sample {
        tasks: 2,
        tainted: 9,
        made: 1_699_999_999_999,
    };
    assert_eq!(
        told(&Event::Accepted {
            runset: "r",
            step: &step,
            count: 9,
            version: 3,
            from: 2,
            sample,
        }),
        r#""accepted","runset":"r","step":"tr","count":9,"version":3,"from":2,"tasks":2,"tainted":9,"sampled_at":"2023-11-14T22:13:19.999Z""#
    );
    assert_eq!(
        told(&Event::GivenBack {
            step: &step,
            count: 9,
            version: 2,
        }),
        r#""given_back","step":"tr","count":9,"version":2"#
    );
    assert_eq!(
        told(&Event::Evicted {
            objects: 3,
            bytes: 4096,
            words: "3 objects",
        }),
        r#""evicted","objects":3,"bytes":4096"#
    );
    assert_eq!(
        told(&Event::Freed {
            runsets: 1,
            rows: 9,
            objects: 3,
            bytes: 4096,
            words: "1 runset",
        }),
        r#""freed","runsets":1,"rows":9,"objects":3,"bytes":4096"#
    );
}

#[test]
fn results_as_files() {
    let results = Event::Results {
        folder: "out",
        files: 3,
        new: 2,
        changed: 1,
        removed: 4,
        kept: 0,
        equal: 5,
    };
    let counts = r#""files":3,"new":2,"changed":1,"removed":4,"kept":0,"equal":5"#;
    assert_eq!(
        told(&results),
        format!(r#""results","folder":"out",{counts}"#)
    );
}

#[test]
fn results_for_others() {
    assert_eq!(
        told(&Event::Pushed {
            to: "s3://bucket",
            results: 3,
            bytes: 4096,
        }),
        r#""pushed","to":"s3://bucket","results":3,"bytes":4096"#
    );
}
