//! Passes over one `LedgerNetwork`: dereference → (validate → plan → apply → status, by the reconciler) → write.

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Namespace;
use kube::runtime::controller::Action;
use kube::runtime::events::Recorder;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, Client, Resource, ResourceExt};
use muniment_crds::condition::{Condition, is_true, kind, reason};
use muniment_crds::jiff::Timestamp;
use muniment_crds::{LedgerNetwork, LedgerNetworkStatus, NetworkName, RecordTemplate, Tenant, TenantName};
use muniment_receipts::chain;
use thiserror::Error;

use super::dereference::{Dereferenced, Waiting, dereference};
use super::metrics::Metrics;
use super::pace::{self, Pace};
use super::status::{self, Writes};
use super::{events, finalize, template};
use crate::backend::cluster::ApiFailure;
use crate::backend::cluster::ClusterBackend;
use crate::backend::{Backend, BackendError, Removal};
use crate::network::NetworkRef;
use crate::reconcile::{ReconcileError, Reconciler};
use crate::status::{deleting, refused, with_certificates};

/// What every pass needs.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// The steps.
    pub reconciler: Reconciler<ClusterBackend>,
    /// All networks, as watched.
    pub networks: Store<LedgerNetwork>,
    /// All tenants, as watched.
    pub tenants: Store<Tenant>,
    /// All templates, as watched.
    pub templates: Store<RecordTemplate>,
    /// Where events go.
    pub recorder: Recorder,
    /// Pauses after failures.
    pub pace: Pace,
    /// Pauses while nothing moves.
    pub still: Pace,
    /// When status was written.
    pub writes: Writes,
    /// What is counted.
    pub metrics: Metrics,
}

/// A pass couldn't even report.
#[derive(Debug, Error)]
pub enum PassError {
    /// The API server didn't take a write about the resource itself.
    #[error("{what} of {key} can't be written")]
    Write {
        /// What.
        what: &'static str,
        /// Which resource.
        key: String,
        /// Why.
        #[source]
        source: ApiFailure,
    },
    /// A removal failed.
    #[error(transparent)]
    Remove(#[from] BackendError),
}

fn key(network: &LedgerNetwork) -> String {
    format!("{}/{}", network.namespace().unwrap_or_default(), network.name_any())
}

/// One pass.
pub async fn reconcile(network: Arc<LedgerNetwork>, context: Arc<Context>) -> Result<Action, PassError> {
    // At the start the other watches may come later than ours; an empty store is no missing tenant.
    let (all, tenants, templates) = (&context.networks, &context.tenants, &context.templates);
    if tokio::try_join!(
        all.wait_until_ready(),
        tenants.wait_until_ready(),
        templates.wait_until_ready()
    )
    .is_err()
    {
        return Ok(Action::await_change());
    }
    let begin = Instant::now();
    let pass = Pass {
        key: key(&network),
        network: &network,
        context: &context,
    };
    // A protected network is kept as it is, whoever wants it gone.
    let result = if network.metadata.deletion_timestamp.is_some() && !network.spec.prevent_deletion {
        pass.remove().await
    } else {
        pass.keep().await
    };
    context.metrics.pass("LedgerNetwork", result.is_ok(), begin.elapsed());
    result.map(Action::requeue)
}

/// After a pass that couldn't report.
pub fn on_error(network: Arc<LedgerNetwork>, error: &PassError, context: Arc<Context>) -> Action {
    let key = key(&network);
    tracing::warn!(network = key, error = error as &dyn std::error::Error, "pass failed");
    Action::requeue(context.pace.longer(&key))
}

struct Pass<'a> {
    key: String,
    network: &'a LedgerNetwork,
    context: &'a Context,
}

impl Pass<'_> {
    fn api(&self) -> Api<LedgerNetwork> {
        Api::namespaced(
            self.context.client.clone(),
            &self.network.namespace().unwrap_or_default(),
        )
    }

    fn failed(&self, what: &'static str) -> impl FnOnce(kube::Error) -> PassError {
        let key = self.key.clone();
        move |error| PassError::Write {
            what,
            key,
            source: error.into(),
        }
    }

    /// Brings the network closer to its spec. Answers when to look again.
    async fn keep(&self) -> Result<Duration, PassError> {
        let added = finalize::add(&self.api(), self.network, finalize::NETWORK).await;
        if added.map_err(self.failed("the finalizer"))? {
            // The write comes back as an event.
            return Ok(pace::BUSY);
        }
        let (status, pause) = match self.dereferenced() {
            Err(waiting) => {
                let status = self.refused(None, waiting.reason, &waiting.message);
                (self.renewed(status).await, pace::WAITING)
            }
            Ok(found) => match self.applied(&found).await {
                Ok(status) => {
                    self.context.pace.reset(&self.key);
                    let pause = self.pause(&status);
                    (status, pause)
                }
                Err(error) => {
                    let (status, pause) = self.failure(&error).await;
                    (self.renewed(status).await, pause)
                }
            },
        };
        let expire = status.certificates_expire.as_ref().map(|at| at.0.as_second());
        self.context.metrics.expires(&self.key, expire);
        self.write(self.protected(status)).await?;
        Ok(pause)
    }

    /// Says that a deletion waits.
    fn protected(&self, status: LedgerNetworkStatus) -> LedgerNetworkStatus {
        if self.network.metadata.deletion_timestamp.is_none() {
            return status;
        }
        let message = "the network is protected; set spec.preventDeletion to false to let it go";
        deleting(Some(&status), reason::DELETION_PREVENTED, message, Timestamp::now())
    }

    async fn applied(&self, found: &Dereferenced) -> Result<LedgerNetworkStatus, ReconcileError> {
        let (context, namespace) = (self.context, self.network.namespace());
        let there = context
            .templates
            .state_filter(|template| template.namespace() == namespace);
        let catalog = template::at_hand(context.reconciler.catalog(), &there);
        context
            .reconciler
            .reconcile_with(self.network, &found.members, &catalog)
            .await
    }

    fn dereferenced(&self) -> Result<Dereferenced, Waiting> {
        let namespace = self.network.namespace().unwrap_or_default();
        let tenant = self.context.tenants.get(&ObjectRef::new(&namespace));
        let siblings = self
            .context
            .networks
            .state_filter(|other| other.namespace().as_deref() == Some(namespace.as_str()));
        dereference(self.network, tenant.as_deref(), &siblings)
    }

    async fn failure(&self, error: &ReconcileError) -> (LedgerNetworkStatus, Duration) {
        tracing::warn!(
            network = self.key,
            error = error as &dyn std::error::Error,
            "network can't be kept"
        );
        let pause = if error.retry() {
            self.context.pace.longer(&self.key)
        } else {
            pace::calm()
        };
        let reason = match error {
            ReconcileError::Invalid(_) | ReconcileError::Plan(_) => reason::INVALID,
            ReconcileError::Backend(error) => reason_of(error),
        };
        let seen = match self.name() {
            Some(network) => self.context.reconciler.look(&network).await.ok().flatten(),
            None => None,
        };
        (self.refused(seen.as_ref(), reason, &chain(error)), pause)
    }

    /// Certificates go on although nothing else could be kept: they would run out before anyone has mended the description.
    async fn renewed(&self, status: LedgerNetworkStatus) -> LedgerNetworkStatus {
        let Some(network) = self.name().filter(|_| status.network_id.is_some()) else {
            return status;
        };
        match self.context.reconciler.backend().renew(&network).await {
            Ok(Some(outlook)) => with_certificates(status, &outlook, Timestamp::now()),
            Ok(None) => status,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(network = self.key, error, "certificates can't be renewed");
                status
            }
        }
    }

    fn refused(&self, seen: Option<&LedgerNetworkStatus>, reason: &str, message: &str) -> LedgerNetworkStatus {
        let (generation, old) = (self.network.metadata.generation, self.network.status.as_ref());
        refused(generation, seen, old, reason, message, Timestamp::now())
    }

    async fn write(&self, status: LedgerNetworkStatus) -> Result<(), PassError> {
        let old = self.network.status.as_ref();
        if !self.context.writes.due(&self.key, old, &status) {
            return Ok(());
        }
        status::write(&self.api(), &self.network.name_any(), &status)
            .await
            .map_err(self.failed("the status"))?;
        let old = old.map(|old| old.conditions.as_slice()).unwrap_or_default();
        events::tell(
            &self.context.recorder,
            &self.network.object_ref(&()),
            old,
            &status.conditions,
        )
        .await;
        Ok(())
    }

    /// Takes one step of the removal. Works with any spec, and also when nothing was ever made.
    async fn remove(&self) -> Result<Duration, PassError> {
        if let Some(network) = self.name() {
            let data = self.network.spec.deletion_policy;
            match self.context.reconciler.remove(&network, data).await {
                Ok(Removal::Done) => {}
                Ok(Removal::Pending) => {
                    let before = self.network.status.as_ref();
                    let status = deleting(before, reason::DELETING, "validators are stopping", Timestamp::now());
                    let pause = self.unsettled(&status);
                    self.write(status).await?;
                    return Ok(pause);
                }
                // A namespace that goes takes everything with it, our rights first.
                Err(error) if self.namespace_goes().await => {
                    tracing::info!(
                        network = self.key,
                        error = &error as &dyn std::error::Error,
                        "left to the namespace's end"
                    );
                    // What sits in the hosts isn't in the namespace.
                    let placement = self.network.spec.placement;
                    let backend = self.context.reconciler.backend();
                    match backend.evict(&network, placement, data).await {
                        Ok(Removal::Done) => {}
                        Ok(Removal::Pending) => return Ok(pace::BUSY),
                        Err(error) => return self.stuck(error).await,
                    }
                }
                Err(error) => return self.stuck(error).await,
            }
        }
        self.context.pace.reset(&self.key);
        self.context.still.reset(&self.key);
        self.context.writes.forget(&self.key);
        self.context.metrics.expires(&self.key, None);
        finalize::remove(&self.api(), self.network, finalize::NETWORK)
            .await
            .map_err(self.failed("the finalizer"))?;
        Ok(pace::calm())
    }

    /// Says why the removal doesn't go on.
    async fn stuck(&self, error: BackendError) -> Result<Duration, PassError> {
        let before = self.network.status.as_ref();
        let status = deleting(before, reason_of(&error), &chain(&error), Timestamp::now());
        self.write(status).await?;
        Err(error.into())
    }

    /// When to look again at a network that is kept.
    fn pause(&self, status: &LedgerNetworkStatus) -> Duration {
        // People who have to approve something take their time.
        let is_voted_on = |one: &Condition| one.type_ == kind::PROGRESSING && one.reason == reason::NEEDS_GOVERNANCE;
        if is_settled(status) {
            self.context.still.reset(&self.key);
            pace::calm()
        } else if status.conditions.iter().any(is_voted_on) {
            pace::WAITING
        } else {
            self.unsettled(status)
        }
    }

    /// When to look again at a network that isn't yet what it is to be: soon while it moves, and less and less often while
    /// it doesn't, as when its nodes answer nobody. What Kubernetes has to tell of its pods wakes us anyway.
    fn unsettled(&self, status: &LedgerNetworkStatus) -> Duration {
        self.context.still.longer_while(&self.key, status::look(status))
    }

    async fn namespace_goes(&self) -> bool {
        let api: Api<Namespace> = Api::all(self.context.client.clone());
        let found = api.get_opt(&self.network.namespace().unwrap_or_default()).await;
        found.is_ok_and(|space| space.is_none_or(|space| space.metadata.deletion_timestamp.is_some()))
    }

    /// `None` for a name that nothing can have been made for.
    fn name(&self) -> Option<NetworkRef> {
        Some(NetworkRef {
            tenant: TenantName::new(self.network.namespace()?).ok()?,
            name: NetworkName::new(self.network.name_any()).ok()?,
        })
    }
}

fn reason_of(error: &BackendError) -> &'static str {
    match error {
        BackendError::OtherPlacement { .. } => reason::INVALID,
        BackendError::KeysLost { .. } => reason::KEYS_LOST,
        BackendError::NoHosts { .. } | BackendError::HostsFull { .. } => reason::NO_ROOM,
        BackendError::HostsOff { .. } => reason::HOSTS_OFF,
        _ => reason::PLATFORM,
    }
}

/// Nothing is under way and nobody is missing.
fn is_settled(status: &LedgerNetworkStatus) -> bool {
    let hibernated = is_true(&status.conditions, kind::HIBERNATED);
    let well = is_true(&status.conditions, kind::READY) && !is_true(&status.conditions, kind::DEGRADED);
    (well || hibernated) && !is_true(&status.conditions, kind::PROGRESSING)
}
