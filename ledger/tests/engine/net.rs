//! A network of real engines on loopback, driven by toy applications.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use muniment_ledger::block::Hash;
use muniment_ledger::engine::{
    Application, EngineConfig, EngineHandle, EngineKeys, FileGuard, Role, SignGuard, Validator, start,
};

use super::toy::Toy;

pub const NETWORK: Hash = [42; 32];
pub const MAX_BLOCK: usize = 4 * 1024 * 1024;

pub struct Node {
    pub toy: Toy,
    pub handle: Option<EngineHandle>,
    pub folder: PathBuf,
}

pub struct Net {
    pub nodes: Vec<Node>,
    pub validators: Vec<Validator>,
    pub addresses: Vec<SocketAddr>,
    folder: tempfile::TempDir,
}

pub fn seed(index: usize) -> [u8; 32] {
    let mut seed = [7; 32];
    seed[0] = index as u8;
    seed
}

fn key(seed: &[u8; 32]) -> [u8; 32] {
    ed25519_dalek::SigningKey::from_bytes(seed).verifying_key().to_bytes()
}

/// Free ports, all held until all are chosen.
pub fn ports(count: usize) -> Vec<SocketAddr> {
    let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners
        .iter()
        .map(|listener| listener.local_addr().unwrap())
        .collect()
}

impl Net {
    pub fn new(count: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let validators: Vec<_> = (0..count).map(|index| Validator::new(key(&seed(index)), 1)).collect();
        let node = |index: usize| Node {
            toy: Toy::new(&validators, MAX_BLOCK - 1024),
            handle: None,
            folder: folder.path().join(index.to_string()),
        };
        Self {
            nodes: (0..count).map(node).collect(),
            addresses: ports(count),
            validators,
            folder,
        }
    }

    pub fn config(&self, index: usize) -> EngineConfig {
        let others = self.addresses.iter().enumerate().filter(|(other, _)| *other != index);
        let mut transport = seed(index);
        transport[1] = 99;
        EngineConfig {
            network: NETWORK,
            moniker: format!("node-{index}-{}", self.addresses[index].port()),
            role: Role::Validator,
            keys: EngineKeys {
                consensus: seed(index),
                transport,
            },
            listen: self.addresses[index],
            peers: others.map(|(_, address)| address.to_string()).collect(),
            wal: self.nodes[index].folder.join("wal"),
            propose_timeout: Duration::from_millis(300),
            vote_timeout: Duration::from_millis(150),
            heartbeat: Duration::from_secs(600),
            max_block_bytes: MAX_BLOCK,
        }
    }

    /// Starts a node with the guard in its folder.
    pub async fn start(&mut self, index: usize, floor: u64) -> Role {
        std::fs::create_dir_all(&self.nodes[index].folder).unwrap();
        let path = self.nodes[index].folder.join("guard");
        let guard = if path.exists() {
            FileGuard::open(&path, NETWORK, 0)
        } else {
            FileGuard::create(&path, NETWORK, floor)
        };
        self.start_with(index, Arc::new(guard.unwrap())).await
    }

    pub async fn start_with(&mut self, index: usize, guard: Arc<dyn SignGuard>) -> Role {
        let handle = start(self.config(index), Box::new(self.nodes[index].toy.clone()), guard)
            .await
            .unwrap();
        let role = handle.role();
        self.nodes[index].handle = Some(handle);
        role
    }

    pub async fn start_all(&mut self) {
        for index in 0..self.nodes.len() {
            assert_eq!(self.start(index, 0).await, Role::Validator);
        }
    }

    pub async fn stop(&mut self, index: usize) {
        let mut handle = self.nodes[index].handle.take().unwrap();
        handle.stop();
        let exit = tokio::time::timeout(Duration::from_secs(20), handle.done())
            .await
            .expect("stops");
        assert!(matches!(exit, muniment_ledger::engine::EngineExit::Stopped), "{exit:?}");
    }

    /// Loses everything a node has.
    pub fn wipe(&mut self, index: usize) {
        std::fs::remove_dir_all(&self.nodes[index].folder).unwrap();
        self.nodes[index].toy = Toy::new(&self.validators, MAX_BLOCK - 1024);
    }

    /// Hands a transaction to all nodes that are up, as the node's relay does.
    pub fn submit(&self, transaction: &[u8]) {
        for node in self.nodes.iter().filter(|node| node.handle.is_some()) {
            node.toy.submit(transaction);
        }
        for handle in self.nodes.iter().filter_map(|node| node.handle.as_ref()) {
            handle.wake();
        }
    }

    pub fn up(&self) -> impl Iterator<Item = &Toy> {
        self.nodes
            .iter()
            .filter(|node| node.handle.is_some())
            .map(|node| &node.toy)
    }

    pub fn tip(&self) -> u64 {
        self.up().map(Application::tip).max().unwrap_or_default()
    }

    /// Submits a transaction and waits until all that are up have it.
    pub async fn commit(&self, transaction: &[u8]) {
        self.submit(transaction);
        let what = format!(
            "{} everywhere",
            String::from_utf8_lossy(&transaction[..transaction.len().min(40)])
        );
        until(&what, || {
            self.up()
                .all(|toy| toy.transactions().iter().any(|known| known == transaction))
        })
        .await;
    }

    /// Waits until all have the same tip and it stays for a second: many times what an awake network needs for a
    /// block.
    pub async fn silent(&self) -> u64 {
        let mut since = (self.tip(), Instant::now());
        until("silence", || {
            let same = self.up().all(|toy| toy.tip() == since.0);
            if !same || self.tip() != since.0 {
                since = (self.tip(), Instant::now());
            }
            since.1.elapsed() > Duration::from_secs(1)
        })
        .await;
        since.0
    }
}

pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(90);
    while !condition() {
        assert!(Instant::now() < limit, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
