//! Names of members in place of their keys, where an action's template says that a key of a member is meant.

use muniment_api::types::{Members, TemplateSource};
use muniment_ledger::template::Template;
use muniment_receipts::key::SignerKey;
use serde_json::Value;

use super::word;
use crate::client::Client;
use crate::error::{Failure, Result};

/// Whether an input may name anybody.
pub fn may_name(input: &Value) -> bool {
    match input {
        Value::String(_) => true,
        Value::Array(items) => items.iter().any(may_name),
        Value::Object(members) => members.values().any(may_name),
        _ => false,
    }
}

/// Puts keys in place of names. Of a template that can't be had or understood here nothing is known; its network judges.
///
/// # Errors
/// When a name is nobody's or several members', or the server can't be reached.
pub async fn keys(
    client: &Client,
    template: &str,
    revision: Option<u64>,
    action: &str,
    input: &mut Value,
) -> Result<()> {
    if !may_name(input) {
        return Ok(());
    }
    let mut url = format!("/templates/{}", word("template", template)?);
    if let Some(revision) = revision {
        url += &format!("?revision={revision}");
    }
    let source: TemplateSource = match client.get(&client.url(&url)).await {
        Ok(source) => source,
        Err(failure) if failure.code == "not_found" => return Ok(()),
        Err(failure) => return Err(failure),
    };
    let Ok(compiled) = Template::compile(&source.source) else {
        return Ok(());
    };
    let Some(action) = compiled.actions.iter().find(|one| one.name == action) else {
        return Ok(());
    };
    if action.members.iter().all(|path| names(input, path).is_empty()) {
        return Ok(());
    }
    let members: Members = client.get(&client.url("/members")).await?;
    let mut paths = action.members.iter();
    paths.try_for_each(|path| name_by_name(input, path, &members))
}

/// The texts at a path: one, or those of a list.
fn texts<'a>(input: &'a mut Value, path: &[String]) -> Vec<&'a mut Value> {
    let found = path.iter().try_fold(input, |value, name| value.get_mut(name));
    match found {
        Some(Value::Array(items)) => items.iter_mut().filter(|item| item.is_string()).collect(),
        Some(one @ Value::String(_)) => vec![one],
        _ => Vec::new(),
    }
}

/// Those of them that are no keys.
fn names<'a>(input: &'a mut Value, path: &[String]) -> Vec<&'a mut Value> {
    let is_key = |text: &str| text.parse::<SignerKey>().is_ok();
    let mut found = texts(input, path);
    found.retain(|value| !value.as_str().is_some_and(is_key));
    found
}

fn name_by_name(input: &mut Value, path: &[String], members: &Members) -> Result<()> {
    for value in names(input, path) {
        let name = value.as_str().unwrap_or_default();
        let mut of_name = members.members.iter().filter(|member| member.name == name);
        let why = match (of_name.next(), of_name.next()) {
            (Some(one), None) => {
                *value = one.key.clone().into();
                continue;
            }
            (None, _) => "is neither a key nor the name of a member",
            _ => "is the name of several members",
        };
        return Err(Failure::usage(
            "no_such_member",
            format!("`{}`: `{name}` {why}", path.join(".")),
            "`muniment member list` shows names and keys; a key is always understood",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use muniment_api::types::Member;
    use serde_json::json;

    const KEY: &str = "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn members(names: &[&str]) -> Members {
        let member = |(place, name): (usize, &&str)| Member {
            key: format!("key-{place}"),
            name: (*name).to_owned(),
        };
        Members {
            height: 1,
            threshold: 1,
            members: names.iter().enumerate().map(member).collect(),
        }
    }

    fn named(input: Value, path: &[&str]) -> Result<Value> {
        let path: Vec<String> = path.iter().map(|name| (*name).to_owned()).collect();
        let mut input = input;
        name_by_name(&mut input, &path, &members(&["farm", "mill", "twin", "twin"]))?;
        Ok(input)
    }

    #[test]
    fn names_become_keys_and_keys_stay() {
        assert_eq!(
            named(json!({ "to": "mill" }), &["to"]).unwrap(),
            json!({ "to": "key-1" })
        );
        let list = json!({ "who": { "all": ["farm", KEY] } });
        assert_eq!(
            named(list, &["who", "all"]).unwrap(),
            json!({ "who": { "all": ["key-0", KEY] } })
        );
        let absent = json!({ "other": "mill" });
        assert_eq!(named(absent.clone(), &["to"]).unwrap(), absent);
    }

    #[test]
    fn a_name_that_is_nobodys_or_several_members_is_refused() {
        for (name, why) in [("bakery", "neither a key nor"), ("twin", "several members")] {
            let failure = named(json!({ "to": name }), &["to"]).unwrap_err();
            assert!(
                failure.message.contains(why) && failure.message.contains("`to`"),
                "{failure}"
            );
        }
    }
}
