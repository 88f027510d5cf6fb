//! `muniment invoice`: electronic invoices, offline. Reads and writes files; what an invoice is, the library knows.

mod check;
mod convert;
mod make;
mod render;
mod text;

use std::path::{Path, PathBuf};

use muniment_invoices::{Invoice, Limits, Unreadable};

use crate::error::{Failure, Result};
use crate::files;
use crate::output::Output;

/// Judges electronic invoices by EN 16931, converts, makes and renders them. Needs no server.
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
}

/// Where a made document goes.
#[derive(clap::Args)]
struct Target {
    /// File to write [default: stdout].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace the file if it is there already.
    #[arg(long, requires = "out")]
    force: bool,
}

/// Runs the command. The answer is the exit code.
pub async fn run(command: Command, output: Output) -> Result<u8> {
    match command {
        Command::Check(args) => return check::run(args, output).await,
        Command::Convert(args) => convert::run(&args, output)?,
        Command::Make(args) => make::run(&args, output)?,
        Command::Render(args) => render::run(&args, output)?,
        Command::Schema => output.document(&muniment_invoices::json_schema())?,
    }
    Ok(0)
}

impl Target {
    /// Writes a document to where it was asked for.
    fn deliver(&self, document: &[u8], output: Output) -> Result<()> {
        let Some(path) = &self.out else {
            return output.bytes(document);
        };
        files::write_new(path, document, self.force)?;
        if output.json() {
            return output.document(&serde_json::json!({ "file": path.to_string_lossy() }));
        }
        output.say(format!("wrote {}", path.display()));
        Ok(())
    }
}

/// How messages call a file.
fn name(path: &Path) -> String {
    if path == Path::new("-") {
        return "stdin".to_owned();
    }
    path.display().to_string()
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
