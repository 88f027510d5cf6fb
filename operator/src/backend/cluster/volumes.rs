//! Volumes grow with the spec, where the storage class allows it.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;
use serde_json::json;

use super::access::Access;
use super::names;
use crate::backend::BackendError;
use crate::plan::{NodePlan, Plan};

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
