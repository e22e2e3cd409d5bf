use super::*;
use crate::model::task::TaskState;
use crate::view::graph::Graph;
use crate::view::page::{Failure, Flaky, Log, Machine, Spreads, Task, VersionPart};
use crate::view::spread::Spread;
use crate::view::timeline::Span;

const HOSTILE: &str = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u{202e}";

/// A page in which every text is hostile.
fn hostile() -> Page {
    let mut graph = Graph::default();
    let at = graph.step(HOSTILE);
    graph.nodes[at].start = true;
    graph.nodes[at].tally.failed = 1;
    graph.observe(at, at, 1, 0);
    let task = Task {
        id: 1,
        name: HOSTILE.into(),
        version: 1,
        state: TaskState::Failed,
        tainted: false,
        input: HOSTILE.into(),
        object: HOSTILE.into(),
        started: Some(0),
        elapsed: Some(5),
        worker: Some(0),
        error: Some(format!("{HOSTILE}\n{HOSTILE}")),
    };
    let log = |tail| Log {
        stream: "standard error",
        tail,
        cut: 5,
    };
    Page {
        runset: HOSTILE.into(),
        db: HOSTILE.into(),
        graph,
        spreads: vec![Spreads {
            durations: Spread::of(vec![5]),
            sizes: Spread::of_sample(vec![1], 2),
        }],
        spans: vec![Span {
            task: 1,
            step: at,
            worker: 0,
            start: 0,
            elapsed: 5,
            failed: true,
            machine: None,
        }],
        lost: vec![Span {
            task: 1,
            step: at,
            worker: 0,
            start: 0,
            elapsed: 5,
            failed: false,
            machine: Some(0),
        }],
        machines: vec![Machine {
            name: HOSTILE.into(),
            executors: [HOSTILE.to_owned()].into(),
            waits: vec![(0, 3)],
        }],
        tasks: vec![task.clone()],
        all_tasks: 2,
        failures: vec![Failure {
            task,
            logs: vec![log(Ok(HOSTILE.into())), log(Err(HOSTILE.into()))],
        }],
        all_failures: 3,
        flaky: vec![Flaky {
            id: 1,
            name: HOSTILE.into(),
            input: HOSTILE.into(),
            tries: 2,
            error: HOSTILE.into(),
        }],
        all_flaky: 3,
        versions: vec![VersionPart {
            step: HOSTILE.into(),
            number: 1,
            current: true,
            created: None,
            script: HOSTILE.into(),
            shell: HOSTILE.into(),
            variables: vec![(HOSTILE.into(), HOSTILE.into())],
            tools: HOSTILE.into(),
            environment: Some(crate::model::environment::Environment {
                packages: vec![crate::model::environment::Package {
                    installable: HOSTILE.into(),
                    store_paths: vec![HOSTILE.into()],
                    pin: Some(HOSTILE.into()),
                }],
                path: Vec::new(),
            }),
            changes: HOSTILE.into(),
        }],
        ..Page::default()
    }
}

#[test]
fn hostile_text_stays_text() {
    let html = render(&hostile());
    // The page's own.
    assert_eq!(html.matches("<script").count(), 1);
    assert_eq!(html.matches("</script").count(), 1);
    assert!(!html.contains("<img"));
    assert!(!html.contains('\u{202e}'));
    assert!(html.matches("&lt;script&gt;alert(1)").count() > 10);
    // No part of it in an attribute without its quotes escaped.
    assert!(!html.contains("\"'>"));
}

#[test]
fn flaky_tasks_are_told_where_there_are_some() {
    let html = render(&hostile());
    assert!(html.contains("<dt>Flaky</dt><dd>3</dd>"), "{html}");
    assert!(html.contains("3 tasks succeeded at a later try, of which the first 1 are shown."));
    assert!(!render(&Page::default()).contains("Flaky"));
}

#[test]
fn tags_are_closed() {
    let html = render(&hostile());
    for tag in [
        "section", "table", "tr", "th", "td", "details", "figure", "svg", "g", "div", "dl", "pre",
    ] {
        let opened =
            html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn what_is_left_out_is_said() {
    let html = render(&hostile());
    assert!(html.contains("1 of 3 failed tasks are shown"));
    assert!(html.contains("The page holds 1 of 2 tasks"));
    assert!(html.contains("1 of 2 outputs were looked at"));
    assert!(html.contains("the 5 B before that are told by <code>task-pipeline log 1</code>"));
}

#[test]
fn nothing_is_loaded_and_nothing_ran_is_no_trouble() {
    let html = render(&Page::default());
    assert!(html.contains("No task failed."));
    for word in ["http://", "https://", "src=", "@import", "url("] {
        let own = html.replace("http://www.w3.org/2000/svg", "");
        assert!(!own.contains(word), "{word}");
    }
}

#[test]
fn many_tasks_stay_a_small_page() {
    let mut page = hostile();
    let long = "x".repeat(250);
    page.tasks = vec![
        Task {
            input: long.clone(),
            error: Some(long),
            ..page.tasks[0].clone()
        };
        3000
    ];
    page.spans = (0..100_000)
        .map(|n| Span {
            task: n,
            step: 0,
            worker: u64::try_from(n % 64).unwrap(),
            start: n * 1000,
            elapsed: 60_000,
            failed: false,
            machine: None,
        })
        .collect();
    page.failures = vec![page.failures[0].clone(); 60];
    for log in page.failures.iter_mut().flat_map(|f| &mut f.logs) {
        log.tail = Ok("a line of a log\n".repeat(380));
    }
    let html = render(&page);
    assert!(html.len() < 2_000_000, "{}", html.len());
}

#[test]
fn base64_pads() {
    assert_eq!(base64(b"M"), "TQ==");
    assert_eq!(base64(b"Ma"), "TWE=");
    assert_eq!(base64(b"Man"), "TWFu");
}
