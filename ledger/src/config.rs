//! Configuration of a node process: what the operator's backends write and the node reads.
//!
//! Owns file names and shapes inside a node's folder. The operator depends on this module only.
//!
//! ```text
//! <folder>/node.json               NodeConfig
//! <folder>/<replica>/genesis.json  canonical genesis
//! <folder>/<replica>/keys.json     ReplicaKeys, mode 0600
//! <folder>/<replica>/joined        JOINED: may have voted
//! <folder>/<replica>/data/         store and write-ahead log, owned by the node
//! ```

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Version of the on-disk layout; a folder with a higher one is refused.
pub const LAYOUT_VERSION: u32 = 1;

/// File in a replica's folder that says its keys may have signed votes. The node makes it before the first vote; whoever
/// puts keys back into a folder that lost its data makes it too, and the node follows without voting until the network
/// is past everything it can have voted for.
pub const JOINED: &str = "joined";

/// `node.json`: one process, one or more replicas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeConfig {
    /// [`LAYOUT_VERSION`].
    pub version: u32,
    /// Replicas hosted by this process.
    pub replicas: Vec<ReplicaConfig>,
}

/// One replica: one validator of one network.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReplicaConfig {
    /// Validator name as in the genesis; also its folder's name.
    pub name: String,
    /// Address of the node's HTTP API; with `tls` of health and metrics only.
    pub api: SocketAddr,
    /// Address of the consensus transport (libp2p over TCP).
    pub consensus: SocketAddr,
    /// The other replicas of the network.
    pub peers: Vec<PeerConfig>,
    /// Bearer token every caller of the HTTP API needs.
    pub token: String,
    /// Where the HTTP API is spoken over TLS. Without it, it is plain: only for addresses that nobody else can reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsConfig>,
    /// Tunables; all have defaults.
    #[serde(default)]
    pub limits: Limits,
}

/// The HTTP API over TLS: both ends show a certificate. The files are PEM; all but the key are looked at again while the
/// node runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TlsConfig {
    /// Address of the HTTP API.
    pub api: SocketAddr,
    /// Certificates of the authorities whose clients and peers are accepted, and no others.
    pub ca: PathBuf,
    /// The replica's certificate, for servers and clients.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Answers with the token on the plain address as well: as long as validators of the network have no certificates yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plain: bool,
}

impl std::fmt::Debug for ReplicaConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("ReplicaConfig");
        shown
            .field("name", &self.name)
            .field("api", &self.api)
            .field("consensus", &self.consensus);
        shown
            .field("tls", &self.tls)
            .field("peers", &self.peers)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Another replica of the same network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PeerConfig {
    /// Validator name.
    pub name: String,
    /// Base URL of its HTTP API, e.g. `http://127.0.0.1:8411`.
    pub api: String,
    /// `host:port` of its consensus transport.
    pub consensus: String,
}

/// Limits of one replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Most transaction bytes in one block.
    pub block_bytes: usize,
    /// Most actions in one block.
    pub block_actions: usize,
    /// Most bytes of memory that transactions waiting in the mempool take; parsed they are about ten times as large as
    /// on the wire. One signer may take a quarter: about twenty batches of 1,000 small deposits by default.
    pub mempool_bytes: usize,
    /// Milliseconds a proposer is waited for in the first round.
    pub propose_timeout: u64,
    /// Milliseconds votes are waited for in the first round.
    pub vote_timeout: u64,
    /// Milliseconds between heartbeat blocks of an idle network.
    pub heartbeat: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            block_bytes: 2 * 1024 * 1024,
            block_actions: 10_000,
            mempool_bytes: 192 * 1024 * 1024,
            propose_timeout: 300,
            vote_timeout: 150,
            heartbeat: 600_000,
        }
    }
}

/// `keys.json`: the private keys of one replica, hex (32-byte seeds). Never printed, never sent.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReplicaKeys {
    /// Ed25519 seed of the consensus key.
    pub consensus: String,
    /// Ed25519 seed of the notary key (`cosignature/v1`).
    pub notary: String,
    /// Ed25519 seed of the COSE receipt key.
    pub cose: String,
    /// Ed25519 seed of the libp2p transport key.
    pub transport: String,
}

impl std::fmt::Debug for ReplicaKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReplicaKeys(secret)")
    }
}
