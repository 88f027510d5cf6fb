//! Whether what is registered is what was asked for. The same document, registered by another key, to other parties, by other
//! rules or with the buyer's id in the clear, is another thing.

use muniment_api::types::Whoami;
use muniment_receipts::verify::StatementSummary;
use serde_json::{Map, Value};
use tokio::sync::OnceCell;

use crate::client::Client;
use crate::commands::party;
use crate::error::{Failure, Result};
use crate::evidence::Facts;

/// Template of the records that are made.
const TEMPLATE: &str = "electronic-invoice";
/// Parameters that name parties, and stand in the input under the same name.
const PARTIES: [&str; 3] = ["recipient", "agent", "authority"];
/// Parameters that stand in the input as they are, and under which name.
const TEXTS: [(&str, &str); 3] = [("series", "series"), ("credits", "invoice"), ("replaces", "original")];
/// How a commitment to an id begins; no id does.
const COMMITMENT: &str = "SHA256:";

/// What is asked for with every document of a run. Who asks, and whose keys the names are, is found out once.
pub struct Wanted<'a> {
    client: &'a Client,
    parameters: &'a [(&'a str, &'a str)],
    parties: OnceCell<Parties>,
}

/// Who asks, and the key of each party that was named.
struct Parties {
    signer: String,
    keys: [Option<String>; 3],
}

impl<'a> Wanted<'a> {
    /// For the parameters of the requests.
    pub fn new(client: &'a Client, parameters: &'a [(&'a str, &'a str)]) -> Self {
        Self {
            client,
            parameters,
            parties: OnceCell::new(),
        }
    }

    /// The parameters.
    pub fn parameters(&self) -> &'a [(&'a str, &'a str)] {
        self.parameters
    }

    /// What is other about a registration than was asked for; none when it is the same.
    ///
    /// # Errors
    /// When the server can't say who asks, or `reportBy` is no time.
    pub async fn difference(&self, facts: &Facts) -> Result<Option<String>> {
        let Some(statement) = facts.statement.as_ref().filter(|one| one.template == TEMPLATE) else {
            return Ok(Some("it is of no registered invoice".to_owned()));
        };
        let parties = self.parties.get_or_try_init(|| self.look_up()).await?;
        if statement.signer != parties.signer {
            return Ok(Some(format!("it was registered by {}", statement.signer)));
        }
        let report_by = value(self.parameters, "reportBy").map(milliseconds).transpose()?;
        Ok(texts(self.parameters, statement)
            .or_else(|| terms(self.parameters, report_by, &statement.input))
            .or_else(|| named(&parties.keys, statement)))
    }

    async fn look_up(&self) -> Result<Parties> {
        let own: Whoami = self
            .client
            .get(&format!("{}/v1/whoami", self.client.context().server))
            .await?;
        let mut keys = [const { None }; 3];
        for (name, key) in PARTIES.into_iter().zip(&mut keys) {
            if let Some(text) = value(self.parameters, name) {
                *key = Some(key_of(self.client, &own, text).await);
            }
        }
        Ok(Parties {
            signer: own.signer,
            keys,
        })
    }
}

fn value<'a>(parameters: &[(&str, &'a str)], name: &str) -> Option<&'a str> {
    parameters
        .iter()
        .find_map(|(one, value)| (*one == name).then_some(*value))
}

fn stated<'a>(statement: &'a StatementSummary, name: &str) -> Option<&'a str> {
    statement.input.get(name).and_then(Value::as_str)
}

/// What stands in the input as it was asked for.
fn texts(parameters: &[(&str, &str)], statement: &StatementSummary) -> Option<String> {
    TEXTS.into_iter().find_map(|(parameter, name)| {
        // An absent series is the empty one. What a document is for it may name itself.
        let wanted = value(parameters, parameter).or_else(|| (parameter == "series").then_some(""))?;
        let found = stated(statement, name).unwrap_or_default();
        (found != wanted).then(|| format!("its `{name}` is {found:?}"))
    })
}

/// The rules, the day by which it is reported, and whether the buyer's id is hidden.
fn terms(parameters: &[(&str, &str)], report_by: Option<i64>, input: &Map<String, Value>) -> Option<String> {
    let wanted = value(parameters, "profile").unwrap_or("en16931");
    let rules = input.get("verdict").and_then(|verdict| verdict["ruleSet"].as_str());
    let rules = rules.unwrap_or_default();
    if profile(rules) != wanted {
        return Some(format!("it was judged by {rules}, not by the profile {wanted}"));
    }
    let found = input.get("reportBy").and_then(Value::as_i64);
    if found != report_by {
        return Some(match found.and_then(|time| u64::try_from(time).ok()) {
            Some(time) => format!("it is to be reported by {}", crate::output::rfc3339(time)),
            None => "it has no time to be reported by".to_owned(),
        });
    }
    let buyer = input.get("buyer").and_then(Value::as_str)?;
    match (value(parameters, "committed").is_some(), buyer.starts_with(COMMITMENT)) {
        (true, false) => Some(format!(
            "the buyer's id {buyer} stands on the ledger in the clear, for good"
        )),
        (false, true) => Some("only a commitment to the buyer's id is on the ledger (--committed)".to_owned()),
        _ => None,
    }
}

/// The profile whose rule sets a verdict names.
fn profile(rule_set: &str) -> &'static str {
    match rule_set {
        rules if rules.contains("xrechnung") => "xrechnung",
        rules if rules.contains("peppol") => "peppol",
        _ => "en16931",
    }
}

fn named(keys: &[Option<String>; 3], statement: &StatementSummary) -> Option<String> {
    PARTIES.into_iter().zip(keys).find_map(|(name, key)| {
        let found = stated(statement, name);
        (key.as_deref() != found).then(|| format!("its {name} is {}", found.unwrap_or("nobody")))
    })
}

fn milliseconds(text: &str) -> Result<i64> {
    muniment_api::time::parse(text).ok_or_else(|| {
        Failure::usage(
            "bad_time",
            format!("`{text}` is no time"),
            "write --report-by in RFC 3339 and UTC, such as 2027-01-31T00:00:00Z",
        )
    })
}

/// The key that a text names; the text itself where that can't be told with this API key.
async fn key_of(client: &Client, own: &Whoami, text: &str) -> String {
    if text.contains(':') {
        return text.to_owned();
    }
    let named = if own.party.as_deref().unwrap_or(&own.tenant) == text {
        Some(own.signer.clone())
    } else {
        let parties = party::all(client).await.unwrap_or_default();
        parties
            .into_iter()
            .find_map(|party| (party.name == text).then_some(party.signer))
    };
    named.unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn difference(parameters: &[(&str, &str)], report_by: Option<i64>, input: Value) -> Option<String> {
        let mut whole = json!({ "verdict": { "ruleSet": "en16931/1.3.16" }, "buyer": "FR1" });
        whole
            .as_object_mut()
            .unwrap()
            .extend(input.as_object().unwrap().clone());
        terms(parameters, report_by, whole.as_object().unwrap())
    }

    #[test]
    fn rules_times_and_commitments_are_held_against_what_is_there() {
        let peppol = json!({ "verdict": { "ruleSet": "en16931/1.3.16 peppol-bis-billing/3" } });
        let hidden = json!({ "buyer": "SHA256:AB" });
        let (plain, none) = (json!({}), &[][..]);
        for (parameters, report_by, input, told) in [
            (none, None, plain.clone(), None),
            (&[("profile", "peppol")], None, peppol.clone(), None),
            (&[("profile", "xrechnung")], None, peppol.clone(), Some("judged by")),
            (none, None, peppol, Some("judged by")),
            (&[("committed", "true")], None, hidden.clone(), None),
            (&[("committed", "true")], None, plain.clone(), Some("in the clear")),
            (none, None, hidden, Some("commitment")),
            (none, Some(5), json!({ "reportBy": 5 }), None),
            (none, Some(5), plain.clone(), Some("no time to be reported by")),
            (none, None, json!({ "reportBy": 5 }), Some("1970-01-01")),
        ] {
            let found = difference(parameters, report_by, input.clone());
            match told {
                None => assert_eq!(found, None, "{parameters:?} {input}"),
                Some(told) => assert!(
                    found.as_deref().is_some_and(|text| text.contains(told)),
                    "{input}: {found:?}"
                ),
            }
        }
        // A buyer without an id has nothing to hide.
        assert_eq!(
            difference(&[("committed", "true")], None, json!({ "buyer": null })),
            None
        );
    }
}
