//! Who is out now: what is asked before a host is restarted, and before a seat gets new settings.
//!
//! Owns the one lock that both are done under, from the question to the deed: neither is decided on what the other is
//! just changing. What counts is what hosts and seats say at that moment, so nothing is lost with the operator.

use futures::future::join_all;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt;
use tokio::sync::Mutex;

use super::observe::View;
use super::seats::{Files, seats_in};
use super::{HOSTS, SHARDS, Shared};
use crate::backend::BackendError;
use crate::backend::cluster::{observe, speech};
use crate::prober::SeatAnswer;

/// Held by whoever takes validators in hosts away.
#[derive(Default)]
pub struct Gate(pub Mutex<()>);

impl Shared<'_> {
    /// Restarts a host, unless a validator in another one is out. `false`: not now.
    pub async fn restart(&self, host: &Pod) -> Result<bool, BackendError> {
        let _held = self.gate.0.lock().await;
        let pods = self.pods().await?;
        for other in (0..HOSTS).filter(|other| self.hosts.pod(*other) != host.name_any()) {
            let pod = self.pod_of(other, &pods).filter(|pod| speech::is_ready(pod));
            let Some(pod) = pod else { return Ok(false) };
            if !self.is_whole(other, pod).await? {
                return Ok(false);
            }
        }
        self.access.delete(host).await?;
        Ok(true)
    }

    /// Whether everyone in a host takes part, as it is to be now: the host says so, and has taken over what lies in its
    /// Secrets.
    async fn is_whole(&self, host: usize, pod: &Pod) -> Result<bool, BackendError> {
        let Some(address) = observe::host(pod) else {
            return Ok(false);
        };
        if !self.prober.is_whole(&self.hosts.base(&address)).await {
            return Ok(false);
        }
        for shard in 0..SHARDS {
            let secret = self.part(host, shard).await?;
            if !self.has_taken_over(&address, &secret).await {
                tracing::info!(
                    host,
                    part = shard,
                    "a seat isn't taken over yet: no other host is restarted"
                );
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn has_taken_over(&self, address: &str, secret: &Secret) -> bool {
        let seats = seats_in(secret);
        let runs = seats.keys().map(|seat| async move {
            let files = Files::of(secret, seat);
            // What can't be read runs nowhere.
            let Some(token) = files.token(seat) else { return true };
            match self.prober.seat(&self.hosts.seat_url(address, seat), &token).await {
                SeatAnswer::Taken(status) => Some(status.settings) == files.settings(seat),
                SeatAnswer::Free | SeatAnswer::Silent => false,
            }
        });
        join_all(runs).await.into_iter().all(|runs| runs)
    }

    /// Gives a seat settings that restart its replica, unless another host isn't the one any more that was seen.
    pub(super) async fn restart_seat(
        &self,
        views: &[View],
        own: &View,
        secret: &Secret,
        patch: &serde_json::Value,
    ) -> Result<(), BackendError> {
        let _held = self.gate.0.lock().await;
        let now = self.pods().await?;
        let others = views.iter().filter(|view| view.name != own.name);
        if others
            .filter_map(|view| view.pod.as_ref())
            .all(|pod| is_still(pod, &now))
        {
            self.change(secret, own.pod.as_ref(), patch).await?;
        }
        Ok(())
    }
}

/// Whether a pod that was seen is still there, and stays.
fn is_still(seen: &Pod, now: &[Pod]) -> bool {
    let same = now
        .iter()
        .find(|pod| pod.uid() == seen.uid() && pod.name_any() == seen.name_any());
    same.is_some_and(|pod| pod.metadata.deletion_timestamp.is_none())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_host_that_was_made_anew_or_goes_is_another() {
        let pod = |uid: &str, going: bool| -> Pod {
            let at = going.then_some("2026-01-01T00:00:00Z");
            serde_json::from_value(json!({ "metadata": { "name": "h", "uid": uid, "deletionTimestamp": at } })).unwrap()
        };
        let seen = pod("1", false);
        assert!(is_still(&seen, &[pod("1", false)]));
        for now in [vec![], vec![pod("2", false)], vec![pod("1", true)]] {
            assert!(!is_still(&seen, &now), "{now:?}");
        }
    }
}
