//! `muniment verify`: a document and its receipt, offline.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use muniment_receipts::verify::{Check, Outcome, Report};

use crate::context::Choice;
use crate::error::{Failure, Result, named};
use crate::evidence;
use crate::files::Shown;
use crate::files::{self, is_receipt};
use crate::output::{Output, rfc3339, table};
use crate::trust::Root;
use crate::{digest, trust};

/// Checks documents against their receipts. Needs no server.
#[derive(clap::Args)]
pub struct Args {
    /// Documents, and with -r folders; a name that ends in .receipt is a receipt without its document.
    #[arg(value_name = "FILE", required_unless_present = "receipt")]
    files: Vec<PathBuf>,
    /// Walk into folders: every document in them, and every receipt that lies there without its document.
    #[arg(short, long)]
    recursive: bool,
    /// Receipt of the one document, or the folder of the receipts as `notarize --out` wrote them [default:
    /// FILE.receipt].
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

impl Pair {
    fn alone(receipt: PathBuf) -> Self {
        Self {
            document: None,
            receipt,
        }
    }

    fn name(&self) -> &Path {
        self.document.as_ref().unwrap_or(&self.receipt)
    }
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
pub fn run(args: &Args, choice: &Choice, output: Output) -> Result<u8> {
    let (pairs, unlisted) = pairs(args, output)?;
    let several = pairs.len() + unlisted.len() > 1;
    let mut codes: Vec<u8> = Vec::with_capacity(pairs.len());
    for failure in &unlisted {
        output.fail(failure);
        codes.push(UNUSABLE);
    }
    // Of many that pass a line each is enough.
    let brief = args.recursive && several;
    let mut roots = Roots {
        named: args.trust.as_deref(),
        choice,
        known: BTreeMap::new(),
    };
    for pair in &pairs {
        match check(pair, &mut roots, output, brief) {
            Ok(code) => codes.push(code),
            // One unreadable file of many must not hide the verdicts on the others.
            Err(failure) if several => {
                output.fail(&failure);
                codes.push(UNUSABLE);
            }
            Err(failure) => return Err(failure),
        }
    }
    if several {
        output.say(summary(&codes));
    }
    Ok(codes.into_iter().fold(0, worse))
}

/// Trust roots by network. Each is read once: what its verifier has checked for one receipt, it needn't for the next.
struct Roots<'a> {
    named: Option<&'a Path>,
    choice: &'a Choice,
    known: BTreeMap<Option<String>, Option<Root>>,
}

impl Roots<'_> {
    fn find(&mut self, network: Option<String>) -> Result<Option<&Root>> {
        if !self.known.contains_key(&network) {
            let root = trust::find(self.named, network.as_deref(), self.choice)?;
            self.known.insert(network.clone(), root);
        }
        Ok(self.known.get(&network).and_then(Option::as_ref))
    }
}

/// A file that can't be used: bad usage, as when it is the only one.
const UNUSABLE: u8 = 2;

/// The exit code that says more: a verdict that fails, then a file that can't be used, then one that can't be decided.
fn worse(one: u8, other: u8) -> u8 {
    const ORDER: [u8; 4] = [1, UNUSABLE, 3, 0];
    ORDER.into_iter().find(|code| [one, other].contains(code)).unwrap_or(1)
}

/// `checked 12: 10 pass, 1 FAIL, 1 without a usable receipt`.
fn summary(codes: &[u8]) -> String {
    let words = [
        (0, "pass"),
        (1, "FAIL"),
        (3, "inconclusive"),
        (UNUSABLE, "without a usable receipt"),
    ];
    let parts: Vec<String> = words
        .iter()
        .map(|(code, word)| (codes.iter().filter(|one| *one == code).count(), word))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    format!("checked {}: {}", codes.len(), parts.join(", "))
}

/// All there is to check, and the folders that can't be listed.
fn pairs(args: &Args, output: Output) -> Result<(Vec<Pair>, Vec<Failure>)> {
    let out = args.receipt.as_deref().filter(|path| path.is_dir());
    if let (Some(receipt), None) = (&args.receipt, out) {
        return one(&args.files, receipt).map(|pair| (vec![pair], Vec::new()));
    }
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = args.files.iter().cloned().partition(|path| path.is_dir());
    let found = files::collect(&folders, args.recursive, out)?;
    found.passed.iter().for_each(|sentence| output.say(sentence));
    let named = files.into_iter().map(|file| {
        if is_receipt(&file) {
            return Pair::alone(file);
        }
        Pair {
            receipt: files::receipt_path(&file, out),
            document: Some(file),
        }
    });
    let walked = found.sources.into_iter().map(|source| Pair {
        document: Some(source.document),
        receipt: source.receipt,
    });
    // Receipts in another folder belong to documents elsewhere.
    let alone = if out.is_some() { Vec::new() } else { found.alone };
    let pairs: Vec<Pair> = named.chain(walked).chain(alone.into_iter().map(Pair::alone)).collect();
    let unlisted: Vec<Failure> = found.unlisted.into_iter().map(|(_, failure)| failure).collect();
    if pairs.is_empty() && unlisted.is_empty() {
        return Err(Failure::usage(
            "no_files",
            "there are no documents to check",
            "name a document, a receipt, or a folder with documents in it",
        ));
    }
    Ok((pairs, unlisted))
}

/// The one document, if any, with the receipt that was named.
fn one(files: &[PathBuf], receipt: &Path) -> Result<Pair> {
    match files {
        [] | [_] => Ok(Pair {
            document: files.first().cloned(),
            receipt: receipt.to_owned(),
        }),
        _ => Err(Failure::usage(
            "one_receipt",
            "--receipt names one receipt and several files are given",
            "check them one by one, leave --receipt out, or name the folder of the receipts",
        )),
    }
}

fn check(pair: &Pair, roots: &mut Roots<'_>, output: Output, brief: bool) -> Result<u8> {
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
    let root = roots.find(network)?;
    let report = evidence::judge(&bytes, root, document);
    let from = root.map(|root| root.from.as_str());
    if output.json() {
        let line = Line {
            file: pair.document.as_deref(),
            receipt: &pair.receipt,
            trust_root: from,
            report: &report,
        };
        output.json_line(&line)?;
    } else if brief && report.overall == Outcome::Pass {
        output.line(format!("{}: {}", pair.name().shown(), word(report.overall)))?;
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
                document.shown(),
                pair.receipt.shown()
            ),
            format!(
                "name it with --receipt, get it again with `muniment receipt get`, or make one with `muniment notarize {}`",
                document.shown()
            ),
        ),
        _ => named("can't read", &pair.receipt, error),
    }
}

/// The verdicts as lines.
fn text(pair: &Pair, root: Option<&str>, report: &Report) -> String {
    let mut lines = vec![format!("{}: {}", pair.name().shown(), word(report.overall))];
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
