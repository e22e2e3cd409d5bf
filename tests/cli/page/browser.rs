//! The page in chromium, without a window.

use std::path::Path;
use std::process::Command;

use super::STEPS;
use crate::harness::Test;

/// Runs in the page, after its own script; writes what it saw into an element that the test
/// reads from the browser's dump.
const PROBE: &str = include_str!("probe.js");

/// The browser's dump of a page that `PROBE` was put into; the page's policy is widened for it.
fn probed(folder: &Path, page: &str) -> String {
    let policy = page.find("script-src '").unwrap();
    let end = policy + page[policy..].find(';').unwrap();
    let mut page = format!(
        "{}script-src 'unsafe-inline'{}",
        &page[..policy],
        &page[end..]
    );
    page = page.replacen(
        "<style>",
        "<script>const errors = []; addEventListener('error', (e) => errors.push(e.message));\
         addEventListener('securitypolicyviolation', (e) => errors.push(e.violatedDirective));\
         </script><style>",
        1,
    );
    page = page.replacen("</body>", &format!("<script>{PROBE}</script></body>"), 1);
    let file = folder.join("probed.html");
    std::fs::write(&file, page).unwrap();
    dump(folder, &file)
}

/// What the browser makes of a file.
fn dump(folder: &Path, file: &Path) -> String {
    let chromium = std::env::var("TASK_PIPELINE_TESTS_CHROMIUM");
    let chromium = chromium.as_deref().unwrap_or("chromium");
    let output = Command::new(chromium)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--enable-logging=stderr",
            "--dump-dom",
        ])
        .arg(format!(
            "--user-data-dir={}",
            folder.join("profile").display()
        ))
        .arg(format!("file://{}", file.display()))
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "cannot start `{chromium}`: {error}; install chromium, name it in \
                 TASK_PIPELINE_TESTS_CHROMIUM, or leave the tests in a browser out with \
                 TASK_PIPELINE_TESTS_WITHOUT_BROWSER=1"
            )
        });
    let said = String::from_utf8_lossy(&output.stderr);
    let console: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("CONSOLE"))
        .collect();
    assert!(console.is_empty(), "{console:#?}");
    let dom = String::from_utf8(output.stdout).unwrap();
    assert!(dom.contains("</html>"), "chromium failed: {said}");
    dom
}

fn left_out() -> bool {
    let out = std::env::var_os("TASK_PIPELINE_TESTS_WITHOUT_BROWSER").is_some_and(|v| v == "1");
    if out {
        eprintln!("left out: TASK_PIPELINE_TESTS_WITHOUT_BROWSER=1");
    }
    out
}

#[test]
fn tables_sort_and_filter_without_an_error() {
    if left_out() {
        return;
    }
    let pipeline = Test::with(STEPS);
    pipeline.run(["-run", "-parallel", "1"]).exits(1);
    let page = pipeline.run(["report", "-o", "-"]).exits(0).stdout;
    let dom = probed(&pipeline.path(""), &page);
    let at = dom.find("data-seen=\"").unwrap() + 11;
    let seen = &dom[at..at + dom[at..].find('"').unwrap()];
    let seen: Vec<&str> = seen.lines().collect();
    let tasks = page.matches("<tr><th scope=\"row\" class=\"n\">").count();
    assert_eq!(tasks, 6);
    let ids: Vec<&str> = seen[1]
        .trim_start_matches("[sort ascending ")
        .trim_end_matches(']')
        .split(',')
        .collect();
    let numbers: Vec<u32> = ids.iter().map(|id| id.parse().unwrap()).collect();
    assert!(numbers.is_sorted() && numbers.len() == 6, "{seen:#?}");
    let reversed: Vec<&str> = ids.into_iter().rev().collect();
    assert_eq!(
        seen,
        [
            "[ready true]",
            seen[1],
            &format!("[sort descending {}]", reversed.join(",")),
            "[only 1 ✓ done,✓ done,✓ done,✓ done,✓ done,✗ failed]",
            "[found ✗ failed; 1 of 6 rows]",
            "[labelled true]",
            "[captions true]",
            "[pictures true]",
            "[ids true]",
            "[wide true]",
            "[hostile 0]",
            "[errors ]",
        ]
    );
}

#[test]
fn the_pages_own_policy_lets_its_script_and_style_run() {
    if left_out() {
        return;
    }
    let pipeline = Test::with(STEPS);
    pipeline.run(["-run"]).exits(1);
    pipeline.run(["report", "-o", "page.html"]).exits(0);
    // Fails on any message in the console: a refused script or style is one.
    let dom = dump(&pipeline.path(""), &pipeline.path("page.html"));
    assert!(dom.contains("<html lang=\"en\" data-ready=\"\">"));
}
