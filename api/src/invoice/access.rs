//! Who may see an invoice's document: the keys that its record names.

use serde_json::Value;

/// Fields of the record that hold a party's key.
const FIELDS: &[&str] = &["recipient", "payee", "agent", "authority", "holder", "assignee"];
/// Lists of objects with a party's key, and where in them.
const LISTS: &[(&str, &str)] = &[("pledges", "lender")];

/// Whether a key is one of those that a record names: issuer, recipient, payee, agent, authority, holder, assignee,
/// lenders, employers.
pub fn is_named(record: &Value, key: &str) -> bool {
    let fields = &record["fields"];
    let is = |value: &Value| value.as_str() == Some(key);
    let listed = |(list, member): &(&str, &str)| {
        let entries = fields[*list].as_array().into_iter().flatten();
        entries.into_iter().any(|entry| is(&entry[*member]))
    };
    is_issuer(record, key)
        || FIELDS.iter().any(|field| is(&fields[*field]))
        || LISTS.iter().any(listed)
        || is(&fields["lock"]["employer"])
        || fields["reimbursers"].as_array().is_some_and(|keys| keys.iter().any(is))
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
            "pledges": [{ "lender": "bank", "id": "mallory" }], "lock": { "employer": "firm", "claimant": "x" },
            "reimbursers": ["firm2"],
        }});
        for key in ["issuer", "recipient", "payee", "bank", "firm", "firm2"] {
            assert!(is_named(&record, key), "{key}");
        }
        for key in ["mallory", "", "null"] {
            assert!(!is_named(&record, key), "{key}");
        }
        assert!(is_issuer(&record, "issuer") && !is_issuer(&record, "recipient"));
    }
}
