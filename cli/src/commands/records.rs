//! `muniment records`: what is on the ledger, of any template.

mod members;
mod trace;
pub mod write;

use muniment_api::types::LARGEST_PAGE;
use serde_json::Value;

use crate::client::Client;
use crate::context::Choice;
use crate::error::{Failure, Result};
use crate::output::{Output, rfc3339, table};

/// Reads and writes records of any template.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Lists records by id.
    List {
        /// Only records of this template.
        #[arg(long, value_name = "NAME")]
        template: Option<String>,
        /// Go on after this record id.
        #[arg(long, value_name = "ID")]
        after: Option<String>,
        /// Most records to show, 1 to 200.
        #[arg(long, default_value_t = 50, value_name = "N",
            value_parser = clap::value_parser!(u16).range(1..=i64::from(LARGEST_PAGE)))]
        limit: u16,
    },
    /// Shows one record.
    Get {
        /// Record id, 64 hex digits.
        id: String,
    },
    /// Shows the steps of one record.
    History {
        /// Record id, 64 hex digits.
        id: String,
    },
    /// Follows an item by its code back to its origin (template `traceability`).
    Trace(trace::Args),
    /// Makes a record with an action of a template.
    Create(write::Create),
    /// Acts on a record.
    Act(write::Act),
    /// Acts up to 1,000 times with one action: makes records, or changes those that the items name.
    Batch(write::Batch),
}

/// Runs the command.
pub async fn run(command: Command, choice: &Choice, output: Output) -> Result<bool> {
    match command {
        Command::Trace(args) => trace::run(&args, choice, output).await,
        Command::Create(args) => write::create(&args, choice, output).await,
        Command::Act(args) => write::act(&args, choice, output).await,
        Command::Batch(args) => write::batch(&args, choice, output).await,
        command => read(command, choice, output).await,
    }
}

async fn read(command: Command, choice: &Choice, output: Output) -> Result<bool> {
    let url = match &command {
        Command::List { template, after, limit } => {
            let mut url = format!("/records?limit={limit}");
            if let Some(template) = template {
                url.push_str(&format!("&template={}", word("template", template)?));
            }
            if let Some(after) = after {
                url.push_str(&format!("&after={}", id(after)?));
            }
            url
        }
        Command::History { id: record } => format!("/records/{}/history", id(record)?),
        Command::Get { id: record } => format!("/records/{}", id(record)?),
        Command::Trace(_) | Command::Create(_) | Command::Act(_) | Command::Batch(_) => return Ok(true),
    };
    let client = Client::new(choice.load()?)?;
    let answer: Value = match command {
        Command::History { .. } => client.history(&url).await?,
        _ => client.get(&client.url(&url)).await?,
    };
    match command {
        Command::List { .. } if !output.json() => list(&answer, output)?,
        Command::History { .. } if !output.json() => history(&answer, output)?,
        _ => output.document(&answer)?,
    }
    Ok(true)
}

fn list(page: &Value, output: Output) -> Result<()> {
    let mut rows = vec![
        ["ID", "TEMPLATE", "VERSION", "UPDATED", "STATE"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for record in page["records"].as_array().into_iter().flatten() {
        let regions = record["regions"].as_object().into_iter().flatten();
        let states: Vec<String> = regions.map(|(_, state)| text(state)).collect();
        let updated = record["updatedTime"].as_u64().map(rfc3339).unwrap_or_default();
        rows.push(vec![
            text(&record["id"]),
            text(&record["template"]),
            text(&record["version"]),
            updated,
            states.join(","),
        ]);
    }
    output.line(table(&rows))?;
    if let Some(next) = page["next"].as_str() {
        output.say(format!("  next: muniment records list --after {next}"));
    }
    Ok(())
}

pub fn history(steps: &Value, output: Output) -> Result<()> {
    let mut rows = vec![
        ["VERSION", "ACTION", "HEIGHT", "TIME", "LEAF", "SIGNER"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let steps = steps.as_array().or_else(|| steps["entries"].as_array());
    for step in steps.into_iter().flatten() {
        let time = step["time"].as_u64().map_or_else(|| text(&step["time"]), rfc3339);
        rows.push(vec![
            text(&step["version"]),
            text(&step["action"]),
            text(&step["height"]),
            time,
            text(&step["leaf"]),
            text(&step["signer"]),
        ]);
    }
    output.line(table(&rows))
}

pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

pub fn id(text: &str) -> Result<&str> {
    if text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(text);
    }
    Err(Failure::usage(
        "bad_id",
        format!("`{text}` is not a record id: an id is 64 lowercase hex digits"),
        "take it from `muniment records list` or `muniment receipt show`",
    ))
}

pub fn word<'a>(what: &str, text: &'a str) -> Result<&'a str> {
    if !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    {
        return Ok(text);
    }
    Err(Failure::usage(
        "bad_name",
        format!("`{text}` is not a {what} name"),
        "use letters, digits, `-`, `_` and `.`",
    ))
}
