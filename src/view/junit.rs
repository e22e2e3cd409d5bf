//! A run as JUnit's XML, which every CI can read: a step is a suite, a task is a test case. Of the many forms
//! of it that there are this is the one that Jenkins' and Surefire's schemas accept.

use std::fmt::Write as _;

use crate::text::{html, plain};

/// A task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Case<'a> {
    /// The step.
    pub step: &'a str,
    /// What the task is on.
    pub name: &'a str,
    /// How long its last execution took, in microseconds.
    pub elapsed: i64,
    /// What became of it.
    pub end: End<'a>,
    /// What it wrote to standard output and standard error, or the ends of these.
    pub logs: [&'a str; 2],
}

/// What became of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End<'a> {
    /// It succeeded.
    Passed,
    /// It took over what another one had left.
    Reused(i64),
    /// It succeeded at the last of so many tries; the one before failed so.
    Late {
        /// How many.
        tries: i64,
        /// In a word.
        cause: &'a str,
        /// How it failed.
        error: &'a str,
    },
    /// It failed.
    Failed {
        /// In a word.
        cause: &'a str,
        /// How.
        error: &'a str,
    },
    /// It was not run.
    Pending,
}

/// How many of a suite there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    tests: u64,
    failures: u64,
    skipped: u64,
    /// Microseconds.
    elapsed: i64,
}

impl Counts {
    /// One more.
    pub(crate) fn add(&mut self, case: &Case) {
        self.tests += 1;
        self.elapsed = self.elapsed.saturating_add(case.elapsed);
        match case.end {
            End::Failed { .. } => self.failures += 1,
            End::Pending => self.skipped += 1,
            End::Passed | End::Reused(_) | End::Late { .. } => {}
        }
    }
}

/// What stands before all suites.
pub(crate) const BEGIN: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n";
/// What stands after them.
pub(crate) const END: &str = "</testsuites>\n";
/// What ends a suite.
pub(crate) const SUITE_END: &str = "  </testsuite>\n";

/// What begins the suite of a step. `began`: when the runset was made, as ISO 8601 has it without a zone.
pub(crate) fn suite(step: &str, counts: &Counts, began: &str) -> String {
    format!(
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" time=\"{}\" timestamp=\"{}\">\n",
        html(step),
        counts.tests,
        counts.failures,
        counts.skipped,
        seconds(counts.elapsed),
        html(began),
    )
}

/// One case.
pub(crate) fn case(case: &Case) -> String {
    let mut text = format!(
        "    <testcase name=\"{}\" classname=\"{}\" time=\"{}\"",
        html(case.name),
        html(case.step),
        seconds(case.elapsed)
    );
    let mut inner = String::new();
    let first = |error: &str| html(&plain(error.lines().next().unwrap_or_default()));
    match case.end {
        End::Passed => {}
        End::Reused(from) => {
            let _ = writeln!(
                inner,
                "      <system-out>reused from task {from}</system-out>"
            );
        }
        End::Late {
            tries,
            cause,
            error,
        } => {
            let _ = writeln!(
                inner,
                "      <flakyFailure message=\"{}\" type=\"{}\">{}</flakyFailure>",
                html(&format!(
                    "passed at try {tries}; the one before: {}",
                    plain(error.lines().next().unwrap_or_default())
                )),
                html(cause),
                block(error)
            );
        }
        End::Failed { cause, error } => {
            let _ = writeln!(
                inner,
                "      <failure message=\"{}\" type=\"{}\">{}</failure>",
                first(error),
                html(cause),
                block(error)
            );
        }
        End::Pending => inner.push_str("      <skipped/>\n"),
    }
    for (log, name) in case.logs.iter().zip(["system-out", "system-err"]) {
        if !log.is_empty() {
            let _ = writeln!(inner, "      <{name}>{}</{name}>", block(log));
        }
    }
    if inner.is_empty() {
        text.push_str("/>\n");
    } else {
        text.push_str(">\n");
        text.push_str(&inner);
        text.push_str("    </testcase>\n");
    }
    text
}

/// Several lines, without what is for terminals.
fn block(text: &str) -> String {
    let text = plain(text);
    let lines: Vec<String> = text.lines().map(html).collect();
    lines.join("\n")
}

fn seconds(micros: i64) -> String {
    format!("{}.{:03}", micros / 1_000_000, micros % 1_000_000 / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(end: End, logs: [&str; 2]) -> String {
        case(&Case {
            step: "a<b",
            name: "x & y",
            elapsed: 1_234_567,
            end,
            logs,
        })
    }

    #[test]
    fn each_end_has_its_form() {
        let head = "    <testcase name=\"x &amp; y\" classname=\"a&lt;b\" time=\"1.234\"";
        assert_eq!(of(End::Passed, ["", ""]), format!("{head}/>\n"));
        assert_eq!(
            of(End::Reused(7), ["", ""]),
            format!(
                "{head}>\n      <system-out>reused from task 7</system-out>\n    </testcase>\n"
            )
        );
        assert_eq!(
            of(End::Pending, ["", ""]),
            format!("{head}>\n      <skipped/>\n    </testcase>\n")
        );
        let (cause, error) = ("exit", "exit status 1\n\u{1b}[31mred");
        let failed = End::Failed { cause, error };
        assert_eq!(
            of(failed, ["out", "a\0b\n"]),
            format!(
                "{head}>\n      <failure message=\"exit status 1\" type=\"exit\">exit status 1\nred</failure>\n      \
                 <system-out>out</system-out>\n      <system-err>a\\u{{0}}b</system-err>\n    </testcase>\n"
            )
        );
        let late = End::Late {
            tries: 3,
            cause,
            error,
        };
        assert!(of(late, ["", ""]).contains(
            "<flakyFailure message=\"passed at try 3; the one before: exit status 1\" type=\"exit\">"
        ));
    }

    #[test]
    fn a_suite_counts_its_cases() {
        let mut counts = Counts::default();
        let (cause, error) = ("exit", "x");
        for end in [
            End::Passed,
            End::Reused(1),
            End::Pending,
            End::Failed { cause, error },
            End::Late {
                tries: 2,
                cause,
                error,
            },
        ] {
            counts.add(&Case {
                step: "s",
                name: "n",
                elapsed: 1_500_000,
                end,
                logs: ["", ""],
            });
        }
        assert_eq!(
            suite("s", &counts, "2026-11-27T04:00:00"),
            "  <testsuite name=\"s\" tests=\"5\" failures=\"1\" errors=\"0\" skipped=\"1\" time=\"7.500\" \
             timestamp=\"2026-11-27T04:00:00\">\n"
        );
    }
}
