//! The page as a whole.
//!
//! It loads nothing. Its policy lets the browser run the one script and use the one style sheet
//! whose hashes it names, so that nothing in a name or a log can run even if it came through.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::markup::{escape, time};
use super::{Page, charts, in_groups, sections, svg, timeline};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// Bytes that the page should not exceed: the table of tasks gets what the other parts leave.
const WHOLE: usize = 1_900_000;
/// Bytes that the table of tasks gets at least and at most.
const TASKS: (usize, usize) = (250_000, 900_000);

/// The page.
pub fn render(page: &Page) -> String {
    let style = format!("{STYLE}{}", svg::style());
    let title = escape(&format!("{} – task-pipeline", page.runset));
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#content\">Skip to the content</a>\n",
        hash(&style),
        hash(SCRIPT)
    );
    let _ = writeln!(
        out,
        "<header><h1>{}</h1><p>db <code>{}</code>, as of {}</p></header>",
        escape(&page.runset),
        escape(&page.db),
        time(page.made)
    );
    let mut parts = vec![
        ("summary", "Summary", sections::summary(page)),
        ("graph", "Graph", graph(page)),
        ("stand", "Steps", sections::steps(page)),
        ("failures", "Failures", sections::failures(page)),
        ("timeline", "Timeline", timeline::section(page)),
        (
            "spreads",
            "Durations and sizes",
            charts::durations(page) + &charts::sizes(page),
        ),
        ("environments", "Environments", sections::environments(page)),
    ];
    let used: usize = parts.iter().map(|(_, _, html)| html.len()).sum();
    let left = WHOLE.saturating_sub(used).clamp(TASKS.0, TASKS.1);
    parts.push(("all-tasks", "Tasks", sections::tasks(page, left)));
    out.push_str("<nav aria-label=\"Parts of the page\"><ul>");
    for (id, name, _) in &parts {
        let _ = write!(out, "<li><a href=\"#{id}\">{name}</a></li>");
    }
    out.push_str("</ul></nav>\n<main id=\"content\" tabindex=\"-1\">\n");
    for (id, name, html) in &parts {
        let _ = writeln!(
            out,
            "<section id=\"{id}\" aria-labelledby=\"{id}-h\"><h2 id=\"{id}-h\">{name}</h2>{html}</section>"
        );
    }
    let _ = write!(
        out,
        "</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    );
    out
}

fn graph(page: &Page) -> String {
    if page.graph.nodes.is_empty() {
        return "<p>No step is registered.</p>".to_owned();
    }
    let steps = match page.grouped {
        Some(steps) => in_groups(steps, &page.graph),
        None => format!("{} steps", page.graph.steps()),
    };
    format!(
        "{}<figure><div class=\"scroll\" role=\"region\" aria-label=\"Graph\" tabindex=\"0\">{}</div>\
         <figcaption>What went from step to step, with the number of outputs. A dotted line is named \
         in a script but not seen yet; a dashed one goes back.</figcaption></figure>{}",
        sections::groups(page),
        svg::picture(
            &page.graph,
            &format!("Graph of {steps}; the table below says the same")
        ),
        sections::edges(page)
    )
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
