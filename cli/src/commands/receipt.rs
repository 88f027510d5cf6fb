//! `muniment receipt`: getting a receipt, looking into it, and taking it apart for other tools.

mod cose;

use std::path::{Path, PathBuf};

use muniment_receipts::leaf::Leaf;
use muniment_receipts::receipt::{Disclosure, Receipt};

use crate::client::Client;
use crate::commands::records::id;
use crate::context::Choice;
use crate::error::{Failure, Result, named};
use crate::files::Shown as _;
use crate::output::{Output, rfc3339, table};
use crate::target::Target;
use crate::{evidence, files, trust};

/// Works on receipt files; offline but for `get` and `cose`.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Gets the receipt of a step of a record, whoever made it. `muniment verify` checks it.
    Get {
        /// Record id, 64 hex digits.
        #[arg(value_name = "ID")]
        record: String,
        /// The step that made this version of the record [default: the last].
        #[arg(long, value_name = "N")]
        version: Option<u32>,
        #[command(flatten)]
        target: Target,
    },
    /// Shows what a receipt says. To check it use `muniment verify`.
    Show {
        /// Receipt file.
        receipt: PathBuf,
    },
    /// Gets a receipt's second encoding, RFC 9942 COSE receipts, and writes `leaf`, and of each validator
    /// `NAME.cose` and `NAME.key` (its Ed25519 key, 32 bytes). Needs the server.
    Cose {
        /// Receipt file.
        receipt: PathBuf,
        /// Folder to write to; made if it is not there.
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// Trust root file [default: the one pinned at first contact with the network].
        #[arg(long, value_name = "FILE")]
        trust: Option<PathBuf>,
    },
    /// Writes what a foreign C2SP verifier needs: `proof`, `leaf`, `policy` and `origin`.
    Export {
        /// Receipt file.
        receipt: PathBuf,
        /// Folder to write to; made if it is not there.
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// Trust root file [default: the one pinned at first contact with the network].
        #[arg(long, value_name = "FILE")]
        trust: Option<PathBuf>,
    },
}

/// Runs the command.
pub async fn run(command: &Command, choice: &Choice, output: Output) -> Result<bool> {
    match command {
        Command::Get {
            record,
            version,
            target,
        } => get(record, *version, target, choice, output).await?,
        Command::Show { receipt } => show(&read(receipt)?, output)?,
        Command::Cose { receipt, to, trust } => {
            cose::run(&read(receipt)?, to, trust.as_deref(), choice, output).await?
        }
        Command::Export { receipt, to, trust } => export(&read(receipt)?, to, trust.as_deref(), choice, output)?,
    }
    Ok(true)
}

async fn get(record: &str, version: Option<u32>, target: &Target, choice: &Choice, output: Output) -> Result<()> {
    let client = Client::new(choice.load()?)?;
    let step = version.map(|version| format!("?version={version}")).unwrap_or_default();
    let url = client.url(&format!("/records/{}/receipt{step}", id(record)?));
    let receipt = client
        .bytes(&url)
        .await
        .map_err(|failure| match (failure.code.as_str(), version) {
            ("not_found", Some(_)) => Failure {
                next: format!("`muniment records history {record}` lists the versions, if there is such a record"),
                ..failure
            },
            _ => failure,
        })?;
    let receipt = if is_plain(&evidence::parse(&receipt, "the server's answer")?) {
        evidence::disclose(&receipt, &Disclosure::Plain)?
    } else {
        receipt
    };
    target.deliver(&receipt, output)
}

/// Whether its statement says that it holds the document's own digest. Then the receipt needs nothing else to say how the
/// two hang together; of a salted one only its first holder could say it.
fn is_plain(receipt: &Receipt) -> bool {
    let action = Leaf::parse(&receipt.leaf).and_then(|leaf| leaf.action());
    action.is_ok_and(|action| action.input.contains_key("digests") && action.input["mode"] == "plain")
}

fn read(path: &Path) -> Result<Receipt> {
    let bytes = std::fs::read(path).map_err(|error| named("can't read", path, &error))?;
    evidence::parse(&bytes, &path.shown())
}

/// The trust root of a receipt's network.
fn trust_root(receipt: &Receipt, named: Option<&Path>, choice: &Choice) -> Result<trust::Root> {
    let network = hex::encode(receipt.network);
    let Some(root) = trust::find(named, Some(&network), choice)? else {
        return Err(Failure::usage(
            "no_trust_root",
            format!("this needs the trust root of network {network}, and none is known"),
            "name it with --trust",
        ));
    };
    if root.network() != network {
        return Err(Failure::new(
            "trust_root_mismatch",
            format!(
                "the receipt is of network {network} and {} of {}",
                root.from,
                root.network()
            ),
            "name the right trust root with --trust",
        ));
    }
    Ok(root)
}

#[derive(serde::Serialize)]
struct Exported<'a> {
    network: String,
    origin: &'a str,
    files: Vec<PathBuf>,
}

fn export(receipt: &Receipt, to: &Path, named: Option<&Path>, choice: &Choice, output: Output) -> Result<()> {
    let root = trust_root(receipt, named, choice)?;
    let export = receipt.export(&root.root);
    let origin = format!("{}\n", export.origin);
    let parts: [(&str, &[u8]); 4] = [
        ("proof", export.proof.as_bytes()),
        ("leaf", &export.leaf),
        ("policy", export.policy.as_bytes()),
        ("origin", origin.as_bytes()),
    ];
    let mut written = Vec::new();
    for (name, bytes) in parts {
        let path = to.join(name);
        files::write(&path, bytes)?;
        written.push(path);
    }
    if output.json() {
        return output.document(&Exported {
            network: root.network(),
            origin: &export.origin,
            files: written,
        });
    }
    for path in written {
        output.line(path.shown())?;
    }
    output.say("  the checkpoint's origin is in `origin`; the log has no key of its own, so there is no origin.vkey");
    Ok(())
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    network: String,
    record: String,
    height: u64,
    leaf: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    disclosure: Option<Disclosure>,
    statement: String,
    checkpoint: String,
}

fn show(receipt: &Receipt, output: Output) -> Result<()> {
    let shown = Shown {
        network: hex::encode(receipt.network),
        record: hex::encode(receipt.record),
        height: receipt.height,
        leaf: receipt.proof.index,
        disclosure: receipt.disclosure.clone(),
        statement: String::from_utf8_lossy(&receipt.leaf).into_owned(),
        checkpoint: receipt.proof.checkpoint.clone(),
    };
    if output.json() {
        return output.document(&shown);
    }
    let marker = muniment_receipts::leaf::Leaf::parse(&receipt.marker);
    let time = match &marker {
        Ok(muniment_receipts::leaf::Leaf::Marker(marker)) => rfc3339(marker.time),
        _ => "unreadable".to_owned(),
    };
    let mode = shown
        .disclosure
        .as_ref()
        .map_or("not disclosed", |disclosure| disclosure.mode());
    let rows: Vec<Vec<String>> = [
        ("network", shown.network),
        ("record", shown.record),
        ("height", shown.height.to_string()),
        ("time", time),
        ("log index", shown.leaf.to_string()),
        ("mode", mode.to_owned()),
    ]
    .map(|(name, value)| vec![name.to_owned(), value])
    .into();
    output.line(table(&rows))?;
    output.line(format!(
        "\nleaf:\n{}\ncheckpoint:\n{}",
        shown.statement.trim_end(),
        shown.checkpoint.trim_end()
    ))?;
    output.say("nothing of this was checked; `muniment verify` does that");
    Ok(())
}
