//! Names, labels and ports of a network's objects.
//!
//! Every kind has a suffix of its own, so that no two networks of a tenant can ever mean the same object.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::ObjectMeta;

use crate::network::NetworkRef;

/// Who writes, for server-side apply.
pub const FIELD_MANAGER: &str = "muniment-operator";
/// Port of a node's HTTP API, over TLS.
pub const API_PORT: i32 = 8411;
/// Port of a node's health and metrics, plain: a kubelet has no certificate. Before nodes had certificates, their HTTP API
/// was here.
pub const HEALTH_PORT: i32 = 8410;
/// Port of a node's consensus transport.
pub const CONSENSUS_PORT: i32 = 8420;
/// Label of everything of a network: its name.
pub const NETWORK: &str = "muniment.dev/network";
/// Label of everything of a tenant, and of its namespace.
pub const TENANT: &str = "muniment.dev/tenant";
/// Label of what we manage.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Label by which pods of the control plane are told from others.
pub const COMPONENT: &str = "app.kubernetes.io/component";
/// Annotation of a validator's keys: they have been with a process that may have voted.
pub const JOINED: &str = "muniment.dev/joined";
/// Annotation of a pod: the revision of the plan it runs with.
pub const REVISION: &str = "muniment.dev/revision";
/// Annotation of a pod: the digest of everything that it was made from.
pub const TEMPLATE: &str = "muniment.dev/template";
/// Annotation of the sealed genesis: what became of validators since.
pub const ROSTER: &str = "muniment.dev/roster";
/// Annotation of the sealed genesis: the placement that the network was made with.
pub const PLACEMENT: &str = "muniment.dev/placement";
/// Annotation of an object: the digest of what we last applied.
pub const APPLIED: &str = "muniment.dev/applied";

/// Selects everything that we manage.
pub fn managed() -> String {
    format!("{MANAGED_BY}={FIELD_MANAGER}")
}

/// Selects the hosts, in the control plane's namespace.
pub fn hosts() -> String {
    format!("{COMPONENT}=host")
}

/// Selects everything of a network.
pub fn of_network(network: &NetworkRef) -> String {
    format!("{},{NETWORK}={}", managed(), network.name)
}

/// A map of text.
pub fn map<const N: usize>(pairs: [(&str, String); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Labels by which a network's pods are found.
pub fn pod_labels(network: &NetworkRef) -> BTreeMap<String, String> {
    map([
        ("app.kubernetes.io/name", "muniment".to_owned()),
        ("app.kubernetes.io/instance", network.name.to_string()),
        (COMPONENT, "validator".to_owned()),
        (TENANT, network.tenant.to_string()),
        (NETWORK, network.name.to_string()),
    ])
}

/// Labels of an object of a network.
pub fn labels(network: &NetworkRef) -> BTreeMap<String, String> {
    let mut labels = pod_labels(network);
    labels.insert(MANAGED_BY.to_owned(), FIELD_MANAGER.to_owned());
    labels
}

/// Selects a network's pods.
pub fn selector(network: &NetworkRef) -> LabelSelector {
    LabelSelector {
        match_labels: Some(pod_labels(network)),
        ..LabelSelector::default()
    }
}

/// Metadata of an object of a network.
pub fn metadata(network: &NetworkRef, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(network.tenant.to_string()),
        labels: Some(labels(network)),
        ..ObjectMeta::default()
    }
}

/// StatefulSet, ServiceAccount, NetworkPolicy and PodDisruptionBudget.
pub fn validators(network: &NetworkRef) -> String {
    format!("{}-validator", network.name)
}

/// Pod of a validator. The StatefulSet counts its pods as the plan counts validators.
pub fn pod(network: &NetworkRef, validator: &str) -> String {
    format!("{}-{validator}", network.name)
}

/// Headless Service: a DNS name for each pod.
pub fn headless(network: &NetworkRef) -> String {
    format!("{}-nodes", network.name)
}

/// Service for clients: any validator that is ready.
pub fn client_service(network: &NetworkRef) -> String {
    format!("{}-api", network.name)
}

/// Secret with what a client needs, and the right to read it.
pub fn client(network: &NetworkRef) -> String {
    format!("{}-client", network.name)
}

/// ConfigMap with the sealed genesis.
pub fn genesis(network: &NetworkRef) -> String {
    format!("{}-genesis", network.name)
}

/// ConfigMap that is left when a network is deleted and its data is kept.
pub fn tombstone(network: &NetworkRef) -> String {
    format!("{}-tombstone", network.name)
}

/// Secret with the nodes' settings.
pub fn config(network: &NetworkRef) -> String {
    format!("{}-config", network.name)
}

/// Secret with the nodes' token, made once.
pub fn token(network: &NetworkRef) -> String {
    format!("{}-token", network.name)
}

/// Secret with the network's authorities for certificates.
pub fn authorities(network: &NetworkRef) -> String {
    format!("{}-ca", network.name)
}

/// Secret with the certificates of the network's parties.
pub fn certificates(network: &NetworkRef) -> String {
    format!("{}-tls", network.name)
}

/// Secret with the private keys of a validator.
pub fn keys(network: &NetworkRef, validator: &str) -> String {
    format!("{}-keys", pod(network, validator))
}

/// Host name of a validator, as pods of the cluster resolve it.
pub fn host(network: &NetworkRef, validator: &str) -> String {
    format!(
        "{}.{}.{}.svc",
        pod(network, validator),
        headless(network),
        network.tenant
    )
}

/// Host name of the Service for clients.
pub fn service_host(network: &NetworkRef) -> String {
    format!("{}.{}.svc", client_service(network), network.tenant)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use muniment_crds::{MAX_NAME, NetworkName, TenantName};

    #[test]
    fn the_longest_names_still_fit() {
        let long = "x".repeat(MAX_NAME);
        let network = NetworkRef {
            tenant: TenantName::new(&long).unwrap(),
            name: NetworkName::new(&long).unwrap(),
        };
        // A StatefulSet's revision label is its name, a hyphen and ten characters.
        assert!(validators(&network).len() + 11 <= 63);
        for name in [
            pod(&network, "validator-30"),
            headless(&network),
            client_service(&network),
            keys(&network, "validator-30"),
        ] {
            assert!(name.len() <= 63, "{name}");
        }
    }
}
