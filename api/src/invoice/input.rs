//! From the model of an invoice to the input of the template's creating actions.

use muniment_invoices::{Invoice, model::Party};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::amount;
use super::judge::Judged;
use super::kept::{committed, digest};
use crate::problem::{ApiError, Code};

/// UNTDID 1001: what the buyer issues in the seller's name.
const SELF_BILLED: [&str; 8] = ["261", "389", "471", "473", "500", "501", "502", "527"];
/// Most entries of a VAT breakdown.
const MOST_VAT: usize = 16;

/// Most that an invoice is rounded by, hundredths.
const MOST_ROUNDING: i64 = 99;

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
    /// Only a commitment to the buyer's tax id goes to the ledger.
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
        content,
        rule_set,
    } = judged;
    taken(invoice)?;
    let supplier = tax_identity(&invoice.seller).ok_or_else(|| {
        unfit(
            "BT-31",
            "the seller has neither VAT id, tax registration nor legal registration; give one of them",
        )
    })?;
    let named = |id: String| kept.salt.map_or(id.clone(), |salt| committed(&salt, &id));
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            map.insert(name.to_owned(), value);
        }
    };
    put("regime", regime(invoice, terms).into());
    put("supplier", supplier.into());
    put("type", invoice.type_code.clone().into());
    put("series", terms.series.clone().into());
    put("number", invoice.number.clone().into());
    put("year", year(invoice)?.into());
    put("currency", invoice.currency.clone().into());
    put("issueDate", invoice.issue_date.clone().into());
    put("syntax", kept.form.name().into());
    put("content", hex::encode(content).into());
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
    put("agent", terms.agent.clone().into());
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

/// What the ledger takes no record of, before anything is signed.
fn taken(invoice: &Invoice) -> Result<(), ApiError> {
    if SELF_BILLED.contains(&invoice.type_code.as_str()) {
        let detail = format!(
            "type {} is issued by the buyer for the seller (self-billed), and here the issuer is who is owed the money; let \
             the seller issue it as 380, or 381 for a credit note",
            invoice.type_code
        );
        return Err(unfit("BT-3", &detail));
    }
    if let Err(wrong) = muniment_invoices::dates(invoice) {
        let detail = format!(
            "{:?} is no day of the calendar; write it as YYYY-MM-DD, without a time zone",
            wrong.value
        );
        return Err(unfit(wrong.term, &detail));
    }
    if invoice.vat.len() > MOST_VAT {
        let detail = format!(
            "the VAT breakdown has {} entries, the ledger takes {MOST_VAT}; split the invoice",
            invoice.vat.len()
        );
        return Err(unfit("BG-23", &detail));
    }
    Ok(())
}

fn year(invoice: &Invoice) -> Result<i64, ApiError> {
    let issued = invoice.issue_date.get(..4).and_then(|year| year.parse().ok());
    issued.ok_or_else(|| unfit("BT-2", "the issue date has no year; write YYYY-MM-DD"))
}

/// The one spelling of the id by which a party is known to a tax office or register: letters and digits, in upper case.
/// An id without a country of its own has the party's country before it, so that none is two countries'.
fn tax_identity(party: &Party) -> Option<String> {
    let normal = |text: &str| -> String {
        let letters = text.chars().filter(char::is_ascii_alphanumeric);
        letters.map(|one| one.to_ascii_uppercase()).collect()
    };
    let vat = party.vat_id.as_deref().map(normal).filter(|id| !id.is_empty());
    let country = party.address.as_ref().map(|address| normal(&address.country));
    let country = country
        .filter(|country| country.len() == 2)
        .unwrap_or_else(|| "ZZ".to_owned());
    let registered = party.registration.as_ref().map(|id| id.id.as_str());
    let local = [party.tax_id.as_deref(), registered];
    let local = local.into_iter().flatten().map(normal).find(|id| !id.is_empty());
    vat.or_else(|| local.map(|id| format!("{country}.{id}")))
}

fn totals(invoice: &Invoice) -> Result<Value, ApiError> {
    let totals = &invoice.totals;
    let rounding = hundredths("BT-114", totals.rounding)?;
    if rounding.abs() > MOST_ROUNDING {
        return Err(unfit(
            "BT-114",
            "a rounding amount is less than one unit of the currency: -0.99 to 0.99",
        ));
    }
    Ok(json!({
        "lines": amount("BT-106", totals.lines)?,
        "allowances": amount("BT-107", totals.allowances)?,
        "charges": amount("BT-108", totals.charges)?,
        "net": amount("BT-109", totals.net)?,
        "vat": amount("BT-110", totals.vat)?,
        "gross": amount("BT-112", totals.gross)?,
        "prepaid": amount("BT-113", totals.paid)?,
        "rounding": rounding,
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
    if amount < 0 && term == "BT-115" {
        let detail = "it is negative, because more is prepaid (BT-113) than the invoice is over; state at most the total with VAT as \
             prepaid, and pay back the rest";
        return Err(unfit(term, detail));
    }
    if amount < 0 {
        let detail = "it is negative, and the ledger takes no negative amounts; if the buyer is owed money, make it a credit note (type \
             381) with positive amounts, else put discounts into the allowances of their VAT category so that no sum is below \
             zero";
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn party(json: Value) -> Party {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_party_has_one_spelling_and_a_country() {
        let address = json!({ "country": "DE", "city": "Berlin" });
        for (given, wanted) in [
            (
                json!({ "name": "A", "vatId": " de 123-456.789", "address": address }),
                "DE123456789",
            ),
            (
                json!({ "name": "A", "taxId": "12/345/67890", "address": address }),
                "DE.1234567890",
            ),
            (
                json!({ "name": "A", "registration": { "id": "HRB 1" }, "address": address }),
                "DE.HRB1",
            ),
            (
                json!({ "name": "A", "vatId": "--", "taxId": "1", "address": address }),
                "DE.1",
            ),
        ] {
            assert_eq!(tax_identity(&party(given.clone())).as_deref(), Some(wanted), "{given}");
        }
        assert_eq!(tax_identity(&party(json!({ "name": "A", "address": address }))), None);
    }

    /// What the standard calls an invoice has its place on the ledger, or is one that the buyer issues.
    #[test]
    fn every_type_of_the_standard_is_taken_or_told_of() {
        let template: Value = serde_yaml::from_str(muniment_ledger::templates::ELECTRONIC_INVOICE).unwrap();
        let types = |action: &str| template["spec"]["actions"][action]["input"]["properties"]["type"]["enum"].clone();
        let all = template["spec"]["fields"]["properties"]["type"]["enum"]
            .as_array()
            .unwrap()
            .clone();
        let (issued, credited, replaced) = (types("issue"), types("credit"), types("replace"));
        for code in muniment_invoices::type_codes() {
            let own = json!(code);
            let listed = |list: &Value| list.as_array().unwrap().contains(&own);
            let self_billed = SELF_BILLED.contains(&code);
            let invoice = Invoice {
                type_code: code.to_owned(),
                ..Invoice::default()
            };
            let (note, correction) = (invoice.is_credit_note(), invoice.is_correction());
            assert_eq!(all.contains(&own), !self_billed, "{code}");
            assert_eq!(listed(&credited), note && !self_billed, "{code}");
            assert_eq!(listed(&issued), !note && !self_billed && !correction, "{code}");
            assert!(!correction || listed(&replaced), "{code}");
        }
    }
}
