//! What a record says, as a person reads it: all that the next step, or a refusal's sentence, may ask for, under the names
//! that refusals use. What says nothing is left out.

use serde_json::{Map, Value};

use crate::commands::records::text;
use crate::output::rfc3339;

/// Texts of the record: label, and field.
const TEXTS: [(&str, &str); 13] = [
    ("supplier", "supplier"),
    ("buyer", "buyer"),
    ("due date", "dueDate"),
    ("credit note for", "invoice"),
    ("in place of", "original"),
    ("replaced by", "replacedBy"),
    ("recipient", "recipient"),
    ("payee", "payee"),
    ("agent", "agent"),
    ("authority", "authority"),
    ("holder", "holder"),
    ("assignee", "assignee"),
    ("reason", "reason"),
];
/// Amounts that are shown even if they are nothing.
const ALWAYS: [&str; 4] = ["total", "open", "paid", "credited"];
/// Amounts that are shown if there are any.
const IF_ANY: [&str; 9] = [
    "overpaid",
    "refundDue",
    "refundSaid",
    "refunded",
    "pledged",
    "payeeConsent",
    "reimbursed",
    "clawback",
    "prepaid",
];
/// Times of the record.
const TIMES: [(&str, &str); 3] = [
    ("assignmentExpires", "assignmentExpires"),
    ("voidRequested", "voidRequested"),
    ("reportBy", "reportBy"),
];

/// The rows of a record: a name and what it is.
pub fn rows(record: &Value) -> Vec<(String, String)> {
    let Some(fields) = record["fields"].as_object() else {
        return Vec::new();
    };
    let shown = Shown {
        fields,
        rows: Vec::new(),
    };
    let Shown { rows, .. } = shown
        .identity()
        .texts()
        .amounts()
        .times()
        .regions(record)
        .answer()
        .payments()
        .pledges()
        .lock()
        .lists();
    rows
}

struct Shown<'a> {
    fields: &'a Map<String, Value>,
    rows: Vec<(String, String)>,
}

impl Shown<'_> {
    fn row(mut self, name: &str, value: String) -> Self {
        self.rows.push((name.to_owned(), value));
        self
    }

    fn field(&self, name: &str) -> &Value {
        self.fields.get(name).unwrap_or(&Value::Null)
    }

    fn list(&self, name: &str) -> Vec<Value> {
        self.field(name).as_array().cloned().unwrap_or_default()
    }

    fn money(&self, value: &Value) -> String {
        let hundredths = value.as_i64().unwrap_or(0);
        let sign = if hundredths < 0 { "-" } else { "" };
        let (whole, part) = (hundredths.unsigned_abs() / 100, hundredths.unsigned_abs() % 100);
        format!("{sign}{whole}.{part:02} {}", text(self.field("currency")))
    }

    fn identity(self) -> Self {
        let [number, date, kind] = ["number", "issueDate", "type"].map(|name| text(self.field(name)));
        let shown = self.row("number", format!("{number} of {date} (type {kind})"));
        ["net", "vat", "gross"].into_iter().fold(shown, |shown, name| {
            let amount = shown.money(&shown.field("totals")[name]);
            shown.row(name, amount)
        })
    }

    fn texts(self) -> Self {
        TEXTS
            .into_iter()
            .fold(self, |shown, (label, name)| match shown.field(name) {
                Value::Null => shown,
                value => {
                    let value = text(value);
                    shown.row(label, value)
                }
            })
    }

    fn amounts(self) -> Self {
        // A credit note is owed by nobody.
        let note = self.field("note") == &Value::Bool(true);
        let always = ALWAYS.into_iter().filter(|_| !note);
        let shown = always.fold(self, |shown, name| {
            let amount = shown.money(shown.field(name));
            shown.row(name, amount)
        });
        IF_ANY.into_iter().fold(shown, |shown, name| {
            let value = match name {
                "prepaid" => &shown.field("totals")["prepaid"],
                name => shown.field(name),
            };
            if value.as_i64().unwrap_or(0) == 0 {
                return shown;
            }
            let amount = shown.money(value);
            shown.row(name, amount)
        })
    }

    fn times(self) -> Self {
        TIMES
            .into_iter()
            .fold(self, |shown, (label, name)| match shown.field(name) {
                Value::Null => shown,
                value => {
                    let time = time(value);
                    shown.row(label, time)
                }
            })
    }

    fn regions(self, record: &Value) -> Self {
        let regions = record["regions"].as_object().into_iter().flatten();
        regions.fold(self, |shown, (region, state)| shown.row(region, text(state)))
    }

    fn answer(self) -> Self {
        let response = self.field("response").clone();
        if response.is_null() {
            return self;
        }
        let reasons = response["reasons"].as_array().into_iter().flatten().map(text);
        let reasons: Vec<String> = reasons.collect();
        let why = if reasons.is_empty() {
            String::new()
        } else {
            format!(" ({})", reasons.join(", "))
        };
        self.row(
            "response",
            format!("{}{why} at {}", text(&response["code"]), time(&response["time"])),
        )
    }

    fn payments(self) -> Self {
        self.list("payments").iter().fold(self, |shown, payment| {
            let mut said = format!("{}: {}", text(&payment["id"]), shown.money(&payment["amount"]));
            if payment["overpaid"].as_i64().unwrap_or(0) > 0 {
                said += &format!(", {} overpaid", shown.money(&payment["overpaid"]));
            }
            said += if payment["confirmed"] == true {
                ", confirmed"
            } else {
                ", not confirmed by the recipient"
            };
            shown.row("payment", said)
        })
    }

    fn pledges(self) -> Self {
        self.list("pledges").iter().fold(self, |shown, pledge| {
            let (id, lender) = (text(&pledge["id"]), text(&pledge["lender"]));
            let mut said = format!("{id}: {} to {lender}", shown.money(&pledge["amount"]));
            said += &match pledge["live"] == true {
                true => format!(", live until {}", time(&pledge["until"])),
                false => format!(
                    ", offered until {}, would end {}",
                    time(&pledge["expires"]),
                    time(&pledge["until"])
                ),
            };
            for (name, word) in [("waived", "lent by waiver"), ("acknowledged", "acknowledged")] {
                if pledge[name] == true {
                    said += &format!(", {word}");
                }
            }
            if pledge["consent"].as_i64().unwrap_or(0) > 0 {
                said += &format!(", consents to a credit of {}", shown.money(&pledge["consent"]));
            }
            shown.row("pledge", said)
        })
    }

    fn lock(self) -> Self {
        let lock = self.field("lock").clone();
        if lock.is_null() {
            return self;
        }
        let said = format!(
            "{} claimed by {} from {} until {}",
            self.money(&lock["amount"]),
            text(&lock["claimant"]),
            text(&lock["employer"]),
            time(&lock["until"])
        );
        self.row("lock", said)
    }

    fn lists(self) -> Self {
        let named = [("reimbursers", "reimbursed by"), ("creditNotes", "credit note")];
        named.into_iter().fold(self, |shown, (name, label)| {
            let all = shown.list(name);
            all.iter().fold(shown, |shown, one| shown.row(label, text(one)))
        })
    }
}

fn time(value: &Value) -> String {
    value.as_u64().map_or_else(|| text(value), rfc3339)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record() -> Value {
        json!({ "regions": { "settlement": "Overpaid" }, "fields": {
            "number": "1", "issueDate": "2026-11-24", "type": "380", "currency": "EUR", "supplier": "DE1",
            "totals": { "net": 10_000, "vat": 1_900, "gross": 11_900, "prepaid": 0 }, "total": 11_900, "open": 0, "paid": 11_900, "credited": 0,
            "overpaid": 5, "refundDue": 0, "refundSaid": 3, "refunded": 0, "pledged": 700, "payeeConsent": 0,
            "payee": "ed25519:fund", "assignee": "ed25519:bank", "assignmentExpires": 0,
            "payments": [{ "id": "S-1", "amount": 11_900, "overpaid": 5, "time": 1, "confirmed": false }],
            "pledges": [{ "id": "p", "lender": "ed25519:l", "amount": 700, "until": 1_000, "expires": 0, "live": true,
                "waived": false, "acknowledged": true, "consent": 50 }],
            "lock": { "employer": "ed25519:e", "claimant": "ed25519:c", "amount": 1, "until": 0 },
            "response": { "code": "UQ", "reasons": ["REF"], "time": 0 }, "creditNotes": ["ab"], "reimbursers": []
        }})
    }

    #[test]
    fn what_refusals_name_is_shown() {
        let rows = rows(&record());
        let of = |name: &str| {
            rows.iter()
                .find_map(|(own, value)| (own == name).then_some(value.as_str()))
        };
        for (name, value) in [
            ("net", "100.00 EUR"),
            ("vat", "19.00 EUR"),
            ("open", "0.00 EUR"),
            ("overpaid", "0.05 EUR"),
            ("refundSaid", "0.03 EUR"),
            ("pledged", "7.00 EUR"),
            ("payee", "ed25519:fund"),
            ("assignee", "ed25519:bank"),
            ("assignmentExpires", "1970-01-01T00:00:00.000Z"),
            (
                "payment",
                "S-1: 119.00 EUR, 0.05 EUR overpaid, not confirmed by the recipient",
            ),
            (
                "pledge",
                "p: 7.00 EUR to ed25519:l, live until 1970-01-01T00:00:01.000Z, acknowledged, consents to a credit of 0.50 EUR",
            ),
            (
                "lock",
                "0.01 EUR claimed by ed25519:c from ed25519:e until 1970-01-01T00:00:00.000Z",
            ),
            ("response", "UQ (REF) at 1970-01-01T00:00:00.000Z"),
            ("credit note", "ab"),
            ("settlement", "Overpaid"),
        ] {
            assert_eq!(of(name), Some(value), "{name}");
        }
        // A credit note is owed by nobody, so nothing is said to be open.
        let mut note = record();
        note["fields"]["note"] = json!(true);
        assert!(
            super::rows(&note)
                .iter()
                .all(|(name, _)| name != "open" && name != "total")
        );
        for absent in [
            "refundDue",
            "refunded",
            "agent",
            "reportBy",
            "clawback",
            "reimbursed by",
        ] {
            assert_eq!(of(absent), None, "{absent}");
        }
    }
}
