//! `muniment member`: who may sign in a network.

use muniment_api::types::{Members, Whoami};
use reqwest::Method;
use serde_json::{Value, json};

use super::governance;
use crate::client::Client;
use crate::context::Choice;
use crate::error::{Failure, Result};
use crate::output::{Output, table};

/// Shows and changes members.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Lists members and how many of them must agree to a change.
    List,
    /// Proposes a new member; it is one at once where one member decides.
    Add {
        /// Name, 1 to 100 characters.
        name: String,
        /// Public key, `ed25519:…` or `p256:…`.
        key: String,
    },
    /// Proposes that a member goes.
    Remove {
        /// Its key, from `muniment member list`.
        key: String,
        /// The key is your own: what your API key asks for is refused from then on.
        #[arg(long)]
        myself: bool,
    },
}

/// Runs the command.
pub async fn run(command: Command, choice: &Choice, output: Output) -> Result<bool> {
    let client = Client::open(choice, output)?;
    match command {
        Command::List => list(&client, output).await?,
        Command::Add { name, key } => {
            let body = json!({ "key": usable(&key)?, "name": name });
            let recorded = governance::submit(&client, Method::POST, "/members", &body).await?;
            governance::show(&client, &recorded, &format!("member `{name}`"), output).await?;
        }
        Command::Remove { key, myself } => {
            let own: Whoami = client.get(&format!("{}/v1/whoami", client.context().server)).await?;
            if own.signer == key && !myself {
                return Err(Failure::usage(
                    "own_key",
                    "this is the key that signs for you; without it you can sign nothing here, not even that it comes back",
                    "if that is meant, add --myself; another member can let it in again",
                ));
            }
            let below = format!("/members/{}", usable(&key)?);
            let recorded = governance::submit(&client, Method::DELETE, &below, &Value::Null).await?;
            governance::show(&client, &recorded, "removal", output).await?;
        }
    }
    Ok(true)
}

async fn list(client: &Client, output: Output) -> Result<()> {
    let members: Members = client.get(&client.url("/members")).await?;
    if output.json() {
        return output.document(&members);
    }
    let mut rows = vec![["NAME", "KEY"].map(str::to_owned).to_vec()];
    rows.extend(
        members
            .members
            .iter()
            .map(|member| vec![member.name.clone(), member.key.clone()]),
    );
    output.line(table(&rows))?;
    let (threshold, count) = (members.threshold, members.members.len());
    output.say(format!("  {threshold} of {count} must agree to a change"));
    Ok(())
}

/// A key goes into a path, so it is looked at before.
fn usable(key: &str) -> Result<&str> {
    let (kind, rest) = key.split_once(':').unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if matches!(kind, "ed25519" | "p256") && !rest.is_empty() && rest.bytes().all(plain) {
        return Ok(key);
    }
    Err(Failure::usage(
        "bad_key",
        format!("`{key}` is not a public key"),
        "give it as `ed25519:` or `p256:` and its unpadded base64url",
    ))
}
