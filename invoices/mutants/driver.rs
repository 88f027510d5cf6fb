//! Turns on one mutant after the other. Of the vectors and the edges only those are judged again that come by the place;
//! what they do not notice, the other tests must: they run in a process of their own, with the mutant on from the start.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use muniment_invoices::mutant::{COUNT, MET, make_odd, turn_on};
use muniment_invoices::{Limits, Set, Severity, Syntax, check_sets, rule_ids};

use crate::edges::{self, Edge};
use crate::shared::{Case, cases};
use crate::tables;

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
    Some(
        counts
            .into_iter()
            .map(|((rule, flag), count)| (rule, flag, count))
            .collect(),
    )
}

fn agrees(case: &Case) -> bool {
    let theirs = |fired: &Fired| {
        fired.len() == case.fired.len()
            && case
                .fired
                .iter()
                .all(|(rule, flag, count)| fired.iter().any(|own| (&own.0, own.1, own.2) == (rule, flag, *count)))
    };
    fired(case).as_ref().is_some_and(theirs)
}

/// What is judged again and again in this process: a vector, or a case of ours.
enum Known {
    Vector(Case),
    Edge(Edge),
}

impl Known {
    fn all() -> Vec<Self> {
        let vectors = cases().expect("the vectors").into_iter().map(Self::Vector);
        let edges = edges::all().chain(tables::all()).map(Self::Edge);
        let mut all: Vec<Self> = vectors.chain(edges).collect();
        // The shortest first: what notices is found sooner.
        all.sort_by_key(Self::length);
        all
    }

    fn length(&self) -> usize {
        match self {
            Self::Vector(case) => case.bytes.len(),
            Self::Edge(edge) => edge.document.len(),
        }
    }

    fn holds(&self) -> bool {
        let judged = catch_unwind(AssertUnwindSafe(|| match self {
            Self::Vector(case) => agrees(case),
            Self::Edge(edge) => edge.holds(),
        }));
        judged.unwrap_or(false)
    }

    /// Whether it wants a rule to fire.
    fn wants(&self, set: Set, wanted: &str) -> bool {
        match self {
            Self::Vector(case) => case.set == set && case.fired.iter().any(|(rule, ..)| rule == wanted),
            Self::Edge(edge) => edge.set == set && edge.fires && edge.rule == wanted,
        }
    }
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

/// Whether the other tests notice a mutant: first those that are quick, then the vectors again in a process of their own,
/// for what is read once for all documents.
fn tests_notice(variable: &str, value: &str) -> bool {
    let quick = SLOW.iter().flat_map(|test| ["--skip", test]);
    fail(quick, variable, value) || fail(["vectors::"], variable, value)
}

/// Whether some of these tests fail. One that never ends has failed, too.
fn fail<'a>(tests: impl IntoIterator<Item = &'a str>, variable: &str, value: &str) -> bool {
    let mut tests = Command::new(std::env::current_exe().unwrap())
        .args(tests)
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

/// How many were noticed, and how.
#[derive(Default)]
struct Tally {
    by_cases: usize,
    by_tests: usize,
    survivors: usize,
}

impl Tally {
    fn count(&mut self, by_cases: bool, by_tests: impl FnOnce() -> bool, name: impl FnOnce() -> String) {
        if by_cases {
            self.by_cases += 1;
        } else if by_tests() {
            self.by_tests += 1;
        } else {
            self.survivors += 1;
            println!("SURVIVED {}", name());
        }
    }

    fn print(&self, what: &str) {
        let (cases, tests, survivors) = (self.by_cases, self.by_tests, self.survivors);
        let all = cases + tests + survivors;
        println!("{all} {what}: {cases} noticed by vectors and edges, {tests} by other tests, {survivors} survived");
    }
}

#[test]
#[ignore = "only of use in the copy that has mutants"]
fn every_mutant_is_noticed() {
    let known = Known::all();
    let mut meet: Vec<Vec<usize>> = vec![Vec::new(); COUNT + 1];
    for (number, case) in known.iter().enumerate() {
        MET.iter().for_each(|met| met.store(false, Relaxed));
        assert!(case.holds(), "a case fails without any mutant");
        for (mutant, met) in MET.iter().enumerate() {
            if met.load(Relaxed) {
                meet[mutant].push(number);
            }
        }
    }
    assert!(!tests_notice("MUTANT", "0"), "the other tests fail without any mutant");
    std::panic::set_hook(Box::new(|_| {}));
    let names = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/mutants.tsv")).unwrap();
    let names: Vec<&str> = names.lines().collect();
    // `ONLY=src/rules/ubl` mutates only files whose names start so.
    let only = std::env::var("ONLY").unwrap_or_default();
    let chosen = |mutant: &usize| {
        names[mutant - 1]
            .split('\t')
            .nth(1)
            .is_some_and(|file| file.starts_with(&*only))
    };
    let mut tally = Tally::default();
    for mutant in (1..=COUNT).filter(chosen) {
        turn_on(mutant as u32);
        let by_cases = !meet[mutant].iter().all(|case| known[*case].holds());
        turn_on(0);
        let by_tests = || tests_notice("MUTANT", &mutant.to_string());
        tally.count(by_cases, by_tests, || {
            format!("({} cases come by) {}", meet[mutant].len(), names[mutant - 1])
        });
    }
    tally.print("mutants");
}

/// Whether a case that wants a rule misses something done to it.
fn misses(known: &[Known], kind: u8, name: &str, (set, rule): (Set, &str)) -> bool {
    make_odd(kind, name);
    let missed = known
        .iter()
        .filter(|case| case.wants(set, rule))
        .any(|case| !case.holds());
    make_odd(0, "");
    missed
}

/// Each rule is dropped in turn.
#[test]
#[ignore = "only of use in the copy that has mutants"]
fn every_dropped_rule_is_missed() {
    let known = Known::all();
    let mut tally = Tally::default();
    for set in [Set::En16931, Set::XRechnung, Set::Peppol] {
        for syntax in [Syntax::UblInvoice, Syntax::Cii] {
            for rule in rule_ids(set, syntax) {
                let name = format!("{set:?} {} {rule}", syntax == Syntax::Cii);
                let by_cases = misses(&known, 1, &name, (set, rule));
                tally.count(
                    by_cases,
                    || tests_notice("MUTANT_DROP", &name),
                    || format!("dropped {name}"),
                );
            }
        }
    }
    tally.print("dropped rules");
}

/// Each row of the tables of the syntax bindings lets one element more pass.
#[test]
#[ignore = "only of use in the copy that has mutants"]
fn every_loosened_row_is_missed() {
    let known = Known::all();
    let tables = ["syntax-ubl.txt", "syntax-cii.txt"]
        .map(|file| std::fs::read_to_string(format!("{}/data/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap());
    let rows: BTreeSet<&str> = tables
        .iter()
        .flat_map(|text| text.lines())
        .filter(|line| !line.starts_with(['#', '[']))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let mut tally = Tally::default();
    for row in rows {
        let by_cases = misses(&known, 2, row, (Set::En16931, row));
        tally.count(
            by_cases,
            || tests_notice("MUTANT_LOOSEN", row),
            || format!("loosened {row}"),
        );
    }
    tally.print("loosened rows");
}
