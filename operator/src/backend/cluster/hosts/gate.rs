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

/// What became of the wish to restart a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostRestart {
    /// Its pod is made anew.
    Done,
    /// Not now, and why.
    Held(String),
}

/// Held by whoever takes validators in hosts away.
#[derive(Default)]
pub struct Gate(pub Mutex<()>);

impl Shared<'_> {
    /// Restarts a host, unless a validator in another one is out.
    pub async fn restart(&self, host: &Pod) -> Result<HostRestart, BackendError> {
        let _held = self.gate.0.lock().await;
        let pods = self.pods().await?;
        for other in (0..HOSTS).filter(|other| self.hosts.pod(*other) != host.name_any()) {
            let name = self.hosts.pod(other);
            let Some(pod) = self.pod_of(other, &pods).filter(|pod| speech::is_ready(pod)) else {
                return Ok(HostRestart::Held(format!("{name} isn't Ready")));
            };
            if let Some(why) = self.lacks(other, pod).await? {
                return Ok(HostRestart::Held(format!("{name}: {why}")));
            }
        }
        self.access.delete(host).await?;
        Ok(HostRestart::Done)
    }

    /// What a host lacks of everyone in it taking part, as it is to be now: the host says so, and has taken over what lies
    /// in its Secrets.
    async fn lacks(&self, host: usize, pod: &Pod) -> Result<Option<String>, BackendError> {
        let Some(address) = observe::host(pod) else {
            return Ok(Some("it has no address yet".to_owned()));
        };
        if !self.prober.is_whole(&self.hosts.base(&address)).await {
            return Ok(Some("it doesn't say that all of its validators take part".to_owned()));
        }
        for shard in 0..SHARDS {
            let Some(secret) = self.part_if_there(host, shard).await? else {
                continue;
            };
            let (all, out) = self.not_taken_over(&address, &secret).await;
            if let Some(first) = out.first() {
                let (secret, missing) = (secret.name_any(), out.len());
                return Ok(Some(format!(
                    "{missing} of {all} seats in {secret} aren't taken over, {first} for one"
                )));
            }
        }
        Ok(None)
    }

    /// How many seats lie in a Secret, and those that the host at this address doesn't run as they are there.
    async fn not_taken_over(&self, address: &str, secret: &Secret) -> (usize, Vec<String>) {
        let seats = seats_in(secret);
        let all = seats.len();
        let runs = seats.into_keys().map(|seat| async move {
            let files = Files::of(secret, &seat);
            // What can't be read runs nowhere.
            let token = files.token(&seat)?;
            let same = match self.prober.seat(&self.hosts.seat_url(address, &seat), &token).await {
                SeatAnswer::Taken(status) => Some(status.settings) == files.settings(&seat),
                SeatAnswer::Free | SeatAnswer::Silent => false,
            };
            (!same).then_some(seat)
        });
        (all, join_all(runs).await.into_iter().flatten().collect())
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
