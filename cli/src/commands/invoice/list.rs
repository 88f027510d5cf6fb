//! Invoices of a network.

use muniment_api::types::{InvoicePage, LARGEST_PAGE};

use crate::client::Client;
use crate::context::Choice;
use crate::error::{Failure, Result};
use crate::output::{Output, table};

/// Invoices of a page, unless asked otherwise.
const LIMIT: u16 = 50;

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
    #[arg(long, default_value_t = LIMIT, value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=i64::from(LARGEST_PAGE)))]
    limit: u16,
}

impl Args {
    /// What was asked for: option, parameter and value.
    fn filters(&self) -> Vec<(&'static str, &'static str, &str)> {
        let all = [
            ("number", "number", &self.number),
            ("series", "series", &self.series),
            ("party", "party", &self.party),
            ("from", "from", &self.from),
            ("to", "to", &self.to),
            ("min-amount", "minAmount", &self.min_amount),
            ("max-amount", "maxAmount", &self.max_amount),
            ("currency", "currency", &self.currency),
            ("state", "state", &self.state),
            ("credits", "credits", &self.credits),
        ];
        all.into_iter()
            .filter_map(|(option, name, value)| Some((option, name, value.as_deref()?)))
            .collect()
    }

    /// What an empty page says.
    fn nothing(&self) -> String {
        let filters = self.filters();
        match (&self.after, filters.is_empty()) {
            (Some(_), _) => "there are no more".to_owned(),
            (None, true) => "the network has no invoices".to_owned(),
            (None, false) => {
                let given = filters
                    .iter()
                    .map(|(option, _, value)| format!("--{option}={}", quoted(value)));
                let given: Vec<_> = given.collect();
                format!("no invoice is like {}; all of it must hold", given.join(" "))
            }
        }
    }

    /// The command that shows the next page of the same.
    fn next(&self, after: &str) -> String {
        let mut command = "muniment invoice list".to_owned();
        for (option, _, value) in self.filters() {
            command.push_str(&format!(" --{option}={}", quoted(value)));
        }
        if self.limit != LIMIT {
            command.push_str(&format!(" --limit {}", self.limit));
        }
        format!("{command} --after {}", quoted(after))
    }
}

/// A value as a shell takes it for one word.
fn quoted(value: &str) -> String {
    let plain = |one: char| one.is_ascii_alphanumeric() || "-_.:,/@+=".contains(one);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// Runs the command.
pub async fn run(args: &Args, choice: &Choice, output: Output) -> Result<()> {
    let client = Client::new(choice.load()?)?;
    let limit = args.limit.to_string();
    let page = [("after", args.after.as_deref()), ("limit", Some(limit.as_str()))];
    let page = page.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let given = args.filters().into_iter().map(|(_, name, value)| (name, value));
    let url = client.url("/invoices");
    let url = reqwest::Url::parse_with_params(&url, given.chain(page))
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
    if rows.len() == 1 {
        output.say(args.nothing());
        return Ok(());
    }
    output.line(table(&rows))?;
    if let Some(next) = page.next {
        output.say(format!("  next: {}", args.next(&next)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use clap::Parser;

    #[derive(clap::Parser)]
    struct List {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn an_empty_page_says_what_was_asked_for() {
        let nothing = |given: &[&str]| {
            let args = List::try_parse_from(["list"].iter().chain(given)).unwrap().args;
            args.nothing()
        };
        assert_eq!(nothing(&[]), "the network has no invoices");
        assert_eq!(nothing(&["--after", "x"]), "there are no more");
        assert_eq!(
            nothing(&["--number", "1", "--party", "a b"]),
            "no invoice is like --number=1 --party='a b'; all of it must hold"
        );
    }

    /// Who looks for some invoices isn't led on to others.
    #[test]
    fn the_next_page_is_of_the_same_question() {
        let next = |given: &[&str]| {
            let args = List::try_parse_from(["list"].iter().chain(given)).unwrap().args;
            args.next("2026-01-01_ab")
        };
        assert_eq!(next(&[]), "muniment invoice list --after 2026-01-01_ab");
        let given = [
            "--state",
            "settlement:Open",
            "--min-amount",
            "1.00",
            "--party",
            "it's a name",
            "--limit",
            "1",
            "--after",
            "x",
        ];
        assert_eq!(
            next(&given),
            r"muniment invoice list --party='it'\''s a name' --min-amount=1.00 --state=settlement:Open --limit 1 --after 2026-01-01_ab"
        );
    }
}
