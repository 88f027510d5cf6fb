//! Our settings in the shape Malachite wants, and the limits that follow from them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use arc_malachitebft_app_channel::app::config::{
    ChannelNames, ConsensusConfig, NodeConfig, ProtocolNames, PubSubProtocol, ValuePayload, ValueSyncConfig,
};
use arc_malachitebft_app_channel::app::net::Multiaddr;
use arc_malachitebft_app_channel::app::types::core::LinearTimeouts;
use bytesize::ByteSize;

use super::{EngineConfig, EngineError, Role};
use crate::block::Hash;

/// What may come with a block in one message.
const MARGIN: usize = 64 * 1024;
/// Least size of a sync response, so that many small blocks come at once.
const MIN_RESPONSE: usize = 8 * 1024 * 1024;
/// How often peers tell each other their height; a new connection is told at once. Every message costs an idle network
/// a stream on each connection.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);

/// Checked settings.
#[derive(Clone, Debug)]
pub struct Settings {
    pub network: Hash,
    pub moniker: String,
    pub timeouts: LinearTimeouts,
    pub heartbeat: Duration,
    pub max_block: usize,
    listen: Multiaddr,
    peers: Vec<Multiaddr>,
}

impl Settings {
    pub fn new(config: &EngineConfig) -> Result<Self, EngineError> {
        if config.max_block_bytes == 0 || config.max_block_bytes > 64 * 1024 * 1024 {
            let value = format!("{} (1 byte to 64 MiB)", config.max_block_bytes);
            return Err(EngineError::Setting {
                setting: "max block bytes",
                value,
            });
        }
        if config.propose_timeout.is_zero() || config.vote_timeout.is_zero() {
            return Err(EngineError::Setting {
                setting: "timeouts",
                value: "zero".to_owned(),
            });
        }
        Ok(Self {
            network: config.network,
            moniker: config.moniker.clone(),
            timeouts: timeouts(config.propose_timeout, config.vote_timeout),
            heartbeat: config.heartbeat,
            max_block: config.max_block_bytes,
            listen: socket(config.listen)?,
            peers: config
                .peers
                .iter()
                .map(|peer| peer_address(peer))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Most bytes of a sync response; at least one block always fits.
    pub fn max_response(&self) -> usize {
        MIN_RESPONSE.max(self.max_block + MARGIN)
    }

    pub fn engine(self, role: Role) -> EngineSettings {
        let mut consensus = ConsensusConfig {
            enabled: role == Role::Validator,
            value_payload: ValuePayload::ProposalAndParts,
            ..ConsensusConfig::default()
        };
        consensus.p2p.listen_addr = self.listen.clone();
        consensus.p2p.persistent_peers = self.peers.clone();
        consensus.p2p.protocol = PubSubProtocol::Broadcast;
        consensus.p2p.pubsub_max_size = ByteSize::b((self.max_block + MARGIN) as u64);
        consensus.p2p.rpc_max_size = ByteSize::b((self.max_response() + MARGIN) as u64);
        consensus.p2p.protocol_names = protocol_names(&self.network);
        consensus.p2p.channel_names = channel_names(&self.network);
        let discovery = &mut consensus.p2p.discovery;
        discovery.enabled = false;
        // Validators of a laptop, or behind one gateway, share an address.
        discovery.max_connections_per_ip = 1024;
        discovery.ip_throttle_duration = Duration::ZERO;
        // After one failure the peer goes back to the list that is dialled every second; more retries would wait
        // longer and longer.
        discovery.dial_max_retries = 1;
        let sync = ValueSyncConfig {
            status_update_interval: STATUS_INTERVAL,
            request_timeout: Duration::from_secs(5),
            max_response_size: ByteSize::b(self.max_response() as u64),
            batch_size: 10,
            parallel_requests: 5,
            ..ValueSyncConfig::default()
        };
        EngineSettings {
            moniker: self.moniker,
            consensus,
            sync,
        }
    }
}

fn timeouts(propose: Duration, vote: Duration) -> LinearTimeouts {
    // Low, so that a network that stood still for hours goes on within seconds.
    let longest = 5 * propose.max(vote);
    LinearTimeouts {
        propose,
        propose_delta: propose / 3,
        prevote: vote,
        prevote_delta: vote / 3,
        precommit: vote,
        precommit_delta: vote / 3,
        // For what a peer missed while it was cut off. This timer also runs while a decided height is held: often, it
        // would be most of what an idle network does.
        rebroadcast: longest,
        max_timeout: longest,
    }
}

fn socket(address: SocketAddr) -> Result<Multiaddr, EngineError> {
    let family = if address.is_ipv4() { "ip4" } else { "ip6" };
    format!("/{family}/{}/tcp/{}", address.ip(), address.port())
        .parse()
        .map_err(|_| EngineError::Setting {
            setting: "address",
            value: address.to_string(),
        })
}

/// `host:port`, where the host is an address or a DNS name.
fn peer_address(peer: &str) -> Result<Multiaddr, EngineError> {
    let unusable = || EngineError::Setting {
        setting: "peers",
        value: format!("{peer} isn't host:port"),
    };
    if let Ok(address) = peer.parse::<SocketAddr>() {
        return socket(address);
    }
    let (host, port) = peer.rsplit_once(':').ok_or_else(unusable)?;
    let port: u16 = port.parse().map_err(|_| unusable())?;
    if host.is_empty() || host.contains(['/', ':']) || host.parse::<IpAddr>().is_ok() {
        return Err(unusable());
    }
    format!("/dns/{host}/tcp/{port}").parse().map_err(|_| unusable())
}

/// A peer of another network can't agree on any of these.
fn protocol_names(network: &Hash) -> ProtocolNames {
    let name = |protocol: &str| format!("/muniment/{}/{protocol}/1", hex::encode(network));
    ProtocolNames {
        consensus: name("consensus"),
        discovery_kad: name("kad"),
        discovery_regres: name("discovery"),
        sync: name("sync"),
        validator_proof: name("validator"),
    }
}

/// Channel names have at most 63 bytes, so they carry the front of the network id only.
fn channel_names(network: &Hash) -> ChannelNames {
    let name = |channel: &str| format!("/m/{}/{channel}", hex::encode(&network[..16]));
    ChannelNames {
        consensus: name("consensus"),
        proposal_parts: name("parts"),
        sync: name("sync"),
        liveness: name("liveness"),
    }
}

/// Malachite's configuration.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    moniker: String,
    consensus: ConsensusConfig,
    sync: ValueSyncConfig,
}

impl NodeConfig for EngineSettings {
    fn moniker(&self) -> &str {
        &self.moniker
    }
    fn consensus(&self) -> &ConsensusConfig {
        &self.consensus
    }
    fn consensus_mut(&mut self) -> &mut ConsensusConfig {
        &mut self.consensus
    }
    fn value_sync(&self) -> &ValueSyncConfig {
        &self.sync
    }
    fn value_sync_mut(&mut self) -> &mut ValueSyncConfig {
        &mut self.sync
    }
}
