//! Node processes on loopback, and a client that writes all the time.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use muniment_ledger::client::{Endpoint, NetworkClient};
use muniment_ledger::config::{JOINED, LAYOUT_VERSION, Limits, NodeConfig, PeerConfig, ReplicaConfig, ReplicaKeys};
use muniment_ledger::execute::governance::TEMPLATE;
use muniment_ledger::transaction::Transaction;
use muniment_ledger::wire::{NodeStatus, Outcome, TransactionStatus};
use muniment_receipts::genesis::{GENESIS_TYPE, Genesis, GenesisTemplate, Member, ValidatorKeys};
use muniment_receipts::key::SignerKey;
use muniment_receipts::leaf::Leaf;
use muniment_receipts::note::Note;
use muniment_receipts::receipt::{Receipt, ReceiptParts};
use muniment_receipts::statement::{Common, Statement};
use muniment_receipts::trust::TrustRoot;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;

const NODE: &str = "MUNIMENT_TEST_NODE";
const TOKEN: &str = "test";
const PLACES: usize = 7;
const PATIENCE: Duration = Duration::from_secs(180);

/// Folder of the node that this process is to be.
pub fn node_of_environment() -> Option<PathBuf> {
    std::env::var_os(NODE).map(PathBuf::from)
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

fn key(tag: u8, index: usize) -> SigningKey {
    let mut seed = [tag; 32];
    seed[0] = index as u8;
    SigningKey::from_bytes(&seed)
}

fn validator(index: usize) -> ValidatorKeys {
    let hex = |tag| hex::encode(key(tag, index).verifying_key().to_bytes());
    ValidatorKeys {
        name: name(index),
        consensus: hex(1),
        notary: hex(2),
        cose: hex(3),
    }
}

fn name(index: usize) -> String {
    format!("validator-{index}")
}

/// Writes, until it is told to stop; answers the leaves.
pub struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    task: JoinHandle<Vec<u64>>,
}

pub struct Net {
    folder: tempfile::TempDir,
    network: [u8; 32],
    genesis: Vec<u8>,
    ports: Vec<SocketAddr>,
    nodes: Vec<Option<Child>>,
    nonce: Arc<AtomicU64>,
    done: Arc<AtomicU64>,
}

impl Drop for Net {
    fn drop(&mut self) {
        for node in self.nodes.iter_mut().flatten() {
            node.kill().ok();
            node.wait().ok();
        }
    }
}

impl Net {
    pub async fn start(count: usize) -> Self {
        let member = SignerKey::ed25519(&key(9, 0).verifying_key().to_bytes());
        let genesis = Genesis {
            kind: GENESIS_TYPE.into(),
            name: "demo/governed".into(),
            created_at: now(),
            validators: (0..count).map(validator).collect(),
            members: vec![Member {
                name: "owner".into(),
                key: member.to_string(),
            }],
            templates: vec![GenesisTemplate {
                name: "notarization".into(),
                revision: 1,
                source: muniment_ledger::templates::NOTARIZATION.into(),
            }],
            governance_threshold: 1,
        };
        let listeners: Vec<_> = (0..2 * PLACES)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let mut net = Self {
            folder: tempfile::tempdir().unwrap(),
            network: genesis.network_id().unwrap(),
            genesis: genesis.canonical().unwrap(),
            ports: listeners
                .iter()
                .map(|listener| listener.local_addr().unwrap())
                .collect(),
            nodes: (0..PLACES).map(|_| None).collect(),
            nonce: Arc::default(),
            done: Arc::default(),
        };
        drop(listeners);
        for index in 0..count {
            net.lay_out(index);
            net.spawn(index);
        }
        for index in 0..count {
            net.until_voting(index, count).await;
        }
        net
    }

    /// Writes a node's folder. Its peers are all places, but the last: nobody sends anything to that one.
    fn lay_out(&self, index: usize) {
        let replica = self.folder.path().join(name(index)).join(name(index));
        std::fs::create_dir_all(&replica).unwrap();
        let peer = |other: usize| PeerConfig {
            name: name(other),
            api: format!("http://{}", self.ports[other]),
            consensus: self.ports[PLACES + other].to_string(),
        };
        let config = NodeConfig {
            version: LAYOUT_VERSION,
            replicas: vec![ReplicaConfig {
                name: name(index),
                api: self.ports[index],
                consensus: self.ports[PLACES + index],
                peers: (0..PLACES - 1).filter(|other| *other != index).map(peer).collect(),
                token: TOKEN.into(),
                tls: None,
                limits: Limits::default(),
            }],
        };
        let seed = |tag| hex::encode(key(tag, index).to_bytes());
        let keys = ReplicaKeys {
            consensus: seed(1),
            notary: seed(2),
            cose: seed(3),
            transport: seed(4),
        };
        let node = self.folder.path().join(name(index)).join("node.json");
        std::fs::write(node, serde_json::to_vec(&config).unwrap()).unwrap();
        std::fs::write(replica.join("genesis.json"), &self.genesis).unwrap();
        std::fs::write(replica.join("keys.json"), serde_json::to_vec(&keys).unwrap()).unwrap();
    }

    pub fn spawn(&mut self, index: usize) {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "node_process", "--nocapture", "--test-threads=1"])
            .env(NODE, self.folder.path().join(name(index)))
            .stdout(Stdio::null())
            .spawn();
        self.nodes[index] = Some(child.unwrap());
    }

    /// SIGKILL.
    pub fn kill(&mut self, index: usize) {
        let mut child = self.nodes[index].take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// The disk is lost; the keys come back from a backup, and with them the mark that they may have voted.
    pub fn wipe(&self, index: usize) {
        let replica = self.folder.path().join(name(index)).join(name(index));
        std::fs::remove_dir_all(replica.join("data")).unwrap();
        std::fs::write(replica.join(JOINED), b"").unwrap();
    }

    /// Starts a node that isn't a validator yet, and waits until it has what the others have.
    pub async fn join(&mut self, index: usize) {
        self.lay_out(index);
        self.spawn(index);
        let client = self.client();
        self.until(&format!("{} at the tip", name(index)), async || {
            let tips = client.status().await;
            let tip = tips
                .iter()
                .filter_map(|(_, status)| Some(status.as_ref().ok()?.height))
                .max()
                .unwrap_or(0);
            self.status(index)
                .await
                .is_some_and(|status| status.height > 0 && status.height + 5 >= tip)
        })
        .await;
    }

    fn endpoint(&self, index: usize) -> Endpoint {
        Endpoint {
            name: name(index),
            url: format!("http://{}", self.ports[index]),
            token: TOKEN.into(),
            tls: None,
        }
    }

    /// Of those validators that stay all the time.
    pub fn client(&self) -> NetworkClient {
        NetworkClient::new((0..4).map(|index| self.endpoint(index)).collect())
    }

    pub async fn status(&self, index: usize) -> Option<NodeStatus> {
        let client = NetworkClient::new(vec![self.endpoint(index)]);
        client.status().await.pop()?.1.ok()
    }

    pub fn keys(&self, index: usize) -> Value {
        serde_json::to_value(validator(index)).unwrap()
    }

    fn statement(&self, template: &str, action: &str, input: Value) -> Transaction {
        statement(self.network, &self.nonce, template, action, input)
    }

    /// Puts a governance statement on the ledger.
    pub async fn govern(&self, action: &str, input: Value) {
        let transaction = self.statement(TEMPLATE, action, input);
        let outcome = write(&self.client(), transaction).await;
        assert!(matches!(outcome, Outcome::Accepted { .. }), "{action}: {outcome:?}");
    }

    pub fn load(&self) -> Load {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::clone(&self.done));
        let (client, network, nonce) = (self.client(), self.network, Arc::clone(&self.nonce));
        let task = tokio::spawn({
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            async move {
                let mut leaves = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let number = nonce.load(Ordering::Relaxed);
                    let digest = hex::encode(Sha256::digest(number.to_le_bytes()));
                    let input = json!({ "digests": [{ "alg": "sha-256", "value": digest }], "mode": "plain" });
                    let transaction = statement(network, &nonce, "notarization", "deposit", input);
                    match write(&client, transaction).await {
                        Outcome::Accepted { leaf, .. } => leaves.push(leaf),
                        outcome => panic!("{outcome:?}"),
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                leaves
            }
        });
        Load { stop, done, task }
    }

    pub async fn until_final(&self, writes: u64) {
        self.until("writes", async || self.done.load(Ordering::Relaxed) >= writes)
            .await;
    }

    pub async fn progress(&self, more: u64) {
        let wanted = self.done.load(Ordering::Relaxed) + more;
        self.until_final(wanted).await;
    }

    /// Ends the load: every write of it became final.
    pub async fn settle(&self, load: Load) -> Vec<u64> {
        load.stop.store(true, Ordering::Relaxed);
        let leaves = load.task.await.unwrap();
        assert_eq!(leaves.len() as u64, load.done.load(Ordering::Relaxed));
        leaves
    }

    /// Waits until a node votes, in a set of this size.
    pub async fn until_voting(&self, index: usize, validators: usize) {
        self.until(&format!("{} votes among {validators}", name(index)), async || {
            let status = self.status(index).await;
            status.is_some_and(|status| status.voting && status.validators == validators)
        })
        .await;
    }

    /// Waits until a node that lost its data votes again. It ends once on the way, and is started again as by a
    /// supervisor.
    pub async fn until_back(&mut self, index: usize) {
        let end = Instant::now() + PATIENCE;
        while !self.status(index).await.is_some_and(|status| status.voting) {
            assert!(Instant::now() < end, "{} doesn't come back", name(index));
            let child = self.nodes[index].as_mut().unwrap();
            if child.try_wait().unwrap().is_some() {
                self.spawn(index);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a node is no validator any more.
    pub async fn until_gone(&self, index: usize) {
        self.until(&format!("{} no longer votes", name(index)), async || {
            self.status(index).await.is_some_and(|status| !status.voting)
        })
        .await;
    }

    /// Waits until the four have the same state.
    pub async fn same_state(&self, limit: Duration) {
        let end = Instant::now() + limit;
        loop {
            let all = self.client().status().await;
            let states: Option<Vec<_>> = all
                .iter()
                .map(|(_, one)| one.as_ref().ok().map(|one| (one.height, one.state_root.clone())))
                .collect();
            if states
                .as_ref()
                .is_some_and(|states| states.iter().all(|one| *one == states[0]))
            {
                return;
            }
            assert!(Instant::now() < end, "{all:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// A leaf's receipt, and how many validators the set has that signed for it.
    pub async fn receipt(&self, index: u64, root: &TrustRoot) -> (Vec<u8>, usize) {
        let proof = self.client().leaf_proof(index).await.unwrap().unwrap();
        let bytes = |text: &str| STANDARD.decode(text).unwrap();
        let hashes = |path: &[String]| -> Vec<[u8; 32]> {
            path.iter()
                .map(|hash| hex::decode(hash).unwrap().try_into().unwrap())
                .collect()
        };
        let leaf = bytes(&proof.leaf);
        let parsed = Leaf::parse(&leaf).unwrap();
        let outcome = parsed.outcome().unwrap();
        let set = root.validators_at(proof.height);
        let note = set.exact(&Note::parse(&proof.checkpoint).unwrap()).unwrap();
        let receipt = Receipt::build(ReceiptParts {
            network: &self.network,
            height: proof.height,
            record: &outcome.record,
            leaf: &leaf,
            index,
            path: &hashes(&proof.path),
            note: &note,
            marker: &bytes(&proof.marker),
            marker_path: &hashes(&proof.marker_path),
        });
        (receipt.encode(), set.validators().len())
    }

    async fn until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !condition().await {
            assert!(
                Instant::now() < end,
                "waited in vain: {what}; {:?}",
                self.client().status().await
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn statement(network: [u8; 32], nonces: &AtomicU64, template: &str, action: &str, input: Value) -> Transaction {
    let mut nonce = [0; 16];
    nonce[..8].copy_from_slice(&nonces.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    let signer = key(9, 0);
    let common = Common {
        action: action.into(),
        network,
        nonce,
        revision: 1,
        signer: SignerKey::ed25519(&signer.verifying_key().to_bytes()),
        template: template.into(),
        valid_until: now() + 500_000,
    };
    let Value::Object(input) = input else {
        panic!("an input is an object")
    };
    let statement = Statement::new(common, input, None).canonical().unwrap();
    let signature = signer.sign(&statement).to_bytes();
    Transaction::Single { statement, signature }
}

/// Submits until it is final, as a client does: again and again, to whichever validator answers.
async fn write(client: &NetworkClient, transaction: Transaction) -> Outcome {
    let id = transaction.id();
    let end = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < end, "never final");
        if client.submit(std::slice::from_ref(&transaction)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        }
        let status = client.transaction(&id, Duration::from_secs(5)).await;
        let Ok(TransactionStatus::Final { height }) = status else {
            continue;
        };
        let mut blocks = client.follow(height);
        let next = tokio::time::timeout(Duration::from_secs(10), futures::StreamExt::next(&mut blocks)).await;
        let Ok(Some(Ok(block))) = next else { continue };
        let at = block
            .transactions
            .iter()
            .position(|one| one.id() == id)
            .expect("in its block");
        return block.outcomes[at][0].clone();
    }
}
