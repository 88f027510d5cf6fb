//! `muniment verify`: a document and its receipt, offline.

use std::path::{Path, PathBuf};

use muniment_receipts::verify::{Check, Outcome, Report};

use crate::context::Choice;
use crate::error::{Failure, Result, named};
use crate::evidence;
use crate::files::{is_receipt, receipt_path};
use crate::output::{Output, rfc3339, table};
use crate::{digest, trust};

/// Checks documents against their receipts. Needs no server.
#[derive(clap::Args)]
pub struct Args {
    /// Documents; a name that ends in .receipt is a receipt without its document.
    #[arg(value_name = "FILE", required_unless_present = "receipt")]
    files: Vec<PathBuf>,
    /// Receipt of the one document [default: FILE.receipt].
    #[arg(long, value_name = "RECEIPT")]
    receipt: Option<PathBuf>,
    /// Trust root file [default: the one pinned at first contact with the network].
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
}

/// What to check.
struct Pair {
    document: Option<PathBuf>,
    receipt: PathBuf,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a Path>,
    receipt: &'a Path,
    #[serde(skip_serializing_if = "Option::is_none")]
    trust_root: Option<&'a str>,
    #[serde(flatten)]
    report: &'a Report,
}

/// Runs the command. The answer is the exit code: 0 all pass, 1 something fails, 3 something can't be decided.
pub fn run(args: Args, choice: &Choice, output: Output) -> Result<u8> {
    let pairs = pairs(args.files, args.receipt)?;
    let several = pairs.len() > 1;
    let mut code = 0;
    for pair in &pairs {
        let outcome = check(pair, args.trust.as_deref(), choice, output);
        let one = match outcome {
            Ok(one) => one,
            // One unreadable file of many must not hide the verdicts on the others.
            Err(failure) if several => {
                output.fail(&failure);
                UNUSABLE
            }
            Err(failure) => return Err(failure),
        };
        code = worse(code, one);
    }
    Ok(code)
}

/// A file that can't be used: bad usage, as when it is the only one.
const UNUSABLE: u8 = 2;

/// The exit code that says more: a verdict that fails, then a file that can't be used, then one that can't be decided.
fn worse(one: u8, other: u8) -> u8 {
    const ORDER: [u8; 4] = [1, UNUSABLE, 3, 0];
    ORDER.into_iter().find(|code| [one, other].contains(code)).unwrap_or(1)
}

fn pairs(files: Vec<PathBuf>, receipt: Option<PathBuf>) -> Result<Vec<Pair>> {
    let Some(receipt) = receipt else {
        return Ok(files
            .into_iter()
            .map(|file| {
                if is_receipt(&file) {
                    Pair {
                        document: None,
                        receipt: file,
                    }
                } else {
                    Pair {
                        receipt: receipt_path(&file, None),
                        document: Some(file),
                    }
                }
            })
            .collect());
    };
    let mut files = files.into_iter();
    match (files.next(), files.next()) {
        (document, None) => Ok(vec![Pair { document, receipt }]),
        _ => Err(Failure::usage(
            "one_receipt",
            "--receipt names one receipt and several files are given",
            "check them one by one, or leave --receipt out",
        )),
    }
}

fn check(pair: &Pair, named: Option<&Path>, choice: &Choice, output: Output) -> Result<u8> {
    let bytes = std::fs::read(&pair.receipt).map_err(|error| missing(pair, &error))?;
    let document = match &pair.document {
        Some(path) => Some(
            digest::file(path)
                .map_err(|error| crate::error::named("can't read", path, &error))?
                .0,
        ),
        None => None,
    };
    // A file that can't be read as a receipt still gets its verdicts, so that its network may be unknown here.
    let network = muniment_receipts::receipt::Receipt::parse(&bytes)
        .ok()
        .map(|receipt| hex::encode(receipt.network));
    let root = trust::find(named, network.as_deref(), choice)?;
    let report = evidence::judge(&bytes, root.as_ref(), document);
    let from = root.as_ref().map(|root| root.from.as_str());
    if output.json() {
        let line = Line {
            file: pair.document.as_deref(),
            receipt: &pair.receipt,
            trust_root: from,
            report: &report,
        };
        output.json_line(&line)?;
    } else {
        output.line(text(pair, from, &report))?;
    }
    Ok(report.exit_code())
}

fn missing(pair: &Pair, error: &std::io::Error) -> Failure {
    match (&pair.document, error.kind()) {
        (Some(document), std::io::ErrorKind::NotFound) => Failure::usage(
            "no_receipt",
            format!(
                "{} has no receipt: there is no {}",
                document.display(),
                pair.receipt.display()
            ),
            format!(
                "name it with --receipt, or make one with `muniment notarize {}`",
                document.display()
            ),
        ),
        _ => named("can't read", &pair.receipt, error),
    }
}

/// The verdicts as lines.
fn text(pair: &Pair, root: Option<&str>, report: &Report) -> String {
    let name = pair.document.as_ref().unwrap_or(&pair.receipt);
    let mut lines = vec![format!("{}: {}", name.display(), word(report.overall))];
    let verdicts = report.verdicts.iter().filter(|verdict| verdict.check != Check::Status);
    let rows: Vec<Vec<String>> = verdicts
        .map(|verdict| {
            vec![
                format!("  {}", title(verdict.check)),
                word(verdict.result).to_owned(),
                verdict.detail.clone(),
            ]
        })
        .collect();
    lines.push(table(&rows));
    if let Some(statement) = &report.statement {
        let who = statement.signer_name.as_ref().unwrap_or(&statement.signer);
        let time = report.block_time.map(rfc3339).unwrap_or_default();
        let height = report.height.unwrap_or_default();
        lines.push(format!(
            "  {} {} by {who}, height {height} at {time}",
            statement.template, statement.action
        ));
        lines.push(format!("  record {}", statement.record));
        lines.push(format!(
            "  steps since then: muniment records history {}",
            statement.record
        ));
    }
    let signers: Vec<&str> = report.cosigned.iter().map(|cosigned| cosigned.name.as_str()).collect();
    if !signers.is_empty() {
        lines.push(format!("  signed by {}", signers.join(", ")));
    }
    match (root, &report.network) {
        (Some(root), _) => lines.push(format!("  trust root {root}")),
        (None, Some(network)) => {
            lines.push(format!(
                "  next: get the trust root of network {network} and name it with --trust"
            ));
        }
        (None, None) => {}
    }
    lines.join("\n")
}

fn title(check: Check) -> &'static str {
    match check {
        Check::Receipt => "receipt file",
        Check::Document => "document",
        Check::Statement => "statement signature",
        Check::Inclusion => "inclusion",
        Check::Quorum => "quorum",
        Check::TrustRoot => "trust root",
        Check::Time => "time",
        Check::Status => "status",
    }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Fail => "FAIL",
        Outcome::Inconclusive => "inconclusive",
    }
}
