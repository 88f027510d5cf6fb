//! `muniment network plan`: what a description would bring about, before it is applied.

use std::path::{Path, PathBuf};

use muniment_crds::{LedgerNetwork, LedgerNetworkSpec};
use muniment_operator::{Effect, Impact, in_dev, preview};
use serde::Deserialize;
use serde_json::json;

use crate::client::Client;
use crate::context::Choice;
use crate::error::{Failure, Result, chain, io};
use crate::output::Output;

/// Shows what a description would bring about. Changes nothing. Exit code 1 when a part of it can't be.
#[derive(clap::Args)]
pub struct Args {
    /// A `LedgerNetwork` as YAML.
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
}

#[derive(Deserialize)]
struct Described {
    spec: LedgerNetworkSpec,
}

#[derive(Deserialize)]
struct Kept {
    validators: u32,
}

/// What there is now.
enum Known {
    /// Nothing, or a description, where descriptions are kept.
    Cluster(Option<Box<LedgerNetworkSpec>>),
    /// So many validators, or none, in `muniment dev`.
    Dev(Option<u32>),
}

impl Known {
    fn exists(&self) -> bool {
        match self {
            Self::Cluster(known) => known.is_some(),
            Self::Dev(known) => known.is_some(),
        }
    }

    fn effects(&self, wanted: &LedgerNetworkSpec) -> Vec<Effect> {
        match self {
            Self::Cluster(known) => preview(known.as_deref(), wanted),
            Self::Dev(known) => in_dev(*known, wanted),
        }
    }
}

/// Runs the command. The answer is whether everything can be.
pub async fn run(args: Args, choice: &Choice, output: Output) -> Result<bool> {
    let wanted = read(&args.file)?;
    let known = known(choice, &wanted).await?;
    let (exists, effects) = (known.exists(), known.effects(&wanted.spec));
    let refused = effects.iter().any(|effect| effect.impact == Impact::Refused);
    if output.json() {
        output.document(&json!({ "exists": exists, "effects": effects }))?;
        return Ok(!refused);
    }
    let name = format!(
        "{}/{}",
        part(wanted.metadata.namespace.as_ref()),
        part(wanted.metadata.name.as_ref())
    );
    output.line(match (exists, effects.is_empty()) {
        _ if matches!(known, Known::Dev(Some(_))) => format!("network {name} in `muniment dev`:"),
        (true, true) => format!("network {name} is already described so"),
        (true, false) => format!("network {name} would be changed:"),
        (false, _) => format!("network {name} would be made:"),
    })?;
    for effect in &effects {
        let sign = match effect.impact {
            Impact::None => "  ",
            Impact::Rolling => "~ ",
            Impact::Outage => "! ",
            Impact::Refused => "x ",
        };
        output.line(format!("{sign}{effect}"))?;
    }
    if effects.iter().any(|effect| effect.impact > Impact::None) {
        output.line("~ restarts one by one · ! writes wait · x can't be")?;
    }
    Ok(!refused)
}

fn part(text: Option<&String>) -> &str {
    text.map_or("?", String::as_str)
}

fn read(path: &Path) -> Result<LedgerNetwork> {
    let text = std::fs::read_to_string(path).map_err(|error| io("can't read", path, &error))?;
    serde_yaml::from_str(&text).map_err(|error| {
        let message = format!("{} is not a LedgerNetwork: {}", path.display(), chain(&error));
        Failure::usage("bad_network", message, "compare it with crds/ledgernetworks.yaml")
    })
}

/// How the network is described now, or what `muniment dev` keeps of it.
async fn known(choice: &Choice, wanted: &LedgerNetwork) -> Result<Known> {
    let context = choice.load()?;
    let (tenant, name) = (
        part(wanted.metadata.namespace.as_ref()),
        part(wanted.metadata.name.as_ref()),
    );
    let url = format!(
        "{}/v1/tenants/{tenant}/networks/{name}",
        context.server.trim_end_matches('/')
    );
    let client = Client::new(context)?;
    match client.get::<Described>(&format!("{url}/resource")).await {
        Ok(known) => Ok(Known::Cluster(Some(Box::new(known.spec)))),
        Err(failure) if failure.code == "not_found" => Ok(Known::Cluster(None)),
        Err(failure) if failure.code == "not_on_kubernetes" => match client.get::<Kept>(&url).await {
            Ok(known) => Ok(Known::Dev(Some(known.validators))),
            Err(failure) if failure.code == "not_found" => Ok(Known::Dev(None)),
            Err(failure) => Err(failure),
        },
        Err(failure) => Err(failure),
    }
}
