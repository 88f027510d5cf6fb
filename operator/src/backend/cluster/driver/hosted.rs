//! What of this backend is about networks in hosts.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use muniment_crds::{DeletionPolicy, Placement};

use super::ClusterBackend;
use crate::backend::cluster::hosts::{HostRestart, Shared};
use crate::backend::{BackendError, Removal};
use crate::network::NetworkRef;

impl ClusterBackend {
    pub(super) fn shared(&self) -> Option<Shared<'_>> {
        Shared::of(&self.access, &self.settings, &self.prober, &self.gate)
    }

    /// The hosts and the port of a network that is placed there.
    pub(super) async fn placed(&self, network: &NetworkRef) -> Result<Option<(Shared<'_>, u16)>, BackendError> {
        let shared = self.shared();
        let given = match &shared {
            Some(shared) => shared.port(network).await?,
            None => None,
        };
        if given.is_none() && self.durable(network).placement().await? != Some(Placement::Shared) {
            return Ok(None);
        }
        let shared = shared.ok_or_else(|| BackendError::HostsOff {
            network: network.clone(),
        })?;
        let port = match given {
            Some(port) => Some(port),
            None => shared.seated(network).await?,
        };
        Ok(port.map(|port| (shared, port)))
    }

    /// The hosts for a network that is to be there, or is.
    pub(super) async fn hosts_of(&self, network: &NetworkRef) -> Result<Shared<'_>, BackendError> {
        if let Some(shared) = self.shared() {
            return Ok(shared);
        }
        let network = network.clone();
        match self.durable(&network).sealed().await? {
            Some(_) => Err(BackendError::HostsOff { network }),
            None => Err(BackendError::NoHosts { network }),
        }
    }

    /// All networks that sit in the hosts, wanted or not.
    ///
    /// # Errors
    /// When the hosts' objects can't be read.
    pub async fn seated(&self) -> Result<BTreeSet<NetworkRef>, BackendError> {
        match self.shared() {
            Some(shared) => shared.networks().await,
            None => Ok(BTreeSet::new()),
        }
    }

    /// Takes one step of the removal of a network from the hosts, with nothing of what it had in its namespace.
    ///
    /// # Errors
    /// When the hosts' objects can't be read or written, or hosts are switched off and the network is to be in them.
    pub async fn evict(
        &self,
        network: &NetworkRef,
        placement: Placement,
        data: DeletionPolicy,
    ) -> Result<Removal, BackendError> {
        match self.shared() {
            Some(shared) => shared.evict(network, data == DeletionPolicy::Delete).await,
            // Its seats would be forgotten, with keys and data.
            None if placement == Placement::Shared => Err(BackendError::HostsOff {
                network: network.clone(),
            }),
            None => Ok(Removal::Done),
        }
    }

    /// Restarts a host by deleting its pod, unless a validator in another host is out.
    ///
    /// # Errors
    /// When the hosts' objects can't be read, or the pod can't be deleted.
    pub async fn restart_host(&self, pod: &Pod) -> Result<HostRestart, BackendError> {
        match self.shared() {
            Some(shared) => shared.restart(pod).await,
            None => Ok(HostRestart::Held("hosts are switched off".to_owned())),
        }
    }

    /// Takes orders to the hosts back that were followed.
    ///
    /// # Errors
    /// When the hosts' objects can't be read or written.
    pub async fn tidy_hosts(&self) -> Result<(), BackendError> {
        match self.shared() {
            Some(shared) => shared.take_all_back().await,
            None => Ok(()),
        }
    }
}
