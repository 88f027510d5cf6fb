//! Writes to all four validators at once, conflicting ones included, while validators are killed in turn.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use muniment_ledger::client::NetworkClient;
use muniment_ledger::transaction::{Transaction, TransactionId};
use muniment_ledger::wire::{Outcome, TransactionStatus};
use muniment_tests::api::digest;
use muniment_tests::local::LocalWorld;
use muniment_tests::poll;
use muniment_tests::world::{World, agreement};

/// Writes of each writer.
const WRITES: usize = 120;
/// Every so many writes of a writer are one half of a conflict with the next writer.
const CONFLICT: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn every_write_lands_once_and_one_of_each_conflicting_pair_wins() {
    let mut world = LocalWorld::fresh().await;
    let party = world.party();
    let validators = world.validators();
    let writers = validators.len();

    // Writer w and w+1 both deposit the digests of conflicts[w]: two transactions for one record identity.
    let conflicts: Vec<Vec<String>> = (0..writers)
        .map(|_| (0..WRITES / CONFLICT).map(|_| digest()).collect())
        .collect();
    let mut pairs: BTreeMap<String, Vec<TransactionId>> = BTreeMap::new();
    let mut plans: Vec<Vec<Transaction>> = vec![Vec::new(); writers];
    for (writer, digests) in conflicts.iter().enumerate() {
        for digest in digests {
            for side in [writer, (writer + 1) % writers] {
                let transaction = party.deposit(digest);
                pairs.entry(digest.clone()).or_default().push(transaction.id());
                plans[side].push(transaction);
            }
        }
    }
    let mut singles = Vec::new();
    for plan in &mut plans {
        for index in 0..WRITES - WRITES / CONFLICT {
            let transaction = party.deposit(&digest());
            singles.push(transaction.id());
            plan.insert(index % (plan.len() + 1), transaction);
        }
    }

    let done = Arc::new(AtomicUsize::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    let total: usize = plans.iter().map(Vec::len).sum();
    for (validator, plan) in validators.iter().zip(plans) {
        let (node, done) = (world.node(validator), done.clone());
        tasks.spawn(async move {
            for chunk in plan.chunks(4) {
                write(&node, chunk).await;
                done.fetch_add(chunk.len(), Ordering::Relaxed);
            }
        });
    }
    // Each validator is killed once, each time after the writers have got on.
    for (turn, validator) in validators.iter().enumerate() {
        let wanted = total * (turn + 1) / (writers + 2);
        poll::until("the writers get on", || {
            std::future::ready((done.load(Ordering::Relaxed) >= wanted).then_some(()))
        })
        .await;
        world.kill(validator).await;
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }

    let end = agreement(&world).await;
    let outcomes = outcomes(&world.network(), end.height).await;
    for id in &singles {
        let found = outcomes.get(&id.0).map(Vec::as_slice);
        assert!(
            matches!(found, Some([Outcome::Accepted { version: 1, .. }])),
            "{id}: {found:?}"
        );
    }
    for (digest, ids) in &pairs {
        let both: Vec<&Outcome> = ids
            .iter()
            .flat_map(|id| outcomes.get(&id.0).into_iter().flatten())
            .collect();
        let won: Vec<_> = both
            .iter()
            .filter_map(|outcome| match outcome {
                Outcome::Accepted { record, .. } => Some(*record),
                Outcome::Rejected { .. } => None,
            })
            .collect();
        let lost: Vec<_> = both
            .iter()
            .filter_map(|outcome| match outcome {
                Outcome::Rejected { code, record, .. } => Some((code.as_str(), *record)),
                Outcome::Accepted { .. } => None,
            })
            .collect();
        assert_eq!((won.len(), lost.len()), (1, 1), "{digest}: {both:?}");
        assert_eq!(lost[0], ("DUPLICATE", Some(won[0])), "the loser must name the winner");
    }
    everywhere(&world, &outcomes).await;
}

/// Submits to one validator until all are final there, as a client does: nothing is made anew, the same signed
/// transactions are repeated.
async fn write(node: &NetworkClient, transactions: &[Transaction]) {
    poll::until("transactions are final", || async {
        node.submit(transactions).await.ok()?;
        for transaction in transactions {
            let status = node.transaction(&transaction.id(), Duration::from_secs(2)).await.ok()?;
            if !matches!(status, TransactionStatus::Final { .. }) {
                return None;
            }
        }
        Some(())
    })
    .await;
}

/// Outcomes of all transactions up to a height, from the block stream. A transaction in two blocks would show twice.
async fn outcomes(network: &NetworkClient, height: u64) -> BTreeMap<[u8; 32], Vec<Outcome>> {
    let mut outcomes: BTreeMap<[u8; 32], Vec<Outcome>> = BTreeMap::new();
    let mut blocks = network.follow(1);
    let mut next = 1;
    while next <= height {
        let block = blocks.next().await.unwrap().unwrap();
        assert_eq!(block.header.height, next, "the stream must be contiguous");
        for (transaction, outcome) in block.transactions.iter().zip(block.outcomes) {
            outcomes.entry(transaction.id().0).or_default().extend(outcome);
        }
        next += 1;
    }
    outcomes
}

/// Every accepted record is on every validator, in one version.
async fn everywhere(world: &LocalWorld, outcomes: &BTreeMap<[u8; 32], Vec<Outcome>>) {
    let accepted: std::collections::BTreeSet<String> = outcomes
        .values()
        .flatten()
        .filter_map(|outcome| match outcome {
            Outcome::Accepted { record, .. } => Some(hex::encode(record)),
            Outcome::Rejected { .. } => None,
        })
        .collect();
    for validator in world.validators() {
        let node = world.node(&validator);
        let (mut found, mut after) = (std::collections::BTreeSet::new(), None);
        loop {
            let page = node.records(Some("notarization"), after.as_ref(), 500).await.unwrap();
            found.extend(
                page.records
                    .iter()
                    .map(|record| record["id"].as_str().unwrap().to_owned()),
            );
            match page.next {
                Some(next) => after = Some(hex::decode(next).unwrap().try_into().unwrap()),
                None => break,
            }
        }
        assert_eq!(found, accepted, "{validator} has other records than the blocks say");
    }
}
