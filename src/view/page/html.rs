//! The page as a whole.
//!
//! It loads nothing. Its policy lets the browser run the one script and use the one style sheet
//! whose hashes it names, so that nothing in a name or a log can run even if it came through.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::{Page, charts, in_groups, sections, svg, timeline};

use crate::text;
use crate::text::amount;
use crate::text::time::point;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// Bytes that the page should not exceed: the table of tasks gets what the other parts leave.
const WHOLE: usize = 1_900_000;
/// Bytes that the table of tasks gets at least and at most.
const TASKS: (usize, usize) = (250_000, 900_000);

/// The page.
///
/// What is between tags and in attributes is escaped by whoever writes it there; characters that
/// act are written out at the end, wherever they are.
pub(crate) fn render(page: &Page) -> String {
    let mut parts = vec![
        ("summary", "Summary", sections::summary(page)),
        ("graph", "Graph", graph(page)),
        ("stand", "Steps", sections::steps(page)),
        ("failures", "Failures", sections::failures(page)),
        ("timeline", "Timeline", timeline::section(page)),
        (
            "spreads",
            "Durations and sizes",
            html! { (charts::durations(page)) (charts::sizes(page)) },
        ),
        ("environments", "Environments", sections::environments(page)),
    ];
    let used: usize = parts.iter().map(|(_, _, html)| html.0.len()).sum();
    let left = WHOLE.saturating_sub(used).clamp(TASKS.0, TASKS.1);
    parts.push(("all-tasks", "Tasks", sections::tasks(page, left)));
    let whole = html! {
        (DOCTYPE)
        html lang="en" {
            (head(page))
            body {
                a.skip href="#content" { "Skip to the content" }
                header {
                    h1 { (page.name) }
                    p {
                        "runset " b { (page.runset) } ", db " code { (page.db) } ", as of " (point(page.made))
                        @if page.again.is_some() { ", while a run is at work" }
                    }
                }
                nav aria-label="Parts of the page" {
                    ul { @for (id, name, _) in &parts { li { a href={ "#" (id) } { (name) } } } }
                }
                main id="content" tabindex="-1" {
                    @for (id, name, html) in &parts {
                        section id=(id) {
                            h2 { (name) }
                            (html)
                        }
                    }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
        "\n"
    };
    text::lines(&whole.0).into_owned()
}

fn head(page: &Page) -> Markup {
    let style = format!("{STYLE}{}", svg::style());
    let policy = format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'",
        hash(&style),
        hash(SCRIPT)
    );
    html! {
        head {
            meta charset="utf-8";
            meta http-equiv="Content-Security-Policy" content=(policy);
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            @if let Some(seconds) = page.again {
                meta http-equiv="refresh" content=(seconds);
            }
            title { (page.name) " – " (page.runset) }
            style { (PreEscaped(style)) }
        }
    }
}

fn graph(page: &Page) -> Markup {
    let steps = match page.grouped {
        Some(steps) => in_groups(steps, &page.graph),
        None => amount::count(page.graph.steps(), "step"),
    };
    let title = format!("Graph of {steps}; the table below says the same");
    html! {
        @if page.graph.nodes.is_empty() { p { "No step is registered." } }
        @else {
            (sections::groups(page))
            figure {
                div.scroll role="region" aria-label="Graph" tabindex="0" {
                    (PreEscaped(svg::picture(&page.graph, &title, Some("#step-"))))
                }
                figcaption {
                    "What went from step to step, with the number of outputs. A dotted line is \
                     named in a script but not seen yet; a dashed one goes back."
                }
            }
            (sections::edges(page))
        }
    }
}

/// A source for the policy.
fn hash(text: &str) -> String {
    format!("sha256-{}", base64(&Sha256::digest(text)))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            if digit <= chunk.len() {
                let at = bits >> (18 - 6 * digit) & 63;
                out.push(char::from(DIGITS[usize::try_from(at).unwrap_or(0)]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;
