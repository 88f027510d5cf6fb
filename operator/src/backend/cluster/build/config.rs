//! The nodes' settings. A Secret, because the token of their API is among them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use muniment_ledger::config::{LAYOUT_VERSION, NodeConfig, ReplicaConfig, TlsConfig};

use super::{Inputs, pods, unwritable};
use crate::backend::BackendError;
use crate::backend::cluster::certificates::{TRUSTED, certificate_key};
use crate::backend::cluster::names::{self, API_PORT};
use crate::plan::NodePlan;

/// Key of a node's settings in the Secret.
pub fn settings_key(pod: &str) -> String {
    format!("{pod}.json")
}

/// Key that is there when a validator's keys have been with a process that may have voted.
pub fn joined_key(pod: &str) -> String {
    format!("{pod}.joined")
}

/// `node.json` of a node.
pub fn node_json(inputs: &Inputs<'_>, node: &NodePlan) -> Result<Vec<u8>, BackendError> {
    let network = &inputs.plan.network.network;
    let config = NodeConfig {
        version: LAYOUT_VERSION,
        replicas: vec![ReplicaConfig {
            name: node.name.clone(),
            api: node.api,
            consensus: node.consensus,
            peers: node.peers.clone(),
            token: inputs.token.to_owned(),
            tls: Some(tls(node)),
            limits: inputs.plan.network.limits.clone(),
        }],
    };
    let what = format!("Secret {}/{}", network.tenant, names::config(network));
    serde_json::to_vec(&config).map_err(unwritable(what))
}

/// Where a node speaks TLS, and with which files. It answers plainly as well while others speak so.
fn tls(node: &NodePlan) -> TlsConfig {
    let certificates = Path::new(pods::CERTIFICATES);
    TlsConfig {
        api: SocketAddr::new(node.api.ip(), u16::try_from(API_PORT).unwrap_or_default()),
        ca: certificates.join(TRUSTED),
        certificate: certificates.join(certificate_key(&node.name)),
        key: Path::new(pods::SETTINGS).join(pods::TLS_KEY),
        plain: !node.api_url.starts_with("https:"),
    }
}

/// Secret with the settings of all nodes; each pod mounts its own only.
pub fn config(inputs: &Inputs<'_>) -> Result<Secret, BackendError> {
    let network = &inputs.plan.network.network;
    let mut data = BTreeMap::new();
    for node in &inputs.plan.network.nodes {
        let pod = names::pod(network, &node.name);
        data.insert(settings_key(&pod), ByteString(node_json(inputs, node)?));
        if inputs.joined.contains(&node.name) {
            data.insert(joined_key(&pod), ByteString(b"\n".to_vec()));
        }
    }
    Ok(Secret {
        metadata: names::metadata(network, names::config(network)),
        data: Some(data),
        ..Secret::default()
    })
}
