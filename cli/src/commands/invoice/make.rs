//! `muniment invoice make`: an invoice out of its JSON form.

use std::path::{Path, PathBuf};

use muniment_invoices::{MakeError, Options, Report, Severity};

use super::{Target, name, read};
use crate::error::{Failure, Result};
use crate::output::Output;

/// Makes an invoice out of its JSON form.
#[derive(clap::Args)]
pub struct Args {
    /// The JSON form; `-` is stdin.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Syntax to write. UBL is an Invoice or a CreditNote, by the type code.
    #[arg(long, value_enum, default_value = "ubl")]
    to: Syntax,
    #[command(flatten)]
    target: Target,
}

/// Syntaxes of XML.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Syntax {
    /// UBL 2.1.
    Ubl,
    /// UN/CEFACT CII D16B.
    Cii,
}

/// Runs the command. What would not be valid is not written.
pub fn run(args: &Args, output: Output) -> Result<()> {
    let json = read(&args.from)?;
    let unmade = |error: MakeError| Failure::usage(error.code(), format!("{}: {error}", name(&args.from)), error.fix());
    let invoice = muniment_invoices::make(&json).map_err(unmade)?;
    let text = match args.to {
        Syntax::Ubl => {
            muniment_invoices::fits_ubl(&invoice).map_err(unmade)?;
            invoice.to_ubl()
        }
        Syntax::Cii => invoice.to_cii(),
    };
    let report = muniment_invoices::check(text.as_bytes(), &Options::default())
        .map_err(|error| super::unreadable(&args.from, text.as_bytes(), &error))?;
    if !report.valid {
        return Err(not_valid(&args.from, &report));
    }
    args.target.deliver(text.as_bytes(), output)
}

/// The rules that the invoice would break; of each the sentence, of the first the advice.
fn not_valid(path: &Path, report: &Report) -> Failure {
    let fatal = || {
        report
            .findings
            .iter()
            .filter(|finding| finding.severity == Severity::Fatal)
    };
    let mut sentences: Vec<String> = fatal()
        .map(|finding| format!("{}: {}", finding.rule, finding.message))
        .collect();
    sentences.dedup();
    let next = fatal().map(|finding| &*finding.fix).find(|fix| !fix.is_empty());
    Failure::new(
        "not_valid",
        format!(
            "{} makes an invoice that is not valid; {}",
            name(path),
            sentences.join("; ")
        ),
        next.unwrap_or("give what the rules ask for"),
    )
}
