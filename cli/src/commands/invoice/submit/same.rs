//! Whether what is registered is what was asked for. The same document, registered by another key or to other parties, is
//! another thing.

use muniment_api::types::Whoami;

use crate::client::Client;
use crate::commands::party;
use crate::error::Result;
use crate::evidence::Facts;

/// Template of the records that are made.
const TEMPLATE: &str = "electronic-invoice";
/// Parameters that name parties, and stand in the input under the same name.
const PARTIES: [&str; 3] = ["recipient", "agent", "authority"];
/// Parameters that stand in the input as they are, and under which name.
const TEXTS: [(&str, &str); 3] = [("series", "series"), ("credits", "invoice"), ("replaces", "original")];

/// What is other about a registration than was asked for; none when it is the same.
///
/// # Errors
/// When the server can't say who asks.
pub async fn difference(client: &Client, facts: &Facts, asked: &[(&str, &str)]) -> Result<Option<String>> {
    let Some(statement) = facts.statement.as_ref().filter(|one| one.template == TEMPLATE) else {
        return Ok(Some("it is of no registered invoice".to_owned()));
    };
    let own: Whoami = client.get(&format!("{}/v1/whoami", client.context().server)).await?;
    if statement.signer != own.signer {
        return Ok(Some(format!("it was registered by {}", statement.signer)));
    }
    let wanted = |name: &str| asked.iter().find_map(|(one, value)| (*one == name).then_some(*value));
    let stated = |name: &str| statement.input.get(name).and_then(|value| value.as_str());
    for (parameter, name) in TEXTS {
        // An absent series is the empty one. What a document is for it may name itself.
        let value = wanted(parameter).or_else(|| (parameter == "series").then_some(""));
        if value.is_some_and(|value| stated(name).unwrap_or_default() != value) {
            return Ok(Some(format!("its `{name}` is {:?}", stated(name).unwrap_or_default())));
        }
    }
    for name in PARTIES {
        let key = match wanted(name) {
            Some(text) => Some(key(client, &own, text).await),
            None => None,
        };
        if key.as_deref() != stated(name) {
            return Ok(Some(format!("its {name} is {}", stated(name).unwrap_or("nobody"))));
        }
    }
    Ok(None)
}

/// The key that a text names; the text itself where that can't be told with this API key.
async fn key(client: &Client, own: &Whoami, text: &str) -> String {
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
