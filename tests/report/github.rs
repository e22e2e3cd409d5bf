//! What GitHub Actions is told.

use super::{FAN_OUT, Pipeline, text};

#[test]
fn failures_are_annotations_and_the_summary_is_on_the_page() {
    let pipeline = Pipeline::new(FAN_OUT);
    let page = pipeline.path("page.md");
    std::fs::write(&page, "before\n").unwrap();
    let done = pipeline
        .command(&["-run"])
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", &page)
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(1));
    let annotation = text(&done.stdout);
    assert!(
        annotation.starts_with("::error title=work #"),
        "{annotation}"
    );
    assert!(
        annotation.ends_with(" failed::exit status 7%0A100%25: no, three\n"),
        "{annotation}"
    );
    let page = pipeline.read("page.md");
    assert!(page.starts_with("before\n### Runset "), "{page}");
    assert!(page.contains("| work | 3 | 0 | 1 | 0 |"), "{page}");
    assert!(
        page.contains("```text\nexit status 7\n100%: no, three\n```"),
        "{page}"
    );
}

#[test]
fn a_page_that_cannot_be_written_is_a_warning() {
    let done = Pipeline::new(FAN_OUT)
        .command(&["-run"])
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", "/no/such/page")
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(1));
    let words = text(&done.stderr);
    assert!(
        words.contains("warning: cannot write the summary to /no/such/page"),
        "{words}"
    );
}

#[test]
fn elsewhere_standard_output_stays_for_data() {
    let done = Pipeline::new(FAN_OUT)
        .command(&["-run"])
        .env("GITHUB_ACTIONS", "false")
        .output()
        .unwrap();
    assert_eq!(text(&done.stdout), "");
}
