//! PodDisruptionBudget: a drain may take only what the quorum can spare.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Inputs;
use crate::backend::cluster::names;

/// One voting pod at a time, whatever the fault bound: the next waits until the last has caught up. Counted by those in
/// the set: followers that join or have left are never ready.
pub fn budget(inputs: &Inputs<'_>) -> PodDisruptionBudget {
    let network = &inputs.plan.network.network;
    let voting = i32::try_from(inputs.plan.members().get()).unwrap_or(i32::MAX);
    PodDisruptionBudget {
        metadata: names::metadata(network, names::validators(network)),
        spec: Some(PodDisruptionBudgetSpec {
            min_available: Some(IntOrString::Int(voting.saturating_sub(1))),
            selector: Some(names::selector(network)),
            // A pod that isn't ready holds up no drain: it takes nothing from the quorum.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}
