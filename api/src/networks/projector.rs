//! Writes what SQL keeps of final blocks: digests, the frontier, and which outbox rows are done. In bulk, behind the
//! follower; a crash in between only means that some blocks are read again.

use muniment_ledger::transaction::Transaction;
use muniment_ledger::wire::{FinalBlock, Outcome};
use muniment_receipts::merkle::Frontier;
use serde::Deserialize;
use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;

use super::runtime::Network;
use crate::deposit;
use crate::store::Write;
use crate::store::entity::{digest, followed};

/// How long blocks gather before they are written.
const GATHER: Duration = Duration::from_millis(100);
/// Digest rows of one database transaction, so that accepting never waits long behind a projection.
const ROWS: usize = 2_000;

/// A block that was followed.
pub struct Projected {
    /// The block.
    pub block: FinalBlock,
    /// Frontier after it.
    pub frontier: Frontier,
    /// Outbox rows that are done.
    pub done: Vec<i64>,
}

/// Runs until the follower ends.
pub async fn run(network: Weak<Network>, mut blocks: mpsc::Receiver<Projected>) {
    let mut group = Vec::new();
    while blocks.recv_many(&mut group, 64).await > 0 {
        tokio::time::sleep(GATHER).await;
        while let Ok(more) = blocks.try_recv() {
            group.push(more);
        }
        let Some(network) = network.upgrade() else { return };
        project(&network, &mut group).await;
    }
}

/// Writes until it succeeds: the outbox and the heights must not drift apart.
async fn project(network: &Network, group: &mut Vec<Projected>) {
    let Some(last) = group.last() else { return };
    let (size, peaks) = last.frontier.parts();
    let height = last.block.header.height;
    let advance = followed::Model {
        id: network.number,
        network: network.entry.id.to_vec(),
        height: i64::try_from(height).unwrap_or(i64::MAX),
        size: i64::try_from(size).unwrap_or(i64::MAX),
        frontier: peaks.concat(),
    };
    let mut rows: Vec<digest::Model> = group
        .iter()
        .flat_map(|one| digests(network.number, &one.block))
        .collect();
    // In key order the writes of one statement lie side by side.
    rows.sort_by(|one, two| one.digest.cmp(&two.digest));
    let done = ranges(group.drain(..).flat_map(|one| one.done).collect());
    // Digests may be there before the height that covers them, never after it.
    while rows.len() > ROWS {
        let rest = rows.split_off(ROWS);
        write(network, || vec![Write::Digests(rows.clone())]).await;
        rows = rest;
    }
    write(network, || {
        vec![
            Write::Digests(rows.clone()),
            Write::Done(done.clone()),
            Write::Advance(advance.clone()),
        ]
    })
    .await;
    network.projected.store(height, Ordering::Release);
}

async fn write(network: &Network, writes: impl Fn() -> Vec<Write>) {
    while let Err(error) = network.shared.store.writer.write(writes()).await {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "the projection can't be written, trying again"
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Inclusive ranges over consecutive numbers.
fn ranges(mut seqs: Vec<i64>) -> Vec<(i64, i64)> {
    seqs.sort_unstable();
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for seq in seqs {
        match ranges.last_mut() {
            Some((_, last)) if seq <= *last + 1 => *last = seq,
            _ => ranges.push((seq, seq)),
        }
    }
    ranges
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    template: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    action: std::borrow::Cow<'a, str>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    input: Input<'a>,
}

#[derive(Deserialize)]
struct Input<'a> {
    #[serde(borrow, default)]
    digests: Vec<Value<'a>>,
}

#[derive(Deserialize)]
struct Value<'a> {
    #[serde(borrow)]
    value: &'a str,
}

/// Digests of the notarizations that a block accepted.
fn digests(network: i64, block: &FinalBlock) -> Vec<digest::Model> {
    let mut rows = Vec::new();
    for (transaction, outcomes) in block.transactions.iter().zip(&block.outcomes) {
        let Ok(head) = serde_json::from_slice::<Head<'_>>(transaction.signed_bytes()) else {
            continue;
        };
        if head.template != deposit::TEMPLATE || head.action != deposit::ACTION {
            continue;
        }
        for (index, outcome) in outcomes.iter().enumerate() {
            let Outcome::Accepted { record, .. } = outcome else {
                continue;
            };
            let bytes = match transaction {
                Transaction::Single { statement, .. } => statement,
                Transaction::Batch { items, .. } => match items.get(index) {
                    Some(item) => item,
                    None => continue,
                },
            };
            let Ok(body) = serde_json::from_slice::<Body<'_>>(bytes) else {
                continue;
            };
            let values = body
                .input
                .digests
                .iter()
                .filter_map(|digest| hex::decode(digest.value).ok());
            rows.extend(values.map(|digest| digest::Model {
                network,
                digest,
                record: record.to_vec(),
            }));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_join_neighbours() {
        assert_eq!(ranges(vec![3, 1, 2, 7, 9, 8, 12]), [(1, 3), (7, 9), (12, 12)]);
        assert!(ranges(Vec::new()).is_empty());
    }
}
