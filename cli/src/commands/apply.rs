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
use crate::trust;
use manifest::Manifest;

/// How long a network is waited for.
const LIMIT: Duration = Duration::from_secs(120);
const MADE: &str = "made";
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
    deleting: bool,
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
        let (seen, how) = apply(&client, one).await.map_err(|failure| about(one, failure))?;
        told(output, &format!("{one} {how}"))?;
        begun.push((one, seen, how));
    }
    for (one, seen, how) in begun {
        let ready = ready(&client, one, seen.generation, output).await?;
        if ready && !one.is_tenant() {
            met(one, how == MADE, choice, output).await?;
        }
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
            Err(failure) => return Err(about(one, failure)),
        };
        told(output, &format!("{one} {how}"))?;
        if output.json() {
            output.json_line(&json!({ "kind": one.kind(), "name": one.to_string(), "result": how }))?;
        }
    }
    Ok(true)
}

/// For the server that the user has chosen, with the platform's key where the user has it. In a cluster a key is the
/// tenant's, so the files say which.
pub fn client(manifests: &[Manifest], choice: &Choice) -> Result<Client> {
    let refused = |what: String, next: &str| Err(Failure::usage("other_tenant", what, next));
    if let Some(tenant) = &choice.tenant
        && let Some(other) = manifests.iter().find(|one| one.tenant() != tenant)
    {
        return refused(
            format!("{other} isn't of the tenant {tenant}"),
            "leave --tenant out, or name another file",
        );
    }
    if !choice.names_cluster() {
        // The key of the platform, or of whichever tenant: that it isn't the right one, the server says.
        return Client::new(
            Choice {
                tenant: None,
                ..choice.clone()
            }
            .load_platform()?,
        );
    }
    if let Some(tenant) = manifests.iter().find(|one| one.is_tenant()) {
        return refused(
            format!("{tenant} is for those who run the platform"),
            "use kubectl with the same file, and name here only files with networks",
        );
    }
    let first = manifests.first();
    if let Some(other) = manifests
        .iter()
        .find(|one| Some(one.tenant()) != first.map(Manifest::tenant))
    {
        return refused(
            format!("{other} is of another tenant than the first"),
            "take each tenant's networks by themselves",
        );
    }
    let chosen = Choice {
        tenant: first.map(|one| one.tenant().to_owned()),
        network: choice.network.clone().or_else(|| Some(first?.name().to_owned())),
        ..choice.clone()
    };
    Client::new(chosen.load()?)
}

/// Which of the files' descriptions it was.
fn about(one: &Manifest, failure: Failure) -> Failure {
    // Which key it is asked with is rarely why: the sentence says what isn't allowed.
    let next = match failure.code.as_str() {
        "forbidden" => "change what the sentence names; what stands before it in the files was done".to_owned(),
        _ => failure.next,
    };
    Failure {
        message: format!("{one}: {}", failure.message),
        next,
        ..failure
    }
}

/// A result for people.
fn told(output: Output, line: &str) -> Result<()> {
    if output.json() { Ok(()) } else { output.line(line) }
}

/// A network that was made here is the one that its name means from now on, whatever had it before.
async fn met(one: &Manifest, made: bool, choice: &Choice, output: Output) -> Result<()> {
    if made && !choice.names_cluster() && choice.load()?.data_dir.is_some() {
        let context = Choice {
            tenant: Some(one.tenant().to_owned()),
            network: Some(one.name().to_owned()),
            ..choice.clone()
        };
        trust::adopt(&Client::new(context.load()?)?).await?;
    }
    told(output, &format!("next:  {}", one.next()))
}

/// Makes it, or changes what differs. A field that the file doesn't have goes back to its default.
async fn apply(client: &Client, one: &Manifest) -> Result<(Seen, &'static str)> {
    let server = &client.context().server;
    let known = match client.get::<Seen>(&one.resource_url(server)).await {
        Ok(known) if known.deleting => {
            gone(client, one).await?;
            None
        }
        Ok(known) => Some(known),
        Err(failure) if failure.code == "not_found" => None,
        Err(failure) => return Err(failure),
    };
    let Some(known) = known else {
        let body = json!({ "name": one.name(), "spec": one.spec() });
        let made = client.ask(Method::POST, &one.collection_url(server), &body).await?;
        return Ok((made, MADE));
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

/// Waits until it is there as it is described now: a tenant with its keys, a network with its quorum.
async fn ready(client: &Client, one: &Manifest, generation: i64, output: Output) -> Result<bool> {
    let (start, url) = (Instant::now(), one.resource_url(&client.context().server));
    loop {
        let seen: Seen = client.get(&url).await?;
        let status = &seen.status;
        let current = status["observedGeneration"].as_i64() >= Some(generation);
        let said = condition(status, "Ready");
        if current && one.is_tenant() {
            return Ok(true);
        }
        if current && said["status"] == "True" {
            let quorum = status["display"]["quorum"].as_str().unwrap_or_default();
            told(output, &format!("{one} is ready: quorum {quorum}"))?;
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
