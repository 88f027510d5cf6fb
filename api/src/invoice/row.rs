//! The row of an invoice in the projection, out of its record, or already out of the input that makes it.

use serde_json::{Map, Value};

use super::access;
use crate::store::entity::invoice::Model;

/// The row of a record, without its place in the log; none when it isn't one of an invoice.
pub fn of_record(network: i64, record: &Value) -> Option<Model> {
    let fields = record["fields"].as_object()?;
    let id = hex::decode(record["id"].as_str()?).ok()?;
    let mut row = base(network, &id, record["creator"].as_str()?, fields)?;
    let state = |region: &str| record["regions"][region].as_str().map(str::to_owned);
    row.payee = text(fields, "payee").unwrap_or(row.payee);
    row.open = fields.get("open").and_then(Value::as_i64).unwrap_or(0);
    row.version = record["version"].as_i64()?;
    row.document = state("document")?;
    row.approval = state("approval")?;
    row.settlement = state("settlement")?;
    row.encumbrance = state("encumbrance")?;
    row.reimbursement = state("reimbursement")?;
    row.authority = state("authority")?;
    Some(row)
}

/// The row that an accepted `issue` makes, where its input alone says how the record begins: with nothing prepaid and
/// nothing to report. None where the record has to be looked at. Without its place in the log, too.
pub fn of_issue(network: i64, id: &[u8; 32], issuer: &str, input: &Map<String, Value>) -> Option<Model> {
    let totals = input.get("totals")?;
    let fresh = totals["due"].as_i64()? > 0 && totals["prepaid"].as_i64()? == 0;
    let plain = fresh && !input.contains_key("authority");
    let row = base(network, id, issuer, input)?;
    plain.then_some(row)
}

/// With the first states of all regions.
fn base(network: i64, id: &[u8], issuer: &str, fields: &Map<String, Value>) -> Option<Model> {
    let totals = fields.get("totals")?;
    let first = |state: &str| state.to_owned();
    Some(Model {
        network,
        record: id.to_vec(),
        issuer: issuer.to_owned(),
        supplier: text(fields, "supplier")?,
        recipient: text(fields, "recipient")?,
        buyer: text(fields, "buyer"),
        payee: issuer.to_owned(),
        series: text(fields, "series")?,
        number: text(fields, "number")?,
        kind: text(fields, "type")?,
        issue_date: text(fields, "issueDate")?,
        due_date: text(fields, "dueDate"),
        currency: text(fields, "currency")?,
        gross: totals["gross"].as_i64()?,
        open: totals["due"].as_i64()?,
        credits: text(fields, "invoice").and_then(|id| hex::decode(id).ok()),
        content: hex::decode(text(fields, "content")?).ok()?,
        named: format!(" {} ", access::named(fields).into_iter().collect::<Vec<_>>().join(" ")),
        leaf: 0,
        version: 1,
        document: first("Issued"),
        approval: first("None"),
        settlement: first("Open"),
        encumbrance: first("Free"),
        reimbursement: first("Unclaimed"),
        authority: first("NotDue"),
    })
}

fn text(fields: &Map<String, Value>, name: &str) -> Option<String> {
    fields.get(name)?.as_str().map(str::to_owned)
}
