//! The last-signed guard: what has left under the consensus key, and what therefore may not.
//!
//! Owns the rules ([`Ledger`], pure), an in-memory twin and, in `file`, the durable form. It must not know the engine:
//! it sees slots and digests only.
//!
//! Rules: nothing at or below the floor; nothing below the highest height that was signed; within that height one
//! digest per slot, and nothing in rounds whose records were dropped.

mod file;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use file::FileGuard;

use super::{SignGuard, SignSlot};
use crate::block::Hash;

/// Rounds of the current height whose records are kept.
const KEPT_ROUNDS: u32 = 64;

/// Why a signature was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The height is at or below the floor.
    #[error("heights up to {0} may not be signed: this validator's earlier signatures for them may be lost")]
    Floor(u64),
    /// A later height or a much later round was signed already.
    #[error("a later position was signed already")]
    Older,
    /// Another digest was signed for this slot.
    #[error("something else was signed for this position")]
    Conflict,
}

/// The guard said no, or can't work.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// Signing would break a rule.
    #[error("signature at height {}, round {}, step {} refused", slot.height, slot.round, slot.step)]
    Refused {
        /// The position.
        slot: SignSlot,
        /// The rule.
        #[source]
        why: Refusal,
    },
    /// No guard file: a new validator, or one that lost its data.
    #[error("no signing guard at {}; a validator that signed before must not sign until the network is past all it may have signed", .0.display())]
    Missing(PathBuf),
    /// A guard file is there already.
    #[error("a signing guard exists already at {}", .0.display())]
    Exists(PathBuf),
    /// The file isn't what was written.
    #[error("signing guard {} is corrupt: {what}; remove it only together with raising the floor", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// The file belongs to another network.
    #[error("signing guard {} belongs to another network", .0.display())]
    Foreign(PathBuf),
    /// The file has a version this program doesn't know.
    #[error("signing guard {} has version {version}, newer than this program knows", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// The disk failed.
    #[error("can't {what} signing guard {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// The rules over what was signed. Pure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ledger {
    floor: u64,
    /// Highest height with a record.
    height: u64,
    /// Rounds of `height` below this one are forgotten and refused.
    first_round: u32,
    records: BTreeMap<(u32, u8), Hash>,
}

impl Ledger {
    fn new(floor: u64, height: u64, first_round: u32) -> Self {
        Self {
            floor,
            height,
            first_round,
            records: BTreeMap::new(),
        }
    }

    /// May this be signed? `Ok(true)` if it was recorded before.
    fn judge(&self, slot: SignSlot, digest: &Hash) -> Result<bool, Refusal> {
        if slot.height <= self.floor {
            return Err(Refusal::Floor(self.floor));
        }
        if slot.height > self.height {
            return Ok(false);
        }
        if slot.height < self.height || slot.round < self.first_round {
            return Err(Refusal::Older);
        }
        match self.records.get(&(slot.round, slot.step)) {
            None => Ok(false),
            Some(known) if known == digest => Ok(true),
            Some(_) => Err(Refusal::Conflict),
        }
    }

    /// Takes a record that was judged good.
    fn insert(&mut self, slot: SignSlot, digest: Hash) {
        if slot.height > self.height {
            self.height = slot.height;
            self.first_round = 0;
            self.records.clear();
        }
        self.records.insert((slot.round, slot.step), digest);
        let first = slot.round.saturating_sub(KEPT_ROUNDS);
        if first > self.first_round {
            self.first_round = first;
            self.records = self.records.split_off(&(first, 0));
        }
    }

    fn slots(&self) -> impl Iterator<Item = (SignSlot, &Hash)> {
        self.records.iter().map(|(&(round, step), digest)| {
            (
                SignSlot {
                    height: self.height,
                    round,
                    step,
                },
                digest,
            )
        })
    }
}

/// What left (`recorded`) and what was signed in this run (`signed`).
#[derive(Debug, Default)]
struct Books {
    recorded: Ledger,
    signed: Ledger,
}

impl Books {
    fn new(recorded: Ledger) -> Self {
        Self {
            signed: recorded.clone(),
            recorded,
        }
    }

    fn check(&mut self, slot: SignSlot, digest: Hash) -> Result<(), GuardError> {
        let refused = |why| GuardError::Refused { slot, why };
        self.recorded.judge(slot, &digest).map_err(refused)?;
        if !self.signed.judge(slot, &digest).map_err(refused)? {
            self.signed.insert(slot, digest);
        }
        Ok(())
    }

    /// `true` if a durable record must be written.
    fn must_record(&self, slot: SignSlot, digest: &Hash) -> Result<bool, GuardError> {
        self.recorded
            .judge(slot, digest)
            .map(|known| !known)
            .map_err(|why| GuardError::Refused { slot, why })
    }

    fn raise_floor(&mut self, height: u64) {
        self.recorded.floor = self.recorded.floor.max(height);
        self.signed.floor = self.recorded.floor;
    }
}

/// A poisoned lock means that a thread died between two plain assignments; the books still hold what was recorded.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The guard without a disk, for tests. It protects within one run only.
#[derive(Debug, Default)]
pub struct MemoryGuard(Mutex<Books>);

impl MemoryGuard {
    /// A guard that refuses everything up to `floor`.
    pub fn new(floor: u64) -> Self {
        Self(Mutex::new(Books::new(Ledger::new(floor, 0, 0))))
    }
}

impl SignGuard for MemoryGuard {
    fn check(&self, slot: SignSlot, digest: Hash) -> Result<(), GuardError> {
        lock(&self.0).check(slot, digest)
    }

    fn record(&self, slot: SignSlot, digest: Hash) -> Result<(), GuardError> {
        let mut books = lock(&self.0);
        if books.must_record(slot, &digest)? {
            books.recorded.insert(slot, digest);
        }
        Ok(())
    }

    fn floor(&self) -> u64 {
        lock(&self.0).recorded.floor
    }

    fn raise_floor(&self, height: u64) -> Result<(), GuardError> {
        lock(&self.0).raise_floor(height);
        Ok(())
    }

    fn last_height(&self) -> u64 {
        lock(&self.0).recorded.height
    }
}
