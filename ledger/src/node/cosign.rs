//! Exchange of cosignatures: own new ones go to all peers, missing ones are asked for.
//!
//! Nothing happens here while nothing is decided, but a look at two numbers every few seconds.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::future::join_all;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::peers::Peer;
use super::shared::Shared;
use crate::wire::{Cosigned, MAX_HEIGHTS, codec};

/// Most of our own that wait for a peer; an older one it fetches itself.
const WAITING: usize = 512;
/// How long the peers' cosignatures may take before they are asked for.
const MOMENT: Duration = Duration::from_millis(250);
/// Look at the lag this often although nothing happened.
const IDLE: Duration = Duration::from_secs(5);

/// Starts a sender for each peer, and the fetcher.
pub fn spawn(shared: &Arc<Shared>, tasks: &mut JoinSet<()>) {
    for peer in &shared.peers {
        let (shared, peer) = (Arc::clone(shared), Arc::clone(peer));
        let own = shared.replica.own_cosignatures();
        tasks.spawn(async move {
            tokio::select! {
                () = shared.stopping() => {}
                () = send(&shared, &peer, own) => {}
            }
        });
    }
    if !shared.peers.is_empty() {
        let shared = Arc::clone(shared);
        let own = shared.replica.own_cosignatures();
        tasks.spawn(async move {
            tokio::select! {
                () = shared.stopping() => {}
                () = fetch(&shared, own) => {}
            }
        });
    }
}

async fn send(shared: &Shared, peer: &Peer, mut own: Receiver<Cosigned>) {
    let slow = ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(2))
        .with_jitter()
        .without_max_times();
    let mut backoff = slow.build();
    let mut waiting = VecDeque::new();
    loop {
        if waiting.is_empty() {
            match own.recv().await {
                Ok(one) => waiting.push_back(one),
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return,
            }
        }
        loop {
            match own.try_recv() {
                Ok(one) => waiting.push_back(one),
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        waiting.drain(..waiting.len().saturating_sub(WAITING));
        match peer.send_cosignatures(codec::encode(waiting.make_contiguous())).await {
            Ok(()) => {
                waiting.clear();
                backoff = slow.build();
            }
            Err(error) => {
                tracing::debug!(peer = peer.name, %error, "cosignatures wait");
                shared.metrics.cosignatures_failed(&peer.name);
                tokio::select! {
                    () = peer.returned.notified() => {}
                    () = tokio::time::sleep(backoff.next().unwrap_or(IDLE)) => {}
                }
            }
        }
    }
}

/// Asks the peers whenever the final height stands still below the tip.
async fn fetch(shared: &Shared, mut own: Receiver<Cosigned>) {
    let mut last = shared.replica.watch_final();
    while catch_up(shared, &mut last).await.is_some() {
        // A new block is announced by our own cosignature of it; the rest of the time there is nothing to do.
        tokio::select! {
            received = own.recv() => if matches!(received, Err(RecvError::Closed)) { return },
            () = tokio::time::sleep(IDLE) => {}
        }
    }
}

/// Ready when the final height is that of the tip; `None` when the replica is gone.
async fn catch_up(shared: &Shared, last: &mut watch::Receiver<u64>) -> Option<()> {
    let mut pause = MOMENT;
    loop {
        let before = *last.borrow_and_update();
        if before >= shared.replica.tip().height {
            return Some(());
        }
        match tokio::time::timeout(pause, last.changed()).await {
            // Progress in this time means that the cosignatures come by themselves.
            Ok(Ok(())) => pause = MOMENT,
            Ok(Err(_)) => return None,
            Err(_) => {
                ask_all(shared, before + 1).await;
                let progress = *last.borrow() > before;
                pause = if progress {
                    Duration::ZERO
                } else {
                    (pause * 2).clamp(MOMENT, IDLE)
                };
            }
        }
    }
}

async fn ask_all(shared: &Shared, from: u64) {
    let to = shared.replica.tip().height.min(from.saturating_add(MAX_HEIGHTS - 1));
    let mut gone = Vec::new();
    let mut here = Vec::new();
    for peer in &shared.peers {
        if peer.status().connected {
            here.push(peer)
        } else {
            gone.push(peer)
        }
    }
    // Those known as gone are asked only when nobody else is there: one that hangs would cost its timeout.
    let asked = if here.is_empty() { gone } else { here };
    let answers = asked.iter().map(|peer| async move {
        match peer.cosignatures(from, to).await {
            Ok(cosigned) if !cosigned.is_empty() => shared.replica.add_cosignatures(cosigned),
            Ok(_) => {}
            Err(error) => tracing::debug!(peer = peer.name, %error, from, to, "cosignatures can't be fetched"),
        }
    });
    join_all(answers).await;
}
