//! How findings about templates and cases look on a terminal.

use muniment_ledger::template::TemplateError;
use muniment_ledger::toolkit::{CaseReport, Coverage, Report};

/// Longest line of a source that is shown.
const WIDEST: usize = 160;

/// Each mistake with its place, and the line that it stands on.
pub fn mistakes(source: &str, mistakes: &[TemplateError]) -> String {
    let texts: Vec<_> = mistakes.iter().map(|mistake| self::mistake(source, mistake)).collect();
    texts.join("\n")
}

fn mistake(source: &str, mistake: &TemplateError) -> String {
    let place = match (mistake.line, mistake.column) {
        (Some(line), Some(column)) => format!("  {line}:{column}  "),
        (Some(line), None) => format!("  {line}  "),
        _ => "  ".to_owned(),
    };
    let path = if mistake.path.is_empty() {
        String::new()
    } else {
        format!("{}: ", mistake.path)
    };
    let excerpt = mistake
        .line
        .and_then(|line| excerpt(source, line, mistake.column))
        .unwrap_or_default();
    format!("{place}{path}{}{excerpt}", mistake.message)
}

/// A line of the source with a mark below the column.
fn excerpt(source: &str, line: u64, column: Option<u64>) -> Option<String> {
    let index = usize::try_from(line).ok()?.checked_sub(1)?;
    let text = source.lines().nth(index)?;
    let number = line.to_string();
    let blank = " ".repeat(number.len());
    let before = usize::try_from(column.unwrap_or(1)).ok()?.saturating_sub(1);
    if before > WIDEST {
        return None;
    }
    // Tabs stay tabs, so that the mark stands below its place.
    let indent: String = text
        .chars()
        .take(before)
        .map(|c| if c == '\t' { c } else { ' ' })
        .collect();
    let shown: String = text
        .chars()
        .take(WIDEST)
        .filter(|c| !c.is_control() || *c == '\t')
        .collect();
    Some(format!("\n      {number} | {shown}\n      {blank} | {indent}^"))
}

/// What became of the cases, and the coverage.
pub fn report(report: &Report) -> String {
    let mut lines: Vec<String> = report.cases.iter().map(case).collect();
    let passed = report.cases.iter().filter(|case| case.passed).count();
    lines.push(format!("{passed} of {} cases passed", report.cases.len()));
    lines.push(coverage(&report.coverage));
    lines.join("\n")
}

fn case(case: &CaseReport) -> String {
    let verdict = if case.passed { "pass" } else { "FAIL" };
    let mut text = format!("{verdict}  {}", case.name);
    for failure in &case.failures {
        text += &format!(
            "\n      line {}: {}\n        expected  {}\n        found     {}",
            failure.line, failure.what, failure.expected, failure.found
        );
    }
    text
}

fn coverage(coverage: &Coverage) -> String {
    let mut text = format!("coverage {} %", coverage.percent());
    for (name, group) in coverage.groups() {
        if group.total() > 0 {
            text += &format!("\n  {name:<12} {} of {}", group.covered(), group.total());
        }
        for missing in group.missing() {
            text += &format!("\n    not covered: {missing}");
        }
    }
    text
}
