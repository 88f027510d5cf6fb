//! Finding again what became final earlier: the ledger is asked, nothing of it is kept here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::{StreamExt, TryStreamExt, stream};
use muniment_ledger::client::ClientError;
use muniment_ledger::transaction::TransactionId;
use muniment_ledger::wire::{FinalBlock, LeafProof, Outcome};
use muniment_receipts::leaf::Leaf;
use muniment_receipts::note::Note;
use muniment_receipts::receipt::{Receipt, ReceiptParts};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

use super::answer::{Decided, refused, rejected, text};
use super::pending::Entry;
use super::runtime::Network;
use crate::operation_id::OperationId;
use crate::problem::ApiError;
use crate::store::entity::operation;
use crate::store::{StoreError, Write};
use crate::types::{ItemOutcome, Notarization};

/// Blocks kept from look-ups, so that the replays of one block ask for it once.
const RECENT: usize = 4;
/// How long a block is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Proofs asked for at once.
const PARALLEL: usize = 8;

/// An answer of the ledger that makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("a validator's proof can't be read: {0}")]
struct BadProof(&'static str);

/// A failed call to the network as the caller is told.
pub fn unavailable(error: ClientError) -> ApiError {
    if error.is_temporary() {
        ApiError::unavailable(error)
    } else {
        ApiError::internal(error)
    }
}

impl Network {
    /// The ledger says that an accepted transaction is in a block. If the follower has passed that block already,
    /// nobody else will resolve it.
    pub(super) fn known_at(&self, entry: &Entry, height: u64) {
        if height > self.height() {
            return;
        }
        let Some(removed) = self.pending.remove(&entry.id) else {
            return;
        };
        let done = removed.seqs.iter().map(|seq| (*seq, *seq)).collect();
        let writer = self.shared.store.writer.clone();
        tokio::spawn(async move {
            if let Err(error) = writer.write(vec![Write::Done(done)]).await {
                // The row is sent again after a restart and found final again.
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "an outbox row can't be removed"
                );
            }
        });
        self.settle(removed, Decided::Earlier { height });
    }

    /// Waits for a pending transaction; `None` if it isn't pending.
    pub fn wait_for(&self, id: &TransactionId) -> Option<oneshot::Receiver<Arc<Decided>>> {
        self.pending.wait(id)
    }

    /// What the ledger can't tell of a transaction's operation.
    ///
    /// # Errors
    /// The store's.
    pub async fn exception(&self, id: &TransactionId) -> Result<Option<operation::Model>, StoreError> {
        self.shared.store.operation(&self.entry.id, &id.0).await
    }

    /// The row that keeps the outcomes of items that were refused before signing.
    pub fn refused_row(&self, id: OperationId, rejected: String) -> Write {
        Write::Operation(operation::Model {
            network: self.entry.id.to_vec(),
            tx: id.transaction.0.to_vec(),
            rejected: Some(rejected),
            failed: None,
            replaced_by: None,
            created_at: id.created_at,
        })
    }

    /// Writes rows of an operation that has no transaction.
    ///
    /// # Errors
    /// The store's.
    pub async fn store_rows(&self, rows: Vec<Write>) -> Result<(), StoreError> {
        self.shared.store.writer.write(rows).await
    }

    /// Ids of records that hold a digest, true up to [`Self::projected`].
    ///
    /// # Errors
    /// The store's.
    pub async fn records_with(&self, digest: &[u8], limit: u64) -> Result<Vec<[u8; 32]>, StoreError> {
        let ids = self.shared.store.records_with(self.number, digest, limit).await?;
        Ok(ids.into_iter().filter_map(|id| id.try_into().ok()).collect())
    }

    /// A final block.
    ///
    /// # Errors
    /// 503 when no validator gives it.
    pub async fn block(&self, height: u64) -> Result<Arc<FinalBlock>, ApiError> {
        let known = {
            let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            recent.iter().find(|block| block.header.height == height).cloned()
        };
        if let Some(block) = known {
            return Ok(block);
        }
        let mut stream = self.client.follow(height);
        let Ok(Some(item)) = tokio::time::timeout(PATIENCE, stream.next()).await else {
            return Err(ApiError::unavailable(format!(
                "no validator gives block {height} in time"
            )));
        };
        let block = Arc::new(item.map_err(unavailable)?);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_back(block.clone());
        if recent.len() > RECENT {
            recent.pop_front();
        }
        Ok(block)
    }

    /// Outcomes of a transaction in an earlier block, with receipts.
    ///
    /// # Errors
    /// 503 when no validator answers.
    pub async fn look_up(&self, id: &TransactionId, height: u64) -> Result<Vec<ItemOutcome>, ApiError> {
        let block = self.block(height).await?;
        let Some(index) = block
            .transactions
            .iter()
            .position(|transaction| &transaction.id() == id)
        else {
            return Ok(vec![refused(
                "UNKNOWN",
                "the transaction isn't in the block that a validator named",
            )]);
        };
        let outcomes = block.outcomes.get(index).cloned().unwrap_or_default();
        stream::iter(outcomes)
            .map(|outcome| async move {
                match outcome {
                    Outcome::Accepted { leaf, .. } => Ok(ItemOutcome::Accepted(self.notarization(leaf).await?)),
                    Outcome::Rejected { .. } => Ok(rejected(&outcome)),
                }
            })
            .buffered(PARALLEL)
            .try_collect()
            .await
    }

    /// The notarization of a leaf, with its receipt.
    ///
    /// # Errors
    /// 503 when no validator answers, 404 when there is no such final leaf.
    pub async fn notarization(&self, leaf: u64) -> Result<Notarization, ApiError> {
        let proof = self
            .client
            .leaf_proof(leaf)
            .await
            .map_err(unavailable)?
            .ok_or_else(ApiError::not_found)?;
        self.proven(&proof).map_err(ApiError::internal)
    }

    fn proven(&self, proof: &LeafProof) -> Result<Notarization, BadProof> {
        let leaf = STANDARD.decode(&proof.leaf).map_err(|_| BadProof("leaf"))?;
        let marker = STANDARD.decode(&proof.marker).map_err(|_| BadProof("marker"))?;
        let (path, marker_path) = (hashes(&proof.path)?, hashes(&proof.marker_path)?);
        let parsed = Leaf::parse(&leaf).map_err(|_| BadProof("leaf"))?;
        let outcome = parsed.outcome().ok_or(BadProof("it isn't the leaf of an action"))?;
        let (signed, _) = parsed.signed().ok_or(BadProof("it isn't the leaf of an action"))?;
        let Ok(Leaf::Marker(block)) = Leaf::parse(&marker) else {
            return Err(BadProof("marker"));
        };
        let note = Note::parse(&proof.checkpoint).map_err(|_| BadProof("checkpoint"))?;
        let judgement = self.trust.validators_at(proof.height).judge(&note);
        let receipt = Receipt::build(ReceiptParts {
            network: &self.entry.id,
            height: proof.height,
            record: &outcome.record,
            leaf: &leaf,
            index: proof.index,
            path: &path,
            note: &proof.checkpoint,
            marker: &marker,
            marker_path: &marker_path,
        });
        Ok(Notarization {
            id: hex::encode(outcome.record),
            transaction: hex::encode(<sha2::Sha256 as sha2::Digest>::digest(signed)),
            height: proof.height,
            time: crate::time::rfc3339(i64::try_from(block.time).unwrap_or(i64::MAX)),
            leaf: proof.index,
            signed_by: judgement.signed.into_iter().map(|signed| signed.name).collect(),
            receipt: text(&receipt),
        })
    }
}

fn hashes(path: &[String]) -> Result<Vec<[u8; 32]>, BadProof> {
    let hash = |text: &String| hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    path.iter().map(hash).collect::<Option<_>>().ok_or(BadProof("path"))
}
