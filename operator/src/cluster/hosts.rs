//! Restarts of the hosts: after a change of the chart they get their new pods one after another.
//!
//! Owns the choice of the next one. A host counts as well when its pod is Ready, which its own probe says: every validator
//! in it takes part, or is known to be broken. What sits in the hosts is [`crate::backend::cluster`]'s, and so is the last
//! look before one goes: whether a validator in another host is out just now. A restart that has to wait long is told as an
//! event of its host's StatefulSet, with who is in its way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::runtime::controller::Action;
use kube::runtime::events::Recorder;
use kube::{Api, Client, Resource, ResourceExt};
use thiserror::Error;

use super::events;
use super::pace::{self, Pace};
use crate::backend::BackendError;
use crate::backend::cluster::{ApiFailure, ClusterBackend, HostRestart, names};

/// Label of a pod with the revision of its StatefulSet that it was made from.
const REVISION: &str = "controller-revision-hash";
/// A restart that has waited so long is told, and again and again after as long as events are kept.
const PATIENCE: Duration = Duration::from_secs(120);
const AGAIN: Duration = Duration::from_secs(1_800);
/// Reason of the event.
const HELD: &str = "RestartHeld";

/// What was seen last of the hosts' pods, as far as it says something of the networks in them.
#[derive(Debug, Default)]
pub struct Known(Mutex<BTreeMap<String, Look>>);

#[derive(Debug, PartialEq)]
struct Look {
    uid: Option<String>,
    address: Option<String>,
    is_ready: bool,
    is_leaving: bool,
}

impl Known {
    /// Whether there is news of it: our own marks on it, and the kubelet's many reports, are none, and each wakes all
    /// networks in the hosts.
    pub fn changed(&self, pod: &Pod) -> bool {
        let look = Look {
            uid: pod.uid(),
            address: pod.status.as_ref().and_then(|status| status.pod_ip.clone()),
            is_ready: is_ready(pod),
            is_leaving: pod.metadata.deletion_timestamp.is_some(),
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = known.get(&pod.name_any()) != Some(&look);
        known.insert(pod.name_any(), look);
        is_news
    }
}

/// What every pass needs.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// Namespace of the control plane.
    pub namespace: String,
    /// What sits in the hosts.
    pub backend: Arc<ClusterBackend>,
    /// Where events go.
    pub recorder: Recorder,
    /// Pauses after failures.
    pub pace: Pace,
    /// The restart that has to wait.
    pub waits: Mutex<Option<Wait>>,
}

/// A restart that has to wait.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    since: Instant,
    told: Option<Instant>,
}

impl Wait {
    /// Whether it is to be told now.
    fn is_due(&self, now: Instant) -> bool {
        match self.told {
            Some(told) => now - told >= AGAIN,
            None => now - self.since >= PATIENCE,
        }
    }
}

/// A pass that didn't reach its end.
#[derive(Debug, Error)]
pub enum HostsError {
    /// What is there can't be seen.
    #[error("hosts can't be listed")]
    List(#[source] ApiFailure),
    /// The next one can't be restarted.
    #[error(transparent)]
    Restart(#[from] BackendError),
}

fn unlisted(error: kube::Error) -> HostsError {
    HostsError::List(error.into())
}

/// What may be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// Every host runs as the chart wants it.
    Done,
    /// This pod is to be restarted, but these are away or catching up.
    Hold(String, Vec<String>),
    /// Delete this pod; its set makes it anew.
    Restart(String),
}

/// One pass over all hosts, whichever of them changed.
pub async fn reconcile(_: Arc<StatefulSet>, context: Arc<Context>) -> Result<Action, HostsError> {
    let (sets, pods) = (api::<StatefulSet>(&context), api::<Pod>(&context));
    let labels = ListParams::default().labels(&names::hosts());
    let found = sets.list(&labels).await.map_err(unlisted)?.items;
    let there = pods.list(&labels).await.map_err(unlisted)?.items;
    let pause = match next(&found, &there) {
        Step::Done => {
            context.passed();
            pace::calm()
        }
        Step::Hold(name, away) => {
            let why = format!(
                "{} of {} hosts aren't Ready: {}",
                away.len(),
                found.len(),
                away.join(", ")
            );
            context.held(&found, &name, &why).await;
            pace::WAITING
        }
        Step::Restart(name) => {
            if let Some(pod) = there.iter().find(|pod| pod.name_any() == name) {
                match context.backend.restart_host(pod).await? {
                    HostRestart::Done => {
                        tracing::info!(host = name, "restarted with new settings");
                        context.passed();
                    }
                    HostRestart::Held(why) => context.held(&found, &name, &why).await,
                }
            }
            pace::WAITING
        }
    };
    context.pace.reset("hosts");
    Ok(Action::requeue(pause))
}

impl Context {
    /// No restart waits any more.
    fn passed(&self) {
        *self.waits.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// A restart waits. Said as an event when it does so for long: a host that another one's seats hold up stays on the old
    /// image, and nobody would know.
    async fn held(&self, sets: &[StatefulSet], pod: &str, why: &str) {
        tracing::info!(host = pod, why, "a restart with new settings waits");
        let Some(since) = self.due(Instant::now()) else {
            return;
        };
        if let Some(set) = sets.iter().find(|set| pod_name(set) == pod) {
            let minutes = since.as_secs() / 60;
            let note = format!("waits for {minutes} minutes to be restarted with new settings: {why}");
            events::warn(&self.recorder, &set.object_ref(&()), HELD, &note).await;
        }
    }

    /// For how long it has been waited, if it is to be told now.
    fn due(&self, now: Instant) -> Option<Duration> {
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = waits.get_or_insert(Wait { since: now, told: None });
        wait.is_due(now).then(|| {
            wait.told = Some(now);
            now - wait.since
        })
    }
}

fn api<K>(context: &Context) -> Api<K>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
{
    Api::namespaced(context.client.clone(), &context.namespace)
}

/// After a pass that failed.
pub fn on_error(_: Arc<StatefulSet>, error: &HostsError, context: Arc<Context>) -> Action {
    tracing::warn!(error = error as &dyn std::error::Error, "hosts can't be kept");
    Action::requeue(context.pace.longer("hosts"))
}

/// The one pod of a host's set.
fn pod_name(set: &StatefulSet) -> String {
    format!("{}-0", set.name_any())
}

/// Every shared network has a validator in each host and may lose one, so one goes at a time, and only while all others
/// are well. One that isn't well takes nothing away, and a new pod may be just what it needs.
fn next(sets: &[StatefulSet], pods: &[Pod]) -> Step {
    let pod = |set: &StatefulSet| pods.iter().find(|pod| pod.name_any() == pod_name(set));
    let stale: Vec<&StatefulSet> = sets
        .iter()
        .filter(|set| pod(set).is_some_and(|pod| is_stale(set, pod)))
        .collect();
    let Some(first) = stale.first() else {
        return Step::Done;
    };
    let is_well = |set: &&StatefulSet| pod(set).is_some_and(is_ready);
    let restart = |set: &StatefulSet| Step::Restart(pod_name(set));
    let away: Vec<&StatefulSet> = sets.iter().filter(|set| !is_well(set)).collect();
    match away.as_slice() {
        [] => restart(first),
        [one] if stale.iter().any(|set| set.name_any() == one.name_any()) => restart(one),
        _ => Step::Hold(pod_name(first), away.iter().map(|set| pod_name(set)).collect()),
    }
}

/// Whether a pod was made from an older revision of its set. One that is leaving is dealt with already.
fn is_stale(set: &StatefulSet, pod: &Pod) -> bool {
    let status = set.status.as_ref();
    let seen = status.and_then(|status| status.observed_generation) == set.metadata.generation;
    let wanted = status.and_then(|status| status.update_revision.as_ref());
    seen && wanted.is_some() && pod.labels().get(REVISION) != wanted && pod.metadata.deletion_timestamp.is_none()
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"));
    ready && pod.metadata.deletion_timestamp.is_none()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sets(revision: &str) -> Vec<StatefulSet> {
        let set = |host| {
            json!({ "metadata": { "name": format!("muniment-host-{host}"), "generation": 2 },
                    "spec": { "selector": {}, "template": {}, "serviceName": "muniment-host" },
                    "status": { "replicas": 1, "observedGeneration": 2, "updateRevision": revision } })
        };
        (0..4).map(|host| serde_json::from_value(set(host)).unwrap()).collect()
    }

    fn pod(host: usize, revision: &str, ready: bool) -> Pod {
        let status = if ready { "True" } else { "False" };
        serde_json::from_value(json!({
            "metadata": { "name": format!("muniment-host-{host}-0"), "labels": { REVISION: revision } },
            "status": { "conditions": [{ "type": "Ready", "status": status }] } }))
        .unwrap()
    }

    fn pods(revisions: [&str; 4]) -> Vec<Pod> {
        (0..4).map(|host| pod(host, revisions[host], true)).collect()
    }

    #[test]
    fn a_mark_on_a_pod_is_no_news_of_its_networks() {
        let (known, mut seen) = (Known::default(), pod(0, "a", true));
        assert!(known.changed(&seen));
        seen.annotations_mut()
            .insert("muniment.dev/poke".to_owned(), "1".to_owned());
        assert!(!known.changed(&seen), "its own mark");
        assert!(known.changed(&pod(0, "a", false)), "it isn't ready any more");
        assert!(known.changed(&pod(0, "a", true)) && known.changed(&pod(1, "a", true)));
        seen.metadata.uid = Some("other".to_owned());
        assert!(known.changed(&seen), "another pod of that name");
    }

    #[test]
    fn hosts_go_one_by_one_and_the_next_waits_for_the_last() {
        assert_eq!(next(&sets("a"), &pods(["a"; 4])), Step::Done);
        assert_eq!(
            next(&sets("b"), &pods(["a"; 4])),
            Step::Restart("muniment-host-0-0".into())
        );
        let mut mixed = pods(["b", "a", "a", "a"]);
        assert_eq!(next(&sets("b"), &mixed), Step::Restart("muniment-host-1-0".into()));
        mixed[0] = pod(0, "b", false);
        let held = Step::Hold("muniment-host-1-0".into(), vec!["muniment-host-0-0".into()]);
        assert_eq!(next(&sets("b"), &mixed), held, "it is catching up");
        mixed.remove(0);
        assert_eq!(next(&sets("b"), &mixed), held, "it is being made anew");
    }

    #[test]
    fn one_that_is_away_goes_first_and_two_hold_everything() {
        let mut there = pods(["a"; 4]);
        there[2] = pod(2, "a", false);
        assert_eq!(next(&sets("b"), &there), Step::Restart("muniment-host-2-0".into()));
        there[3] = pod(3, "a", false);
        let away = vec!["muniment-host-2-0".into(), "muniment-host-3-0".into()];
        assert_eq!(next(&sets("b"), &there), Step::Hold("muniment-host-0-0".into(), away));
    }

    #[test]
    fn a_restart_that_waits_long_is_told_now_and_then() {
        let since = Instant::now();
        let due = |told: Option<Duration>, after: Duration| {
            let told = told.map(|told| since + told);
            Wait { since, told }.is_due(since + after)
        };
        assert!(!due(None, PATIENCE / 2), "hosts follow one another");
        assert!(due(None, PATIENCE));
        assert!(!due(Some(PATIENCE), PATIENCE * 2));
        assert!(due(Some(PATIENCE), PATIENCE + AGAIN));
    }

    #[test]
    fn a_set_whose_change_is_not_seen_yet_moves_nobody() {
        let mut unseen = sets("a");
        for set in &mut unseen {
            set.metadata.generation = Some(3);
        }
        assert_eq!(next(&unseen, &pods(["old"; 4])), Step::Done);
    }
}
