//! The fold of one block: (state, log, block) → (outcomes, leaves, new roots).
//!
//! Owns the order in which a block's results come about. Reads through views, writes nothing, reads no clock.

use std::sync::Arc;

use muniment_receipts::leaf::{self, Marker};
use muniment_receipts::merkle::{self, Frontier};

use super::network::NetworkFacts;
use super::{StateView, TreeView};
use crate::block::{Hash, Header};
use crate::execute::{self, Prepared};
use crate::state::tree;
use crate::store::{BlockResult, HistoryRow, View};

/// A block can't be executed: the store is broken, or two nodes would disagree.
#[derive(Debug, thiserror::Error)]
#[error("block {height} can't be executed")]
pub struct FoldError {
    /// Height.
    pub height: u64,
    /// Why.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Everything a block changes.
pub struct Folded {
    /// What is kept per height.
    pub result: BlockResult,
    /// Hashes of the appended leaves, marker last.
    pub leaf_hashes: Vec<Hash>,
    /// The log after the block.
    pub frontier: Frontier,
    /// State writes.
    pub state: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// Writes to the authenticated map.
    pub nodes: tree::NodeBatch,
    /// Record steps.
    pub history: Vec<(Hash, u32, HistoryRow)>,
    /// New records with their templates.
    pub created: Vec<(String, Hash)>,
}

/// Executes a block on the state that `view` shows, which must be that of its parent.
///
/// # Errors
/// [`FoldError`]; the node must not go on.
pub fn fold(
    facts: &NetworkFacts,
    view: &View,
    cache: &tree::Cache,
    frontier: &Frontier,
    header: &Header,
    transactions: &[Arc<Prepared>],
) -> Result<Folded, FoldError> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| FoldError {
        height: header.height,
        source,
    };
    let executed =
        execute::execute(&StateView(view), header, transactions, &facts.params).map_err(|e| failed(e.into()))?;
    let (state_root, nodes) = tree::commit(
        &TreeView {
            view,
            cache: Some(cache),
        },
        header.height,
        &executed.changes,
    )
    .map_err(|e| failed(e.into()))?;
    let marker = leaf::marker(&Marker {
        block: header.hash(),
        height: header.height,
        network: facts.network,
        next_validators: header.next_validators,
        state_root,
        time: header.time,
        validators: header.validators,
    });
    let mut leaf_hashes: Vec<Hash> = executed.leaves.iter().map(|leaf| merkle::leaf_hash(leaf)).collect();
    leaf_hashes.push(merkle::leaf_hash(&marker));
    let first_leaf = frontier.size();
    let mut frontier = frontier.clone();
    frontier.extend(&leaf_hashes);
    let history = executed.history.into_iter().map(|entry| {
        let row = HistoryRow {
            action: entry.action,
            signer: entry.signer,
            height: header.height,
            time: header.time,
            leaf: entry.leaf,
        };
        (entry.record, entry.version, row)
    });
    Ok(Folded {
        result: BlockResult {
            time: header.time,
            outcomes: executed.outcomes,
            first_leaf,
            marker,
            log_size: frontier.size(),
            log_root: frontier.root(),
            state_root,
        },
        leaf_hashes,
        state: executed.changes.into_iter().collect(),
        nodes,
        history: history.collect(),
        created: executed.created,
        frontier,
    })
}
