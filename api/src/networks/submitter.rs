//! Sends accepted transactions to the validators in groups, and again until they are final.
//!
//! A validator that dies may take its mempool along, and one that lies may drop what it said it took: what isn't final
//! after a while is sent once more, to another one; the ledger takes a transaction once however often it comes. What a
//! validator says of a transaction is a hint: a block is looked at, and a refusal counts when so many validators say the
//! same that one of them is honest.

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use muniment_ledger::client::ClientError;
use muniment_ledger::transaction::Transaction;
use muniment_ledger::wire::{Admission, MEMPOOL_FULL, SHARE_FULL, UNREADABLE};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

use super::expiry::Refused;
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
        // What is sent again goes to the next validator, which then is the first for all that follows.
        let mut turn = 0;
        tokio::select! {
            got = queue.recv_many(&mut waiting, GROUP_COUNT) => if got == 0 { return },
            // An idle network has no timer.
            () = tokio::time::sleep_until(check), if pending => {
                let Some(network) = network.upgrade() else { return };
                let before = crate::time::now_ms() - AGAIN_MS;
                waiting = network.pending.unsent_since(before, GROUP_COUNT);
                turn = 1;
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
                let judged = send(&network, group, turn).await;
                drop(slot);
                judge(&network, judged).await;
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

/// What the validator that took a group says of some of it.
#[derive(Default)]
struct Hints {
    /// In a block already.
    known: Vec<(Arc<Entry>, u64)>,
    /// Never will be in one.
    refused: Vec<Arc<Entry>>,
}

/// Sends a group until a validator took it, or none of it is pending any more.
async fn send(network: &Weak<Network>, mut group: Vec<Arc<Entry>>, turn: usize) -> Hints {
    let mut pauses = pauses();
    loop {
        let Some(network) = network.upgrade() else {
            return Hints::default();
        };
        group.retain(|entry| network.is_pending(&entry.id));
        if group.is_empty() {
            return Hints::default();
        }
        let now = crate::time::now_ms();
        group.iter().for_each(|entry| entry.sent(now));
        match network.client().submit_from(turn, &transactions(&group)).await {
            Ok(admissions) => return hints(group, admissions),
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

/// The client wants owned transactions side by side; a copy of a kilobyte each is far below the hashing.
fn transactions(group: &[Arc<Entry>]) -> Vec<Transaction> {
    group.iter().map(|entry| entry.transaction.clone()).collect()
}

fn hints(group: Vec<Arc<Entry>>, admissions: Vec<Admission>) -> Hints {
    let mut hints = Hints::default();
    for (entry, admission) in group.into_iter().zip(admissions) {
        let crowded = matches!(&admission, Admission::Refused { code, .. } if code == SHARE_FULL);
        entry.crowded.store(crowded, Ordering::Relaxed);
        match &admission {
            Admission::Known {
                height: Some(height), ..
            } => hints.known.push((entry, *height)),
            _ if refusal(&admission).is_some() => hints.refused.push(entry),
            // It waits for a block; or it is sent again with whatever else isn't final yet.
            _ => {}
        }
    }
    hints
}

/// Code and message of a refusal that is for good. Whether a time is over is decided by block time, not by a validator's
/// clock, room may come, for all or for this signer, and a store that can't be read says nothing of it. Then it is sent again with whatever else isn't final.
fn refusal(admission: &Admission) -> Option<(&str, &str)> {
    match admission {
        Admission::Refused { code, message, .. } => {
            let passing = ["EXPIRED", MEMPOOL_FULL, SHARE_FULL, UNREADABLE].contains(&code.as_str());
            (!passing).then_some((code.as_str(), message.as_str()))
        }
        _ => None,
    }
}

/// Looks at what was only said.
async fn judge(network: &Weak<Network>, hints: Hints) {
    let Some(network) = network.upgrade() else { return };
    if !hints.known.is_empty() {
        network.known_at(hints.known).await;
    }
    if hints.refused.is_empty() {
        return;
    }
    let answers = network.client().submit_each(&transactions(&hints.refused)).await;
    let answers: Vec<Vec<Admission>> = answers.into_iter().filter_map(|(_, answer)| answer.ok()).collect();
    let mut refused = Vec::new();
    for (index, entry) in hints.refused.iter().enumerate() {
        let all: Vec<_> = answers
            .iter()
            .filter_map(|answer| refusal(answer.get(index)?))
            .collect();
        match all.first() {
            Some((code, message)) if all.len() >= network.enough() => refused.push(Refused {
                id: entry.id,
                code: (*code).to_owned(),
                message: (*message).to_owned(),
            }),
            // The others took it, or are asked again.
            _ => {
                tracing::warn!(network = network.entry.name, id = %entry.id, "too few validators refuse a transaction")
            }
        }
    }
    if let Err(error) = network.refuse(refused).await {
        // They are still pending: sent again, and refused again.
        let error = &error as &dyn std::error::Error;
        tracing::error!(error, "refusals can't be stored");
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
