//! Volumes grow with the spec, where the storage class allows it; those of validators that left are named, and deleted
//! where that is wanted.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;
use muniment_crds::DeletionPolicy;
use serde_json::json;

use super::access::Access;
use super::names;
use crate::backend::{BackendError, Observation};
use crate::plan::{NodePlan, Plan};
use crate::roster::{self, Standing};

/// Asks for larger volumes where they are smaller than wanted. Never for smaller ones.
pub async fn grow(access: &Access, plan: &Plan) -> Result<(), BackendError> {
    let network = &plan.network.network;
    let claims: Vec<PersistentVolumeClaim> = access
        .list(network.tenant.as_str(), &names::of_network(network))
        .await?;
    let runs = |claim: &PersistentVolumeClaim| {
        let of = |node: &NodePlan| format!("data-{}", names::pod(network, &node.name)) == claim.name_any();
        plan.network.nodes.iter().any(of)
    };
    for claim in claims
        .iter()
        .filter(|claim| runs(claim) && is_smaller(claim, plan.hosting.storage))
    {
        let change = json!({ "spec": { "resources": { "requests": { "storage": plan.hosting.storage_text } } } });
        access
            .merge::<PersistentVolumeClaim>(network.tenant.as_str(), &claim.name_any(), &change)
            .await?;
    }
    Ok(())
}

/// Claims of validators that have left the network, by the ledger's own word, and don't run any more. Deletes them where
/// that is wanted and the network is well without them; answers the names of those that are left.
pub async fn left_over(access: &Access, plan: &Plan, seen: &Observation) -> Result<Vec<String>, BackendError> {
    let network = &plan.network.network;
    if !plan.roster.numbers().any(|number| has_left(plan, number)) {
        return Ok(Vec::new());
    }
    let claims: Vec<PersistentVolumeClaim> = access
        .list(network.tenant.as_str(), &names::of_network(network))
        .await?;
    let mut left = Vec::new();
    let deletes = plan.hosting.when_scaled == DeletionPolicy::Delete && is_well(plan, seen);
    for claim in claims
        .iter()
        .filter(|claim| is_of_one_that_left(plan, &claim.name_any()))
    {
        if deletes {
            tracing::info!(%network, claim = claim.name_any(), "deleted: its validator has left");
            access.delete(claim).await?;
        } else {
            left.push(claim.name_any());
        }
    }
    left.sort();
    Ok(left)
}

fn has_left(plan: &Plan, number: u32) -> bool {
    let name = roster::name(number);
    plan.roster.standing(number) == Some(Standing::Left) && plan.network.nodes.iter().all(|node| node.name != name)
}

fn is_of_one_that_left(plan: &Plan, claim: &str) -> bool {
    let pod = claim.strip_prefix("data-").unwrap_or_default();
    let validator = pod.strip_prefix(plan.network.network.name.as_str());
    let number = validator.and_then(|rest| roster::number(rest.strip_prefix('-')?));
    number.is_some_and(|number| has_left(plan, number))
}

/// Whether every validator in the set is ready: then nobody needs what another one left.
fn is_well(plan: &Plan, seen: &Observation) -> bool {
    let Some(membership) = &seen.membership else {
        return false;
    };
    let ready = |name: &str| seen.nodes.iter().any(|node| node.name == name && node.ready());
    plan.hosting.run && membership.now.iter().all(|one| ready(&one.name))
}

/// Whether a claim asks for less. One that is written in another way than ours was made by another hand and stays.
fn is_smaller(claim: &PersistentVolumeClaim, wanted: u64) -> bool {
    let requests = claim
        .spec
        .as_ref()
        .and_then(|spec| spec.resources.as_ref()?.requests.as_ref());
    let asked = requests.and_then(|requests| requests.get("storage"));
    asked
        .and_then(|asked| muniment_crds::bytes(&asked.0).ok())
        .is_some_and(|asked| asked < wanted)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_smaller_grows() {
        let claim = |size: &str| {
            let claim = json!({ "spec": { "resources": { "requests": { "storage": size } } } });
            serde_json::from_value::<PersistentVolumeClaim>(claim).unwrap()
        };
        assert!(is_smaller(&claim("2Gi"), 3 << 30));
        assert!(!is_smaller(&claim("3Gi"), 3 << 30));
        assert!(!is_smaller(&claim("4096Mi"), 3 << 30));
        assert!(!is_smaller(&claim("1e9"), 3 << 30));
    }
}
