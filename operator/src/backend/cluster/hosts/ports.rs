//! Consensus ports of shared networks: given out once, and kept until the network is removed.
//!
//! Owns the ConfigMap of ports, which is also the list of shared networks. Two hands never give out one port twice: a
//! change is made only to what was read. Should the map be lost, the seats still say which port is whose, and nobody is
//! given another's.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::json;

use super::orphans::parts;
use super::seats::seats_in;
use super::{Hosts, network_of, seat_name};
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

    /// The port that a network's seats have, whatever the map says.
    pub async fn seated(&self, network: &NetworkRef) -> Result<Option<u16>, BackendError> {
        Ok(most(&self.seats().await?, &seat_name(network)))
    }

    /// The port of a network; gives it one if it has none.
    pub async fn claim(&self, network: &NetworkRef) -> Result<u16, BackendError> {
        let name = seat_name(network);
        let mut seats = None;
        for _ in 0..TRIES {
            let map = self.read().await?;
            let given = given(&map);
            if let Some(port) = given.get(&name) {
                return Ok(*port);
            }
            let seats = match &seats {
                Some(seats) => seats,
                None => seats.insert(self.seats().await?),
            };
            let port = choose(&given, seats, &name).ok_or_else(|| BackendError::HostsFull {
                network: network.clone(),
                why: format!("{COUNT} networks have all the ports there are"),
            })?;
            let change = json!({ "data": { name.as_str(): port.to_string() } });
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

    /// All shared networks: those that have a port or a seat.
    pub async fn networks(&self) -> Result<BTreeSet<NetworkRef>, BackendError> {
        let given = given(&self.read().await?);
        let seats = self.seats().await?;
        let names = given.keys().chain(seats.iter().map(|(seat, _)| seat));
        Ok(names.filter_map(|name| network_of(name)).collect())
    }

    /// Every seat in every host, with the port that its settings say.
    async fn seats(&self) -> Result<Vec<(String, Option<u16>)>, BackendError> {
        let mut seats = Vec::new();
        for (host, shard) in parts() {
            let name = self.hosts.secret(host, shard);
            let secret: Option<Secret> = self.access.get(&self.hosts.namespace, &name).await?;
            seats.extend(secret.iter().flat_map(seats_in));
        }
        Ok(seats)
    }
}

fn given(map: &ConfigMap) -> BTreeMap<String, u16> {
    let rows = map.data.iter().flatten();
    rows.filter_map(|(name, port)| Some((name.clone(), port.parse().ok()?)))
        .collect()
}

/// The port that a network's seats have already, unless it was given away; else the lowest that nobody has.
fn choose(given: &BTreeMap<String, u16>, seats: &[(String, Option<u16>)], name: &str) -> Option<u16> {
    let others: BTreeSet<u16> = given.values().copied().collect();
    if let Some(own) = most(seats, name).filter(|own| !others.contains(own) && (FIRST..FIRST + COUNT).contains(own)) {
        return Some(own);
    }
    let sit = |port: &u16| seats.iter().any(|(_, seated)| *seated == Some(*port));
    (FIRST..FIRST + COUNT).find(|port| !others.contains(port) && !sit(port))
}

/// The port that most seats of this name have.
fn most(seats: &[(String, Option<u16>)], name: &str) -> Option<u16> {
    let own = || {
        seats
            .iter()
            .filter(|(seat, _)| seat == name)
            .filter_map(|(_, port)| *port)
    };
    own().max_by_key(|port| (own().filter(|other| other == port).count(), std::cmp::Reverse(*port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_port_is_given_until_none_is_left() {
        let mut given = BTreeMap::from([("a.a".to_owned(), FIRST), ("b.b".to_owned(), FIRST + 2)]);
        assert_eq!(choose(&given, &[], "c.c"), Some(FIRST + 1));
        given.extend((FIRST..FIRST + COUNT).map(|port| (format!("n.{port}"), port)));
        assert_eq!(choose(&given, &[], "c.c"), None);
    }

    #[test]
    fn with_the_map_lost_everyone_gets_the_port_that_its_seats_have() {
        let seat = |name: &str, port: u16| (name.to_owned(), Some(port));
        let seats = [
            seat("a.a", FIRST),
            seat("b.b", FIRST + 1),
            seat("b.b", FIRST + 3),
            seat("b.b", FIRST + 3),
            ("c.c".to_owned(), None),
        ];
        let mut given = BTreeMap::new();
        assert_eq!(choose(&given, &seats, "new.new"), Some(FIRST + 2), "nobody's");
        assert_eq!(
            choose(&given, &seats, "c.c"),
            Some(FIRST + 2),
            "its settings can't be read"
        );
        assert_eq!(choose(&given, &seats, "b.b"), Some(FIRST + 3), "as most of its seats");
        assert_eq!(choose(&given, &seats, "a.a"), Some(FIRST));
        given.insert("early.bird".to_owned(), FIRST);
        assert_eq!(choose(&given, &seats, "a.a"), Some(FIRST + 2), "it was given away");
    }
}
