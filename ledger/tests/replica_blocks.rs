//! Real replicas, on disk, under the deterministic order of the twin: which blocks they take and which they refuse.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "execute/support.rs"]
#[allow(dead_code)]
mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use ed25519_dalek::SigningKey;
use muniment_ledger::block::{Block, Hash, transactions_root};
use muniment_ledger::config::{Limits, ReplicaConfig, ReplicaKeys};
use muniment_ledger::engine::sequencer::Sequencer;
use muniment_ledger::engine::{Application, Verdict};
use muniment_ledger::replica::{self, LocalReplica, Replica, ReplicaApplication};
use muniment_ledger::templates::NOTARIZATION;
use muniment_ledger::transaction::Transaction;
use muniment_ledger::wire::Admission;
use muniment_receipts::genesis::Genesis;
use muniment_receipts::statement::Common;
use support::{deposit, key, signer, single};

const VALIDATORS: u8 = 4;
const MINUTE: u64 = 60_000;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// Folders of a network, and the replicas that are open.
struct World {
    folder: tempfile::TempDir,
    genesis: Genesis,
    network: Hash,
}

impl World {
    fn new() -> Self {
        let mut genesis = support::genesis(&[("notarization", 1, NOTARIZATION)]);
        genesis.created_at = now();
        let network = genesis.network_id().unwrap();
        let folder = tempfile::tempdir().unwrap();
        Self {
            folder,
            genesis,
            network,
        }
    }

    /// Opens a validator's replica in the folder `place`; a new folder is an empty replica.
    fn open(&self, validator: u8, place: &str, limits: Limits) -> (Arc<LocalReplica>, ReplicaApplication) {
        let folder = self.folder.path().join(place);
        self.lay_out(validator, &folder);
        let config = ReplicaConfig {
            name: format!("validator-{validator}"),
            api: ([127, 0, 0, 1], 1).into(),
            consensus: ([127, 0, 0, 1], 2).into(),
            peers: Vec::new(),
            token: String::new(),
            tls: None,
            limits,
        };
        let opened = replica::open(&folder, &config).unwrap();
        (opened.replica, opened.application)
    }

    fn lay_out(&self, validator: u8, folder: &Path) -> PathBuf {
        std::fs::create_dir_all(folder).unwrap();
        let seed = |n: u8| hex::encode(key(100 + 4 * validator + n).to_bytes());
        let keys = ReplicaKeys {
            consensus: seed(0),
            notary: seed(1),
            cose: seed(2),
            transport: seed(3),
        };
        std::fs::write(folder.join("genesis.json"), self.genesis.canonical().unwrap()).unwrap();
        std::fs::write(folder.join("keys.json"), serde_json::to_vec(&keys).unwrap()).unwrap();
        folder.to_path_buf()
    }

    fn four(&self) -> (Vec<Arc<LocalReplica>>, Sequencer<ReplicaApplication>) {
        let open = |n: u8| self.open(n, &format!("replica-{n}"), Limits::default());
        let (replicas, applications): (Vec<_>, Vec<_>) = (0..VALIDATORS).map(open).unzip();
        let seeds = (0..VALIDATORS).map(|n| key(100 + 4 * n).to_bytes());
        (
            replicas,
            Sequencer::new(self.network, seeds.zip(applications).collect()),
        )
    }

    fn deposit(&self, by: &SigningKey, number: u64) -> Transaction {
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&number.to_be_bytes());
        let common = Common {
            action: "deposit".to_owned(),
            network: self.network,
            nonce,
            revision: 1,
            signer: signer(by),
            template: "notarization".to_owned(),
            valid_until: now() + 5 * MINUTE,
        };
        single(common, by, deposit(number), None)
    }
}

fn roots(replicas: &[Arc<LocalReplica>]) -> Vec<(u64, Hash, Hash)> {
    let root = |replica: &Arc<LocalReplica>| {
        let tip = replica.tip();
        (tip.height, tip.state_root, tip.log_root)
    };
    replicas.iter().map(root).collect()
}

#[test]
fn every_replica_comes_to_the_same_state_also_after_a_restart_and_from_nothing() {
    let world = World::new();
    let (replicas, mut order) = world.four();
    for number in 0..40 {
        let at = &replicas[number as usize % replicas.len()];
        let admissions = at.admit(vec![world.deposit(&key(1 + number as u8 % 3), number)]);
        assert!(matches!(admissions[0], Admission::Accepted { .. }), "{admissions:?}");
        if number % 7 == 0 {
            order.settle().unwrap();
        }
    }
    let tip = order.settle().unwrap();
    let wanted = roots(&replicas)[0];
    assert_eq!(wanted.0, tip);
    assert!(
        roots(&replicas).iter().all(|root| *root == wanted),
        "{:?}",
        roots(&replicas)
    );

    let blocks = order.app(0).decided(1, tip, usize::MAX).unwrap();
    drop((replicas, order));
    let (reopened, _) = world.open(2, "replica-2", Limits::default());
    assert_eq!(roots(&[reopened])[0], wanted);
    let (fresh, mut application) = world.open(3, "fresh", Limits::default());
    for (height, (block, certificate)) in (1..).zip(blocks) {
        assert_eq!(
            application.import(height, &block).unwrap(),
            Some((certificate.block, Verdict::Valid))
        );
        assert!(application.decide(certificate).unwrap());
    }
    assert_eq!(roots(&[fresh])[0], wanted);
}

#[test]
fn a_decided_transaction_never_waits_again() {
    let world = World::new();
    let (replicas, mut order) = world.four();
    let transactions: Vec<_> = (0..300).map(|number| world.deposit(&key(1), number)).collect();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Relays and clients send the same again and again while blocks are decided.
        let (transactions, done, replica) = (&transactions, &done, &replicas[1]);
        scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                replica.admit(transactions.clone());
            }
        });
        for chunk in transactions.chunks(10) {
            replicas[0].admit(chunk.to_vec());
            order.step().unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    order.settle().unwrap();
    let waiting: Vec<usize> = replicas.iter().map(|replica| replica.mempool().0).collect();
    assert_eq!(waiting, [0; 4]);
    let admissions = replicas[1].admit(transactions);
    let known = |admission: &Admission| matches!(admission, Admission::Known { height: Some(_), .. });
    assert!(admissions.iter().all(known), "{admissions:?}");
}

/// Adds a transaction to a block, and counts it.
fn with(transaction: Transaction) -> impl Fn(&mut Block) {
    move |block| {
        block.transactions.push(transaction.clone());
        block.header.transactions += 1;
    }
}

#[test]
fn only_blocks_that_follow_from_the_tip_are_good() {
    let world = World::new();
    let (replicas, mut order) = world.four();
    replicas[0].admit(vec![world.deposit(&key(1), 1)]);
    order.settle().unwrap();
    let height = replicas[0].tip().height + 1;
    replicas[0].admit((2..6).map(|number| world.deposit(&key(2), number)).collect());
    let (hash, bytes) = order.app_mut(0).propose(height, 0).unwrap();
    let good: Block = borsh::from_slice(&bytes).unwrap();

    let stranger = world.deposit(&key(77), 99);
    let mut unsigned = world.deposit(&key(1), 98);
    if let Transaction::Single { signature, .. } = &mut unsigned {
        signature[0] ^= 1;
    }
    let decided = order.app(0).decided(1, height - 1, usize::MAX).unwrap();
    let transactions = |bytes: &Vec<u8>| borsh::from_slice::<Block>(bytes).unwrap().transactions;
    let old = decided
        .iter()
        .flat_map(|(bytes, _)| transactions(bytes))
        .next()
        .unwrap();
    type Change = Box<dyn Fn(&mut Block)>;
    let bad: Vec<(&str, Change)> = vec![
        ("version", Box::new(|b| b.header.version += 1)),
        ("network", Box::new(|b| b.header.network[0] ^= 1)),
        ("height", Box::new(|b| b.header.height += 1)),
        ("parent", Box::new(|b| b.header.parent[0] ^= 1)),
        ("log size", Box::new(|b| b.header.parent_log_size += 1)),
        ("log root", Box::new(|b| b.header.parent_log_root[0] ^= 1)),
        ("state root", Box::new(|b| b.header.parent_state_root[0] ^= 1)),
        ("validators", Box::new(|b| b.header.validators[0] ^= 1)),
        ("next validators", Box::new(|b| b.header.next_validators[0] ^= 1)),
        ("count", Box::new(|b| b.header.transactions += 1)),
        ("a transaction less", Box::new(|b| drop(b.transactions.pop()))),
        ("another order", Box::new(|b| b.transactions.swap(0, 1))),
        ("a transaction twice", Box::new(|b| with(b.transactions[0].clone())(b))),
        ("a decided transaction", Box::new(with(old))),
        ("a bad signature", Box::new(with(unsigned))),
        ("a stranger's transaction", Box::new(with(stranger))),
    ];
    for (what, change) in bad {
        let mut block = good.clone();
        change(&mut block);
        let refit = what.contains("transaction") || what == "a bad signature" || what == "another order";
        if refit && what != "another order" && what != "a transaction less" {
            block.header.transactions_root = transactions_root(&block.transactions).unwrap();
        }
        let bytes = borsh::to_vec(&block).unwrap();
        for judged in [
            order.app_mut(1).check(height, 0, false, &bytes).unwrap(),
            order.app_mut(2).import(height, &bytes).unwrap(),
        ] {
            assert!(!matches!(judged, Some((_, Verdict::Valid))), "{what}");
        }
    }
    for noise in [&bytes[..bytes.len() - 1], b"", &[bytes.as_slice(), &[0]].concat()] {
        assert_eq!(order.app_mut(1).check(height, 0, false, noise).unwrap(), None);
    }
    assert_eq!(
        order.app_mut(1).check(height, 0, false, &bytes).unwrap(),
        Some((hash, Verdict::Valid))
    );
}

#[test]
fn the_clock_judges_new_blocks_and_never_decided_ones() {
    let world = World::new();
    let (replicas, mut order) = world.four();
    replicas[0].admit(vec![world.deposit(&key(1), 1)]);
    let (_, bytes) = order.app_mut(0).propose(1, 0).unwrap();
    let good: Block = borsh::from_slice(&bytes).unwrap();
    let at = |time: u64| {
        let mut block = good.clone();
        block.header.time = time;
        borsh::to_vec(&block).unwrap()
    };
    let verdict = |judged: Option<(Hash, Verdict)>| judged.map(|(_, verdict)| verdict);
    let (valid, invalid) = (Some(Verdict::Valid), Some(Verdict::Invalid));
    let cases = [
        // time, proposed, proposed again, decided
        (now() + 10 * MINUTE, invalid, invalid, valid),
        (now() - MINUTE / 6, valid, valid, valid),
        (now() - 10 * MINUTE, invalid, valid, valid),
        (0, invalid, invalid, invalid),
        (u64::MAX, invalid, invalid, invalid),
    ];
    for (time, proposed, again, decided) in cases {
        let bytes = at(time);
        assert_eq!(
            verdict(order.app_mut(1).check(1, 0, false, &bytes).unwrap()),
            proposed,
            "{time}"
        );
        assert_eq!(
            verdict(order.app_mut(2).check(1, 1, true, &bytes).unwrap()),
            again,
            "{time}"
        );
        assert_eq!(verdict(order.app_mut(3).import(1, &bytes).unwrap()), decided, "{time}");
        // Seen as a later proposal before, it is no better as a first one: a proposer must not date back by that.
        assert_eq!(
            verdict(order.app_mut(2).check(1, 0, false, &bytes).unwrap()),
            proposed,
            "{time}, again as the first"
        );
    }
}

#[test]
fn a_replica_with_small_limits_takes_the_blocks_of_others() {
    let world = World::new();
    let (replicas, mut order) = world.four();
    let small = Limits {
        block_bytes: 1_000,
        block_actions: 2,
        ..Limits::default()
    };
    let (limited, mut application) = world.open(3, "small", small);
    let transactions: Vec<_> = (0..20).map(|number| world.deposit(&key(1), number)).collect();
    replicas[0].admit(transactions.clone());
    let (hash, bytes) = order.app_mut(0).propose(1, 0).unwrap();
    assert_eq!(borsh::from_slice::<Block>(&bytes).unwrap().transactions.len(), 20);
    assert_eq!(
        application.check(1, 0, false, &bytes).unwrap(),
        Some((hash, Verdict::Valid))
    );
    limited.admit(transactions);
    let own: Block = borsh::from_slice(&application.propose(1, 1).unwrap().1).unwrap();
    assert!(own.transactions.len() <= 2, "its own blocks stay within its limits");
}
