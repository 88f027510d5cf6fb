//! Seats and ports of networks that aren't there any more: their namespace went and took our rights in it along, or a hand
//! took the finalizer off.
//!
//! Works with the control plane's own objects only, so that it can be done when nothing else is left. The data on the
//! hosts' volumes stays, unless it is ordered away.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::seats::{Files, erase_key};
use super::{HOSTS, SHARDS, Shared, seat_name};
use crate::backend::cluster::names;
use crate::backend::{BackendError, Removal};
use crate::network::NetworkRef;

impl Shared<'_> {
    /// Takes the seats of a network out of every host; with `erase`, orders its data away. `Done` when no seat was left,
    /// and then its port is free again.
    pub async fn evict(&self, network: &NetworkRef, erase: bool) -> Result<Removal, BackendError> {
        let seat = seat_name(network);
        let pods = self.pods().await?;
        let mut left = false;
        for (host, shard) in parts() {
            let Some(secret) = self.part_if_there(host, shard).await? else {
                continue;
            };
            let files = Files::of(&secret, &seat);
            if files.is_empty() {
                continue;
            }
            left = true;
            self.change(&secret, self.pod_of(host, &pods), &departure(&files, &seat, erase))
                .await?;
        }
        if left {
            return Ok(Removal::Pending);
        }
        self.ports().release(network).await?;
        Ok(Removal::Done)
    }

    /// Takes back orders that were followed, in all hosts: nobody else looks for those of a network that is gone.
    pub async fn take_all_back(&self) -> Result<(), BackendError> {
        let pods = self.pods().await?;
        for (host, shard) in parts() {
            if let Some(secret) = self.part_if_there(host, shard).await? {
                self.take_back_from(&secret, self.pod_of(host, &pods)).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn pods(&self) -> Result<Vec<Pod>, BackendError> {
        self.access.list(&self.hosts.namespace, &names::hosts()).await
    }

    pub(super) fn pod_of<'p>(&self, host: usize, pods: &'p [Pod]) -> Option<&'p Pod> {
        pods.iter().find(|pod| pod.name_any() == self.hosts.pod(host))
    }
}

/// Every part of every host. They are read one after another: together they are large.
pub fn parts() -> impl Iterator<Item = (usize, usize)> {
    (0..HOSTS).flat_map(|host| (0..SHARDS).map(move |shard| (host, shard)))
}

/// A merge patch that takes a seat away. The order stands beside it at once: a host that sees both stops the replica first.
pub(super) fn departure(files: &Files, seat: &str, erase: bool) -> Value {
    let mut patch = files.patch(&Files::default());
    if let Some(folder) = files.folder(seat).filter(|_| erase) {
        patch["data"][erase_key(&folder)] = json!("");
    }
    patch
}
