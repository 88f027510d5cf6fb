//! Tells the management API which networks the supervisor runs.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use muniment_api::embedded::{Described, Embedded};
use muniment_api::resources::Target;
use muniment_api::{NetworkDirectory, NetworkEntry};
use muniment_ledger::client::Endpoint;
use muniment_operator::Local;

use super::judge::reference;

/// Empty until the supervisor is attached: the API opens first, because a network's genesis needs the tenant's key.
#[derive(Default)]
pub struct Directory(OnceLock<(Arc<Local>, Arc<Embedded>)>);

impl Directory {
    /// From now on the networks are this supervisor's, and their tenants as they are described.
    pub fn attach(&self, local: Arc<Local>, described: Arc<Embedded>) {
        // Attached once; a second one would be a bug and changes nothing.
        let _ = self.0.set((local, described));
    }
}

#[async_trait]
impl NetworkDirectory for Directory {
    async fn networks(&self) -> Vec<NetworkEntry> {
        let Some((local, described)) = self.0.get() else {
            return Vec::new();
        };
        let all = described.all();
        // Nothing is accepted any more for a network that is going.
        let going = |network: &muniment_operator::NetworkEntry| {
            all.iter()
                .any(|one| one.deleting && reference(&one.target).as_ref() == Some(&network.network))
        };
        let suspended: Vec<String> = all.iter().filter_map(suspended).collect();
        let running = local.networks().await.into_iter();
        running
            .filter(|network| !going(network))
            .filter_map(|network| entry(network, &suspended))
            .collect()
    }
}

/// The name of a tenant that may read and not write.
fn suspended(one: &Described) -> Option<String> {
    match &one.target {
        Target::Tenant(name) if one.spec["suspended"] == serde_json::json!(true) => Some(name.clone()),
        _ => None,
    }
}

fn entry(network: muniment_operator::NetworkEntry, suspended: &[String]) -> Option<NetworkEntry> {
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
    let tenant = network.network.tenant.to_string();
    Some(NetworkEntry {
        suspended: suspended.contains(&tenant),
        tenant,
        name: network.network.name.to_string(),
        id,
        endpoints: endpoints.collect(),
        trust_root: network.trust_root,
        asleep: false,
        restarts,
    })
}
