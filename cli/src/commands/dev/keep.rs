//! Brings about what is described: tells the controller which networks are wanted, gives new tenants their keys, and takes
//! away what is deleted.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use muniment_api::Access;
use muniment_api::embedded::{Described, Embedded};
use muniment_api::resources::{Resources, Target};
use muniment_crds::{LedgerNetworkSpec, NetworkName, TenantName};
use muniment_operator::{Controller, Desired, Local, NetworkRef, Removal};
use muniment_receipts::genesis::Member;

use super::judge::{Desk, read, resource};
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

/// Which networks are wanted, each with who signs for its tenant.
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
        let signer = keys.signer(tenant).await.map_err(|error| sentence("tenant", &error))?;
        desk.signs(tenant, &signer.to_string());
        desired.push(Desired {
            resource,
            members: vec![Member {
                name: tenant.clone(),
                key: signer.to_string(),
            }],
        });
    }
    Ok(desired)
}

impl Keeper {
    /// Goes on until it is dropped. `wanted` is what the controller was started with.
    pub async fn run(&self, mut wanted: Vec<Desired>) {
        let (mut changes, mut outcomes) = (self.described.changes(), self.controller.outcomes());
        // Whether the controller has looked since it was told last: only then nothing of what it was told before is
        // under way.
        let mut looked = true;
        loop {
            changes.borrow_and_update();
            if let Err(failure) = self.pass(&mut wanted, &mut looked).await {
                tracing::warn!("what is described can't be brought about: {failure}");
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                changed = outcomes.changed() => {
                    if changed.is_err() { return }
                    looked = true;
                    self.described.touch();
                }
            }
        }
    }

    async fn pass(&self, wanted: &mut Vec<Desired>, looked: &mut bool) -> Result<()> {
        let all = self.described.all();
        for one in &all {
            if let Target::Tenant(tenant) = &one.target {
                self.tenant(tenant, one.deleting, &all).await?;
            }
        }
        let desired = desired(&all, &self.keys, &self.desk).await?;
        if desired != *wanted {
            self.controller.want(desired.clone());
            (*wanted, *looked) = (desired, false);
        }
        if !*looked {
            return Ok(());
        }
        for one in all.iter().filter(|one| one.deleting) {
            if let Target::Network(tenant, name) = &one.target
                && let (Ok(tenant), Ok(name)) = (TenantName::new(tenant), NetworkName::new(name))
            {
                self.remove(&NetworkRef { tenant, name }).await?;
                self.forget(&one.target).await?;
            }
        }
        Ok(())
    }

    /// Gives a tenant its keys, or forgets one that is deleted.
    async fn tenant(&self, tenant: &str, deleting: bool, all: &[Described]) -> Result<()> {
        if deleting {
            access::forget(&self.root, tenant)?;
            return self.forget(&Target::Tenant(tenant.to_owned())).await;
        }
        let networks: BTreeSet<&str> = all
            .iter()
            .filter_map(|one| match &one.target {
                Target::Network(of, name) if of == tenant && !one.deleting => Some(name.as_str()),
                _ => None,
            })
            .collect();
        let first = networks.first().copied().unwrap_or_default();
        access::grant(&self.keys, &self.root, &self.server, tenant, first).await
    }

    async fn forget(&self, target: &Target) -> Result<()> {
        let gone = self.described.forget(target).await;
        gone.map_err(|error| sentence("store", &error))
    }

    async fn remove(&self, network: &NetworkRef) -> Result<()> {
        while self
            .local
            .remove(network)
            .await
            .map_err(|error| sentence("network", &error))?
            == Removal::Pending
        {
            tokio::time::sleep(AGAIN).await;
        }
        tracing::info!(network = network.to_string(), "removed; its data is kept in `removed`");
        Ok(())
    }
}
