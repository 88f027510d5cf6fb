//! Passes over one `Tenant`: its namespace with policies, rights and quota, and its status.

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Namespace, ResourceQuota};
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::runtime::controller::Action;
use kube::runtime::events::Recorder;
use kube::runtime::reflector::Store;
use kube::{Api, Client, Resource, ResourceExt};
use muniment_crds::condition::{kind, reason};
use muniment_crds::jiff::Timestamp;
use muniment_crds::{DeletionPolicy, LedgerNetwork, Tenant, TenantName, TenantStatus};
use muniment_receipts::chain;
use thiserror::Error;

use super::metrics::Metrics;
use super::pace::{self, Pace};
use super::tenant_status::{Space, kept, leaving};
use super::{events, finalize, quota, status, tenant_objects};
use crate::backend::BackendError;
use crate::backend::cluster::names::{FIELD_MANAGER, TENANT};
use crate::backend::cluster::{Access, ApiFailure, ClusterSettings};

/// Kubernetes looks for new kinds each half a minute.
const COUNTABLE: Duration = Duration::from_secs(90);

/// What every pass needs.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// The API server, for objects in namespaces.
    pub access: Access,
    /// How this operator runs nodes.
    pub settings: ClusterSettings,
    /// All networks, as watched.
    pub networks: Store<LedgerNetwork>,
    /// Where events go.
    pub recorder: Recorder,
    /// Pauses after failures.
    pub pace: Pace,
    /// What is counted.
    pub metrics: Metrics,
}

/// A pass couldn't do or report something.
#[derive(Debug, Error)]
pub enum PassError {
    /// The API server didn't take a call.
    #[error("{what} of tenant {tenant} can't be written")]
    Write {
        /// What.
        what: &'static str,
        /// Which tenant.
        tenant: String,
        /// Why.
        #[source]
        source: ApiFailure,
    },
    /// An object in the namespace.
    #[error(transparent)]
    Object(#[from] BackendError),
}

/// One pass.
pub async fn reconcile(tenant: Arc<Tenant>, context: Arc<Context>) -> Result<Action, PassError> {
    // At the start the other watch may come later than ours; an empty store is no tenant without networks.
    if context.networks.wait_until_ready().await.is_err() {
        return Ok(Action::await_change());
    }
    let begin = Instant::now();
    let pass = Pass {
        name: tenant.name_any(),
        tenant: &tenant,
        context: &context,
    };
    // A protected tenant is kept as it is, whoever wants it gone.
    let result = if tenant.metadata.deletion_timestamp.is_some() && !tenant.spec.prevent_deletion {
        pass.remove().await
    } else {
        pass.keep().await
    };
    context.metrics.pass("Tenant", result.is_ok(), begin.elapsed());
    result.map(Action::requeue)
}

/// After a pass that couldn't report.
pub fn on_error(tenant: Arc<Tenant>, error: &PassError, context: Arc<Context>) -> Action {
    let name = tenant.name_any();
    tracing::warn!(tenant = name, error = error as &dyn std::error::Error, "pass failed");
    Action::requeue(context.pace.longer(&name))
}

struct Pass<'a> {
    name: String,
    tenant: &'a Tenant,
    context: &'a Context,
}

impl Pass<'_> {
    fn api(&self) -> Api<Tenant> {
        Api::all(self.context.client.clone())
    }

    fn namespaces(&self) -> Api<Namespace> {
        Api::all(self.context.client.clone())
    }

    fn failed(&self, what: &'static str) -> impl FnOnce(kube::Error) -> PassError {
        let tenant = self.name.clone();
        move |error| PassError::Write {
            what,
            tenant,
            source: error.into(),
        }
    }

    async fn keep(&self) -> Result<Duration, PassError> {
        if TenantName::new(&self.name).is_ok()
            && finalize::add(&self.api(), self.tenant, finalize::TENANT)
                .await
                .map_err(self.failed("the finalizer"))?
        {
            return Ok(pace::BUSY);
        }
        let space = match self.namespace().await {
            Ok(Space::Ready) => self.fill().await.map(|()| Space::Ready),
            other => other,
        };
        let (space, pause) = match space {
            Ok(space) => {
                self.context.pace.reset(&self.name);
                let pause = self.uncounted().map_or_else(pace::calm, |left| left.min(pace::calm()));
                (space, pause)
            }
            Err(error) => {
                tracing::warn!(
                    tenant = self.name,
                    error = &error as &dyn std::error::Error,
                    "tenant can't be kept"
                );
                let refused = Space::Refused {
                    reason: reason::PLATFORM,
                    message: chain(&error),
                };
                (refused, self.context.pace.longer(&self.name))
            }
        };
        let usage = quota::usage(&self.own_networks());
        self.write(kept(self.tenant, &space, usage, Timestamp::now())).await?;
        Ok(pause)
    }

    /// Makes the namespace, or adopts one that says it is this tenant's; never any other.
    async fn namespace(&self) -> Result<Space, PassError> {
        if let Err(error) = TenantName::new(&self.name) {
            return Ok(Space::Refused {
                reason: reason::INVALID,
                message: error.to_string(),
            });
        }
        let wanted = tenant_objects::namespace(&self.name);
        let found = self
            .namespaces()
            .get_opt(&self.name)
            .await
            .map_err(self.failed("the namespace"))?;
        if let Some(found) = &found {
            if found.labels().get(TENANT) != Some(&self.name) {
                let message = format!(
                    "namespace `{0}` is there and isn't this tenant's; label it {TENANT}={0} to hand it over, or choose another name",
                    self.name
                );
                return Ok(Space::Refused {
                    reason: reason::FOREIGN_NAMESPACE,
                    message,
                });
            }
            if found.metadata.deletion_timestamp.is_some() {
                let message = format!(
                    "namespace `{}` is being deleted; it is made anew when it is gone",
                    self.name
                );
                return Ok(Space::Refused {
                    reason: reason::DELETING,
                    message,
                });
            }
            let wanted = wanted.labels();
            if wanted.iter().all(|(key, value)| found.labels().get(key) == Some(value)) {
                return Ok(Space::Ready);
            }
        }
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let written = self
            .namespaces()
            .patch(&self.name, &parameters, &Patch::Apply(&wanted))
            .await;
        written.map_err(self.failed("the namespace"))?;
        Ok(Space::Ready)
    }

    /// The operator's own rights come first: everything else needs them.
    async fn fill(&self) -> Result<(), PassError> {
        let (name, settings, access) = (&self.name, &self.context.settings, &self.context.access);
        access.apply(tenant_objects::own_rights(name, settings)).await?;
        access.apply(tenant_objects::default_deny(name)).await?;
        access.apply(tenant_objects::limits(name)).await?;
        let counted = self.uncounted().is_none();
        match tenant_objects::resource_quota(name, &self.tenant.spec.quota, counted) {
            Some(quota) => drop(access.apply(quota).await?),
            None => access.delete_named::<ResourceQuota>(name, "muniment-quota").await?,
        }
        let (secret, role, binding) = tenant_objects::access(name, settings);
        access.apply(secret).await?;
        access.apply(role).await?;
        access.apply(binding).await?;
        Ok(())
    }

    /// How long it is until Kubernetes counts this tenant's networks; `None` when it does. Until then only this operator
    /// keeps a network too many from being made. A tenant is younger than the definition of `LedgerNetwork`.
    fn uncounted(&self) -> Option<Duration> {
        let born = self.tenant.creation_timestamp()?.0;
        let age = Duration::try_from(Timestamp::now().duration_since(born)).unwrap_or_default();
        COUNTABLE.checked_sub(age).filter(|left| !left.is_zero())
    }

    fn own_networks(&self) -> Vec<Arc<LedgerNetwork>> {
        self.context
            .networks
            .state_filter(|network| network.namespace().as_deref() == Some(self.name.as_str()))
    }

    async fn write(&self, status: TenantStatus) -> Result<(), PassError> {
        let old = self.tenant.status.clone().unwrap_or_default();
        // What the management API says in the status isn't ours.
        let mut ours = TenantStatus {
            signer: None,
            ..old.clone()
        };
        ours.conditions.retain(|one| one.type_ != kind::SIGNING_KEY_AVAILABLE);
        if ours == status {
            return Ok(());
        }
        status::write(&self.api(), &self.name, &status)
            .await
            .map_err(self.failed("the status"))?;
        let about = self.tenant.object_ref(&());
        events::tell(&self.context.recorder, &about, &old.conditions, &status.conditions).await;
        Ok(())
    }

    /// Takes one step of the removal: networks first, each by its own policy, then the namespace if that is wanted.
    async fn remove(&self) -> Result<Duration, PassError> {
        let networks = self.own_networks();
        if !networks.is_empty() {
            for network in networks
                .iter()
                .filter(|network| network.metadata.deletion_timestamp.is_none())
            {
                self.context.access.delete(network.as_ref()).await?;
            }
            let message = format!("{} networks are being deleted", networks.len());
            return self.leaving(&message).await;
        }
        if self.tenant.spec.deletion_policy == DeletionPolicy::Delete && self.namespace_is_left().await? {
            return self.leaving("the namespace is being deleted").await;
        }
        self.context.pace.reset(&self.name);
        finalize::remove(&self.api(), self.tenant, finalize::TENANT)
            .await
            .map_err(self.failed("the finalizer"))?;
        Ok(pace::calm())
    }

    async fn leaving(&self, message: &str) -> Result<Duration, PassError> {
        self.write(leaving(self.tenant, message, Timestamp::now())).await?;
        Ok(pace::BUSY)
    }

    /// Deletes the tenant's own namespace. A foreign one of that name is none of ours.
    async fn namespace_is_left(&self) -> Result<bool, PassError> {
        let found = self
            .namespaces()
            .get_opt(&self.name)
            .await
            .map_err(self.failed("the namespace"))?;
        let Some(found) = found.filter(|found| found.labels().get(TENANT) == Some(&self.name)) else {
            return Ok(false);
        };
        if found.metadata.deletion_timestamp.is_none() {
            let preconditions = Preconditions {
                uid: found.uid(),
                resource_version: None,
            };
            let parameters = DeleteParams {
                preconditions: Some(preconditions),
                ..DeleteParams::default()
            };
            let deleted = self.namespaces().delete(&self.name, &parameters).await;
            deleted.map_err(self.failed("the namespace"))?;
        }
        Ok(true)
    }
}
