//! Parity with the official artefacts: all cases at three levels, with a summary and every miss.

use std::collections::BTreeMap;

use muniment_invoices::{Finding, Limits, Severity, check_sets};

use crate::shared::{Case, cases};

/// Rule and severity with the number of firings.
type Fired = BTreeMap<(String, String), u64>;

fn flag(severity: Severity) -> &'static str {
    match severity {
        Severity::Fatal => "fatal",
        Severity::Warning => "warning",
        Severity::Information => "information",
    }
}

fn ours(findings: &[Finding]) -> Fired {
    let mut fired = Fired::new();
    for finding in findings {
        *fired
            .entry((finding.rule.to_string(), flag(finding.severity).to_owned()))
            .or_default() += 1;
    }
    fired
}

fn theirs(case: &Case) -> Fired {
    case.fired
        .iter()
        .map(|(rule, flag, count)| ((rule.clone(), flag.clone()), *count))
        .collect()
}

/// The publisher's own expectation.
fn expectation_holds(case: &Case, fired: &Fired) -> bool {
    case.expect.iter().all(|(rule, polarity, count)| {
        let found: u64 = fired
            .iter()
            .filter(|((id, _), _)| id == rule)
            .map(|(_, count)| count)
            .sum();
        match (polarity.as_str(), count) {
            ("success", _) => found == 0,
            (_, Some(count)) => found == *count,
            (_, None) => found > 0,
        }
    })
}

fn fatal(fired: &Fired) -> Vec<&str> {
    fired
        .keys()
        .filter(|(_, flag)| flag == "fatal")
        .map(|(rule, _)| rule.as_str())
        .collect()
}

#[test]
fn all_cases_agree_with_the_official_artefacts() {
    let Some(cases) = cases() else { return };
    let mut levels = [0; 3];
    let mut families: BTreeMap<String, [usize; 4]> = BTreeMap::new();
    let mut missed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for case in &cases {
        let fired = match check_sets(&case.bytes, &[case.set], &Limits::default()) {
            Ok(findings) => ours(&findings),
            Err(error) => {
                missed
                    .entry(format!("unreadable: {error}"))
                    .or_default()
                    .push(case.id.clone());
                continue;
            }
        };
        let expected = theirs(case);
        let holds = [
            expectation_holds(case, &fired),
            fatal(&fired) == fatal(&expected),
            fired == expected,
        ];
        let family = families.entry(format!("{} {}", case.family, case.syntax)).or_default();
        family[3] += 1;
        for (level, holds) in holds.into_iter().enumerate() {
            levels[level] += usize::from(holds);
            family[level] += usize::from(holds);
        }
        for key in fired.keys().chain(expected.keys()) {
            if fired.get(key) != expected.get(key) {
                let (found, wanted) = (fired.get(key).unwrap_or(&0), expected.get(key).unwrap_or(&0));
                let miss = format!("{} {found} for {wanted}", case.id);
                let misses = missed
                    .entry(format!("{} {} {}", case.syntax, key.0, key.1))
                    .or_default();
                if !misses.contains(&miss) {
                    misses.push(miss);
                }
            }
        }
    }
    let all = cases.len();
    println!(
        "parity over {all} cases: (a) {}, (b) {}, (c) {}",
        levels[0], levels[1], levels[2]
    );
    for (family, [a, b, c, of]) in &families {
        println!("  {family}: (a) {a}, (b) {b}, (c) {c} of {of}");
    }
    let mut missed: Vec<_> = missed.into_iter().collect();
    missed.sort_by_key(|(_, cases)| std::cmp::Reverse(cases.len()));
    for (rule, cases) in &missed {
        println!(
            "  {} cases miss {rule}: {}",
            cases.len(),
            cases[..cases.len().min(3)].join("; ")
        );
    }
    assert!(
        missed.is_empty() && levels == [all; 3],
        "{levels:?} of {all}; the misses are above"
    );
}
