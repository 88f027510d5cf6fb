//! [`Backend`] over child processes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use muniment_crds::{DeletionPolicy, NetworkName, Placement, TenantName};
use muniment_ledger::config::{LAYOUT_VERSION, NodeConfig, ReplicaConfig};
use muniment_ledger::pid::PidFile;
use rustix::process::Signal;
use tokio::sync::{Mutex, broadcast, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

use super::allocation::{self, Allocation};
use super::files::{self, Access};
use super::log::Events;
use super::probe;
use super::running::{Common, Running};
use super::seal::{self, Sealed};
use super::supervisor::NodeFiles;
use super::{DataDir, LocalConfig, NetworkEntry};
use crate::backend::{Backend, BackendError, NodeObservation, NodeState, Observation, Removal};
use crate::event::Event;
use crate::network::NetworkRef;
use crate::plan::{Facts, NodePlan, Plan};
use crate::prober::Prober;
use crate::process::signal;
use crate::roll::{self, Step};
use crate::validate::ValidatedNetwork;

/// Nodes get 3 s to stop by themselves, the kernel gets the rest.
const STOP: Duration = Duration::from_millis(4500);

/// Networks as child processes of this one.
pub struct LocalBackend {
    dir: DataDir,
    config: LocalConfig,
    prober: Prober,
    events: Events,
    wake: watch::Sender<u64>,
    stopping: AtomicBool,
    networks: Mutex<BTreeMap<NetworkRef, Entry>>,
}

struct Entry {
    running: Arc<Running>,
    _watch: JoinSet<()>,
}

impl LocalBackend {
    /// Over an opened data folder. Starts nothing yet.
    ///
    /// # Errors
    /// When the logs can't be written or the HTTP client can't be made.
    pub fn start(dir: DataDir, config: LocalConfig) -> Result<Self, BackendError> {
        let logs = dir.path().join("logs");
        files::folder(&logs, Access::Shared)?;
        Ok(Self {
            events: Events::open(&logs.join("muniment.log"))?,
            prober: Prober::new()?,
            wake: watch::Sender::new(0),
            stopping: AtomicBool::new(false),
            networks: Mutex::default(),
            dir,
            config,
        })
    }

    /// The data folder.
    pub fn data_dir(&self) -> &DataDir {
        &self.dir
    }

    /// What happens, from now on. A receiver that is too slow misses the oldest.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.listen()
    }

    /// The running networks.
    pub async fn networks(&self) -> Vec<NetworkEntry> {
        self.networks.lock().await.values().map(|e| e.running.entry()).collect()
    }

    /// Stops every node: SIGTERM to all at once, SIGKILL after 3 s. Nothing can be applied afterwards.
    pub async fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        let entries = std::mem::take(&mut *self.networks.lock().await);
        entries.values().for_each(|e| e.running.order_stop());
        let all = async {
            for entry in entries.values() {
                entry.running.wait_stopped().await;
            }
        };
        if timeout(STOP, all).await.is_err() {
            tracing::warn!("some nodes didn't stop in time and are killed");
        }
    }

    fn folder(&self, network: &NetworkRef) -> PathBuf {
        self.dir
            .path()
            .join("networks")
            .join(network.tenant.as_str())
            .join(network.name.as_str())
    }

    /// Ports of every other network here, running or not.
    async fn taken(&self, except: &NetworkRef) -> Result<BTreeSet<u16>, BackendError> {
        let mut taken = BTreeSet::new();
        for other in self.list().await?.into_iter().filter(|n| n != except) {
            // A damaged file of another network is that network's trouble, told by its own passes.
            let seats = Allocation::read(&self.folder(&other))
                .ok()
                .flatten()
                .map(|a| a.seats)
                .unwrap_or_default();
            taken.extend(seats.iter().flat_map(|s| [s.api.port(), s.consensus.port()]));
        }
        Ok(taken)
    }

    /// Makes the network run with the plan from each node's next start on.
    async fn settle(&self, plan: &Plan) -> Result<Arc<Running>, BackendError> {
        let mut networks = self.networks.lock().await;
        if self.stopping.load(Ordering::Relaxed) {
            return Err(BackendError::Stopping);
        }
        let network = &plan.network.network;
        let known = networks.get(network).map(|e| Arc::clone(&e.running));
        if let Some(running) = &known
            && running.has_orders(&plan.revision)
        {
            return Ok(Arc::clone(running));
        }
        let folder = self.folder(network);
        let (allocation, sealed) = prepare(folder.clone(), plan.clone()).await?;
        let wanted = node_files(&folder, plan, &allocation, &sealed)?;
        if let Some(running) = known {
            running.order(wanted);
            return Ok(running);
        }
        check_ports(&folder, plan)?;
        let common = Common {
            data: self.dir.path(),
            folder,
            config: &self.config,
            events: &self.events,
            prober: self.prober.clone(),
            token: allocation.token,
            trust_root: sealed.trust_root,
        };
        let running = Arc::new(Running::start(plan, wanted, common)?);
        let mut watch = JoinSet::new();
        watch.spawn(probe::watch(
            Arc::clone(&running),
            self.events.clone(),
            self.wake.clone(),
        ));
        networks.insert(
            network.clone(),
            Entry {
                running: Arc::clone(&running),
                _watch: watch,
            },
        );
        Ok(running)
    }

    /// What is seen of a network that isn't kept.
    fn at_rest(&self, network: &NetworkRef) -> Result<Option<Observation>, BackendError> {
        let folder = self.folder(network);
        let Some(allocation) = Allocation::read(&folder)? else {
            return Ok(None);
        };
        let sealed = seal::sealed(&folder)?;
        let names = match &sealed {
            Some(genesis) => genesis.validators.iter().map(|v| v.name.clone()).collect(),
            None => allocation.seats.into_iter().map(|s| s.name).collect::<Vec<_>>(),
        };
        let node = |name| NodeObservation {
            name,
            member: true,
            state: NodeState::Stopped,
            revision: None,
            restarts: 0,
            last_exit: None,
            answer: None,
        };
        let id = sealed.and_then(|g| g.network_id().ok()).map(hex::encode);
        Ok(Some(Observation {
            network: network.clone(),
            id,
            nodes: names.into_iter().map(node).collect(),
            certificates: None,
            membership: None,
            ballot: None,
            left_over: Vec::new(),
        }))
    }

    /// Puts a stopped network's folder away. Nothing is destroyed: a key that is gone is gone for good.
    fn put_away(&self, network: &NetworkRef) -> Result<Removal, BackendError> {
        let folder = self.folder(network);
        let Some(allocation) = Allocation::read(&folder)? else {
            return Ok(Removal::Done);
        };
        let mut held = false;
        for seat in &allocation.seats {
            if let Ok(Some(Some(pid))) = PidFile::holder(&folder.join(&seat.name)) {
                signal(pid, Signal::TERM);
                held = true;
            }
        }
        if held {
            return Ok(Removal::Pending);
        }
        let removed = self.dir.path().join("removed");
        files::folder(&removed, Access::Private)?;
        let away = removed.join(format!("{}-{}-{}", network.tenant, network.name, allocation.created_at));
        std::fs::rename(&folder, &away).map_err(files::failed("moved away", &folder))?;
        Ok(Removal::Done)
    }
}

/// The keys are there, then the genesis is sealed.
async fn prepare(folder: PathBuf, plan: Plan) -> Result<(Allocation, Sealed), BackendError> {
    blocking(move || {
        let network = &plan.network.network;
        let allocation = Allocation::read(&folder)?.ok_or_else(|| BackendError::NotAllocated {
            network: network.clone(),
        })?;
        allocation::check_keys(network, &folder, &plan.network.genesis)?;
        let sealed = seal::seal(&folder, &plan)?;
        Ok((allocation, sealed))
    })
    .await
}

/// Makes sure that nobody else listens where the nodes are to: they would fail one by one, and whoever listens there
/// would be sent their token. A node of an earlier run that still has its folder is stopped by its supervisor.
fn check_ports(folder: &Path, plan: &Plan) -> Result<(), BackendError> {
    for node in &plan.network.nodes {
        if matches!(PidFile::holder(&folder.join(&node.name)), Ok(Some(_))) {
            continue;
        }
        for address in [node.api, node.consensus] {
            match TcpListener::bind(address) {
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                    return Err(BackendError::PortTaken {
                        network: plan.network.network.clone(),
                        validator: node.name.clone(),
                        address,
                    });
                }
                // Anything else the node itself can say better.
                _ => {}
            }
        }
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackendError> + Send + 'static,
) -> Result<T, BackendError> {
    // A task can only fail to be joined when the runtime is going down.
    spawn_blocking(work).await.map_err(|_| BackendError::Stopping)?
}

fn node_files(
    folder: &Path,
    plan: &Plan,
    allocation: &Allocation,
    sealed: &Sealed,
) -> Result<Vec<NodeFiles>, BackendError> {
    let one = |node: &NodePlan| {
        let config = NodeConfig {
            version: LAYOUT_VERSION,
            replicas: vec![ReplicaConfig {
                name: node.name.clone(),
                api: node.api,
                consensus: node.consensus,
                peers: node.peers.clone(),
                token: allocation.token.clone(),
                tls: None,
                limits: plan.network.limits.clone(),
            }],
        };
        let path = folder.join(&node.name).join("node.json");
        let damaged = |e: serde_json::Error| BackendError::Damaged {
            path,
            problem: e.to_string(),
        };
        Ok(NodeFiles {
            revision: plan.revision.clone(),
            config: serde_json::to_vec_pretty(&config).map_err(damaged)?,
            genesis: sealed.genesis.clone(),
            keys: allocation::keys_path(folder, &node.name),
        })
    };
    plan.network.nodes.iter().map(one).collect()
}

#[async_trait]
impl Backend for LocalBackend {
    async fn allocate(&self, wanted: &ValidatedNetwork) -> Result<Facts, BackendError> {
        if wanted.hosting.placement == Placement::Shared {
            return Err(BackendError::NoHosts {
                network: wanted.network.clone(),
            });
        }
        let taken = self.taken(&wanted.network).await?;
        let (folder, network) = (self.folder(&wanted.network), wanted.network.clone());
        let (count, ports) = (wanted.validators.get() as usize, self.config.ports);
        blocking(move || {
            let sealed = seal::sealed(&folder)?;
            let allocation = allocation::allocate(&folder, count, sealed.as_ref(), ports, &taken)?;
            allocation::facts(&network, &folder, &allocation, sealed)
        })
        .await
    }

    async fn apply(&self, plan: &Plan) -> Result<Observation, BackendError> {
        let running = self.settle(plan).await?;
        let seen = running.look().await;
        if let Step::Restart(name) = roll::next(&seen.nodes, &plan.revision, plan.members()) {
            running.refresh(&name);
        }
        Ok(seen)
    }

    async fn observe(&self, network: &NetworkRef) -> Result<Option<Observation>, BackendError> {
        let running = self.networks.lock().await.get(network).map(|e| Arc::clone(&e.running));
        match running {
            Some(running) => Ok(Some(running.look().await)),
            None => self.at_rest(network),
        }
    }

    async fn remove(&self, network: &NetworkRef, _data: DeletionPolicy) -> Result<Removal, BackendError> {
        let mut networks = self.networks.lock().await;
        if let Some(entry) = networks.get(network) {
            if !entry.running.stopped() {
                entry.running.order_stop();
                return Ok(Removal::Pending);
            }
            networks.remove(network);
        }
        self.put_away(network)
    }

    async fn list(&self) -> Result<Vec<NetworkRef>, BackendError> {
        let mut found = Vec::new();
        for tenant in names(&self.dir.path().join("networks"))? {
            for name in names(&self.dir.path().join("networks").join(&tenant))? {
                // Whatever isn't named as we name isn't ours.
                if let (Ok(tenant), Ok(name)) = (TenantName::new(&tenant), NetworkName::new(&name)) {
                    let network = NetworkRef { tenant, name };
                    if Allocation::read(&self.folder(&network))?.is_some() {
                        found.push(network);
                    }
                }
            }
        }
        found.sort();
        Ok(found)
    }

    fn wakeups(&self) -> watch::Receiver<u64> {
        self.wake.subscribe()
    }
}

/// Names in a folder; none when there is no folder.
fn names(folder: &Path) -> Result<Vec<String>, BackendError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(files::failed("read", folder)(error)),
    };
    Ok(entries.filter_map(|e| e.ok()?.file_name().into_string().ok()).collect())
}
