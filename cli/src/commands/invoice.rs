//! `muniment invoice`: electronic invoices, offline and on the ledger. What an invoice is, the library knows; what may be
//! done to one, the network.

mod act;
mod check;
mod convert;
mod list;
mod make;
mod render;
mod show;
mod submit;
mod text;

use std::path::Path;

use muniment_invoices::{Invoice, Limits, Unreadable};

use crate::context::Choice;
use crate::error::{Failure, Result};
use crate::files;
use crate::files::Shown;
use crate::output::Output;
use crate::target::Target;

/// Electronic invoices: `check`, `convert`, `make`, `render` and `schema` need no server, the others do.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Judges invoices in UBL or CII. Exit code 0: all are valid, 1: some are not, 2: some can't be read.
    Check(check::Args),
    /// Writes an invoice in the other syntax, or in its JSON form.
    Convert(convert::Args),
    /// Makes an invoice out of its JSON form; computes what is left out.
    Make(make::Args),
    /// Writes an invoice as a page for people.
    Render(render::Args),
    /// Prints the JSON schema of the JSON form.
    Schema,
    /// Registers invoices on the ledger, with a receipt beside each file.
    Submit(submit::Args),
    /// Registers a credit note for an invoice.
    Credit(submit::Credit),
    /// Lists invoices of the network.
    List(list::Args),
    /// Shows an invoice.
    Show(show::Record),
    /// Shows the steps of an invoice.
    History(show::Record),
    /// Gets the document of an invoice: as it was submitted, converted, or as a page.
    Document(show::Document),
    /// Erases the document of an invoice for good; its record and receipts stay.
    Erase(show::Erase),
    #[command(flatten)]
    Act(act::Command),
}

/// Runs the command. The answer is the exit code.
pub async fn run(command: Command, choice: &Choice, output: Output) -> Result<u8> {
    match command {
        Command::Check(args) => return check::run(args, output).await,
        Command::Convert(args) => convert::run(&args, output)?,
        Command::Make(args) => make::run(&args, output)?,
        Command::Render(args) => render::run(&args, output)?,
        Command::Schema => output.document(&muniment_invoices::json_schema())?,
        Command::Submit(args) => return submit::run(&args, choice, output).await.map(|done| u8::from(!done)),
        Command::Credit(args) => submit::credit(&args, choice, output).await?,
        Command::List(args) => list::run(&args, choice, output).await?,
        Command::Show(args) => show::record(&args, choice, output).await?,
        Command::History(args) => show::history(&args, choice, output).await?,
        Command::Document(args) => show::document(&args, choice, output).await?,
        Command::Erase(args) => show::erase(&args, choice, output).await?,
        Command::Act(command) => act::run(command, choice, output).await?,
    }
    Ok(0)
}

/// How messages call a file.
fn name(path: &Path) -> String {
    if path == Path::new("-") {
        return "stdin".to_owned();
    }
    path.shown()
}

/// A document that is not larger than an invoice may be.
fn read(path: &Path) -> Result<Vec<u8>> {
    let limit = Limits::DEFAULT.bytes;
    let bytes = files::read_bounded(path, limit)?;
    bytes.ok_or_else(|| unreadable(path, &[], &Unreadable::TooLarge { what: "bytes", limit }))
}

/// The model of an invoice in UBL or CII, with the bytes that it was read from.
fn read_model(path: &Path) -> Result<(Vec<u8>, Invoice)> {
    let bytes = read(path)?;
    let (invoice, problems) =
        muniment_invoices::parse(&bytes, &Limits::DEFAULT).map_err(|error| unreadable(path, &bytes, &error))?;
    match problems.first() {
        None => Ok((bytes, invoice)),
        Some(problem) => Err(Failure::usage(
            "not_an_amount",
            format!(
                "{}: line {}: {:?} in {} {}",
                name(path),
                problem.line,
                problem.value,
                problem.location,
                problem.reason
            ),
            "mend it; `muniment invoice check` shows everything that is wrong",
        )),
    }
}

/// A document that can't be read: which, where, why, and what to do.
fn unreadable(path: &Path, bytes: &[u8], error: &Unreadable) -> Failure {
    let next = match bytes.trim_ascii_start() {
        [b'{', ..] => "this looks like JSON: `muniment invoice make --from` reads the JSON form",
        [b'%', b'P', b'D', b'F', ..] => "this is a PDF: take the XML out of it first, for instance with `pdfdetach`",
        [] if matches!(error, Unreadable::Malformed { .. }) => "the file is empty: export the invoice again",
        _ => error.fix(),
    };
    Failure::usage(&error.code().to_lowercase(), format!("{}: {error}", name(path)), next)
}
