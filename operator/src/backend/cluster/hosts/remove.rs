//! Takes a network out of the hosts, and its data away if that is wanted.

use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt;
use muniment_ledger::mounted::seats::folder_name;
use serde_json::json;

use super::look::{Seen, Whose};
use super::orphans::departure;
use super::seats::{erase_key, orders_in};
use super::{Shared, seat_name};
use crate::backend::cluster::observe;
use crate::backend::{BackendError, Removal};
use crate::network::NetworkRef;
use crate::prober::SeatAnswer;

impl Shared<'_> {
    /// Takes the seats back; with `erase`, also the data in the hosts. Answers `Done` when both are gone from every host
    /// that runs; one that doesn't run finds the order in its Secret when it comes back.
    pub async fn remove(&self, network: &NetworkRef, port: u16, erase: bool) -> Result<Removal, BackendError> {
        let Some(genesis) = self.durable(network).sealed().await? else {
            return self.evict(network, erase).await;
        };
        let id = genesis.network_id().map(hex::encode).unwrap_or_default();
        let token = self.token(network, port).await?;
        let whose = Whose {
            network,
            id: Some(&id),
            validators: genesis.validators.iter().map(|v| v.name.clone()).collect(),
            port,
            token: &token,
        };
        let seen = self.look(&whose).await?;
        let mut pending = false;
        for (view, secret) in seen.views.iter().zip(&seen.secrets) {
            if !view.files.is_empty() {
                // The order stands beside it at once: there may be no second pass.
                let patch = departure(&view.files, &seat_name(network), erase);
                self.change(secret, view.pod.as_ref(), &patch).await?;
                pending = true;
            } else if matches!(view.said, SeatAnswer::Taken(_)) {
                self.tell_again(view).await?;
                pending = true;
            }
        }
        if pending {
            return Ok(Removal::Pending);
        }
        if erase && !self.erase(&seen, &folder_name(&seat_name(network), &id)).await? {
            return Ok(Removal::Pending);
        }
        // Also what lies where it shouldn't, from a port that it had before.
        self.evict(network, false).await
    }

    /// Orders the data of a network away; whether every host that runs has followed.
    async fn erase(&self, seen: &Seen, folder: &str) -> Result<bool, BackendError> {
        let key = erase_key(folder);
        let mut all = true;
        for (view, secret) in seen.views.iter().zip(&seen.secrets) {
            let address = view.pod.as_ref().and_then(observe::host);
            if secret.data.as_ref().is_none_or(|data| !data.contains_key(&key)) {
                let order = json!({ "data": { &key: "" } });
                self.change(secret, view.pod.as_ref(), &order).await?;
                all &= address.is_none();
            } else if let Some(address) = address
                && !self.prober.is_erased(&self.hosts.base(&address), folder).await
            {
                self.tell_again(view).await?;
                all = false;
            }
        }
        if all {
            self.take_back(seen).await?;
        }
        Ok(all)
    }

    /// Takes back orders that hosts have followed.
    pub(super) async fn take_back(&self, seen: &Seen) -> Result<(), BackendError> {
        for (view, secret) in seen.views.iter().zip(&seen.secrets) {
            self.take_back_from(secret, view.pod.as_ref()).await?;
        }
        Ok(())
    }

    pub(super) async fn take_back_from(&self, secret: &Secret, pod: Option<&Pod>) -> Result<(), BackendError> {
        let Some(address) = pod.and_then(observe::host) else {
            return Ok(());
        };
        for folder in orders_in(secret) {
            if self.prober.is_erased(&self.hosts.base(&address), &folder).await {
                let change = json!({ "data": { erase_key(&folder): null } });
                self.access
                    .merge::<Secret>(&self.hosts.namespace, &secret.name_any(), &change)
                    .await?;
            }
        }
        Ok(())
    }
}
