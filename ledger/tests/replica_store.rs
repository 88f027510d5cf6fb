//! What a replica makes of its own files after a power cut or damage: mended, found while it runs, or a named error.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "execute/support.rs"]
#[allow(dead_code)]
mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use muniment_ledger::block::Hash;
use muniment_ledger::config::{Limits, ReplicaConfig, ReplicaKeys};
use muniment_ledger::engine::sequencer::Sequencer;
use muniment_ledger::replica::{self, LocalReplica, OpenError, Opened, Replica, Tip};
use muniment_ledger::store::StoreError;
use muniment_ledger::templates::NOTARIZATION;
use muniment_ledger::transaction::Transaction;
use muniment_ledger::wire::Admission;
use muniment_receipts::genesis::Genesis;
use muniment_receipts::statement::Common;
use serde_json::{Value, json};
use support::{deposit, key, signer, single};

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// A network of four whose replicas have lived for a while and are closed again; validator 0 is looked at.
struct World {
    folder: tempfile::TempDir,
    genesis: Genesis,
    tip: Tip,
}

impl World {
    /// Four deposits a block, by turns of the two templates.
    fn new(heights: u64) -> Self {
        let second = NOTARIZATION.replacen("name: notarization", "name: notarization-two", 1);
        let templates = [("notarization", 1, NOTARIZATION), ("notarization-two", 1, &second)];
        let mut genesis = support::genesis(&templates);
        genesis.created_at = now();
        let mut world = Self {
            folder: tempfile::tempdir().unwrap(),
            genesis,
            tip: Tip::default(),
        };
        let network = world.genesis.network_id().unwrap();
        let members = (0..4u8).map(|n| world.open(n).unwrap());
        let (replicas, members): (Vec<_>, Vec<_>) = members
            .zip(0..4u8)
            .map(|(opened, n)| (opened.replica, (key(100 + 4 * n).to_bytes(), opened.application)))
            .unzip();
        let mut order = Sequencer::new(network, members);
        for height in 0..heights {
            let some: Vec<_> = (4 * height..4 * height + 4)
                .map(|n| world.deposit(network, n))
                .collect();
            for replica in &replicas {
                let admissions = replica.admit(some.clone());
                let good = |one: &Admission| matches!(one, Admission::Accepted { .. });
                assert!(admissions.iter().all(good), "{admissions:?}");
            }
            order.settle().unwrap();
        }
        world.tip = replicas[0].tip();
        assert_eq!(world.tip.height, heights);
        world
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join("validator-0").join("data").join(file)
    }

    fn open(&self, validator: u8) -> Result<Opened, OpenError> {
        self.open_with(validator, Limits::default())
    }

    fn open_with(&self, validator: u8, limits: Limits) -> Result<Opened, OpenError> {
        let name = format!("validator-{validator}");
        let folder = self.folder.path().join(&name);
        lay_out(&folder, &self.genesis, validator);
        let config = ReplicaConfig {
            name,
            api: ([127, 0, 0, 1], 1).into(),
            consensus: ([127, 0, 0, 1], 2).into(),
            peers: Vec::new(),
            token: String::new(),
            tls: None,
            limits,
        };
        replica::open(&folder, &config)
    }

    fn reopened(&self) -> Arc<LocalReplica> {
        let opened = self.open(0).unwrap();
        assert_eq!(opened.replica.tip(), self.tip);
        opened.replica
    }

    fn deposit(&self, network: Hash, number: u64) -> Transaction {
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&number.to_be_bytes());
        let template = ["notarization", "notarization-two"][number as usize % 2];
        let common = Common {
            action: "deposit".to_owned(),
            network,
            nonce,
            revision: 1,
            signer: signer(&key(1)),
            template: template.to_owned(),
            valid_until: now() + 300_000,
        };
        single(common, &key(1), deposit(number), None)
    }

    /// What a replica with a small mempool says to this input of this member.
    fn offered(&self, replica: &LocalReplica, member: u8, number: u64, input: Value) -> Result<(), String> {
        let mut nonce = [7; 16];
        nonce[..8].copy_from_slice(&number.to_be_bytes());
        let common = Common {
            action: "deposit".to_owned(),
            network: replica.network(),
            nonce,
            revision: 1,
            signer: signer(&key(member)),
            template: "notarization".to_owned(),
            valid_until: now() + 300_000,
        };
        let admissions = replica.admit(vec![single(common, &key(member), input, None)]);
        match &admissions[0] {
            Admission::Accepted { .. } => Ok(()),
            Admission::Refused { code, .. } => Err(code.clone()),
            other => panic!("{other:?}"),
        }
    }
}

fn lay_out(folder: &Path, genesis: &Genesis, validator: u8) {
    std::fs::create_dir_all(folder).unwrap();
    let seed = |n: u8| hex::encode(key(100 + 4 * validator + n).to_bytes());
    let keys = ReplicaKeys {
        consensus: seed(0),
        notary: seed(1),
        cose: seed(2),
        transport: seed(3),
    };
    std::fs::write(folder.join("genesis.json"), genesis.canonical().unwrap()).unwrap();
    std::fs::write(folder.join("keys.json"), serde_json::to_vec(&keys).unwrap()).unwrap();
}

/// Lets the check of the running replica work until `done`, or says with what it ended.
fn audited(replica: Arc<LocalReplica>, done: impl Fn() -> bool) -> Option<StoreError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let finished = async {
            for _ in 0..6_000 {
                if done() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            panic!("the check does not come to an end");
        };
        tokio::select! {
            error = replica::audit(replica) => Some(error),
            () = finished => None,
        }
    })
}

#[test]
fn lost_or_damaged_hashes_are_made_anew_from_the_block_log() {
    let world = World::new(20);
    let path = world.path("hashes");
    let whole = std::fs::read(&path).unwrap();
    let damaged: [(&str, &dyn Fn() -> Vec<u8>); 5] = [
        ("missing", &Vec::new),
        ("cut", &|| whole[..whole.len() / 2].to_vec()),
        ("cut within a hash", &|| whole[..whole.len() - 40].to_vec()),
        ("the end lost", &|| {
            let mut bytes = whole.clone();
            let end = bytes.len();
            bytes[end - 700..].fill(0);
            bytes
        }),
        ("all lost", &|| vec![0; whole.len()]),
    ];
    for (what, bytes) in damaged {
        std::fs::write(&path, bytes()).unwrap();
        drop(world.reopened());
        assert!(std::fs::read(&path).unwrap() == whole, "{what}");
    }
    std::fs::remove_file(&path).unwrap();
    drop(world.reopened());
    assert!(std::fs::read(&path).unwrap() == whole, "removed");
}

#[test]
fn damage_inside_the_hashes_is_mended_while_the_replica_runs() {
    let world = World::new(20);
    let path = world.path("hashes");
    let whole = std::fs::read(&path).unwrap();
    let mut bytes = whole.clone();
    bytes[96] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let ended = audited(world.reopened(), || std::fs::read(&path).unwrap() == whole);
    assert!(ended.is_none(), "{ended:?}");
}

#[test]
fn damage_in_an_old_block_is_found_while_the_replica_runs() {
    let world = World::new(8);
    let path = world.path("blocks");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let ended = audited(world.reopened(), || false);
    let text = ended.expect("it ends").to_string();
    assert!(text.contains("corrupt") && text.contains("data/blocks"), "{text}");
    assert!(text.contains("never put back an older copy"), "{text}");
}

#[test]
fn a_block_log_shorter_than_the_index_is_refused_and_left_alone() {
    let world = World::new(8);
    let path = world.path("blocks");
    let whole = std::fs::read(&path).unwrap();
    for length in [whole.len() - 1, whole.len() - 600, whole.len() / 2, 20, 8, 0] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = world.open(0).err().expect("it must not start");
        let OpenError::Store(error) = error else {
            panic!("{error}");
        };
        assert!(matches!(error, StoreError::Corrupt { .. }), "{length}: {error}");
        assert_eq!(std::fs::metadata(&path).unwrap().len(), length as u64);
    }
    std::fs::write(&path, &whole).unwrap();
    world.reopened();
}

#[test]
fn records_of_a_template_come_in_whole_pages() {
    let world = World::new(10);
    let replica = world.reopened();
    let listed = |template: Option<&str>, limit: usize| {
        let mut ids: Vec<String> = Vec::new();
        let mut after: Option<Hash> = None;
        loop {
            let page = replica.records(template, after.as_ref(), limit).unwrap();
            for record in &page.records {
                assert!(template.is_none_or(|name| record["template"] == name));
                ids.push(record["id"].as_str().unwrap().to_owned());
            }
            let Some(next) = page.next else { break };
            assert_eq!(page.records.len(), limit, "only the last page may be short");
            assert_eq!(Some(&next), ids.last());
            let mut id = [0; 32];
            hex::decode_to_slice(next, &mut id).unwrap();
            after = Some(id);
        }
        assert!(ids.is_sorted());
        ids
    };
    for limit in [1, 3, 20, 100] {
        assert_eq!(listed(None, limit).len(), 40);
        assert_eq!(listed(Some("notarization"), limit).len(), 20);
        assert_eq!(listed(Some("notarization-two"), limit).len(), 20);
    }
    for unknown in ["", "notarizatio", "notarization-", "notarization\0", "r"] {
        assert!(listed(Some(unknown), 3).is_empty(), "{unknown}");
    }
}

#[test]
fn what_waits_is_counted_as_it_lies_in_memory_and_by_signer() {
    let world = World::new(1);
    let limits = Limits {
        mempool_bytes: 64 * 1024,
        ..Limits::default()
    };
    let replica = world.open_with(0, limits).unwrap().replica;
    let nested = (0..60).fold(json!(1), |inner, _| json!({ "a": inner }));
    let refused = world.offered(&replica, 1, 0, json!({ "x": nested }));
    assert_eq!(refused, Err("TOO_LARGE".to_owned()), "400 bytes that take 45,000");
    let taken = |member: u8| {
        let first = 1_000 * u64::from(member);
        let mut numbers = first..first + 100;
        let refused = numbers.find_map(|n| Some((n, world.offered(&replica, member, n, deposit(n)).err()?)));
        let (number, code) = refused.unwrap();
        assert_eq!(code, "SHARE_FULL");
        number - first
    };
    let each: Vec<u64> = (1..=3).map(taken).collect();
    assert!(each[0] > 3 && each.iter().all(|count| *count == each[0]), "{each:?}");
    assert!(replica.mempool().1 <= 64 * 1024 * 3 / 4);
}
