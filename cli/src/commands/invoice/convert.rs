//! `muniment invoice convert`: the same invoice in another form.

use std::path::PathBuf;

use super::{Target, read_model};
use crate::error::{Failure, Result};
use crate::output::Output;

/// Writes an invoice in the other syntax, or in its JSON form.
#[derive(clap::Args)]
pub struct Args {
    /// Invoice in UBL or CII; `-` is stdin.
    file: PathBuf,
    /// Form to write. UBL is an Invoice or a CreditNote, by the type code.
    #[arg(long, value_enum)]
    to: Form,
    #[command(flatten)]
    target: Target,
}

/// Forms of an invoice.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Form {
    /// UBL 2.1.
    Ubl,
    /// UN/CEFACT CII D16B.
    Cii,
    /// The plain JSON form (`muniment invoice schema`).
    Json,
}

/// Runs the command.
pub fn run(args: &Args, output: Output) -> Result<()> {
    let (_, invoice) = read_model(&args.file)?;
    let text = match args.to {
        Form::Ubl => invoice.to_ubl(),
        Form::Cii => invoice.to_cii(),
        Form::Json => {
            let text = muniment_invoices::to_json(&invoice).map_err(|error| {
                Failure::new("output", format!("the invoice can't be written as JSON: {error}"), "")
            })?;
            text + "\n"
        }
    };
    args.target.deliver(text.as_bytes(), output)
}
