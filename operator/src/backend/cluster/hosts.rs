//! Shared placement: the validators of many networks in the four hosts of the control plane.
//!
//! ```text
//! StatefulSet <hosts>-N           pod <hosts>-N-0: host N of four, one fault domain each (of the chart)
//! ConfigMap   <hosts>-ports       which network has which consensus port (of the chart, filled here)
//! Secret      <hosts>-N-seats-S   what host N mounts: settings, genesis and keys of its seats (of the chart, filled here)
//! ```
//! Validator N of a network sits in host N. Its keys and its genesis have their durable place in the tenant's namespace,
//! as in dedicated placement; what lies in the hosts' Secrets is a copy that can be made again. Chart and operator agree
//! on these names; the node reads the files: [`muniment_ledger::mounted::seats`]. What sits here for networks that are gone
//! is found and taken away by itself: see [`orphans`].

mod driver;
mod gate;
mod look;
mod observe;
mod orphans;
mod poke;
mod ports;
mod remove;
mod seats;

use std::net::{Ipv4Addr, SocketAddr};

use muniment_crds::{NetworkName, TenantName};
use muniment_ledger::node::host::PREFIX;

use super::ClusterSettings;
use crate::network::NetworkRef;
use crate::plan::Seat;

pub use driver::Shared;
pub use gate::{Gate, HostRestart};

/// Hosts, and so validators of a shared network.
pub const HOSTS: usize = 4;
/// Secrets of a host: one alone holds 1 MiB.
pub const SHARDS: usize = 4;
/// Port of the API of all seats of a host.
const API_PORT: u16 = 8411;

/// The hosts by name.
#[derive(Clone, Debug)]
pub struct Hosts {
    /// Their Service; the front of all their names.
    pub name: String,
    /// Namespace of the control plane.
    pub namespace: String,
}

impl Hosts {
    /// `None` where there are none.
    pub fn of(settings: &ClusterSettings) -> Option<Self> {
        Some(Self {
            name: settings.hosts.clone()?,
            namespace: settings.namespace.clone(),
        })
    }

    /// Pod of a host.
    pub fn pod(&self, host: usize) -> String {
        format!("{}-{host}-0", self.name)
    }

    /// ConfigMap with the networks' ports.
    pub fn ports(&self) -> String {
        format!("{}-ports", self.name)
    }

    /// Secret with a part of the seats of a host.
    pub fn secret(&self, host: usize, shard: usize) -> String {
        format!("{}-{host}-seats-{shard}", self.name)
    }

    /// Name of a host, as pods of the cluster resolve it.
    fn domain(&self, host: usize) -> String {
        format!("{}.{}.{}.svc", self.pod(host), self.name, self.namespace)
    }

    /// URL of a host at an address.
    fn base(&self, address: &str) -> String {
        format!("http://{address}:{API_PORT}")
    }

    /// URL of a network's seat at an address of a host.
    fn url(&self, address: &str, network: &NetworkRef) -> String {
        self.seat_url(address, &seat_name(network))
    }

    /// URL of a seat by its name.
    fn seat_url(&self, address: &str, seat: &str) -> String {
        format!("{}{PREFIX}{seat}", self.base(address))
    }

    /// Gives a validator its addresses in its host.
    pub fn place(&self, network: &NetworkRef, seat: &mut Seat, port: u16) {
        let host = host_of(&seat.keys.name);
        let any = |port: u16| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        seat.api = any(API_PORT);
        seat.consensus = any(port);
        seat.api_url = self.url(&self.domain(host), network);
        seat.consensus_host = format!("{}:{port}", self.domain(host));
    }
}

/// Name of a network's seat in every host. Neither part has a dot.
pub fn seat_name(network: &NetworkRef) -> String {
    format!("{}.{}", network.tenant, network.name)
}

/// The network whose seat has this name.
fn network_of(seat: &str) -> Option<NetworkRef> {
    let (tenant, name) = seat.split_once('.')?;
    Some(NetworkRef {
        tenant: TenantName::new(tenant).ok()?,
        name: NetworkName::new(name).ok()?,
    })
}

/// The host of a validator: by the number in its name, which never changes.
pub fn host_of(validator: &str) -> usize {
    let number = validator
        .rsplit('-')
        .next()
        .and_then(|number| number.parse::<usize>().ok());
    number.unwrap_or_default() % HOSTS
}

/// The part of a host's Secrets that a network's seats lie in. Ports are given out from the lowest, so the parts fill
/// evenly.
fn shard_of(port: u16) -> usize {
    usize::from(port) % SHARDS
}
