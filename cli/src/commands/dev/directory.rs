//! Tells the management API which networks the supervisor runs.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use muniment_api::{NetworkDirectory, NetworkEntry};
use muniment_ledger::client::Endpoint;
use muniment_operator::Local;

/// Empty until the supervisor is attached: the API opens first, because a network's genesis needs the tenant's key.
#[derive(Default)]
pub struct Directory(OnceLock<Arc<Local>>);

impl Directory {
    /// From now on the networks are this supervisor's.
    pub fn attach(&self, local: Arc<Local>) {
        // Attached once; a second one would be a bug and changes nothing.
        let _ = self.0.set(local);
    }
}

#[async_trait]
impl NetworkDirectory for Directory {
    async fn networks(&self) -> Vec<NetworkEntry> {
        let Some(local) = self.0.get() else { return Vec::new() };
        local.networks().await.into_iter().filter_map(entry).collect()
    }
}

fn entry(network: muniment_operator::NetworkEntry) -> Option<NetworkEntry> {
    let mut id = [0; 32];
    hex::decode_to_slice(&network.id, &mut id).ok()?;
    let restarts = network
        .nodes
        .iter()
        .map(|node| (node.name.clone(), node.restarts))
        .collect();
    let endpoints = network.nodes.into_iter().map(|node| Endpoint {
        name: node.name,
        url: node.url,
        token: node.token,
        tls: None,
    });
    Some(NetworkEntry {
        tenant: network.network.tenant.to_string(),
        name: network.network.name.to_string(),
        id,
        endpoints: endpoints.collect(),
        trust_root: network.trust_root,
        suspended: false,
        restarts,
    })
}
