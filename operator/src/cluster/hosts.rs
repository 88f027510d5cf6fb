//! Restarts of the hosts: after a change of the chart they get their new pods one after another.
//!
//! Owns the choice of the next one. A host counts as well when its pod is Ready, which its own probe says: every validator
//! in it takes part, or is known to be broken. What sits in the hosts is [`crate::backend::cluster`]'s, and so is the last
//! look before one goes: whether a validator in another host is out just now.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::runtime::controller::Action;
use kube::{Api, Client, ResourceExt};
use thiserror::Error;

use super::pace::{self, Pace};
use crate::backend::BackendError;
use crate::backend::cluster::{ApiFailure, ClusterBackend, names};

/// Label of a pod with the revision of its StatefulSet that it was made from.
const REVISION: &str = "controller-revision-hash";

/// What every pass needs.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// Namespace of the control plane.
    pub namespace: String,
    /// What sits in the hosts.
    pub backend: Arc<ClusterBackend>,
    /// Pauses after failures.
    pub pace: Pace,
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
    /// Something is to be restarted, but one is away or catching up.
    Hold,
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
        Step::Done => pace::calm(),
        Step::Hold => pace::WAITING,
        Step::Restart(name) => {
            if let Some(pod) = there.iter().find(|pod| pod.name_any() == name) {
                let restarted = context.backend.restart_host(pod).await?;
                tracing::info!(host = name, restarted, "to be restarted with new settings");
            }
            pace::WAITING
        }
    };
    context.pace.succeeded("hosts");
    Ok(Action::requeue(pause))
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
    Action::requeue(context.pace.after_failure("hosts"))
}

/// Every shared network has a validator in each host and may lose one, so one goes at a time, and only while all others
/// are well. One that isn't well takes nothing away, and a new pod may be just what it needs.
fn next(sets: &[StatefulSet], pods: &[Pod]) -> Step {
    let pod = |set: &StatefulSet| {
        pods.iter()
            .find(|pod| pod.name_any() == format!("{}-0", set.name_any()))
    };
    let stale: Vec<&StatefulSet> = sets
        .iter()
        .filter(|set| pod(set).is_some_and(|pod| is_stale(set, pod)))
        .collect();
    let Some(first) = stale.first() else {
        return Step::Done;
    };
    let is_well = |set: &&StatefulSet| pod(set).is_some_and(is_ready);
    let restart = |set: &StatefulSet| Step::Restart(format!("{}-0", set.name_any()));
    let away: Vec<&StatefulSet> = sets.iter().filter(|set| !is_well(set)).collect();
    match away.as_slice() {
        [] => restart(first),
        [one] if stale.iter().any(|set| set.name_any() == one.name_any()) => restart(one),
        _ => Step::Hold,
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
    fn hosts_go_one_by_one_and_the_next_waits_for_the_last() {
        assert_eq!(next(&sets("a"), &pods(["a"; 4])), Step::Done);
        assert_eq!(
            next(&sets("b"), &pods(["a"; 4])),
            Step::Restart("muniment-host-0-0".into())
        );
        let mut mixed = pods(["b", "a", "a", "a"]);
        assert_eq!(next(&sets("b"), &mixed), Step::Restart("muniment-host-1-0".into()));
        mixed[0] = pod(0, "b", false);
        assert_eq!(next(&sets("b"), &mixed), Step::Hold, "it is catching up");
        mixed.remove(0);
        assert_eq!(next(&sets("b"), &mixed), Step::Hold, "it is being made anew");
    }

    #[test]
    fn one_that_is_away_goes_first_and_two_hold_everything() {
        let mut there = pods(["a"; 4]);
        there[2] = pod(2, "a", false);
        assert_eq!(next(&sets("b"), &there), Step::Restart("muniment-host-2-0".into()));
        there[3] = pod(3, "a", false);
        assert_eq!(next(&sets("b"), &there), Step::Hold);
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
