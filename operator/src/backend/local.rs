//! The local backend: every node a child process of ours, a data folder, one supervisor.
//!
//! ```text
//! <data>/format                                  {"version":1}
//! <data>/lock                                    held by the supervisor
//! <data>/logs/muniment.log                       events, one line each
//! <data>/logs/<tenant>-<network>-<validator>.log what a node writes
//! <data>/networks/<tenant>/<network>/
//!     allocation.json                            ports, token, time of creation; mode 0600
//!     keys/<validator>.json                      private keys, the durable truth; mode 0600
//!     keys/<validator>.used                      a process has had them: see `supervisor::write`
//!     genesis.json  trust-root.json  revision
//!     <validator>/node.json  pid                 the node's folder: made anew at each start
//!     <validator>/<validator>/genesis.json  keys.json
//!     <validator>/<validator>/data/              the node's own
//! <data>/removed/                                networks that were removed, as they were
//! ```

mod allocation;
mod child;
mod data_dir;
mod driver;
mod files;
mod log;
mod orphan;
mod probe;
mod running;
mod seal;
mod supervisor;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use muniment_crds::{DeletionPolicy, LedgerNetwork, LedgerNetworkStatus};
use muniment_receipts::genesis::Member;
use tokio::sync::broadcast;

pub use data_dir::{DataDir, DataDirError};
pub use driver::LocalBackend;
pub use log::LogFile;

use super::{BackendError, Removal};
use crate::catalog::Catalog;
use crate::controller::{Controller, Desired};
use crate::event::Event;
use crate::network::NetworkRef;
use crate::reconcile::{ReconcileError, Reconciler};

/// Settings of the local backend.
#[derive(Clone, Debug)]
pub struct LocalConfig {
    /// The program that is run as a node.
    pub program: PathBuf,
    /// Its first arguments; `--config FOLDER --parent PID` follow.
    pub arguments: Vec<OsString>,
    /// Where ports are looked for when a network is first allocated.
    pub ports: Ports,
}

impl LocalConfig {
    /// Nodes are `<this program> node …`.
    ///
    /// # Errors
    /// When the operating system doesn't say which program this is.
    pub fn current_program() -> std::io::Result<Self> {
        Ok(Self {
            program: std::env::current_exe()?,
            arguments: vec!["node".into()],
            ports: Ports::From(8411),
        })
    }
}

/// Where ports are looked for. They are chosen once and stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// The first free ones from here on.
    From(u16),
    /// Whatever the operating system gives.
    Any,
}

/// A running network, for those who talk to its nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkEntry {
    /// Which network.
    pub network: NetworkRef,
    /// Network id, hex.
    pub id: String,
    /// Its nodes.
    pub nodes: Vec<NodeEntry>,
    /// The trust root file's bytes.
    pub trust_root: Vec<u8>,
}

/// How to reach a node.
#[derive(Clone, PartialEq, Eq)]
pub struct NodeEntry {
    /// Validator name.
    pub name: String,
    /// Base URL of its HTTP API.
    pub url: String,
    /// Bearer token.
    pub token: String,
    /// Restarts that weren't ours, since the supervisor started.
    pub restarts: u32,
}

impl std::fmt::Debug for NodeEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The token stays out of logs.
        write!(
            f,
            "NodeEntry({} at {}, {} restarts)",
            self.name, self.url, self.restarts
        )
    }
}

/// The local backend with its reconciler: what `muniment dev` holds.
pub struct Local {
    reconciler: Arc<Reconciler<LocalBackend>>,
}

impl Local {
    /// Over an opened data folder. Starts nothing yet.
    ///
    /// # Errors
    /// When the logs can't be written or the HTTP client can't be made.
    pub fn start(dir: DataDir, config: LocalConfig, catalog: Catalog) -> Result<Self, BackendError> {
        Ok(Self::over(LocalBackend::start(dir, config)?, catalog))
    }

    /// Over a started backend.
    pub fn over(backend: LocalBackend, catalog: Catalog) -> Self {
        Self {
            reconciler: Arc::new(Reconciler::new(Arc::new(backend), catalog)),
        }
    }

    /// The backend.
    pub fn backend(&self) -> &Arc<LocalBackend> {
        self.reconciler.backend()
    }

    /// Takes a network through validate, plan, apply and status once. `members` join those of the resource in a new
    /// genesis.
    ///
    /// # Errors
    /// Of the step that failed.
    pub async fn reconcile(
        &self,
        resource: &LedgerNetwork,
        members: &[Member],
    ) -> Result<LedgerNetworkStatus, ReconcileError> {
        self.reconciler.reconcile(resource, members).await
    }

    /// Keeps these networks as they are wanted, until the controller is dropped.
    pub fn keep(&self, desired: Vec<Desired>) -> Controller {
        Controller::start(Arc::clone(&self.reconciler), desired)
    }

    /// A fresh look at a network that was reconciled before.
    ///
    /// # Errors
    /// When the backend can't look.
    pub async fn look(&self, network: &NetworkRef) -> Result<Option<LedgerNetworkStatus>, BackendError> {
        self.reconciler.look(network).await
    }

    /// The last status of a network that was reconciled.
    pub fn recall(&self, network: &NetworkRef) -> Option<LedgerNetworkStatus> {
        self.reconciler.recall(network)
    }

    /// Takes one step of a removal. The data is put away, never deleted.
    ///
    /// # Errors
    /// When the backend can't.
    pub async fn remove(&self, network: &NetworkRef) -> Result<Removal, BackendError> {
        self.reconciler.remove(network, DeletionPolicy::Retain).await
    }

    /// What happens, from now on. A receiver that is too slow misses the oldest.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.backend().events()
    }

    /// The running networks.
    pub async fn networks(&self) -> Vec<NetworkEntry> {
        self.backend().networks().await
    }

    /// Stops every node: SIGTERM to all at once, SIGKILL after 3 s. Drop the controller first.
    pub async fn stop(&self) {
        self.backend().stop().await;
    }
}
