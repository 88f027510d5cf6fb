//! One pass over one network: validate → allocate → plan → apply → status.
//!
//! Only the second and the fourth step touch the world.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use muniment_crds::jiff::Timestamp;
use muniment_crds::{DeletionPolicy, LedgerNetwork, LedgerNetworkStatus};
use muniment_receipts::genesis::Member;
use thiserror::Error;

use crate::backend::{Backend, BackendError, Removal};
use crate::catalog::Catalog;
use crate::network::NetworkRef;
use crate::plan::{Plan, PlanError, check_signers, plan};
use crate::status::status;
use crate::validate::{ValidationError, validate};

/// A pass that didn't reach its end.
#[derive(Debug, Error)]
pub enum ReconcileError {
    /// The description can't be used; waits for a change of it.
    #[error(transparent)]
    Invalid(#[from] ValidationError),
    /// No plan can be made.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The backend couldn't.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl ReconcileError {
    /// Whether trying again can help without a change by a person.
    pub fn retry(&self) -> bool {
        match self {
            Self::Invalid(_) | Self::Plan(_) => false,
            Self::Backend(error) => error.retry(),
        }
    }
}

/// Takes networks through the steps and remembers their last status.
pub struct Reconciler<B> {
    backend: Arc<B>,
    catalog: Catalog,
    known: Mutex<BTreeMap<NetworkRef, Known>>,
}

#[derive(Clone)]
struct Known {
    generation: Option<i64>,
    plan: Plan,
    status: LedgerNetworkStatus,
}

impl<B: Backend> Reconciler<B> {
    /// Over a backend, with these templates at hand.
    pub fn new(backend: Arc<B>, catalog: Catalog) -> Self {
        Self {
            backend,
            catalog,
            known: Mutex::default(),
        }
    }

    /// The templates at hand.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The backend.
    pub fn backend(&self) -> &Arc<B> {
        &self.backend
    }

    /// Takes one network through all steps. `members` are those that we sign for: they join those of the resource in a
    /// new genesis, and must be in a sealed one.
    ///
    /// # Errors
    /// Of the step that failed.
    pub async fn reconcile(
        &self,
        resource: &LedgerNetwork,
        members: &[Member],
    ) -> Result<LedgerNetworkStatus, ReconcileError> {
        self.pass(resource, members, &self.catalog, true).await
    }

    /// As [`Self::reconcile`], with other templates at hand, and whether or not `members` are in a sealed genesis: the
    /// network's own governance may have changed its members since.
    ///
    /// # Errors
    /// Of the step that failed.
    pub async fn reconcile_with(
        &self,
        resource: &LedgerNetwork,
        members: &[Member],
        catalog: &Catalog,
    ) -> Result<LedgerNetworkStatus, ReconcileError> {
        self.pass(resource, members, catalog, false).await
    }

    async fn pass(
        &self,
        resource: &LedgerNetwork,
        members: &[Member],
        catalog: &Catalog,
        must_be_members: bool,
    ) -> Result<LedgerNetworkStatus, ReconcileError> {
        let wanted = validate(resource, members, catalog)?;
        let facts = self.backend.allocate(&wanted).await?;
        if let Some(sealed) = facts.sealed.as_ref().filter(|_| must_be_members) {
            check_signers(&wanted.network, members, sealed)?;
        }
        let plan = plan(&wanted, &facts)?;
        let before = self.recall(&wanted.network).or_else(|| resource.status.clone());
        // Known before it is applied: what can't be brought about whole can be looked at all the same.
        self.remember(
            wanted.network.clone(),
            Known {
                generation: wanted.generation,
                plan: plan.clone(),
                status: before.clone().unwrap_or_default(),
            },
        );
        let seen = self.backend.apply(&plan).await?;
        let status = status(wanted.generation, &plan, &seen, before.as_ref(), Timestamp::now());
        self.remember(
            wanted.network,
            Known {
                generation: wanted.generation,
                plan,
                status: status.clone(),
            },
        );
        Ok(status)
    }

    /// Looks at a network that was reconciled before, without changing anything.
    ///
    /// # Errors
    /// When the backend can't look.
    pub async fn look(&self, network: &NetworkRef) -> Result<Option<LedgerNetworkStatus>, BackendError> {
        let Some(mut known) = self.known(network) else {
            return Ok(None);
        };
        let Some(seen) = self.backend.observe(network).await? else {
            return Ok(None);
        };
        known.status = status(
            known.generation,
            &known.plan,
            &seen,
            Some(&known.status),
            Timestamp::now(),
        );
        let answer = known.status.clone();
        self.remember(network.clone(), known);
        Ok(Some(answer))
    }

    /// Takes one step of the removal of a network.
    ///
    /// # Errors
    /// When the backend can't.
    pub async fn remove(&self, network: &NetworkRef, data: DeletionPolicy) -> Result<Removal, BackendError> {
        let removal = self.backend.remove(network, data).await?;
        if removal == Removal::Done {
            self.known
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(network);
        }
        Ok(removal)
    }

    /// The last status, so that times of transition survive a restart of whoever drives this.
    pub fn recall(&self, network: &NetworkRef) -> Option<LedgerNetworkStatus> {
        self.known(network).map(|known| known.status)
    }

    fn known(&self, network: &NetworkRef) -> Option<Known> {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(network)
            .cloned()
    }

    fn remember(&self, network: NetworkRef, known: Known) {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(network, known);
    }
}
