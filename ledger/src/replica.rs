//! The seam between a replica and the node process around it.
//!
//! [`Replica`] is what the HTTP server, the relay and the metrics may ask. All calls are short, may touch the disk,
//! and never wait for consensus; waiting is done on [`Replica::watch_final`].

mod application;
mod audit;
mod cosigners;
mod fold;
mod local;
pub mod memory;
mod network;
mod notary;
mod open;
mod rehash;
mod roots;
mod sets;
mod views;

pub use application::ReplicaApplication;
pub use audit::audit;
pub use local::{LocalReplica, Wake};
pub use network::{GenesisError, NetworkFacts};
pub use open::{OpenError, Opened, open};

use views::{StateView, TreeView};

use crate::block::Hash;
use crate::transaction::{Transaction, TransactionId};
use crate::wire::{
    Admission, Cosigned, FinalBlock, GovernanceView, HistoryEntry, LeafProof, RecordPage, RecordView, StateProof,
    TemplateView, TransactionStatus,
};
use tokio::sync::{broadcast, watch};

/// A read failed: the store is broken or a stored form can't be read.
#[derive(Debug, thiserror::Error)]
#[error("the replica's store can't be read")]
pub struct ReadError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Heights and roots after the last executed block.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Tip {
    /// Height, 0 before the first block.
    pub height: u64,
    /// Block time in milliseconds.
    pub time: u64,
    /// State root.
    pub state_root: Hash,
    /// Log size.
    pub log_size: u64,
    /// Log root.
    pub log_root: Hash,
}

/// What the node process may ask of one replica.
pub trait Replica: Send + Sync + 'static {
    /// Network id.
    fn network(&self) -> Hash;
    /// Canonical genesis bytes.
    fn genesis(&self) -> &[u8];
    /// Judges transactions (form, signature, membership, validity) and puts the good ones into the mempool; wakes
    /// the engine.
    fn admit(&self, transactions: Vec<Transaction>) -> Vec<Admission>;
    /// Last executed block.
    fn tip(&self) -> Tip;
    /// Follows the highest height that has a quorum of cosignatures. Blocks become final in order.
    fn watch_final(&self) -> watch::Receiver<u64>;
    /// A final block, `None` above the final height.
    fn final_block(&self, height: u64) -> Result<Option<FinalBlock>, ReadError>;
    /// Where a transaction stands.
    fn transaction(&self, id: &TransactionId) -> Result<TransactionStatus, ReadError>;
    /// A record.
    fn record(&self, id: &Hash) -> Result<Option<RecordView>, ReadError>;
    /// Records of a template (or all), ascending by id, after `after`.
    fn records(&self, template: Option<&str>, after: Option<&Hash>, limit: usize) -> Result<RecordPage, ReadError>;
    /// Steps of a record, oldest first: those after version `after`, at most `limit`; none when it is unknown.
    fn history(&self, id: &Hash, after: u32, limit: usize) -> Result<Vec<HistoryEntry>, ReadError>;
    /// Presence or absence proof of a record as of the tip.
    fn state_proof(&self, id: &Hash) -> Result<StateProof, ReadError>;
    /// Members, threshold and templates as of the tip.
    fn governance(&self) -> Result<GovernanceView, ReadError>;
    /// A template's source; the newest revision when none is named.
    fn template(&self, name: &str, revision: Option<u32>) -> Result<Option<TemplateView>, ReadError>;
    /// The trust root file as of the last final block: genesis and the changes of validators since, each proven.
    fn trust_root(&self) -> Result<Vec<u8>, ReadError>;
    /// A leaf with its path to the checkpoint of its own block; `None` until that checkpoint is final.
    fn leaf_proof(&self, index: u64) -> Result<Option<LeafProof>, ReadError>;
    /// Signed note of the latest final checkpoint; `None` before the first.
    fn checkpoint(&self) -> Result<Option<String>, ReadError>;
    /// Hash of a full subtree of 2^level leaves (tlog-tiles), `None` beyond the tip.
    fn subtree(&self, level: u8, index: u64) -> Result<Option<Hash>, ReadError>;
    /// Leaf bytes from `from`, at most `count`, for entry bundles.
    fn leaves(&self, from: u64, count: usize) -> Result<Vec<Vec<u8>>, ReadError>;
    /// Takes cosignatures from a peer; bad ones are dropped and counted. Unknown heights within 1,000 of the tip are
    /// kept for later.
    fn add_cosignatures(&self, cosigned: Vec<Cosigned>);
    /// Own and known cosignatures of a range of heights, at most 1,000 heights.
    fn cosignatures(&self, from: u64, to: u64) -> Result<Vec<Cosigned>, ReadError>;
    /// Own new cosignatures, to be sent to the peers.
    fn own_cosignatures(&self) -> broadcast::Receiver<Cosigned>;
    /// Has the engine make a block although nothing waits, once: a peer that lost its data may vote only above a
    /// certain height.
    fn want_block(&self);
    /// Transactions and bytes in the mempool.
    fn mempool(&self) -> (usize, usize);
    /// False while the replica catches up or may not vote yet.
    fn voting(&self) -> bool;
    /// Number of validators and signatures needed, as of the tip.
    fn quorum(&self) -> (usize, usize);
}
