//! `muniment network plan`: what a description would bring about, before it is applied.

use std::path::{Path, PathBuf};

use muniment_crds::{LedgerNetwork, LedgerNetworkSpec};
use muniment_operator::{Impact, preview};
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
struct Known {
    spec: LedgerNetworkSpec,
}

/// Runs the command. The answer is whether everything can be.
pub async fn run(args: Args, choice: &Choice, output: Output) -> Result<bool> {
    let wanted = read(&args.file)?;
    let known = known(choice, &wanted).await?;
    let effects = preview(known.as_ref(), &wanted.spec);
    let refused = effects.iter().any(|effect| effect.impact == Impact::Refused);
    if output.json() {
        output.document(&json!({ "exists": known.is_some(), "effects": effects }))?;
        return Ok(!refused);
    }
    let name = format!(
        "{}/{}",
        part(wanted.metadata.namespace.as_ref()),
        part(wanted.metadata.name.as_ref())
    );
    output.line(match (known.is_some(), effects.is_empty()) {
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

/// How the network is described now; `None` when there is none.
async fn known(choice: &Choice, wanted: &LedgerNetwork) -> Result<Option<LedgerNetworkSpec>> {
    let context = choice.load()?;
    let (tenant, name) = (
        part(wanted.metadata.namespace.as_ref()),
        part(wanted.metadata.name.as_ref()),
    );
    let url = format!(
        "{}/v1/tenants/{tenant}/networks/{name}/resource",
        context.server.trim_end_matches('/')
    );
    match Client::new(context)?.get::<Known>(&url).await {
        Ok(known) => Ok(Some(known.spec)),
        Err(failure) if failure.code == "not_found" => Ok(None),
        Err(failure) => Err(failure),
    }
}
