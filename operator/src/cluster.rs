//! The operator in a cluster: custom resources in, networks out, status back.
//!
//! Owns the watches, the lease and what is written about resources; networks themselves are [`crate::backend`]'s.
//! Followers wait for the lease; its holder watches and writes, and ends its process when it loses it.

mod dereference;
mod events;
mod finalize;
mod hosts;
mod leader;
mod metrics;
mod network;
mod orphans;
mod pace;
pub mod quota;
mod server;
mod status;
mod template;
mod tenant;
mod tenant_objects;
mod tenant_status;

use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::ListParams;
use kube::runtime::controller::{self, Config};
use kube::runtime::events::Recorder;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::{Controller, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use muniment_crds::{LedgerNetwork, Placement, RecordTemplate, Tenant};
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::backend::BackendError;
use crate::backend::cluster::{Access, ApiFailure, ClusterBackend, ClusterSettings, names};
use crate::catalog::Catalog;
use crate::reconcile::Reconciler;
use leader::Lease;
use metrics::Metrics;
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
    let client = Client::try_default()
        .await
        .map_err(|error| OperatorError::Config(error.into()))?;
    run_with(client, config).await
}

/// As [`run`], with a client of the cluster.
///
/// # Errors
/// As [`run`].
pub async fn run_with(client: Client, config: OperatorConfig) -> Result<(), OperatorError> {
    let mut stop = Stop::new()?;
    let health = Health::default();
    let server = server::start(config.listen, health.clone())?;
    let work = async {
        let leading = async {
            definitions(&client, &health).await;
            health.ready("waits for the lease; another replica works");
            Lease::acquire(&client, &config).await
        };
        let mut lease = tokio::select! {
            lease = leading => lease?,
            () = stop.asked() => return Ok(()),
        };
        health.ready("works");
        let ended = tokio::select! {
            ended = work(&client, &config, &health) => ended,
            () = lease.lost() => Err(OperatorError::LostLease),
            () = stop.asked() => Ok(()),
        };
        lease.release().await;
        ended
    };
    tokio::select! {
        ended = work => ended,
        result = server => result.map_err(|source| OperatorError::Listen { address: config.listen, source }),
    }
}

/// SIGTERM or SIGINT.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn new() -> Result<Self, OperatorError> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(OperatorError::Signals)?,
            interrupt: signal(SignalKind::interrupt()).map_err(OperatorError::Signals)?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Waits until the definitions are installed, however long that takes.
async fn definitions(client: &Client, health: &Health) {
    loop {
        let looks = futures::try_join!(
            is_defined::<Tenant>(client),
            is_defined::<LedgerNetwork>(client),
            is_defined::<RecordTemplate>(client),
        );
        let Err(why) = looks else { return };
        tracing::warn!("{why}; install the chart muniment-crds");
        health.not_ready(&why);
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn is_defined<K>(client: &Client) -> Result<(), String>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let api = Api::<K>::all(client.clone());
    let found = api.list(&ListParams::default().limit(1)).await;
    found.map(drop).map_err(|error| {
        let why = ApiFailure::from(error);
        format!("resources of kind {} can't be listed: {why}", K::kind(&()))
    })
}

/// What the controllers have in common.
struct Shared {
    client: Client,
    networks: Store<LedgerNetwork>,
    tenants: Store<Tenant>,
    templates: Store<RecordTemplate>,
    recorder: Recorder,
    metrics: Metrics,
}

/// Runs the controllers of all kinds.
async fn work(client: &Client, config: &OperatorConfig, health: &Health) -> Result<(), OperatorError> {
    let backend = Arc::new(ClusterBackend::new(client.clone(), config.settings.clone())?);
    let networks = controller::<LedgerNetwork>(client);
    let tenants = controller::<Tenant>(client);
    let templates = controller::<RecordTemplate>(client);
    let shared = Shared {
        client: client.clone(),
        networks: networks.store(),
        tenants: tenants.store(),
        templates: templates.store(),
        recorder: events::recorder(client.clone(), &config.identity),
        metrics: health.metrics(),
    };
    let reconciler = Reconciler::new(Arc::clone(&backend), config.catalog.clone());
    let left_over = orphans::keep(Access(client.clone()), shared.networks.clone(), &backend);
    futures::join!(
        keep_networks(networks, &shared, reconciler, &config.settings),
        keep_tenants(tenants, &shared, config),
        judge_templates(templates, &shared),
        keep_hosts(client, &config.settings, &backend, &shared.recorder),
        async {
            if config.settings.hosts.is_some() {
                left_over.await;
            }
        },
    );
    Ok(())
}

fn controller<K>(client: &Client) -> Controller<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let limits = Config::default().debounce(DEBOUNCE).concurrency(CONCURRENCY);
    Controller::new(Api::all(client.clone()), watcher::Config::default())
        .with_config(limits)
        .trigger_backoff(pace::attempts())
}

fn keep_networks(
    controller: Controller<LedgerNetwork>,
    shared: &Shared,
    reconciler: Reconciler<ClusterBackend>,
    settings: &ClusterSettings,
) -> impl Future<Output = ()> + use<> {
    let client = &shared.client;
    let managed = || watcher::Config::default().labels(&names::managed());
    let all = watcher::Config::default;
    let context = Arc::new(network::Context {
        client: client.clone(),
        reconciler,
        networks: shared.networks.clone(),
        tenants: shared.tenants.clone(),
        templates: shared.templates.clone(),
        recorder: shared.recorder.clone(),
        pace: pace::Pace::default(),
        still: pace::Pace::patient(),
        writes: status::Writes::default(),
        metrics: shared.metrics.clone(),
    });
    let (of_tenant, of_template, in_hosts) = (
        shared.networks.clone(),
        shared.networks.clone(),
        shared.networks.clone(),
    );
    let (hosts, known) = (
        watcher::Config::default().labels(&names::hosts()),
        hosts::Known::default(),
    );
    controller
        .watches(Api::<StatefulSet>::all(client.clone()), managed(), |set| {
            network_of(&set)
        })
        .watches(Api::<Pod>::all(client.clone()), managed(), |pod| network_of(&pod))
        .watches(
            Api::<Pod>::namespaced(client.clone(), &settings.namespace),
            hosts,
            move |pod| {
                if known.changed(&pod) {
                    networks_in_hosts(&in_hosts)
                } else {
                    Vec::new()
                }
            },
        )
        .watches(Api::<Tenant>::all(client.clone()), all(), move |tenant| {
            networks_in(&of_tenant, &tenant.name_any())
        })
        .watches(
            Api::<RecordTemplate>::all(client.clone()),
            all(),
            move |template: RecordTemplate| networks_in(&of_template, &template.namespace().unwrap_or_default()),
        )
        .run(network::reconcile, network::on_error, context)
        .for_each(told)
}

fn keep_tenants(
    controller: Controller<Tenant>,
    shared: &Shared,
    config: &OperatorConfig,
) -> impl Future<Output = ()> + use<> {
    let client = &shared.client;
    let context = Arc::new(tenant::Context {
        client: client.clone(),
        access: Access(client.clone()),
        settings: config.settings.clone(),
        networks: shared.networks.clone(),
        recorder: shared.recorder.clone(),
        pace: pace::Pace::default(),
        metrics: shared.metrics.clone(),
    });
    let namespaces = watcher::Config::default().labels(names::TENANT);
    controller
        .watches(Api::<Namespace>::all(client.clone()), namespaces, |space| {
            tenant_named(&space.name_any())
        })
        .watches(
            Api::<LedgerNetwork>::all(client.clone()),
            watcher::Config::default(),
            |network: LedgerNetwork| tenant_named(&network.namespace().unwrap_or_default()),
        )
        .run(tenant::reconcile, tenant::on_error, context)
        .for_each(told)
}

/// A watch that fails is tried again for ever; without a word nobody would know why nothing happens.
async fn told<O, E: std::error::Error + 'static, W: std::error::Error + 'static>(
    passed: Result<O, controller::Error<E, W>>,
) {
    if let Err(error @ (controller::Error::QueueError(_) | controller::Error::RunnerError(_))) = passed {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(error, "what is watched can't be read; trying again");
    }
}

fn judge_templates(controller: Controller<RecordTemplate>, shared: &Shared) -> impl Future<Output = ()> + use<> {
    let context = Arc::new(template::Context {
        client: shared.client.clone(),
        recorder: shared.recorder.clone(),
        pace: pace::Pace::default(),
    });
    controller
        .run(template::reconcile, template::on_error, context)
        .for_each(told)
}

async fn keep_hosts(client: &Client, settings: &ClusterSettings, backend: &Arc<ClusterBackend>, recorder: &Recorder) {
    if settings.hosts.is_none() {
        return;
    }
    let context = Arc::new(hosts::Context {
        client: client.clone(),
        namespace: settings.namespace.clone(),
        backend: Arc::clone(backend),
        recorder: recorder.clone(),
        pace: pace::Pace::default(),
        waits: Mutex::default(),
    });
    let of_hosts = || watcher::Config::default().labels(&names::hosts());
    let (sets, pods) = (
        Api::<StatefulSet>::namespaced(client.clone(), &settings.namespace),
        Api::<Pod>::namespaced(client.clone(), &settings.namespace),
    );
    // One pass at a time: each is about all hosts.
    Controller::new(sets, of_hosts())
        .with_config(Config::default().debounce(DEBOUNCE).concurrency(1))
        .trigger_backoff(pace::attempts())
        .owns(pods, of_hosts())
        .run(hosts::reconcile, hosts::on_error, context)
        .for_each(told)
        .await;
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

fn networks_in_hosts(store: &Store<LedgerNetwork>) -> Vec<ObjectRef<LedgerNetwork>> {
    let there = store.state_filter(|network| network.spec.placement == Placement::Shared);
    there
        .iter()
        .map(|network| ObjectRef::from_obj(network.as_ref()))
        .collect()
}

fn tenant_named(name: &str) -> Option<ObjectRef<Tenant>> {
    (!name.is_empty()).then(|| ObjectRef::new(name))
}
