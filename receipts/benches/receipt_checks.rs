//! How fast receipts are checked and made on one core:
//! `cargo bench -p muniment-receipts --bench receipt_checks`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[allow(dead_code)]
#[path = "../tests/it/world.rs"]
mod world;

use std::time::{Duration, Instant};

use ed25519_dalek::Signer;
use muniment_receipts::key::Ed25519Key;
use muniment_receipts::leaf::{self, Leaf};
use muniment_receipts::merkle::{Frontier, Hash, leaf_hash};
use muniment_receipts::statement::{Item, Statement};
use muniment_receipts::trust::TrustRoot;
use muniment_receipts::verify::{Outcome, Verifier};
use sha2::{Digest, Sha256};
use world::{START, World, document, input, salted};

/// Time this thread has had a core for, so that a busy machine does not spoil the figure; wall time where the system
/// does not say.
fn core_time(start: Instant) -> Duration {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = statistics.and_then(|text| text.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| start.elapsed(), Duration::from_nanos)
}

/// Runs `work` for two seconds of one core and prints how many units a second it does.
fn rate(name: &str, units: usize, mut work: impl FnMut(usize)) {
    let clock = Instant::now();
    let start = core_time(clock);
    let mut rounds = 0;
    let mut spent = Duration::ZERO;
    while spent < Duration::from_secs(2) {
        for _ in 0..16 {
            work(rounds);
            rounds += 1;
        }
        spent = core_time(clock) - start;
    }
    let seconds = spent.as_secs_f64();
    let done = (rounds * units) as f64;
    println!(
        "{name:<52} {:>12.0}/s {:>10.2} us",
        done / seconds,
        seconds * 1e6 / done
    );
}

fn main() {
    let mut world = World::new(4);
    let mut single = Vec::new();
    let mut batch = Vec::new();
    let mut same: Vec<Vec<u8>> = Vec::new();
    let digest = |round: usize| Sha256::digest(round.to_be_bytes()).into();
    for round in 0..64 {
        // No two rounds share a signature, so nothing is remembered from one check to the next.
        let leaves = vec![world.deposit(&salted(), &digest(round)); 16];
        let block = world.block(leaves);
        let mut receipt = world.receipt(&block, 7);
        receipt.disclosure = Some(salted());
        single.push(receipt.encode());
        let leaves = world.batch(1_000 - round as u32);
        let block = world.block(leaves);
        batch.push(world.receipt(&block, 500));
        same = (0..900).map(|index| world.receipt(&block, index).encode()).collect();
    }
    println!(
        "receipt of a single statement: {} bytes, of a batch item: {} bytes",
        single[0].len(),
        batch[0].encode().len()
    );

    let message = [7; 300];
    let signature = world.member.sign(&message).to_bytes();
    let key = Ed25519Key::from_bytes(world.member.verifying_key().as_bytes()).unwrap();
    rate("check an Ed25519 signature: a receipt has four", 1, |_| {
        key.verify(&message, &signature).unwrap()
    });

    let trust = world.trust.canonical().unwrap();
    rate("read a trust root", 1, |_| drop(TrustRoot::parse(&trust).unwrap()));
    let verifier = Verifier::new(Some(&trust), None);
    let now = START + 3_600_000;
    rate("check a receipt, each of another block", 1, |round| {
        let round = round % single.len();
        let report = verifier.verify(&single[round], Some(digest(round)), now);
        assert_eq!(report.overall, Outcome::Pass);
    });
    let files: Vec<_> = batch.iter().map(|receipt| receipt.encode()).collect();
    rate("check a receipt of a batch item", 1, |round| {
        let report = verifier.verify(&files[round % files.len()], None, now);
        assert_eq!(report.overall, Outcome::Inconclusive);
    });
    rate("check a receipt, all of one batch", 1, |round| {
        let report = verifier.verify(&same[round % same.len()], None, now);
        assert_eq!(report.overall, Outcome::Inconclusive);
    });
    rate("encode a receipt", 1, |round| drop(batch[round % batch.len()].encode()));

    let statement = Statement::new(world.common(), input(&salted(), &document()), None);
    let bytes = statement.canonical().unwrap();
    rate(&format!("read a statement of {} bytes", bytes.len()), 1, |_| {
        drop(Statement::parse(&bytes).unwrap())
    });
    rate("write a statement", 1, |_| drop(statement.canonical().unwrap()));
    let item = Item {
        input: input(&salted(), &document()),
        record: None,
    };
    let item_bytes = item.canonical().unwrap();
    rate(&format!("read an item of {} bytes", item_bytes.len()), 1, |_| {
        drop(Item::parse(&item_bytes).unwrap())
    });
    let signature = [1; 64];
    let items = vec![item_bytes; 1_000];
    let accepted: Vec<_> = (0..1_000).map(|index| (index, world::outcome(index))).collect();
    rate("make the leaves of a batch of 1,000", 1_000, |_| {
        drop(leaf::batch_items(&bytes, &signature, &items, &accepted));
    });
    let leaf = world.deposit(&salted(), &document());
    rate("take a leaf apart, without signature", 1, |_| {
        drop(Leaf::parse(&leaf).unwrap().action().unwrap())
    });

    let hashes: Vec<Hash> = (0..20_000_u32).map(|index| leaf_hash(&index.to_be_bytes())).collect();
    let mut frontier = Frontier::new();
    frontier.extend(&hashes[..12_345]);
    rate("append a leaf of 20,000 and make its path", 20_000, |_| {
        let growth = frontier.extension(&hashes);
        (12_345..growth.size()).for_each(|index| drop(growth.path(index)));
    });
    rate("append a leaf of 20,000", 20_000, |_| frontier.clone().extend(&hashes));
}
