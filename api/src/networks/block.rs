//! From a final block to what receipts are made of.
//!
//! Pure: leaf bytes, the log's growth, the cosigned checkpoint. Whoever sends a block is believed nothing: all hangs on
//! the log root that a quorum cosigned. The leaves made again from transactions and outcomes must give exactly that
//! root, so no accepted action can be hidden or invented; the last of them, the marker, names header, height and time;
//! the header names the transactions. What hangs on nothing is why an action was rejected: code, message and earlier
//! record are the sender's word.

use muniment_ledger::block::transactions_root;
use muniment_ledger::transaction::{Transaction, TransactionId};
use muniment_ledger::wire::{Cosigned, FinalBlock, Outcome};
use muniment_receipts::checkpoint::Checkpoint;
use muniment_receipts::leaf::{self, Leaf, Marker};
use muniment_receipts::merkle::{Extension, Frontier, Hash, leaf_hash};
use muniment_receipts::trust::{Cosignature, Fit, TrustRoot, ValidatorSet};
use std::collections::BTreeSet;

/// A block from the follower's stream can't be used.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// No quorum stands behind it: whoever sent it is wrong, another validator may do.
    #[error("block {height} has no quorum of cosignatures that hold")]
    Unproven {
        /// Height.
        height: u64,
    },
    /// Its marker names validators that our trust root doesn't know: it may be wrong, or we have to learn.
    #[error("block {height} is decided by validators that aren't known here")]
    Strangers {
        /// Height.
        height: u64,
    },
    /// It contradicts itself, or what a quorum signed: whoever sent it is wrong.
    #[error("block {height} isn't the one that was signed for: {why}")]
    Wrong {
        /// Height.
        height: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// It doesn't continue what we know: whoever sent it is wrong, or we are.
    #[error("block {height} doesn't continue the log: {why}")]
    Differs {
        /// Height.
        height: u64,
        /// What is wrong.
        why: &'static str,
    },
}

/// A final block, ready to make receipts from.
pub struct ResolvedBlock {
    /// Height.
    pub height: u64,
    /// Block time, milliseconds.
    pub time: u64,
    /// Ids of the transactions, in order.
    pub ids: Vec<TransactionId>,
    /// Outcomes by transaction and action.
    pub outcomes: Vec<Vec<Outcome>>,
    /// Leaf bytes of the accepted actions; empty when nobody waits for this block.
    pub leaves: Vec<Vec<u8>>,
    /// Index of the first leaf.
    pub first_leaf: u64,
    /// Marker leaf bytes.
    pub marker: Vec<u8>,
    /// Signed note of the block's checkpoint.
    pub note: String,
    /// Validators whose cosignatures the note carries.
    pub signed_by: Vec<String>,
    /// The log's growth by this block: paths.
    pub growth: Extension,
}

impl ResolvedBlock {
    /// Position of a transaction.
    pub fn position(&self, id: &TransactionId) -> Option<usize> {
        self.ids.iter().position(|one| one == id)
    }

    /// Whether any action of a transaction was accepted.
    pub fn accepts(&self, transaction: usize) -> bool {
        let outcomes = self.outcomes.get(transaction).map_or(&[][..], Vec::as_slice);
        outcomes.iter().any(|one| matches!(one, Outcome::Accepted { .. }))
    }
}

/// Number of actions.
fn actions(block: &FinalBlock) -> usize {
    block.outcomes.iter().map(Vec::len).sum()
}

/// How much there is to look at, whatever of it the sender made up.
pub fn weight(block: &FinalBlock) -> usize {
    let counted = block.transactions.len().max(block.cosignatures.len());
    counted.max(actions(block))
}

/// Executed on the frontier before the block. `keep` is whether receipts will be asked for.
///
/// # Errors
/// When indices, roots, marker or signatures don't add up.
pub fn resolve(
    block: &FinalBlock,
    frontier: &Frontier,
    trust: &TrustRoot,
    keep: bool,
) -> Result<ResolvedBlock, BlockError> {
    let height = block.header.height;
    let wrong = |why| BlockError::Wrong { height, why };
    let differs = |why| BlockError::Differs { height, why };
    let leaves = leaves(block).map_err(wrong)?;
    let marker = check_marker(block).map_err(wrong)?;
    match trust.fit(&marker) {
        Fit::Same => {}
        Fit::Unknown => return Err(BlockError::Strangers { height }),
        Fit::Other => return Err(wrong("its marker is of another network or validator set")),
    }
    let set = trust.validators_at(height);
    check_count(block, set).map_err(wrong)?;
    let checkpoint = Checkpoint::new(trust.network(), block.log_size, block.log_root);
    let cosignatures = proven(block, set, &checkpoint);
    let note = set
        .note(&checkpoint, &cosignatures)
        .ok_or(BlockError::Unproven { height })?;
    if block.first_leaf != frontier.size() {
        return Err(differs("its first leaf doesn't follow the last one"));
    }
    let mut hashes: Vec<Hash> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
    hashes.push(leaf_hash(&block.marker));
    let growth = frontier.extension(&hashes);
    if growth.size() != block.log_size || growth.root() != block.log_root {
        return Err(differs("its leaves don't give its log root"));
    }
    let mut indices: Vec<usize> = cosignatures.iter().map(|one| usize::from(one.validator)).collect();
    indices.sort_unstable();
    let names = indices
        .into_iter()
        .take(set.quorum())
        .filter_map(|index| set.validators().get(index));
    Ok(ResolvedBlock {
        height,
        time: block.header.time,
        ids: block.transactions.iter().map(Transaction::id).collect(),
        outcomes: block.outcomes.clone(),
        leaves: if keep { leaves } else { Vec::new() },
        first_leaf: block.first_leaf,
        marker: block.marker.clone(),
        note,
        signed_by: names.map(|validator| validator.name.clone()).collect(),
        growth,
    })
}

/// The marker is in the log that a quorum cosigned; header and transactions are only what it names.
fn check_marker(block: &FinalBlock) -> Result<Marker, &'static str> {
    let header = &block.header;
    let Ok(Leaf::Marker(marker)) = Leaf::parse(&block.marker) else {
        return Err("its marker can't be read");
    };
    if marker.block != header.hash() {
        return Err("its marker names another header");
    }
    if (marker.height, marker.time) != (header.height, header.time) || marker.state_root != block.state_root {
        return Err("its marker has another height, time or state root");
    }
    let root = transactions_root(&block.transactions);
    if root.ok() != Some(header.transactions_root) || header.transactions as usize != block.transactions.len() {
        return Err("its transactions aren't those of its header");
    }
    Ok(marker)
}

/// Each validator's cosignature is there once: a block of nothing but cosignatures must not cost a check for each.
fn check_count(block: &FinalBlock, set: &ValidatorSet) -> Result<(), &'static str> {
    if block.cosignatures.len() > set.validators().len() {
        return Err("it has more cosignatures than there are validators");
    }
    let validators: BTreeSet<u16> = block.cosignatures.iter().map(|one| one.validator).collect();
    if validators.len() < block.cosignatures.len() {
        return Err("it has two cosignatures of one validator");
    }
    Ok(())
}

/// The cosignatures that hold.
fn proven(block: &FinalBlock, set: &ValidatorSet, checkpoint: &Checkpoint) -> Vec<Cosignature> {
    let holds = |one: &&Cosigned| {
        let cosigner = set.cosigner(usize::from(one.validator));
        cosigner.is_some_and(|cosigner| cosigner.verify(one.time, checkpoint, &one.signature).is_ok())
    };
    let holding = block.cosignatures.iter().filter(holds);
    holding
        .map(|one| Cosignature {
            validator: one.validator,
            time: one.time,
            signature: one.signature,
        })
        .collect()
}

/// Leaf bytes of the accepted actions in order; their indices must be consecutive.
pub fn leaves(block: &FinalBlock) -> Result<Vec<Vec<u8>>, &'static str> {
    if block.outcomes.len() != block.transactions.len() {
        return Err("it has not one list of outcomes per transaction");
    }
    // Sizes and indices are whatever the sender wrote.
    let mut leaves = Vec::with_capacity(actions(block));
    let mut next = block.first_leaf;
    let mut accepted = Vec::new();
    for (transaction, outcomes) in block.transactions.iter().zip(&block.outcomes) {
        if outcomes.len() != transaction.actions() {
            return Err("it has not one outcome per action");
        }
        accepted.clear();
        for (position, outcome) in (0_u32..).zip(outcomes) {
            let Outcome::Accepted {
                record,
                version,
                leaf,
                also,
            } = outcome
            else {
                continue;
            };
            if *leaf != next {
                return Err("its leaf indices aren't consecutive");
            }
            next = next.checked_add(1).ok_or("its leaf indices are out of range")?;
            accepted.push((
                position,
                leaf::Outcome {
                    record: *record,
                    version: *version,
                    also: also.clone(),
                },
            ));
        }
        match transaction {
            Transaction::Single { statement, signature }
            | Transaction::Attached {
                statement, signature, ..
            } => {
                leaves.extend(
                    accepted
                        .iter()
                        .map(|(_, outcome)| leaf::single(statement, signature, outcome)),
                );
            }
            Transaction::Batch {
                header,
                signature,
                items,
            } if !accepted.is_empty() => {
                leaves.extend(leaf::batch_items(header, signature, items, &accepted));
            }
            Transaction::Batch { .. } => {}
        }
    }
    if next.checked_add(1) != Some(block.log_size) {
        return Err("its log size isn't its accepted actions and the marker");
    }
    Ok(leaves)
}

#[cfg(test)]
mod tests;
