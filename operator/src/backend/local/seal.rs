//! The genesis and the trust root: written once, after the keys are durable.

use std::path::Path;

use muniment_receipts::genesis::Genesis;
use muniment_receipts::trust::TrustRoot;

use super::files::{self, Access};
use crate::backend::BackendError;
use crate::network::NetworkRef;
use crate::plan::Plan;

const GENESIS: &str = "genesis.json";
const TRUST_ROOT: &str = "trust-root.json";
const REVISION: &str = "revision";

/// The sealed genesis of a network; `None` when it isn't sealed.
pub(super) fn sealed(folder: &Path) -> Result<Option<Genesis>, BackendError> {
    files::read_json(&folder.join(GENESIS))
}

/// Seals the planned genesis, or makes sure that it is the sealed one. The trust root and the revision follow it.
pub(super) fn seal(folder: &Path, plan: &Plan) -> Result<Sealed, BackendError> {
    let network = &plan.network.network;
    let failed = |source| BackendError::TrustRoot {
        network: network.clone(),
        source,
    };
    let genesis = plan.network.genesis.canonical().map_err(|e| failed(e.into()))?;
    // Before anything is written: a genesis that no verifier accepts must not be sealed.
    let new = TrustRoot::new(plan.network.genesis.clone())
        .and_then(|t| t.canonical())
        .map_err(|e| failed(e.into()))?;
    if let Some(found) = files::read(&folder.join(GENESIS))?
        && found != genesis
    {
        return Err(other_genesis(network, folder, plan));
    }
    files::write(&folder.join(GENESIS), &genesis, Access::Shared)?;
    let trust_root = trust_root(&folder.join(TRUST_ROOT), new, &plan.network.id)?;
    files::write(
        &folder.join(REVISION),
        format!("{}\n", plan.revision).as_bytes(),
        Access::Shared,
    )?;
    Ok(Sealed { genesis, trust_root })
}

/// Bytes of the sealed documents.
pub(super) struct Sealed {
    /// Canonical genesis.
    pub(super) genesis: Vec<u8>,
    /// Canonical trust root.
    pub(super) trust_root: Vec<u8>,
}

fn other_genesis(network: &NetworkRef, folder: &Path, plan: &Plan) -> BackendError {
    let id = sealed(folder)
        .ok()
        .flatten()
        .and_then(|g| g.network_id().ok())
        .map(hex::encode);
    BackendError::OtherGenesis {
        network: network.clone(),
        sealed: id.unwrap_or_else(|| "something unreadable".to_owned()),
        planned: plan.network.id.clone(),
    }
}

/// The trust root file. One that is there stays: it may tell of changes that the genesis doesn't know.
fn trust_root(path: &Path, new: Vec<u8>, id: &str) -> Result<Vec<u8>, BackendError> {
    let Some(found) = files::read(path)? else {
        files::write(path, &new, Access::Shared)?;
        return Ok(new);
    };
    let damaged = |problem| BackendError::Damaged {
        path: path.to_owned(),
        problem,
    };
    let parsed = TrustRoot::parse(&found).map_err(|e| damaged(e.to_string()))?;
    if hex::encode(parsed.network()) != id {
        return Err(damaged(format!(
            "it is that of network {}",
            hex::encode(parsed.network())
        )));
    }
    Ok(found)
}
