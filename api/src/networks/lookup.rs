//! Finding again what became final earlier: the ledger is asked, nothing of it is kept here. What a validator says is a
//! hint; an answer is made only of a block that is proven.

use futures::StreamExt;
use muniment_ledger::client::ClientError;
use muniment_ledger::transaction::TransactionId;
use muniment_ledger::wire::{FinalBlock, TransactionStatus};
use muniment_receipts::merkle::Frontier;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

use super::answer::Decided;
use super::block::ResolvedBlock;
use super::follower::{self, Refusal};
use super::pending::Entry;
use super::proof;
use super::runtime::Network;
use crate::operation_id::OperationId;
use crate::problem::ApiError;
use crate::store::entity::operation;
use crate::store::{StoreError, Write};
use crate::types::{CoseReceipts, ItemOutcome, Notarization};

/// Blocks kept from look-ups, so that the replays of one block ask for it once.
const RECENT: usize = 4;
/// How long a block is looked for.
const PATIENCE: Duration = Duration::from_secs(5);

/// A failed call to the network as the caller is told.
pub fn unavailable(error: ClientError) -> ApiError {
    if error.is_temporary() {
        ApiError::unavailable(error)
    } else {
        ApiError::internal(error)
    }
}

/// Where a transaction is that isn't pending here.
pub enum Whereabouts {
    /// In a block that is proven to hold it.
    Final(Vec<ItemOutcome>),
    /// Some validator has it.
    Pending,
    /// Enough validators that keep up don't know it.
    Unknown,
}

impl Network {
    /// A validator says that pending transactions are in blocks. If the follower has passed such a block already,
    /// nobody else will resolve it; it is looked at before anything is believed.
    pub(super) async fn known_at(&self, mut known: Vec<(Arc<Entry>, u64)>) {
        known.sort_by_key(|(_, height)| *height);
        for (entry, height) in known {
            if height > self.height() || !self.is_pending(&entry.id) {
                continue;
            }
            let block = match self.proven_block(height).await {
                Ok(block) => block,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(network = self.entry.name, height, error, "a named block can't be had");
                    continue;
                }
            };
            match block.position(&entry.id) {
                Some(transaction) if follower::settles(&entry, &block, transaction) => {
                    self.found(&entry, block, transaction).await;
                }
                Some(_) => {}
                None => tracing::error!(
                    network = self.entry.name,
                    height,
                    "a validator names a block that doesn't hold the transaction"
                ),
            }
        }
    }

    async fn found(&self, entry: &Entry, block: Arc<ResolvedBlock>, transaction: usize) {
        let Some(removed) = self.pending.remove(&entry.id) else {
            return;
        };
        let done = removed.seqs.iter().map(|seq| (*seq, *seq)).collect();
        self.settle(removed, Decided::Final { block, transaction });
        if let Err(error) = self.shared.store.writer.write(vec![Write::Done(done)]).await {
            // The row is sent again after a restart and found final again.
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "an outbox row can't be removed");
        }
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

    /// Ids of records that hold a digest, ascending, after `after`; true up to [`Self::projected`].
    ///
    /// # Errors
    /// The store's.
    pub async fn records_with(
        &self,
        digest: &[u8],
        after: Option<&[u8; 32]>,
        limit: u64,
    ) -> Result<Vec<[u8; 32]>, StoreError> {
        let store = &self.shared.store;
        let ids = store.records_with(self.number, digest, after, limit).await?;
        Ok(ids.into_iter().filter_map(|id| id.try_into().ok()).collect())
    }

    /// Where a transaction is that isn't pending here. That it is nowhere is believed only to so many validators that
    /// one of them is honest, and only while they keep up with what was followed here.
    ///
    /// # Errors
    /// 503 when too few validators answer.
    pub async fn whereabouts(&self, id: &TransactionId, wait: Duration) -> Result<Whereabouts, ApiError> {
        let mut answers = self.reader().transaction_at_each(id, wait);
        let (mut tried, mut pending, mut unknown, mut failure) = (Vec::new(), false, 0, None);
        while let Some(answer) = answers.next().await {
            match answer {
                // The follower will come by.
                Ok(TransactionStatus::Final { height }) if height > self.height() => pending = true,
                Ok(TransactionStatus::Final { height }) if tried.contains(&height) => {}
                Ok(TransactionStatus::Final { height }) => {
                    tried.push(height);
                    match self.proven_block(height).await {
                        Ok(block) => match block.position(id) {
                            Some(at) => return Ok(Whereabouts::Final(self.in_block(id, &block, at))),
                            None => {
                                tracing::error!(height, "a validator names a block that doesn't hold the transaction")
                            }
                        },
                        Err(error) => failure = Some(error),
                    }
                }
                Ok(TransactionStatus::Pending) => pending = true,
                Ok(TransactionStatus::Unknown) => unknown += 1,
                Err(error) => failure = failure.or_else(|| Some(unavailable(error))),
            }
        }
        if pending {
            return Ok(Whereabouts::Pending);
        }
        if unknown >= self.enough() {
            return Ok(Whereabouts::Unknown);
        }
        Err(failure.unwrap_or_else(|| ApiError::unavailable("too few validators say where the transaction is")))
    }

    /// An earlier block with all its leaves, proven as the follower does it: the log before it comes from the proof of
    /// its first leaf.
    ///
    /// # Errors
    /// 503 when no validator gives a block and a proof that hold.
    async fn proven_block(&self, height: u64) -> Result<Arc<ResolvedBlock>, ApiError> {
        let known = {
            let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            recent.iter().find(|block| block.height == height).cloned()
        };
        if let Some(block) = known {
            return Ok(block);
        }
        let found = tokio::time::timeout(PATIENCE, self.find_block(height)).await;
        let late = |_| ApiError::unavailable(format!("no validator gives block {height} in time"));
        let block = Arc::new(found.map_err(late)??);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_back(block.clone());
        if recent.len() > RECENT {
            recent.pop_front();
        }
        Ok(block)
    }

    async fn find_block(&self, height: u64) -> Result<ResolvedBlock, ApiError> {
        let mut following = self.client.following(height);
        loop {
            let block = Arc::new(match following.next_block().await {
                Ok(block) => block,
                Err(error @ ClientError::Unavailable { .. }) => return Err(unavailable(error)),
                // The stream goes on at another validator.
                Err(_) => continue,
            });
            match self.resolve_earlier(&block).await {
                Ok(resolved) => return Ok(resolved),
                Err(error) => {
                    tracing::error!(
                        network = self.entry.name,
                        height,
                        source = following.source(),
                        error = &error as &dyn std::error::Error,
                        "an earlier block is refused"
                    );
                    following.reject();
                    // Time for who is on its way back; the caller's patience ends it.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    async fn resolve_earlier(&self, block: &Arc<FinalBlock>) -> Result<ResolvedBlock, Refusal> {
        let first = block.first_leaf;
        let frontier = if first == 0 {
            Frontier::new()
        } else {
            let frontier = |proof: &_| proof::check(proof, first, &self.trust)?.frontier();
            self.client.proven_leaf(first, frontier).await.map_err(Refusal::Leaf)?
        };
        follower::resolve(self.trust.clone(), block.clone(), frontier, true).await
    }

    /// The notarization of a record's leaf, with its receipt.
    ///
    /// # Errors
    /// 503 when no validator gives a proof that holds.
    pub async fn notarization(&self, record: &[u8; 32], leaf: u64) -> Result<Notarization, ApiError> {
        let check = |proof: &_| proof::check(proof, leaf, &self.trust)?.notarization(record);
        self.client.proven_leaf(leaf, check).await.map_err(unavailable)
    }

    /// The COSE receipts of a record's leaf.
    ///
    /// # Errors
    /// 503 when no validator gives a proof that holds.
    pub async fn cose_receipts(&self, record: &[u8; 32], leaf: u64) -> Result<CoseReceipts, ApiError> {
        let check = |proof: &_| proof::check(proof, leaf, &self.trust)?.cose_receipts(proof, record, &self.trust);
        self.client.proven_leaf(leaf, check).await.map_err(unavailable)
    }

    /// So many validators that one of them is honest, as far as we know that many.
    pub(super) fn enough(&self) -> usize {
        let faulty = self.trust.newest().validators().len().saturating_sub(1) / 3;
        (faulty + 1).min(self.client.names().len()).max(1)
    }
}
