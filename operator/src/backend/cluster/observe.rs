//! What is seen of a network's pods. Pure, but for asking the nodes.

use std::collections::BTreeMap;

use futures::future::join_all;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};
use kube::ResourceExt;
use muniment_ledger::wire::NodeStatus;

use super::names::{self, REVISION, TEMPLATE};
use super::speech;
use crate::backend::{NodeObservation, NodeState, Observation};
use crate::certificates::Outlook;
use crate::membership::Membership;
use crate::network::NetworkRef;
use crate::prober::{Prober, Probers};

/// Longest text of a pod's last words.
const WORDS: usize = 300;

/// What is wanted of the pods.
pub struct Wanted<'a> {
    /// Digest of everything a pod is made from.
    pub template: &'a str,
    /// The revision that goes with it.
    pub revision: &'a str,
    /// Whether there are to be any.
    pub run: bool,
}

/// What the StatefulSet wants of its pods, as last applied: template, revision, and whether there are to be any.
pub fn wanted_by(set: &StatefulSet) -> Option<(String, String, bool)> {
    let run = set.spec.as_ref()?.replicas != Some(0);
    let annotations = set.spec.as_ref()?.template.metadata.as_ref()?.annotations.as_ref()?;
    Some((
        annotations.get(TEMPLATE)?.clone(),
        annotations.get(REVISION)?.clone(),
        run,
    ))
}

/// A validator that may run.
pub struct Place {
    /// Its name.
    pub name: String,
    /// In the set, as far as is on record.
    pub member: bool,
}

/// How nodes are asked, and what is known beside their answers.
pub struct Questions<'a> {
    /// Knows where hosts are.
    pub probers: &'a Probers,
    /// The HTTP client, with our certificate if we have one.
    pub prober: Prober,
    /// Bearer token.
    pub token: &'a str,
    /// What is to come of the certificates.
    pub certificates: Option<Outlook>,
}

impl Questions<'_> {
    async fn ask(&self, network: &NetworkRef, name: &str, pod: &Pod, id: &str) -> Option<NodeStatus> {
        if !runs(pod) {
            return None;
        }
        let (url, address) = speech::address(network, name, pod)?;
        self.probers.is_at(&url, address);
        self.prober.ask(&url, self.token, id, name).await
    }
}

/// Looks at all validators at once.
pub async fn observe(
    network: &NetworkRef,
    id: Option<&str>,
    validators: &[Place],
    pods: &[Pod],
    wanted: Option<&Wanted<'_>>,
    questions: &Questions<'_>,
) -> Observation {
    let by_name: BTreeMap<String, &Pod> = pods.iter().map(|pod| (pod.name_any(), pod)).collect();
    let look = |place: &Place| {
        let pod = by_name.get(&names::pod(network, &place.name)).copied();
        let (name, member) = (place.name.clone(), place.member);
        async move {
            let answer = match (pod, id) {
                (Some(pod), Some(id)) => questions.ask(network, &name, pod, id).await,
                _ => None,
            };
            NodeObservation {
                member,
                ..node(name, pod, wanted, answer)
            }
        }
    };
    let mut nodes = join_all(validators.iter().map(look)).await;
    let membership = match id {
        Some(id) => membership(network, id, &nodes, &by_name, questions).await,
        None => None,
    };
    if let Some(membership) = &membership {
        for node in &mut nodes {
            node.member = membership.now.iter().any(|one| one.name == node.name);
        }
    }
    Observation {
        network: network.clone(),
        id: id.map(str::to_owned),
        nodes,
        membership,
        ballot: None,
        left_over: Vec::new(),
        certificates: questions.certificates,
    }
}

/// Who the validators are, as the node that is furthest proves it, or the next one if it doesn't.
async fn membership(
    network: &NetworkRef,
    id: &str,
    nodes: &[NodeObservation],
    pods: &BTreeMap<String, &Pod>,
    questions: &Questions<'_>,
) -> Option<Membership> {
    for address in furthest(network, nodes, pods) {
        if let Some(file) = questions.prober.trust_root(&address, questions.token).await
            && let Some(proven) = Membership::proven(&file, id)
        {
            return Some(proven);
        }
    }
    None
}

/// Where the nodes that answer can be asked, the one that is furthest first.
pub fn furthest(network: &NetworkRef, nodes: &[NodeObservation], pods: &BTreeMap<String, &Pod>) -> Vec<String> {
    let mut answering: Vec<(u64, &str)> = nodes
        .iter()
        .filter_map(|node| Some((node.answer.as_ref()?.height, node.name.as_str())))
        .collect();
    answering.sort_by_key(|(height, _)| std::cmp::Reverse(*height));
    let at = |(_, name): (u64, &str)| {
        let pod = pods.get(&names::pod(network, name)).filter(|pod| runs(pod))?;
        Some(speech::url(network, name, std::slice::from_ref(pod)))
    };
    answering.into_iter().filter_map(at).collect()
}

/// Whether a pod can be asked.
fn runs(pod: &Pod) -> bool {
    let state = container(pod).and_then(|container| container.state.as_ref());
    pod.metadata.deletion_timestamp.is_none() && state.is_some_and(|state| state.running.is_some())
}

/// Address of a pod that runs.
pub fn host(pod: &Pod) -> Option<String> {
    let ip = pod.status.as_ref()?.pod_ip.as_ref()?;
    let host = if ip.contains(':') {
        format!("[{ip}]")
    } else {
        ip.clone()
    };
    runs(pod).then_some(host)
}

fn container(pod: &Pod) -> Option<&ContainerStatus> {
    pod.status
        .as_ref()?
        .container_statuses
        .as_ref()?
        .iter()
        .find(|c| ["validator", "host"].contains(&c.name.as_str()))
}

/// What is seen of one validator.
fn node(name: String, pod: Option<&Pod>, wanted: Option<&Wanted<'_>>, answer: Option<NodeStatus>) -> NodeObservation {
    let Some(pod) = pod else {
        // One that is to run is about to be made anew: whoever restarts validators has to wait for it.
        let state = if wanted.is_some_and(|wanted| wanted.run) {
            NodeState::Starting
        } else {
            NodeState::Stopped
        };
        return NodeObservation {
            name,
            member: true,
            state,
            revision: None,
            restarts: 0,
            last_exit: None,
            answer: None,
        };
    };
    let (state, problem) = state(pod, answer.is_some());
    NodeObservation {
        name,
        member: true,
        state,
        revision: revision(pod, wanted),
        restarts: container(pod)
            .and_then(|c| u32::try_from(c.restart_count).ok())
            .unwrap_or_default(),
        last_exit: problem,
        answer,
    }
}

/// A pod runs with the revision of the plan only if everything that it was made from is as wanted. One that has the
/// plan's revision and another image, say, is told from it by its template.
fn revision(pod: &Pod, wanted: Option<&Wanted<'_>>) -> Option<String> {
    // One that is leaving is as good as gone: its successor has the new settings.
    if pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let (template, own) = (pod.annotations().get(TEMPLATE)?, pod.annotations().get(REVISION)?);
    match wanted {
        Some(wanted) if wanted.template == template => Some(wanted.revision.to_owned()),
        Some(wanted) if wanted.revision == own => Some(format!("{own} of template {template}")),
        _ => Some(own.clone()),
    }
}

/// State, and what is or was wrong.
pub fn state(pod: &Pod, answers: bool) -> (NodeState, Option<String>) {
    let ended = container(pod).and_then(last_exit);
    // Not gone yet, and about to be made anew.
    if pod.metadata.deletion_timestamp.is_some() {
        return (NodeState::Starting, ended);
    }
    if let Some(why) = unscheduled(pod) {
        return (NodeState::Stopped, Some(format!("can't be scheduled: {why}")));
    }
    let state = container(pod).and_then(|c| c.state.as_ref());
    match state {
        Some(ContainerState { running: Some(_), .. }) if answers => (NodeState::Running, ended),
        Some(ContainerState { running: Some(_), .. }) if speech::is_ready(pod) => (NodeState::Unreachable, ended),
        Some(ContainerState {
            waiting: Some(waiting), ..
        }) => {
            let reason = waiting.reason.clone().unwrap_or_default();
            if matches!(reason.as_str(), "" | "ContainerCreating" | "PodInitializing") {
                return (NodeState::Starting, ended);
            }
            let message = waiting.message.clone().unwrap_or_default();
            // Of a crash loop the last words say more than how long it is waited for.
            let said = if reason == "CrashLoopBackOff" { ended } else { None };
            (
                NodeState::BackingOff,
                Some(said.unwrap_or_else(|| cut(&format!("{reason}: {message}")))),
            )
        }
        Some(ContainerState {
            terminated: Some(_), ..
        }) => (NodeState::BackingOff, ended),
        _ => (NodeState::Starting, ended),
    }
}

fn unscheduled(pod: &Pod) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let condition = conditions
        .iter()
        .find(|c| c.type_ == "PodScheduled" && c.status == "False")?;
    Some(cut(condition.message.as_deref().unwrap_or("no reason is given")))
}

fn last_exit(container: &ContainerStatus) -> Option<String> {
    let now = container.state.as_ref().and_then(|state| state.terminated.as_ref());
    let before = || {
        container
            .last_state
            .as_ref()
            .and_then(|state| state.terminated.as_ref())
    };
    let ended = now.or_else(before)?;
    let how = match (ended.signal, ended.reason.as_deref()) {
        (_, Some("OOMKilled")) => "killed: it needed more memory than its limit".to_owned(),
        (Some(signal), _) if signal != 0 => format!("killed by signal {signal}"),
        // A shell's way to say it, and the container runtime's.
        _ if ended.exit_code > 128 => format!("killed by signal {}", ended.exit_code - 128),
        _ => format!("exit code {}", ended.exit_code),
    };
    let said = ended
        .message
        .as_deref()
        .and_then(|text| text.lines().rev().find(|line| !line.trim().is_empty()));
    Some(cut(
        &said.map_or_else(|| how.clone(), |said| format!("{how}: {}", said.trim()))
    ))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(WORDS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(value: Value) -> Pod {
        serde_json::from_value(value).unwrap()
    }

    fn status(state: Value, last: Value) -> Pod {
        let container = json!({ "name": "validator", "image": "", "imageID": "", "ready": false, "restartCount": 2,
                                "state": state, "lastState": last });
        pod(json!({ "metadata": { "name": "x-validator-0" }, "status": { "containerStatuses": [container] } }))
    }

    fn revision_of(pod: &Pod, wanted: &Wanted<'_>) -> String {
        revision(pod, Some(wanted)).unwrap()
    }

    #[test]
    fn a_wrong_image_is_said() {
        let waiting = json!({ "waiting": { "reason": "ErrImageNeverPull", "message": "no such image" } });
        let (state, why) = state(&status(waiting, json!({})), false);
        assert_eq!(
            (state, why.unwrap()),
            (NodeState::BackingOff, "ErrImageNeverPull: no such image".to_owned())
        );
    }

    #[test]
    fn a_crash_loop_says_its_last_words() {
        let waiting = json!({ "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 10s" } });
        let last = json!({ "terminated": { "exitCode": 1, "message": "first\nthe store is damaged\n" } });
        let (state, why) = state(&status(waiting, last), false);
        assert_eq!(
            (state, why.unwrap()),
            (NodeState::BackingOff, "exit code 1: the store is damaged".to_owned())
        );
    }

    #[test]
    fn an_unschedulable_pod_says_why() {
        let pending = pod(
            json!({ "metadata": { "name": "x" }, "status": { "phase": "Pending", "conditions":
            [{ "type": "PodScheduled", "status": "False", "message": "0/4 nodes are available" }] } }),
        );
        let (state, why) = state(&pending, false);
        assert_eq!(
            (state, why.unwrap()),
            (
                NodeState::Stopped,
                "can't be scheduled: 0/4 nodes are available".to_owned()
            )
        );
    }

    #[test]
    fn running_is_what_answers_and_leaving_is_not() {
        let running = status(json!({ "running": {} }), json!({ "terminated": { "exitCode": 137 } }));
        assert_eq!(
            state(&running, true),
            (NodeState::Running, Some("killed by signal 9".to_owned()))
        );
        assert_eq!(state(&running, false).0, NodeState::Starting);
        let mut ready = running.clone();
        let condition = json!([{ "type": "Ready", "status": "True" }]);
        ready.status.as_mut().unwrap().conditions = serde_json::from_value(condition).unwrap();
        assert_eq!(state(&ready, true).0, NodeState::Running);
        assert_eq!(
            state(&ready, false).0,
            NodeState::Unreachable,
            "it does its part all the same"
        );
        let mut leaving = running;
        leaving.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
        assert_eq!(state(&leaving, true).0, NodeState::Starting);
        assert_eq!(revision(&leaving, None), None);
        assert!(!runs(&leaving));
    }

    #[test]
    fn a_pod_of_another_template_has_no_revision_of_ours() {
        let annotated = pod(json!({ "metadata": { "name": "x", "annotations": { TEMPLATE: "old", REVISION: "r1" } } }));
        let seen = |template, revision| {
            let wanted = Wanted {
                template,
                revision,
                run: true,
            };
            revision_of(&annotated, &wanted)
        };
        assert_eq!(seen("old", "r1"), "r1");
        assert_eq!(seen("new", "r2"), "r1");
        assert_ne!(seen("new", "r1"), "r1", "another image");
    }
}
