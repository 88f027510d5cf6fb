//! Governance statements as commands send them: submit, wait until it is final, tell what became of the proposal.

use muniment_api::types::{ItemOutcome, Proposal, Recorded};
use reqwest::Method;
use serde_json::Value;

use crate::client::{Client, JSON, Written, new_key};
use crate::error::{Failure, Result};
use crate::output::Output;

/// Submits a governance statement and waits for it. `below` is the path under the network.
///
/// # Errors
/// When it is refused, or no answer is had in time.
pub async fn submit(client: &Client, method: Method, below: &str, body: &Value) -> Result<Recorded> {
    let body = if body.is_null() {
        Vec::new()
    } else {
        body.to_string().into_bytes()
    };
    let key = new_key();
    match client.send(method, below, JSON, body, &key).await? {
        Written::Done(recorded) => Ok(recorded),
        Written::Refused(problem) => Err(refused(&problem.code, &problem.detail)),
        Written::Pending(operation) => match client.decided(operation).await?.items.into_iter().next() {
            Some(ItemOutcome::Accepted(recorded)) => Ok(recorded),
            Some(ItemOutcome::Rejected { code, detail, .. }) => Err(refused(&code, &detail)),
            None => Err(Failure::new(
                "protocol",
                "the server decided nothing",
                "look at the proposals",
            )),
        },
    }
}

fn refused(code: &str, detail: &str) -> Failure {
    let next = match code {
        "threshold_out_of_range" | "already_approved" => "see `muniment member list` and `muniment proposal list`",
        "proposal_expired" => "propose it again",
        "not_a_member" => "the key of this tenant must become a member first",
        "wrong_revision" | "invalid_template" => "correct the template; `muniment template check FILE` shows mistakes",
        _ => "nothing was changed; correct it and run the command again",
    };
    Failure::new(code, detail, next)
}

/// Shows a proposal that was just made, approved or withdrawn.
///
/// # Errors
/// When it can't be read or written out.
pub async fn show(client: &Client, recorded: &Recorded, what: &str, output: Output) -> Result<()> {
    let proposal: Proposal = client.get(&client.url(&format!("/proposals/{}", recorded.id))).await?;
    if output.json() {
        return output.document(&proposal);
    }
    output.line(match proposal.state.as_str() {
        "enacted" => format!("{what}: in effect since height {}", proposal.height),
        state => format!(
            "{what}: proposal {} is {state}, {} approved",
            proposal.id,
            proposal.approvals.len()
        ),
    })?;
    if proposal.state == "open" {
        output.say(format!(
            "  next: another member runs muniment proposal approve {}",
            proposal.id
        ));
    }
    Ok(())
}

/// A proposal's id.
///
/// # Errors
/// When it isn't 64 lowercase hex digits.
pub fn id(text: &str) -> Result<&str> {
    if text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(text);
    }
    Err(Failure::usage(
        "bad_id",
        format!("`{text}` is not a proposal id: an id is 64 lowercase hex digits"),
        "take it from `muniment proposal list`",
    ))
}
