//! The file of log hashes made anew from what it is derived of: the block log and the results in the index.
//!
//! Owns when that is needed and how it is done. Everything else that is damaged stays a named error.

use std::ops::RangeInclusive;

use muniment_receipts::merkle::{self, Frontier};

use crate::execute;
use crate::store::{BlockResult, Store, StoreError, View, decode_block};

/// The log at the tip by the file of hashes. What was written since the file was last synced may be lost after a power
/// cut, and is written again; when the hashes still don't lead to the log's root, all of them are.
pub(super) fn restore(store: &Store, view: &View, height: u64, tip: &BlockResult) -> Result<Frontier, StoreError> {
    let synced = view.hashed()?.min(height);
    let sound = || {
        store
            .hashes()
            .frontier(tip.log_size)
            .ok()
            .filter(|log| log.root() == tip.log_root)
    };
    // An error here is one of the hashes before, or one that comes again below.
    let _ = rewrite(store, view, synced + 1..=height);
    if let Some(frontier) = sound() {
        return Ok(frontier);
    }
    tracing::warn!(
        height,
        "the file of log hashes is damaged or incomplete: making it anew from the block log, which takes a while"
    );
    rewrite(store, view, 1..=height)?;
    store.hashes().sync()?;
    sound().ok_or_else(|| StoreError::Inconsistent("the block log does not lead to the log root".to_owned()))
}

/// Writes the hashes of these heights again.
pub(super) fn rewrite(store: &Store, view: &View, heights: RangeInclusive<u64>) -> Result<(), StoreError> {
    for height in heights {
        let missing = |what: &str| StoreError::Inconsistent(format!("there is no {what} of height {height}"));
        let result = view.result(height)?.ok_or_else(|| missing("result"))?;
        let leaves = leaves(store, view, height, &result)?.ok_or_else(|| missing("block"))?;
        let hashes: Vec<_> = leaves.iter().map(|leaf| merkle::leaf_hash(leaf)).collect();
        store.hashes().append(result.first_leaf, &hashes)?;
    }
    Ok(())
}

/// Leaves of an executed block, marker last; `None` when there is no such block.
pub(super) fn leaves(
    store: &Store,
    view: &View,
    height: u64,
    result: &BlockResult,
) -> Result<Option<Vec<Vec<u8>>>, StoreError> {
    let Some((bytes, _)) = store.decided_block(view, height)? else {
        return Ok(None);
    };
    let block = decode_block(&bytes)?;
    let mut leaves = execute::leaves(&block.transactions, &result.outcomes);
    leaves.push(result.marker.clone());
    Ok(Some(leaves))
}
