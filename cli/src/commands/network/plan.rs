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
    let known = known(choice, &wanted).await?;
    let (exists, effects) = (known.spec.is_some(), known.effects(&wanted.spec));
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

/// The network of a file, among whatever else it describes.
fn read(path: &Path) -> Result<LedgerNetwork> {
    let text = std::fs::read_to_string(path).map_err(|error| io("can't read", path, &error))?;
    let unusable = |why: String| {
        let message = format!("{} {why}", path.display());
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

/// How the network is described now.
async fn known(choice: &Choice, wanted: &LedgerNetwork) -> Result<Known> {
    let context = choice.load_platform()?;
    let dev = context.data_dir.is_some();
    let url = format!(
        "{}/v1/tenants/{}/networks/{}/resource",
        context.server,
        part(wanted.metadata.namespace.as_ref()),
        part(wanted.metadata.name.as_ref())
    );
    let spec = match Client::new(context)?.get::<Described>(&url).await {
        Ok(known) => Some(known.spec),
        Err(failure) if failure.code == "not_found" => None,
        Err(failure) => return Err(failure),
    };
    Ok(Known { spec, dev })
}
