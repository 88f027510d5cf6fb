//! The twin: networks as a map. Nodes are ready as soon as they are looked at, unless held.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use muniment_crds::{DeletionPolicy, Placement};
use muniment_ledger::wire::NodeStatus;
use muniment_receipts::genesis::{Genesis, ValidatorKeys};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::{Backend, BackendError, NodeObservation, NodeState, Observation, Removal};
use crate::membership::Membership;
use crate::network::NetworkRef;
use crate::plan::{Facts, NodePlan, Plan, Seat};
use crate::quorum::ValidatorCount;
use crate::roll::{self, Step};
use crate::roster::{self, Roster, Standing};
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
    sealed: Option<Genesis>,
    /// Where it was made.
    placement: Placement,
    /// By number: all that ever were.
    seats: BTreeMap<u32, Seat>,
    roster: Roster,
    /// What the ledger has decided.
    membership: Option<Membership>,
    nodes: Vec<Node>,
}

impl Network {
    fn seat(&mut self, network: &NetworkRef, number: u32, next_port: &mut u16) -> Seat {
        let new = || {
            let port = *next_port;
            *next_port += 2;
            seat(network, number, port)
        };
        self.seats.entry(number).or_insert_with(new).clone()
    }
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

    /// The ledger decides that a validator joins, or leaves.
    pub fn decide(&self, network: &NetworkRef, validator: &ValidatorKeys, joins: bool) {
        let mut state = self.lock();
        let known = state
            .networks
            .get_mut(network)
            .and_then(|known| known.membership.as_mut());
        if let Some(membership) = known {
            membership.from += 2;
            if joins {
                membership.now.push(validator.clone());
            } else {
                membership.now.retain(|one| one != validator);
                membership.left.push(validator.clone());
            }
        }
        drop(state);
        self.wake.send_modify(|n| *n += 1);
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

fn seat(network: &NetworkRef, index: u32, port: u16) -> Seat {
    let key = |use_: &str| hex::encode(Sha256::digest(format!("{network}/{index}/{use_}/{port}")));
    let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
    Seat {
        keys: ValidatorKeys {
            name: roster::name(index),
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
    let id = known.sealed.as_ref().and_then(|g| g.network_id().ok()).map(hex::encode);
    let set = known.membership.as_ref().map(|membership| membership.now.as_slice());
    let is_member = |name: &str| set.is_some_and(|set| set.iter().any(|one| one.name == name));
    let all = set.map_or(0, <[ValidatorKeys]>::len);
    let votes = |node: &Node| !node.held && is_member(&node.name);
    let voting = known.nodes.iter().filter(|node| votes(node)).count();
    let quorum = voting >= ValidatorCount::of(all).quorum() as usize;
    let node = |n: &Node| NodeObservation {
        name: n.name.clone(),
        member: is_member(&n.name),
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
            ..answer(id, &n.name, all, votes(n), votes(n) && quorum)
        }),
    };
    let absent = |number| NodeObservation {
        name: roster::name(number),
        member: is_member(&roster::name(number)),
        state: NodeState::Stopped,
        revision: None,
        restarts: 0,
        last_exit: None,
        answer: None,
    };
    let nodes: Vec<NodeObservation> = if known.nodes.is_empty() && known.sealed.is_some() {
        known.roster.range(0).map(absent).collect()
    } else {
        known.nodes.iter().map(node).collect()
    };
    Observation {
        network: network.clone(),
        id,
        membership: known.membership.clone().filter(|_| !known.nodes.is_empty()),
        nodes,
        certificates: None,
        ballot: None,
        left_over: Vec::new(),
    }
}

/// Makes sure that just the planned nodes are there.
fn run(network: &mut Network, plan: &Plan) {
    let planned = |name: &str| plan.network.nodes.iter().any(|node| node.name == name);
    network.nodes.retain(|node| planned(&node.name));
    let there: BTreeSet<String> = network.nodes.iter().map(|n| n.name.clone()).collect();
    let missing = plan.network.nodes.iter().filter(|node| !there.contains(&node.name));
    network.nodes.extend(missing.map(|node| new_node(node, plan)));
}

fn new_node(node: &NodePlan, plan: &Plan) -> Node {
    Node {
        name: node.name.clone(),
        revision: Some(plan.revision.clone()),
        restarts: 0,
        last_exit: None,
        held: false,
        height: 1,
    }
}

#[async_trait]
impl Backend for MemoryBackend {
    async fn allocate(&self, wanted: &ValidatedNetwork) -> Result<Facts, BackendError> {
        let mut state = self.lock();
        let State { networks, next_port } = &mut *state;
        let network = networks.entry(wanted.network.clone()).or_insert_with(|| Network {
            sealed: None,
            placement: wanted.hosting.placement,
            seats: BTreeMap::new(),
            roster: Roster::default(),
            membership: None,
            nodes: Vec::new(),
        });
        if network.sealed.is_none() {
            network.roster = Roster::first(wanted.validators.get());
            network.placement = wanted.hosting.placement;
        } else if network.placement != wanted.hosting.placement {
            return Err(BackendError::OtherPlacement {
                network: wanted.network.clone(),
                sealed: network.placement,
            });
        }
        let mut seats = Vec::new();
        for number in network.roster.range(wanted.validators.get()) {
            seats.push(network.seat(&wanted.network, number, next_port));
            if network.roster.standing(number).is_none() {
                network.roster.note(number, Standing::New);
            }
        }
        Ok(Facts {
            created_at: 1,
            seats,
            sealed: network.sealed.clone(),
            roster: Some(network.roster.clone()),
        })
    }

    async fn apply(&self, plan: &Plan) -> Result<Observation, BackendError> {
        let name = &plan.network.network;
        let mut state = self.lock();
        let network = state
            .networks
            .get_mut(name)
            .ok_or_else(|| BackendError::NotAllocated { network: name.clone() })?;
        let sealed = network.sealed.get_or_insert_with(|| plan.network.genesis.clone());
        if *sealed != plan.network.genesis {
            let sealed = sealed.network_id().map(hex::encode).unwrap_or_default();
            return Err(BackendError::OtherGenesis {
                network: name.clone(),
                sealed,
                planned: plan.network.id.clone(),
            });
        }
        let first = || Membership::genesis(&plan.network.genesis);
        let membership = network.membership.get_or_insert_with(first).clone();
        let keys = plan.network.nodes.iter().map(|node| &node.keys);
        network.roster = network.roster.with(&membership, keys, plan.wanted.get());
        run(network, plan);
        let seen = observe(name, network);
        let count = ValidatorCount::of(membership.now.len());
        if let Step::Restart(chosen) = roll::next(&seen.nodes, &plan.revision, count) {
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
