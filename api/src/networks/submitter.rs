//! Sends accepted transactions to the validators in groups, and again until they are final.
//!
//! A validator that dies may take its mempool along, so what isn't final after a while is sent once more; the ledger
//! takes a transaction once however often it comes.

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use muniment_ledger::client::ClientError;
use muniment_ledger::transaction::Transaction;
use muniment_ledger::wire::{Admission, MEMPOOL_FULL};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

use super::pending::Entry;
use super::runtime::Network;

/// Groups under way at once: enough that a validator that hangs doesn't hold up what others would take.
const PARALLEL: usize = 8;
/// Most bytes of one group.
const GROUP_BYTES: usize = 2 * 1024 * 1024;
/// Most transactions of one group.
const GROUP_COUNT: usize = 2_000;
/// Under load, how long a group gathers.
const GATHER: Duration = Duration::from_millis(3);
/// What isn't final after this is sent again.
const AGAIN_MS: i64 = 3_000;
/// How often is looked for such.
const CHECK: Duration = Duration::from_secs(1);
/// Longest pause between attempts while nobody answers.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Runs until the network is dropped.
pub async fn run(network: Weak<Network>, mut queue: mpsc::UnboundedReceiver<Arc<Entry>>) {
    let slots = Arc::new(Semaphore::new(PARALLEL));
    let mut waiting: Vec<Arc<Entry>> = Vec::new();
    let mut busy = false;
    let mut check = tokio::time::Instant::now() + CHECK;
    loop {
        let pending = network.upgrade().is_some_and(|network| !network.pending.is_empty());
        tokio::select! {
            got = queue.recv_many(&mut waiting, GROUP_COUNT) => if got == 0 { return },
            // An idle network has no timer.
            () = tokio::time::sleep_until(check), if pending => {
                let Some(network) = network.upgrade() else { return };
                let before = crate::time::now_ms() - AGAIN_MS;
                waiting = network.pending.unsent_since(before, GROUP_COUNT);
                network.expire_by_clock().await;
                check = tokio::time::Instant::now() + CHECK;
            }
        }
        if busy {
            tokio::time::sleep(GATHER).await;
        }
        let Ok(slot) = slots.clone().acquire_owned().await else {
            return;
        };
        while let Ok(entry) = queue.try_recv() {
            waiting.push(entry);
        }
        busy = waiting.len() > 4;
        let mut slot = Some(slot);
        for group in groups(std::mem::take(&mut waiting)) {
            let slot = match slot.take() {
                Some(slot) => slot,
                None => match slots.clone().acquire_owned().await {
                    Ok(slot) => slot,
                    Err(_) => return,
                },
            };
            let network = network.clone();
            tokio::spawn(async move {
                send(network, group).await;
                drop(slot);
            });
        }
    }
}

fn groups(entries: Vec<Arc<Entry>>) -> Vec<Vec<Arc<Entry>>> {
    let mut groups = Vec::new();
    let mut group = Vec::new();
    let mut bytes = 0;
    for entry in entries {
        let size = entry.transaction.size();
        if !group.is_empty() && (bytes + size > GROUP_BYTES || group.len() >= GROUP_COUNT) {
            groups.push(std::mem::take(&mut group));
            bytes = 0;
        }
        bytes += size;
        group.push(entry);
    }
    if !group.is_empty() {
        groups.push(group);
    }
    groups
}

/// Sends a group until the validators took it, or none of it is pending any more.
async fn send(network: Weak<Network>, mut group: Vec<Arc<Entry>>) {
    let mut pauses = pauses();
    loop {
        let Some(network) = network.upgrade() else { return };
        group.retain(|entry| network.is_pending(&entry.id));
        if group.is_empty() {
            return;
        }
        let now = crate::time::now_ms();
        group.iter().for_each(|entry| entry.sent(now));
        // The client wants owned transactions side by side; a copy of a kilobyte each is far below the hashing.
        let transactions: Vec<Transaction> = group.iter().map(|entry| entry.transaction.clone()).collect();
        match network.client.submit(&transactions).await {
            Ok(admissions) => {
                for (entry, admission) in group.iter().zip(admissions) {
                    admitted(&network, entry, admission).await;
                }
                return;
            }
            Err(error) => {
                network.shared.metrics.submit_failures.inc();
                let pause = pauses.next().unwrap_or(LONGEST_PAUSE);
                let pause = match &error {
                    ClientError::Overloaded { retry_after } => pause.max(*retry_after).min(LONGEST_PAUSE),
                    _ => pause,
                };
                tracing::warn!(network = network.entry.name, %error, "submission failed, trying again");
                drop(network);
                tokio::time::sleep(pause).await;
            }
        }
    }
}

async fn admitted(network: &Arc<Network>, entry: &Arc<Entry>, admission: Admission) {
    match admission {
        Admission::Accepted { .. } | Admission::Known { height: None, .. } => {}
        Admission::Known {
            height: Some(height), ..
        } => network.known_at(entry, height),
        // Whether it can still land is decided by block time, not by one validator's clock.
        Admission::Refused { code, .. } if code == "EXPIRED" => network.expire_by_clock().await,
        // It is sent again with whatever else isn't final yet.
        Admission::Refused { code, .. } if code == MEMPOOL_FULL => {}
        Admission::Refused { code, message, .. } => network.refuse(entry, &code, &message).await,
    }
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times()
        .with_jitter()
        .build()
}
