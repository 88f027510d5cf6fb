//! `muniment network plan`: what a description would bring about, before it is applied.

use std::path::{Path, PathBuf};

use muniment_crds::{LedgerNetwork, LedgerNetworkSpec};
use muniment_operator::{Effect, Impact, in_dev, preview};
use serde::Deserialize;
use serde_json::json;

use crate::commands::apply::{self, manifest, manifest::Manifest};
use crate::context::Choice;
use crate::error::{Failure, Result, chain, io};
use crate::files::Shown;
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

/// What there is now, and where.
struct Known {
    spec: Option<LedgerNetworkSpec>,
    dev: bool,
}

impl Known {
    fn effects(&self, wanted: &LedgerNetworkSpec) -> Vec<Effect> {
        let preview = if self.dev { in_dev } else { preview };
        preview(self.spec.as_ref(), wanted)
    }
}

/// Runs the command. The answer is whether everything can be.
pub async fn run(args: Args, choice: &Choice, output: Output) -> Result<bool> {
    let wanted = read(&args.file)?;
    let (name, known) = known(choice, args.file).await?;
    let (exists, effects) = (known.spec.is_some(), known.effects(&wanted.spec));
    let refused = effects.iter().any(|effect| effect.impact == Impact::Refused);
    if output.json() {
        output.document(&json!({ "exists": exists, "effects": effects }))?;
        return Ok(!refused);
    }
    output.line(match (exists, effects.is_empty()) {
        (true, true) => format!("{name} is already described so"),
        (true, false) => format!("{name} would be changed:"),
        (false, _) => format!("{name} would be made:"),
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

/// The network of a file, among whatever else it describes.
fn read(path: &Path) -> Result<LedgerNetwork> {
    let text = std::fs::read_to_string(path).map_err(|error| io("can't read", path, &error))?;
    let unusable = |why: String| {
        let message = format!("{} {why}", path.shown());
        Failure::usage("bad_network", message, "compare it with crds/ledgernetworks.yaml")
    };
    let all: Vec<serde_json::Value> =
        serde_yaml::from_multiple(&text).map_err(|error| unusable(format!("is not YAML: {}", chain(&error))))?;
    let mut networks = all.iter().filter(|one| one["kind"] == "LedgerNetwork");
    match (networks.next(), networks.next()) {
        // Read from the text, an error has its line.
        _ if all.len() == 1 => {
            serde_yaml::from_str(&text).map_err(|error| unusable(format!("is not a LedgerNetwork: {}", chain(&error))))
        }
        (Some(one), None) => serde_json::from_value(one.clone())
            .map_err(|error| unusable(format!("has a LedgerNetwork that can't be used: {error}"))),
        (None, _) => Err(unusable("describes no LedgerNetwork".to_owned())),
        (Some(_), Some(_)) => Err(unusable("describes several networks; plan them one by one".to_owned())),
    }
}

/// The network's name, and how it is described now.
async fn known(choice: &Choice, file: PathBuf) -> Result<(String, Known)> {
    let found = manifest::read(&[file])?;
    let (tenants, networks): (Vec<_>, Vec<_>) = found.manifests.into_iter().partition(Manifest::is_tenant);
    let client = apply::client(&networks, choice)?;
    let server = &client.context().server;
    let Some(network) = networks.first() else {
        return Err(Failure::usage(
            "bad_network",
            "the file describes no LedgerNetwork",
            "compare it with crds/ledgernetworks.yaml",
        ));
    };
    let spec = match client.get::<Described>(&network.resource_url(server)).await {
        Ok(known) => Some(known.spec),
        Err(failure) if failure.code == "not_found" => {
            // What a key may not see is answered in the same words.
            if tenants.is_empty() {
                client.get::<serde_json::Value>(&network.collection_url(server)).await?;
            }
            None
        }
        Err(failure) => return Err(failure),
    };
    let dev = client.context().data_dir.is_some();
    Ok((network.to_string(), Known { spec, dev }))
}
