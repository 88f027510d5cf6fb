//! Follows a network's final blocks: resolves who waits, finds what can't land any more, feeds the projector.

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures::StreamExt;
use muniment_ledger::client::ClientError;
use muniment_ledger::transaction::TransactionId;
use muniment_ledger::wire::FinalBlock;
use muniment_receipts::merkle::Frontier;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::mpsc;

use super::answer::Decided;
use super::block::{self, BlockError};
use super::pending::{Entry, Removed};
use super::projector::Projected;
use super::runtime::Network;
use crate::sign::TenantSigner;
use crate::store::Write;
use crate::store::entity::operation;

/// By our clock, how long after its end a statement is taken as unable to land when no newer block tells: more than
/// the validators let a block's time lie off their clocks.
const CLOCK_MARGIN_MS: i64 = 30_000;
/// Longest pause before a stream is opened again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Blocks with more actions than this are hashed away from the async workers.
const HEAVY: u32 = 64;

/// Runs until the network is dropped.
pub async fn run(network: Weak<Network>, mut frontier: Frontier, projections: mpsc::Sender<Projected>) {
    let mut pauses = pauses();
    // A block that can't be used is tried again more and more slowly, until one beyond it can.
    let mut stuck_at = 0;
    loop {
        let Some(strong) = network.upgrade() else { return };
        let mut stream = strong.client.follow(strong.height() + 1);
        drop(strong);
        while let Some(item) = stream.next().await {
            let Some(strong) = network.upgrade() else { return };
            let name = strong.entry.name.as_str();
            match item {
                Ok(block) => {
                    let height = block.header.height;
                    match follow(&strong, block, &mut frontier, &projections).await {
                        Ok(()) if height > stuck_at => pauses = self::pauses(),
                        Ok(()) => {}
                        Err(error) => {
                            tracing::error!(
                                network = name,
                                error = &error as &dyn std::error::Error,
                                "block refused"
                            );
                            stuck_at = height;
                            if matches!(error, BlockError::Differs { .. }) {
                                tracing::warn!(network = name, "following again from height 1");
                                strong.height.store(0, Ordering::Release);
                                frontier = Frontier::new();
                            }
                            break;
                        }
                    }
                }
                Err(error @ ClientError::Unavailable { .. }) => {
                    tracing::warn!(network = name, %error, "no validator to follow");
                }
                Err(error) => tracing::error!(network = name, %error, "a validator's stream is wrong"),
            }
        }
        tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
    }
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times()
        .with_jitter()
        .build()
}

async fn follow(
    network: &Arc<Network>,
    block: FinalBlock,
    frontier: &mut Frontier,
    projections: &mpsc::Sender<Projected>,
) -> Result<(), BlockError> {
    let ids: Vec<TransactionId> = block.transactions.iter().map(|transaction| transaction.id()).collect();
    let keep = network.pending.any_waited_for(ids.iter());
    let light = block.header.transactions <= HEAVY && block.log_size - block.first_leaf <= u64::from(HEAVY);
    let (resolved, block) = if light {
        (block::resolve(&block, frontier, &network.trust, keep), block)
    } else {
        let (network, before) = (network.clone(), frontier.clone());
        let job = move || (block::resolve(&block, &before, &network.trust, keep), block);
        match tokio::task::spawn_blocking(job).await {
            Ok(done) => done,
            // The runtime is going down.
            Err(_) => return Ok(()),
        }
    };
    let mut resolved = Arc::new(resolved?);
    let before = std::mem::replace(frontier, resolved.growth.frontier());
    let time = i64::try_from(block.header.time).unwrap_or(i64::MAX);
    network.time.store(time, Ordering::Release);
    // From here on a transaction that comes in and is already in this block finds it by height.
    network.height.store(block.header.height, Ordering::Release);
    let mut done = Vec::new();
    let found = network.pending.remove_all(ids.iter());
    if !keep && found.iter().any(|(_, removed)| !removed.waiters.is_empty()) {
        // It came (again) while its block was being read.
        resolved = Arc::new(block::resolve(&block, &before, &network.trust, true)?);
    }
    for (index, removed) in found {
        done.extend(&removed.seqs);
        network.settle(
            removed,
            Decided::Final {
                block: resolved.clone(),
                transaction: index,
            },
        );
    }
    let gone = projections
        .send(Projected {
            block,
            frontier: frontier.clone(),
            done,
        })
        .await
        .is_err();
    if !gone {
        network.expire(time).await;
    }
    Ok(())
}

impl Network {
    /// Gives room back and tells who waits.
    pub(super) fn settle(&self, removed: Removed, decided: Decided) {
        self.shared.release(removed.entry.transaction.actions());
        let waited = crate::time::now_ms() - removed.entry.created_at;
        self.shared.metrics.finality(waited);
        let decided = Arc::new(decided);
        for waiter in removed.waiters {
            // A caller who has gone away asks for the operation later.
            drop(waiter.send(decided.clone()));
        }
    }

    /// Deals with what can't land any more: every block up to a block time has been seen and it was in none.
    pub(super) async fn expire(self: &Arc<Self>, time: i64) {
        for id in self.pending.expired(time) {
            let Some(removed) = self.pending.remove(&id) else {
                continue;
            };
            if removed.entry.ours {
                self.replace(removed).await;
            } else {
                let message =
                    "the statement's time ended before it was in a block; sign it again with a later validUntil";
                self.fail(removed, "EXPIRED", message).await;
            }
        }
    }

    /// As [`Self::expire`], when the network is idle and no block comes to tell the time. Only while the follower has
    /// seen all there is.
    pub(super) async fn expire_by_clock(self: &Arc<Self>) {
        let time = crate::time::now_ms() - CLOCK_MARGIN_MS;
        if self.pending.expired(time).is_empty() {
            return;
        }
        let highest = self
            .client
            .status()
            .await
            .into_iter()
            .filter_map(|(_, status)| status.ok());
        let heights: Vec<u64> = highest.map(|status| status.height).collect();
        let seen = self.height();
        if heights.len() >= self.trust.quorum() && heights.iter().all(|height| *height <= seen) {
            self.expire(time).await;
        }
    }

    /// The ledger never will take it.
    pub(super) async fn refuse(&self, entry: &Entry, code: &str, message: &str) {
        if let Some(removed) = self.pending.remove(&entry.id) {
            self.fail(removed, code, message).await;
        }
    }

    async fn fail(&self, removed: Removed, code: &str, message: &str) {
        let failed = serde_json::json!({ "code": code, "message": message }).to_string();
        let row = operation::Model {
            network: self.entry.id.to_vec(),
            tx: removed.entry.id.0.to_vec(),
            rejected: None,
            failed: Some(failed),
            replaced_by: None,
            created_at: removed.entry.created_at,
        };
        let done = removed.seqs.iter().map(|seq| (*seq, *seq)).collect();
        if let Err(error) = self
            .shared
            .store
            .writer
            .write(vec![Write::Operation(row), Write::Done(done)])
            .await
        {
            // The row stays in the outbox: after a restart it is sent again and refused again.
            tracing::error!(error = &error as &dyn std::error::Error, "a refusal can't be stored");
        }
        let decided = Decided::Refused {
            code: code.to_owned(),
            message: message.to_owned(),
        };
        self.settle(removed, decided);
    }

    /// Signs the actions of an expired transaction of ours again; who waited goes on waiting for the new one.
    async fn replace(self: &Arc<Self>, removed: Removed) {
        let signer = TenantSigner {
            keys: &*self.shared.keys,
            tenant: &self.entry.tenant,
            network: self.entry.id,
        };
        let signed = match signer.again(&removed.entry.transaction).await {
            Ok(signed) => signed,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "an expired transaction can't be signed again"
                );
                return self
                    .fail(
                        removed,
                        "EXPIRED",
                        "the statement's time ended and it can't be signed again",
                    )
                    .await;
            }
        };
        let mut entry = self.entry_of(signed, true);
        entry.created_at = removed.entry.created_at;
        let replaced = operation::Model {
            network: self.entry.id.to_vec(),
            tx: removed.entry.id.0.to_vec(),
            rejected: None,
            failed: None,
            replaced_by: Some(entry.id.0.to_vec()),
            created_at: removed.entry.created_at,
        };
        let done = removed.seqs.iter().map(|seq| (*seq, *seq)).collect();
        let Ok(row) = self.row(&entry) else { return };
        let writes = vec![Write::Accept(row), Write::Operation(replaced), Write::Done(done)];
        // Its room in flight goes over to the new one.
        if let Err(error) = self.store_and_send(Arc::new(entry), writes, removed.waiters).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a transaction signed again can't be stored"
            );
        }
    }
}
