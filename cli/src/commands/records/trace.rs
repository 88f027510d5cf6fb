//! `muniment records trace`: an item back to where it came from, over the `sources` of its record and of theirs.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt};
use muniment_api::types::TemplatesInForce;
use serde_json::{Value, json};

use super::{text, word};
use crate::client::Client;
use crate::context::Choice;
use crate::error::{Failure, Result};
use crate::output::{Output, table};

/// Most items that are followed: more is no chain of goods.
const MOST: usize = 10_000;
/// Records that are asked for at the same time.
const AT_ONCE: usize = 8;

/// Follows an item back to its origin.
#[derive(clap::Args)]
pub struct Args {
    /// What is printed on the item.
    #[arg(value_name = "CODE")]
    code: String,
    /// Template of the items: one whose identity is the code, and whose records have `sources`.
    #[arg(long, value_name = "NAME", default_value = "traceability")]
    template: String,
}

/// An item on the way, and how many steps it is from the one that was asked for.
struct Found {
    depth: usize,
    record: Value,
}

/// Runs the command. The answer is whether the item is known.
///
/// # Errors
/// When the server can't be reached, or nothing has this code.
pub async fn run(args: &Args, choice: &Choice, output: Output) -> Result<bool> {
    let client = Client::new(choice.load()?)?;
    let first = of_code(&client, args).await?;
    let trail = follow(&client, first).await?;
    if output.json() {
        let items: Vec<Value> = trail
            .iter()
            .map(|found| json!({ "depth": found.depth, "record": found.record }))
            .collect();
        output.document(&json!({ "code": args.code, "items": items }))?;
    } else {
        output.line(table(&rows(&trail)))?;
    }
    let recalled = trail
        .iter()
        .filter(|found| found.record["regions"]["safety"] == "Recalled");
    for found in recalled {
        let fields = &found.record["fields"];
        output.say(format!(
            "  recalled: {} ({})",
            text(&fields["code"]),
            text(&fields["reason"])
        ));
    }
    Ok(true)
}

async fn of_code(client: &Client, args: &Args) -> Result<Value> {
    let identity = json!([args.code]).to_string();
    let parameters = [("template", word("template", &args.template)?), ("identity", &identity)];
    let query = reqwest::Url::parse_with_params("http://localhost/", parameters)
        .map_err(|error| Failure::usage("bad_code", format!("the code can't be sent: {error}"), ""))?;
    let url = format!("/records?{}", query.query().unwrap_or_default());
    let page: Value = client.get(&client.url(&url)).await?;
    match page["records"].get(0) {
        Some(record) => Ok(record.clone()),
        None => Err(unknown(client, args).await?),
    }
}

/// Why nothing has this code: a network that doesn't have the template has no such items at all.
async fn unknown(client: &Client, args: &Args) -> Result<Failure> {
    let there: TemplatesInForce = client.get(&client.url("/templates")).await?;
    let names: Vec<&str> = there.templates.iter().map(|one| one.name.as_str()).collect();
    if names.contains(&args.template.as_str()) {
        return Ok(Failure::new(
            "not_found",
            format!("no record of `{}` has the code `{}`", args.template, args.code),
            "check the code, letter by letter, and --network",
        ));
    }
    Ok(Failure::new(
        "no_such_template",
        format!(
            "the network `{}` has no template `{}`; it has: {}",
            client.context().network,
            args.template,
            names.join(", ")
        ),
        "name another one with --template, another network with --network, or publish it with `muniment template publish`",
    ))
}

/// The item and all that it was made of, each once: nearest first, in the order in which their records name them.
async fn follow(client: &Client, first: Value) -> Result<Vec<Found>> {
    let mut seen = BTreeSet::from([text(&first["id"])]);
    let mut trail = vec![Found {
        depth: 0,
        record: first,
    }];
    let mut done = 0;
    while done < trail.len() {
        let depth = trail.get(done).map_or(0, |found| found.depth) + 1;
        let level = trail.split_off(done);
        let next: Vec<String> = level
            .iter()
            .flat_map(|found| sources(&found.record))
            .filter(|id| seen.insert(id.clone()))
            .collect();
        trail.extend(level);
        done = trail.len();
        if seen.len() > MOST {
            return Err(Failure::new(
                "too_long",
                format!("the item was made of more than {MOST} others"),
                "follow one of its `sources` by its own code",
            ));
        }
        let records: Vec<Value> = futures::stream::iter(next)
            .map(|id| async move {
                client
                    .get::<Value>(&client.url(&format!("/records/{}", super::id(&id)?)))
                    .await
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        trail.extend(records.into_iter().map(|mut answer| Found {
            depth,
            record: answer["record"].take(),
        }));
    }
    Ok(trail)
}

fn sources(record: &Value) -> Vec<String> {
    let all = record["fields"]["sources"].as_array().into_iter().flatten();
    all.map(text).collect()
}

fn rows(trail: &[Found]) -> Vec<Vec<String>> {
    let codes: BTreeMap<String, String> = trail
        .iter()
        .map(|found| (text(&found.record["id"]), text(&found.record["fields"]["code"])))
        .collect();
    let mut rows = vec![
        ["CODE", "PRODUCT", "QUANTITY", "SAFETY", "PRODUCER", "MADE OF", "ID"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for Found { depth, record } in trail {
        let fields = &record["fields"];
        let made_of: Vec<&str> = sources(record)
            .iter()
            .filter_map(|id| codes.get(id).map(String::as_str))
            .collect();
        rows.push(vec![
            format!("{}{}", "  ".repeat(*depth), text(&fields["code"])),
            text(&fields["product"]),
            format!("{} {}", text(&fields["quantity"]), text(&fields["unit"])),
            text(&record["regions"]["safety"]),
            text(&fields["producer"]),
            if made_of.is_empty() {
                "-".to_owned()
            } else {
                made_of.join(", ")
            },
            text(&record["id"]),
        ]);
    }
    rows
}
