//! What is done to an invoice: the usual things by name, all others with `act`.

use serde_json::{Map, Value};

use crate::client::Client;
use crate::commands::records::write::{Receipt, step};
use crate::commands::records::{id, word};
use crate::context::Choice;
use crate::error::{Failure, Result};
use crate::output::Output;

/// Actions.
#[derive(clap::Subcommand)]
pub enum Command {
    /// The recipient accepts the invoice.
    Approve {
        #[command(flatten)]
        of: Of,
    },
    /// The recipient disputes it.
    Dispute {
        #[command(flatten)]
        of: Of,
        /// Why: REF, LEG, REC, QUA, DEL, PRI, QTY, ITM, PAY, …; may be given several times.
        #[arg(long = "reason", value_name = "CODE", required = true)]
        reasons: Vec<String>,
    },
    /// The recipient rejects it for good.
    Reject {
        #[command(flatten)]
        of: Of,
        /// Why, as of `dispute`.
        #[arg(long = "reason", value_name = "CODE", required = true)]
        reasons: Vec<String>,
    },
    /// The payee, or the payment agent, reports a payment.
    Settle {
        #[command(flatten)]
        of: Of,
        /// Reference of the payment; each counts once.
        #[arg(long, value_name = "REFERENCE")]
        payment: String,
        /// Amount, such as 19.99 [default: all that is open].
        #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true)]
        amount: Option<String>,
    },
    /// The payee offers it to a lender as a pledge.
    Pledge {
        #[command(flatten)]
        of: Of,
        /// Name of the pledge.
        #[arg(long, value_name = "NAME")]
        pledge: String,
        /// Who lends: a party or a member's key.
        #[arg(long, value_name = "PARTY")]
        lender: String,
        /// When it may be enforced, RFC 3339.
        #[arg(long, value_name = "TIME")]
        until: String,
        /// Amount [default: what is open and not pledged].
        #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true)]
        amount: Option<String>,
    },
    /// The lender takes the pledge.
    AcceptPledge {
        #[command(flatten)]
        of: Of,
        /// Name of the pledge.
        #[arg(long, value_name = "NAME")]
        pledge: String,
    },
    /// The lender lets the pledge go.
    Release {
        #[command(flatten)]
        of: Of,
        /// Name of the pledge.
        #[arg(long, value_name = "NAME")]
        pledge: String,
    },
    /// The recipient, or the employee it appointed, claims reimbursement from an employer.
    Claim {
        #[command(flatten)]
        of: Of,
        /// Who reimburses: a party or a member's key.
        #[arg(long, value_name = "PARTY")]
        employer: String,
        /// When the claim lapses, RFC 3339.
        #[arg(long, value_name = "TIME")]
        until: String,
        /// Amount [default: what nobody has reimbursed yet].
        #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true)]
        amount: Option<String>,
    },
    /// The employer reimburses what is claimed.
    Reimburse {
        #[command(flatten)]
        of: Of,
        /// Amount [default: all that is claimed].
        #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true)]
        amount: Option<String>,
    },
    /// The issuer cancels it within a day, before anybody answered.
    Cancel {
        #[command(flatten)]
        of: Of,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Anything else that may be done to an invoice (docs/invoices.md).
    Act {
        #[command(flatten)]
        of: Of,
        /// What.
        #[arg(value_name = "ACTION")]
        action: String,
        /// Fields as NAME=VALUE; `true` and `false` are flags.
        #[arg(value_name = "NAME=VALUE")]
        fields: Vec<String>,
    },
}

/// Which invoice, and where the step's receipt goes.
#[derive(clap::Args)]
pub struct Of {
    /// Record id, 64 hex digits.
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    receipt: Receipt,
}

/// Runs an action.
pub async fn run(command: Command, choice: &Choice, output: Output) -> Result<()> {
    let (of, action, body) = parts(command)?;
    let path = format!("/invoices/{}/actions/{}", id(&of.id)?, word("action", &action)?);
    let client = Client::open(choice, output)?;
    step(&client, &path, &Value::Object(body), &of.receipt, output).await?;
    Ok(())
}

type Parts = (Of, String, Map<String, Value>);

fn parts(command: Command) -> Result<Parts> {
    let body = |fields: Vec<(&str, Option<Value>)>| -> Map<String, Value> {
        let given = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        given.collect()
    };
    let some = |text: String| Some(Value::String(text));
    let maybe = |text: Option<String>| text.map(Value::String);
    let (of, action, body) = match command {
        Command::Approve { of } => (of, "approve", Map::new()),
        Command::Dispute { of, reasons } => (of, "dispute", body(vec![("reasons", Some(reasons.into()))])),
        Command::Reject { of, reasons } => (of, "reject", body(vec![("reasons", Some(reasons.into()))])),
        Command::Settle { of, payment, amount } => {
            let fields = vec![("payment", some(payment)), ("amount", maybe(amount))];
            (of, "settle", body(fields))
        }
        Command::Pledge {
            of,
            pledge,
            lender,
            until,
            amount,
        } => {
            let fields = vec![
                ("pledge", some(pledge)),
                ("lender", some(lender)),
                ("until", some(until)),
                ("amount", maybe(amount)),
            ];
            (of, "pledge", body(fields))
        }
        Command::AcceptPledge { of, pledge } => (of, "accept-pledge", body(vec![("pledge", some(pledge))])),
        Command::Release { of, pledge } => (of, "release", body(vec![("pledge", some(pledge))])),
        Command::Claim {
            of,
            employer,
            until,
            amount,
        } => {
            let fields = vec![
                ("employer", some(employer)),
                ("until", some(until)),
                ("amount", maybe(amount)),
            ];
            (of, "claim", body(fields))
        }
        Command::Reimburse { of, amount } => (of, "reimburse", body(vec![("amount", maybe(amount))])),
        Command::Cancel { of, reason } => (of, "cancel", body(vec![("reason", some(reason))])),
        Command::Act { of, action, fields } => {
            return Ok((of, action, given(&fields)?));
        }
    };
    Ok((of, action.to_owned(), body))
}

/// The fields of `act`, each once: of two amounts nobody can say which is meant.
fn given(fields: &[String]) -> Result<Map<String, Value>> {
    let mut map = Map::new();
    for text in fields {
        let (name, value) = field(text)?;
        if map.contains_key(&name) {
            return Err(Failure::usage(
                "given_twice",
                format!("`{name}` is given twice"),
                "give each field once; several reasons stand with commas, as in reasons=REF,PRI",
            ));
        }
        map.insert(name, value);
    }
    Ok(map)
}

/// `reasons` is the only list; several values stand with commas.
fn field(text: &str) -> Result<(String, Value)> {
    let (name, value) = text.split_once('=').ok_or_else(|| {
        Failure::usage(
            "bad_field",
            format!("`{text}` is no field"),
            "write NAME=VALUE, for example amount=19.99",
        )
    })?;
    let value = match (name, value) {
        ("reasons", list) => Value::from(list.split(',').collect::<Vec<_>>()),
        (_, "true") => true.into(),
        (_, "false") => false.into(),
        (_, text) => text.into(),
    };
    Ok((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn fields(texts: &[&str]) -> Result<Map<String, Value>> {
        given(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_field_is_given_once() {
        let fine = fields(&["payment=S=1", "reasons=REF,PRI", "waiver=true"]).unwrap();
        let expected = serde_json::json!({ "payment": "S=1", "reasons": ["REF", "PRI"], "waiver": true });
        assert_eq!(Value::Object(fine), expected);
        let twice = fields(&["amount=1", "payment=a", "amount=1"]).unwrap_err();
        assert!(
            twice.code == "given_twice" && twice.message.contains("`amount`"),
            "{twice}"
        );
    }
}
