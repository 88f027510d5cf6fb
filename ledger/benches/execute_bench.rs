//! Actions per second of one core with the in-memory store, by phase: `cargo run --release --workspace --example
//! execute_bench [blocks]`. Single and batched notarizations with what a depositor usually sends.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, dead_code)]

#[path = "../tests/execute/support.rs"]
mod support;

use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use muniment_ledger::templates::ELECTRONIC_INVOICE;
use muniment_ledger::transaction::Transaction;
use muniment_receipts::merkle::leaf_hash;
use serde_json::{Value, json};
use support::{Ledger, batch, genesis, key, signer, single};

fn input(n: u64) -> Value {
    use sha2::Digest;
    let digest = hex::encode(sha2::Sha256::digest(n.to_le_bytes()));
    json!({
        "digests": [{ "alg": "sha-256", "value": digest }],
        "mediaType": "application/pdf",
        "mode": "salted",
        "size": 100_000 + n,
        "subject": format!("contract {n:010}"),
    })
}

#[derive(Default)]
struct Phases {
    prepare: Duration,
    execute: Duration,
    hash: Duration,
    tree: Duration,
    actions: u64,
}

impl Phases {
    fn print(&self, what: &str) {
        let per = |d: Duration| d.as_secs_f64() * 1e6 / self.actions as f64;
        let without = per(self.prepare) + per(self.execute) + per(self.hash);
        let all = without + per(self.tree);
        println!(
            "{what:<24} prepare {:6.2}  execute+leaves {:6.2}  leaf hash {:6.2}  tree {:6.2}  | without tree {without:6.2} µs, \
             all {all:6.2} µs/action = {:.0}/s",
            per(self.prepare),
            per(self.execute),
            per(self.hash),
            per(self.tree),
            1e6 / all
        );
    }
}

fn run(ledger: &mut Ledger, transactions: Vec<Transaction>, phases: &mut Phases) {
    let start = Instant::now();
    let prepared: Vec<_> = transactions.into_iter().map(|t| ledger.admit(t).unwrap()).collect();
    phases.prepare += start.elapsed();
    let start = Instant::now();
    let execution = ledger.dry(&prepared);
    phases.execute += start.elapsed();
    let start = Instant::now();
    let hashes: Vec<_> = execution.leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
    phases.hash += start.elapsed();
    let start = Instant::now();
    ledger.commit(&execution);
    phases.tree += start.elapsed();
    phases.actions += hashes.len() as u64;
}

/// What the API makes of a small invoice.
fn invoice(n: u64) -> Value {
    let digest = format!("{n:064x}");
    json!({
        "content": digest, "currency": "EUR", "issueDate": "2026-11-28", "number": n.to_string(),
        "recipient": signer(&key(2)).to_string(), "regime": "DE", "series": "R", "supplier": "DE123456789",
        "syntax": "ubl", "type": "380", "year": 2026,
        "totals": {
            "allowances": 0, "charges": 0, "due": 11_900, "gross": 11_900, "lines": 10_000, "net": 10_000, "prepaid": 0,
            "rounding": 0, "vat": 1_900
        },
        "vat": [{ "base": 10_000, "category": "S", "rate": 190_000, "vat": 1_900 }],
        "verdict": { "digest": digest, "exact": true, "fatal": 0, "ruleSet": "en16931/1.3.16" },
    })
}

fn invoices(blocks: u64, key: &SigningKey) {
    let mut ledger = Ledger::new(&genesis(&[("electronic-invoice", 1, ELECTRONIC_INVOICE)]));
    let (mut phases, mut n) = (Phases::default(), 0);
    for _ in 0..blocks {
        let actions = (0..1_000).map(|_| {
            n += 1;
            (invoice(n), None)
        });
        let actions = actions.collect();
        let common = ledger.common_of("electronic-invoice", key, "issue");
        run(&mut ledger, vec![batch(common, key, actions)], &mut phases);
    }
    assert_eq!(ledger.records().len() as u64, n, "all are accepted");
    phases.print("invoices, 1000/block");
}

fn main() {
    let blocks: u64 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(40);
    let (mut ledger, key) = (Ledger::notary(), key(1));
    let mut n = 0;
    for size in [1, 5] {
        let mut phases = Phases::default();
        for _ in 0..blocks {
            let transactions = (0..size).map(|_| {
                let actions = (0..1_000).map(|_| {
                    n += 1;
                    (input(n), None)
                });
                let actions = actions.collect();
                batch(ledger.common(&key, "deposit"), &key, actions)
            });
            let transactions = transactions.collect();
            run(&mut ledger, transactions, &mut phases);
        }
        phases.print(&format!("batches, {size} x 1000/block"));
    }
    invoices(blocks.div_ceil(4), &key);
    let mut phases = Phases::default();
    for _ in 0..blocks {
        let transactions = (0..500).map(|_| {
            n += 1;
            single(ledger.common(&key, "deposit"), &key, input(n), None)
        });
        let transactions = transactions.collect();
        run(&mut ledger, transactions, &mut phases);
    }
    phases.print("singles, 500/block");
    println!(
        "{n} records, {} tree nodes, {} bytes of nodes per record",
        ledger.tree.nodes.len(),
        { ledger.tree.nodes.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>() as u64 / n }
    );
}
