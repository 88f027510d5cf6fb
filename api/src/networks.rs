//! The networks this server works for, and the tasks that keep each going.
//!
//! For each network: `intake` takes signed transactions (durable first), `submitter` sends them to the validators,
//! `follower` reads final blocks and resolves who waits, `expiry` deals with what can't land any more, `projector` writes
//! what SQL keeps of a block.

pub mod answer;
pub mod block;
pub mod expiry;
pub mod follower;
pub mod intake;
pub mod lookup;
pub mod pending;
pub mod projector;
pub mod proof;
pub mod reach;
pub mod room;
pub mod runtime;
pub mod status;
pub mod submitter;
pub mod templates;
pub mod trust;
pub mod whereabouts;

use std::collections::HashMap;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::directory::{NetworkDirectory, NetworkEntry};
use crate::keys::KeyProvider;
use crate::metrics::Metrics;
use crate::problem::{ApiError, Code};
use crate::store::Store;
use room::Room;
use runtime::AttachError;
pub use runtime::Network;

/// What all networks share.
pub struct Shared {
    /// Store.
    pub store: Store,
    /// Custody.
    pub keys: Arc<dyn KeyProvider>,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Last sequence number given to an outbox row.
    pub seq: AtomicI64,
    /// Room for actions accepted and not final.
    pub room: Arc<Room>,
    /// How long a statement of ours may be executed.
    pub validity: Duration,
}

/// The running networks by tenant and name.
pub struct Networks {
    shared: Arc<Shared>,
    directory: Arc<dyn NetworkDirectory>,
    running: RwLock<HashMap<(String, String), Arc<Network>>>,
    /// Those that can't be attached, and why.
    broken: RwLock<HashMap<(String, String), Code>>,
    refreshed: tokio::sync::Mutex<Option<Instant>>,
}

impl Networks {
    /// None running yet.
    pub fn new(shared: Arc<Shared>, directory: Arc<dyn NetworkDirectory>) -> Self {
        Self {
            shared,
            directory,
            running: RwLock::default(),
            broken: RwLock::default(),
            refreshed: tokio::sync::Mutex::default(),
        }
    }

    /// What all networks share.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The directory's present answer.
    pub async fn entry(&self, tenant: &str, name: &str) -> Option<NetworkEntry> {
        self.directory
            .networks()
            .await
            .into_iter()
            .find(|entry| entry.tenant == tenant && entry.name == name)
    }

    /// Starts networks that are new in the directory and stops those that left it. At most once a second.
    pub async fn refresh(&self) {
        let refreshed = self.refreshed.lock().await;
        if refreshed.is_none_or(|at| at.elapsed() >= Duration::from_secs(1)) {
            self.look(refreshed).await;
        }
    }

    /// As [`Self::refresh`], however short ago the last look was.
    pub async fn look_again(&self) {
        self.look(self.refreshed.lock().await).await;
    }

    async fn look(&self, mut refreshed: tokio::sync::MutexGuard<'_, Option<Instant>>) {
        let entries = self.directory.networks().await;
        for (key, gone) in self.gone(&entries) {
            self.detach(&key, gone).await;
        }
        let mut broken = HashMap::new();
        for entry in entries {
            let key = (entry.tenant.clone(), entry.name.clone());
            if let Err(error) = self.attach(&key, entry).await {
                let code = error.code();
                // Tried again every few seconds, and said once.
                if self.known_trouble(&key) != Some(code) {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(tenant = key.0, network = key.1, error, "network can't be attached");
                }
                broken.insert(key, code);
            }
        }
        *self.broken.write().unwrap_or_else(PoisonError::into_inner) = broken;
        *refreshed = Some(Instant::now());
    }

    /// Tells the running network what the directory says of it now, or starts it.
    async fn attach(&self, key: &(String, String), entry: NetworkEntry) -> Result<(), AttachError> {
        if let Some(running) = self.get(&key.0, &key.1) {
            if running.entry.id != entry.id {
                return Err(AttachError::Former);
            }
            return running.update(&entry);
        }
        let network = Network::start(self.shared.clone(), entry).await?;
        tracing::info!(
            tenant = key.0,
            network = key.1,
            height = network.height(),
            "network attached"
        );
        self.write().insert(key.clone(), network);
        Ok(())
    }

    fn known_trouble(&self, key: &(String, String)) -> Option<Code> {
        let broken = self.broken.read().unwrap_or_else(PoisonError::into_inner);
        broken.get(key).copied()
    }

    /// Those that left the directory, or whose name another network has now.
    fn gone(&self, entries: &[NetworkEntry]) -> Vec<((String, String), Arc<Network>)> {
        let stays = |(tenant, name): &(String, String), network: &Network| {
            entries
                .iter()
                .any(|entry| &entry.tenant == tenant && &entry.name == name && entry.id == network.entry.id)
        };
        let running = self.running.read().unwrap_or_else(PoisonError::into_inner);
        let gone = running.iter().filter(|(key, network)| !stays(key, network));
        gone.map(|(key, network)| (key.clone(), network.clone())).collect()
    }

    /// Closes a network, then takes it out; one whose acceptances can't be stored stays, closed, and is tried again.
    async fn detach(&self, key: &(String, String), network: Arc<Network>) {
        // Goes on to its end whether or not anybody waits for it.
        let closed = tokio::spawn(async move { network.close().await }).await;
        match closed {
            Ok(Ok(())) => drop(self.write().remove(key)),
            Ok(Err(error)) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(tenant = key.0, network = key.1, error, "what waits can't be stored");
            }
            Err(error) => tracing::error!(tenant = key.0, network = key.1, %error, "a network can't be closed"),
        }
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<(String, String), Arc<Network>>> {
        self.running.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, tenant: &str, name: &str) -> Option<Arc<Network>> {
        // Two short strings per look-up; a borrowed pair key isn't worth its complexity.
        let key = (tenant.to_owned(), name.to_owned());
        self.running
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .cloned()
    }

    /// A network of a tenant.
    ///
    /// # Errors
    /// 404 when there is none, 503 when it can't be attached.
    pub async fn find(&self, tenant: &str, name: &str) -> Result<Arc<Network>, ApiError> {
        if let Some(network) = self.get(tenant, name) {
            return Ok(network);
        }
        let key = (tenant.to_owned(), name.to_owned());
        if self.known_trouble(&key).is_none() && self.entry(tenant, name).await.is_some() {
            // It came since the last look, however short ago that was: whoever made it was told that it is there.
            let refreshed = self.refreshed.lock().await;
            if self.get(tenant, name).is_none() {
                self.look(refreshed).await;
            }
        } else {
            self.refresh().await;
        }
        self.get(tenant, name)
            .ok_or_else(|| self.trouble(tenant, Some(name)).unwrap_or_else(ApiError::not_found))
    }

    /// Why a network of the tenant, or any of its networks, can't be served; `None` if there is no such trouble.
    pub fn trouble(&self, tenant: &str, name: Option<&str>) -> Option<ApiError> {
        let broken = self.broken.read().unwrap_or_else(PoisonError::into_inner);
        let mut of = broken.iter().filter(|((owner, _), _)| owner == tenant);
        let (_, code) = of.find(|((_, network), _)| name.is_none_or(|name| name == network))?;
        Some(ApiError::detached(*code))
    }

    /// How many networks can't be served.
    pub fn broken(&self) -> usize {
        self.broken.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether any network of anybody can't be served.
    pub fn any_trouble(&self) -> Option<ApiError> {
        let broken = self.broken.read().unwrap_or_else(PoisonError::into_inner);
        broken.values().next().map(|code| ApiError::detached(*code))
    }

    /// All networks of a tenant, by name.
    pub async fn of(&self, tenant: &str) -> Vec<Arc<Network>> {
        self.refresh().await;
        let running = self.running.read().unwrap_or_else(PoisonError::into_inner);
        let mut networks: Vec<_> = running
            .iter()
            .filter(|((owner, _), _)| owner == tenant)
            .map(|(_, network)| network.clone())
            .collect();
        networks.sort_by(|one, two| one.entry.name.cmp(&two.entry.name));
        networks
    }

    /// All networks of all tenants: for metrics, and for `/v1/verify` with the public trust roots.
    pub fn all(&self) -> Vec<Arc<Network>> {
        self.running
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// Stops all tasks; nothing that was accepted is lost.
    pub fn stop(&self) {
        self.write().clear();
    }
}
