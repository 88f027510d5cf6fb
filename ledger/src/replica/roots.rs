//! The network's trust root as this replica can prove it.
//!
//! Each change of validators is proven by the marker of the last block of the old set, under a checkpoint that a
//! quorum of the old set cosigned. So a trust root reaches as far as the final height does.

use muniment_receipts::tlog_proof::TlogProof;
use muniment_receipts::trust::{TrustRoot, ValidatorChange};

use super::local::LocalReplica;
use super::sets::ValidatorSet;
use super::{ReadError, Replica};
use crate::store::{StoreError, View};

/// The trust root file's bytes.
pub fn trust_root(replica: &LocalReplica) -> Result<Vec<u8>, ReadError> {
    let view = replica.store.view();
    let last = *replica.watch_final().borrow();
    let mut root = TrustRoot::new(replica.facts.genesis.clone()).map_err(|error| ReadError(error.into()))?;
    let sets = replica.sets();
    for set in sets.later().iter().take_while(|set| set.from <= last.saturating_add(1)) {
        let change = change(replica, &view, set)?;
        root.add(change).map_err(|error| ReadError(error.into()))?;
    }
    root.canonical().map_err(|error| ReadError(error.into()))
}

fn change(replica: &LocalReplica, view: &View, set: &ValidatorSet) -> Result<ValidatorChange, ReadError> {
    let height = set.from.saturating_sub(1);
    let missing = || StoreError::Inconsistent(format!("nothing proves the change of validators after height {height}"));
    let result = view.result(height)?.ok_or_else(missing)?;
    let index = result.log_size.checked_sub(1).ok_or_else(missing)?;
    let proof = TlogProof {
        extra: None,
        index,
        path: replica.audit_path(&result.marker, index, &result)?,
        checkpoint: replica.checkpoint_at(view, height)?.ok_or_else(missing)?,
    };
    Ok(ValidatorChange::new(
        set.from,
        &result.marker,
        &proof,
        set.validators.clone(),
    ))
}
