//! The API on Kubernetes: its tenants and networks are custom resources, and it reads them by watching.
//!
//! Owns the watches. `entry` makes a network's whereabouts of what is read, `provision` gives each tenant the key that
//! signs for it and its first API key. Decides nothing about networks: that is the operator's.

mod entry;
pub(crate) mod fields;
mod provision;
mod resources;
#[cfg(test)]
mod twin;

use futures::StreamExt;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use muniment_crds::{LedgerNetwork, Tenant};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::access::Access;
use crate::directory::{NetworkDirectory, NetworkEntry};
use entry::Whereabouts;

/// Tenant of the keys of those who run the platform. No `Tenant` can have this name.
pub const PLATFORM: &str = "muniment";
/// In case a wake-up was lost, and for what changes without one.
const PERIOD: Duration = Duration::from_secs(60);
/// While something is awaited that nobody wakes us for: at first, and at last.
const SOON: Duration = Duration::from_millis(250);
const LATE: Duration = Duration::from_secs(15);

/// What the API is told about where it runs.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// Its namespace.
    pub namespace: String,
    /// Its Service, as `name:port`.
    pub service: String,
    /// URL at which people outside the cluster reach it.
    pub public_url: Option<String>,
    /// Secret in its namespace that takes the platform's API key.
    pub platform_access: Option<String>,
}

/// The custom resources as they are now. Clones share the watches, which end with the last.
#[derive(Clone)]
pub struct Cluster(Arc<Watched>);

struct Watched {
    client: Client,
    config: ClusterConfig,
    tenants: Store<Tenant>,
    networks: Store<LedgerNetwork>,
    /// What was read of each network, by namespace and name.
    known: RwLock<HashMap<(String, String), Whereabouts>>,
    changed: Notify,
    /// All that was there at the start was read.
    settled: watch::Sender<bool>,
    /// Counts what the watches saw.
    versions: watch::Sender<u64>,
    tasks: std::sync::Mutex<JoinSet<()>>,
}

impl Cluster {
    /// Starts the watches. What they have seen so far is all that is known: the first answers may be empty.
    pub fn watch(client: Client, config: ClusterConfig) -> Self {
        let (tenants, of_tenants) = reflector::store();
        let (networks, of_networks) = reflector::store();
        let watched = Arc::new(Watched {
            client: client.clone(),
            config,
            tenants,
            networks,
            known: RwLock::default(),
            changed: Notify::new(),
            settled: watch::Sender::new(false),
            versions: watch::Sender::new(0),
            tasks: std::sync::Mutex::default(),
        });
        let weak = Arc::downgrade(&watched);
        let mut tasks = watched.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(follow(Api::<Tenant>::all(client.clone()), of_tenants, weak.clone()));
        tasks.spawn(follow(Api::<LedgerNetwork>::all(client), of_networks, weak));
        drop(tasks);
        Self(watched)
    }

    /// Resolves when all networks that were there at the start are known: who serves before takes them for missing.
    pub async fn settled(&self) {
        // An error means that nobody can say so any more.
        if self.0.settled.subscribe().wait_for(|settled| *settled).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Reads where networks are and gives tenants their keys, from now on.
    pub fn provide(&self, access: Access) {
        let weak = Arc::downgrade(&self.0);
        let mut tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(async move {
            let mut provision = provision::Provision::new(access);
            if let Some(watched) = weak.upgrade() {
                // An error means that a watch has ended, which only the end of this process does.
                let _ = watched.tenants.wait_until_ready().await;
                let _ = watched.networks.wait_until_ready().await;
                watched.read().await;
                // Before anybody is let in with a key of whoever had a tenant's name before.
                provision.recognise(&watched).await;
                watched.settled.send_replace(true);
            }
            let mut pause = SOON;
            while let Some(watched) = weak.upgrade() {
                let complete = watched.read().await & provision.pass(&watched).await;
                pause = if complete { PERIOD } else { (pause * 2).min(LATE) };
                tokio::select! {
                    () = watched.changed.notified() => {}
                    () = tokio::time::sleep(pause) => {}
                }
                if complete {
                    pause = SOON;
                }
            }
        });
    }
}

/// Follows one kind and wakes who works on it. Managed fields are as large as the rest and nobody reads them here.
async fn follow<K>(api: Api<K>, writer: reflector::store::Writer<K>, watched: std::sync::Weak<Watched>)
where
    K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + Sync + 'static,
{
    let events = watcher(api, watcher::Config::default())
        .default_backoff()
        .modify(|object| object.managed_fields_mut().clear())
        .reflect(writer)
        .touched_objects();
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        if let Err(error) = event {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, kind = %K::kind(&()), "the watch was interrupted and goes on");
        }
        match watched.upgrade() {
            Some(watched) => {
                watched.versions.send_modify(|version| *version += 1);
                watched.changed.notify_one();
            }
            None => return,
        }
    }
}

impl Watched {
    /// Without watches: nothing is seen.
    #[cfg(test)]
    fn at_rest(client: Client, config: ClusterConfig) -> Arc<Self> {
        Arc::new(Self {
            client,
            config,
            tenants: reflector::store().0,
            networks: reflector::store().0,
            known: RwLock::default(),
            changed: Notify::new(),
            settled: watch::Sender::new(false),
            versions: watch::Sender::new(0),
            tasks: std::sync::Mutex::default(),
        })
    }

    fn known(&self, network: &LedgerNetwork) -> Option<Whereabouts> {
        let key = (network.namespace()?, network.name_any());
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&key).cloned()
    }

    fn is_suspended(&self, network: &LedgerNetwork) -> bool {
        let tenant = reflector::ObjectRef::new(&network.namespace().unwrap_or_default());
        self.tenants.get(&tenant).is_some_and(|tenant| tenant.spec.suspended)
    }

    /// Reads what is new or old of all networks. Answers whether nothing more is awaited.
    async fn read(&self) -> bool {
        let networks = self.networks.state();
        self.known
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|(namespace, name), _| {
                networks
                    .iter()
                    .any(|network| network.namespace().as_ref() == Some(namespace) && network.name_any() == *name)
            });
        let mut complete = true;
        for network in networks {
            let known = self.known(&network);
            let Some(wanted) = entry::wanted(&network, known.as_ref()) else {
                continue;
            };
            match entry::read(&self.client, &wanted, known.as_ref()).await {
                Ok(found) => {
                    let key = (wanted.namespace, wanted.name);
                    self.known
                        .write()
                        .unwrap_or_else(PoisonError::into_inner)
                        .insert(key, found);
                }
                Err(error) => {
                    complete = false;
                    let (namespace, name) = (&wanted.namespace, &wanted.name);
                    let error = &error as &dyn std::error::Error;
                    tracing::info!(namespace, name, error, "where the network is can't be read yet");
                }
            }
        }
        complete
    }
}

#[async_trait::async_trait]
impl NetworkDirectory for Cluster {
    async fn networks(&self) -> Vec<NetworkEntry> {
        let networks = self.0.networks.state();
        networks
            .iter()
            .filter_map(|network| entry::entry(network, &self.0.known(network)?, self.0.is_suspended(network)))
            .collect()
    }
}
