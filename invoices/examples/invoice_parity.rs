//! Which rules disagree with the official artefacts, by the number of cases: the list to work off.

#![allow(clippy::unwrap_used, clippy::expect_used, dead_code)]

use std::collections::BTreeMap;

use muniment_invoices::{Limits, check_sets};

#[path = "../tests/it/shared.rs"]
mod shared;

fn main() {
    let Some(cases) = shared::cases() else { return };
    let mut missed: BTreeMap<(String, String), Vec<&str>> = BTreeMap::new();
    for case in &cases {
        let mut balance: BTreeMap<String, i64> = BTreeMap::new();
        for (rule, _, count) in &case.fired {
            *balance.entry(rule.clone()).or_default() -= *count as i64;
        }
        match check_sets(&case.bytes, &[case.set], &Limits::DEFAULT) {
            Ok(findings) => {
                for finding in findings {
                    *balance.entry(finding.rule.into_owned()).or_default() += 1;
                }
            }
            Err(error) => *balance.entry(error.to_string()).or_default() += 1,
        }
        for (rule, _) in balance.into_iter().filter(|(_, balance)| *balance != 0) {
            missed.entry((case.syntax.clone(), rule)).or_default().push(&case.id);
        }
    }
    let mut missed: Vec<_> = missed.into_iter().collect();
    missed.sort_by_key(|(_, cases)| std::cmp::Reverse(cases.len()));
    println!("{} rules disagree over {} cases", missed.len(), cases.len());
    for ((syntax, rule), cases) in missed {
        println!(
            "{:5} {syntax} {rule}: {}",
            cases.len(),
            cases[..cases.len().min(4)].join(", ")
        );
    }
}
