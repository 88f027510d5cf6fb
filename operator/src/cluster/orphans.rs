//! Looks for what sits in the hosts for networks that are gone: no pass is about them any more.

use std::time::Duration;

use kube::runtime::reflector::{ObjectRef, Store};
use muniment_crds::{DeletionPolicy, LedgerNetwork};

use super::pace;
use crate::backend::cluster::{Access, ClusterBackend};
use crate::backend::{BackendError, Removal};
use crate::network::NetworkRef;

/// Between looks.
const LOOK: Duration = Duration::from_secs(300);

/// Looks again and again, for ever.
pub async fn keep(access: Access, networks: Store<LedgerNetwork>, backend: &ClusterBackend) {
    // An empty store at the start is no cluster without networks.
    if networks.wait_until_ready().await.is_err() {
        return;
    }
    loop {
        let pause = match sweep(&access, &networks, backend).await {
            Ok(Removal::Done) => LOOK,
            Ok(Removal::Pending) => pace::WAITING,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "what is left over in the hosts can't be taken away");
                LOOK
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// One look. Keys, genesis and data are left alone, wherever they still are.
async fn sweep(
    access: &Access,
    networks: &Store<LedgerNetwork>,
    backend: &ClusterBackend,
) -> Result<Removal, BackendError> {
    let mut all = Removal::Done;
    // Who sits there is looked at first: the description of whoever comes meanwhile is there by then.
    for network in backend.seated().await? {
        if is_described(access, networks, &network).await? {
            continue;
        }
        tracing::info!(%network, "taken out of the hosts: its description is gone");
        if backend.evict(&network, DeletionPolicy::Retain).await? == Removal::Pending {
            all = Removal::Pending;
        }
    }
    backend.tidy_hosts().await?;
    Ok(all)
}

/// What was watched may be old: only the API server's own word makes a network an orphan.
async fn is_described(
    access: &Access,
    networks: &Store<LedgerNetwork>,
    network: &NetworkRef,
) -> Result<bool, BackendError> {
    let (tenant, name) = (network.tenant.as_str(), network.name.as_str());
    if networks.get(&ObjectRef::new(name).within(tenant)).is_some() {
        return Ok(true);
    }
    Ok(access.get::<LedgerNetwork>(tenant, name).await?.is_some())
}
