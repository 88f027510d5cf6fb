//! Finding again what became final earlier: the ledger is asked, nothing of it is kept here. What a validator says is a
//! hint; an answer is made only of a block that is proven.

use futures::StreamExt;
use futures::stream::BoxStream;
use muniment_ledger::client::{ClientError, NetworkClient};
use muniment_ledger::transaction::TransactionId;
use muniment_ledger::wire::{FinalBlock, LeafProof};
use muniment_receipts::merkle::Frontier;
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

use super::answer::Decided;
use super::block::ResolvedBlock;
use super::follower::{self, Refusal};
use super::pending::Entry;
use super::proof::{self, Step};
use super::runtime::Network;
use crate::operation_id::OperationId;
use crate::problem::ApiError;
use crate::store::entity::{document, invoice, operation};
use crate::store::invoices::Search;
use crate::store::{StoreError, Write};
use crate::types::{CoseReceipts, Recorded};

/// Blocks kept from look-ups, so that the replays of one block ask for it once.
const RECENT: usize = 4;
/// How long a block is looked for.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long one validator has for it at first; each next one has so much more, for a large block on a slow line.
const ATTEMPT: Duration = Duration::from_millis(1_500);

/// A failed call to the network as the caller is told.
pub fn unavailable(error: ClientError) -> ApiError {
    if error.is_temporary() {
        ApiError::unavailable(error)
    } else {
        ApiError::internal(error)
    }
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

    pub(super) async fn found(&self, entry: &Entry, block: Arc<ResolvedBlock>, transaction: usize) {
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

    /// Invoices that a search finds; true up to [`Self::projected`].
    ///
    /// # Errors
    /// The store's.
    pub async fn invoices(&self, search: &Search, limit: u64) -> Result<Vec<invoice::Model>, StoreError> {
        self.shared.store.invoices(self.number, search, limit).await
    }

    /// The last place that is taken in an issuer's series; true up to [`Self::projected`].
    ///
    /// # Errors
    /// The store's.
    pub async fn places(&self, issuer: &str, series: &str) -> Result<u64, StoreError> {
        self.shared.store.places(self.number, issuer, series).await
    }

    /// Which of these numbers an issuer has used.
    ///
    /// # Errors
    /// The store's.
    pub async fn taken(&self, issuer: &str, numbers: &[&str]) -> Result<BTreeSet<String>, StoreError> {
        self.shared.store.taken(self.number, issuer, numbers).await
    }

    /// The documents of an invoice, by its issuer, the digest of their original and their variant, if they are kept here.
    ///
    /// # Errors
    /// The store's.
    pub async fn document(
        &self,
        issuer: &str,
        content: &[u8; 32],
        variant: &[u8; 32],
    ) -> Result<Option<document::Model>, StoreError> {
        self.shared
            .store
            .document(&self.entry.id, issuer, content, variant)
            .await
    }

    /// Erases documents; false if there are none.
    ///
    /// # Errors
    /// The store's.
    pub async fn erase(&self, issuer: &str, content: &[u8; 32]) -> Result<bool, StoreError> {
        let write = Write::Erase {
            network: self.entry.id,
            issuer: issuer.to_owned(),
            content: content.to_vec(),
            at: crate::time::now_ms(),
        };
        Ok(self.shared.store.writer.write_counted(vec![write]).await? > 0)
    }

    /// An earlier block with all its leaves, proven as the follower does it: the log before it comes from the proof of
    /// its first leaf.
    ///
    /// # Errors
    /// 503 when no validator gives a block and a proof that hold.
    pub(super) async fn proven_block(&self, height: u64) -> Result<Arc<ResolvedBlock>, ApiError> {
        let known = {
            let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            recent.iter().find(|block| block.height == height).cloned()
        };
        if let Some(block) = known {
            return Ok(block);
        }
        let found = tokio::time::timeout(PATIENCE, self.find_block(height)).await;
        let late = |_| ApiError::undecided(format!("no validator gives block {height} in time; try again"));
        let block = Arc::new(found.map_err(late)??);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_back(block.clone());
        if recent.len() > RECENT {
            recent.pop_front();
        }
        Ok(block)
    }

    async fn find_block(&self, height: u64) -> Result<ResolvedBlock, ApiError> {
        let mut following = self.client().following(height);
        let mut limit = Duration::ZERO;
        loop {
            limit += ATTEMPT;
            let Ok(next) = tokio::time::timeout(limit, following.next_block()).await else {
                // Its source must not be met again, here or in the next look-up.
                following.give_up();
                continue;
            };
            let block = Arc::new(match next {
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
            let frontier = |proof: &_| proof::check(proof, first, &self.trust())?.frontier();
            self.client()
                .proven_leaf(first, frontier)
                .await
                .map_err(Refusal::Leaf)?
        };
        follower::resolve(self.trust(), block.clone(), frontier, true).await
    }

    /// A record's step, with its receipt.
    ///
    /// # Errors
    /// 404 when there is no such step, 503 when no validator gives a proof that holds.
    pub async fn recorded(&self, step: &Step) -> Result<Recorded, ApiError> {
        let prove = async |leaf: u64| {
            let check = |proof: &LeafProof| {
                let proven = proof::check(proof, leaf, &self.trust());
                proven.map(|proven| proven.recorded(step))
            };
            self.client().proven_leaf(leaf, check).await
        };
        self.proven_step(step, prove).await
    }

    /// The COSE receipts of a record's step.
    ///
    /// # Errors
    /// As [`Self::recorded`].
    pub async fn cose_receipts(&self, step: &Step) -> Result<CoseReceipts, ApiError> {
        let prove = async |leaf: u64| {
            let check = |proof: &LeafProof| {
                let proven = proof::check(proof, leaf, &self.trust());
                proven.and_then(|proven| proven.cose_receipts(proof, step, &self.trust()))
            };
            self.client().proven_leaf(leaf, check).await
        };
        self.proven_step(step, prove).await
    }

    /// What `prove` makes of a step's leaf. Where the leaf is, one validator says: when another step's leaf is proven
    /// to be there, or nothing can be proven, the next one is asked.
    async fn proven_step<T>(
        &self,
        step: &Step,
        prove: impl AsyncFn(u64) -> Result<Option<T>, ClientError>,
    ) -> Result<T, ApiError> {
        let mut answers = places(&self.reader(), *step);
        let (mut tried, mut absent, mut failure) = (Vec::new(), 0, None);
        while let Some((validator, answer)) = answers.next().await {
            let leaf = match answer {
                Ok(Some(leaf)) if tried.contains(&leaf) => continue,
                Ok(Some(leaf)) => leaf,
                Ok(None) => {
                    absent += 1;
                    if absent >= self.enough() {
                        return Err(ApiError::not_found());
                    }
                    continue;
                }
                Err(error) => {
                    failure = failure.or_else(|| Some(unavailable(error)));
                    continue;
                }
            };
            tried.push(leaf);
            match prove(leaf).await {
                Ok(Some(proven)) => return Ok(proven),
                Ok(None) => {
                    tracing::error!(validator, leaf, "a validator names the leaf of another step");
                    self.client().distrust(&validator);
                }
                Err(error) => failure = failure.or_else(|| Some(unavailable(error))),
            }
        }
        Err(failure
            .unwrap_or_else(|| ApiError::undecided("too few validators say where the record's leaf is; try again")))
    }

    /// So many validators that one of them is honest, as far as we know that many.
    pub(super) fn enough(&self) -> usize {
        (self.faulty() + 1).min(self.client().names().len()).max(1)
    }

    /// How many validators may be faulty.
    pub(super) fn faulty(&self) -> usize {
        self.trust().newest().validators().len().saturating_sub(1) / 3
    }
}

/// Where the leaf of a step is, by each validator's own word; none when it knows no such step.
fn places(reader: &NetworkClient, step: Step) -> BoxStream<'static, (String, Result<Option<u64>, ClientError>)> {
    let Some(version) = step.version else {
        let views = reader.record_at_each(&step.record);
        return views
            .map(|(name, view)| (name, view.map(|view| view.map(|view| view.leaf))))
            .boxed();
    };
    let steps = reader.step_at_each(&step.record, version);
    steps
        .map(move |(name, steps)| {
            let leaf = steps.map(|steps| {
                let mut steps = steps.into_iter().flatten();
                steps.find(|one| one.version == version).map(|one| one.leaf)
            });
            (name, leaf)
        })
        .boxed()
}
