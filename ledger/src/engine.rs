//! The seam to the consensus engine.
//!
//! The engine orders blocks; the [`Application`] makes, judges and keeps them. Nothing outside `engine/` names an
//! engine type, so that history stays readable if the engine is ever replaced.

use crate::block::{Certificate, Hash};

/// A validator as the engine sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validator {
    /// First 20 bytes of SHA-256 of the consensus key.
    pub address: [u8; 20],
    /// Ed25519 consensus key.
    pub key: [u8; 32],
    /// Voting power, equal weights by default.
    pub power: u64,
}

/// What the application thinks of a proposed block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Stored on disk; may be voted for.
    Valid,
    /// Stored or not; must be voted against.
    Invalid,
}

/// Failure that the engine can't go on from; the process ends and its supervisor starts it again.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Fatal {
    /// What failed here.
    pub what: &'static str,
    /// Why.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// What the engine asks of the node, one call at a time. Calls may block on disk.
///
/// Guarantees the implementation must give: a block is on disk before `propose`, `check` or `import` return;
/// `propose` for the same (height, round) returns the same block also after a restart; `decide` is idempotent.
pub trait Application: Send + 'static {
    /// Height of the last decided block; 0 before the first.
    fn tip(&self) -> u64;
    /// Lowest height whose block is kept (1, until pruning exists).
    fn lowest(&self) -> u64;
    /// Validators that decide `height`, in proposer order. `height` is at most tip + 1.
    fn validators(&self, height: u64) -> Vec<Validator>;
    /// Makes the block for our turn.
    fn propose(&mut self, height: u64, round: u32) -> Result<(Hash, Vec<u8>), Fatal>;
    /// Judges a block that a peer proposed at tip + 1. `reproposed` is true when an earlier round already
    /// gathered a quorum of prevotes for it: then its time isn't judged again. Returns its hash, or `None` if the
    /// bytes aren't a block.
    fn check(
        &mut self,
        height: u64,
        round: u32,
        reproposed: bool,
        block: &[u8],
    ) -> Result<Option<(Hash, Verdict)>, Fatal>;
    /// Takes a block from sync. Only its hash is covered by the certificate, so everything else is checked.
    fn import(&mut self, height: u64, block: &[u8]) -> Result<Option<(Hash, Verdict)>, Fatal>;
    /// Bytes of a stored block, decided or not.
    fn block(&self, hash: &Hash) -> Result<Option<Vec<u8>>, Fatal>;
    /// The block is final: execute it, keep the certificate, sync to disk. `false` when the block is unknown: the
    /// engine then restarts the height and obtains it by sync.
    fn decide(&mut self, certificate: Certificate) -> Result<bool, Fatal>;
    /// Decided blocks with certificates from `from` to `to`, contiguous from `from`, at most `max_bytes`.
    fn decided(&self, from: u64, to: u64, max_bytes: usize) -> Result<Vec<(Vec<u8>, Certificate)>, Fatal>;
    /// True when the next height should start now (transactions wait), false when the network may stay idle.
    fn has_work(&self) -> bool;
    /// Called before each vote or proposal signature leaves: refuse (false) to sign something that conflicts with
    /// what was signed before. Must be on disk when it returns true.
    fn may_sign(&mut self, slot: SignSlot, digest: Hash) -> Result<bool, Fatal>;
}

/// Position of a consensus signature; one digest may be signed for each, ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignSlot {
    /// Height.
    pub height: u64,
    /// Round.
    pub round: u32,
    /// 0 proposal, 1 prevote, 2 precommit.
    pub step: u8,
}
