//! Writes what SQL keeps of final blocks: digests, invoices, the frontier, and which outbox rows are done. In bulk, behind the
//! follower; a crash in between only means that some blocks are read again.

mod invoices;

use muniment_ledger::transaction::Transaction;
use muniment_ledger::wire::{FinalBlock, Outcome};
use muniment_receipts::merkle::Frontier;
use serde::Deserialize;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::mpsc;

use super::runtime::Network;
use crate::deposit;
use crate::store::Write;
use crate::store::entity::{digest, followed};
use invoices::Seen;

/// How long blocks gather before they are written: digests are random keys, so that many rows written together in key
/// order touch far fewer pages each.
const GATHER: Duration = Duration::from_secs(1);
/// Rows that are enough to write at once.
const ENOUGH: usize = 20_000;
/// Rows of one database transaction, so that accepting never waits long behind a projection.
const ROWS: usize = 2_000;

/// A block that was followed.
pub struct Projected {
    /// The block.
    pub block: Arc<FinalBlock>,
    /// Frontier after it.
    pub frontier: Frontier,
    /// Outbox rows that are done.
    pub done: Vec<i64>,
}

/// What the follower tells, in its order.
pub enum Step {
    /// A block.
    Block(Projected),
    /// What was followed before is doubted: the next block is the first one again.
    Anew,
}

/// Rows of several blocks.
#[derive(Default)]
struct Gathered {
    height: u64,
    time: u64,
    frontier: Frontier,
    digests: Vec<digest::Model>,
    invoices: Seen,
    done: Vec<i64>,
}

impl Gathered {
    /// Takes a block; false for what isn't one.
    fn takes(&mut self, network: i64, step: Step) -> bool {
        let Step::Block(projected) = step else { return false };
        self.height = projected.block.header.height;
        self.time = projected.block.header.time;
        self.frontier = projected.frontier;
        self.digests.extend(digests(network, &projected.block));
        self.invoices.take(network, &projected.block);
        self.done.extend(projected.done);
        true
    }
}

/// Runs until the follower ends.
pub async fn run(network: Weak<Network>, number: i64, mut steps: mpsc::Receiver<Step>) {
    while let Some(first) = steps.recv().await {
        let mut gathered = Gathered::default();
        let mut anew = !gathered.takes(number, first);
        let end = tokio::time::Instant::now() + GATHER;
        while !anew && gathered.digests.len() + gathered.invoices.len() < ENOUGH {
            let Ok(Some(more)) = tokio::time::timeout_at(end, steps.recv()).await else {
                break;
            };
            anew = !gathered.takes(number, more);
        }
        let Some(network) = network.upgrade() else { return };
        if gathered.height > 0 {
            project(&network, gathered).await;
        }
        if anew {
            // What was found so far stays; that it is all there is isn't claimed any more.
            network.projected.send_replace(0);
        }
    }
}

/// Writes until it succeeds: the outbox and the heights must not drift apart.
async fn project(network: &Network, gathered: Gathered) {
    let (size, peaks) = gathered.frontier.parts();
    let advance = followed::Model {
        id: network.number,
        network: network.entry.id.to_vec(),
        height: i64::try_from(gathered.height).unwrap_or(i64::MAX),
        size: i64::try_from(size).unwrap_or(i64::MAX),
        frontier: peaks.concat(),
        time: i64::try_from(gathered.time).unwrap_or(i64::MAX),
    };
    let mut rows = gathered.digests;
    rows.sort_unstable_by(|one, two| one.digest.cmp(&two.digest));
    let done = ranges(gathered.done);
    // Rows may be there before the height that covers them, never after it.
    for rows in rows.chunks(ROWS) {
        write(network, || vec![Write::Digests(rows.to_vec())]).await;
    }
    for documents in gathered.invoices.documents.chunks(ROWS) {
        let keep = || Write::Keep {
            network: network.entry.id,
            documents: documents.to_vec(),
        };
        write(network, || vec![keep()]).await;
    }
    let invoices = gathered.invoices.rows(network, gathered.height).await;
    for rows in invoices.chunks(ROWS) {
        write(network, || vec![Write::Invoices(rows.to_vec())]).await;
    }
    write(network, || {
        vec![Write::Done(done.clone()), Write::Advance(advance.clone())]
    })
    .await;
    network.projected.send_replace(gathered.height);
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
        if head.template != deposit::KIND.template || head.action != deposit::KIND.action {
            continue;
        }
        for (index, outcome) in outcomes.iter().enumerate() {
            let Outcome::Accepted { record, .. } = outcome else {
                continue;
            };
            let bytes = match transaction {
                Transaction::Single { statement, .. } | Transaction::Attached { statement, .. } => statement,
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
