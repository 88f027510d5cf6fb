//! The sealed genesis: written once, never changed.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use muniment_crds::Placement;
use muniment_receipts::trust::TrustRoot;

use crate::backend::BackendError;
use crate::backend::cluster::names;
use crate::plan::NetworkPlan;

/// Key of the canonical genesis.
pub const GENESIS: &str = "genesis.json";
/// Key of the trust root that a verifier pins.
pub const TRUST_ROOT: &str = "trust-root.json";

/// Immutable ConfigMap with the genesis, the trust root that follows from it, and where the network was made.
///
/// # Errors
/// When no verifier would accept this genesis: it must not be sealed then.
pub fn genesis(plan: &NetworkPlan, placement: Placement) -> Result<ConfigMap, BackendError> {
    let network = &plan.network;
    let failed = |source| BackendError::TrustRoot {
        network: network.clone(),
        source,
    };
    let trust_root = TrustRoot::new(plan.genesis.clone())
        .and_then(|root| root.canonical())
        .map_err(|error| failed(error.into()))?;
    let genesis = plan.genesis.canonical().map_err(|error| failed(error.into()))?;
    // Canonical JSON is UTF-8.
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|error| failed(error.into()));
    let mut metadata = names::metadata(network, names::genesis(network));
    metadata.annotations = Some(names::map([(names::PLACEMENT, placement.as_str().to_owned())]));
    Ok(ConfigMap {
        metadata,
        immutable: Some(true),
        data: Some(BTreeMap::from([
            (GENESIS.to_owned(), text(genesis)?),
            (TRUST_ROOT.to_owned(), text(trust_root)?),
        ])),
        ..ConfigMap::default()
    })
}
