//! The cluster backend: a network is a StatefulSet with everything that belongs to it, in its tenant's namespace.
//!
//! ```text
//! Secret      <network>-validator-N-keys   private keys, immutable, made once: the durable truth
//! ConfigMap   <network>-genesis            the sealed genesis, immutable; beside it who joined and left since
//! Secret      <network>-client             token, endpoints and trust root for clients
//! Secret      <network>-config             node.json of every validator, and which of them have voted
//! Secret      <network>-ca                 authorities for certificates, with their keys
//! Secret      <network>-tls                certificates of validators, the management API and this operator
//! StatefulSet <network>-validator          pods <network>-validator-N
//! PVC         data-<network>-validator-N
//! Service     <network>-nodes, <network>-api
//! ```
//! and a NetworkPolicy, a PodDisruptionBudget and a ServiceAccount `<network>-validator`.
//!
//! A network in shared placement has only the keys, the genesis and what clients need there; its validators sit in the
//! hosts of the control plane: see [`hosts`].

mod access;
mod ballot;
mod build;
mod certificates;
mod covers;
mod driver;
mod durable;
mod failure;
mod hosts;
pub(crate) mod names;
mod observe;
mod own;
mod speech;
mod volumes;

pub(crate) use access::Access;
pub use driver::ClusterBackend;
pub use failure::ApiFailure;
pub use hosts::HostRestart;

/// How this operator runs nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterSettings {
    /// Namespace of the control plane.
    pub namespace: String,
    /// Image of the nodes.
    pub image: String,
    /// `Always`, `IfNotPresent` or `Never`.
    pub image_pull_policy: String,
    /// Priority class of validators; the cluster's default when absent.
    pub priority_class: Option<String>,
    /// The operator's own ServiceAccount.
    pub service_account: String,
    /// The management API's ServiceAccount.
    pub api_service_account: String,
    /// Name of the Service of the hosts in the control plane's namespace; `None` without hosts.
    pub hosts: Option<String>,
    /// ClusterRole that the operator binds itself to in each tenant's namespace.
    pub tenant_role: String,
}
