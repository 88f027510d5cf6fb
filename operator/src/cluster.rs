//! The operator in a cluster: custom resources in, networks out, status back.
//!
//! Owns the watches, the lease and what is written about resources; networks themselves are [`crate::backend`]'s.
//! Followers wait for the lease; its holder watches and writes, and ends its process when it loses it.

mod dereference;
mod events;
mod finalize;
mod leader;
mod metrics;
mod network;
mod pace;
mod quota;
mod server;
mod status;
mod tenant;
mod tenant_objects;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::runtime::controller::Config;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::{Controller, watcher};
use kube::{Api, Client, ResourceExt};
use muniment_crds::{LedgerNetwork, Tenant};
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

use crate::backend::BackendError;
use crate::backend::cluster::{Access, ApiFailure, ClusterBackend, ClusterSettings, names};
use crate::catalog::Catalog;
use crate::reconcile::Reconciler;
use leader::Lease;
use server::Health;

/// Several events of one object within this time are one pass.
const DEBOUNCE: Duration = Duration::from_millis(200);
/// Passes at once, of each kind.
const CONCURRENCY: u16 = 16;
/// Between looks for the custom resource definitions, while they are missing.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// How the operator runs.
#[derive(Clone, Debug)]
pub struct OperatorConfig {
    /// How nodes are run.
    pub settings: ClusterSettings,
    /// Who we are among the operator's replicas.
    pub identity: String,
    /// Name of the lease in the control plane's namespace.
    pub lease: String,
    /// Where health and metrics are served.
    pub listen: SocketAddr,
    /// The record templates at hand.
    pub catalog: Catalog,
}

/// The operator can't run, or had to end.
#[derive(Debug, Error)]
pub enum OperatorError {
    /// No cluster is known, or its credentials can't be used.
    #[error("no cluster can be reached; run this in a pod, or give KUBECONFIG")]
    Config(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A part of the backend can't be made.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The address is taken.
    #[error("{address} can't be listened on")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another replica holds the lease now.
    #[error("the lease was lost; another replica goes on")]
    LostLease,
    /// The lease can't be used.
    #[error("the lease can't be used")]
    Lease(#[source] kube_lease_manager::LeaseManagerError),
    /// Signals can't be received.
    #[error("signals can't be received")]
    Signals(#[source] std::io::Error),
}

/// Runs until SIGTERM or SIGINT, or until the lease is lost.
///
/// # Errors
/// [`OperatorError`]; the process must end.
pub async fn run(config: OperatorConfig) -> Result<(), OperatorError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(OperatorError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(OperatorError::Signals)?;
    let client = Client::try_default()
        .await
        .map_err(|error| OperatorError::Config(error.into()))?;
    let health = Health::default();
    let server = server::start(config.listen, health.clone())?;
    let work = async {
        definitions(&client, &health).await;
        health.ready("waits for the lease; another replica works");
        let mut lease = Lease::acquire(&client, &config).await?;
        health.ready("works");
        let controllers = controllers(client.clone(), &config, &health)?;
        let ended = tokio::select! {
            () = controllers => Ok(()),
            () = lease.lost() => Err(OperatorError::LostLease),
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
        };
        lease.release().await;
        ended
    };
    tokio::select! {
        ended = work => ended,
        result = server => result.map_err(|source| OperatorError::Listen { address: config.listen, source }),
    }
}

/// Waits until the definitions are installed, however long that takes.
async fn definitions(client: &Client, health: &Health) {
    loop {
        let tenants = Api::<Tenant>::all(client.clone())
            .list(&kube::api::ListParams::default().limit(1))
            .await
            .map(drop);
        let networks = Api::<LedgerNetwork>::all(client.clone())
            .list(&kube::api::ListParams::default().limit(1))
            .await;
        match tenants.and(networks.map(drop)) {
            Ok(()) => return,
            Err(error) => {
                let why = format!(
                    "the custom resource definitions can't be listed: {}",
                    ApiFailure::from(error)
                );
                tracing::warn!("{why}; install the chart muniment-crds");
                health.not_ready(&why);
            }
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Runs both controllers.
fn controllers(
    client: Client,
    config: &OperatorConfig,
    health: &Health,
) -> Result<impl Future<Output = ()>, OperatorError> {
    let backend = ClusterBackend::new(client.clone(), config.settings.clone())?;
    let limits = || Config::default().debounce(DEBOUNCE).concurrency(CONCURRENCY);
    let managed = || watcher::Config::default().labels(&names::managed());
    let networks: Controller<LedgerNetwork> = Controller::new(Api::all(client.clone()), watcher::Config::default());
    let tenants: Controller<Tenant> = Controller::new(Api::all(client.clone()), watcher::Config::default());
    let (network_store, tenant_store) = (networks.store(), tenants.store());
    let recorder = events::recorder(client.clone(), &config.identity);
    let metrics = health.metrics();

    let context = Arc::new(network::Context {
        client: client.clone(),
        reconciler: Reconciler::new(Arc::new(backend), config.catalog.clone()),
        networks: network_store.clone(),
        tenants: tenant_store.clone(),
        recorder: recorder.clone(),
        pace: pace::Pace::default(),
        writes: status::Writes::default(),
        metrics: metrics.clone(),
    });
    let of_tenant = network_store.clone();
    let networks = networks
        .with_config(limits())
        .watches(Api::<StatefulSet>::all(client.clone()), managed(), |set| {
            network_of(&set)
        })
        .watches(Api::<Pod>::all(client.clone()), managed(), |pod| network_of(&pod))
        .watches(
            Api::<Tenant>::all(client.clone()),
            watcher::Config::default(),
            move |tenant| networks_in(&of_tenant, &tenant.name_any()),
        )
        .run(network::reconcile, network::on_error, context)
        .for_each(|_| async {});

    let context = Arc::new(tenant::Context {
        client: client.clone(),
        access: Access(client.clone()),
        settings: config.settings.clone(),
        networks: network_store,
        recorder,
        pace: pace::Pace::default(),
        metrics,
    });
    let namespaces = watcher::Config::default().labels(names::TENANT);
    let tenants = tenants
        .with_config(limits())
        .watches(Api::<Namespace>::all(client.clone()), namespaces, |space: Namespace| {
            tenant_named(&space.name_any())
        })
        .watches(
            Api::<LedgerNetwork>::all(client),
            watcher::Config::default(),
            |network: LedgerNetwork| tenant_named(&network.namespace().unwrap_or_default()),
        )
        .run(tenant::reconcile, tenant::on_error, context)
        .for_each(|_| async {});
    Ok(async move {
        futures::join!(networks, tenants);
    })
}

/// Which network an object of ours belongs to, by its labels.
fn network_of<K: ResourceExt>(object: &K) -> Option<ObjectRef<LedgerNetwork>> {
    let name = object.labels().get(names::NETWORK)?;
    Some(ObjectRef::new(name).within(&object.namespace()?))
}

fn networks_in(store: &Store<LedgerNetwork>, namespace: &str) -> Vec<ObjectRef<LedgerNetwork>> {
    let there = store.state_filter(|network| network.namespace().as_deref() == Some(namespace));
    there
        .iter()
        .map(|network| ObjectRef::from_obj(network.as_ref()))
        .collect()
}

fn tenant_named(name: &str) -> Option<ObjectRef<Tenant>> {
    (!name.is_empty()).then(|| ObjectRef::new(name))
}
