//! Turns on one mutant after the other. Of the vectors only those are judged again that come by the place; what they
//! do not notice, the other tests must: they run in a process of their own, with the mutant on from the start.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use muniment_invoices::mutant::{COUNT, MET, make_odd, turn_on};
use muniment_invoices::{Limits, Set, Severity, Syntax, check_sets, rule_ids};

use crate::shared::{Case, cases};

/// Rule, severity and number of firings, as the manifest has them.
type Fired = BTreeSet<(String, &'static str, u64)>;

fn fired(case: &Case) -> Option<Fired> {
    let findings = check_sets(&case.bytes, &[case.set], &Limits::DEFAULT).ok()?;
    let mut counts = std::collections::BTreeMap::new();
    for finding in findings {
        let flag = match finding.severity {
            Severity::Fatal => "fatal",
            Severity::Warning => "warning",
            Severity::Information => "information",
        };
        *counts.entry((finding.rule.into_owned(), flag)).or_insert(0) += 1;
    }
    Some(counts.into_iter().map(|((rule, flag), count)| (rule, flag, count)).collect())
}

fn agrees(case: &Case) -> bool {
    let ours = catch_unwind(AssertUnwindSafe(|| fired(case))).ok().flatten();
    let theirs = |fired: &Fired| {
        fired.len() == case.fired.len()
            && case
                .fired
                .iter()
                .all(|(rule, flag, count)| fired.iter().any(|own| (&own.0, own.1, own.2) == (rule, flag, *count)))
    };
    ours.as_ref().is_some_and(theirs)
}

/// Tests that read the vectors, take long, or run mutants.
const SLOW: [&str; 8] = [
    "vectors::",
    "models::",
    "mutate::",
    "nothing_panics",
    "any_text",
    "every_case",
    "a_finding_says",
    "schema",
];

/// Whether the other tests notice a mutant. One that never ends is noticed, too.
fn tests_notice(variable: &str, value: &str) -> bool {
    let mut tests = Command::new(std::env::current_exe().unwrap())
        .args(SLOW.iter().flat_map(|test| ["--skip", test]))
        .env(variable, value)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    loop {
        match tests.try_wait().unwrap() {
            Some(status) => return !status.success(),
            None if start.elapsed() > Duration::from_secs(120) => {
                tests.kill().unwrap();
                tests.wait().unwrap();
                return true;
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

#[test]
#[ignore = "only of use in the copy that has mutants"]
fn every_mutant_is_noticed() {
    let cases = cases().expect("the vectors");
    let mut meet: Vec<Vec<usize>> = vec![Vec::new(); COUNT + 1];
    for (number, case) in cases.iter().enumerate() {
        MET.iter().for_each(|met| met.store(false, Relaxed));
        assert!(agrees(case), "{} without any mutant", case.id);
        for (mutant, met) in MET.iter().enumerate() {
            if met.load(Relaxed) {
                meet[mutant].push(number);
            }
        }
    }
    // The shortest first: what notices is found sooner.
    for met in &mut meet {
        met.sort_by_key(|case| cases[*case].bytes.len());
    }
    assert!(!tests_notice("MUTANT", "0"), "the other tests fail without any mutant");
    std::panic::set_hook(Box::new(|_| {}));
    let names = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/mutants.tsv")).unwrap();
    let names: Vec<&str> = names.lines().collect();
    let (mut by_vectors, mut by_tests, mut survivors) = (0, 0, 0);
    // `ONLY=src/rules/ubl` mutates only files whose names start so.
    let only = std::env::var("ONLY").unwrap_or_default();
    let chosen = |mutant: &usize| names[mutant - 1].split('\t').nth(1).is_some_and(|file| file.starts_with(&*only));
    let mutants: Vec<usize> = (1..=COUNT).filter(chosen).collect();
    for mutant in &mutants {
        let mutant = *mutant;
        turn_on(mutant as u32);
        let noticed = meet[mutant].iter().any(|case| !agrees(&cases[*case]));
        turn_on(0);
        if noticed {
            by_vectors += 1;
        } else if tests_notice("MUTANT", &mutant.to_string()) {
            by_tests += 1;
        } else {
            survivors += 1;
            println!("SURVIVED ({} vectors come by) {}", meet[mutant].len(), names[mutant - 1]);
        }
    }
    let count = mutants.len();
    println!("{count} mutants: {by_vectors} noticed by the vectors, {by_tests} by other tests, {survivors} survived");
}

/// Each rule is dropped in turn. A rule that fires in some vector is missed there.
#[test]
#[ignore = "only of use in the copy that has mutants"]
fn every_dropped_rule_is_missed() {
    let cases = cases().expect("the vectors");
    let (mut by_vectors, mut by_tests, mut survivors) = (0, 0, 0);
    for set in [Set::En16931, Set::XRechnung, Set::Peppol] {
        for syntax in [Syntax::UblInvoice, Syntax::Cii] {
            let cii = syntax == Syntax::Cii;
            let labelled = || cases.iter().filter(|case| case.set == set && (case.syntax == "CII") == cii);
            let fires: BTreeSet<&str> = labelled().flat_map(|case| &case.fired).map(|(rule, ..)| &**rule).collect();
            for rule in rule_ids(set, syntax) {
                let name = format!("{set:?} {cii} {rule}");
                if fires.contains(rule) {
                    by_vectors += 1;
                } else if tests_notice("MUTANT_DROP", &name) {
                    by_tests += 1;
                } else {
                    survivors += 1;
                    println!("SURVIVED dropped {rule} of {set:?} in {}", if cii { "CII" } else { "UBL" });
                }
            }
        }
    }
    println!("dropped rules: {by_vectors} missed by the vectors, {by_tests} by other tests, {survivors} survived");
}

/// Each row of the tables of the syntax bindings lets one element more pass.
#[test]
#[ignore = "only of use in the copy that has mutants"]
fn every_loosened_row_is_missed() {
    let cases = cases().expect("the vectors");
    let tables = ["syntax-ubl.txt", "syntax-cii.txt"]
        .map(|file| std::fs::read_to_string(format!("{}/data/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap());
    let rows: BTreeSet<&str> = tables
        .iter()
        .flat_map(|text| text.lines())
        .filter(|line| !line.starts_with(['#', '[']))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let (mut by_vectors, mut by_tests, mut survivors) = (0, 0, 0);
    for row in rows {
        let fires = |case: &&Case| case.set == Set::En16931 && case.fired.iter().any(|(rule, ..)| rule == row);
        make_odd(2, row);
        let noticed = cases.iter().filter(fires).any(|case| !agrees(case));
        make_odd(0, "");
        if noticed {
            by_vectors += 1;
        } else if tests_notice("MUTANT_LOOSEN", row) {
            by_tests += 1;
        } else {
            survivors += 1;
            println!("SURVIVED loosened {row}");
        }
    }
    println!("loosened rows: {by_vectors} missed by the vectors, {by_tests} by other tests, {survivors} survived");
}
