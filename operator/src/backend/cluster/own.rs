//! Which pods are a network's own: those that its StatefulSet made. Pure, but for reading them.
//!
//! Labels alone prove nothing: whoever may make pods in the tenant's namespace can give them ours. Validators that a hand
//! took from their StatefulSet, and that go on without it, are told by the identity they run under.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::access::Access;
use super::names;
use crate::backend::BackendError;
use crate::network::NetworkRef;
use crate::roster;

/// The pods of a network.
pub async fn pods(access: &Access, network: &NetworkRef) -> Result<Vec<Pod>, BackendError> {
    let namespace = network.tenant.as_str();
    let mut pods: Vec<Pod> = access.list(namespace, &names::of_network(network)).await?;
    let set: Option<StatefulSet> = access.get(namespace, &names::validators(network)).await?;
    let uid = set.as_ref().and_then(ResourceExt::uid);
    pods.retain(|pod| is_own(pod, network, uid.as_deref()));
    Ok(pods)
}

/// Validators of a network that nobody runs any more and that run all the same (`kubectl delete --cascade=orphan`).
pub async fn abandoned(access: &Access, network: &NetworkRef) -> Result<Vec<Pod>, BackendError> {
    let mut pods: Vec<Pod> = access
        .list(network.tenant.as_str(), &names::of_network(network))
        .await?;
    pods.retain(|pod| is_abandoned(pod, network));
    Ok(pods)
}

fn is_abandoned(pod: &Pod, network: &NetworkRef) -> bool {
    let account = pod.spec.as_ref().and_then(|spec| spec.service_account_name.as_ref());
    let controlled = pod
        .owner_references()
        .iter()
        .any(|owner| owner.controller == Some(true));
    !controlled && account == Some(&names::validators(network)) && has_validators_name(pod, network)
}

fn has_validators_name(pod: &Pod, network: &NetworkRef) -> bool {
    let name = pod.name_any();
    let validator = name
        .strip_prefix(network.name.as_str())
        .and_then(|rest| rest.strip_prefix('-'));
    validator.is_some_and(|validator| roster::number(validator).is_some())
}

/// Whether a pod was made by the network's StatefulSet, which has this UID. Of one that is gone the last pods still name it.
fn is_own(pod: &Pod, network: &NetworkRef, set: Option<&str>) -> bool {
    let by = pod
        .owner_references()
        .iter()
        .find(|owner| owner.controller == Some(true));
    let is_set = by.is_some_and(|by| {
        by.kind == "StatefulSet" && by.name == names::validators(network) && set.is_none_or(|uid| by.uid == uid)
    });
    is_set && has_validators_name(pod, network)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use muniment_crds::{NetworkName, TenantName};
    use serde_json::{Value, json};

    fn network() -> NetworkRef {
        NetworkRef {
            tenant: TenantName::new("acme").unwrap(),
            name: NetworkName::new("c").unwrap(),
        }
    }

    fn pod(name: &str, kind: &str, owner: &str, uid: &str, controller: bool) -> Pod {
        let by = json!({ "apiVersion": "apps/v1", "kind": kind, "name": owner, "uid": uid, "controller": controller });
        serde_json::from_value(json!({ "metadata": { "name": name, "ownerReferences": [by] } })).unwrap()
    }

    #[test]
    fn a_validator_without_its_set_is_told_by_the_identity_it_has() {
        let network = network();
        let pod = |name: &str, account: &str, owners: Value| -> Pod {
            serde_json::from_value(json!({ "metadata": { "name": name, "ownerReferences": owners },
                                           "spec": { "containers": [], "serviceAccountName": account } }))
            .unwrap()
        };
        let abandoned = |pod: Pod| is_abandoned(&pod, &network);
        assert!(abandoned(pod("c-validator-2", "c-validator", json!([]))));
        assert!(
            !abandoned(pod("c-validator-2", "default", json!([]))),
            "it only looks like one"
        );
        assert!(!abandoned(pod("shell", "c-validator", json!([]))));
        let owned = json!([{ "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "c-validator", "uid": "u1",
                             "controller": true }]);
        assert!(
            !abandoned(pod("c-validator-2", "c-validator", owned)),
            "its set sees to it"
        );
    }

    #[test]
    fn a_pod_that_only_looks_like_one_of_ours_is_none() {
        let network = network();
        let (set, one) = ("c-validator", "c-validator-0");
        let own = |pod: &Pod| is_own(pod, &network, Some("u1"));
        assert!(own(&pod(one, "StatefulSet", set, "u1", true)));
        for other in [
            pod(one, "StatefulSet", set, "u2", true),
            pod(one, "StatefulSet", set, "u1", false),
            pod(one, "StatefulSet", "d-validator", "u1", true),
            pod(one, "ReplicaSet", set, "u1", true),
            pod("c-validator-x", "StatefulSet", set, "u1", true),
            pod("elsewhere", "StatefulSet", set, "u1", true),
            serde_json::from_value(json!({ "metadata": { "name": one } })).unwrap(),
        ] {
            assert!(!own(&other), "{other:?}");
        }
        let left = pod(one, "StatefulSet", set, "u1", true);
        assert!(is_own(&left, &network, None), "its set is gone before it");
    }
}
