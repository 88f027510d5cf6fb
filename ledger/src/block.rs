//! Blocks: what the consensus engine orders and the store keeps.
//!
//! Owns the header, its hash and the stored certificate. A header commits to the *result of executing its parent*
//! (as a delayed root); the result of the block itself is committed by its marker leaf and the checkpoint that the
//! validators cosign.

use borsh::{BorshDeserialize, BorshSerialize};
use muniment_receipts::merkle;
use sha2::{Digest, Sha256};

use crate::transaction::Transaction;

/// The only header version so far.
pub const HEADER_VERSION: u8 = 1;

/// Most bytes of an encoded block, and most actions in one. Part of what makes a block valid, so they are the same for
/// every validator and every release; a replica's own limits ([`crate::config::Limits`]) only bound what it proposes.
pub const MAX_BLOCK: usize = 16 * 1024 * 1024;
/// See [`MAX_BLOCK`].
pub const MAX_ACTIONS: usize = 20_000;
/// Latest block time in milliseconds: the largest integer that JSON carries exactly (RFC 8785), some 285,000 years on.
pub const MAX_TIME: u64 = (1 << 53) - 1;
/// Room in a block for the header and framing beside the transactions.
pub const BLOCK_OVERHEAD: usize = 64 * 1024;

/// 32 bytes of SHA-256.
pub type Hash = [u8; 32];

/// A block header. The block hash is SHA-256 over its borsh bytes, and is the value consensus votes on.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Header {
    /// [`HEADER_VERSION`].
    pub version: u8,
    /// Network id: SHA-256 of the canonical genesis.
    pub network: Hash,
    /// 1 for the first block.
    pub height: u64,
    /// Hash of the parent header; the network id at height 1.
    pub parent: Hash,
    /// Proposer's clock in milliseconds since the Unix epoch, strictly above the parent's and within the bounds
    /// that the other validators accept by their own clocks.
    pub time: u64,
    /// RFC 6962 root over the borsh bytes of the transactions.
    pub transactions_root: Hash,
    /// Number of transactions.
    pub transactions: u32,
    /// Leaves in the log after the parent.
    pub parent_log_size: u64,
    /// Log root after the parent.
    pub parent_log_root: Hash,
    /// State root after the parent.
    pub parent_state_root: Hash,
    /// Hash of the validator set that decides this block.
    pub validators: Hash,
    /// Hash of the validator set that decides the next block.
    pub next_validators: Hash,
}

impl Header {
    /// SHA-256 over the borsh bytes.
    pub fn hash(&self) -> Hash {
        let mut hasher = Sha256::new();
        hasher.update(borsh::to_vec(self).unwrap_or_default());
        hasher.finalize().into()
    }
}

/// RFC 6962 root over the borsh bytes of the transactions.
///
/// # Errors
/// When a transaction can't be encoded, which memory alone can cause.
pub fn transactions_root(transactions: &[Transaction]) -> Result<Hash, std::io::Error> {
    let leaf = |transaction| {
        let mut hasher = Hasher(merkle::leaf_hasher());
        borsh::to_writer(&mut hasher, transaction)?;
        Ok::<Hash, std::io::Error>(hasher.0.finalize().into())
    };
    let leaves: Vec<_> = transactions.iter().map(leaf).collect::<Result<_, _>>()?;
    Ok(merkle::root(&leaves))
}

/// Hashes what is written, without a copy of it.
struct Hasher(Sha256);

impl std::io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A header with its transactions.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Block {
    /// The header.
    pub header: Header,
    /// Transactions in execution order.
    pub transactions: Vec<Transaction>,
}

/// Proof that a quorum of validators decided a block: our own stored form, independent of the engine.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Certificate {
    /// Decided height.
    pub height: u64,
    /// Round in which it was decided.
    pub round: u32,
    /// Block hash.
    pub block: Hash,
    /// Validator address and Ed25519 signature over its precommit bytes (`engine::signing`).
    pub signatures: Vec<([u8; 20], [u8; 64])>,
}
