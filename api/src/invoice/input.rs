//! From the model of an invoice to the input of the template's creating actions.

use muniment_invoices::{Invoice, model::Party};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::amount;
use super::judge::Judged;
use super::kept::digest;
use crate::problem::{ApiError, Code};

/// What the document itself doesn't say.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// Key of who receives the invoice.
    pub recipient: String,
    /// Key of who may report payments.
    pub agent: Option<String>,
    /// Key of the authority it is reported to.
    pub authority: Option<String>,
    /// When it must be reported by, milliseconds.
    pub report_by: Option<i64>,
    /// Tax regime; by default the seller's country.
    pub regime: Option<String>,
    /// Series of the number.
    pub series: String,
    /// Fiscal year; by default the year of the issue date.
    pub year: Option<i64>,
    /// Only commitments to the parties' tax ids go to the ledger.
    pub committed: bool,
    /// Place in the series, if the caller insists on one.
    pub counter: Option<u64>,
}

impl Terms {
    /// The same at a place of the series.
    pub fn at(self, place: u64) -> Self {
        Self {
            counter: Some(place),
            ..self
        }
    }
}

/// How an invoice comes onto the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// An invoice of its own.
    Issue,
    /// A credit note for the record of an invoice.
    Credit(String),
    /// In place of the record of an invoice.
    Replace(String),
}

impl Entry {
    /// The template's action.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::Credit(_) => "credit",
            Self::Replace(_) => "replace",
        }
    }
}

/// The action's input.
///
/// # Errors
/// 422 when the ledger has no place for what the document says.
pub fn input(judged: &Judged, terms: &Terms, entry: &Entry) -> Result<Map<String, Value>, ApiError> {
    let Judged {
        invoice,
        kept,
        rule_set,
    } = judged;
    let supplier = tax_identity(&invoice.seller).ok_or_else(|| {
        unfit(
            "BT-31",
            "the seller has neither VAT id, tax registration nor legal registration; give one of them",
        )
    })?;
    let named = |id: String| if terms.committed { commitment(&id) } else { id };
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            map.insert(name.to_owned(), value);
        }
    };
    put("regime", regime(invoice, terms).into());
    put("supplier", named(supplier).into());
    put("type", invoice.type_code.clone().into());
    put("series", terms.series.clone().into());
    put("number", invoice.number.clone().into());
    put("year", year(invoice, terms)?.into());
    put("currency", invoice.currency.clone().into());
    put("issueDate", invoice.issue_date.clone().into());
    put("syntax", kept.form.name().into());
    put("content", hex::encode(kept.content()).into());
    put(
        "canonical",
        kept.made.as_ref().map(|made| hex::encode(digest(made))).into(),
    );
    let verdict = json!({
        "ruleSet": rule_set, "digest": hex::encode(digest(&kept.report)), "fatal": 0, "exact": true,
    });
    put("verdict", verdict);
    put("recipient", terms.recipient.clone().into());
    put("buyer", tax_identity(&invoice.buyer).map(named).into());
    put("authority", terms.authority.clone().into());
    put("reportBy", terms.report_by.into());
    put("totals", totals(invoice)?);
    put("vat", vat(invoice)?);
    put(
        "chain",
        terms.counter.map(|counter| json!({ "counter": counter })).into(),
    );
    match entry {
        Entry::Credit(of) => put("invoice", of.clone().into()),
        Entry::Issue | Entry::Replace(_) => {
            put("dueDate", invoice.due_date.clone().into());
            put("agent", terms.agent.clone().into());
            if let Entry::Replace(of) = entry {
                put("original", of.clone().into());
            }
        }
    }
    Ok(map)
}

fn regime(invoice: &Invoice, terms: &Terms) -> String {
    let country = invoice.seller.address.as_ref().map(|address| address.country.clone());
    let regime = terms.regime.clone().or(country);
    regime
        .filter(|regime| !regime.is_empty())
        .unwrap_or_else(|| "EU".to_owned())
}

fn year(invoice: &Invoice, terms: &Terms) -> Result<i64, ApiError> {
    let issued = invoice.issue_date.get(..4).and_then(|year| year.parse().ok());
    terms
        .year
        .or(issued)
        .ok_or_else(|| unfit("BT-2", "the issue date has no year; write YYYY-MM-DD"))
}

/// The id by which a party is known to a tax office or register, without blanks, in upper case.
fn tax_identity(party: &Party) -> Option<String> {
    let registered = party.registration.as_ref().map(|id| id.id.clone());
    let known = [party.vat_id.clone(), party.tax_id.clone(), registered];
    let normal = |text: String| -> String {
        text.chars()
            .filter(|one| !one.is_whitespace())
            .flat_map(char::to_uppercase)
            .collect()
    };
    known.into_iter().flatten().map(normal).find(|id| !id.is_empty())
}

/// Tells whether two invoices have the same party, and not which.
fn commitment(id: &str) -> String {
    let text = [b"muniment.dev/party/v1\n", id.as_bytes()].concat();
    format!("SHA256:{}", hex::encode_upper(digest(&text)))
}

fn totals(invoice: &Invoice) -> Result<Value, ApiError> {
    let totals = &invoice.totals;
    Ok(json!({
        "lines": amount("BT-106", totals.lines)?,
        "allowances": amount("BT-107", totals.allowances)?,
        "charges": amount("BT-108", totals.charges)?,
        "net": amount("BT-109", totals.net)?,
        "vat": amount("BT-110", totals.vat)?,
        "gross": amount("BT-112", totals.gross)?,
        "prepaid": amount("BT-113", totals.paid)?,
        "rounding": hundredths("BT-114", totals.rounding)?,
        "due": amount("BT-115", totals.due)?,
    }))
}

fn vat(invoice: &Invoice) -> Result<Value, ApiError> {
    let entry = |vat: &muniment_invoices::model::Vat| {
        let rate = vat.rate.unwrap_or_default();
        let rate = amount::millionths(rate)
            .ok_or_else(|| unfit("BT-119", &format!("the rate {rate} has more than four decimals")))?;
        Ok(json!({
            "category": vat.category, "rate": rate, "base": amount("BT-116", vat.base)?, "vat": amount("BT-117", vat.vat)?,
        }))
    };
    let entries: Result<Vec<Value>, ApiError> = invoice.vat.iter().map(entry).collect();
    entries.map(Value::Array)
}

/// An amount that can't be negative on the ledger.
fn amount(term: &str, value: Option<Decimal>) -> Result<i64, ApiError> {
    let amount = hundredths(term, value)?;
    if amount < 0 {
        let detail =
            "it is negative; an invoice that owes the buyer money is a credit note (type 381) with positive amounts";
        return Err(unfit(term, detail));
    }
    Ok(amount)
}

fn hundredths(term: &str, value: Option<Decimal>) -> Result<i64, ApiError> {
    let value = value.unwrap_or_default();
    amount::hundredths(value).ok_or_else(|| {
        unfit(
            term,
            &format!("{value} has more than two decimals or is beyond 10^13; the ledger can't hold it"),
        )
    })
}

fn unfit(term: &str, why: &str) -> ApiError {
    ApiError::new(Code::UNFIT_INVOICE, format!("{term}: {why}"))
}
