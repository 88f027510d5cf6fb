//! `muniment party`: on whose behalf the tenant signs.

use muniment_api::types::{ApiKey, Party, PartyPage};
use serde_json::json;

use crate::client::Client;
use crate::context::Choice;
use crate::error::Result;
use crate::output::{Output, table};

/// Parties of the tenant, each with a signing key of its own.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Makes a party; one that is there stays as it is.
    Create {
        /// Name: lower case letters, digits and hyphens.
        name: String,
    },
    /// Lists the parties with their public keys.
    List,
    /// Makes an API key that acts for a party, and shows it once.
    Key {
        /// Name of the party.
        party: String,
        /// Display name of the key.
        #[arg(long, value_name = "NAME", default_value = "cli")]
        name: String,
    },
}

/// Runs the command.
pub async fn run(command: Command, choice: &Choice, output: Output) -> Result<bool> {
    let client = Client::open(choice, output)?;
    match command {
        Command::Create { name } => {
            let party: Party = client.create("/parties", &json!({ "name": name })).await?;
            if output.json() {
                output.document(&party)?;
            } else {
                output.line(format!("{}  {}", party.name, party.signer))?;
                output.say("  its key signs in a network once it is a member of it");
            }
        }
        Command::List => list(&client, output).await?,
        Command::Key { party, name } => {
            let key: ApiKey = client
                .create("/api-keys", &json!({ "name": name, "party": party }))
                .await?;
            if output.json() {
                output.document(&key)?;
            } else {
                output.line(key.secret.unwrap_or_default())?;
                output.say(format!("  shown once; use it as MUNIMENT_API_KEY to act for `{party}`"));
            }
        }
    }
    Ok(true)
}

/// All parties of the tenant.
///
/// # Errors
/// When the server can't be reached, or the API key is a party's.
pub async fn all(client: &Client) -> Result<Vec<Party>> {
    let context = client.context();
    let mut parties = Vec::new();
    let mut after = String::new();
    loop {
        let url = format!(
            "{}/v1/tenants/{}/parties?limit=200{after}",
            context.server, context.tenant
        );
        let page: PartyPage = client.get(&url).await?;
        parties.extend(page.parties);
        match page.next {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(parties),
        }
    }
}

async fn list(client: &Client, output: Output) -> Result<()> {
    let parties = all(client).await?;
    if output.json() {
        return output.document(&parties);
    }
    let heading = ["NAME", "KEY"].map(str::to_owned).to_vec();
    let rows = parties.into_iter().map(|party| vec![party.name, party.signer]);
    let rows: Vec<_> = std::iter::once(heading).chain(rows).collect();
    output.line(table(&rows))
}
