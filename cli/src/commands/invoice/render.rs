//! `muniment invoice render`: an invoice as a page for people.

use std::io::IsTerminal;
use std::path::PathBuf;

use muniment_receipts::receipt::Receipt;

use super::{Target, read_model};
use crate::error::{Failure, Result};
use crate::output::Output;

/// Writes an invoice as a page for people.
#[derive(clap::Args)]
pub struct Args {
    /// Invoice in UBL or CII; `-` is stdin.
    file: PathBuf,
    /// Kind of page.
    #[arg(long, value_enum)]
    to: Kind,
    /// Show this as a QR code: a receipt file, of which network and record are shown, or a link.
    #[arg(long, value_name = "RECEIPT")]
    receipt: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// Kinds of pages.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// One HTML file that needs nothing else.
    Html,
    /// PDF/A-3b with the invoice as CII in it (Factur-X, ZUGFeRD).
    Pdf,
}

/// Runs the command.
pub fn run(args: &Args, output: Output) -> Result<()> {
    let receipt = args.receipt.as_deref().map(code_text).transpose()?;
    let (bytes, invoice) = read_model(&args.file)?;
    if args.to == Kind::Html {
        let page = muniment_invoices::html(&invoice, receipt.as_deref());
        return args.target.deliver(page.as_bytes(), output);
    }
    if args.target.out.is_none() && std::io::stdout().is_terminal() {
        return Err(Failure::usage(
            "terminal",
            "a PDF is nothing for a terminal",
            "name a file with --out",
        ));
    }
    let pdf = muniment_invoices::pdf(&invoice, Some(&bytes), receipt.as_deref())
        .map_err(|error| Failure::new("pdf", format!("{}: {error}", super::name(&args.file)), error.fix()))?;
    if let Some(reason) = &pdf.plain {
        output.say(format!("the PDF holds no XML: {reason}"));
    }
    args.target.deliver(&pdf.bytes, output)
}

/// What the QR code says. A receipt is too long for one; network and record are enough to find it again. A text that is
/// neither a receipt nor a link is a typing error, and nobody would notice it in a QR code.
fn code_text(receipt: &str) -> Result<String> {
    if receipt.contains("://") {
        return Ok(receipt.to_owned());
    }
    let path = std::path::Path::new(receipt);
    let bytes = std::fs::read(path).map_err(|error| Failure {
        next: "name a receipt file, or a link that begins with https://".to_owned(),
        ..crate::error::named("can't read", path, &error)
    })?;
    let Receipt { network, record, .. } = crate::evidence::parse(&bytes, receipt)?;
    Ok(format!(
        "muniment.dev/network/{}/record/{}",
        hex::encode(network),
        hex::encode(record)
    ))
}
