//! Whose keys an invoice's record names, who may see its document, and when its issuer may destroy it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Fields of the record that hold a party's key.
const FIELDS: &[&str] = &["recipient", "payee", "agent", "authority", "holder", "assignee"];
/// Lists and objects with a party's key, and where in them.
const WITHIN: &[(&str, &str)] = &[("pledges", "lender"), ("lock", "employer"), ("lock", "claimant")];

/// The keys that a record's fields, or the input that makes them, name: recipient, payee, agent, authority, holder,
/// assignee, lenders, employers and claimants.
pub fn named(fields: &Map<String, Value>) -> BTreeSet<&str> {
    let own = FIELDS.iter().filter_map(|field| fields.get(*field));
    let within = WITHIN.iter().flat_map(|(name, member)| {
        let entries = match fields.get(*name) {
            Some(Value::Array(entries)) => entries.as_slice(),
            Some(entry) => std::slice::from_ref(entry),
            None => &[],
        };
        entries.iter().map(|entry| &entry[*member])
    });
    let reimbursers = fields
        .get("reimbursers")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    own.chain(within).chain(reimbursers).filter_map(Value::as_str).collect()
}

/// Whether a key is one of those that a record names: the issuer and [`named`].
pub fn is_named(record: &Value, key: &str) -> bool {
    let fields = record["fields"].as_object();
    is_issuer(record, key) || fields.is_some_and(|fields| named(fields).contains(key))
}

/// What others may still need the document for; none when nothing hangs on the invoice any more.
pub fn needed_for(record: &Value) -> Option<&'static str> {
    let (fields, regions) = (&record["fields"], &record["regions"]);
    let some = |field: &str| fields[field].as_i64().unwrap_or(0) > 0;
    let gone = matches!(regions["document"].as_str(), Some("Void" | "Replaced"));
    let reasons = [
        (some("open") && !gone, "it is not paid"),
        (some("pledged"), "it is pledged"),
        (some("refundDue") || some("overpaid"), "money is to be refunded"),
        (
            some("clawback") || fields["lock"].is_object(),
            "a reimbursement is not settled",
        ),
        (
            matches!(
                regions["authority"].as_str(),
                Some("Due" | "Overdue" | "Submitted" | "CancelSent")
            ),
            "an authority is still to be told, or to answer",
        ),
        (
            regions["document"] == "VoidRequested",
            "the recipient is asked to let it be void",
        ),
    ];
    reasons.into_iter().find_map(|(holds, reason)| holds.then_some(reason))
}

/// Whether a key issued the invoice.
pub fn is_issuer(record: &Value, key: &str) -> bool {
    record["creator"].as_str() == Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whoever_the_record_names_may_see_it_and_nobody_else() {
        let record = json!({ "creator": "issuer", "fields": {
            "recipient": "recipient", "payee": "payee", "buyer": "mallory", "response": { "code": "mallory" },
            "pledges": [{ "lender": "bank", "id": "mallory" }], "lock": { "employer": "firm", "claimant": "clerk", "amount": 1 },
            "reimbursers": ["firm2"],
        }});
        for key in ["issuer", "recipient", "payee", "bank", "firm", "clerk", "firm2"] {
            assert!(is_named(&record, key), "{key}");
        }
        for key in ["mallory", "", "null"] {
            assert!(!is_named(&record, key), "{key}");
        }
        assert!(is_issuer(&record, "issuer") && !is_issuer(&record, "recipient"));
    }

    #[test]
    fn a_document_is_needed_while_something_hangs_on_its_invoice() {
        let record = |fields: Value, document: &str, authority: &str| json!({ "fields": fields, "regions": { "document": document, "authority": authority } });
        assert_eq!(needed_for(&record(json!({ "open": 0 }), "Issued", "NotDue")), None);
        assert_eq!(needed_for(&record(json!({ "open": 5 }), "Void", "Cancelled")), None);
        for needed in [
            record(json!({ "open": 5 }), "Issued", "NotDue"),
            record(json!({ "open": 0, "pledged": 5 }), "Issued", "NotDue"),
            record(json!({ "open": 0, "refundDue": 5 }), "PartlyCredited", "NotDue"),
            record(json!({ "open": 0, "clawback": 5 }), "Issued", "NotDue"),
            record(json!({ "open": 0, "lock": {} }), "Issued", "NotDue"),
            record(json!({ "open": 0 }), "Issued", "Due"),
        ] {
            assert!(needed_for(&needed).is_some(), "{needed}");
        }
    }
}
