//! Spreads admitted transactions over the peers.
//!
//! Each peer has its own queue and task, so a dead or slow one holds up nobody. What waits while a request is under
//! way travels together in the next one. A group is encoded once and shared by all queues.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use bytes::{BufMut, Bytes, BytesMut};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::peers::{Peer, PeerError};
use super::shared::Shared;
use crate::replica::Replica;
use crate::transaction::TransactionId;
use crate::wire::TransactionStatus;

/// Most bytes and transactions of one relay request, unless a single group is larger.
const REQUEST_BYTES: usize = 1024 * 1024;
const REQUEST_TRANSACTIONS: usize = 2_000;
/// Most bytes that wait for one peer. Above it the oldest go: the peer will get them through blocks.
const QUEUE_BYTES: usize = 8 * 1024 * 1024;

/// Transactions that came in one request, on their way to the peers.
pub struct Group {
    ids: Vec<TransactionId>,
    /// Borsh bytes of the transactions, one after the other.
    payload: Bytes,
    held: Held,
}

/// Counts for each transaction the peers that hold it, and those that refuse it.
struct Held {
    counts: Mutex<Vec<Count>>,
    needed: usize,
    peers: usize,
    enough: Notify,
}

#[derive(Clone, Copy, Default)]
struct Count {
    holding: usize,
    refusing: usize,
}

impl Group {
    /// `needed` of the `peers` must hold each transaction, or so many refuse it that they can't any more, until
    /// [`Self::spread`] is ready.
    pub fn new(ids: Vec<TransactionId>, payload: Bytes, needed: usize, peers: usize) -> Arc<Self> {
        let counts = Mutex::new(vec![Count::default(); ids.len()]);
        Arc::new(Self {
            ids,
            payload,
            held: Held {
                counts,
                needed,
                peers,
                enough: Notify::new(),
            },
        })
    }

    /// Ready when it is known of every transaction of the group whether enough peers hold it.
    pub async fn spread(&self) {
        if self.held.needed > 0 {
            // Only one task waits, and a permit is kept when nobody waits yet.
            self.held.enough.notified().await;
        }
    }

    /// A peer holds the group, save those it refuses.
    fn hold(&self, refused: &HashSet<String>) {
        let mut counts = self.counts();
        for (count, id) in counts.iter_mut().zip(&self.ids) {
            if refused.is_empty() || !refused.contains(&id.to_string()) {
                count.holding += 1;
            } else {
                count.refusing += 1;
            }
        }
        let (needed, peers) = (self.held.needed, self.held.peers);
        let known = |count: &Count| count.holding >= needed || count.refusing + needed > peers;
        if counts.iter().all(known) {
            self.held.enough.notify_one();
        }
    }

    /// Transactions that too few peers hold.
    pub fn lacking(&self) -> HashSet<TransactionId> {
        let counts = self.counts();
        let pairs = self.ids.iter().zip(counts.iter());
        let lacking = pairs.filter(|(_, count)| count.holding < self.held.needed);
        lacking.map(|(id, _)| *id).collect()
    }

    fn counts(&self) -> MutexGuard<'_, Vec<Count>> {
        self.held.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True when no transaction of the group waits any more.
    fn is_over(&self, replica: &dyn Replica) -> bool {
        self.ids
            .iter()
            .all(|id| matches!(replica.transaction(id), Ok(TransactionStatus::Final { .. })))
    }
}

/// What waits for one peer.
#[derive(Default)]
pub struct Queue {
    waiting: Mutex<Waiting>,
    filled: Notify,
}

#[derive(Default)]
struct Waiting {
    groups: VecDeque<Arc<Group>>,
    bytes: usize,
}

impl Queue {
    /// Adds a group; returns how many transactions had to go for it.
    fn push(&self, group: Arc<Group>) -> usize {
        let mut waiting = self.lock();
        waiting.bytes += group.payload.len();
        waiting.groups.push_back(group);
        let mut dropped = 0;
        while waiting.bytes > QUEUE_BYTES && waiting.groups.len() > 1 {
            dropped += waiting.pop().map_or(0, |oldest| oldest.ids.len());
        }
        drop(waiting);
        self.filled.notify_one();
        dropped
    }

    /// Takes what fits into one request; at least one group when there is any.
    fn take(&self) -> Vec<Arc<Group>> {
        let mut waiting = self.lock();
        let mut taken = Vec::new();
        let (mut bytes, mut count) = (0, 0);
        while let Some(next) = waiting.groups.front() {
            bytes += next.payload.len();
            count += next.ids.len();
            if !taken.is_empty() && (bytes > REQUEST_BYTES || count > REQUEST_TRANSACTIONS) {
                break;
            }
            taken.extend(waiting.pop());
        }
        taken
    }

    /// Puts back what couldn't be sent.
    fn give_back(&self, groups: Vec<Arc<Group>>) {
        let mut waiting = self.lock();
        for group in groups.into_iter().rev() {
            waiting.bytes += group.payload.len();
            waiting.groups.push_front(group);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn pop(&mut self) -> Option<Arc<Group>> {
        let group = self.groups.pop_front()?;
        self.bytes -= group.payload.len();
        Some(group)
    }
}

/// Gives a group to all peers. `fresh` is false when all of it was known before: then only the peers that answer
/// get it, the others have it in their queue already.
pub fn spread(shared: &Shared, group: &Arc<Group>, fresh: bool) {
    for (peer, queue) in shared.peers.iter().zip(&shared.queues) {
        if fresh || peer.status().connected {
            let dropped = queue.push(Arc::clone(group));
            shared.metrics.relay_dropped(&peer.name, dropped);
        }
    }
}

/// Starts a task for each peer.
pub fn spawn(shared: &Arc<Shared>, tasks: &mut JoinSet<()>) {
    for (peer, queue) in shared.peers.iter().zip(&shared.queues) {
        let (shared, peer, queue) = (Arc::clone(shared), Arc::clone(peer), Arc::clone(queue));
        tasks.spawn(async move {
            tokio::select! {
                () = shared.stopping() => {}
                () = run(&shared, &peer, &queue) => {}
            }
        });
    }
}

async fn run(shared: &Arc<Shared>, peer: &Peer, queue: &Queue) {
    let mut backoff = backoff();
    loop {
        let groups = queue.take();
        if groups.is_empty() {
            queue.filled.notified().await;
            continue;
        }
        let count = groups.iter().map(|group| group.ids.len()).sum();
        match peer.relay(body(&groups)).await {
            Ok(refused) => {
                let refused = refused.into_iter().collect();
                groups.iter().for_each(|group| group.hold(&refused));
                shared.metrics.relayed(&peer.name, count);
                backoff = self::backoff();
            }
            Err(error @ PeerError::Refuses(_)) => {
                // The same bytes would be refused again: a wrong token, or another version of the software.
                tracing::error!(peer = peer.name, %error, count, "relay gives up on transactions");
                shared.metrics.relay_failed(&peer.name);
            }
            Err(error) => {
                tracing::debug!(peer = peer.name, %error, count, "relay waits");
                shared.metrics.relay_failed(&peer.name);
                queue.give_back(groups);
                tokio::select! {
                    () = peer.returned.notified() => {}
                    () = tokio::time::sleep(backoff.next().unwrap_or(Duration::from_secs(2))) => {}
                }
                forget_final(shared, queue).await;
            }
        }
    }
}

/// After an outage most of the queue is in blocks already.
async fn forget_final(shared: &Arc<Shared>, queue: &Queue) {
    let groups: Vec<_> = {
        let mut waiting = queue.lock();
        waiting.bytes = 0;
        std::mem::take(&mut waiting.groups).into()
    };
    let replica = Arc::clone(&shared.replica);
    let kept = tokio::task::spawn_blocking(move || {
        groups
            .into_iter()
            .filter(|group| !group.is_over(&*replica))
            .collect::<Vec<_>>()
    });
    if let Ok(kept) = kept.await {
        queue.give_back(kept);
    }
}

fn body(groups: &[Arc<Group>]) -> Bytes {
    let count: usize = groups.iter().map(|group| group.ids.len()).sum();
    let size: usize = groups.iter().map(|group| group.payload.len()).sum();
    let mut body = BytesMut::with_capacity(4 + size);
    body.put_u32_le(u32::try_from(count).unwrap_or(u32::MAX));
    for group in groups {
        body.extend_from_slice(&group.payload);
    }
    body.freeze()
}

fn backoff() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(2))
        .with_jitter()
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn what_many_peers_refuse_holds_up_nothing_else() {
        let ids = vec![TransactionId([1; 32]), TransactionId([2; 32])];
        let group = Group::new(ids.clone(), Bytes::new(), 1, 3);
        let refused = HashSet::from([ids[0].to_string()]);
        group.hold(&refused);
        group.hold(&refused);
        assert!(
            group.spread().now_or_never().is_none(),
            "the third peer may still take it"
        );
        group.hold(&refused);
        group.spread().await;
        assert_eq!(group.lacking(), HashSet::from([ids[0]]));
    }

    #[tokio::test]
    async fn enough_holders_make_a_group_spread() {
        let ids = vec![TransactionId([1; 32])];
        let group = Group::new(ids, Bytes::new(), 1, 3);
        group.hold(&HashSet::new());
        group.spread().await;
        assert!(group.lacking().is_empty());
    }
}
