//! `muniment apply` and `muniment delete`: tenants and networks as files describe them, through the management API. The
//! same files are for `kubectl`.

pub mod manifest;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::Client;
use crate::context::Choice;
use crate::error::{Failure, Result};
use crate::output::Output;
use manifest::Manifest;

/// How long a network is waited for.
const LIMIT: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(200);

/// Which files.
#[derive(clap::Args)]
pub struct Args {
    /// `Tenant` and `LedgerNetwork` as YAML, several in one file apart by `---`; `-` is stdin.
    #[arg(
        short,
        long = "filename",
        visible_alias = "file",
        value_name = "FILE",
        required = true
    )]
    files: Vec<PathBuf>,
}

/// What the server answers; only what is looked at.
#[derive(Deserialize)]
struct Seen {
    generation: i64,
    spec: Value,
    status: Value,
}

/// Runs `apply`. The answer is whether every network became ready.
pub async fn run(args: &Args, choice: &Choice, output: Output) -> Result<bool> {
    let found = manifest::read(&args.files)?;
    found.left.iter().for_each(|sentence| output.say(sentence));
    let client = client(&found.manifests, choice)?;
    let mut all = true;
    // All are applied before any is waited for.
    let mut begun = Vec::new();
    for one in &found.manifests {
        let (seen, how) = apply(&client, one).await?;
        told(output, &format!("{one} {how}"))?;
        begun.push((one, seen, how));
    }
    for (one, seen, how) in begun {
        let ready = one.is_tenant() || ready(&client, one, seen.generation, output).await?;
        all &= ready;
        if output.json() {
            let (kind, name) = (one.kind(), one.to_string());
            output.json_line(&json!({ "kind": kind, "name": name, "result": how, "ready": ready }))?;
        }
    }
    Ok(all)
}

/// Runs `delete`.
pub async fn delete(args: &Args, choice: &Choice, output: Output) -> Result<bool> {
    let found = manifest::read(&args.files)?;
    let client = client(&found.manifests, choice)?;
    // Networks before the tenants that they are of.
    for one in found.manifests.iter().rev() {
        let how = match client.delete(&one.url(&client.context().server)).await {
            Ok(()) => gone(&client, one).await?,
            Err(failure) if failure.code == "not_found" => "wasn't there",
            Err(failure) => return Err(failure),
        };
        told(output, &format!("{one} {how}"))?;
        if output.json() {
            output.json_line(&json!({ "kind": one.kind(), "name": one.to_string(), "result": how }))?;
        }
    }
    Ok(true)
}

/// For the server that the user has chosen, with the platform's key where the user has it. In a cluster a key is the
/// tenant's, so the file says which.
fn client(manifests: &[Manifest], choice: &Choice) -> Result<Client> {
    if !choice.names_cluster() {
        return Client::new(choice.load()?.of_platform());
    }
    if let Some(tenant) = manifests.iter().find(|one| one.is_tenant()) {
        return Err(Failure::usage(
            "not_in_a_cluster",
            format!("{tenant} is for those who run the platform"),
            "use kubectl with the same file, and name here only files with networks",
        ));
    }
    let first = manifests.first();
    let chosen = Choice {
        tenant: choice.tenant.clone().or_else(|| Some(first?.tenant().to_owned())),
        network: choice.network.clone().or_else(|| Some(first?.name().to_owned())),
        ..choice.clone()
    };
    Client::new(chosen.load()?)
}

/// A result for people.
fn told(output: Output, line: &str) -> Result<()> {
    if output.json() { Ok(()) } else { output.line(line) }
}

/// Makes it, or changes what differs. A field that the file doesn't have goes back to its default.
async fn apply(client: &Client, one: &Manifest) -> Result<(Seen, &'static str)> {
    let server = &client.context().server;
    let known: Seen = match client.get(&one.resource_url(server)).await {
        Ok(known) => known,
        Err(failure) if failure.code == "not_found" => {
            let body = json!({ "name": one.name(), "spec": one.spec() });
            let made = client.ask(Method::POST, &one.collection_url(server), &body).await?;
            return Ok((made, "made"));
        }
        Err(failure) => return Err(failure),
    };
    let patch = manifest::difference(&known.spec, one.spec());
    if patch == json!({}) {
        return Ok((known, "unchanged"));
    }
    let body = json!({ "spec": patch });
    let changed: Seen = client.ask(Method::PATCH, &one.url(server), &body).await?;
    // Kubernetes fills in defaults: what only they say is no change.
    let how = if changed.generation == known.generation {
        "unchanged"
    } else {
        "changed"
    };
    Ok((changed, how))
}

/// Waits until a network is ready as it is described now.
async fn ready(client: &Client, one: &Manifest, generation: i64, output: Output) -> Result<bool> {
    let (start, url) = (Instant::now(), one.resource_url(&client.context().server));
    loop {
        let seen: Seen = client.get(&url).await?;
        let status = &seen.status;
        let current = status["observedGeneration"].as_i64() >= Some(generation);
        let said = condition(status, "Ready");
        if current && said["status"] == "True" {
            let quorum = status["display"]["quorum"].as_str().unwrap_or_default();
            told(output, &format!("{one} is ready: quorum {quorum}"))?;
            if let Some(next) = one.next() {
                told(output, &format!("next:  {next}"))?;
            }
            return Ok(true);
        }
        let refused = status["state"] == "Refused";
        if (current && refused) || start.elapsed() > LIMIT {
            let why = said["message"].as_str().unwrap_or("nothing was seen of it yet");
            told(output, &format!("{one} is not ready: {why}"))?;
            return Ok(false);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn gone(client: &Client, one: &Manifest) -> Result<&'static str> {
    let (start, url) = (Instant::now(), one.resource_url(&client.context().server));
    loop {
        match client.get::<Seen>(&url).await {
            Err(failure) if failure.code == "not_found" => return Ok("deleted"),
            Err(failure) => return Err(failure),
            Ok(_) if start.elapsed() > LIMIT => {
                return Err(Failure::new(
                    "not_deleted",
                    format!("{one} is still being deleted after {} s", LIMIT.as_secs()),
                    "run the same command again; the server's log says what it waits for",
                ));
            }
            Ok(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn condition<'a>(status: &'a Value, kind: &str) -> &'a Value {
    let all = status["conditions"].as_array();
    all.and_then(|all| all.iter().find(|one| one["type"] == kind))
        .unwrap_or(&Value::Null)
}
