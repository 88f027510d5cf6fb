//! The seam to the consensus engine.
//!
//! The engine orders blocks; the [`Application`] makes, judges and keeps them; the [`SignGuard`] keeps the consensus
//! key from ever signing two things for one slot. Nothing outside `engine/` names an engine type, so that history
//! stays readable if the engine is ever replaced.
//!
//! Two drivers stand behind the seam: [`malachite`], the real one, and [`sequencer`], a deterministic one for tests
//! that need no network.

mod codec;
mod context;
pub mod guard;
pub mod malachite;
pub mod sequencer;
pub mod signing;

pub use guard::{FileGuard, GuardError, MemoryGuard, Refusal};
pub use malachite::{EngineConfig, EngineError, EngineExit, EngineHandle, EngineKeys, Role, Waker, start};

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

impl Validator {
    /// A validator with this consensus key; the address follows from the key.
    pub fn new(key: [u8; 32], power: u64) -> Self {
        Self {
            address: signing::address(&key),
            key,
            power,
        }
    }
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

/// What the engine asks of the node, one call at a time. Calls may block on disk; they run where blocking is
/// allowed.
///
/// Guarantees the implementation must give: a block is on disk before `propose`, `check` or `import` return;
/// `propose` for the same (height, round) returns the same block also after a restart; `decide` is idempotent.
///
/// Guarantees the engine gives: `check` and `propose` are called for height `tip() + 1` only, and `check` only with
/// bytes that the proposer of that (height, round) signed; `decide` is called with a certificate that a quorum of
/// `validators(height)` signed, in ascending order of heights without gaps, and possibly again for the height of the
/// tip with more signatures.
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
    /// gathered a quorum of prevotes for it: then it may be older than the clock would allow. Returns its hash, or
    /// `None` if the bytes aren't a block.
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
    /// Decided blocks with certificates from `from` to `to`, contiguous from `from`, at most `max_bytes` (but at
    /// least one block if there is one). The range comes from a peer and may be anything.
    fn decided(&self, from: u64, to: u64, max_bytes: usize) -> Result<Vec<(Vec<u8>, Certificate)>, Fatal>;
    /// True when the next height should start now (transactions wait), false when the network may stay idle.
    fn has_work(&self) -> bool;
    /// Least time between the starts of two heights when transactions wait. A block costs the same whatever it holds,
    /// so a busy network is faster with fewer, larger blocks. Must stay well below the propose timeout.
    fn pace(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }
}

/// Keeps the consensus key from signing two different things for one [`SignSlot`], across restarts and lost data.
///
/// The engine asks twice: [`check`](SignGuard::check) before the key signs, and [`record`](SignGuard::record) before
/// the signature leaves the process. The record comes second on purpose. The engine's own write-ahead log is synced
/// between the two, so whatever the guard has on disk the log has as well, and a crash at any moment is replayed from
/// the log without ever meeting a refusal. (The other order, common elsewhere, makes a killed node refuse its own
/// round whenever it died between the two syncs.) If the log is lost, the guard still knows everything that left.
pub trait SignGuard: Send + Sync + 'static {
    /// May `digest` be signed for `slot`? Remembers the answer in memory, so that a second digest is refused.
    fn check(&self, slot: SignSlot, digest: Hash) -> Result<(), GuardError>;
    /// The signature is about to leave: durable when it returns `Ok`; on an error it must not leave.
    fn record(&self, slot: SignSlot, digest: Hash) -> Result<(), GuardError>;
    /// Nothing may be signed at this height or below.
    fn floor(&self) -> u64;
    /// Raises the floor; durable when it returns. Lower values change nothing.
    fn raise_floor(&self, height: u64) -> Result<(), GuardError>;
    /// Highest height for which a signature left; 0 if none.
    fn last_height(&self) -> u64;
}

/// Position of a consensus signature; one digest may be signed for each, ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignSlot {
    /// Height.
    pub height: u64,
    /// Round.
    pub round: u32,
    /// 0 proposal, 1 prevote, 2 precommit.
    pub step: u8,
}

impl SignSlot {
    /// Step of a proposal.
    pub const PROPOSAL: u8 = 0;
    /// Step of a prevote.
    pub const PREVOTE: u8 = 1;
    /// Step of a precommit.
    pub const PRECOMMIT: u8 = 2;
}

/// Proposer of (height, round): the validators take turns.
pub(crate) fn proposer_index(height: u64, round: u32, validators: usize) -> usize {
    let count = validators.max(1) as u64;
    usize::try_from(height.wrapping_add(u64::from(round)) % count).unwrap_or_default()
}
