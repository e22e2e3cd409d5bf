//! A page in which every text is somebody's.

use std::collections::BTreeSet;

use super::graph::Graph;
use super::page::{Failure, Flaky, Log, Page, Task, VersionPart, render};
use crate::model::environment::{Environment, Package};
use crate::model::task::TaskState;
use crate::text::acts;

/// All that stands in texts is text: the page has the tags that it has of a harmless one, with the same attributes.
pub(crate) fn page(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut words = text.split('\n').cycle();
    let hostile = render(&made(
        &mut || words.next().unwrap_or_default().to_owned(),
        &text,
    ));
    let harmless = render(&made(&mut || "word".to_owned(), "word"));
    assert!(!hostile.contains(|c| acts(c) && !matches!(c, '\n' | '\t')));
    let (found, known) = (markup(&hostile), markup(&harmless));
    let others: Vec<_> = found.difference(&known).collect();
    // What a graph is drawn with depends on how long names are.
    assert!(others.is_empty(), "{others:?}");
    assert_eq!(hostile.matches("<script").count(), 1);
    assert_eq!(
        hostile.matches("<style").count(),
        harmless.matches("<style").count()
    );
}

/// Tags with the names of their attributes; the page's own script and style are passed over.
fn markup(page: &str) -> BTreeSet<String> {
    let mut tags = BTreeSet::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let mut tag = String::new();
        let mut quoted = false;
        let mut end = rest.len();
        for (at, c) in rest.char_indices() {
            match c {
                '"' => quoted = !quoted,
                '>' if !quoted => {
                    end = at;
                    break;
                }
                c if !quoted => tag.push(c),
                _ => {}
            }
        }
        rest = &rest[end..];
        if matches!(tag.as_str(), "script" | "style") {
            let close = format!("</{tag}>");
            rest = rest.find(&close).map_or("", |at| &rest[at..]);
        }
        tags.insert(tag);
    }
    tags
}

fn made(word: &mut dyn FnMut() -> String, log: &str) -> Page {
    let mut graph = Graph::default();
    let at = graph.step(&word());
    graph.nodes[at].start = true;
    graph.nodes[at].tally.failed = 1;
    graph.observe(at, at, 1, 0);
    let task = Task {
        id: 1,
        name: word(),
        version: 1,
        state: TaskState::Failed,
        tainted: false,
        input: word(),
        object: word(),
        started: Some(0),
        elapsed: Some(5),
        worker: Some(0),
        error: Some(word()),
    };
    let tail = |tail| Log {
        stream: "standard error",
        tail,
        cut: 0,
    };
    let package = Package {
        installable: word(),
        store_paths: vec![word()],
        pin: Some(word()),
    };
    Page {
        runset: word(),
        db: word(),
        graph,
        tasks: vec![task.clone()],
        all_tasks: 1,
        failures: vec![Failure {
            task,
            logs: vec![tail(Ok(log.to_owned())), tail(Err(word()))],
        }],
        all_failures: 1,
        flaky: vec![Flaky {
            id: 2,
            name: word(),
            input: word(),
            tries: 2,
            error: word(),
        }],
        all_flaky: 1,
        versions: vec![VersionPart {
            step: word(),
            number: 1,
            current: true,
            created: None,
            script: word(),
            shell: word(),
            variables: vec![(word(), word())],
            tools: word(),
            environment: Some(Environment {
                packages: vec![package],
                path: Vec::new(),
            }),
            changes: word(),
        }],
        taken: vec![word()],
        accepted: vec![word()],
        ..Page::default()
    }
}
