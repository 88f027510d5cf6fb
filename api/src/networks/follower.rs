//! Follows a network's final blocks: resolves who waits, and feeds the projector. A block that doesn't hold is asked for
//! again of another validator.

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use muniment_ledger::client::ClientError;
use muniment_ledger::transaction::TransactionId;
use muniment_ledger::wire::FinalBlock;
use muniment_receipts::merkle::Frontier;
use muniment_receipts::trust::TrustRoot;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::mpsc;

use super::answer::Decided;
use super::block::{self, BlockError, ResolvedBlock};
use super::pending::{Entry, Removed};
use super::projector::{Projected, Step};
use super::runtime::Network;

/// Longest pause before a refused block is asked for again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Blocks with more transactions, actions or cosignatures than this are hashed away from the async workers.
const HEAVY: usize = 64;

/// A block isn't taken.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It doesn't hold.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// What was before it can't be had.
    #[error("its first leaf can't be proven")]
    Leaf(#[source] ClientError),
    /// Its check panicked.
    #[error("its check failed")]
    Check(#[source] tokio::task::JoinError),
    /// The runtime or the network is going down.
    #[error("the server is stopping")]
    Ended,
}

/// Runs until the network is dropped.
pub async fn run(network: Weak<Network>, mut frontier: Frontier, projections: mpsc::Sender<Step>) {
    let Some((mut moved, mut following)) = network.upgrade().map(|it| (it.moved.subscribe(), it.next())) else {
        return;
    };
    // The validators may have changed while this server was away.
    if let Some(network) = network.upgrade() {
        network.learn().await;
    }
    let mut pauses = pauses();
    // Validators whose next block doesn't continue what we know. One may lie; so many that one is honest may not.
    let mut doubts: BTreeSet<String> = BTreeSet::new();
    loop {
        let item = tokio::select! {
            item = following.next_block() => item,
            changed = moved.changed() => {
                let Some(strong) = network.upgrade().filter(|_| changed.is_ok()) else { return };
                (following, doubts) = (strong.next(), BTreeSet::new());
                // They answer elsewhere when one came or went, and a quiet network has no block that says so.
                strong.learn().await;
                continue;
            }
        };
        let Some(strong) = network.upgrade() else { return };
        let name = strong.entry.name.as_str();
        let refusal = match item {
            Ok(block) => match follow(&strong, block, &mut frontier, &projections).await {
                Ok(()) => {
                    doubts.clear();
                    pauses = self::pauses();
                    continue;
                }
                Err(Refusal::Ended) => return,
                Err(refusal) => refusal,
            },
            Err(error @ ClientError::Unavailable { .. }) => {
                tracing::warn!(network = name, %error, "no validator to follow");
                continue;
            }
            Err(error) => {
                tracing::error!(network = name, %error, "a validator's stream is wrong");
                continue;
            }
        };
        let source = following.source().unwrap_or_default().to_owned();
        tracing::error!(
            network = name,
            source,
            error = &refusal as &dyn std::error::Error,
            "block refused"
        );
        following.reject();
        if matches!(refusal, Refusal::Block(BlockError::Differs { .. })) {
            doubts.insert(source);
        }
        if doubts.len() >= strong.enough() && frontier.size() > 0 {
            tracing::warn!(
                network = name,
                "what is stored here must be wrong; following again from height 1"
            );
            strong.height.store(0, Ordering::Release);
            frontier = Frontier::new();
            following = strong.client().following(1);
            doubts.clear();
            if projections.send(Step::Anew).await.is_err() {
                return;
            }
        }
        drop(strong);
        tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
    }
}

/// The first pause is short: another validator most likely has the right block.
fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(20))
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times()
        .with_jitter()
        .build()
}

/// Resolves a block, a heavy one away from the async workers.
pub(super) async fn resolve(
    trust: Arc<TrustRoot>,
    block: Arc<FinalBlock>,
    frontier: Frontier,
    keep: bool,
) -> Result<ResolvedBlock, Refusal> {
    if block::weight(&block) <= HEAVY {
        return Ok(block::resolve(&block, &frontier, &trust, keep)?);
    }
    let job = move || block::resolve(&block, &frontier, &trust, keep);
    match tokio::task::spawn_blocking(job).await {
        Ok(resolved) => Ok(resolved?),
        Err(error) if error.is_cancelled() => Err(Refusal::Ended),
        Err(error) => Err(Refusal::Check(error)),
    }
}

/// Whether a block decides a pending transaction. One of ours that came in after its time is signed again instead: it
/// is proven that nothing of it was accepted, and its caller was told that it is.
pub(super) fn settles(entry: &Entry, block: &ResolvedBlock, transaction: usize) -> bool {
    let late = i64::try_from(block.time).unwrap_or(i64::MAX) > entry.valid_until;
    !entry.ours || !late || block.accepts(transaction)
}

async fn follow(
    network: &Arc<Network>,
    block: FinalBlock,
    frontier: &mut Frontier,
    projections: &mpsc::Sender<Step>,
) -> Result<(), Refusal> {
    let ids: Vec<TransactionId> = block.transactions.iter().map(|transaction| transaction.id()).collect();
    let keep = network.pending.any_waited_for(ids.iter());
    let block = Arc::new(block);
    let before = frontier.clone();
    let first = resolve(network.trust(), block.clone(), before.clone(), keep).await;
    let mut resolved = Arc::new(match first {
        Err(Refusal::Block(BlockError::Strangers { .. })) if network.learn().await => {
            resolve(network.trust(), block.clone(), before.clone(), keep).await?
        }
        other => other?,
    });
    let time = i64::try_from(block.header.time).unwrap_or(i64::MAX);
    let next = resolved.growth.frontier();
    network.time.store(time, Ordering::Release);
    // From here on a transaction that comes in and is already in this block finds it by height.
    network.height.store(block.header.height, Ordering::Release);
    *frontier = next.clone();
    let mut done = Vec::new();
    let mut found = network
        .pending
        .remove_all(ids.iter(), |index, entry| settles(entry, &resolved, index));
    if !keep && found.iter().any(|(_, removed)| !removed.waiters.is_empty()) {
        // It came (again) while its block was being read.
        match resolve(network.trust(), block.clone(), before, true).await {
            Ok(with_leaves) => resolved = Arc::new(with_leaves),
            // Without leaves there are no receipts: who waits is told to ask for the operation.
            Err(_) => found.iter_mut().for_each(|(_, removed)| removed.waiters.clear()),
        }
    }
    for (index, removed) in found {
        done.extend(&removed.seqs);
        let block = resolved.clone();
        network.settle(
            removed,
            Decided::Final {
                block,
                transaction: index,
            },
        );
    }
    let projected = Projected {
        block,
        frontier: next,
        done,
    };
    projections
        .send(Step::Block(projected))
        .await
        .map_err(|_| Refusal::Ended)?;
    network.expiry.notify_one();
    Ok(())
}

impl Network {
    /// Gives room back and tells who waits.
    pub(super) fn settle(&self, removed: Removed, decided: Decided) {
        self.room.release(removed.entry.transaction.actions());
        let waited = crate::time::now_ms() - removed.entry.created_at;
        self.shared.metrics.finality(waited);
        let decided = Arc::new(decided);
        for waiter in removed.waiters {
            // A caller who has gone away asks for the operation later.
            drop(waiter.send(decided.clone()));
        }
    }
}
