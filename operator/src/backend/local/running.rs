//! A network whose nodes are kept: orders to them, and a fresh look at all.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures::future::join_all;
use muniment_ledger::pid::PidFile;
use muniment_ledger::wire::NodeStatus;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::child::{Launch, log_path};
use super::log::{Events, LogFile};
use super::supervisor::{Life, NodeFiles, Orders, Phase, Supervisor};
use super::{LocalConfig, NetworkEntry, NodeEntry};
use crate::backend::{BackendError, NodeObservation, NodeState, Observation};
use crate::network::NetworkRef;
use crate::plan::{NodePlan, Plan};
use crate::prober::Prober;

/// A node and its supervisor. Dropping it kills the process.
struct Node {
    name: String,
    folder: PathBuf,
    url: String,
    orders: watch::Sender<Orders>,
    life: watch::Receiver<Life>,
    was_ready: Arc<AtomicU64>,
    _task: JoinSet<()>,
}

/// A network that is kept.
pub(super) struct Running {
    /// Which.
    pub(super) network: NetworkRef,
    /// Network id, hex.
    pub(super) id: String,
    /// Told of every change of a process.
    pub(super) changed: Arc<Notify>,
    token: String,
    trust_root: Vec<u8>,
    prober: Prober,
    nodes: Vec<Node>,
}

/// What all nodes of a network have in common.
pub(super) struct Common<'a> {
    /// Data folder.
    pub(super) data: &'a Path,
    /// The network's folder.
    pub(super) folder: PathBuf,
    /// How nodes are run.
    pub(super) config: &'a LocalConfig,
    /// Where events go.
    pub(super) events: &'a Events,
    /// Who asks nodes.
    pub(super) prober: Prober,
    /// Bearer token.
    pub(super) token: String,
    /// Trust root file.
    pub(super) trust_root: Vec<u8>,
}

impl Running {
    /// Starts the nodes of a plan.
    pub(super) fn start(plan: &Plan, files: Vec<NodeFiles>, common: Common<'_>) -> Result<Self, BackendError> {
        let changed = Arc::new(Notify::new());
        let start = |(node, files)| start_node(plan, node, files, &common, &changed);
        let nodes = plan
            .network
            .nodes
            .iter()
            .zip(files)
            .map(start)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            network: plan.network.network.clone(),
            id: plan.network.id.clone(),
            changed,
            token: common.token,
            trust_root: common.trust_root,
            prober: common.prober,
            nodes,
        })
    }

    /// Whether every node is to run with this revision already.
    pub(super) fn has_orders(&self, revision: &str) -> bool {
        self.nodes.iter().all(|n| {
            let orders = n.orders.borrow();
            orders.run && orders.files.revision == revision
        })
    }

    /// From its next start on, each node runs with these.
    pub(super) fn order(&self, files: Vec<NodeFiles>) {
        for (node, files) in self.nodes.iter().zip(files) {
            node.orders.send_modify(|orders| {
                orders.run = true;
                orders.files = Arc::new(files);
            });
        }
    }

    /// Restarts a node if it runs with something else than ordered.
    pub(super) fn refresh(&self, name: &str) {
        for node in self.nodes.iter().filter(|n| n.name == name) {
            node.orders.send_modify(|orders| orders.refresh += 1);
        }
    }

    /// Stops all nodes; doesn't wait.
    pub(super) fn order_stop(&self) {
        for node in &self.nodes {
            node.orders.send_modify(|orders| orders.run = false);
        }
    }

    /// Whether no node runs or is to run.
    pub(super) fn stopped(&self) -> bool {
        self.nodes
            .iter()
            .all(|n| !n.orders.borrow().run && n.life.borrow().phase == Phase::Stopped)
    }

    /// Waits until no node runs.
    pub(super) async fn wait_stopped(&self) {
        for node in &self.nodes {
            // An error means that the supervisor is gone, and its process with it.
            let _ = node.life.clone().wait_for(|life| life.phase == Phase::Stopped).await;
        }
    }

    /// Asks every node that runs, all at once.
    pub(super) async fn look(&self) -> Observation {
        let nodes = join_all(self.nodes.iter().map(|node| self.look_at(node))).await;
        Observation {
            network: self.network.clone(),
            id: Some(self.id.clone()),
            nodes,
            certificates: None,
            membership: None,
            ballot: None,
            left_over: Vec::new(),
        }
    }

    async fn look_at(&self, node: &Node) -> NodeObservation {
        let asked = node.life.borrow().clone();
        // The token goes to a port only while our own process holds the folder: before and after, another program may
        // listen there.
        let answer = match asked.pid {
            Some(pid) if PidFile::is_claimed_by(&node.folder, pid) => {
                self.prober.ask(&node.url, &self.token, &self.id, &node.name).await
            }
            _ => None,
        };
        let life = node.life.borrow().clone();
        // The answer of a process that has gone in the meantime says nothing of the next one.
        let answer = answer.filter(|_| life.incarnation == asked.incarnation && life.revision.is_some());
        if answer.as_ref().is_some_and(|a| a.voting && a.ready) {
            node.was_ready.store(life.incarnation, Ordering::Relaxed);
        }
        NodeObservation {
            name: node.name.clone(),
            member: true,
            state: state(&life, answer.as_ref()),
            revision: life.revision,
            restarts: life.restarts,
            last_exit: life.last_exit,
            answer,
        }
    }

    /// When the present process of a node was started.
    pub(super) fn since(&self, name: &str) -> Option<Instant> {
        self.nodes
            .iter()
            .find(|n| n.name == name)
            .and_then(|n| n.life.borrow().since)
    }

    /// For those who talk to the nodes.
    pub(super) fn entry(&self) -> NetworkEntry {
        let node = |n: &Node| NodeEntry {
            name: n.name.clone(),
            url: n.url.clone(),
            token: self.token.clone(),
            restarts: n.life.borrow().restarts,
        };
        NetworkEntry {
            network: self.network.clone(),
            id: self.id.clone(),
            nodes: self.nodes.iter().map(node).collect(),
            trust_root: self.trust_root.clone(),
        }
    }
}

fn state(life: &Life, answer: Option<&NodeStatus>) -> NodeState {
    match (life.phase, answer) {
        (Phase::Stopped, _) => NodeState::Stopped,
        (Phase::BackingOff, _) => NodeState::BackingOff,
        (Phase::Alive, Some(_)) => NodeState::Running,
        (Phase::Alive, None) => NodeState::Starting,
    }
}

fn start_node(
    plan: &Plan,
    node: &NodePlan,
    files: NodeFiles,
    common: &Common<'_>,
    changed: &Arc<Notify>,
) -> Result<Node, BackendError> {
    let network = plan.network.network.clone();
    let orders = watch::Sender::new(Orders {
        run: true,
        files: Arc::new(files),
        refresh: 0,
    });
    let (life, seen) = watch::channel(Life {
        phase: Phase::Alive,
        ..Life::default()
    });
    let was_ready = Arc::new(AtomicU64::new(0));
    let folder = common.folder.join(&node.name);
    let supervisor = Supervisor {
        launch: Launch {
            program: common.config.program.clone(),
            arguments: common.config.arguments.clone(),
            folder: folder.clone(),
        },
        log: Arc::new(Mutex::new(LogFile::open(&log_path(common.data, &network, &node.name))?)),
        network,
        name: node.name.clone(),
        events: common.events.clone(),
        orders: orders.subscribe(),
        life,
        was_ready: Arc::clone(&was_ready),
        changed: Arc::clone(changed),
    };
    let mut task = JoinSet::new();
    task.spawn(supervisor.run());
    Ok(Node {
        name: node.name.clone(),
        folder,
        url: node.api_url.clone(),
        orders,
        life: seen,
        was_ready,
        _task: task,
    })
}
