//! Services: a name for each pod, and one address for clients.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::backend::cluster::names::{self, API_PORT, CONSENSUS_PORT};
use crate::network::NetworkRef;

fn port(name: &str, port: i32) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port,
        target_port: Some(IntOrString::String(name.to_owned())),
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    }
}

/// A DNS name for each pod, ready or not: validators have to find each other to become ready.
pub fn headless(network: &NetworkRef) -> Service {
    Service {
        metadata: names::metadata(network, names::headless(network)),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            publish_not_ready_addresses: Some(true),
            selector: Some(names::pod_labels(network)),
            ports: Some(vec![port("api", API_PORT), port("consensus", CONSENSUS_PORT)]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// Any validator that is ready.
pub fn client(network: &NetworkRef) -> Service {
    Service {
        metadata: names::metadata(network, names::client_service(network)),
        spec: Some(ServiceSpec {
            selector: Some(names::pod_labels(network)),
            ports: Some(vec![port("api", API_PORT)]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}
