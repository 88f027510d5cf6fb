//! A report as a person reads it: the verdict, each rule once, what was found and what to do.

use std::fmt::Write as _;

use muniment_invoices::{Difference, Exact, Finding, Report, Severity};

/// Differences of amounts that are shown; JSON has all.
const SHOWN: usize = 10;

/// The lines of one document.
pub fn report(name: &str, report: &Report) -> String {
    let mut text = format!(
        "{name}: {} ({} by {}; {})",
        if report.valid { "valid" } else { "INVALID" },
        report.syntax.name(),
        report.profile.name(),
        summary(report),
    );
    let mut told: Vec<&str> = Vec::new();
    for finding in &report.findings {
        if !told.contains(&&*finding.rule) {
            told.push(&finding.rule);
            rule(&mut text, finding, &report.findings);
        }
    }
    if let Some(exact) = &report.exact {
        differences(&mut text, exact);
    }
    text
}

/// How many findings of each grade, and whether the amounts are exact.
fn summary(report: &Report) -> String {
    let count = |severity| {
        report
            .findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    };
    let mut parts = Vec::new();
    for severity in [Severity::Fatal, Severity::Warning, Severity::Information] {
        if let number @ 1.. = count(severity) {
            parts.push(format!("{number} {}", grade(severity)));
        }
    }
    if parts.is_empty() {
        parts.push("no findings".to_owned());
    }
    if let Some(exact) = &report.exact {
        parts.push(match exact.differences.len() {
            0 => "amounts exact".to_owned(),
            1 => "1 amount not exact".to_owned(),
            number => format!("{number} amounts not exact"),
        });
    }
    parts.join(", ")
}

fn grade(severity: Severity) -> &'static str {
    match severity {
        Severity::Fatal => "fatal",
        Severity::Warning => "warning",
        Severity::Information => "information",
    }
}

/// A rule at its first place, and at how many more it fires.
fn rule(text: &mut String, first: &Finding, all: &[Finding]) {
    let more = all.iter().filter(|finding| finding.rule == first.rule).count() - 1;
    let _ = write!(
        text,
        "\n  {} {}, line {}",
        grade(first.severity),
        first.rule,
        first.line
    );
    if more > 0 {
        let _ = write!(text, " and {more} more");
    }
    let _ = write!(text, ": {}\n    at {}", first.message, first.location);
    if !first.values.is_empty() {
        let _ = write!(text, "\n    found {}", first.values.join(", "));
    }
    if !first.fix.is_empty() {
        let _ = write!(text, "\n    fix: {}", first.fix);
    }
}

fn differences(text: &mut String, exact: &Exact) {
    for difference in exact.differences.iter().take(SHOWN) {
        let Difference {
            term,
            place,
            rule,
            expected,
            found,
        } = difference;
        let _ = write!(text, "\n  exact {term}, {place}: {rule}");
        if let Some(expected) = expected {
            let _ = write!(text, " = {expected}");
        }
        if let Some(found) = found {
            let _ = write!(text, ", found {found}");
        }
    }
    if let hidden @ 1.. = exact.differences.len().saturating_sub(SHOWN) {
        let _ = write!(text, "\n  exact: {hidden} more; -o json shows all");
    }
}
