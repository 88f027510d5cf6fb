//! One invoice: its record, its steps, its document.

mod fields;

use muniment_api::types::InvoiceRecord;
use serde_json::Value;

use super::Target;
use crate::client::Client;
use crate::commands::records;
use crate::context::Choice;
use crate::error::{Failure, Result};
use crate::output::{Output, table};

/// An invoice.
#[derive(clap::Args)]
pub struct Record {
    /// Record id, 64 hex digits.
    #[arg(value_name = "ID")]
    id: String,
}

/// An invoice whose document is to be erased.
#[derive(clap::Args)]
pub struct Erase {
    #[command(flatten)]
    of: Record,
    /// Don't ask. Where nobody can answer nothing is erased without it.
    #[arg(long)]
    yes: bool,
}

/// A document of an invoice.
#[derive(clap::Args)]
pub struct Document {
    /// Record id, 64 hex digits.
    #[arg(value_name = "ID")]
    id: String,
    /// `original` is byte for byte what was submitted.
    #[arg(long, value_name = "NAME", default_value = "original",
        value_parser = ["original", "ubl", "cii", "json", "html", "pdf", "report"])]
    format: String,
    #[command(flatten)]
    target: Target,
}

/// Shows the record.
pub async fn record(args: &Record, choice: &Choice, output: Output) -> Result<()> {
    let client = Client::new(choice.load()?)?;
    let invoice: InvoiceRecord = client.get(&client.url(&path(&args.id, "")?)).await?;
    if output.json() {
        return output.document(&invoice);
    }
    let record = &invoice.record;
    let mut rows = vec![row("id", &args.id)];
    rows.extend(fields::rows(record).iter().map(|(name, value)| row(name, value)));
    // The region `document` stands above it.
    rows.push(row("copy", &invoice.document));
    rows.push(row(
        "version",
        &format!("{}, as of height {}", records::text(&record["version"]), invoice.height),
    ));
    output.line(table(&rows))
}

/// Shows the steps.
pub async fn history(args: &Record, choice: &Choice, output: Output) -> Result<()> {
    let client = Client::new(choice.load()?)?;
    let steps: Value = client.history(&path(&args.id, "/history")?).await?;
    if output.json() {
        output.document(&steps)
    } else {
        records::history(&steps, output)?;
        let command = format!("muniment receipt get {} --version N --out FILE", args.id);
        output.say(format!("  receipt of a step: {command}"));
        Ok(())
    }
}

/// Gets a document.
pub async fn document(args: &Document, choice: &Choice, output: Output) -> Result<()> {
    let below = match args.format.as_str() {
        format @ ("html" | "pdf" | "report") => format!("/{format}"),
        format => format!("/document?format={format}"),
    };
    let client = Client::new(choice.load()?)?;
    let bytes = client.bytes(&client.url(&path(&args.id, &below)?)).await?;
    args.target.deliver(&bytes, output)
}

/// Erases the document.
pub async fn erase(args: &Erase, choice: &Choice, output: Output) -> Result<()> {
    if !args.yes && !output.can_ask() {
        let message = "erasing a document can't be undone, and nobody is there to be asked; nothing was erased";
        return Err(Failure::usage("not_asked", message, "say --yes if it is meant"));
    }
    let client = Client::new(choice.load()?)?;
    let path = path(&args.of.id, "")?;
    if !args.yes {
        let invoice: InvoiceRecord = client.get(&client.url(&path)).await?;
        let [number, supplier] = ["number", "supplier"].map(|name| records::text(&invoice.record["fields"][name]));
        let question = format!("the document of invoice {number} of {supplier} will be lost for good; erase it?");
        // What isn't there is for the server to refuse.
        if invoice.document == "kept" && !output.ask(&question)? {
            return Err(Failure::new(
                "not_erased",
                "nothing was erased",
                "answer y, or use --yes",
            ));
        }
    }
    client.delete(&client.url(&format!("{path}/document"))).await?;
    output.say("the document is erased; record and receipts stay");
    Ok(())
}

fn path(id: &str, below: &str) -> Result<String> {
    Ok(format!("/invoices/{}{below}", records::id(id)?))
}

fn row(name: &str, value: &str) -> Vec<String> {
    vec![name.to_owned(), value.to_owned()]
}
