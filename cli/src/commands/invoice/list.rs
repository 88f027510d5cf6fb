//! Invoices of a network.

use muniment_api::types::{InvoicePage, LARGEST_PAGE};

use crate::client::Client;
use crate::context::Choice;
use crate::error::{Failure, Result};
use crate::output::{Output, table};

/// Lists invoices, the newest first; all that is given must hold.
#[derive(clap::Args)]
pub struct Args {
    /// Invoice number.
    #[arg(long, value_name = "NUMBER")]
    number: Option<String>,
    /// Series of the number.
    #[arg(long, value_name = "NAME")]
    series: Option<String>,
    /// Any of its parties: tax id, name or key.
    #[arg(long, value_name = "PARTY")]
    party: Option<String>,
    /// First issue date, YYYY-MM-DD.
    #[arg(long, value_name = "DATE")]
    from: Option<String>,
    /// Last issue date, YYYY-MM-DD.
    #[arg(long, value_name = "DATE")]
    to: Option<String>,
    /// Least total with VAT, such as 119.00.
    #[arg(long, value_name = "AMOUNT")]
    min_amount: Option<String>,
    /// Largest total with VAT.
    #[arg(long, value_name = "AMOUNT")]
    max_amount: Option<String>,
    /// Currency.
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    /// States, such as settlement:Open, several with commas.
    #[arg(long, value_name = "REGION:STATE")]
    state: Option<String>,
    /// Credit notes of this invoice.
    #[arg(long, value_name = "ID")]
    credits: Option<String>,
    /// Go on here.
    #[arg(long, value_name = "NEXT")]
    after: Option<String>,
    /// Most invoices to show, 1 to 200.
    #[arg(long, default_value_t = 50, value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=i64::from(LARGEST_PAGE)))]
    limit: u16,
}

/// Runs the command.
pub async fn run(args: &Args, choice: &Choice, output: Output) -> Result<()> {
    let client = Client::new(choice.load()?)?;
    let given = [
        ("number", &args.number),
        ("series", &args.series),
        ("party", &args.party),
        ("from", &args.from),
        ("to", &args.to),
        ("minAmount", &args.min_amount),
        ("maxAmount", &args.max_amount),
        ("currency", &args.currency),
        ("state", &args.state),
        ("credits", &args.credits),
        ("after", &args.after),
    ];
    let limit = args.limit.to_string();
    let given = given
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?)));
    let url = client.url("/invoices");
    let url = reqwest::Url::parse_with_params(&url, given.chain([("limit", limit.as_str())]))
        .map_err(|error| Failure::usage("bad_server", format!("{url} is no address: {error}"), "check --server"))?;
    let page: InvoicePage = client.get(url.as_str()).await?;
    if output.json() {
        return output.document(&page);
    }
    let heading = ["ID", "NUMBER", "DATE", "SUPPLIER", "GROSS", "OPEN", "STATES"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for one in page.invoices {
        let states = one.states;
        rows.push(vec![
            one.id,
            one.number,
            one.issue_date,
            one.supplier,
            format!("{} {}", one.gross, one.currency),
            one.open,
            [
                states.document,
                states.approval,
                states.settlement,
                states.encumbrance,
                states.reimbursement,
            ]
            .join(","),
        ]);
    }
    output.line(table(&rows))?;
    if let Some(next) = page.next {
        output.say(format!("  next: muniment invoice list --after {next}"));
    }
    Ok(())
}
