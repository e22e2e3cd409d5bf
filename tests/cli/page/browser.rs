//! The page in chromium, without a window.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::STEPS;
use crate::harness::Test;

/// Runs in the page, after its own script; writes what it saw into an element that the test
/// reads from the browser's dump.
const PROBE: &str = include_str!("probe.js");

/// The browser's dump of a page that `PROBE` was put into; the page's policy is widened for it.
fn probed(folder: &Path, page: &str, probe: &str, more: &[&str]) -> String {
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
    page = page.replacen("</body>", &format!("<script>{probe}</script></body>"), 1);
    let file = folder.join("probed.html");
    std::fs::write(&file, page).unwrap();
    dump(folder, &file, more)
}

/// What the browser makes of a file.
fn dump(folder: &Path, file: &Path, more: &[&str]) -> String {
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
        .args(more)
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
    let dom = probed(&pipeline.path(""), &page, PROBE, &[]);
    let at = dom.find("data-seen=\"").unwrap() + 11;
    let seen = &dom[at..at + dom[at..].find('"').unwrap()];
    let seen: Vec<&str> = seen.lines().collect();
    let tasks = page.matches("<tr id=\"task-").count();
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
    let dom = dump(&pipeline.path(""), &pipeline.path("page.html"), &[]);
    assert!(dom.contains("<html lang=\"en\" data-ready=\"\">"));
}

/// By axe-core, the rules of which are those of WCAG, with the page in light and in dark colours, and on a narrow screen.
#[test]
fn whoever_cannot_see_or_point_can_use_the_page() {
    if left_out() {
        return;
    }
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/axe/axe.min.js");
    let axe = std::env::var_os("TASK_PIPELINE_TESTS_AXE").map_or(own, PathBuf::from);
    let axe = std::fs::read_to_string(&axe).unwrap_or_else(|error| {
        panic!("cannot read {}: {error}; tests/run gets it", axe.display())
    });
    // Two tasks fail and say why.
    let steps = STEPS.replace("$n = 3 ]", "$n = 3 -o $n = 10 ]");
    let pipeline = Test::with(&steps);
    pipeline.run(["-run"]).exits(1);
    // With a finished task of another version.
    pipeline.manifest(&steps.replace("end.txt", "last.txt"));
    pipeline.run(["-run"]).exits(1);
    let page = pipeline.run(["report", "-o", "-"]).exits(0).stdout;
    assert!(page.matches("aria-label=\"standard error of task ").count() > 1);
    let probe = format!("{axe}</script><script>{}", include_str!("access.js"));
    let dark = "--blink-settings=preferredColorScheme=0";
    let light = "--blink-settings=preferredColorScheme=1";
    for (look, width) in [(light, 1280), (dark, 1280), (light, 420)] {
        let size = format!("--window-size={width},900");
        let more = [look, &size, "--virtual-time-budget=60000"];
        let dom = probed(&pipeline.path(""), &page, &probe, &more);
        let at = dom.find("data-seen=\"").unwrap() + 11;
        let seen = dom[at..at + dom[at..].find('"').unwrap()].replace("&quot;", "\"");
        let seen: serde_json::Value = serde_json::from_str(&seen).unwrap();
        assert_eq!(seen["dark"], look == dark);
        assert!(seen["rules"].as_u64().unwrap() > 20, "{seen:#}");
        assert_eq!(
            seen["said"],
            serde_json::json!([]),
            "{look} {width}: {seen:#}"
        );
        assert_eq!(seen["lost"], serde_json::json!([]));
        assert_eq!(seen["arrived"], serde_json::json!([true, true, true]));
    }
}
