//! How a pod is spoken to: over TLS, or plainly as before nodes had certificates. Pure.
//!
//! A network from before gets certificates in two rolls. In the first one its validators learn to answer over TLS, and go
//! on speaking plainly; when all have, the second one ends that. At every moment each can speak to each.

use k8s_openapi::api::core::v1::Pod;

use super::names::{self, API_PORT, HEALTH_PORT};
use crate::network::NetworkRef;

/// Name of the port that only pods with certificates have.
pub const HEALTH: &str = "health";

/// Whether a pod answers over TLS.
pub fn is_secure(pod: &Pod) -> bool {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
    ports.any(|port| port.name.as_deref() == Some(HEALTH))
}

/// URL at which others reach a validator, as long as these are the network's pods.
pub fn url(network: &NetworkRef, validator: &str, pods: &[Pod]) -> String {
    let host = names::host(network, validator);
    if pods.iter().all(is_secure) {
        format!("https://{host}:{API_PORT}")
    } else {
        format!("http://{host}:{HEALTH_PORT}")
    }
}

/// URL and address at which a pod answers us; `None` for one without an address.
pub fn address(network: &NetworkRef, validator: &str, pod: &Pod) -> Option<(String, std::net::IpAddr)> {
    let address = pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()?;
    Some((url(network, validator, std::slice::from_ref(pod)), address))
}

/// Whether its own platform says that a pod does its part.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut ready = conditions.filter(|condition| condition.type_ == "Ready" && condition.status == "True");
    ready.next().is_some() && pod.metadata.deletion_timestamp.is_none()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use muniment_crds::{NetworkName, TenantName};
    use serde_json::json;

    fn pod(port: &str) -> Pod {
        let container = json!({ "name": "validator", "ports": [{ "name": port, "containerPort": 1 }] });
        serde_json::from_value(json!({ "metadata": {}, "spec": { "containers": [container] } })).unwrap()
    }

    #[test]
    fn tls_is_spoken_when_every_pod_can() {
        let network = NetworkRef {
            tenant: TenantName::new("acme").unwrap(),
            name: NetworkName::new("c").unwrap(),
        };
        let url = |pods: &[Pod]| url(&network, "validator-0", pods);
        let (plain, secure) = (
            "http://c-validator-0.c-nodes.acme.svc:8410",
            "https://c-validator-0.c-nodes.acme.svc:8411",
        );
        assert_eq!(url(&[]), secure, "a network that is new, or wakes");
        assert_eq!(url(&[pod("api"), pod("api")]), plain);
        assert_eq!(url(&[pod("health"), pod("api")]), plain);
        assert_eq!(url(&[pod("health"), pod("health")]), secure);
    }
}
