//! Consensus ports of shared networks: given out once, and kept until the network is removed.
//!
//! Owns the ConfigMap of ports, which is also the list of shared networks. Two hands never give out one port twice: a
//! change is made only to what was read.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::ConfigMap;
use muniment_crds::{NetworkName, TenantName};
use serde_json::json;

use super::{Hosts, seat_name};
use crate::backend::BackendError;
use crate::backend::cluster::access::Access;
use crate::network::NetworkRef;

/// First port; the chart's network policies know the range.
const FIRST: u16 = 20_000;
/// How many, and so the most shared networks.
const COUNT: u16 = 512;
/// Times that another hand may come first.
const TRIES: usize = 8;

/// The ports of an installation.
pub struct Ports<'a> {
    /// The API server.
    pub access: &'a Access,
    /// The hosts.
    pub hosts: &'a Hosts,
}

impl Ports<'_> {
    async fn read(&self) -> Result<ConfigMap, BackendError> {
        let name = self.hosts.ports();
        let found = self.access.get(&self.hosts.namespace, &name).await?;
        found.ok_or_else(|| BackendError::Object {
            what: format!("ConfigMap {}/{name}", self.hosts.namespace),
            problem: "it isn't there".to_owned(),
            fix: "it is part of the chart: run helm upgrade",
        })
    }

    /// The port of a network, if it has one.
    pub async fn of(&self, network: &NetworkRef) -> Result<Option<u16>, BackendError> {
        Ok(given(&self.read().await?).get(&seat_name(network)).copied())
    }

    /// The port of a network; gives it one if it has none.
    pub async fn claim(&self, network: &NetworkRef) -> Result<u16, BackendError> {
        for _ in 0..TRIES {
            let map = self.read().await?;
            let given = given(&map);
            let name = seat_name(network);
            if let Some(port) = given.get(&name) {
                return Ok(*port);
            }
            let port = free(&given).ok_or_else(|| BackendError::HostsFull {
                network: network.clone(),
                why: format!("{COUNT} networks have all the ports there are"),
            })?;
            let change = json!({ "data": { name: port.to_string() } });
            if self.access.merge_if_unchanged(&map, change).await? {
                return Ok(port);
            }
        }
        Err(BackendError::Object {
            what: format!("ConfigMap {}/{}", self.hosts.namespace, self.hosts.ports()),
            problem: "it changes all the time".to_owned(),
            fix: "look who changes it",
        })
    }

    /// Takes the port of a network back.
    pub async fn release(&self, network: &NetworkRef) -> Result<(), BackendError> {
        if self.of(network).await?.is_none() {
            return Ok(());
        }
        let change = json!({ "data": { seat_name(network): null } });
        self.access
            .merge::<ConfigMap>(&self.hosts.namespace, &self.hosts.ports(), &change)
            .await
    }

    /// All shared networks.
    pub async fn networks(&self) -> Result<Vec<NetworkRef>, BackendError> {
        let network = |name: &String| {
            let (tenant, name) = name.split_once('.')?;
            Some(NetworkRef {
                tenant: TenantName::new(tenant).ok()?,
                name: NetworkName::new(name).ok()?,
            })
        };
        Ok(given(&self.read().await?).keys().filter_map(network).collect())
    }
}

fn given(map: &ConfigMap) -> BTreeMap<String, u16> {
    let rows = map.data.iter().flatten();
    rows.filter_map(|(name, port)| Some((name.clone(), port.parse().ok()?)))
        .collect()
}

/// The lowest port that nobody has.
fn free(given: &BTreeMap<String, u16>) -> Option<u16> {
    let taken: BTreeSet<u16> = given.values().copied().collect();
    (FIRST..FIRST + COUNT).find(|port| !taken.contains(port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_port_is_given_until_none_is_left() {
        let mut given = BTreeMap::from([("a.a".to_owned(), FIRST), ("b.b".to_owned(), FIRST + 2)]);
        assert_eq!(free(&given), Some(FIRST + 1));
        given.extend((FIRST..FIRST + COUNT).map(|port| (format!("n.{port}"), port)));
        assert_eq!(free(&given), None);
    }
}
