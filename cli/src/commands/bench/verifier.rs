//! How many receipts one core checks per second.

use std::path::Path;
use std::time::{Duration, Instant};

use muniment_receipts::verify::{Check, Outcome, Verifier};

use crate::context::Choice;
use crate::error::{Failure, Result, io};
use crate::files::Shown;
use crate::output::Output;
use crate::{evidence, trust};

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    checks: u64,
    seconds: f64,
    throughput: f64,
    receipt_bytes: usize,
}

/// Runs the command: the whole verification of one receipt, with parsing, again and again on this thread.
pub fn run(path: &Path, named: Option<&Path>, time: Duration, choice: &Choice, output: Output) -> Result<bool> {
    let bytes = std::fs::read(path).map_err(|error| io("can't read", path, &error))?;
    let receipt = evidence::parse(&bytes, &path.shown())?;
    let Some(root) = trust::find(named, Some(&hex::encode(receipt.network)), choice)? else {
        return Err(Failure::usage(
            "no_trust_root",
            "no trust root is known for this receipt",
            "name it with --trust",
        ));
    };
    let verifier = Verifier::new(Some(&root.bytes), None);
    let now = evidence::now();
    let start = Instant::now();
    let mut checks = 0_u64;
    while start.elapsed() < time {
        let report = verifier.verify(std::hint::black_box(&bytes), None, now);
        let wrong = |check: Check| {
            report
                .verdict(check)
                .is_none_or(|verdict| verdict.result != Outcome::Pass)
        };
        if [Check::Statement, Check::Inclusion, Check::Quorum, Check::TrustRoot]
            .into_iter()
            .any(wrong)
        {
            return Err(Failure::new(
                "wrong_receipt",
                "the receipt does not hold",
                "see `muniment verify`",
            ));
        }
        checks += 1;
    }
    let seconds = start.elapsed().as_secs_f64();
    let report = Report {
        checks,
        seconds,
        throughput: (checks as f64 / seconds).round(),
        receipt_bytes: bytes.len(),
    };
    if output.json() {
        output.document(&report)?;
    } else {
        output.line(format!(
            "{checks} checks of a receipt of {} bytes in {seconds:.1} s on one core: {:.0} checks/s",
            report.receipt_bytes, report.throughput
        ))?;
    }
    Ok(true)
}
