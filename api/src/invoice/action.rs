//! What may be done to an invoice, in the words of people: each word is an action of the template with an input that is
//! checked, completed and translated here. Amounts are decimal texts, times RFC 3339, parties names or keys.

mod words;

use serde_json::{Map, Value};
use std::collections::BTreeMap;

use super::amount;
use crate::body;
use crate::problem::{ApiError, Code};
pub use words::WORDS;

/// Longest offer of a pledge or an assignment that is made without saying how long it holds: seven days.
const OFFER_MS: i64 = 7 * 24 * 3_600 * 1_000;

/// What a field of an input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text, as it is.
    Text,
    /// A list of texts.
    Texts,
    /// Yes or no.
    Flag,
    /// Decimal text, hundredths on the ledger.
    Amount,
    /// RFC 3339, milliseconds on the ledger.
    Time,
    /// A party's name or key.
    Party,
}

/// Where a field comes from when it isn't given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// It must be given.
    Refused,
    /// It stays out.
    Out,
    /// What is still open; nothing, where only what is overpaid is told of.
    Open,
    /// What is open and not pledged.
    Unpledged,
    /// What is neither credited nor reimbursed.
    Unreimbursed,
    /// What is locked for reimbursement.
    Locked,
    /// What is said to have been refunded.
    Said,
    /// A time so far ahead that an offer can be answered.
    OfferEnd,
}

/// A field of an input.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Name, here and on the ledger.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// When it isn't given.
    pub absent: Absent,
}

/// A word for an action.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    /// As it stands in paths.
    pub name: &'static str,
    /// The template's action.
    pub action: &'static str,
    /// Input that the word itself means.
    pub means: &'static [(&'static str, &'static str)],
    /// Input that the caller gives.
    pub fields: &'static [Field],
}

/// A word by its name.
///
/// # Errors
/// 404 that lists the words.
pub fn find(name: &str) -> Result<&'static Word, ApiError> {
    WORDS.iter().find(|word| word.name == name).ok_or_else(|| {
        let known: Vec<_> = WORDS.iter().map(|word| word.name).collect();
        let detail = format!(
            "nothing of this name can be done to an invoice; there are: {}",
            known.join(", ")
        );
        ApiError::new(Code::NOT_FOUND, detail)
    })
}

impl Word {
    /// The action's input out of what the caller sent. `parties` has the keys of the names in it, `record` the invoice as
    /// it is, `now` is in milliseconds.
    ///
    /// # Errors
    /// 422 with a pointer.
    pub fn input(
        &self,
        given: &Map<String, Value>,
        parties: &BTreeMap<String, String>,
        record: &Value,
        now: i64,
    ) -> Result<Map<String, Value>, ApiError> {
        let mut input = Map::new();
        for (name, value) in self.means {
            input.insert((*name).to_owned(), (*value).into());
        }
        for field in self.fields {
            let value = match given.get(field.name).filter(|value| !value.is_null()) {
                Some(value) => Some(field.read(value, parties)?),
                None => field.absent.value(field.name, given, &input, record, now)?,
            };
            if let Some(value) = value {
                input.insert(field.name.to_owned(), value);
            }
        }
        Ok(input)
    }

    /// Names of parties in what the caller sent.
    pub fn names<'a>(&self, given: &'a Map<String, Value>) -> Vec<&'a str> {
        let parties = self.fields.iter().filter(|field| field.kind == Kind::Party);
        parties.filter_map(|field| given.get(field.name)?.as_str()).collect()
    }

    /// Names of its fields.
    pub fn known(&self) -> Vec<&'static str> {
        self.fields.iter().map(|field| field.name).collect()
    }
}

impl Field {
    fn read(&self, value: &Value, parties: &BTreeMap<String, String>) -> Result<Value, ApiError> {
        let wrong = |expected: &str| body::wrong(self.name, expected, value, "");
        let unread = |expected: &str| {
            let detail = format!("`{}` must be {expected}", self.name);
            ApiError::new(Code::INVALID_FIELD, detail).at(format!("/{}", self.name))
        };
        match self.kind {
            Kind::Texts if value.is_array() => Ok(value.clone()),
            Kind::Texts => Err(wrong("a list of texts")),
            Kind::Flag if value.is_boolean() => Ok(value.clone()),
            Kind::Flag => Err(wrong("true or false")),
            kind => {
                let text = value.as_str().ok_or_else(|| wrong("a text"))?;
                match kind {
                    Kind::Amount => {
                        let amount = amount::parse(text);
                        amount
                            .map(Value::from)
                            .ok_or_else(|| unread("an amount as text, such as \"119.00\""))
                    }
                    Kind::Time => {
                        let time = crate::time::parse(text);
                        time.map(Value::from)
                            .ok_or_else(|| unread("a time, RFC 3339 in UTC: 2027-01-31T00:00:00Z"))
                    }
                    Kind::Party => {
                        let key = parties.get(text);
                        key.map(|key| key.as_str().into())
                            .ok_or_else(|| unread("a party of the tenant, or a member's key (`ed25519:…`, `p256:…`)"))
                    }
                    _ => Ok(text.into()),
                }
            }
        }
    }
}

impl Absent {
    /// Where nothing is left an amount is one hundredth: the ledger then says by its rule why that is too much.
    fn value(
        self,
        name: &str,
        given: &Map<String, Value>,
        made: &Map<String, Value>,
        record: &Value,
        now: i64,
    ) -> Result<Option<Value>, ApiError> {
        let fields = &record["fields"];
        let number = |name: &str| fields[name].as_i64().unwrap_or(0);
        let some = |amount: i64| Some(amount.max(1).into());
        Ok(match self {
            Self::Refused => return Err(body::missing(name, "")),
            Self::Out => None,
            Self::Open if given.contains_key("overpaid") => Some(number("open").into()),
            Self::Open => some(number("open")),
            Self::Unpledged => some(number("open") - number("pledged")),
            Self::Unreimbursed => some(number("total") - number("credited") - number("reimbursed")),
            Self::Locked => some(fields["lock"]["amount"].as_i64().unwrap_or(0)),
            Self::Said => some(number("refundSaid")),
            // An offer holds no longer than the pledge itself.
            Self::OfferEnd => {
                let until = made.get("until").and_then(Value::as_i64).unwrap_or(i64::MAX);
                Some((now + OFFER_MS).min(until).into())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn record() -> Value {
        json!({ "fields": { "open": 10_000, "pledged": 4_000, "reimbursed": 1_900, "total": 11_900, "credited": 900,
            "lock": { "amount": 700 }, "refundSaid": 250, "number": "1" } })
    }

    fn input_of(name: &str, given: Value, record: &Value) -> Result<Value, ApiError> {
        let parties = BTreeMap::from([("bank".to_owned(), "ed25519:k".to_owned())]);
        let given = given.as_object().unwrap();
        let input = find(name)?.input(given, &parties, record, 1_000)?;
        Ok(Value::Object(input))
    }

    fn input(name: &str, given: Value) -> Result<Value, ApiError> {
        input_of(name, given, &record())
    }

    #[test]
    fn words_become_actions_with_whole_inputs() {
        assert_eq!(input("approve", json!({})).unwrap(), json!({ "code": "AP" }));
        let settled = input("settle", json!({ "payment": "p1" })).unwrap();
        assert_eq!(settled, json!({ "payment": "p1", "amount": 10_000 }));
        let part = input("settle", json!({ "payment": "p1", "amount": "19.99" })).unwrap();
        assert_eq!(part["amount"], 1_999);
        let pledge = json!({ "pledge": "a", "lender": "bank", "until": "1970-01-01T00:00:02Z" });
        let pledge = input("pledge", pledge).unwrap();
        assert_eq!(
            (&pledge["lender"], &pledge["amount"]),
            (&json!("ed25519:k"), &json!(6_000))
        );
        assert_eq!((&pledge["until"], &pledge["expires"]), (&json!(2_000), &json!(2_000)));
        let long = json!({ "pledge": "a", "lender": "bank", "until": "1971-01-01T00:00:00Z" });
        assert_eq!(input("pledge", long).unwrap()["expires"], 1_000 + OFFER_MS);
        let claim = json!({ "employer": "bank", "until": "1970-01-01T00:00:02Z" });
        assert_eq!(input("claim", claim).unwrap()["amount"], 9_100);
        assert_eq!(input("reimburse", json!({})).unwrap()["amount"], 700);
        assert_eq!(input("confirm-refund", json!({})).unwrap(), json!({ "amount": 250 }));
        let offered = input("assign", json!({ "assignee": "bank" })).unwrap();
        assert_eq!(offered, json!({ "assignee": "ed25519:k", "expires": 1_000 + OFFER_MS }));
        let late = input("settle", json!({ "payment": "p2", "overpaid": "5.00" })).unwrap();
        assert_eq!((&late["amount"], &late["overpaid"]), (&json!(10_000), &json!(500)));
    }

    /// The ledger's rules tell why nothing is left; an amount of nothing would be told of in their place.
    #[test]
    fn where_nothing_is_left_the_ledger_is_still_asked() {
        let done =
            json!({ "fields": { "open": 0, "pledged": 0, "reimbursed": 11_000, "total": 11_900, "credited": 900 } });
        let times = |given: Value| {
            let Value::Object(mut map) = given else { panic!() };
            map.insert("until".into(), json!("1970-01-01T00:00:02Z"));
            Value::Object(map)
        };
        for (word, given) in [
            ("settle", json!({ "payment": "p" })),
            ("pledge", times(json!({ "pledge": "p", "lender": "bank" }))),
            ("claim", times(json!({ "employer": "bank" }))),
            ("reimburse", json!({})),
        ] {
            assert_eq!(input_of(word, given, &done).unwrap()["amount"], 1, "{word}");
        }
        let beyond = json!({ "payment": "p", "overpaid": "1.00" });
        assert_eq!(input_of("settle", beyond, &done).unwrap()["amount"], 0);
    }

    #[test]
    fn each_fault_has_its_code_and_place() {
        let table = [
            ("settle", json!({}), "missing_field", "/payment"),
            ("settle", json!({ "payment": 1 }), "invalid_field", "/payment"),
            (
                "settle",
                json!({ "payment": "p", "amount": 5 }),
                "invalid_field",
                "/amount",
            ),
            (
                "settle",
                json!({ "payment": "p", "amount": "5.001" }),
                "invalid_field",
                "/amount",
            ),
            (
                "pledge",
                json!({ "pledge": "a", "lender": "nobody" }),
                "invalid_field",
                "/lender",
            ),
            (
                "pledge",
                json!({ "pledge": "a", "lender": "bank", "until": "soon" }),
                "invalid_field",
                "/until",
            ),
            ("dispute", json!({ "reasons": "REF" }), "invalid_field", "/reasons"),
            ("answer-void", json!({ "accept": "yes" }), "invalid_field", "/accept"),
        ];
        for (name, given, code, pointer) in table {
            let error = input(name, given.clone()).unwrap_err();
            assert_eq!((error.code(), error.pointer()), (code, Some(pointer)), "{name} {given}");
        }
        assert_eq!(find("burn").unwrap_err().code(), "not_found");
    }

    /// The template as plain values.
    fn template() -> Value {
        serde_yaml::from_str(muniment_ledger::templates::ELECTRONIC_INVOICE).unwrap()
    }

    #[test]
    fn every_word_gives_what_its_action_takes_and_every_action_has_a_word() {
        let template = template();
        let spec = &template["spec"];
        let mut actions: BTreeMap<&str, &Value> = BTreeMap::new();
        for part in ["actions", "deadlines"] {
            actions.extend(
                spec[part]
                    .as_object()
                    .unwrap()
                    .iter()
                    .map(|(name, action)| (name.as_str(), action)),
            );
        }
        for word in WORDS {
            let action = actions
                .get(word.action)
                .unwrap_or_else(|| panic!("no action {}", word.action));
            let input = &action["input"];
            let known: Vec<_> = input["properties"]
                .as_object()
                .into_iter()
                .flat_map(|map| map.keys())
                .collect();
            let given = word.means.iter().map(|(name, _)| *name).chain(word.known());
            let given: Vec<_> = given.collect();
            for name in &given {
                assert!(
                    known.iter().any(|known| known == name),
                    "{}: no field {name} in {}",
                    word.name,
                    word.action
                );
            }
            for name in input["required"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
            {
                let out = |field: &Field| field.name == name && field.absent == Absent::Out;
                assert!(
                    given.contains(&name) && !word.fields.iter().any(out),
                    "{} lacks {name}",
                    word.name
                );
            }
        }
        for name in actions
            .keys()
            .filter(|name| !["issue", "credit", "replace"].contains(name))
        {
            assert!(WORDS.iter().any(|word| word.action == *name), "nothing does {name}");
        }
    }

    #[test]
    fn the_regions_are_those_of_the_template() {
        let template = template();
        let regions = template["spec"]["regions"].as_object().unwrap();
        assert_eq!(regions.len(), crate::invoice::REGIONS.len());
        for (name, states) in crate::invoice::REGIONS {
            assert_eq!(regions[*name]["states"], json!(states), "{name}");
            assert_eq!(regions[*name]["initial"], states[0], "{name}");
        }
    }
}
