//! Receipts as the CLI handles them: adding what the holder knows, and checking before believing.

use std::time::{SystemTime, UNIX_EPOCH};

pub use muniment_receipts::receipt::Disclosure;
use muniment_receipts::receipt::Receipt;
use muniment_receipts::verify::{Check, Outcome, Report, StatementSummary, Verdict, Verifier};

use crate::error::{Failure, Result, chain};
use crate::output::rfc3339;
use crate::trust::Root;

/// What a checked receipt says.
pub struct Facts {
    /// Record id, hex.
    pub record: String,
    /// What was stated.
    pub statement: Option<StatementSummary>,
    /// Block height.
    pub height: u64,
    /// Block time, RFC 3339.
    pub time: String,
    /// Validators whose cosignatures hold.
    pub signed_by: Vec<String>,
}

/// Milliseconds since the Unix epoch by this machine's clock.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Reads a receipt file.
///
/// # Errors
/// When it is not a receipt, byte for byte.
pub fn parse(bytes: &[u8], from: &str) -> Result<Receipt> {
    Receipt::parse(bytes).map_err(|error| {
        Failure::new(
            "bad_receipt",
            format!("{from} is not a valid receipt: {}", chain(&error)),
            "get the receipt again; a receipt must not be edited or reformatted",
        )
    })
}

/// Adds the disclosure to a receipt from the server.
///
/// # Errors
/// When it is not a receipt.
pub fn disclose(bytes: &[u8], disclosure: &Disclosure) -> Result<Vec<u8>> {
    let mut receipt = parse(bytes, "the server's answer")?;
    receipt.disclosure = Some(disclosure.clone());
    Ok(receipt.encode())
}

/// All verdicts over a receipt.
pub fn judge(receipt: &[u8], root: Option<&Root>, document: Option<[u8; 32]>) -> Report {
    match root {
        Some(root) => root.verifier.verify(receipt, document, now()),
        None => Verifier::new(None, None).verify(receipt, document, now()),
    }
}

/// Whether a receipt proves a document under a trust root.
pub fn proves(receipt: &[u8], root: &Root, document: &[u8; 32]) -> bool {
    judge(receipt, Some(root), Some(*document)).overall == Outcome::Pass
}

/// Code of a receipt that doesn't hold.
pub const WRONG: &str = "wrong_receipt";

/// Checks a receipt that a server gave. Without a document everything but the document must pass.
///
/// # Errors
/// When any verdict is not a pass: the first such is named.
pub fn check(receipt: &[u8], root: &Root, document: Option<&[u8; 32]>) -> Result<Facts> {
    let report = judge(receipt, Some(root), document.copied());
    // No receipt says whether its record was changed later.
    let counts = |verdict: &&Verdict| match verdict.check {
        Check::Status => false,
        Check::Document => document.is_some(),
        _ => true,
    };
    let mut counted = report.verdicts.iter().filter(counts);
    if !counted.all(|verdict| verdict.result == Outcome::Pass) {
        let wrong = report
            .verdicts
            .iter()
            .filter(counts)
            .filter(|verdict| verdict.result != Outcome::Pass);
        let first = wrong.min_by_key(|verdict| verdict.result == Outcome::Inconclusive);
        let why = first.map_or_else(String::new, |verdict| {
            format!("{:?}: {}", verdict.check, verdict.detail)
        });
        return Err(Failure::new(
            WRONG,
            format!("the server's receipt does not hold and was not written: {why}"),
            "compare the trust root in `muniment network status` and in ~/.config/muniment/trust",
        ));
    }
    let statement = report.statement;
    Ok(Facts {
        record: statement.as_ref().map(|one| one.record.clone()).unwrap_or_default(),
        statement,
        height: report.height.unwrap_or_default(),
        time: report.block_time.map(rfc3339).unwrap_or_default(),
        signed_by: report.cosigned.into_iter().map(|cosigned| cosigned.name).collect(),
    })
}
