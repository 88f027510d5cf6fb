//! The ledger alone: four validator processes and a client, without the management API. Prints the figures of
//! `docs/benchmarks.md`.
//!
//! `cargo bench -p muniment-ledger --bench network_bench -- [single|batch] [actions per second, 0 = flat out] [seconds]`
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ed25519_dalek::{Signer, SigningKey};
use futures::StreamExt;
use muniment_ledger::client::{Endpoint, NetworkClient};
use muniment_ledger::config::{LAYOUT_VERSION, Limits, NodeConfig, PeerConfig, ReplicaConfig, ReplicaKeys};
use muniment_ledger::transaction::{Transaction, TransactionId};
use muniment_receipts::genesis::{GENESIS_TYPE, Genesis, GenesisTemplate, Member, ValidatorKeys};
use muniment_receipts::key::SignerKey;
use muniment_receipts::statement::{BatchHeader, Common, Item, Statement, items_root};
use serde_json::json;

const VALIDATORS: usize = 4;
const BATCH: usize = 1_000;
const TOKEN: &str = "bench";

fn main() {
    // `--bench` is added by `cargo bench`.
    let arguments: Vec<String> = std::env::args().filter(|argument| argument != "--bench").collect();
    if arguments.get(1).is_some_and(|word| word == "node") {
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::ERROR)
            .with_writer(std::io::stderr)
            .init();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        if let Err(error) = runtime.block_on(muniment_ledger::process::run(Path::new(&arguments[2]))) {
            eprintln!("{error:?}");
            std::process::exit(1);
        }
        return;
    }
    let batch = arguments.get(1).is_some_and(|mode| mode == "batch");
    let rate: f64 = arguments.get(2).map_or(0.0, |text| text.parse().unwrap());
    let seconds: u64 = arguments.get(3).map_or(10, |text| text.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(bench(batch, rate, Duration::from_secs(seconds)));
}

fn key(tag: u8, index: usize) -> SigningKey {
    let mut seed = [tag; 32];
    seed[0] = index as u8;
    SigningKey::from_bytes(&seed)
}

fn seed(tag: u8, index: usize) -> String {
    hex::encode(key(tag, index).to_bytes())
}

fn public(tag: u8, index: usize) -> String {
    hex::encode(key(tag, index).verifying_key().to_bytes())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// Writes the four folders and returns the network id and endpoints.
fn lay_out(folder: &Path, member: &SignerKey) -> ([u8; 32], Vec<Endpoint>) {
    let genesis = Genesis {
        kind: GENESIS_TYPE.into(),
        name: "bench/bench".into(),
        created_at: now(),
        validators: (0..VALIDATORS)
            .map(|i| ValidatorKeys {
                name: format!("validator-{i}"),
                consensus: public(1, i),
                notary: public(2, i),
                cose: public(3, i),
            })
            .collect(),
        members: vec![Member {
            name: "bench".into(),
            key: member.to_string(),
        }],
        templates: vec![GenesisTemplate {
            name: "notarization".into(),
            revision: 1,
            source: muniment_ledger::templates::NOTARIZATION.into(),
        }],
        governance_threshold: 1,
    };
    let ports: Vec<std::net::SocketAddr> = (0..2 * VALIDATORS)
        .map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap())
        .collect::<Vec<_>>()
        .iter()
        .map(|listener| listener.local_addr().unwrap())
        .collect();
    let name = |i: usize| format!("validator-{i}");
    for i in 0..VALIDATORS {
        let replica = folder.join(name(i)).join(name(i));
        std::fs::create_dir_all(&replica).unwrap();
        let peer = |j: usize| PeerConfig {
            name: name(j),
            api: format!("http://{}", ports[j]),
            consensus: ports[VALIDATORS + j].to_string(),
        };
        let config = NodeConfig {
            version: LAYOUT_VERSION,
            replicas: vec![ReplicaConfig {
                name: name(i),
                api: ports[i],
                consensus: ports[VALIDATORS + i],
                peers: (0..VALIDATORS).filter(|j| *j != i).map(peer).collect(),
                token: TOKEN.into(),
                tls: None,
                limits: Limits::default(),
            }],
        };
        let keys = ReplicaKeys {
            consensus: seed(1, i),
            notary: seed(2, i),
            cose: seed(3, i),
            transport: seed(4, i),
        };
        std::fs::write(
            folder.join(name(i)).join("node.json"),
            serde_json::to_vec(&config).unwrap(),
        )
        .unwrap();
        std::fs::write(replica.join("genesis.json"), genesis.canonical().unwrap()).unwrap();
        std::fs::write(replica.join("keys.json"), serde_json::to_vec(&keys).unwrap()).unwrap();
    }
    let endpoints = (0..VALIDATORS)
        .map(|i| Endpoint {
            name: name(i),
            url: format!("http://{}", ports[i]),
            token: TOKEN.into(),
            tls: None,
        })
        .collect();
    (genesis.network_id().unwrap(), endpoints)
}

fn input(number: u64) -> serde_json::Map<String, serde_json::Value> {
    use sha2::Digest;
    let digest = hex::encode(sha2::Sha256::digest(number.to_le_bytes()));
    let input = json!({ "digests": [{ "alg": "sha-256", "value": digest }], "mode": "plain" });
    input.as_object().unwrap().clone()
}

fn transaction(network: [u8; 32], signer: &SigningKey, number: u64, batch: bool) -> Transaction {
    let mut nonce = [0; 16];
    nonce[..8].copy_from_slice(&number.to_le_bytes());
    let common = Common {
        action: "deposit".into(),
        network,
        nonce,
        revision: 1,
        signer: SignerKey::ed25519(&signer.verifying_key().to_bytes()),
        template: "notarization".into(),
        valid_until: now() + 300_000,
    };
    if !batch {
        let statement = Statement::new(common, input(number), None).canonical().unwrap();
        let signature = signer.sign(&statement).to_bytes();
        return Transaction::Single { statement, signature };
    }
    let items: Vec<Vec<u8>> = (0..BATCH as u64)
        .map(|i| {
            Item {
                input: input(number * BATCH as u64 + i),
                record: None,
            }
            .canonical()
            .unwrap()
        })
        .collect();
    let header = BatchHeader::new(common, BATCH as u32, items_root(&items))
        .canonical()
        .unwrap();
    let signature = signer.sign(&header).to_bytes();
    Transaction::Batch {
        header,
        signature,
        items,
    }
}

async fn bench(batch: bool, rate: f64, time: Duration) {
    let folder = tempfile::tempdir().unwrap();
    let signer = key(9, 0);
    let member = SignerKey::ed25519(&signer.verifying_key().to_bytes());
    let (network, endpoints) = lay_out(folder.path(), &member);
    let mut nodes: Vec<std::process::Child> = (0..VALIDATORS)
        .map(|i| {
            let path = folder.path().join(format!("validator-{i}"));
            let program = std::env::current_exe().unwrap();
            std::process::Command::new(program)
                .arg("node")
                .arg(path)
                .spawn()
                .unwrap()
        })
        .collect();
    let client = NetworkClient::new(endpoints);
    let started = Instant::now();
    while client
        .status()
        .await
        .iter()
        .filter(|(_, status)| status.as_ref().is_ok_and(|s| s.ready))
        .count()
        < VALIDATORS
    {
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "not ready: {:?}",
            client.status().await
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("ready after {:.1} s", started.elapsed().as_secs_f64());

    let (sent_in, sent_out) = tokio::sync::mpsc::unbounded_channel::<(TransactionId, Instant)>();
    let following = tokio::spawn(follow(client.clone(), sent_out));
    let per = if batch { BATCH as f64 } else { 1.0 };
    let begin = Instant::now();
    let mut number = 0u64;
    let window = std::sync::Arc::new(tokio::sync::Semaphore::new(if batch { 24 } else { 64 }));
    while begin.elapsed() < time {
        let group = if batch {
            1
        } else if rate > 0.0 {
            8
        } else {
            100
        };
        let transactions: Vec<Transaction> = (0..group)
            .map(|_| {
                number += 1;
                transaction(network, &signer, number, batch)
            })
            .collect();
        if rate > 0.0 {
            let due = begin + Duration::from_secs_f64(number as f64 * per / rate);
            tokio::time::sleep_until(due.into()).await;
        }
        let permit = window.clone().acquire_owned().await.unwrap();
        let at = Instant::now();
        for one in &transactions {
            let _ = sent_in.send((one.id(), at));
        }
        let client = client.clone();
        tokio::spawn(async move {
            if let Err(error) = client.submit(&transactions).await {
                println!("submit: {error}");
            }
            drop(permit);
        });
    }
    drop(sent_in);
    report(&client, following.await.unwrap(), begin, &nodes).await;
    for node in &mut nodes {
        let _ = node.kill();
        let _ = node.wait();
    }
}

type Followed = (usize, Vec<Duration>, usize, Instant);

async fn report(client: &NetworkClient, followed: Followed, begin: Instant, nodes: &[std::process::Child]) {
    let (actions, mut latencies, blocks, end) = followed;
    latencies.sort();
    let at = |share: f64| {
        latencies
            .get((latencies.len() as f64 * share) as usize)
            .copied()
            .unwrap_or_default()
    };
    println!(
        "{actions} actions final in {:.1} s: {:.0}/s, {blocks} blocks ({:.1}/s), p50 {:?} p99 {:?}",
        (end - begin).as_secs_f64(),
        actions as f64 / (end - begin).as_secs_f64(),
        blocks as f64 / (end - begin).as_secs_f64(),
        at(0.5),
        at(0.99),
    );
    let statuses = client.status().await;
    for (name, status) in &statuses {
        println!(
            "{name}: {:?}",
            status.as_ref().map(|s| (s.height, &s.state_root[..12], s.log_size))
        );
    }
    for node in nodes {
        let status = std::fs::read_to_string(format!("/proc/{}/status", node.id())).unwrap_or_default();
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", node.id())).unwrap_or_default();
        let ticks: Vec<u64> = stat
            .split_whitespace()
            .skip(13)
            .take(2)
            .filter_map(|t| t.parse().ok())
            .collect();
        let rss = status
            .lines()
            .find(|line| line.starts_with("VmRSS"))
            .unwrap_or_default()
            .to_owned();
        println!(
            "pid {}: cpu {:.1} s, {rss}",
            node.id(),
            ticks.iter().sum::<u64>() as f64 / 100.0
        );
    }
}

async fn follow(
    client: NetworkClient,
    mut sent: tokio::sync::mpsc::UnboundedReceiver<(TransactionId, Instant)>,
) -> Followed {
    let mut stream = client.follow(1);
    let mut waiting: HashMap<TransactionId, Instant> = HashMap::new();
    let (mut actions, mut latencies, mut blocks, mut last) = (0, Vec::new(), 0, Instant::now());
    let mut open = true;
    while open || !waiting.is_empty() {
        tokio::select! {
            biased;
            one = sent.recv(), if open => match one {
                Some((id, at)) => { waiting.insert(id, at); }
                None => open = false,
            },
            Some(block) = stream.next() => {
                let block = block.expect("block stream");
                blocks += 1;
                last = Instant::now();
                for (transaction, outcomes) in block.transactions.iter().zip(&block.outcomes) {
                    if let Some(at) = waiting.remove(&transaction.id()) {
                        latencies.push(at.elapsed());
                        actions += outcomes.iter().filter(|o| matches!(o, muniment_ledger::wire::Outcome::Accepted { .. })).count();
                    }
                }
            }
            () = tokio::time::sleep(Duration::from_secs(20)), if !open => {
                println!("{} transactions never became final", waiting.len());
                break;
            }
        }
    }
    (actions, latencies, blocks, last)
}
