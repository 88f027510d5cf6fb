//! The twin: networks as a map. Nodes are ready as soon as they are looked at, unless held.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use muniment_crds::DeletionPolicy;
use muniment_ledger::wire::NodeStatus;
use muniment_receipts::genesis::{Genesis, ValidatorKeys};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::{Backend, BackendError, NodeObservation, NodeState, Observation, Removal};
use crate::network::NetworkRef;
use crate::plan::{Facts, Plan, Seat};
use crate::roll::{self, Step};
use crate::validate::ValidatedNetwork;

/// Networks in memory. Clones share them.
#[derive(Clone)]
pub struct MemoryBackend {
    state: Arc<Mutex<State>>,
    wake: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    networks: BTreeMap<NetworkRef, Network>,
    next_port: u16,
}

struct Network {
    facts: Facts,
    nodes: Vec<Node>,
}

struct Node {
    name: String,
    revision: Option<String>,
    restarts: u32,
    last_exit: Option<String>,
    held: bool,
    height: u64,
}

impl Default for MemoryBackend {
    fn default() -> Self {
        let state = State {
            networks: BTreeMap::new(),
            next_port: 20_000,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            wake: watch::Sender::new(0),
        }
    }
}

impl MemoryBackend {
    /// As after a restart of the supervisor: what is durable is still there, nothing runs.
    pub fn reopen(&self) -> Self {
        for network in self.lock().networks.values_mut() {
            network.nodes.clear();
        }
        Self {
            state: Arc::clone(&self.state),
            wake: watch::Sender::new(0),
        }
    }

    /// A node's process dies; the supervisor starts it again.
    pub fn kill(&self, network: &NetworkRef, validator: &str) {
        self.change(network, validator, |node| {
            node.restarts += 1;
            node.last_exit = Some("killed by signal 9".to_owned());
        });
    }

    /// Keeps a node from becoming ready, or lets it.
    pub fn hold(&self, network: &NetworkRef, validator: &str, held: bool) {
        self.change(network, validator, |node| node.held = held);
    }

    fn change(&self, network: &NetworkRef, validator: &str, change: impl FnOnce(&mut Node)) {
        let mut state = self.lock();
        let mut nodes = state
            .networks
            .get_mut(network)
            .into_iter()
            .flat_map(|n| n.nodes.iter_mut());
        if let Some(node) = nodes.find(|n| n.name == validator) {
            change(node);
        }
        drop(state);
        self.wake.send_modify(|n| *n += 1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer as a node would give it.
pub(crate) fn answer(network: &str, name: &str, validators: usize, voting: bool, ready: bool) -> NodeStatus {
    NodeStatus {
        network: network.to_owned(),
        name: name.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        height: 1,
        state_root: String::new(),
        log_size: 1,
        time: 0,
        peers: Vec::new(),
        validators,
        quorum: crate::quorum::ValidatorCount::of(validators).quorum() as usize,
        mempool: 0,
        voting,
        ready,
    }
}

fn seat(network: &NetworkRef, index: u16, port: u16) -> Seat {
    let key = |use_: &str| hex::encode(Sha256::digest(format!("{network}/{index}/{use_}/{port}")));
    let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
    Seat {
        keys: ValidatorKeys {
            name: format!("validator-{index}"),
            consensus: key("consensus"),
            notary: key("notary"),
            cose: key("cose"),
        },
        api: address(port),
        consensus: address(port + 1),
        api_url: format!("http://127.0.0.1:{port}"),
        consensus_host: format!("127.0.0.1:{}", port + 1),
    }
}

fn observe(network: &NetworkRef, known: &Network) -> Observation {
    let id = known
        .facts
        .sealed
        .as_ref()
        .and_then(|g| g.network_id().ok())
        .map(hex::encode);
    let all = known.nodes.len();
    let voting = known.nodes.iter().filter(|n| !n.held).count();
    let quorum = voting >= crate::quorum::ValidatorCount::of(all).quorum() as usize;
    let node = |n: &Node| NodeObservation {
        name: n.name.clone(),
        state: if n.held {
            NodeState::Starting
        } else {
            NodeState::Running
        },
        revision: n.revision.clone(),
        restarts: n.restarts,
        last_exit: n.last_exit.clone(),
        answer: id.as_deref().map(|id| NodeStatus {
            height: n.height,
            ..answer(id, &n.name, all, !n.held, !n.held && quorum)
        }),
    };
    let absent = |keys: &ValidatorKeys| NodeObservation {
        name: keys.name.clone(),
        state: NodeState::Stopped,
        revision: None,
        restarts: 0,
        last_exit: None,
        answer: None,
    };
    let sealed: Option<&Genesis> = known.facts.sealed.as_ref();
    let nodes = if known.nodes.is_empty() {
        sealed.into_iter().flat_map(|g| &g.validators).map(absent).collect()
    } else {
        known.nodes.iter().map(node).collect()
    };
    Observation {
        network: network.clone(),
        id,
        nodes,
        certificates: None,
    }
}

#[async_trait]
impl Backend for MemoryBackend {
    async fn allocate(&self, wanted: &ValidatedNetwork) -> Result<Facts, BackendError> {
        let mut state = self.lock();
        let State { networks, next_port } = &mut *state;
        let network = networks.entry(wanted.network.clone()).or_insert_with(|| Network {
            facts: Facts {
                created_at: 1,
                seats: Vec::new(),
                sealed: None,
            },
            nodes: Vec::new(),
        });
        if network.facts.sealed.is_none() {
            while network.facts.seats.len() < wanted.validators.get() as usize {
                let index = u16::try_from(network.facts.seats.len()).unwrap_or(u16::MAX);
                network.facts.seats.push(seat(&wanted.network, index, *next_port));
                *next_port += 2;
            }
        }
        Ok(network.facts.clone())
    }

    async fn apply(&self, plan: &Plan) -> Result<Observation, BackendError> {
        let name = &plan.network.network;
        let mut state = self.lock();
        let network = state
            .networks
            .get_mut(name)
            .ok_or_else(|| BackendError::NotAllocated { network: name.clone() })?;
        let sealed = network.facts.sealed.get_or_insert_with(|| plan.network.genesis.clone());
        if *sealed != plan.network.genesis {
            let sealed = sealed.network_id().map(hex::encode).unwrap_or_default();
            return Err(BackendError::OtherGenesis {
                network: name.clone(),
                sealed,
                planned: plan.network.id.clone(),
            });
        }
        let there: BTreeSet<String> = network.nodes.iter().map(|n| n.name.clone()).collect();
        for node in plan.network.nodes.iter().filter(|n| !there.contains(&n.name)) {
            network.nodes.push(Node {
                name: node.name.clone(),
                revision: Some(plan.revision.clone()),
                restarts: 0,
                last_exit: None,
                held: false,
                height: 1,
            });
        }
        let seen = observe(name, network);
        if let Step::Restart(chosen) = roll::next(&seen.nodes, &plan.revision, plan.network.validators()) {
            for node in network.nodes.iter_mut().filter(|n| n.name == chosen) {
                node.revision = Some(plan.revision.clone());
            }
            self.wake.send_modify(|n| *n += 1);
        }
        Ok(observe(name, network))
    }

    async fn observe(&self, network: &NetworkRef) -> Result<Option<Observation>, BackendError> {
        Ok(self.lock().networks.get(network).map(|known| observe(network, known)))
    }

    async fn remove(&self, network: &NetworkRef, _data: DeletionPolicy) -> Result<Removal, BackendError> {
        let mut state = self.lock();
        let Some(known) = state.networks.get_mut(network) else {
            return Ok(Removal::Done);
        };
        if known.nodes.is_empty() {
            state.networks.remove(network);
            return Ok(Removal::Done);
        }
        known.nodes.clear();
        self.wake.send_modify(|n| *n += 1);
        Ok(Removal::Pending)
    }

    async fn list(&self) -> Result<Vec<NetworkRef>, BackendError> {
        Ok(self.lock().networks.keys().cloned().collect())
    }

    fn wakeups(&self) -> watch::Receiver<u64> {
        self.wake.subscribe()
    }
}
