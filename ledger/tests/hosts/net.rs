//! Four hosts on loopback, and networks whose seats are mounted into them as a kubelet does it.
#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use ed25519_dalek::SigningKey;
use muniment_ledger::client::{Endpoint, NetworkClient};
use muniment_ledger::config::{Limits, PeerConfig, ReplicaConfig, ReplicaKeys};
use muniment_ledger::mounted::seats::{ERASE, GENESIS, KEYS, REPLICA, folder_name};
use muniment_ledger::node::host::Addresses;
use muniment_receipts::genesis::{GENESIS_TYPE, Genesis, GenesisTemplate, Member, ValidatorKeys};
use muniment_receipts::key::SignerKey;

pub const HOSTS: usize = 4;
const TOKEN: &str = "test";

type Files = BTreeMap<String, Vec<u8>>;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// Keys of the member that may write everywhere.
pub fn member() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

fn name(host: usize) -> String {
    format!("validator-{host}")
}

/// A free port that no other test of this process was given: until it is in use the system may give it out again.
fn port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if GIVEN.lock().unwrap().insert(port) {
            return port;
        }
    }
}

/// A network with a seat in each host.
#[derive(Clone)]
pub struct Network {
    pub seat: String,
    pub id: [u8; 32],
    pub number: u16,
    pub genesis: Vec<u8>,
    pub ports: Vec<u16>,
    pub limits: Limits,
    pub token: String,
}

impl Network {
    fn key(&self, tag: u8, host: usize) -> SigningKey {
        let mut seed = [tag; 32];
        seed[0] = host as u8;
        seed[1..3].copy_from_slice(&self.number.to_le_bytes());
        SigningKey::from_bytes(&seed)
    }

    /// Folder of its data in a host.
    pub fn folder(&self) -> String {
        folder_name(&self.seat, &hex::encode(self.id))
    }
}

/// Four hosts: where each mounts its seats, keeps its data and listens.
pub struct Hosts {
    folder: tempfile::TempDir,
    pub addresses: Vec<Addresses>,
    mounted: Mutex<(u64, Vec<Files>)>,
}

impl Hosts {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = || SocketAddr::from(([127, 0, 0, 1], port()));
        let addresses = |_| Addresses {
            api: address(),
            health: address(),
        };
        let hosts = Self {
            addresses: (0..HOSTS).map(addresses).collect(),
            mounted: Mutex::new((0, vec![Files::new(); HOSTS])),
            folder,
        };
        (0..HOSTS).for_each(|host| hosts.mount(host, |_| {}));
        hosts
    }

    pub fn from(&self, host: usize) -> PathBuf {
        self.folder.path().join(format!("mount-{host}"))
    }

    pub fn data(&self, host: usize) -> PathBuf {
        self.folder.path().join(format!("data-{host}"))
    }

    /// Changes what is mounted, all at once: a new folder, and the link that is turned to it.
    pub fn mount(&self, host: usize, change: impl FnOnce(&mut Files)) {
        let mut mounted = self.mounted.lock().unwrap();
        mounted.0 += 1;
        let (from, folder) = (self.from(host), format!("..{}", mounted.0));
        change(&mut mounted.1[host]);
        std::fs::create_dir_all(from.join(&folder)).unwrap();
        for (name, bytes) in &mounted.1[host] {
            std::fs::write(from.join(&folder).join(name), bytes).unwrap();
        }
        symlink(&folder, from.join("..new")).unwrap();
        std::fs::rename(from.join("..new"), from.join("..data")).unwrap();
    }

    /// Makes a network of its own keys. It sits nowhere yet.
    pub fn network(&self, number: u16) -> Network {
        let mut network = Network {
            seat: format!("acme.net-{number}"),
            id: [0; 32],
            number,
            genesis: Vec::new(),
            ports: (0..HOSTS).map(|_| port()).collect(),
            limits: Limits::default(),
            token: format!("{TOKEN}-{number}"),
        };
        let public = |tag, host| hex::encode(network.key(tag, host).verifying_key().to_bytes());
        let keys = |host| ValidatorKeys {
            name: name(host),
            consensus: public(1, host),
            notary: public(2, host),
            cose: public(3, host),
        };
        let genesis = Genesis {
            kind: GENESIS_TYPE.into(),
            name: format!("acme/net-{number}"),
            created_at: now(),
            validators: (0..HOSTS).map(keys).collect(),
            members: vec![Member {
                name: "acme".into(),
                key: SignerKey::ed25519(&member().verifying_key().to_bytes()).to_string(),
            }],
            templates: vec![GenesisTemplate {
                name: "notarization".into(),
                revision: 1,
                source: muniment_ledger::templates::NOTARIZATION.into(),
            }],
            governance_threshold: 1,
        };
        network.id = genesis.network_id().unwrap();
        network.genesis = genesis.canonical().unwrap();
        network
    }

    fn url(&self, host: usize, network: &Network) -> String {
        format!("http://{}/n/{}", self.addresses[host].api, network.seat)
    }

    fn replica(&self, host: usize, network: &Network) -> ReplicaConfig {
        let consensus = |host: usize| SocketAddr::from(([127, 0, 0, 1], network.ports[host]));
        let peer = |other: usize| PeerConfig {
            name: name(other),
            api: self.url(other, network),
            consensus: consensus(other).to_string(),
        };
        ReplicaConfig {
            name: name(host),
            api: self.addresses[host].api,
            consensus: consensus(host),
            peers: (0..HOSTS).filter(|other| *other != host).map(peer).collect(),
            token: network.token.clone(),
            tls: None,
            limits: network.limits.clone(),
        }
    }

    /// Puts a network's seat into a host, or changes its settings there.
    pub fn seat(&self, host: usize, network: &Network) {
        let seed = |tag| hex::encode(network.key(tag, host).to_bytes());
        let keys = ReplicaKeys {
            consensus: seed(1),
            notary: seed(2),
            cose: seed(3),
            transport: seed(4),
        };
        let file = |end: &str| format!("{}{end}", network.seat);
        let replica = serde_json::to_vec(&self.replica(host, network)).unwrap();
        self.mount(host, |files| {
            files.insert(file(REPLICA), replica);
            files.insert(file(GENESIS), network.genesis.clone());
            files.insert(file(KEYS), serde_json::to_vec(&keys).unwrap());
        });
    }

    /// Puts a network into all hosts.
    pub fn seat_everywhere(&self, network: &Network) {
        (0..HOSTS).for_each(|host| self.seat(host, network));
    }

    /// Takes a network's seat back; with `erase`, its data goes too.
    pub fn unseat(&self, host: usize, network: &Network, erase: bool) {
        let order = format!("{}{ERASE}", network.folder());
        self.mount(host, |files| {
            files.retain(|name, _| !name.starts_with(&format!("{}.", network.seat)));
            if erase {
                files.insert(order, Vec::new());
            }
        });
    }

    pub fn client(&self, network: &Network) -> NetworkClient {
        let endpoint = |host| Endpoint {
            name: name(host),
            url: self.url(host, network),
            token: network.token.clone(),
            tls: None,
        };
        NetworkClient::new((0..HOSTS).map(endpoint).collect())
    }
}
