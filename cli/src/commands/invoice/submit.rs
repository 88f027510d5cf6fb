//! Registering invoices: a receipt beside each file. Whatever was registered before is left as it is, so that the same
//! command may be run again.

mod attempt;
mod desk;
mod many;
mod numbered;
mod same;
mod told;

use std::path::PathBuf;

use crate::commands::records;
use crate::context::Choice;
use crate::error::Result;
use crate::output::Output;
use desk::Desk;

/// Registers invoices.
#[derive(clap::Args)]
pub struct Args {
    /// UBL or CII, or the JSON form. Several go in batches: invoices first, credit notes last.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    terms: Terms,
    /// Record of the invoice that this one takes the place of.
    #[arg(long, value_name = "ID")]
    replaces: Option<String>,
    /// Give the JSON form the next number of the series; the numbered document is written as NUMBER.json.
    #[arg(long)]
    auto_number: bool,
}

/// Registers a credit note.
#[derive(clap::Args)]
pub struct Credit {
    /// Record of the invoice, 64 hex digits.
    #[arg(value_name = "ID")]
    record: String,
    /// The credit note.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    terms: Terms,
}

#[derive(clap::Args)]
struct Terms {
    /// Who receives it: a party, the tenant, or a member's key.
    #[arg(long, value_name = "PARTY")]
    recipient: String,
    /// Rules that it must keep.
    #[arg(long, value_name = "NAME", default_value = "en16931", value_parser = ["en16931", "xrechnung", "peppol"])]
    profile: String,
    /// Who may report payments beside the payee.
    #[arg(long, value_name = "PARTY")]
    agent: Option<String>,
    /// Authority that it is reported to.
    #[arg(long, value_name = "PARTY")]
    authority: Option<String>,
    /// When it must be reported by, RFC 3339.
    #[arg(long, value_name = "TIME", requires = "authority")]
    report_by: Option<String>,
    /// Series of the number.
    #[arg(long, value_name = "NAME")]
    series: Option<String>,
    /// Put a salted commitment to the buyer's tax id on the ledger in place of the id.
    #[arg(long)]
    committed: bool,
    /// Folder for the receipts [default: beside each file].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Terms {
    /// Parameters of the request.
    fn parameters(&self) -> Vec<(&'static str, &str)> {
        let optional = [
            ("agent", &self.agent),
            ("authority", &self.authority),
            ("reportBy", &self.report_by),
            ("series", &self.series),
        ];
        let mut all = vec![
            ("recipient", self.recipient.as_str()),
            ("profile", self.profile.as_str()),
        ];
        all.extend(
            optional
                .into_iter()
                .filter_map(|(name, value)| Some((name, value.as_deref()?))),
        );
        if self.committed {
            all.push(("committed", "true"));
        }
        all
    }
}

/// Runs `submit`. The answer is whether every file has its receipt.
///
/// # Errors
/// When the server can't be reached, or a file can't be read.
pub async fn run(args: &Args, choice: &Choice, output: Output) -> Result<bool> {
    let desk = Desk::open(choice, args.terms.out.clone(), output).await?;
    let mut parameters = args.terms.parameters();
    if let Some(record) = &args.replaces {
        parameters.push(("replaces", records::id(record)?));
    }
    if args.auto_number {
        parameters.push(("number", "auto"));
    }
    let wanted = desk.wanted(&parameters);
    match args.files.as_slice() {
        [one] if args.auto_number => {
            let (done, attempt) = desk.numbered(one, &parameters).await?;
            desk.show(one, done)?;
            attempt.over(output);
        }
        [one] => desk.show(one, desk.single(one, &wanted).await?)?,
        many if args.auto_number => {
            let mut all = true;
            for file in many {
                match desk.numbered(file, &parameters).await {
                    Ok((done, attempt)) => {
                        desk.show(file, done)?;
                        attempt.over(output);
                    }
                    Err(failure) => all &= desk.tell(file, Err(failure))?,
                }
            }
            return Ok(all);
        }
        files => return many::submit(&desk, files, &wanted).await,
    }
    Ok(true)
}

/// Runs `credit`.
///
/// # Errors
/// As [`run`], and when it is refused.
pub async fn credit(args: &Credit, choice: &Choice, output: Output) -> Result<()> {
    let desk = Desk::open(choice, args.terms.out.clone(), output).await?;
    let mut parameters = args.terms.parameters();
    parameters.push(("credits", records::id(&args.record)?));
    let done = desk.single(&args.file, &desk.wanted(&parameters)).await?;
    desk.show(&args.file, done)
}
