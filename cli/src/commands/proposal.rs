//! `muniment proposal`: changes of a network that its members decide on.

use muniment_api::types::{Proposal, ProposalPage};
use reqwest::Method;
use serde_json::{Value, json};

use super::governance;
use crate::client::Client;
use crate::context::Choice;
use crate::error::{Failure, Result};
use crate::output::{Output, table};

/// Shows, makes and decides proposals.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Lists proposals; those that wait for approvals unless another state is named.
    List {
        /// `open`, `enacted`, `withdrawn`, `expired` or `all`.
        #[arg(long, default_value = "open", value_parser = ["open", "enacted", "withdrawn", "expired", "all"])]
        state: String,
        /// Go on after this id.
        #[arg(long, value_name = "ID")]
        after: Option<String>,
    },
    /// Shows one proposal.
    Get {
        /// Proposal id.
        id: String,
    },
    /// Proposes a change, for example `proposal new setThreshold --input '{"threshold":2}'`.
    New {
        /// `addMember`, `removeMember`, `replaceKey`, `setThreshold`, `addValidator` or `removeValidator`.
        action: String,
        /// Its input as JSON.
        #[arg(long, value_name = "JSON")]
        input: String,
    },
    /// Approves a proposal; with enough approvals it takes effect.
    Approve {
        /// Proposal id.
        id: String,
    },
    /// Takes back what this tenant proposed.
    Withdraw {
        /// Proposal id.
        id: String,
    },
}

/// Runs the command.
pub async fn run(command: Command, choice: &Choice, output: Output) -> Result<bool> {
    let client = Client::open(choice, output)?;
    match command {
        Command::List { state, after } => list(&client, &state, after.as_deref(), output).await?,
        Command::Get { id } => {
            let url = client.url(&format!("/proposals/{}", governance::id(&id)?));
            let proposal: Proposal = client.get(&url).await?;
            output.document(&proposal)?;
        }
        Command::New { action, input } => {
            let input: Value = serde_json::from_str(&input).map_err(|error| {
                Failure::usage(
                    "bad_input",
                    format!("--input is not JSON: {error}"),
                    "quote it: '{\"threshold\":2}'",
                )
            })?;
            let body = json!({ "action": action, "input": input });
            let recorded = governance::submit(&client, Method::POST, "/proposals", &body).await?;
            governance::show(&client, &recorded, &action, output).await?;
        }
        Command::Approve { id } => decide(&client, &id, "approve", output).await?,
        Command::Withdraw { id } => decide(&client, &id, "withdraw", output).await?,
    }
    Ok(true)
}

async fn decide(client: &Client, id: &str, action: &str, output: Output) -> Result<()> {
    let below = format!("/proposals/{}/{action}", governance::id(id)?);
    let recorded = governance::submit(client, Method::POST, &below, &Value::Null).await?;
    governance::show(client, &recorded, action, output).await
}

async fn list(client: &Client, state: &str, after: Option<&str>, output: Output) -> Result<()> {
    let mut url = client.url("/proposals?limit=200");
    if state != "all" {
        url.push_str(&format!("&state={state}"));
    }
    if let Some(after) = after {
        url.push_str(&format!("&after={}", governance::id(after)?));
    }
    let page: ProposalPage = client.get(&url).await?;
    if output.json() {
        return output.document(&page);
    }
    let mut rows = vec![
        ["ID", "STATE", "APPROVALS", "EXPIRES", "CHANGE"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for one in &page.proposals {
        rows.push(vec![
            one.id.clone(),
            one.state.clone(),
            one.approvals.len().to_string(),
            one.expires_at.clone(),
            format!("{} {}", one.action, one.input),
        ]);
    }
    output.line(table(&rows))?;
    if let Some(next) = &page.next {
        output.say(format!("  next: muniment proposal list --state {state} --after {next}"));
    }
    Ok(())
}
