//! Nodes on free ports, signed transactions, and waiting for conditions.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ed25519_dalek::{Signer, SigningKey};
use muniment_ledger::client::{Endpoint, NetworkClient};
use muniment_ledger::config::{Limits, PeerConfig, ReplicaConfig};
use muniment_ledger::node::Server;
use muniment_ledger::replica::Replica;
use muniment_ledger::replica::memory::{MemoryReplica, TestKeys, test_network};
use muniment_ledger::transaction::Transaction;
use muniment_receipts::genesis::{Genesis, Member};
use muniment_receipts::key::SignerKey;
use muniment_receipts::statement::{BatchHeader, Common, Item, Statement, items_root};
use serde_json::{Map, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub const TOKEN: &str = "test-token";

pub fn signer() -> SigningKey {
    SigningKey::from_bytes(&[42; 32])
}

pub fn network(validators: usize) -> (Genesis, Vec<TestKeys>) {
    let key = SignerKey::ed25519(signer().verifying_key().as_bytes()).to_string();
    test_network(
        validators,
        vec![Member {
            name: "alice".to_owned(),
            key,
        }],
    )
}

/// The only replica of its network: it makes final blocks by itself.
pub fn replica() -> Arc<MemoryReplica> {
    replica_of(1)
}

/// A replica that signs for all validators of its network.
pub fn replica_of(validators: usize) -> Arc<MemoryReplica> {
    let (genesis, keys) = network(validators);
    Arc::new(MemoryReplica::new(&genesis, &keys).unwrap())
}

fn common(replica: &MemoryReplica, nonce: u64) -> Common {
    let time = if replica.tip().time == 0 {
        1_700_000_000_000
    } else {
        replica.tip().time
    };
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&nonce.to_le_bytes());
    Common {
        action: "deposit".to_owned(),
        network: replica.network(),
        nonce: bytes,
        revision: 1,
        signer: SignerKey::ed25519(signer().verifying_key().as_bytes()),
        template: "notarization".to_owned(),
        valid_until: now().max(time) + 60_000,
    }
}

fn now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis() as u64
}

fn input(n: u64) -> Map<String, serde_json::Value> {
    Map::from_iter([("n".to_owned(), json!(n))])
}

/// A signed transaction that creates record number `n`.
pub fn single(replica: &MemoryReplica, n: u64) -> Transaction {
    let statement = Statement::new(common(replica, n), input(n), None).canonical().unwrap();
    let signature = signer().sign(&statement).to_bytes();
    Transaction::Single { statement, signature }
}

/// A signed batch that creates records.
pub fn batch(replica: &MemoryReplica, numbers: std::ops::Range<u64>) -> Transaction {
    let nonce = numbers.start + (1 << 40);
    let items: Vec<_> = numbers
        .map(|n| {
            Item {
                input: input(n),
                record: None,
            }
            .canonical()
            .unwrap()
        })
        .collect();
    let header = BatchHeader::new(common(replica, nonce), items.len() as u32, items_root(&items));
    let header = header.canonical().unwrap();
    let signature = signer().sign(&header).to_bytes();
    Transaction::Batch {
        header,
        signature,
        items,
    }
}

/// A running server.
pub struct Node {
    pub name: String,
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Node {
    pub fn start(name: &str, replica: Arc<MemoryReplica>) -> Self {
        Self::on(free_port(), name, replica, &[])
    }

    /// With peers given by name and address.
    pub fn on(listener: TcpListener, name: &str, replica: Arc<MemoryReplica>, peers: &[(&str, SocketAddr)]) -> Self {
        let address = listener.local_addr().unwrap();
        let peers = peers
            .iter()
            .map(|(name, api)| PeerConfig {
                name: (*name).to_owned(),
                api: format!("http://{api}"),
                consensus: String::new(),
            })
            .collect();
        let config = ReplicaConfig {
            name: name.to_owned(),
            api: address,
            consensus: address,
            peers,
            token: TOKEN.to_owned(),
            tls: None,
            limits: Limits::default(),
        };
        let (stop, stopped) = oneshot::channel();
        let server = Server::on(listener, replica, &config);
        let task = tokio::spawn(async move {
            server
                .run(async {
                    let _ = stopped.await;
                })
                .await
                .unwrap();
        });
        Self {
            name: name.to_owned(),
            address,
            stop,
            task,
        }
    }

    pub async fn stop(self) {
        let _ = self.stop.send(());
        self.task.await.unwrap();
    }

    pub fn endpoint(&self) -> Endpoint {
        endpoint(&self.name, self.address)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

pub fn endpoint(name: &str, address: SocketAddr) -> Endpoint {
    Endpoint {
        name: name.to_owned(),
        url: format!("http://{address}"),
        token: TOKEN.to_owned(),
        tls: None,
    }
}

pub fn client(nodes: &[&Node]) -> NetworkClient {
    NetworkClient::new(nodes.iter().map(|node| node.endpoint()).collect())
}

/// An HTTP client without certificates.
pub fn plain_http() -> reqwest::Client {
    muniment_ledger::tls::http(None).unwrap().build().unwrap()
}

pub fn free_port() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// An address where nobody listens.
pub fn dead() -> SocketAddr {
    free_port().local_addr().unwrap()
}

/// Waits for a condition, with a limit that only a failure reaches.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(30), "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
