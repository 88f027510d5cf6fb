//! Looks for what sits in the hosts for networks that are gone, and says it: no pass is about them any more. Takes nothing
//! away.

use std::time::Duration;

use kube::runtime::reflector::{ObjectRef, Store};
use muniment_crds::LedgerNetwork;

use crate::backend::BackendError;
use crate::backend::cluster::{Access, ClusterBackend};
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
        if let Err(error) = look(&access, &networks, backend).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "it can't be seen what is left over in the hosts");
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// One look. What is left over is said and left alone: a description that isn't there may be about to come back from a
/// backup, and its seats may be all that runs of it.
async fn look(access: &Access, networks: &Store<LedgerNetwork>, backend: &ClusterBackend) -> Result<(), BackendError> {
    // Who sits there is looked at first: the description of whoever comes meanwhile is there by then.
    for network in backend.seated().await? {
        match is_described(access, networks, &network).await {
            Ok(true) => {}
            Ok(false) => tracing::warn!(
                %network,
                "sits in the hosts without a LedgerNetwork; make it again with the same name and placement, and delete it"
            ),
            // The others are looked for all the same.
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(%network, error, "it can't be seen whether this is left over in the hosts");
            }
        }
    }
    backend.tidy_hosts().await
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
