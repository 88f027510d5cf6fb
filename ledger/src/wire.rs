//! What travels between a node, its peers and its clients over the node HTTP API.
//!
//! Owns paths, shapes and size limits. Bodies marked *borsh* are `application/octet-stream`; the rest is JSON.
//!
//! | method, path | body → answer |
//! |---|---|
//! | POST `/v1/transactions` | borsh `Vec<Transaction>` → JSON [`Submitted`]; relays to all peers, answers after f+1 hold it. Header [`RELAY_HEADER`]`: 1` (from a peer): not relayed again, and the answer lists the refused ones only |
//! | GET `/v1/transactions/{id}?wait=MS` | JSON [`TransactionStatus`] |
//! | GET `/v1/blocks?from=H` | endless stream of frames (`u32` little-endian length + borsh [`FinalBlock`]) from height H on; a zero-length frame after each idle [`KEEP_ALIVE`] keeps it alive |
//! | GET `/v1/records/{id}` | JSON [`RecordView`] |
//! | GET `/v1/records?template=&after=&limit=` | JSON [`RecordPage`], by record id |
//! | GET `/v1/records/{id}/history` | JSON `Vec<HistoryEntry>` |
//! | GET `/v1/records/{id}/proof` | JSON [`StateProof`], also when there is no such record |
//! | GET `/v1/governance` | JSON [`GovernanceView`]: members, how many decide, templates in force |
//! | GET `/v1/templates/{name}?revision=` | JSON [`TemplateView`], the newest revision by default |
//! | GET `/v1/leaves/{index}` | JSON [`LeafProof`]: leaf, and its path to the checkpoint of its own block |
//! | GET `/v1/trust-root` | the trust root file: genesis, and each change of validators with its proof |
//! | GET `/v1/genesis` | canonical genesis bytes |
//! | GET `/v1/status` | JSON [`NodeStatus`] |
//! | GET `/checkpoint`, `/tile/{L}/{N}[.p/{W}]`, `/tile/entries/{N}[.p/{W}]` | C2SP tlog-tiles |
//! | POST `/v1/cosignatures` | borsh `Vec<Cosigned>` from a peer → 204 |
//! | GET `/v1/cosignatures?from=H&to=H` | borsh `Vec<Cosigned>` |
//! | GET `/healthz`, `/readyz`, `/metrics` | without token |
//!
//! A host serves many replicas at one address: each has these paths below `/n/{tenant}.{network}`, and there also
//! `/seat`: JSON [`SeatStatus`], whether or not the replica runs. GET `/erased/{folder}` without that prefix answers 204
//! when the data of a removed network is gone for good. A host's own `/healthz`, `/readyz` and `/metrics` are at another
//! address, `/readyz` at both.
//!
//! Everything but the last row wants `Authorization: Bearer <token>`. Errors are `application/problem+json`
//! ([`Problem`]); the stable codes are in [`code`]. A temporary one carries `Retry-After` in seconds.

pub mod codec;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::block::{Certificate, Hash, Header};
use crate::state::{MemberEntry, TemplateEntry};
use crate::transaction::{Transaction, TransactionId};

/// Largest accepted request body in bytes.
pub const MAX_BODY: usize = 8 * 1024 * 1024;
/// Most transactions in one request.
pub const MAX_TRANSACTIONS: usize = 10_000;
/// Most heights asked for at once by `GET /v1/cosignatures`.
pub const MAX_HEIGHTS: u64 = 1_000;
/// Most records in a page.
pub const MAX_PAGE: usize = 1_000;
/// Longest wait for a transaction, in milliseconds.
pub const MAX_WAIT: u64 = 60_000;
/// Largest frame of the block stream in bytes, as a follower accepts it.
pub const MAX_FRAME: usize = 64 * 1024 * 1024;
/// A block stream is never silent for longer than this.
pub const KEEP_ALIVE: std::time::Duration = std::time::Duration::from_secs(5);
/// Request header that marks a submission as coming from a peer.
pub const RELAY_HEADER: &str = "muniment-relay";
/// Code of an [`Admission::Refused`] that is only temporary: the mempool has no room. The node answers the whole
/// request with 503 [`code::MEMPOOL_FULL`], and what was admitted stays admitted.
pub const MEMPOOL_FULL: &str = "MEMPOOL_FULL";
/// Code of an [`Admission::Refused`] that is only temporary: this signer's transactions have used up his part of the
/// mempool here, or of too many other validators. Said of the transaction, not of the request: those of other signers
/// go on.
pub const SHARE_FULL: &str = "SHARE_FULL";
/// Code of a refusal that says nothing of the transaction: the validator can't read its own store.
pub const UNREADABLE: &str = "UNREADABLE";

/// Stable codes of [`Problem`].
pub mod code {
    /// 401: no bearer token, or a wrong one.
    pub const UNAUTHORIZED: &str = "unauthorized";
    /// 403: the address is plain, and the node has certificates.
    pub const CERTIFICATE_REQUIRED: &str = "certificate_required";
    /// 404: no such path, record, leaf or tile.
    pub const NOT_FOUND: &str = "not_found";
    /// 405: the path exists, with another method.
    pub const METHOD: &str = "method_not_allowed";
    /// 413: body above [`super::MAX_BODY`] or more than [`super::MAX_TRANSACTIONS`].
    pub const TOO_LARGE: &str = "body_too_large";
    /// 400: the body isn't what the path takes.
    pub const BAD_BODY: &str = "malformed_body";
    /// 400: a part of the path or the query isn't what it must be.
    pub const BAD_QUERY: &str = "malformed_query";
    /// 503: the mempool has no room.
    pub const MEMPOOL_FULL: &str = "mempool_full";
    /// 503: fewer than f+1 validators hold the transactions so far; they stay here and the request may be repeated.
    pub const NO_QUORUM: &str = "no_quorum_reachable";
    /// 503: the replica in this seat of a host is starting or failed.
    pub const NOT_RUNNING: &str = "not_running";
    /// 500: the node's own fault; details are in its log.
    pub const INTERNAL: &str = "internal";
}

/// Result of one action of a decided transaction. The variant order is the stored format: append only.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Outcome {
    /// The record was created or changed and one leaf was appended.
    Accepted {
        /// Record id.
        record: Hash,
        /// Record version after the action, from 1.
        version: u32,
        /// Index of the leaf in the log.
        leaf: u64,
        /// Records beside the first that the action changed, with their new versions. The same leaf is theirs.
        also: Vec<(Hash, u32)>,
    },
    /// Nothing changed.
    Rejected {
        /// Stable code, e.g. `DUPLICATE`, `UNKNOWN_FIELD`, `EXPIRED`.
        code: String,
        /// Plain sentence, names the fix.
        message: String,
        /// JSON pointer into the statement, or empty.
        pointer: String,
        /// The record the refusal is about: for a duplicate the earlier one.
        record: Option<Hash>,
    },
}

/// One validator's signatures over the checkpoint of a height. Stored and exchanged.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Cosigned {
    /// Height of the block whose checkpoint this is.
    pub height: u64,
    /// Index of the validator in the set of that height.
    pub validator: u16,
    /// Seconds since the Unix epoch, inside the signature.
    pub time: u64,
    /// C2SP `cosignature/v1` Ed25519 signature by the notary key.
    pub signature: [u8; 64],
    /// Ed25519 signature by the COSE key over the RFC 9942 `Sig_structure`.
    pub cose: [u8; 64],
}

/// A decided and executed block with a quorum of cosignatures: all a follower needs to make receipts.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct FinalBlock {
    /// Header as decided.
    pub header: Header,
    /// Transactions in order.
    pub transactions: Vec<Transaction>,
    /// For each transaction, an outcome per action.
    pub outcomes: Vec<Vec<Outcome>>,
    /// Certificate of the engine.
    pub certificate: Certificate,
    /// Log size before this block; the leaves of the accepted actions follow in order, then the marker.
    pub first_leaf: u64,
    /// Leaf bytes of the block marker, always the last leaf of the block.
    pub marker: Vec<u8>,
    /// Log size after this block (`first_leaf` + accepted actions + 1).
    pub log_size: u64,
    /// Log root after this block.
    pub log_root: Hash,
    /// State root after this block.
    pub state_root: Hash,
    /// At least a quorum, sorted by validator index.
    pub cosignatures: Vec<Cosigned>,
}

/// Answer to a submission, one entry per transaction in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// Outcome of admission.
    pub results: Vec<Admission>,
}

/// What admission said of one transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "camelCase")]
pub enum Admission {
    /// In the mempool of f+1 validators.
    Accepted {
        /// Transaction id, hex.
        id: String,
    },
    /// Already waiting or already in a block.
    Known {
        /// Transaction id, hex.
        id: String,
        /// Height if it is in a block.
        height: Option<u64>,
    },
    /// Never will be in a block as it stands.
    Refused {
        /// Transaction id, hex.
        id: String,
        /// Stable code, e.g. `BAD_SIGNATURE`, `NOT_A_MEMBER`, `EXPIRED`, `MALFORMED`.
        code: String,
        /// Plain sentence.
        message: String,
    },
}

impl Admission {
    /// Transaction id, hex.
    pub fn id(&self) -> &str {
        match self {
            Self::Accepted { id } | Self::Known { id, .. } | Self::Refused { id, .. } => id,
        }
    }

    /// The id if it was refused.
    pub fn refused(&self) -> Option<&str> {
        matches!(self, Self::Refused { .. }).then(|| self.id())
    }

    /// True if it waits for a block here.
    pub fn waits(&self) -> bool {
        matches!(self, Self::Accepted { .. } | Self::Known { height: None, .. })
    }
}

/// State of a transaction at this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "camelCase")]
pub enum TransactionStatus {
    /// Never seen, or refused.
    Unknown,
    /// In the mempool.
    Pending,
    /// In a block. The outcomes are in the block's frame.
    Final {
        /// Height.
        height: u64,
    },
}

/// A record as of the node's height.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordView {
    /// Height this answer is true for.
    pub height: u64,
    /// The record; the canonical JSON of it is what the state root commits to.
    pub record: serde_json::Value,
    /// Log index of the leaf that made the present version.
    pub leaf: u64,
}

/// A page of records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordPage {
    /// Height this answer is true for.
    pub height: u64,
    /// Records, ascending by id.
    pub records: Vec<serde_json::Value>,
    /// Pass as `after` for the next page.
    pub next: Option<String>,
}

/// How the network decides about itself, as of the node's height.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GovernanceView {
    /// Height this answer is true for.
    pub height: u64,
    /// Members that must agree to a change.
    pub threshold: u32,
    /// Who may sign, by key.
    pub members: Vec<MemberEntry>,
    /// Templates and the revision that makes new records, by name.
    pub templates: Vec<TemplateEntry>,
}

/// A revision of a template, as of the node's height.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateView {
    /// Height this answer is true for.
    pub height: u64,
    /// Name.
    pub name: String,
    /// Revision.
    pub revision: u32,
    /// Revision that makes new records.
    pub newest: u32,
    /// YAML source.
    pub source: String,
}

/// One step in a record's life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// Record version, from 1.
    pub version: u32,
    /// Action name.
    pub action: String,
    /// Signer key.
    pub signer: String,
    /// Block height.
    pub height: u64,
    /// Block time, milliseconds.
    pub time: u64,
    /// Log index.
    pub leaf: u64,
}

/// Proof that a record is in a state, or that there is none, as of a height.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StateProof {
    /// Height.
    pub height: u64,
    /// State root, hex; the marker leaf of `height` carries the same.
    pub state_root: String,
    /// State key, hex.
    pub key: String,
    /// SHA-256 of the record's canonical JSON, hex, or absent.
    pub value: Option<String>,
    /// Proof bytes of the authenticated map, hex (format: docs/formats.md).
    pub proof: String,
}

/// A leaf with its inclusion in the checkpoint of its block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeafProof {
    /// Height of the block.
    pub height: u64,
    /// Leaf index.
    pub index: u64,
    /// Leaf bytes, base64.
    pub leaf: String,
    /// Audit path, hex hashes, lowest first.
    pub path: Vec<String>,
    /// Marker leaf bytes, base64, and its path.
    pub marker: String,
    /// Audit path of the marker.
    pub marker_path: Vec<String>,
    /// Checkpoint text with cosignature lines of at least a quorum.
    pub checkpoint: String,
    /// COSE signatures by validator index, hex.
    pub cose: Vec<(u16, String)>,
}

/// A node's answer about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// Network id, hex.
    pub network: String,
    /// Validator name.
    pub name: String,
    /// Software version.
    pub version: String,
    /// Last executed height.
    pub height: u64,
    /// State root after it, hex.
    pub state_root: String,
    /// Log size after it.
    pub log_size: u64,
    /// Time of the last block, milliseconds.
    pub time: u64,
    /// Peers that answered within the last seconds.
    pub peers: Vec<PeerStatus>,
    /// Validators in the set, this one included.
    pub validators: usize,
    /// Signatures needed.
    pub quorum: usize,
    /// Transactions waiting.
    pub mempool: usize,
    /// False while the replica catches up or may not vote yet.
    pub voting: bool,
    /// Quorum reachable as seen from here.
    pub ready: bool,
}

/// What a host says of one of its seats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeatStatus {
    /// SHA-256 of the settings that it runs with, or is started with, hex.
    pub settings: String,
    /// What its replica does.
    pub state: SeatState,
    /// Starts after a failure, since the host started.
    pub restarts: u32,
    /// Why it last ended, if it failed.
    pub last_exit: Option<String>,
}

/// What a replica does in its seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SeatState {
    /// It is being opened.
    Starting,
    /// It runs.
    Running,
    /// It failed and is started again soon.
    BackingOff,
}

/// How a node sees a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerStatus {
    /// Validator name.
    pub name: String,
    /// Answers now.
    pub connected: bool,
    /// Last height heard.
    pub height: u64,
}

/// RFC 9457 body of every error of the node API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// Stable code.
    pub code: String,
    /// Short title.
    pub title: String,
    /// What to do.
    pub detail: String,
}

/// Id of a transaction as it is shown and asked for.
pub fn id_hex(id: &TransactionId) -> String {
    hex::encode(id.0)
}
