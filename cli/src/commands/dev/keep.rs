//! Brings about what is described: tells the controller which networks are wanted, gives new tenants their keys, and takes
//! away what is deleted.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use muniment_api::Access;
use muniment_api::embedded::{Described, Embedded};
use muniment_api::resources::{Resources, Target};
use muniment_crds::LedgerNetworkSpec;
use muniment_operator::{Controller, Desired, Local, NetworkRef, Removal};
use muniment_receipts::genesis::Member;

use super::judge::{Desk, Reports, read, reference, resource};
use super::{access, sentence};
use crate::error::Result;

/// A removal that waits for its processes is asked again after this.
const AGAIN: Duration = Duration::from_millis(200);

/// Who keeps the networks of one `dev`.
pub struct Keeper {
    /// Keys of tenants.
    pub keys: Access,
    /// What is described.
    pub described: Arc<Embedded>,
    /// Who judges it; told the tenants' signers.
    pub desk: Arc<Desk>,
    /// What runs.
    pub local: Arc<Local>,
    /// Keeps it running.
    pub controller: Controller,
    /// Data folder.
    pub root: PathBuf,
    /// URL of the API.
    pub server: String,
}

/// Which networks are wanted, each with who signs for its tenant. What can't be used is left out, and its status says why.
///
/// # Errors
/// When a key can't be made or stored.
pub async fn desired(described: &[Described], keys: &Access, desk: &Desk) -> Result<Vec<Desired>> {
    let mut desired = Vec::new();
    for one in described.iter().filter(|one| !one.deleting) {
        let Ok(spec) = read::<LedgerNetworkSpec>(&one.spec) else {
            continue;
        };
        let (Target::Network(tenant, _), Some(resource)) = (&one.target, resource(&one.target, one.generation, spec))
        else {
            continue;
        };
        let key = signer(tenant, keys, desk).await?;
        desired.push(Desired {
            resource,
            members: vec![Member {
                name: tenant.clone(),
                key,
            }],
        });
    }
    Ok(desired)
}

async fn signer(tenant: &str, keys: &Access, desk: &Desk) -> Result<String> {
    let signer = keys.signer(tenant).await.map_err(|error| sentence("tenant", &error))?;
    desk.signs(tenant, &signer.to_string());
    Ok(signer.to_string())
}

impl Keeper {
    /// Goes on until it is dropped. `wanted` is what the controller was started with.
    pub async fn run(&self, mut wanted: Vec<Desired>) {
        let (mut changes, mut outcomes) = (self.described.changes(), self.controller.outcomes());
        // Whether the controller has reported since it was told last: only then nothing that it was told before is under
        // way.
        let mut reported = true;
        loop {
            changes.borrow_and_update();
            self.pass(&mut wanted, &mut outcomes, &mut reported).await;
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                changed = outcomes.changed() => {
                    if changed.is_err() { return }
                    reported = true;
                    self.described.touch();
                }
            }
        }
    }

    async fn pass(&self, wanted: &mut Vec<Desired>, outcomes: &mut Reports, reported: &mut bool) {
        let all = self.described.all();
        for one in &all {
            if let Target::Tenant(tenant) = &one.target {
                told(tenant, self.tenant(tenant, one.deleting, &all).await);
            }
        }
        match desired(&all, &self.keys, &self.desk).await {
            Ok(desired) if desired != *wanted => {
                self.controller.want(desired.clone());
                outcomes.mark_unchanged();
                (*wanted, *reported) = (desired, false);
            }
            Ok(_) => {}
            Err(failure) => return told("all networks", Err(failure)),
        }
        for one in all.iter().filter(|one| one.deleting) {
            let Some(network) = reference(&one.target) else {
                continue;
            };
            // A pass that the last report tells of may have been over it.
            let key = network.to_string();
            let under_way = !*reported || outcomes.borrow().contains_key(&key);
            if !under_way {
                told(&key, self.remove(&network, &one.target).await);
            }
        }
    }

    /// Gives a tenant its keys, or forgets one that is deleted.
    async fn tenant(&self, tenant: &str, deleting: bool, all: &[Described]) -> Result<()> {
        if deleting {
            access::forget(&self.root, tenant)?;
            self.desk.forget(tenant);
            let gone = self.described.forget_tenant(tenant).await;
            return gone.map_err(|error| sentence("store", &error));
        }
        let networks: BTreeSet<&str> = all
            .iter()
            .filter_map(|one| match &one.target {
                Target::Network(of, name) if of == tenant && !one.deleting => Some(name.as_str()),
                _ => None,
            })
            .collect();
        let first = networks.first().copied().unwrap_or_default();
        access::grant(&self.keys, &self.root, &self.server, tenant, first).await?;
        signer(tenant, &self.keys, &self.desk).await.map(drop)
    }

    /// Puts a network's ledger aside, and forgets the network.
    async fn remove(&self, network: &NetworkRef, target: &Target) -> Result<()> {
        let id = self.local.recall(network).and_then(|status| status.network_id);
        let id = id.and_then(|id| {
            let mut bytes = [0; 32];
            hex::decode_to_slice(id, &mut bytes).ok().map(|()| bytes)
        });
        while self
            .local
            .remove(network)
            .await
            .map_err(|error| sentence("network", &error))?
            == Removal::Pending
        {
            tokio::time::sleep(AGAIN).await;
        }
        let gone = self.described.forget_network(target, id).await;
        gone.map_err(|error| sentence("store", &error))?;
        tracing::info!(network = network.to_string(), "removed; its data is kept in `removed`");
        Ok(())
    }
}

/// One that fails must not stop the others; it is tried again at the next change or report.
fn told(what: &str, outcome: Result<()>) {
    if let Err(failure) = outcome {
        tracing::warn!(what, "what is described can't be brought about: {failure}");
    }
}
