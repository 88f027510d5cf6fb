//! The objects of a network, one kind per file. Pure: from the plan, the settings and what is durable.

mod budget;
mod client;
mod config;
mod genesis;
mod network_policy;
mod pods;
mod service;
mod stateful_set;

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};

use super::ClusterSettings;
use super::names;
use crate::backend::BackendError;
use crate::certificates::Certificates;
use crate::plan::Plan;

pub use client::client;
pub use genesis::genesis;

/// What the objects are made from.
pub struct Inputs<'a> {
    /// What is to be there.
    pub plan: &'a Plan,
    /// How this operator runs nodes.
    pub settings: &'a ClusterSettings,
    /// Bearer token of the nodes.
    pub token: &'a str,
    /// Certificates of all parties.
    pub certificates: &'a Certificates,
    /// Validators whose keys have been with a process that may have voted.
    pub joined: &'a BTreeSet<String>,
    /// Volume templates of the StatefulSet that is there: they can't be changed.
    pub claims: Option<Vec<PersistentVolumeClaim>>,
}

/// Everything that is applied for a network, in the order of its fields.
pub struct Objects {
    /// Before any pod: nothing of the network is ever reachable from elsewhere.
    pub policy: NetworkPolicy,
    /// Pods run under it; it has no rights and no token.
    pub account: ServiceAccount,
    /// What a client needs, and who may read it.
    pub client: (Secret, Role, RoleBinding),
    /// The nodes' settings.
    pub config: Secret,
    /// Names for the pods: before them, because they look for each other at once.
    pub headless: Service,
    /// One address for clients.
    pub service: Service,
    /// Keeps drains from taking the quorum.
    pub budget: PodDisruptionBudget,
    /// Last: its pods need all of the above.
    pub stateful_set: StatefulSet,
    /// Digest of everything that a pod is made from.
    pub template: String,
}

/// Builds all objects of a network but its genesis.
pub fn objects(inputs: &Inputs<'_>) -> Result<Objects, BackendError> {
    let network = &inputs.plan.network.network;
    let config = config::config(inputs)?;
    let (stateful_set, template) = stateful_set::stateful_set(inputs)?;
    Ok(Objects {
        policy: network_policy::network_policy(inputs),
        account: ServiceAccount {
            metadata: names::metadata(network, names::validators(network)),
            automount_service_account_token: Some(false),
            ..ServiceAccount::default()
        },
        client: client::client(inputs)?,
        config,
        headless: service::headless(network),
        service: service::client(network),
        budget: budget::budget(inputs),
        stateful_set,
        template,
    })
}

/// A value that can't be written as JSON; a defect, since all of them are plain data.
fn unwritable(what: String) -> impl FnOnce(serde_json::Error) -> BackendError {
    move |error| BackendError::Object {
        what,
        problem: error.to_string(),
        fix: "this is a defect of the operator",
    }
}

#[cfg(test)]
mod tests;
